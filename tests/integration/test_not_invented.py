"""No edit is invented: what changes nothing causes nothing, and a touch is an edit."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator

import pytest

import apps
from harness import ARMED, Instance


@pytest.fixture(scope="module")
def app() -> Iterator[Instance]:
    """One instance for all these tests: each one proves by a marker that nothing came before it."""
    files = {
        **apps.WSGI,
        "node_modules/tool/index.js": "let a = 1;\n",
        "env/pyvenv.cfg": "home = /usr/bin\n",
        "env/lib/module.py": "A = 1\n",
        ".git/config": "",
        "notes.log": "",
    }
    with Instance(files) as instance:
        yield instance


def read_everything(app: Instance) -> None:
    for path in app.app.rglob("*"):
        if path.is_file():
            path.read_bytes()
            path.stat()
    list(os.walk(app.app))


def save_the_same_text(how: str) -> Callable[[Instance], None]:
    def action(app: Instance) -> None:
        app.save("parts/value.py", app.path("parts/value.py").read_text(), how)

    return action


def change_the_mode(app: Instance) -> None:
    app.path("parts/value.py").chmod(0o600)
    app.path("parts/value.py").chmod(0o644)


def change_the_mode_of_a_folder(app: Instance) -> None:
    app.path("parts").chmod(0o700)
    app.path("parts").chmod(0o755)


def set_an_extended_attribute(app: Instance) -> None:
    try:
        os.setxattr(app.path("parts/value.py"), "user.note", b"1")
    except OSError as error:
        pytest.skip(f"no extended attributes here: {error}")


def make_and_remove_a_hard_link_outside(app: Instance) -> None:
    link = app.base / "link.py"
    os.link(app.path("parts/value.py"), link)
    link.unlink()


def let_the_application_write(relpath: str) -> Callable[[Instance], None]:
    def action(app: Instance) -> None:
        for _ in range(3):
            assert app.get(f"/write?path={relpath}").status == 200

    return action


def write_to_a_database(app: Instance) -> None:
    with sqlite3.connect(app.path("db.sqlite3")) as connection:
        connection.execute("create table if not exists numbers (number integer)")
        connection.execute("insert into numbers values (1)")
    connection.close()


def compile_everything(app: Instance) -> None:
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "-f", str(app.path("parts"))], check=True
    )


def remove_the_compiled_files(app: Instance) -> None:
    for folder in list(app.app.rglob("__pycache__")):
        shutil.rmtree(folder)


def write_in(relpath: str) -> Callable[[Instance], None]:
    def action(app: Instance) -> None:
        app.path(relpath).parent.mkdir(parents=True, exist_ok=True)
        app.save(relpath, f"# {os.urandom(4).hex()}\n")
        app.path(relpath).unlink()

    return action


def open_and_leave_in_vim(app: Instance) -> None:
    if shutil.which("vim") is None:
        pytest.skip("vim is not installed")
    command = ["vim", "-u", "NONE", "-i", "NONE", "-N", "-es", "-c", "q", "value.py"]
    subprocess.run(command, cwd=app.path("parts"), stdin=subprocess.DEVNULL, check=True, timeout=20)


def work_with_git(app: Instance) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    shutil.rmtree(app.path(".git"))
    for arguments in (["init", "-q"], ["add", "parts"], ["status"], ["diff"]):
        subprocess.run(
            ["git", *arguments], cwd=app.app, env=app.env, check=True, capture_output=True
        )


def write_an_upload(app: Instance) -> None:
    app.path("media").mkdir(exist_ok=True)
    Path(app.path("media/photo.jpg")).write_bytes(os.urandom(4000))


def make_an_empty_folder(app: Instance) -> None:
    app.path("parts/empty").mkdir()
    app.path("parts/empty").rmdir()


NOTHING: dict[str, Callable[[Instance], None]] = {
    "reading every file": read_everything,
    "a no-op save in place": save_the_same_text("inplace"),
    "a no-op save by rename": save_the_same_text("atomic"),
    "a no-op save by vim's pattern": save_the_same_text("vim"),
    "a no-op save by PyCharm's pattern": save_the_same_text("pycharm"),
    "a no-op save by git's pattern": save_the_same_text("git"),
    "a change of mode": change_the_mode,
    "a change of a folder's mode": change_the_mode_of_a_folder,
    "an extended attribute": set_an_extended_attribute,
    "a hard link outside": make_and_remove_a_hard_link_outside,
    "the application's log": let_the_application_write("notes.log"),
    "the application's new log": let_the_application_write("logs/today.log"),
    "the application's database": let_the_application_write("data.sqlite3"),
    "the application's database journal": let_the_application_write("data.sqlite3-journal"),
    "a real database": write_to_a_database,
    "compiled files": compile_everything,
    "compiled files removed": remove_the_compiled_files,
    "a compiled file beside its source": write_in("parts/value.pyc"),
    "a file in .git": write_in(".git/hooks/hook.py"),
    "real git commands": work_with_git,
    "a file in .hg": write_in(".hg/hook.py"),
    "a file in node_modules": write_in("node_modules/tool/index.js"),
    "a Python file in node_modules": write_in("node_modules/tool/gyp.py"),
    "a file in a virtual environment": write_in("env/lib/module.py"),
    "a file in a new virtual environment": write_in("env/lib/new/module.py"),
    "a file in a tool's cache": write_in(".mypy_cache/3.11/value.py"),
    "an editor's swap file": write_in("parts/.value.py.swp"),
    "an editor's backup file": write_in("parts/value.py~"),
    "an editor's probe": write_in("parts/4913"),
    "a file opened in vim and left": open_and_leave_in_vim,
    "an upload": write_an_upload,
    "an empty folder": make_an_empty_folder,
}


@pytest.mark.parametrize("what", NOTHING)
def test_this_causes_no_reload(app: Instance, what: str) -> None:
    with app.expect_no_reload():
        NOTHING[what](app)


def test_a_plain_touch_of_a_source_file_causes_exactly_one_reload(app: Instance) -> None:
    with app.expect_exactly_one_reload():
        subprocess.run(["touch", str(app.path("parts/value.py"))], check=True)


def test_a_touch_by_utimes_alone_causes_exactly_one_reload(app: Instance) -> None:
    with app.expect_exactly_one_reload():
        os.utime(app.path("parts/value.py"))


def test_a_touch_of_a_file_that_does_not_count_causes_none(app: Instance) -> None:
    with app.expect_no_reload():
        subprocess.run(["touch", str(app.path("notes.log"))], check=True)


def test_uwsgis_own_log_in_the_watched_folder_does_not_loop() -> None:
    with Instance(ini=["logto2 = uwsgi-own.log", "disable-logging = false"], ready=False) as app:
        log = app.path("uwsgi-own.log")
        app.wait(lambda: app.served() is not None, 20, "the application answers")
        app.wait(lambda: ARMED.search(log.read_text()), 10, "the watch is armed")
        for number in range(20):
            app.get(f"/?number={number}")
        app.wait(lambda: "number=19" in log.read_text(), 5, "requests are logged there")
        app.put("parts/value.py", "second")
        app.wait_served()
        starts = [line for line in log.read_text().splitlines() if app.generation.search(line)]
        assert len(starts) == 2, starts
