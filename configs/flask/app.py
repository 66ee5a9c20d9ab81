"""A Flask application, see uwsgi.ini."""

import flask

app = flask.Flask(__name__)


@app.route("/")
def index():
    return flask.render_template("index.html", greeting="Edit me, save me, and load this page again.")
