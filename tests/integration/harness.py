"""Starts real uWSGI processes on generated applications, and awaits what must follow a save.

Nothing here sleeps for a fixed time: every wait names a condition and a deadline, and fails with the
end of the log. What a save looks like to the kernel is in editors.py, the applications are in apps.py.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterable, Iterator, Mapping, NamedTuple, Sequence, TypeVar

import apps
import editors
import pytest

T = TypeVar("T")

CHECKOUT = Path(__file__).resolve().parents[2]
PLUGIN_DIR = Path(os.environ.get("FASTRELOAD_PLUGIN_DIR", CHECKOUT / "build")).absolute()
PLUGIN = PLUGIN_DIR / "fastreload_plugin.so"
UWSGI = os.environ.get("FASTRELOAD_UWSGI", "uwsgi")

# What the plugin says. Only here, so that a change of the wording is one edit.
ARMED = re.compile(r"\[fastreload\] watching \d+ folders?\b")
BASELINE = re.compile(r"\[fastreload\] baseline of \d+ files?\b")
DONE = re.compile(r"\[fastreload\] reloaded in ([0-9.]+) ms")
ANY = re.compile(r"\[fastreload\] ")
# What uWSGI itself says at each exec, and whenever a worker starts: a count of reloads that does not
# ask the plugin.
IMAGE = re.compile(r"^\*\*\* Starting uWSGI ")
SWAPS = re.compile(r"\[fastreload\] watching .*; a change does: swap ")
GENERATION = r"^(?:spawned|Respawned) uWSGI worker (?:%s) "
RESPAWN_GUARD = re.compile(r"respawning too fast")

START_DEADLINE_S = 20.0
RELOAD_DEADLINE_S = 15.0
# What is further apart than this, and than the settle time on top, cannot share a batch.
QUIET_S = 0.2
POLL_S = 0.005
PR_SET_PDEATHSIG = 1


class Response(NamedTuple):
    """Status and body of one answer."""

    status: int
    text: str


class Finished(NamedTuple):
    """Exit status and everything printed by a uWSGI that was expected to stop by itself."""

    status: int
    output: str

    def plugin_lines(self) -> list[str]:
        """Returns the lines that the plugin printed."""
        return [line for line in self.output.splitlines() if "[fastreload]" in line]


def wait_until(
    condition: Callable[[], T],
    deadline_s: float,
    what: str,
    explain: Callable[[], str] = lambda: "",
) -> T:
    """Polls the condition until it holds, and fails with the explanation when the deadline has passed."""
    end = time.monotonic() + deadline_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"after {deadline_s:g} s still not: {what}\n{explain()}")
        time.sleep(POLL_S)


# Below those that the kernel gives to whoever connects, and other ones for each of the processes that test at the same time (pytest-xdist).
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = itertools.cycle(random.sample(range(12000 + 1500 * (_WORKER % 12), 13500 + 1500 * (_WORKER % 12)), 1500))


def free_port() -> int:
    """Returns a loopback TCP port that was free a moment ago, and that nobody else here was given lately."""
    for port in itertools.islice(_PORTS, 1500):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")


def require_plugin() -> None:
    """Fails with one clear sentence where the plugin has not been built."""
    if not PLUGIN.exists():
        raise RuntimeError(f"{PLUGIN} is missing: run `make` first, or set FASTRELOAD_PLUGIN_DIR")


def skip_what_uwsgi_cannot_do(ini: Iterable[str]) -> None:
    """With py-call-osafterfork, uWSGI 2.0.28 by itself ends each worker with Python 3.13 in a fatal error."""
    if "py-call-osafterfork = true" in ini and sys.version_info >= (3, 13):
        pytest.skip("py-call-osafterfork is not for Python 3.13")


def die_with_parent() -> None:
    """Makes the kernel end the server when the test run is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """Returns the pids of the direct children of a process."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            children += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return children


def descendants_of(pid: int) -> list[int]:
    """Returns the pids of all processes below a process."""
    found: list[int] = []
    todo = children_of(pid)
    while todo:
        child = todo.pop()
        found.append(child)
        todo += children_of(child)
    return found


def end_process_tree(process: subprocess.Popen) -> None:
    """Kills a process that was started in a session of its own, and all below it, then reaps it."""
    below = descendants_of(process.pid) if process.poll() is None else []
    for kill, pid in [(os.killpg, process.pid), *((os.kill, pid) for pid in below)]:
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)
    process.wait()


class Log:
    """A log file that is read once, line by line, as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self._offset = 0
        self._rest = ""
        self._counts: dict[re.Pattern[str], tuple[int, int]] = {}
        self._lasts: dict[re.Pattern[str], tuple[int, int]] = {}

    def refresh(self) -> "Log":
        """Takes in what was written since the last call."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                data = stream.read()
        except FileNotFoundError:
            return self
        self._offset += len(data)
        *lines, self._rest = (self._rest + data.decode("utf-8", "backslashreplace")).split("\n")
        self.lines += lines
        return self

    def count(self, pattern: re.Pattern[str]) -> int:
        """Returns how many lines match."""
        self.refresh()
        seen, total = self._counts.get(pattern, (0, 0))
        total += sum(1 for line in self.lines[seen:] if pattern.search(line))
        self._counts[pattern] = (len(self.lines), total)
        return total

    def last(self, pattern: re.Pattern[str]) -> int:
        """Returns the number of the last line that matches, or -1."""
        self.refresh()
        seen, last = self._lasts.get(pattern, (0, -1))
        for number in range(seen, len(self.lines)):
            if pattern.search(self.lines[number]):
                last = number
        self._lasts[pattern] = (len(self.lines), last)
        return last

    def matching(self, pattern: re.Pattern[str] | str, since: int = 0) -> list[str]:
        """Returns the matching lines from line number `since` on."""
        self.refresh()
        return [line for line in self.lines[since:] if re.search(pattern, line)]

    def tail(self, count: int = 60) -> str:
        """Returns the end of the log, for messages."""
        self.refresh()
        return f"--- end of {self.path.name} ---\n" + "\n".join(self.lines[-count:]) + "\n---"


class Server:
    """A uWSGI process with its own folder, log and process group."""

    def __init__(
        self,
        options: Iterable[str],
        *,
        wrapper: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        base: Path | None = None,
    ) -> None:
        self.base = base or Path(tempfile.mkdtemp(prefix="fastreload-"))
        self.app = self.base / "app"
        self.app.mkdir(exist_ok=True)
        self.log = Log(self.base / "uwsgi.log")
        self.ini = self.base / "uwsgi.ini"
        self.options = list(options)
        self.wrapper = list(wrapper)
        self.env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.base),
            "LANG": "C.UTF-8",
            **(env or {}),
        }
        self.process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        """Writes the configuration file and returns the command line that starts it."""
        self.ini.write_text("\n".join(["[uwsgi]", *self.options, ""]))
        return [*self.wrapper, UWSGI, "--ini", str(self.ini)]

    def start(self) -> None:
        """Starts uWSGI in the application's folder; what it prints goes to the log."""
        command = self.command()
        with self.log.path.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                cwd=self.app,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def run(self, deadline_s: float = START_DEADLINE_S) -> Finished:
        """Runs a uWSGI that must stop by itself, and returns how it ended."""
        self.start()
        try:
            self.wait(lambda: self.process.poll() is not None, deadline_s, "uWSGI stops by itself")
            return Finished(
                self.process.returncode, self.log.path.read_text(errors="backslashreplace")
            )
        finally:
            self.stop()

    def stop(self) -> None:
        """Ends every process that was started here."""
        if self.process is not None:
            end_process_tree(self.process)

    def wait(
        self,
        condition: Callable[[], T],
        deadline_s: float,
        what: str,
        explain: Callable[[], str] | None = None,
    ) -> T:
        """Waits for a condition, and fails with the end of the log, at once if uWSGI has ended."""

        def holds() -> T:
            has_ended = self.process.poll() is not None
            result = condition()
            if has_ended and not result:
                status = self.process.returncode
                raise AssertionError(f"the server ended with {status} before: {what}\n{self.log.tail()}")
            return result

        return wait_until(holds, deadline_s, what, explain or self.log.tail)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: object, _value: object, _traceback: object) -> None:
        self.stop()
        if kind is not None:
            print(self.log.tail(120))
        shutil.rmtree(self.base, ignore_errors=True)

    # The master process, seen from outside.

    @property
    def master_pid(self) -> int:
        """Returns the master's pid, which a full reload keeps."""
        return self.process.pid

    def worker_pids(self) -> list[int]:
        """Returns the pids of the master's living children, without those that load or wait to load."""
        return [
            pid
            for pid in children_of(self.master_pid)
            if process_state(pid) not in ("Z", "X", "")
            and not process_name(pid).startswith("fastreload-")
        ]

    def fd_count(self) -> int:
        """Returns how many descriptors the master holds."""
        return len(os.listdir(f"/proc/{self.master_pid}/fd"))

    def memory_kb(self) -> int:
        """Returns the master's resident memory."""
        return rss_kb(self.master_pid)


