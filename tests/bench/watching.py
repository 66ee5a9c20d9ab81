"""What it costs to watch a large tree, and how soon a save is told: this plugin beside programs that only watch.

The tree has 100,000 files in 10,000 folders, a third of both below node_modules, .git and a virtual environment; of the rest six
files in ten are Python. Each contender is alone on the machine when it is measured, and all take turns in rounds of random order.
The tree is in memory (tmpfs), so that no disk has a say; --tree puts it elsewhere.

armed     from the exec until the program says that it watches; until it first tells of a save in the last folder where it never
          says so (watchmedo, fswatch, entr)
PSS       of all its processes, once it does nothing more
pinned    watches of inotify(7), for each of which the kernel keeps an inode and its name in memory: about 1 kB, inotify(7)
idle      CPU time that all its processes take in a second in which nothing happens
event     from just before a save until its line is read here

The plugin is measured inside uWSGI, with an application that does nothing, and without the plugin uWSGI alone is measured in the
same way: its row is the difference of the two. It only touches a file, so that no memory for the next load is in the sum.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Sequence

import cost
import figures
import measure
from tools import harness

MEMORY = Path("/dev/shm")
FOLDERS = 10_000
FILES_EACH = 10
BRANCHES = 8  # folders in a folder
PROJECT_FILES = [
    *("__init__.py", "models.py", "views.py", "urls.py", "admin.py", "tests.py"),
    *("page.html", "style.css", "script.js", "notes.md"),
]
SAVED = "views.py"
SAVES = 5
IDLE_S = 5.0
ARMED_DEADLINE_S = 120.0
EVENT_DEADLINE_S = 20.0
# The next probe comes later the longer it takes: some are slow to tell, and would have ever more to tell.
PROBE_PAUSE_S = 0.02
PROBE_SHARE = 0.02
CHECKOUT_FILES = 10_000
GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]

HEADING = """\
What it costs to watch 100,000 files in 10,000 folders, a third of them in node_modules, .git and a virtual
environment; the plugin's rows are uWSGI with it, less uWSGI alone (see watching.py)."""

WSGI = """\
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
"""


# ---- the tree ----


def spread(top: Path, count: int, names: Sequence[str]) -> list[Path]:
    """Makes so many folders below top, top among them, with files of these names in each; returns them, breadth first."""
    folders = [top]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).write_text(f"# {name}\n")
        room = min(BRANCHES, count - len(folders))
        folders += [folder / f"part{i}" for i in range(room)]
    return folders


