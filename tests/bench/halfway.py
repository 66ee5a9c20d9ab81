"""Imports a module up to just before another one is looked for; from there on it does the rest in a forked copy, as often as told.

    halfway.py shop.wsgi pages.views [all]

Writes a line when it is half way; for each line that it reads a copy does the rest, and a line tells how long that took, from before the
fork until the copy was done, and the VERSION that the copy found. With "all" the process itself has imported everything that lies outside
the project, too, even what is only imported after that module. Uses nothing but Python, so that nothing of the plugin can hide in it.
"""

import contextlib
import gc
import importlib
import json
import os
import sys
import time


class Brake:
    """Stops the import of everything just before the module of that name is looked for."""

    def __init__(self, name, has_all):
        self.name = name
        self.has_all = has_all
        self.report_to = -1

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            sys.meta_path.remove(self)
            self.wait_for_orders()
            importlib.invalidate_caches()
        return None  # The finders after this one look for it.

    def wait_for_orders(self):
        """Returns in each copy; the process itself stays here for ever."""
        if self.has_all and self.import_all_outside():
            return
        gc.collect()
        gc.freeze()
        print(json.dumps({"waits": self.name}), flush=True)
        while sys.stdin.readline():
            begun = time.monotonic()
            if self.is_copy():
                return
            version, took_ms, _ = self.hear_copy(begun)
            print(json.dumps({"version": version, "ms": took_ms}), flush=True)
        os._exit(0)

    def is_copy(self):
        """Forks; returns true in the copy."""
        self.hear_from, self.report_to = os.pipe()
        self.pid = os.fork()
        os.close(self.hear_from if self.pid == 0 else self.report_to)
        return self.pid == 0

    def hear_copy(self, begun):
        """Waits for the copy; returns the version that it found, or nothing, how long after `begun` it was done, and outside()."""
        with os.fdopen(self.hear_from) as stream:
            version = stream.readline().rstrip("\n")
            took_ms = (time.monotonic() - begun) * 1000
            names = stream.read().split()
        os.waitpid(self.pid, 0)
        return version, took_ms, names

    def import_all_outside(self):
        """Imports what a copy, which goes first, has imported from outside the project; returns true in that copy."""
        if self.is_copy():
            return True
        *_, names = self.hear_copy(time.monotonic())
        for name in names:
            with contextlib.suppress(Exception):  # What fails alone is left to the copies.
                importlib.import_module(name)
        return False


def outside():
    """Returns the names of the modules that lie outside the project, in the order of their imports."""
    here = os.getcwd() + os.sep
    return [
        name
        for name, module in list(sys.modules.items())
        if not (getattr(module, "__file__", None) or here).startswith(here)
    ]


def main():
    whole, half, *rest = sys.argv[1:]
    sys.path.insert(0, os.getcwd())
    brake = Brake(half, rest == ["all"])
    sys.meta_path.insert(0, brake)
    importlib.import_module(whole)
    if brake.report_to < 0:
        sys.exit(f"halfway.py: {whole} does not import {half}")
    version = sys.modules[half].VERSION
    with os.fdopen(brake.report_to, "w") as stream:
        print(version, file=stream, flush=True)  # The clock stops here.
        print(*outside(), file=stream)
    os._exit(0)


main()
