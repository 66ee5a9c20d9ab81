"""The Debian package and the man page: built, looked at, installed into a scratch root, and run from there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import harness
from harness import CHECKOUT
from test_configs import OLD, Config, Configured

NAME = "uwsgi-plugin-fastreload"
# A maintainer's address has to be one that mail may have.
MAINTAINER = {"DEBFULLNAME": "Some One", "DEBEMAIL": "someone@packages.debian.org"}
TIMEOUT_S = 300


def run(*command: object, **env: str) -> str:
    """Runs a command that must succeed, and returns what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=CHECKOUT,
        env={**os.environ, "LC_ALL": "C.UTF-8", **env},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a package made by `make deb`, or skips where this is no Debian."""
    if shutil.which("dpkg-shlibdeps") is None:
        pytest.skip("this is no Debian with dpkg-dev")
    folder = tmp_path_factory.mktemp("deb") / "made"
    run("make", "deb", f"DEBDIR={folder}", f"UWSGI={harness.UWSGI}", MAKEFLAGS="", **MAINTAINER)
    [found] = folder.glob("*.deb")
    return found


def test_the_package_holds_the_plugin_and_what_explains_it(package: Path) -> None:
    names = {line.split()[-1] for line in run("dpkg-deb", "--contents", package).splitlines()}
    doc = f"./usr/share/doc/{NAME}"
    assert {
        "./usr/lib/uwsgi/plugins/fastreload_plugin.so",
        "./usr/share/man/man7/fastreload.7.gz",
        f"{doc}/README.rst",
        f"{doc}/copyright",
        f"{doc}/examples/flask/uwsgi.ini",
        f"{doc}/examples/systemd/uwsgi@.service",
    } <= names
    assert not [name for name in names if "__pycache__" in name]


def test_the_package_wants_the_uwsgi_that_it_was_built_for(package: Path) -> None:
    depends = run("dpkg-deb", "--field", package, "Depends")
    bounds = re.findall(r"uwsgi-core \((\S+) (\S+?)\)", depends)

    def suits(version: str) -> bool:
        return all(
            subprocess.run(["dpkg", "--compare-versions", version, relation, bound]).returncode == 0
            for relation, bound in bounds
        )

    upstream = run(harness.UWSGI, "--version").split("-")[0].strip()
    assert len(bounds) == 2
    assert suits(f"{upstream}-1") and suits(f"{upstream}-5.1+deb12u1")
    assert not suits(f"{upstream}.1-1") and not suits("2.0.1-1") and not suits("2.1-1")


def test_lintian_has_nothing_to_say(package: Path) -> None:
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    said = run("lintian", "--allow-root", "--display-info", "--fail-on", "error,warning,info", package)
    assert not said.strip()


def test_the_installed_package_serves_a_saved_file(package: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "var/lib/dpkg/updates").mkdir(parents=True)
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/status").touch()
    # The root is empty, so nothing of what the package depends on is there.
    force = "--force-depends,not-root,bad-path"
    run("dpkg", f"--root={root}", f"--log={root}/log", force, "--install", package)
    assert "install ok installed" in run("dpkg-query", f"--admindir={root}/var/lib/dpkg", "--status", NAME)
    plugins = root / "usr/lib/uwsgi/plugins"
    examples = root / "usr/share/doc" / NAME / "examples"
    server = Configured("wsgi", Config(), tmp_path / "home", options=["--plugin-dir", str(plugins)])
    shutil.rmtree(server.folder)
    shutil.copytree(examples / "wsgi", server.folder)
    (tmp_path / "home/build").unlink()
    with server:
        server.wait_answer(OLD)
        server.save_and_await()
        maps = Path(f"/proc/{server.master_pid}/maps").read_text()
        assert str(plugins / "fastreload_plugin.so") in maps


def test_make_install_installs_plugin_and_man_page(tmp_path: Path) -> None:
    harness.require_plugin()
    if shutil.which("rst2man") is None and shutil.which("rst2man.py") is None:
        pytest.skip("rst2man is not installed (python3-docutils)")
    # What is built already is not built again: other tests run it.
    run("make", "install", f"DESTDIR={tmp_path}", f"UWSGI={harness.UWSGI}", "-o", "build/fastreload_plugin.so", MAKEFLAGS="")
    assert list(tmp_path.glob("usr/**/fastreload_plugin.so"))
    page = (tmp_path / "usr/share/man/man7/fastreload.7").read_text()
    assert re.search(r'^\.TH "?FASTRELOAD"? "?7"? ', page, re.M)


def test_the_man_page_has_each_option_of_the_readme() -> None:
    if shutil.which("man") is None:
        pytest.skip("man is not installed (man-db)")
    run("make", "build/fastreload.7", MAKEFLAGS="")
    page = run("man", "--warnings", "-l", CHECKOUT / "build/fastreload.7", MANWIDTH="100", MAN_KEEP_FORMATTING="")
    readme = (CHECKOUT / "README.rst").read_text()
    options = re.findall(r"^   \* - ``([a-z-]+)", readme, re.M)
    assert len(options) > 5
    assert not [name for name in options if name not in re.sub("[\u2010\u00ad]\n? *", "-", page)]
