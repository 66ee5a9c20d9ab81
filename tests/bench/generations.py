#!/usr/bin/python3
"""Counts what clients notice of a reload, mechanism beside mechanism: requests lost, and the longest wait.

Each mechanism in turn serves the same small application, that takes --load-s to load, to clients without pause (eight
one-shot and eight keep-alive through uWSGI's http router; two of them ask for something that takes 300 ms), while a file is saved
again and again. The mechanisms take turns in rounds, so that whatever else the machine does hits them alike.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import harness  # noqa: E402
import load  # noqa: E402

WORKERS = 4
SERVED_WITHIN_S = 30.0
# uWSGI compares whole seconds: what is touched twice within one is seen once.
APART_S = 1.1
# After the last reload the last old workers may still be at it.
LINGER_S = 1.0


@dataclass
class Outcome:
    """What the clients of one mechanism saw."""

    name: str
    served_ms: list[float] = field(default_factory=list)
    quiet_ms: list[float] = field(default_factory=list)  # slowest of each quiet time
    waited_ms: list[float] = field(default_factory=list)  # slowest of each reload
    requests: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    stale: int = 0
    not_served: int = 0


class Mechanism:
    """A way to reload: what it needs of the configuration, and what to do after a save."""

    name = ""
    plugin = False

    def __init__(self, load_s: float) -> None:
        port, behind = harness.free_port(), harness.free_port()
        self.address = ("127.0.0.1", port)
        ini = [
            "plugin = http",
            f"http = 127.0.0.1:{port}",
            "http-keepalive = 10",
            f"socket = 127.0.0.1:{behind}",
            f"http-to = 127.0.0.1:{behind}",
        ]
        slow = f"\nif {load_s}:\n    time.sleep({load_s})\n"
        files = {**load.FILES, "wsgi.py": load.WSGI_PY + slow}
        self.app = harness.Instance(
            files, plugin=self.plugin, workers=WORKERS, ini=ini, verbose=False, ready=False
        )
        self.trigger = self.app.base / "trigger"
        self.trigger.write_text("")
        os.utime(self.trigger, (1_600_000_000, 1_600_000_000))
        self.app.options += self.lines()
        self.outcome = Outcome(self.name)
        self.number = 0

    def lines(self) -> list[str]:
        """Returns its lines of configuration."""
        return []

    def after_save(self) -> None:
        """Does what the developer does after a save."""

    def is_over(self, clients: load.Load) -> bool:
        """Tells whether nobody answers the old code any more, as far as the clients can see."""
        recent = [request.version for request in clients.requests[-60:] if request.version >= 0]
        return len(recent) > 40 and set(recent) == {self.number}

    def reload_once(self) -> None:
        """Saves once under load and adds up what the clients saw."""
        outcome = self.outcome
        self.number += 1
        with load.Load(self.address, 8, 8, deadline_s=SERVED_WITHIN_S) as clients:
            begun = time.monotonic()
            while time.monotonic() - begun < APART_S:
                time.sleep(0.01)
            saved = time.monotonic()
            self.app.put("parts/value.py", load.version(self.number))
            self.after_save()
            end = saved + SERVED_WITHIN_S
            while not clients.answered(self.number) and time.monotonic() < end:
                time.sleep(0.005)
            if clients.answered(self.number):
                first = min(r.done for r in clients.requests if r.version == self.number)
                outcome.served_ms.append((first - saved) * 1000)
            else:
                outcome.not_served += 1
            while not self.is_over(clients) and time.monotonic() < end:
                time.sleep(0.02)
            lingering = time.monotonic() + LINGER_S
            while time.monotonic() < lingering:
                time.sleep(0.02)
        quiet, during = clients.slowest(0, saved - 0.01), clients.slowest(saved)
        outcome.quiet_ms.append(quiet.took_s * 1000 if quiet else 0)
        outcome.waited_ms.append(during.took_s * 1000 if during else 0)
        outcome.requests += len(clients.requests)
        for request in clients.lost():
            outcome.lost[request.outcome] = outcome.lost.get(request.outcome, 0) + 1
        outcome.stale += len(clients.stale())


class TouchReload(Mechanism):
    """The whole instance, by uWSGI."""

    name = "touch-reload"

    def lines(self) -> list[str]:
        return [f"touch-reload = {self.trigger}"]

    def after_save(self) -> None:
        os.utime(self.trigger)


class TouchReloadLazy(TouchReload):
    """The same where each worker loads the application."""

    name = "touch-reload, lazy-apps"

    def lines(self) -> list[str]:
        return [*super().lines(), "lazy-apps = true"]


class ChainReload(Mechanism):
    """One worker after the other, by uWSGI."""

    name = "touch-chain-reload, lazy-apps"

    def lines(self) -> list[str]:
        return ["lazy-apps = true", f"touch-chain-reload = {self.trigger}"]

    def after_save(self) -> None:
        os.utime(self.trigger)


class Swap(Mechanism):
    """This plugin."""

    name = "fastreload"
    plugin = True


MECHANISMS = [TouchReload, TouchReloadLazy, ChainReload, Swap]


def middle(values: list[float]) -> str:
    """Returns the median for the table."""
    return f"{statistics.median(values):.0f}" if values else "-"


def table(outcomes: list[Outcome]) -> str:
    """Returns one line a mechanism."""
    rows = [
        ["mechanism", "reloads", "requests", "lost", "old after new", "first new ms",
         "slowest without ms", "slowest with ms", "worst"]
    ]
    for outcome in outcomes:
        rows.append(
            [
                outcome.name,
                str(len(outcome.served_ms)) + (f" (+{outcome.not_served} never)" if outcome.not_served else ""),
                str(outcome.requests),
                str(sum(outcome.lost.values())),
                str(outcome.stale),
                middle(outcome.served_ms),
                middle(outcome.quiet_ms),
                middle(outcome.waited_ms),
                f"{max(outcome.waited_ms, default=0):.0f}",
            ]
        )
    widths = [max(map(len, cells)) for cells in zip(*rows)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))])
        for row in rows
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def main() -> int:
    """Runs the comparison and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reloads", type=int, default=5, metavar="N", help="for each (5)")
    parser.add_argument("--load-s", type=float, default=2.0, metavar="S", help="to load (2)")
    parser.add_argument("--only", action="append", choices=[m.name for m in MECHANISMS])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers there")
    options = parser.parse_args()
    chosen = [kind for kind in MECHANISMS if not options.only or kind.name in options.only]
    if any(kind.plugin for kind in chosen):
        try:
            harness.require_plugin()
        except RuntimeError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    with contextlib.ExitStack() as stack:
        mechanisms = [kind(options.load_s) for kind in chosen]
        for mechanism in mechanisms:
            stack.enter_context(mechanism.app)
        for mechanism in mechanisms:
            app = mechanism.app
            app.wait(lambda a=app: a.served() is not None, 30, f"{mechanism.name} answers")
        for _ in range(options.reloads):
            for mechanism in random.sample(mechanisms, len(mechanisms)):
                mechanism.reload_once()
        outcomes = [mechanism.outcome for mechanism in mechanisms]
    print(
        f"{WORKERS} workers, 16 clients without pause, an application that takes {options.load_s:g} s to load.\n"
    )
    print(table(outcomes))
    if options.json:
        options.json.write_text(json.dumps([vars(outcome) for outcome in outcomes], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
