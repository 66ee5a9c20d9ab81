from django.urls import path

from . import views

app_name = "pages"
urlpatterns = [
    path("", views.home, name="home"),
    path("pages/about/", views.about, name="about"),
    path("pages/version/", views.version, name="version"),
]
