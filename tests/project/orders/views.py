from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from catalog.models import Product

from .basket import Basket
from .forms import AddToBasketForm, CheckoutForm
from .models import Order


def basket(request):
    contents = Basket(request.session)
    return render(request, "orders/basket.html", {"lines": list(contents.lines()), "total": contents.total()})


@require_POST
def add(request, pk):
    product = get_object_or_404(Product.objects.on_sale(), pk=pk)
    form = AddToBasketForm(request.POST)
    if form.is_valid():
        Basket(request.session).add(product, form.cleaned_data["quantity"])
        messages.success(request, "%s is in the basket." % product)
    else:
        messages.error(request, "How many?")
    return redirect(product)


@login_required
def checkout(request):
    contents = Basket(request.session)
    if not len(contents):
        return redirect("orders:basket")
    form = CheckoutForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        order = place(request.user, form, contents)
        return redirect("orders:detail", order.pk)
    return render(request, "orders/checkout.html", {"form": form, "total": contents.total()})


@transaction.atomic
def place(user, form, contents):
    form.instance.user = user
    order = form.save()
    for line in contents.lines():
        product, quantity = line["product"], line["quantity"]
        order.lines.create(product=product, quantity=quantity, price=product.price)
        Product.objects.filter(pk=product.pk).update(stock=Greatest(F("stock") - quantity, 0))
    contents.clear()
    return order


@login_required
def detail(request, pk):
    order = get_object_or_404(Order.objects.prefetch_related("lines__product"), pk=pk, user=request.user)
    return render(request, "orders/detail.html", {"order": order})
