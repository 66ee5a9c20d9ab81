"""Emperors with small vassals, for the tests and the benchmark of the imperial monitor.

A vassal answers each request with its value, by uWSGI's own routing, so that it needs no language
plugin and little memory. What it answers is in its file: a new answer is a reloaded vassal.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import Sequence

import editors
from harness import PLUGIN_DIR, Server

RELOADED = re.compile(r"\[emperor\] reload the uwsgi instance ")
STOPPED = re.compile(r"\[emperor\] stop the uwsgi instance ")
ACCEPTING = re.compile(r"\[emperor\] vassal (\S+) is ready to accept requests")
# So long that whatever is seen sooner was not found by looking now and then.
NEVER_LOOKS = "emperor-freq = 600"


def ask(path: Path, timeout_s: float = 5.0) -> str | None:
    """Returns what the vassal behind a socket answers, or nothing where none does."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while chunk := connection.recv(4096):
                answer += chunk
    except OSError:
        return None
    return answer.decode() or None


class Emperor(Server):
    """An Emperor with a folder of vassals."""

    def __init__(
        self,
        options: Sequence[str] = (NEVER_LOOKS,),
        *,
        monitor: str = "fastreload://",
        where: str = "vassals",
        wrapper: Sequence[str] = (),
        lines: Sequence[str] = (),
    ) -> None:
        super().__init__([], wrapper=wrapper)
        self.vassals = self.base / "vassals"
        self.vassals.mkdir()
        self.lines = list(lines)
        self.options = [
            f"plugins-dir = {PLUGIN_DIR}",
            "plugin = fastreload",
            f"emperor = {monitor}{self.base / where}",
            *options,
        ]

    def text(self, name: str, value: object) -> str:
        """Returns the configuration of a vassal that answers so."""
        return "\n".join(
            [
                "[uwsgi]",
                f"http-socket = {self.socket(name)}",
                "disable-logging = true",
                *self.lines,
                f"route-run = send:{value}",
                "route-run = break:",
                "",
            ]
        )

    def file(self, name: str) -> Path:
        """Returns where the file of a vassal is."""
        return self.vassals / f"{name}.ini"

    def socket(self, name: str) -> Path:
        """Returns where a vassal listens."""
        return self.base / f"{name}.sock"

    def put(self, name: str, value: object, how: str = "inplace") -> None:
        """Saves the file of a vassal."""
        editors.save(self.file(name), self.text(name, value), how)

    def answer(self, name: str) -> str | None:
        """Returns what a vassal answers now."""
        return ask(self.socket(name))

    def wait_answer(self, name: str, value: object, deadline_s: float = 20.0) -> None:
        """Waits until a vassal answers so."""
        self.wait(
            lambda: self.answer(name) == str(value),
            deadline_s,
            f"{name} answers {value}",
            lambda: f"it answers {self.answer(name)}\n{self.log.tail(100)}",
        )

    def wait_gone(self, name: str, deadline_s: float = 20.0) -> None:
        """Waits until a vassal does not answer any more."""
        self.wait(lambda: self.answer(name) is None, deadline_s, f"{name} is gone")

    def accepted(self, name: str) -> int:
        """Returns how often a vassal has started, or started again."""
        return sum(
            1
            for line in self.log.matching(ACCEPTING)
            if f" {os.path.basename(name)}.ini is ready" in line
        )
