"""The master can be asked, told to wait and told to reload; what it does can be read by programs."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import socket
import stat
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

import apps
import harness
from harness import CHECKOUT, PLUGIN_DIR, UWSGI, Instance

jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")

SCHEMA = json.loads((CHECKOUT / "configs/fastreload-events.schema.json").read_text())
COMMANDS = ("status", "pause", "resume", "reload", "explain", "journal")
ACTIONS = ("auto", "reload")
ERROR = "def broken(:\n"


def validate(value: object, definition: str) -> None:
    """Fails where a value is not as the schema has it."""
    validator(definition).validate(value)


@functools.lru_cache(maxsize=None)
def validator(definition: str) -> jsonschema.Draft202012Validator:
    """Returns what checks one kind of value; "" is a line of events."""
    ref = {"$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]} if definition else SCHEMA
    jsonschema.Draft202012Validator.check_schema(ref)
    return jsonschema.Draft202012Validator(ref)


class Controlled(Instance):
    """An instance with a control socket and a file of events."""

    def __init__(self, *fastreload: str, **options: object) -> None:
        files = apps.WSGI | {f"parts/{name}.py": apps.part("first") for name in ("alpha", "beta")}
        super().__init__(
            files,
            fastreload=["control = {base}/control.sock", "events = {base}/events.jsonl", *fastreload],
            **options,
        )
        self.options = [option.replace("{base}", str(self.base)) for option in self.options]
        self.base.chmod(0o755)
        self.control = self.base / "control.sock"
        self.events_file = self.base / "events.jsonl"

    def connect(self) -> socket.socket:
        """Connects to the control socket."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(15)
        connection.connect(str(self.control))
        return connection

    def send_line(self, line: bytes) -> dict:
        """Sends a line on a connection of its own, and returns the answer."""
        with self.connect() as connection:
            connection.sendall(line)
            with connection.makefile("rb") as stream:
                return json.loads(stream.readline())

    def ask(self, command: str, **members: str) -> dict:
        """Asks what has an answer."""
        answer = self.send_line(json.dumps({"command": command, **members}).encode() + b"\n")
        assert answer["v"] == 1 and answer["ok"] is True, answer
        return answer

    def status(self) -> dict:
        """Returns the status, which is as the schema says."""
        status = self.ask("status")["status"]
        validate(status, "status")
        return status

    def ctl(self, *words: str) -> subprocess.CompletedProcess:
        """Runs uWSGI as people do."""
        return ctl(str(self.control), *words)

    def events(self, *kinds: str) -> list[dict]:
        """Returns the events of these kinds, each of which is as the schema says."""
        found = [json.loads(line) for line in self.events_file.read_text().splitlines()]
        for event in found:
            validate(event, "")
        return [event for event in found if not kinds or event["event"] in kinds]

    def wait_outcomes(self, count: int) -> list[dict]:
        """Waits for so many outcomes, and returns them."""
        self.wait(lambda: len(self.events("outcome")) >= count, 20, f"{count} outcomes are told")
        return self.events("outcome")


def ctl(path: str, *words: str) -> subprocess.CompletedProcess:
    """Runs uWSGI as people do."""
    return subprocess.run(
        [UWSGI, "--plugins-dir", str(PLUGIN_DIR), "--plugin", "fastreload", "--fastreload-ctl", path, *words],
        capture_output=True,
        text=True,
        timeout=30,
    )


# ---- the commands ----


