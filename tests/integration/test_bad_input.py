"""Bad input stops uWSGI at the start, with one clear line: the option, the value, and what would be right."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Sequence

import pytest

import harness
from harness import Instance, PLUGIN


def refused(app: Instance) -> str:
    """Runs an instance that must refuse to start, and returns its one line about it."""
    with app_without_start(app) as instance:
        ended = instance.run()
    assert ended.status != 0, f"uWSGI ended with status 0\n{ended.output}"
    assert ended.status > 0, f"uWSGI was ended by signal {-ended.status}\n{ended.output}"
    # How folders are watched is said before other options are looked at.
    lines = [line for line in ended.plugin_lines() if " is watched by " not in line]
    assert len(lines) == 1, ended.output
    assert "spawned uWSGI worker" not in ended.output
    return lines[0]


class app_without_start:
    """Gives the instance its clean-up without starting it."""

    def __init__(self, app: Instance) -> None:
        self.app = app

    def __enter__(self) -> Instance:
        return self.app

    def __exit__(self, *what: object) -> None:
        self.app.__exit__(*what)


def options(*fastreload: str, watch: Sequence[str] = (".",), ini: Sequence[str] = ()) -> Instance:
    """Returns an instance that is not verbose, so that nothing but the refusal is said."""
    return Instance(fastreload=fastreload, watch=watch, ini=ini, verbose=False, ready=False)


# What is given, what the line has to name, and what it has to say would be right.
REFUSALS = {
    "a folder that does not exist": (
        dict(watch=["nowhere"]),
        ("fastreload-dir", "nowhere"),
        r"exist|No such",
    ),
    "a folder that is a file": (
        dict(watch=["wsgi.py"]),
        ("fastreload-dir", "wsgi.py"),
        r"(no|not a|is a file).*(folder|directory)|folder",
    ),
    "a listener for everybody without a token": (
        dict(fastreload=["listen = 0.0.0.0:9001"]),
        ("fastreload-listen", "0.0.0.0:9001"),
        r"fastreload-token FILE|127\.0\.0\.1",
    ),
    "a listener without a port": (
        dict(fastreload=["listen = 127.0.0.1"]),
        ("fastreload-listen", "127.0.0.1"),
        r"HOST:PORT",
    ),
    "a token that can be guessed": (
        dict(fastreload=["listen = ./push.sock", "token = secret"]),
        ("fastreload-token",),
        r"16 characters",
    ),
    "a token file that is not there": (
        dict(fastreload=["listen = ./push.sock", "token = /nowhere/token"]),
        ("fastreload-token", "/nowhere/token"),
        r"name a file",
    ),
    "a map that is none": (
        dict(fastreload=["listen = ./push.sock", "map = /Users/me/code"]),
        ("fastreload-map", "/Users/me/code"),
        r"as in /Users/me/code=/vagrant",
    ),
    "a map without a listener": (
        dict(fastreload=["map = /Users/me/code=/vagrant"]),
        ("fastreload-listen",),
        r"as in 127\.0\.0\.1:9001",
    ),
    "an empty folder name": (dict(watch=[""]), ("fastreload-dir",), r"folder|directory|path"),
    "an unknown action": (
        dict(fastreload=["action = restart"]),
        ("fastreload-action", "restart"),
        r"auto.*reload.*workers.*chain.*touch",
    ),
    "an action that is almost right": (
        dict(fastreload=["action = Reload"]),
        ("fastreload-action", "Reload"),
        r"auto.*reload.*workers.*chain.*touch",
    ),
    "a touch without a file": (
        dict(fastreload=["action = touch:"]),
        ("fastreload-action", "touch:"),
        r"touch:[A-Z</a-z]+",
    ),
    "an unknown strategy": (
        dict(fastreload=["strategy = fast"]),
        ("fastreload-strategy", "fast"),
        r"auto.*full.*workers.*swap.*warm.*checkpoint",
    ),
    "a strategy against the action": (
        dict(fastreload=["strategy = checkpoint", "action = reload"]),
        ("fastreload-strategy", "checkpoint", "fastreload-action"),
        r"contradicts.*swap",
    ),
    "a strategy without its snapshots": (
        dict(fastreload=["strategy = checkpoint", "snapshots = 0"]),
        ("fastreload-strategy", "checkpoint"),
        r"fastreload-snapshots",
    ),
    "a strategy that is not possible here": (
        dict(fastreload=["strategy = warm"], ini=["cheaper = 1"]),
        ("fastreload-strategy", "warm"),
        r"cheaper.*auto",
    ),
    "a strategy without lazy-apps": (
        dict(fastreload=["strategy = workers"]),
        ("fastreload-strategy", "workers"),
        r"lazy-apps",
    ),
    "an amount of memory with a unit": (
        dict(fastreload=["memory = 64M"]),
        ("fastreload-memory", "64M"),
        r"MiB",
    ),
    "workers without lazy-apps": (
        dict(fastreload=["action = workers"]),
        ("fastreload-action", "workers"),
        r"lazy-apps",
    ),
    "chain without lazy-apps": (
        dict(fastreload=["action = chain"]),
        ("fastreload-action", "chain"),
        r"lazy-apps",
    ),
    "a pattern with an open bracket": (
        dict(fastreload=["include = *.[ch"]),
        ("fastreload-include", "*.[ch"),
        r"bracket|\]",
    ),
    "a pattern that ends with a backslash": (
        dict(fastreload=["exclude = build\\"]),
        ("fastreload-exclude", "build\\"),
        r"backslash|\\",
    ),
    "a settle time that is no number": (
        dict(fastreload=["settle = soon"]),
        ("fastreload-settle", "soon"),
        r"milliseconds|\bms\b",
    ),
    "a settle time with a unit": (
        dict(fastreload=["settle = 50ms"]),
        ("fastreload-settle", "50ms"),
        r"milliseconds|\bms\b",
    ),
    "a negative settle time": (
        dict(fastreload=["settle = -1"]),
        ("fastreload-settle", "-1"),
        r"milliseconds|\bms\b",
    ),
    "a settle time beyond all bounds": (
        dict(fastreload=["settle = 99999999999999999999"]),
        ("fastreload-settle", "99999999999999999999"),
        r"milliseconds|\bms\b",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_this_is_refused_in_one_line_that_says_what_would_be_right(what: str) -> None:
    given, named, right = REFUSALS[what]
    line = refused(options(*given.get("fastreload", ()), watch=given.get("watch", (".",)), ini=given.get("ini", ())))
    for name in named:
        assert name in line, line
    assert re.search(right, line), line


def test_no_master_process_is_refused() -> None:
    app = options()
    app.options.remove("master = true")
    line = refused(app)
    assert re.search(r"\bmaster\b", line), line


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody who may not read")
def test_a_folder_that_cannot_be_read_is_refused() -> None:
    app, wrapper = as_nobody()
    app.path("secret").mkdir(mode=0o700)
    app.options.append("fastreload-dir = secret")
    app.wrapper = wrapper
    line = refused(app)
    assert "fastreload-dir" in line and "secret" in line, line
    assert re.search(r"read|[Pp]ermission", line), line


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody who may not read")
def test_a_folder_below_that_cannot_be_read_is_said_once_and_is_not_fatal() -> None:
    app, app.wrapper = as_nobody()
    app.path("secret").mkdir(mode=0o700)
    app.path("secret/module.py").write_text("A = 1\n")
    with app:
        app.wait_ready()
        app.put("parts/value.py", "second")
        app.wait_served()
        warnings = app.log.matching(r"\[fastreload\].*secret")
        assert 1 <= len(warnings) <= app.generations(), warnings


def as_nobody() -> tuple[Instance, list[str]]:
    """Returns an instance whose files somebody without rights may use, and the wrapper that makes him so."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv is not installed")
    app = options()
    folder = app.base / "plugin"
    folder.mkdir()
    shutil.copy(PLUGIN, folder)
    app.options = [line for line in app.options if not line.startswith("plugins-dir")]
    app.options.insert(0, f"plugins-dir = {folder}")
    app.base.chmod(0o777)
    for path in [app.app, *app.app.rglob("*")]:
        os.chown(path, 65534, 65534)
    wrapper = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
    return app, wrapper


