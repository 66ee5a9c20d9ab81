# The part of fastreload that lives in Python, in a process that loads the application to become a generation of workers.
#
# Before a module is looked for, and so before anything in this process can depend on it, the process is frozen: a copy of it
# waits. When the file changes, a copy of that one goes on, and finds the module as it is on the disk then. That is done before
# the module that was edited; and now and then on the way, so that the first edit of another does not begin at the beginning.

import importlib
import os.path
import sys
import time

# On the way: not before so much of the processor's time has been spent since the last one, nor before it is half as much as all until then.
LEAST_S = 0.05
LEAST_SHARE = 0.5


def start(wanted, is_watched, freeze):
    """Calls freeze(True) just before the module in the file `wanted` is imported, however that comes about, and freeze(False) on the way. Returns a function that ends this.

    freeze(is_wanted) returns in each process that goes on: False in this one, and in a copy that has waited the module that is wanted now, or "".
    """
    stem = None
    is_from_beginning = True
    frozen_at = begun_at = time.process_time()

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.rpartition(".")[2] == stem:
                if is_wanted(name, path, target):
                    want("")
                    split(True)
            elif is_from_beginning and is_due() and is_own(name, path):
                split(False)
            return None  # the finders after this one look for the module themselves, now

    def split(is_wanted_next):
        nonlocal frozen_at, is_from_beginning
        woken_for = freeze(is_wanted_next)
        frozen_at = time.process_time()
        if woken_for is not False:
            is_from_beginning = False
            want(woken_for)
            importlib.invalidate_caches()

    def want(file):
        nonlocal wanted, stem
        wanted = file
        stem = os.path.splitext(os.path.basename(file))[0] or None
        if stem == "__init__":
            stem = os.path.basename(os.path.dirname(file))

    def is_due():
        now = time.process_time()
        return now - frozen_at > max(LEAST_S, LEAST_SHARE * (frozen_at - begun_at))

    def is_own(name, path):
        """Is that probably a module in a watched folder? Nothing is asked that could be noticed."""
        if isinstance(path, list):
            return any(isinstance(folder, str) and is_watched(folder) for folder in path)
        for folder in sys.path if path is None else ():
            file = os.path.join(folder or os.getcwd(), name) if isinstance(folder, str) else ""
            if file and is_watched(file) and (os.path.isfile(file + ".py") or os.path.isdir(file)):
                return True
        return False

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

    want(wanted)
    sys.meta_path.insert(0, Finder)
    return stop
