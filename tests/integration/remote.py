"""Applications on file systems that change from underneath: FUSE, mounted by the test itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

import apps
from harness import (
    START_DEADLINE_S,
    Instance,
    children_of,
    die_with_parent,
    process_name,
    process_state,
    wait_until,
)

SFTP_SERVERS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")
OUTPOST = "fastreload-poll"


def require(command: str) -> str:
    """Skips the test, aloud, where there is no FUSE or no such command."""
    path = shutil.which(command)
    if path is None:
        pytest.skip(f"{command} is not installed: run tests/setup check")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse cannot be opened: no FUSE file system can be mounted here")
    return path


class Mount:
    """A FUSE file system that shows `source` at `point`, served by a process of the test."""

    def __init__(self, source: Path, point: Path, kind: str = "bindfs") -> None:
        self.source, self.point, self.kind = source, point, kind
        self.processes: list[subprocess.Popen] = []

    def _spawn(self, command: list[str], **streams: object) -> None:
        self.processes.append(
            subprocess.Popen(command, preexec_fn=die_with_parent, start_new_session=True, **streams)
        )

    def __enter__(self) -> "Mount":
        self.point.mkdir(exist_ok=True)
        if self.kind == "bindfs":
            command = [require("bindfs"), "-f", str(self.source), str(self.point)]
            self._spawn(command, stdin=subprocess.DEVNULL)
        else:
            # The SFTP server on the other end of a socket: a real sshfs without any network.
            server = next((path for path in SFTP_SERVERS if os.path.exists(path)), None)
            command = [require("sshfs"), f":{self.source}", str(self.point), "-f", "-o", "passive"]
            if server is None:
                pytest.skip("sftp-server is not installed: run tests/setup check")
            ours, theirs = socket.socketpair()
            with ours, theirs:
                self._spawn([server], stdin=theirs, stdout=theirs)
                self._spawn(command, stdin=ours, stdout=ours)
        wait_until(self.point.is_mount, START_DEADLINE_S, f"{self.kind} is mounted")
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on()
        subprocess.run(["umount", "-l", str(self.point)], check=False, capture_output=True)
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Stops the process that answers, for a while: whoever asks, waits."""
        self.processes[-1].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.go_on()  # before anybody tidies up there

    def go_on(self) -> None:
        """Lets it answer again."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)


class RemoteInstance(Instance):
    """An instance whose application is on a FUSE file system; the tests write to what is behind it."""

    def __init__(self, *args: object, kind: str = "bindfs", **options: object) -> None:
        require(kind)
        super().__init__(*args, **options)
        self.real = self.base / "real"
        self.app.rename(self.real)
        self.mount = Mount(self.real, self.app, kind)

    def __enter__(self) -> "RemoteInstance":
        self.mount.__enter__()
        try:
            super().__enter__()
        except BaseException:
            self.mount.__exit__()
            raise
        return self

    def stop(self) -> None:
        """Ends uWSGI, which would otherwise wait for a file system that is gone."""
        self.mount.go_on()
        super().stop()
        self.mount.__exit__()

    def path(self, relpath: str) -> Path:
        """Returns where a file really is."""
        return getattr(self, "real", self.app) / relpath

    def on_disk(self) -> dict[str, str]:
        """Returns what the application has to answer, by looking behind the file system."""
        return apps.parts_on_disk(self.real)


def outposts(app: Instance) -> list[int]:
    """Returns the pids of the processes that look at disks in the master's place."""
    return [
        pid
        for pid in children_of(app.master_pid)
        if process_name(pid) == OUTPOST and process_state(pid) not in ("Z", "X", "")
    ]


def seconds_until_served(app: Instance, relpath: str, value: str, how: str = "inplace") -> float:
    """Saves a module and returns how long it took until what is on disk was served."""
    before = time.monotonic()
    app.put(relpath, value, how)
    app.wait_served()
    return time.monotonic() - before
