"""The nursery: a reload goes on from a snapshot where it can, nobody can tell that it did, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, Iterator, Sequence

import pytest

from harness import (
    Instance,
    cpu_ticks,
    descendants_of,
    free_port,
    process_name,
    process_state,
    skip_what_uwsgi_cannot_do,
    wait_until,
)
from swapping import workers_of, zombies_of

DONE = re.compile(r"\[fastreload\] reloaded in (\d+) ms.*(from behind the first \d+ files(?:, inside the module)?|from the beginning)\)")
NOT_RELOADED = re.compile(r"\[fastreload\] not reloaded: ")
NO_SHORT_CUT = re.compile(r"\[fastreload\] no short cut: (.*)")
EACH_ITSELF = re.compile(r"\[fastreload\] each worker loads the application itself from now on: (.*)")

RELOADS = int(os.environ.get("FR_NURSERY_RELOADS", "300"))
KILLS = int(os.environ.get("FR_NURSERY_KILLS", "25"))
PAIRS = int(os.environ.get("FR_NURSERY_PAIRS", "40"))
SEED = int(os.environ.get("FR_SEED", str(random.randrange(1 << 30))))

# A settings module, two that are imported one after the other, a late one, and an entry that answers what is asked of it.
WSGI = """\
import json
import os
import settings
import first
import second
ENTRY = "e0"


def application(environ, start_response):
    if environ["QUERY_STRING"]:
        from urllib.parse import unquote
        body = eval(unquote(environ["QUERY_STRING"]), globals())
    else:
        import late
        body = [settings.VALUE, first.VALUE, second.VALUE, late.VALUE, ENTRY]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([os.getpid(), body]).encode()]
"""
FILES = {
    "wsgi.py": WSGI,
    "settings.py": 'VALUE = "s0"\n',
    "first.py": 'import settings\nVALUE = "f0"\n',
    "second.py": 'import first\nVALUE = "x0"\n',
    "late.py": 'VALUE = "l0"\n',
}


def outcomes(app: Instance) -> int:
    """Returns how many reloads have come to an end."""
    return app.log.count(DONE) + app.log.count(NOT_RELOADED)


def edit(app: Instance, relpath: str, text: str, how: str = "inplace") -> str:
    """Saves, awaits the outcome of it, and returns from where it was loaded."""
    before = outcomes(app)
    app.save(relpath, text, how)
    app.wait(lambda: outcomes(app) > before, 15, f"{relpath} is reloaded")
    line = app.log.matching(DONE.pattern + "|" + NOT_RELOADED.pattern)[-1]
    match = DONE.search(line)
    return match.group(2) if match else line


def took_ms(app: Instance) -> int:
    """Returns how long the last reload took."""
    return int(DONE.search(app.log.matching(DONE)[-1]).group(1))


def ask(app: Instance, query: str = "") -> object:
    """Returns what some worker answers."""
    return json.loads(app.get("/?" + query if query else "/").text)[1]


def ask_all(app: Instance, query: str, workers: int) -> dict[int, object]:
    """Returns what each worker answers, by its pid."""
    found: dict[int, object] = {}

    def is_complete() -> bool:
        pid, answer = json.loads(app.get("/?__import__('time').sleep(0.02)or(" + query + ")").text)
        found[pid] = answer
        return len(found) >= workers

    def ask_often() -> None:
        for _ in range(60 * workers):
            if is_complete():
                return

    threads = [threading.Thread(target=ask_often) for _ in range(2 * workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def value(text: str) -> str:
    """Returns a module of one value."""
    return f'VALUE = "{text}"\n'


def others(app: Instance) -> list[int]:
    """Returns the processes of the instance that are neither its master nor its workers: the frozen ones, when it is quiet."""
    workers = set(workers_of(app))
    known = [*workers, *standbys(app), *good(app)]
    return [pid for pid in descendants_of(app.master_pid) if pid not in known and process_state(pid) not in ("Z", "X", "")]


def standbys(app: Instance) -> list[int]:
    """Returns the copies of frozen processes that are ready for the next load."""
    return [pid for pid in descendants_of(app.master_pid) if process_name(pid) == "fastreload-wait" and process_state(pid) not in ("Z", "X", "")]


def frozen(app: Instance, count: int) -> list[int]:
    """Waits until so many processes are frozen, and no loader is left; returns them."""
    app.wait(lambda: len(others(app)) == count, 5, f"{count} frozen processes", lambda: f"{others(app)}\n{app.log.tail()}")
    return others(app)


def settled(app: Instance) -> None:
    """Waits until a started instance is quiet."""
    app.wait_quiet(0.2)


def rest() -> None:
    """A file that changes again and again just after it was loaded is taken for the application's own writing."""
    time.sleep(0.6)


