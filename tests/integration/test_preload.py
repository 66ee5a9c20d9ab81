"""fastreload-preload: what is heavy and comes behind the edited module is imported once, whatever is edited."""

from __future__ import annotations

import re

import pytest

from harness import Instance
from test_nursery import ask, edit, outcomes, settled, took_ms

# What is edited is imported before what takes long.
ENTRY = """\
import json
import os
import early
import heavy
import late


def application(environ, start_response):
    if environ["QUERY_STRING"]:
        from urllib.parse import unquote
        body = eval(unquote(environ["QUERY_STRING"]), globals())
    else:
        body = [early.VALUE, heavy.VALUE, late.VALUE]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([os.getpid(), body]).encode()]
"""
FILES = {"wsgi.py": ENTRY, "early.py": "VALUE = 'e0'\n", "late.py": "VALUE = 'l0'\n"}
HEAVY = "import time\ntime.sleep(0.5)\nVALUE = 'h0'\n"
ADVICE = r"\[fastreload\] (\d+) ms of that went to the import of (.*), behind what was edited. If it does not depend on the application: fastreload-preload = (.*)"
SAID = r"\[fastreload\] --fastreload-preload:? (.*)"


def project(*preload: str, options: tuple[str, ...] = (), ini: tuple[str, ...] = ()) -> Instance:
    """Returns an instance with something heavy outside of what is watched, in a folder that knows bytecode already."""
    app = Instance(FILES, ini=list(ini), fastreload=[*options, *(f"preload = {name}" for name in preload)])
    lib = app.base / "lib"
    (lib / "__pycache__").mkdir(parents=True)
    (lib / "heavy.py").write_text(HEAVY)
    app.env["PYTHONPATH"] = str(lib)
    return app


def test_even_the_first_edit_does_not_import_it_again() -> None:
    with project("heavy") as app:
        settled(app)
        for number in range(1, 4):
            for name in ("early", "late"):
                assert "from behind" in edit(app, f"{name}.py", f"VALUE = '{name}{number}'\n")
                assert took_ms(app) < 400
            assert ask(app) == [f"early{number}", "h0", f"late{number}"]
        assert not app.log.matching(SAID)


def test_without_it_what_is_behind_is_imported_each_time() -> None:
    with project() as app:
        settled(app)
        for number in range(1, 3):
            edit(app, "early.py", f"VALUE = 'early{number}'\n")
            assert took_ms(app) >= 500


def test_a_change_of_it_is_imported() -> None:
    with project("heavy") as app:
        settled(app)
        edit(app, "early.py", "VALUE = 'e1'\n")
        (app.base / "lib" / "heavy.py").write_text(HEAVY.replace("h0", "upgraded"))
        edit(app, "early.py", "VALUE = 'e2'\n")
        assert ask(app) == ["e2", "upgraded", "l0"] and took_ms(app) >= 500
        edit(app, "early.py", "VALUE = 'e3'\n")
        assert ask(app) == ["e3", "upgraded", "l0"] and took_ms(app) < 400


def test_they_are_imported_in_their_order_before_the_application() -> None:
    with project("decimal", "xml.dom.minidom", "heavy") as app:
        settled(app)
        names = "[n for n in __import__('sys').modules if n in ('decimal','xml.dom.minidom','heavy','wsgi','early')]"
        for number in range(2):
            assert [name for name in ask(app, names.replace(" ", "%20")) if name != "wsgi"] == ["decimal", "xml.dom.minidom", "heavy", "early"]
            edit(app, "early.py", f"VALUE = 'e{number + 1}'\n")


@pytest.mark.parametrize(
    "text, error",
    (
        (None, "other cannot be imported: ModuleNotFoundError: No module named 'other'"),
        ("raise ValueError('needs\\nsettings')\n", "other cannot be imported: ValueError: needs settings"),
        ("import sys\nsys.exit(3)\n", "other cannot be imported: SystemExit: 3"),
        ("def broken(:\n", "other cannot be imported: SyntaxError"),
    ),
)
def test_one_that_cannot_be_imported_is_named_and_loses_nothing(text: str | None, error: str) -> None:
    app = project("heavy", "other")
    if text is not None:
        (app.base / "lib" / "other.py").write_text(text)
    with app:
        settled(app)
        assert ask(app) == ["e0", "h0", "l0"]
        for number in range(1, 3):
            edit(app, "early.py", f"VALUE = 'early{number}'\n")
            assert ask(app)[0] == f"early{number}"
        said = app.log.matching(SAID)
        assert len(said) == 1 and error in said[0] and said[0].endswith("nothing is preloaded"), said
        assert not ask(app, "'other'in(__import__('sys').modules)")


