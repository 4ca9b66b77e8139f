"""Every fault of feedgen that rss_atom puts right: it is still there, and our feeds are free of it.

When a test about feedgen itself fails, a new release behaves differently: then its remedy in rss_atom may go.
"""

from __future__ import annotations

import locale
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import feedgen.util
import pytest
from feedgen.feed import FeedGenerator
from lxml import etree

from pipeline.feeds import document, rss_atom
from tests.feeds import scene

NS = {
    "atom": rss_atom.ATOM,
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": rss_atom.DC,
    "media": rss_atom.MEDIA,
}
WHEN = datetime(2016, 4, 19, 7, 0, tzinfo=UTC)


def raw_feed() -> Any:
    feed = FeedGenerator()
    feed.id("tag:example.org,2016:raw")
    feed.title("Raw")
    feed.description("Raw feedgen")
    feed.link(href="https://example.org/", rel="alternate")
    return feed


def raw_entry(feed: Any, **order: str) -> Any:
    entry = feed.add_entry(**order)
    entry.guid(f"tag:example.org,2016:raw/{len(feed.entry())}")
    entry.title("Entry")
    entry.link(href="https://example.org/entry")
    return entry


def tree(data: bytes) -> Any:
    return etree.fromstring(data)


@pytest.fixture
def built(tmp_path: Path) -> document.FeedDocument:
    media = {"jardin": document.EntryMedia(document.Picture("jardin.png", "image/png", 70))}
    return document.build(
        scene.CAMPAIGN,
        scene.RELEASES,
        authority=scene.AUTHORITY,
        first_seen=scene.FIRST_SEEN,
        media=media,
    )


@pytest.fixture
def rss(built: document.FeedDocument) -> Any:
    return tree(rss_atom.rss(built))


@pytest.fixture
def atom(built: document.FeedDocument) -> Any:
    return tree(rss_atom.atom(built))


def test_feedgen_drops_the_attributes_of_an_atom_entrys_links():
    feed = raw_feed()
    raw_entry(feed).enclosure("https://example.org/a.png", "70", "image/png")
    links = tree(feed.atom_str()).findall("atom:entry/atom:link", NS)
    assert [dict(link.attrib) for link in links] == [
        {"href": "https://example.org/entry"},
        {"href": "https://example.org/a.png"},
    ]


def test_the_links_of_our_atom_entries_have_theirs(atom: Any):
    links = atom.findall("atom:entry", NS)[2].findall("atom:link", NS)
    page, picture = (dict(link.attrib) for link in links)
    assert (page["rel"], page["type"]) == ("alternate", "text/html")
    assert picture == {
        "rel": "enclosure",
        "type": "image/png",
        "length": "70",
        "href": "https://example.org/feeds/sharing-lille/media/jardin.png",
    }


def test_feedgen_points_the_channel_to_the_link_added_last():
    feed = raw_feed()
    feed.link(href="https://hub.example.org/", rel="hub")
    assert tree(feed.rss_str()).findtext("channel/link") == "https://hub.example.org/"


def test_our_channel_points_to_the_campaign(rss: Any):
    assert rss.findtext("channel/link") == scene.CAMPAIGN.link


def test_feedgen_dates_with_the_present_moment():
    before = datetime.now(UTC)
    feed = raw_feed()
    entry = raw_entry(feed)
    assert before <= feed.updated() <= datetime.now(UTC)
    assert before <= entry.updated() <= datetime.now(UTC)


def test_every_date_of_ours_comes_from_the_document(rss: Any, atom: Any):
    assert rss.findtext("channel/lastBuildDate") == "Wed, 20 Apr 2016 12:34:56 +0000"
    assert {text[:7] for text in atom.xpath("//atom:updated/text()", namespaces=NS)} == {"2016-04"}


def test_feedgen_puts_the_latest_added_entry_first_unless_told():
    feed = raw_feed()
    first, second = raw_entry(feed), raw_entry(feed)
    assert feed.entry() == [second, first]


def test_our_entries_stand_in_the_documents_order(rss: Any, built: document.FeedDocument):
    assert [item.text for item in rss.findall("channel/item/guid")] == [entry.id for entry in built.entries]


def test_feedgen_drops_an_rss_author_without_an_email_address():
    feed = raw_feed()
    raw_entry(feed).author(name="OuiShare")
    assert b"OuiShare" not in feed.rss_str()


def test_our_rss_names_its_author_once_per_entry(rss: Any):
    for item in rss.findall("channel/item"):
        assert [creator.text for creator in item.findall("dc:creator", NS)] == ["OuiShare"]
        assert item.find("author") is None


def test_feedgen_writes_a_hub_in_atom_only():
    feed = raw_feed()
    feed.link(href="https://hub.example.org/", rel="hub")
    assert tree(feed.rss_str()).findall("channel/atom:link", NS) == []
    assert b'rel="hub"' in feed.atom_str()


