"""The example project under uWSGI with the plugin, with a page to look at in a browser.

The page is the project's front page without its database, long enough to be scrolled, with what a reload could lose:
a form, a box that scrolls, images. Knows no browser.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Mapping

import harness

PROJECT = harness.CHECKOUT / "tests" / "project"
VIEWS = "pages/views.py"
HOME = "pages/templates/pages/home.html"
STYLE = "pages/static/pages/style.css"
LOGO = "pages/static/pages/logo.svg"
GREETING = "Edit me, save me, reload the page."
NONCE = "bm9uY2U"

# What is added to the project, and what is put in place of its own.
FILES = {
    HOME: """\
{% extends "pages/base.html" %}{% load static %}
{% block content %}
<h1 id="greeting">{{ greeting }}</h1>
<p id="template">first</p>
<form><input id="typed" name="typed"></form>
<img id="logo" src="{% static 'pages/logo.svg' %}" alt="">
<div id="box" style="height: 60px; overflow: auto"><div style="height: 900px">box</div></div>
<div style="height: 4000px">long</div>
{% endblock %}
""",
    LOGO: '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"/>\n',
    # Answers /?csp under a policy that allows as little as a page can do with.
    "shop/policy.py": f"""\
def policy(get_response):
    def answer(request):
        response = get_response(request)
        response["X-Frame-Options"] = "SAMEORIGIN"
        if "csp" in request.GET:
            response["Content-Security-Policy"] = (
                "default-src 'none'; script-src 'nonce-{NONCE}'; style-src 'self'; img-src 'self' data:; "
                "connect-src 'self'; require-trusted-types-for 'script'"
            )
        return response

    return answer
""",
    "pages/pieces.py": '''\
"""Pages that are written by hand."""
from django.http import HttpResponse


def piece(request, name):
    with open("pieces/" + name + ".html") as stream:
        return HttpResponse(stream.read())
''',
}
EDITS = (
    (VIEWS, "Product.objects.on_sale().featured()[:4]", "()"),
    ("pages/urls.py", "import views\n", "import pieces, views\n"),
    ("pages/urls.py", "urlpatterns = [", 'urlpatterns = [\n    path("piece/<name>/", pieces.piece),'),
    ("shop/settings.py", "MIDDLEWARE = [", 'MIDDLEWARE = [\n    "shop.policy.policy",'),
)


class Shop(harness.Instance):
    """The project, served at a port of the loopback."""

    def __init__(self, *fastreload: str, verbose: bool = True) -> None:
        super().__init__(
            {},
            application=("plugin = python3", "module = shop.wsgi:application"),
            fastreload=["browser = true", *fastreload],
            verbose=verbose,
        )
        self.port = harness.free_port()
        self.socket_path = ("127.0.0.1", self.port)
        self.options[0] = f"http-socket = 127.0.0.1:{self.port}"
        ignored = shutil.ignore_patterns("__pycache__", "*.sqlite3")
        shutil.copytree(PROJECT, self.app, ignore=ignored, dirs_exist_ok=True)
        adapt(self.app)

    def url(self, path: str = "/") -> str:
        """Returns the address of a page."""
        return f"http://127.0.0.1:{self.port}{path}"

    def edit(self, relpath: str, old: str, new: str, how: str = "inplace") -> None:
        """Saves a file in which one text is replaced by another."""
        self.save(relpath, changed(self.path(relpath).read_text(), old, new), how)

    def texts(self) -> Mapping[str, str]:
        """Returns the files that tests edit, as they are."""
        return {name: self.path(name).read_text() for name in (VIEWS, HOME, STYLE, LOGO)}

    def serves(self, text: str) -> bool:
        """Tells whether the front page has that text."""
        with contextlib.suppress(OSError):
            return text in self.get("/").text
        return False


def changed(text: str, old: str, new: str) -> str:
    """Returns the text with something replaced that is in it once."""
    if text.count(old) != 1:
        raise ValueError(f"{old!r} is there {text.count(old)} times")
    return text.replace(old, new)


def adapt(app: Path) -> None:
    """Makes a copy of the project what is served here."""
    for relpath, text in FILES.items():
        (app / relpath).write_text(text)
    for relpath, old, new in EDITS:
        path = app / relpath
        path.write_text(changed(path.read_text(), old, new))
    (app / "pieces").mkdir()
    # So old that a browser keeps them for a month where nobody tells it how long (RFC 9111, 4.2.2).
    for relpath in (STYLE, LOGO):
        os.utime(app / relpath, (1e9, 1e9))
