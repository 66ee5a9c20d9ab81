"""As many models as a project gathers in some years: what it imports of its own, before any view."""
from django.db import models


def monthly(number):
    """Returns the model of one month's figures."""
    fields = {
        "__module__": __name__,
        "product": models.ForeignKey("catalog.Product", on_delete=models.CASCADE, related_name="+"),
        "supplier": models.ForeignKey("catalog.Supplier", on_delete=models.PROTECT, related_name="+"),
        "day": models.DateField(db_index=True),
        "sold": models.PositiveIntegerField(default=0),
        "returned": models.PositiveIntegerField(default=0),
        "turnover": models.DecimalField(max_digits=12, decimal_places=2),
        "note": models.CharField(max_length=200, blank=True),
    }
    return type(f"Month{number}", (models.Model,), fields)


MONTHS = [monthly(number) for number in range(240)]
