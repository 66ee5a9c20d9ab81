#!/usr/bin/python3
"""Measures the time from a save to the first answer by new code, and what that costs, everything side by side in one run.

    saves   uWSGI's own mechanisms, this plugin, other servers, and the physical floor, on the project in tests/project
    heavy   the same kind of edit in a project that takes a second to import
    cost    time to start and memory at rest, with and without the plugin
    load    requests lost while clients ask without pause (see generations.py)
    watching  what it costs to watch a tree of 100,000 files, beside programs that only watch (see watching.py)

All contenders of the parts saves and heavy run at the same time, each on a copy of its own, and take turns in rounds of random order, so that whatever
else the machine does hits them alike. Prints tables, and leaves results.json and chart.svg in --output.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Sequence

import chart
import contenders
import cost
import floor
import generations
import measure
import copies
import watching
from contenders import Fastreload, FastreloadPreload, GunicornInotify, PyAutoreload, TouchReload
from figures import NAN, Goal, Result, best, goals_table, ratio, saves_table
from tools import editors, harness

PARTS = ["saves", "heavy", "cost", "load", "watching"]
KINDS = [*contenders.MECHANISMS, *contenders.PEERS, Fastreload, floor.Floor, floor.DeepFloor]
OUTPUT = harness.CHECKOUT / "build" / "bench"
TITLE = "From the end of a save to the first answer by the new code"
HEAVY_HEADING = """\
The same kind of edit in a heavy project (Django REST framework, pandas, numpy): of a view module that
is imported before them (early; and with fastreload-preload), that imports them itself (views), or that
is imported when they are there (late); and in the small project."""
COST_HEADING = "From the exec to the first answer, and the memory of all processes."


class Bench:
    """One run: what was asked for, and what came of it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.chance = random.Random(options.seed)
        self.results: dict[str, object] = {"machine": contenders.machine(), "skipped": []}
        self.goals: list[Goal] = []
        self.small_ms = NAN

    def wanted(self, kinds: Sequence[type]) -> list[type]:
        """Returns those that were asked for and are there; says aloud which are not."""
        chosen = [k for k in kinds if not self.options.only or contenders.short_name(k) in self.options.only]
        servers, absent = contenders.available([k for k in chosen if not issubclass(k, floor.Floor)])
        for sentence in absent:
            self.skip(sentence)
        return [k for k in chosen if k in servers or issubclass(k, floor.Floor)]

    def compete(self, contestants: Sequence[measure.Contestant], saves: int) -> list[Result]:
        """Starts all of them, lets them take turns, and returns what they did."""
        with contextlib.ExitStack() as stack:
            for contestant in contestants:
                stack.enter_context(contestant)
            ready = [contestant for contestant in contestants if self.is_ready(contestant)]
            measure.take_turns(ready, saves, self.options.how, self.chance)
        return [contestant.result for contestant in ready]

    def is_ready(self, contestant: measure.Contestant) -> bool:
        """Waits for it. Another server that does not work on this machine is left out, aloud."""
        try:
            contestant.wait_ready()
        except AssertionError as error:
            if not isinstance(contestant, contenders.Peer):
                raise
            self.skip(f"skipped: {contestant.name}: {error}")
            contestant.stop()
            return False
        return True

    def skip(self, sentence: str) -> None:
        """Says aloud, and in the results, what is not measured."""
        print(sentence)
        self.results["skipped"].append(sentence)

    def run_saves(self) -> None:
        """The small project, everybody."""
        kinds = self.wanted([kind for kind in KINDS if kind is not floor.DeepFloor])
        for kind in kinds:
            if issubclass(kind, contenders.Peer) and kind.about():
                print(f"{kind.name}: {kind.about()}")
        results = self.compete([kind() for kind in kinds], self.options.saves)
        medians = {result.name: result.median_ms for result in results}
        self.small_ms = medians.get(Fastreload.name, NAN)
        note = f"Django project, {contenders.Contender.workers} uWSGI workers, {self.options.saves} saves each"
        print(f"\n{TITLE}; {note}.\n\n{saves_table(results, self.small_ms)}")
        self.results["saves"] = [result.as_json() for result in results]
        svg = chart.draw(results, Fastreload.name, TITLE, [note, self.results["machine"]["what"]])
        (self.options.output / "chart.svg").write_text(svg)
        self.judge_saves(medians)

    def judge_saves(self, medians: dict[str, float]) -> None:
        """Adds the goals that the medians of the small project are held to."""
        for kind in (TouchReload, PyAutoreload):
            measured = ratio(medians.get(kind.name, NAN), self.small_ms)
            self.goals.append(Goal(f"{kind.name} / fastreload", 80, measured, True))
        name, peer_ms = best(medians, [kind.name for kind in contenders.PEERS])
        to_peer = ratio(peer_ms, self.small_ms)
        self.goals.append(Goal(f"best peer, {name or '-'} / fastreload", 12, to_peer, True))
        to_floor = ratio(self.small_ms, medians.get(floor.Floor.name, NAN))
        self.goals.append(Goal("fastreload / floor", 2.5, to_floor, False))

    def has_heavy(self) -> bool:
        """Tells whether this machine has what the heavy project imports."""
        return all(map(importlib.util.find_spec, copies.HEAVY_NEEDS))

    def run_heavy(self) -> None:
        """The heavy project, edited where it matters, beside the small one."""
        if not self.has_heavy():
            self.skip(f"skipped: the heavy project: it needs {', '.join(copies.HEAVY_NEEDS)}")
            return
        contestants: list[measure.Contestant] = []
        for kind in self.wanted([TouchReload, GunicornInotify, Fastreload, floor.Floor, floor.DeepFloor]):
            edits = [copies.HEAVY_VIEWS]
            if kind in (Fastreload, floor.Floor, floor.DeepFloor):
                edits = [copies.SMALL, *copies.HEAVY]
            contestants += [kind(project, f"{kind.name}, {project.name}") for project in edits]
            if kind is Fastreload:
                contestants.append(FastreloadPreload(copies.HEAVY_EARLY, f"{kind.name}, early, preload"))
        results = self.compete(contestants, self.options.rounds)
        medians = {result.name: result.median_ms for result in results}
        small_ms = medians.get(f"{Fastreload.name}, small", NAN)
        print(f"\n{HEAVY_HEADING}\n\n{saves_table(results, small_ms)}")
        self.results["heavy"] = [result.as_json() for result in results]
        for name in [*(project.name for project in copies.HEAVY), "early, preload"]:
            heavy_ms = medians.get(f"{Fastreload.name}, {name}", NAN)
            for below, limit, below_ms in [
                ("small", 2, small_ms),
                ("floor", 2.5, medians.get(f"{floor.Floor.name}, {name.split(',')[0]}", NAN)),
            ]:
                what = f"heavy, {name} / {below}"
                self.goals.append(Goal(what, limit, ratio(heavy_ms, below_ms), False))

    def run_cost(self) -> None:
        """Start and memory."""
        if self.wanted([Fastreload]):
            edited = {"small": copies.SMALL}
            if self.has_heavy():
                edited["heavy"] = copies.HEAVY_VIEWS
            costs = cost.run(edited, self.options.rounds, self.chance)
            print(f"\n{COST_HEADING}\n\n{cost.table(costs)}")
            self.results["cost"] = [vars(each) for each in costs]
            for each in costs:
                self.goals.append(Goal(f"start, {each.project}", 1.1, each.start_ratio(), False))
                for when, measured in zip(("started", "after reloads"), each.memory_ratios()):
                    self.goals.append(Goal(f"memory at rest, {each.project}, {when}", 1.6, measured, False))

    def run_load(self) -> None:
        """What clients notice."""
        outcomes = generations.run(self.options.reloads, self.options.load_s, self.chance)
        print(f"\n{generations.heading(self.options.load_s)}\n\n{generations.table(outcomes)}")
        self.results["load"] = [vars(outcome) for outcome in outcomes]

    def run_watching(self) -> None:
        """A large tree."""
        outcome = watching.run(self.options.tree, self.options.rounds, self.chance, self.skip)
        print(f"\n{watching.HEADING}\n\n{watching.table(outcome)}\n\n{watching.checkout_line(outcome.checkout)}")
        self.results["watching"] = {
            "contenders": [result.as_json() for result in outcome.results],
            "checkout": outcome.checkout.as_json(),
        }
        self.goals += watching.goals(outcome)

    def run(self) -> None:
        """Runs the parts that were asked for."""
        self.options.output.mkdir(parents=True, exist_ok=True)
        here = self.results["machine"]
        print(here["what"], here["processor"], f"load average {here['load'][0]:.2f}", sep="; ")
        begun = time.monotonic()
        path = self.options.output / "results.json"
        for part in PARTS:
            if part in self.options.part:
                getattr(self, f"run_{part}")()
                self.results["goals"] = [goal.as_json() for goal in self.goals]
                here["load_at_end"] = os.getloadavg()
                path.write_text(json.dumps(self.results, indent=2) + "\n")
        if self.goals:
            print(f"\nGoals, by the medians above.\n\n{goals_table(self.goals)}")
        took_s, load = time.monotonic() - begun, here["load_at_end"][0]
        print(f"\n{took_s:.0f} s; load average {load:.2f}; all figures are in {path}")


