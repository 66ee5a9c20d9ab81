"""--fastreload-dry-run says whether a change of a path would count and by which rule, and starts nothing."""

from __future__ import annotations

import re

import pytest

import apps
from harness import Finished, Instance

FILES = {
    **apps.WSGI,
    "templates/page.html": "<p>\n",
    "node_modules/tool/index.js": "let a;\n",
    "env/pyvenv.cfg": "home = /usr/bin\n",
    "env/lib/module.py": "A = 1\n",
    "uwsgi.weird": "",
}
NOT = re.compile(
    r"does not count|not count|would not|no change|ignored|is not watched|not entered", re.I
)


def dry_run(
    relpath: str, *fastreload: str, watch: tuple[str, ...] = (".",), files: dict[str, str] = FILES
) -> Finished:
    """Runs uWSGI with --fastreload-dry-run, which must end by itself."""
    app = Instance(
        files,
        fastreload=[*fastreload, f"dry-run = {relpath}"],
        watch=watch,
        verbose=False,
        ready=False,
    )
    try:
        return app.run()
    finally:
        app.__exit__(None, None, None)


def verdict(relpath: str, *fastreload: str, files: dict[str, str] = FILES) -> tuple[bool, str]:
    """Returns whether the path counts, and the line that says so."""
    ended = dry_run(relpath, *fastreload, files=files)
    assert ended.status == 0, ended.output
    assert "spawned uWSGI worker" not in ended.output
    lines = [
        line
        for line in ended.output.splitlines()
        if relpath in line and "ini" not in line.split()[0]
    ]
    assert len(lines) == 1, ended.output
    return not NOT.search(lines[0]), lines[0]


# The path, whether it counts, and what of the rule must be named.
VERDICTS = {
    "parts/value.py": (True, r"\*\.py"),
    "parts/new/not_there_yet.py": (True, r"\*\.py"),
    "notes.log": (False, r""),
    "db.sqlite3": (False, r""),
    "parts/value.pyc": (False, r""),
    "parts/__pycache__/value.cpython-311.pyc": (False, r"__pycache__"),
    "parts/.value.py.swp": (False, r""),
    "parts/value.py~": (False, r""),
    "node_modules/tool/index.js": (False, r"node_modules"),
    ".git/hooks/hook.py": (False, r"\.git"),
    "env/lib/module.py": (False, r"pyvenv|virtual"),
}


@pytest.mark.parametrize("relpath", VERDICTS)
def test_the_verdict_and_its_rule_are_printed(relpath: str) -> None:
    expected, rule = VERDICTS[relpath]
    counts, line = verdict(relpath)
    assert counts == expected, line
    assert re.search(rule, line), line


def test_an_include_is_named_as_the_rule() -> None:
    assert not verdict("uwsgi.weird")[0]
    counts, line = verdict("uwsgi.weird", "include = *.weird")
    assert counts and "*.weird" in line and "include" in line, line


def test_an_exclude_is_named_as_the_rule() -> None:
    counts, line = verdict("parts/value.py", "exclude = parts/")
    assert not counts and "parts/" in line and "exclude" in line, line


def test_the_last_rule_that_matches_decides() -> None:
    assert verdict("parts/value.py", "exclude = *.py", "include = value.py")[0]
    assert not verdict("parts/value.py", "include = value.py", "exclude = *.py")[0]


def test_a_path_outside_the_watched_folders_is_said_to_be_outside() -> None:
    ended = dry_run("/etc/hostname")
    assert ended.status == 0, ended.output
    line = next(line for line in ended.output.splitlines() if "/etc/hostname" in line)
    assert NOT.search(line) or re.search(r"outside|not (in|below|under)", line), line


def test_what_the_dry_run_says_is_what_happens() -> None:
    with Instance(FILES, fastreload=["exclude = *.html", "include = *.weird"]) as app:
        with app.expect_no_reload():
            app.save("templates/page.html", "<p>new\n")
        with app.expect_exactly_one_reload():
            app.save("uwsgi.weird", "new")
