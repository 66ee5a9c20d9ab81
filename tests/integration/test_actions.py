"""Different files, different actions: what a change leads to, by --fastreload-on, seen by a real application."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Iterator

import pytest

import apps
import harness
from harness import Instance
from test_bad_input import options, refused

DEADLINE_S = 15

# Answers as apps.WSGI does, and notes what each signal found in the file of changes.
SIGNALLED = {
    **apps.WSGI,
    "wsgi.py": apps.WSGI_PY
    + """
import uwsgi


def note(number):
    with open(os.environ["FASTRELOAD_CHANGES"]) as stream:
        changes = json.load(stream)
    with open(os.path.join(HERE, "..", "signals"), "a") as stream:
        stream.write(json.dumps([number, os.getpid(), changes]) + "\\n")


uwsgi.register_signal(17, "%s", note)
""",
    "templates/a.html": "<p>first</p>\n",
}
ANY_WORKER = {**SIGNALLED, "wsgi.py": SIGNALLED["wsgi.py"].replace("%s", "")}


def signals(app: Instance) -> list[list]:
    """Returns what the application's handler has noted: number, pid of the worker, and what changed."""
    with contextlib.suppress(FileNotFoundError):
        return [json.loads(line) for line in (app.base / "signals").read_text().splitlines()]
    return []


def wait_signals(app: Instance, count: int) -> list[list]:
    """Waits until the handler has run so often."""
    app.wait(lambda: len(signals(app)) >= count, DEADLINE_S, f"{count} runs of the handler")
    return signals(app)


def changes_of(batch: dict) -> list[tuple[str, str]]:
    """Returns name and kind of what one batch of the file of changes names."""
    return [(os.path.basename(change["path"]), change["change"]) for change in batch["changes"]]


def loaded(app: Instance) -> object:
    """Waits until every worker of the start has loaded the application; returns what is served."""
    app.wait(app.served_by_each_worker, DEADLINE_S, "each worker answers")
    return app.served()


# signal


def test_a_signal_reaches_the_handler_with_the_paths_and_nothing_reloads() -> None:
    with Instance(ANY_WORKER, fastreload=["on = *.html signal:17"]) as app:
        with app.expect_no_reload():
            pids = set(app.worker_pids())
            app.save("templates/a.html", "<p>second</p>\n")
            [[number, pid, changes]] = wait_signals(app, 1)
        assert number == 17 and pid in pids
        assert changes["version"] == 1 and changes["total"] == 1
        assert changes["changes"] == [
            {"path": str(app.path("templates/a.html").resolve()), "change": "changed", "signal": 17}
        ]
        app.save("templates/b.html", "new\n", how="atomic")
        *_, [_, _, changes] = wait_signals(app, 2)
        assert changes_of(changes) == [("b.html", "added")]
        assert changes_of(changes["earlier"][0]) == [("a.html", "changed")]


def test_a_signal_runs_in_all_workers_where_the_application_wants_that() -> None:
    files = {**SIGNALLED, "wsgi.py": SIGNALLED["wsgi.py"].replace("%s", "workers")}
    with Instance(files, fastreload=["on = *.html signal:17"], workers=3) as app:
        app.wait_quiet(1)  # It may start once more, without generations.
        app.save("templates/a.html", "<p>second</p>\n")
        found = wait_signals(app, 3)
        assert len({pid for _, pid, _ in found}) == 3
        assert {pid for _, pid, _ in found} == set(app.worker_pids())


def test_names_that_are_no_text_reach_the_handler_as_they_are() -> None:
    name = b"\xff\"\\ \xc3\xa4.html"
    with Instance(ANY_WORKER, fastreload=["on = *.html signal:17"]) as app:
        Path(os.fsdecode(os.fsencode(app.app) + b"/" + name)).write_text("first\n")
        [[_, _, changes]] = wait_signals(app, 1)
        assert os.fsencode(changes["changes"][0]["path"]).endswith(b"/" + name)


def test_a_signal_without_a_handler_is_said() -> None:
    with Instance(fastreload=["on = *.html signal:18"]) as app:
        app.save("a.html", "<p>second</p>\n")
        app.wait(lambda: app.log.matching("signal:18 went nowhere"), DEADLINE_S, "it is said")
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "second")


