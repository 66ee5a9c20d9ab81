"""The pieces of the benchmark where a wrong result could hide: statistics, which answer is new code, and what is added up."""

from __future__ import annotations

import argparse
import math
import os
import socket
import subprocess
import sys
import time
from xml.dom import minidom

import pytest

import bench
import chart
import contenders
import cost
import figures
import floor
import measure
import copies
import watching
from figures import NAN, Goal, Result
from tools import harness

# ---- figures ----


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.9, 5.0),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], 0.9, 9.0),
        ([10.0, 1.0, 9.0, 2.0, 8.0, 3.0, 7.0, 4.0, 6.0, 5.0], 0.91, 10.0),
        ([1.0, 2.0, 3.0], 1.0, 3.0),
        ([1.0, 2.0, 3.0], 0.0, 1.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
    ],
)
def test_a_quantile_is_a_value_that_was_measured(values, share, expected):
    assert figures.quantile(values, share) == expected


def test_a_product_a_hair_above_a_whole_number_is_that_number():
    assert 0.07 * 100 > 7
    assert figures.quantile([float(n) for n in range(1, 101)], 0.07) == 7.0


def test_nothing_measured_is_no_number():
    assert math.isnan(figures.median([]))
    assert math.isnan(figures.quantile([], 0.9))
    assert math.isnan(figures.ratio(1.0, NAN))
    assert math.isnan(figures.ratio(1.0, 0.0))
    assert Result("x").as_json()["median_ms"] is None


def test_the_median_of_an_even_number_lies_between():
    assert figures.median([1.0, 10.0, 2.0, 3.0]) == 2.5


@pytest.mark.parametrize(
    ("limit", "measured", "is_minimum", "is_met"),
    [
        (80, 80.0, True, True),
        (80, 79.9, True, False),
        (2.5, 2.5, False, True),
        (2.5, 2.51, False, False),
        (80, NAN, True, False),
        (2.5, NAN, False, False),
    ],
)
def test_a_goal_is_met_at_its_bound_and_never_unmeasured(limit, measured, is_minimum, is_met):
    goal = Goal("x", limit, measured, is_minimum)
    assert goal.is_met is is_met
    assert goal.row()[-1] == ("-" if math.isnan(measured) else "met" if is_met else "MISSED")


def test_the_best_is_the_quickest_of_those_that_were_measured():
    medians = {"a": 3.0, "b": 2.0, "c": NAN, "fastest, but not asked for": 1.0}
    assert figures.best(medians, ["a", "b", "c", "absent"]) == ("b", 2.0)
    assert figures.best(medians, ["c"])[0] == ""


def test_ratios_of_the_table_are_to_the_time_given():
    slow, quick = Result("slow", [100.0, 200.0, 900.0], requests=9), Result("quick", [10.0])
    slow.failures = {"status 500": 2, "ConnectionRefusedError": 1}
    lines = figures.saves_table([slow, quick], 10.0).splitlines()
    assert lines[2].split() == ["slow", "3", "200", "900", "900", "20.0", "x", "0", "3", "of", "9", "0"]
    assert lines[3].split()[5:7] == ["1.00", "x"]


# ---- which answer is new code ----


@pytest.mark.parametrize("status, text", [(500, "7\n"), (404, "7\n"), (200, ""), (200, "\n")])
def test_what_is_no_good_answer_is_a_failure_and_no_version(status, text):
    with pytest.raises(OSError):
        measure.version_in(harness.Response(status, text))


def test_a_version_is_compared_whole():
    assert measure.version_in(harness.Response(200, "12..\n")) == "12.."


def test_each_version_is_new_and_as_long_as_neither_neighbour():
    source = measure.versions()
    seen = [next(source) for _ in range(2000)]
    assert len(set(seen)) == len(seen)
    assert all(len(one) != len(other) for one, other in zip(seen, seen[1:]))


class Clockwork:
    """A server that serves the saved version so long after the save, and fails for a while before that."""

    def __init__(self, takes_s: float, fails_from_s: float = 9.0, relapses_s: float = 0.0) -> None:
        self.takes_s, self.fails_from_s, self.relapses_s = takes_s, fails_from_s, relapses_s
        self.copy, self.result = self, Result("clockwork")
        self.old, self.new, self.saved_at = "1", "1", 0.0

    def save(self, version: str, how: str) -> None:
        self.new, self.saved_at = version, time.monotonic()

    def after_save(self) -> None:
        pass

    def ask(self, timeout_s: float = 1.0) -> str:
        since = time.monotonic() - self.saved_at
        if self.old == self.new or since < self.fails_from_s and since < self.takes_s:
            return self.old
        if since < self.takes_s:
            raise ConnectionRefusedError
        is_relapse = self.relapses_s and int((since - self.takes_s) / self.relapses_s) % 2 == 1
        return self.old if is_relapse else self.new


