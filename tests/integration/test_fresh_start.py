"""A reload that goes on from a snapshot answers what a fresh start answers, however the application came to know what has changed since."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from typing import Callable, NamedTuple

import pytest

from harness import Instance
from test_nursery import FILES, ask, edit, put, settled, value


class Case(NamedTuple):
    """What first.py, which is loaded before the snapshot, says; what happens then; and what its VALUE must be, or the answer to a question."""

    text: str
    change: Callable[[Instance], object]
    after: object
    question: str = "first.VALUE"


def turn(app: Instance, relpath: str, target: str) -> None:
    """Puts a link in the place of what is there."""
    os.symlink(target, app.path("link.new"))
    os.rename(app.path("link.new"), app.path(relpath))


def replace_by_folder(app: Instance, relpath: str, inner: str = "") -> None:
    """Puts a folder in the place of a file."""
    app.path(relpath).unlink()
    app.path(relpath).mkdir()
    if inner:
        put(app.path(relpath) / inner, "")


def name(app: Instance, relpath: str, attribute: str) -> None:
    """Gives a file an attribute."""
    try:
        os.setxattr(app.path(relpath), attribute, b"")
    except OSError as error:
        pytest.skip(f"a file has no attributes here: {error}")


CASES = {
    "islink": Case("import os\nVALUE = os.path.islink('a.txt')\n", lambda app: turn(app, "a.txt", "b.txt"), True),
    "realpath": Case("import os\nVALUE = os.path.basename(os.path.realpath('a.txt'))\n", lambda app: turn(app, "a.txt", "b.txt"), "b.txt"),
    "where a link to nothing leads": Case("import os\nVALUE = os.readlink('loose')\n", lambda app: turn(app, "loose", "elsewhere"), "elsewhere"),
    "below what was a file": Case("import os\nVALUE = os.path.exists('flag/inner')\n", lambda app: replace_by_folder(app, "flag", "inner"), True),
    "what is in a folder": Case("import os\nVALUE = sum(entry.is_dir() for entry in os.scandir('data'))\n", lambda app: replace_by_folder(app, "data/a.txt"), 2),
    "what an entry of a folder says": Case("import os\nVALUE = sum(entry.stat().st_size for entry in os.scandir('data') if entry.is_file())\n", lambda app: put(app.path("data/a.txt"), "longer"), 7),
    "a size in an open folder": Case("import os\nfd = os.open('data', os.O_RDONLY)\nVALUE = os.stat('a.txt', dir_fd=fd).st_size\nos.close(fd)\n", lambda app: put(app.path("data/a.txt"), "longer"), 6),
    "a size that is asked for by keyword": Case("import os\nVALUE = os.stat(path='a.txt').st_size\n", lambda app: put(app.path("a.txt"), "longer"), 6),
    "a text in an open folder": Case("import os\nfd = os.open('data', os.O_RDONLY)\nVALUE = open('a.txt', opener=lambda path, flags: os.open(path, flags, dir_fd=fd)).read()\nos.close(fd)\n", lambda app: put(app.path("data/a.txt"), "longer"), "longer"),
    "all in an open folder": Case("import os\nVALUE = sum(len(files) for _, _, files, _ in os.fwalk('data'))\n", lambda app: put(app.path("data/deep/b.txt"), ""), 4),
    "what a compiler has read": Case(
        "import subprocess\nVALUE = subprocess.check_output(['gcc', '-E', '-P', '-x', 'c', 'a.txt'], text=True).strip()\n", lambda app: put(app.path("a.txt"), "newer"), "newer"
    ),
    "a log": Case(
        "import logging\nlogging.getLogger().addHandler(logging.FileHandler('first.log'))\nVALUE = ''\n",
        lambda app: os.rename(app.path("first.log"), app.path("first.log.1")),
        "said\n",
        "(first.logging.error('said'),open('first.log').read())[1]",
    ),
    "an attribute": Case("import os\nVALUE = os.listxattr('a.txt')\n", lambda app: name(app, "a.txt", "user.kind"), ["user.kind"]),
}


@pytest.mark.parametrize("what", CASES)
def test_what_has_changed_since_the_snapshot_is_seen(what: str) -> None:
    """None of the files is a counted one: the change alone reloads nothing, but the next reload must see it."""
    case = CASES[what]
    app = Instance({**FILES, "first.py": case.text, "a.txt": "a", "b.txt": "b", "flag": "", "data/a.txt": "a", "data/b.txt": "b", "data/deep/a.txt": "a"})
    os.symlink("nowhere", app.path("loose"))
    with app:
        settled(app)
        edit(app, "second.py", value("new1"))
        assert "from behind" in edit(app, "second.py", value("new2"))
        assert ask(app, "first.VALUE") != case.after
        case.change(app)
        edit(app, "second.py", value("new3"))
        assert [ask(app, case.question), ask(app)[2]] == [case.after, "new3"]


# A module in C, which the dynamic linker opens by itself.
IN_C = """\
#include <Python.h>

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "in_c", 0, -1};

