"""An edit below a statement that takes long does not execute that again, and nobody can tell: snapshots inside the module that is edited."""

from __future__ import annotations

import os
import re
import signal
from typing import Sequence

import pytest

from harness import Instance
from test_nursery import DONE, NOT_RELOADED, ask, edit, frozen, outcomes, settled, took_ms

# A second, as pandas takes, and a trace of how often.
SLOW = "import time\nimport trace\ntime.sleep(0.5)\ntrace.lines.append('slow')\n"

ENTRY = """\
import json
import os
import trace
import view
import behind


def application(environ, start_response):
    if environ["QUERY_STRING"]:
        from urllib.parse import unquote
        body = eval(unquote(environ["QUERY_STRING"]), globals())
    else:
        body = [view.VALUE, view.answer(), behind.VALUE, trace.lines]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([os.getpid(), body]).encode()]
"""

VIEW = '''\
"""What is edited."""

import slow
from slow import time

LIMIT = 10
VALUE = "v0"


def answer():
    return "a0"
'''

FILES = {
    "wsgi.py": ENTRY,
    "view.py": VIEW,
    "behind.py": "import view\nVALUE = view.VALUE + '+'\n",
    "trace.py": "lines = []\n",
    "other.py": "VALUE = 'o0'\n",
}


def project(view: str = VIEW, fastreload: Sequence[str] = ()) -> Instance:
    """Returns an instance whose slow module lies outside of what is watched, like a library."""
    app = Instance({**FILES, "view.py": view}, fastreload=fastreload)
    lib = app.base / "lib"
    lib.mkdir()
    (lib / "slow.py").write_text(SLOW)
    app.env["PYTHONPATH"] = str(lib)
    return app


def saying(value: str, answer: str = "a0") -> str:
    """Returns the module with other values."""
    return VIEW.replace("v0", value).replace("a0", answer)


def is_inside(app: Instance) -> bool:
    """Tells whether the last load went on from inside the module."""
    is_inside = "inside the module" in app.log.matching(DONE)[-1]
    assert is_inside == (took_ms(app) < 400), app.log.tail(5)
    return is_inside


def make_slow_known(app: Instance) -> None:
    """The first edit begins at the beginning, and leaves the snapshot inside the module."""
    settled(app)
    edit(app, "view.py", saying("v1"))
    assert took_ms(app) >= 500
    frozen(app, 2)


def test_a_slow_import_at_the_top_is_executed_once() -> None:
    with project() as app:
        make_slow_known(app)
        for number in range(2, 6):
            edit(app, "view.py", saying(f"v{number}", f"a{number}"))
            assert ask(app) == [f"v{number}", f"a{number}", f"v{number}+", ["slow"]]
            assert is_inside(app)