def test_the_file_of_changes_goes_with_the_instance_and_stays_at_a_reload() -> None:
    with Instance(ANY_WORKER, fastreload=["on = *.html signal:17", "on = *.toml reload"]) as app:
        app.env["TMPDIR"] = str(app.base)
        app.save("templates/a.html", "1\n")
        [[_, _, _]] = wait_signals(app, 1)
        before = app.log.count(harness.IMAGE)
        app.save("a.toml", "a = 1\n")
        app.wait(lambda: app.log.count(harness.IMAGE) > before, DEADLINE_S, "a full reload")
        app.wait_ready()
        app.wait_quiet()
        app.save("templates/a.html", "22\n")
        assert changes_of(wait_signals(app, 2)[1][2]) == [("a.html", "changed")]
        [folder] = {
            line.partition(b"=")[2]
            for pid in app.worker_pids()
            for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if line.startswith(b"FASTRELOAD_CHANGES=")
        }
        assert Path(os.fsdecode(folder)).exists()
        os.kill(app.master_pid, signal.SIGINT)
        app.process.wait(DEADLINE_S)
        assert not Path(os.fsdecode(folder)).parent.exists()


# reload, swap, touch, log, ignore


def test_each_pattern_has_its_action_and_the_last_match_decides() -> None:
    rules = ["on = *.py swap", "on = *.md log", "on = *.toml reload", "on = notes/*.py ignore"]
    with Instance(fastreload=[*rules, f"on = *.css touch:touched"]) as app:
        with app.expect_no_reload():
            app.save("a.md", "text\n")
            app.wait(lambda: app.log.matching(r"a\.md added: log "), DEADLINE_S, "the line")
            app.path("notes").mkdir()
            app.save("notes/a.py", "A = 1\n")
            app.save("a.css", "a {}\n")
            app.wait(lambda: app.path("touched").exists(), DEADLINE_S, "the file is touched")
        images = app.log.count(harness.IMAGE)
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "second")
        assert app.log.count(harness.IMAGE) == images
        app.save("a.toml", "a = 1\n")
        app.wait(lambda: app.log.count(harness.IMAGE) > images, DEADLINE_S, "a full reload")
        app.wait_served()
        assert not app.log.matching(r"notes/a\.py")


def test_files_with_different_actions_in_one_batch_are_done_in_order() -> None:
    rules = ["on = *.html signal:17", "on = *.css touch:../touched", "on = parts/*.py exec:true"]
    with Instance(ANY_WORKER, fastreload=[*rules, "settle = 300"]) as app:
        with app.expect_exactly_one_reload():
            app.save("templates/a.html", "<p>second</p>\n")
            app.put("parts/value.py", "second")
            app.save("a.css", "a {}\n")
            wait_signals(app, 1)
        assert (app.base / "touched").exists()
        [line] = app.log.matching("exec:true, .*signal:17")
        assert re.search(r": exec:true, (signal:17, touch:|touch:\S+, signal:17).*, swap \(", line)


def test_without_default_reload_only_the_named_files_swap() -> None:
    with Instance(fastreload=["action = touch:../touched", "on = parts/*.py swap"]) as app:
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "second")
        assert not (app.base / "touched").exists()
        app.save("other.py", "A = 1\n")
        app.wait((app.base / "touched").exists, DEADLINE_S, "the file is touched")


@pytest.mark.parametrize("action", ("workers", "chain"))
def test_workers_are_replaced_in_place(action: str) -> None:
    with Instance(fastreload=[f"on = parts/*.py {action}"], ini=["lazy-apps = true"]) as app:
        before = set(app.worker_pids())
        app.put("parts/value.py", "second")
        app.wait_served()
        app.wait(
            lambda: not before & set(app.worker_pids())
            and app.served_by_each_worker()
            and all(a == app.on_disk() for a in app.served_by_each_worker().values()),
            DEADLINE_S,
            "all workers serve the new code",
        )
        assert app.log.matching(rf"value\.py changed: {action} ")


# mules and spoolers


def test_mules_run_their_new_script_and_workers_stay() -> None:
    app = Instance(fastreload=["on = jobs/ mules"], ini=["lazy-apps = true"])
    mule = app.path("jobs/mule.py")
    mule.parent.mkdir()
    text = "import os, time\nopen('../mule', 'a').write('%s\\n')\nwhile True:\n    time.sleep(1)\n"
    mule.write_text(text % "first")
    app.options.append(f"mule = {mule}")
    ran = app.base / "mule"
    with app:
        app.wait(lambda: ran.exists() and ran.read_text() == "first\n", DEADLINE_S, "the mule runs")
        with app.expect_no_reload():
            pids = app.worker_pids()
            app.save("jobs/mule.py", text % "second")
            app.wait(lambda: ran.read_text() == "first\nsecond\n", DEADLINE_S, "the new one runs")
            assert len(set(pids) & set(app.worker_pids())) == len(pids) - 1