PyMODINIT_FUNC PyInit_in_c(void)
{
	PyObject *module = PyModule_Create(&definition);

	PyModule_AddStringConstant(module, "VALUE", "%s");
	return module;
}
"""


def compile_module(app: Instance, text: str) -> None:
    """Puts a module in C in the place of the one that is there."""
    headers = sysconfig.get_path("include")
    if not shutil.which("gcc") or not os.path.exists(f"{headers}/Python.h"):
        pytest.skip("the headers of Python are not installed")
    source, made = app.base / "in_c.c", app.base / "in_c.so"
    source.write_text(IN_C % text)
    subprocess.run(["gcc", "-shared", "-fPIC", f"-I{headers}", "-o", made, source], check=True)
    os.replace(made, app.path("in_c.so"))


def test_a_module_in_c_that_was_built_anew_is_loaded() -> None:
    app = Instance({**FILES, "first.py": "import in_c\nVALUE = in_c.VALUE\n"})
    compile_module(app, "one")
    with app:
        settled(app)
        edit(app, "second.py", value("new1"))
        assert "from behind" in edit(app, "second.py", value("new2"))
        compile_module(app, "two")
        edit(app, "second.py", value("new3"))
        assert ask(app)[1:3] == ["two", "new3"]


# An application that is mounted beside another one, and so has an interpreter of its own.
MOUNTED = """\
import json
import os
VALUE = os.path.exists("data/flag")


def application(environ, start_response):
    import late
    start_response("200 OK", [])
    return [json.dumps([VALUE, late.VALUE]).encode()]
"""


def test_what_another_mounted_application_has_asked_is_asked_anew() -> None:
    ini = ("mount = /one=wsgi:application", "mount = /two=two:application", "manage-script-name = true")
    files = {**FILES, "two.py": MOUNTED, "data/a.txt": "a"}
    with Instance(files, application=("plugin = python3", *ini)) as app:
        settled(app)
        for number in range(1, 4):
            edit(app, "late.py", value(f"new{number}"))
            assert json.loads(app.get("/two").text) == [False, f"new{number}"]
        put(app.path("data/flag"), "")
        edit(app, "late.py", value("new4"))
        assert json.loads(app.get("/two").text) == [True, "new4"]


@pytest.mark.parametrize("was_there", (False, True), ids=("never there", "removed"))
def test_a_folder_of_modules_that_comes_is_found(was_there: bool) -> None:
    text = "try:\n    from dependency import VALUE\nexcept ImportError:\n    VALUE = 'none'\n"
    app = Instance({**FILES, "first.py": text})
    folder = app.base / "lib"
    app.env["PYTHONPATH"] = str(folder)
    if was_there:
        folder.mkdir()
    with app:
        settled(app)
        if was_there:
            folder.rmdir()
        edit(app, "second.py", value("new1"))
        assert "from behind" in edit(app, "second.py", value("new2"))
        put(folder / "dependency.py", value("here"))
        edit(app, "second.py", value("new3"))
        assert ask(app)[1:3] == ["here", "new3"]
