"""What the plugin costs while nothing is edited: time to start, and memory at rest."""

from __future__ import annotations

import concurrent.futures
import contextlib
import random
import socket
import time
from dataclasses import dataclass, field
from typing import Mapping, Sequence

import contenders
import figures
import measure
from copies import Project
from tools import harness

RELOADS = 3
REQUESTS = 60
# Memory is steady when it has not moved by more than this share for so long, and nothing has come or gone.
STEADY_SHARE = 0.005
STEADY_S = 1.0
STEADY_DEADLINE_S = 30.0
GONE_DEADLINE_S = 30.0
# After a minute without an edit the copy that stands by for the next one ends (README, "How it is so quick").
REST_S = 75.0


def is_free(port: int) -> bool:
    """Tells whether nobody listens on a port: a worker that was killed lets go of it only when it is gone."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def start_ms(server: contenders.Contender) -> float:
    """Returns the time from the exec to the first answer; the server goes on."""
    begun = time.monotonic()
    server.start()
    while not measure.try_ask(server):
        if server.process.poll() is not None:
            raise RuntimeError(f"{server.name} did not start\n{server.log.tail()}")
        time.sleep(measure.POLL_PAUSE_S)
    return (time.monotonic() - begun) * 1000


def pss_of(pid: int) -> tuple[dict[int, int], int]:
    """Returns the processes of an instance with the memory of each in kB, shared pages counted by share, and the sum."""
    found = {}
    for each in [pid, *harness.descendants_of(pid)]:
        with contextlib.suppress(OSError, AttributeError):  # It has ended meanwhile.
            found[each] = harness.pss_kb(each)
    return found, sum(found.values())


def steady(pid: int) -> tuple[int, int]:
    """Waits until memory and processes of an instance do not change any more for a moment; returns the memory in kB, and how many processes."""
    before, total = pss_of(pid)
    since = time.monotonic()

    def is_steady() -> bool:
        nonlocal before, total, since
        now, now_total = pss_of(pid)
        if now.keys() != before.keys() or abs(now_total - total) > STEADY_SHARE * total:
            before, total, since = now, now_total, time.monotonic()
        time.sleep(0.1)
        return time.monotonic() - since >= STEADY_S

    harness.wait_until(is_steady, STEADY_DEADLINE_S, "the memory is steady", lambda: str(before))
    return total, len(before)


def ask_much(server: contenders.Contender) -> None:
    """Lets every worker answer a few times, because the first answers take memory."""
    with concurrent.futures.ThreadPoolExecutor(2 * server.workers) as pool:
        list(pool.map(lambda _: measure.try_ask(server), range(REQUESTS)))


@dataclass
class Cost:
    """With and without the plugin: milliseconds of each start, kB after it, after some reloads and at rest, and processes then."""

    project: str
    start_ms: dict[str, list[float]] = field(default_factory=dict)
    started_kb: dict[str, int] = field(default_factory=dict)
    reloaded_kb: dict[str, int] = field(default_factory=dict)
    rested_kb: dict[str, int] = field(default_factory=dict)
    processes: dict[str, int] = field(default_factory=dict)

    def start_ratio(self) -> float:
        """Returns by how much the start takes longer with the plugin."""
        with_it, without = (figures.median(self.start_ms.get(kind.name, [])) for kind in (WITH, WITHOUT))
        return figures.ratio(with_it, without)

    def memory_ratios(self) -> tuple[float, float]:
        """Returns by how much the memory at rest is more with the plugin: just started, and some time after the last reload."""
        first, second = (figures.ratio(kb[WITH.name], kb[WITHOUT.name]) for kb in (self.started_kb, self.rested_kb))
        return first, second


WITH: type[contenders.Contender] = contenders.Fastreload
# Reloads are part of the comparison of memory, so it is uWSGI with its most usual mechanism.
WITHOUT: type[contenders.Contender] = contenders.TouchReload


def measure_starts(cost: Cost, project: Project, starts: int, chance: random.Random) -> None:
    """Starts both in turn, so many times each; one more of each before leaves Python's compiled files."""
    with contextlib.ExitStack() as stack:
        servers = [kind(project) for kind in (WITH, WITHOUT)]
        for server in servers:
            stack.callback(server.__exit__, None, None, None)
        for turn in range(starts + 1):
            measure.progress(f"start {turn} of {starts}, {cost.project} project")
            for server in chance.sample(servers, len(servers)):
                took_ms = start_ms(server)
                server.stop()
                harness.wait_until(lambda: is_free(server.port), GONE_DEADLINE_S, "its port is free")
                if turn > 0:
                    cost.start_ms.setdefault(server.name, []).append(took_ms)


def measure_memory(cost: Cost, project: Project) -> None:
    """Notes the memory of each, alone on the machine: shared pages of a second one would make it look less."""
    version = measure.versions()
    for kind in (WITH, WITHOUT):
        measure.progress(f"memory of {kind.name}, {cost.project} project")
        with kind(project) as server:
            server.wait_ready()
            ask_much(server)
            cost.started_kb[kind.name], _ = steady(server.process.pid)
            for _ in range(RELOADS):
                time.sleep(max(0.0, server.rested_at - time.monotonic()))
                if not server.measure(next(version), "inplace"):
                    raise RuntimeError(f"{kind.name} did not reload\n{server.log.tail()}")
            ask_much(server)
            cost.reloaded_kb[kind.name], _ = steady(server.process.pid)
            time.sleep(REST_S)
            cost.rested_kb[kind.name], cost.processes[kind.name] = steady(server.process.pid)


def run(projects: Mapping[str, Project], starts: int, chance: random.Random) -> list[Cost]:
    """Measures start and memory for each project."""
    costs = []
    for name, project in projects.items():
        cost = Cost(name)
        measure_starts(cost, project, starts, chance)
        measure_memory(cost, project)
        costs.append(cost)
    measure.progress("")
    return costs


def table(costs: Sequence[Cost]) -> str:
    """Returns one line a project and server."""
    rows = []
    for cost in costs:
        for kind in (WITHOUT, WITH):
            times = cost.start_ms.get(kind.name, [])
            rows.append(
                [
                    f"{cost.project}, {'with' if kind is WITH else 'without'} the plugin",
                    figures.short(figures.median(times)),
                    figures.short(figures.quantile(times, 0.0)),
                    figures.short(figures.quantile(times, 1.0)),
                    f"{cost.started_kb[kind.name] / 1024:.1f}",
                    f"{cost.reloaded_kb[kind.name] / 1024:.1f}",
                    f"{cost.rested_kb[kind.name] / 1024:.1f}",
                    str(cost.processes[kind.name]),
                ]
            )
    head = ["project", "start, median ms", "least ms", "most ms"]
    head += ["PSS, started MB", f"after {RELOADS} reloads MB", "then at rest MB", "processes"]
    return figures.table(head, rows)
