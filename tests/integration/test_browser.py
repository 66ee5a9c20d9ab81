"""Open pages follow the code: what they are told, through everything that may stand before uWSGI, and what strangers are not.

The pages here are sockets; real ones, in Chromium, are in test_page.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Iterator

import pytest

import apps
import harness
import load
import nginx
import waiting
from harness import Instance, Server, children_of, free_port, process_name, wait_until
from pages import PATH, LiveReload, Page, ask, connect, read_all, request_bytes, status_of
from test_bad_input import options, refused
from waiting import listen

HEAD = "<!doctype html><html><head><title>x</title>"
TAG = re.compile(
    rb'<script src="/__fastreload__/client\.js" data-generation="(\d+)" data-since="\d+" data-path="/__fastreload__" async(?: nonce="([^"]*)")?></script>'
)
# Answers as apps.WSGI does; /page is a page whose text is in a module.
FILES = {
    **apps.WSGI,
    "words.py": 'WORD = "first"\n',
    "static/css/site.css": "a { color: red }\n",
    "templates/page.html": "<p>first</p>\n",
    "wsgi.py": apps.WSGI_PY.replace(
        "def application(environ, start_response):",
        '''import words


def application(environ, start_response):
    if environ["PATH_INFO"] == "/page":
        body = "<!doctype html><html><head><title>x</title></head><body>" + words.WORD + "</body></html>"
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))])
        return [body.encode()]''',
    ),
}


def browsing(*fastreload: str, files: dict[str, str] | None = None, **options_: object) -> Instance:
    """Returns an instance whose pages follow."""
    return Instance(files or FILES, fastreload=["browser = true", *fastreload], **options_)


def hub_pid(app: Server) -> int:
    """Returns the process that has the pages' connections, or 0."""
    found = [pid for pid in children_of(app.master_pid) if process_name(pid) == "fastreload-page" and harness.process_state(pid) != "Z"]
    return found[0] if found else 0


def wait_hub(app: Server, not_pid: int = 0) -> int:
    """Waits until there is one, which is not that one."""
    return app.wait(lambda: hub_pid(app) not in (0, not_pid) and hub_pid(app), 15, "there is a hub")


def generation_of(answer: bytes) -> int:
    """Returns the number in the script of a page."""
    found = TAG.search(answer)
    assert found, answer
    return int(found.group(1))


# What pages are told.


def test_a_page_hears_what_happens_to_the_code() -> None:
    with browsing() as app, Page(app.socket_path) as page:
        hello = page.hear("hello")
        first = hello["generation"]
        assert hello == {"type": "hello", "generation": first, "state": "serving", "since": 0}
        assert b"text/event-stream" in page.head and b"no-store" in page.head and b"X-Accel-Buffering: no" in page.head
        assert b"Access-Control" not in page.head
        assert generation_of(ask(app.socket_path, "/page")) == first

        app.save("words.py", 'WORD = "second"\n')
        assert page.hear("reload") == {"type": "reload", "generation": first + 1, "reason": "code"}
        answer = ask(app.socket_path, "/page")
        assert b"second" in answer and generation_of(answer) == first + 1

        app.save("words.py", "WORD = 'a</script>'\n\ndef oops(:\n")
        broken = page.hear("broken")
        assert broken["kind"] == "SyntaxError" and broken["file"] == "words.py" and broken["line"] == 3, broken
        assert {"line": 1, "text": "WORD = 'a</script>'"} in broken["source"]
        assert {"line": 3, "text": "def oops(:"} in broken["source"]
        assert "Traceback (most recent call last)" in broken["traceback"]
        assert re.fullmatch(r"the code of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", broken["serving"])
        answer = ask(app.socket_path, "/page")
        assert b"second" in answer and generation_of(answer) == first + 1

        with Page(app.socket_path) as late:  # Who comes now is told at once.
            assert late.hear("hello") == {"type": "hello", "generation": first + 1, "state": "broken", "since": 1}
            assert late.hear("broken") == broken

        since = len(page.heard)
        app.save("words.py", 'WORD = "third"\n')
        assert page.hear("reload", since=since)["generation"] == first + 2
        assert b"third" in ask(app.socket_path, "/page")


def test_style_sheets_and_images_are_exchanged_without_a_reload() -> None:
    with browsing() as app, Page(app.socket_path) as page:
        page.hear("hello")
        with app.expect_no_reload():
            app.save("static/css/site.css", "a { color: blue }\n")
            assert page.hear("assets") == {"type": "assets", "files": ["static/css/site.css"]}
            app.save("static/logo.svg", "<svg/>")
            assert page.hear("assets", since=2)["files"] == ["static/logo.svg"]


