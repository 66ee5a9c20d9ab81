"""Fills the shop with demo data. Running it again changes nothing that is there."""
from decimal import Decimal

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.text import slugify

from catalog.models import Category, Product, Review, Supplier
from orders.models import Order

CATEGORIES = [("Kitchen", None), ("Tea", "Kitchen"), ("Desk", None), ("Garden", None)]

# name, category, supplier, price, stock, featured, description
PRODUCTS = [
    ("Enamel mug", "Kitchen", "Miller & Sons", "7.90", 40, True, "Survives the dishwasher, the garden and most arguments."),
    ("Bread knife", "Kitchen", "Miller & Sons", "24.50", 12, False, "Long, serrated, with a handle of pear wood."),
    ("Tea towel", "Kitchen", "Loom Ltd", "5.20", 85, False, "Linen, blue stripes, dries more than it looks."),
    ("Darjeeling", "Tea", "Leaf & Leaf", "11.40", 30, True, "First flush, 100 g, light and flowery."),
    ("Earl Grey", "Tea", "Leaf & Leaf", "8.60", 3, False, "Black tea with oil of bergamot, 100 g."),
    ("Smoked tea", "Tea", "Leaf & Leaf", "9.10", 0, False, "Dried over pine wood. One loves it or one does not."),
    ("Notebook", "Desk", "Paper Works", "6.00", 120, True, "160 pages, dotted, lies flat."),
    ("Fountain pen", "Desk", "Paper Works", "32.00", 9, False, "Steel nib, takes any ink, forgives left hands."),
    ("Desk lamp", "Desk", "Bright GmbH", "58.00", 5, True, "Warm light, one switch, no application on a telephone."),
    ("Trowel", "Garden", "Miller & Sons", "13.70", 22, False, "Forged in one piece."),
    ("Watering can", "Garden", "Bright GmbH", "21.00", 7, False, "Six litres, zinc, balanced when full."),
    ("Seed box", "Garden", "Paper Works", "16.80", 2, False, "Twelve compartments with labels."),
]


class Command(BaseCommand):
    help = __doc__

    @transaction.atomic
    def handle(self, *args, **options):
        self.fill_catalog()
        self.fill_people()
        if options["verbosity"]:
            self.stdout.write("%d products, %d orders" % (Product.objects.count(), Order.objects.count()))

    def fill_catalog(self):
        for name, parent in CATEGORIES:
            Category.objects.get_or_create(
                slug=slugify(name),
                defaults={"name": name, "parent": Category.objects.filter(name=parent).first()},
            )
        for name, category, supplier, price, stock, is_featured, description in PRODUCTS:
            product, is_new = Product.objects.get_or_create(
                slug=slugify(name),
                defaults={
                    "name": name,
                    "category": Category.objects.get(slug=slugify(category)),
                    "description": description,
                    "price": Decimal(price),
                    "stock": stock,
                    "is_featured": is_featured,
                },
            )
            if is_new:
                product.suppliers.add(Supplier.objects.get_or_create(name=supplier)[0])
                Review.objects.create(product=product, author="Grace", stars=4, text="As described.")

    def fill_people(self):
        users = get_user_model().objects
        if not users.filter(username="admin").exists():
            users.create_superuser("admin", "admin@shop.invalid", "admin")
        if not users.filter(username="ada").exists():
            ada = users.create_user("ada", "ada@shop.invalid", "ada", first_name="Ada")
            ada.customer.city = "London"
            ada.customer.save()
            order = Order.objects.create(user=ada, ship_to="12 St James's Square")
            for slug, quantity in [("notebook", 3), ("darjeeling", 1)]:
                product = Product.objects.get(slug=slug)
                order.lines.create(product=product, quantity=quantity, price=product.price)
