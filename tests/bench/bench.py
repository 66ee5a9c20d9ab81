#!/usr/bin/python3
"""Measures how long after a save the first answer comes from the new code, mechanism beside mechanism.

All contenders run at the same time, each on its own copy of tests/project, and take turns in rounds of
random order, so that whatever else the machine does hits them alike. A row is a subclass of Contender
(give it a command() of its own where it is not uWSGI), a column is an entry of COLUMNS.

The clock starts when the save has ended and stops when the first whole answer with the new text is
there; the poller makes one connection per question. A second, light client counts the requests that
fail from the save until a little after the first new answer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import editors  # noqa: E402
import harness  # noqa: E402

PROJECT = harness.CHECKOUT / "tests" / "project"
EDITED = "pages/views.py"
ASKED = "/pages/version/"
CONSTANT = re.compile(r'^VERSION = ".*"$', re.M)

POLL_PAUSE_S = 0.001
CLIENT_PAUSE_S = 0.025
LOST_AFTER_S = 20.0
LINGER_S = 0.3
# uWSGI's own mechanisms compare whole seconds, and py-autoreload is blind right after a reload. They get
# the time they need, so that what is measured is their speed and not their gaps; everybody gets the same.
REST_S = 2.5


class Contender(harness.Server):
    """A server of the project's copy that reloads itself by one mechanism."""

    name = ""
    workers = 2
    needs_plugin = False

    def __init__(self) -> None:
        base = Path(tempfile.mkdtemp(prefix="fastreload-bench-"))
        shutil.copytree(
            PROJECT,
            base / "app",
            ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3", "*.pyc"),
        )
        self.port = harness.free_port()
        self.result = Result(self.name)
        self.rested_at = 0.0
        super().__init__([], base=base)
        self.options = [
            "plugin = python3",
            "module = shop.wsgi:application",
            f"http-socket = 127.0.0.1:{self.port}",
            "master = true",
            f"processes = {self.workers}",
            "disable-logging = true",
            *self.reload_options(),
        ]

    def reload_options(self) -> list[str]:
        """Returns the lines of configuration that make it reload."""
        return []

    def after_save(self) -> None:
        """Does what the developer has to do after a save, which counts as part of the time."""

    def ask(self, timeout_s: float = LOST_AFTER_S) -> str:
        """Returns the version that is served; raises OSError where the request fails."""
        response = harness.http_get(("127.0.0.1", self.port), ASKED, timeout_s)
        if response.status != 200:
            raise ConnectionError(f"status {response.status}")
        return response.text.strip()

    def wait_ready(self) -> None:
        """Waits until it answers."""

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return bool(self.ask())
            return False

        self.wait(answers, 60, f"{self.name} answers")
        self.rested_at = time.monotonic() + REST_S


class PyAutoreload(Contender):
    """uWSGI's Python plugin looks at the times of all modules once per second."""

    name = "py-autoreload=1"

    def reload_options(self) -> list[str]:
        return ["py-autoreload = 1"]


class TouchReload(Contender):
    """uWSGI looks at the time of one file, which is touched right after the save."""

    name = "touch-reload"

    def reload_options(self) -> list[str]:
        self.trigger = self.base / "trigger"
        self.trigger.write_text("")
        return [f"touch-reload = {self.trigger}"]

    def after_save(self) -> None:
        os.utime(self.trigger)


class FsReload(Contender):
    """uWSGI has inotify watch the one file that is edited."""

    name = "fs-reload"

    def reload_options(self) -> list[str]:
        return [f"fs-reload = {self.app / EDITED}"]


class Fastreload(Contender):
    """This plugin, with its two lines."""

    name = "fastreload"
    needs_plugin = True

    def reload_options(self) -> list[str]:
        return [f"plugins-dir = {harness.PLUGIN_DIR}", "plugin = fastreload", "fastreload-dir = ."]

    def wait_ready(self) -> None:
        super().wait_ready()
        self.wait(lambda: self.log.count(harness.ARMED), 20, "the watch is armed")


CONTENDERS: list[type[Contender]] = [PyAutoreload, TouchReload, FsReload, Fastreload]
REFERENCE = Fastreload.name


@dataclass
class Result:
    """What one contender did."""

    name: str
    served_ms: list[float] = field(default_factory=list)
    lost: int = 0
    requests: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    poll_failures: int = 0

    def quantile(self, share: float) -> float:
        """Returns the smallest time that this share of the saves did not exceed."""
        if not self.served_ms:
            return float("nan")
        ordered = sorted(self.served_ms)
        return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]

    @property
    def median_ms(self) -> float:
        """Returns the median time."""
        return statistics.median(self.served_ms) if self.served_ms else float("nan")


