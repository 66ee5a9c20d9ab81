"""Clients that are no browsers: raw requests, Server-Sent Events, and LiveReload's WebSocket."""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import struct
import time
from typing import Mapping

PATH = "/__fastreload__"
DEADLINE_S = 15.0


def connect(address: str | tuple[str, int]) -> socket.socket:
    """Opens a connection to a Unix socket or a port."""
    connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    connection.settimeout(DEADLINE_S)
    connection.connect(address)
    return connection


def request_bytes(
    path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes = b""
) -> bytes:
    """Returns a request as it goes over the wire."""
    fields = {"Host": "localhost", **(headers or {})}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


def read_all(connection: socket.socket) -> bytes:
    """Reads until the other side closes."""
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    return answer


def ask(address: str | tuple[str, int], path: str, headers: Mapping[str, str] | None = None, **options) -> bytes:
    """Makes one request, and returns the whole answer."""
    with connect(address) as connection:
        connection.sendall(request_bytes(path, {"Connection": "close", **(headers or {})}, **options))
        return read_all(connection)


def status_of(answer: bytes) -> int:
    """Returns the status of an answer."""
    return int(answer.split(None, 2)[1])


class Page:
    """A page that listens, by Server-Sent Events."""

    def __init__(
        self,
        address: str | tuple[str, int],
        headers: Mapping[str, str] | None = None,
        path: str = PATH,
        since: object = None,
    ) -> None:
        self.connection = connect(address)
        query = "" if since is None else f"?since={since}"
        self.connection.sendall(request_bytes(path + "/events" + query, headers))
        self.poll = select.poll()  # select() ends at 1024 descriptors.
        self.poll.register(self.connection, select.POLLIN)
        self.data = b""
        self.head = b""
        self.heard: list[dict] = []
        self.ids: list[int] = []  # Of each, the number of the last news up to it.
        self.last_id = -1
        self.beats = 0
        self.is_closed = False

    def take_in(self, wait_s: float = 0.0) -> None:
        """Reads what there is."""
        if self.is_closed or not self.poll.poll(1000 * wait_s):
            return
        try:
            chunk = self.connection.recv(65536)
        except ConnectionError:
            chunk = b""
        self.is_closed = not chunk
        self.data += chunk
        if not self.head and b"\r\n\r\n" in self.data:
            self.head, _, self.data = self.data.partition(b"\r\n\r\n")
        while self.head and b"\n\n" in self.data:
            block, _, self.data = self.data.partition(b"\n\n")
            self.beats += block.startswith(b":")
            for line in block.split(b"\n"):
                if line.startswith(b"id: "):
                    self.last_id = int(line[4:])
                if line.startswith(b"data: "):
                    self.heard.append(json.loads(line[6:]))
                    self.ids.append(self.last_id)

    def take_all(self) -> None:
        """Reads all that there is, up to the end if that is there."""
        while not self.is_closed and self.poll.poll(0):
            self.take_in()

    def hear(self, kind: str, *, since: int = 0, deadline_s: float = DEADLINE_S) -> dict:
        """Waits for a message of this type, from number `since` on, and returns it."""
        end = time.monotonic() + deadline_s
        while True:
            for message in self.heard[since:]:
                if message["type"] == kind:
                    return message
            assert time.monotonic() < end, f"no {kind!r} was heard, but {self.head!r} and {self.heard}"
            assert not self.is_closed, f"it was closed after {self.head!r} and {self.heard}"
            self.take_in(0.05)

    def is_loaded_again(self, generation: int, since: int) -> bool:
        """Tells whether a page of this generation, and as new as these news, has heard what it is loaded again for, as client.js has it."""
        for message, number in zip(self.heard, self.ids):
            if message["type"] == "hello" and (message["generation"] != generation or message["since"] > since):
                return True
            if message["type"] == "reload" and number > since:
                return True
        return False

    def close(self) -> None:
        """Goes away."""
        self.connection.close()

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def frame(opcode: int, payload: bytes, *, mask: bool = True, is_last: bool = True) -> bytes:
    """Returns a frame of a WebSocket, as a client sends it."""
    head = bytes([(0x80 if is_last else 0) | opcode])
    flag = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([flag | len(payload)])
    elif len(payload) < 65536:
        head += bytes([flag | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


class LiveReload:
    """A client that speaks LiveReload's protocol 7."""

    def __init__(
        self, address: str | tuple[str, int], path: str = "/livereload", headers: Mapping[str, str] | None = None
    ) -> None:
        self.connection = connect(address)
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": key,
            **(headers or {}),
        }
        self.connection.sendall(request_bytes(path, fields))
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            chunk = self.connection.recv(65536)
            if not chunk:
                break
            self.data += chunk
        self.head, _, self.data = self.data.partition(b"\r\n\r\n")

    def send(self, opcode: int, payload: bytes, **options: bool) -> None:
        """Sends a frame."""
        self.connection.sendall(frame(opcode, payload, **options))

    def say_hello(self) -> dict:
        """Does the handshake of the protocol, and returns the server's."""
        hello = {"command": "hello", "protocols": ["http://livereload.com/protocols/official-7"]}
        self.send(1, json.dumps(hello).encode())
        return self.hear()

    def read_frame(self) -> tuple[int, bytes]:
        """Waits for a frame; one of a connection that ended is (-1, b"")."""
        while True:
            if len(self.data) >= 2:
                length, start = self.data[1] & 0x7F, 2
                if length == 126:
                    length, start = struct.unpack(">H", self.data[2:4].ljust(2, b"\xff"))[0], 4
                if len(self.data) >= start + length:
                    opcode, payload = self.data[0] & 15, self.data[start : start + length]
                    self.data = self.data[start + length :]
                    return opcode, payload
            try:
                chunk = self.connection.recv(65536)
            except ConnectionError:
                chunk = b""
            if not chunk:
                return -1, b""
            self.data += chunk

    def hear(self) -> dict:
        """Waits for the next message."""
        opcode, payload = self.read_frame()
        assert opcode == 1, (opcode, payload)
        return json.loads(payload)

    def close(self) -> None:
        """Goes away."""
        self.connection.close()

    def __enter__(self) -> "LiveReload":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
