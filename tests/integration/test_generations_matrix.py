"""Generations beside everything else that uWSGI can do: each works with them, or is named as a reason to do without."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Iterator, Sequence

import pytest

import apps
import load
from harness import (
    RESPAWN_GUARD,
    UWSGI,
    Instance,
    Log,
    cpu_ns,
    descendants_of,
    free_port,
    http_get,
    process_state,
    skip_what_uwsgi_cannot_do,
    wait_until,
)
from swapping import (
    LOADED,
    NOT_RELOADED,
    SWAP,
    in_request,
    read_stats,
    respawned,
    save_version,
    settle,
    swap_to,
    wait_gone,
    wait_whole,
    workers_of,
)

HELLO = re.compile(r"\[fastreload\] watching .* a change does: (\w+) \((.*)\)$")
PLUGINS = Path("/usr/lib/uwsgi/plugins")


def need_plugin(name: str) -> None:
    """Skips where the system's uWSGI has no such plugin, and does not have it built in."""
    built_in = subprocess.run([UWSGI, "--plugins-list"], capture_output=True, text=True)
    if not (PLUGINS / f"{name}_plugin.so").exists() and name not in built_in.stdout + built_in.stderr:
        pytest.skip(f"uWSGI's {name} plugin is not installed")


def wait_idle(app: Instance) -> None:
    """Proves that no worker spins when nobody asks."""
    app.wait_quiet(0.3)
    pids = list(workers_of(app))
    before, begun = {pid: cpu_ns(pid) for pid in pids}, time.monotonic()
    app.wait(lambda: time.monotonic() - begun > 0.3, 3, "a little time")
    used = {pid: (cpu_ns(pid) - before[pid]) / 1e6 for pid in pids}
    assert max(used.values()) < 100, f"ms of CPU in 300: {used}\n{app.log.tail()}"


def swap_twice(app: Instance, workers: int, first: int = 1) -> None:
    """Swaps twice, and looks at who serves."""
    swaps = app.log.count(SWAP)
    for number in (first, first + 1):
        swap_to(app, number)
        wait_whole(app, workers)
        assert {str(app.served()) for _ in range(3 * workers)} == {str(app.on_disk())}
    assert app.log.count(SWAP) == swaps + 2
    assert not app.log.count(NOT_RELOADED) and not app.log.count(RESPAWN_GUARD)


# What works with swaps, by configuration alone.

PLAIN: dict[str, tuple[int, Sequence[str]]] = {
    "processes = 1": (1, ()),
    "processes = 4": (4, ()),
    "processes = 16": (16, ()),
    "threads = 4": (2, ("threads = 4",)),
    "enable-threads": (2, ("enable-threads = true",)),
    "lazy-apps": (2, ("lazy-apps = true",)),
    "need-app": (2, ("need-app = true",)),
    "need-app and lazy-apps": (2, ("need-app = true", "lazy-apps = true")),
    "thunder-lock": (3, ("thunder-lock = true",)),
    "thunder-lock and threads": (2, ("thunder-lock = true", "threads = 3")),
    "log-master": (2, ("log-master = true",)),
    "threaded-logger": (2, ("log-master = true", "threaded-logger = true")),
    "single-interpreter": (2, ("single-interpreter = true",)),
    "vacuum": (2, ("vacuum = true",)),
    "auto-procname": (2, ("auto-procname = true",)),
    "harakiri": (2, ("harakiri = 20",)),
    "memory-report, reload-on-rss": (2, ("memory-report = true", "reload-on-rss = 4000")),
    "max-worker-lifetime": (2, ("max-worker-lifetime = 3600",)),
    "cpu-affinity": (2, ("cpu-affinity = 1",)),
    "cache2 and locks": (2, ("cache2 = name=x,items=10", "locks = 2")),
    "strict": (2, ("strict = true",)),
    "no-orphans": (2, ("no-orphans = true",)),
    "py-call-osafterfork": (2, ("py-call-osafterfork = true", "enable-threads = true")),
    "listen": (2, ("listen = 64",)),
    "reuse-port": (2, ("reuse-port = true",)),
    "metrics": (2, ("enable-metrics = true",)),
}


@pytest.mark.parametrize("case", PLAIN)
def test_it_swaps_with(case: str) -> None:
    workers, ini = PLAIN[case]
    skip_what_uwsgi_cannot_do(ini)
    with Instance(load.FILES, workers=workers, ini=ini) as app:
        settle(app, workers)
        assert app.log.matching(HELLO) and "swap (" in app.log.matching(HELLO)[0]
        swap_twice(app, workers)
        wait_idle(app)


