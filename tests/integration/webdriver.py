"""A browser, driven through the W3C's WebDriver protocol: Debian's Chromium without a window.

Knows nothing of servers and reloads. An element is what find() returns, and goes as an argument into run().
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, TypeVar

import harness

T = TypeVar("T")

PROGRAMS = ("chromium", "chromedriver")
START_DEADLINE_S = 60.0
# As root Chromium has no sandbox of its own, and in a container /dev/shm may be small.
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-proxy-server",
    "--window-size=1000,700",
)
SHADOW_ROOT = "shadow-6066-11e4-a52e-4f735466cecf"
KEYS = {"Escape": "\ue00c", "Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008"}


class WebDriverError(Exception):
    """What the driver answers where it cannot do something: a window that is gone, an element that is not there."""


def missing() -> str:
    """Returns what this machine lacks, or nothing."""
    return ", ".join(program for program in PROGRAMS if not shutil.which(program))


class Browser:
    """A driver with one browser, which has one window at first; both end with the block."""

    def __init__(self, base: Path | None = None) -> None:
        self.base = base or Path(tempfile.mkdtemp(prefix="fastreload-browser-"))
        self.log = harness.Log(self.base / "chromedriver.log")
        self.process: subprocess.Popen | None = None
        self.port = 0
        self.session = ""

    def __enter__(self) -> "Browser":
        try:
            self._start()
        except BaseException:
            print(self.log.tail())
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        with self.log.path.open("ab") as output:
            self.process = subprocess.Popen(
                ["chromedriver", "--port=0"],
                cwd=self.base,
                # Its profile and caches go where the log is, and so go away with it.
                env={"PATH": "/usr/bin:/bin", "HOME": str(self.base), "TMPDIR": str(self.base), "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=harness.die_with_parent,
            )
        said = re.compile(r"started successfully on port (\d+)")
        lines = harness.wait_until(
            lambda: self.log.matching(said), START_DEADLINE_S, "the driver listens", self.log.tail
        )
        self.port = int(said.search(lines[0]).group(1))
        wanted = {"goog:chromeOptions": {"binary": shutil.which("chromium"), "args": list(ARGUMENTS)}}
        self.session = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def __exit__(self, *_: object) -> None:
        try:
            if self.session:
                self.ask("DELETE", "")
        except (OSError, http.client.HTTPException, WebDriverError):
            pass
        finally:
            if self.process is not None:
                harness.end_process_tree(self.process)
            shutil.rmtree(self.base, ignore_errors=True)

    # The protocol.

    def _send(self, method: str, path: str, body: object = None) -> object:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=START_DEADLINE_S)
        try:
            text = None if method != "POST" else json.dumps(body or {})
            connection.request(method, path, text, {"Content-Type": "application/json"})
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise WebDriverError(f"{value['error']}: {value['message']}")
        return value

    def ask(self, method: str, path: str, body: object = None) -> object:
        """Makes one request of the protocol, in this session."""
        return self._send(method, f"/session/{self.session}{path}", body)

    def devtools(self, command: str, **parameters: object) -> object:
        """Sends one command of the DevTools protocol."""
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    # Pages.

    def open(self, url: str) -> None:
        """Opens a page and waits until it is loaded."""
        self.ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: object) -> object:
        """Runs the body of a function in the page and returns what it returns; of a promise, what comes of it."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def find(self, selector: str, root: dict | None = None) -> dict:
        """Returns the first element that matches, below the root of a shadow tree if there is one."""
        base = f"/shadow/{root[SHADOW_ROOT]}" if root else ""
        return self.ask("POST", f"{base}/element", {"using": "css selector", "value": selector})

    def type(self, *keys: str) -> None:
        """Presses keys one after the other where the focus is; "Shift+Tab" holds one of them."""
        actions = []
        for key in keys:
            codes = [KEYS.get(part, part) for part in (key.split("+") if len(key) > 1 else [key])]
            actions += [{"type": "keyDown", "value": code} for code in codes]
            actions += [{"type": "keyUp", "value": code} for code in reversed(codes)]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def windows(self) -> list[str]:
        """Returns the handles of all windows and tabs."""
        return self.ask("GET", "/window/handles")

    def new_window(self, kind: str = "tab") -> str:
        """Opens a tab or a window, goes there, and returns its handle."""
        handle = self.ask("POST", "/window/new", {"type": kind})["handle"]
        self.go_to(handle)
        return handle

    def go_to(self, handle: str) -> None:
        """Goes to another window or tab."""
        self.ask("POST", "/window", {"handle": handle})

    def close_others(self) -> None:
        """Leaves one empty tab, and nothing of what was set or is cached."""
        keep, *others = self.windows()
        for handle in others:
            self.go_to(handle)
            self.ask("DELETE", "/window")
        self.go_to(keep)
        self.devtools("Emulation.setEmulatedMedia", media="", features=[])
        self.devtools("Network.clearBrowserCache")
        self.open("about:blank")

    def prefer(self, **features: str) -> None:
        """Makes the user prefer something: prefer(color_scheme="dark")."""
        named = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.devtools("Emulation.setEmulatedMedia", media="", features=named)

    def screenshot(self, path: Path) -> None:
        """Saves what the page looks like."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def wait(self, script: str, what: str, deadline_s: float = 20.0, *arguments: object) -> object:
        """Waits until a script returns what is true. A page that is going away in this moment has not returned it yet."""

        def holds() -> object:
            try:
                return self.run(script, *arguments)
            except WebDriverError:
                return None

        return harness.wait_until(holds, deadline_s, what, self.explain)

    def explain(self) -> str:
        """Returns what is to be seen, for messages."""
        try:
            return str(self.run("return location.href + '\\n' + document.documentElement.outerHTML.slice(0, 4000)"))
        except WebDriverError as error:
            return str(error)
