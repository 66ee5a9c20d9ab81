"""Answers with and without the script: the same bytes, but for full HTML pages, in which nothing but the script is new."""

from __future__ import annotations

import gzip
import re
from typing import Iterator, NamedTuple

import pytest

from harness import Instance, free_port, wait_until
from pages import ask, connect, request_bytes
from test_browser import TAG, can_connect

PAGE = b"<!doctype html><html><head><title>x</title></head><body>y</body></html>"
LONG = PAGE.replace(b">y<", b">" + b"<p>long</p>" * 20000 + b"<")
HTML = ("Content-Type", "text/html; charset=utf-8")
SIZE = ("Content-Length", str(len(PAGE)))


def under(policy: str) -> bytes:
    """Returns the page with a policy that it sets itself."""
    tag = f'<head><meta http-equiv="Content-Security-Policy" content="{policy}">'
    return PAGE.replace(b"<head>", tag.encode())


def sized(page: bytes) -> list[tuple[str, str]]:
    """Returns the headers of a page whose length is said."""
    return [HTML, ("Content-Length", str(len(page)))]


NONCE_PAGE = under("script-src 'nonce-r4nd0m=='")
SELF_PAGE = under("default-src &#x27;self&#x27;")
NONE_PAGE = under("default-src 'none'")
LONG_POLICY_PAGE = under("script-src 'self' " + "https://example.org/ " * 200)


class Case(NamedTuple):
    """What the application answers, and what is asked for."""

    chunks: list[bytes]
    headers: list[tuple[str, str]]
    status: str = "200 OK"
    method: str = "GET"
    asked: dict[str, str] = {}
    gone: tuple[str, ...] = ()  # Headers that a page with a script has no more.
    nonce: bytes = b""


