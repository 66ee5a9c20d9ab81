"""The pieces of the browser's benchmark where a wrong figure could hide: what is edited, what counts as seen, and the clock."""

from __future__ import annotations

import itertools
import math
import random
import time

import pytest

import browser
import measure
from figures import Result


class Paper(browser.Site):
    """A site of files alone."""

    name = "paper"

    def __init__(self, folder):
        self.folder = folder
        (folder / "a.css").write_text(browser.STYLE)
        (folder / "a.html").write_text("<b>1</b>")
        (folder / "two.html").write_text("<b>1</b><b>1</b>")

    def url(self):
        return "about:blank"

    def edits(self):
        return {
            "style": browser.Edit(self.folder / "a.css", browser.STYLE_PREFIX),
            "template": browser.Edit(self.folder / "a.html", "<b>"),
            "code": browser.Edit(self.folder / "two.html", "<b>"),
        }


class Screen:
    """A browser that has seen what it is told, on a clock that is so far off."""

    def __init__(self, seen, off_ms=0.0):
        self.seen, self.off_ms = seen, off_ms

    def open(self, url):
        pass

    def wait(self, script, what):
        pass

    def run(self, script):
        return time.time() * 1000 + self.off_ms if "timeOrigin" in script else self.seen


def test_each_version_has_a_color_of_its_own():
    colors = [browser.value_of("style", version) for version in itertools.islice(measure.versions(), 1000)]
    assert len(set(colors)) == 1000


def test_an_edit_is_of_one_place(tmp_path):
    site = Paper(tmp_path)
    site.save("style", "258..", "inplace")
    assert (tmp_path / "a.css").read_text() == "#version { color: rgb(1, 2, 77); }\n"
    site.save("template", "3...", "atomic")
    assert (tmp_path / "a.html").read_text() == "<b>3...</b>"
    with pytest.raises(ValueError):
        site.save("code", "4", "inplace")


@pytest.mark.parametrize("off_ms", [-500.0, 500.0])
def test_a_clock_that_is_off_is_no_clock(off_ms):
    browser.check_clock(Screen([]))
    with pytest.raises(RuntimeError):
        browser.check_clock(Screen([], off_ms))


def test_the_first_frame_with_the_version_counts_and_another_field_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(browser, "LOST_AFTER_S", 0.3)
    now_ms = time.time() * 1000
    seen = [
        ["2. / 1 / - / rgb(0, 0, 0)", now_ms + 1000],
        ["1 / 2. / - / rgb(0, 0, 0)", now_ms + 5000],
        ["1 / 2. / - / rgb(0, 0, 1)", now_ms + 9000],
    ]
    turn = browser.Contestant(Paper(tmp_path), "template", Screen(seen), random.Random(1))
    assert turn.measure("2.", "inplace")
    assert 3500 < turn.result.served_ms[0] < 5000
    assert not turn.measure("3", "inplace") and turn.result.lost == 1


def test_the_plugin_is_held_to_the_same_kind_of_edit():
    results = [
        Result("fastreload: code", [30.0]),
        Result("fastreload: style", [50.0]),
        Result(f"{browser.Vite.name}: code", [20.0]),
        Result(f"{browser.Vite.name}: style", [20.0]),
        Result(f"{browser.Runserver.name}: code", [3000.0]),
    ]
    held = {goal.what: goal for goal in browser.goals(results)}
    assert held["fastreload / Vite: code"].is_met and not held["fastreload / Vite: style"].is_met
    assert math.isnan(held["fastreload / Vite: template"].measured)
    assert held[f"{browser.Runserver.name} / fastreload: code"].measured == 100.0


def test_pages_that_wait_are_held_to_what_requests_take_without_them():
    measured = {1: browser.waiting.Times([1.0, 2.0, 3.0], [1.0, 2.1, 9.0]), 8: browser.waiting.Times([1.0], [1.2])}
    held = browser.waiting_goals(measured)
    assert [goal.is_met for goal in held] == [True, False]
    assert browser.waiting_json(1, measured[1])["with"] == {"requests": 3, "median_ms": 2.1, "p90_ms": 9.0}
