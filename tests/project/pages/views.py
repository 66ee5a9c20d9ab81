"""The front page and the pages without a model.

This is the file to play with: change GREETING, save, and load the front page again.
"""
import os
import sys

import django
from django.http import HttpResponse
from django.shortcuts import render

from catalog.models import Product

GREETING = "Edit me, save me, reload the page."

# Answered as it is by /pages/version/, which tells which code is running.
VERSION = "1"


def home(request):
    return render(
        request,
        "pages/home.html",
        {
            "greeting": GREETING,
            "this_file": os.path.abspath(__file__),
            "products": Product.objects.on_sale().featured()[:4],
        },
    )


def about(request):
    return render(
        request,
        "pages/about.html",
        {
            "django_version": django.get_version(),
            "python_version": sys.version.split()[0],
            "worker_pid": os.getpid(),
        },
    )


def version(request):
    return HttpResponse(VERSION + "\n", content_type="text/plain")
