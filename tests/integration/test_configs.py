"""Every configuration in configs/ is started as it stands, a file is saved, and the new code is served.

Each runs in a copy of its folder, beside a build/ as in the checkout, with its port in the environment.
What needs an engine that tests cannot expect, Docker and systemd, is checked as far as can be without.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Iterator, Mapping, NamedTuple, Sequence

import pytest

import editors
import harness
import nginx
from harness import CHECKOUT, Server, free_port, http_get
from test_languages import PLUGIN_FOLDERS

CONFIGS = CHECKOUT / "configs"
OLD = "Edit me"
# Those that have a test elsewhere, and where.
ELSEWHERE = {
    "django.ini": "test_the_project_of_make_run_reloads, below",
    "emperor": "test_emperor_monitor.py",
    "vagrant": "test_push.py",
    "debian": "test_package.py: no configuration, but what the Debian package is made from",
}


class Config(NamedTuple):
    """What the test of a configuration has to know: what to save, and what must be installed."""

    edit: str = "app.py"
    modules: Sequence[str] = ()
    plugin: str = "python3"
    ini: str = "uwsgi.ini"


# The name of a folder in configs/ stands for configs/NAME/uwsgi.ini.
WITH_HTTP = {
    "wsgi": Config(),
    "flask": Config(modules=["flask"]),
    "pyramid": Config(edit="views.py", modules=["pyramid"]),
    "bottle": Config(modules=["bottle"]),
    "psgi": Config(edit="lib/Greeting.pm", plugin="psgi"),
    "lua": Config(edit="app.lua", plugin="lua51"),
    "venv": Config(modules=["bottle"]),
    "docker": Config(edit="app/app.py", ini="app/uwsgi.ini"),
    "systemd": Config(),
}
# With a test of its own below.
SPECIAL = {"nginx": Config()}


class Configured(Server):
    """A uWSGI that runs a copy of a configuration, by the command that the configuration names."""

    def __init__(self, name: str, config: Config, home: Path, *, options: Sequence[str] = ()) -> None:
        super().__init__([])
        self.folder = home / "configs" / name
        shutil.copytree(CONFIGS / name, self.folder, symlinks=True)
        (home / "build").symlink_to(harness.PLUGIN_DIR)
        self.port = free_port()
        self.env["PORT"] = str(self.port)
        self.edited = self.folder / config.edit
        self.arguments = [harness.UWSGI, *options, "--ini", str(self.folder / config.ini)]

    def command(self) -> list[str]:
        """Returns the command line that starts it; nothing is generated."""
        return self.arguments

    def answer(self) -> str:
        """Returns what the front page says, or nothing where it does not come."""
        with contextlib.suppress(OSError):
            response = http_get(("127.0.0.1", self.port))
            if response.status == 200:
                return response.text
        return ""

    def wait_answer(self, text: str) -> None:
        """Waits until the front page has this text."""
        self.wait(lambda: text in self.answer(), 20, f"{text!r} is served")

    def save_and_await(self, old: str = OLD, new: str = "Edited and seen", how: str = "inplace") -> None:
        """Saves the file with a text replaced, and waits for the new one on the front page."""
        source = self.edited.read_text()
        assert source.count(old) == 1, f"{old!r} is not once in {self.edited}"
        self.wait(lambda: self.log.count(harness.ARMED), 20, "the folder is watched")
        editors.save(self.edited, source.replace(old, new), how)
        self.wait_answer(new)


def require(config: Config) -> None:
    """Skips where the system has not what a configuration is about."""
    for module in config.modules:
        if subprocess.run(["/usr/bin/python3", "-c", f"import {module}"], capture_output=True).returncode:
            pytest.skip(f"the Python module {module} is not installed (python3-{module})")
    name = f"{config.plugin}_plugin.so"
    if not any(Path(folder, name).exists() for folder in PLUGIN_FOLDERS if folder):
        pytest.skip(f"uWSGI's {config.plugin} plugin is not installed")


def test_no_configuration_is_without_a_test() -> None:
    found = {path.name for path in CONFIGS.iterdir() if path.is_dir() or path.suffix == ".ini"}
    named = {*WITH_HTTP, *SPECIAL, *ELSEWHERE}
    assert not found - named, "give these an entry in tests/integration/test_configs.py"
    assert not {*WITH_HTTP, *SPECIAL} - found, "these are named here, but not in configs/"


def test_the_readme_names_each_configuration() -> None:
    readme = (CHECKOUT / "README.rst").read_text()
    missing = [name for name in (*WITH_HTTP, *SPECIAL) if f"``{name}/``" not in readme]
    assert not missing, f"README.rst, Configurations, does not have {missing}"


@pytest.mark.parametrize("name", [*WITH_HTTP, *SPECIAL])
def test_the_two_lines_are_together(name: str) -> None:
    config = {**WITH_HTTP, **SPECIAL}[name]
    text = (CONFIGS / name / config.ini).read_text()
    assert re.search(r"^; The two lines .*\nplugin = fastreload\nfastreload-dir = \.\n", text, re.M)


@pytest.mark.parametrize("how", ("inplace", "atomic"))
@pytest.mark.parametrize("name", WITH_HTTP)
def test_a_saved_file_is_served(name: str, how: str, tmp_path: Path) -> None:
    harness.require_plugin()
    config = WITH_HTTP[name]
    require(config)
    # In the container the plugin is where uWSGI looks for it.
    options = ["--plugin-dir", str(harness.PLUGIN_DIR)] if name == "docker" else []
    server = Configured(name, config, tmp_path, options=options)
    if name == "venv":
        make_environment(server.folder / ".venv")
    with server:
        server.wait_answer(OLD)
        if name == "venv":
            assert f"sys.prefix is {server.folder}/.venv" in server.answer()
        server.save_and_await(how=how)


def make_environment(folder: Path) -> None:
    """Makes a virtual environment that has what it asks for from the system, as tests have no package index."""
    command = ["/usr/bin/python3", "-m", "venv", "--without-pip", "--system-site-packages", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def test_a_saved_template_is_served_by_flask(tmp_path: Path) -> None:
    harness.require_plugin()
    require(WITH_HTTP["flask"])
    config = WITH_HTTP["flask"]._replace(edit="templates/index.html")
    with Configured("flask", config, tmp_path) as server:
        server.wait_answer(OLD)
        server.save_and_await("This template counts as well", "A template, saved")


# The project of `make run`.


def test_the_project_of_make_run_reloads(tmp_path: Path) -> None:
    harness.require_plugin()
    require(Config(modules=["django"]))
    shutil.copytree(CHECKOUT / "tests/project", tmp_path / "tests/project")
    (tmp_path / "configs").mkdir()
    shutil.copy(CONFIGS / "django.ini", tmp_path / "configs")
    (tmp_path / "build").symlink_to(harness.PLUGIN_DIR)
    port = free_port()
    server = Server([])
    server.env["PORT"] = str(port)
    server.app = tmp_path / "tests/project"
    server.command = lambda: [harness.UWSGI, "../../configs/django.ini"]

    def version() -> str:
        with contextlib.suppress(OSError):
            return http_get(("127.0.0.1", port), "/pages/version/").text
        return ""

    with server:
        server.wait(version, 20, "the project answers")
        server.wait(lambda: server.log.count(harness.ARMED), 20, "the folder is watched")
        views = server.app / "pages/views.py"
        text = re.sub(r"^VERSION = .*", 'VERSION = "edited"', views.read_text(), flags=re.M)
        editors.save(views, text, "inplace")
        server.wait(lambda: "edited" in version(), 20, "the edit is served")


# nginx.


@contextlib.contextmanager
def nginx_of(folder: Path, *, to: int) -> Iterator[int]:
    """Runs nginx with a copy's nginx.conf, in which nothing but the two ports is changed; yields its own."""
    port = free_port()
    conf = folder / "nginx.conf"
    text = conf.read_text()
    for old, new in (("listen 127.0.0.1:8000;", port), ("uwsgi_pass 127.0.0.1:3031;", to)):
        assert text.count(old) == 1
        text = text.replace(old, f"{old.rpartition(':')[0]}:{new};")
    conf.write_text(text)
    with nginx.running(folder):
        yield port


