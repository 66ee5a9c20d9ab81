"""Another host says what changed: the old recipe, real tools, and what must not hurt."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest

import apps
import harness
from harness import CHECKOUT, Instance, wait_until
from hosts import Shell, Wire, require_shared_folders, shared_folder

TOKEN = "0123456789abcdef0123456789abcdef"
PUSH_PORT = 9001
FULL = "action = reload"


def require(*programs: str) -> None:
    """Skips where a program is missing."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


class Guest(Instance):
    """An instance whose folder is shared from another host: nothing that happens there is heard here."""

    def __init__(
        self, *fastreload: str, end: list[str] | None = None, files: dict[str, str] | None = None
    ) -> None:
        # They are there from the start: an overlay remembers for ever that a name it was asked for was not.
        files = (files or apps.WSGI) | {f"parts/{name}.py": apps.part("first") for name in ("alpha", "beta")}
        super().__init__(files, fastreload=["backend = push", "listen = {base}/push.sock", *fastreload])
        self.options = [option.replace("{base}", str(self.base)) for option in self.options]
        self.wrapper = [*(end or []), *shared_folder(self.app, self.base / "empty")]
        self.token = self.base / "token"
        self.token.write_text(TOKEN + "\n")
        self.token.chmod(0o600)

    def connect(self) -> socket.socket:
        """Connects to the Unix socket."""
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(self.base / "push.sock"))
        return connection

    def send(self, text: str) -> None:
        """Sends on a connection of its own, and closes it."""
        with self.connect() as connection:
            connection.sendall(text.encode())

    def put_and_push(self, value: object, relpath: str = "parts/alpha.py") -> None:
        """Saves a module, says so, and awaits the new code."""
        self.put(relpath, value)
        self.send(f"{self.path(relpath)}\n")
        self.wait_served()

    def put_until_served(self, value: object) -> None:
        """Saves until a sender, which may not watch yet, tells of it."""
        saves = 0

        def is_served() -> bool:
            nonlocal saves
            saves += 1
            self.put("parts/alpha.py", f"{value}{saves}")
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                if self.served() == self.on_disk():
                    return True
            return False

        self.wait(is_served, 30, "a save that the sender tells of is served")

    def is_quiet(self, run: Callable[[], None]) -> None:
        """Proves that what is run causes no reload: one that is asked for afterwards is the only one."""
        self.wait_quiet()
        before = self.generations()
        run()
        self.put_and_push(f"quiet{before}")
        self.wait_quiet()
        assert self.generations() == before + 1, self.log.tail()


@pytest.fixture(autouse=True)
def shared_folders(tmp_path: Path) -> None:
    """Everything here needs a folder that inotify is deaf to."""
    require_shared_folders(tmp_path)


def test_without_a_word_nothing_is_seen() -> None:
    """The folder of these tests is as deaf as they say."""
    with Guest() as guest:
        guest.put("parts/alpha.py", "unheard")
        guest.wait_quiet(1.0)
        assert guest.generations() == 1
        guest.send(".\n")
        guest.wait_served()


LINES = [
    "{app}/{path}\n",
    "{path}\n",
    "./parts/ CLOSE_WRITE,CLOSE {name}\n",
    "/Users/me/code/{path} Updated IsFile\n",
    "{app}/{path}\0",
    '{{"path": "/Users/me/code/{path}", "event": "modified"}}\n',
    '{{"paths": ["nothing.py", "{path}"]}}\n',
    "{app}\n",
    ".\n",
    "17",
]


def test_lines_and_json_reload() -> None:
    """Whatever a path is written as, a change is served, and only a change."""
    with Guest("map = /Users/me/code={base}/app") as guest:
        for number, line in enumerate(LINES):
            name = ("alpha.py", "beta.py")[number % 2]  # One that changes every time might be the application's.
            before = guest.generations()
            guest.put(f"parts/{name}", f"line{number}")
            guest.send(line.format(app=guest.app, path=f"parts/{name}", name=name))
            guest.wait_served(what=f"after {line!r}")
            guest.wait_generation(before + 1)
        guest.put("parts/brandnew.py", "new")
        guest.send("parts/brandnew.py\n")
        guest.wait_served()
        guest.is_quiet(lambda: guest.send(f"{guest.app}/parts/alpha.py\nparts/alpha.py\n.\n/etc/passwd\n"))