@contextlib.contextmanager
def light_client(contender: Contender) -> Iterator[None]:
    """Asks a few times per second in the background and counts what fails."""
    stop = threading.Event()
    result = contender.result

    def ask_repeatedly() -> None:
        while not stop.wait(CLIENT_PAUSE_S):
            result.requests += 1
            try:
                contender.ask()
            except OSError as error:
                kind = str(error) if str(error).startswith("status") else type(error).__name__
                result.failures[kind] = result.failures.get(kind, 0) + 1

    thread = threading.Thread(target=ask_repeatedly, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def save_and_measure(contender: Contender, version: str, how: str) -> bool:
    """Saves once and awaits the new code; returns whether it came."""
    path = contender.app / EDITED
    text, replaced = CONSTANT.subn(f'VERSION = "{version}"', path.read_text())
    assert replaced == 1, f'{EDITED} must hold one line like VERSION = "1"'
    with light_client(contender):
        editors.save(path, text, how)
        saved = time.monotonic()
        contender.after_save()
        is_served = poll(contender, version, saved)
        now = time.monotonic()
        if is_served:
            contender.result.served_ms.append((now - saved) * 1000)
        else:
            contender.result.lost += 1
        while time.monotonic() - now < LINGER_S:
            time.sleep(0.01)
    contender.rested_at = time.monotonic() + REST_S
    return is_served


def poll(contender: Contender, version: str, since: float) -> bool:
    """Asks in a tight loop until the version is served or the edit counts as lost."""
    while (left_s := since + LOST_AFTER_S - time.monotonic()) > 0:
        try:
            if contender.ask(left_s) == version:
                return True
        except OSError:
            contender.result.poll_failures += 1
        time.sleep(POLL_PAUSE_S)
    return False


def run(contenders: Sequence[Contender], saves: int, how: str, chance: random.Random) -> None:
    """Lets the contenders take turns until each has served so many saves."""
    number = 1
    for turn in range(saves):
        for contender in chance.sample(contenders, len(contenders)):
            for _ in range(5):
                number += 1
                # Another length each time: Python tells compiled files by size and whole seconds.
                version = f"{number}" + "." * (number % 9)
                pause_s = contender.rested_at - time.monotonic()
                time.sleep(max(0.0, pause_s) + chance.uniform(0.0, 1.0))
                if save_and_measure(contender, version, how):
                    break
        if sys.stderr.isatty():
            print(f"\rround {turn + 1} of {saves}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r" + " " * 30 + "\r", end="", file=sys.stderr)


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    title: str
    cell: Callable[[Result, Result | None], str]


def ratio(result: Result, reference: Result | None) -> str:
    """Returns by how much the median is above the reference's."""
    if reference is None or not reference.served_ms or not result.served_ms:
        return "-"
    return f"{result.median_ms / reference.median_ms:.1f} x"


def failed(result: Result, _reference: Result | None) -> str:
    """Returns the failed requests of the light client, and of how many."""
    return f"{sum(result.failures.values())} of {result.requests}"


COLUMNS = [
    Column("saves", lambda result, _: str(len(result.served_ms))),
    Column("median ms", lambda result, _: f"{result.median_ms:.0f}"),
    Column("p90 ms", lambda result, _: f"{result.quantile(0.9):.0f}"),
    Column("max ms", lambda result, _: f"{result.quantile(1.0):.0f}"),
    Column("ratio", ratio),
    Column("lost", lambda result, _: str(result.lost)),
    Column("failed requests", failed),
]


def table(results: Sequence[Result]) -> str:
    """Returns the results as a table, one mechanism a line."""
    reference = next((result for result in results if result.name == REFERENCE), None)
    rows = [["mechanism", *(column.title for column in COLUMNS)]]
    for result in results:
        rows.append([result.name, *(column.cell(result, reference) for column in COLUMNS)])
    widths = [max(map(len, cells)) for cells in zip(*rows)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))])
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    names = [contender.name for contender in CONTENDERS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--saves", type=int, default=20, metavar="N", help="saves per mechanism (20)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers there")
    parser.add_argument("--only", action="append", choices=names, help="only this one; repeatable")
    parser.add_argument(
        "--how", default="inplace", choices=list(editors.PATTERNS), help="kind of save"
    )
    parser.add_argument(
        "--seed", type=int, default=None, help="repeat the order and phases of a run"
    )
    options = parser.parse_args()
    if options.saves < 1:
        parser.error("--saves: one at least")
    return options


def main() -> int:
    """Runs the comparison and prints it."""
    options = arguments()
    chosen = [kind for kind in CONTENDERS if not options.only or kind.name in options.only]
    if any(kind.needs_plugin for kind in chosen):
        try:
            harness.require_plugin()
        except RuntimeError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    with contextlib.ExitStack() as stack:
        contenders = [stack.enter_context(kind()) for kind in chosen]
        for contender in contenders:
            contender.wait_ready()
        run(contenders, options.saves, options.how, random.Random(options.seed))
        results = [contender.result for contender in contenders]
    print("From the end of a save to the first answer by the new code; Django, 2 workers.\n")
    print(table(results))
    if options.json:
        raw = [{**asdict(r), "median_ms": r.median_ms, "p90_ms": r.quantile(0.9)} for r in results]
        options.json.write_text(
            json.dumps({"saves": options.saves, "results": raw}, indent=2) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