def since_of(answer: bytes) -> int:
    """Returns the number of the last news that a page is newer than."""
    return int(re.search(rb'data-since="(\d+)"', answer).group(1))


def test_what_was_saved_while_a_page_was_loading_is_told_when_it_listens() -> None:
    with browsing("on = templates/ browser") as app, Page(app.socket_path) as open_page:
        open_page.hear("hello")
        before = since_of(ask(app.socket_path, "/page"))
        app.save("static/css/site.css", "a { color: blue }\n")
        open_page.hear("assets")
        between = since_of(ask(app.socket_path, "/page"))
        app.save("static/logo.svg", "<svg/>")
        open_page.hear("assets", since=2)
        assert (before, between, open_page.last_id) == (0, 1, 2)

        with Page(app.socket_path, since=before) as page:
            assert page.hear("hello")["since"] == 0
            page.hear("assets", since=2)
            assert [message.get("files") for message in page.heard] == [None, ["static/css/site.css"], ["static/logo.svg"]]
        # A browser that comes back with the same address says what it has heard since.
        with Page(app.socket_path, {"Last-Event-ID": str(between)}, since=before) as page:
            page.hear("assets")
            assert [message.get("files") for message in page.heard] == [None, ["static/logo.svg"]]

        since = since_of(ask(app.socket_path, "/page"))
        app.save("templates/page.html", "<p>second</p>\n")
        open_page.hear("reload")
        with Page(app.socket_path, since=since) as page:
            assert page.hear("hello")["since"] == since + 1 == since_of(ask(app.socket_path, "/page"))


@pytest.mark.parametrize("since", ["", "x", "-1", "1e3", "99999999999999999999", "999"])
def test_a_number_that_is_none_or_not_reached_is_no_number(since: str) -> None:
    with browsing() as app, Page(app.socket_path) as open_page:
        open_page.hear("hello")
        app.save("static/css/site.css", "a { color: blue }\n")
        open_page.hear("assets")
        with Page(app.socket_path, since=since) as page:
            page.hear("hello")
            assert page.last_id == 1
            app.save("static/logo.svg", "<svg/>")
            assert page.hear("assets")["files"] == ["static/logo.svg"]


def test_the_next_hub_knows_who_has_missed_something() -> None:
    with browsing() as app:
        hub = wait_hub(app)
        with Page(app.socket_path) as page:
            page.hear("hello")
            app.save("static/css/site.css", "a { color: blue }\n")
            page.hear("assets")
        os.kill(hub, signal.SIGKILL)
        wait_hub(app, hub)
        with Page(app.socket_path, since=0) as page:
            assert page.hear("hello")["since"] == 1
            assert page.last_id == 0


class Visitor:
    """Somebody who gets a page, and whose page then listens."""

    def __init__(self, app: Instance) -> None:
        self.address = app.socket_path
        self.answer = ask(self.address, "/page")
        self.page = Page(self.address, since=since_of(self.answer))

    def is_loaded_again(self) -> bool:
        """Tells whether the page was told of what it is loaded again for; it comes again if the process that tells it has ended."""
        self.page.take_all()
        while not self.page.heard or self.page.is_closed:
            if self.page.is_closed:
                self.page = Page(self.address, since=since_of(self.answer))
            self.page.take_in(0.05)
        return self.page.is_loaded_again(generation_of(self.answer), since_of(self.answer))


def test_a_page_of_new_code_is_not_loaded_again_however_late_the_news_are() -> None:
    with browsing() as app, Page(app.socket_path) as open_page:
        open_page.hear("hello")
        hub = wait_hub(app)
        os.kill(hub, signal.SIGSTOP)
        app.wait(lambda: harness.process_state(hub) == "T", 15, "it hears nothing")
        old = Visitor(app)
        app.save("words.py", 'WORD = "second"\n')
        app.wait(lambda: b"second</body>" in ask(app.socket_path, "/page"), 15, "the new code serves")
        new = Visitor(app)
        os.kill(hub, signal.SIGCONT)
        assert open_page.hear("reload")["generation"] == generation_of(new.answer)
        app.save("static/css/site.css", "a { color: blue }\n")  # Behind that nothing else comes.
        for visitor in (old, new):
            visitor.page.hear("assets")
        assert b"first</body>" in old.answer and old.is_loaded_again()
        assert b"second</body>" in new.answer and not new.is_loaded_again()


