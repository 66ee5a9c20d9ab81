#!/usr/bin/python3
"""Measures how long after the save of a vassal's file it is reloaded, imperial monitor beside monitor.

Each contender is an Emperor with one vassal, all the same but for the monitor. All run at the same time and
take turns in rounds of random order. Two moments are taken, both from the end of the save: when the Emperor
tells the vassal to reload, and when the first answer comes that the new configuration makes.

The vassals have fastreload's two lines, by which a vassal's own reload takes what it has to and not up to a
second more (README.rst): so what is compared is the monitors.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

import harness  # noqa: E402
from emperors import RELOADED, Emperor  # noqa: E402

MONITORS = ["dir://", "fastreload://"]
REFERENCE = "fastreload://"
LOST_AFTER_S = 20.0
POLL_PAUSE_S = 0.001
# uWSGI compares whole seconds: a save gets the time that it needs, so that what is measured is speed and not gaps.
REST_S = 1.5
# What uWSGI's monitor waits between two looks: the saves come at any moment of it.
PHASE_S = 3.0


@dataclass
class Result:
    """What one monitor did."""

    name: str
    told_ms: list[float] = field(default_factory=list)
    answered_ms: list[float] = field(default_factory=list)
    lost: int = 0


def start(stack: contextlib.ExitStack, monitor: str) -> Emperor:
    """Starts an Emperor whose vassal answers."""
    lines = [f"plugins-dir = {harness.PLUGIN_DIR}", "plugin = fastreload"]
    emperor = Emperor([], monitor=monitor, lines=lines)
    # A folder of its own without a file: the vassal is reloaded by its Emperor alone.
    (emperor.base / "code").mkdir()
    emperor.lines.append(f"fastreload-dir = {emperor.base / 'code'}")
    emperor.put("shop", "0")
    stack.enter_context(emperor)
    emperor.wait_answer("shop", "0")
    return emperor


def await_both(emperor: Emperor, value: str, saved: float, before: int) -> tuple[float, float] | None:
    """Returns when the vassal was told and when it answered, in seconds after the save; or nothing."""
    told = None
    while (now := time.monotonic() - saved) < LOST_AFTER_S:
        if told is None and emperor.log.count(RELOADED) > before:
            told = now
        if told is not None and emperor.answer("shop") == value:
            return told, time.monotonic() - saved
        time.sleep(POLL_PAUSE_S)
    return None


def run(emperors: dict[str, Emperor], saves: int, chance: random.Random) -> list[Result]:
    """Lets the monitors take turns."""
    results = {name: Result(name) for name in emperors}
    for turn in range(saves):
        for name in chance.sample(list(emperors), len(emperors)):
            emperor, result = emperors[name], results[name]
            time.sleep(REST_S + chance.uniform(0.0, PHASE_S))
            before = emperor.log.count(RELOADED)
            emperor.put("shop", str(turn + 1))
            times = await_both(emperor, str(turn + 1), time.monotonic(), before)
            if times is None:
                result.lost += 1
                continue
            result.told_ms.append(times[0] * 1000)
            result.answered_ms.append(times[1] * 1000)
        if sys.stderr.isatty():
            print(f"\rround {turn + 1} of {saves}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r" + " " * 30 + "\r", end="", file=sys.stderr)
    return list(results.values())


def median(times: list[float]) -> float:
    """Returns the median, or no number where there is none."""
    return statistics.median(times) if times else float("nan")


def table(results: list[Result]) -> str:
    """Returns the results as a table, one monitor a line."""
    reference = next((r for r in results if r.name == REFERENCE), None)
    rows = [["monitor", "saves", "told: median ms", "max ms", "ratio", "answers: median ms", "max ms", "ratio", "lost"]]
    for result in results:
        row = [result.name, str(len(result.told_ms))]
        for kind in ("told_ms", "answered_ms"):
            times = getattr(result, kind)
            ratio = median(times) / median(getattr(reference, kind)) if reference else float("nan")
            row += [f"{median(times):.0f}", f"{max(times, default=float('nan')):.0f}", f"{ratio:.1f} x"]
        rows.append([*row, str(result.lost)])
    widths = [max(map(len, cells)) for cells in zip(*rows)]
    lines = ["  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--saves", type=int, default=20, metavar="N", help="saves per monitor (20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw numbers there")
    parser.add_argument("--seed", type=int, default=None, help="repeat the order and phases of a run")
    options = parser.parse_args()
    if options.saves < 1:
        parser.error("--saves: one at least")
    return options


def main() -> int:
    """Runs the comparison and prints it."""
    options = arguments()
    try:
        harness.require_plugin()
    except RuntimeError as error:
        print(f"emperor: {error}", file=sys.stderr)
        return 1
    with contextlib.ExitStack() as stack:
        emperors = {monitor: start(stack, monitor) for monitor in MONITORS}
        results = run(emperors, options.saves, random.Random(options.seed))
    print("From the save of a vassal's file until the Emperor tells it to reload, and until it answers anew.\n")
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
