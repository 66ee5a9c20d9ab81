"""The harness itself, shown right on uWSGI's own touch-reload, which needs no plugin."""

from __future__ import annotations

import os
import time

import pytest

import editors
from harness import Instance, children_of, process_state


def touch_reload(**options: object) -> Instance:
    """Returns an instance that reloads when a file beside the application is touched."""
    instance = Instance(plugin=False, **options)
    trigger = instance.base / "trigger"
    trigger.write_text("")
    instance.options.append(f"touch-reload = {trigger}")
    instance.trigger = trigger
    return instance


def test_a_reload_by_uwsgi_itself_is_seen_and_counted() -> None:
    with touch_reload() as app:
        app.put("parts/value.py", "a second value")
        before = app.generations()
        later = (
            time.time() + 10
        )  # uWSGI compares whole seconds: a touch in the second of its start is lost.
        os.utime(app.trigger, (later, later))
        app.wait_served()
        assert app.generations() == before + 1
        assert app.master_pid in [os.getpgid(pid) for pid in app.worker_pids()]


def test_a_save_that_nobody_acts_upon_is_seen_as_not_served() -> None:
    with touch_reload() as app:
        app.put("parts/value.py", "a second value")
        with pytest.raises(AssertionError, match="on disk: .*a second value"):
            app.wait_served(deadline_s=0.5)


def test_every_process_is_gone_after_a_failure() -> None:
    pids: list[int] = []
    with pytest.raises(ZeroDivisionError):
        with touch_reload() as app:
            pids = [app.master_pid, *children_of(app.master_pid)]
            assert len(pids) == 3
            1 / 0
    assert all(process_state(pid) in ("", "Z", "X") for pid in pids)
    assert not app.base.exists()


@pytest.mark.parametrize("how", editors.PATTERNS)
def test_every_way_of_saving_leaves_exactly_the_new_text(tmp_path, how: str) -> None:
    program = editors.missing_program(how)
    if program:
        pytest.skip(f"{program} is not installed")
    path = tmp_path / "module.py"
    for text in ('VALUE = "one"\n', 'VALUE = "another"\n', 'VALUE = "x"\n'):
        if how == "real_sed" and not path.exists():
            path.write_text("VALUE\n")
        editors.save(path, text, how)
        assert path.read_text() == text
    leftovers = {entry.name for entry in tmp_path.iterdir()} - {"module.py", "module.py~"}
    assert not leftovers