def test_status_tells_how_things_stand() -> None:
    with Controlled() as app:
        status = app.status()
        assert status["pid"] == app.master_pid
        assert status["state"] == "watching" and status["paused"] is False and status["last"] is None
        assert (status["reloads"], status["failures"], status["batches"]) == (0, 0, 0)
        assert [backend["name"] for backend in status["backends"]] == ["inotify"]
        assert status["backends"][0]["files"] >= 2
        with app.expect_exactly_one_reload():
            app.put("parts/alpha.py", "second")
        status = app.status()
        assert status["reloads"] == 2 and status["last"]["result"] == "reloaded"
        assert status["last"]["what"] == "parts/marker.py changed"
        assert status["last_ms"] > 0 and status["median_ms"] > 0


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_saved_while_paused_is_one_reload_after_it(action: str) -> None:
    with Controlled(f"action = {action}") as app:
        app.wait_quiet()
        before = app.reload_count()
        app.ask("pause")
        assert app.status()["state"] == "paused"
        for value in ("second", "third"):
            app.put("parts/alpha.py", value)
            app.put("parts/beta.py", value)
            app.wait_quiet()
        assert app.reload_count() == before
        assert app.served() != app.on_disk()
        status = app.status()
        assert status["waiting"] == 2 and status["held"] == 1
        app.ask("resume")
        app.wait_served()
        app.wait(lambda: app.reload_count() == before + 1, 15, "the reload is done")
        app.wait_quiet()
        assert app.reload_count() == before + 1
        assert app.status()["state"] == "watching"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_reload_that_is_asked_for_is_one(action: str) -> None:
    with Controlled(f"action = {action}") as app:
        app.wait_quiet()
        before = app.reload_count()
        app.ask("pause")
        app.ask("reload")
        app.wait(lambda: app.reload_count() == before + 1, 20, "the reload is done")
        app.wait_quiet()
        status = app.status()
        assert (status["reloads"], status["paused"]) == (1, True), "a pause outlasts a reload"
        app.put("parts/alpha.py", "second")
        app.wait(lambda: app.status()["waiting"] == 1, 15, "the save is held")
        app.ask("resume")
        app.wait_served()


def test_explain_names_the_rule() -> None:
    with Controlled("exclude = generated/") as app:
        answer = app.ask("explain", path=str(app.app / "views.py"))
        validate(answer, "explanation")
        assert answer["counts"] is True and answer["pattern"] == "*.py"
        answer = app.ask("explain", path=str(app.app / "generated/a.py"))
        assert answer["counts"] is False and answer["origin"] == "--fastreload-exclude"
        name = os.fsdecode(b"\xff\xe9.py")
        answer = app.ask("explain", path=f"{app.app}/{name}")
        assert answer["counts"] is True and answer["path"] == f"{app.app}/{name}"
        line = json.dumps({"command": "explain", "path": "/elsewhere/a.py"}).encode() + b"\n"
        assert app.send_line(line) == {"v": 1, "ok": False, "error": "it is in no watched folder"}


def test_explain_does_not_read_ignore_files_anew() -> None:
    """Bug that must not be: a question that changes what counts before the change is noticed."""
    with Controlled() as app:
        app.wait_quiet()
        app.ask("explain", path=str(app.app / "parts/alpha.py"))
        with app.expect_no_reload():
            app.save(".reloadignore", "secret.py\n")
            app.wait(
                lambda: app.ask("explain", path=str(app.app / "secret.py"))["counts"] is False, 15, "it is ignored"
            )


def test_the_journal_is_told_and_written_to_the_log() -> None:
    with Controlled() as app:
        app.wait_quiet()
        app.save("notes.txt", "nothing that counts\n")
        app.put("parts/alpha.py", "second")
        app.wait_served()
        app.wait_outcomes(1)
        entries = app.ask("journal")["journal"]
        for entry in entries:
            validate(entry, "entry")
        said = [(entry["word"], entry["path"]) for entry in entries]
        assert ("ignored", "notes.txt") in said
        assert ("written", "parts/alpha.py") in said and ("decided", None) in said and ("reloaded", None) in said
        app.wait(lambda: app.log.matching("journal: .* ignored notes.txt"), 15, "it is in the log")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_failed_reload_tells_in_the_log_what_led_to_it(action: str) -> None:
    with Controlled(f"action = {action}") as app:
        app.wait_quiet()
        app.put("parts/alpha.py", "second")
        app.wait_served()
        app.wait_quiet()
        assert not app.log.matching("journal: ")
        app.save("wsgi.py", ERROR)
        app.wait(lambda: app.log.matching("journal: .* failed"), 15, "the journal is in the log")
        assert app.log.matching("journal: .* written wsgi.py")
        assert not app.log.matching("journal: .* written parts/alpha.py"), "what went well is no news"
        status = app.status()
        assert status["state"] == "broken"
        assert ("SyntaxError" if action == "auto" else "did not load") in status["last"]["error"]


