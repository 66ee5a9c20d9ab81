"""A Bottle application, see uwsgi.ini."""

import bottle

application = bottle.Bottle()


@application.route("/")
def index():
    bottle.response.content_type = "text/plain; charset=utf-8"
    return "Edit me, save me, and load this page again.\n"
