"""How the shop writes prices and stars."""
from decimal import Decimal

from django import template

register = template.Library()


@register.filter
def money(amount):
    return "€ {:,.2f}".format(Decimal(amount))


@register.filter
def stars(count):
    return "★" * count + "☆" * (5 - count)


@register.inclusion_tag("catalog/_stock.html")
def stock_of(product):
    return {"stock": product.stock, "is_low": 0 < product.stock <= 3}
