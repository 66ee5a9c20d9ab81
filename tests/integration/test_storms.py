"""Many changes that belong together are one reload, and an application that changes itself does not reload for ever."""

from __future__ import annotations

import re
import shutil
import time

import pytest

import apps
from harness import Instance

LOOP = re.compile(r"loop: (\S+) changes each time")
HELD = re.compile(r"held: (\d+) changes? so far, while (\S+) is there")
STALE = re.compile(r"\.git/index\.lock has been there for 10 s")

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def begin_repository(app: Instance) -> None:
    app.path(".gitignore").write_text("__pycache__/\n")
    app.git("init", "-q", "-b", "one")
    app.git("add", "-A")
    app.git("commit", "-q", "-m", "one")


@needs_git
def test_a_slow_checkout_makes_one_reload_at_its_end() -> None:
    """Git takes its time for each file, far longer than any quiet that a reload waits for."""
    with Instance() as app:
        for number in range(12):
            app.path(f"module_{number:02}.py").write_text("NUMBER = 1\n")
        app.path(".gitattributes").write_text("module_*.py filter=slow\n")
        begin_repository(app)
        app.git("config", "filter.slow.smudge", "sleep 0.2; cat")
        app.git("checkout", "-q", "-b", "two")
        for number in range(12):
            app.path(f"module_{number:02}.py").write_text("NUMBER = 20000\n")
        app.put("parts/value.py", "on branch two")
        app.git("commit", "-q", "-a", "-m", "two")
        app.wait_served()
        with app.expect_exactly_one_reload():
            app.git("checkout", "-q", "one")
        assert app.log.matching(HELD), app.log.tail()
        assert app.on_disk()["parts/value.py"] == "first"


@needs_git
def test_a_rebase_of_several_commits_makes_one_reload() -> None:
    with Instance() as app:
        begin_repository(app)
        app.git("checkout", "-q", "-b", "two")
        for number in range(5):
            app.put("parts/value.py", f"step {number}")
            app.git("commit", "-q", "-a", "-m", f"step {number}")
        app.git("checkout", "-q", "one")
        app.path("other.py").write_text("OTHER = 1\n")
        app.git("add", "-A")
        app.git("commit", "-q", "-m", "other")
        app.git("checkout", "-q", "two")
        app.wait_served()
        with app.expect_exactly_one_reload():
            app.git("rebase", "-q", "--exec", "sleep 0.1", "one")
        assert app.on_disk()["parts/value.py"] == "step 4"


@needs_git
def test_files_are_edited_and_served_while_a_merge_waits_for_its_human() -> None:
    with Instance() as app:
        begin_repository(app)
        app.git("checkout", "-q", "-b", "two")
        app.path("README").write_text("two\n")
        app.git("add", "-A")
        app.git("commit", "-q", "-m", "two")
        app.git("checkout", "-q", "one")
        app.path("README").write_text("one\n")
        app.git("add", "-A")
        app.git("commit", "-q", "-m", "one again")
        app.git("merge", "two", check=False)
        assert app.path(".git/MERGE_HEAD").exists()
        for number in range(3):
            app.put("parts/value.py", f"while merging {number}")
            app.wait_served()


@needs_git
def test_a_lock_that_git_left_behind_holds_once_and_is_named() -> None:
    with Instance() as app:
        begin_repository(app)
        app.wait_quiet()
        app.path(".git/index.lock").write_text("")
        app.put("parts/value.py", "second")
        app.wait(lambda: app.log.matching(HELD), 10, "the hold is said")
        assert app.served() != app.on_disk()
        app.wait_served(30)
        assert len(app.log.matching(STALE)) == 1
        held = len(app.log.matching(HELD))
        app.put("parts/value.py", "third")
        app.wait_served()
        assert len(app.log.matching(STALE)) == 1
        assert len(app.log.matching(HELD)) == held


@pytest.mark.parametrize("action", ("auto", "reload"))
def test_changes_wait_while_the_user_s_lock_file_is_there(action: str) -> None:
    with Instance(fastreload=["hold = deploy.lock", f"action = {action}"]) as app:
        with app.expect_exactly_one_reload():
            app.path("deploy.lock").write_text("")
            app.put("parts/value.py", "second")
            app.wait(lambda: app.log.matching(HELD), 10, "the hold is said")
            app.put("parts/value.py", "third")
            app.put("parts/other.py", "new")
            assert app.served() != app.on_disk()
            app.path("deploy.lock").unlink()
            app.wait_served()
        assert len(app.log.matching(HELD)) == 1
        assert app.path("deploy.lock").name in app.log.matching(HELD)[0]


# Imports a module and writes it anew whenever it is loaded, as those do that generate code or note their version.
WRITES_ITSELF = {
    **apps.WSGI,
    "stamp.py": "AT = 0\n",
    "wsgi.py": apps.WSGI_PY
    + 'import stamp\nopen(os.path.join(HERE, "stamp.py"), "w").write("AT = %r\\n" % time.time())\n',
}


@pytest.mark.parametrize("action", ("auto", "reload"))
def test_an_application_that_writes_a_counted_file_is_recognised_as_a_loop(action: str) -> None:
    with Instance(WRITES_ITSELF, fastreload=[f"action = {action}"]) as app:
        app.put("parts/value.py", "second")
        app.wait(lambda: app.log.matching(LOOP), 60, "the loop is named")
        assert "stamp.py" in app.log.matching(LOOP)[0]
        app.wait_served()
        app.wait_quiet(2)
        before = app.generations()

        # A human edits something else: served, and the loop does not begin again.
        app.put("parts/value.py", "third")
        app.wait_served()
        app.wait_quiet(2)
        assert app.generations() <= before + 2, app.log.tail()


def test_a_developer_who_saves_faster_than_the_application_loads_is_served() -> None:
    slow = {**apps.LAYERED, "settings.py": "import time\ntime.sleep(0.5)\n"}
    with Instance(slow) as app:
        for number in range(6):
            app.put("parts/value.py", f"quick {number}")
            time.sleep(0.2)  # The pace of the developer, who does not wait for anything.
        app.wait_served(30)
        assert not app.log.matching(LOOP)
