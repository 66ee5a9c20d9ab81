from django.urls import path

from . import views

app_name = "orders"
urlpatterns = [
    path("basket/", views.basket, name="basket"),
    path("basket/add/<int:pk>/", views.add, name="add"),
    path("checkout/", views.checkout, name="checkout"),
    path("<int:pk>/", views.detail, name="detail"),
]
