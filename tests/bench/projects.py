"""The projects that are edited, in copies of their own."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from tools import editors, harness

_SHOP = harness.CHECKOUT / "tests" / "project"
_HEAVY = Path(__file__).resolve().parent / "heavy"
_VERSION = re.compile(r'^VERSION = ".*"$', re.M)


class Project(NamedTuple):
    """A Django project, and the file of it that is edited."""

    name: str
    folders: tuple[Path, ...]  # each is copied over the one before
    settings: str
    edited: str
    asked: str

    @property
    def module(self) -> str:
        """Returns the edited module as Python names it."""
        return self.edited.removesuffix(".py").replace("/", ".")


SMALL = Project("small", (_SHOP,), "shop.settings", "pages/views.py", "/pages/version/")


def _heavy(module: str) -> Project:
    """Returns the heavy project, of which that module of reports/ is edited."""
    path = f"reports/{module}.py"
    return Project(module, (_SHOP, _HEAVY), "shop.heavy", path, f"/reports/{module}/")


HEAVY_NEEDS = ("numpy", "pandas", "rest_framework")
# Before all that is heavy is imported, just when, and when all of it is there.
HEAVY_EARLY, HEAVY_VIEWS, HEAVY_LATE = HEAVY = [_heavy(name) for name in ("early", "views", "late")]


def with_version(text: str, version: str) -> str:
    """Returns the module's text with another VERSION; there has to be exactly one."""
    edited, replaced = _VERSION.subn(f'VERSION = "{version}"', text)
    if replaced != 1:
        raise ValueError(f'one line like VERSION = "1" is needed, and there are {replaced}')
    return edited


class Copy:
    """A copy of a project in a new folder."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.base = Path(tempfile.mkdtemp(prefix="fastreload-bench-"))
        left_out = shutil.ignore_patterns("__pycache__", "*.sqlite3", "*.pyc")
        for folder in project.folders:
            shutil.copytree(folder, self.base / "app", ignore=left_out, dirs_exist_ok=True)

    def save(self, version: str, how: str) -> None:
        """Edits the file the way an editor does (see editors.py); it answers this version from then on."""
        path = self.base / "app" / self.project.edited
        editors.save(path, with_version(path.read_text(), version), how)
