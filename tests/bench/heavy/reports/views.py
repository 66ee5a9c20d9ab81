"""A view module that itself imports what is heavy: Django REST framework, numpy and pandas."""
import numpy
import pandas
from django.http import HttpResponse
from pandas.tseries.holiday import USFederalHolidayCalendar
from rest_framework import generics, routers, serializers, viewsets
from rest_framework.response import Response
from rest_framework.schemas.openapi import SchemaGenerator

from catalog.models import Product

from .models import MONTHS

VERSION = "1"


class ProductSerializer(serializers.ModelSerializer):
    class Meta:
        model = Product
        fields = "__all__"


class Products(viewsets.ModelViewSet):
    queryset = Product.objects.all()
    serializer_class = ProductSerializer
    holidays = USFederalHolidayCalendar()


class Sales(generics.GenericAPIView):
    def get(self, request):
        sold = numpy.arange(len(MONTHS))
        months = pandas.DataFrame({"month": sold, "sold": sold**2})
        return Response(months.rolling(3, on="month").mean().fillna(0).to_dict("records"))


router = routers.SimpleRouter()
router.register("products", Products)
schema = SchemaGenerator(title="Reports", patterns=router.urls)


def version(request):
    return HttpResponse(VERSION + "\n", content_type="text/plain")
