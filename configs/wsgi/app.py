"""A whole application in one file, see uwsgi.ini."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return ["Edit me, save me, and load this page again.\n".encode()]
