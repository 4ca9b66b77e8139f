"""The page readers land on, and how a raw feed looks in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from lxml import etree
from lxml import html as lxml_html

from pipeline.feeds import document, landing, rss_atom, style
from pipeline.feeds.document import EntryMedia, FeedDocument, Picture
from pipeline.feeds.landing import FeedLink, page
from pipeline.model import Event
from tests.feeds import scene
from tests.feeds.test_any_text import texts

MEDIA = {"jardin": EntryMedia(Picture("jardin-0123abcd-4567cdef.png", "image/png", 70))}
DOCUMENT = document.build(
    scene.CAMPAIGN, scene.RELEASES, authority=scene.AUTHORITY, first_seen=scene.FIRST_SEEN, media=MEDIA
)
UNADDRESSED = document.build(
    replace(scene.CAMPAIGN, public_url=None, hub=None),
    scene.RELEASES,
    authority=scene.AUTHORITY,
    first_seen=scene.FIRST_SEEN,
    media=MEDIA,
)
EMPTY = document.build(scene.CAMPAIGN, (), authority=scene.AUTHORITY, first_seen=scene.FIRST_SEEN)
FEEDS = (
    FeedLink("RSS", "application/rss+xml", "feed.xml"),
    FeedLink("Atom", "application/atom+xml", "atom.xml"),
    FeedLink("JSON Feed", "application/feed+json", "feed.json"),
)
HOME = "https://example.org/feeds/sharing-lille/"


def read(shown: FeedDocument, feeds: tuple[FeedLink, ...] = FEEDS, **how: Any) -> Any:
    return lxml_html.document_fromstring(page(shown, feeds, **how))


def meta(tree: Any, name: str) -> str | None:
    found = tree.xpath("//meta[@property=$name or @name=$name]/@content", name=name)
    assert len(found) <= 1, name
    return found[0] if found else None


def loose(text: str) -> str:
    return text.replace("\u00a0", " ")


def json_ld(tree: Any) -> dict[str, Any]:
    (script,) = tree.xpath("//script")
    assert script.get("type") == "application/ld+json"
    found: dict[str, Any] = json.loads(script.text)
    return found


# --------------------------------------------------------------------------- people


def test_every_entry_is_there_newest_first_with_its_day_and_its_link():
    tree = read(DOCUMENT)
    articles = tree.xpath("//article")
    assert [one.get("id") for one in articles] == ["repair-cafe", "velo", "jardin"]
    assert [loose(one.xpath("string(.//h3/a)")) for one in articles] == [e.title for e in DOCUMENT.entries]
    assert [one.xpath("string(.//h3/a/@href)") for one in articles] == [e.url for e in DOCUMENT.entries]
    assert [one.xpath("string(.//time)") for one in articles] == [
        "20 avril 2016",
        "19 avril 2016",
        "18 avril 2016",
    ]
    assert articles[0].xpath("string(.//time/@datetime)") == "2016-04-20T07:00:00+00:00"
    assert [one.xpath("string(./a/@href)") for one in articles] == ["#repair-cafe", "#velo", "#jardin"]
    assert "Un atelier où l'on répare son vélo." in articles[1].text_content()
    assert "Fives, Lille" in articles[2].text_content()


def test_a_picture_has_its_alt_and_its_credit_and_comes_from_beside_the_page():
    (figure,) = read(DOCUMENT).xpath("//figure")
    assert figure.xpath("./img/@alt") == ["Des bacs de légumes"]
    assert figure.xpath("./img/@src") == ["media/jardin-0123abcd-4567cdef.png"]
    assert figure.xpath("string(./figcaption)") == "Photo : Zoé & Cie"


def test_without_pictures_and_without_entries_the_page_says_so_well():
    tree = read(EMPTY)
    assert not tree.xpath("//article | //figure | //ol")
    assert "Rien n’est encore paru." in tree.text_content()
    assert meta(tree, "og:image") is None
    assert meta(tree, "twitter:card") == "summary"
    assert "blogPost" not in json_ld(tree)


def test_every_feed_is_offered_with_the_address_to_copy():
    tree = read(DOCUMENT)
    assert tree.xpath("//section[@class='feeds']//a/@href") == ["feed.xml", "atom.xml", "feed.json"]
    assert tree.xpath("//code/text()") == [HOME + name for name in ("feed.xml", "atom.xml", "feed.json")]
    assert not read(UNADDRESSED).xpath("//code")
    assert "S’abonner" not in page(DOCUMENT, ()).decode().partition("<body>")[2]


@pytest.mark.parametrize(
    ("language", "words", "own", "direction"),
    [
        ("fr", "S’abonner", None, "ltr"),
        ("fr-BE", "S’abonner", None, "ltr"),
        ("en-GB", "Subscribe", None, "ltr"),
        ("de", "Subscribe", "en", "ltr"),
        ("ar", "Subscribe", "en", "rtl"),
        ("he-IL", "Subscribe", "en", "rtl"),
    ],
)
def test_the_pages_own_words_follow_the_language(language, words, own, direction):
    tree = read(replace(DOCUMENT, language=language))
    assert (tree.get("lang"), tree.get("dir")) == (language, direction)
    (heading,) = tree.xpath("//section[@class='feeds']/h2")
    assert (heading.text, heading.get("lang")) == (words, own)


@pytest.mark.parametrize(("language", "turned"), [("ar", "ltr"), ("de", None), ("fr", None)])
def test_words_that_run_the_other_way_than_the_page_say_so(language, turned):
    for tree in (
        read(replace(DOCUMENT, language=language)),
        read(replace(EMPTY, language=language)),
    ):
        own = tree.xpath("//h2 | //section[@class='feeds']/p | //p[@class='quiet'] | //article/a")
        assert len(own) >= 4
        assert {element.get("dir") for element in own} == {turned}
        (title,), (lead,) = tree.xpath("//h1"), tree.xpath("//p[@class='lead']")
        assert (title.get("dir"), lead.get("dir")) == ("auto", "auto")


def test_french_signs_stay_on_the_line_of_their_word():
    tree = read(DOCUMENT)
    assert tree.xpath("string(//h1)") == "Lille, ville collaborative\u00a0: 3 projets"
    assert "«\u00a0à partager\u00a0»" in tree.xpath("string(//article[@id='jardin']//h3)")
    assert "\u00a0" not in read(replace(DOCUMENT, language="en")).xpath("string(//h1)")


def test_an_entry_in_another_language_says_so():
    assert [one.get("lang") for one in read(DOCUMENT).xpath("//article")] == ["en", None, None]


@pytest.mark.parametrize(
    ("language", "day"), [("fr", "1er janvier 2016"), ("en", "1 January 2016"), ("it", "1 January 2016")]
)
def test_days_are_those_of_the_event(language, day):
    from datetime import UTC, datetime

    entry = replace(DOCUMENT.entries[0], published=datetime(2015, 12, 31, 22, 30, tzinfo=UTC))
    tree = read(replace(DOCUMENT, entries=(entry,), language=language), zone=ZoneInfo("Asia/Tokyo"))
    assert tree.xpath("string(//time)") == day


def test_headings_form_an_outline_and_names_are_given_once():
    tree = read(DOCUMENT)
    assert [one.tag for one in tree.xpath("//h1 | //h2 | //h3")] == ["h1", "h2", "h2", "h3", "h3", "h3"]
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert all(one.get("alt") is not None for one in tree.xpath("//img"))


# --------------------------------------------------------------------------- machines


def test_feeds_are_discovered_and_the_address_is_canonical():
    tree = read(DOCUMENT)
    links = [
        (one.get("type"), one.get("title"), one.get("href")) for one in tree.xpath("//link[@rel='alternate']")
    ]
    assert links == [(feed.mime, feed.title, feed.href) for feed in FEEDS]
    assert tree.xpath("//link[@rel='canonical']/@href") == [HOME]
    assert not read(UNADDRESSED).xpath("//link[@rel='canonical']")


def test_a_link_to_the_page_unfurls():
    tree = read(DOCUMENT)
    image = DOCUMENT.entries[2].image
    assert image is not None
    assert {
        name: meta(tree, name) for name in ("og:type", "og:title", "og:url", "og:image", "og:image:alt")
    } == {
        "og:type": "website",
        "og:title": DOCUMENT.title,
        "og:url": HOME,
        "og:image": image.url,
        "og:image:alt": "Des bacs de légumes",
    }
    assert meta(tree, "og:description") == meta(tree, "description") == DOCUMENT.description
    assert meta(tree, "twitter:card") == "summary_large_image"
    assert tree.xpath("string(//title)") == DOCUMENT.title


def test_search_engines_find_the_event_with_its_start_as_clocks_show_it_there():
    starts = datetime(2016, 4, 21, 7, 0, tzinfo=UTC)
    event = Event("Sharing Lille", starts, "Europe/Paris", "EuraTechnologies, Lille", "https://été.example/")
    assert json_ld(read(DOCUMENT, event=event))["about"] == [
        {"@type": "WebPage", "url": DOCUMENT.link},
        {
            "@type": "Event",
            "name": "Sharing Lille",
            "startDate": "2016-04-21T09:00:00+02:00",
            "location": {
                "@type": "Place",
                "name": "EuraTechnologies, Lille",
                "address": "EuraTechnologies, Lille",
            },
            "url": "https://xn--t-9fab.example/",
        },
    ]
    elsewhere = replace(event, timezone="Asia/Kathmandu", place=None, url=None)
    assert json_ld(read(UNADDRESSED, event=elsewhere))["about"] == [
        {
            "@type": "Event",
            "name": "Sharing Lille",
            "startDate": "2016-04-21T12:45:00+05:45",
            "url": DOCUMENT.link,
        }
    ]


def test_the_page_follows_an_event_that_is_moved(tmp_path):
    scene.lay_out(tmp_path)
    scene.write(tmp_path)
    moved = replace(scene.CAMPAIGN.event, starts=scene.CAMPAIGN.event.starts + timedelta(hours=2))
    scene.write(tmp_path, replace(scene.CAMPAIGN, event=moved))
    tree = lxml_html.document_fromstring((tmp_path / "public/sharing-lille/index.html").read_bytes())
    assert json_ld(tree)["about"][1]["startDate"] == "2016-04-21T11:00:00+02:00"


def test_search_engines_read_a_blog_with_its_postings():
    blog = json_ld(read(DOCUMENT))
    assert (blog["@context"], blog["@type"], blog["url"]) == ("https://schema.org", "Blog", HOME)
    first, _, last = blog["blogPost"]
    assert first["@type"] == "BlogPosting"
    assert first["url"] == f"{HOME}#repair-cafe"
    assert (first["headline"], first["inLanguage"]) == ("Repair café", "en")
    assert (last["datePublished"], last["@id"]) == ("2016-04-18T07:00:00+00:00", DOCUMENT.entries[2].id)
    assert last["image"]["creditText"] == "Photo : Zoé & Cie"
    assert last["contentLocation"] == {"@type": "Place", "name": "Fives, Lille"}
    assert json_ld(read(UNADDRESSED))["blogPost"][0]["url"] == DOCUMENT.entries[0].url


# --------------------------------------------------------------------------- safety


def test_the_page_asks_nothing_of_any_host_and_runs_nothing():
    tree = read(DOCUMENT)
    assert tree.xpath("//@src") == ["media/jardin-0123abcd-4567cdef.png"]
    assert not tree.xpath(
        "//link[not(@rel='alternate' or @rel='canonical' or @href='data:,')] | //iframe | //object | //form"
    )
    assert not tree.xpath("//@style | //@onclick | //@onload | //@onerror")
    assert not re.search(r"url\(|@import", landing.STYLE)
    (policy,) = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    (sheet,) = tree.xpath("//style/text()")
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_the_same_document_gives_the_same_bytes():
    assert page(DOCUMENT, FEEDS) == page(DOCUMENT, list(FEEDS))


def test_an_address_that_is_none_is_not_to_be_clicked():
    entry = replace(DOCUMENT.entries[0], url="javascript:alert(1)")
    tree = read(replace(DOCUMENT, entries=(entry,), link="data:text/html,x"))
    assert not [
        one
        for one in tree.xpath("//@href")
        if not one.startswith(("https://", "#", "feed", "atom", "data:,"))
    ]
    assert tree.xpath("string(//h3)") == entry.title


@given(texts, texts, texts, texts)
def test_whatever_is_typed_is_shown_and_nothing_else(title, summary, alt, feed_title):
    campaign = replace(scene.CAMPAIGN, title=title, description=summary, author=alt)
    entry = replace(
        scene.WITH_PICTURE,
        title=title,
        summary=summary,
        place=alt,
        image=replace(scene.WITH_PICTURE.image, alt=alt, credit=title),  # type: ignore[type-var]
    )
    shown = document.build(
        campaign,
        (scene.release(entry, 18),),
        authority=scene.AUTHORITY,
        first_seen=scene.FIRST_SEEN,
        media=MEDIA,
    )
    event = replace(campaign.event, name=title, place=alt)
    data = page(shown, (FeedLink(feed_title, "application/rss+xml", "feed.xml"),), event=event)
    tree = lxml_html.document_fromstring(data, parser=lxml_html.HTMLParser(encoding="utf-8", huge_tree=True))
    assert shape(tree) == shape(read(replace(SIMPLE, entries=_bare(shown)), FEEDS[:1]))
    image = shown.entries[0].image
    assert image is not None
    assert tree.xpath("//img/@alt") == [image.alt]
    posting = json_ld(tree)["blogPost"][0]
    assert posting["headline"] == shown.entries[0].title
    assert not re.search(rb"<(?!/script>)", data.partition(b'ld+json">')[2].partition(b"</script>")[0])


def shape(tree: Any) -> list[tuple[str, list[str]]]:
    """Every element with the names of its attributes."""
    return [(one.tag, list(one.attrib)) for one in tree.iter()]


SIMPLE = replace(DOCUMENT, title="t", description="d", author="a")


def _bare(shown: FeedDocument) -> tuple[document.FeedEntry, ...]:
    """The same entry with plain words wherever it has words."""
    (entry,) = shown.entries
    image = entry.image and replace(entry.image, alt="a", credit=entry.image.credit and "c")
    return (replace(entry, title="t", summary="s", place=entry.place and "p", image=image),)


# --------------------------------------------------------------------------- looks


def colours(sheet: str, scheme: str) -> dict[str, str]:
    light, _, dark = sheet.partition("prefers-color-scheme")
    found = re.findall(
        r"--(\w+):\s*(#[0-9a-f]{6})", light if scheme == "light" else dark.partition("print")[0]
    )
    return dict(found)


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sheet", [landing.STYLE, style.CSS.decode()], ids=["page", "feed"])
def test_texts_can_be_read(sheet, scheme):
    """WCAG 2.2 AA wants 4.5 for texts; these have 7, which is AAA."""
    used = colours(sheet, scheme)
    assert set(used) == {"ground", "ink", "quiet", "accent", "line", "wash"}
    for text in ("ink", "quiet"):
        for ground in ("ground", "wash"):
            assert contrast(used[text], used[ground]) >= (7 if text == "ink" else 4.5)
    for ground in ("ground", "wash"):
        assert contrast(used["accent"], used[ground]) >= 4.5


def test_the_feeds_style_asks_nothing_of_any_host():
    assert b"url(" not in style.CSS
    assert b"@import" not in style.CSS
    assert style.CSS.count(b"{") == style.CSS.count(b"}")


@pytest.mark.parametrize("write", [rss_atom.rss, rss_atom.atom])
def test_the_style_speaks_of_elements_that_the_feeds_have(write):
    root = etree.fromstring(write(DOCUMENT))
    names = {etree.QName(one).localname for one in root.iter() if isinstance(one.tag, str)}
    atom = etree.QName(root).localname == "feed"
    wanted = re.findall(r"atom\|(\w+)" if atom else r"(?<![\w])\|(\w+)", style.CSS.decode())
    assert set(wanted) <= names