def test_a_broken_save_is_survived_with_need_app_and_lazy_apps() -> None:
    ini = ["need-app = true", "lazy-apps = true"]
    with Instance(load.FILES, ini=ini) as app:
        settle(app, 2)
        app.save("wsgi.py", "def broken(:\n")
        app.wait(lambda: app.log.count(NOT_RELOADED), 15, "it is said")
        assert app.get().status == 200
        app.save("wsgi.py", load.WSGI_PY)
        app.wait_quiet()
        swap_to(app, 1)


# Logs.


@pytest.mark.parametrize(
    "ini",
    (["log-master = true"], ["log-master = true", "threaded-logger = true"], ["LOGTO2"], ["LOGTO"]),
    ids=("log-master", "threaded-logger", "logto2", "logto"),
)
def test_the_traceback_reaches_the_log_once_and_later_lines_do(ini: list[str]) -> None:
    app = Instance(load.FILES, ini=())
    app.options += [line.replace("LOGTO", "logto") + (f" = {app.log.path}" if "LOGTO" in line else "") for line in ini]
    with app:
        settle(app, 2)
        app.save("wsgi.py", "raise RuntimeError('only ' + 'once')\n")
        app.wait(lambda: app.log.count(NOT_RELOADED), 15, "it is said")
        app.wait(lambda: app.log.matching("^RuntimeError: only once"), 3, "the traceback")
        prints = "    body = ANSWER\n    print('asked', flush=True)\n"
        app.save("wsgi.py", load.WSGI_PY.replace("    body = ANSWER\n", prints))
        app.wait_quiet()
        swap_to(app, 1)
        app.wait(lambda: app.log.matching("^asked$"), 3, "what workers print")
        assert len(app.log.matching("^RuntimeError: only once")) == 1


# Sockets.