@pytest.mark.parametrize("action", ["swap", "reload"])
def test_of_pages_that_come_while_the_code_changes_exactly_the_old_ones_are_loaded_again(action: str) -> None:
    with browsing(f"action = {action}", ini=("listen = 100",)) as app:
        for number in range(5):
            visitors: list[Visitor] = []
            is_over = threading.Event()

            def come_and_come() -> None:
                while not is_over.is_set() and len(visitors) < 900:  # There is room for 1024.
                    visitors.append(Visitor(app))

            crowd = [threading.Thread(target=come_and_come) for _ in range(3)]
            for thread in crowd:
                thread.start()
            before = app.reload_count()
            app.save("words.py", f'WORD = "word {number}"\n')
            app.wait(lambda: app.reload_count() > before, 15, "it is reloaded")
            for _ in range(20):
                visitors.append(Visitor(app))
            is_over.set()
            for thread in crowd:
                thread.join()
            is_new = [f"word {number}</body>".encode() in visitor.answer for visitor in visitors]
            assert any(is_new) and not all(is_new)
            with Page(app.socket_path) as last:  # What there was to tell has been told before it is greeted.
                last.hear("hello")
            for visitor, has_new in zip(visitors, is_new):
                assert visitor.is_loaded_again() != has_new, (visitor.answer, visitor.page.heard, visitor.page.ids)
                visitor.page.close()


def test_scripts_load_pages_again_without_a_reload_of_the_code() -> None:
    with browsing() as app, Page(app.socket_path) as page:
        first = page.hear("hello")["generation"]
        with app.expect_no_reload():
            app.save("static/site.js", "alert(1)\n")
            assert page.hear("reload") == {"type": "reload", "generation": first, "reason": "script"}


def test_a_template_of_an_application_that_may_keep_it_loads_the_code() -> None:
    with browsing() as app, Page(app.socket_path) as page:
        first = page.hear("hello")["generation"]
        with app.expect_exactly_one_reload():
            app.save("templates/page.html", "<p>second</p>\n")
            assert page.hear("reload") == {"type": "reload", "generation": first + 1, "reason": "code"}


def test_what_a_rule_says_of_files_is_done() -> None:
    with browsing("on = templates/ browser", "on = *.css swap") as app, Page(app.socket_path) as page:
        first = page.hear("hello")["generation"]
        app.save("templates/page.html", "<p>second</p>\n")
        assert page.hear("reload") == {"type": "reload", "generation": first, "reason": "template"}
        app.save("static/css/site.css", "a { color: blue }\n")
        assert page.hear("reload", since=2) == {"type": "reload", "generation": first + 1, "reason": "code"}


@pytest.mark.parametrize("is_loading", [False, True], ids=["nothing to load", "and the code is loaded"])
def test_a_command_that_succeeds_again_takes_back_what_is_broken(is_loading: bool) -> None:
    files = {**FILES, "build.sh": "exit $(cat code)\n", "code": "0\n", "site.scss": "a\n"}
    rules = ["on = *.scss exec:sh build.sh", *([] if is_loading else ["action = touch:../touched"])]
    with browsing(*rules, files=files) as app, Page(app.socket_path) as page:
        first = page.hear("hello")["generation"]
        app.path("code").write_text("3\n")
        app.save("site.scss", "b\n")
        assert page.hear("broken")["message"] == "exec:sh build.sh ended with status 3"
        with Page(app.socket_path) as late:
            assert late.hear("hello")["state"] == "broken"
        app.path("code").write_text("0\n")
        app.save("site.scss", "c\n")
        assert page.hear("restored") == {"type": "restored"}
        if is_loading:
            assert page.hear("reload")["generation"] == first + 1
        with Page(app.socket_path) as late:
            assert late.hear("hello") == {"type": "hello", "generation": first + is_loading, "state": "serving", "since": int(is_loading)}
            # Nothing else was heard before, and nothing else comes.
            app.save("static/css/site.css", "a { color: blue }\n")
            late.hear("assets")
            page.hear("assets")
        expected = ["hello", "broken", "restored", *(["reload"] if is_loading else []), "assets"]
        assert [message["type"] for message in page.heard] == expected


@pytest.mark.parametrize("action", ["reload", "workers"])
def test_generations_are_counted_whatever_a_change_does(action: str) -> None:
    ini = ("lazy-apps = true",) if action == "workers" else ()
    with browsing(f"action = {action}", ini=ini) as app:
        first = generation_of(ask(app.socket_path, "/page"))
        for expected in (first + 1, first + 2):
            page = Page(app.socket_path)
            assert page.hear("hello")["generation"] == expected - 1
            app.save("words.py", f'WORD = "word {expected}"\n')
            app.wait(lambda: f"word {expected}".encode() in ask(app.socket_path, "/page"), 15, "the new page")
            app.wait(lambda: generation_of(ask(app.socket_path, "/page")) == expected, 15, "its number")

            def is_told() -> bool:
                nonlocal page
                page.take_in(0.05)
                if page.is_closed:  # As after an exec: it comes again, and compares.
                    page = Page(app.socket_path)
                return page.heard and page.heard[-1].get("generation") == expected

            app.wait(is_told, 15, "the page is told")
            page.close()