def test_people_are_answered_readably() -> None:
    with Controlled() as app:
        done = app.ctl("status")
        assert done.returncode == 0 and "state:    watching" in done.stdout, done
        assert app.ctl().stdout == app.ctl("status").stdout
        assert app.ctl("pause").returncode == 0
        assert "paused" in app.ctl("status").stdout
        assert app.ctl("resume").returncode == 0
        done = subprocess.run(
            [UWSGI, "--plugins-dir", str(PLUGIN_DIR), "--plugin", "fastreload", "--fastreload-ctl", str(app.control)]
            + ["explain", "views.py"],
            capture_output=True,
            text=True,
            cwd=app.app,
            timeout=30,
        )
        assert (done.returncode, done.stdout) == (0, 'views.py: counts: "*.py" (built-in source files)\n')
        assert "start" in app.ctl("journal").stdout
        done = app.ctl("dance")
        assert done.returncode == 1 and '"dance" is no command' in done.stderr
        done = app.ctl("explain", "/elsewhere")
        assert done.returncode == 1 and "in no watched folder" in done.stderr
        before = app.reload_count()
        assert app.ctl("reload").returncode == 0
        app.wait(lambda: app.reload_count() == before + 1, 15, "the reload is done")
    done = ctl("/nonexistent/control.sock", "status")
    assert done.returncode == 1 and "there is no such socket" in done.stderr


# ---- who may ask ----


def test_the_socket_is_for_its_owner() -> None:
    with Controlled() as app:
        state = app.control.stat()
        assert stat.S_IMODE(state.st_mode) == 0o600 and state.st_uid == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_turned_away_even_where_the_mode_lets_them_in() -> None:
    code = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.settimeout(10); s.sendall(b'{\"command\": \"reload\"}\\n')\n"
        "print(s.makefile().readline(), end='')\n"
    )
    with Controlled() as app:
        app.base.chmod(0o755)
        command = ["/usr/bin/python3", "-c", code, str(app.control)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert "PermissionError" in done.stderr
        app.control.chmod(0o666)
        with app.expect_no_reload():
            done = subprocess.run(command, capture_output=True, text=True, timeout=30)
            # It may be turned away before it has said anything.
            assert json.loads(done.stdout)["ok"] is False if done.stdout else "Error" in done.stderr
            app.wait(lambda: app.log.matching("user 65534 was turned away"), 10, "the log says so")


@contextlib.contextmanager
def refused(**options: str) -> Iterator[Instance]:
    """An instance that is expected not to start."""
    app = Controlled(ready=False)
    app.options = [
        f"fastreload-{name} = {value}" if option.startswith(f"fastreload-{name} ") else option
        for option in app.options
        for name, value in options.items()
    ]
    try:
        yield app
    finally:
        app.stop()


def expect_refusal(app: Instance, option: str, sentence: str) -> None:
    """Fails where uWSGI starts, or says anything but one clear line."""
    done = app.run()
    lines = [line for line in done.plugin_lines() if "is watched by" not in line]
    assert done.status == 1 and len(lines) == 1, done.output
    assert f"--fastreload-{option}:" in lines[0] and sentence in lines[0], lines


def test_unsafe_places_are_refused(tmp_path: Path) -> None:
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    open_folder.chmod(0o777)
    with refused(control=f"{open_folder}/c.sock") as app:
        expect_refusal(app, "control", "other users may replace it")
    with refused(control="c.sock") as app:
        expect_refusal(app, "control", "is no path")
    with refused(control="/" + "x" * 200) as app:
        expect_refusal(app, "control", "is too long")
    (tmp_path / "file").write_text("precious")
    with refused(control=f"{tmp_path}/file") as app:
        expect_refusal(app, "control", "cannot be listened on")
    assert (tmp_path / "file").read_text() == "precious"
    with Controlled() as running, refused(control=str(running.control)) as app:
        expect_refusal(app, "control", "in use")
        assert running.status()["state"] == "watching"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with refused(control=f"{folder}/c.sock") as app:
        expect_refusal(app, "control", "other users may replace it")


def test_what_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    for value in (str(tmp_path), "/nonexistent/e.jsonl", "fd:77", "fd:x", "fd:"):
        with refused(events=value) as app:
            expect_refusal(app, "events", "fd:3" if value != "fd:77" else "in the shell")


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "c.sock"))
    app = Controlled()
    app.control = tmp_path / "c.sock"
    app.options = [option.replace(f"{app.base}/control.sock", str(app.control)) for option in app.options]
    with app:
        assert app.status()["state"] == "watching"


