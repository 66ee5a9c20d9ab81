"""New workers beside the old ones: no request is lost, no broken code is served, and nothing is left behind."""

from __future__ import annotations

import collections
import contextlib
import os
import random
import re
import signal
import socket
import threading
import time

import pytest

import load
from harness import (
    RESPAWN_GUARD,
    Instance,
    children_of,
    cpu_ns,
    descendants_of,
    free_port,
    http_get,
    open_files,
    anonymous_kb,
    process_state,
)
from swapping import (
    LOADED,
    NOT_RELOADED,
    SPAWNED,
    SWAP,
    in_request,
    read_stats,
    respawned,
    save_version,
    settle,
    swap_to,
    wait_gone,
    wait_swaps,
    wait_whole,
    workers_of,
    zombies_of,
)

RELOADS = int(os.environ.get("FR_RELOADS", "25"))
SWAPS = int(os.environ.get("FR_SWAPS", "60"))
KILLS = int(os.environ.get("FR_KILLS", "20"))
BROKEN_SAVES = int(os.environ.get("FR_BROKEN_SAVES", "0"))  # More than there are kinds: again from the first one.
SEED = int(os.environ.get("FR_SEED", str(random.randrange(1 << 30))))

# Under load.

ROUTER = "the http router, keep-alive"
KINDS = ("http-socket on TCP", "http-socket on a unix socket", ROUTER)


def served_by(kind: str) -> tuple[list[str], object]:
    """Returns the lines of configuration and the address; None: the harness's own socket."""
    port, behind = free_port(), free_port()
    if kind == "http-socket on TCP":
        return [f"http-socket = 127.0.0.1:{port}"], ("127.0.0.1", port)
    if kind == ROUTER:
        return [
            "plugin = http",
            f"http = 127.0.0.1:{port}",
            "http-keepalive = 5",
            f"socket = 127.0.0.1:{behind}",
            f"http-to = 127.0.0.1:{behind}",
        ], ("127.0.0.1", port)
    return [], None