def test_the_time_is_that_of_the_first_new_answer():
    server = Clockwork(0.2)
    assert measure.save_and_measure(server, "12", "inplace")
    assert 200 <= server.result.served_ms[0] < 500
    assert (server.result.failed(), server.result.stale, server.result.lost) == (0, 0, 0)


def test_an_answer_that_only_begins_alike_is_not_the_new_code():
    server = Clockwork(0.2)
    server.old = "1"
    assert measure.save_and_measure(server, "1.", "inplace")
    assert server.result.served_ms[0] >= 200


def test_failed_requests_are_counted_by_the_light_client_and_are_no_answer():
    server = Clockwork(0.5, fails_from_s=0.1)
    assert measure.save_and_measure(server, "2", "inplace")
    assert server.result.served_ms[0] >= 500
    assert server.result.failures.keys() == {"ConnectionRefusedError"}
    assert 0 < server.result.failed() < server.result.requests


def test_a_save_that_is_never_served_is_lost_and_has_no_time(monkeypatch):
    monkeypatch.setattr(measure, "LOST_AFTER_S", 0.2)
    server = Clockwork(60.0)
    assert not measure.save_and_measure(server, "2", "inplace")
    assert (server.result.lost, server.result.served_ms, server.result.stale) == (1, [], 0)


def test_old_code_that_answers_after_the_new_is_counted():
    server = Clockwork(0.1, relapses_s=0.05)
    assert measure.save_and_measure(server, "2", "inplace")
    assert server.result.stale > 0


def test_an_old_answer_to_what_was_asked_before_the_new_one_is_not_stale():
    result = Result("x")
    answers = [
        measure.Answer(1.0, "old"),
        measure.Answer(2.0, "old"),  # On its way while the new code answered somebody else.
        measure.Answer(2.1, "new"),
        measure.Answer(2.2, "old"),
        measure.Answer(2.3, "", "status 502"),
    ]
    measure.count_answers(result, answers, "new", 2.05)
    assert (result.stale, result.requests, result.failures) == (1, 5, {"status 502": 1})


def test_an_edit_needs_exactly_one_line_with_the_version():
    assert copies.with_version('a = 1\nVERSION = "1"\n', "2.") == 'a = 1\nVERSION = "2."\n'
    for text in ('a = "VERSION"\n', 'VERSION = "1"\nVERSION = "1"\n'):
        with pytest.raises(ValueError):
            copies.with_version(text, "2")


# ---- the floor ----


@pytest.mark.parametrize("kind", [floor.Floor, floor.DeepFloor])
def test_the_floor_is_of_what_was_saved(kind):
    with kind() as ground:
        ground.wait_ready()
        assert ground.measure("2.", "inplace") and ground.measure("3..", "atomic")
        path = ground.copy.base / "app" / ground.copy.project.edited
        path.write_text(path.read_text() + "\nimport nothing_of_that_name\n")
        assert not ground.measure("4...", "inplace"), "what cannot be imported is lost"
        path.write_text(path.read_text().replace("import nothing", "# import nothing"))
        assert ground.measure("5....", "inplace")
        assert len(ground.result.served_ms) == 3 and min(ground.result.served_ms) > 0
        assert ground.result.lost == 1


def test_the_floor_of_a_module_that_is_not_imported_is_an_error():
    astray = copies.SMALL._replace(edited="manage.py")
    with floor.Floor(astray) as ground, pytest.raises(RuntimeError):
        ground.wait_ready()


# ---- memory ----