def test_one_of_the_project_is_reloaded_as_ever() -> None:
    with project("early") as app:
        settled(app)
        for number in range(1, 4):
            edit(app, "early.py", f"VALUE = 'early{number}'\n")
            assert ask(app)[0] == f"early{number}"
        edit(app, "late.py", "VALUE = 'l1'\n")
        assert ask(app) == ["early3", "h0", "l1"]


def test_where_workers_load_for_themselves_it_says_that_it_does_nothing() -> None:
    with project("heavy", options=("action = workers",), ini=("lazy-apps = true",)) as app:
        settled(app)
        assert "does nothing here" in app.log.matching(SAID)[-1]


def test_without_snapshots_it_says_that_it_does_nothing() -> None:
    with project("heavy", options=("snapshots = 0",)) as app:
        settled(app)
        assert "does nothing here: there are no snapshots" in app.log.matching(SAID)[-1]
        edit(app, "early.py", "VALUE = 'e1'\n")
        assert ask(app) == ["e1", "h0", "l0"]


def test_with_broken_code_it_is_still_there() -> None:
    with project("heavy") as app:
        settled(app)
        before = outcomes(app)
        app.save("early.py", "def broken(:\n")
        app.wait(lambda: outcomes(app) > before, 10, "it is broken")
        assert ask(app)[0] == "e0"
        edit(app, "early.py", "VALUE = 'e1'\n")
        assert ask(app)[0] == "e1" and took_ms(app) < 400


# What is not watched has no import of its own there, of which one could hear that `heavy` is still being imported.
LONGER = "import time\ntime.sleep(0.3)\nimport colorsys\nVALUE = 'h0'\n"


def test_what_took_long_behind_the_edited_module_is_named_once() -> None:
    with project() as app:
        (app.base / "lib" / "heavy.py").write_text(LONGER)
        settled(app)
        for number in range(1, 4):
            edit(app, "early.py", f"VALUE = 'early{number}'\n")
            edit(app, "late.py", f"VALUE = 'late{number}'\n")
        advice = app.log.matching(ADVICE)
        assert len(advice) == 1, advice
        taken_ms, *names = re.search(ADVICE, advice[0]).groups()
        assert int(taken_ms) >= 300 and names == ["heavy", "heavy"]


@pytest.mark.parametrize(
    "heavy, entry",
    (
        pytest.param("import colorsys\nVALUE = 'h0'\n", ENTRY, id="does not take long"),
        pytest.param("VALUE = 'h0'\n", ENTRY.replace("import heavy\n", "import heavy, time\ntime.sleep(0.3)\nimport colorsys\n"), id="took no time itself"),
        pytest.param(LONGER, ENTRY.replace("import early\nimport heavy\n", "import heavy\nimport early\n"), id="comes before"),
    ),
)
def test_nothing_else_is_named(heavy: str, entry: str) -> None:
    app = project()
    (app.base / "lib" / "heavy.py").write_text(heavy)
    (app.app / "wsgi.py").write_text(entry)
    with app:
        settled(app)
        for number in range(1, 4):
            edit(app, "early.py", f"VALUE = 'early{number}'\n")
        assert not app.log.matching(ADVICE)


def test_what_the_edited_module_imports_itself_is_not_named() -> None:
    """The next copy waits behind it, in that module."""
    with project() as app:
        (app.base / "lib" / "heavy.py").write_text(LONGER)
        settled(app)
        for number in range(1, 4):
            edit(app, "early.py", f"import heavy\nVALUE = 'early{number}'\n")
        assert "inside the module" in app.log.matching(r"\[fastreload\] reloaded in .*")[-1]
        assert not app.log.matching(ADVICE)
