"""An open page follows what is saved: seen in a real browser, on the example project under uWSGI.

One browser and one server serve all the tests, which put back what they edit. Screenshots of what a person would have to
judge are left in build/test-output/browser/.
"""

from __future__ import annotations

import functools
import http.server
import re
import threading
from pathlib import Path
from typing import Iterator

import pytest

import harness
import webdriver
from pages import Page
from shop import GREETING, HOME, LOGO, NONCE, STYLE, VIEWS, Shop
from webdriver import Browser

OUTPUT = harness.CHECKOUT / "build" / "test-output" / "browser"

pytestmark = pytest.mark.skipif(bool(webdriver.missing()), reason=f"missing: {webdriver.missing()}")

CONNECTED = "return !!window.fastreload && fastreload.state !== 'unknown'"
SHOWS = "return document.getElementById('greeting').textContent === arguments[0]"
# `overlay` is the dialog where there is one.
OVERLAY = """
const host = document.querySelector("fastreload-overlay");
const overlay = host && host.shadowRoot.querySelector("dialog");
"""
HAS_OVERLAY = OVERLAY + "return !!overlay && overlay.open && overlay.getAnimations().every((a) => a.playState === 'finished')"
IS_CLEAR = OVERLAY + "return !overlay"
BY_HAND = '<script src="/__fastreload__/client.js"></script>'
SYNTAX_ERROR = "def broken(:\n"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all."""
    with Browser() as one:
        yield one


@pytest.fixture(scope="module")
def served() -> Iterator[Shop]:
    """One server for all."""
    with Shop() as one:
        yield one


@pytest.fixture
def shop(served: Shop, browser: Browser) -> Iterator[Shop]:
    """The server with all files as they were at first, before and after a test."""
    before = served.texts()
    yield served
    browser.close_others()
    for relpath, text in before.items():
        if served.path(relpath).read_text() != text:
            served.save(relpath, text)
    served.wait(lambda: served.serves(GREETING), 20, "the front page is as it was")
    served.wait_quiet()  # No page of the next test hears of it.


@pytest.fixture
def page(shop: Shop, browser: Browser) -> Browser:
    """The browser with the front page open, and connected."""
    visit(browser, shop.url("/"))
    return browser


def visit(browser: Browser, url: str) -> None:
    """Opens a page and waits until it hears."""
    browser.open(url)
    browser.wait(CONNECTED, "the page is connected")


def greet(shop: Shop, text: str) -> None:
    """Saves a view, so that the front page says something else."""
    views = shop.path(VIEWS).read_text()
    shop.save(VIEWS, re.sub(r'(?m)^GREETING = ".*"$', f'GREETING = "{text}"', views))


def open_piece(shop: Shop, browser: Browser, text: str) -> None:
    """Opens a page that is written by hand. It is a file like others: what its save causes is over by then."""
    shop.save("pieces/piece.html", "<!doctype html><title>piece</title>" + text)
    shop.wait_quiet()
    visit(browser, shop.url("/piece/piece/"))


def append(shop: Shop, relpath: str, text: str) -> None:
    """Saves a file with something more at its end."""
    shop.save(relpath, shop.path(relpath).read_text() + text)


# ---- reload ----


def test_a_saved_view_is_seen_without_a_click_and_where_one_was(shop: Shop, page: Browser) -> None:
    page.run(
        """
        document.getElementById("typed").focus({ preventScroll: true });
        document.getElementById("box").scrollTop = 321;
        scrollTo(0, 1234);
        window.marker = true;
        """
    )
    greet(shop, "saved")
    page.wait(SHOWS, "the new text", 20, "saved")
    page.wait(
        "return scrollY === 1234 && document.getElementById('box').scrollTop === 321", "both are scrolled"
    )
    assert page.run("return [document.activeElement.id, window.marker === undefined]") == ["typed", True]


def test_a_saved_template_is_seen(shop: Shop, page: Browser) -> None:
    shop.edit(HOME, '<p id="template">first</p>', '<p id="template">second</p>')
    page.wait("return document.getElementById('template').textContent === 'second'", "the new template")


def test_where_templates_are_for_pages_alone_nothing_is_started_again(browser: Browser) -> None:
    with Shop("on = *.html browser") as one:
        visit(browser, one.url("/"))
        workers, reloads = sorted(one.worker_pids()), one.reload_count()
        one.edit(HOME, '<p id="template">first</p>', '<p id="template">second</p>')
        browser.wait("return document.getElementById('template').textContent === 'second'", "the new template")
        assert (sorted(one.worker_pids()), one.reload_count()) == (workers, reloads)
        browser.close_others()


def test_what_was_saved_while_the_page_was_away_is_seen_when_it_is_back(shop: Shop, page: Browser) -> None:
    page.open(shop.url("/pages/version/"))  # No page of HTML: nothing hears there.
    greet(shop, "while away")
    shop.wait(lambda: shop.serves("while away"), 20, "the new code serves")
    page.ask("POST", "/back")
    page.wait(SHOWS, "the new text", 20, "while away")


def test_a_page_of_the_browsers_cache_does_not_reload_for_ever(shop: Shop, browser: Browser) -> None:
    tag = '<script src="/__fastreload__/client.js" data-generation="987654321" data-path="/__fastreload__"></script>'
    count = "<script>sessionStorage.loads = Number(sessionStorage.loads || 0) + 1</script>"
    open_piece(shop, browser, f"{count}{tag}<p>old")
    browser.wait("return fastreload.generation !== 987654321 && document.readyState === 'complete'", "it gives up")
    # One and three more; and as many as the instance itself asks for, for the file that was saved for this test.
    assert 4 <= int(browser.run("return sessionStorage.loads")) <= 8


def test_a_page_comes_back_with_a_server_that_was_away(browser: Browser) -> None:
    with Shop() as one:
        visit(browser, one.url("/"))
        one.stop()
        greet(one, "after the restart")
        one.start()
        browser.wait(SHOWS, "the new text", 30, "after the restart")
        browser.close_others()


def test_all_pages_of_a_browser_share_one_connection_and_all_reload(shop: Shop, page: Browser) -> None:
    for _ in range(7):
        page.new_window()
        visit(page, shop.url("/"))
    greet(shop, "everywhere")
    handles = page.windows()
    assert len(handles) == 8
    for handle in handles:
        page.go_to(handle)
        page.wait(SHOWS, "the new text in each tab", 20, "everywhere")


def test_a_script_that_is_there_twice_or_by_hand_runs_once(shop: Shop, browser: Browser) -> None:
    open_piece(shop, browser, f'<p id="fastreload">an element of that name</p>{BY_HAND}{BY_HAND}')
    assert browser.run("return typeof fastreload.generation") == "number"
    added = browser.run(
        """
        const frame = document.body.appendChild(document.createElement("iframe"));
        const usual = new Set(Object.getOwnPropertyNames(frame.contentWindow));
        frame.remove();
        return Object.getOwnPropertyNames(window).filter((name) => !usual.has(name) && !/^(cdc_|\\d|ret_nodes)/.test(name));
        """
    )
    assert added == ["fastreload"]


# ---- saved before the page could listen ----


def open_deaf(shop: Shop, browser: Browser) -> None:
    """Opens the front page as over a network from which its script does not come yet."""
    browser.devtools("Network.enable")
    browser.devtools("Network.setBlockedURLs", urls=["*/client.js"])
    browser.open(shop.url("/"))
    assert browser.run("return !window.fastreload && !!document.querySelector('script[data-since]')")
    browser.run("window.marker = true")


def let_hear(browser: Browser) -> None:
    """Lets the script come."""
    browser.devtools("Network.setBlockedURLs", urls=[])
    browser.run(
        """
        const script = document.querySelector("script[data-since]"), again = document.createElement("script");
        for (const { name, value } of script.attributes) again.setAttribute(name, value);
        script.replaceWith(again);
        """
    )


def told(shop: Shop, kind: str, relpath: str, text: str) -> None:
    """Saves a file, and waits until pages that listen have been told."""
    with Page(shop.socket_path) as other:
        other.hear("hello")
        shop.save(relpath, text)
        other.hear(kind)


@pytest.mark.parametrize("has_other", [False, True], ids=["alone", "beside another page"])
def test_a_style_sheet_that_was_saved_while_the_page_was_loading_is_exchanged(
    shop: Shop, browser: Browser, has_other: bool
) -> None:
    handles = browser.windows()
    if has_other:
        visit(browser, shop.url("/"))
        browser.run("window.marker = true")
        handles.append(browser.new_window())
    open_deaf(shop, browser)
    told(shop, "assets", STYLE, shop.path(STYLE).read_text() + "body { color: rgb(7, 8, 9); }\n")
    assert browser.run("return getComputedStyle(document.body).color !== 'rgb(7, 8, 9)'")
    let_hear(browser)
    for handle in handles:
        browser.go_to(handle)
        browser.wait("return getComputedStyle(document.body).color === 'rgb(7, 8, 9)'", "the new style")
        assert browser.run("return window.marker")


def test_a_template_that_was_saved_while_the_page_was_loading_is_seen(browser: Browser) -> None:
    with Shop("on = *.html browser") as one:
        open_deaf(one, browser)
        text = one.path(HOME).read_text()
        told(one, "reload", HOME, text.replace('<p id="template">first</p>', '<p id="template">second</p>'))
        let_hear(browser)
        browser.wait("return document.getElementById('template').textContent === 'second'", "the new template")
        browser.close_others()


def test_code_that_was_saved_while_the_page_was_loading_is_seen(shop: Shop, browser: Browser) -> None:
    open_deaf(shop, browser)
    greet(shop, "meanwhile")
    shop.wait(lambda: shop.serves("meanwhile"), 20, "the new code serves")
    let_hear(browser)
    browser.wait(SHOWS, "the new text", 20, "meanwhile")


# ---- in place ----


def test_a_saved_style_sheet_is_exchanged_and_nothing_else_happens(shop: Shop, page: Browser) -> None:
    page.run(
        """
        window.marker = true;
        window.seen = new Set();
        document.getElementById("typed").value = "typed";
        const look = () => { seen.add(getComputedStyle(document.body).color); window.looking = setTimeout(look, 0); };
        look();
        """
    )
    append(shop, STYLE, "body { color: rgb(1, 2, 3); }\n")
    page.wait("return getComputedStyle(document.body).color === 'rgb(1, 2, 3)'", "the new style")
    page.wait("return document.querySelectorAll('link[rel=stylesheet]').length === 1", "the old one is gone")
    assert page.run("return [window.marker, document.getElementById('typed').value]") == [True, "typed"]
    # Never without style, which would be black.
    assert len(page.run("return [...seen]")) == 2


def test_what_was_exchanged_is_there_when_the_page_is_loaded_again(shop: Shop, page: Browser) -> None:
    append(shop, STYLE, "body { color: rgb(1, 2, 3); }\n")
    shop.save(LOGO, '<svg xmlns="http://www.w3.org/2000/svg" width="78" height="10"/>\n')
    page.wait("return getComputedStyle(document.body).color === 'rgb(1, 2, 3)'", "the new style")
    page.wait("return document.getElementById('logo').naturalWidth === 78", "the new image")
    # The browser may take what it has fetched by these names for fresh (RFC 9111, 4.2.2).
    greet(shop, "again")
    page.wait(SHOWS, "the new text", 20, "again")
    page.wait("return document.readyState === 'complete'", "all of it is there")
    assert page.run("return [getComputedStyle(document.body).color, document.getElementById('logo').naturalWidth]") == [
        "rgb(1, 2, 3)", 78,
    ]  # fmt: skip


def test_code_and_style_that_are_saved_together_are_seen_together(shop: Shop, page: Browser) -> None:
    append(shop, STYLE, "body { color: rgb(4, 5, 6); }\n")
    greet(shop, "together")
    page.wait(SHOWS, "the new text", 20, "together")
    page.wait("return getComputedStyle(document.body).color === 'rgb(4, 5, 6)'", "the new style")


def test_a_saved_style_sheet_that_another_one_imports_is_exchanged(shop: Shop, page: Browser) -> None:
    part = "pages/static/pages/part.css"
    shop.save(part, "h1 { letter-spacing: 1px; }\n")
    text = shop.path(STYLE).read_text()
    spacing = "return getComputedStyle(document.getElementById('greeting')).letterSpacing === arguments[0]"
    shop.save(STYLE, '@import "part.css";\n' + text)
    page.wait(spacing, "the import", 20, "1px")
    page.run("window.marker = true")
    shop.save(part, "h1 { letter-spacing: 2px; }\n")
    page.wait(spacing, "the new import", 20, "2px")
    # The sheet around it comes anew, and with it the import by its first address.
    append(shop, STYLE, "h1 { word-spacing: 3px; }\n")
    page.wait("return getComputedStyle(document.getElementById('greeting')).wordSpacing === '3px'", "both")
    page.wait("return document.querySelectorAll('link[rel=stylesheet]').length === 1", "the old one is gone")
    assert page.run(spacing, "2px") and page.run("return window.marker")


def test_a_saved_image_is_exchanged_wherever_it_is(shop: Shop, page: Browser) -> None:
    page.run(
        """
        window.marker = true;
        const url = document.getElementById("logo").src;
        const box = document.getElementById("box");
        box.style.setProperty("border-image-source", `url("${url}")`);
        document.getElementById("logo").srcset = url + " 1x, /static/other.svg 2x";
        document.styleSheets[0].insertRule("#box { background: url(logo.svg) no-repeat; }", 0);
        """
    )
    shop.save(LOGO, '<svg xmlns="http://www.w3.org/2000/svg" width="77" height="10"/>\n')
    page.wait("return document.getElementById('logo').naturalWidth === 77", "the new image")
    page.wait(
        """
        const { backgroundImage, borderImageSource } = getComputedStyle(document.getElementById("box"));
        return /fastreload=/.test(backgroundImage) && /fastreload=/.test(borderImageSource)
        """,
        "the new image in style",
    )
    assert page.run("return document.getElementById('logo').srcset").endswith(" 1x, /static/other.svg 2x")
    assert page.run("return window.marker")


def test_a_name_with_a_hash_is_matched_and_other_files_are_not(shop: Shop, browser: Browser) -> None:
    static = shop.path("pages/static/pages")
    for name, width in (("site.0a1b2c3d4e5f.css", 1), ("site.css", 1)):
        (static / name).write_text(f"p {{ outline-width: {width}px; outline-style: solid; }}\n")
    link = '<link rel="stylesheet" href="/static/pages/site.0a1b2c3d4e5f.css">'
    open_piece(shop, browser, f"{link}{BY_HAND}<p>")
    browser.run("window.marker = true")
    shop.save("pages/static/pages/nobody.svg", "<svg/>\n")
    shop.save("pages/static/pages/site.99aabbccddee.css", "p { outline: 5px solid; }\n")
    browser.wait("return getComputedStyle(document.querySelector('p')).outlineWidth === '5px'", "the new name's style")
    assert browser.run("return document.querySelector('link').href").split("?")[0].endswith("/site.99aabbccddee.css")
    assert browser.run("return window.marker && !performance.getEntriesByType('resource').some((e) => /nobody/.test(e.name))")


# ---- broken ----


def test_code_that_does_not_load_is_shown_with_file_and_line_until_it_does(shop: Shop, page: Browser) -> None:
    good = shop.path(VIEWS).read_text()
    line = len(good.splitlines()) + 1
    page.run("window.marker = true")
    shop.save(VIEWS, good + SYNTAX_ERROR)
    page.wait(HAS_OVERLAY, "the overlay")
    page.screenshot(OUTPUT / "broken.png")
    text = page.run(OVERLAY + "return overlay.innerText")
    assert "SyntaxError" in text and f"pages/views.py, line {line}" in text
    assert page.run(OVERLAY + "return overlay.querySelector('mark').textContent").split() == [
        ">", str(line), "|", *SYNTAX_ERROR.split(),
    ]  # fmt: skip
    assert page.run("return window.marker && document.getElementById('greeting').textContent") == GREETING
    shop.save(VIEWS, good.replace(GREETING, "mended"))
    page.wait(SHOWS, "the mended page", 20, "mended")
    assert page.run(IS_CLEAR)
    page.screenshot(OUTPUT / "mended.png")


def test_the_same_code_as_before_takes_the_overlay_away_and_leaves_the_page(shop: Shop, page: Browser) -> None:
    good = shop.path(VIEWS).read_text()
    page.run("document.getElementById('typed').value = 'typed'")
    shop.save(VIEWS, good + SYNTAX_ERROR)
    page.wait(HAS_OVERLAY, "the overlay")
    shop.save(VIEWS, good)
    page.wait(IS_CLEAR, "no overlay")
    assert page.run(SHOWS, GREETING)


def test_a_page_that_is_opened_while_the_code_is_broken_says_so(shop: Shop, page: Browser) -> None:
    good = shop.path(VIEWS).read_text()
    shop.save(VIEWS, good + SYNTAX_ERROR)
    page.wait(HAS_OVERLAY, "the overlay")
    page.new_window()
    page.open(shop.url("/pages/about/"))
    page.wait(HAS_OVERLAY, "the overlay of the new page")


def test_the_overlay_is_one_for_screen_readers_and_the_keyboard(shop: Shop, page: Browser) -> None:
    page.run("document.getElementById('typed').focus()")
    append(shop, VIEWS, SYNTAX_ERROR)
    page.wait(HAS_OVERLAY, "the overlay")
    root = page.run("return document.querySelector('fastreload-overlay').shadowRoot")
    (dialog,) = page.find("dialog", root).values()
    assert page.ask("GET", f"/element/{dialog}/computedrole") == "alertdialog"
    assert page.ask("GET", f"/element/{dialog}/computedlabel").startswith("SyntaxError: ")
    described = page.run(
        OVERLAY
        + "return overlay.getAttribute('aria-describedby').split(' ').map((id) => overlay.querySelector('#' + id).innerText)"
    )
    assert "pages/views.py" in described[0] and "Still served" in described[1]
    # The focus is in it, goes round in it, and all that scrolls can be reached.
    focused = OVERLAY + "return overlay.getRootNode().activeElement && overlay.getRootNode().activeElement.tagName"
    assert page.run(focused) == "DIALOG"
    stops = []
    for _ in range(8):
        page.type("Tab")
        stops.append(page.run(focused))
    assert stops[:4] == stops[4:] or stops[:3] == stops[3:6]
    assert set(stops) == {"PRE", "BUTTON"}
    page.type("Shift+Tab")
    assert page.run(focused) == stops[6]
    page.type("Escape")
    page.wait(IS_CLEAR, "Escape dismisses it")
    assert page.run("return document.activeElement.id") == "typed"


def test_the_overlay_is_dismissed_by_its_button_and_comes_back_with_another_error(shop: Shop, page: Browser) -> None:
    good = shop.path(VIEWS).read_text()
    shop.save(VIEWS, good + SYNTAX_ERROR)
    page.wait(HAS_OVERLAY, "the overlay")
    page.run(OVERLAY + "overlay.querySelector('button').click()")
    assert page.run(IS_CLEAR)
    shop.save(VIEWS, good + "raise ValueError('another')\n")
    page.wait(HAS_OVERLAY, "the overlay")
    assert "ValueError: another" in page.run(OVERLAY + "return overlay.innerText")


CONTRASTS = OVERLAY + """
    const channels = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = (color) => {
        const [r, g, b] = channels(color).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const [, , , alpha = 1] = channels(getComputedStyle(at).backgroundColor);
            if (alpha === 1) return getComputedStyle(at).backgroundColor;
        }
    };
    return [overlay, ...overlay.querySelectorAll("*")]
        .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
        .map((e) => {
            const [one, other] = [getComputedStyle(e).color, behind(e)].map(luminance).sort();
            return [e.tagName, (other + 0.05) / (one + 0.05)];
        });
