from .basket import Basket


def basket(request):
    return {"basket_count": len(Basket(request.session))}