def kill(pid: int) -> None:
    """Kills a process that may have gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


# The second edit of a file goes on from behind.

EDITABLE = ("settings.py", "first.py", "second.py", "late.py")


@pytest.mark.parametrize("how", ("inplace", "atomic", "vim", "emacs", "pycharm", "git", "vscode", "real_vim"))
@pytest.mark.parametrize("relpath", EDITABLE)
def test_the_second_edit_of_a_file_goes_on_from_a_snapshot(relpath: str, how: str) -> None:
    if how not in ("inplace", "vim") and relpath != "second.py":
        pytest.skip("one file is enough for this way of saving")
    with Instance(FILES) as app:
        settled(app)
        froms = []
        for number in range(1, 5):
            froms.append(edit(app, relpath, value(f"new{number}"), how))
            app.wait(lambda: f"new{number}" in ask(app), 5, "it is served")
            app.wait_quiet(0.15)  # Some editors have more to say about the same save.
        assert froms[0] == "from the beginning"
        assert all("from behind" in line for line in froms[1:]), froms


def test_the_second_edit_of_the_entry_module_goes_on_from_a_snapshot() -> None:
    with Instance(FILES) as app:
        settled(app)
        froms = []
        for number in range(1, 4):
            froms.append(edit(app, "wsgi.py", WSGI.replace('"e0"', f'"e{number}"')))
            assert ask(app)[4] == f"e{number}"
        assert "from behind" in froms[1] and "from behind" in froms[2], froms


@pytest.mark.parametrize("files, relpath, option", (
    ({**FILES, "wsgi.py": "from entry import application\n", "entry.py": WSGI}, "second.py", "wsgi-file = wsgi.py"),
    ({**FILES, "entry.py": WSGI}, "second.py", "mount = /=entry.py"),
    ({**FILES, "entry.py": WSGI}, "second.py", "mount = /=entry:application"),
), ids=("wsgi-file", "mount of a file", "mount of a module"))  # fmt: skip
def test_other_ways_to_name_the_application(files: dict, relpath: str, option: str) -> None:
    ini = [option] if "wsgi-file" in option else [option, "manage-script-name = true"]
    with Instance(files, application=("plugin = python3", *ini)) as app:
        settled(app)
        for number in range(1, 4):
            start = edit(app, relpath, value(f"new{number}"))
            assert ask(app)[2] == f"new{number}"
            assert "from behind" in start or number == 1, start
        entry = "entry.py" if "entry.py" in files else "wsgi.py"
        for number in range(1, 4):
            edit(app, entry, WSGI.replace('"e0"', f'"e{number}"'))
            assert ask(app)[4] == f"e{number}"


def test_edits_of_two_files_in_turn_go_on_from_two_snapshots() -> None:
    with Instance(FILES) as app:
        settled(app)
        froms = []
        for number in range(1, 9):
            relpath = ("second.py", "late.py")[number % 2]
            froms.append(edit(app, relpath, value(f"new{number}")))
            answer = ask(app)
            assert f"new{number}" in answer and (number == 1 or f"new{number - 1}" in answer)
        assert all("from behind" in line for line in froms[3:]), froms


def test_an_edit_of_what_the_snapshot_has_read_is_served() -> None:
    with Instance(FILES) as app:
        settled(app)
        for number in range(1, 13):
            relpath = random.Random(number).choice(EDITABLE)
            edit(app, relpath, value(f"new{number}"))
            assert f"new{number}" in ask(app), relpath


def test_a_slow_beginning_is_waited_for_once() -> None:
    files = {**FILES, "settings.py": 'import time\ntime.sleep(2)\nVALUE = "s0"\n'}
    with Instance(files) as app:
        settled(app)
        edit(app, "second.py", value("new1"))
        first = took_ms(app)
        edit(app, "second.py", value("new2"))
        second = took_ms(app)
        assert ask(app)[2] == "new2"
        print(f"first edit {first} ms, second {second} ms")
        assert first >= 2000 and second * 5 < first, (first, second)


# Their number.


@pytest.mark.parametrize("most", (0, 1, 3))
def test_no_more_are_frozen_than_the_option_says(most: int) -> None:
    files = {**FILES, **{f"m{n}.py": value("0") for n in range(6)}}
    files["wsgi.py"] = "".join(f"import m{n}\n" for n in range(6)) + WSGI
    with Instance(files, fastreload=[f"snapshots = {most}"]) as app:
        settled(app)
        for number in range(6):  # In the order of their import: each goes on from before the one before.
            edit(app, f"m{number}.py", value(f"new{number}"))
            app.wait(lambda: len(workers_of(app)) == 2, 5, "the old workers are gone")
            frozen(app, min(most, number + 1))
        assert ("from behind" in edit(app, "m5.py", value("again"))) == (most > 0)
        # Those that have read what was edited are of no use any more, and go.
        assert "from the beginning" in edit(app, "m0.py", value("again"))
        app.wait(lambda: len(workers_of(app)) == 2, 5, "the old workers are gone")
        frozen(app, min(most, 1))


# What cannot be frozen.

THREAD = "import threading, time\nthread = threading.Thread(target=time.sleep, args=(1000,), daemon=True)\nthread.start()\n"
UNFREEZABLE: dict[str, tuple[str, str]] = {
    "a thread": (THREAD, "threads"),
    "a socket": ("import socket\nkept = socket.socket()\n", "connections"),
    "a pair of sockets": ("import socket\nkept = socket.socketpair()\n", "connections"),
    "a pipe": ("import os\nkept = os.pipe()\n", "connections"),
    "an epoll": ("import select\nkept = select.epoll()\n", "connections"),
    "a file that is read": ("kept = open('first.py')\n", "file"),
    "a file that is read and written": ("import tempfile\nkept = tempfile.TemporaryFile()\n", "file"),
    "a database": ("import sqlite3\nkept = sqlite3.connect('data.sqlite3')\nkept.execute('create table if not exists t(a)')\n", "SQLite"),
    "shared memory": ("import mmap\nkept = mmap.mmap(-1, 4096)\n", "shares memory"),
    "a lock of multiprocessing": ("import multiprocessing\nkept = multiprocessing.Lock()\n", "shares memory"),
    "an event loop": ("import asyncio\nkept = asyncio.new_event_loop()\n", "connections"),
    "another program": ("import subprocess\nsubprocess.check_output(['cat', 'settings.py'])\n", "other programs"),
    "a program in a shell": ("import os\nos.system('true')\n", "other programs"),
    "a function of C": ("import ctypes\nctypes.CDLL(None).getpid()\n", "by hand"),
}


@pytest.mark.parametrize("what", UNFREEZABLE)
def test_what_cannot_be_copied_is_named_and_never_frozen(what: str) -> None:
    text, reason = UNFREEZABLE[what]
    with Instance({**FILES, "first.py": text + value("f0")}, ini=["enable-threads = true"]) as app:
        settled(app)
        for number in range(1, 4):
            assert edit(app, "second.py", value(f"new{number}")) == "from the beginning"
            assert ask(app)[2] == f"new{number}"
            frozen(app, 0)
        app.wait(lambda: app.log.count(NO_SHORT_CUT), 3, "it is said why")
        assert reason in NO_SHORT_CUT.search(app.log.matching(NO_SHORT_CUT)[-1]).group(1)


def test_sqlite_that_stays_open_is_right() -> None:
    text = "import sqlite3\nkept = sqlite3.connect('data.sqlite3', check_same_thread=False)\nkept.execute('create table if not exists t(a)')\nkept.commit()\n"
    with Instance({**FILES, "first.py": text + value("f0")}) as app:
        settled(app)
        for number in range(1, 4):
            edit(app, "second.py", value(f"new{number}"))
            assert ask(app)[2] == f"new{number}"
            assert ask(app, "first.kept.execute('select(count(*))from(t)').fetchone()[0]") == 0


def test_what_is_opened_and_closed_again_can_be_frozen() -> None:
    text = "import logging, os, threading\nlogging.getLogger().addHandler(logging.FileHandler('../log'))\nr, w = os.pipe()\nos.close(r)\nos.close(w)\nt = threading.Thread(target=int)\nt.start()\nt.join()\ndel t\n"
    with Instance({**FILES, "first.py": text + value("f0")}, ini=["enable-threads = true"]) as app:
        settled(app)
        edit(app, "second.py", value("new1"))
        assert "from behind" in edit(app, "second.py", value("new2"))


# As pandas, GeoDjango and pywatchman do while they are imported.
HARMLESS = {
    "ctypes": "import ctypes\n",
    "a library of C": "import ctypes\nctypes.CDLL('libc.so.6')\n",
    "platform": "import platform\nplatform.processor()\n",
    "OpenSSL": "import ssl\ncontext = ssl.create_default_context()\n",
    "XML": "import xml.etree.ElementTree\nxml.etree.ElementTree.fromstring('<a/>')\n",
    "a library's name": "import ctypes.util\nctypes.util.find_library('c')\n",
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_reads_nothing_of_the_project_does_not_stand_in_the_way(what: str) -> None:
    with Instance({**FILES, "first.py": HARMLESS[what] + value("f0")}) as app:
        settled(app)
        edit(app, "second.py", value("new1"))
        assert "from behind" in edit(app, "second.py", value("new2"))
        assert ask(app)[2] == "new2"


def test_with_lazy_apps_and_a_thread_each_worker_loads_itself() -> None:
    ini = ["lazy-apps = true", "enable-threads = true"]
    with Instance({**FILES, "first.py": THREAD + value("f0")}, ini=ini, workers=3) as app:
        settled(app)
        for number in range(1, 4):
            edit(app, "second.py", value(f"new{number}"))
            app.wait(lambda: len(workers_of(app)) == 3, 5, "the old workers are gone")
            answers = ask_all(app, "[first.thread.is_alive(),second.VALUE,len(os.listdir('/proc/self/task'))]", 3)
            assert len(answers) == 3 and all(a[0] and a[1] == f"new{number}" and a[2] > 1 for a in answers.values()), answers
        assert "threads" in app.log.matching(EACH_ITSELF)[0] and app.log.count(EACH_ITSELF) == 1


def test_a_thread_of_the_application_is_alive_after_a_reload_if_it_was_before() -> None:
    """Without lazy-apps workers are forked after the load, as in uWSGI itself: at the start and ever after."""
    with Instance({**FILES, "first.py": THREAD + value("f0")}, ini=["enable-threads = true"], workers=2) as app:
        settled(app)
        query = "len(os.listdir('/proc/self/task'))"
        before = set(ask_all(app, query, 2).values())
        edit(app, "second.py", value("new1"))
        app.wait(lambda: len(workers_of(app)) == 2, 5, "the old workers are gone")
        assert set(ask_all(app, query, 2).values()) == before


# What is outside the watched folders, and what leaves no event.


def library(app: Instance) -> Path:
    """Gives the instance a folder of installed packages, which is not watched."""
    folder = app.base / "site-packages"
    folder.mkdir()
    app.env["PYTHONPATH"] = str(folder)
    return folder


OPTIONAL = "try:\n    from dependency import VALUE\nexcept ImportError:\n    VALUE = 'none'\n"


def put(path: Path, text: str) -> None:
    """Writes a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


INSTALLS: dict[str, tuple[dict[str, str], Callable[[Path], object], str]] = {
    "an upgrade in place": ({"dependency.py": value("1")}, lambda at: put(at / "dependency.py", value("new")), "new"),
    "an upgrade of a package": (
        {"dependency/__init__.py": "from dependency.inner import VALUE\n", "dependency/inner.py": value("1")},
        lambda at: put(at / "dependency/inner.py", value("new")),
        "new",
    ),
    "a removal": ({"dependency.py": value("1")}, lambda at: (at / "dependency.py").unlink(), "none"),
    "an installation": ({}, lambda at: put(at / "dependency.py", value("new")), "new"),
    "a package instead of a module": (
        {"dependency.py": value("1")},
        lambda at: put(at / "dependency/__init__.py", value("new")),
        "new",
    ),
    "the same size and time": (
        {"dependency.py": value("1")},
        lambda at: (put(at / "dependency.py", value("2")), os.utime(at / "dependency.py", (1000000000, 1000000000))),
        "2",
    ),
}


@pytest.mark.parametrize("what", INSTALLS)
def test_the_next_reload_after_an_installation_is_right(what: str) -> None:
    before, install, after = INSTALLS[what]
    app = Instance({**FILES, "first.py": OPTIONAL})
    folder = library(app)
    if what == "the same size and time":
        app.env["PYTHONDONTWRITEBYTECODE"] = "1"  # Python's own caches do not see it either.
    for relpath, text in before.items():
        put(folder / relpath, text)
        os.utime(folder / relpath, (1000000000, 1000000000))
    with app:
        settled(app)
        edit(app, "second.py", value("new1"))
        assert "from behind" in edit(app, "second.py", value("new2"))
        install(folder)
        edit(app, "second.py", value("new3"))
        assert ask(app)[1:3] == [after, "new3"]
        edit(app, "second.py", value("new4"))
        assert ask(app)[1:3] == [after, "new4"]


def retarget(app: Instance) -> None:
    os.symlink("b.txt", app.path("link.new"))
    os.rename(app.path("link.new"), app.path("link.txt"))