def test_whatever_the_locale_is() -> None:
    app = project()
    app.env.update(LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    with app:
        make_slow_known(app)
        edit(app, "view.py", saying("v2"))
        assert ask(app)[0] == "v2" and is_inside(app)


def test_a_slow_statement_in_the_middle_is_executed_once() -> None:
    text = "import time\nimport trace\ndef load():\n    time.sleep(0.5)\n    trace.lines.append('load')\n    return 'model'\nMODEL = load()\nVALUE = 'v0'\ndef answer():\n    return MODEL\n"
    with project(text) as app:
        settled(app)
        edit(app, "view.py", text.replace("v0", "v1"))
        frozen(app, 2)
        for number in range(2, 5):
            edit(app, "view.py", text.replace("v0", f"v{number}"))
            assert ask(app) == [f"v{number}", "model", f"v{number}+", ["load"]]
            assert is_inside(app)
        edit(app, "view.py", text.replace("'model'", "'other'"))
        assert ask(app)[1] == "other" and took_ms(app) >= 500


def test_an_edit_above_it_executes_all_of_it() -> None:
    with project() as app:
        make_slow_known(app)
        for number in range(2, 5):
            edit(app, "view.py", saying(f"v{number}").replace("import slow\n", f"X = {number}\nimport slow\n", 1))
            assert took_ms(app) >= 500
            assert ask(app) == [f"v{number}", "a0", f"v{number}+", ["slow"]]
            assert ask(app, "view.X") == number
        # It is inside again, behind the new beginning.
        edit(app, "view.py", saying("again").replace("import slow\n", "X = 4\nimport slow\n", 1))
        assert ask(app)[0] == "again" and is_inside(app)


def test_a_slow_import_that_is_new_is_executed_twice_at_most() -> None:
    with project(saying("v0").replace("import slow\nfrom slow import time\n", "")) as app:
        settled(app)
        fast = saying("v1").replace("import slow\nfrom slow import time\n", "")
        edit(app, "view.py", fast)
        edit(app, "view.py", fast.replace("v1", "v2"))
        assert took_ms(app) < 400
        times = []
        for number in range(3, 7):
            edit(app, "view.py", saying(f"v{number}"))
            assert ask(app) == [f"v{number}", "a0", f"v{number}+", ["slow"]]
            times.append(took_ms(app))
        assert times[0] >= 500 and max(times[2:]) < 400 and is_inside(app), times


def test_an_edit_of_what_comes_behind_takes_the_module_as_it_is() -> None:
    with project() as app:
        make_slow_known(app)
        edit(app, "view.py", saying("v2"))
        for number in range(3):
            edit(app, "behind.py", f"import view\nVALUE = view.VALUE + '{number}'\n")
            assert ask(app) == ["v2", "a0", f"v2{number}", ["slow"]]
            assert is_inside(app)
        edit(app, "view.py", saying("v3"))
        assert ask(app)[:3] == ["v3", "a0", "v32"] and is_inside(app)


def test_both_at_once() -> None:
    with project() as app:
        make_slow_known(app)
        before = outcomes(app)
        app.save("view.py", saying("both"))
        app.save("behind.py", "import view\nVALUE = view.VALUE + 'both'\n")
        app.wait(lambda: outcomes(app) > before and ask(app)[:3] == ["both", "a0", "bothboth"], 10, "both are served")


def test_an_edit_of_what_it_has_read_before_is_served() -> None:
    with project() as app:
        make_slow_known(app)
        edit(app, "trace.py", "lines = ['new']\n")
        assert ask(app) == ["v1", "a0", "v1+", ["new", "slow"]]


def test_what_is_broken_below_is_told_as_ever_and_mended() -> None:
    with project() as app:
        make_slow_known(app)
        for broken, error in (
            (saying("v2") + "def broken(:\n", "SyntaxError"),
            (saying("v2") + "1 / 0\n", "ZeroDivisionError"),
            (saying("v2") + "return 1\n", "'return' outside function"),
            (saying("v2") + "from __future__ import annotations\n", "from __future__ imports must occur at the beginning"),
            (saying("v2") + "global VALUE\n", "assigned to before global declaration|used prior to global declaration"),
            ("else:\n".join(saying("v2").rpartition("LIMIT")[::2]), "SyntaxError"),
        ):
            seen = app.log.count(NOT_RELOADED)
            app.save("view.py", broken)
            app.wait(lambda: app.log.count(NOT_RELOADED) > seen, 10, error)
            assert re.search(error, app.log.matching(NOT_RELOADED)[-1]), app.log.matching(NOT_RELOADED)[-1]
            assert ask(app)[0] == "v1"
        edit(app, "view.py", saying("v3"))
        assert ask(app)[0] == "v3"


def test_a_traceback_shows_the_frames_of_the_application_only() -> None:
    with project() as app:
        make_slow_known(app)
        seen = len(app.log.lines)
        app.save("view.py", saying("v2") + "\n\ndef inner():\n    return 1 / 0\n\n\ninner()\n")
        app.wait(lambda: app.log.count(NOT_RELOADED), 10, "it is broken")
        lines = "\n".join(app.log.lines[seen:])
        assert re.search(r'view.py", line 18, in <module>\s+inner\(\)\s.*view.py", line 15, in inner', lines, re.S), lines
        assert "importlib" not in lines and "statements" not in lines.replace("test_statements", ""), lines


@pytest.mark.parametrize(
    "name, text, question, expected",
    (
        ("annotations above", "LEVEL: int = 1\nimport slow\nVALUE = 'v0'\ndef answer():\n    return 'a0'\n", "list(view.__annotations__)", ["LEVEL"]),
        ("annotations below", "import slow\nLEVEL: int = 1\nVALUE = 'v0'\ndef answer():\n    return 'a0'\n", "list(view.__annotations__)", ["LEVEL"]),
        ("future", '"""Doc."""\nfrom __future__ import annotations\nimport slow\nVALUE = "v0"\ndef answer(x: nowhere = 1):\n    return "a0"\n', "[view.__doc__,view.answer.__annotations__]", ["Doc.", {"x": "nowhere"}]),
        ("text alone", "import slow\n'no docstring'\nVALUE = 'v0'\ndef answer():\n    return 'a0'\n", "view.__doc__", None),
        ("decorator", "import slow\ndef deco(f):\n    return f\n\n# A comment.\n@deco\n\n@deco\ndef answer():\n    return 'a0'\nVALUE = 'v0'\n", "view.answer.__code__.co_firstlineno", 6),
        ("names", "import slow\nVALUE = 'v0'\ndef answer():\n    return 'a0'\nNAMES = [n for n in list(globals()) if n[0] != '_']\n", "view.NAMES", ["slow", "VALUE", "answer"]),
        ("cookie", "# -*- coding: utf-8 -*-\nimport slow\nVALUE = 'v0'\ndef answer():\n    return 'a0'\nX = 'ä'\n", "ord(view.X)", 228),
        ("latin", "# -*- coding: latin-1 -*-\nimport slow\nVALUE = 'v0'\ndef answer():\n    return 'a0'\nX = len('ä')\n", "view.X", 2),
        ("one line", "import slow; VALUE = 'v0'; answer = lambda: 'a0'\n", "view.VALUE", None),
        ("match", "import slow\nVALUE = 'v0'\nmatch VALUE:\n    case _:\n        X = 1\ndef answer():\n    return 'a0'\n", "view.X", 1),
    ),
)  # fmt: skip
def test_the_module_is_what_it_is_in_one_piece(name: str, text: str, question: str, expected: object) -> None:
    with project(text) as app:
        settled(app)
        for number in range(1, 5):
            edit(app, "view.py", text.replace("v0", f"v{number}"))
            assert ask(app) == [f"v{number}", "a0", f"v{number}+", ["slow"]]
            question_answer = ask(app, question)
            assert question_answer == (f"v{number}" if name == "one line" else expected)
        assert (is_inside(app)) == (name not in ("one line", "latin")), name


def test_annotations_that_come_and_go_are_executed_in_one_piece() -> None:
    with project() as app:
        make_slow_known(app)
        for number in range(2, 5):
            annotated = number % 2 == 0
            edit(app, "view.py", saying(f"v{number}") + ("LEVEL: int = 1\n" if annotated else ""))
            assert ask(app)[0] == f"v{number}"
            assert ask(app, "'__annotations__'in(view.__dict__)") == annotated


@pytest.mark.parametrize("imports", ("", "import warnings\n"), ids=("nobody-imports-warnings", "warnings-is-there"))
def test_what_the_compiler_warns_of_is_said(imports: str) -> None:
    warned = re.compile("SyntaxWarning")
    app = project()
    (app.app / "trace.py").write_text(imports + FILES["trace.py"])
    with app:
        make_slow_known(app)
        edit(app, "view.py", saying("v2"))
        assert is_inside(app)
        seen = app.log.count(warned)
        edit(app, "view.py", saying("v3") + "SAME = VALUE is 'v'\n")
        assert ask(app)[0] == "v3" and ask(app, "view.SAME") is False
        assert app.log.count(warned) > seen


def test_a_module_that_reads_itself_is_executed_in_one_piece() -> None:
    text = "import slow\nTEXT = open(__file__).read()\nimport slow2\nVALUE = 'v0'\ndef answer():\n    return TEXT.count('v')\n"
    with project(text) as app:
        (app.base / "lib" / "slow2.py").write_text("import time\ntime.sleep(1)\n")
        settled(app)
        for number in range(1, 4):
            edit(app, "view.py", text + "# v\n" * number)
            assert ask(app)[1] == text.count("v") + number
            assert took_ms(app) >= 1000


def test_no_more_are_frozen_than_the_option_says() -> None:
    with project(fastreload=["snapshots = 1"]) as app:
        settled(app)
        for number in range(1, 4):
            edit(app, "view.py", saying(f"v{number}"))
            assert ask(app)[0] == f"v{number}"
            frozen(app, 1)
        assert is_inside(app)


def test_it_may_be_killed_at_any_time() -> None:
    with project() as app:
        make_slow_known(app)
        for number in range(2, 6):
            for pid in frozen(app, 2)[: number % 3]:
                os.kill(pid, signal.SIGKILL)
            edit(app, "view.py", saying(f"v{number}"))
            assert ask(app) == [f"v{number}", "a0", f"v{number}+", ["slow"]]
            edit(app, "view.py", saying(f"v{number}", "again"))
            assert ask(app)[1] == "again"
