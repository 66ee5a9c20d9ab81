"""The servers that are compared: uWSGI with its own mechanisms and with this plugin, and other servers that reload.

Each serves a copy of a project of its own. One that this machine has not is named, with what is missing. A new one is a
subclass of Contender, named in MECHANISMS or PEERS.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import measure
from figures import Result
from copies import SMALL, Copy, Project
from tools import harness

START_DEADLINE_S = 60.0


class Contender(harness.Server):
    """A uWSGI on a copy of a project, that reloads itself by one mechanism or by none."""

    name = "uWSGI alone"
    workers = 2
    # What it says when it is ready to notice an edit: proof that it does what its row is named for.
    ready_line: re.Pattern[str] | None = None

    def __init__(self, project: Project = SMALL, name: str = "") -> None:
        self.copy = Copy(project)
        self.port = harness.free_port()
        self.result = Result(name or self.name)
        self.rested_at = 0.0
        env = {"DJANGO_SETTINGS_MODULE": project.settings}
        super().__init__([], base=self.copy.base, env=env)
        self.options = [
            "plugin = python3",
            "module = shop.wsgi:application",
            f"http-socket = 127.0.0.1:{self.port}",
            "master = true",
            f"processes = {self.workers}",
            "disable-logging = true",
            *self.reload_options(),
        ]

    @classmethod
    def missing(cls) -> str:
        """Returns what this machine lacks to run it, or nothing."""
        return ""

    @classmethod
    def about(cls) -> str:
        """Returns name and version of what is compared, where its row does not tell."""
        return ""

    def reload_options(self) -> list[str]:
        """Returns the lines of uWSGI's configuration that make it reload."""
        return []

    def after_save(self) -> None:
        """Does what the developer has to do after a save, which counts as part of the time."""

    def ask(self, timeout_s: float = measure.LOST_AFTER_S) -> str:
        """Returns the version that is served; raises OSError where the request fails."""
        response = harness.http_get(("127.0.0.1", self.port), self.copy.project.asked, timeout_s)
        return measure.version_in(response)

    def await_answer(self) -> None:
        """Waits until it answers."""
        self.wait(lambda: measure.try_ask(self), START_DEADLINE_S, f"{self.name} answers")

    def wait_ready(self) -> None:
        """Waits until it answers, and says that it would notice an edit."""
        self.await_answer()
        if self.ready_line:
            self.wait(
                lambda: self.log.count(self.ready_line), START_DEADLINE_S, f"{self.name} is ready"
            )
        self.rest()

    def __exit__(self, *_: object) -> None:
        # What has gone wrong tells the end of its own log; the others' logs are not of interest.
        super().__exit__(None, None, None)

    def rest(self) -> None:
        """Leaves it alone from now on for as long as everybody is left alone after a reload."""
        self.rested_at = time.monotonic() + measure.REST_S

    def measure(self, version: str, how: str) -> bool:
        """Saves once and notes when it was served; returns whether it was."""
        is_served = measure.save_and_measure(self, version, how)
        self.rest()
        return is_served


class PyAutoreload(Contender):
    """uWSGI's Python plugin looks at the times of all modules once per second."""

    name = "py-autoreload=1"
    ready_line = re.compile(r"Python auto-reloader enabled")

    def reload_options(self) -> list[str]:
        return ["py-autoreload = 1"]


class TouchReload(Contender):
    """uWSGI looks at the time of one file, which is touched right after the save, and reloads the instance."""

    name = "touch-reload"
    option = "touch-reload"

    def reload_options(self) -> list[str]:
        self.trigger = self.base / "trigger"
        self.trigger.write_text("")
        return [f"{self.option} = {self.trigger}"]

    def after_save(self) -> None:
        os.utime(self.trigger)


class ChainReload(TouchReload):
    """The same, but one worker after the other; until the last one the old code answers too."""

    name = "touch-chain-reload"
    option = "touch-chain-reload"

    def reload_options(self) -> list[str]:
        return ["lazy-apps = true", *super().reload_options()]


