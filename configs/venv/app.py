"""A Bottle application in a virtual environment, see uwsgi.ini."""

import sys

import bottle

application = bottle.Bottle()


@application.route("/")
def index():
    bottle.response.content_type = "text/plain; charset=utf-8"
    return f"Edit me, save me, and load this page again.\nsys.prefix is {sys.prefix}\n"
