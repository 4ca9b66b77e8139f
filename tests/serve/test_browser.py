"""A real browser on what is served: the policies let through what pages need; nothing is asked beside."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.feeds import landing, rss_atom, style
from tests.feeds import scene
from tests.feeds.test_landing import DOCUMENT, FEEDS
from tests.serve.site import JSON_FEED, STYLE_SHEET, Site, served

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
    pytest.mark.filterwarnings("default::ResourceWarning"),  # playwright's own
    pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield opened
        opened.close()


def looked_at(browser: Any, url: str, scheme: str = "light", width: int = 390) -> tuple[Any, list[str]]:
    """The page, and whatever it asked for or complained about."""
    page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    noise: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("request", lambda request: noise.append(request.url))
    page.goto(url)
    page.wait_for_load_state("networkidle")
    return page, noise


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(19, 19, 22)")])
def test_the_landing_page_is_styled_fits_and_asks_only_for_its_picture(
    site: Site, browser, scheme, ground, width
):
    site.write("lille/index.html", landing.page(DOCUMENT, FEEDS))
    image = DOCUMENT.entries[2].image
    assert image is not None
    picture = f"lille/media/{image.url.rpartition('/')[2]}"
    site.write(picture, scene.PNG)
    url = f"{site.server.url}lille/"
    page, noise = looked_at(browser, url, scheme, width)
    page.evaluate("document.images[0].scrollIntoView()")
    page.wait_for_function("document.images[0].naturalWidth === 1")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert noise == [url, site.server.url + picture]


@pytest.mark.parametrize(("name", "write"), [("feed.xml", rss_atom.rss), ("atom.xml", rss_atom.atom)])
def test_a_raw_feed_is_readable_and_shows_no_stray_text(site: Site, browser, name, write):
    data = write(DOCUMENT)
    if b"xml-stylesheet" not in data:
        data = data.replace(b"?>\n", b"?>\n" + STYLE_SHEET.encode(), 1)
    site.write(f"lille/{name}", data)
    site.write("lille/feed.css", style.CSS)
    site.write("favicon.ico", b"")  # which a browser asks for by itself
    url = f"{site.server.url}lille/{name}"
    page, noise = looked_at(browser, url)
    assert noise == [url, f"{site.server.url}lille/feed.css"]
    shown = page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => e.getClientRects().length).map(e => e.localName)"
    )
    assert {"title", "link"} < set(shown)
    assert not {
        "updated",
        "lastBuildDate",
        "guid",
        "id",
        "generator",
        "encoded",
        "content",
        "category",
    } & set(shown)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_reader_on_another_site_polls_as_readers_should(site: Site, browser, tmp_path):
    site.write("feed.json", JSON_FEED)
    with served(tmp_path / "other") as other:
        page = browser.new_page(bypass_csp=True)  # our own policy lets no page of ours fetch
        other.write("reader/index.html", b"<title>A reader</title>")
        page.goto(f"{other.server.url}reader/")
        ask = """async ([url, headers]) => {
            const reply = await fetch(url, {headers, cache: 'no-store'});
            return [reply.status, reply.headers.get('etag')];
        }"""
        url = f"{site.server.url}feed.json"
        status, etag = page.evaluate(ask, [url, {}])
        assert status == 200
        assert etag is not None
        assert page.evaluate(ask, [url, {"If-None-Match": etag}])[0] == 304
        assert page.evaluate(ask, [f"{url}x", {}])[0] == 404
