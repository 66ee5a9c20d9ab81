"""All addresses of the shop."""
from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

urlpatterns = [
    path("", include("pages.urls")),
    path("catalog/", include("catalog.urls")),
    path("orders/", include("orders.urls")),
    path("accounts/", include("accounts.urls")),
    path("admin/", admin.site.urls),
]

# While DEBUG is on Django serves the style sheets itself; otherwise this adds nothing.
urlpatterns += staticfiles_urlpatterns()