class FsReload(Contender):
    """uWSGI has inotify watch the one file that is edited."""

    name = "fs-reload"
    ready_line = re.compile(r"\[uwsgi-fsmon\] registered monitor")

    def reload_options(self) -> list[str]:
        return [f"fs-reload = {self.base / 'app' / self.copy.project.edited}"]


class Fastreload(Contender):
    """This plugin, with its two lines."""

    name = "fastreload"
    ready_line = harness.ARMED

    def reload_options(self) -> list[str]:
        return [f"plugins-dir = {harness.PLUGIN_DIR}", "plugin = fastreload", "fastreload-dir = ."]


class FastreloadPreload(Fastreload):
    """The same, with what is heavy and does not depend on the project imported before it."""

    def reload_options(self) -> list[str]:
        return [*super().reload_options(), "fastreload-preload = pandas", "fastreload-preload = rest_framework.schemas.openapi"]


class Peer(Contender):
    """Another server, that starts itself or its workers again."""

    needs_modules: tuple[str, ...] = ()
    needs_programs: tuple[str, ...] = ()

    @classmethod
    def missing(cls) -> str:
        lacks = [f"Python module {m}" for m in cls.needs_modules if not importlib.util.find_spec(m)]
        lacks += [f"command {p}" for p in cls.needs_programs if not shutil.which(p)]
        return ", ".join(lacks)

    @classmethod
    def about(cls) -> str:
        known = []
        for module in cls.needs_modules:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                known.append(f"{module} {importlib.metadata.version(module)}")
        return ", ".join(known)

    @property
    def address(self) -> str:
        """Returns where it shall listen."""
        return f"127.0.0.1:{self.port}"

    def python(self) -> list[str]:
        """Returns the arguments of the interpreter that start it in the project's folder."""
        raise NotImplementedError

    def command(self) -> list[str]:
        return [sys.executable, *self.python()]

    def write(self, name: str, text: str) -> None:
        """Writes a file into the project's folder."""
        (self.app / name).write_text(text)


class GunicornInotify(Peer):
    """gunicorn, whose workers watch the folders of their modules, and end."""

    name = "gunicorn (inotify)"
    needs_modules = ("gunicorn", "inotify")
    ready_line = re.compile(r"Booting worker")

    def python(self) -> list[str]:
        options = f"--workers {self.workers} --reload --reload-engine inotify --bind {self.address}"
        return ["-m", "gunicorn", *options.split(), "shop.wsgi:application"]


class RunserverStat(Peer):
    """Django's own server, which looks at the times of all modules once per second."""

    name = "runserver (stat)"
    ready_line = re.compile(r"Watching for file changes with StatReloader")

    def start(self) -> None:
        # No Watchman there: Django then does without, even where it is installed.
        self.env["WATCHMAN_SOCK"] = str(self.base / "none")
        super().start()

    def python(self) -> list[str]:
        return ["manage.py", "runserver", self.address]


class RunserverWatchman(Peer):
    """Django's own server, which is told by a Watchman of its own."""

    name = "runserver (Watchman)"
    needs_modules = ("pywatchman",)
    needs_programs = ("watchman",)
    ready_line = re.compile(r"Watching for file changes with WatchmanReloader")
    watchman: subprocess.Popen | None = None

    def start(self) -> None:
        socket = self.base / "watchman.sock"
        files = {"sockname": socket, "statefile": self.base / "watchman.state"}
        files |= {"logfile": self.base / "watchman.log", "pidfile": self.base / "watchman.pid"}
        self.watchman = subprocess.Popen(
            ["watchman", "--foreground", "--no-save-state"]
            + [f"--{option}={path}" for option, path in files.items()],
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=harness.die_with_parent,
        )
        harness.wait_until(socket.exists, START_DEADLINE_S, "Watchman listens")
        self.env["WATCHMAN_SOCK"] = str(socket)
        super().start()

    def stop(self) -> None:
        super().stop()
        if self.watchman is not None:
            harness.end_process_tree(self.watchman)

    def python(self) -> list[str]:
        return ["manage.py", "runserver", self.address]


