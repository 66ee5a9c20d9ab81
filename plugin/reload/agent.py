# The part of fastreload that lives in Python, in a process that loads the application to become a generation of workers.
#
# Before a module is looked for, and so before anything in this process can depend on it, the process is frozen: a copy of it
# waits. When the file changes, a copy of that one goes on, and finds the module as it is on the disk then. That is done before
# the module that was edited; behind those of its statements that take long, see statements.py; and now and then on the way, so
# that the first edit of another does not begin at the beginning.
#
# python.c gives it, by these names: freeze(moment), which returns in each process that goes on, False in this one, and in a copy
# that has waited the module that is wanted now, or ""; is_watched(path); question(number, function) and note(path), see below;
# set_aside(path), take_back(anew), is_slow(), note_slow() and statements_source, see Edited; note_heavy(ms, name), see Heaviest.

import gc
import importlib
import os
import os.path
import sys
import time

# Nothing is imported here that the application would not find imported without us.
SourceFileLoader = importlib._bootstrap_external.SourceFileLoader
cache_from_source = importlib._bootstrap_external.cache_from_source

# When the process is frozen; as in python.h.
ON_WAY, BEFORE_EDITED, IN_EDITED = range(3)

# On the way: not before so much of the processor's time has been spent since the last one, nor before it is half as much as all until then.
LEAST_S = 0.1
LEAST_SHARE = 0.5

# What says something about a file without reading it. Python has no audit event for these; for the last one it has, which does not tell of dir_fd.
QUESTIONS = ("stat", "lstat", "access", "readlink", "open")
# When these of the library ask, an edit of the file changes nothing.
OF_TYPE = {"exists", "lexists", "isfile", "isdir", "islink", "ismount", "realpath", "_joinrealpath", "is_file", "is_dir", "is_symlink", "is_mount", "resolve", "_access_check", "which"}
ASKING_MODULES = {"genericpath", "posixpath", "pathlib", "pathlib._local", "pathlib._abc", "shutil"}


def forget_folders():
    """importlib.invalidate_caches(), which from Python 3.12 on imports importlib.metadata, and so some seventy modules and all folders that they are looked for in."""
    name = "importlib.metadata"
    is_imported = name in sys.modules
    if not is_imported:
        sys.modules[name] = NoMetadata
    try:
        importlib.invalidate_caches()
    finally:
        if not is_imported:
            del sys.modules[name]


class NoMetadata:
    """In place of a module that has nothing to forget, because nobody has imported it."""

    class MetadataPathFinder:
        @staticmethod
        def invalidate_caches():
            pass


# How long a file has to be as it is before it is compiled ahead: what is written to in the same moment may look the same afterwards.
SETTLED_NS = 2_000_000_000
# So much source is compiled ahead at most, and so many modules are remembered for that.
MOST_BYTES = 4 * 1024 * 1024
MOST_MODULES = 1000


