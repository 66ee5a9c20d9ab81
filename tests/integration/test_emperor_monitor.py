"""The imperial monitor: vassals start, reload and stop when their files come, change and go.

Most Emperors here look at their vassals' files every ten minutes only, so whatever happens within a
test was heard of.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

import editors
import harness
from emperors import ACCEPTING, NEVER_LOOKS, RELOADED, STOPPED, Emperor
from harness import wait_until
from test_bad_input import in_namespace
from test_emperor import Vassal

OURS = re.compile(r"\[fastreload\]")


@pytest.fixture
def emperor() -> Iterator[Emperor]:
    """Returns a running Emperor with one vassal."""
    harness.require_plugin()
    with running(Emperor()) as instance:
        yield instance


def running(instance: Emperor) -> Emperor:
    """Gives an Emperor that is about to start one vassal, which must answer before a test goes on."""
    instance.put("shop", "first")
    enter = type(instance).__enter__

    class Waiting(type(instance)):
        def __enter__(self) -> Emperor:
            enter(self)
            try:
                self.wait_answer("shop", "first")
                self.wait(lambda: self.accepted("shop"), 20, "the Emperor knows that it runs")
            except BaseException as error:
                self.__exit__(type(error), error, None)
                raise
            return self

    instance.__class__ = Waiting
    return instance


def test_vassals_start_reload_and_stop_with_their_files(emperor: Emperor) -> None:
    emperor.put("blog", "new")
    emperor.wait_answer("blog", "new")
    emperor.put("blog", "changed")
    emperor.wait_answer("blog", "changed")
    emperor.file("blog").unlink()
    emperor.wait_gone("blog")
    assert emperor.answer("shop") == "first"
    assert not emperor.log.matching(r"\] (reload|stop) the uwsgi instance shop.ini")
    assert not emperor.log.matching(OURS), "nothing else of the plugin is said by an Emperor"


def test_it_is_one_of_uwsgis_imperial_monitors() -> None:
    command = [harness.UWSGI, "--plugins-dir", str(harness.PLUGIN_DIR), "--plugin", "fastreload"]
    found = subprocess.run(
        [*command, "--imperial-monitor-list"], capture_output=True, text=True, timeout=20
    )
    assert re.search(r"^fastreload$", found.stdout + found.stderr, re.M)


# `sed` itself is here to replace a first line, which no vassal is.
@pytest.mark.parametrize("how", [how for how in editors.PATTERNS if how != "real_sed"])
def test_each_kind_of_save_is_one_reload_and_no_stop(emperor: Emperor, how: str) -> None:
    if missing := editors.missing_program(how):
        pytest.skip(missing)
    for value in ("second", "third"):
        before = emperor.accepted("shop")
        emperor.put("shop", value, how)
        emperor.wait_answer("shop", value)
        emperor.wait(lambda: emperor.accepted("shop") > before, 20, "it says that it accepts")
    emperor.put("marker", "seen")
    emperor.wait_answer("marker", "seen")
    assert emperor.log.count(RELOADED) == 2, emperor.log.tail(150)
    assert emperor.log.count(STOPPED) == 0


def reload_by(emperor: Emperor, what: str) -> None:
    """Waits for one more reload of the one vassal, by which it accepts again."""
    before = emperor.log.count(RELOADED)
    accepted = emperor.accepted("shop")
    act = {
        "touch": lambda: os.utime(emperor.file("shop")),
        "an older time": lambda: os.utime(emperor.file("shop"), (1e9, 1e9)),
        "the same content": lambda: emperor.put("shop", "first"),
        "an older file moved here": lambda: move_older_here(emperor),
    }[what]
    act()
    emperor.wait(lambda: emperor.log.count(RELOADED) > before, 10, f"{what} reloads")
    emperor.wait(lambda: emperor.accepted("shop") > accepted, 20, "it accepts again")


def move_older_here(emperor: Emperor) -> None:
    """Replaces the vassal's file by one that was written long ago."""
    other = emperor.base / "older.ini"
    other.write_text(emperor.text("shop", "first"))
    os.utime(other, (1e9, 1e9))
    other.rename(emperor.file("shop"))