READS: dict[str, tuple[str, Callable[[Instance], object], object]] = {
    "a file's text": ("VALUE = open('a.txt').read()\n", lambda app: put(app.path("a.txt"), "new"), "new"),
    "a missing file": (
        "import os\ntry:\n    VALUE = open('missing.txt').read()\nexcept OSError:\n    VALUE = None\n",
        lambda app: put(app.path("missing.txt"), "new"),
        "new",
    ),
    "a missing file in a folder that nobody listed": (
        "try:\n    VALUE = open('hidden/missing.txt').read()\nexcept OSError:\n    VALUE = None\n",
        lambda app: put(app.path("hidden/missing.txt"), "new"),
        "new",
    ),
    "a folder": ("import os\nVALUE = len(os.listdir('hidden'))\n", lambda app: put(app.path("hidden/c.txt"), ""), 2),
    "a folder by pathlib": (
        "import pathlib\nVALUE = len(list(pathlib.Path('hidden').iterdir()))\n",
        lambda app: put(app.path("hidden/c.txt"), ""),
        2,
    ),
    "a folder that is excluded": (
        "import os\nVALUE = len(os.listdir('excluded'))\n",
        lambda app: put(app.path("excluded/c.txt"), ""),
        2,
    ),
    "a link": ("VALUE = open('link.txt').read()\n", retarget, "b"),
    "a file opened for both": ("VALUE = open('a.txt', 'r+').read()\n", lambda app: put(app.path("a.txt"), "new"), "new"),
    "a size": ("import os\nVALUE = os.path.getsize('a.txt')\n", lambda app: put(app.path("a.txt"), "longer"), 6),
    "a flag": ("import os\nVALUE = os.path.exists('hidden/flag')\n", lambda app: put(app.path("hidden/flag"), ""), True),
    "a flag by pathlib": ("import pathlib\nVALUE = pathlib.Path('hidden/flag').exists()\n", lambda app: put(app.path("hidden/flag"), ""), True),
    "a time": (
        "import pathlib\nVALUE = int(pathlib.Path('a.txt').stat().st_mtime)\n",
        lambda app: os.utime(app.path("a.txt"), (1000, 1000)),
        1000,
    ),
    "where a link leads": ("import os\nVALUE = os.readlink('link.txt')\n", retarget, "b.txt"),
    "another program's output": (
        "import subprocess\nVALUE = subprocess.check_output(['cat', 'a.txt']).decode()\n",
        lambda app: put(app.path("a.txt"), "new"),
        "new",
    ),
    "a database": (
        "import sqlite3\nc = sqlite3.connect('data.db')\nVALUE = c.execute('select max(a) from t').fetchone()[0]\nc.close()\n",
        lambda app: add_row(app, 2),
        2,
    ),
}


def add_row(app: Instance, number: int) -> None:
    import sqlite3

    connection = sqlite3.connect(app.path("data.db"))
    connection.execute("create table if not exists t(a)")
    connection.execute("insert into t values(?)", (number,))
    connection.commit()
    connection.close()


@pytest.mark.parametrize("what", READS)
def test_what_the_snapshot_has_read_is_read_anew_when_it_has_changed(what: str) -> None:
    """None of these is a counted file: the change alone reloads nothing, but the next reload must see it."""
    text, change, after = READS[what]
    files = {**FILES, "first.py": text, "a.txt": "a", "b.txt": "b", "hidden/a.txt": "a", "excluded/a.txt": "a"}
    app = Instance(files, fastreload=["exclude = excluded/"])
    os.symlink("a.txt", app.path("link.txt"))
    add_row(app, 1)
    with app:
        settled(app)
        edit(app, "second.py", value("new1"))
        edit(app, "second.py", value("new2"))
        change(app)
        edit(app, "second.py", value("new3"))
        assert ask(app)[1:3] == [after, "new3"]


COUNTED: dict[str, tuple[str, str]] = {
    "read by another program": ("import subprocess\nVALUE = subprocess.check_output(['cat', '{}']).decode().strip()\n", "data.yaml"),
    "read by os.system": ("import os\nVALUE = os.popen('cat {}').read().strip()\n", "data.ini"),
    "run by another Python": (
        "import subprocess\nVALUE = subprocess.check_output(['/usr/bin/python3', '{}']).decode().strip()\n",
        "tool.py",
    ),
    "read by C": (
        "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.fopen.restype = ctypes.c_void_p\nbuffer = ctypes.create_string_buffer(99)\n"
        "stream = ctypes.c_void_p(libc.fopen(b'{}', b'r'))\nlibc.fgets(buffer, 99, stream)\nlibc.fclose(stream)\nVALUE = buffer.value.decode().strip()\n",
        "data.conf",
    ),
    "executed": ("space = {{}}\nexec(open('{}').read(), space)\nVALUE = space['VALUE']\n", "snippet.py"),
    "run as a path": ("import runpy\nVALUE = runpy.run_path('{}')['VALUE']\n", "snippet.py"),
    "imported by its path": (
        "import importlib.util\nspec = importlib.util.spec_from_file_location('odd', '{}')\nodd = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(odd)\nVALUE = odd.VALUE\n",
        "snippet.py",
    ),
}


@pytest.mark.parametrize("what", COUNTED)
def test_an_edit_of_a_counted_file_is_served_however_the_application_reads_it(what: str) -> None:
    text, name = COUNTED[what]

    def content(number: int) -> str:
        return f"print('n{number}')\n" if name == "tool.py" else value(f"n{number}") if name.endswith(".py") else f"n{number}\n"

    with Instance({**FILES, "first.py": text.format(name), name: content(0)}) as app:
        settled(app)
        edit(app, "second.py", value("new1"))
        edit(app, "second.py", value("new2"))
        for number in range(1, 4):
            edit(app, name, content(number))
            assert ask(app)[1] == f"n{number}"


# Read when the first request comes, and kept: as Django keeps its templates.
LATE_PAGE = """\
import os
import settings
import first
import second
pages = {}


def application(environ, start_response):
    import json
    if "page" not in pages:
        with open("templates/page.yaml") as file:
            pages["page"] = file.read().strip()
    body = [settings.VALUE, first.VALUE, second.VALUE, pages["page"]]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([os.getpid(), body]).encode()]
"""
# A library in C that opens the file itself, and that Python tells nothing of.
READ_BY_C = """\
import readline
try:
    readline.read_history_file("templates/{}")
    VALUE = readline.get_history_item(1)
except OSError:
    VALUE = "nothing"
"""


@pytest.mark.parametrize("how", ("inplace", "atomic"))
def test_the_second_edit_of_a_file_that_is_read_late_loads_nothing_again(how: str) -> None:
    with Instance({**FILES, "wsgi.py": LATE_PAGE, "templates/page.yaml": "p0\n"}) as app:
        settled(app)
        edit(app, "second.py", value("new1"))
        edit(app, "second.py", value("new2"))
        before = edit(app, "second.py", value("new3"))
        froms = []
        for number in range(1, 4):
            froms.append(edit(app, "templates/page.yaml", f"p{number}\n", how))
            assert ask(app)[2:] == ["new3", f"p{number}"]
        assert froms[0] == before, "from where the last edited module was frozen"
        assert froms[1] == froms[2] != before
        edit(app, "second.py", value("new4"))
        assert ask(app)[2:] == ["new4", "p3"]


@pytest.mark.parametrize("relpath", ("first.py", "second.py"))
def test_an_edit_of_what_a_library_in_c_has_read_is_served(relpath: str) -> None:
    files = {**FILES, "wsgi.py": LATE_PAGE, relpath: READ_BY_C.format("data.yaml"), "templates/data.yaml": "d0\n", "templates/page.yaml": "p0\n"}
    with Instance(files) as app:
        settled(app)
        for number in range(1, 4):
            for name, text in (("page.yaml", f"p{number}"), ("page.yaml", f"q{number}"), ("data.yaml", f"d{number}")):
                edit(app, "templates/" + name, text + "\n")
                assert text in ask(app)


def test_a_file_that_a_library_in_c_has_looked_for_in_vain_is_served_when_it_comes() -> None:
    with Instance({**FILES, "wsgi.py": LATE_PAGE, "first.py": READ_BY_C.format("later.yaml"), "templates/page.yaml": "p0\n"}) as app:
        settled(app)
        edit(app, "templates/page.yaml", "p1\n")
        edit(app, "templates/page.yaml", "p2\n")
        edit(app, "templates/later.yaml", "here\n")
        assert ask(app)[1] == "here"
        edit(app, "templates/later.yaml", "again\n")
        assert ask(app)[1] == "again"


