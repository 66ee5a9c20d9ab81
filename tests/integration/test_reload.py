"""A saved file reloads uWSGI: every action, bursts, and the windows in which an edit could be lost."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from typing import Callable, Iterator

import pytest

import apps
from harness import DONE, RESPAWN_GUARD, Instance, open_files

LAZY = ("lazy-apps = true",)
# Every way of reloading, and what it needs from the rest of the configuration.
ACTIONS = {
    "auto": (),
    "auto, lazy-apps": LAZY,
    "reload": (),
    "reload, lazy-apps": LAZY,
    "workers": LAZY,
    "chain": LAZY,
}


def with_action(case: str, **options: object) -> Instance:
    """Returns an instance for one of ACTIONS."""
    return Instance(fastreload=[f"action = {case.split(',')[0]}"], ini=ACTIONS[case], **options)


def assert_each_worker_serves_the_disk(app: Instance) -> None:
    """Waits until no worker answers anything but what is on disk."""

    def do_all() -> bool:
        answers = list(app.served_by_each_worker().values())
        return bool(answers) and all(answer == app.on_disk() for answer in answers)

    app.wait(do_all, 20, "every worker serves what is on disk")


@pytest.mark.parametrize("case", ACTIONS)
def test_each_action_serves_the_new_code_with_exactly_one_reload(case: str) -> None:
    with with_action(case) as app:
        master = app.master_pid
        for value in ("second", "third"):
            with app.expect_exactly_one_reload():
                app.put("parts/value.py", value)
        assert app.master_pid == master and app.process.poll() is None
        app.wait(lambda: len(app.worker_pids()) == 2, 10, "two workers are left")
        assert not app.log.count(RESPAWN_GUARD)


@pytest.mark.parametrize("case", ACTIONS)
def test_every_worker_serves_the_new_code(case: str) -> None:
    with with_action(case, workers=3) as app:
        for value in ("second", "third"):  # The first while the workers may still be loading.
            app.put("parts/value.py", value)
            assert_each_worker_serves_the_disk(app)
        assert len(app.worker_pids()) == 3


def test_the_action_touch_touches_its_file() -> None:
    with Instance(fastreload=["action = touch:../trigger"]) as app:
        trigger = app.base / "trigger"
        app.put("parts/value.py", "second")
        app.wait(trigger.exists, 5, "the file to touch is made")
        os.utime(trigger, ns=(0, 0))
        app.put("parts/value.py", "third")
        app.wait(lambda: trigger.stat().st_mtime_ns > 0, 5, "the file is touched")
        assert app.generations() == 1, "touching a file must not reload anything by itself"


def test_the_action_touch_together_with_touch_reload_serves_the_new_code() -> None:
    instance = Instance(fastreload=["action = touch:../trigger"])
    trigger = instance.base / "trigger"
    trigger.write_text("")
    os.utime(trigger, (1_600_000_000, 1_600_000_000))
    instance.options.append(f"touch-reload = {trigger}")
    with instance as app:
        app.put("parts/value.py", "second")
        app.wait_served()
        assert app.generations() == 2


def test_a_save_is_explained_by_one_line_and_its_end_by_another() -> None:
    with Instance(verbose=False) as app:
        app.wait_quiet()
        first_line = len(app.log.lines)
        app.put("parts/value.py", "second")
        app.wait_served()
        app.wait(lambda: app.log.matching(DONE, first_line), 5, "the end of the reload is reported")
        app.wait_quiet()
        about_the_file = app.log.matching(r"\[fastreload\].*parts/value\.py", first_line)
        assert len(about_the_file) == 1, about_the_file
        assert len(app.log.matching(DONE, first_line)) == 1
        said = app.log.matching(r"\[fastreload\]", first_line)
        assert len(said) <= 3, said  # What changed; the watch is armed again; it is done.
        milliseconds = float(DONE.search(app.log.matching(DONE, first_line)[0]).group(1))
        assert 0 < milliseconds < 15_000


def test_what_the_plugin_reports_agrees_with_what_uwsgi_does() -> None:
    with Instance() as app:
        for value in range(3):
            app.put("parts/value.py", f"value {value}")
            app.wait_served()
        app.wait_quiet()
        assert app.reload_count() == app.generations() - 1 == 3


@pytest.mark.parametrize("case", ("auto", "workers"))
def test_the_master_wakes_the_moment_a_worker_dies(case: str) -> None:
    with with_action(case) as app:
        durations = []
        for value in range(5):
            app.put("parts/value.py", f"value {value}")
            saved = time.monotonic()
            app.wait_served()
            durations.append(time.monotonic() - saved)
            app.wait_quiet(0.1)
        # uWSGI's own wait for the dead is up to a second, so that its own median is above this bound.
        assert sorted(durations)[2] < 0.8, durations


def test_many_reloads_in_one_second_are_no_fork_bomb() -> None:
    with with_action("workers", workers=4) as app:
        for value in range(12):
            app.put("parts/value.py", f"value {value:02d}")
            app.wait_served()
        app.wait_quiet()
        assert not app.log.count(RESPAWN_GUARD)


def test_a_request_under_way_is_answered_before_its_worker_goes() -> None:
    with Instance() as app, concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(app.get, "/sleep?seconds=1.5")
        app.wait(lambda: app.try_get("/pid"), 5, "the other worker answers")
        app.put("parts/value.py", "second")
        assert answer.result().status == 200
        app.wait_served()


# Bursts.


@pytest.mark.parametrize("how", ("inplace", "git"))
def test_a_thousand_files_written_at_once_make_one_reload(how: str) -> None:
    with Instance() as app:
        app.path("many").mkdir()
        with app.expect_exactly_one_reload():
            for number in range(1000):
                app.save(f"many/module_{number}.py", f"NUMBER = {number}\n", how)
            app.put("parts/value.py", "after the thousand")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_checkout_of_a_thousand_files_makes_one_reload() -> None:
    with Instance() as app:
        app.path(".gitignore").write_text("__pycache__/\n")
        for number in range(1000):
            path = app.path(f"many/{number % 20}/module_{number}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("NUMBER = 1\n")
        app.git("init", "-q", "-b", "one")
        app.git("add", "-A")
        app.git("commit", "-q", "-m", "one")
        app.git("checkout", "-q", "-b", "two")
        for number in range(1000):
            app.path(f"many/{number % 20}/module_{number}.py").write_text("NUMBER = 20000\n")
        app.put("parts/value.py", "on branch two")
        app.git("commit", "-q", "-a", "-m", "two")
        app.wait_served()
        with app.expect_exactly_one_reload():
            app.git("checkout", "-q", "one")
        assert app.on_disk()["parts/value.py"] == "first"


@contextlib.contextmanager
def in_the_background(action: Callable[[int], None], pause_s: float) -> Iterator[None]:
    """Repeats an action in a thread for as long as the block runs."""
    stop = threading.Event()

    def repeat() -> None:
        number = 0
        while not stop.wait(pause_s):
            number += 1
            action(number)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_file_saved_all_the_time_cannot_hold_a_reload_back_for_ever() -> None:
    with Instance(fastreload=["settle = 200"]) as app:
        with in_the_background(lambda number: app.save("busy.py", f"N = {number}\n"), 0.02):
            app.put("parts/value.py", "second")
            app.wait_served(10)


def test_a_file_that_is_never_closed_cannot_hold_a_reload_back_for_ever() -> None:
    with Instance(fastreload=["settle = 200"]) as app, app.path("busy.py").open("wb", 0) as busy:
        with in_the_background(lambda number: busy.write(b"# more\n"), 0.02):
            app.put("parts/value.py", "second")
            app.wait_served(10)


def test_the_settle_time_joins_saves_that_are_closer_than_it() -> None:
    with Instance(fastreload=["settle = 150"]) as app:
        with app.expect_exactly_one_reload():
            for number in range(5):
                app.put(f"parts/part_{number}.py", "new")
                time.sleep(0.03)  # The pause is the subject of this test.


def test_saves_that_are_further_apart_than_the_settle_time_are_all_acted_upon() -> None:
    with Instance(fastreload=["settle = 1"]) as app:
        with app.expect_reloads(2):
            app.put("parts/value.py", "second")
            app.wait_served()
            app.wait_quiet()
            app.put("parts/value.py", "third")


# Windows in which uWSGI's own autoreloader is blind.


def importing(app: Instance) -> int:
    """Returns how often the application has begun to import."""
    return app.log.count(IMPORTING)


IMPORTING = re.compile(r"^importing$")


@pytest.mark.parametrize("case", ACTIONS)
def test_an_edit_while_the_application_is_importing_for_the_first_time_is_served(case: str) -> None:
    with with_action(case, files=apps.SLOW_TO_IMPORT, ready=False) as app:
        app.wait(lambda: importing(app) >= 1, 20, "the application is importing")
        app.put("parts/value.py", "edited meanwhile")
        app.wait_served()
        assert_each_worker_serves_the_disk(app)
        app.put("parts/value.py", "edited once more")
        app.wait_served()
        assert_each_worker_serves_the_disk(app)


@pytest.mark.parametrize("case", ACTIONS)
def test_an_edit_during_a_reload_causes_one_more(case: str) -> None:
    with with_action(case, files=apps.SLOW_TO_IMPORT) as app:
        app.wait_quiet()
        before = app.generations()
        imports = importing(app)
        app.put("parts/value.py", "second")
        # Each worker imports for itself there, and a generation is counted when the first one, which may be the last, is started.
        importers = 2 if case == "workers" else 1
        app.wait(lambda: importing(app) >= imports + importers, 20, "the application is importing again")
        app.put("parts/value.py", "saved during the reload")
        app.wait_served(25)
        app.wait_generation(before + 2, 25)
        app.wait_quiet()
        assert app.generations() == before + 2


def test_an_edit_of_the_same_length_in_the_second_of_the_start_is_served() -> None:
    with Instance(ready=False) as app:
        app.wait(lambda: app.log.matching("ready in"), 20, "the application is loaded")
        app.put("parts/value.py", "FIRST")
        app.wait_served()


def test_edits_at_every_moment_of_a_reload_are_served() -> None:
    with Instance() as app:
        for step in range(24):
            app.put("parts/value.py", f"first of {step:02d}")
            saved = time.monotonic()
            # The moment is the subject: from at once to well after the reload, in steps of 15 ms.
            while time.monotonic() - saved < step * 0.015:
                time.sleep(0.001)
            app.put("parts/value.py", f"other of {step:02d}")
            app.wait_served()


# The plugin's own descriptors.


def test_workers_do_not_hold_the_watch() -> None:
    with Instance() as app:
        app.put("parts/value.py", "second")
        app.wait_served()
        app.wait_quiet()
        assert "anon_inode:inotify" in open_files(app.master_pid)
        for pid in app.worker_pids():
            assert "anon_inode:inotify" not in open_files(pid)


def test_uwsgi_stops_at_once_when_told_to() -> None:
    with Instance(ini=["die-on-term = true"]) as app:
        workers = app.worker_pids()
        # uWSGI loses a signal to a worker that is not in its loop yet: each has to answer first.
        answered: set[int] = set()
        app.wait(
            lambda: answered.add(int(app.get("/pid").text)) or len(answered) == 2, 10, "both answer"
        )
        app.process.terminate()
        app.wait(lambda: app.process.poll() is not None, 5, "the master is gone")
        app.wait(
            lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), 5, "workers too"
        )
