"""From the end of a save to the first answer by the new code, and what other clients notice meanwhile.

The clock starts when the save has ended and stops when the first whole answer with the new text is there; the poller makes one
connection per question and puts the next one at once. A second, light client counts the requests that fail
from the save until a little after the first new answer, and the answers by old code to what was asked after that.
"""

from __future__ import annotations

import contextlib
import random
import sys
import threading
import time
from typing import Iterator, NamedTuple, Protocol, Sequence

from figures import Result
from projects import Copy
from tools import harness

POLL_PAUSE_S = 0.001
CLIENT_PAUSE_S = 0.025
LOST_AFTER_S = 20.0
LINGER_S = 0.4
# Most look at times once per second, uWSGI's own compare whole seconds, and several are blind right after a
# reload. They get the time they need, so that what is measured is their speed and not their gaps; everybody gets the same.
REST_S = 2.5
# So many saves in a row may be lost before a contender's turn is over.
TRIES = 3


class Contestant(Protocol):
    """What can take turns."""

    result: Result
    rested_at: float

    def measure(self, version: str, how: str) -> bool:
        """Saves this version once and notes how long it took; returns whether it was served."""


class Server(Protocol):
    """What can be asked which version it serves."""

    copy: Copy
    result: Result

    def ask(self, timeout_s: float = ...) -> str:
        """Returns the version that is served; raises OSError where the request fails."""

    def after_save(self) -> None:
        """Does what the developer has to do after a save."""


class Answer(NamedTuple):
    """What the light client was told: a version, or else how its request failed."""

    asked_at: float
    version: str
    failure: str = ""


def version_in(response: harness.Response) -> str:
    """Returns the version that an answer names; raises OSError where it is no good answer."""
    if response.status != 200:
        raise ConnectionError(f"status {response.status}")
    version = response.text.removesuffix("\n")
    if not version:
        raise ConnectionError("an empty answer")
    return version


def try_ask(server: Server) -> str:
    """Returns the version that is served, or nothing where the request fails."""
    with contextlib.suppress(OSError):
        return server.ask()
    return ""


@contextlib.contextmanager
def light_client(server: Server) -> Iterator[list[Answer]]:
    """Asks a few times per second in the background, and yields the list to which each answer is added."""
    stop = threading.Event()
    answers: list[Answer] = []

    def ask_repeatedly() -> None:
        while not stop.wait(CLIENT_PAUSE_S):
            asked_at = time.monotonic()
            try:
                answers.append(Answer(asked_at, server.ask()))
            except OSError as error:
                is_status = str(error).startswith("status")
                answers.append(Answer(asked_at, "", str(error) if is_status else type(error).__name__))

    thread = threading.Thread(target=ask_repeatedly, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def count_answers(result: Result, answers: Sequence[Answer], version: str, served_at: float) -> None:
    """Adds what the light client saw of the save of this version, which first answered at that time."""
    result.requests += len(answers)
    for answer in answers:
        if answer.failure:
            result.failures[answer.failure] = result.failures.get(answer.failure, 0) + 1
        elif answer.asked_at > served_at and answer.version != version:
            result.stale += 1


def poll(server: Server, version: str, since: float) -> float | None:
    """Asks in a tight loop and returns when the version was first served, or None if the edit counts as lost."""
    while (left_s := since + LOST_AFTER_S - time.monotonic()) > 0:
        with contextlib.suppress(OSError):
            if server.ask(left_s) == version:
                return time.monotonic()
        time.sleep(POLL_PAUSE_S)
    return None


def save_and_measure(server: Server, version: str, how: str) -> bool:
    """Saves once and awaits the new code; returns whether it came."""
    result = server.result
    with light_client(server) as answers:
        server.copy.save(version, how)
        saved_at = time.monotonic()
        server.after_save()
        served_at = poll(server, version, saved_at)
        time.sleep(LINGER_S)
    if served_at is None:
        result.lost += 1
    else:
        result.served_ms.append((served_at - saved_at) * 1000)
    count_answers(result, answers, version, served_at if served_at is not None else time.monotonic())
    return served_at is not None


def versions() -> Iterator[str]:
    """Yields a new version each time, of another length: Python tells compiled files by size and whole seconds."""
    number = 1
    while True:
        number += 1
        yield f"{number}" + "." * (number % 9)


def progress(text: str) -> None:
    """Shows on a terminal how far it is; nothing takes it away."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


def take_turns(contestants: Sequence[Contestant], saves: int, how: str, chance: random.Random) -> None:
    """Lets all take turns, in a new order each round and at random phase, until each had so many."""
    version = versions()
    for turn in range(saves):
        progress(f"round {turn + 1} of {saves}")
        for contestant in chance.sample(contestants, len(contestants)):
            for _ in range(TRIES):
                rest_s = max(0.0, contestant.rested_at - time.monotonic())
                time.sleep(rest_s + chance.uniform(0.0, 1.0))
                if contestant.measure(next(version), how):
                    break
    progress("")
