"""Folders come, go, move and are renamed, and what is on disk in the end is what is served."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import apps
from harness import Instance


def assert_still_seen(app: Instance, relpath: str) -> None:
    """Proves that a save at this path is served, twice."""
    for value in ("still seen", "and again"):
        app.put(relpath, value)
        app.wait_served()


# New folders.


def test_a_deep_new_folder_with_a_file_at_once_is_served_and_followed() -> None:
    with Instance() as app:
        for number in range(5):
            command = f"mkdir -p parts/n{number}/a/b/c && echo 'VALUE = \"deep\"' > parts/n{number}/a/b/c/new.py"
            subprocess.run(["sh", "-c", command], cwd=app.app, check=True)
            app.wait_served()
        assert_still_seen(app, "parts/n3/a/b/c/new.py")
        assert_still_seen(app, "parts/n0/a/b/other.py")


def test_a_large_new_tree_is_served_and_followed_to_its_last_folder() -> None:
    with Instance() as app:
        tree = app.base / "tree"
        for number in range(300):
            folder = tree / f"{number % 10}/{number % 30}/{number}"
            folder.mkdir(parents=True)
        (tree / "9/29/299/last.py").write_text('VALUE = "last"\n')
        shutil.copytree(tree, app.path("parts/tree"))
        app.wait_served()
        assert_still_seen(app, "parts/tree/9/29/299/last.py")
        assert_still_seen(app, "parts/tree/0/0/0/first.py")


# Moves and renames.


def test_a_folder_that_is_moved_in_is_served_and_followed() -> None:
    with Instance() as app:
        outside = app.base / "outside"
        (outside / "a/b").mkdir(parents=True)
        (outside / "a/b/module.py").write_text('VALUE = "moved in"\n')
        outside.rename(app.path("parts/inside"))
        app.wait_served()
        assert_still_seen(app, "parts/inside/a/b/module.py")


def test_a_folder_that_is_moved_out_is_followed_no_more() -> None:
    with Instance() as app:
        app.path("parts/leaving/a").mkdir(parents=True)
        app.put("parts/leaving/a/module.py", "leaving")
        app.wait_served()
        app.wait_quiet()
        outside = app.base / "outside"
        app.path("parts/leaving").rename(outside)
        app.wait_served()
        with app.expect_no_reload():
            (outside / "a/module.py").write_text('VALUE = "nobody sees this"\n')
            (outside / "a/other.py").write_text('VALUE = "nor this"\n')


def test_a_renamed_folder_is_followed_under_its_new_name_to_its_depth() -> None:
    with Instance() as app:
        app.path("parts/old/a/b").mkdir(parents=True)
        app.put("parts/old/a/b/module.py", "before")
        app.wait_served()
        app.wait_quiet()
        app.path("parts/old").rename(app.path("parts/new"))
        app.wait_served()
        assert_still_seen(app, "parts/new/a/b/module.py")
        app.path("parts/old/a/b").mkdir(parents=True)
        app.put("parts/old/a/b/module.py", "another with the old name")
        app.wait_served()
        assert_still_seen(app, "parts/new/a/b/module.py")
        assert_still_seen(app, "parts/old/a/b/module.py")


def test_two_folders_that_change_places_are_both_followed() -> None:
    with Instance() as app:
        for name in ("left", "right"):
            app.path(f"parts/{name}").mkdir()
            app.put(f"parts/{name}/module.py", name)
        app.wait_served()
        app.path("parts/left").rename(app.path("parts/third"))
        app.path("parts/right").rename(app.path("parts/left"))
        app.path("parts/third").rename(app.path("parts/right"))
        app.wait_served()
        assert_still_seen(app, "parts/left/module.py")
        assert_still_seen(app, "parts/right/module.py")


def test_a_renamed_file_is_served() -> None:
    with Instance() as app:
        app.path("parts/value.py").rename(app.path("parts/renamed.py"))
        app.wait_served()
        app.path("parts/renamed.py").rename(app.path("parts/value.txt"))
        app.wait_served()
        app.path("parts/value.txt").rename(app.path("parts/value.py"))
        app.wait_served()


def test_a_folder_that_is_deleted_and_made_again_is_followed() -> None:
    with Instance() as app:
        for number in range(3):
            app.path("parts/again/deep").mkdir(parents=True)
            app.put("parts/again/deep/module.py", f"time {number}")
            app.wait_served()
            assert_still_seen(app, "parts/again/deep/module.py")
            shutil.rmtree(app.path("parts/again"))
            app.wait_served()


def test_a_folder_that_is_deleted_and_made_again_at_once_is_followed() -> None:
    with Instance() as app:
        for number in range(5):
            shutil.rmtree(app.path("parts/again"), ignore_errors=True)
            app.path("parts/again/deep").mkdir(parents=True)
            app.put("parts/again/deep/module.py", f"time {number}")
        app.wait_served()
        assert_still_seen(app, "parts/again/deep/module.py")


def test_a_folder_that_becomes_a_file_and_back_is_followed() -> None:
    with Instance() as app:
        app.path("parts/changing").mkdir()
        app.put("parts/changing/module.py", "in a folder")
        app.wait_served()
        shutil.rmtree(app.path("parts/changing"))
        app.path("parts/changing").write_text("now a file")
        app.wait_served()
        app.path("parts/changing").unlink()
        app.path("parts/changing").mkdir()
        app.put("parts/changing/module.py", "in a folder again")
        app.wait_served()
        assert_still_seen(app, "parts/changing/module.py")


# The watched folder itself.


def test_a_watched_folder_that_disappears_is_awaited() -> None:
    with Instance(watch=["parts"]) as app:
        moved = app.base / "moved"
        app.path("parts").rename(moved)
        app.wait_served()
        assert app.process.poll() is None
        moved.rename(app.path("parts"))
        app.wait_served()
        assert_still_seen(app, "parts/value.py")


def test_a_watched_folder_that_is_deleted_and_made_again_is_followed() -> None:
    with Instance(watch=["parts"]) as app:
        for number in range(3):
            shutil.rmtree(app.path("parts"))
            app.wait_served()
            app.path("parts/deep").mkdir(parents=True)
            app.put("parts/value.py", f"time {number}")
            app.put("parts/deep/value.py", f"time {number}")
            app.wait_served()
            assert_still_seen(app, "parts/deep/value.py")


def test_a_watched_folder_whose_parent_disappears_is_awaited() -> None:
    with Instance(watch=["."], fastreload=["dir = parts/a/b"]) as app:
        pass_by = app.base / "pass_by"
        app.put("parts/value.py", "second")
        app.wait_served()
        app.path("parts/a").rename(pass_by)
        app.wait_served()
        pass_by.rename(app.path("parts/a"))
        app.put("parts/a/b/value.py", "back")
        app.wait_served()
        assert_still_seen(app, "parts/a/b/value.py")


def test_a_watched_folder_that_is_gone_during_a_reload_is_not_fatal() -> None:
    with Instance(watch=["parts", "extra"], ready=False) as app:
        app.wait_ready()
        shutil.rmtree(app.path("extra"))
        app.put("parts/value.py", "second")
        app.wait_served()
        assert_still_seen(app, "parts/value.py")
        app.path("extra").mkdir()
        before = app.generations()
        app.save("extra/module.py", "A = 1\n")
        app.wait_generation(before + 1)


@pytest.fixture(autouse=True)
def folders_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds the folders that single tests watch."""
    more = {"parts/a/b/value.py": apps.part("in a/b"), "extra/keep.py": "A = 1\n"}
    monkeypatch.setattr(apps, "WSGI", {**apps.WSGI, **more})


