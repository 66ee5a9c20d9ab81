"""A Pyramid application, see uwsgi.ini; the view is in views.py."""

from pyramid.config import Configurator

with Configurator() as config:
    config.add_route("index", "/")
    config.scan("views")
    application = config.make_wsgi_app()
