"""A bounded load on an HTTP server: clients without pause, and what became of every single request.

One thread runs all clients from one selector, so that sixteen of them cost no more than one. Each client has at
most one request under way. Keep-alive clients use a connection for as long as the server lets them, one-shot clients make
one for each request. What a client may find out only by asking (the server has closed an idle connection)
is told apart from what the server has done wrong, but counts as lost as well if a request was already sent.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import random
import re
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Callable, NamedTuple, Sequence

import apps

Address = "str | tuple[str, int]"

# What the application answers, with its length, which is what a connection needs to be kept.
_PLAIN = 'start_response("200 OK", [("Content-Type", "application/json")])'
_LENGTH = """start_response(
        "200 OK",
        [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
    )"""
assert _PLAIN in apps.WSGI_PY
WSGI_PY = apps.WSGI_PY.replace(_PLAIN, _LENGTH)
VERSION = re.compile(rb'"v(\d+)"')


def version(number: int) -> str:
    """Returns the VALUE of the number-th save; the length of the file changes now and then, as in life."""
    return f"v{number}"


FILES = {
    "wsgi.py": WSGI_PY,
    "parts/value.py": apps.part(version(0)),
    "parts/marker.py": apps.part(""),
}

SLOW_PATH = "/sleep?seconds=0.3"
OK, REFUSED, RESET, CUT, CLOSED, ERROR, WRONG, LATE = (
    "ok",
    "refused",  # no connection
    "reset",  # by the peer, with a request under way
    "cut short",  # the connection ended within an answer
    "closed",  # a kept connection ended without a byte of the answer
    "5xx",
    "wrong answer",
    "no answer",  # within the deadline
)


class Request(NamedTuple):
    """One request and what became of it; times of time.monotonic()."""

    client: int
    kind: str  # "one-shot", "keep-alive"
    is_slow: bool
    connected: float  # when its connection was begun
    sent: float
    done: float
    outcome: str
    version: int  # of the code that answered, or -1
    detail: str

    @property
    def took_s(self) -> float:
        """Returns how long the client waited, with the making of its own connection."""
        return self.done - self.sent


@dataclass
class _Client:
    number: int
    address: object
    is_kept: bool
    path: str
    slow_every: int
    connection: socket.socket | None = None
    state: str = "idle"  # idle, connecting, sending, receiving
    connected: float = 0.0
    sent: float = 0.0
    is_slow: bool = False
    asked: int = 0  # on this connection
    total: int = 0
    out: bytes = b""
    got: bytes = b""
    not_before: float = 0.0

    @property
    def kind(self) -> str:
        return "keep-alive" if self.is_kept else "one-shot"


@dataclass
class Load:
    """Clients that ask from __enter__ to __exit__."""

    address: object
    keep_alive: int = 8
    one_shot: int = 8
    slow: int = 1  # So many clients of each kind ask for SLOW_PATH every second time.
    pause_s: float = 0.0
    path: str = "/"
    deadline_s: float = 15.0
    judge: Callable[[int, bytes], bool] | None = None
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._trouble: BaseException | None = None

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Lets the requests under way end, and no new ones begin."""
        self._stop.set()
        self._thread.join()
        if self._trouble:
            raise self._trouble

    # What became of it.

    def lost(self) -> list[Request]:
        """Returns the requests that were not answered as they should be."""
        return [request for request in list(self.requests) if request.outcome != OK]

    def counts(self) -> dict[str, int]:
        """Returns how many requests ended how."""
        return dict(collections.Counter(request.outcome for request in list(self.requests)))

    def answered(self, version_number: int) -> bool:
        """Tells whether that version has answered a client."""
        return any(request.version == version_number for request in reversed(list(self.requests)))

    def slowest(self, since: float = 0.0, until: float = float("inf")) -> Request | None:
        """Returns the request that took longest of those that are not slow by themselves and were under way in that time."""
        chosen = [
            request
            for request in list(self.requests)
            if not request.is_slow and request.done >= since and request.sent <= until
        ]
        return max(chosen, key=lambda request: request.took_s, default=None)

    def stale(self) -> list[tuple[Request, float]]:
        """Returns the answers by old code on connections begun after newer code was first seen to answer."""
        first: dict[int, float] = {}
        for request in sorted(self.requests, key=lambda request: request.done):
            if request.version >= 0:
                first.setdefault(request.version, request.done)
        newest_at = sorted((at, number) for number, at in first.items())
        found = []
        for request in self.requests:
            if request.version < 0:
                continue
            known = max((number for at, number in newest_at if at < request.connected), default=-1)
            if known > request.version:
                found.append((request, request.connected - first[known]))
        return found

    def summary(self) -> str:
        """Returns one line of numbers, and the first few losses, for people."""
        slowest = self.slowest()
        lines = [
            f"{len(self.requests)} requests: {self.counts()}; slowest "
            f"{slowest.took_s * 1000 if slowest else 0:.0f} ms"
        ]
        lines += [
            f"  {request.kind} client {request.client}: {request.outcome} {request.detail} after "
            f"{request.took_s * 1000:.1f} ms (at {request.sent:.3f}, slow: {request.is_slow})"
            for request in self.lost()[:12]
        ]
        return "\n".join(lines)

    # The clients.

    def _run(self) -> None:
        try:
            self._serve_all()
        except BaseException as error:  # Told to the test's thread.
            self._trouble = error

    def _serve_all(self) -> None:
        self._selector = selectors.DefaultSelector()
        clients = [
            _Client(
                number,
                self.address,
                number < self.keep_alive,
                self.path,
                2 if self._is_slow_client(number) else 0,
            )
            for number in range(self.keep_alive + self.one_shot)
        ]
        while True:
            now = time.monotonic()
            for client in clients:
                if client.state == "idle":
                    if not self._stop.is_set() and now >= client.not_before:
                        self._begin(client)
                elif now - client.sent > self.deadline_s:
                    self._end(client, LATE, f"in {client.state}")
            if self._stop.is_set() and all(client.state == "idle" for client in clients):
                break
            for key, _ in self._selector.select(0.002 if self.pause_s else 0.05):
                self._go_on(key.data)
        for client in clients:
            self._drop(client)
        self._selector.close()

    def _is_slow_client(self, number: int) -> bool:
        return number < self.slow or self.keep_alive <= number < self.keep_alive + self.slow

    def _begin(self, client: _Client) -> None:
        client.total += 1
        client.is_slow = bool(client.slow_every and client.total % client.slow_every == 0)
        path = SLOW_PATH if client.is_slow else client.path
        if client.is_kept:
            client.out = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        else:
            client.out = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
        client.got = b""
        client.sent = time.monotonic()
        if client.connection is not None and self._has_been_closed(client):
            self._drop(client)
        if client.connection is None:
            self._connect(client)
        else:
            self._send(client)

    def _has_been_closed(self, client: _Client) -> bool:
        try:
            return client.connection.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _connect(self, client: _Client) -> None:
        family = socket.AF_UNIX if isinstance(client.address, str) else socket.AF_INET
        client.connection = socket.socket(family, socket.SOCK_STREAM)
        client.connection.setblocking(False)
        if family == socket.AF_INET:
            client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connected = time.monotonic()
        client.asked = 0
        error = client.connection.connect_ex(client.address)
        if error == 0:
            self._send(client)
        elif error == errno.EINPROGRESS:
            client.state = "connecting"
            self._selector.register(client.connection, selectors.EVENT_WRITE, client)
        else:
            client.state = "connecting"
            self._end(client, REFUSED, errno.errorcode.get(error, str(error)))

    def _send(self, client: _Client) -> None:
        client.state = "sending"
        client.asked += 1
        try:
            sent = client.connection.send(client.out)
        except OSError as error:
            self._fail(client, error)
            return
        assert sent == len(client.out), "a request is smaller than any socket's buffer"
        client.state = "receiving"
        with contextlib.suppress(KeyError):
            self._selector.unregister(client.connection)
        self._selector.register(client.connection, selectors.EVENT_READ, client)

    def _fail(self, client: _Client, error: OSError) -> None:
        is_kept = client.asked > 1 and not client.got
        self._end(client, CLOSED if is_kept else RESET, errno.errorcode.get(error.errno or 0, ""))

    def _go_on(self, client: _Client) -> None:
        if client.state == "connecting":
            error = client.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                self._end(client, REFUSED, errno.errorcode.get(error, str(error)))
            else:
                self._send(client)
            return
        if client.state != "receiving":
            return
        try:
            data = client.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(client, error)
            return
        client.got += data
        self._look(client, is_end=not data)

    def _look(self, client: _Client, is_end: bool) -> None:
        head, separator, body = client.got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: *(\d+)", head, re.M) if separator else None
        if separator and length and len(body) >= int(length.group(1)):
            self._judge(client, int(head.split(None, 2)[1]), body)
            if is_end or not client.is_kept or b"connection: close" in head.lower():
                self._drop(client)
        elif is_end and separator and not length:
            self._judge(client, int(head.split(None, 2)[1]), body)
            self._drop(client)
        elif is_end and not client.got and client.asked > 1:
            self._end(client, CLOSED, "before the answer")
        elif is_end:
            self._end(client, CUT, f"after {len(client.got)} bytes")

    def _judge(self, client: _Client, status: int, body: bytes) -> None:
        found = VERSION.search(body)
        number = int(found.group(1)) if found else -1
        is_right = self.judge(status, body) if self.judge else status == 200 and found is not None
        if status >= 500:
            self._note(client, ERROR, number, f"{status} {body[:60]!r}")
        elif not is_right:
            self._note(client, WRONG, number, f"{status} {body[:60]!r}")
        else:
            self._note(client, OK, number, "")
        client.state = "idle"
        client.not_before = time.monotonic() + self.pause_s * random.uniform(0.5, 1.5)
        if client.connection is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(client.connection)
        if not client.is_kept:
            self._drop(client)

    def _end(self, client: _Client, outcome: str, detail: str) -> None:
        self._note(client, outcome, -1, detail)
        self._drop(client)
        client.state = "idle"
        client.not_before = (
            time.monotonic() + 0.02
        )  # A server that is down is not to be asked a million times.

    def _note(self, client: _Client, outcome: str, number: int, detail: str) -> None:
        self.requests.append(
            Request(
                client.number,
                client.kind,
                client.is_slow,
                client.connected,
                client.sent,
                time.monotonic(),
                outcome,
                number,
                detail,
            )
        )

    def _drop(self, client: _Client) -> None:
        if client.connection is None:
            return
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client.connection)
        client.connection.close()
        client.connection = None


def merged(loads: Sequence[Load]) -> Load:
    """Returns a finished load that holds the requests of several."""
    whole = Load(loads[0].address)
    for load in loads:
        whole.requests += load.requests
    return whole