# The script is added …
PAGES = {
    "a page": Case([PAGE], [HTML, SIZE]),
    "without a length": Case([PAGE], [HTML]),
    "byte by byte": Case([bytes([byte]) for byte in PAGE], [HTML, SIZE]),
    "in two pieces": Case([PAGE[:50], PAGE[50:]], [HTML]),
    "with empty pieces": Case([b"", PAGE[:3], b"", PAGE[3:], b""], [HTML, SIZE]),
    "a long page": Case([LONG], [HTML, ("Content-Length", str(len(LONG)))]),
    "a long page in pieces": Case([LONG[i : i + 1000] for i in range(0, len(LONG), 1000)], [HTML]),
    "without a charset": Case([PAGE], [("Content-Type", "text/html"), SIZE]),
    "in an old charset": Case([PAGE.replace(b">y<", b">\xe4<")], [("content-type", 'TEXT/HTML; Charset="ISO-8859-1"'), SIZE]),
    "an error page": Case([PAGE], [HTML, SIZE], "404 Not Found"),
    "a traceback": Case([PAGE], [HTML, SIZE], "500 Internal Server Error"),
    "after a form": Case([PAGE], [HTML, SIZE], method="POST", asked={"Content-Length": "0"}),
    "for a navigation": Case([PAGE], [HTML, SIZE], asked={"Sec-Fetch-Dest": "document"}),
    "for a frame": Case([PAGE], [HTML, SIZE], asked={"Sec-Fetch-Dest": "iframe"}),
    "with validators": Case(
        [PAGE],
        [HTML, SIZE, ("ETag", '"abc"'), ("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT"), ("X-Kept", "1")],
        gone=("ETag", "Last-Modified"),
    ),
    "with ranges": Case([PAGE], [HTML, SIZE, ("Accept-Ranges", "bytes")], gone=("Accept-Ranges",)),
    "with a nonce": Case([PAGE], [HTML, SIZE, ("Content-Security-Policy", "script-src 'nonce-r4nd0m=='")], nonce=b"r4nd0m=="),
    "with a policy that allows it": Case([PAGE], [HTML, SIZE, ("Content-Security-Policy", "default-src 'self'")]),
    "with a nonce in the page": Case([NONCE_PAGE], sized(NONCE_PAGE), nonce=b"r4nd0m=="),
    "with a nonce in a page in pieces": Case([NONCE_PAGE[:30], NONCE_PAGE[30:]], [HTML], nonce=b"r4nd0m=="),
    "with a policy in the page": Case([SELF_PAGE], sized(SELF_PAGE)),
    "with a policy in a page in pieces": Case([SELF_PAGE[:30], SELF_PAGE[30:]], sized(SELF_PAGE)),
    "without a head": Case([b"<!doctype html><p>x"], [HTML]),
    "nothing but a type": Case([b"<!doctype html>"], [HTML, ("Content-Length", "15")]),
}
# … and here it is not.
OTHERS = {
    "a fragment": Case([b"<p>x</p>"], [HTML, ("Content-Length", "8")]),
    "a fragment in pieces": Case([b"<", b"p>x</p>"], [HTML]),
    "an empty page": Case([b""], [HTML, ("Content-Length", "0")]),
    "no body": Case([], [HTML]),
    "a doctype that is cut off": Case([b"<!doctype htm"], [HTML]),
    "blanks alone": Case([b" " * 5000, b"<p>"], [HTML]),
    "for htmx": Case([PAGE], [HTML, SIZE], asked={"HX-Request": "true"}),
    "for jQuery": Case([PAGE], [HTML, SIZE], asked={"X-Requested-With": "XMLHttpRequest"}),
    "for fetch()": Case([PAGE], [HTML, SIZE], asked={"Sec-Fetch-Dest": "empty"}),
    "for an image": Case([PAGE], [HTML, SIZE], asked={"Sec-Fetch-Dest": "image"}),
    "HEAD": Case([], [HTML, SIZE], method="HEAD"),
    "304": Case([], [("ETag", '"abc"')], "304 Not Modified"),
    "204": Case([], [], "204 No Content"),
    "a redirect": Case([PAGE], [HTML, SIZE, ("Location", "/")], "302 Found"),
    "a range": Case([PAGE[:10]], [HTML, ("Content-Length", "10"), ("Content-Range", f"bytes 0-9/{len(PAGE)}")], "206 Partial Content"),
    "gzip": Case([gzip.compress(PAGE)], [HTML, ("Content-Encoding", "gzip")]),
    "chunked by the application": Case([b"47\r\n" + PAGE + b"\r\n0\r\n\r\n"], [HTML, ("Transfer-Encoding", "chunked")]),
    "JSON": Case([b'{"a": "<!doctype html><head></head>"}'], [("Content-Type", "application/json")]),
    "text": Case([PAGE], [("Content-Type", "text/plain"), SIZE]),
    "no type": Case([PAGE], [SIZE]),
    "XHTML": Case([PAGE], [("Content-Type", "application/xhtml+xml"), SIZE]),
    "UTF-16": Case([PAGE.decode().encode("utf-16")], [("Content-Type", "text/html; charset=utf-16")]),
    "UTF-16 that nobody names": Case([PAGE.decode().encode("utf-16")], [("Content-Type", "text/html")]),
    "a download": Case([PAGE], [HTML, SIZE, ("Content-Disposition", "attachment; filename=a.html")]),
    "a policy that forbids it": Case([PAGE], [HTML, SIZE, ("Content-Security-Policy", "default-src 'none'")]),
    "a policy that forbids to connect": Case([PAGE], [HTML, SIZE, ("Content-Security-Policy", "connect-src 'none'")]),
    "a policy in the page that forbids it": Case([NONE_PAGE], sized(NONE_PAGE)),
    "a policy in the page that is longer than what is looked at": Case([LONG_POLICY_PAGE], sized(LONG_POLICY_PAGE)),
    "a policy in the first piece": Case([NONE_PAGE[:-30], NONE_PAGE[-30:]], sized(NONE_PAGE)),
    "a sandbox": Case([PAGE], [HTML, SIZE, ("Content-Security-Policy", "sandbox")]),
    "an image": Case([bytes(range(256)) * 100], [("Content-Type", "image/png")]),
    "events": Case([b"data: <!doctype html>\n\n"], [("Content-Type", "text/event-stream")]),
    "a style sheet": Case([b"a {}"], [("Content-Type", "text/css"), ("ETag", '"x"')]),
}
# Its place is kept by blanks, for its length was said before the policy came.
BLANKS = {
    "a policy that comes late and forbids it": Case([NONE_PAGE[:30], NONE_PAGE[30:]], sized(NONE_PAGE)),
    "a nonce that comes late": Case([NONCE_PAGE[:30], NONCE_PAGE[30:]], sized(NONCE_PAGE)),
}
CASES = {**PAGES, **OTHERS, **BLANKS}
NUMBERS = {name: number for number, name in enumerate(CASES)}
APPLICATION = f'''
import os
import time

CASES = {[(case.status, case.headers, case.chunks) for case in CASES.values()]!r}


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/file":
        start_response("200 OK", [{HTML!r}])
        return environ["wsgi.file_wrapper"](open("page.html", "rb"))
    if path == "/slow":
        start_response("200 OK", [{HTML!r}])
        return slowly()
    if not path[1:].isdigit():
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"{{}}"]
    status, headers, chunks = CASES[int(path[1:])]
    start_response(status, headers)
    return iter(chunks)


def slowly():
    yield b"<!doctype html><html><head></he"
    yield b"ad><body>begun"
    while not os.path.exists("go"):
        time.sleep(0.01)
    yield b"</body></html>"
'''
FILES = {"wsgi.py": APPLICATION, "page.html": PAGE.decode()}


