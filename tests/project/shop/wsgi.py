"""The WSGI application that uWSGI loads."""
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

application = get_wsgi_application()

# Import the URL configuration, and with it every view, now. Left alone, Django does that at a worker's first request:
# a mistake in a view would only show there, and a worker that has not answered yet would import a module edited in the
# meantime and answer with new code although nothing was reloaded, so that no test of reloading could be trusted.
get_resolver().url_patterns
