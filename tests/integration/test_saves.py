"""Every save is served: editors' patterns, hundreds of saves in a row, and the traps of compiled files."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

import editors
from harness import DONE, RESPAWN_GUARD, Instance, children_of, process_state


@pytest.mark.parametrize("how", editors.PATTERNS)
def test_a_save_by_this_pattern_causes_exactly_one_reload(how: str) -> None:
    program = editors.missing_program(how)
    if program:
        pytest.skip(f"{program} is not installed")
    with Instance() as app:
        for value in ("second", "third, longer"):
            with app.expect_exactly_one_reload():
                app.put("parts/value.py", value, how)


@pytest.mark.parametrize("how", [how for how in editors.PATTERNS if not how.startswith("real_")])
def test_a_new_file_by_this_pattern_is_served(how: str) -> None:
    with Instance() as app:
        app.put("parts/new.py", "a new file", how)
        app.wait_served()


# Python keeps compiled files by the source's size and by its time in whole seconds.


@pytest.mark.parametrize("how", ("inplace", "atomic"))
def test_edits_of_the_same_length_one_after_another_within_a_second_are_all_served(
    how: str,
) -> None:
    with Instance() as app:
        for number in range(15):
            app.put("parts/value.py", f"{number:05d}", how)
            app.wait_served()


@pytest.mark.parametrize("ini", ((), ("lazy-apps = true",)), ids=("preforked", "lazy-apps"))
def test_the_last_of_many_quick_edits_of_the_same_length_is_served(ini) -> None:
    with Instance(ini=ini) as app:
        for number in range(300):
            app.put("parts/value.py", f"{number:05d}")
        app.wait_served()
        app.wait_quiet()
        assert app.served() == app.on_disk()


# Hundreds in a row.


class Saver:
    """Makes saves of every kind, so that each one changes what has to be served."""

    def __init__(self, app: Instance) -> None:
        self.app = app
        self.outside = app.base / "outside"
        self.outside.mkdir()
        self.number = 0
        self.random = random.Random(20)
        self.kinds = [
            self.in_place,
            self.atomic,
            self.delete_and_create,
            self.delete,
            self.new_module_in_new_folder,
            self.new_module_in_deep_new_folder,
            self.rename_folder,
            self.move_folder_out,
            self.move_folder_in,
            self.edit_in_moved_folder,
        ]

    def step(self) -> str:
        """Makes one save and returns what it was."""
        kind = self.kinds[self.number % len(self.kinds)]
        self.number += 1
        kind()
        return f"save {self.number} ({kind.__name__})"

    def _value(self) -> str:
        return f"value {self.number:03d}"

    def _folders(self, below: Path) -> list[Path]:
        return sorted(
            path for path in below.iterdir() if path.is_dir() and path.name != "__pycache__"
        )

    def in_place(self) -> None:
        self.app.put("parts/value.py", self._value())

    def atomic(self) -> None:
        self.app.put("parts/value.py", self._value(), "atomic")

    def delete_and_create(self) -> None:
        self.app.put("parts/value.py", self._value(), "delete_then_create")

    def delete(self) -> None:
        candidates = sorted(self.app.path("parts").glob("*/**/module.py"))
        if len(candidates) > 6:
            self.random.choice(candidates).unlink()
        else:
            self.in_place()

    def new_module_in_new_folder(self) -> None:
        folder = self.app.path(f"parts/folder_{self.number}")
        folder.mkdir()
        (folder / "module.py").write_text(f'VALUE = "{self._value()}"\n')

    def new_module_in_deep_new_folder(self) -> None:
        folder = self.app.path(f"parts/deep_{self.number}/a/b/c")
        folder.mkdir(parents=True)
        (folder / "module.py").write_text(f'VALUE = "{self._value()}"\n')

    def rename_folder(self) -> None:
        old = self._folders(self.app.path("parts"))[-1]
        old.rename(old.with_name(f"renamed_{self.number}"))

    def move_folder_out(self) -> None:
        old = self._folders(self.app.path("parts"))[0]
        for stale in self._folders(self.outside):
            shutil.rmtree(stale)
        old.rename(self.outside / "folder")

    def move_folder_in(self) -> None:
        (self.outside / "folder").rename(self.app.path(f"parts/moved_in_{self.number}"))

    def edit_in_moved_folder(self) -> None:
        folder = self.app.path(f"parts/moved_in_{self.number - 1}")
        (folder / "edited.py").write_text(f'VALUE = "{self._value()}"\n')


@pytest.mark.slow
@pytest.mark.parametrize(
    "ini, action", (((), "auto"), (("lazy-apps = true",), "workers")), ids=("auto", "workers")
)
def test_two_hundred_saves_in_a_row_are_all_served_and_nothing_grows(ini, action: str) -> None:
    with Instance(ini=ini, fastreload=[f"action = {action}"], verbose=False) as app:
        saver = Saver(app)
        master = app.master_pid

        def run(count: int) -> None:
            for _ in range(count):
                what = saver.step()
                app.wait_served(what=f"{what} is served")

        run(20)
        app.wait_quiet()
        descriptors, memory, environment = app.fd_count(), app.memory_kb(), environment_len(master)
        generations = app.generations()
        run(180)
        app.wait_quiet()
        app.wait(lambda: len(app.worker_pids()) == 2, 10, "two workers are left")
        # A save may come while the last worker of the reload before is still loading, and join it.
        assert app.generations() - generations >= 180 * 0.8
        app.wait(lambda: app.fd_count() <= descriptors, 10, "what was opened for the last reload is closed")
        assert app.memory_kb() <= memory + 1024, f"from {memory} kB to {app.memory_kb()} kB"
        assert environment_len(master) <= environment + 16
        assert not [pid for pid in children_of(master) if process_state(pid) == "Z"]
        assert not app.log.count(RESPAWN_GUARD)
        assert all(float(DONE.search(line).group(1)) < 10_000 for line in app.log.matching(DONE))


def environment_len(pid: int) -> int:
    """Returns the size of the environment that a process was started with."""
    return len(Path(f"/proc/{pid}/environ").read_bytes())


def test_a_preserved_older_time_is_a_change_too() -> None:
    with Instance() as app:
        saved = app.base / "saved.py"
        saved.write_text('VALUE = "from a backup"\n')
        os.utime(saved, (1_600_000_000, 1_600_000_000))
        shutil.copy2(saved, app.path("parts/value.py"))
        app.wait_served()


def test_a_file_shortened_by_truncate_alone_is_served() -> None:
    short = 'VALUE = "one"\n'
    with Instance() as app:
        app.save("parts/value.py", short + 'VALUE = "two"\n')
        app.wait_served()
        app.wait_quiet()
        os.truncate(app.path("parts/value.py"), len(short))
        app.wait_served()
        assert app.on_disk()["parts/value.py"] == "one"