@pytest.fixture(scope="module", name="both")
def _both() -> Iterator[tuple[Instance, Instance]]:
    ini = ("static-map = /static=.", "honour-range = true", "add-header = X-Added: 1")
    with Instance(FILES, ini=ini, fastreload=["browser = true"]) as with_script:
        with Instance(FILES, ini=ini) as without:
            yield with_script, without


def ask_both(both: tuple[Instance, Instance], name: str) -> tuple[bytes, bytes]:
    """Returns the two answers to the same request."""
    case = CASES[name]
    return tuple(ask(app.socket_path, f"/{NUMBERS[name]}", case.asked, method=case.method) for app in both)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_page_is_the_same(both: tuple[Instance, Instance], name: str) -> None:
    with_script, without = ask_both(both, name)
    assert with_script == without and with_script.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("name", PAGES)
def test_in_a_page_nothing_but_the_script_is_new(both: tuple[Instance, Instance], name: str) -> None:
    with_script, without = ask_both(both, name)
    found = TAG.findall(with_script)
    assert [nonce for _, nonce in found] == [PAGES[name].nonce], with_script[:1000]
    head, _, body = with_script.partition(b"\r\n\r\n")
    plain_head, _, plain_body = without.partition(b"\r\n\r\n")
    tag = TAG.search(body).group(0)
    assert body.replace(tag, b"") == plain_body
    length = re.search(rb"(?i)Content-Length: (\d+)", plain_head)
    if length:
        grown = b"Content-Length: %d" % (int(length.group(1)) + len(tag))
        assert grown in head
        head = head.replace(grown, length.group(0))
    kept = [line for line in plain_head.split(b"\r\n") if line.split(b":")[0].decode() not in PAGES[name].gone]
    assert head.split(b"\r\n") == kept
    if b"</head>" in plain_body:
        assert tag + b"</head>" in body


@pytest.mark.parametrize("name", BLANKS)
def test_a_policy_that_comes_late_is_heeded(both: tuple[Instance, Instance], name: str) -> None:
    with_script, without = ask_both(both, name)
    head, _, body = with_script.partition(b"\r\n\r\n")
    plain = without.partition(b"\r\n\r\n")[2]
    assert int(re.search(rb"Content-Length: (\d+)", head).group(1)) == len(body)
    assert re.fullmatch(re.escape(plain).replace(rb"</head>", rb" +</head>"), body), body