# ---- what must not hurt ----

BAD_LINES = (
    b"",
    b"status",
    b"{}",
    b"[]",
    b'{"command": 1}',
    b'{"command": "dance"}',
    b'{"command": "status", "command": "pause"}',
    b'{"command": "pause", "now": true}',
    b'{"command": "explain"}',
    b'{"command": "explain", "path": "views.py"}',
    b'{"command": "explain", "path": "/a/../b"}',
    b'{"command": "pause", "path": "/a"}',
    b'{"command": "status"} {"command": "pause"}',
    b'{"command": ["pause"]}',
    b'{"command": "pa\\u0000use"}',
    b'{"command": "status", "as": "html"}',
    b"[" * 20000,
    b'{"a":' * 4000,
    b"\x00\xff\xfe",
)


@pytest.mark.parametrize("line", BAD_LINES, ids=range(len(BAD_LINES)))
def test_bad_requests_get_an_error(line: bytes, shared: Controlled) -> None:
    before = shared.status()
    answer = shared.send_line(line + b"\n")
    assert answer["ok"] is False and answer["error"], answer
    validate(answer, "answer")
    assert shared.status() == before


@pytest.fixture(scope="module")
def shared() -> Iterator[Controlled]:
    with Controlled() as app:
        app.wait_quiet()
        yield app


def random_line(random_: random.Random) -> bytes:
    """A request that changes nothing: bad, or a question."""
    kind = random_.randrange(6)
    if kind == 0:
        return random_.randbytes(random_.randrange(200)).replace(b"\n", b"")
    if kind == 1:
        return json.dumps({"command": "status"}).encode()
    if kind == 2:
        return json.dumps({"command": "explain", "path": "/" + "".join(random_.choices("ab/.\udcff\n\"", k=30))}).encode()
    line = bytearray(json.dumps({"command": random_.choice(COMMANDS), "as": "text", "path": "/a"}).encode())
    if kind == 3:  # Not the word: that might become another command.
        line[random_.choice([0, 1, len(line) - 1])] = random_.randrange(256)
    elif kind == 4:
        del line[random_.randrange(len(line) - 1) :]
    else:
        line[9:9] = random_.randbytes(random_.randrange(1, 20))
    return bytes(line).replace(b"\n", b" ")