class Uvicorn(Peer):
    """uvicorn, with what it uses to watch if that is there."""

    watcher = next((m for m in ("watchfiles", "watchgod") if importlib.util.find_spec(m)), "stat")
    name = f"uvicorn ({watcher})"
    needs_modules = ("uvicorn", *([watcher] if watcher != "stat" else []))
    ready_line = re.compile(r"Started reloader process .* using " + watcher, re.I)
    ASGI_PY = """\
from django.core.asgi import get_asgi_application
from django.urls import get_resolver

application = get_asgi_application()
get_resolver().url_patterns  # Now, as shop/wsgi.py does.
"""

    def python(self) -> list[str]:
        self.write("shop/asgi.py", self.ASGI_PY)
        options = f"--reload --host 127.0.0.1 --port {self.port}"
        return ["-m", "uvicorn", *options.split(), "shop.asgi:application"]


class Werkzeug(Peer):
    """Werkzeug's development server, which is Flask's."""

    name = "werkzeug (watchdog)"
    needs_modules = ("werkzeug", "watchdog")
    ready_line = re.compile(r"Restarting with watchdog")
    # Only the process that serves loads the application, as with `flask run`.
    SERVE_PY = """\
import os

from werkzeug.serving import run_simple

application = None
if os.environ.get("WERKZEUG_RUN_MAIN"):
    from shop.wsgi import application
run_simple("127.0.0.1", {port}, application, use_reloader=True, reloader_type="watchdog", threaded=True)
"""

    def python(self) -> list[str]:
        self.write("serve.py", self.SERVE_PY.format(port=self.port))
        return ["serve.py"]


class Hupper(Peer):
    """hupper, which is Pyramid's, around Waitress."""

    name = "hupper (watchdog)"
    needs_modules = ("hupper", "waitress", "watchdog")
    ready_line = re.compile(r"Starting monitor for PID")

    def python(self) -> list[str]:
        self.env["HUPPER_DEFAULT_MONITOR"] = "hupper.watchdog.WatchdogFileMonitor"
        listen = f"--listen={self.address}"
        return ["-c", "from hupper.cli import main; main()", "-m", "waitress", listen, "shop.wsgi:application"]


MECHANISMS: list[type[Contender]] = [PyAutoreload, TouchReload, ChainReload, FsReload]
PEERS: list[type[Peer]] = [
    GunicornInotify,
    RunserverStat,
    RunserverWatchman,
    Uvicorn,
    Werkzeug,
    Hupper,
]


def short_name(kind: type[Contender]) -> str:
    """Returns what a contender is called on the command line."""
    return re.sub(r"[^a-z0-9]+", "-", kind.name.lower()).strip("-")


def available(kinds: list[type[Contender]]) -> tuple[list[type[Contender]], list[str]]:
    """Returns those that this machine can run, and a sentence for each of the others."""
    there = [kind for kind in kinds if not kind.missing()]
    absent = [f"skipped: {kind.name}: missing: {kind.missing()}" for kind in kinds if kind not in there]
    return there, absent


def uwsgi_version() -> str:
    """Returns the version of the uWSGI that is measured."""
    return subprocess.run([harness.UWSGI, "--version"], capture_output=True, text=True).stdout.strip()


def machine() -> dict[str, object]:
    """Returns what is measured on: what matters in one line, the processor, and how busy the machine is already."""
    kernel = ".".join(os.uname().release.split(".")[:2])
    python = "Python " + ".".join(map(str, sys.version_info[:3]))
    cores = len(os.sched_getaffinity(0))
    what = [f"{cores} cores", f"Linux {kernel}", f"uWSGI {uwsgi_version()}", python]
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "what": ", ".join([*what, f"Django {importlib.metadata.version('django')}"]),
        "processor": model.group(1) if model else "",
        "load": os.getloadavg(),
    }