def test_the_memory_of_an_instance_is_that_of_all_its_processes():
    grow = "import os, time; block = bytearray(os.urandom(1 << 20) * 20); print(flush=True); time.sleep(60)"
    spawn = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grow!r}])"
    parent = subprocess.Popen([sys.executable, "-c", spawn], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert parent.stdout.read(1) == b"\n"
        total, processes = cost.steady(parent.pid)
        assert processes == 2
        assert total > harness.pss_kb(parent.pid) + 20 * 1024
    finally:
        harness.end_process_tree(parent)
        parent.stdout.close()


def test_a_port_is_free_when_nobody_listens_on_it_any_more():
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not cost.is_free(port)
    assert cost.is_free(port)


def test_the_cost_is_with_over_without():
    each = cost.Cost("x", {cost.WITH.name: [11.0, 11.0], cost.WITHOUT.name: [10.0]})
    each.started_kb = {cost.WITH.name: 300, cost.WITHOUT.name: 200}
    each.rested_kb = {cost.WITH.name: 100, cost.WITHOUT.name: 200}
    assert each.start_ratio() == pytest.approx(1.1)
    assert each.memory_ratios() == (1.5, 0.5)


# ---- contenders and chart ----


def test_every_contender_has_a_name_of_its_own():
    kinds = [*contenders.MECHANISMS, *contenders.PEERS, contenders.Fastreload, floor.Floor, floor.DeepFloor]
    names = [contenders.short_name(kind) for kind in kinds]
    assert len(set(names)) == len(names)


def test_what_is_missing_is_named_and_left_out():
    class Absent(contenders.Peer):
        name = "absent"
        needs_modules = ("no_module_of_that_name",)
        needs_programs = ("no-program-of-that-name",)

    there, absent = contenders.available([contenders.TouchReload, Absent])
    assert there == [contenders.TouchReload]
    assert len(absent) == 1 and "no_module_of_that_name" in absent[0] and "no-program-of-that-name" in absent[0]


def test_a_peer_that_does_not_start_is_skipped_aloud(capsys):
    class Broken(contenders.Peer):
        name = "broken"

        def python(self):
            return ["-c", "import sys; sys.exit('cannot be started here')"]

    run = bench.Bench(argparse.Namespace(seed=1, how="inplace"))
    peer = Broken()
    assert run.compete([peer], 1) == []
    assert "skipped: broken" in capsys.readouterr().out
    assert "cannot be started here" in run.results["skipped"][0]
    assert not peer.base.exists()


def test_the_chart_says_in_words_what_its_bars_show():
    results = [Result("slow <&>", [1000.0, 2000.0, 3000.0]), Result("quick", [200.0]), Result("lost")]
    root = minidom.parseString(chart.draw(results, "quick", "A title", ["a note", "another"])).documentElement
    assert root.getAttribute("role") == "img"
    assert root.getElementsByTagName("title")[0].firstChild.data == "A title"
    told = root.getElementsByTagName("desc")[0].firstChild.data
    assert "slow <&>: 2,000 ms" in told and "quick: 200 ms" in told and "a note. another." in told
    assert "lost" not in told
    slow, quick = (float(bar.getAttribute("width")) for bar in root.getElementsByTagName("rect"))
    assert slow == pytest.approx(10 * quick, rel=0.01)
    width = float(root.getAttribute("width"))
    assert all(float(text.getAttribute("x")) < width - 60 for text in root.getElementsByTagName("text"))


def test_the_bench_of_one_contender_prints_and_leaves_its_figures(tmp_path):
    pytest.importorskip("django")
    script = os.path.join(os.path.dirname(__file__), "bench.py")
    command = [sys.executable, script, "--part", "saves", "--saves", "1", "--only", "touch-reload"]
    done = subprocess.run([*command, "--output", tmp_path], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "touch-reload / fastreload" in done.stdout
    assert (tmp_path / "chart.svg").exists() and '"touch-reload"' in (tmp_path / "results.json").read_text()


# ---- watching ----


def test_the_tree_is_as_large_as_it_says(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(watching, "FOLDERS", 90)
    folders = watching.plant(tmp_path / "tree")
    made = [len(files) for _, _, files in os.walk(tmp_path / "tree")]
    assert 90 <= len(made) <= 95
    assert 0.95 * 90 * watching.FILES_EACH <= sum(made) <= 90 * watching.FILES_EACH + 2
    assert len(folders) == 60
    assert not [folder for folder in folders if not (folder / watching.SAVED).exists()]


def test_the_plugins_share_is_the_difference_of_the_medians() -> None:
    alone = watching.Figures("uWSGI alone", [100.0, 300.0, 200.0], [], [5000.0], [40.0], 0)
    both = watching.Figures("uWSGI, fastreload", [500.0, 700.0, 600.0], [1.0, 3.0], [9000.0], [50.0], 7)
    share, *more = watching.added({each.name: each for each in (alone, both)})
    assert not more
    assert (share.name, share.armed_ms, share.pss_kb) == ("fastreload", [400.0], [4000.0])
    assert (share.idle_us, share.event_ms, share.pinned) == ([10.0], [1.0, 3.0], 7)


def test_a_line_is_found_that_comes_while_it_is_awaited(tmp_path) -> None:
    watcher = watching.Watcher(tmp_path, tmp_path)
    watcher.spawn(["sh", "-c", "echo one; sleep 0.2; echo two a/b.py"])
    try:
        begun = time.monotonic()
        assert watcher.wait_line("a/b.py", 10.0) > begun
        assert watcher.wait_line("three", 0.05) is None
        assert watcher.wait_line("one", 10.0) is not None
        assert watcher.wait_line("one", 0.05, len(watcher.lines)) is None
    finally:
        watcher.stop()