def test_ten_thousand_random_requests_change_nothing_and_crash_nothing(shared: Controlled) -> None:
    seed = random.SystemRandom().randrange(2**32)
    random_ = random.Random(seed)
    before, memory, fds = shared.status(), shared.memory_kb(), shared.fd_count()
    answered = 0
    for _ in range(100):
        lines = [random_line(random_) for _ in range(100)]
        with shared.connect() as connection, connection.makefile("rb") as stream:
            connection.sendall(b"".join(line + b"\n" for line in lines))
            for line in lines:
                answer = json.loads(stream.readline())
                validate(answer, "answer")
                answered += 1
    assert answered == 10000, f"seed {seed}"
    assert shared.status() == before, f"seed {seed}"
    shared.wait(lambda: shared.fd_count() <= fds, 15, "nothing is left open")
    assert shared.memory_kb() < memory + 8192, f"seed {seed}"
    with shared.expect_exactly_one_reload():
        shared.put("parts/alpha.py", f"after {seed}")


def test_clients_that_do_not_read_or_say_nothing_cost_nothing(shared: Controlled) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(shared.connect()) for _ in range(20)]
        deaf = stack.enter_context(shared.connect())
        deaf.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                deaf.send(b'{"command": "journal"}\n' * 100)
        shared.wait_quiet()
        ticks = harness.cpu_ticks(shared.master_pid)
        time.sleep(1)  # What is measured is time.
        assert harness.cpu_ticks(shared.master_pid) - ticks < 30
        assert shared.status()["state"] == "watching"
        with shared.expect_exactly_one_reload():
            shared.put("parts/beta.py", f"beside {len(silent)}")


# ---- events ----


@pytest.mark.parametrize("action", ACTIONS)
def test_events_tell_what_happened(action: str) -> None:
    with Controlled(f"action = {action}") as app:
        app.wait_quiet()
        good = app.path("wsgi.py").read_text()
        app.put("parts/alpha.py", "second", how="atomic")
        app.wait_served()
        app.wait_outcomes(1)
        app.save("wsgi.py", ERROR)
        app.wait_outcomes(2)
        app.save("wsgi.py", good)
        app.wait_outcomes(3)
        app.wait_served()
        batches, decisions, outcomes = (app.events(kind) for kind in ("batch", "decision", "outcome"))
        assert [event["id"] for event in batches] == [event["id"] for event in decisions] == [1, 2, 3]
        assert [event["id"] for event in outcomes] == [1, 2, 3]
        assert [event["result"] for event in outcomes] == ["reloaded", "failed", "reloaded"]
        changed = [[change["path"] for change in event["changes"]] for event in batches]
        assert changed == [[str(app.app / name)] for name in ("parts/alpha.py", "wsgi.py", "wsgi.py")]
        assert {event["action"] for event in decisions} == {"swap" if action == "auto" else "reload"}
        assert outcomes[1]["error"], outcomes
        assert len(app.events("start")) == (1 if action == "auto" else 4), "one for each image"
        assert app.status()["reloads"] == 2 and app.status()["failures"] == 1
        times = [event["time"] for event in app.events()]
        assert times == sorted(times) and abs(times[-1] - time.time()) < 60


def test_names_that_are_not_utf_8_come_through() -> None:
    with Controlled() as app:
        app.wait_quiet()
        name = os.fsencode(app.app) + b'/parts/\xff"\n.py'
        with open(name, "w") as stream:
            stream.write(apps.part("strange"))
        app.wait_outcomes(1)
        paths = [change["path"] for change in app.events("batch")[0]["changes"]]
        assert os.fsencode(paths[0]) == name


@pytest.mark.parametrize("action", ACTIONS)
def test_events_go_to_a_descriptor_that_was_inherited(action: str, tmp_path: Path) -> None:
    log = tmp_path / "events"
    app = Controlled(f"action = {action}")
    app.options = [option if "events" not in option else "fastreload-events = fd:9" for option in app.options]
    app.wrapper = ["sh", "-c", f'exec "$@" 9>>{log}', "sh"]
    app.events_file = log
    with app:
        app.wait_quiet()
        app.put("parts/alpha.py", "second")
        app.wait_outcomes(1)
        app.wait_served()
        app.put("parts/alpha.py", "third")
        app.wait_outcomes(2)
        app.wait_quiet()
        for pid in app.worker_pids():
            assert str(log) not in harness.open_files(pid), "it is the master's alone"


