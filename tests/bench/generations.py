"""Counts what clients notice of a reload, mechanism beside mechanism: requests lost, and the longest wait.

Each mechanism in turn serves the same small application, that takes some seconds to load, to clients without pause (eight
one-shot and eight keep-alive through uWSGI's http router; two of them ask for something that takes 300 ms), while a file is saved
again and again. The mechanisms take turns in rounds, so that whatever else the machine does hits them alike.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from dataclasses import dataclass, field

import figures
from tools import harness, load

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


def table(outcomes: list[Outcome]) -> str:
    """Returns one line a mechanism."""
    head = ["mechanism", "reloads", "requests", "lost", "old after new", "first new ms",
            "slowest without ms", "slowest with ms", "worst ms"]  # fmt: skip
    rows = []
    for outcome in outcomes:
        never = f" (+{outcome.not_served} never)" if outcome.not_served else ""
        rows.append(
            [
                outcome.name,
                f"{len(outcome.served_ms)}{never}",
                str(outcome.requests),
                str(sum(outcome.lost.values())),
                str(outcome.stale),
                figures.whole(figures.median(outcome.served_ms)),
                figures.whole(figures.median(outcome.quiet_ms)),
                figures.whole(figures.median(outcome.waited_ms)),
                figures.whole(figures.quantile(outcome.waited_ms, 1.0)),
            ]
        )
    return figures.table(head, rows)


def heading(load_s: float) -> str:
    """Returns what the table is about."""
    return f"{WORKERS} workers, 16 clients without pause, an application that takes {load_s:g} s to load."


def run(reloads: int, load_s: float, chance: random.Random) -> list[Outcome]:
    """Lets the mechanisms take turns until each has reloaded so many times."""
    with contextlib.ExitStack() as stack:
        mechanisms = [kind(load_s) for kind in MECHANISMS]
        for mechanism in mechanisms:
            stack.enter_context(mechanism.app)
        for mechanism in mechanisms:
            app = mechanism.app
            app.wait(lambda a=app: a.served() is not None, 30, f"{mechanism.name} answers")
        for _ in range(reloads):
            for mechanism in chance.sample(mechanisms, len(mechanisms)):
                mechanism.reload_once()
    return [mechanism.outcome for mechanism in mechanisms]
