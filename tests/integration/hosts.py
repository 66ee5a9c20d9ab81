"""Two hosts on one machine: network namespaces, and a shared folder whose changes the second one never hears of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Sequence

import pytest

from harness import die_with_parent, end_process_tree

# An overlay mounted on its own lower folder shows what others write there, and its inotify says nothing of it: like
# a shared folder. Two lower folders and no upper one make it read-only.
SHARE = 'mount -t overlay overlay -o "lowerdir=$0:$1" "$0" && cd "$0" && shift && exec "$@"'


def shared_folder(app: Path, empty: Path) -> list[str]:
    """Returns the wrapper of a command that sees the folder as another host's: in a mount namespace of its own."""
    empty.mkdir(exist_ok=True)
    return ["unshare", "--mount", "sh", "-c", SHARE, str(app), str(empty)]


def skip_without(command: Sequence[str], why: str) -> None:
    """Skips the test where a command that it rests on does not work here."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = result.stderr.strip()
    except FileNotFoundError as error:
        reason = str(error)
    else:
        if result.returncode == 0:
            return
    pytest.skip(f"{why}: {reason}")


def require_shared_folders(tmp_path: Path) -> None:
    """Skips where no overlay can be mounted."""
    lower = tmp_path / "probe"
    lower.mkdir()
    skip_without([*shared_folder(lower, tmp_path / "empty"), "true"], "no overlay can be mounted here")


class Wire:
    """Two network namespaces with a cable between them; `near` has the address 192.0.2.1, `far` has 192.0.2.2."""

    FAR = "192.0.2.2"

    def __init__(self) -> None:
        self.near, self.far = (f"fastreload-{os.getpid()}-{end}" for end in "ab")

    def __enter__(self) -> "Wire":
        skip_without(["ip", "netns", "add", self.near], "no network namespaces here")
        try:
            self._ip("netns", "add", self.far)
            self._ip("-n", self.near, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self.far)
            for end, address in (self.near, "192.0.2.1/24"), (self.far, f"{self.FAR}/24"):
                self._ip("-n", end, "address", "add", address, "dev", "eth0", "nodad")
                for device in "lo", "eth0":
                    self._ip("-n", end, "link", "set", device, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_what: object) -> None:
        for end in self.near, self.far:
            subprocess.run(["ip", "netns", "del", end], capture_output=True, check=False)

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    @staticmethod
    def at(end: str) -> list[str]:
        """Returns the wrapper of a command that runs on that host."""
        return ["ip", "netns", "exec", end]


class Shell:
    """A shell command on one of the hosts, and all that it starts."""

    def __init__(self, command: str, *, wrapper: Sequence[str] = (), cwd: Path | None = None) -> None:
        self.command, self.wrapper, self.cwd = command, list(wrapper), cwd

    def __enter__(self) -> "Shell":
        self.process = subprocess.Popen(
            [*self.wrapper, "sh", "-c", self.command],
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        return self

    def __exit__(self, *_what: object) -> None:
        end_process_tree(self.process)