def test_a_plugin_built_for_another_uwsgi_is_refused() -> None:
    harness.require_plugin()
    version = subprocess.run(
        [harness.UWSGI, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    image = PLUGIN.read_bytes()
    if version.encode() + b"\0" not in image:
        pytest.skip(
            f"the plugin does not hold the text {version!r}: another version cannot be simulated"
        )
    other = re.sub(r"\d", "9", version)
    app = options()
    folder = app.base / "plugin"
    folder.mkdir()
    (folder / PLUGIN.name).write_bytes(
        image.replace(version.encode() + b"\0", other.encode() + b"\0")
    )
    app.options = [line for line in app.options if not line.startswith("plugins-dir")]
    app.options.insert(0, f"plugins-dir = {folder}")
    line = refused(app)
    assert version in line and other in line, line


# Limits of the kernel, set for this one process tree.


def in_namespace(limit: str, value: int) -> list[str]:
    """Returns a wrapper that runs a command in a user namespace with a limit of its own, or skips."""
    script = f'echo {value} > /proc/sys/user/{limit} && exec "$@"'
    wrapper = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    probe = subprocess.run([*wrapper, "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"no user namespace with its own limits here: {probe.stderr.strip()}")
    return wrapper


def run_at_limit(limit: str, value: int) -> tuple[Instance, str]:
    """Starts an instance with forty folders at a limit, and returns it and its line about the limit."""
    app = options()
    for number in range(40):
        app.path(f"library/{number:02d}").mkdir(parents=True)
    app.path("parts/deep").mkdir()
    app.put("parts/deep/value.py", "first")
    app.wrapper = in_namespace(limit, value)
    return app


def assert_not_half_watched(app: Instance, sysctl: str, needed: int) -> None:
    """Either uWSGI stops with the line, or it says the line and sees every save all the same."""
    with app:
        app.wait(lambda: app.log.matching(sysctl) or app.process.poll() is not None, 15, sysctl)
        lines = app.log.matching(rf"\[fastreload\].*{sysctl}")
        assert len(lines) == 1, app.log.tail()
        numbers = [int(number) for number in re.findall(r"\b\d+\b", lines[0])]
        assert any(number >= needed for number in numbers), lines[0]
        if app.process.poll() is not None:
            assert app.process.returncode != 0
            return
        app.wait(
            lambda: app.served() is not None or app.process.poll() is not None,
            15,
            "it answers or ends",
        )
        if app.process.poll() is not None:
            assert app.process.returncode != 0
            return
        for relpath in ("parts/deep/value.py", "parts/value.py"):
            app.put(relpath, "second")
            app.wait_served()
        for number in (0, 39):
            before = app.generations()
            app.save(f"library/{number:02d}/module.py", "A = 1\n")
            app.wait_generation(before + 1)


def test_the_limit_of_watches_is_named_and_no_tree_is_half_watched() -> None:
    app = run_at_limit("max_inotify_watches", 5)
    assert_not_half_watched(app, "max_user_watches|max_inotify_watches", 42)


def test_the_limit_of_instances_is_named_and_no_tree_is_unwatched_in_silence() -> None:
    app = run_at_limit("max_inotify_instances", 0)
    assert_not_half_watched(app, "max_user_instances|max_inotify_instances", 1)


def limit_reached_later() -> Instance:
    """Returns an instance whose limit leaves room for the folders of the start and a few more."""
    app = options()
    app.wrapper = in_namespace("max_inotify_watches", 12)
    return app


def make_more_folders_than_can_be_watched(app: Instance) -> None:
    """Reaches the limit, and waits until that is said."""
    for number in range(30):
        app.path(f"parts/later/{number:02d}").mkdir(parents=True)
    app.wait(lambda: app.log.matching(LIMIT_OF_WATCHES), 15, "the limit is named")


LIMIT_OF_WATCHES = re.compile(r"\[fastreload\].*(max_user_watches|max_inotify_watches)")


def test_the_limit_of_watches_reached_later_is_named_once_and_is_not_fatal() -> None:
    with limit_reached_later() as app:
        app.wait_ready()
        make_more_folders_than_can_be_watched(app)
        app.put("parts/value.py", "second")
        app.wait_served()
        assert app.process.poll() is None
        assert len(app.log.matching(LIMIT_OF_WATCHES)) <= app.generations()


def test_a_save_in_a_folder_beyond_the_limit_is_served_all_the_same() -> None:
    with limit_reached_later() as app:
        app.wait_ready()
        make_more_folders_than_can_be_watched(app)
        app.put("parts/later/29/value.py", "in the last folder")
        app.wait_served()


# What is no bad input.


@pytest.mark.parametrize(
    "given",
    (
        dict(fastreload=["settle = 0"]),
        dict(fastreload=["settle = 1000"]),
        dict(fastreload=["include = *.weird", "exclude = !/parts/**"]),
        dict(watch=[".", "parts"]),
        dict(watch=["parts", "parts/"]),
        dict(watch=["./parts/../parts", "."]),
    ),
    ids=str,
)
def test_this_is_accepted(given: dict) -> None:
    with Instance(**given) as app:
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "second")


def test_without_a_folder_the_plugin_does_nothing() -> None:
    with Instance(watch=(), verbose=False, ready=False) as app:
        app.wait(lambda: app.served() is not None, 20, "the application answers")
        app.put("parts/value.py", "second")
        app.wait_quiet()
        assert app.generations() == 1


def test_the_folder_of_a_relative_option_is_where_uwsgi_starts() -> None:
    app = options(watch=["parts"], ini=["chdir2 = /"])
    app.options += [f"pythonpath = {app.app}"]
    with app:
        app.wait_ready()
        app.put("parts/value.py", "second")
        app.wait_served()
        assert Path(app.app, "parts").is_dir()
