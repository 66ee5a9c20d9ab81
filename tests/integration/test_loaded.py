"""A file that an ignore file names counts all the same once the application has loaded it, unless the application writes it."""

from __future__ import annotations

import json
import re

import pytest

import apps
from harness import RELOAD_DEADLINE_S, Instance
from test_control import RPC, Controlled
from test_dry_run import verdict

LOCAL = "parts/local_settings.py"
WHY = r'local_settings\.py counts: it is ignored by "local_settings\.py" \(.*/\.gitignore:3\), but the application has loaded it'

# What each line of the environment is goes to the log when the application is loaded.
READS_ENV = apps.WSGI_PY + '\nprint("environment:", open(os.path.join(HERE, ".env")).read().strip(), flush=True)\n'

FILES = {
    **apps.WSGI,
    ".gitignore": "# what is not shared\n.env\nlocal_settings.py\n*_pb2.py\nnobodys.py\n",
    LOCAL: apps.part("local"),
    "nobodys.py": apps.part("not loaded"),
}


def test_an_ignored_module_that_is_imported_reloads_and_the_log_says_why() -> None:
    with Instance(FILES) as app:
        for value in ("edited", "edited again"):
            with app.expect_exactly_one_reload():
                app.put(LOCAL, value)
        said = app.log.matching(WHY)
        assert len(said) == 1, said
        with app.expect_no_reload():
            app.path(LOCAL).write_text(app.path(LOCAL).read_text())


def test_an_ignored_file_that_nobody_loads_does_not_reload() -> None:
    with Instance(FILES) as app:
        with app.expect_no_reload():
            app.put("nobodys.py", "edited")
            app.put("made_pb2.py", "created")


def test_an_edit_while_the_first_load_goes_on_is_not_lost() -> None:
    files = {**FILES, "wsgi.py": apps.SLOW_TO_IMPORT["wsgi.py"]}
    with Instance(files, ready=False) as app:
        app.wait(lambda: app.log.matching("^importing"), RELOAD_DEADLINE_S, "the parts are read")
        app.put(LOCAL, "edited meanwhile")
        app.wait_served()


def test_a_file_that_is_read_reloads() -> None:
    with Instance({**FILES, "wsgi.py": READS_ENV, ".env": "A=1\n"}) as app:
        for value in ("A=2", "A=3"):
            with app.expect_exactly_one_reload():
                app.save(".env", value + "\n", how="atomic")
                app.wait(
                    lambda: app.log.matching(f"^environment: {value}$"),
                    RELOAD_DEADLINE_S,
                    "the new value is read",
                )


def test_a_broken_one_is_reported_and_its_repair_is_served() -> None:
    with Instance({**FILES, LOCAL: "def broken(:\n"}, ready=False) as app:
        app.wait(lambda: app.log.matching("SyntaxError"), RELOAD_DEADLINE_S, "the load fails")
        app.put(LOCAL, "repaired")
        app.wait_served()
        app.save(LOCAL, "def broken(:\n")
        app.wait(lambda: app.log.matching("not reloaded"), RELOAD_DEADLINE_S, "the load fails again")
        app.put(LOCAL, "repaired again")
        app.wait_served()


@pytest.mark.parametrize(
    "option", ("exclude = local_settings.py", "ignore-file = ignored.txt", "on = local_settings.py ignore")
)
def test_what_the_user_excludes_by_an_option_stays_excluded(option: str) -> None:
    with Instance({**FILES, "ignored.txt": "local_settings.py\n"}, fastreload=[option]) as app:
        first = app.served()
        app.put(LOCAL, "edited")
        app.wait_quiet()
        assert app.served() == first and app.reload_count() == 0


def test_one_that_comes_later_counts_from_the_next_load_on() -> None:
    files = {path: text for path, text in FILES.items() if path != LOCAL}
    with Instance(files) as app:
        app.put(LOCAL, "created")
        app.wait_quiet()
        assert app.reload_count() == 0
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "edited")
        with app.expect_exactly_one_reload():
            app.put(LOCAL, "edited")


def test_removal_and_return_reload() -> None:
    with Instance(FILES) as app:
        with app.expect_exactly_one_reload():
            app.path(LOCAL).unlink()
        with app.expect_exactly_one_reload():
            app.put(LOCAL, "back")


def test_an_ignore_file_that_changes_meanwhile_makes_no_difference() -> None:
    ignored = FILES[".gitignore"]
    with Instance({**FILES, ".gitignore": "# nothing\n"}) as app:
        for text, value in ((ignored, "ignored"), ("# nothing\n", "not ignored"), (ignored, "ignored again")):
            with app.expect_no_reload():
                app.save(".gitignore", text)
            with app.expect_exactly_one_reload():
                app.put(LOCAL, value)
        with app.expect_no_reload():
            app.put("nobodys.py", "edited")


def test_it_counts_again_after_a_full_reload() -> None:
    with Instance(FILES) as app:
        images = len(app.log.matching(r"\*\*\* Starting uWSGI"))
        app.path("parts/value.py").touch()
        app.process.send_signal(1)
        app.wait(
            lambda: len(app.log.matching(r"\*\*\* Starting uWSGI")) > images, RELOAD_DEADLINE_S, "uWSGI starts again"
        )
        app.wait_served()
        app.wait_quiet()
        with app.expect_exactly_one_reload():
            app.put(LOCAL, "edited")


# Each request writes what each load reads; that would be a reload for each request.
STATE = """
STATE = os.path.join(HERE, "state.yaml")
open(STATE).read()
"""


