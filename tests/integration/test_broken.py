"""The worst edit is survived: the next good save brings the application back, with no human hand."""

from __future__ import annotations

import itertools
import re
from typing import Sequence

import pytest

import apps
from harness import Instance

LAZY = "lazy-apps = true"
NEED = "need-app = true"
# What the application is started with, and what a change does.
MODES: dict[str, tuple[Sequence[str], str]] = {
    "preforked, auto": ((), "auto"),
    "preforked, reload": ((), "reload"),
    "lazy-apps, auto": ((LAZY,), "auto"),
    "lazy-apps, reload": ((LAZY,), "reload"),
    "lazy-apps, workers": ((LAZY,), "workers"),
    "need-app, auto": ((NEED,), "auto"),
    "need-app, reload": ((NEED,), "reload"),
    "lazy-apps and need-app, auto": ((LAZY, NEED), "auto"),
    "lazy-apps and need-app, reload": ((LAZY, NEED), "reload"),
    "lazy-apps and need-app, workers": ((LAZY, NEED), "workers"),
}
SYNTAX_ERROR = "def broken(:\n"
BREAKS = {
    "a syntax error in settings": ("settings.py", SYNTAX_ERROR, "SyntaxError"),
    "a syntax error in a view": ("views.py", SYNTAX_ERROR, "SyntaxError"),
    "a syntax error in the WSGI file": ("wsgi.py", SYNTAX_ERROR, "SyntaxError"),
    "an import error": ("views.py", "from settings import nothing_there\n", "ImportError"),
    "an exception while importing": (
        "settings.py",
        "raise RuntimeError('worst')\n",
        "RuntimeError",
    ),
    "a deleted module": ("settings.py", None, "ModuleNotFoundError"),
}
CASES = list(itertools.product(BREAKS, MODES))


def in_mode(mode: str, files: dict[str, str] = apps.LAYERED, **options: object) -> Instance:
    """Returns an instance of one of MODES."""
    ini, action = MODES[mode]
    return Instance(files, ini=ini, fastreload=[f"action = {action}"], **options)


def break_it(app: Instance, relpath: str, text: str | None) -> None:
    """Makes the edit that breaks the application."""
    if text is None:
        app.path(relpath).unlink()
    else:
        app.save(relpath, text)


def is_broken(app: Instance, error: str, since: int) -> bool:
    """Tells whether the application has failed to load since that line of the log."""
    return bool(app.log.matching(rf"\b({error})\b|no app loaded|no python application", since))


def assert_alive(app: Instance, master: int) -> None:
    """Fails where the master is gone or another one."""
    assert app.process.poll() is None, f"the master is gone\n{app.log.tail()}"
    assert app.master_pid == master


@pytest.mark.parametrize("what, mode", CASES, ids=[f"{what}, {mode}" for what, mode in CASES])
def test_the_next_good_save_brings_the_application_back(what: str, mode: str) -> None:
    relpath, text, error = BREAKS[what]
    with in_mode(mode) as app:
        master = app.master_pid
        good = app.path(relpath).read_text()
        app.wait_quiet()
        since = len(app.log.lines)
        break_it(app, relpath, text)
        app.wait(lambda: is_broken(app, error, since), 15, "the broken application was loaded")
        assert_alive(app, master)
        app.save(relpath, good + "# mended\n")
        app.put("parts/value.py", "mended")
        app.wait_served(20)
        assert_alive(app, master)


@pytest.mark.parametrize("mode", MODES)
def test_a_good_save_right_after_a_broken_one_is_served(mode: str) -> None:
    with in_mode(mode) as app:
        good = app.path("settings.py").read_text()
        for number in range(4):
            app.save("settings.py", SYNTAX_ERROR)
            app.save("settings.py", good + f"NUMBER = {number}\n", "atomic")
            app.put("parts/value.py", f"value {number}")
            app.wait_served(20)


@pytest.mark.parametrize("mode", MODES)
def test_several_broken_saves_in_a_row_are_survived(mode: str) -> None:
    with in_mode(mode) as app:
        good = app.path("views.py").read_text()
        app.wait_quiet()
        for number in range(3):
            since = len(app.log.refresh().lines)
            app.save("views.py", f"raise ValueError('broken {number}')\n")
            app.wait(lambda: app.log.matching(f"ValueError: broken {number}", since), 15, "seen")
        app.save("views.py", good + "# mended\n")
        app.put("parts/value.py", "mended")
        app.wait_served(20)


@pytest.mark.parametrize("mode", MODES)
def test_a_broken_save_right_after_the_first_answer_is_survived(mode: str) -> None:
    for _ in range(2):
        with in_mode(mode, ready=False) as app:
            app.wait(lambda: app.served() is not None, 20, "the first answer")
            since = len(app.log.refresh().lines)
            app.save("views.py", "raise ValueError('broken')\n")
            app.wait(lambda: app.log.matching("ValueError: broken", since), 15, "it is broken")
            app.save("views.py", "import settings\n# mended\n")
            app.put("parts/value.py", "mended")
            app.wait_served(20)


@pytest.mark.parametrize("mode", [mode for mode in MODES if "need-app" not in mode])
def test_an_application_that_is_broken_from_the_start_is_mended_by_a_save(mode: str) -> None:
    files = {**apps.LAYERED, "settings.py": SYNTAX_ERROR}
    with in_mode(mode, files, ready=False) as app:
        app.wait(
            lambda: app.log.matching("no app loaded|no python application"), 20, "it is broken"
        )
        app.save("settings.py", "DEBUG = True\n")
        app.wait_served(20)


def test_a_broken_application_is_answered_with_an_error_and_not_with_silence() -> None:
    with in_mode("preforked, reload") as app:
        app.save("settings.py", SYNTAX_ERROR)

        def answers_an_error() -> bool:
            response = app.try_get()
            return response is not None and response.status >= 500

        app.wait(answers_an_error, 15, "an answer of 5xx")


def test_a_file_that_is_mended_while_the_broken_one_is_loading_is_served() -> None:
    slow = 'print("importing", flush=True)\nimport time\ntime.sleep(1)\n'
    with Instance({**apps.LAYERED, "wsgi.py": slow + apps.LAYERED["wsgi.py"]}) as app:
        app.wait_quiet()
        importing = re.compile("^importing$")
        before = app.log.count(importing)
        app.save("views.py", SYNTAX_ERROR)
        app.wait(lambda: app.log.count(importing) > before, 15, "it is loading")
        app.save("views.py", "import settings\n# mended\n")
        app.put("parts/value.py", "mended")
        app.wait_served(20)
