"""A vassal with the two lines reloads itself, and the Emperor leaves it alone."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Iterator

import pytest

import harness
from harness import Instance, Log, Server, process_name

# What the Emperor says when it acts on a vassal that already runs.
EMPEROR_ACTED = re.compile(r"\[emperor\].*(reload|respawn|stop|remov|curse|died|restart)", re.I)


class Vassal(Instance):
    """An application that an Emperor runs, with its own log."""

    def __init__(self, lines: tuple[str, ...] = ()) -> None:
        super().__init__()
        vassals = self.base / "vassals"
        vassals.mkdir()
        self.vassal_log = self.base / "vassal.log"
        self.vassal_ini = vassals / "shop.ini"
        own = [*self.options, *lines, f"chdir = {self.app}", f"logto = {self.vassal_log}"]
        own = [line.replace("fastreload-dir = .", f"fastreload-dir = {self.app}") for line in own]
        self.vassal_ini.write_text("\n".join(["[uwsgi]", *own, ""]))
        self.options = [f"emperor = {vassals}", "emperor-freq = 1"]
        self.emperor_log = self.log
        self.log = Log(self.vassal_log)

    def start(self) -> None:
        """Starts the Emperor; its own log is apart from the vassal's."""
        vassal_log, self.log = self.log, self.emperor_log
        super().start()
        self.log = vassal_log

    def master_of_vassal(self) -> int:
        """Returns the pid of the vassal's master: the parent of the worker that answers, as soon as what has loaded that worker is gone."""

        def parent() -> int:
            status = Path(f"/proc/{int(self.get('/pid').text)}/status").read_text()
            found = int(re.search(r"^PPid:\s+(\d+)", status, re.M).group(1))
            name = process_name(found)
            return found if name and not name.startswith("fastreload") else 0

        return self.wait(parent, 5, "the worker is the master's")


@pytest.fixture
def vassal() -> Iterator[Vassal]:
    """Returns a running vassal."""
    harness.require_plugin()
    with Vassal() as instance:
        instance.wait_quiet()
        yield instance


def test_a_vassal_reloads_itself_and_the_emperor_does_not_restart_it(vassal: Vassal) -> None:
    master = vassal.master_of_vassal()
    first_line = len(vassal.emperor_log.refresh().lines)
    for value in ("second", "third"):
        with vassal.expect_exactly_one_reload():
            vassal.put("parts/value.py", value)
    assert vassal.master_of_vassal() == master
    # The Emperor looks at its vassals once per second: its next look is over when it has seen a new one.
    newcomer = Server(
        [f"http-socket = {vassal.base / 'other.sock'}", "master = true"], base=vassal.base
    )
    (vassal.vassal_ini.parent / "other.ini").write_text(
        "\n".join(["[uwsgi]", *newcomer.options, f"logto = {vassal.base / 'other.log'}", ""])
    )
    vassal.wait(lambda: (vassal.base / "other.log").exists(), 15, "the Emperor starts a new vassal")
    acted = vassal.emperor_log.matching(EMPEROR_ACTED, first_line)
    assert not [line for line in acted if "shop.ini" in line], acted


def test_a_vassal_that_breaks_is_mended_by_a_save(vassal: Vassal) -> None:
    good = vassal.path("wsgi.py").read_text()
    master = vassal.master_of_vassal()
    since = len(vassal.log.refresh().lines)
    vassal.save("wsgi.py", "def broken(:\n")
    vassal.wait(lambda: vassal.log.matching("SyntaxError", since), 15, "the vassal is broken")
    vassal.save("wsgi.py", good + "# mended\n")
    vassal.put("parts/value.py", "mended")
    vassal.wait_served(20)
    assert vassal.master_of_vassal() == master


def test_the_emperors_own_reload_of_a_vassal_still_works(vassal: Vassal) -> None:
    # Not a reload of the plugin's: only uWSGI's own log counts it.
    starts = vassal.log.count(vassal.generation)
    # The Emperor compares whole seconds: a touch in the second of the start would be lost.
    later = time.time() + 10
    os.utime(vassal.vassal_ini, (later, later))
    vassal.wait(lambda: vassal.log.count(vassal.generation) > starts, 20, "the Emperor reloads the vassal")
    vassal.wait_served()
    vassal.wait_quiet()
    with vassal.expect_exactly_one_reload():
        vassal.put("parts/value.py", "after the Emperor's reload")
