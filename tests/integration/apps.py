"""The small applications that the tests generate, and what each has to answer."""

from __future__ import annotations

import os
import re
from pathlib import Path

_VALUE = re.compile(r'^VALUE = "(.*)"$', re.M)


def part(value: object) -> str:
    """Returns the text of a module that holds nothing but VALUE."""
    return f'VALUE = "{value}"\n'


def parts_on_disk(app: Path) -> dict[str, str]:
    """Returns the path and last VALUE of every Python file below parts/, as the applications answer them."""
    found = {}
    for folder, _, names in os.walk(app / "parts"):
        for name in names:
            if not name.endswith(".py"):
                continue
            path = Path(folder, name)
            try:
                values = _VALUE.findall(path.read_text())
            except FileNotFoundError:
                continue
            relpath = os.path.relpath(path, app).encode("utf-8", "surrogateescape")
            found[relpath.decode("latin-1")] = values[-1] if values else ""
    return found


# Answers every part and its VALUE; also lets a test make the application itself wait or write.
WSGI_PY = '''\
import importlib
import json
import os
import time
from urllib.parse import parse_qs

HERE = os.path.dirname(os.path.abspath(__file__))


def load(relpath):
    """Imports a part by its name, or runs it where its name cannot be imported."""
    dotted = relpath[:-3].split(os.sep)
    if all(name.isidentifier() and name.isascii() for name in dotted):
        return importlib.import_module(".".join(dotted)).VALUE
    space = {}
    with open(os.path.join(HERE, relpath), "rb") as stream:
        exec(stream.read(), space)
    return space["VALUE"]


def collect():
    found = {}
    for folder, _, names in os.walk(os.path.join(HERE, "parts")):
        for name in names:
            if name.endswith(".py"):
                relpath = os.path.relpath(os.path.join(folder, name), HERE)
                found[os.fsencode(relpath).decode("latin-1")] = load(relpath)
    return found


ANSWER = json.dumps(collect())


def application(environ, start_response):
    query = {key: value[0] for key, value in parse_qs(environ.get("QUERY_STRING", "")).items()}
    body = ANSWER
    if environ["PATH_INFO"] == "/pid":
        body = str(os.getpid())
    elif environ["PATH_INFO"] == "/who":
        time.sleep(0.02)
        body = json.dumps([os.getpid(), json.loads(ANSWER)])
    elif environ["PATH_INFO"] == "/sleep":
        time.sleep(float(query["seconds"]))
    elif environ["PATH_INFO"] == "/write":
        path = os.path.join(HERE, query["path"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "a") as stream:
            stream.write("written by the application\\n")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body.encode()]
'''

WSGI = {
    "wsgi.py": WSGI_PY,
    "parts/value.py": part("first"),
    "parts/marker.py": part(""),
}

# The same, but importing takes a second, and the parts are read before that second.
SLOW_TO_IMPORT = {
    **WSGI,
    "wsgi.py": WSGI_PY + '\nprint("importing", flush=True)\ntime.sleep(1)\n',
}

# A chain of modules as in a real project: WSGI file, settings, view.
LAYERED = {
    "wsgi.py": "import settings\nimport views\nfrom base import application\n",
    "settings.py": "DEBUG = True\n",
    "views.py": "import settings\n",
    "base.py": WSGI_PY,
    "parts/value.py": part("first"),
    "parts/marker.py": part(""),
}

# The same answer from Perl: VALUE is taken from a Perl module.
PSGI = {
    "app.psgi": """\
use strict;
use warnings;
use lib 'lib';
use Value;
my $answer = '{"value": "' . $Value::VALUE . '"}';
my $app = sub {
    return [200, ['Content-Type' => 'application/json'], [$answer]];
};
$app;
""",
    "lib/Value.pm": 'package Value;\nour $VALUE = "first";\n1;\n',
}
