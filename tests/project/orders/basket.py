"""The basket: a dictionary {product id: quantity} in the visitor's session."""
from decimal import Decimal

from catalog.models import Product

KEY = "basket"


class Basket:
    def __init__(self, session):
        self.session = session
        self.quantities = session.get(KEY, {})

    def __len__(self):
        return sum(self.quantities.values())

    def add(self, product, quantity):
        key = str(product.pk)
        self.quantities[key] = self.quantities.get(key, 0) + quantity
        self.session[KEY] = self.quantities

    def clear(self):
        self.session.pop(KEY, None)
        self.quantities = {}

    def lines(self):
        products = Product.objects.on_sale().in_bulk([int(key) for key in self.quantities])
        for key, quantity in self.quantities.items():
            product = products.get(int(key))
            if product:
                yield {"product": product, "quantity": quantity, "total": product.price * quantity}

    def total(self):
        return sum((line["total"] for line in self.lines()), Decimal(0))
