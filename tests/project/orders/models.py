"""What customers buy."""
from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models

from catalog.models import Product


class Order(models.Model):
    NEW, PAID, SENT = "new", "paid", "sent"
    STATES = [(NEW, "new"), (PAID, "paid"), (SENT, "sent")]

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="orders")
    state = models.CharField(max_length=10, choices=STATES, default=NEW)
    ship_to = models.TextField()
    created = models.DateTimeField(auto_now_add=True)
    products = models.ManyToManyField(Product, through="OrderLine", related_name="orders")

    class Meta:
        ordering = ["-created", "-pk"]

    def __str__(self):
        return "order %s" % self.pk

    @property
    def total(self):
        return sum(line.total for line in self.lines.all())


class OrderLine(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="lines")
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    price = models.DecimalField("price of one", max_digits=8, decimal_places=2)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "product"], name="one_line_per_product")]

    def __str__(self):
        return "%s × %s" % (self.quantity, self.product)

    @property
    def total(self):
        return self.quantity * self.price
