"""The plugin knows no language: an application in Perl is reloaded just so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import apps
import editors
from harness import Instance

PLUGIN_FOLDERS = (
    "/usr/lib/uwsgi/plugins",
    "/usr/lib64/uwsgi",
    os.environ.get("FASTRELOAD_PLUGIN_DIR", ""),
)


@pytest.fixture
def perl() -> Instance:
    """Returns an instance with a PSGI application, or skips where the system has no plugin for it."""
    if shutil.which("perl") is None:
        pytest.skip("perl is not installed")
    if not any(Path(folder, "psgi_plugin.so").exists() for folder in PLUGIN_FOLDERS if folder):
        pytest.skip("uWSGI's psgi plugin is not installed (uwsgi-plugin-psgi)")
    return Instance(apps.PSGI, application=("plugin = psgi", "psgi = app.psgi"))


def wait_value(app: Instance, value: str) -> None:
    """Waits until the Perl application answers the value."""
    app.wait(lambda: app.served() == {"value": value}, 15, f"{value!r} is served")


@pytest.mark.parametrize("how", ("inplace", "atomic", "vim", "pycharm"))
def test_a_saved_perl_module_is_served(perl: Instance, how: str) -> None:
    with perl as app:
        for value in ("second", "third"):
            before = app.generations()
            text = app.path("lib/Value.pm").read_text()
            editors.save(app.path("lib/Value.pm"), text.replace(app.served()["value"], value), how)
            wait_value(app, value)
            app.wait_quiet()
            assert app.generations() == before + 1


def test_a_saved_psgi_file_is_served(perl: Instance) -> None:
    with perl as app:
        text = app.path("app.psgi").read_text()
        app.save("app.psgi", text.replace("$Value::VALUE", "'from the file itself'"))
        wait_value(app, "from the file itself")


def test_a_broken_perl_module_is_survived(perl: Instance) -> None:
    with perl as app:
        good = app.path("lib/Value.pm").read_text()
        since = len(app.log.refresh().lines)
        app.save("lib/Value.pm", "this is no Perl {{{\n")
        app.wait(
            lambda: app.log.matching("syntax error|compilation failed", since), 15, "it is broken"
        )
        app.save("lib/Value.pm", good.replace("first", "mended"))
        wait_value(app, "mended")