def test_an_application_that_does_not_load_at_the_start_is_told_of() -> None:
    with browsing(files={**FILES, "words.py": "def oops(:\n"}, ready=False) as app:
        app.wait(lambda: hub_pid(app), 15, "there is a hub")
        with Page(app.socket_path) as page:
            assert page.hear("hello")["state"] == "broken"
            assert page.hear("broken")["message"] == "the application did not load"


# Through what stands before uWSGI.


def told_through(app: Instance, address: str | tuple[str, int]) -> None:
    """Fails unless a page that came by this way is told of a reload, and gets its script."""
    app.wait(lambda: status_of(ask(address, "/page")) == 200, 15, "the page comes")
    generation = generation_of(ask(address, "/page"))
    with Page(address) as page:
        assert page.hear("hello")["generation"] == generation
        app.save("words.py", f'WORD = "told by {generation}"\n')
        assert page.hear("reload")["generation"] == generation + 1
    assert generation_of(ask(address, "/page")) == generation + 1
    assert status_of(ask(address, PATH + "/client.js")) == 200


def test_through_the_http_router() -> None:
    port, inside = free_port(), free_port()
    ini = (f"http = 127.0.0.1:{port}", f"http-to = 127.0.0.1:{inside}", f"socket = 127.0.0.1:{inside}")
    with browsing(ini=ini, application=("plugins = python3,http", "module = wsgi")) as app:
        told_through(app, ("127.0.0.1", port))


@contextlib.contextmanager
def nginx_with(folder: Path, directive: str) -> Iterator[int]:
    """Runs an nginx with one location, and yields its port."""
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"""
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ }}
http {{
    access_log off;
    {"".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))}
    server {{ listen 127.0.0.1:{port}; location / {{ {directive} }} }}
}}
"""
    )
    with nginx.running(folder):
        yield port


@pytest.mark.parametrize("way", ["uwsgi", "scgi", "fastcgi", "proxy"])
def test_through_nginx(tmp_path: Path, way: str) -> None:
    nginx.require()
    port = free_port()
    option = {"uwsgi": "socket", "scgi": "scgi-socket", "fastcgi": "fastcgi-socket", "proxy": "http-socket"}[way]
    pass_to = {"uwsgi": "uwsgi_pass ", "scgi": "scgi_pass ", "fastcgi": "fastcgi_pass ", "proxy": "proxy_pass http://"}[way]
    directive = f"{pass_to}127.0.0.1:{port};"
    if way == "proxy":
        directive += " proxy_set_header Host $http_host;"
    else:
        directive += f" include /etc/nginx/{way}_params; {way}_param PATH_INFO $document_uri;"
    with browsing(ini=(f"{option} = 127.0.0.1:{port}",)) as app, nginx_with(tmp_path, directive) as outside:
        app.wait(lambda: can_connect(outside), 15, "nginx listens")
        told_through(app, ("127.0.0.1", outside))


def can_connect(port: int) -> bool:
    """Tells whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def fastcgi_record(kind: int, content: bytes = b"", request: int = 0x0102) -> bytes:
    """Returns a record."""
    return struct.pack(">BBHHBB", 1, kind, request, len(content), 0, 0) + content


def send_fastcgi(connection: socket.socket, path: str) -> None:
    """Makes a request whose number has two bytes."""
    fields = {
        "REQUEST_METHOD": "GET", "REQUEST_URI": path, "PATH_INFO": path, "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "HTTP_HOST": "localhost",
    }  # fmt: skip
    params = b"".join(bytes([len(name), len(value)]) + (name + value).encode() for name, value in fields.items())
    begin = fastcgi_record(1, bytes([0, 1, 0, 0, 0, 0, 0, 0]))
    connection.sendall(begin + fastcgi_record(4, params) + fastcgi_record(4) + fastcgi_record(5))


def read_fastcgi(data: bytes) -> list[tuple[int, bytes]]:
    """Returns the kind and the content of each record, all of which are whole and of that request."""
    records = []
    while data:
        version, kind, request, length, padding, _ = struct.unpack(">BBHHBB", data[:8])
        assert (version, request) == (1, 0x0102) and len(data) >= 8 + length + padding
        records.append((kind, data[8 : 8 + length]))
        data = data[8 + length + padding :]
    return records


def test_fastcgi_hears_records_and_their_end() -> None:
    port = free_port()
    with browsing(ini=(f"fastcgi-socket = 127.0.0.1:{port}",)) as app:
        with connect(("127.0.0.1", port)) as connection:
            send_fastcgi(connection, PATH + "/events")
            data = b""
            while b'"hello"' not in data or not data.endswith(b"\n\n"):
                data += connection.recv(65536)
            records = read_fastcgi(data)
            assert {kind for kind, _ in records} == {6}
            assert b"".join(content for _, content in records).startswith(b"Status: 200 OK\r\n")
        with connect(("127.0.0.1", port)) as connection:
            send_fastcgi(connection, PATH + "/livereload")
            (kind, head), *_, last = read_fastcgi(read_all(connection))
            assert kind == 6 and head.startswith(b"Status: 501 ") and last[0] == 3
        app.wait(lambda: len(harness.open_files(wait_hub(app))) < 10, 15, "the page has gone")
        pages = listen(app, 1024)
        with connect(("127.0.0.1", port)) as connection:
            send_fastcgi(connection, PATH + "/events")
            (kind, head), *_, last = read_fastcgi(read_all(connection))
            assert kind == 6 and head.startswith(b"Status: 503 ") and last == (3, bytes(8))
        for page in pages:
            page.close()


def ask_tls(port: int, path: str) -> bytes:
    """Makes one request by https, whoever answers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connect(("127.0.0.1", port)), server_hostname="localhost") as connection:
        connection.sendall(request_bytes(path, {"Connection": "close"}))
        return read_all(connection)


