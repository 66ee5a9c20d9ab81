"""nginx in front of an instance."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest

# Debian keeps it where a user's PATH does not look.
PATH = os.environ.get("PATH", "") + ":/usr/sbin"


def require() -> None:
    if shutil.which("nginx", path=PATH) is None:
        pytest.skip("nginx is not installed (nginx-light)")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """Runs nginx with the folder's nginx.conf; what it says goes to nginx.log there."""
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(
            ["nginx", "-p", str(folder), "-c", "nginx.conf"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=harness.die_with_parent,
            env={**os.environ, "PATH": PATH},
        )
        try:
            yield
        finally:
            harness.end_process_tree(process)
