"""A real Watchman says what changed: it dies and comes back, reads all again, and outlives a full reload."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

import harness
from harness import Instance


def has_backend() -> bool:
    """Returns whether this plugin lets a backend be chosen."""
    command = [harness.UWSGI, "--plugins-dir", str(harness.PLUGIN_DIR), "--plugin", "fastreload", "--help"]
    return "fastreload-backend" in subprocess.run(command, capture_output=True, text=True).stdout


pytestmark = [
    pytest.mark.skipif(not shutil.which("watchman"), reason='there is no command "watchman"'),
    pytest.mark.skipif(not has_backend(), reason="this plugin has no --fastreload-backend"),
]


class Daemon:
    """Watchman with its own socket and state, never the user's."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.socket = base / "sock"
        self.process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        """Starts the daemon and waits until it can be connected to."""
        names = {"sockname": "sock", "statefile": "state", "pidfile": "pid", "logfile": "log"}
        self.process = subprocess.Popen(
            ["watchman", "--foreground", "--no-save-state", *(f"--{k}={self.base / v}" for k, v in names.items())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=harness.die_with_parent,
        )
        harness.wait_until(self.answers, harness.START_DEADLINE_S, "Watchman answers")

    def answers(self) -> bool:
        """Returns whether something listens at the socket."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.socket))
            return True
        return False

    def kill(self) -> None:
        """Ends the daemon without any notice."""
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def say(self, *words: str) -> None:
        """Runs one of its commands."""
        subprocess.run(
            ["watchman", "--no-spawn", f"--sockname={self.socket}", *words], check=True, stdout=subprocess.DEVNULL
        )


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon for one test."""
    base = Path(tempfile.mkdtemp(prefix="fastreload-watchman-"))
    base.chmod(0o700)
    running = Daemon(base)
    yield running
    running.kill()
    shutil.rmtree(base)


def instance(daemon: Daemon, *options: str) -> Instance:
    """An instance that is told of changes by that daemon."""
    return Instance(fastreload=["backend = watchman", *options], env={"WATCHMAN_SOCK": str(daemon.socket)})


def assert_followed(app: Instance, *values: str) -> None:
    """Proves that saves in an old and in a new folder are served."""
    for value in values:
        app.put("parts/alpha.py", value)
        app.wait_served()
        app.path(f"parts/{value}/deep").mkdir(parents=True)
        app.put(f"parts/{value}/deep/new.py", value, "atomic")
        app.wait_served()


def test_saves_are_served(daemon: Daemon) -> None:
    with instance(daemon) as app:
        assert_followed(app, "one", "two")


def test_daemon_is_killed_and_comes_back_and_nothing_is_lost(daemon: Daemon) -> None:
    with instance(daemon) as app:
        assert_followed(app, "before")
        app.put("parts/alpha.py", "in its last moment")
        daemon.kill()
        app.put("parts/alpha.py", "while it is away")
        app.path("parts/before/deep/new.py").unlink()
        daemon.start()
        app.wait_served(deadline_s=30)
        assert_followed(app, "after", "later")


def test_recrawl_loses_nothing(daemon: Daemon) -> None:
    with instance(daemon) as app:
        assert_followed(app, "before")
        daemon.say("debug-recrawl", str(app.app))
        app.put("parts/alpha.py", "meanwhile")
        app.wait_served()
        assert_followed(app, "after")


def test_full_reloads_lose_nothing(daemon: Daemon) -> None:
    with instance(daemon, "action = reload") as app:
        for number in range(3):
            app.put("parts/alpha.py", f"first {number}")
            app.wait(lambda: app.log.count(harness.IMAGE) > number + 1, 15, "the binary is executed again")
            app.put("parts/alpha.py", f"second {number}")
            app.wait_served()
        assert_followed(app, "after")


def test_without_a_daemon_inotify_watches_and_the_log_says_why() -> None:
    with Instance(fastreload=["backend = watchman"], env={"WATCHMAN_SOCK": "/nonexistent/sock"}) as app:
        said = app.log.matching("is watched by inotify: watchman has failed: Watchman does not answer at")
        assert len(said) == 1, app.log.tail()
        app.put("parts/value.py", "second")
        app.wait_served()