@contextlib.contextmanager
def nginx(app: Instance, backend: str) -> Iterator[tuple[str, int]]:
    """A real nginx before a uwsgi socket; its address."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        pytest.skip("nginx is not installed (nginx-light)")
    port = free_port()
    folder = app.base / "nginx"
    folder.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    params = "".join(
        f"uwsgi_param {name} {value};\n"
        for name, value in {
            "QUERY_STRING": "$query_string",
            "REQUEST_METHOD": "$request_method",
            "PATH_INFO": "$document_uri",
            "REQUEST_URI": "$request_uri",
            "SERVER_PROTOCOL": "$server_protocol",
            "SERVER_NAME": "$server_name",
            "SERVER_PORT": "$server_port",
            "REMOTE_ADDR": "$remote_addr",
        }.items()
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"""daemon off; {user} worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
        events {{ worker_connections 128; }}
        http {{ access_log off; keepalive_requests 100000; {temporary}
            server {{ listen 127.0.0.1:{port}; location / {{ uwsgi_pass {backend}; {params} }} }} }}
        """
    )
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
        stdin=subprocess.DEVNULL,
    )
    try:

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return http_get(("127.0.0.1", port)).status == 200
            return False

        wait_until(answers, 10, "nginx answers")
        yield ("127.0.0.1", port)
        errors = (folder / "error.log").read_text()
        assert "[error]" not in errors, errors[:2000]
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("family", ("TCP", "unix"))
def test_no_request_is_lost_behind_nginx(family: str) -> None:
    port = free_port()
    app = Instance(load.FILES, workers=4)
    backend = f"127.0.0.1:{port}" if family == "TCP" else f"{app.base}/uwsgi.sock"
    app.options.append(f"socket = {backend}")
    with app:
        settle(app, 4)
        with nginx(app, backend if family == "TCP" else f"unix:{backend}") as address:
            with load.Load(address, 8, 8) as clients:
                app.wait(lambda: len(clients.requests) > 100, 20, "the clients are at work")
                for number in range(1, 11):
                    swap_to(app, number, clients)
            assert not clients.lost(), clients.summary() + "\n" + app.log.tail()
            assert not clients.stale()


def test_several_sockets_of_several_kinds() -> None:
    ports = [free_port() for _ in range(3)]
    ini = [f"http-socket = 127.0.0.1:{ports[0]}", f"socket = 127.0.0.1:{ports[1]}"]
    ini += [f"http-socket = 127.0.0.1:{ports[2]}"]
    with Instance(load.FILES, ini=ini) as app:
        settle(app, 2)
        swap_twice(app, 2)
        assert load.version(2) in http_get(("127.0.0.1", ports[0])).text
        assert load.version(2) in http_get(("127.0.0.1", ports[2])).text


def test_static_maps_and_offload_threads() -> None:
    app = Instance(load.FILES, ini=["offload-threads = 2"])
    static = app.base / "static"
    static.mkdir()
    (static / "file.bin").write_bytes(b"x" * 5_000_000)
    app.options.append(f"static-map = /static={static}")
    with app:
        settle(app, 2)
        swap_twice(app, 2)
        assert len(app.get("/static/file.bin").text) == 5_000_000


def test_a_file_that_is_being_sent_by_an_offload_thread_is_not_cut() -> None:
    app = Instance(load.FILES, ini=["offload-threads = 1"], workers=1)
    static = app.base / "static"
    static.mkdir()
    size = 20_000_000
    (static / "file.bin").write_bytes(b"x" * size)
    port = free_port()
    app.options += [f"static-map = /static={static}", f"http-socket = 127.0.0.1:{port}"]
    with app:
        settle(app, 1)
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.connect(("127.0.0.1", port))
            connection.settimeout(10)
            connection.sendall(b"GET /static/file.bin HTTP/1.0\r\n\r\n")
            got = len(connection.recv(1000))
            swap_to(app, 1)
            app.wait_quiet(0.3)
            while chunk := connection.recv(1 << 20):
                got += len(chunk)
        assert got >= size, f"{got} bytes of {size}"


# Applications.


def test_several_mounted_applications_of_which_one_breaks() -> None:
    files = {
        "one.py": "from one_value import VALUE\n" + ANSWERING,
        "two.py": "from two_value import VALUE\n" + ANSWERING,
        "one_value.py": 'VALUE = "one"\n',
        "two_value.py": 'VALUE = "two"\n',
    }
    application = ("plugin = python3", "mount = /a=one.py", "mount = /b=two.py", "manage-script-name = true")
    with Instance(files, application=application) as app:
        app.wait(lambda: app.log.matching("^WSGI app 1 "), 15, "both are loaded")
        app.wait_quiet()
        app.save("two_value.py", "this is broken\n")
        # uWSGI's own exit() hangs in such a process (core/init.c ends it, the Python plugin's atexit waits for the GIL of
        # another interpreter): it must not take --fastreload-timeout to say what is wrong.
        app.wait(lambda: app.log.count(NOT_RELOADED), 8, "it is said")
        assert (app.get("/a").text, app.get("/b").text) == ("one", "two")
        app.save("one_value.py", 'VALUE = "one, newer"\n')
        app.wait(lambda: app.log.count(NOT_RELOADED) == 2, 15, "it is said again")
        assert (app.get("/a").text, app.get("/b").text) == ("one", "two")
        app.save("two_value.py", 'VALUE = "two, newer"\n')
        app.wait(lambda: app.reload_count() == 1, 15, "both load")
        assert {(app.get("/a").text, app.get("/b").text) for _ in range(6)} == {
            ("one, newer", "two, newer")
        }


ANSWERING = '''
import uwsgi


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(eval(environ["QUERY_STRING"] or "VALUE")).encode()]
'''


@pytest.mark.parametrize("lazy", ((), ("lazy-apps = true",)), ids=("preforked", "lazy-apps"))
def test_what_applications_see_of_the_workers(lazy: Sequence[str]) -> None:
    files = {"wsgi.py": "from parts.value import VALUE\n" + ANSWERING, "parts/value.py": apps.part("v0")}
    with Instance(files, workers=3, ini=lazy) as app:
        settle(app, 3)
        for number in range(3):
            if number:
                app.put("parts/value.py", load.version(number))
                app.wait(lambda: app.reload_count() == number, 15, "it is reloaded")
                wait_whole(app, 3)
            assert {app.get("/?uwsgi.numproc").text for _ in range(9)} == {"3"}
            assert {app.get("/?uwsgi.opt['processes']").text for _ in range(3)} == {"b'3'"}
            assert {app.get("/?len(uwsgi.workers())").text for _ in range(9)} == {"3"}, number


@pytest.mark.xfail(strict=True, reason="uwsgi.workers() shows the slots of the first generation (see README, Known problems)")
def test_uwsgi_workers_names_those_who_serve() -> None:
    files = {"wsgi.py": "from parts.value import VALUE\n" + ANSWERING, "parts/value.py": apps.part("v0")}
    with Instance(files, workers=3) as app:
        settle(app, 3)
        for number in range(3):
            if number:
                app.put("parts/value.py", load.version(number))
                app.wait(lambda: app.reload_count() == number, 15, "it is reloaded")
                wait_whole(app, 3)
            pids = app.get("/?sorted(w['pid']for(w)in(uwsgi.workers()))").text
            assert json.loads(pids) == sorted(workers_of(app)), f"in generation {number}"


def test_the_numbers_of_serving_workers_differ_from_each_other() -> None:
    files = {"wsgi.py": "from parts.value import VALUE\n" + ANSWERING, "parts/value.py": apps.part("v0")}
    with Instance(files, workers=3) as app:
        settle(app, 3)
        for number in range(1, 6):
            app.put("parts/value.py", load.version(number))
            app.wait(lambda: app.reload_count() == number, 15, "it is reloaded")
            seen: set[str] = set()

            def all_seen() -> bool:
                seen.add(app.get("/?uwsgi.worker_id()").text)
                return len(seen) == 3

            app.wait(all_seen, 5, "three different numbers")


def test_a_virtual_environment() -> None:
    app = Instance(load.FILES)
    home = app.base / "venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", str(home)], check=True)
    (package,) = home.glob("lib/python3*/site-packages")
    (package / "only_there.py").write_text("NAME = 'there'\n")
    app.save("wsgi.py", "import only_there\n" + load.WSGI_PY)
    app.options.append(f"home = {home}")
    with app:
        settle(app, 2)
        swap_twice(app, 2)


def test_a_perl_application_is_swapped_and_a_broken_one_is_not_served() -> None:
    need_plugin("psgi")
    with Instance(apps.PSGI, application=("plugin = psgi", "psgi = app.psgi")) as app:
        app.wait(lambda: len(app.log.matching("PSGI app 0 .* loaded")) == 2, 15, "loaded")
        app.wait_quiet()
        assert app.log.matching(HELLO) and "swap (" in app.log.matching(HELLO)[0]
        good = app.path("lib/Value.pm").read_text()
        app.save("lib/Value.pm", good.replace("first", "second"))
        app.wait(lambda: app.served() == {"value": "second"}, 15, "it is served")
        app.wait(lambda: app.reload_count() == 1, 5, "it is said")
        app.save("lib/Value.pm", "this is no Perl {{{\n")
        app.wait(lambda: app.log.count(NOT_RELOADED), 15, "it is said")
        assert app.served() == {"value": "second"}
        app.save("lib/Value.pm", good.replace("first", "third"))
        app.wait(lambda: app.served() == {"value": "third"}, 15, "it is served")
        wait_whole(app, 2)


# Other processes.


def pid_of(app: Instance, word: str) -> int:
    """Returns the pid of the child whose command line has the word."""
    found = []
    for pid in descendants_of(app.master_pid):
        with contextlib.suppress(OSError):
            if word in Path(f"/proc/{pid}/cmdline").read_text():
                found.append(pid)
    return max(found, default=0)


@pytest.mark.parametrize("kind", ("attach-daemon", "smart-attach-daemon"))
def test_an_attached_daemon_survives_a_swap(kind: str) -> None:
    app = Instance(load.FILES)
    if kind == "attach-daemon":
        app.options.append("attach-daemon = sleep 86399")
    else:
        pidfile = app.base / "daemon.pid"
        app.options.append(f"smart-attach-daemon = {pidfile} sh -c 'echo $$ >{pidfile}; exec sleep 86399'")
    with app:
        settle(app, 2)
        app.wait(lambda: pid_of(app, "86399"), 5, "the daemon runs")
        daemon = pid_of(app, "86399")
        swap_twice(app, 2)
        assert pid_of(app, "86399") == daemon and process_state(daemon) == "S"


def test_mules_survive_swaps_where_applications_are_lazy() -> None:
    app = Instance(load.FILES, ini=["lazy-apps = true", "auto-procname = true"])
    mule = app.base / "mule.py"
    mule.write_text("import time\nwhile True:\n    time.sleep(1)\n")
    app.options.append(f"mule = {mule}")
    with app:
        settle(app, 2)
        app.wait(lambda: pid_of(app, "uWSGI mule"), 5, "the mule runs")
        before = pid_of(app, "uWSGI mule")
        swap_twice(app, 2)
        assert pid_of(app, "uWSGI mule") == before


# What goes down the ladder: the word in the reason, and the action that is taken instead.

LADDER: dict[str, tuple[Sequence[str], str, str]] = {
    "cheaper": (("cheaper = 1",), "cheaper", "reload"),
    "cheaper and lazy-apps": (("cheaper = 1", "lazy-apps = true"), "cheaper", "workers"),
    "cheap": (("cheap = true",), "cheap", "reload"),
    "idle": (("idle = 3600",), "idle", "reload"),
    "async": (("async = 4",), "loop", "reload"),
    "gevent": (("plugin = gevent_python3", "gevent = 20"), "loop", "reload"),
    "gevent and lazy-apps": (("plugin = gevent_python3", "gevent = 20", "gevent-monkey-patch = true", "lazy-apps = true"), "loop", "workers"),
    "map-socket": (("map-socket = 0:1,2",), "map-socket", "reload"),
    "http11-socket": (("http11-socket = 127.0.0.1:0",), "http11-socket", "reload"),
    "mule": (("mule = true",), "mules", "reload"),
    "spooler": (("spooler = ../spool",), "spooler", "reload"),
    "lazy": (("lazy = true",), "lazy", "workers"),
    "shared-import": (("shared-import = json",), "shared-import", "reload"),
    "shared-import and lazy-apps": (("shared-import = parts.value", "lazy-apps = true"), "shared-import", "reload"),
    "hook-pre-app": (("hook-pre-app = print:hello",), "hooks", "reload"),
    "action reload": (("fastreload-action = reload",), "fastreload-action", "reload"),
}


@pytest.mark.parametrize("case", LADDER)
def test_what_goes_down_the_ladder_is_named_and_still_right(case: str) -> None:
    ini, word, action = LADDER[case]
    if case == "spooler":
        need_plugin("spooler")
        ini = ("plugin = spooler", *ini)
    if case.startswith("gevent"):
        need_plugin("gevent_python3")
    app = Instance(load.FILES, ini=ini, workers=2)
    (app.base / "spool").mkdir()
    with app:
        app.wait_quiet()
        said = HELLO.search(app.log.matching(HELLO)[0])
        assert said.group(1) == action and word in said.group(2), said.group(0)
        for number in (1, 2):
            before = app.reload_count()
            save_version(app, number)
            app.wait_served()
            app.wait(lambda: app.reload_count() == before + 1, 15, "it is said")
        assert not app.log.count(SWAP)


def test_action_swap_is_refused_where_it_is_not_safe() -> None:
    with Instance(load.FILES, fastreload=["action = swap"], ini=["cheaper = 1"], ready=False) as app:
        pass_ = None
        with contextlib.suppress(AssertionError):
            pass_ = app.wait(lambda: app.process.poll() is not None, 10, "uWSGI stops")
        assert pass_ and app.process.returncode == 1
        assert app.log.matching(r"--fastreload-action: \"swap\" is not possible here: cheaper")


# What the application registers.

COUNTING = '''
import uwsgi
from parts.value import VALUE


def fired(number):
    with open("../fired", "a") as stream:
        stream.write(VALUE + "\\\\n")

'''.replace("\\\\n", "\\n")
REGISTERED = {
    "a timer": ('uwsgi.register_signal(30, "", fired)\nuwsgi.add_timer(30, 1)\n', "timers"),
    "a red-black timer": (
        'uwsgi.register_signal(30, "", fired)\nuwsgi.add_rb_timer(30, 1)\n',
        "timers",
    ),
    "a cron job": ('uwsgi.register_signal(30, "", fired)\nuwsgi.add_cron(30, -1, -1, -1, -1, -1)\n', "cron"),
    "a file monitor": (
        'uwsgi.register_signal(30, "", fired)\nuwsgi.add_file_monitor(30, "../monitored")\n',
        "monitors",
    ),
}


@pytest.mark.parametrize("lazy", ((), ("lazy-apps = true",)), ids=("preforked", "lazy-apps"))
@pytest.mark.parametrize("what", REGISTERED)
def test_what_an_application_registers_is_named_and_edits_are_still_served(what, lazy) -> None:
    code, word = REGISTERED[what]
    app = Instance({**load.FILES, "wsgi.py": load.WSGI_PY + COUNTING + code}, ini=lazy)
    (app.base / "monitored").write_text("")
    with app:
        app.wait(lambda: app.log.matching(rf"\[fastreload\] .*registers .*{word}"), 10, "it is named")
        app.wait(lambda: app.served() == app.on_disk(), 10, "it serves")
        app.wait_quiet(0.4)
        for number in (1, 2):
            save_version(app, number)
            app.wait_served()
            app.wait_quiet()
        assert not app.log.count(SWAP), app.log.matching(r"\[fastreload\]")
        if "timer" in what and not lazy:
            assert_fires_once_per_second(app)


def assert_fires_once_per_second(app: Instance) -> None:
    """Proves that there is one timer and not one for each worker or each load."""
    fired = app.base / "fired"

    def count() -> int:
        return len(fired.read_text().splitlines()) if fired.exists() else 0

    before, begun = count(), time.monotonic()
    app.wait(lambda: time.monotonic() - begun > 3.2, 6, "three seconds")
    assert 2 <= count() - before <= 4, f"{count() - before} times in 3 s"


def test_a_timer_that_an_edit_adds_fires_once_and_not_once_for_each_worker() -> None:
    with Instance(load.FILES, workers=3) as app:
        settle(app, 3)
        app.save("wsgi.py", load.WSGI_PY + COUNTING + REGISTERED["a timer"][0])
        app.wait(lambda: app.log.matching(r"\[fastreload\] .*registers timers"), 10, "it is named")
        app.wait_quiet(0.4)
        assert_fires_once_per_second(app)
        save_version(app, 1)
        app.wait_served()


def test_signals_of_an_application_reach_the_serving_generation() -> None:
    code = 'uwsgi.register_signal(30, "{}", fired)\n'
    for target in ("", "worker"):
        files = {**load.FILES, "wsgi.py": load.WSGI_PY + COUNTING + code.format(target)}
        app = Instance(files, ini=["touch-signal = ../trigger 30"])
        trigger = app.base / "trigger"
        trigger.write_text("")
        os.utime(trigger, (1_600_000_000, 1_600_000_000))
        with app:
            settle(app, 2)
            assert "swap (" in app.log.matching(HELLO)[0]
            for number in (1, 2):
                swap_to(app, number)
            os.utime(trigger)
            fired = app.base / "fired"
            app.wait(lambda: fired.exists() and fired.read_text() == "v2\n", 5, "the new code is called once")


def test_an_application_with_signals_to_all_workers_is_right() -> None:
    code = 'uwsgi.register_signal(30, "workers", fired)\n'
    app = Instance(
        {**load.FILES, "wsgi.py": load.WSGI_PY + COUNTING + code}, ini=["touch-signal = ../trigger 30"]
    )
    trigger = app.base / "trigger"
    trigger.write_text("")
    os.utime(trigger, (1_600_000_000, 1_600_000_000))
    with app:
        app.wait(lambda: app.log.matching(r"\[fastreload\] .*signals"), 10, "it is named")
        app.wait(lambda: app.served() == app.on_disk(), 10, "it serves")
        app.wait_quiet(0.4)
        save_version(app, 1)
        app.wait_served()
        app.wait_quiet()
        os.utime(trigger)
        fired = app.base / "fired"
        app.wait(lambda: fired.exists() and fired.read_text() == "v1\nv1\n", 5, "both workers are called")


# uWSGI's own ways of reloading and looking.


def running_by_stats(port: int) -> list[int]:
    """Returns the processes that the stats server shows as workers."""
    return [worker["pid"] for worker in read_stats(("127.0.0.1", port))["workers"] if worker["status"] != "cheap"]


def test_stats_show_the_workers_that_the_user_asked_for() -> None:
    port = free_port()
    with Instance(load.FILES, workers=3, ini=[f"stats = 127.0.0.1:{port}"]) as app:
        settle(app, 3)
        for number in range(1, 5):
            swap_to(app, number)
            wait_whole(app, 3)
            for _ in range(6):
                app.get()
            app.wait(lambda: sorted(running_by_stats(port)) == sorted(workers_of(app)), 15, "the stats show them")
            stats = read_stats(("127.0.0.1", port))
            running = [worker for worker in stats["workers"] if worker["status"] != "cheap"]
            dormant = [worker for worker in stats["workers"] if worker["status"] == "cheap"]
            assert {worker["pid"] for worker in dormant} <= {0}, dormant
            assert all(worker["accepting"] for worker in running)
            assert all(worker["apps"] for worker in running)
            assert sum(worker["requests"] for worker in running) >= 6
        text = subprocess.run(
            [UWSGI, "--connect-and-read", f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=10
        )
        assert len(json.loads(text.stdout + text.stderr)["workers"]) == len(stats["workers"])


@pytest.mark.parametrize("colour", ("first", "second"))
def test_a_worker_that_harakiri_kills_is_respawned(colour: str) -> None:
    with Instance(load.FILES, workers=2, ini=["harakiri = 1"]) as app:
        settle(app, 2)
        if colour == "second":
            swap_to(app, 1)
            wait_whole(app, 2)
        before = respawned(app)
        with in_request(app, "/sleep?seconds=30"):
            app.wait(lambda: respawned(app) > before, 10, "it is respawned")
        wait_whole(app, 2)
        swap_twice(app, 2, 2)


def test_harakiri_of_a_leaving_worker_does_not_respawn_it() -> None:
    with Instance(load.FILES, workers=2, ini=["harakiri = 1"], fastreload=["mercy = 20"]) as app:
        settle(app, 2)
        with in_request(app, "/sleep?seconds=30"):
            swap_to(app, 1)
            app.wait(lambda: app.log.matching("HARAKIRI"), 10, "harakiri")
            wait_whole(app, 2)
            assert not respawned(app)
        swap_twice(app, 2, 2)


def test_touch_reload_still_works_in_any_generation() -> None:
    app = Instance(load.FILES)
    trigger = app.base / "trigger"
    trigger.write_text("")
    os.utime(trigger, (1_600_000_000, 1_600_000_000))
    app.options.append(f"touch-reload = {trigger}")
    with app:
        settle(app, 2)
        for number in (1, 3):
            swap_to(app, number)
            wait_whole(app, 2)
            images = len(app.log.matching(r"^gracefully \(RE\)spawned"))
            later = time.time() + 10 * number
            os.utime(trigger, (later, later))
            app.wait(
                lambda: len(app.log.matching(r"^gracefully \(RE\)spawned")) > images, 10, "touch-reload"
            )
            app.wait_served()
            wait_whole(app, 2)
            app.wait_quiet()
            swap_to(app, number + 1)
            wait_whole(app, 2)
        wait_idle(app)


@pytest.mark.parametrize("command", ("c", "r", "R", "w", "W"))
def test_commands_of_the_master_fifo_that_reload(command: str) -> None:
    app = Instance(load.FILES)
    fifo = app.base / "fifo"
    app.options.append(f"master-fifo = {fifo}")
    with app:
        settle(app, 2)
        swap_to(app, 1)
        wait_whole(app, 2)
        before = set(workers_of(app))
        fifo.write_text(command)
        app.wait(
            lambda: len(workers_of(app)) == 2 and not before & set(workers_of(app)), 15, "new workers"
        )
        app.wait_served()
        wait_idle(app)
        swap_twice(app, 2, 2)


@pytest.mark.parametrize("command", ("q", "Q"))
def test_commands_of_the_master_fifo_that_end(command: str) -> None:
    app = Instance(load.FILES)
    fifo = app.base / "fifo"
    app.options.append(f"master-fifo = {fifo}")
    with app:
        settle(app, 2)
        swap_to(app, 1)
        pids = list(workers_of(app))
        fifo.write_text(command)
        app.wait(lambda: app.process.poll() is not None, 5, "uWSGI ends")
        wait_gone(pids)
        assert app.process.returncode == 0


def test_pause_and_resume_by_the_master_fifo() -> None:
    app = Instance(load.FILES, ini=["enable-threads = true"])
    fifo = app.base / "fifo"
    app.options.append(f"master-fifo = {fifo}")
    with app:
        settle(app, 2)
        swap_to(app, 1)
        wait_whole(app, 2)
        fifo.write_text("p")
        app.wait(lambda: app.log.matching("PAUSE"), 5, "pause")
        app.wait_quiet(0.2)
        fifo.write_text("p")
        app.wait(lambda: app.log.matching("resuming workers"), 5, "resumed")
        app.wait_served()
        swap_twice(app, 2, 2)


def test_touch_workers_reload_and_touch_chain_reload() -> None:
    for option in ("touch-workers-reload", "touch-chain-reload"):
        app = Instance(load.FILES)
        trigger = app.base / "trigger"
        trigger.write_text("")
        os.utime(trigger, (1_600_000_000, 1_600_000_000))
        app.options.append(f"{option} = {trigger}")
        with app:
            settle(app, 2)
            swap_to(app, 1)
            wait_whole(app, 2)
            before = set(workers_of(app))
            os.utime(trigger)
            app.wait(
                lambda: len(workers_of(app)) == 2 and not before & set(workers_of(app)), 15, "new workers"
            )
            app.wait_served()
            wait_idle(app)
            swap_twice(app, 2, 2)


@pytest.mark.parametrize("name, ini", (("SIGHUP", ()), ("SIGTERM", ())))
def test_signals_that_reload_the_instance(name: str, ini: Sequence[str]) -> None:
    with Instance(load.FILES, ini=ini) as app:
        settle(app, 2)
        swap_to(app, 1)
        wait_whole(app, 2)
        os.kill(app.master_pid, getattr(signal, name))
        app.wait(lambda: app.log.matching(r"spawned uWSGI master process.*") and len(app.log.matching("spawned uWSGI master process")) == 2, 10, "a new image")
        app.wait_served()
        wait_whole(app, 2)
        app.wait_quiet()
        swap_twice(app, 2, 2)


@pytest.mark.parametrize("name, ini", (("SIGTERM", ("die-on-term = true",)), ("SIGINT", ()), ("SIGQUIT", ())))
def test_signals_that_end_the_instance(name: str, ini: Sequence[str]) -> None:
    with Instance(load.FILES, ini=ini) as app:
        settle(app, 2)
        swap_to(app, 1)
        pids = list(workers_of(app))
        os.kill(app.master_pid, getattr(signal, name))
        app.wait(lambda: app.process.poll() is not None, 5, "uWSGI ends")
        wait_gone(pids)


def test_a_change_of_the_instances_own_configuration_is_a_full_reload() -> None:
    app = Instance(load.FILES, watch=("..",), fastreload=["include = *.ini"])
    with app:
        settle(app, 2)
        swap_to(app, 1)
        wait_whole(app, 2)
        text = app.ini.read_text()
        app.ini.write_text(text.replace("processes = 2", "processes = 3"))
        app.wait(lambda: app.log.matching(r"\[fastreload\] .*uwsgi.ini changed: reload"), 10, "it is said")
        wait_whole(app, 3, 10)
        app.wait_served()
        app.wait_quiet()
        swap_to(app, 2)
        wait_whole(app, 3)


@pytest.mark.parametrize("processes", (16, 90))
def test_many_processes_with_the_usual_limit_of_open_files(processes: int) -> None:
    """The slots of several generations need descriptors: where there are too few, uWSGI has to start all the same."""
    if not shutil.which("prlimit"):
        pytest.skip("prlimit is not installed (util-linux)")
    files = {**load.FILES, "wsgi.py": "import uwsgi\n" + load.WSGI_PY}
    wrapper = ["prlimit", "--nofile=1024:1024"]
    with Instance(files, workers=processes, wrapper=wrapper) as app:
        save_version(app, 1)
        app.wait_served()


def test_daemonize2() -> None:
    app = Instance(load.FILES, ready=False)
    pidfile = app.base / "pid"
    app.options += [f"daemonize2 = {app.base / 'daemon.log'}", f"safe-pidfile = {pidfile}"]
    log = Log(app.base / "daemon.log")
    master = 0
    try:
        subprocess.run(app.command(), cwd=app.app, env=app.env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20, check=True)
        wait_until(lambda: app.served() == app.on_disk(), 15, "it serves", log.tail)
        master = int(pidfile.read_text())
        wait_until(lambda: log.count(LOADED) >= 1, 10, "it is loaded", log.tail)
        for number in (1, 2, 3):
            save_version(app, number)
            wait_until(lambda: app.served() == app.on_disk(), 15, "it is served", log.tail)
            wait_until(lambda: len(log.matching(r"\[fastreload\] reloaded in")) == number, 5, "said", log.tail)
        assert log.count(SWAP) == 3
    finally:
        if not master and pidfile.exists():
            master = int(pidfile.read_text())
        for pid in [*(descendants_of(master) if master else []), master]:
            with contextlib.suppress(ProcessLookupError):
                if pid:
                    os.kill(pid, signal.SIGKILL)
        shutil.rmtree(app.base, ignore_errors=True)


def test_a_vassal_of_an_emperor_is_swapped() -> None:
    from test_emperor import Vassal

    with Vassal() as vassal:
        vassal.wait(lambda: vassal.log.count(LOADED) >= 1, 15, "it is loaded")
        vassal.wait_quiet()
        for number in (1, 2, 3):
            before = vassal.reload_count()
            vassal.put("parts/value.py", load.version(number))
            vassal.wait_served()
            vassal.wait(lambda: vassal.reload_count() > before, 5, "it is said")
        assert vassal.log.count(SWAP) == 3


def test_no_file_of_the_application_is_watched_by_workers_and_no_pipe_is_left() -> None:
    with Instance(load.FILES) as app:
        settle(app, 2)

        def kinds(pid: int) -> dict[str, int]:
            found = collections.Counter()
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    found[re.sub(r"[0-9]+", "N", os.readlink(f"/proc/{pid}/fd/{name}"))] += 1
            return found

        swap_to(app, 1)
        wait_whole(app, 2)
        app.wait(lambda: len({tuple(sorted(kinds(pid).items())) for pid in workers_of(app)}) == 1, 5, "both serve")
        first = [kinds(pid) for pid in workers_of(app)]
        for number in range(2, 10):
            swap_to(app, number)
        wait_whole(app, 2)
        # One that joins the others has its output in a pipe until it begins to serve.
        app.wait(lambda: all(sum(kinds(pid).values()) <= sum(first[0].values()) for pid in workers_of(app)), 5, "nothing is left", lambda: f"{first[0]} {[kinds(pid) for pid in workers_of(app)]}")