# Links.


def test_a_link_that_is_pointed_elsewhere_is_served() -> None:
    with Instance() as app:
        for name in ("one", "two"):
            (app.base / f"{name}.py").write_text(f'VALUE = "{name}"\n')
        app.path("parts/link.py").symlink_to(app.base / "one.py")
        app.wait_served()
        new = app.path("parts/.link.new")
        new.symlink_to(app.base / "two.py")
        new.rename(app.path("parts/link.py"))
        app.wait_served()
        assert app.on_disk()["parts/link.py"] == "two"


def test_a_link_to_a_folder_above_does_not_lead_round_in_circles() -> None:
    with Instance(ready=False) as app:
        app.path("parts/above").symlink_to("..", target_is_directory=True)
        app.path("parts/itself.py").symlink_to("itself.py")
        app.path("parts/itself.py").unlink()
        app.wait_ready()
        assert_still_seen(app, "parts/value.py")


def test_a_watched_folder_that_is_a_link_is_followed() -> None:
    app = Instance(watch=["link"])
    app.path("link").symlink_to("parts", target_is_directory=True)
    with app:
        assert_still_seen(app, "parts/value.py")


def test_a_dangling_link_is_not_fatal() -> None:
    with Instance() as app:
        app.path("extra/dangling.py").symlink_to("nowhere.py")
        app.path("extra/round.py").symlink_to("round.py")
        assert_still_seen(app, "parts/value.py")
        app.path("extra/dangling.py").unlink()
        assert_still_seen(app, "parts/value.py")