def test_our_rss_has_a_self_link_and_a_hub(rss: Any):
    links = [dict(link.attrib) for link in rss.findall("channel/atom:link", NS)]
    own = "https://example.org/feeds/sharing-lille/feed.xml"
    assert links == [
        {"rel": "self", "href": own, "type": "application/rss+xml"},
        {"rel": "hub", "href": "https://hub.example.org/"},
    ]


def test_feedgen_writes_an_invalid_content_type_for_cdata_in_atom():
    feed = raw_feed()
    raw_entry(feed).content("<p>x</p>", type="CDATA")
    assert tree(feed.atom_str()).find("atom:entry/atom:content", NS).get("type") == "CDATA"


def test_our_atom_content_is_html(atom: Any):
    assert {content.get("type") for content in atom.findall("atom:entry/atom:content", NS)} == {"html"}


def test_feedgens_media_extension_wraps_a_single_picture_in_a_group_and_knows_no_credit():
    feed = raw_feed()
    feed.load_extension("media")
    entry = raw_entry(feed)
    entry.media.content({"url": "https://example.org/a.png", "type": "image/png"}, group=None)
    entry.media.content({"url": "https://example.org/b.png", "type": "image/png"})
    assert tree(feed.rss_str()).findall("channel/item/media:group", NS) != []
    assert not hasattr(entry.media, "credit")


def test_our_picture_stands_alone_with_alt_text_and_credit(rss: Any, atom: Any):
    for root in (rss, atom):
        (content,) = root.xpath("//media:content", namespaces=NS)
        assert content.getparent().tag.endswith(("item", "entry"))
        assert content.get("fileSize") == "70"
        assert [(child.tag.rpartition("}")[2], child.text) for child in content] == [
            ("description", "Des bacs de légumes"),
            ("credit", "Photo : Zoé & Cie"),
        ]


def test_feedgen_names_its_own_version_as_the_generator():
    feed = raw_feed()
    assert tree(feed.atom_str()).find("atom:generator", NS).get("version")


def test_our_generator_has_no_version(rss: Any, atom: Any):
    assert rss.findtext("channel/generator") == rss_atom.GENERATOR
    assert dict(atom.find("atom:generator", NS).attrib) == {}


def test_feedgen_switches_the_locale_of_the_process_to_format_a_date(monkeypatch: pytest.MonkeyPatch):
    switched = []
    monkeypatch.setattr(locale, "setlocale", lambda *arguments: switched.append(arguments) or "C")
    feedgen.util.formatRFC2822(WHEN)
    assert (locale.LC_ALL, "C") in switched


def test_our_feeds_never_touch_the_locale(built: document.FeedDocument, monkeypatch: pytest.MonkeyPatch):
    switched = []
    monkeypatch.setattr(locale, "setlocale", lambda *arguments: switched.append(arguments) or "C")
    rss_atom.rss(built)
    rss_atom.atom(built)
    assert switched == []


def test_feeds_built_by_several_threads_at_once_are_the_same(built: document.FeedDocument):
    expected = (rss_atom.rss(built), rss_atom.atom(built))
    results = []

    def build_often() -> None:
        results.extend((rss_atom.rss(built), rss_atom.atom(built)) for _ in range(20))

    threads = [threading.Thread(target=build_often) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 60
    assert set(results) == {expected}


def test_feedgen_refuses_a_date_without_a_zone_and_so_do_we(built: document.FeedDocument):
    naive = replace(built, updated=WHEN.replace(tzinfo=None))
    with pytest.raises(ValueError, match="timezone"):
        rss_atom.rss(naive)


def test_feedgen_keeps_microseconds_that_rss_cannot_say():
    feed = raw_feed()
    feed.updated(WHEN + timedelta(microseconds=5))
    assert tree(feed.atom_str()).findtext("atom:updated", None, NS) == "2016-04-19T07:00:00.000005+00:00"


def test_the_summary_stands_before_the_content_in_rss(rss: Any):
    for item in rss.findall("channel/item"):
        tags = [child.tag.rpartition("}")[2] for child in item]
        assert tags.index("description") < tags.index("encoded")


def test_rss_ids_are_no_addresses(rss: Any):
    assert {guid.get("isPermaLink") for guid in rss.findall("channel/item/guid")} == {"false"}


def test_feedgen_has_no_language_for_entries():
    feed = raw_feed()
    assert not hasattr(raw_entry(feed), "language")


@pytest.mark.parametrize(
    ("character", "error"),
    [("\x00", ValueError), ("\x1b", ValueError), ("\ufffe", ValueError), ("\ud800", UnicodeEncodeError)],
)
def test_feedgen_refuses_the_characters_that_are_removed_beforehand(character: str, error: type[Exception]):
    feed = raw_feed()
    raw_entry(feed).title(f"a{character}b")
    with pytest.raises(error):
        feed.rss_str()
