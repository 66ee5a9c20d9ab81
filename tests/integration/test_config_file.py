"""The options in a file of JSON: what is in it is done, what is wrong in it is said, and a broken one ends nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

import harness
from harness import CHECKOUT, Instance
from test_bad_input import app_without_start

DEADLINE_S = 15
SCHEMA = CHECKOUT / "configs" / "fastreload.schema.json"
OLD_RULES = re.compile(r"\[fastreload\] .*fastreload\.json: .*the old rules stay")

GOOD = {"on": [{"pattern": "*.html", "action": "touch:../touched"}], "settle": 20}


def instance(config: object, *fastreload: str, verbose: bool = True, **more: object) -> Instance:
    """Returns an instance with a file of options, which is written as it is if it is a text."""
    options = ["config = fastreload.json", *fastreload]
    app = Instance(fastreload=options, verbose=verbose, **more)
    write(app, config)
    return app


def write(app: Instance, config: object) -> None:
    """Saves the file of options."""
    app.save("fastreload.json", config if isinstance(config, str) else json.dumps(config, indent=2))


def refused(config: object, *fastreload: str, **more: object) -> str:
    """Returns the one line of an instance that does not start."""
    with app_without_start(instance(config, *fastreload, verbose=False, **more)) as app:
        ended = app.run()
    assert ended.status > 0, ended.output
    assert "spawned uWSGI worker" not in ended.output
    lines = ended.plugin_lines()
    assert len(lines) == 1, ended.output
    return lines[0]


def test_what_is_in_the_file_is_done() -> None:
    config = {"dir": ".", "verbose": True, **GOOD}
    with instance(config, watch=(), verbose=False) as app:
        app.wait(lambda: app.log.count(harness.BASELINE), DEADLINE_S, "it is verbose")
        with app.expect_no_reload():
            app.save("a.html", "1\n")
            app.wait((app.base / "touched").exists, DEADLINE_S, "the file is touched")
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "second")


def test_a_changed_file_is_a_full_reload_with_the_new_rules() -> None:
    with instance(GOOD) as app:
        images = app.log.count(harness.IMAGE)
        app.save("a.md", "1\n")
        write(app, {**GOOD, "on": [{"pattern": "*.md", "action": "touch:../new"}]})
        app.wait(lambda: app.log.count(harness.IMAGE) > images, DEADLINE_S, "a full reload")
        app.wait_ready()
        app.wait_quiet()
        app.save("a.md", "22\n")
        app.wait((app.base / "new").exists, DEADLINE_S, "the new rule holds")


BROKEN = {
    "no JSON": ('{"settle": 20,\n', r"line \d, column \d+: .*expected"),
    "an unknown key": ('{\n "setle": 20}', r"line 2, column 2: .*expected one of"),
    "a wrong type": ('{"settle": "20"}', r"line 1, column 12: .*expected a whole number"),
    "workers without lazy-apps": ('{"action": "workers"}', r"line 1, column 12: .*lazy-apps"),
    "two that contradict each other": (
        '{"strategy": "swap", "action": "reload"}',
        r"strategy.*contradicts --fastreload-action",
    ),
    "no such backend": ('{"backend": "poling"}', r"line 1, column 13: .*inotify"),
    "no such backend of a folder": ('{"dir": ".,backend=poling"}', r"line 1, column 9: .*inotify"),
    "a contradiction": ('{"mercy": 7}', r"line 1, column 11: .*contradicts --fastreload-mercy"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_becomes_broken_changes_nothing_and_the_old_rules_stay(what: str) -> None:
    text, right = BROKEN[what]
    with instance(GOOD, "mercy = 6") as app:
        images = app.log.count(harness.IMAGE)
        write(app, text)
        app.wait(lambda: app.log.count(OLD_RULES), DEADLINE_S, "it is said")
        assert re.search(right, app.log.matching(OLD_RULES)[0])
        assert app.log.count(harness.IMAGE) == images
        app.save("a.html", "1\n")
        app.wait((app.base / "touched").exists, DEADLINE_S, "the old rules stay")
        # Somebody else reloads: the broken file does not end the instance either.
        (app.base / "touched").unlink()
        os.kill(app.master_pid, signal.SIGHUP)
        app.wait(lambda: app.log.count(harness.IMAGE) > images, DEADLINE_S, "a full reload")
        app.wait_ready()
        app.wait_quiet()
        assert app.log.count(OLD_RULES) == 2
        app.save("a.html", "22\n")
        app.wait((app.base / "touched").exists, DEADLINE_S, "and stay")
        write(app, GOOD)
        app.wait(lambda: app.log.count(harness.IMAGE) > images + 1, DEADLINE_S, "a good one")


def test_a_file_that_is_gone_changes_nothing() -> None:
    with instance(GOOD) as app:
        app.path("fastreload.json").unlink()
        app.wait(lambda: app.log.count(OLD_RULES), DEADLINE_S, "it is said")
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "second")


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_ends_the_start(what: str) -> None:
    text, right = BROKEN[what]
    line = refused(text, "mercy = 6")
    assert "fastreload.json" in line and re.search(right, line), line


@pytest.mark.parametrize(
    ("config", "right"),
    (
        ("[" * 10_000_000, r"1 MiB"),
        ("[" * 1_000_000, r"line 1, column \d+: .*depth"),
        ('{"a":' * 150_000, r"line 1, column \d+: .*depth"),
        ("", r"line 1"),
        ("\0", r"line 1"),
        ('{"dir": "nowhere"}', r'line 1, column 9, "dir".*does not exist'),
        ('{"on": [{"pattern": "*", "action": "mules"}]}', r"line 1, column 9: .*mules"),
    ),
    ids=("10 MB", "1 MB of lists", "1 MB of objects", "empty", "NUL", "no folder", "no mules"),
)
def test_this_file_is_refused_in_one_line(config: str, right: str) -> None:
    line = refused(config)
    assert "fastreload.json" in line and re.search(right, line), line
    assert len(line) < 2000


def test_no_file_is_refused() -> None:
    app = Instance(fastreload=["config = nowhere.json"], verbose=False, ready=False)
    with app_without_start(app):
        ended = app.run()
    assert ended.status > 0
    assert re.search(r"fastreload-config.*nowhere\.json.*No such file", ended.plugin_lines()[0])


# The schema says the same as the plugin.

VALID = (
    {},
    json.loads((CHECKOUT / "configs" / "fastreload.json").read_text()),
    {"dir": ["."], "include": "*.html", "exclude": ["a", "b"], "settle": 0, "verbose": False},
    {"on": [{"pattern": "a b", "action": "exec make all"}, {"pattern": "*", "action": "signal:255"}]},
    {"action": "touch:/tmp/x", "broken": "page", "snapshots": 16, "timeout": 3600, "mercy": 1},
    {"strategy": "warm", "memory": 65536, "preload": ["numpy", "os.path"]},
    {"dir": [".", "/tmp,backend=inotify"], "backend": "poll"},
    {"browser": "on", "browser-path": "/our/pages", "browser-host": ["a.test"], "on": [{"pattern": "*.html", "action": "browser"}]},
)
INVALID = (
    [],
    {"x": 1},
    {"settle": "1"},
    {"settle": 60001},
    {"settle": 1.5},
    {"mercy": 0},
    {"snapshots": 17},
    {"preload": ["a-b"]},
    {"preload": "a."},
    {"verbose": "true"},
    {"dir": [1]},
    {"include": ""},
    {"action": "signal:17"},
    {"action": "touch:"},
    {"broken": "new"},
    {"strategy": "touch"},
    {"memory": 0},
    {"backend": "epoll"},
    {"browser": True},
    {"browser": "on", "browser-path": "pages"},
    {"browser": "on", "browser-path": "/pages/"},
    {"on": ["*.py log"]},
    {"on": [{"pattern": "*"}]},
    {"on": [{"pattern": "*", "action": "restart"}]},
    {"on": [{"pattern": "*", "action": "signal:256"}]},
    {"on": [{"pattern": "*", "action": "exec:"}]},
    {"on": [{"pattern": "!a", "action": "log"}]},
    {"on": [{"pattern": "*", "action": "log", "x": 1}]},
    {"on": [{"pattern": "*", "action": "log"}] * 65},
)


def is_taken(config: object, folder: Path) -> bool:
    """Asks the plugin itself, which ends after a dry run."""
    (folder / "a.json").write_text(json.dumps(config))
    ended = subprocess.run(
        [harness.UWSGI, "--plugins-dir", str(harness.PLUGIN_DIR), "--plugin", "fastreload",
         "--fastreload-config", "a.json", "--fastreload-dir", ".", "--fastreload-dry-run", "a.py"],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return ended.returncode == 0


@pytest.mark.parametrize("config", (*VALID, *INVALID), ids=lambda config: json.dumps(config)[:60])
def test_the_schema_and_the_plugin_agree(config: object, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    is_valid = jsonschema.Draft7Validator(schema).is_valid(config)
    assert is_valid == (config in VALID)
    assert is_taken(config, tmp_path) == is_valid
