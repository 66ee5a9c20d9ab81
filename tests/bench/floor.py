"""The physical floor: what a reload costs if nothing but the new import is left of it.

A Python process imports the project up to just before the edited module (see halfway.py). For each save a copy is forked
off, imports that module and what follows, and says that it is done. No server, no watching, no worker, no request.

A second floor lies deeper: there the process has everything outside the project in its memory already, even what is first imported after
the edited module.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import measure
from figures import Result
from projects import SMALL, Copy, Project
from tools import harness

HALFWAY = Path(__file__).resolve().parent / "halfway.py"


class Floor:
    """Takes turns like a contender."""

    name = "(floor: fork, import)"
    options: tuple[str, ...] = ()

    def __init__(self, project: Project = SMALL, name: str = "") -> None:
        self.copy = Copy(project)
        self.result = Result(name or self.name)
        self.rested_at = 0.0
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Floor":
        project = self.copy.project
        self.process = subprocess.Popen(
            [sys.executable, str(HALFWAY), "shop.wsgi", project.module, *self.options],
            cwd=self.copy.base / "app",
            env={"PATH": os.environ.get("PATH", ""), "DJANGO_SETTINGS_MODULE": project.settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=harness.die_with_parent,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            harness.end_process_tree(self.process)
        shutil.rmtree(self.copy.base, ignore_errors=True)

    def _hear(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"halfway.py ended with {self.process.wait()}: see its error above")
        return json.loads(line)

    def wait_ready(self) -> None:
        """Waits until the process is half way, and has gone the rest once: that leaves the compiled files."""
        assert self._hear() == {"waits": self.copy.project.module}
        self._import_rest()

    def _import_rest(self) -> dict:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        said = self._hear()
        self.rested_at = time.monotonic() + measure.REST_S
        return said

    def measure(self, version: str, how: str) -> bool:
        """Saves once, and has the rest imported at once."""
        self.copy.save(version, how)
        said = self._import_rest()
        if said["version"] != version:
            self.result.lost += 1
            return False
        self.result.served_ms.append(said["ms"])
        return True


class DeepFloor(Floor):
    """The same with all dependencies in memory."""

    name = "(floor, dependencies there)"
    options = ("all",)