class Compiled:
    """What a module's file is compiled to depends on nothing but the file: a copy that waits has that ready, and executes it when it goes on.

    Stands in the place of SourceFileLoader.get_code, and gives that back as it is where there is nothing ready, so that no traceback shows it.
    """

    def __init__(self, stat, edited):
        self.stat = stat
        self.edited = edited
        self.original = SourceFileLoader.get_code
        self.parts = self.parts_now()
        self.ready = {}  # of a path: how its files looked, and the code
        self.imported = []
        SourceFileLoader.get_code = self

    def __get__(self, loader, owner=None):
        if type(loader) is not SourceFileLoader:
            return self.original if loader is None else self.original.__get__(loader, owner)
        if self.edited.is_next(loader) and self.parts_now() == self.parts:
            return executing(loader, self.original, self.edited)
        if len(self.imported) < MOST_MODULES:
            self.imported.append((loader.name, loader.path))
        seen, code = self.ready.pop(loader.path, (None, None))
        if code is None or self.parts_now() != self.parts or self.look(loader.path) != seen:
            return self.original.__get__(loader, owner)
        note(loader.path)
        return lambda name=None: code

    @staticmethod
    def parts_now():
        """What else makes code of a file: an application may replace that, too."""
        return SourceFileLoader.get_data, SourceFileLoader.path_stats, SourceFileLoader.source_to_code

    def look(self, path):
        """How a source and its compiled file look; None: there is no such source."""
        looks = []
        for file in path, cache_from_source(path):
            try:
                found = self.stat(file)
            except OSError:
                looks.append(None)
            else:
                looks.append((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
        return looks if looks[0] else None

    def told(self):
        """The modules that were imported since the last time, for prepare."""
        lines = [line for names in self.imported for line in names if "\n" not in line]
        self.imported.clear()
        return os.fsencode("\n".join(lines)) if len(lines) % 2 == 0 else b""

    def prepare(self, told):
        """Compiles these. Writes nothing, and leaves alone what would say something when it is compiled."""
        lines = os.fsdecode(told).split("\n")
        bytes_left = MOST_BYTES
        writes_none = sys.dont_write_bytecode
        sys.dont_write_bytecode = True
        try:
            for name, path in zip(lines[::2], lines[1::2]):
                looks = self.look(path)
                if looks is None or not self.is_settled(looks):
                    continue
                bytes_left -= looks[0][2]
                if bytes_left < 0:
                    break
                self.compile(name, path, looks)
        finally:
            sys.dont_write_bytecode = writes_none

    def is_settled(self, looks):
        written_ns = max(max(found[3:]) for found in looks if found)
        return time.time_ns() - written_ns > SETTLED_NS

    def compile(self, name, path, looks):
        with Warned() as said:
            try:
                code = self.original(SourceFileLoader(name, path), name)
            except Exception:
                return
        if not said and self.look(path) == looks:
            self.ready[path] = looks, code

    def stop(self):
        if SourceFileLoader.__dict__.get("get_code") is self:
            del SourceFileLoader.get_code
        self.ready.clear()


class Warned:
    """What the compiler warns of meanwhile, instead of its being said. Where nobody has imported `warnings`, Python writes them by itself."""

    def __enter__(self):
        warnings = sys.modules.get("warnings")
        self.catcher = warnings and warnings.catch_warnings(record=True)
        if warnings:
            self.said = self.catcher.__enter__()
            warnings.simplefilter("always")
        else:
            self.said = []
            self.stderr, sys.stderr = sys.stderr, self
        return self.said

    def write(self, text):
        self.said.append(text)

    def __exit__(self, *error):
        if self.catcher:
            self.catcher.__exit__(*error)
        else:
            sys.stderr = self.stderr


class Edited:
    """Has the module that was edited executed statement by statement, where that takes long, and the process frozen in between."""

    def __init__(self, split):
        self.split = split
        self.name = None
        self.path = None  # It is about to be imported from there.
        self.waiting = None  # The statements that this process is frozen behind.

    def expect(self, path):
        """What is needed then is there before the process is frozen."""
        if "Statements" not in globals():
            # Under that name tracebacks leave out its frames, like those of the import system around them.
            exec(compile(statements_source, "<frozen importlib._bootstrap_external>", "exec"), globals())
        self.path = path

    def is_next(self, loader):
        """Is it now, and by the import system itself?"""
        if loader.path != self.path:
            return False
        self.path = None
        spec = getattr(sys.modules.get(loader.name), "__spec__", None)
        return getattr(spec, "loader", None) is loader and getattr(spec, "_initializing", False)

    def freeze(self, statements):
        self.waiting = statements
        self.split(IN_EDITED)
        self.waiting = None

    def fits(self):
        return self.waiting is None or self.waiting.fit()


# An import is worth a word if it takes so long.
HEAVY_S = 0.1


class Heaviest:
    """What took longest to import of all that comes behind the edited module and is none of the application's: of no other import's time, and not of the edited module's own.

    Nobody tells when an import is over. While it goes on, others begin: it has taken at least until then.
    """

    def __init__(self):
        self.name, self.took_s = None, HEAVY_S
        self.current, self.begun_at = None, 0.0

    def hear(self, name, may_count):
        """An import begins. may_count(): is it one of those?"""
        now = time.perf_counter()
        if is_being_imported(self.current):
            if now - self.begun_at > self.took_s:
                self.name, self.took_s = self.current, now - self.begun_at
        else:
            self.current, self.begun_at = name if may_count() else None, now

    def tell(self):
        if self.name:
            note_heavy(int(self.took_s * 1000), self.name)


def is_being_imported(name):
    """Only of what is a module and nothing more: others may do anything when they are asked for an attribute."""
    module = sys.modules.get(name)
    return type(module) is type(sys) and getattr(module.__dict__.get("__spec__"), "_initializing", False)


def is_question_of_type():
    """Does the library ask, for somebody who wants to know only what it is?"""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in ASKING_MODULES:
        if frame.f_code.co_name in OF_TYPE:
            return True
        frame = frame.f_back
    return False


def hear_questions(question):
    """Has the questions noted. Returns a function that ends this; who has taken one of the functions by then may keep it."""
    originals = [getattr(os, name) for name in QUESTIONS]
    ours = [question(number, function) for number, function in enumerate(originals)]
    note = question(0, lambda path: None)
    for name, function, own in zip(QUESTIONS, originals, ours):
        for functions in (os.supports_dir_fd, os.supports_effective_ids, os.supports_fd, os.supports_follow_symlinks):
            if function in functions:
                functions.add(own)
        setattr(os, name, own)
    stop_hearing_entries = hear_entries(note)
    stop_hearing_places = hear_places(note)

    def stop():
        stop_hearing_entries()
        stop_hearing_places()
        for name, function, own in zip(QUESTIONS, originals, ours):
            if getattr(os, name) is own:
                setattr(os, name, function)

    return stop


def hear_entries(note):
    """The same of what os.scandir() finds: its entries ask by themselves. Python 3.8 does not allow that."""
    original = os.DirEntry.stat

    def stat(entry, *, follow_symlinks=True):
        note(entry)
        return original(entry, follow_symlinks=follow_symlinks)

    def stop():
        if os.DirEntry.stat is stat:
            os.DirEntry.stat = original

    try:
        os.DirEntry.stat = stat
    except TypeError:
        pass
    return stop


def hear_places(note):
    """The same of the places where modules are looked for: of one that is not there nobody asks again, and it may come."""

    def note_place(path):
        note(path)
        raise ImportError  # the hooks after this one know who looks there

    def stop():
        if note_place in sys.path_hooks:
            sys.path_hooks.remove(note_place)

    for path in list(sys.path_importer_cache):
        note(path)
    sys.path_hooks.insert(0, note_place)
    return stop


# While the application loads, the collector waits until there are so many new objects (Python's own measure is 700 to 2,000). Nearly all that is made in a load stays.
NEW_OBJECTS = 100_000


class Stillness:
    """Keeps the collector of garbage away from what there is when a process is frozen, until the load is over: a full collection writes to every object, and so copies
    all memory that is shared with those who wait. From what is new it is kept away, too, as long as that is not much.

    Stands in the place of gc.freeze and gc.get_threshold: an application that uses these itself has its way, and sees what it would see without us.
    """

    def __init__(self):
        self.original = gc.freeze
        self.original_threshold = gc.get_threshold
        self.is_theirs = gc.get_freeze_count() > 0
        self.is_ours = False
        self.threshold = gc.get_threshold()
        if 0 < self.threshold[0] < NEW_OBJECTS:
            gc.set_threshold(NEW_OBJECTS, *self.threshold[1:])
        self.our_threshold = gc.get_threshold()
        gc.freeze = self
        gc.get_threshold = self.get_threshold

    def __call__(self):
        self.is_theirs = True
        self.original()

    def get_threshold(self):
        found = self.original_threshold()
        return self.threshold if found == self.our_threshold else found

    def begin(self):
        if not self.is_theirs:
            self.is_ours = True
            self.original()

    def end(self):
        if self.is_ours and not self.is_theirs:
            gc.unfreeze()
        self.is_ours = False

    def collect(self):
        """What was frozen, too. It may be garbage that holds something open."""
        is_ours = self.is_ours
        self.end()
        gc.collect()
        if is_ours:
            self.begin()

    def stop(self):
        if gc.freeze is self:
            gc.freeze = self.original
        if gc.get_threshold == self.get_threshold:
            gc.get_threshold = self.original_threshold
        if self.original_threshold() == self.our_threshold != self.threshold:
            gc.set_threshold(*self.threshold)
            self.begin()  # All of it is old now, as most of it would be: else each worker would look through it at once.
        self.end()


def start(wanted):
    """Freezes just before the module in the file `wanted` is imported, however that comes about, in it, and on the way. Returns a function that ends this, which returns what the
    next copy shall prepare for; a function that does so; one that tells, in a copy that was frozen in the module, whether it can go on with what that is now; one that collects
    what is garbage, at any time; and one that imports what is given by name, and freezes behind that.
    """
    stem = None
    stat = os.stat  # Before it is heard: what is asked here is not the application's question.
    stop_hearing = hear_questions(question)
    stillness = Stillness()
    heaviest = Heaviest()
    is_from_beginning = True
    frozen_at = begun_at = time.process_time()

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if not is_from_beginning:
                heaviest.hear(name, lambda: is_behind_and_not_own(name, path))
            if name.rpartition(".")[2] == stem:
                origin = origin_of(name, path, target)
                if is_same(origin):
                    edited.expect(origin)
                    want("")
                    if split(BEFORE_EDITED) and not is_same(origin):
                        edited.path = None
                    edited.name = edited.path and name
            elif is_from_beginning and is_due() and is_own(name, path):
                split(ON_WAY)
            return None  # the finders after this one look for the module themselves, now

    def split(moment):
        """Returns whether this is a copy that has waited."""
        nonlocal frozen_at, is_from_beginning, heaviest
        stillness.begin()
        woken_for = freeze(moment)
        frozen_at = time.process_time()
        compiled.imported.clear()
        if moment == BEFORE_EDITED or woken_for is not False:
            heaviest = Heaviest()  # What came before will not be imported again.
        if woken_for is not False:
            is_from_beginning = False
            want(woken_for)
            forget_folders()
        return woken_for is not False

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
            if file and is_watched(file) and (is_there(file + ".py") or is_there(file)):
                return True
        return False

    def is_behind_and_not_own(name, path):
        """Of what is in a namespace package that is not known."""
        return (path is None or isinstance(path, list)) and not is_being_imported(edited.name) and not is_own(name, path)

    def is_there(file):
        try:
            stat(file)
        except OSError:
            return False
        return True

    def origin_of(name, path, target):
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            if finder is Finder or find_spec is None:
                continue
            spec = find_spec(name, path, target)
            if spec is not None:
                return spec.origin
        return None

    def is_same(file):
        try:
            return bool(file) and os.path.samestat(stat(file), stat(wanted))
        except OSError:
            return False

    def preload(names):
        """Returns, encoded, what is wrong; or nothing."""
        for name in os.fsdecode(names).split("\n"):
            try:
                importlib.import_module(name)
            except BaseException as error:
                return os.fsencode(" ".join(f"{name} cannot be imported: {type(error).__name__}: {error}".split()))
        split(ON_WAY)
        return b""

    def stop():
        stop_hearing()
        stillness.stop()
        compiled.stop()
        heaviest.tell()
        if Finder in sys.meta_path:
            sys.meta_path.remove(Finder)
        return compiled.told()

    edited = Edited(split)
    compiled = Compiled(stat, edited)
    want(wanted)
    sys.meta_path.insert(0, Finder)
    return stop, compiled.prepare, edited.fits, stillness.collect, preload