def test_a_pipe_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    app = Controlled()
    app.options = [option if "events" not in option else f"fastreload-events = {pipe}" for option in app.options]
    with app:
        for round_ in range(3):
            with app.expect_exactly_one_reload():
                for i in range(400):
                    app.put(f"parts/{'long' * 40}{i}.py", f"value {round_}", how="atomic")
        assert app.status()["events_dropped"] > 0
        with open(pipe, "rb", buffering=0) as stream:
            os.set_blocking(stream.fileno(), False)
            text = b""
            with contextlib.suppress(BlockingIOError):
                while chunk := stream.read(65536):
                    text += chunk
            for line in text.split(b"\n")[:-1]:
                validate(json.loads(line), "")


# ---- what uWSGI shows ----

RPC = {
    "wsgi.py": """\
import json
import uwsgi


def application(environ, start_response):
    name, _, argument = environ["PATH_INFO"].lstrip("/").partition("/")
    start_response("200 OK", [("Content-Type", "application/json")])
    arguments = [b"/" + argument.encode("latin-1")] if argument else []
    return [uwsgi.rpc("", name.encode(), *arguments) or b"null"]
"""
}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_application_can_ask_by_rpc(action: str) -> None:
    with Instance(RPC, fastreload=["rpc = true", f"action = {action}"]) as app:

        def ask(name: str) -> dict:
            return json.loads(app.get("/" + name).text)

        app.wait_quiet()
        for reloads in range(4):  # In workers of each generation.
            app.wait(lambda: ask("fastreload_status")["status"]["reloads"] == reloads, 15, "it is counted")
            validate(ask("fastreload_status")["status"], "status")
            app.save("other.py", f"value = {reloads}\n")
            app.wait(lambda: app.reload_count() == reloads + 1, 15, "the reload is done")
        assert ask(f"fastreload_explain{app.app}/a.py")["counts"] is True
        assert ask("fastreload_explain")["ok"] is False
        assert any(entry["word"] == "written" for entry in ask("fastreload_journal")["journal"])
        assert ask("fastreload_pause") == {"v": 1, "ok": True}
        app.wait(lambda: ask("fastreload_status")["status"]["paused"], 15, "it is paused")
        assert ask("fastreload_reload")["ok"] is True
        app.wait(lambda: app.reload_count() == 5, 15, "the reload is done")
        assert ask("fastreload_resume")["ok"] is True
        app.wait(lambda: not ask("fastreload_status")["status"]["paused"], 15, "it is resumed")


def test_metrics_are_in_the_stats_server() -> None:
    app = Controlled(ini=["enable-metrics = true", "stats = {base}/stats.sock"])
    with app:

        def metrics() -> dict:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(app.base / "stats.sock"))
                with connection.makefile("rb") as stream:
                    stats = json.loads(stream.read())
            return {
                name.removeprefix("fastreload."): metric["value"]
                for name, metric in stats["metrics"].items()
                if name.startswith("fastreload.")
            }

        with app.expect_exactly_one_reload():
            app.put("parts/alpha.py", "second")
        app.save("wsgi.py", ERROR)
        app.wait_outcomes(3)
        app.save("notes.txt", "ignored")
        app.wait(lambda: metrics()["ignored"] > 0, 15, "what is ignored is counted")
        app.wait(lambda: metrics()["failures"] == 1, 15, "the failure is counted")
        found, status = metrics(), app.status()
        assert found["reloads"] == 2 and found["held"] == 0 and found["lost"] == 0
        assert found["last_ms"] == status["last_ms"] and found["median_ms"] == status["median_ms"]
        assert found["files"] == found["inotify.files"] == status["backends"][0]["files"]
        assert found["folders"] == found["inotify.folders"] == status["backends"][0]["folders"]
