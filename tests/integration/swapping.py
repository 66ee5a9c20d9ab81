"""What the tests of generations have in common: who the workers are, and when a swap is over."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from typing import Iterator, Sequence

import load
from harness import Instance, children_of, process_state

SWAP = re.compile(r"\[fastreload\] (?!watching).*: swap \(")
NOT_RELOADED = re.compile(r"\[fastreload\] not reloaded: (.*); the last good code goes on serving")
SPAWNED = re.compile(r"^(?:spawned|Respawned) uWSGI worker (\d+) \((?:new )?pid: (\d+)")


def workers_of(app: Instance) -> dict[int, int]:
    """Returns the slot of each living worker by its pid, by uWSGI's own log."""
    app.log.refresh()
    slots = {}
    for line in app.log.lines:
        match = SPAWNED.match(line)
        if match:
            slots[int(match.group(2))] = int(match.group(1))
    alive = set(app.worker_pids())
    return {pid: slot for pid, slot in slots.items() if pid in alive}


LOADED = re.compile(r"^WSGI app 0 .* ready in .* pid: (\d+)")


def settle(app: Instance, workers: int) -> None:
    """Waits until all workers of the start have loaded: a save before that is loaded by the later ones among them."""

    def have_loaded() -> bool:
        there = workers_of(app)
        by = {int(LOADED.match(line).group(1)) for line in app.log.matching(LOADED)}
        return len(there) == workers and (set(there) <= by or bool(by - set(there)))  # Each for itself, or one for all.

    app.wait(have_loaded, 15, "all first workers have loaded")
    app.wait_quiet()


def wait_swaps(app: Instance, count: int, deadline_s: float = 15.0) -> None:
    """Waits until the plugin has said so often that it has reloaded."""
    app.wait(lambda: app.reload_count() >= count, deadline_s, f"{count} reloads are reported")


def wait_whole(app: Instance, workers: int, deadline_s: float = 8.0) -> None:
    """Waits until there are exactly the workers that the user asked for, and nobody else of ours."""
    app.wait(lambda: len(workers_of(app)) == workers, deadline_s, f"{workers} workers, no other")


def save_version(app: Instance, number: int) -> None:
    """Saves the number-th version of the application."""
    app.put("parts/value.py", load.version(number))


def swap_to(app: Instance, number: int, load_: load.Load | None = None) -> None:
    """Saves a version, and waits until it serves and the plugin has said so."""
    before = app.reload_count()
    save_version(app, number)
    if load_ is not None:
        app.wait(lambda: load_.answered(number), 15, f"version {number} answers a client")
    else:
        app.wait_served()
    wait_swaps(app, before + 1)


def zombies_of(pid: int) -> list[int]:
    """Returns the children of a process that nobody has waited for."""
    return [child for child in children_of(pid) if process_state(child) == "Z"]


def read_stats(address: object) -> dict:
    """Returns uWSGI's statistics."""
    with socket.create_connection(address, 5) as connection:
        text = b""
        while chunk := connection.recv(65536):
            text += chunk
    return json.loads(text)


def respawned(app: Instance) -> int:
    """Returns how many workers uWSGI has respawned."""
    return len(app.log.matching("^Respawned uWSGI worker"))


@contextlib.contextmanager
def in_request(app: Instance, path: str) -> Iterator[list]:
    """A request is under way in a worker while the block runs; its answer, or what went wrong, is put in the list."""
    answer: list = []

    def ask() -> None:
        try:
            answer.append(app.get(path, 40))
        except OSError as error:
            answer.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    # A slow request is one that somebody is at: the worker has read it when the socket's queue is empty
    # and it no longer sleeps in its queue; without such an observation, a little time has to do.
    begun = time.monotonic()
    wait = 0.15
    while time.monotonic() - begun < wait:
        time.sleep(0.01)
    try:
        yield answer
    finally:
        if answer or app.process.poll() is not None:
            thread.join(1)


def wait_gone(pids: Sequence[int]) -> None:
    end = time.monotonic() + 5
    while [pid for pid in pids if process_state(pid) not in ("", "Z", "X")]:
        assert time.monotonic() < end, "workers outlive their master, with no-orphans"
        time.sleep(0.01)