def test_a_saved_file_is_served_through_nginx(tmp_path: Path) -> None:
    harness.require_plugin()
    nginx.require()
    # nginx's workers run as somebody else, who has to get through the folders of this test.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    server = Configured("nginx", SPECIAL["nginx"], tmp_path)
    with nginx_of(server.folder, to=server.port) as port, server:
        server.port = port
        server.wait_answer(OLD)
        server.save_and_await()


# systemd.


def unit_settings() -> dict[str, str]:
    """Returns the settings of the unit, by their names."""
    lines = (CONFIGS / "systemd/uwsgi@.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]\w+=", line))


def test_the_unit_starts_what_tells_systemd_that_it_is_ready(tmp_path: Path) -> None:
    harness.require_plugin()
    settings = unit_settings()
    assert settings["Type"] == "notify"
    server = Configured("systemd", WITH_HTTP["systemd"], tmp_path)
    program, *rest = shlex.split(
        settings["ExecStart"].replace("%h", str(tmp_path)).replace("%I", "configs/systemd")
    )
    assert program == "/usr/bin/uwsgi"
    server.arguments = [harness.UWSGI, *rest]
    address = str(server.base / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.settimeout(20)
        server.env["NOTIFY_SOCKET"] = address
        with server:
            while "READY=1" not in (said := notify.recv(4096).decode()):
                assert "STATUS=" in said
            server.wait_answer(OLD)
            server.save_and_await()
            server.process.send_signal(signal.Signals[settings["KillSignal"]])
            server.process.wait(20)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (systemd)")
    unit = tmp_path / "uwsgi@src-shop.service"
    shutil.copy(CONFIGS / "systemd/uwsgi@.service", unit)
    command = ["systemd-analyze", "verify", "--user", "--man=no", str(unit)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    about_it = [line for line in (done.stdout + done.stderr).splitlines() if "uwsgi@" in line]
    assert not about_it, about_it


# Docker.


def test_the_compose_file_names_what_is_there() -> None:
    yaml = pytest.importorskip("yaml", reason="python3-yaml is not installed")
    folder = CONFIGS / "docker"
    service = yaml.safe_load((folder / "compose.yaml").read_text())["services"]["app"]
    context = (folder / service["build"]["context"]).resolve()
    assert context == CHECKOUT
    dockerfile = context / service["build"]["dockerfile"]
    [(host, inside, mode)] = [volume.split(":") for volume in service["volumes"]]
    assert (folder / host).is_dir() and mode == "ro"
    settings = dict(instructions(dockerfile.read_text()))
    ini = re.search(r'"--ini", "(.*)"', settings["CMD"]).group(1)
    assert (folder / host / Path(ini).relative_to(inside)).is_file()
    [(address, _, port)] = [mapping.split(":") for mapping in service["ports"]]
    assert address == "127.0.0.1" and settings["ENV"] == f"PORT={port}"


def instructions(text: str) -> list[tuple[str, str]]:
    """Returns the instructions of a Dockerfile and their arguments."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.M))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def test_the_dockerfile_installs_what_a_build_needs() -> None:
    setup = (CHECKOUT / "tests/setup").read_text()
    needed = set(re.search(r"^\techo (gcc .*)", setup, re.M).group(1).split())
    steps = instructions((CONFIGS / "docker/Dockerfile").read_text())
    installs = next(argument for name, argument in steps if name == "RUN")
    assert needed <= set(installs.split())


def test_the_dockerfile_builds_from_what_it_copies(tmp_path: Path) -> None:
    """Does what the first stage does: copies the sources, and runs the build command, at other places."""
    source, work = tmp_path / "src", tmp_path / "work"
    source.mkdir()
    work.mkdir()
    steps = instructions((CONFIGS / "docker/Dockerfile").read_text())
    built = ""
    for name, argument in steps:
        if name == "COPY" and not argument.startswith("--from"):
            what, where = argument.split()
            into = Path(str(source) + where.removeprefix("/src"))
            path = CHECKOUT / what
            shutil.copytree(path, into) if path.is_dir() else shutil.copy(path, into)
        if name == "RUN" and "--build-plugin" in argument:
            built = argument.replace("/tmp", str(work)).replace("/src", str(source))
    env = {**os.environ, "PYTHON": "/usr/bin/python3"}
    subprocess.run(["sh", "-ec", built], check=True, capture_output=True, timeout=300, env=env)
    [copied] = [argument for name, argument in steps if argument.startswith("--from=build ")]
    assert (work / Path(copied.split()[1]).name).is_file()
