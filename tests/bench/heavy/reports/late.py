"""A view module that is imported when everything heavy is there already."""
import pandas
from django.http import HttpResponse

from .views import Products

VERSION = "1"
COLUMNS = pandas.Index([field.name for field in Products.queryset.model._meta.fields])


def version(request):
    return HttpResponse(VERSION + "\n", content_type="text/plain")