@pytest.mark.parametrize(
    "what", ["touch", "an older time", "the same content", "an older file moved here"]
)
def test_what_uwsgis_whole_seconds_do_not_show_reloads(emperor: Emperor, what: str) -> None:
    reload_by(emperor, what)
    reload_by(emperor, "touch")


@pytest.mark.parametrize("how", ["atomic", "inplace"])
def test_saves_while_a_vassal_reloads_end_with_the_last_one(emperor: Emperor, how: str) -> None:
    for number in range(30):
        emperor.put("shop", f"v{number}", how)
        time.sleep(random.uniform(0, 0.05))
    emperor.wait_answer("shop", "v29")
    # uWSGI gives up a vassal whose pipe is full of messages: there must be few.
    assert emperor.log.count(RELOADED) < 10
    # Who saves in place may have a reloading vassal read half a file, by which it ends and starts anew.
    assert how == "inplace" or not emperor.log.matching(r"\[emperor\] curse")


def test_a_mode_that_changes_does_nothing(emperor: Emperor) -> None:
    emperor.file("shop").chmod(0o600)
    emperor.put("marker", "seen")
    emperor.wait_answer("marker", "seen")
    assert emperor.log.count(RELOADED) == 0


def test_a_half_written_file_is_not_started(emperor: Emperor) -> None:
    whole = emperor.text("slow", "whole")
    with emperor.file("slow").open("w") as stream:
        stream.write(whole.replace("whole", "half"))
        stream.flush()
        time.sleep(0.4)
        stream.seek(0)
        stream.write(whole)
        stream.truncate()
    emperor.wait_answer("slow", "whole")
    emperor.wait(lambda: emperor.accepted("slow"), 20, "the Emperor knows that it runs")
    assert emperor.accepted("slow") == 1
    assert emperor.log.count(RELOADED) == 0


def test_a_hidden_file_on_its_way_to_its_name_is_no_vassal(emperor: Emperor) -> None:
    temporary = emperor.vassals / ".ansible_tmpabc123blog.ini"
    temporary.write_text(emperor.text("blog", "moved"))
    time.sleep(0.1)  # It has its mode and owner set meanwhile.
    temporary.chmod(0o644)
    temporary.rename(emperor.file("blog"))
    emperor.wait_answer("blog", "moved")
    assert not emperor.log.matching("ansible_tmp"), emperor.log.tail()


def test_files_that_are_no_vassals_start_nothing(emperor: Emperor) -> None:
    for name in ("blog.ini~", ".blog.ini.swp", "README", "blog.ini.dpkg-new", "4913"):
        (emperor.vassals / name).write_text(emperor.text("blog", "wrong"))
    (emperor.vassals / "folder.ini").mkdir()
    (emperor.vassals / "nowhere.ini").symlink_to("missing")
    emperor.put("marker", "seen")
    emperor.wait_answer("marker", "seen")
    assert emperor.answer("blog") is None
    emperor.wait(lambda: emperor.accepted("marker"), 20, "the Emperor knows that it runs")
    started = {ACCEPTING.search(line)[1] for line in emperor.log.matching(ACCEPTING)}
    assert started == {"shop.ini", "marker.ini"}


def test_removed_and_added_again_at_once(emperor: Emperor) -> None:
    emperor.file("shop").unlink()
    emperor.wait(lambda: emperor.log.count(STOPPED), 10, "it is stopped")
    emperor.put("shop", "again")
    emperor.wait_answer("shop", "again", 10)


def test_broken_and_mended_again_and_again_within_seconds(emperor: Emperor) -> None:
    for number in range(4):
        emperor.file("shop").write_text("[uwsgi]\nhttp-socket = /no/such/folder/socket\n")
        emperor.wait_gone("shop")
        emperor.put("shop", f"mended {number}")
        emperor.wait_answer("shop", f"mended {number}", 15)


# Links.