def test_pages_by_https_socket_are_left_alone_and_the_log_says_so_once(tmp_path: Path) -> None:
    key, cert, port = tmp_path / "key.pem", tmp_path / "cert.pem", free_port()
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout {key} -out {cert}"
    subprocess.run(command.split(), check=True, capture_output=True)
    with browsing(ini=(f"https-socket = 127.0.0.1:{port},{cert},{key}",)) as app:
        for _ in range(2):
            answer = ask_tls(port, "/page")
            assert status_of(answer) == 200 and b"first</body>" in answer and not TAG.search(answer)
            assert status_of(ask_tls(port, PATH + "/events")) == 501
        assert len(app.log.matching(r"pages that come through https-socket do not follow the code")) == 1
        with Page(app.socket_path) as page:  # The others do.
            page.hear("hello")


# LiveReload.


def test_livereload_is_spoken_on_a_port_of_its_own_and_on_the_same() -> None:
    port = free_port()
    with browsing(f"livereload = 127.0.0.1:{port}") as app:
        app.wait(lambda: can_connect(port), 15, "the port is open")
        ways = (("127.0.0.1", port), "/livereload"), (app.socket_path, PATH + "/livereload")
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(LiveReload(address, path)) for address, path in ways]
            for client in clients:
                assert b" 101 " in client.head
                assert "http://livereload.com/protocols/official-7" in client.say_hello()["protocols"]
                client.send(9, b"ping")
                assert client.read_frame() == (10, b"ping")
            app.save("words.py", 'WORD = "second"\n')
            for client in clients:
                assert client.hear() == {"command": "reload", "path": "/", "liveCSS": True, "liveImg": True}
            app.save("static/css/site.css", "b {}\n")
            for client in clients:
                assert client.hear()["path"] == "static/css/site.css"
                client.send(8, b"\x03\xe8")
                assert client.read_frame()[0] == 8
                assert client.read_frame()[0] == -1


def test_livereloads_port_has_the_script_that_extensions_fetch() -> None:
    port = free_port()
    address = ("127.0.0.1", port)
    with browsing(f"livereload = 127.0.0.1:{port}") as app:
        app.wait(lambda: can_connect(port), 15, "the port is open")
        answer = ask(address, "/livereload.js?ext=Chrome&extver=2.1.0")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert status_of(answer) == 200 and b"text/javascript" in head and b"Access-Control" not in head
        assert body == ask(app.socket_path, PATH + "/client.js").partition(b"\r\n\r\n")[2]
        assert status_of(ask(address, "/livereload.js", {"Host": "evil.example"})) == 403
        assert status_of(ask(address, "/livereload.js", method="POST")) == 404
        # Who does not read it holds nobody up.
        hub = wait_hub(app)
        with contextlib.ExitStack() as stack:
            for _ in range(200):
                stack.enter_context(connect(address)).sendall(request_bytes("/livereload.js"))
            with LiveReload(address) as client:
                assert client.say_hello()["command"] == "hello"
        assert hub_pid(app) == hub


def test_a_hello_in_pieces_is_one() -> None:
    with browsing() as app, LiveReload(app.socket_path, PATH + "/livereload") as client:
        client.send(1, b'{"command": "hel', is_last=False)
        client.send(9, b"between")
        client.send(0, b'lo", "protocols": []}')
        assert client.read_frame() == (10, b"between")
        assert client.hear()["command"] == "hello"


