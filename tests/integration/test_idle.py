"""At idle the plugin costs nothing: no wake-up and no CPU time beyond uWSGI's own."""

from __future__ import annotations

import time

import pytest

import apps
from harness import Instance, cpu_ns, cpu_ticks, wake_ups

IDLE_S = 30.0
# Some hundred folders and files, so that a walk or a poll would show.
FILES = {
    **apps.WSGI,
    **{f"library/{n % 40}/{n % 7}/module_{n}.py": "A = 1\n" for n in range(800)},
}


def usage(pid: int) -> tuple[int, int, int]:
    """Returns ticks, nanoseconds and wake-ups of a process so far."""
    return cpu_ticks(pid), cpu_ns(pid), wake_ups(pid)


@pytest.mark.slow
def test_half_a_minute_of_idle_costs_no_more_than_without_the_plugin() -> None:
    with Instance(FILES) as with_plugin, Instance(FILES, plugin=False) as without:
        # A reload first: what a reload leaves behind must be idle too.
        with_plugin.put("parts/value.py", "second")
        with_plugin.wait_served()
        with_plugin.wait_quiet(2.0)
        pids = [with_plugin.master_pid, without.master_pid]
        before = [usage(pid) for pid in pids]
        time.sleep(IDLE_S)  # Idling is the subject: there is nothing to wait for.
        after = [usage(pid) for pid in pids]
        (ticks, nanoseconds, woken), (own_ticks, own_nanoseconds, own_woken) = (
            tuple(b - a for a, b in zip(*pair)) for pair in zip(before, after)
        )
        print(f"ticks {ticks}/{own_ticks}, ms {nanoseconds / 1e6:.2f}/{own_nanoseconds / 1e6:.2f}")
        print(f"wake-ups {woken}/{own_woken}")
        # uWSGI's master wakes once per second by itself; the phase may cost or save one.
        assert woken <= own_woken + 2
        assert ticks <= own_ticks + 2
        assert nanoseconds <= own_nanoseconds * 1.5 + 5_000_000


def test_what_does_not_count_does_not_keep_the_master_busy() -> None:
    with Instance(FILES) as app:
        app.wait_quiet()
        before = cpu_ns(app.master_pid)
        for number in range(2000):
            app.save("notes.log", f"line {number}\n")
        app.mark()
        assert cpu_ns(app.master_pid) - before < 2_000_000_000
        assert app.generations() == 2