def test_a_link_to_a_file_that_is_edited_or_pointed_elsewhere(emperor: Emperor) -> None:
    available = emperor.base / "available"
    available.mkdir()
    for value in ("one", "two"):
        (available / f"{value}.ini").write_text(emperor.text("blog", value))
    emperor.file("blog").symlink_to("../available/one.ini")
    emperor.wait_answer("blog", "one")
    for how in ("inplace", "vim", "atomic"):
        editors.save(available / "one.ini", emperor.text("blog", how), how)
        emperor.wait_answer("blog", how)
    fresh = emperor.vassals / "fresh"
    fresh.symlink_to("../available/two.ini")
    fresh.rename(emperor.file("blog"))
    emperor.wait_answer("blog", "two")
    (available / "two.ini").unlink()
    emperor.wait_gone("blog")
    (available / "two.ini").write_text(emperor.text("blog", "back"))
    emperor.wait_answer("blog", "back")


def test_a_deployment_that_swaps_a_link_to_a_folder(emperor: Emperor) -> None:
    for value in ("v1", "v2"):
        (emperor.base / "srv" / value).mkdir(parents=True)
        (emperor.base / "srv" / value / "vassal.ini").write_text(emperor.text("blog", value))
    current = emperor.base / "srv" / "current"
    current.symlink_to("v1")
    emperor.file("blog").symlink_to(current / "vassal.ini")
    emperor.wait_answer("blog", "v1")
    (emperor.base / "srv" / "next").symlink_to("v2")
    (emperor.base / "srv" / "next").rename(current)
    emperor.wait_answer("blog", "v2")


def test_with_nofollow_only_the_link_itself_counts() -> None:
    with running(Emperor([NEVER_LOOKS, "emperor-nofollow = true"])) as emperor:
        target = emperor.base / "blog.ini"
        target.write_text(emperor.text("blog", "one"))
        emperor.file("blog").symlink_to(target)
        emperor.wait_answer("blog", "one")
        target.write_text(emperor.text("blog", "two"))
        emperor.put("marker", "seen")
        emperor.wait_answer("marker", "seen")
        assert emperor.log.count(RELOADED) == 0
        os.utime(emperor.file("blog"), follow_symlinks=False)
        emperor.wait_answer("blog", "two")


def test_noise_beside_a_links_target_does_not_keep_the_emperor_busy(emperor: Emperor) -> None:
    srv = emperor.base / "srv"
    srv.mkdir()
    (srv / "vassal.ini").write_text(emperor.text("blog", "one"))
    emperor.file("blog").symlink_to(srv / "vassal.ini")
    emperor.wait_answer("blog", "one")
    before = harness.wake_ups(emperor.process.pid)
    began = time.monotonic()
    with (srv / "debug.log").open("w") as log:
        for number in range(20000):
            log.write(f"{number}\n")
            log.flush()
            if number % 100 == 0:
                time.sleep(0.002)
    took = time.monotonic() - began
    assert harness.wake_ups(emperor.process.pid) - before < 30 + 150 * took
    (srv / "vassal.ini").write_text(emperor.text("blog", "two"))
    emperor.wait_answer("blog", "two")


# The folder itself.


def watched_by(pid: int) -> str:
    """Returns what /proc tells of the inotify watches of a process, inotify(7)."""
    found = ""
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            found += path.read_text()
    return found


def test_a_folder_that_is_removed_and_made_again(emperor: Emperor) -> None:
    emperor.vassals.rename(emperor.base / "away")
    emperor.wait(lambda: emperor.log.matching(r"\[fastreload\] .*vassals\" cannot be read"), 10, "said")
    assert emperor.answer("shop") == "first"
    above = f" ino:{emperor.base.stat().st_ino:x} "
    emperor.wait(lambda: above in watched_by(emperor.process.pid), 10, "the folder above is watched")
    emperor.vassals.mkdir()
    emperor.put("blog", "new")
    emperor.wait_answer("blog", "new")
    emperor.wait_gone("shop")
    assert len(emperor.log.matching(OURS)) == 2, emperor.log.matching(OURS)
    shutil.rmtree(emperor.vassals)
    emperor.vassals.mkdir()
    emperor.put("shop", "here again")
    emperor.wait_answer("shop", "here again")