"""


def test_the_overlay_can_be_read_in_light_and_dark_and_does_not_move_for_who_minds(shop: Shop, page: Browser) -> None:
    append(shop, VIEWS, SYNTAX_ERROR)
    page.wait(HAS_OVERLAY, "the overlay")
    backgrounds = set()
    for scheme in ("light", "dark"):
        page.prefer(color_scheme=scheme, reduced_motion="reduce")
        contrasts = page.run(CONTRASTS)
        assert {"H1", "P", "MARK", "SPAN", "PRE", "BUTTON"} <= {name for name, _ in contrasts}
        assert min(contrasts, key=lambda pair: pair[1])[1] >= 4.5, contrasts
        backgrounds.add(page.run(OVERLAY + "return getComputedStyle(overlay).backgroundColor"))
        assert page.run(OVERLAY + "return getComputedStyle(overlay).animationName") == "none"
        page.screenshot(OUTPUT / f"{scheme}.png")
    assert len(backgrounds) == 2
    page.prefer(reduced_motion="no-preference")
    assert page.run(OVERLAY + "return getComputedStyle(overlay).animationName") == "appear"


def test_hostile_text_is_text(shop: Shop, page: Browser) -> None:
    hostile = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>\"&amp;\\u2028"
    append(shop, VIEWS, f'raise RuntimeError("""{hostile}""")\n')
    page.wait(HAS_OVERLAY, "the overlay")
    page.screenshot(OUTPUT / "hostile.png")
    text = hostile.replace("\\u2028", "\u2028")
    assert page.run(OVERLAY + "return overlay.querySelector('h1').textContent") == f"RuntimeError: {text}"
    assert page.run(OVERLAY + "return overlay.querySelectorAll('script, img').length") == 0
    assert page.run("return window.hacked === undefined")


def test_the_style_of_a_page_and_of_the_overlay_do_not_meet(shop: Shop, page: Browser) -> None:
    page.run(
        """
        const rules = document.styleSheets[0];
        for (const name of [":not(:root)", "fastreload-overlay", "dialog", "h1"])
            rules.insertRule(name + " { display: none !important; color: red !important; opacity: 0 !important; }");
        """
    )
    append(shop, VIEWS, SYNTAX_ERROR)
    page.wait(HAS_OVERLAY, "the overlay")
    seen = page.run(
        OVERLAY
        + """
        const heading = overlay.querySelector("h1");
        const { width, height } = heading.getBoundingClientRect();
        const { color, opacity } = getComputedStyle(heading);
        return [width > 100 && height > 10, color === "rgb(255, 0, 0)", opacity, host.checkVisibility({ opacityProperty: true })];
        """
    )
    assert seen == [True, False, "1", True]


def test_of_a_page_and_the_pages_in_it_the_outer_one_shows_what_is_broken(shop: Shop, browser: Browser) -> None:
    frame = '<iframe id="inner" src="/pages/about/" style="width: 90vw; height: 400px"></iframe>'
    open_piece(shop, browser, BY_HAND + frame)
    inside = "const frame = document.getElementById('inner').contentWindow; "
    browser.wait(inside + "return !!frame.fastreload && frame.fastreload.state === 'serving'", "both hear")
    append(shop, VIEWS, SYNTAX_ERROR)
    browser.wait(HAS_OVERLAY, "the overlay")
    browser.wait(inside + "return frame.fastreload.state === 'broken'", "the inner page has heard it too")
    assert browser.run(inside + "return frame.document.querySelector('fastreload-overlay') === null")


# ---- LiveReload ----


def test_a_page_of_another_server_follows_by_livereloads_script(browser: Browser, tmp_path: Path) -> None:
    port = harness.free_port()
    (tmp_path / "site.css").write_text("p { color: rgb(1, 1, 1); }\n")
    (tmp_path / "index.html").write_text(
        f"""<!doctype html><link rel=stylesheet href=site.css><p>first</p>
        <script>
            window.events = [];
            for (const name of ["LiveReloadConnect", "LiveReloadDisconnect"])
                document.addEventListener(name, () => events.push(name));
        </script>
        <script src="http://127.0.0.1:{port}/livereload.js?snipver=1"></script>"""
    )
    files = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    other = http.server.ThreadingHTTPServer(("127.0.0.1", 0), files)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{other.server_port}/index.html"
    try:
        with Shop(f"livereload = 127.0.0.1:{port}") as one:
            visit(browser, url)
            browser.run("window.marker = true")
            (tmp_path / "site.css").write_text("p { color: rgb(2, 2, 2); }\n")
            one.save("pages/static/pages/site.css", "/* the name is what counts */\n")
            browser.wait("return getComputedStyle(document.querySelector('p')).color === 'rgb(2, 2, 2)'", "the new style")
            assert browser.run("return [window.marker, ...events]") == [True, "LiveReloadConnect"]
            one.stop()
            browser.wait("return events.includes('LiveReloadDisconnect')", "the connection is lost")
            one.start()
            browser.wait("return !window.marker", "what was missed is there", 30)
            browser.wait(CONNECTED, "it is connected again")
            browser.run("window.marker = true")
            greet(one, "livereload")
            browser.wait("return !window.marker", "the page is loaded again")
            browser.wait(CONNECTED, "it is connected again")
            browser.run("document.dispatchEvent(new CustomEvent('LiveReloadShutDown'))")
            assert browser.run("return fastreload.state") == "unknown"
            browser.close_others()
    finally:
        other.shutdown()
        other.server_close()


# ---- a strict policy ----


def test_a_page_under_a_strict_policy_is_served_as_well(shop: Shop, browser: Browser) -> None:
    visit(browser, shop.url("/?csp"))
    assert browser.run("return document.querySelector('script[data-generation]').nonce") == NONCE
    append(shop, STYLE, "body { color: rgb(3, 2, 1); }\n")
    browser.wait("return getComputedStyle(document.body).color === 'rgb(3, 2, 1)'", "the new style")
    good = shop.path(VIEWS).read_text()
    shop.save(VIEWS, good + SYNTAX_ERROR)
    browser.wait(HAS_OVERLAY, "the overlay")
    browser.screenshot(OUTPUT / "strict-policy.png")
    assert browser.run(OVERLAY + "return getComputedStyle(overlay).borderTopWidth") == "6px"
    shop.save(VIEWS, good.replace(GREETING, "under a strict policy"))
    browser.wait(SHOWS, "the new text", 20, "under a strict policy")


@pytest.mark.parametrize("script", ["'nonce-abc'", "&#x27;self&#x27;"])
def test_a_page_that_sets_a_strict_policy_itself_is_served_as_well(shop: Shop, browser: Browser, script: str) -> None:
    policy = f"default-src 'none'; script-src {script}; connect-src 'self'"
    shop.save("pieces/piece.html", f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{policy}"><p>x')
    shop.wait_quiet()
    visit(browser, shop.url("/piece/piece/"))
    shop.save("pieces/piece.html", "<!doctype html><p>y")
    browser.wait("return document.querySelector('p').textContent === 'y'", "the new page")