# Strangers.

REFUSED = {
    "another host": {"Host": "evil.example"},
    "no host of anybody": {"Host": ""},
    "another origin": {"Origin": "http://evil.example"},
    "another port": {"Host": "localhost:8000", "Origin": "http://localhost:8001"},
    "no origin of anybody": {"Origin": "null"},
    "a page of another site": {"Sec-Fetch-Site": "cross-site"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_strangers_are_turned_away(what: str) -> None:
    with browsing() as app:
        for url in ("/events", "/livereload", "/client.js"):
            answer = ask(app.socket_path, PATH + url, REFUSED[what])
            assert status_of(answer) == 403 and b"Access-Control" not in answer, answer
        assert status_of(ask(app.socket_path, "/page", REFUSED[what])) == 200  # The application's own business.


def test_strangers_are_turned_away_from_livereloads_port() -> None:
    port = free_port()
    with browsing(f"livereload = 127.0.0.1:{port}") as app:
        app.wait(lambda: can_connect(port), 15, "the port is open")
        for headers in (REFUSED["another host"], REFUSED["another origin"], REFUSED["no origin of anybody"]):
            with LiveReload(("127.0.0.1", port), headers=headers) as client:
                assert b" 403 " in client.head and client.read_frame()[0] == -1
        # That port is for pages of other servers of this host as well.
        with LiveReload(("127.0.0.1", port), headers={"Origin": "http://localhost:3000"}) as client:
            assert client.say_hello()["command"] == "hello"


def test_a_host_that_the_instance_was_told_may_listen() -> None:
    with browsing("browser-host = mysite.test") as app:
        headers = {"Host": "mysite.test:8000", "Origin": "http://mysite.test:8000"}
        with Page(app.socket_path, headers) as page:
            page.hear("hello")


def test_other_methods_and_urls_are_not_ours() -> None:
    with browsing() as app:
        assert status_of(ask(app.socket_path, PATH + "/events", method="POST")) == 405
        assert status_of(ask(app.socket_path, PATH + "/livereload")) == 426
        ours = ask(app.socket_path, "/")
        assert ask(app.socket_path, PATH + "/other").partition(b"\r\n\r\n")[2] == ours.partition(b"\r\n\r\n")[2]


def test_the_script_is_kept_until_it_changes() -> None:
    with browsing("browser-path = /our/place") as app:
        answer = ask(app.socket_path, "/our/place/client.js")
        assert status_of(answer) == 200 and b"text/javascript" in answer and b"no-cache" in answer
        etag = re.search(rb"ETag: (\S+)", answer).group(1).decode()
        answer = ask(app.socket_path, "/our/place/client.js", {"If-None-Match": etag})
        assert status_of(answer) == 304 and answer.endswith(b"\r\n\r\n")
        assert b'src="/our/place/client.js"' in ask(app.socket_path, "/page")
        with Page(app.socket_path, path="/our/place") as page:
            page.hear("hello")


def test_half_open_connections_to_livereloads_port_hold_nobody_up() -> None:
    port = free_port()
    with browsing(f"livereload = 127.0.0.1:{port}") as app, contextlib.ExitStack() as stack:
        app.wait(lambda: can_connect(port), 15, "the port is open")
        hub = wait_hub(app)
        before = len(os.listdir(f"/proc/{hub}/fd"))
        begun = time.monotonic()
        for _ in range(2000):
            connection = stack.enter_context(connect(("127.0.0.1", port)))
            connection.sendall(b"GET /livereload HTTP/1.1\r\nHost: local")
        assert time.monotonic() - begun < 5  # Nobody waits until the kernel tries again, after a second.
        with LiveReload(("127.0.0.1", port)) as client:
            assert client.say_hello()["command"] == "hello"
            assert len(os.listdir(f"/proc/{hub}/fd")) < before + 200
            app.save("words.py", 'WORD = "second"\n')
            assert client.hear()["command"] == "reload"
        # None of them says more, and they go by themselves.
        app.wait(lambda: len(os.listdir(f"/proc/{hub}/fd")) <= before + 1, 30, "they are gone")
        assert hub_pid(app) == hub


@pytest.mark.parametrize(
    "bytes_",
    [b"\x81\x05Hello", b"\x81\xff" + b"\x7f" * 12, os.urandom(3000), b"\x89\xfe\x01\x00", b"\x80\x80____", b"\xff" * 9000],
    ids=["not masked", "too long", "anything", "a long ping", "a piece of nothing", "ones"],
)
def test_junk_in_a_websocket_ends_it_and_nothing_else(bytes_: bytes) -> None:
    with browsing() as app:
        hub = wait_hub(app)
        with LiveReload(app.socket_path, PATH + "/livereload") as client:
            client.connection.sendall(bytes_ + b"\xff" * 16)
            opcode, payload = client.read_frame()
            assert opcode == -1 or (opcode == 8 and payload in (b"\x03\xea", b"\x03\xf1")), (opcode, payload)
            assert client.read_frame()[0] == -1
        with Page(app.socket_path) as page:
            page.hear("hello")
        assert hub_pid(app) == hub


def test_who_never_reads_is_dropped() -> None:
    with browsing() as app:
        hub = wait_hub(app)
        deaf = connect(app.socket_path)
        deaf.sendall(request_bytes(PATH + "/events"))
        with Page(app.socket_path) as page:
            page.hear("hello")
            count = len(os.listdir(f"/proc/{hub}/fd"))
            for number in range(4000):  # The kernel keeps a few hundred kilobytes for it, and the hub some more.
                since = len(page.heard)
                app.save("static/css/site.css", f"/* {number} */ a {{ }}\n")
                name = f"static/{'n' * 200}{number}.css"
                app.save(name, "b {}\n")
                page.hear("assets", since=since)
                if len(os.listdir(f"/proc/{hub}/fd")) < count:
                    break
            else:
                raise AssertionError("it was not dropped")
            app.path(name).unlink(missing_ok=True)
        deaf.close()


def deaf(app: Instance, path: str, headers: dict[str, str]) -> socket.socket:
    """Returns a connection of somebody who asks, and reads nothing."""
    connection = connect(app.socket_path)
    connection.sendall(request_bytes(PATH + path, headers))
    return connection


UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}


@contextlib.contextmanager
def attacked(app: Instance, port: int) -> Iterator[None]:
    """Half-open connections come without end, strangers knock, and there are many who never read."""
    is_over, are_many = threading.Event(), threading.Event()

    def open_halves() -> None:
        with contextlib.ExitStack() as stack:
            for number in range(4000):
                if number == 2000:
                    are_many.set()
                if is_over.wait(0.001 if are_many.is_set() else 0):
                    return
                with contextlib.suppress(OSError):
                    stack.enter_context(connect(("127.0.0.1", port))).sendall(b"GET /livereload HTTP/1.1\r\nHost: local")
            is_over.wait()

    def knock() -> None:
        while not is_over.wait(0.01):
            with contextlib.suppress(OSError), connect(("127.0.0.1", port)) as connection:
                connection.sendall(request_bytes("/livereload", {**UPGRADE, "Origin": "http://evil.example"}))
                read_all(connection)

    attackers = [threading.Thread(target=attack) for attack in (open_halves, knock)]
    with contextlib.ExitStack() as stack:
        for number in range(100):
            ask_for = ("/events", {}) if number % 2 else ("/livereload", UPGRADE)
            stack.enter_context(deaf(app, *ask_for))
        for attacker in attackers:
            attacker.start()
        try:
            assert are_many.wait(60)
            yield
        finally:
            is_over.set()
            for attacker in attackers:
                attacker.join()


def test_the_application_does_not_notice_who_attacks() -> None:
    port = free_port()
    app = waiting.instance()
    app.options.append(f"fastreload-livereload = 127.0.0.1:{port}")
    with app:
        app.wait(lambda: can_connect(port), 15, "the port is open")
        hub, ratios = wait_hub(app), []
        while not ratios or (ratios[-1] > 1.5 and len(ratios) < 3):
            quiet = waiting.block(app, 1, 500)
            with attacked(app, port):
                ratios.append(statistics.median(waiting.block(app, 1, 500)) / statistics.median(quiet))
                with Page(app.socket_path) as page:
                    page.hear("hello")
                    app.save("parts/value.py", apps.part(load.version(len(ratios))))
                    page.hear("reload")
        assert min(ratios) <= 1.5, ratios
        assert hub_pid(app) == hub


# Many pages.


def test_five_hundred_pages_and_a_hundred_reloads() -> None:
    with browsing(workers=1, ini=("listen = 100",)) as app:
        hub = wait_hub(app)
        with Page(app.socket_path) as page:
            page.hear("hello")
        before = len(os.listdir(f"/proc/{hub}/fd"))
        pages = listen(app, 500)
        first = generation_of(ask(app.socket_path, "/page"))
        for number in range(100):
            app.save("words.py", f'WORD = "word {number}"\n')
            for page in pages:
                assert page.hear("reload", since=len(page.heard) - 1 if number == 0 else number + 1)["generation"] == first + number + 1
        assert all(len(page.heard) == 101 and not page.is_closed for page in pages)
        for page in pages:
            page.close()
        app.wait(lambda: len(os.listdir(f"/proc/{hub}/fd")) <= before, 15, "no descriptor has leaked")
        assert hub_pid(app) == hub


@pytest.mark.parametrize("clients", [1, 8])
def test_five_hundred_pages_that_wait_do_not_slow_the_application_down(clients: int) -> None:
    with waiting.instance() as app:
        ratios = []
        # What else the machine does may meet one kind of block more than the other, but not three times.
        while not ratios or (ratios[-1] > 1.5 and len(ratios) < 3):
            ratios.append(waiting.measure(app, clients=clients, requests=200, blocks=4).ratio())
        assert min(ratios) <= 1.5, ratios


def test_more_pages_than_there_is_room_for_are_told_to_come_later() -> None:
    with browsing(workers=1) as app:
        pages = listen(app, 1024)
        answer = ask(app.socket_path, PATH + "/events")
        assert status_of(answer) == 503 and b"Retry-After" in answer
        pages.pop().close()
        app.wait(lambda: can_listen(app), 15, "there is room again")
        for page in pages:
            page.close()


def can_listen(app: Instance) -> bool:
    """Tells whether one more page is taken."""
    with Page(app.socket_path) as page:
        while not page.head:
            page.take_in(0.1)
        return b" 200 " in page.head


# Life and death.


def test_a_hub_that_was_killed_is_replaced() -> None:
    with browsing() as app:
        hub = wait_hub(app)
        page = Page(app.socket_path)
        page.hear("hello")
        os.kill(hub, signal.SIGKILL)
        wait_until(lambda: page.take_in(0.05) or page.is_closed, 15, "the page notices", app.log.tail)
        wait_hub(app, hub)
        with Page(app.socket_path) as page:
            hello = page.hear("hello")
            assert hello["state"] == "serving"
            app.save("words.py", 'WORD = "second"\n')
            assert page.hear("reload")["generation"] == hello["generation"] + 1
        assert app.log.matching(r"has ended by signal 9: a new one does")


def test_what_is_broken_is_told_by_the_next_hub_as_well() -> None:
    with browsing() as app:
        hub = wait_hub(app)
        app.save("words.py", "def oops(:\n")
        app.wait(lambda: app.log.matching("not reloaded"), 15, "it is broken")
        os.kill(hub, signal.SIGKILL)
        wait_hub(app, hub)
        with Page(app.socket_path) as page:
            assert page.hear("hello")["state"] == "broken"
            assert page.hear("broken")["line"] == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_hub_goes_with_the_master(how: signal.Signals) -> None:
    with browsing() as app:
        hub = wait_hub(app)
        page = Page(app.socket_path)
        page.hear("hello")
        os.kill(app.master_pid, how)
        wait_until(lambda: page.take_in(0.05) or page.is_closed, 15, "the page is let go")
        wait_until(lambda: harness.process_state(hub) in ("", "Z", "X"), 15, "the hub is gone")


def test_the_hub_has_no_socket_of_the_instance() -> None:
    with browsing() as app:
        files = harness.open_files(wait_hub(app))
        assert len(files) < 10, files
        assert not [name for name in files if name.startswith("/") and name != "/dev/null"], files


# Refusals.


def test_what_other_hosts_can_reach_is_refused_without_force() -> None:
    port = free_port()
    line = refused(options("browser = true", ini=(f"http-socket = 0.0.0.0:{port}",)))
    assert "--fastreload-browser" in line and f"0.0.0.0:{port}" in line and "force" in line, line


def test_what_other_hosts_can_reach_is_served_with_force() -> None:
    port = free_port()
    with Instance(FILES, fastreload=["browser = force"], ini=(f"http-socket = 0.0.0.0:{port}",)) as app:
        assert TAG.search(ask(("127.0.0.1", port), "/page"))
        assert app.process.poll() is None


@pytest.mark.parametrize(
    "given, right",
    [
        (("browser = perhaps",), r"force"),
        (("browser-path = /a",), r"without it"),
        (("browser = true", "browser-path = a"), r"as in /__fastreload__"),
        (("browser = true", "browser-path = /a/"), r"none at the end"),
        (("browser = true", 'browser-path = /"x'), r"letters, digits"),
        (("browser = true", "browser-host = http://a"), r"without scheme"),
        (("browser = true", "livereload = 0.0.0.0:35729"), r"127\.0\.0\.1"),
        (("browser = true", "livereload = /run/socket"), r"HOST:PORT"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(given: tuple[str, ...], right: str) -> None:
    line = refused(options(*given))
    assert re.search(right, line), line