def test_a_folder_that_is_missing_at_the_start_is_one_clear_line() -> None:
    emperor = Emperor(where="nowhere")
    ended = emperor.run()
    shutil.rmtree(emperor.base)
    assert ended.status == 1
    assert len(ended.plugin_lines()) == 1 and "nowhere" in ended.plugin_lines()[0]


def test_a_pattern_is_followed_into_folders_that_come_and_go() -> None:
    emperor = Emperor(where="sites/*/vassal.ini")
    sites = emperor.base / "sites"
    sites.mkdir()

    def put(name: str, value: str) -> None:
        (sites / name).mkdir(exist_ok=True)
        (sites / name / "vassal.ini").write_text(emperor.text(name, value))

    put("shop", "first")
    with emperor:
        emperor.wait_answer("shop", "first")
        put("blog", "new")
        emperor.wait_answer("blog", "new")
        put("blog", "changed")
        emperor.wait_answer("blog", "changed")
        shutil.rmtree(sites / "blog")
        emperor.wait_gone("blog")
        put("shop", "second")
        emperor.wait_answer("shop", "second")


def test_two_monitors_with_a_vassal_of_the_same_name_do_not_fight() -> None:
    emperor = running(Emperor(["emperor-freq = 1"]))
    other = emperor.base / "other"
    other.mkdir()
    emperor.options += [f"emperor = fastreload://{other}", f"emperor = dir://{other}"]
    (other / "shop.ini").write_text(emperor.text("shop", "other"))
    (other / "blog.ini").write_text(emperor.text("blog", "one"))
    later = time.time() + 100
    os.utime(other / "shop.ini", (later, later))
    with emperor:
        emperor.wait_answer("blog", "one")
        for value in ("two", "three", "four"):
            (other / "blog.ini").write_text(emperor.text("blog", value))
            emperor.wait_answer("blog", value)
        # uWSGI's monitors tell the one of the two files to reload once; to and fro would be without end.
        assert len(emperor.log.matching(r"reload the uwsgi instance shop.ini")) <= 1


# Events that are lost, and limits.