def positive(text: str) -> int:
    """Returns a number from the command line that is one at least."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("one at least")
    return number


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    names = [contenders.short_name(kind) for kind in KINDS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--part", action="append", choices=PARTS, help="only this part; repeatable")
    add("--only", action="append", choices=names, help="only this contender; repeatable")
    add("--saves", type=positive, default=12, metavar="N", help="each, in the part saves (12)")
    add("--rounds", type=positive, default=6, metavar="N", help="in the parts heavy, cost and watching (6)")
    add("--reloads", type=positive, default=3, metavar="N", help="each, in the part load (3)")
    add("--load-s", type=float, default=2.0, metavar="S", help="to load, in the part load (2)")
    add("--tree", type=Path, metavar="FOLDER", help="where the part watching has its tree (/dev/shm)")
    add("--how", default="inplace", choices=list(editors.PATTERNS), help="kind of save (inplace)")
    add("--seed", type=int, help="repeat the order and phases of a run")
    add("--output", type=Path, default=OUTPUT, metavar="FOLDER", help="for what it leaves")
    options = parser.parse_args()
    options.part = options.part or PARTS
    return options


def main() -> int:
    """Runs the benchmark."""
    sys.stdout.reconfigure(line_buffering=True)
    options = arguments()
    if not options.only or Fastreload.name in options.only or "load" in options.part:
        try:
            harness.require_plugin()
        except RuntimeError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    Bench(options).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
