from django.urls import path

from . import views

app_name = "catalog"
urlpatterns = [
    path("", views.ProductList.as_view(), name="list"),
    path("<slug:slug>/", views.detail, name="detail"),
]
