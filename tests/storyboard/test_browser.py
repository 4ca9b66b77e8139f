"""The storyboard in a real browser: wide and narrow, light and dark, on paper, and without scripts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pipeline import app
from pipeline.storyboard import Preface
from tests.storyboard.scenes import Lille, Page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is a development dependency")

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parents[2] / ".real/axe/node_modules/axe-core/axe.min.js"
VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
# What is shown on demand is opened, and what a browser leaves undrawn until it is scrolled to is drawn.
SHOW_ALL = (
    "document.querySelectorAll('details').forEach(one => one.open = true);"
    "document.querySelectorAll('.day').forEach(one => one.style.contentVisibility = 'visible')"
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not Path(CHROMIUM).exists(), reason="no Chromium here (Debian: apt-get install chromium)"
    ),
]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    """Two storyboards with everything on them: a calm one, and an edited one on a bad day."""
    root = tmp_path_factory.mktemp("lille")
    lille = Lille(root / "project")
    app.rehearse_project(lille.settings, root / "calm")
    lille.rewrite(lille.entry("pop-school"), "En six mois, 25", "En neuf mois, 30")
    lille.rewrite(lille.campaign, r"  - touteco\n", "")
    lille.rewrite(lille.campaign, r"presse: \{", 'vente.directe: {network: outbox, limit: "60"}\n  presse: {')
    preface = Preface(against=root / "calm/storyboard.json")
    app.rehearse_project(lille.settings, root / "bad", faults="outage-day", seed=7, preface=preface)
    return {"calm": root / "calm/storyboard.html", "bad": root / "bad/storyboard.html"}


class Opened:
    """A page that was opened, with whatever it complained of or asked for."""

    def __init__(self, browser, path, *, width=1280, scheme="light", scripts=True, **options):
        self.context = browser.new_context(
            **options,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize(
    ("board", "width", "scheme"),
    [
        *(("bad", *view) for view in VIEWS),
        ("calm", 1280, "light"),
        ("calm", 390, "dark"),
        ("bad", 320, "light"),
    ],
)
def test_it_opens_quietly_and_nothing_runs_over_the_edge(browser, boards, board, width, scheme):
    with Opened(browser, boards[board], width=width, scheme=scheme) as opened:
        opened.page.evaluate(SHOW_ALL)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.said == []
        assert [url for url in opened.asked if not url.startswith("data:")] == [boards[board].as_uri()]


@pytest.mark.parametrize("size", ["100%", "200%"])
@pytest.mark.parametrize("width", [320, 390])
def test_no_word_at_a_glance_is_broken_or_runs_out_of_its_tile(browser, boards, width, size):
    with Opened(browser, boards["bad"], width=width, bypass_csp=True) as opened:
        opened.page.add_style_tag(content=f"html{{font-size:{size}}}")
        tiles = opened.page.evaluate(
            """() => [...document.querySelectorAll('.tiles li')].map(tile => {
                const words = document.createRange();
                words.selectNodeContents(tile.lastChild);
                const shown = [...words.getClientRects()];
                return [shown.length, Math.max(...shown.map(one => one.right)) <= innerWidth];
            })"""
        )
        assert len(tiles) > 4
        assert tiles == [[1, True]] * len(tiles)


@pytest.mark.parametrize("board", ["calm", "bad"])
def test_every_picture_is_drawn_and_has_its_alternative_text(browser, boards, board):
    with Opened(browser, boards[board]) as opened:
        pictures = opened.page.evaluate(
            "[...document.querySelectorAll('img, svg[role=img]')].map(e => "
            "[e.getAttribute('aria-label') || e.getAttribute('alt') || '', !!e.querySelector('use')"
            " && !!document.querySelector(e.querySelector('use').getAttribute('href'))])"
        )
        assert len(pictures) > 10
        assert all(words and drawn for words, drawn in pictures)


@pytest.mark.parametrize(
    ("board", "width", "scheme"),
    [("bad", 1280, "light"), ("bad", 1280, "dark"), ("calm", 390, "light"), ("bad", 390, "dark")],
)
def test_axe_finds_nothing(browser, boards, board, width, scheme):
    if not AXE.exists():
        pytest.skip("axe-core is not there: run .ci/real/axe.sh")
    with Opened(browser, boards[board], width=width, scheme=scheme) as opened:
        opened.page.evaluate(SHOW_ALL)
        opened.page.evaluate(AXE.read_text())
        found = opened.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        told = [(one["id"], [node["target"] for node in one["nodes"][:3]]) for one in found["violations"]]
        assert told == [], json.dumps(told, indent=1)


def test_the_browser_copies_the_very_request_and_the_very_text(browser, boards):
    read = Page(boards["calm"])
    with Opened(browser, boards["calm"]) as opened:
        for channel in ("x", "mastodon", "bluesky", "facebook", "presse"):
            texts, bodies = opened.page.evaluate(
                f"['.at-{channel} .text', '.at-{channel} pre'].map(one => "
                "[...document.querySelectorAll(one)].map(e => e.textContent))"
            )
            assert texts == read.texts(channel)
            assert [body.encode() for body in bodies] == read.bodies(channel)


def test_a_request_on_one_line_is_copied_as_one_line(browser, boards):
    with Opened(browser, boards["calm"]) as opened:
        opened.page.query_selector(".at-bluesky details.request summary").click()
        copied = opened.page.evaluate(
            "getSelection().selectAllChildren(document.querySelector('.at-bluesky pre')),"
            "getSelection().toString()"
        )
        assert json.loads(copied)["collection"] == "app.bsky.feed.post"
        assert "\n" not in copied.strip()
        height = opened.page.evaluate("document.querySelector('.at-bluesky pre').clientHeight")
        assert height > 300, "it is set in many lines"


def test_filters_work_without_a_script(browser, boards):
    with Opened(browser, boards["bad"]) as opened:
        page = opened.page
        assert page.locator(".at-x").first.is_visible()
        page.locator("#show-x").uncheck()
        assert not page.locator(".at-x").first.is_visible()
        page.locator("[id='show-vente.directe']").uncheck()
        assert not page.locator(".at-vente\\.directe").first.is_visible()
        assert page.locator(".at-bluesky").first.is_visible()
        page.locator("#only-changed").check()
        assert page.locator(".card:visible:not(.changed)").count() == 0
        assert page.locator(".card.changed:visible").count() > 0


def test_the_page_is_used_with_the_keyboard_alone(browser, boards):
    with Opened(browser, boards["calm"]) as opened:
        page = opened.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("location.hash") == "#days"
        reached = set()
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.tagName"))
        assert {"INPUT", "A", "SUMMARY"} <= reached


def test_without_scripts_everything_is_there(browser, boards):
    with Opened(browser, boards["calm"], scripts=False) as opened:
        assert opened.page.locator(".card").count() == 50
        assert opened.page.locator(".card").first.is_visible()
        opened.page.locator("details.request summary").first.click()
        assert opened.page.locator("details.request pre").first.is_visible()


def test_it_is_printed_on_paper(browser, boards):
    with Opened(browser, boards["calm"], scheme="dark") as opened:
        opened.page.emulate_media(media="print")
        ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        assert not opened.page.locator(".filters").is_visible()
        assert opened.page.locator(".card").last.is_visible()
        assert opened.page.pdf(format="A4")[:5] == b"%PDF-"