def clients_for(kind: str, app: Instance, address: object, **options: object) -> load.Load:
    """Returns 16 clients, of which eight keep their connections where the server does."""
    if kind == ROUTER:
        return load.Load(address or app.socket_path, 8, 8, **options)
    return load.Load(address or app.socket_path, 0, 16, slow=2, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_is_lost_and_no_old_answer_follows_a_new_one(kind: str) -> None:
    ini, address = served_by(kind)
    workers = 4
    with Instance(load.FILES, ini=ini, workers=workers) as app:
        settle(app, workers)
        with clients_for(kind, app, address) as clients:
            app.wait(lambda: len(clients.requests) > 200, 20, "the clients are at work")
            for number in range(1, RELOADS + 1):
                swap_to(app, number, clients)
        assert not clients.lost(), clients.summary() + "\n" + app.log.tail()
        assert not clients.stale(), clients.stale()[:5]
        assert app.log.count(SWAP) == RELOADS
        wait_whole(app, workers)


def test_no_request_waits_longer_for_a_reload_of_an_application_that_loads_slowly() -> None:
    files = {**load.FILES, "wsgi.py": load.WSGI_PY + "\ntime.sleep(2)\n"}
    with Instance(files, workers=4) as app:
        settle(app, 4)
        with load.Load(app.socket_path, 0, 8, slow=1, pause_s=0.005) as clients:
            rows = []
            number = 0
            # The machine may be busy with something else for a moment; not in three runs out of three.
            for _ in range(3):
                begun = time.monotonic()
                number += 1
                app.wait(lambda: time.monotonic() - begun > 2.0, 5, "two seconds of peace")
                saved = time.monotonic()
                swap_to(app, number, clients)
                ended = time.monotonic()
                assert ended - saved > 2.0
                app.wait(lambda: time.monotonic() - ended > 0.3, 5, "a little more")
                quiet = clients.slowest(begun, saved - 0.01)
                during = clients.slowest(saved, ended + 0.3)
                rows.append((round(quiet.took_s * 1000, 1), round(during.took_s * 1000, 1)))
                if during.took_s <= quiet.took_s + 0.05:
                    break
            else:
                pytest.fail(f"slowest without and with a reload, ms: {rows}")
        assert not clients.lost(), clients.summary()
    print(f"slowest without and with a reload, ms: {rows}")


def test_hammering_threads_never_see_the_old_code_after_the_new() -> None:
    with Instance(load.FILES, workers=3) as app:
        settle(app, 3)
        lock = threading.Lock()
        newest = [0]
        wrong: list[str] = []
        stop = threading.Event()

        def hammer() -> None:
            while not stop.is_set():
                before = newest[0]
                found = load.VERSION.search(http_get(app.socket_path).text.encode())
                answered = int(found.group(1))
                if answered < before:
                    wrong.append(f"v{answered} after v{before}")
                with lock:
                    newest[0] = max(newest[0], answered)

        threads = [threading.Thread(target=hammer, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(1, 31):
                save_version(app, number)
                app.wait(lambda: newest[0] >= number, 15, f"version {number}")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not wrong, wrong[:5]


# Broken saves.

GOOD = "from base import application\nimport settings\n"
BROKEN: dict[str, tuple[str, str, str]] = {
    "a syntax error": ("settings.py", "def broken(:\n", "SyntaxError"),
    "an import error": ("settings.py", "import nothing_of_that_name\n", "ModuleNotFoundError"),
    "an exception in settings": ("settings.py", "raise RuntimeError('worst')\n", "worst"),
    "no application": ("wsgi.py", "import settings\n", "no python application|not load"),
    "sys.exit()": ("settings.py", "import sys\nsys.exit(7)\n", "not load|exited with code 7"),
    "os._exit(3)": ("settings.py", "import os\nos._exit(3)\n", "exited with code 3"),
    "os._exit(0)": ("settings.py", "import os\nos._exit(0)\n", "exited with code 0"),
    "a crash in C": (
        "settings.py",
        "import ctypes\nctypes.string_at(0)\n",
        r"signal 11|SIGSEGV|[Ss]egmentation|exited with code",
    ),
    "abort()": ("settings.py", "import os\nos.abort()\n", "signal 6|[Aa]bort"),
    "killed": (
        "settings.py",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
        "signal 9|[Kk]illed",
    ),
    "terminated": (
        "settings.py",
        "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n",
        "signal 15|[Tt]erminated",
    ),
    "an endless loop": ("settings.py", "while True:\n    pass\n", "--fastreload-timeout"),
    "it sleeps for ever": (
        "settings.py",
        "import time\nwhile True:\n    time.sleep(60)\n",
        "--fastreload-timeout",
    ),
    "only one worker breaks": (
        "settings.py",
        "import uwsgi\nif uwsgi.worker_id() % 2:\n    raise RuntimeError('odd ones only')\n",
        "odd ones only",
    ),
    "endless recursion": ("settings.py", "def f():\n    f()\nf()\n", "RecursionError"),
    "too much memory": ("settings.py", "x = bytearray(1 << 46)\n", "MemoryError"),
    "closes all descriptors": (
        "settings.py",
        "import os\nos.closerange(3, 256)\nraise RuntimeError('closed')\n",
        "closed|not load|exited|killed",
    ),
    "empty": ("wsgi.py", "", "no python application|not load"),
    "deleted": ("settings.py", None, "ModuleNotFoundError"),
}
LAYERED = {
    **load.FILES,
    "base.py": load.WSGI_PY,
    "wsgi.py": GOOD,
    "settings.py": "DEBUG = True\n",
}


def break_and_mend(app: Instance, clients: load.Load, what: str, number: int) -> list[str]:
    """Saves what is broken, and mends it again. Returns what should have been said of it and was not."""
    relpath, text, said = BROKEN[what]
    good = app.path(relpath).read_text()
    failures = app.log.count(NOT_RELOADED)
    since = len(app.log.refresh().lines)
    if text is None:
        app.path(relpath).unlink()
    else:
        app.save(relpath, text)
    app.wait(
        lambda: app.log.count(NOT_RELOADED) > failures, 20, f"{what}: it is said that it is broken"
    )
    # Before the next line would be a new reload, all that was to be said must have been said.
    missing = [] if app.log.matching(said, since) else [f"{what}: {app.log.matching(NOT_RELOADED, since)}"]
    app.save(relpath, good)
    app.put("parts/value.py", load.version(number))
    app.wait(lambda: clients.answered(number), 15, f"{what}: the first good save is served")
    return missing


BROKEN_LAZY = ("preforked", "need-app", "lazy-apps and need-app")


@pytest.mark.parametrize("mode", BROKEN_LAZY)
def test_broken_code_is_never_served_and_the_first_good_save_is(mode: str) -> None:
    ini = [f"{word} = true" for word in mode.split(" and ") if word != "preforked"]
    names = list(BROKEN) if mode == "preforked" else list(BROKEN)[:6]
    names = [names[n % len(names)] for n in range(max(len(names), BROKEN_SAVES))]
    router, address = served_by(ROUTER)
    with Instance(
        LAYERED, workers=2, ini=ini + router, fastreload=["timeout = 2"], env={"PYTHONUNBUFFERED": "1"}
    ) as app:
        settle(app, 2)
        master, missing = app.master_pid, []
        with load.Load(address, 8, 8, slow=1, pause_s=0.004) as clients:
            for number, what in enumerate(names, 1):
                missing += break_and_mend(app, clients, what, number)
        assert not clients.lost(), clients.summary() + "\n" + app.log.tail()
        assert not clients.stale()
        print(f"{len(names)} broken saves: {clients.summary()}")
        assert app.process.poll() is None and app.master_pid == master
        wait_whole(app, 2)
        assert not missing, missing


def test_a_traceback_is_shown_once_and_not_once_for_each_worker() -> None:
    with Instance(LAYERED, workers=4) as app:
        settle(app, 4)
        app.save("settings.py", "raise RuntimeError('only ' + 'once')\n")
        app.wait(lambda: app.log.count(NOT_RELOADED), 15, "it is said that it is broken")
        app.wait_quiet()
        shown = app.log.matching("^RuntimeError: only once")
        assert len(shown) == 1, app.log.tail()


def test_the_culprit_is_named_after_much_output_too() -> None:
    """More than a pipe holds, and than is read in one turn of the master."""
    with Instance(LAYERED, workers=2) as app:
        settle(app, 2)
        lines = "for n in range(4000):\n    print('line', n, 'x' * 30)\n"
        app.save("settings.py", lines + "raise RuntimeError('after ' + 'much')\n")
        app.wait(lambda: app.log.count(NOT_RELOADED), 15, "it is said that it is broken")
        app.wait_quiet()
        said = app.log.matching(NOT_RELOADED)[0]
        assert "settings.py, line 3: RuntimeError: after much" in said, said
        assert len(app.log.matching("^RuntimeError: after much")) == 1


def test_what_the_application_prints_while_it_loads_is_in_the_log_once() -> None:
    files = {**load.FILES, "wsgi.py": load.WSGI_PY + "\nprint('hello', ANSWER, flush=True)\n"}
    with Instance(files, workers=3) as app:
        settle(app, 3)
        swap_to(app, 1)
        app.wait_quiet()
        assert len(app.log.matching('^hello .*"v1"')) == 1


def test_what_workers_print_after_a_swap_is_in_the_log() -> None:
    prints = load.WSGI_PY.replace("    body = ANSWER\n", "    body = ANSWER\n    print('asked', flush=True)\n")
    with Instance({**load.FILES, "wsgi.py": prints}, workers=2) as app:
        settle(app, 2)
        swap_to(app, 1)
        wait_whole(app, 2)
        before = len(app.log.matching("^asked$"))
        for _ in range(20):
            app.get()
        app.wait(lambda: len(app.log.matching("^asked$")) == before + 20, 3, "20 lines")


ACCIDENTS = re.compile("DAMN|Segmentation Fault|double free|corrupt")


def test_a_good_save_in_two_parts_right_after_a_broken_one_is_never_lost() -> None:
    """The second part comes at every moment of the load that the first part starts, which is given up then."""
    chance = random.Random(SEED)
    print(f"FR_SEED={SEED}")
    with Instance(LAYERED, workers=2) as app:
        settle(app, 2)
        for number in range(1, 31):
            failures = app.log.count(NOT_RELOADED)
            app.save("settings.py", "def broken(:\n")
            app.wait(lambda: app.log.count(NOT_RELOADED) > failures, 10, "it is said")
            app.save("settings.py", "DEBUG = True\n")
            moment = time.monotonic() + chance.uniform(0, 0.02)
            while time.monotonic() < moment:
                pass
            save_version(app, number)
            app.wait_served(6, f"part two of round {number} is served, seed {SEED}")
        assert not app.log.matching(ACCIDENTS), app.log.matching(ACCIDENTS)


def test_saves_at_every_moment_of_a_load_leave_no_process_and_no_accident() -> None:
    chance = random.Random(SEED)
    print(f"FR_SEED={SEED}")
    with Instance(load.FILES, workers=3) as app:
        settle(app, 3)
        with load.Load(app.socket_path, 0, 4, slow=0, pause_s=0.002) as clients:
            for number in range(1, 121):
                save_version(app, number)
                moment = time.monotonic() + chance.uniform(0, 0.06)
                while time.monotonic() < moment:
                    time.sleep(0.001)
            app.wait_served(6, f"the last save, seed {SEED}")
        assert not clients.lost(), f"seed {SEED}: {clients.summary()}\n{app.log.tail()}"
        assert not clients.stale()
        assert not app.log.matching(ACCIDENTS), app.log.matching(ACCIDENTS)
        wait_whole(app, 3)


def test_broken_code_is_not_served_by_first_workers_that_are_still_loading() -> None:
    """One worker serves, the other one is still at it when the first save comes, and that is a broken one."""
    files = {**LAYERED, "wsgi.py": "import time, uwsgi\n" + GOOD + "time.sleep(uwsgi.worker_id() == 2)\n"}
    with Instance(files, workers=2, fastreload=["strategy = swap"]) as app:  # Each loads for itself.
        assert app.log.count(LOADED) == 1
        app.save("settings.py", "raise RuntimeError('worst')\n")
        app.wait(lambda: app.log.matching("RuntimeError: worst"), 10, "it is broken")
        begun, statuses = time.monotonic(), collections.Counter()
        while time.monotonic() - begun < 2.5:
            statuses[app.get().status] += 1
            time.sleep(0.005)
        assert set(statuses) == {200}, f"{statuses}\n{app.log.tail()}"


def test_code_broken_twice_differently_is_reported_twice_and_then_mended() -> None:
    with Instance(LAYERED) as app:
        settle(app, 2)
        for number in range(4):
            app.save("settings.py", f"raise RuntimeError('broken {number}')\n")
            app.wait(lambda: app.log.matching(rf"broken {number}"), 15, "it is reported")
            app.wait(lambda: app.log.count(NOT_RELOADED) == number + 1, 15, "and said")
            assert load.version(0) in app.get().text
        app.save("settings.py", "DEBUG = False\n")
        swap_to(app, 1)


# Nothing is left behind.

REGISTERING = """
import uwsgi

def receive(number):
    pass

for number in (20, 21, 22):
    uwsgi.register_signal(number, "", receive)
for name in ("one", "two", "three"):
    uwsgi.register_rpc(name, receive)
"""


@pytest.mark.slow
def test_many_swaps_leave_nothing_behind() -> None:
    stats = f"stats = 127.0.0.1:{(port := free_port())}"
    files = {**load.FILES, "wsgi.py": load.WSGI_PY + REGISTERING}
    with Instance(files, workers=2, ini=[stats], verbose=False) as app:
        # What is made once is made by the first rounds: each colour, tables, buffers of libc.
        for number in range(1, 11):
            swap_to(app, number)
        app.wait_quiet(1.0)
        wait_whole(app, 2)
        before = (app.fd_count(), kinds_of_files(app), anonymous_kb(app.master_pid))
        known = rpc_and_signals(port)
        for number in range(11, 11 + SWAPS):
            swap_to(app, number)
        wait_whole(app, 2)
        app.wait(lambda: not zombies_of(app.master_pid), 3, "no zombies")
        app.wait(lambda: app.fd_count() <= before[0], 5, f"no more descriptors than {before[0]}")
        assert kinds_of_files(app) == before[1]
        grown = anonymous_kb(app.master_pid) - before[2]
        print(f"{SWAPS} swaps: the master has {before[2]} kB of its own, and has grown by {grown}; {before[0]} descriptors")
        assert grown < 256, f"the master has grown by {grown} kB in {SWAPS} swaps"
        assert rpc_and_signals(port) == known
        assert not app.log.count(RESPAWN_GUARD)
        assert app.process.poll() is None


def kinds_of_files(app: Instance) -> list[str]:
    """Returns what the master has open; the socket that leads to the last good code is another one each time."""
    return sorted(re.sub(r"^(socket|pipe):.*", r"\1", file) for file in open_files(app.master_pid))


def rpc_and_signals(port: int) -> dict[str, object]:
    """Returns what uWSGI's stats say of the sizes of its tables."""
    stats = read_stats(("127.0.0.1", port))
    return {
        "signals": stats.get("signal_queue"),
        "rpc": sorted({len(worker["rpc"]) for worker in stats["workers"] if "rpc" in worker}),
    }


def test_new_names_of_rpc_functions_do_not_fill_the_table() -> None:
    registers = (
        "\nimport uwsgi\nfrom parts.value import VALUE\nuwsgi.register_rpc('f_' + VALUE, len)\n"
    )
    files = {**load.FILES, "wsgi.py": load.WSGI_PY + registers}
    with Instance(files, workers=1, ini=["rpc-max = 3"]) as app:
        for number in range(1, 21):
            swap_to(app, number)
        assert not app.log.count(NOT_RELOADED)


# Killed at random.


@pytest.mark.slow
def test_the_instance_is_whole_again_after_any_process_is_killed_at_any_moment() -> None:
    chance = random.Random(SEED)
    print(f"FR_SEED={SEED}")
    files = {**load.FILES, "wsgi.py": load.WSGI_PY + "\ntime.sleep(0.1)\n"}
    workers = 2
    late: list[str] = []
    with Instance(files, workers=workers, fastreload=["mercy = 1"]) as app:
        for number in range(1, KILLS + 1):
            save_version(app, number)
            moment = time.monotonic() + chance.uniform(0.0, 0.35)
            while time.monotonic() < moment:
                time.sleep(0.001)
            alive = workers_of(app)
            # Workers of any generation, candidates, and whoever else loads or waits on behalf of the plugin.
            victim = chance.choice(sorted(descendants_of(app.master_pid)) or [0])
            if victim:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()

            def is_whole() -> bool:
                return app.served() == app.on_disk() and len(workers_of(app)) == workers

            app.wait(
                is_whole,
                12,
                f"whole after kill {number} of worker {alive.get(victim)}, seed {SEED}",
            )
            took = time.monotonic() - killed
            if took > 2.0:
                late.append(f"kill {number} (slot {alive.get(victim)}, pid {victim}): {took:.1f} s")
        assert not late, f"seed {SEED}: {late}\n{app.log.tail(200)}"
        assert app.process.poll() is None


# What uWSGI itself respawns.


def end_one_worker(app: Instance, how: str) -> None:
    """Has one worker end and be respawned, outside any reload."""
    before = respawned(app)
    if how == "max-requests":

        def ask_until_respawned() -> bool:
            app.try_get()
            return respawned(app) > before

        app.wait(ask_until_respawned, 10, "max-requests ends a worker")
    else:
        pid = min(workers_of(app), key=workers_of(app).get)
        os.kill(pid, getattr(signal, how))
        app.wait(lambda: respawned(app) > before, 10, f"a worker is respawned after {how}")
    app.wait(lambda: app.served() == app.on_disk(), 10, "it answers")


RESPAWNS = ("SIGHUP", "SIGKILL", "SIGSEGV", "max-requests")


@pytest.mark.parametrize("colour", ("first generation", "second generation"))
@pytest.mark.parametrize("how", RESPAWNS)
def test_a_respawned_worker_sleeps_when_nobody_asks(how: str, colour: str) -> None:
    ini = ["max-requests = 7", "min-worker-lifetime = 0"] if how == "max-requests" else []
    with Instance(load.FILES, workers=1, ini=ini) as app:
        settle(app, 1)
        if colour == "second generation":
            swap_to(app, 1)
            wait_whole(app, 1)
        end_one_worker(app, how)
        app.wait_quiet(0.3)
        (pid,) = workers_of(app)
        before, begun = cpu_ns(pid), time.monotonic()
        app.wait(lambda: time.monotonic() - begun > 0.5, 3, "half a second")
        assert cpu_ns(pid) - before < 100_000_000, "it spins\n" + app.log.tail()


@pytest.mark.parametrize("how", RESPAWNS)
def test_the_swap_after_a_respawn_does_not_wait_for_a_slow_request(how: str) -> None:
    ini = ["max-requests = 7", "min-worker-lifetime = 0"] if how == "max-requests" else []
    with Instance(load.FILES, workers=1, ini=ini, fastreload=["mercy = 6"]) as app:
        settle(app, 1)
        end_one_worker(app, how)
        app.wait_quiet(0.3)
        with in_request(app, "/sleep?seconds=4"):
            saved = time.monotonic()
            swap_to(app, 1)
            assert time.monotonic() - saved < 2.0, app.log.tail()


# Mercy.


def test_a_worker_that_does_not_end_is_killed_after_the_mercy_and_named() -> None:
    with Instance(load.FILES, workers=2, fastreload=["mercy = 1"]) as app:
        settle(app, 2)
        with in_request(app, "/sleep?seconds=30") as answer:
            saved = time.monotonic()
            swap_to(app, 1)
            assert time.monotonic() - saved < 2.0
            app.wait(
                lambda: app.log.matching(
                    r"\[fastreload\] worker \d+ \(pid \d+\).* /sleep\?seconds=30"
                ),
                4,
                "the log names the worker and what holds it",
            )
            assert 0.9 < time.monotonic() - saved < 3.0
            wait_whole(app, 2, 3)
            app.wait(lambda: answer, 3, "its client is told")
        for _ in range(10):
            assert load.version(1) in app.get().text


@pytest.mark.parametrize("workers, slow", ((1, 1), (1, 5), (2, 6)))
def test_reloads_while_slow_requests_are_under_way_are_all_served(workers: int, slow: int) -> None:
    """Each generation has a slow request of its own: more of them than there are places for generations."""
    with Instance(load.FILES, workers=workers, fastreload=["mercy = 2"]) as app:
        settle(app, workers)
        with contextlib.ExitStack() as stack:
            answers = []
            for number in range(1, 7):
                if number <= slow:
                    answers.append(stack.enter_context(in_request(app, "/sleep?seconds=1.2")))
                saved = time.monotonic()
                swap_to(app, number)
                assert time.monotonic() - saved < 3.5
            app.wait(lambda: all(answers), 8, "all slow requests are answered")
            assert [getattr(a[0], "status", a[0]) for a in answers] == [200] * slow
        wait_whole(app, workers)


@pytest.mark.parametrize("strategy, loading", (("auto", 1), ("swap", 2)))
def test_the_end_of_the_first_load_can_be_interrupted(strategy: str, loading: int) -> None:
    """Ctrl-C or SIGTERM while the application is loaded for the first time does not wait for anything."""
    files = {**load.FILES, "wsgi.py": "import time\nprint('loading', flush=True)\ntime.sleep(30)\n"}
    with Instance(files, workers=2, ready=False, fastreload=[f"strategy = {strategy}"]) as app:
        app.wait(lambda: len(app.log.matching("^loading$")) == loading, 10, "it is loaded")
        os.kill(app.master_pid, signal.SIGINT)
        app.wait(lambda: app.process.poll() is not None, 5, "the master is gone")


def test_a_respawn_while_broken_code_is_on_disk_does_not_serve_it() -> None:
    left_out = re.compile(r"\[fastreload\] worker \d+ was respawned, but the code on the disk does not load")
    with Instance(LAYERED, workers=3) as app:
        settle(app, 3)
        app.save("settings.py", "raise RuntimeError('worst')\n")
        app.wait(lambda: app.log.count(NOT_RELOADED), 15, "it is said that it is broken")
        for dead in (1, 2):
            os.kill(app.worker_pids()[0], signal.SIGKILL)
            app.wait(lambda: app.log.count(left_out) == dead, 15, "the respawned one is left out")
            statuses = collections.Counter(app.get().status for _ in range(30))
            assert set(statuses) == {200}, statuses
        app.save("settings.py", LAYERED["settings.py"])
        wait_whole(app, 3)


def test_a_slow_request_is_answered_by_its_old_worker_in_full() -> None:
    with Instance(load.FILES, workers=1) as app:
        with in_request(app, "/sleep?seconds=1.5") as answer:
            swap_to(app, 1)
            app.wait(lambda: answer, 5, "the slow request ends")
        assert answer[0].status == 200 and load.version(0) in answer[0].text
        wait_whole(app, 1)


def test_an_idle_kept_connection_does_not_hold_a_swap_up() -> None:
    ini, address = served_by(ROUTER)
    with Instance(load.FILES, ini=ini, workers=2) as app:
        settle(app, 2)
        with socket.create_connection(address, 5) as kept:
            kept.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in kept.recv(65536)
            app.wait_quiet(0.3)
            saved = time.monotonic()
            swap_to(app, 1)
            assert time.monotonic() - saved < 1.5, app.log.tail()


# While candidates load.

# What is printed while it loads comes into the log when it has loaded; a file tells at once.
MARKING = 'with open("../loading", "a") as stream:\n    stream.write(ANSWER + "\\n")\n'


def is_loading(app: Instance, number: int) -> bool:
    """Tells whether somebody has begun to load that version."""
    path = app.base / "loading"
    return path.exists() and f'"{load.version(number)}"' in path.read_text()


SLOW_TO_LOAD = {**load.FILES, "wsgi.py": load.WSGI_PY + "\n" + MARKING + "time.sleep(1)\n"}


def test_saves_while_it_loads_start_again_and_only_the_last_content_is_served() -> None:
    with Instance(SLOW_TO_LOAD, workers=2) as app:
        settle(app, 2)
        with load.Load(app.socket_path, 0, 4, slow=0, pause_s=0.003) as clients:
            for number in range(1, 6):
                save_version(app, number)
                time.sleep(0.1)  # The distance is the subject of this test.
            app.wait(lambda: clients.answered(5), 10, "the last content")
            wait_swaps(app, 1)
        assert {request.version for request in clients.requests} == {0, 5}
        assert not clients.lost(), clients.summary()
        assert app.reload_count() == 1
        wait_whole(app, 2, 3)
        app.wait(lambda: not zombies_of(app.master_pid), 3, "no zombies")


def test_a_storm_of_files_is_one_swap() -> None:
    with Instance(SLOW_TO_LOAD, workers=2) as app:
        settle(app, 2)
        app.path("many").mkdir()
        app.wait_quiet()
        for number in range(300):
            app.save(f"many/module_{number}.py", f"N = {number}\n")
        save_version(app, 1)
        app.wait_served()
        app.wait_quiet()
        assert app.reload_count() == 1, app.log.matching(r"\[fastreload\]")
        # Each load but the last was for nothing: no more than a few of them were begun.
        assert len(app.log.matching(SPAWNED)) <= 2 + 2 * 5, app.log.matching(
            r"\[fastreload\]|^spawned"
        )
        wait_whole(app, 2)


@pytest.mark.parametrize("name", ("SIGTERM", "SIGINT", "SIGQUIT"))
def test_uwsgi_ends_at_once_while_candidates_load(name: str) -> None:
    ini = ["die-on-term = true"] if name == "SIGTERM" else []
    files = {**load.FILES, "wsgi.py": load.WSGI_PY + "\n" + MARKING}
    files["wsgi.py"] += "if 'v1' in ANSWER:\n    time.sleep(20)\n"
    with Instance(files, workers=2, ini=ini) as app:
        settle(app, 2)
        save_version(app, 1)
        app.wait(lambda: is_loading(app, 1), 5, "candidates load")
        pids = children_of(app.master_pid)
        os.kill(app.master_pid, getattr(signal, name))
        app.wait(lambda: app.process.poll() is not None, 5, "the master is gone")
        app.wait(
            lambda: not [p for p in pids if process_state(p) not in ("", "Z", "X")], 3, "all are"
        )


def test_sighup_while_candidates_load_is_a_full_reload_with_the_new_code() -> None:
    with Instance(SLOW_TO_LOAD, workers=2) as app:
        settle(app, 2)
        save_version(app, 1)
        app.wait(lambda: is_loading(app, 1), 5, "candidates load")
        os.kill(app.master_pid, signal.SIGHUP)
        app.wait(lambda: app.log.matching(r"^gracefully \(RE\)spawned"), 10, "uWSGI reloads")
        app.wait_served()
        wait_whole(app, 2)
        swap_to(app, 2)


def test_candidates_do_not_outlive_a_master_that_is_killed() -> None:
    with Instance(load.FILES, workers=2, ini=["no-orphans = true"]) as app:
        swap_to(app, 1)
        save_version(app, 2)
        pids = children_of(app.master_pid)
        os.kill(app.master_pid, signal.SIGKILL)
        wait_gone(pids)
