"""Applications that others wrote, as Debian packages them: a file of theirs is edited, and the new code is served.

Each runs as its package says that it runs on uWSGI (the module, the environment), but from a copy of its code in
a folder of the test, because nobody edits what is installed. All else it imports from the system.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple, Sequence

import pytest

import editors
from harness import Instance


class Application(NamedTuple):
    """A package of Python code, and where a text of its code can be seen."""

    package: str  # Debian's name, for who wants to install it.
    code: str  # The Python package.
    module: str  # What uWSGI loads.
    file: str  # The file to edit, in the copy.
    text: str  # Stands once in that file, and on the page.
    page: str
    options: Sequence[str] = ()
    files: dict[str, str] = {}


APPLICATIONS = {
    # A calendar server; Debian has /etc/uwsgi/apps-available/radicale.ini.
    "radicale": Application(
        package="python3-radicale",
        code="radicale",
        module="radicale:application",
        file="httputils.py",
        text="The requested resource could not be found.",
        page="/nothing",
        options=["single-interpreter = true", "env = RADICALE_CONFIG=radicale.conf"],
        files={
            "radicale.conf": "[auth]\ntype = none\n\n[storage]\nfilesystem_folder = collections\n",
        },
    ),
    # A browser for git repositories; Debian has an example uwsgi.ini.
    "klaus": Application(
        package="python3-klaus",
        code="klaus",
        module="klaus.contrib.wsgi",
        file="contrib/app_args.py",
        text="unnamed site",
        page="/",
    ),
    # A server for pastes; Debian has an example uwsgi configuration.
    "bepasty": Application(
        package="bepasty",
        code="bepasty",
        module="bepasty.wsgi",
        file="app.py",
        text="The requested URL was not found on the server.",
        page="/nothing",
        options=["env = BEPASTY_CONFIG=%d/app/bepasty.conf"],
        files={"bepasty.conf": "STORAGE_FILESYSTEM_DIRECTORY = '.'\nSECRET_KEY = 'x' * 40\n"},
    ),
    # A server that answers what it was asked, for the tests of HTTP clients.
    "httpbin": Application(
        package="python3-httpbin",
        code="httpbin",
        module="httpbin:app",
        file="helpers.py",
        text="YOU SHOULDN'T BE HERE",
        page="/deny",
    ),
}


def installed(application: Application) -> Path:
    """Returns where Debian has the code, or skips where it is not installed."""
    code = Path("/usr/lib/python3/dist-packages", application.code)
    if not code.is_dir():
        pytest.skip(f"{application.code} is not installed ({application.package})")
    module = f"{application.code}.{application.file[: -len('.py')].replace('/', '.')}"
    done = subprocess.run(["/usr/bin/python3", "-c", f"import {module}"], capture_output=True, text=True)
    if done.returncode:  # klaus of Debian 13 wants distutils, which Python 3.13 has no more.
        pytest.skip(f"{application.package} does not work as Debian has it: {done.stderr.strip().splitlines()[-1]}")
    return code


def text_of(app: Instance, page: str) -> str:
    """Returns the text of a page, whatever its status is."""
    response = app.try_get(page)
    return response.text if response else ""


@pytest.mark.parametrize("how", ("inplace", "atomic"))
@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_saved_file_of_an_application_of_debian_is_served(name: str, how: str) -> None:
    application = APPLICATIONS[name]
    code = installed(application)
    instance = Instance(
        application.files,
        application=("plugin = python3", f"module = {application.module}"),
        ini=[*application.options, "need-app = true"],
    )
    shutil.copytree(code, instance.path(application.code), ignore=shutil.ignore_patterns("__pycache__"))
    edited = instance.path(application.code) / application.file
    source = edited.read_text()
    assert application.text in source, "the package has changed: choose another text"
    with instance as app:
        assert application.text in text_of(app, application.page), "the page does not have the text"
        for new in ("Edited and seen", "Edited once more"):
            editors.save(edited, source.replace(application.text, new), how)
            app.wait(lambda: new in text_of(app, application.page), 20, f"{new!r} is served")
        app.wait(lambda: app.reload_count() >= 2, 20, "the plugin reports both reloads")