# Names.


@pytest.mark.parametrize(
    "name",
    (
        b"caf\xe9.py",
        b"\xff\xfe.py",
        "naïve.py".encode(),
        b"with space.py",
        b"new\nline.py",
        b"tab\tand\x1b[31mescape.py",
        b"quote\"and'.py",
        b"percent%s%n.py",
        b"[brackets]*.py",
        b"a" * 252 + b".py",
    ),
    ids=lambda name: ascii(name)[:40],
)
def test_a_file_with_such_a_name_is_served_and_logged_in_one_harmless_line(name: bytes) -> None:
    with Instance() as app:
        app.wait_quiet()
        before = app.generations()
        path = Path(os.fsdecode(os.fsencode(app.path("parts")) + b"/" + name))
        path.write_text('VALUE = "first"\n')
        app.wait_served()
        path.write_text('VALUE = "second"\n')
        app.wait_served()
        app.wait_quiet()
        assert app.generations() == before + 2
        app.log.path.read_bytes().decode("utf-8")
        said = app.log.path.read_bytes()
        assert b"\x1b" not in said and b"\t" not in said


def test_a_folder_with_a_name_that_is_no_text_is_followed() -> None:
    with Instance() as app:
        folder = Path(os.fsdecode(os.fsencode(app.path("parts")) + b"/\xff\xfe/deep"))
        folder.mkdir(parents=True)
        for value in ("first", "second"):
            (folder / "module.py").write_text(f'VALUE = "{value}"\n')
            app.wait_served()


def test_a_path_that_is_longer_than_the_kernel_takes_is_not_fatal() -> None:
    with Instance() as app:
        descriptor = os.open(app.path("extra"), os.O_DIRECTORY)
        try:
            for _ in range(30):
                os.mkdir("d" * 200, dir_fd=descriptor)
                below = os.open("d" * 200, os.O_DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
        finally:
            os.close(descriptor)
        assert_still_seen(app, "parts/value.py")
        subprocess.run(["rm", "-rf", "extra"], cwd=app.app, check=True)
        assert_still_seen(app, "parts/value.py")


# The kernel's queue.


def test_after_an_overflow_of_the_queue_the_final_state_is_served() -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip(f"a queue of {limit} events is too long to be filled here")
    with Instance() as app:
        app.wait_quiet()
        os.kill(app.master_pid, signal.SIGSTOP)
        try:
            # Two files in turn, or the kernel would join equal events.
            for _ in range(limit // 4 + 100):
                app.save("storm_a.log", "x")
                app.save("storm_b.log", "x")
            app.put("parts/value.py", "saved when the queue was full")
            app.path("parts/fresh/deep").mkdir(parents=True)
            app.put("parts/fresh/deep/value.py", "made when the queue was full")
        finally:
            os.kill(app.master_pid, signal.SIGCONT)
        app.wait_served()
        assert_still_seen(app, "parts/value.py")
        assert_still_seen(app, "parts/fresh/deep/value.py")


def test_an_overflow_without_a_change_causes_no_reload() -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip(f"a queue of {limit} events is too long to be filled here")
    with Instance() as app:
        with app.expect_no_reload():
            os.kill(app.master_pid, signal.SIGSTOP)
            try:
                for _ in range(limit // 4 + 100):
                    app.save("storm_a.log", "x")
                    app.save("storm_b.log", "x")
            finally:
                os.kill(app.master_pid, signal.SIGCONT)