def test_a_word_that_comes_before_the_change_is_looked_at_again() -> None:
    """Shared file systems show what changed a while after the word of it."""
    with Guest() as guest:
        for delay_s in 0.05, 0.6, 2.0:
            guest.send("parts/alpha.py\n")
            end = time.monotonic() + delay_s
            wait_until(lambda: time.monotonic() > end, 5, "the file system lags")
            guest.put("parts/alpha.py", f"late{delay_s}")
            guest.wait_served(what=f"what came {delay_s} s after the word")


SENDERS = {
    "fswatch -r": "fswatch -r {app}",
    "fswatch -rx": "fswatch -rx {app}",
    "fswatch -r0": "fswatch -r0 {app}",
    "fswatch -ro": "fswatch -ro {app}",
    "inotifywait -m": "inotifywait -qmr {app}",
    "inotifywait -m in the folder": "cd {app} && inotifywait -qmr .",
    "inotifywait -m --format '%w%f'": "inotifywait -qmr --format '%w%f' {app}",
}


@pytest.mark.slow
def test_the_recipe_from_host_to_host() -> None:
    """A tool on one host, nc to another, and uWSGI there reloads; reading files does nothing."""
    require("nc", "inotifywait")
    missing = [] if shutil.which("fswatch") else ["fswatch"]
    with Wire() as wire, Guest(
        f"listen = {Wire.FAR}:{PUSH_PORT}",
        "token = {base}/token",
        end=wire.at(wire.far),
    ) as guest:
        for name, tool in SENDERS.items():
            if name.split()[0] in missing:
                continue
            command = f'{{ echo "token {TOKEN}"; {tool.format(app=guest.app)}; }} | nc {Wire.FAR} {PUSH_PORT}'
            with Shell(command, wrapper=wire.at(wire.near)):
                guest.put_until_served(name)
                guest.wait_quiet()
                before = guest.generations()
                for _ in range(20):
                    guest.path("parts/beta.py").read_text()
                    os.listdir(guest.path("parts"))
                guest.put("parts/beta.py", name)
                guest.wait_served(what=f"{name}: the second save is served")
                guest.wait_quiet()
                assert guest.generations() == before + 1, f"{name}\n{guest.log.tail()}"
    if missing:
        pytest.skip("fswatch is not installed; inotifywait passed")


def test_connections_survive_a_full_reload() -> None:
    """The sender is not hung up on when the binary is executed again: a pipe into nc would end for good."""
    with Guest(FULL, "token = {base}/token") as guest, guest.connect() as connection:
        connection.sendall(f"token {TOKEN}\n".encode())
        before = guest.fd_count()
        for number in range(3):
            images = guest.log.count(harness.IMAGE)
            guest.put("parts/alpha.py", f"full{number}")
            connection.sendall(b"parts/alpha.py\n")
            guest.wait_served()
            guest.wait(lambda: guest.log.count(harness.IMAGE) > images, 15, "the binary is executed again")
            guest.wait_quiet()
        assert guest.fd_count() <= before + 2, harness.open_files(guest.master_pid)


def test_children_have_none_of_the_sockets() -> None:
    """What comes in is for the master alone."""
    with Guest() as guest, guest.connect() as connection:
        connection.sendall(b"nothing.py\n")
        guest.put_and_push("children")
        inodes = {
            os.readlink(f"/proc/{guest.master_pid}/fd/{fd}") for fd in listening_fds(guest.master_pid, guest.base)
        }
        assert inodes
        for pid in harness.descendants_of(guest.master_pid):
            assert not inodes & set(harness.open_files(pid))


def listening_fds(pid: int, base: Path) -> list[str]:
    """Returns the master's descriptors of the Unix socket push.sock."""
    rows = Path("/proc/net/unix").read_text().splitlines()
    inodes = {row.split()[6] for row in rows if row.endswith(f"{base}/push.sock")}
    return [
        fd
        for fd in os.listdir(f"/proc/{pid}/fd")
        if re.sub(r"\D", "", os.readlink(f"/proc/{pid}/fd/{fd}")) in inodes
        and os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
    ]


# ---- what must not hurt ----


def flood(guest: Guest) -> None:
    """A million lines, each of another file."""
    with guest.connect() as connection, contextlib.suppress(OSError):
        for first in range(0, 1_000_000, 10_000):
            connection.sendall("".join(f"parts/f{number}.py\n" for number in range(first, first + 10_000)).encode())


