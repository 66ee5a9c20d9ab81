"""What pages that wait cost the application: the same requests with them and without, in turns.

Blocks of both kinds alternate, so that whatever else the machine does meets both. Knows no test and prints nothing.
"""

from __future__ import annotations

import contextlib
import statistics
from typing import Iterator, NamedTuple

import load
from harness import Instance
from pages import Page

PAGES = 500
# The backlog of a socket has room for so many at once.
AT_ONCE = 50
BLOCK_DEADLINE_S = 60.0
# What the first requests after a change of the pages meet is the change.
WARM_UP = 20


class Times(NamedTuple):
    """How long requests took, in ms, without pages that wait and with them."""

    without_ms: list[float]
    with_ms: list[float]

    def ratio(self) -> float:
        """Returns the median with pages, as a multiple of that without."""
        return statistics.median(self.with_ms) / statistics.median(self.without_ms)


def instance() -> Instance:
    """Returns an instance with one worker, whose pages follow."""
    ini = ("listen = 100",)
    return Instance(load.FILES, fastreload=["browser = true"], workers=1, ini=ini, verbose=False)


def listen(app: Instance, count: int) -> list[Page]:
    """Returns so many pages that have heard hello."""
    pages: list[Page] = []
    while len(pages) < count:
        some = [Page(app.socket_path) for _ in range(min(AT_ONCE, count - len(pages)))]
        for page in some:
            page.hear("hello")
        pages += some
    return pages


@contextlib.contextmanager
def waiting(app: Instance, count: int) -> Iterator[None]:
    """So many pages wait."""
    pages = listen(app, count)
    try:
        yield
        assert not any(page.is_closed for page in pages)
    finally:
        for page in pages:
            page.close()


def block(app: Instance, clients: int, requests: int) -> list[float]:
    """Returns how long so many requests took, of so many clients that ask without pause, each on new connections."""
    with load.Load(app.socket_path, keep_alive=0, one_shot=clients, slow=0) as asking:
        app.wait(lambda: len(asking.requests) >= requests + WARM_UP, BLOCK_DEADLINE_S, "the requests are answered")
    assert not asking.lost(), asking.summary()
    return [1000 * request.took_s for request in asking.requests[WARM_UP : WARM_UP + requests]]


def measure(app: Instance, *, clients: int, requests: int, blocks: int, pages: int = PAGES) -> Times:
    """Makes so many blocks of each kind, of so many requests."""
    times = Times([], [])
    for number in range(2 * blocks):
        # Two of a kind follow each other now and then, so that neither always comes second.
        is_waiting = number % 4 in (1, 2)
        with waiting(app, pages if is_waiting else 0):
            (times.with_ms if is_waiting else times.without_ms).extend(block(app, clients, requests))
    return times
