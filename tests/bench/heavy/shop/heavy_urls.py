"""The shop's addresses and the reports'. The order of the imports is what the benchmark is about: see reports/."""
from django.urls import include, path

from reports import early, views, late

from .urls import urlpatterns as shop

urlpatterns = [
    path("reports/early/", early.version),
    path("reports/views/", views.version),
    path("reports/late/", late.version),
    path("reports/sales/", views.Sales.as_view()),
    path("reports/", include(views.router.urls)),
    *shop,
]