@pytest.mark.parametrize("how", ("written", "replaced"))
@pytest.mark.parametrize("backend", ("inotify", "poll"))
def test_what_the_application_writes_while_it_serves_does_not_reload(how: str, backend: str) -> None:
    files = {**FILES, "wsgi.py": apps.WSGI_PY + STATE, "state.yaml": "a: 1\n", ".gitignore": "state.yaml\n"}
    if how == "replaced":
        files["wsgi.py"] = files["wsgi.py"].replace(
            'with open(path, "a") as stream:\n            stream.write("written by the application\\n")',
            'open(path + "~", "w").write(f"b: {time.time()}\\n"); os.replace(path + "~", path)',
        )
        assert "os.replace" in files["wsgi.py"]
    with Instance(files, fastreload=[f"backend = {backend}"]) as app:
        with app.expect_no_reload():
            for _ in range(3):
                assert app.get("/write?path=state.yaml").status == 200
                app.wait_quiet()


def test_what_the_application_writes_while_it_is_loaded_does_not_reload() -> None:
    writes = '\nwith open(os.path.join(HERE, "state.yaml"), "r+") as stream:\n    stream.read()\n    stream.write("x")\n'
    files = {**FILES, "wsgi.py": apps.WSGI_PY + writes, "state.yaml": "a: 1\n", ".gitignore": "state.yaml\n"}
    with Instance(files) as app:
        app.wait_quiet()
        assert app.reload_count() == 0
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "edited")


def test_in_a_polled_folder_too() -> None:
    with Instance(FILES, fastreload=["backend = poll"]) as app:
        app.wait_quiet()
        for value in ("edited", "edited again"):
            with app.expect_exactly_one_reload():
                app.put(LOCAL, value)
        with app.expect_no_reload():
            app.put("nobodys.py", "edited")


def test_in_an_ignored_folder_it_does_not_count() -> None:
    files = {**FILES, "parts/generated/module.py": apps.part("generated"), ".gitignore": "generated/\n"}
    with Instance(files) as app:
        first = app.served()
        app.put("parts/generated/module.py", "edited")
        app.wait_quiet()
        assert app.served() == first and app.reload_count() == 0


def test_where_each_worker_loads_nothing_is_known() -> None:
    with Instance(FILES, fastreload=["strategy = swap"]) as app:
        app.wait(app.served_by_each_worker, RELOAD_DEADLINE_S, "each worker has loaded the application")
        app.put(LOCAL, "edited")
        app.wait_quiet()
        assert app.served()[LOCAL] == "local" and app.reload_count() == 0


def test_explain_names_the_line_and_the_reason() -> None:
    with Controlled() as app:
        app.save(".gitignore", "/parts/alpha.py\nnobodys.py\n")
        app.wait_quiet()
        answer = app.ask("explain", path=str(app.path("parts/alpha.py")))
        assert answer["counts"] and answer["loaded"] and answer["line"] == 1
        assert "but the application has loaded it" in answer["sentence"]
        answer = app.ask("explain", path=str(app.path("nobodys.py")))
        assert not answer["counts"] and not answer["loaded"]
        assert "and the application has not loaded it" in answer["sentence"]


def test_the_dry_run_says_that_a_load_would_matter() -> None:
    counts, line = verdict(LOCAL, files=FILES)
    assert not counts and re.search(r"/\.gitignore:3\), unless a Python application loads it", line), line


DJANGO = {
    ".gitignore": "local_settings.py\n.env\n",
    "site_settings/__init__.py": "",
    "site_settings/settings.py": """\
import os
import environ_file
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site_settings.urls"
GREETING = "default"
PLACE = environ_file.PLACE
try:
    from .local_settings import *
except ImportError:
    pass
""",
    "site_settings/local_settings.py": 'GREETING = "hello"\n',
    "site_settings/urls.py": """\
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse(settings.GREETING + " " + settings.PLACE))]
""",
    "site_settings/wsgi.py": """\
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings.settings"
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
""",
    "environ_file.py": """\
import os
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".env")) as stream:
    PLACE = stream.read().strip().partition("=")[2]
""",
    ".env": "PLACE=world\n",
}


def test_the_local_settings_and_the_environment_of_a_django_project() -> None:
    pytest.importorskip("django", reason="python3-django is not installed")

    def says(text: str) -> None:
        app.wait(lambda: app.get().text == text, RELOAD_DEADLINE_S, f'"{text}" is answered')

    def saves(relpath: str, content: str, text: str, how: str = "atomic") -> None:
        before = app.reload_count()
        app.save(relpath, content, how)
        says(text)
        app.wait_quiet()
        assert app.reload_count() == before + 1

    with Instance(DJANGO, application=["plugin = python3", "module = site_settings.wsgi"]) as app:
        app.git("init", "-q")
        app.git("add", ".")
        app.wait_quiet()
        says("hello world")
        saves("site_settings/local_settings.py", 'GREETING = "good morning"\n', "good morning world")
        saves("site_settings/local_settings.py", 'GREETING = "good evening"\n', "good evening world", "inplace")
        saves(".env", "PLACE=moon\n", "good evening moon")
        app.git("commit", "-q", "-m", "one")
        app.wait_quiet()
        before = app.reload_count()
        app.path("site_settings/local_settings.py").unlink()
        says("default moon")
        app.wait_quiet()
        assert app.reload_count() == before + 1
        saves("site_settings/local_settings.py", 'GREETING = "back"\n', "back moon")


def test_a_worker_that_is_asked_knows_what_its_load_has_read() -> None:
    files = {**RPC, ".gitignore": "local.py\nnobodys.py\n", "local.py": "A = 1\n"}
    files["wsgi.py"] = "import local\n" + files["wsgi.py"]
    with Instance(files, fastreload=["rpc = true"]) as app:

        def explain(name: str) -> dict:
            return json.loads(app.get(f"/fastreload_explain{app.app}/{name}").text)

        app.wait_quiet()
        assert explain("local.py")["loaded"] and not explain("nobodys.py")["counts"]
