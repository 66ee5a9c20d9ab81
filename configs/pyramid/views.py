"""The view, found by the scan in app.py."""

from pyramid.response import Response
from pyramid.view import view_config


@view_config(route_name="index")
def index(request):
    return Response("Edit me, save me, and load this page again.\n", content_type="text/plain")