def process_name(pid: int) -> str:
    """Returns what a process calls itself, or nothing where there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().rstrip()
    return ""


def process_state(pid: int) -> str:
    """Returns the state letter of a process, or nothing where there is none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return ""


def cpu_ticks(pid: int) -> int:
    """Returns the CPU time that a process has used, in clock ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def cpu_ns(pid: int) -> int:
    """Returns the CPU time that a process has used, in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def wake_ups(pid: int) -> int:
    """Returns how often a process has gone to sleep by itself, and so how often it has woken up."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M).group(1))


def rss_kb(pid: int) -> int:
    """Returns the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M).group(1))


def pss_kb(pid: int) -> int:
    """Returns the memory of a process with shared pages counted by share."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.M).group(1))


def anonymous_kb(pid: int) -> int:
    """Returns the memory that a process has filled itself, whoever shares it by now: what of it is shared with children that come and go does not move it."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kb) for kb in re.findall(r"^(?:Anonymous|Swap):\s+(\d+) kB", rollup, re.M))


def open_files(pid: int) -> list[str]:
    """Returns what the descriptors of a process point to."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def http_get(address: str | tuple[str, int], path: str = "/", timeout_s: float = 10.0) -> Response:
    """Makes one request on a connection of its own; raises OSError where no whole answer comes."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(address)
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        raise ConnectionResetError(f"the connection ended after {len(answer)} bytes")
    return Response(int(head.split(None, 2)[1]), body.decode("utf-8", "replace"))


