"""Settings of the heavy project: the shop, with Django REST framework and reports made by pandas."""
from .settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework", "reports"]

ROOT_URLCONF = "shop.heavy_urls"