def endless_line(guest: Guest) -> None:
    """100 MB without an end."""
    chunk = b"x" * 1_000_000
    with guest.connect() as connection, contextlib.suppress(OSError):
        for _ in range(100):
            connection.sendall(chunk)


def garbage(guest: Guest) -> None:
    """Bytes from nowhere, and JSON that is none."""
    for _ in range(20):
        with guest.connect() as connection, contextlib.suppress(OSError):
            connection.sendall(os.urandom(200_000))
        with guest.connect() as connection, contextlib.suppress(OSError):
            connection.sendall(b'{"path": [[[[' * 5_000 + b"\n{}\n" * 1_000)


@contextlib.contextmanager
def half_open(guest: Guest) -> Iterator[None]:
    """A thousand connections that say nothing, or half a line."""
    with contextlib.ExitStack() as stack:
        for number in range(1_000):
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(str(guest.base / "push.sock"))  # Waits for its turn.
            with contextlib.suppress(OSError):
                connection.sendall(b"parts/al" if number % 2 else b"")
        yield


@pytest.mark.slow
def test_hostile_senders_cost_little_and_reload_nothing() -> None:
    """The application answers all the while, and the master's memory stays what it was."""
    with Guest() as guest:
        guest.put_and_push("warm")
        memory_kb, fds = guest.memory_kb(), guest.fd_count()
        for attack in flood, endless_line, garbage:
            guest.is_quiet(lambda: under_fire(guest, attack))
            assert guest.memory_kb() < memory_kb + 24_000, attack.__doc__
        with half_open(guest):
            guest.is_quiet(lambda: None)
            assert guest.fd_count() < fds + 100
        assert guest.memory_kb() < memory_kb + 24_000
        said = guest.log.matching(r"\[fastreload\] (a process of user|somebody)")
        assert len(said) < 40, "\n".join(said)


def under_fire(guest: Guest, attack: Callable[[Guest], None]) -> None:
    """Runs an attack beside requests, every one of which is answered."""
    with harness.concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(attack, guest)
        while not running.done():
            assert guest.get().status == 200
        running.result()


def test_without_the_token_nothing_is_heard() -> None:
    """Whoever does not know it is hung up on, and told why."""
    with Guest("token = {base}/token") as guest:

        def knock() -> None:
            guest.put("parts/alpha.py", "unheard")
            for text in f"{guest.path('parts/alpha.py')}\n", "token wrongwrongwrongwrong\n.\n", ".\n":
                with guest.connect() as connection:
                    connection.settimeout(10)
                    connection.sendall(text.encode())
                    with contextlib.suppress(ConnectionResetError):
                        assert b"token" in connection.recv(4096)
                        assert connection.recv(4096) == b""
            guest.wait_quiet(0.5)
            assert guest.served() != guest.on_disk()

        guest.wait_quiet()  # All workers have loaded what was there.
        knock()
        with guest.connect() as connection:
            connection.sendall(f"token {TOKEN}\nparts/alpha.py\n".encode())
            guest.wait_served()
        assert TOKEN not in guest.log.path.read_text()


# ---- the complete configuration ----


class VagrantGuest(Guest):
    """Runs the file of configs/vagrant in place of one made up for the test."""

    def command(self) -> list[str]:
        """Puts the file beside the project, where its comment says that it lies."""
        shutil.copy(CHECKOUT / "configs/vagrant/uwsgi.ini", self.app / "uwsgi.ini")
        (self.base / ".fastreload-token").write_text(TOKEN + "\n")
        (self.base / ".fastreload-token").chmod(0o600)
        return [
            *self.wrapper,
            *(harness.UWSGI, "--plugins-dir", str(harness.PLUGIN_DIR), "--ini", str(self.app / "uwsgi.ini")),
            *("--http-socket", self.socket_path, "--fastreload-verbose", "--disable-logging"),
        ]


def test_the_vagrant_configuration() -> None:
    """configs/vagrant/uwsgi.ini as it stands, with paths of the host that its map translates."""
    files = apps.WSGI | {"mysite/__init__.py": "", "mysite/wsgi.py": "from wsgi import application\n"}
    with Wire() as wire, VagrantGuest(end=wire.at(wire.far), files=files) as guest:
        guest.put("parts/alpha.py", "vagrant")
        line = f"token {TOKEN}\\n/Users/me/mysite/parts/alpha.py\\n"
        with Shell(f"printf '{line}' | nc -q 1 {Wire.FAR} {PUSH_PORT}", wrapper=wire.at(wire.near)):
            guest.wait_served()
