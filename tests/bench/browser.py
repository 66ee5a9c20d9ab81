#!/usr/bin/python3
"""Measures how long after a save an open page shows it, in Chromium: this plugin beside others, all in one run.

Three kinds of edit: of the code that makes the page, of its template, and of its style sheet. Vite's development server
does the same kinds: a module of JavaScript, the page itself, a style sheet. Servers that only start themselves again have
no way to tell the page. For them the time is that until the first answer by the new code, asked for without pause, and
then that of a reload of the page, as if somebody had pressed the key in that moment.

The clock starts in this process when the save has ended, and stops in the page, after the first frame that shows it: a
script in each document looks once per frame, and takes the time when that frame is done. Both read the system's clock.
All take turns in one window, in rounds of random order; the page is opened anew for each turn, and left alone for a while
before the save.

And what pages that wait cost the application: how long its own requests take with 500 of them on an instance with one
worker, and without, in blocks that take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple, Sequence

import contenders
import measure
from figures import NAN, Goal, Result, goals_table, median, quantile, ratio, short, table
from tools import editors, harness, shop, waiting, webdriver

OUTPUT = harness.CHECKOUT / "build" / "bench"
VITE = "8.3.8"
LOST_AFTER_S = 20.0
# A page has its connection by then, and is idle; a little more or less, so that no timer is always met in one phase.
IDLE_S = (0.3, 0.6)
ASK_PAUSE_S = 0.1
# Requests to an instance with pages that wait: one after the other, and of so many clients at once.
WAITING_CLIENTS = (1, 8)
WAITING_REQUESTS = 400
CLOCK_SLACK_MS = 2.0

# Runs first in each document. What is seen is a text, and the color that it has.
WATCH = """
(() => {
    const now = () => performance.timeOrigin + performance.now();
    const channel = new MessageChannel();
    window.benchSeen = [];
    let last = "";
    channel.port1.onmessage = ({ data }) => benchSeen.push([data, now()]);
    const look = () => {
        const element = document.getElementById("version");
        const seen = element ? element.textContent + " / " + getComputedStyle(element).color : "";
        if (seen !== last) channel.port2.postMessage(last = seen);
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
})();
"""
FIELDS = ["code", "template", "module", "style"]
BODY = """\
<h1>The corner shop</h1>
<p id="version"><span id="code">{code}</span> / <b>1</b> / <span id="module">-</span></p>
<form><input name="typed"></form>
<p><img src="{logo}" alt=""></p>
<div style="height: 4000px">long</div>
"""
STYLE_PREFIX = "#version { color: "
STYLE = STYLE_PREFIX + "rgb(0, 1, 77); }\n"


class Edit(NamedTuple):
    """A file, and the text in it that the version stands behind."""

    path: Path
    prefix: str


def value_of(kind: str, version: str) -> str:
    """Returns what a page shows of a version: itself, or a color that no other version has."""
    number = int(version.rstrip("."))
    return f"rgb({number // 256}, {number % 256}, 77)" if kind == "style" else version


class Site:
    """A server with a page, and the edits that change the page. Runs from start() on until the stack ends."""

    name = ""
    # What is true in a page that would hear of an edit.
    connected = "return true"

    @classmethod
    def missing(cls) -> str:
        """Returns what this machine lacks to run it, or nothing."""
        return ""

    def start(self, stack: contextlib.ExitStack) -> None:
        """Starts it and waits until it answers."""
        raise NotImplementedError

    def url(self) -> str:
        """Returns the page's address."""
        raise NotImplementedError

    def edits(self) -> dict[str, Edit]:
        """Returns the kinds of edit that can be made."""
        raise NotImplementedError

    def save(self, kind: str, version: str, how: str) -> None:
        """Makes an edit: the page shows this version from then on."""
        path, prefix = self.edits()[kind]
        new = prefix + value_of(kind, version)
        text, count = re.subn(re.escape(prefix) + '[^"<;]*', new, path.read_text())
        if count != 1:
            raise ValueError(f"{path}: {prefix!r} is there {count} times")
        editors.save(path, text, how)

    def after_save(self, browser: webdriver.Browser, version: str) -> None:
        """Does what has to be done for the page to follow, which is part of the time."""


def prepare(app: Path) -> None:
    """Makes the front page of a copy of the project the page that is looked at."""
    body = BODY.format(code="{{ greeting }}", logo="{% static 'pages/logo.svg' %}")
    (app / shop.HOME).write_text(
        '{% extends "pages/base.html" %}{% load static %}{% block content %}\n' + body + "{% endblock %}\n"
    )
    with (app / shop.STYLE).open("a") as stream:
        stream.write(STYLE)


class Fastreload(Site):
    """This plugin: the page is told."""

    name = "fastreload"
    options: tuple[str, ...] = ()
    connected = "return !!window.fastreload && fastreload.state === 'serving'"

    def start(self, stack: contextlib.ExitStack) -> None:
        self.server = shop.Shop(*self.options, verbose=False)
        prepare(self.server.app)
        stack.enter_context(self.server)

    def url(self) -> str:
        return self.server.url("/")

    def edits(self) -> dict[str, Edit]:
        return {
            "code": Edit(self.server.path(shop.VIEWS), 'GREETING = "'),
            "template": Edit(self.server.path(shop.HOME), "<b>"),
            "style": Edit(self.server.path(shop.STYLE), STYLE_PREFIX),
        }


class FastreloadTemplates(Fastreload):
    """The same, told that the application reads its templates anew for each page, as Django's uncached loaders do."""

    name = "fastreload, on = *.html browser"
    options = ("on = *.html browser",)

    def edits(self) -> dict[str, Edit]:
        return {"template": super().edits()["template"]}


class Vite(Site):
    """Vite's development server. A module that does not take its own changes makes the page reload; one that does is
    exchanged in place."""

    name = f"Vite {VITE}"
    connected = "return performance.getEntriesByType('resource').some(({ name }) => name.includes('/@vite/client'))"
    MAIN = 'document.getElementById("code").textContent = "1";\n'
    MODULE = 'document.getElementById("module").textContent = "1";\nimport.meta.hot.accept();\n'
    home = OUTPUT / f"vite-{VITE}"

    @classmethod
    def missing(cls) -> str:
        for program in ("node", "npm"):
            if not shutil.which(program):
                return f"command {program}"
        if cls.program().exists():
            return ""
        cls.home.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", cls.home, f"vite@{VITE}"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                return f"npm cannot install vite@{VITE}: " + done.stderr.strip().split("\n")[-1]
        return "" if cls.program().exists() else f"npm cannot install vite@{VITE}"

    @classmethod
    def program(cls) -> Path:
        """Returns what node runs."""
        return cls.home / "node_modules" / "vite" / "bin" / "vite.js"

    def start(self, stack: contextlib.ExitStack) -> None:
        self.server = _ViteServer()
        head = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">'
        links = '<link rel="stylesheet" href="/style.css">'
        scripts = "".join(f'<script type="module" src="/{name}.js"></script>' for name in ("main", "module"))
        body = BODY.format(code="", logo="/logo.svg")
        files = {
            "index.html": f"{head}{links}</head>\n<body>\n{body}{scripts}</body></html>\n",
            "style.css": (shop.PROJECT / shop.STYLE).read_text() + STYLE,
            "main.js": self.MAIN,
            "module.js": self.MODULE,
            "public/logo.svg": shop.FILES[shop.LOGO],
        }
        for name, text in files.items():
            (self.server.app / name).parent.mkdir(exist_ok=True)
            (self.server.app / name).write_text(text)
        stack.enter_context(self.server)
        address = ("127.0.0.1", self.server.port)
        self.server.wait(lambda: answers(address), contenders.START_DEADLINE_S, "Vite answers")

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/"

    def edits(self) -> dict[str, Edit]:
        return {
            "code": Edit(self.server.app / "main.js", 'textContent = "'),
            "template": Edit(self.server.app / "index.html", "<b>"),
            "module": Edit(self.server.app / "module.js", 'textContent = "'),
            "style": Edit(self.server.app / "style.css", STYLE_PREFIX),
        }


class _ViteServer(harness.Server):
    """The process."""

    def __init__(self) -> None:
        super().__init__([])
        self.port = harness.free_port()

    def command(self) -> list[str]:
        options = f"--host 127.0.0.1 --port {self.port} --strictPort --clearScreen false"
        return ["node", str(Vite.program()), *options.split()]


class Restarting(Site):
    """A server that starts itself again, and a page that somebody reloads the moment that the new code answers."""

    kind: type[contenders.Peer]

    @classmethod
    def missing(cls) -> str:
        return cls.kind.missing()

    def start(self, stack: contextlib.ExitStack) -> None:
        self.server = self.kind()
        self.prepare(self.server.app)
        stack.enter_context(self.server)
        self.server.wait_ready()

    def prepare(self, app: Path) -> None:
        """Makes the copy of the project what is served."""
        shop.adapt(app)
        prepare(app)

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/"

    def edits(self) -> dict[str, Edit]:
        return {"code": Edit(self.server.app / shop.VIEWS, 'GREETING = "')}

    def after_save(self, browser: webdriver.Browser, version: str) -> None:
        until = time.monotonic() + LOST_AFTER_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if f'"code">{version}<' in harness.http_get(("127.0.0.1", self.server.port)).text:
                    browser.run("location.reload()")
                    return
            time.sleep(measure.POLL_PAUSE_S)


class Runserver(Restarting):
    """Django's own server."""

    name = "runserver, reloaded by hand"
    kind = contenders.RunserverStat


class Gunicorn(Restarting):
    """gunicorn --reload."""

    name = "gunicorn, reloaded by hand"
    kind = contenders.GunicornInotify


class BrowserReload(Restarting):
    """Django's own server with django-browser-reload, which tells the page."""

    name = "django-browser-reload"
    kind = contenders.RunserverStat
    connected = "return performance.getEntriesByType('resource').some(({ name }) => name.includes('reload-listener'))"

    @classmethod
    def missing(cls) -> str:
        return "" if importlib.util.find_spec("django_browser_reload") else "Python module django_browser_reload"

    def prepare(self, app: Path) -> None:
        super().prepare(app)
        # It may be anywhere that this Python has been told of.
        found = importlib.util.find_spec("django_browser_reload")
        self.server.env["PYTHONPATH"] = str(Path(found.origin).parents[1])
        with (app / "shop" / "settings.py").open("a") as stream:
            stream.write('INSTALLED_APPS += ["django_browser_reload"]\n')
            stream.write('MIDDLEWARE += ["django_browser_reload.middleware.BrowserReloadMiddleware"]\n')
        urls = app / "shop" / "urls.py"
        urls.write_text(urls.read_text() + 'urlpatterns += [path("__reload__/", include("django_browser_reload.urls"))]\n')

    def edits(self) -> dict[str, Edit]:
        return {**super().edits(), "template": Edit(self.server.app / shop.HOME, "<b>")}

    def after_save(self, browser: webdriver.Browser, version: str) -> None:
        pass


SITES: list[type[Site]] = [Fastreload, FastreloadTemplates, Vite, BrowserReload, Runserver, Gunicorn]


def answers(address: tuple[str, int]) -> bool:
    """Tells whether the page is served there."""
    with contextlib.suppress(OSError):
        return harness.http_get(address).status == 200
    return False


class Contestant:
    """One kind of edit on one site, in the window that all share."""

    def __init__(self, site: Site, kind: str, browser: webdriver.Browser, chance: random.Random) -> None:
        self.site, self.kind, self.browser, self.chance = site, kind, browser, chance
        self.result = Result(f"{site.name}: {kind}")
        self.rested_at = 0.0

    def measure(self, version: str, how: str) -> bool:
        """Opens the page, saves once and notes when it was painted; returns whether it was."""
        self.browser.open(self.site.url())
        self.browser.wait(self.site.connected, f"{self.site.name} is connected")
        time.sleep(self.chance.uniform(*IDLE_S))
        check_clock(self.browser)
        self.site.save(self.kind, version, how)
        saved_ms = time.time() * 1000
        self.site.after_save(self.browser, version)
        painted_ms = self.await_painted(version)
        if painted_ms is None:
            self.result.lost += 1
        else:
            self.result.served_ms.append(painted_ms - saved_ms)
        self.rested_at = time.monotonic() + measure.REST_S
        return painted_ms is not None

    def await_painted(self, version: str) -> float | None:
        """Returns the page's time of the first frame that showed it; the page is asked seldom, not to be in its way."""
        wanted, field = value_of(self.kind, version), FIELDS.index(self.kind)
        until = time.monotonic() + LOST_AFTER_S
        while time.monotonic() < until:
            time.sleep(ASK_PAUSE_S)
            with contextlib.suppress(webdriver.WebDriverError):
                for text, at_ms in self.browser.run("return window.benchSeen || []"):
                    if text.split(" / ")[field:][:1] == [wanted]:
                        return at_ms
        return None


def check_clock(browser: webdriver.Browser) -> None:
    """Raises RuntimeError where the page does not read the clock that this process reads."""
    before_ms = time.time() * 1000
    page_ms = browser.run("return performance.timeOrigin + performance.now()")
    after_ms = time.time() * 1000
    if not before_ms - CLOCK_SLACK_MS <= page_ms <= after_ms + CLOCK_SLACK_MS:
        raise RuntimeError(f"the page's clock is off: {page_ms - before_ms:.1f} ms of {after_ms - before_ms:.1f}")


def saves_table(results: Sequence[Result]) -> str:
    """Returns one line a result."""
    rows = []
    for result in results:
        quantiles = [short(value) for value in (result.median_ms, result.quantile_ms(0.9), result.quantile_ms(1.0))]
        rows.append([result.name, str(len(result.served_ms)), *quantiles, str(result.lost)])
    return table(["mechanism: kind of edit", "saves", "median ms", "p90 ms", "max ms", "lost"], rows)


def goals(results: Sequence[Result]) -> list[Goal]:
    """Returns what the plugin's medians are held to."""
    medians = {result.name: result.median_ms for result in results}

    def median(site: type[Site], kind: str) -> float:
        return medians.get(f"{site.name}: {kind}", NAN)

    found = []
    for kind in ("code", "template", "style"):
        ours, theirs = median(Fastreload, kind), median(Vite, kind)
        found.append(Goal(f"fastreload / Vite: {kind}", 2, ratio(ours, theirs), False))
    ours, theirs = median(FastreloadTemplates, "template"), median(Vite, "template")
    found.append(Goal(f"{FastreloadTemplates.name} / Vite: template", 2, ratio(ours, theirs), False))
    for site in (BrowserReload, Runserver, Gunicorn):
        measured = ratio(median(site, "code"), median(Fastreload, "code"))
        found.append(Goal(f"{site.name} / fastreload: code", 1, measured, True))
    return found


def waiting_name(clients: int) -> str:
    """Returns what requests of so many clients are called."""
    return "one request after the other" if clients == 1 else f"requests of {clients} clients"


def waiting_table(measured: dict[int, waiting.Times]) -> str:
    """Returns two lines for each number of clients."""
    rows = []
    for clients, times in measured.items():
        for pages, values in ((0, times.without_ms), (waiting.PAGES, times.with_ms)):
            quantiles = [short(value) for value in (median(values), quantile(values, 0.9))]
            rows.append([f"{waiting_name(clients)}, {pages} pages wait", str(len(values)), *quantiles])
    return table(["one worker", "requests", "median ms", "p90 ms"], rows)


def waiting_goals(measured: dict[int, waiting.Times]) -> list[Goal]:
    """Returns what pages that wait may cost."""
    return [
        Goal(f"{waiting.PAGES} pages wait / none: {waiting_name(clients)}", 1.1, times.ratio(), False)
        for clients, times in measured.items()
    ]


def waiting_json(clients: int, times: waiting.Times) -> dict[str, object]:
    """Returns the figures without each single request."""
    kinds = {"without": times.without_ms, "with": times.with_ms}
    found: dict[str, object] = {"clients": clients, "pages": waiting.PAGES}
    for kind, values in kinds.items():
        found[kind] = {"requests": len(values), "median_ms": median(values), "p90_ms": quantile(values, 0.9)}
    return {**found, "ratio": times.ratio()}


def measure_waiting(blocks: int) -> dict[int, waiting.Times]:
    """Returns the times for each number of clients."""
    with waiting.instance() as app:
        return {
            clients: waiting.measure(app, clients=clients, requests=WAITING_REQUESTS, blocks=blocks)
            for clients in WAITING_CLIENTS
        }


def started(kind: type[Site], stack: contextlib.ExitStack, skipped: list[str]) -> Site | None:
    """Starts a site; one that this machine cannot run is left out, aloud. This plugin has to run."""
    missing = kind.missing()
    reason = f"missing: {missing}" if missing else ""
    site = kind()
    try:
        if not reason:
            site.start(stack)
            return site
    except AssertionError as error:
        if issubclass(kind, Fastreload):
            raise
        reason = str(error)
    skipped.append(f"skipped: {kind.name}: {reason}")
    print(skipped[-1])
    return None


def run(options: argparse.Namespace) -> dict[str, object]:
    """Starts all, lets them take turns, prints the tables, and returns the figures."""
    chance = random.Random(options.seed)
    skipped: list[str] = []
    waited = measure_waiting(options.blocks)
    print(f"\nRequests to the application while pages wait.\n\n{waiting_table(waited)}\n")
    if options.only_waiting:
        print(goals_table(waiting_goals(waited)))
        return {"waiting": [waiting_json(*each) for each in waited.items()]}
    with contextlib.ExitStack() as stack:
        sites = [site for kind in SITES if (site := started(kind, stack, skipped))]
        browser = stack.enter_context(webdriver.Browser())
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        contestants = [Contestant(site, kind, browser, chance) for site in sites for kind in site.edits()]
        measure.take_turns(contestants, options.saves, options.how, chance)
    results = [contestant.result for contestant in contestants]
    held = goals(results) + waiting_goals(waited)
    print(f"\nFrom the end of a save until an open page has painted it.\n\n{saves_table(results)}")
    print(f"\n{goals_table(held)}")
    return {
        "skipped": skipped,
        "saves": [result.as_json() for result in results],
        "waiting": [waiting_json(*each) for each in waited.items()],
        "goals": [goal.as_json() for goal in held],
    }


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saves", type=int, default=20, metavar="N", help="of each kind (20)")
    parser.add_argument("--how", default="inplace", choices=list(editors.PATTERNS), help="kind of save (inplace)")
    parser.add_argument("--seed", type=int, help="repeat the order and phases of a run")
    parser.add_argument("--blocks", type=int, default=20, metavar="N", help=f"of {WAITING_REQUESTS} requests each, with pages that wait, and without (20)")
    parser.add_argument("--only-waiting", action="store_true", help="measure nothing but the cost of pages that wait")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FOLDER", help="for browser.json")
    options = parser.parse_args()
    for name in ("saves", "blocks"):
        if getattr(options, name) < 1:
            parser.error(f"--{name}: one at least")
    return options


def main() -> int:
    """Runs the comparison."""
    sys.stdout.reconfigure(line_buffering=True)
    options = arguments()
    if webdriver.missing() and not options.only_waiting:
        print(f"skipped: the browser: missing: {webdriver.missing()}")
        return 0
    try:
        harness.require_plugin()
    except RuntimeError as error:
        print(f"browser: {error}", file=sys.stderr)
        return 1
    here = contenders.machine()
    print(here["what"], here["processor"], f"load average {here['load'][0]:.2f}", sep="; ")
    figures = {"machine": here, **run(options)}
    here["load_at_end"] = os.getloadavg()
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "browser.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(f"\nload average {here['load_at_end'][0]:.2f}; all figures are in {options.output / 'browser.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
