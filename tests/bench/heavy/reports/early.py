"""A view module that is imported before anything heavy."""
from django.http import HttpResponse

VERSION = "1"


def version(request):
    return HttpResponse(VERSION + "\n", content_type="text/plain")