# How a file is asked for: the method, other headers, and the status of the answer.
WAYS = {
    "as a whole": ("GET", {}, b"200"),
    "its head": ("HEAD", {}, b"200"),
    "a range of it": ("GET", {"Range": "bytes=0-9"}, b"206"),
    "if it has changed": ("GET", {"If-Modified-Since": "Sat, 01 Jan 2099 00:00:00 GMT"}, b"304"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["/file", "/static/page.html"])
def test_files_are_the_same(both: tuple[Instance, Instance], path: str, way: str) -> None:
    method, headers, status = WAYS[way]
    with_script, without = (ask(app.socket_path, path, headers, method=method) for app in both)
    drop = re.compile(rb"Last-Modified: [^\r]*\r\n")
    assert drop.sub(b"", with_script) == drop.sub(b"", without)
    assert with_script.split()[1] == (status if path == "/static/page.html" else b"200")


def test_through_a_router_that_keeps_connections_each_answer_ends_where_it_says() -> None:
    port, inside = free_port(), free_port()
    ini = (f"http = 127.0.0.1:{port}", "http-keepalive = 1", f"http-to = 127.0.0.1:{inside}", f"socket = 127.0.0.1:{inside}")
    with Instance(FILES, ini=ini, fastreload=["browser = true"], application=("plugins = python3,http", "module = wsgi")) as app:
        app.wait(lambda: can_connect(port), 15, "the router listens")
        with connect(("127.0.0.1", port)) as connection, connection.makefile("rb") as stream:
            for name in ("a page", "a fragment", "a long page", "for htmx", "an error page"):
                case = CASES[name]
                connection.sendall(request_bytes(f"/{NUMBERS[name]}", case.asked))
                head = b"".join(iter(stream.readline, b"\r\n"))
                body = stream.read(int(re.search(rb"Content-Length: (\d+)", head).group(1)))
                assert TAG.sub(b"", body) == b"".join(case.chunks) and len(TAG.findall(body)) == (name in PAGES)


def test_a_page_that_comes_slowly_is_passed_on_as_it_comes(both: tuple[Instance, Instance]) -> None:
    app = both[0]
    with connect(app.socket_path) as connection:
        connection.sendall(request_bytes("/slow"))
        answer = b""
        while not answer.endswith(b"begun"):
            answer += connection.recv(65536)
        assert TAG.search(answer) and b"</script></head><body>begun" in answer
        app.path("go").touch()
        while chunk := connection.recv(65536):
            answer += chunk
        assert answer.endswith(b"begun</body></html>")


def test_what_uwsgi_itself_compresses_has_the_script() -> None:
    ini = ("plugin = transformation_gzip", "route-run = gzip:", "route-run = addheader:Content-Encoding: gzip")
    with Instance(FILES, ini=ini, fastreload=["browser = true"], ready=False) as app:
        if wait_until(lambda: app.process.poll() is not None or app.try_get(), 20, "it starts", app.log.tail) is True:
            pytest.skip("this uWSGI has no gzip transformation")
        answer = ask(app.socket_path, f"/{NUMBERS['without a length']}")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"Content-Encoding: gzip" in head
        assert TAG.search(gzip.decompress(body))


def test_what_uwsgi_itself_chunks_has_the_script() -> None:
    ini = ("plugin = transformation_chunked", "route-run = addheader:Transfer-Encoding: chunked", "route-run = chunked:")
    with Instance(FILES, ini=ini, fastreload=["browser = true"], ready=False) as app:
        if wait_until(lambda: app.process.poll() is not None or app.try_get(), 20, "it starts", app.log.tail) is True:
            pytest.skip("this uWSGI has no chunked transformation")
        for name in ("without a length", "in two pieces", "a long page in pieces"):
            head, _, rest = ask(app.socket_path, f"/{NUMBERS[name]}").partition(b"\r\n\r\n")
            body = b""
            while rest:
                size, _, rest = rest.partition(b"\r\n")
                body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
            assert b"Transfer-Encoding: chunked" in head and len(TAG.findall(body)) == 1
            assert TAG.sub(b"", body) == b"".join(CASES[name].chunks)


@pytest.mark.parametrize("name", ["a policy that forbids it", "a policy in the page that forbids it", *BLANKS])
def test_a_policy_that_forbids_the_script_is_said_once(name: str) -> None:
    with Instance(FILES, fastreload=["browser = true"]) as app:
        for _ in range(3):
            ask(app.socket_path, f"/{NUMBERS[name]}")
        assert len(app.log.matching(r"Content-Security-Policy allows no script")) == 1
