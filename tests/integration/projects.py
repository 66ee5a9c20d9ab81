"""Random Python projects, random edits of them, and what a fresh start of one answers.

A project is a set of modules made of small blocks, each of which leaves a trace that can be observed: values, what was imported from
whom, in which order, what was found on the disk. Its entry module answers all of it, for uWSGI by application() and for anybody else by
dump(). Everything is drawn from one random generator, so a seed tells the whole story.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Callable, NamedTuple

import editors

PYTHON = os.environ.get("FR_DIFF_PYTHON", "/usr/bin/python3")

ENTRY_HEAD = '''\
import os
import sys
import threading
import types

LOCK = threading.Lock()
LAZY = {}
HERE = os.path.dirname(os.path.realpath(__file__))
ABOVE = os.path.dirname(HERE)
'''

# Answers everything that is in the project's modules, after having called what imports only when called.
ENTRY_TAIL = '''

def is_ours(module):
    where = getattr(module, "__file__", None) or "".join(list(getattr(module, "__path__", ()))[:1])
    return bool(where) and os.path.realpath(where).startswith(ABOVE + os.sep)


def ours():
    return {name: module for name, module in list(sys.modules.items()) if is_ours(module)}


def call(function):
    try:
        return show(function())
    except Exception as error:
        return type(error).__name__ + ": " + str(error).replace(ABOVE, "")


def show(value, depth=0):
    if depth > 6:
        return "..."
    if isinstance(value, (list, tuple)):
        return [show(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(show(item, depth + 1)) for item in value)
    if isinstance(value, dict):
        return {str(key): show(item, depth + 1) for key, item in value.items()}
    if isinstance(value, types.ModuleType):
        return "module " + value.__name__
    if isinstance(value, type):
        names = {name: item for name, item in vars(value).items() if not name.startswith("__")}
        return ["class " + value.__qualname__, [base.__name__ for base in value.__mro__], show(names, depth + 1)]
    if isinstance(value, types.FunctionType):
        return "function " + value.__module__ + "." + value.__qualname__
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value).replace(ABOVE, "")
    return "a " + type(value).__name__


def functions(start):
    return sorted(
        (name + "." + word, value)
        for name, module in ours().items()
        for word, value in vars(module).items()
        if word.startswith(start) and isinstance(value, types.FunctionType)
    )


def call_lazy():
    """Calls what imports when it is called, once in the life of the process: Python tries a failed import again each
    time, and then it is the disk that answers, not what was loaded."""
    while news := [(name, function) for name, function in functions("lazy_") if name not in LAZY]:
        for name, function in news:
            LAZY[name] = call(function)


def dump():
    import json

    call_lazy()
    answer = {
        "calls": {**LAZY, **{name: call(function) for name, function in functions("call_")}},
        "order": list(ours()),
        "modules": {
            name: {
                word: show(value)
                for word, value in vars(module).items()
                if word not in ("HERE", "ABOVE", "LAZY") and (word == "__all__" or not word.startswith("__"))
            }
            for name, module in ours().items()
        },
    }
    return json.dumps(answer, sort_keys=True)


def application(environ, start_response):
    if environ["QUERY_STRING"]:
        import time

        time.sleep(0.02)  # The next request is for another worker.
    with LOCK:
        body = (str(os.getpid()) + "\\n" + dump()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
'''

STATE = '''\
ORDER = []
COUNTER = {n}
REGISTRY = {{}}


class Base:
    kind = {n}


def register(function):
    REGISTRY[function.__module__ + "." + function.__name__] = len(REGISTRY)
    return function
'''

# Blocks: {n} is a number that edits change, {i} one that makes names differ, {m} another module, {p} a package, {f} a file.
PLAIN_BLOCKS = (
    "VALUE = {n}",
    "TABLE_{i} = {{'one': {n}, 'two': [{n}, {i}]}}",
    "def call_{i}():\n    return VALUE, {n}",
    "class Kind_{i}:\n    attribute = {n}\n\n    def method(self):\n        return {n}",
    "import state\nstate.ORDER.append((__name__, {n}))",
    "import state\nstate.COUNTER += {n}",
    "import state\n\n\n@state.register\ndef call_registered_{i}():\n    return {n}",
    "import state\n\n\nclass Sub_{i}(state.Base):\n    mine = {n}\n\n\nstate.Base.last = (__name__, {n})",
    "import state\nSEEN_{i} = len(state.ORDER), state.COUNTER, {n}",
    "import sys\nLOADED_{i} = sorted(n for n in sys.modules if n.split('.')[0] in ('alpha', 'beta', 'space', 'plugins')), {n}",
    "import colorsys\nCOLOR_{i} = getattr(colorsys, 'SHADOW', 'the library'), {n}",
    "__all__ = [name for name in dir() if not name.startswith('_')]",
    "def __getattr__(name):\n    if name != 'GIVEN':\n        raise AttributeError(name)\n    return __name__, {n}",
    # What would show that a module was not executed in one piece.
    "NOTED_{i}: int = {n}",
    "NAMES_{i} = [name for name in list(globals()) if not name.startswith('__') or name == '__annotations__'], {n}",
    "'a text that stands alone'; DOC_{i} = __doc__, {n}",
    "import sys\nWHERE_{i} = sys._getframe().f_lineno, sys._getframe().f_code.co_name, {n}",
    "try:\n    raise ValueError({n})\nexcept ValueError as _error:\n    LINE_{i} = _error.__traceback__.tb_lineno, _error.__traceback__.tb_frame.f_code.co_name",
    "import types\n@lambda function: (function, function.__code__.co_firstlineno)\ndef decorated_{i}():\n    return {n}\nNUMBER_{i} = decorated_{i}[1]",
)
IMPORT_BLOCKS = (
    "import {m} as _m_{i}\nFROM_{i} = getattr(_m_{i}, 'VALUE', 'unset'), {n}",
    "from {m} import VALUE as COPY_{i}",
    "from {m} import *",
    "import importlib\nNAMED_{i} = getattr(importlib.import_module('{m}'), 'VALUE', 'unset')",
    "def lazy_{i}():\n    import {m} as module\n    return getattr(module, 'VALUE', 'unset'), {n}",
    "def lazy_{i}():\n    from {m} import VALUE\n    return VALUE",
    "try:\n    from {m} import VALUE as TRIED_{i}\nexcept ImportError as error:\n    TRIED_{i} = 'fallback {n}'",
    "import {m} as _m_{i}\n_m_{i}.PATCHED_{i} = {n}",
    "import {m} as _m_{i}\n_m_{i}.call_patched = lambda: {n}",
    "import importlib\nimport {m} as _m_{i}\nif getattr(_m_{i}, 'RELOADED', 0) < 1:\n    _m_{i}.RELOADED = 1\n"
    "    importlib.reload(_m_{i})\nAGAIN_{i} = getattr(_m_{i}, 'VALUE', 'unset'), {n}",
    "import state\nif state.COUNTER % 2:\n    import {m} as _m_{i}\n    CHOSEN_{i} = getattr(_m_{i}, 'VALUE', 'unset')\nelse:\n    CHOSEN_{i} = 'even {n}'",
    "if {n} % 2:\n    from {m} import VALUE as ODD_{i}",
    "def __getattr__(name):\n    if name != 'GIVEN':\n        raise AttributeError(name)\n    import {m} as module\n    return module.VALUE, {n}",
    "import {m} as _m_{i}\nGIVEN_{i} = getattr(_m_{i}, 'GIVEN', 'nothing'), {n}",
    "import sys\nimport state\nimport {m} as _m_{i}\nif not hasattr(state, 'DROPPED_{i}'):\n    state.DROPPED_{i} = 1\n"
    "    sys.modules.pop('{m}', None)\n    import {m} as _n_{i}\n    ANEW_{i} = getattr(_n_{i}, 'VALUE', 'unset'), _n_{i} is _m_{i}",
    "import importlib.util\nFOUND_{i} = importlib.util.find_spec('{m}') is not None, {n}",
)
# Takes long enough for something to be frozen on the way.
SLOW_BLOCK = "import time as _time\n_end = _time.process_time() + 0.06\nwhile _time.process_time() < _end:\n    pass\ndel _time, _end\nSLOW_{i} = {n}"
DISK_BLOCKS = (
    "import os\nLISTED_{i} = sorted(os.listdir('data')), {n}",
    "import os\nSCANNED_{i} = sorted(entry.name for entry in os.scandir('data')), {n}",
    "import glob\nGLOBBED_{i} = sorted(glob.glob('data/*.txt')), {n}",
    "import os\nWALKED_{i} = sorted(name for _, _, names in os.walk('data') for name in names), {n}",
    "import pkgutil\nimport plugins\nPLUGINS_{i} = sorted(m.name for m in pkgutil.iter_modules(plugins.__path__))\n"
    "for _name in PLUGINS_{i}:\n    __import__('plugins.' + _name)",
    "import os\nif os.path.exists('flag.on'):\n    SWITCH_{i} = {n}\nelse:\n    SWITCH_{i} = 'off'",
    "import os\nif os.path.exists('switch.py'):\n    import switch as _switch\n    SWITCHED_{i} = _switch.VALUE",
    "with open('{f}') as _stream:\n    TEXT_{i} = _stream.read(), {n}",
    "import pathlib\nTEXT_{i} = pathlib.Path('{f}').read_text()",
    "try:\n    with open('data/missing.txt') as _stream:\n        MAYBE_{i} = _stream.read()\n"
    "except FileNotFoundError:\n    MAYBE_{i} = 'missing'",
    "try:\n    import optional\n    OPTIONAL_{i} = optional.VALUE\nexcept ImportError:\n    OPTIONAL_{i} = 'slow {n}'",
    "try:\n    import dependency\n    DEPENDENCY_{i} = dependency.VALUE\nexcept ImportError:\n    DEPENDENCY_{i} = 'none'",
    "with open('{f}', 'r+') as _stream:\n    RPLUS_{i} = _stream.read()",
    "import pkgutil\nimport beta\nWALKED_{i} = sorted(m.name for m in pkgutil.walk_packages(beta.__path__, 'beta.')), {n}",
    "import pkgutil\nimport space\nSPACE_{i} = sorted(m.name for m in pkgutil.iter_modules(space.__path__)), {n}",
    "import pkgutil\nBYTES_{i} = pkgutil.get_data('beta', 'text.dat').decode(), {n}",
    "import importlib.resources\nRESOURCE_{i} = importlib.resources.files('beta').joinpath('text.dat').read_text()",
    "try:\n    import space.extra\n    EXTRA_{i} = space.extra.VALUE\nexcept ImportError:\n    EXTRA_{i} = 'none {n}'",
    "import os\nimport sys\nif os.path.abspath('vendor') not in sys.path:\n    sys.path.insert(0, os.path.abspath('vendor'))\n"
    "try:\n    import vendored\n    VENDORED_{i} = vendored.VALUE\nexcept ImportError:\n    VENDORED_{i} = 'none {n}'",
    "import os\nSIZE_{i} = os.path.getsize('{f}'), {n}",
    "import os\nif os.path.exists('hidden/flag.on'):\n    HIDDEN_{i} = {n}\nelse:\n    HIDDEN_{i} = 'off'",
    "import pathlib\nSTAT_{i} = pathlib.Path('{f}').resolve().stat().st_size, pathlib.Path('hidden').is_dir()",
    "with open('snippet.py') as _stream:\n    exec(_stream.read())",
)
# With one of these nothing is frozen any more: for few projects.
SPOILING_BLOCK = "import subprocess\nOUTPUT_{i} = subprocess.check_output(['cat', '{f}']).decode()"
COUNTED_DATA = ("settings.ini", "data/table.yaml")
UNCOUNTED_DATA = ("notes.txt", "data/words.json", "data/list.txt", "beta/text.dat")
BROKEN = ("def broken(:\n", "raise RuntimeError('broken')\n", "import nothing_of_that_name\n")
SAVES = tuple(name for name in editors.PATTERNS if not name.startswith("real_"))


class Write(NamedTuple):
    """One file is written (text), removed (None) or touched (""), after a pause; lib: is the library's folder, else it is the project's."""

    path: str
    text: str | None
    how: str = "inplace"
    pause_s: float = 0


class Step(NamedTuple):
    """What somebody does at once."""

    what: str
    writes: list[Write]


class Fresh(NamedTuple):
    """What a fresh start answers; text is None where the project does not load, and error says why."""

    text: str | None
    error: str


class Module:
    """The blocks of one module, each with its numbers."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.blocks: list[tuple[str, dict[str, object]]] = []
        self.extra = ""

    def text(self) -> str:
        """Returns the source."""
        body = "\n".join(template.format(**values) for template, values in self.blocks)
        if self.path == "wsgi.py":
            return ENTRY_HEAD + body + "\n" + self.extra + ENTRY_TAIL
        return body + "\n" + self.extra