def test_a_file_that_a_library_in_c_has_read_by_another_name_is_served() -> None:
    files = {**FILES, "wsgi.py": LATE_PAGE, "first.py": READ_BY_C.format("../../outside.yaml"), "templates/data.yaml": "d0\n", "templates/page.yaml": "p0\n"}
    app = Instance(files)
    os.link(app.path("templates/data.yaml"), app.path("../outside.yaml"))
    with app:
        settled(app)
        edit(app, "templates/page.yaml", "p1\n")
        edit(app, "templates/page.yaml", "p2\n")
        edit(app, "templates/data.yaml", "d1\n")
        assert ask(app)[1] == "d1"


@pytest.mark.xfail(reason="two saves of one length within a second, and sys.pycache_prefix set by the application")
def test_a_cache_of_bytecode_elsewhere_hides_no_edit() -> None:
    files = {**FILES, "wsgi.py": "import sys\nsys.pycache_prefix = sys.path[0] + '/../caches'\n" + WSGI}
    with Instance(files) as app:
        settled(app)
        for number in range(1, 9):
            relpath = ("first.py", "second.py")[number % 2]
            edit(app, relpath, value(f"new{number}"))
            assert f"new{number}" in ask(app), relpath


# The frozen processes.


def listening_inodes(port: int) -> set[str]:
    """Returns the inodes of the sockets that listen on a TCP port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}


def holders(inodes: set[str], pids: Sequence[int]) -> list[int]:
    """Returns the processes that have one of those sockets."""
    found = []
    for pid in pids:
        links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
        if inodes & set(links):
            found.append(pid)
    return found


def two_frozen(app: Instance) -> list[int]:
    """Makes two snapshots, the second of which has been used."""
    for number, relpath in enumerate(("second.py", "late.py", "late.py")):
        edit(app, relpath, value(f"frozen{number}"))
    app.wait(lambda: len(workers_of(app)) == 2, 5, "the old workers are gone")
    return frozen(app, 2)


def test_what_the_plugin_asks_about_a_module_is_not_among_what_the_application_has_read() -> None:
    with Instance(FILES) as app:
        settled(app)
        starts = [edit(app, relpath, value(f"new{number}")) for number, relpath in enumerate(("second.py", "second.py", "late.py", "late.py"))]
        behind = [int(match.group()) for start in starts if (match := re.search(r"\d+", start))]
        # second.py itself had not been read when its snapshot was made, but has been in that of late.py.
        assert len(behind) == 3 and behind[0] == behind[1] < behind[2], starts


def test_one_copy_is_ready_for_the_next_load_of_what_was_edited_last() -> None:
    with Instance(FILES) as app:
        settled(app)
        for number, relpath in enumerate(("second.py", "late.py", "second.py")):
            edit(app, relpath, value(f"new{number}"))
            app.wait(lambda: len(standbys(app)) == 1, 5, "one stands by")
            keeper = Path(f"/proc/{standbys(app)[0]}/stat").read_text().split()[3]
            assert int(keeper) in others(app)
        ready = standbys(app)
        assert "from behind" in edit(app, "second.py", value("again"))
        assert not any(process_name(pid) == "fastreload-wait" for pid in ready), "it went on"


def test_at_rest_nobody_stands_by() -> None:
    """Its memory is given back when a minute has passed without an edit, and the next edit goes on from the same place."""
    with Instance(FILES) as app:
        settled(app)
        for number in (1, 2):
            edit(app, "second.py", value(f"a{number}"))
            app.wait(lambda: len(standbys(app)) == 1, 5, "one stands by")
            keepers = others(app)
            app.wait(lambda: not standbys(app), 90, "a minute later it does not")
            assert others(app) == keepers
            assert "from behind" in edit(app, "second.py", value(f"b{number}"))
            assert ask(app)[2] == f"b{number}"
            app.wait(lambda: len(standbys(app)) == 1, 5, "one stands by again")


# What follows an edited module is compiled before it is needed.

# What is made of a source that is compiled.
REWRITES = """\
from importlib.machinery import SourceFileLoader
plain = SourceFileLoader.source_to_code
def rewrite(self, data, path, **options):
    return plain(self, data.replace(b"x0", b"y0"), path, **options)
