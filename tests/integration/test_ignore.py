"""What ignore files leave out reloads nothing, also when they change, and the log and the dry run name the line."""

from __future__ import annotations

import subprocess

import apps
from harness import Instance
from test_dry_run import verdict

# What is in extra/ counts and is not loaded: nobody waits to see it served.
FILES = {
    **apps.WSGI,
    ".gitignore": "# what is generated\n*_pb2.py\n/generated/\n",
    "generated/module.py": "A = 1\n",
    "extra/x_pb2.py": apps.part("generated"),
    "extra/tool.py": apps.part("first"),
}


def git(app: Instance, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments],
        cwd=app.app,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_what_git_ignores_does_not_reload_and_the_log_names_the_line() -> None:
    with Instance(FILES) as app:
        with app.expect_no_reload():
            app.save("extra/x_pb2.py", apps.part("generated again"))
            app.save("generated/module.py", "A = 2\n")
        said = app.log.path.read_text()
        assert 'extra/x_pb2.py does not count: "*_pb2.py"' in said and "/.gitignore:2" in said
        with app.expect_exactly_one_reload():
            app.put("parts/value.py", "edited")
        app.wait_served()


def test_an_ignore_file_that_changes_holds_at_once_and_reloads_nothing() -> None:
    with Instance(FILES) as app:
        git(app, "init", "-q")
        with app.expect_no_reload():
            app.save(".reloadignore", "!*_pb2.py\n/extra/tool.py\n")
        with app.expect_no_reload():
            app.save("extra/tool.py", apps.part("ignored now"))
        with app.expect_exactly_one_reload():
            app.save("extra/x_pb2.py", apps.part("counts now"))
        with app.expect_no_reload():
            app.path(".reloadignore").unlink()
        with app.expect_exactly_one_reload():
            app.save("extra/tool.py", apps.part("counts again"))


def test_a_checkout_that_brings_an_ignore_file_and_code_reloads_once() -> None:
    with Instance(FILES) as app:
        git(app, "init", "-q", "-b", "main")
        git(app, "add", ".")
        git(app, "commit", "-q", "-m", "one")
        git(app, "checkout", "-q", "-b", "other")
        app.wait_quiet()
        with app.expect_no_reload():
            app.save(".gitignore", "*_pb2.py\n")
        app.put("parts/value.py", "other branch")
        app.put("parts/added.py", "added")
        app.wait_served()
        git(app, "add", ".")
        git(app, "commit", "-q", "-m", "two")
        for branch in ("main", "other", "main"):
            with app.expect_exactly_one_reload():
                git(app, "checkout", "-q", "-f", branch)
            app.wait_served()


def test_options_name_more_files_and_turn_gits_off() -> None:
    with Instance(
        {**FILES, "ignored.txt": "/extra/tool.py\n"},
        fastreload=["ignore-file = ignored.txt", "no-gitignore = true"],
    ) as app:
        with app.expect_no_reload():
            app.save("extra/tool.py", apps.part("ignored"))
        with app.expect_exactly_one_reload():
            app.save("extra/x_pb2.py", apps.part("counts"))


def test_a_bad_line_or_a_missing_file_ends_the_start_with_one_line() -> None:
    for text, expected in (
        ("a.py\n[b\n", ":2: a '[' without its ']'"),
        (None, "cannot be read: No such file or directory"),
    ):
        files = {**FILES, **({"ignored.txt": text} if text else {})}
        app = Instance(files, fastreload=["ignore-file = ignored.txt"], ready=False)
        try:
            ended = app.run()
        finally:
            app.__exit__(None, None, None)
        assert ended.status == 1, ended.output
        lines = [line for line in ended.output.splitlines() if "ignore-file" in line]
        assert len([line for line in lines if expected in line]) == 1, ended.output
        assert "spawned uWSGI worker" not in ended.output


def test_a_file_that_the_user_includes_counts_whatever_git_says() -> None:
    with Instance(FILES, fastreload=["include = x_pb2.py"]) as app:
        with app.expect_exactly_one_reload():
            app.save("extra/x_pb2.py", apps.part("counts"))


def test_the_dry_run_names_the_file_and_the_line() -> None:
    counts, line = verdict("extra/x_pb2.py", files=FILES)
    assert not counts and '"*_pb2.py"' in line and "/.gitignore:2" in line, line
    counts, line = verdict("generated/module.py", files=FILES)
    assert not counts and '"/generated/"' in line and "/.gitignore:3" in line, line
    assert verdict("extra/x_pb2.py", "no-gitignore = true", files=FILES)[0]
