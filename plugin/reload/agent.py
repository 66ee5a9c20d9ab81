# The part of fastreload that lives in Python, in a process that loads the application to become a generation of workers.
#
# Before the module that was edited is looked for, and so before anything in this process can depend on it, the process is frozen:
# a copy of it waits. When the file changes again, a copy of that one goes on, and finds the module as it is on the disk then.

import importlib
import os.path
import sys


def start(wanted, freeze):
    """Calls freeze() just before the module in the file `wanted` is imported, however that comes about. Returns a function that ends this.

    freeze() returns in each process that goes on: false in this one, true in a copy that has waited.
    """
    stem = os.path.splitext(os.path.basename(wanted))[0]
    if stem == "__init__":
        stem = os.path.basename(os.path.dirname(wanted))

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.rpartition(".")[2] == stem and is_wanted(name, path, target):
                stop()
                if freeze():
                    importlib.invalidate_caches()
            return None  # the finders after this one look for the module themselves, now

    def is_wanted(name, path, target):
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            if finder is Finder or find_spec is None:
                continue
            spec = find_spec(name, path, target)
            if spec is not None:
                return bool(spec.origin) and os.path.realpath(spec.origin) == wanted
        return False

    def stop():
        if Finder in sys.meta_path:
            sys.meta_path.remove(Finder)

    sys.meta_path.insert(0, Finder)
    return stop