"""


def ready_ahead(app: Instance) -> None:
    """Edits first.py until a copy stands by that has compiled what follows it, files that are older than a moment."""
    newest = max(path.stat().st_ctime for path in app.base.rglob("second*"))
    app.wait(lambda: time.time() > newest + 2.5, 5, "the files are of a settled age")
    for _ in range(2):
        edit(app, "first.py", "import settings\n" + value(f"f{time.monotonic_ns()}"))
        app.wait(lambda: len(standbys(app)) == 1, 5, "one stands by")
    app.wait(lambda: process_state(standbys(app)[0]) == "S", 5, "it waits")
    settled(app)


@contextlib.contextmanager
def opened_below(app: Instance) -> Iterator[list[str]]:
    """Yields a list to which the files are added, in the end, that anybody has opened in the application's folders."""
    names: list[str] = []
    command = ["inotifywait", "--monitor", "--recursive", "--event", "open", "--format", "%w%f", str(app.app)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        for line in watcher.stderr:
            if "Watches established" in line:
                break
        try:
            yield names
        finally:
            watcher.terminate()
            names += watcher.stdout.read().splitlines()


@pytest.mark.skipif(not shutil.which("inotifywait"), reason="there is no inotifywait")
@pytest.mark.parametrize("env", ({}, {"PYTHONDONTWRITEBYTECODE": "1"}), ids=("with-bytecode", "without"))
@pytest.mark.parametrize("has_hook", (False, True), ids=("", "audit-hook"))
def test_what_follows_an_edited_module_is_not_read_again(env: dict[str, str], has_hook: bool) -> None:
    # Without that module nobody could tell whether a source says something when it is compiled.
    settings = "import warnings\n" + ("import sys\nsys.addaudithook(lambda event, args: None)\n" if has_hook else "")
    app = Instance({**FILES, "settings.py": settings + value("s0")}, ready=False)
    app.env.pop("PYTHONDONTWRITEBYTECODE", None)
    app.env.update(env)
    with app:
        settled(app)
        ready_ahead(app)
        with opened_below(app) as names:
            assert "from behind" in edit(app, "first.py", "import settings\n" + value("edited"))
        assert ask(app) == ["s0", "edited", "x0", "l0", "e0"]
        # An application that listens to what is opened shall hear of what it opens, and when it does.
        assert any("second" in name for name in names) is has_hook, names
        assert ask(app, "'get_code'in(__import__('importlib')._bootstrap_external.SourceFileLoader.__dict__)") is False


def test_what_was_compiled_ahead_and_has_changed_is_compiled_again() -> None:
    with Instance(FILES) as app:
        settled(app)
        ready_ahead(app)
        path = app.app / "second.py"
        before = path.stat()
        assert "from behind" in edit(app, "second.py", "import first\n" + value("x1"))
        assert ask(app)[2] == "x1"
        ready_ahead(app)
        # The same size, and the time that it had.
        path.write_text("import first\n" + value("x2"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        edit(app, "first.py", "import settings\n" + value("both"))
        app.wait(lambda: ask(app)[1:3] == ["both", "x2"], 5, "both edits are served", lambda: f"{ask(app)}\n{app.log.tail()}")


def test_the_traceback_of_what_follows_shows_nothing_of_the_plugin() -> None:
    with Instance(FILES) as app:
        settled(app)
        ready_ahead(app)
        edit(app, "second.py", "import first\nbroken(\n")
        text = "\n".join(app.log.refresh().lines)
        assert "second.py" in text and '"<string>"' not in text and "get_code" not in text


@pytest.mark.parametrize("freezes", ("", "import gc\ngc.freeze()\n"), ids=("", "freezes-objects-itself"))
@pytest.mark.parametrize("relpath", ("settings.py", "second.py"))
def test_the_collector_of_garbage_is_left_as_it_was(freezes: str, relpath: str) -> None:
    files = {**FILES, "wsgi.py": "import gc\n" + WSGI}
    files[relpath] = freezes + files[relpath]
    with Instance(files) as app:
        settled(app)
        for number in range(4):
            assert (ask(app, "gc.get_freeze_count()") > 0) == bool(freezes)
            assert ask(app, "type(gc.freeze).__name__") == "builtin_function_or_method"
            edit(app, "first.py", "import settings\n" + value(f"edit {number}"))


@pytest.mark.parametrize("sets", ("", "gc.set_threshold(900, 11, 12)\n"), ids=("", "sets-its-own"))
@pytest.mark.parametrize("relpath", ("settings.py", "second.py"))
def test_the_threshold_of_the_collector_is_what_it_would_be(sets: str, relpath: str) -> None:
    files = {**FILES, "wsgi.py": "import gc\nSEEN = gc.get_threshold()\n" + WSGI}
    files[relpath] = "import gc\n" + sets + files[relpath]
    with Instance(files) as app:
        settled(app)
        for number in range(4):
            seen, now = ask(app, "[SEEN,gc.get_threshold()]")
            assert 0 < seen[0] <= 2000
            assert now == ([900, 11, 12] if sets else seen)
            assert ask(app, "type(gc.get_threshold).__name__") == "builtin_function_or_method"
            edit(app, "first.py", "import settings\n" + value(f"edit {number}"))


def test_garbage_that_holds_a_connection_does_not_stand_in_the_way() -> None:
    garbage = "import socket\nclass Ring:\n    pass\nring = Ring()\nring.itself = ring\nring.socket = socket.socket()\ndel ring\n"
    with Instance({**FILES, "settings.py": garbage + 'VALUE = "s0"\n'}) as app:
        settled(app)
        edit(app, "second.py", value("new1"))
        assert "from behind" in edit(app, "second.py", value("new2"))


def test_an_application_that_changes_how_modules_are_compiled_has_its_way() -> None:
    settings = REWRITES + "SourceFileLoader.source_to_code = rewrite\nimport sys\nsys.dont_write_bytecode = True\n" + value("s0")
    late = REWRITES + "SourceFileLoader.source_to_code = rewrite\nimport settings\n"
    for files in {**FILES, "settings.py": settings}, {**FILES, "first.py": late + value("f0")}:
        app = Instance(files, ready=False)
        app.env["PYTHONDONTWRITEBYTECODE"] = "1"
        with app:
            settled(app)
            assert ask(app)[2] == "y0"
            text = files["first.py"]
            for number in range(4):
                app.wait(lambda: time.time() > (app.app / "second.py").stat().st_ctime + 2.5, 5, "the files are of a settled age")
                edit(app, "first.py", text + f"N = {number}\n")
                app.wait(lambda: len(standbys(app)) == 1, 5, "one stands by")
                assert ask(app)[2] == "y0"


# Each takes a while of a processor's time.
BURN = "import time\nend = time.process_time() + 0.15\nwhile time.process_time() < end:\n    pass\n"
SLOW = {
    **FILES,
    "wsgi.py": "import package\n" + WSGI,
    "package/__init__.py": BURN,
    "settings.py": BURN + value("s0"),
    "first.py": "import settings\n" + BURN + value("f0"),
}


def on_the_way(app: Instance, count: int = 2) -> None:
    """Waits until so many are frozen on the way, and nobody loads."""
    names = ["fastreload-snap"] * count
    app.wait(lambda: list(map(process_name, others(app))) == names, 10, f"{count} are frozen on the way", lambda: f"{others(app)}\n{app.log.tail()}")


@pytest.mark.parametrize("relpath, start", (("second.py", "behind"), ("first.py", "behind"), ("settings.py", "behind"), ("package/__init__.py", "beginning"), ("late.py", "behind")))
def test_the_first_edit_of_a_slow_application_goes_on_from_what_was_frozen_on_the_way(relpath: str, start: str) -> None:
    with Instance(SLOW) as app:
        on_the_way(app)
        text = {"settings.py": BURN, "first.py": "import settings\n" + BURN}.get(relpath, "") + value("edited")
        assert f"from {'the ' if start == 'beginning' else ''}{start}" in edit(app, relpath, text)
        assert ask(app) == ["edited" if f"{name}.py" == relpath else old for name, old in zip(("settings", "first", "second", "late"), ("s0", "f0", "x0", "l0"))] + ["e0"]
        assert "from behind" in edit(app, relpath, text + "AGAIN = 1\n")


def test_a_new_file_is_found_and_all_that_was_frozen_on_the_way_is_frozen_anew() -> None:
    with Instance(SLOW) as app:
        on_the_way(app)
        before = others(app)
        assert "from the beginning" in edit(app, "added.py", "N = 1\n")
        on_the_way(app)
        assert not set(before) & set(others(app))
        assert "from behind" in edit(app, "second.py", "import added\n" + value("new1"))
        assert ask(app)[2] == "new1"


@pytest.mark.parametrize("option, least", (("snapshots = 0", 0), ("snapshots = 1", 2)))
def test_what_is_quick_or_unwanted_is_not_frozen_on_the_way(option: str, least: int) -> None:
    with Instance(SLOW, fastreload=[option]) as app, Instance(FILES) as quick:
        quick.wait_quiet(1.0)
        app.wait(lambda: len(others(app)) == least, 10, f"{least} are frozen")
        assert not others(quick)


# The first generation.

NOTE = "import os\nwith open(os.environ['LOADS'], 'a') as file:\n    file.write('x')\n"
LEFT_TO_UWSGI = re.compile(r"\[fastreload\] (.*): uWSGI starts the workers, and each loads it itself")


def noting(files: dict[str, str], **options: object) -> tuple[Instance, Path]:
    """Returns an instance that is not started, and the file to which each load adds a letter."""
    app = Instance(files, ready=False, **options)
    app.env["LOADS"] = str(app.base / "loads")
    return app, app.base / "loads"


@pytest.mark.parametrize("ini", ((), ("lazy-apps = true",), ("need-app = true",)), ids=("preforked", "lazy-apps", "need-app"))
def test_the_first_workers_are_loaded_once_and_have_the_first_slots(ini: Sequence[str]) -> None:
    app, loads = noting({**FILES, "first.py": NOTE + value("f0")}, workers=3, ini=ini)
    with app:
        app.wait_ready()
        answers = ask_all(app, "[first.VALUE,__import__('uwsgi').worker_id(),__import__('uwsgi').numproc]", 3)
        assert sorted(answers.values()) == [["f0", wid, 3] for wid in (1, 2, 3)]
        assert loads.read_text() == "x"
        assert sorted(answers) == sorted(workers_of(app))
        edit(app, "late.py", value("l1"))
        assert ask(app)[3] == "l1"
        assert loads.read_text() == "xx"


@pytest.mark.parametrize("name, text, loads_of_it", (("page.yaml", value("s0"), "x"), ("data.yaml", READ_BY_C.format("data.yaml"), "xx")), ids=("read late", "read by C"))
def test_the_first_edit_of_a_data_file_goes_on_from_behind_what_has_not_read_it(name: str, text: str, loads_of_it: str) -> None:
    files = {**SLOW, "wsgi.py": "import package\n" + LATE_PAGE, "settings.py": NOTE + BURN + text, "templates/page.yaml": "p0\n", "templates/data.yaml": "d0\n"}
    large = {f"{folder}/{number}.yaml": "" for folder in ("before", "templates", "within") for number in range(100)}
    app, loads = noting({**files, **large})
    for path in large:
        os.truncate(app.path(path), 1 << 20)  # The plugin itself takes a while to read them.
    with app:
        app.wait_ready()
        on_the_way(app)
        edit(app, f"templates/{name}", "edited\n")
        assert "edited" in ask(app)
        assert loads.read_text() == loads_of_it


def test_saves_during_the_first_load_are_served() -> None:
    with Instance(SLOW, ready=False) as app:
        app.wait(lambda: any(process_name(pid) == "fastreload-load" for pid in others(app)), 10, "it loads")
        for number in range(4):
            edit(app, "second.py", value(f"new{number}"))
            assert ask(app)[2] == f"new{number}"
        app.wait(lambda: len(workers_of(app)) == 2, 5, "the old workers are gone")
        assert {wid for wid in ask_all(app, "__import__('uwsgi').worker_id()", 2).values()} <= set(range(1, 9))


def test_what_does_not_load_at_the_start_is_mended_by_a_save() -> None:
    with Instance({**FILES, "second.py": "broken(\n"}, ready=False) as app:
        app.wait(lambda: app.try_get() is not None, 10, "it answers")
        assert app.get().status == 500
        assert app.log.count(re.compile("^SyntaxError")) == 1
        edit(app, "second.py", value("mended"))
        assert ask(app)[2] == "mended"
        app.wait(lambda: len(workers_of(app)) == 2, 5, "the old workers are gone")


EXITS = "import os\nif not os.path.exists('stop'):\n    os._exit(7)\n"


def test_an_application_that_ends_its_process_at_the_start_is_left_to_uwsgi() -> None:
    with Instance({**FILES, "first.py": EXITS + value("f0")}, ready=False) as app:
        app.wait(lambda: app.log.count(LEFT_TO_UWSGI), 10, "uWSGI starts the workers")
        assert "code 7" in app.log.matching(LEFT_TO_UWSGI)[0]
        app.wait(lambda: app.log.count(re.compile("DAMN ! worker")), 10, "it respawns them, as it does")
        app.path("stop").write_text("")
        app.wait(lambda: app.try_get() is not None, 15, "it answers")
        assert ask(app)[1] == "f0"
        app.wait(lambda: len(workers_of(app)) == 2, 15, "both are there")
        edit(app, "first.py", value("f1"))
        assert ask(app)[1] == "f1"


def test_workers_that_are_left_to_uwsgi_serve_though_their_slots_awaited_candidates() -> None:
    """The first load ends the process, and the next one does not: as with a database that is only just being started."""
    once = "import os\nfrom pathlib import Path\nif not Path(os.environ['HOME'], 'once').exists():\n    Path(os.environ['HOME'], 'once').write_text('')\n    os._exit(7)\n"
    with Instance({**FILES, "first.py": once + value("f0")}, ready=False) as app:
        app.wait(lambda: app.log.count(LEFT_TO_UWSGI), 10, "uWSGI starts the workers")
        app.wait(lambda: app.try_get() is not None, 15, "it answers")
        assert ask(app)[1] == "f0"
        edit(app, "first.py", value("f1"))
        assert ask(app)[1] == "f1"


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM), ids=("SIGINT", "SIGTERM"))
def test_an_instance_that_ends_while_it_loads_leaves_nobody_behind(number: int) -> None:
    with Instance({**FILES, "first.py": "import time\ntime.sleep(30)\n" + value("f0")}, ready=False, ini=["die-on-term = true"]) as app:
        app.wait(lambda: any(process_name(pid) == "fastreload-load" for pid in others(app)), 10, "it loads")
        family = descendants_of(app.master_pid)
        os.kill(app.master_pid, number)
        app.wait(lambda: app.process.poll() is not None, 10, "the master has ended")
        wait_until(lambda: not any(process_state(pid) not in ("Z", "X", "") for pid in family), 10, "the others have ended, too", app.log.tail)


def test_the_first_loader_goes_when_the_master_is_killed() -> None:
    with Instance({**FILES, "first.py": "import time\ntime.sleep(30)\n" + value("f0")}, ready=False) as app:
        app.wait(lambda: any(process_name(pid) == "fastreload-load" for pid in others(app)), 10, "it loads")
        family = descendants_of(app.master_pid)
        os.kill(app.master_pid, signal.SIGKILL)
        wait_until(lambda: not any(process_state(pid) not in ("Z", "X", "") for pid in family), 10, "nobody is left", app.log.tail)


SLOW_TO_COME = "import time\nimport uwsgi\nuwsgi.post_fork_hook = lambda: time.sleep(1.5 * (uwsgi.worker_id() % 3 != 1))\n"


def test_the_first_worker_that_is_ready_serves_and_a_broken_save_does_not_end_those_that_follow() -> None:
    with Instance({**FILES, "first.py": SLOW_TO_COME + value("f0")}, workers=3) as app:
        app.wait(lambda: len(ask_all(app, "ENTRY", 3)) == 3, 15, "all three serve")
        for number in range(2):
            edit(app, "second.py", value(f"x{number}"))
            assert took_ms(app) < 1400
            before = app.log.count(NOT_RELOADED)
            app.save("second.py", "broken(\n")
            app.wait(lambda: app.log.count(NOT_RELOADED) > before, 10, "it is said that it is broken")
            found = {}
            app.wait(lambda: found.update(ask_all(app, "second.VALUE", 3)) or len(found) == 3, 15, "all three serve", lambda: f"{found}\n{app.log.tail()}")
            assert set(found.values()) == {f"x{number}"}
            assert len(workers_of(app)) == 3


def test_nobody_of_the_new_generation_begins_before_all_of_the_old_have_let_go() -> None:
    with Instance(FILES, workers=3) as app:
        settled(app)
        edit(app, "second.py", value("old"))
        newest_is_served(app, "old", 3)
        settled(app)  # Everybody waits for requests.
        stopped = min(workers_of(app))
        os.kill(stopped, signal.SIGSTOP)
        try:
            spawned = app.log.count(re.compile("pawned uWSGI worker"))
            app.save("second.py", value("new"))
            app.wait(lambda: app.log.count(re.compile("pawned uWSGI worker")) > spawned, 10, "the new workers are there")
            # The first one waits for the one that is stopped, and so do those that are forked 30 ms later.
            with pytest.raises(OSError):
                app.get("/?second.VALUE", timeout_s=1.0)
        finally:
            os.kill(stopped, signal.SIGCONT)
        newest_is_served(app, "new", 3)


# How a strategy that is pinned loads the second edit of a module, and how many are frozen for it.
STRATEGIES = {
    "swap": ("from the beginning", 0, ()),
    "warm": ("from behind", 2, ()),
    "checkpoint": ("from behind", 3, ()),
    "workers": ("for the old workers to leave", 0, ("lazy-apps = true",)),
    "full": ("for the old workers to leave", 0, ()),
}
ENDED = re.compile(r"\[fastreload\] reloaded in .*")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_can_be_pinned(strategy: str) -> None:
    start, count, ini = STRATEGIES[strategy]
    with Instance(SLOW, fastreload=[f"strategy = {strategy}"], ini=ini) as app:
        on_the_way(app, min(count, 2))
        for number in range(2):
            before = app.log.count(ENDED)
            app.save("second.py", value(f"new{number}"))
            app.wait(lambda: app.log.count(ENDED) > before, 15, "it is reloaded")
        assert start in app.log.matching(ENDED)[-1]
        assert ask(app)[2] == "new1"
        frozen(app, count)


def test_the_frozen_take_no_more_memory_of_their_own_than_is_allowed() -> None:
    files = {**FILES, "settings.py": "kept = bytearray(40 << 20)\n" + value("s0"), "first.py": "kept = bytearray(40 << 20)\n" + value("f0")}
    files["second.py"] = "import settings\nfor i in range(0, len(settings.kept), 4096):\n    settings.kept[i] = 1\n" + value("x0")
    with Instance(files, fastreload=["memory = 60"]) as app:
        settled(app)
        # The workers write to what the one frozen before has, too: then it has it for itself.
        edit(app, "second.py", files["second.py"] + "A = 1\n")
        edit(app, "late.py", value("late1"))
        edit(app, "first.py", files["first.py"] + "A = 1\n")
        app.wait(lambda: sum(map(own_kib, others(app) + standbys(app))) < 60 << 10, 10, "there are not so many any more", lambda: str([(process_name(pid), own_kib(pid)) for pid in others(app) + standbys(app)]))
        edit(app, "second.py", value("last"))
        assert ask(app)[2] == "last"


def own_kib(pid: int) -> int:
    """Returns how much memory a process has for itself."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def good(app: Instance) -> list[int]:
    """Returns the process that holds the last good code."""
    return [pid for pid in descendants_of(app.master_pid) if process_name(pid) == "fastreload-good" and process_state(pid) not in ("Z", "X", "")]


DYING = {
    "a crash": lambda app: os.kill(next(iter(workers_of(app))), signal.SIGSEGV),
    "a kill": lambda app: os.kill(next(iter(workers_of(app))), signal.SIGKILL),
    "an exit": lambda app: app.try_get("/?__import__('os')._exit(3)"),
}


@pytest.mark.parametrize("workers", (1, 3))
@pytest.mark.parametrize("how", DYING)
def test_a_worker_that_dies_while_the_code_is_broken_comes_back_with_the_last_good_code(how: str, workers: int) -> None:
    with Instance(FILES, workers=workers) as app:
        settled(app)
        edit(app, "first.py", value("good"))
        app.save("second.py", "broken(\n")
        app.wait(lambda: app.log.count(NOT_RELOADED) == 1, 10, "it is said that it is broken")
        for _ in range(3):
            before = set(workers_of(app))
            DYING[how](app)
            app.wait(lambda: len(workers_of(app)) == workers and set(workers_of(app)) != before, 10, "there are as many again", lambda: f"{workers_of(app)}\n{app.log.tail()}")
            assert {tuple(answer) for answer in ask_all(app, "[first.VALUE,second.VALUE,ENTRY]", workers).values()} == {("good", "x0", "e0")}
        assert app.log.count(re.compile("^SyntaxError")) == app.log.count(NOT_RELOADED), "nobody else has loaded it"
        edit(app, "second.py", value("mended"))
        newest_is_served(app, "mended", workers)


def test_a_worker_that_comes_back_while_new_code_loads_leaves_that_load_alone() -> None:
    # Both write into uWSGI's tables; as if it had two applications, no later load was good enough.
    slow = "import time\ntime.sleep(1)\n"
    with Instance(FILES) as app:
        settled(app)
        edit(app, "first.py", value("good"))
        edit(app, "second.py", "broken(\n")
        app.save("second.py", slow + value("x1"))
        app.wait(lambda: any(process_name(pid) == "fastreload-load" for pid in descendants_of(app.master_pid)), 5, "it loads")
        before = set(workers_of(app))
        os.kill(min(before), signal.SIGKILL)
        app.wait(lambda: len(workers_of(app)) == 2 and set(workers_of(app)) != before, 10, "there are two again")
        newest_is_served(app, "x1", 2)
        for number in range(2, 4):
            assert "from behind" in edit(app, "second.py", value(f"x{number}"))
            newest_is_served(app, f"x{number}", 2)


@pytest.mark.parametrize("workers", (1, 2))
def test_who_dies_with_an_order_to_respawn_is_not_waited_for(workers: int) -> None:
    with Instance(FILES, workers=workers) as app:
        settled(app)
        edit(app, "second.py", value("v1"))
        app.wait(lambda: len(good(app)) == 1, 5, "it is held")
        edit(app, "first.py", "broken(\n")
        newest_is_served(app, "v1", workers)
        holder, before = good(app)[0], set(workers_of(app))
        os.kill(holder, signal.SIGSTOP)
        kill(min(before))
        app.wait(lambda: app.log.count(re.compile("DAMN ! worker|takes its place")) >= 1, 5, "that is noticed")
        kill(holder)
        app.wait(lambda: len(workers_of(app)) == workers and set(workers_of(app)) != before, 10, "there are as many again", lambda: f"{workers_of(app)}\n{app.log.tail()}")


def test_a_worker_never_comes_back_with_the_code_before_the_one_that_serves() -> None:
    # A thread of the import has no copy: the code that is served cannot be kept, and that before it must not be taken for it.
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    with Instance(FILES, ini=["enable-threads = true"]) as app:
        settled(app)
        edit(app, "second.py", value("v1"))
        app.wait(lambda: len(good(app)) == 1, 5, "it is held")
        edit(app, "second.py", thread + value("v2"))
        edit(app, "first.py", "broken(\n")
        newest_is_served(app, "v2", 2)
        before = set(workers_of(app))
        kill(min(before))
        app.wait(lambda: not good(app) and min(before) not in workers_of(app), 5, "it is gone")
        assert {answer for _ in range(20) for answer in ask_all(app, "second.VALUE", 1).values()} == {"v2"}


def test_a_standby_that_is_stopped_is_given_up() -> None:
    with Instance(FILES, fastreload=["timeout = 2"]) as app:
        settled(app)
        for number in range(2):
            edit(app, "second.py", value(f"v{number}"))
        app.wait(lambda: len(standbys(app)) == 1, 5, "one stands by")
        os.kill(standbys(app)[0], signal.SIGSTOP)
        assert "had not loaded after 2 s" in edit(app, "second.py", value("late"))
        edit(app, "second.py", value("next"))
        newest_is_served(app, "next", 2)


def test_max_requests_while_the_code_is_broken_lose_no_request() -> None:
    with Instance(FILES, workers=2, ini=["max-requests = 5", "min-worker-lifetime = 0"]) as app:
        settled(app)
        edit(app, "first.py", value("good"))
        app.save("second.py", "broken(\n")
        app.wait(lambda: app.log.count(NOT_RELOADED) == 1, 10, "it is said that it is broken")
        answers = [app.get("/?[first.VALUE,second.VALUE]") for _ in range(60)]
        assert {(answer.status, str(json.loads(answer.text)[1])) for answer in answers} == {(200, "['good', 'x0']")}
        edit(app, "second.py", value("mended"))
        newest_is_served(app, "mended", 2)


def test_the_last_good_code_is_held_once_and_changes_hands_with_the_workers() -> None:
    with Instance(FILES) as app:
        settled(app)
        seen = set()
        for number in range(3):
            edit(app, "second.py", value(f"new{number}"))
            app.wait(lambda: len(good(app)) == 1 and not seen & set(good(app)), 5, "the new one is held")
            seen |= set(good(app))
        app.save("second.py", "broken(\n")
        app.wait(lambda: app.log.count(NOT_RELOADED) == 1, 10, "it is said that it is broken")
        assert set(good(app)) <= seen and len(good(app)) == 1
        kill(good(app)[0])
        kill(next(iter(workers_of(app))))
        app.wait(lambda: app.try_get() is not None and "new2" in app.get().text, 10, "the other one serves")


@pytest.mark.parametrize("victim", ("standby", "keeper", "both"))
def test_a_killed_standby_or_keeper_costs_nothing_but_time(victim: str) -> None:
    with Instance(FILES) as app:
        settled(app)
        for number in range(1, 5):
            edit(app, "second.py", value(f"a{number}"))
            app.wait(lambda: len(standbys(app)) == 1, 5, "one stands by")
            rest()
            victims = {"standby": standbys, "keeper": others, "both": lambda app: standbys(app) + others(app)}[victim](app)
            for pid in victims:
                kill(pid)
            app.wait(lambda: not any(process_state(pid) not in ("Z", "X", "") for pid in victims), 5, "they have ended")
            start = edit(app, "second.py", value(f"b{number}"))
            assert ask(app)[2] == f"b{number}"
            rest()
            assert victim != "standby" or "from behind" in start
        assert not app.log.count(NOT_RELOADED)


def test_what_changes_outside_the_watched_folders_is_found_by_the_keeper() -> None:
    """The copy has already imported the edited module by then; what it has loaded is thrown away."""
    files = {**FILES, "first.py": "import outside\nVALUE = outside.VALUE\n", "second.py": "import first\nVALUE = 'x0'\n"}
    app = Instance(files)
    lib = app.base / "lib"
    lib.mkdir()
    (lib / "outside.py").write_text(value("o0"))
    app.env["PYTHONPATH"] = str(lib)
    with app:
        settled(app)
        for number in range(1, 6):
            edit(app, "second.py", f"import first\nVALUE = 'a{number}'\n")
            app.wait(lambda: len(standbys(app)) == 1, 5, "one stands by")
            rest()
            # Of another length each time: bytecode is told from its source by that and by whole seconds.
            (lib / "outside.py").write_text(value(f"outside{number}") + "#" * number)
            # It fails if it goes on with what the copy had read before, and that is not reported either.
            text = f"import first\nassert first.VALUE == 'outside{number}'\nVALUE = 'b{number}'\n"
            assert "from the beginning" in edit(app, "second.py", text)
            assert ask(app)[1:3] == [f"outside{number}", f"b{number}"]
            rest()
        assert not app.log.count(NOT_RELOADED)


@pytest.mark.parametrize("option", ("http-socket", "socket", "stats"))
def test_the_frozen_hold_no_listening_socket(option: str) -> None:
    port = free_port()
    with Instance(FILES, ini=[f"{option} = 127.0.0.1:{port}"]) as app:
        settled(app)
        pids = two_frozen(app)
        assert listening_inodes(port)
        assert holders(listening_inodes(port), [app.master_pid]), "this test sees nothing"
        assert not holders(listening_inodes(port), pids)


def test_the_frozen_sleep() -> None:
    with Instance(FILES) as app:
        settled(app)
        pids = two_frozen(app)
        before = {pid: cpu_ticks(pid) for pid in pids}
        time.sleep(3)  # The subject of the test.
        assert {pid: cpu_ticks(pid) for pid in pids} == before


@pytest.mark.parametrize("how", ("SIGKILL", "SIGINT", "SIGQUIT", "SIGHUP", "touch-reload"))
def test_the_frozen_end_with_the_master_or_its_image(how: str) -> None:
    app = Instance(FILES, ini=["touch-reload = ../reload"])
    (app.base / "reload").touch()
    with app:
        settled(app)
        pids = two_frozen(app)
        if how == "touch-reload":
            time.sleep(1.1)  # uWSGI compares whole seconds.
            os.utime(app.base / "reload")
        else:
            os.kill(app.master_pid, getattr(signal, how))
        deadline = time.monotonic() + 6
        while [pid for pid in pids if process_state(pid) not in ("", "Z", "X")]:
            assert time.monotonic() < deadline, f"they outlive it\n{app.log.tail()}"
            time.sleep(0.01)
        if how in ("SIGHUP", "touch-reload"):
            app.wait(lambda: app.try_get() is not None, 10, "it is back")
            app.wait_quiet(0.3)
            app.wait(lambda: not others(app) and not zombies_of(app.master_pid), 3, "nobody else")
            edit(app, "second.py", value("after1"))
            assert "from behind" in edit(app, "second.py", value("after2"))
            assert ask(app)[2] == "after2"


def newest_is_served(app: Instance, text: str, workers: int) -> None:
    """Waits until all workers answer that and there are no others, nor anything else but five frozen ones at most."""

    def is_whole() -> bool:
        return len(workers_of(app)) == workers and len(others(app)) <= 5 and not zombies_of(app.master_pid)

    def is_served_by_all() -> bool:
        return all((app.try_get() or [0, ""])[1].find(text) > 0 for _ in range(4 * workers))

    # One whose loader was killed loads for itself what is on the disk, maybe before the others have it.
    app.wait(is_served_by_all, 10, f"{text} is served by all")
    app.wait(is_whole, 8, "there are the workers and the frozen, and nobody else", lambda: f"{workers_of(app)} {others(app)}\n{app.log.tail()}")
    for _ in range(4 * workers):
        response = app.get()
        assert response.status == 200 and text in response.text, response


# A project whose files take a while to be compared, as a real one's do.
MANY = {
    **FILES,
    "settings.py": "import many\n" + value("s0"),
    "many/__init__.py": "".join(f"from . import m{n}\n" for n in range(1200)),
    **{f"many/m{n}.py": f"N = {n}\n" for n in range(1200)},
}


@pytest.mark.slow
def test_two_saves_within_a_few_milliseconds_are_one_generation() -> None:
    """The second comes while the frozen process still looks at its files: nobody knows the loader's pid then."""
    rng = random.Random(SEED)
    with Instance(MANY) as app:
        settled(app)
        edit(app, "second.py", value("begin1"))
        edit(app, "second.py", value("begin2"))
        for number in range(PAIRS):
            app.save("second.py", value(f"a{number}."))
            gap = rng.uniform(0, 0.015)
            time.sleep(gap)  # The subject of the test.
            app.save("second.py", value(f"b{number}."))
            try:
                newest_is_served(app, f"b{number}.", 2)
            except Exception as error:
                raise AssertionError(f"pair {number}, {gap * 1000:.1f} ms apart, seed {SEED}: {error}") from error
        assert not app.log.matching("DAMN|SEGFAULT|[Ss]egmentation|Bad file descriptor")


@pytest.mark.slow
def test_it_is_whole_again_after_kills_of_loaders_and_frozen_processes() -> None:
    rng = random.Random(SEED)
    with Instance(MANY) as app:
        settled(app)
        edit(app, "second.py", value("begin1"))
        for number in range(KILLS):
            # Not late.py: an old worker that imports it only now answers the new text, and another the old.
            relpath = rng.choice(("second.py", "settings.py", "first.py"))
            text = ("import many\n" if relpath == "settings.py" else "") + value(f"k{number}.")
            app.save(relpath, text)
            time.sleep(rng.uniform(0, 0.03))  # The subject of the test.
            victims = others(app) + standbys(app) + good(app)
            if victims:
                kill(rng.choice(victims))
            try:
                newest_is_served(app, f"k{number}.", 2)
            except Exception as error:
                raise AssertionError(f"kill {number}, seed {SEED}: {error}") from error


@pytest.mark.slow
def test_many_reloads_leave_nothing_behind() -> None:
    with Instance(FILES) as app:
        settled(app)
        relpaths = ("second.py", "second.py", "second.py", "late.py", "first.py", "late.py")

        def look() -> tuple[int, int, int]:
            app.wait(lambda: len(workers_of(app)) == 2 and len(others(app)) <= 3, 5, "the old ones are gone")
            app.wait(lambda: len(standbys(app)) == len(good(app)) == 1, 5, "one stands by, and one holds the good code")
            app.wait(lambda: not zombies_of(app.master_pid), 5, "no zombies")
            return len(descendants_of(app.master_pid)), app.fd_count(), app.memory_kb()

        behind = 0
        for number in range(60 + RELOADS // 6 * 6):  # Else another one was edited last, and there may be one frozen more.
            if number == 60:
                before = look()
            behind += "from behind" in edit(app, relpaths[number % 6], value(f"v{number}"))
        after = look()
        print(f"processes, descriptors, KiB of the master: {before} before, {after} after; {behind} from behind")
        assert ask(app)[2] and after[0] <= before[0] and after[1] <= before[1]
        assert after[2] - before[2] < 512, (before, after)
        assert behind * 2 > RELOADS


# What must differ.

RANDOM = {
    "random": "first.random.random()",
    "random, own generator": "first.own.random()",
    "secrets": "first.secrets.token_hex(8)",
    "uuid4": "str(first.uuid.uuid4())",
    # It is made of the time: two processes that ask in the same microsecond get the same one, whoever has forked them.
    "uuid1": "first.time.sleep(divmod(first.os.getpid(),29)[1]/1000)or(str(first.uuid.uuid1()))",
    "ssl": "first.ssl.RAND_bytes(8).hex()",
    "tempfile": "next(first.tempfile._get_candidate_names())",
}


# An own generator that was seeded before the fork is the same in all: so it is with uWSGI's own preforking.
@pytest.mark.parametrize("lazy", ((), ("lazy-apps = true",)), ids=("preforked", "lazy-apps"))
@pytest.mark.parametrize("what", [name for name in RANDOM if "own" not in name])
def test_what_is_random_differs_between_workers_and_generations(what: str, lazy: Sequence[str]) -> None:
    text = "import os, random, secrets, ssl, tempfile, time, uuid\nrandom.random(), ssl.RAND_bytes(1), uuid.uuid1(), uuid.uuid4(), next(tempfile._get_candidate_names())\n"
    with Instance({**FILES, "first.py": text + value("f0")}, workers=4, ini=lazy) as app:
        settled(app)
        seen: list[object] = []
        for number in range(1, 5):
            start = edit(app, ("second.py", "late.py")[number > 2], value(f"new{number}"))
            assert number in (1, 3) or "from behind" in start
            app.wait(lambda: len(workers_of(app)) == 4, 5, "the old workers are gone")
            seen += ask_all(app, RANDOM[what], 4).values()
        assert len(seen) >= 16 and len(set(map(str, seen))) == len(seen), seen


# What an application registers.

REGISTERING = """
import uwsgi


def handle_{0}(number):
    with open("../signals", "a") as stream:
        stream.write("{0} " + VALUE + chr(10))


def answer_{0}(argument):
    return b"{0} " + VALUE.encode() + b" " + argument


uwsgi.register_signal({1}, "", handle_{0})
uwsgi.register_rpc("{0}", answer_{0})
"""


@pytest.mark.parametrize("threads", ((), ("enable-threads = true",), ("threads = 4",)), ids=("plain", "enable-threads", "threads"))
def test_signals_and_rpc_work_after_resumed_reloads(threads: Sequence[str]) -> None:
    def before(text: str) -> str:
        return value(text) + REGISTERING.format("before", 21)

    def after(text: str) -> str:
        return value(text) + REGISTERING.format("after", 22)

    files = {**FILES, "first.py": before("f0"), "second.py": after("x0")}
    signals = None
    with Instance(files, ini=threads) as app:
        signals = app.base / "signals"
        settled(app)
        for number in range(1, 6):
            text = f"new{number}"
            start = edit(app, "second.py", after(text))
            assert number == 1 or "from behind" in start, start
            for name, expected in (("before", "f0"), ("after", text)):
                query = f"__import__('uwsgi').rpc(b'',b'{name}',b'x').decode()"
                assert [ask(app, query) for _ in range(6)] == [f"{name} {expected} x"] * 6
                signals.write_text("")
                ask(app, f"__import__('uwsgi').signal({21 if name == 'before' else 22})")
                app.wait(lambda: signals.read_text(), 3, f"signal of {name}")
                assert signals.read_text() == f"{name} {expected}\n"


# Kinds of instances.

KINDS: dict[str, tuple[int, Sequence[str]]] = {
    "one process": (1, ()),
    "four processes": (4, ()),
    "threads": (2, ("threads = 4",)),
    "enable-threads": (2, ("enable-threads = true",)),
    "lazy-apps": (2, ("lazy-apps = true",)),
    "need-app": (2, ("need-app = true",)),
    "need-app and lazy-apps": (2, ("need-app = true", "lazy-apps = true")),
    "single-interpreter": (2, ("single-interpreter = true",)),
    "osafterfork": (2, ("py-call-osafterfork = true",)),
    "fork hooks": (2, ("py-call-uwsgi-fork-hooks = true", "enable-threads = true")),
    "optimize": (2, ("optimize = 1",)),
    "thunder-lock": (3, ("thunder-lock = true",)),
    "max-requests": (2, ("max-requests = 60", "min-worker-lifetime = 0")),
    "close-on-exec": (2, ("close-on-exec = true",)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_in(kind: str) -> None:
    workers, ini = KINDS[kind]
    skip_what_uwsgi_cannot_do(ini)
    with Instance(FILES, workers=workers, ini=ini) as app:
        settled(app)
        for number in range(1, 9):
            relpath = ("second.py", "second.py", "late.py")[number % 3]
            start = edit(app, relpath, value(f"new{number}"))
            assert number < 4 or "from behind" in start, start
            newest_is_served(app, f"new{number}", workers)
        assert not app.log.matching("DAMN|Traceback|Fatal Python")
        app.save("second.py", "broken(\n")
        app.wait(lambda: app.log.count(NOT_RELOADED), 10, "it is said that it is broken")
        assert "new8" in app.get().text
        edit(app, "second.py", value("mended"))
        newest_is_served(app, "mended", workers)


def test_several_mounted_applications() -> None:
    one = "import first\ndef application(e, s):\n    s('200 OK', [])\n    return [b'one ' + first.VALUE.encode()]\n"
    two = "import second\ndef application(e, s):\n    s('200 OK', [])\n    return [b'two ' + second.VALUE.encode()]\n"
    ini = ["mount = /one=one:application", "mount = /two=two:application", "manage-script-name = true"]
    files = {"one.py": one, "two.py": two, "first.py": value("f0"), "second.py": value("x0")}
    with Instance(files, application=("plugin = python3", *ini), ini=["need-app = true"]) as app:
        settled(app)
        froms = []
        for number in range(1, 7):
            relpath = ("first.py", "second.py")[number % 2]
            froms.append(edit(app, relpath, value(f"new{number}")))
            answers = {app.get("/one").text for _ in range(4)} | {app.get("/two").text for _ in range(4)}
            assert len(answers) == 2 and any(f"new{number}" in answer for answer in answers), answers
        assert all("from behind" in line for line in froms[4:]), froms