class Instance(Server):
    """A generated application on uWSGI, by default with the plugin watching its folder.

    The application answers a JSON object of every Python file below parts/ and the VALUE in it, so
    that "what is served" can be compared with "what is on disk".
    """

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        *,
        plugin: bool = True,
        fastreload: Sequence[str] = (),
        watch: Sequence[str] = (".",),
        ini: Sequence[str] = (),
        workers: int = 2,
        application: Sequence[str] = ("plugin = python3", "module = wsgi"),
        verbose: bool = True,
        wrapper: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        ready: bool = True,
    ) -> None:
        if plugin:
            require_plugin()
        options = [
            *application,
            "master = true",
            f"processes = {workers}",
            "disable-logging = true",  # Of requests: polling would make them most of the log.
            *ini,
        ]
        if plugin:
            options += [f"plugins-dir = {PLUGIN_DIR}", "plugin = fastreload"]
            options += [f"fastreload-dir = {folder}" for folder in watch]
            options += ["fastreload-verbose = true"] if verbose else []
            options += [f"fastreload-{option}" for option in fastreload]
        super().__init__(options, wrapper=wrapper, env=env)
        self.socket_path = str(self.base / "http.sock")
        self.options.insert(0, f"http-socket = {self.socket_path}")
        # A generation may have slots of its own: 1 to n, n + 1 to 2n, and so on.
        first_slots = range(1, 10 * workers, workers)
        self.generation = re.compile(GENERATION % "|".join(map(str, first_slots)))
        self.has_plugin = plugin
        self.verbose = verbose
        self.await_ready = ready
        settle = re.search(r"settle = (\d{1,4})\b", " ".join(fastreload))
        self.quiet_s = QUIET_S + (int(settle.group(1)) / 1000 if settle else 0)
        self._marks = 0
        for relpath, text in (apps.WSGI if files is None else files).items():
            self.path(relpath).parent.mkdir(parents=True, exist_ok=True)
            self.path(relpath).write_text(text)

    def __enter__(self) -> "Instance":
        super().__enter__()
        try:
            if self.await_ready:
                self.wait_ready()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def wait_ready(self) -> None:
        """Waits until the application answers, the watch is armed, and all contents are known."""
        self.wait(lambda: self.try_get() is not None, START_DEADLINE_S, "the application answers")
        if self.has_plugin:
            self.wait(lambda: self.log.count(ARMED), START_DEADLINE_S, "the watch is armed")
        self.wait_baseline()

    def wait_baseline(self) -> None:
        """Waits until the plugin knows the contents of all files, which it says once after the last exec."""
        if self.has_plugin and self.verbose:
            self.wait(
                lambda: self.log.last(BASELINE) > self.log.last(IMAGE),
                RELOAD_DEADLINE_S,
                "the contents of all files are known",
            )

    # Requests.

    def get(self, path: str = "/", timeout_s: float = 10.0) -> Response:
        """Makes one request; raises OSError where no whole answer comes."""
        return http_get(self.socket_path, path, timeout_s)

    def try_get(self, path: str = "/") -> Response | None:
        """Makes one request, and returns nothing where no whole answer comes."""
        with contextlib.suppress(OSError):
            return self.get(path)
        return None

    def served(self) -> object:
        """Returns what the application answers now, or nothing where it does not answer well."""
        response = self.try_get()
        if response is None or response.status != 200:
            return None
        return json.loads(response.text)

    def served_by_each_worker(self) -> dict[int, object]:
        """Returns what each living worker answers, by its pid; or nothing where one does not answer."""
        found: dict[int, object] = {}
        workers = set(self.worker_pids())
        with concurrent.futures.ThreadPoolExecutor(2 * len(workers) + 1) as pool:
            for _ in range(10):
                for response in pool.map(self.try_get, ["/who"] * 2 * len(workers)):
                    if response is not None and response.status == 200:
                        pid, answer = json.loads(response.text)
                        found[pid] = answer
                if workers <= set(found):
                    break
        return found if workers and workers == set(self.worker_pids()) == set(found) else {}

    # Files.

    def path(self, relpath: str) -> Path:
        """Returns where a file of the application is."""
        return self.app / relpath

    def save(self, relpath: str, text: str, how: str = "inplace") -> None:
        """Saves a file the way an editor does (see editors.py)."""
        editors.save(self.path(relpath), text, how)

    def put(self, relpath: str, value: object, how: str = "inplace") -> None:
        """Saves a module that holds nothing but VALUE."""
        self.save(relpath, apps.part(value), how)

    def git(self, *arguments: str, check: bool = True) -> None:
        """Runs git in the application's folder, apart from the settings of this machine."""
        settings = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
        subprocess.run(
            ["git", *settings, *arguments],
            cwd=self.app,
            env={**self.env, "GIT_CONFIG_NOSYSTEM": "1", "GIT_EDITOR": "true"},
            check=check,
            capture_output=True,
            timeout=120,
        )

    def on_disk(self) -> dict[str, str]:
        """Returns what the application has to answer, by looking at the disk."""
        return apps.parts_on_disk(self.app)

    # Reloads.

    def generations(self) -> int:
        """Returns how many generations of workers have served: by uWSGI's own log, how often the first of them was started.

        With swap that does not tell: a load that turns out to be outdated is started again, and has never served.
        """
        if self.log.count(SWAPS):
            return 1 + self.reload_count()
        return self.log.count(self.generation)

    def reload_count(self) -> int:
        """Returns how many finished reloads the plugin has reported."""
        return self.log.count(DONE)

    def wait_served(self, deadline_s: float = RELOAD_DEADLINE_S, what: str = "") -> None:
        """Waits until what is served is what is on disk."""

        def explain() -> str:
            return f"served: {self.served()}\non disk: {self.on_disk()}\n{self.log.tail()}"

        self.wait(
            lambda: self.served() == self.on_disk(),
            deadline_s,
            what or "what is on disk is served",
            explain,
        )

    def wait_generation(self, count: int, deadline_s: float = RELOAD_DEADLINE_S) -> None:
        """Waits until the first worker of a generation was started `count` times."""
        self.wait(
            lambda: self.generations() >= count, deadline_s, f"{count} starts of a first worker"
        )

    def wait_quiet(self, quiet_s: float | None = None) -> None:
        """Waits until no contents are being read and the log has grown no more for a while."""
        self.wait_baseline()
        quiet_s = self.quiet_s if quiet_s is None else quiet_s
        seen = (-1, 0.0)

        def is_quiet() -> bool:
            nonlocal seen
            size = len(self.log.refresh().lines)
            if size != seen[0]:
                seen = (size, time.monotonic())
            return time.monotonic() - seen[1] >= quiet_s

        self.wait(is_quiet, RELOAD_DEADLINE_S, f"{quiet_s} s without a line in the log")

    def mark(self) -> None:
        """Saves a file that nobody else saves and awaits the new code: all that came before has been seen."""
        self._marks += 1
        before = self.generations()
        self.put("parts/marker.py", "m" * self._marks, how="atomic")
        self.wait_served(what="the marker is served")
        self.wait_generation(before + 1)

    @contextlib.contextmanager
    def expect_reloads(self, count: int) -> Iterator[None]:
        """Proves that the block causes exactly so many reloads.

        Events arrive in order: when a marker saved afterwards is served, whatever the block caused has
        been seen as well. The silence before the marker keeps both out of one batch.
        """
        self.wait_quiet()
        before = self.generations()
        first_line = len(self.log.lines)
        yield
        self.wait_generation(before + count)
        self.wait_served()
        self.wait_quiet()
        self.mark()
        reloads = self.generations() - before - 1
        said = "\n".join(self.log.matching(ANY, first_line))
        assert reloads == count, f"{reloads} reloads instead of {count}; the plugin said:\n{said}"

    def expect_exactly_one_reload(self) -> contextlib.AbstractContextManager[None]:
        """Proves that the block causes one reload, and no second one."""
        return self.expect_reloads(1)

    def expect_no_reload(self) -> contextlib.AbstractContextManager[None]:
        """Proves that the block causes no reload."""
        return self.expect_reloads(0)