SPOOLED = {
    **apps.WSGI,
    "wsgi.py": apps.WSGI_PY
    + """
import uwsgi


def work(arguments):
    with open(os.path.join(HERE, "..", "begun"), "a") as stream:
        stream.write("%d\\n" % os.getpid())
    end = time.monotonic() + 30
    while not os.path.exists(os.path.join(HERE, "..", "go")) and time.monotonic() < end:
        time.sleep(0.01)
    with open(os.path.join(HERE, "..", "worked"), "a") as stream:
        stream.write("%d\\n" % os.getpid())
    return uwsgi.SPOOL_OK


uwsgi.spooler = work
uwsgi.spool({b"a": b"b"}) if uwsgi.worker_id() == 0 else None
""",
}


def lines_of(path: Path) -> list[str]:
    """Returns the lines of a file that may not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


def test_spoolers_finish_their_task_and_start_again() -> None:
    from test_generations_matrix import need_plugin

    need_plugin("spooler")
    ini = ["plugin = spooler", "spooler = ../spool"]
    app = Instance(SPOOLED, fastreload=["on = *.job spoolers"], ini=ini)
    (app.base / "spool").mkdir()
    with app:
        begun, worked = app.base / "begun", app.base / "worked"
        app.wait(lambda: lines_of(begun), DEADLINE_S, "the task has begun")
        [pid] = lines_of(begun)
        app.save("a.job", "1\n")
        app.wait(lambda: app.log.matching(r"a\.job added: spoolers"), DEADLINE_S, "it is seen")
        with app.expect_exactly_one_reload():  # That goes on beside; it is a full one here.
            pass_through(app)
        assert lines_of(begun)


def pass_through(app: Instance) -> None:
    """Lets the spooler's task end, and awaits another spooler."""
    [before] = set(lines_of(app.base / "begun"))
    assert Path(f"/proc/{before}").exists() and not lines_of(app.base / "worked")
    (app.base / "go").touch()
    app.wait(lambda: lines_of(app.base / "worked") == [before], DEADLINE_S, "the task is done")
    app.wait(lambda: app.log.matching("the spooler is no more"), DEADLINE_S, "it has ended")
    app.put("parts/value.py", "second")


# exec


def script(app: Instance, name: str, text: str) -> Path:
    """Writes a program beside the application."""
    path = app.base / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def with_script(text: str, **more: object) -> Instance:
    """Returns an instance that runs a program before parts are reloaded."""
    app = Instance(**more)
    path = script(app, "program", text)
    app.options.append(f"fastreload-on = parts/*.py exec:{path}")
    return app


NOTE = 'printf "%s|" "$#" "$@" "$FASTRELOAD_PATHS" "$FASTRELOAD_TOTAL" >>../ran; echo >>../ran'


def test_a_command_gets_the_paths_and_the_reload_follows() -> None:
    with with_script(NOTE + '; echo "it said so"') as app:
        with app.expect_reloads(2):
            app.put("parts/value.py", "second")
            app.wait_served()
            value = str(app.path("parts/value.py").resolve())
            assert (app.base / "ran").read_text() == f"1|{value}|{value}|1|\n"
            assert app.log.matching(r"\[fastreload\]\s+it said so")
            assert app.log.matching(r"exec:\S+ succeeded in \d+ ms")
            app.wait_quiet()
            app.put("parts/value.py", "third")


def test_a_command_line_is_for_the_shell() -> None:
    rule = 'on = parts/*.py exec:echo "<$@>" $FASTRELOAD_TOTAL >../ran && test -s ../ran'
    with Instance(fastreload=[rule]) as app:
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "second")
            app.wait_served()
            value = str(app.path("parts/value.py").resolve())
            assert (app.base / "ran").read_text() == f"<{value}> 1\n"


def test_a_command_that_fails_stops_the_reload_and_the_next_save_is_tried() -> None:
    with with_script("echo 'wrong in line 3' >&2; grep -q good parts/value.py") as app:
        before = loaded(app)
        for bad in ("bad", "worse"):
            app.put("parts/value.py", bad)
            app.wait(
                lambda: len(app.log.matching(r"not reloaded: exec:\S+ ended with status 1 "))
                == (1 if bad == "bad" else 2),
                DEADLINE_S,
                "the failure is said",
            )
            assert app.log.matching(r"\[fastreload\]\s+wrong in line 3")
            assert app.served() == before
        app.put("parts/value.py", "good")
        app.wait_served()


def test_a_failing_command_is_shown_to_browsers() -> None:
    with with_script("echo 'wrong in line 3'; exit 7", fastreload=["broken = page"]) as app:
        app.put("parts/value.py", "second")

        def page() -> bool:
            answer = harness.http_get(app.socket_path, "/ HTTP/1.0\r\nAccept: text/html\r\nX:")
            return answer.status >= 500 and "wrong in line 3" in answer.text

        app.wait(page, DEADLINE_S, "the page shows what the command printed")