class Project:
    """A project on the disk, in `app`, with a library of its own in `lib`, which is not watched."""

    def __init__(self, rng: random.Random, app: Path, lib: Path) -> None:
        self.rng = rng
        self.app = app
        self.lib = lib
        self.serial = 0
        self.modules: list[Module] = []
        self.data: dict[str, str] = {}
        self.focus: list[Module] = []
        self._generate()

    # Making one.

    def number(self) -> int:
        """Returns a number for a value; often as long as the one before, which is what hides an edit best."""
        return self.rng.choice((self.rng.randrange(1, 10), self.rng.randrange(10, 100), self.rng.randrange(1000)))

    def block(self, template: str, **values: object) -> tuple[str, dict[str, object]]:
        """Returns a block with numbers of its own."""
        self.serial += 1
        return template, {"n": self.number(), "i": self.serial, "m": "state", "f": "notes.txt", **values}

    def _add_module(self, name: str, path: str) -> Module:
        module = Module(name, path)
        module.blocks.append(self.block(PLAIN_BLOCKS[0]))
        self.modules.append(module)
        return module

    def _generate(self) -> None:
        rng = self.rng
        self.entry = Module("wsgi", "wsgi.py")
        self.state = Module("state", "state.py")
        self.state.blocks.append(self.block(STATE))
        self._add_module("alpha", "alpha/__init__.py")
        for package in ("alpha", "alpha.inner", "beta", "space", "space.deep", "plugins"):
            folder = package.replace(".", "/")
            if package in ("alpha.inner", "beta", "plugins"):
                self._add_module(package, f"{folder}/__init__.py")
            for _ in range(rng.randrange(1, 4)):
                self.serial += 1
                self._add_module(f"{package}.mod{self.serial}", f"{folder}/mod{self.serial}.py")
        for _ in range(rng.randrange(2, 5)):
            self.serial += 1
            self._add_module(f"top{self.serial}", f"top{self.serial}.py")
        packages = [m for m in self.modules if m.path.endswith("__init__.py")]
        others = [m for m in self.modules if m not in packages]
        rng.shuffle(others)
        self.modules = others + packages
        for place, module in enumerate(self.modules):
            importers = [self.entry, *self.modules[:place]]
            importer = rng.choice(importers[-4:] + [self.entry])
            importer.blocks.append(self.block(rng.choice(IMPORT_BLOCKS), m=module.name))
            for _ in range(rng.randrange(1, 4)):
                module.blocks.append(self.random_block(place))
        for module in rng.sample(self.modules, rng.randrange(0, 5)):
            module.blocks.insert(rng.randrange(1, len(module.blocks) + 1), self.block(SLOW_BLOCK))
        if rng.random() < 0.05:
            rng.choice(self.modules).blocks.append(self.block(SPOILING_BLOCK, f=rng.choice(COUNTED_DATA + UNCOUNTED_DATA)))
        self.entry.blocks.append(self.block("ENTRY = {n}"))
        for name in COUNTED_DATA + UNCOUNTED_DATA:
            self.data[name] = f"{name} {self.number()}\n"
        self.data["data/other.txt"] = "other\n"
        self.data["snippet.py"] = "SNIPPET = 0\n"

    def random_block(self, place: int) -> tuple[str, dict[str, object]]:
        """Returns a block for the module at that place: it imports from later ones, and now and then from an earlier one."""
        kind = self.rng.random()
        if kind < 0.45:
            return self.block(self.rng.choice(PLAIN_BLOCKS[1:]))
        if kind < 0.75:
            return self.block(self.rng.choice(DISK_BLOCKS), f=self.rng.choice(COUNTED_DATA + UNCOUNTED_DATA))
        later = self.modules[place + 1 :]
        if later and kind < 0.92:
            return self.block(self.rng.choice(IMPORT_BLOCKS), m=self.rng.choice(later).name)
        # A circle: what is not there yet is seen as such.
        earlier = self.modules[: place + 1]
        return self.block(self.rng.choice((IMPORT_BLOCKS[0], IMPORT_BLOCKS[4])), m=self.rng.choice(earlier).name)

    def all_modules(self) -> list[Module]:
        """Returns the modules with the entry and the shared state."""
        return [self.entry, self.state, *self.modules]

    def write_all(self) -> None:
        """Writes the whole project."""
        for module in self.all_modules():
            self.at(module.path).parent.mkdir(parents=True, exist_ok=True)
            self.at(module.path).write_text(module.text())
        for path, text in self.data.items():
            self.at(path).parent.mkdir(parents=True, exist_ok=True)
            self.at(path).write_text(text)
        self.lib.mkdir(exist_ok=True)

    def at(self, path: str) -> Path:
        """Returns where a file is; those of the library begin with lib:."""
        return self.lib / path[4:] if path.startswith("lib:") else self.app / path

    def apply(self, step: Step) -> None:
        """Does it."""
        for write in step.writes:
            time.sleep(write.pause_s)  # What is under way by then is the subject.
            target = self.at(write.path)
            if write.text is None:
                if target.is_dir():
                    shutil.rmtree(target)
                else:
                    target.unlink(missing_ok=True)
            elif write.text == "":
                os.utime(target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.with_name(f"{target.name}~").unlink(missing_ok=True)  # Emacs leaves it, others stumble on it.
                editors.save(target, write.text, write.how)

    def fresh(self) -> Fresh:
        """Starts a new Python, which neither reads nor writes bytecode, and asks it."""
        done = subprocess.run(
            [PYTHON, "-B", "-c", "import sys; sys.path[0] = '.'; import wsgi; sys.stdout.write(wsgi.dump())"],
            cwd=self.app,
            env={
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "PYTHONPATH": str(self.lib),
                "PYTHONPYCACHEPREFIX": str(self.app.parent / "no-cache"),
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        return Fresh(done.stdout if done.returncode == 0 else None, done.stderr[-2000:])

    # Edits.

    def save_of(self, module: Module) -> Write:
        """Returns the saving of a module, the way some editor does it."""
        return Write(module.path, module.text(), self.rng.choice(SAVES))

    def change_numbers(self, module: Module) -> Write:
        """One number of a module gets another value."""
        places = [k for k, (template, _) in enumerate(module.blocks) if "{n}" in template]
        template, values = module.blocks[place := self.rng.choice(places)]
        old = values["n"]
        while values["n"] == old:
            values["n"] = self.number()
        module.blocks[place] = (template, values)
        return self.save_of(module)

    def edit_body(self, module: Module) -> Write:
        """Something else than a number: a block comes, goes or moves."""
        before = module.text()
        for _ in range(20):
            place = self.modules.index(module) if module in self.modules else 0
            what = self.rng.randrange(3)
            if what == 0 or len(module.blocks) < 3:
                at = self.rng.randrange(1, len(module.blocks) + 1)
                module.blocks.insert(at, self.random_block(place))
            elif what == 1:
                del module.blocks[self.rng.randrange(1, len(module.blocks))]
            else:
                one, two = self.rng.sample(range(1, len(module.blocks)), 2)
                module.blocks[one], module.blocks[two] = module.blocks[two], module.blocks[one]
            if module.text() != before:
                return self.save_of(module)
        return self.change_numbers(module)

    def focused(self) -> Module:
        """Returns the module that is being worked on: the same one for a while, or two in turn."""
        if not self.focus or self.rng.random() < 0.12:
            slow = [module for module in self.modules if any(template == SLOW_BLOCK for template, _ in module.blocks)]
            pool = self.modules * 3 + slow * 6 + [self.entry, self.state]
            self.focus = self.rng.sample(pool, self.rng.choice((1, 1, 2, 2, 3)))
        module = self.focus.pop(0)
        self.focus.append(module)
        if module not in self.modules and module not in (self.entry, self.state):
            self.focus = []
            return self.focused()
        return module

    def step(self) -> Step:
        """Returns a random edit that has to lead to a reload."""
        kinds: list[tuple[int, Callable[[], Step]]] = [
            (48, lambda: Step("numbers", [self.change_numbers(self.focused())])),
            (10, lambda: Step("body", [self.edit_body(self.focused())])),
            (5, self._two_modules),
            (4, self._while_it_loads),
            (3, lambda: Step("touch", [Write(self.focused().path, "")])),
            (5, lambda: Step("counted data", [self._data(COUNTED_DATA)])),
            (3, lambda: Step("counted data, and a module", [self._data(COUNTED_DATA), self._focus()])),
            (9, lambda: Step("other data, then a module", [self._data(UNCOUNTED_DATA), self._focus()])),
            (3, lambda: Step("a listed file, then a module", [self._toggle("data/new.txt"), self._focus()])),
            (2, lambda: Step("a missing file, then a module", [self._toggle("data/missing.txt"), self._focus()])),
            (2, lambda: Step("a flag, then a module", [self._toggle("flag.on"), self._focus()])),
            (2, lambda: Step("a flag in a folder, then a module", [self._toggle("hidden/flag.on"), self._focus()])),
            (4, lambda: Step("the library, then a module", [self._library(), self._focus()])),
            (2, lambda: Step("an optional module", [self._toggle("optional.py")])),
            (1, lambda: Step("an optional module by its file", [self._toggle("switch.py")])),
            (1, lambda: Step("a shadow of the library", [self._toggle("colorsys.py", "SHADOW = {}\n")])),
            (1, lambda: Step("what is executed", [self._put("snippet.py", f"SNIPPET = {self._other()}\n")])),
            (2, self._plugin),
            (2, self._package_beside_module),
            (2, self._new_module),
            (1, self._new_package),
            (1, self._package_goes),
            (1, self._module_becomes_package),
            (1, lambda: Step("a namespace becomes a package, or the other way round", [self._toggle("space/__init__.py")])),
            (1, lambda: Step("one in a folder of sys.path", [self._toggle("vendor/vendored.py")])),
            (1, lambda: Step("another part of a namespace, then a module", [self._toggle("lib:space/extra.py"), self._focus()])),
            (2, self._delete_module),
            (2, self._rename_module),
            (4, self._break),
        ]
        weights = [weight for weight, _ in kinds]
        return self.rng.choices([make for _, make in kinds], weights)[0]()

    def _other(self) -> int:
        self.serial += 1
        return self.serial

    def _focus(self) -> Write:
        return self.change_numbers(self.focused())

    def _put(self, path: str, text: str) -> Write:
        self.data[path] = text
        return Write(path, text, self.rng.choice(("inplace", "atomic")))

    def _data(self, names: tuple[str, ...]) -> Write:
        name = self.rng.choice(names)
        return self._put(name, f"{name} {self._other()}\n")

    def _toggle(self, path: str, text: str = "VALUE = {}\n") -> Write:
        if self.at(path).exists():
            self.data.pop(path, None)
            return Write(path, None)
        return self._put(path, text.format(self._other()))

    def _library(self) -> Write:
        return self.rng.choice(
            (
                lambda: self._toggle("lib:dependency.py"),
                lambda: self._toggle("lib:dependency/__init__.py"),
                lambda: self._put("lib:dependency.py", f"VALUE = 'version {self._other()}'\n"),
            )
        )()

    def _two_modules(self) -> Step:
        one, two = self.rng.sample(self.modules + [self.entry], 2)
        return Step("two modules", [self.change_numbers(one), self.edit_body(two)])

    def _while_it_loads(self) -> Step:
        writes = [self._focus() for _ in range(self.rng.randrange(2, 4))]
        while self.at(writes[-1].path).read_text() == writes[-1].text:  # As it was: that is no change.
            writes.append(self._focus())
        return Step("saves a moment apart", [writes[0], *(write._replace(pause_s=self.rng.uniform(0, 0.06)) for write in writes[1:])])

    def _plugin(self) -> Step:
        there = [m for m in self.modules if m.name.startswith("plugins.")]
        if len(there) > 1 and self.rng.random() < 0.5:
            return self._remove("a plugin goes", self.rng.choice(there))
        return self._appear("a plugin comes", "plugins")

    def _appear(self, what: str, package: str, importer: Module | None = None) -> Step:
        self.serial += 1
        name = f"mod{self.serial}"
        dotted = f"{package}.{name}" if package else name
        module = self._add_module(dotted, f"{dotted.replace('.', '/')}.py")
        module.blocks.append(self.random_block(len(self.modules)))
        writes = [self.save_of(module)._replace(how="inplace")]
        if importer is not None:
            importer.blocks.append(self.block(self.rng.choice(IMPORT_BLOCKS), m=dotted))
            writes.append(self.save_of(importer))
        return Step(what, writes)

    def _new_module(self) -> Step:
        package = self.rng.choice(("", "alpha", "alpha.inner", "beta", "space", "space.deep", "fresh"))
        return self._appear("a new module and its import", package, self.focused())

    def _new_package(self) -> Step:
        """A package with an __init__ and a module in it, and somebody imports that."""
        self.serial += 1
        name, importer = f"pack{self.serial}", self.focused()
        above = self._add_module(name, f"{name}/__init__.py")
        step = self._appear("a new package and its import", name, importer)
        above.blocks.append(self.random_block(len(self.modules)))
        return Step(step.what, [self.save_of(above)._replace(how="inplace"), *step.writes])

    def _package_goes(self) -> Step:
        """A whole folder; often what imports it does not go with it."""
        package = self.rng.choice([m for m in self.modules if m.path.endswith("/__init__.py")])
        gone = [m for m in self.modules if m.path.startswith(os.path.dirname(package.path) + "/")]
        self.modules = [m for m in self.modules if m not in gone]
        self.focus = []
        return self._without_imports(Step("a package goes", [Write(os.path.dirname(package.path), None)]), gone)

    def _without_imports(self, step: Step, gone: list[Module]) -> Step:
        names = [module.name for module in gone]
        for other in self.all_modules():
            kept = [block for block in other.blocks if block[1]["m"] not in names or "try" in block[0]]
            if len(kept) < len(other.blocks) and self.rng.random() < 0.9:
                other.blocks = kept
                step.writes.append(self.save_of(other))
        return step

    def _module_becomes_package(self) -> Step:
        """Of the same name, without a word in any other file."""
        module = self.rng.choice([m for m in self.modules if not m.path.endswith("__init__.py")])
        old, module.path = module.path, f"{module.path[:-3]}/__init__.py"
        return Step("a module becomes a package", [Write(old, None), self.save_of(module)._replace(how="inplace")])

    def _remove(self, what: str, module: Module) -> Step:
        self.modules.remove(module)
        self.focus = []
        return Step(what, [Write(module.path, None)])

    def _delete_module(self) -> Step:
        modules = [m for m in self.modules if not m.path.endswith("__init__.py")]
        module = self.rng.choice(modules)
        return self._without_imports(self._remove("a module goes", module), [module])

    def _rename_module(self) -> Step:
        modules = [m for m in self.modules if not m.path.endswith("__init__.py")]
        module = self.rng.choice(modules)
        old_name, old_path = module.name, module.path
        self.serial += 1
        module.path = f"{os.path.dirname(old_path) or '.'}/mod{self.serial}.py".removeprefix("./")
        module.name = module.path[:-3].replace("/", ".")
        writes = [Write(old_path, None), self.save_of(module)._replace(how="inplace")]
        for other in self.all_modules():
            if any(values["m"] == old_name for _, values in other.blocks):
                for _, values in other.blocks:
                    values["m"] = module.name if values["m"] == old_name else values["m"]
                writes.append(self.save_of(other))
        return Step("a module is renamed", writes)

    def _package_beside_module(self) -> Step:
        """A package takes the place of a module of the same name, without a word in any other file."""
        tops = [m for m in self.modules if "." not in m.name and m.path.endswith(".py") and "/" not in m.path]
        if not tops:
            return Step("numbers", [self._focus()])
        folder = self.rng.choice(tops).name
        if self.at(folder).is_dir():
            self.data.pop(f"{folder}/__init__.py", None)
            return Step("a shadowing package goes", [Write(folder, None)])
        return Step("a package shadows a module", [self._put(f"{folder}/__init__.py", f"VALUE = 'package {self._other()}'\n")])

    def _break(self) -> Step:
        module = self.focused()
        text = self.rng.choice(BROKEN) + f"# {self._other()}\n"  # Twice the same in a module that nobody imports is no change.
        return Step("broken", [Write(module.path, text if self.rng.random() < 0.5 else module.text() + text)])

    def remember(self) -> Callable[[], Step]:
        """Returns what brings the project back to as it is now, should the next edit break it."""
        files = {path: path.read_text() for folder in (self.app, self.lib) for path in sources_below(folder)}
        modules = [(m, m.name, m.path, [(t, dict(v)) for t, v in m.blocks]) for m in self.all_modules()]
        data, listed = dict(self.data), list(self.modules)

        def mend() -> Step:
            for module, name, path, blocks in modules:
                module.name, module.path, module.blocks = name, path, blocks
            self.modules, self.data, self.focus = listed, data, []
            writes = []
            there = {path for folder in (self.app, self.lib) for path in sources_below(folder)}
            for path in there - set(files):
                writes.append(Write(self._name_of(path), None))
            for path, text in files.items():
                if path not in there or path.read_text() != text:
                    writes.append(Write(self._name_of(path), text))
            return Step("mended", writes)

        return mend

    def _name_of(self, path: Path) -> str:
        if self.lib in path.parents:
            return f"lib:{path.relative_to(self.lib)}"
        return str(path.relative_to(self.app))


# Answers what edits of a Django project change, in the modules and in what Django makes of them.
DJANGO_VIEW = """

def everything(request):
    import json
    import os
    from django.apps import apps
    from django.conf import settings
    from django.db.migrations.loader import MigrationLoader
    from django.template import Context, Template
    from django.urls import get_resolver

    here = str(settings.BASE_DIR)
    migrations = MigrationLoader(None).disk_migrations
    rendered = Template("{% load shop_format %}{{ 3|stars }}{{ 7|money }}").render(Context())
    modules = {n: m for n, m in list(sys.modules.items()) if (getattr(m, "__file__", None) or "").startswith(here)}
    if request.GET:
        import time
        time.sleep(0.02)
    answer = {
        "extra": {n: m.EXTRA for n, m in modules.items() if hasattr(m, "EXTRA")},
        "modules": sorted(modules),
        "migrations": sorted(map(str, migrations)),
        "models": sorted(f"{m._meta.label}: {[f.name for f in m._meta.get_fields()]}" for m in apps.get_models()),
        "apps": settings.INSTALLED_APPS,
        "rendered": rendered,
        "libraries": sorted(Template("").engine.libraries),
        "addresses": len(list(get_resolver().reverse_dict)),
    }
    return HttpResponse(f"{os.getpid()}\\n{json.dumps(answer, sort_keys=True)}", content_type="text/plain")
"""
DJANGO_EDITED = (
    *("shop/settings.py", "shop/urls.py", "shop/wsgi.py", "catalog/models.py", "catalog/admin.py", "catalog/forms.py", "catalog/views.py", "catalog/urls.py"),
    *("catalog/apps.py", "catalog/templatetags/shop_format.py", "catalog/migrations/0001_initial.py", "pages/views.py", "pages/views.py", "pages/urls.py"),
    *("accounts/signals.py", "accounts/models.py", "orders/context_processors.py", "orders/views.py", "orders/basket.py", "catalog/__init__.py"),
)


class DjangoProject:
    """The example project, and random edits of it."""

    def __init__(self, rng: random.Random, app: Path) -> None:
        self.rng = rng
        self.app = app
        self.serial = 0
        shutil.copytree(Path(__file__).resolve().parents[1] / "project", app, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3"))
        self._append("pages/views.py", DJANGO_VIEW)
        urls = app / "pages/urls.py"
        urls.write_text(urls.read_text().replace("urlpatterns = [", 'urlpatterns = [\n    path("everything/", views.everything),'))

    def _append(self, path: str, text: str) -> None:
        with (self.app / path).open("a") as stream:
            stream.write(text)

    def apply(self, step: Step) -> None:
        """Does it."""
        for write in step.writes:
            if write.text is None:
                (self.app / write.path).unlink()
            else:
                editors.save(self.app / write.path, write.text, write.how)

    def fresh(self) -> Fresh:
        """Starts a new Python, which knows no bytecode of the project, and asks it."""
        cache = self.app.parent / "fresh-cache"
        shutil.rmtree(cache / str(self.app).lstrip("/"), ignore_errors=True)
        program = "import sys; sys.path[0] = '.'; import shop.wsgi; from django.test import Client; r = Client(HTTP_HOST='localhost').get('/everything/'); sys.stdout.write(r.content.decode().partition('\\n')[2]); sys.exit(r.status_code != 200)"
        env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPYCACHEPREFIX": str(cache)}
        done = subprocess.run([PYTHON, "-c", program], cwd=self.app, env=env, capture_output=True, text=True, timeout=60)
        return Fresh(done.stdout if done.returncode == 0 else None, done.stderr[-2000:])

    def step(self) -> Step:
        """Returns a random edit that has to lead to a reload, and leaves a project that loads."""
        self.serial += 1
        kinds = ((60, self._extra), (8, self._model), (6, self._tags), (8, self._migration), (6, self._library), (6, self._installed), (6, self._two), (4, self._address))
        return self.rng.choices([make for _, make in kinds], [weight for weight, _ in kinds])[0]()

    def _write(self, path: str, text: str) -> Write:
        return Write(path, text, self.rng.choice(("inplace", "atomic", "vim")))

    def _edit(self, path: str) -> Write:
        lines = [line for line in (self.app / path).read_text().splitlines() if not line.startswith("EXTRA = ")]
        return self._write(path, "\n".join([*lines, f"EXTRA = {self.serial}", ""]))

    def _extra(self) -> Step:
        return Step("a module", [self._edit(self.rng.choice(DJANGO_EDITED))])

    def _two(self) -> Step:
        return Step("two modules", [self._edit(path) for path in self.rng.sample(sorted(set(DJANGO_EDITED)), 2)])

    def _model(self) -> Step:
        lines = (self.app / "catalog/models.py").read_text().split("\n\nclass Extra")[0]
        return Step("a model", [self._write("catalog/models.py", f"{lines}\n\nclass Extra{self.serial}(models.Model):\n    value_{self.serial} = models.IntegerField()\n")])

    def _tags(self) -> Step:
        text = (self.app / "catalog/templatetags/shop_format.py").read_text()
        old = text.split("def money(amount):\n    return \"")[1].split(" ")[0]
        return Step("a template tag", [self._write("catalog/templatetags/shop_format.py", text.replace(old + " ", f"€{self.serial} ", 1))])

    def _toggle(self, what: str, path: str, text: str) -> Step:
        if (self.app / path).exists():
            return Step(f"{what} goes", [Write(path, None)])
        return Step(f"{what} comes", [self._write(path, text)])

    def _migration(self) -> Step:
        text = "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n    dependencies = [('catalog', '0001_initial')]\n    operations = []\n"
        return self._toggle("a migration", "catalog/migrations/0002_extra.py", text)

    def _library(self) -> Step:
        return self._toggle("a library of template tags", "orders/templatetags/extra_tags.py" if (self.app / "orders/templatetags").is_dir() else "catalog/templatetags/extra_tags.py", "from django import template\n\nregister = template.Library()\n")

    def _address(self) -> Step:
        text = (self.app / "pages/urls.py").read_text()
        line = '    path("more/", views.everything, name="more"),\n'
        changed = text.replace(line, "") if line in text else text.replace("urlpatterns = [\n", "urlpatterns = [\n" + line, 1)
        return Step("an address", [self._write("pages/urls.py", changed)])

    def _installed(self) -> Step:
        text = (self.app / "shop/settings.py").read_text()
        line = '    "django.contrib.humanize",\n'
        changed = text.replace(line, "") if line in text else text.replace('    "django.contrib.messages",\n', line + '    "django.contrib.messages",\n', 1)
        return Step("the applications in the settings", [self._write("shop/settings.py", changed)])


def sources_below(folder: Path) -> list[Path]:
    """Returns all files but caches."""
    return [
        Path(above, name)
        for above, _, names in os.walk(folder)
        if not above.endswith("__pycache__")
        for name in names
        if not name.endswith(("~", ".swp"))
    ]