def test_an_overflow_of_the_queue_loses_nothing(emperor: Emperor) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100000:
        pytest.skip(f"fs.inotify.max_queued_events is {limit}")
    os.kill(emperor.process.pid, signal.SIGSTOP)
    noise = emperor.vassals / "noise"
    for _ in range(limit // 3 + 100):
        noise.write_text("")
        noise.unlink()
    emperor.put("blog", "new")
    emperor.put("shop", "second")
    os.kill(emperor.process.pid, signal.SIGCONT)
    emperor.wait_answer("blog", "new")
    emperor.wait_answer("shop", "second")


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_at_a_limit_it_looks_now_and_then_and_says_so_once(limit: str) -> None:
    wrapper = in_namespace(limit, 0)
    with running(Emperor(["emperor-freq = 1"], wrapper=wrapper)) as emperor:
        for value in ("second", "third"):
            emperor.put("shop", value)
            emperor.wait_answer("shop", value)
        lines = emperor.log.matching(OURS)
        assert len(lines) == 1 and "every 1 seconds" in lines[0], lines
        assert re.search(limit.replace("inotify_", "user_") + "|" + limit, lines[0])


# What is uWSGI's own, and has to stay so.


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a tyrant")
def test_a_tyrant_runs_each_vassal_as_the_owner_of_its_file() -> None:
    emperor = Emperor([NEVER_LOOKS, "emperor-tyrant = true"])
    emperor.base.chmod(0o777)
    with emperor:
        emperor.put("rooted", "never")
        emperor.wait(lambda: emperor.log.matching("invalid permissions for vassal rooted.ini"), 10, "refused")
        emperor.put("shop", "first")
        os.chown(emperor.file("shop"), 65534, 65534)
        emperor.wait_answer("shop", "first")
        assert os.stat(emperor.socket("shop")).st_uid == 65534
        os.chown(emperor.file("shop"), 65533, 65533)
        emperor.wait(
            lambda: emperor.log.matching("permissions of file shop.ini changed"), 10, "it is stopped"
        )
        emperor.wait(lambda: emperor.log.matching("dropping privileges to 65533 65533"), 10, "it starts anew")
        assert emperor.answer("rooted") is None


def test_a_vassal_on_demand_waits_for_its_first_request() -> None:
    with Emperor([NEVER_LOOKS, "emperor-on-demand-extension = .socket"]) as emperor:
        text = emperor.text("shop", "on demand").replace(f"= {emperor.socket('shop')}", "= fd://0")
        emperor.file("shop").write_text(text)
        Path(f"{emperor.file('shop')}.socket").write_text(f"{emperor.socket('shop')}\n")
        emperor.wait(lambda: emperor.log.matching("waiting for connections on socket"), 10, "it waits")
        assert not harness.children_of(emperor.process.pid)
        emperor.wait_answer("shop", "on demand")


# What must hold.


def test_two_hundred_at_once_all_start_and_a_broken_one_stops_nobody() -> None:
    names = [f"v{number:03d}" for number in range(200)]
    with running(Emperor(["emperor-freq = 3", "emperor-throttle = 60000"])) as emperor:
        # Who has failed twice is throttled by uWSGI for a minute.
        emperor.file("v100").write_text("[uwsgi]\nhttp-socket = /no/such/folder/socket\n")
        for name in names:
            if name != "v100":
                emperor.put(name, name)
        for name in names:
            if name != "v100":
                emperor.wait_answer(name, name, 120)
        assert emperor.answer("shop") == "first"
        assert emperor.answer("v100") is None
        failed = r"\[emperor\] removed uwsgi instance v100.ini"
        emperor.wait(lambda: len(emperor.log.matching(failed)) >= 2, 30, "it is throttled")
        emperor.put("v100", "mended")
        emperor.wait_answer("v100", "mended", 10)
        for name in names:
            if name != "v100":
                assert emperor.answer(name) == name
                emperor.file(name).unlink()
        for name in names:
            if name != "v100":
                emperor.wait_gone(name, 60)
        assert emperor.answer("shop") == "first" and emperor.answer("v100") == "mended"


def test_a_saved_vassal_is_reloaded_twenty_times_sooner_than_by_uwsgis_monitor() -> None:
    took: dict[str, list[float]] = {"dir": [], "fastreload": []}
    chance = random.Random()
    with running(Emperor([], monitor="dir://")) as theirs, running(Emperor([])) as ours:
        emperors = {"dir": theirs, "fastreload": ours}
        for number in range(5):
            # uWSGI compares whole seconds; and not always in the same phase of its three.
            time.sleep(1.1 + chance.uniform(0, 1))
            saved = {}
            for name in chance.sample(list(emperors), 2):
                emperors[name].put("shop", f"v{number}")
                saved[name] = time.monotonic()
            waiting = dict(emperors)

            def is_done() -> bool:
                for name in list(waiting):
                    if waiting[name].log.count(RELOADED) > number:
                        took[name].append(time.monotonic() - saved[name])
                        del waiting[name]
                return not waiting

            wait_until(is_done, 15, "both have reloaded their vassal", ours.log.tail)
            for instance in emperors.values():
                instance.wait_answer("shop", f"v{number}")
    assert statistics.median(took["dir"]) > 20 * statistics.median(took["fastreload"]), took


# A vassal's own two lines, in every format that uWSGI reads.


def as_yaml(options: list[tuple[str, str]]) -> str:
    return "uwsgi:\n" + "".join(f"  {key}: {json.dumps(value)}\n" for key, value in options)


def as_json(options: list[tuple[str, str]]) -> str:
    collected: dict[str, object] = {}
    for key, value in options:
        if key in collected:
            before = collected[key]
            collected[key] = [*(before if isinstance(before, list) else [before]), value]
        else:
            collected[key] = value
    return json.dumps({"uwsgi": collected}, indent=1)


def as_xml(options: list[tuple[str, str]]) -> str:
    return "<uwsgi>\n" + "".join(f"<{key}>{value}</{key}>\n" for key, value in options) + "</uwsgi>\n"


def as_ini(options: list[tuple[str, str]]) -> str:
    return "[uwsgi]\n" + "".join(f"{key} = {value}\n" for key, value in options)


FORMATS = {"ini": as_ini, "yaml": as_yaml, "yml": as_yaml, "json": as_json, "js": as_json, "xml": as_xml}


@pytest.mark.parametrize("ending", FORMATS)
def test_a_vassal_reloads_itself_in_every_format(ending: str) -> None:
    vassal = Vassal(("fastreload-include = *.txt",))
    lines = vassal.vassal_ini.read_text().splitlines()[1:]
    options = [tuple(part.strip() for part in line.split("=", 1)) for line in lines if line]
    # A list of JSON has to stand in one place, and the folder of plugins before it.
    options.sort(key=lambda option: option[0] != "plugins-dir")
    vassal.vassal_ini.unlink()
    vassal.vassal_ini.with_suffix(f".{ending}").write_text(FORMATS[ending](options))
    vassal.options = [
        f"plugins-dir = {harness.PLUGIN_DIR}",
        "plugin = fastreload",
        f"emperor = fastreload://{vassal.vassal_ini.parent}",
        NEVER_LOOKS,
    ]
    with vassal:
        vassal.wait_quiet()
        with vassal.expect_exactly_one_reload():
            vassal.put("parts/value.py", "second")
        with vassal.expect_exactly_one_reload():
            vassal.save("notes.txt", "counts")
        starts = vassal.log.count(harness.IMAGE)
        path = vassal.vassal_ini.with_suffix(f".{ending}")
        path.write_text(FORMATS[ending]([*options, ("procname-prefix", "changed")]))
        vassal.wait(lambda: vassal.log.count(harness.IMAGE) > starts, 20, "the Emperor reloads it")
        vassal.wait_served()


# The configuration in configs/emperor, as it stands.


def test_the_emperor_in_configs_serves_two_vassals_that_reload(tmp_path: Path) -> None:
    shutil.copytree(harness.CHECKOUT / "configs/emperor", tmp_path / "configs/emperor")
    ignored = shutil.ignore_patterns("__pycache__", "*.sqlite3", "*.pyc")
    shutil.copytree(harness.CHECKOUT / "tests/project", tmp_path / "tests/project", ignore=ignored)
    (tmp_path / "build").symlink_to(harness.PLUGIN_DIR)
    folder = tmp_path / "configs/emperor"
    shop, hello = harness.free_port(), harness.free_port()

    class Configured(harness.Server):
        def command(self) -> list[str]:
            return [harness.UWSGI, str(folder / "emperor.ini")]

    def page(port: int, path: str) -> str:
        try:
            return harness.http_get(("127.0.0.1", port), path).text
        except OSError:
            return ""

    with Configured([], env={"SHOP_PORT": str(shop), "HELLO_PORT": str(hello)}) as server:
        views, script = tmp_path / "tests/project/pages/views.py", folder / "hello/hello.py"
        server.wait(lambda: page(hello, "/").startswith("Edit me"), 30, "hello answers")
        server.wait(lambda: page(shop, "/pages/version/"), 30, "the shop answers")
        server.wait(lambda: server.log.count(harness.ARMED) == 2, 20, "both watch their files")
        script.write_text(script.read_text().replace("Edit me", "Edited"))
        server.wait(lambda: page(hello, "/").startswith("Edited"), 20, "hello's new code")
        views.write_text(re.sub(r'^VERSION = .*$', 'VERSION = "edited"', views.read_text(), flags=re.M))
        server.wait(lambda: "edited" in page(shop, "/pages/version/"), 20, "the shop's new code")
        before = server.log.count(RELOADED)
        vassal = folder / "vassals/hello.yaml"
        moved = harness.free_port()
        vassal.write_text(vassal.read_text().replace("%(hello-port)", str(moved)))
        server.wait(lambda: server.log.count(RELOADED) > before, 2.5, "the Emperor has heard of it")
        server.wait(lambda: page(moved, "/").startswith("Edited"), 20, "hello has moved")
        (folder / "vassals/shop.ini").unlink()
        server.wait(lambda: not page(shop, "/pages/version/"), 20, "the shop is closed")