def test_a_command_that_hangs_blocks_nothing_and_is_ended_with_all_it_started() -> None:
    with with_script(
        "echo $$ >>../pids; (trap '' TERM; sleep 1000) & echo $! >>../pids; trap '' TERM; wait; wait",
        fastreload=["timeout = 2", "on = *.html signal:17"],
        files=ANY_WORKER,
    ) as app:
        before = loaded(app)
        app.put("parts/value.py", "second")
        pids = app.base / "pids"
        app.wait(lambda: len(lines_of(pids)) == 2, DEADLINE_S, "the command runs")
        for _ in range(50):  # The master goes on, and so do the workers.
            assert app.served() == before
        slept = [int(pid) for pid in lines_of(pids)]
        app.save("templates/a.html", "<p>second</p>\n")
        app.wait(
            lambda: app.log.matching(r"not reloaded: .*--fastreload-timeout"),
            DEADLINE_S,
            "it is ended",
        )
        wait_signals(app, 1)  # The save while it hung was noticed.
        app.wait(
            lambda: all(harness.process_state(pid) in ("", "Z") for pid in slept),
            DEADLINE_S,
            "nothing of it is left",
        )
        assert app.served() == before
        assert not app.log.matching("subprocess")


def test_a_flood_of_output_is_bounded() -> None:
    with with_script("head -c 50000000 /dev/zero | tr '\\0' 'x'; echo; echo the end") as app:
        loaded(app)
        before = app.memory_kb()
        app.put("parts/value.py", "second")
        app.wait_served(30)
        assert app.log.matching("the end")
        assert app.log.path.stat().st_size < 200_000
        assert app.memory_kb() < before + 10_000


def test_a_command_that_cannot_be_run_is_a_failure() -> None:
    with Instance(fastreload=["on = parts/*.py exec:/no/such/program"]) as app:
        before = loaded(app)
        app.put("parts/value.py", "second")
        app.wait(lambda: app.log.matching("status 127"), DEADLINE_S, "it is said")
        assert app.log.matching("No such file")
        assert app.served() == before


def test_a_command_holds_no_socket_of_the_instance_and_ends_with_it() -> None:
    with with_script("ls -l /proc/self/fd >../fds; echo $$ >../pid; exec sleep 1000") as app:
        app.put("parts/value.py", "second")
        app.wait(lambda: lines_of(app.base / "pid"), DEADLINE_S, "the command runs")
        assert "socket:" not in (app.base / "fds").read_text()
        pid = int(lines_of(app.base / "pid")[0])
        os.kill(app.master_pid, signal.SIGKILL)
        harness.wait_until(
            lambda: harness.process_state(pid) in ("", "Z"), DEADLINE_S, "the command has ended"
        )


def test_saves_while_a_command_runs_are_served_in_the_end() -> None:
    with with_script("echo >>../ran; sleep 0.3") as app:
        for number in range(4):
            app.put("parts/value.py", f"number {number}")
            app.wait(lambda: len(lines_of(app.base / "ran")) > number, DEADLINE_S, "it runs")
        app.wait_served()


# what is refused

REFUSALS = {
    "no action": ("*.html", r"pattern and an action"),
    "nothing": ("", r"pattern and an action"),
    "an unknown action": ("*.html restart", r"auto.*signal:N.*ignore"),
    "browser without pages": ("*.html browser", r"add \"fastreload-browser = true\""),
    "a signal without a number": ("*.html signal:", r"0 to 255"),
    "a signal beyond all": ("*.html signal:256", r"0 to 255"),
    "a signal by name": ("*.html signal:HUP", r"0 to 255"),
    "a touch without a file": ("*.html touch", r"touch:FILE"),
    "a command that is none": ("*.html exec: ", r"exec:COMMAND"),
    "too much": ("*.html reload now", r"nothing more"),
    "an open bracket": ("*.[ch reload", r"bracket"),
    "a negation": ("!*.py reload", r"ignore"),
    "mules without mules": ("*.job mules", r"mules"),
    "spoolers without spoolers": ("*.job spoolers", r"spoolers"),
    "workers without lazy-apps": ("*.py workers", r"lazy-apps"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_this_rule_is_refused_in_one_line(what: str) -> None:
    rule, right = REFUSALS[what]
    line = refused(options(f"on = {rule}"))
    assert "--fastreload-on" in line and rule.strip() in line, line
    assert re.search(right, line), line
