"""Folders that are polled: because the configuration says so, because of what they are on, or because of a limit."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import apps
from harness import RELOAD_DEADLINE_S, Instance, process_state, wait_until
from remote import Mount, RemoteInstance, outposts, require, seconds_until_served

POLLED = re.compile(r'\[fastreload\] ".*" is polled: ')
REPLACED = re.compile(r"is looked at by a new process: .* was ended")
SILENT = re.compile(r"has not answered for \d+ s")
ANSWERS = re.compile(r"answers again, after \d+ s")


def polling(**options: object) -> Instance:
    """Returns an instance whose folder is polled, though it need not be."""
    return Instance(fastreload=["backend = poll"], **options)


# A folder that is polled is followed like any other.


@pytest.mark.parametrize("how", ["inplace", "atomic"])
def test_saves_are_served(how: str) -> None:
    with polling() as app:
        for number in range(5):
            app.put("parts/value.py", f"save {number}", how=how)
            app.wait_served()


def test_files_and_folders_that_come_and_go_are_served() -> None:
    with polling() as app:
        app.path("parts/deep/er").mkdir(parents=True)
        app.put("parts/deep/er/new.py", "new")
        app.wait_served()
        app.put("parts/deep/er/new.py", "changed")
        app.wait_served()
        app.path("parts/deep").rename(app.path("parts/moved"))
        app.wait_served()
        shutil.rmtree(app.path("parts/moved"))
        app.wait_served()


def test_many_saves_at_once_are_one_reload() -> None:
    with polling() as app:
        with app.expect_exactly_one_reload():
            for number in range(40):
                app.put(f"parts/part_{number}.py", str(number))


def test_a_save_without_a_change_is_no_reload_and_a_touch_is_one() -> None:
    with polling() as app:
        text = app.path("parts/value.py").read_text()
        with app.expect_no_reload():
            app.save("parts/value.py", text)
            app.save("parts/value.py", text, how="atomic")
        with app.expect_exactly_one_reload():
            os.utime(app.path("parts/value.py"))


def test_saves_of_the_same_length_within_a_second_are_all_served() -> None:
    with polling() as app:
        for number in range(10, 14):
            app.put("parts/value.py", str(number))
            app.wait_served()


def test_what_is_saved_during_a_full_reload_is_served() -> None:
    with Instance(fastreload=["backend = poll", "action = reload"]) as app:
        for number in range(8):
            app.put("parts/value.py", f"save {number}")
            app.put("parts/other.py", f"other {number}")
            if number % 2:
                app.wait_served()
        app.wait_served()


# The process that looks.


def test_a_killed_outpost_is_replaced_and_nothing_is_lost() -> None:
    with polling() as app:
        for number in range(3):
            (pid,) = app.wait(lambda: outposts(app), RELOAD_DEADLINE_S, "somebody looks")
            os.kill(pid, signal.SIGKILL)
            app.put("parts/value.py", f"written while nobody looked {number}")
            app.wait_served()
        app.wait(lambda: app.log.count(REPLACED) >= 1, RELOAD_DEADLINE_S, "that is said")
        app.wait_served()
        assert app.process.poll() is None


def test_an_outpost_ends_with_the_master_however_that_ends() -> None:
    with polling() as app:
        (pid,) = app.wait(lambda: outposts(app), RELOAD_DEADLINE_S, "somebody looks")
        os.kill(app.master_pid, signal.SIGKILL)
        wait_until(
            lambda: process_state(pid) in ("", "Z", "X"), RELOAD_DEADLINE_S, "the outpost has gone"
        )


def test_there_is_one_outpost_after_full_reloads_and_it_holds_nothing_of_the_master_s() -> None:
    with Instance(fastreload=["backend = poll", "action = reload"]) as app:
        for number in range(3):
            app.put("parts/value.py", f"save {number}")
            app.wait_served()
        (pid,) = app.wait(
            lambda: len(outposts(app)) == 1 and outposts(app), RELOAD_DEADLINE_S, "one outpost"
        )
        held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert sorted(path for path in held if path != "/dev/null" and "socket:" not in path) == []
        assert sum("socket:" in path for path in held) == 1


# What is chosen, and said.


def test_one_folder_can_have_a_backend_of_its_own() -> None:
    files = {**apps.WSGI, "parts/a,b/value.py": 'VALUE = "first"\n'}
    with Instance(files, watch=["parts/a,b,backend=poll", "."]) as app:
        polled = app.log.matching(POLLED)
        assert len(polled) == 1 and 'parts/a,b" is polled: as the configuration says' in polled[0]
        app.put("parts/a,b/value.py", "second")
        app.wait_served()
        app.put("parts/value.py", "second")
        app.wait_served()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["fastreload-dir = .", "fastreload-backend = telepathy"], "--fastreload-backend"),
        (["fastreload-dir = .,backend=telepathy"], "--fastreload-dir"),
    ],
)
def test_an_unknown_backend_is_refused_in_one_line(options: list[str], named: str) -> None:
    app = Instance(watch=[], ini=[], ready=False)
    app.options += options
    finished = app.run()
    (line,) = finished.plugin_lines()
    assert named in line and "telepathy" in line and "there are auto, " in line
    assert finished.status == 1


# File systems that change from underneath.


@pytest.mark.parametrize("kind", ["bindfs", "sshfs"])
def test_changes_behind_a_fuse_file_system_are_served_without_configuration(kind: str) -> None:
    with RemoteInstance(kind=kind) as app:
        (line,) = app.log.matching(POLLED)
        assert "it is on fuse" in line and "where changes come from elsewhere" in line
        app.wait_quiet()
        for number in range(4):
            took = seconds_until_served(app, "parts/value.py", f"save {number}")
            print(f"{kind}: {took * 1000:.0f} ms")
        if kind == "bindfs":  # sshfs remembers folders for 20 s
            app.put("parts/new.py", "new", how="atomic")
            app.wait_served()


def test_a_mount_below_a_watched_folder_is_polled_alone() -> None:
    require("bindfs")
    app = Instance(ready=False)
    behind = app.base / "behind"
    behind.mkdir()
    (behind / "inner.py").write_text('VALUE = "first"\n')
    with Mount(behind, app.path("parts/below")), app:
        app.wait_ready()
        (line,) = app.log.matching(POLLED)
        assert 'parts/below" is polled: ' in line
        (behind / "inner.py").write_text('VALUE = "second"\n')
        app.wait_served()
        app.put("parts/value.py", "second")
        app.wait_served()


def test_a_mount_that_comes_later_is_noticed() -> None:
    require("bindfs")
    with Instance() as app:
        behind = app.base / "behind"
        behind.mkdir()
        (behind / "inner.py").write_text('VALUE = "first"\n')
        with Mount(behind, app.path("parts/late")):
            app.wait_served()
            app.wait_quiet()
            (behind / "inner.py").write_text('VALUE = "second"\n')
            app.wait_served()
            assert 'parts/late" is polled: ' in app.log.matching(POLLED)[0]
            app.stop()


def test_a_file_system_that_hangs_holds_up_nobody() -> None:
    require("bindfs")
    app = Instance(ready=False, watch=[".", "../far"])
    behind = app.base / "behind"
    behind.mkdir()
    (behind / "module.py").write_text("A = 1\n")
    with Mount(behind, app.base / "far") as mount, app:
        app.wait_ready()
        app.put("parts/value.py", "before")
        app.wait_served()
        with mount.hanging():
            app.wait(lambda: app.log.count(SILENT), 30, "the folder is said to be silent")
            for number in range(3):  # the other folder is served as always
                app.put("parts/value.py", f"while it hangs {number}")
                app.wait_served()
            assert app.log.count(SILENT) == 1
            reloads = app.reload_count()
            (behind / "module.py").write_text("A = 2\n")
        app.wait(lambda: app.log.count(ANSWERS), RELOAD_DEADLINE_S, "it answers again")
        app.wait(lambda: app.reload_count() > reloads, RELOAD_DEADLINE_S, "the change is seen")
        app.stop()


def test_an_instance_ends_while_a_file_system_hangs() -> None:
    require("bindfs")
    app = Instance(ready=False, watch=[".", "../far"])
    behind = app.base / "behind"
    behind.mkdir()
    (behind / "module.py").write_text("A = 1\n")
    with Mount(behind, app.base / "far") as mount, app:
        app.wait_ready()
        (pid,) = app.wait(lambda: outposts(app), RELOAD_DEADLINE_S, "somebody looks")
        with mount.hanging():
            app.wait(lambda: app.log.count(SILENT), 30, "the folder is said to be silent")
            app.process.send_signal(signal.SIGINT)
            wait_until(lambda: app.process.poll() is not None, RELOAD_DEADLINE_S, "uWSGI ends")
            wait_until(
                lambda: process_state(pid) in ("", "Z", "X"),
                RELOAD_DEADLINE_S,
                "the outpost has gone",
            )


# The limits of inotify.


def limited(watches: int, instances: int) -> list[str]:
    """Returns a command that starts another with limits of its own, in a user namespace."""
    script = (
        f"echo {watches} >/proc/sys/user/max_inotify_watches && "
        f"echo {instances} >/proc/sys/user/max_inotify_instances && exec \"$@\""
    )
    return ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]


def require_namespace() -> None:
    """Skips the test, aloud, where limits cannot be set for a test alone."""
    probe = subprocess.run([*limited(10, 10), "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no user namespace with limits of its own: {probe.stderr.strip()}")


@pytest.mark.parametrize(
    ("watches", "instances", "said"),
    [
        (5, 50, r"inotify has failed: .*fs\.inotify\.max_user_watches is 5 .* sysctl|needed here"),
        (50, 0, r"inotify has failed: no inotify instance is left: .*max_user_instances is 0"),
    ],
)
def test_a_folder_beyond_a_limit_of_inotify_is_polled(
    watches: int, instances: int, said: str
) -> None:
    require_namespace()
    files = {**apps.WSGI, **{f"parts/p{n}/value.py": 'VALUE = "first"\n' for n in range(12)}}
    with Instance(files, wrapper=limited(watches, instances)) as app:
        (line,) = app.log.matching(POLLED)
        assert re.search(said, line)
        for number in (0, 11):
            app.put(f"parts/p{number}/value.py", "second")
            app.wait_served()


def test_a_limit_that_is_met_later_moves_the_folder_to_polling() -> None:
    require_namespace()
    with Instance(wrapper=limited(6, 50)) as app:
        assert not app.log.matching(POLLED)
        for number in range(12):
            app.path(f"parts/p{number}").mkdir()
            app.put(f"parts/p{number}/value.py", "first")
        app.wait_served()
        app.wait(lambda: app.log.count(POLLED), RELOAD_DEADLINE_S, "the folder is polled")
        app.put("parts/p11/value.py", "second")
        app.wait_served()
        assert app.log.count(POLLED) == 1


# A watch that hears nothing.


@pytest.mark.slow
def test_a_deaf_watch_is_noticed_and_the_folder_is_polled() -> None:
    """inotify is asked for on a file system that changes from underneath: no event ever comes."""
    with RemoteInstance(fastreload=["backend = inotify"]) as app:
        app.put("parts/value.py", "unheard")
        app.wait(lambda: app.log.count(POLLED), 60, "an audit has found it")
        assert "inotify has not told of changes there" in app.log.matching(POLLED)[0]
        app.wait_served()
        app.put("parts/value.py", "heard")
        app.wait_served()