def plant(top: Path) -> list[Path]:
    """Makes the tree; returns the folders of the project itself, breadth first."""
    third = FOLDERS // 3
    folders = spread(top, FOLDERS - third, PROJECT_FILES)
    for folder, suffix in (("node_modules", ".js"), (".git/lfs/objects", ""), ("env/lib", ".py")):
        spread(top / folder, third // 3, [f"module{i}{suffix}" for i in range(FILES_EACH)])
    (top / "env" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (top / "app.py").write_text(WSGI)
    return folders


# ---- the contenders ----


@dataclass
class Figures:
    """What was measured of one contender."""

    name: str
    armed_ms: list[float] = field(default_factory=list)
    event_ms: list[float] = field(default_factory=list)
    pss_kb: list[float] = field(default_factory=list)
    idle_us: list[float] = field(default_factory=list)  # in a second
    pinned: int = 0
    lost: int = 0

    def as_json(self) -> dict[str, object]:
        """Returns everything, with the medians."""
        lists = [key for key, value in vars(self).items() if isinstance(value, list)]
        medians = {f"{key}_median": figures.none_for_nan(figures.median(vars(self)[key])) for key in lists}
        return {**vars(self), **medians}

    def minus(self, other: Figures, name: str) -> Figures:
        """Returns what this one, once measured, costs more than the other, by their medians; its events are its own."""
        more = {
            key: [figures.median(vars(self)[key]) - figures.median(vars(other)[key])]
            for key in ("armed_ms", "pss_kb", "idle_us")
        }
        return Figures(name, event_ms=self.event_ms, pinned=self.pinned - other.pinned, lost=self.lost, **more)


class Watcher:
    """A program that watches the tree. What it prints is read line by line, each with the time at which it came."""

    name = ""
    needs: Sequence[str] = ()  # commands
    announces = ""  # what is in the line in which it says that it watches; "": it never says so

    def __init__(self, top: Path, last: Path) -> None:
        self.top, self.last = top, last
        self.base = Path(tempfile.mkdtemp(prefix="fastreload-watching-"))
        self.lines: list[tuple[float, str]] = []
        self.came = threading.Condition()
        self.processes: list[subprocess.Popen] = []

    @classmethod
    def missing(cls) -> list[str]:
        """Returns the commands that are not there."""
        return [command for command in cls.needs if not shutil.which(command)]

    def command(self) -> list[str]:
        """Returns the command line."""
        raise NotImplementedError

    def spawn(self, command: Sequence[str], **how: object) -> subprocess.Popen:
        """Starts a program of this contender and reads what it prints."""
        process = subprocess.Popen(
            command,
            cwd=self.top,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "HOME": str(self.base)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=harness.die_with_parent,
            **{"stdin": subprocess.DEVNULL, **how},
        )
        self.processes.append(process)
        threading.Thread(target=self.read, args=(process.stdout,), daemon=True).start()
        return process

    def read(self, stream: Iterator[bytes]) -> None:
        """Takes all lines of a stream."""
        with contextlib.suppress(ValueError, OSError):  # It is closed.
            for line in stream:
                with self.came:
                    self.lines.append((time.monotonic(), line.decode(errors="replace")))
                    self.came.notify_all()

    def wait_line(self, text: str, deadline_s: float, since: int = 0) -> float | None:
        """Waits for a line with that text in it, from line number `since` on; returns when it came, or None."""
        end = time.monotonic() + deadline_s
        with self.came:
            while True:
                for came_at, line in self.lines[since:]:
                    if text in line:
                        return came_at
                since = len(self.lines)
                if not self.came.wait(max(0.0, end - time.monotonic())):
                    return None

    def start(self) -> None:
        """Starts it."""
        self.spawn(self.command())

    def wait_armed(self) -> float:
        """Waits until it watches, and returns when that was."""
        at = self.wait_line(self.announces, ARMED_DEADLINE_S) if self.announces else self.probe()
        if at is None:
            raise AssertionError(f"{self.name} does not watch\n{self.tail()}")
        return at

    def probe(self) -> float | None:
        """Saves a file in the last folder until that is told."""
        begun = time.monotonic()
        while (taken := time.monotonic() - begun) < ARMED_DEADLINE_S:
            since = len(self.lines)
            (self.last / SAVED).write_text(f"# {time.monotonic()}\n")
            at = self.wait_line(self.told_as(self.last / SAVED), max(PROBE_PAUSE_S, PROBE_SHARE * taken), since)
            if at is not None:
                return at
        return None

    def told_as(self, path: Path) -> str:
        """Returns what is in the line that tells of a save of the file."""
        return str(path.relative_to(self.top))

    def tail(self) -> str:
        """Returns what it printed last."""
        return "".join(line for _, line in self.lines[-20:])

    def pids(self) -> list[int]:
        """Returns all its processes."""
        alive = [process.pid for process in self.processes if process.poll() is None]
        return alive + [child for pid in alive for child in harness.descendants_of(pid)]

    def stop(self) -> None:
        """Ends it."""
        for process in self.processes:
            harness.end_process_tree(process)
        shutil.rmtree(self.base, ignore_errors=True)


class Inotifywait(Watcher):
    """inotify-tools."""

    name = "inotifywait -r -m"
    needs = ["inotifywait"]
    announces = "Watches established"

    def command(self) -> list[str]:
        return ["inotifywait", "-r", "-m", "--format", "%w%f", "-e", "close_write,moved_to,create,delete,move", "."]


class Watchman(Watcher):
    """A daemon of its own; this script is its client and subscribes as editors do."""

    name = "watchman"
    needs = ["watchman"]
    announces = '"subscribe"'

    def start(self) -> None:
        sock = self.base / "sock"
        files = [f"--{what}={self.base / what}" for what in ("logfile", "statefile", "pidfile")]
        self.spawn(["watchman", "--foreground", f"--sockname={sock}", "--no-save-state", *files])
        self.client = socket.socket(socket.AF_UNIX)

        def connects() -> bool:
            with contextlib.suppress(OSError):
                self.client.connect(str(sock))
                return True
            return False

        harness.wait_until(connects, ARMED_DEADLINE_S, "watchman answers", self.tail)
        threading.Thread(target=self.read, args=(self.client.makefile("rb"),), daemon=True).start()
        self.client.sendall(json.dumps(["watch", str(self.top)]).encode() + b"\n")

    def wait_armed(self) -> float:
        # It reads no request that comes while it is about another. The answer to this one comes when all has been listed.
        if self.wait_line('"watch"', ARMED_DEADLINE_S) is None:
            raise AssertionError(f"{self.name} does not watch\n{self.tail()}")
        named = {"fields": ["name"], "expression": ["suffix", "py"]}
        self.client.sendall(json.dumps(["subscribe", str(self.top), "bench", named]).encode() + b"\n")
        return super().wait_armed()

    def stop(self) -> None:
        self.client.close()
        super().stop()


class Watchmedo(Watcher):
    """python3-watchdog."""

    name = "watchmedo"
    needs = ["watchmedo"]

    def command(self) -> list[str]:
        return ["watchmedo", "log", "--verbose", "--recursive", "--patterns=*.py", "."]


class Fswatch(Watcher):
    """fswatch, with its shortest latency. It ends when its queue overflows, as it does here, unless it is told not to."""

    name = "fswatch -r"
    needs = ["fswatch"]

    def command(self) -> list[str]:
        return ["fswatch", "-r", "--allow-overflow", "-l", "0.1", "--event=Updated", "--event=Created", "--event=MovedTo", "."]


class Entr(Watcher):
    """entr, which is given the Python files of the project, and runs echo."""

    name = "find | entr"
    needs = ["entr"]

    def start(self) -> None:
        left_out = [f"-path ./{name} -prune -o" for name in ("node_modules", ".git", "env")]
        find = f"find . {' '.join(left_out)} -name '*.py' -print"
        self.spawn(["sh", "-c", f"ulimit -n $(ulimit -Hn); {find} | entr -n -p echo saved: /_"])


class Uwsgi(Watcher):
    """uWSGI alone."""

    name = "uWSGI alone"
    needs = [harness.UWSGI]
    announces = "spawned uWSGI worker 1 "
    more: Sequence[str] = ()

    def command(self) -> list[str]:
        lines = ["plugin = python3", "module = app", "master = true", "processes = 1"]
        lines += [f"socket = {self.base}/sock", "strict = true"]
        ini = self.base / "uwsgi.ini"
        ini.write_text("\n".join(["[uwsgi]", *lines, *self.more, ""]))
        return [harness.UWSGI, "--ini", str(ini)]


class Fastreload(Uwsgi):
    """uWSGI with the plugin, which only touches a file."""

    name = "uWSGI, fastreload"
    announces = "[fastreload] watching "
    backend = ""
    action = ""

    def command(self) -> list[str]:
        self.more = [
            f"plugins-dir = {harness.PLUGIN_DIR}",
            "plugin = fastreload",
            "fastreload-dir = .",
            "fastreload-settle = 0",
            f"fastreload-action = {self.action or f'touch:{self.base}/touched'}",
            *([f"fastreload-backend = {self.backend}"] if self.backend else []),
        ]
        return super().command()

    def told_as(self, path: Path) -> str:
        return f"[fastreload] {path.relative_to(self.top)} changed"


OWN = Fastreload.name.removeprefix("uWSGI, ")
PEERS: list[type[Watcher]] = [Inotifywait, Watchman, Watchmedo, Fswatch, Entr]


def with_backend(backend: str) -> type[Fastreload]:
    """Returns the plugin with that backend."""
    return type("FastreloadBackend", (Fastreload,), {"name": f"uWSGI, fastreload, {backend}", "backend": backend})


def knows_backend(backend: str) -> bool:
    """Tells whether this plugin has the backend, and may use it here."""
    with tempfile.TemporaryDirectory(prefix="fastreload-watching-") as top:
        (Path(top) / "app.py").write_text(WSGI)
        server = with_backend(backend)(Path(top), Path(top))
        try:
            server.start()
            process = server.processes[0]
            harness.wait_until(
                lambda: process.poll() is not None or server.wait_line(server.announces, 0.1),
                ARMED_DEADLINE_S,
                "uWSGI starts, or refuses",
                server.tail,
            )
            return process.poll() is None
        finally:
            server.stop()


# ---- measuring ----


def cpu_ns(pids: Sequence[int]) -> int:
    """Returns the CPU time of all threads of the processes."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(task.read_text().split()[0])
    return total


def pinned_by(pids: Sequence[int]) -> int:
    """Returns how many inotify watches the processes hold; an instance that is shared counts once."""
    held = {}
    for pid in pids:
        for info in Path(f"/proc/{pid}/fdinfo").glob("*"):
            with contextlib.suppress(OSError):
                lines = [line for line in info.read_text().splitlines() if line.startswith("inotify ")]
                held[tuple(lines)] = len(lines)
    return sum(held.values())


def pss_kb(pids: Sequence[int]) -> int:
    """Returns the memory of all processes."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, AttributeError):  # It has ended meanwhile.
            total += harness.pss_kb(pid)
    return total


def settle(watcher: Watcher) -> None:
    """Waits until it uses less than a twentieth of a processor: some go on after they said that they watch, and who polls never ends."""
    before, since = cpu_ns(watcher.pids()), time.monotonic()

    def is_quiet() -> bool:
        nonlocal before, since
        now = cpu_ns(watcher.pids())
        if abs(now - before) > 0.05e9 * cost.STEADY_S:
            before, since = now, time.monotonic()
        time.sleep(0.1)
        return time.monotonic() - since > cost.STEADY_S

    harness.wait_until(is_quiet, ARMED_DEADLINE_S, f"{watcher.name} is quiet", watcher.tail)


def save(watcher: Watcher, path: Path, result: Figures) -> None:
    """Saves a file, and notes how soon that was told."""
    since, begun = len(watcher.lines), time.monotonic()
    path.write_text(f"# saved at {begun}\n")
    told_at = watcher.wait_line(watcher.told_as(path), EVENT_DEADLINE_S, since)
    if told_at is None:
        result.lost += 1
    else:
        result.event_ms.append((told_at - begun) * 1000)


def measure_one(kind: type[Watcher], folders: Sequence[Path], result: Figures, chance: random.Random) -> None:
    """Starts one contender, measures everything, and ends it."""
    watcher = kind(folders[0], folders[-1])
    try:
        begun = time.monotonic()
        watcher.start()
        result.armed_ms.append((watcher.wait_armed() - begun) * 1000)
        settle(watcher)
        pids = watcher.pids()
        before, begun = cpu_ns(pids), time.monotonic()
        time.sleep(IDLE_S)
        result.idle_us.append((cpu_ns(pids) - before) / (time.monotonic() - begun) / 1000)
        result.pss_kb.append(pss_kb(pids))
        result.pinned = pinned_by(pids)
        if kind is not Uwsgi:
            for folder in chance.sample(folders[1:], SAVES):
                save(watcher, folder / SAVED, result)
                time.sleep(chance.uniform(0.2, 0.5))
    finally:
        watcher.stop()


# ---- a checkout ----


@dataclass
class Checkout:
    """What came of a checkout that touches many files."""

    files: int
    git_ms: float = figures.NAN
    served_ms: float = figures.NAN  # from the end of git to the end of the reload
    reloads: int = 0

    def as_json(self) -> dict[str, object]:
        """Returns everything."""
        return {**vars(self), "served_ms": figures.none_for_nan(self.served_ms)}


def git(top: Path, *arguments: str) -> None:
    """Runs git there."""
    subprocess.run([*GIT, *arguments], cwd=top, check=True, capture_output=True)


def measure_checkout(folders: Sequence[Path]) -> Checkout:
    """Lets git switch between two branches that differ in so many Python files."""
    top = folders[0]
    files = [folder / name for folder in folders for name in PROJECT_FILES if name.endswith(".py")][:CHECKOUT_FILES]
    checkout = Checkout(len(files))
    git(top, "init", "--quiet", "--initial-branch=one")
    for branch in ("one", "two"):
        if branch == "two":
            git(top, "checkout", "--quiet", "-b", branch)
        for path in files:
            path.write_text(f"# on branch {branch}\n")
        listed = "\0".join(str(path.relative_to(top)) for path in files)
        subprocess.run(
            [*GIT, "add", "--pathspec-from-file=-", "--pathspec-file-nul"], cwd=top, check=True, input=listed.encode()
        )
        git(top, "commit", "--quiet", "-m", branch)
    swapping = type("FastreloadSwap", (Fastreload,), {"action": "auto"})
    server = swapping(top, folders[-1])
    try:
        server.start()
        server.wait_armed()
        settle(server)
        since, begun = len(server.lines), time.monotonic()
        git(top, "checkout", "--quiet", "one")
        ended = time.monotonic()
        told_at = server.wait_line("[fastreload] reloaded", ARMED_DEADLINE_S, since)
        settle(server)
        checkout.git_ms = (ended - begun) * 1000
        if told_at is not None:
            checkout.served_ms = (told_at - ended) * 1000
        checkout.reloads = sum("[fastreload] reloaded" in line for _, line in server.lines[since:])
    finally:
        server.stop()
    return checkout


# ---- all of it ----


@dataclass
class Outcome:
    """Everything that was measured."""

    results: list[Figures]
    checkout: Checkout

    def of(self, name: str) -> Figures:
        """Returns what was measured of the contender of that name."""
        return next((result for result in self.results if result.name == name), Figures(name))


def added(results: dict[str, Figures]) -> list[Figures]:
    """Returns the plugin's own share, for each backend that was measured."""
    alone = results.get(Uwsgi.name)
    rows = []
    for name, result in results.items():
        if alone and name.startswith(Fastreload.name):
            rows.append(result.minus(alone, name.removeprefix("uWSGI, ")))
    return rows


def run(above: Path | None, rounds: int, chance: random.Random, say: Callable[[str], None]) -> Outcome:
    """Measures all that are there, in turns, in a tree in the folder above; says which are not."""
    kinds = [kind for kind in PEERS if not kind.missing()]
    for kind in PEERS:
        if kind not in kinds:
            say(f"skipped: {kind.name}: missing: {' '.join(kind.missing())}")
    kinds += [Uwsgi, Fastreload]
    for backend in ("fanotify", "poll"):
        if knows_backend(backend):
            kinds.append(with_backend(backend))
        else:
            say(f"skipped: fastreload, {backend}: this plugin has it not, or may not use it here")
    if above is None and os.access(MEMORY, os.W_OK):
        above = MEMORY
    base = Path(tempfile.mkdtemp(prefix="fastreload-tree-", dir=above))
    try:
        measure.progress(f"planting {FOLDERS * FILES_EACH} files")
        folders = plant(base / "tree")
        results = {kind.name: Figures(kind.name) for kind in kinds}
        for turn in range(rounds):
            for kind in chance.sample(kinds, len(kinds)):
                measure.progress(f"round {turn + 1} of {rounds}: {kind.name}")
                try:
                    measure_one(kind, folders, results[kind.name], chance)
                except AssertionError as error:
                    if issubclass(kind, Uwsgi):
                        raise
                    say(f"{kind.name}: {error}")
        measure.progress("a checkout")
        checkout = measure_checkout(folders)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    measure.progress("")
    return Outcome([*added(results), *results.values()], checkout)


def table(outcome: Outcome) -> str:
    """Returns one line a contender."""
    rows = []
    for result in outcome.results:
        rows.append(
            [
                result.name,
                figures.short(figures.median(result.armed_ms)),
                figures.short(figures.median(result.pss_kb) / 1024),
                str(result.pinned),
                figures.short(figures.median(result.idle_us)),
                figures.short(figures.median(result.event_ms)),
                figures.short(figures.quantile(result.event_ms, 1.0)),
                str(result.lost),
            ]
        )
    head = ["watcher", "armed ms", "PSS MB", "pinned", "idle us/s", "event, median ms", "most ms", "lost"]
    return figures.table(head, rows)


def checkout_line(checkout: Checkout) -> str:
    """Returns what came of the checkout."""
    return (
        f"A checkout that changed {checkout.files} files took git {figures.whole(checkout.git_ms)} ms; reloads: "
        f"{checkout.reloads}, done {figures.whole(checkout.served_ms)} ms after git had ended."
    )


def goals(outcome: Outcome) -> list[figures.Goal]:
    """Returns what the plugin is held to: quicker and smaller than each of the others."""
    own = outcome.of(OWN)
    peers = [outcome.of(kind.name) for kind in PEERS]
    found = []
    for what, of in (("armed", lambda each: each.armed_ms), ("memory", lambda each: each.pss_kb)):
        medians = {peer.name: figures.median(of(peer)) for peer in peers}
        name, best = figures.best(medians, list(medians))
        measured = figures.ratio(best, figures.median(of(own)))
        found.append(figures.Goal(f"{what}: best, {name or '-'} / fastreload", 1, measured, True))
    return found
