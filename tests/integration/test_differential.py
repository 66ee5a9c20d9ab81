"""Whatever is edited, a reload answers what a fresh start answers: random projects, random edits, compared after each.

FR_DIFF_EDITS (200) says how many edits, FR_DIFF_SEED which ones, and FR_DIFF_PROJECT runs a single one of the projects.
"""

from __future__ import annotations

import concurrent.futures
import json
import os
import random
import re
import time

import pytest

import projects
from harness import Instance

EDITS = int(os.environ.get("FR_DIFF_EDITS", "200"))
SEED = int(os.environ.get("FR_DIFF_SEED", str(random.randrange(1 << 30))))
DJANGO_EDITS = max(5, EDITS // 10)
PER_PROJECT = min(EDITS, 50 if EDITS <= 1000 else 200)
PROJECTS = (
    [int(os.environ["FR_DIFF_PROJECT"])]
    if "FR_DIFF_PROJECT" in os.environ
    else list(range(-(-EDITS // PER_PROJECT)))
)

DONE = re.compile(r"\[fastreload\] reloaded in (\d+) ms.*\((?:.*, )?(from behind|from the beginning)")
FAILED = re.compile(r"\[fastreload\] not reloaded: ")
BEHIND = re.compile(r"\[fastreload\] reloaded in .*from behind the first \d+ files")
DEADLINE_S = 12.0

INSIDE = re.compile(r"\[fastreload\] reloaded in .*, inside the module")
totals = {"edits": 0, "reloads": 0, "behind": 0, "inside": 0, "broken": 0}


def differences(served: object, fresh: object, path: str = "") -> list[str]:
    """Returns where two answers differ."""
    if isinstance(served, dict) and isinstance(fresh, dict):
        found = []
        for key in sorted(set(served) | set(fresh)):
            if key not in served or key not in fresh:
                side = "only served" if key in served else "not served"
                found.append(f"{path}/{key}: {side}: {served.get(key, fresh.get(key))}")
            else:
                found += differences(served[key], fresh[key], f"{path}/{key}")
        return found
    return [] if served == fresh else [f"{path}: served {served}, fresh {fresh}"]


def new_project(rng: random.Random, app: Instance) -> projects.Project:
    """Returns a project that loads, and answers the same twice."""
    for _ in range(50):
        for path in app.app.iterdir():
            projects.shutil.rmtree(path) if path.is_dir() else path.unlink()
        project = projects.Project(rng, app.app, app.base / "lib")
        project.write_all()
        if project.fresh().text is not None:
            return project
    raise AssertionError("no project of 50 loads")


class Comparison:
    """One project in one instance."""

    def __init__(self, app: Instance, workers: int, project: projects.Project | projects.DjangoProject, path: str = "/") -> None:
        self.app = app
        self.workers = workers
        self.path = path
        self.project = project
        self.good = ""
        self.history: list[str] = []

    def ask(self, query: str = "") -> tuple[str, str]:
        """Returns the pid of a worker, and what it answers."""
        response = self.app.try_get(self.path + query)
        pid, _, text = response.text.partition("\n") if response else ("", "", "no answer")
        return pid, text

    def ask_all(self) -> None:
        """Has each worker answer. What it has not imported by then it imports later from the disk, as it may look then."""
        pids: set[str] = set()
        end = time.monotonic() + DEADLINE_S
        with concurrent.futures.ThreadPoolExecutor(2 * self.workers) as pool:
            while len(pids) < self.workers:
                assert time.monotonic() < end, f"{pids} have answered, of {self.workers} workers\n{self.app.log.tail()}"
                for pid, text in pool.map(self.ask, ["?all"] * 2 * self.workers):
                    assert text == self.good, self.explain("one of the workers answers something else", projects.Fresh(self.good, ""), text)
                    pids.add(pid)

    def outcomes(self) -> int:
        """Returns how many reloads have come to an end, good or bad."""
        return self.app.log.count(DONE) + self.app.log.count(FAILED)

    def do(self, step: projects.Step) -> bool:
        """Makes an edit, and compares. Returns whether the project still loads."""
        self.ask_all()
        before = self.outcomes()
        self.history.append(f"{step.what}: " + ", ".join(f"{w.path} ({w.how})" if w.text else f"{w.path} {'touched' if w.text == '' else 'removed'}" for w in step.writes))
        self.project.apply(step)
        fresh = self.project.fresh()
        if fresh.text is not None:
            self.good = fresh.text
        self.wait_equal(fresh, before)
        totals["edits"] += 1
        totals["broken"] += fresh.text is None
        return fresh.text is not None

    def wait_equal(self, fresh: projects.Fresh, before: int) -> None:
        """Waits for the outcome, and for the last of them if there are several, to be the right one."""
        end = time.monotonic() + DEADLINE_S
        served = None
        while time.monotonic() < end:
            if self.outcomes() > before and self.is_last_outcome(fresh.text is None):
                _, served = self.ask()
                if served == self.good:
                    return
            assert self.app.process.poll() is None, self.explain("uWSGI has ended", fresh, served)
            time.sleep(0.003)
        what = "it answers something else" if self.outcomes() > before else "no outcome"
        raise AssertionError(self.explain(what, fresh, served))

    def is_last_outcome(self, is_failure: bool) -> bool:
        """Tells whether the last outcome in the log is a failure, or a success."""
        for line in reversed(self.app.log.lines):
            if FAILED.search(line) or DONE.search(line):
                return bool(FAILED.search(line)) == is_failure
        return False

    def explain(self, what: str, fresh: projects.Fresh, served: str | None) -> str:
        """Returns all that is needed to see what happened."""
        lines = [f"{what} after edit {len(self.history)} of seed {SEED}"]
        if served:
            try:
                lines += differences(json.loads(served), json.loads(self.good))[:20]
            except ValueError:
                lines.append(served[:500])
        lines += ["a fresh start fails:\n" + fresh.error] if fresh.text is None else []
        lines += ["the last edits:", *self.history[-6:]]
        lines += self.app.log.matching(r"\[fastreload\]")[-12:]
        keep = os.environ.get("FR_DIFF_KEEP")
        if keep:
            projects.shutil.copytree(self.app.base, keep, dirs_exist_ok=True, ignore=projects.shutil.ignore_patterns("*.sock"))
        return "\n".join(lines) + "\n" + self.app.log.tail(30)


def run_project(number: int, edits: int) -> None:
    """Generates a project, starts it, and edits it."""
    rng = random.Random(SEED * 1000 + number)
    workers = rng.choice((1, 1, 2, 4))
    ini = rng.choice(((), (), ("enable-threads = true",), ("threads = 2",), ("lazy-apps = true",)))
    snapshots = rng.choice((3, 3, 3, 1, 6))
    app = Instance({}, workers=workers, ini=ini, fastreload=[f"snapshots = {snapshots}"])
    app.env["PYTHONPATH"] = str(app.base / "lib")
    project = new_project(rng, app)
    with app:
        app.wait_quiet(0.1)
        comparison = Comparison(app, workers, project)
        comparison.good = project.fresh().text or ""
        for _ in range(edits):
            mend = project.remember()
            if not comparison.do(project.step()):
                assert comparison.do(mend()), comparison.explain("mended", project.fresh(), None)
        totals["reloads"] += app.log.count(DONE)
        totals["behind"] += app.log.count(BEHIND)
        totals["inside"] += app.log.count(INSIDE)


@pytest.mark.slow
def test_reloads_of_a_django_project_answer_what_a_fresh_start_answers() -> None:
    print(f"FR_DIFF_SEED={SEED} FR_DIFF_EDITS={EDITS}")
    rng = random.Random(SEED)
    application = ("plugin = python3", "module = shop.wsgi:application")
    workers = rng.choice((1, 2, 4))
    app = Instance({}, application=application, workers=workers, ready=False)
    project = projects.DjangoProject(rng, app.app)
    with app:
        app.wait(lambda: app.try_get("/everything/") is not None, 30, "it answers")
        app.wait_quiet(0.1)
        comparison = Comparison(app, workers, project, "/everything/")
        comparison.good = project.fresh().text or ""
        for _ in range(DJANGO_EDITS):
            assert comparison.do(project.step()), comparison.explain("a broken edit was drawn", project.fresh(), None)
        totals["reloads"] += app.log.count(DONE)
        totals["behind"] += app.log.count(BEHIND)
        totals["inside"] += app.log.count(INSIDE)


@pytest.mark.slow
@pytest.mark.parametrize("number", PROJECTS)
def test_reloads_answer_what_a_fresh_start_answers(number: int) -> None:
    print(f"FR_DIFF_SEED={SEED} FR_DIFF_PROJECT={number} FR_DIFF_EDITS={EDITS}")
    run_project(number, PER_PROJECT)


def test_enough_of_them_went_on_from_a_snapshot(capsys: pytest.CaptureFixture[str]) -> None:
    """Else the comparison proves nothing."""
    if not totals["reloads"]:
        pytest.skip("no project was compared")
    with capsys.disabled():
        print(f"\nseed {SEED}: {totals['edits']} edits, {totals['broken']} of them broke it; {totals['reloads']} reloads, {totals['behind']} from behind, {totals['inside']} of them from inside")
    assert totals["behind"] * 3 >= totals["reloads"], totals
    assert totals["inside"] * 40 >= totals["reloads"] or totals["edits"] < 1000, totals
