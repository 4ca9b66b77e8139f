"""RSS, Atom and JSON Feed say the same, as a reader of feeds sees it."""

from __future__ import annotations

import calendar
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import feedparser
import pytest
from lxml import etree

from pipeline import feeds as feeds_package
from pipeline.feeds import document
from tests.feeds import scene

NS = {
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "media": "http://search.yahoo.com/mrss/",
}
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


class Feeds:
    """The three files of the scene, read by a reader and by a parser."""

    def __init__(self, folder: Path) -> None:
        rss, atom, json_feed = ((folder / name).read_bytes() for name in scene.FEED_FILES)
        # Without its own sanitising, so that what is compared is what was written.
        self.rss: Any = feedparser.parse(rss, sanitize_html=False, resolve_relative_uris=False)
        self.atom: Any = feedparser.parse(atom, sanitize_html=False, resolve_relative_uris=False)
        self.json: Any = json.loads(json_feed)
        self.rss_tree = etree.fromstring(rss)
        self.atom_tree = etree.fromstring(atom)

    def entry(self, entry_id: str) -> tuple[Any, Any, Any]:
        tag = f"tag:example.org,2016:sharing-lille/{entry_id}"
        (rss,) = [entry for entry in self.rss.entries if entry.id == tag]
        (atom,) = [entry for entry in self.atom.entries if entry.id == tag]
        (plain,) = [entry for entry in self.json["items"] if entry["id"] == tag]
        return rss, atom, plain


def written(root: Path, **changes: Any) -> Feeds:
    campaign = replace(scene.CAMPAIGN, **changes.pop("campaign", {}))
    scene.write(root, campaign, **changes)
    return Feeds(root / "public" / campaign.id)


@pytest.fixture
def feeds(tmp_path: Path) -> Feeds:
    scene.lay_out(tmp_path)
    return written(tmp_path)


def instant(parsed: Any) -> datetime:
    return datetime.fromtimestamp(calendar.timegm(parsed), UTC)


def test_a_reader_finds_rss_and_atom_well_formed(feeds: Feeds):
    assert (feeds.rss.bozo, feeds.rss.version) == (False, "rss20")
    assert (feeds.atom.bozo, feeds.atom.version) == (False, "atom10")


def test_the_three_formats_hold_the_same_entries_newest_first(feeds: Feeds):
    expected = [f"tag:example.org,2016:sharing-lille/{name}" for name in ("repair-cafe", "velo", "jardin")]
    assert [entry.id for entry in feeds.rss.entries] == expected
    assert [entry.id for entry in feeds.atom.entries] == expected
    assert [entry["id"] for entry in feeds.json["items"]] == expected


@pytest.mark.parametrize("entry", scene.RELEASES, ids=lambda release: release.entry.id)
def test_the_three_formats_agree_on_every_entry(feeds: Feeds, entry: Any):
    rss, atom, plain = feeds.entry(entry.entry.id)
    assert rss.title == atom.title == plain["title"] == entry.entry.title
    assert rss.link == atom.link == plain["url"]
    assert atom.summary == plain["summary"] == entry.entry.summary
    assert rss.summary.replace("&lt;", "<").replace("&amp;", "&") == entry.entry.summary
    assert rss.content[0].value == atom.content[0].value == plain["content_html"]
    assert rss.author == atom.author == plain["authors"][0]["name"] == "OuiShare"
    tags = [tag.term for tag in rss.get("tags", [])]
    assert tags == [tag.term for tag in atom.get("tags", [])] == plain.get("tags", [])
    assert tags == list(entry.entry.tags)
    published = datetime.fromisoformat(plain["date_published"])
    assert instant(rss.published_parsed) == instant(atom.published_parsed) == published == entry.released
    updated = datetime.fromisoformat(plain["date_modified"])
    assert instant(atom.updated_parsed) == updated == entry.updated.replace(microsecond=0)


def test_the_three_formats_agree_on_the_picture(feeds: Feeds):
    rss, atom, plain = feeds.entry("jardin")
    attachment = plain["attachments"][0]
    assert attachment == {"url": plain["image"], "mime_type": "image/png", "size_in_bytes": len(scene.PNG)}
    for entry in (rss, atom):
        (enclosure,) = entry.enclosures
        assert (enclosure.href, enclosure.type, enclosure.length) == (
            attachment["url"],
            "image/png",
            str(len(scene.PNG)),
        )
        (media,) = entry.media_content
        assert (media["url"], media["medium"], media["type"]) == (attachment["url"], "image", "image/png")
        assert entry.media_credit[0]["content"] == "Photo : Zoé & Cie" == plain["_pipeline"]["image_credit"]
    for tree in (feeds.rss_tree, feeds.atom_tree):
        alts = tree.xpath("//media:content/media:description/text()", namespaces=NS)
        assert alts == ["Des bacs de légumes"] == [plain["_pipeline"]["image_alt"]]


def test_an_entry_without_a_picture_has_none_in_any_format(feeds: Feeds):
    rss, atom, plain = feeds.entry("velo")
    assert rss.enclosures == atom.enclosures == []
    assert "media_content" not in rss
    assert "media_content" not in atom
    assert not {"image", "attachments", "_pipeline"} & set(plain)


def test_the_channel_points_to_the_campaign_and_the_feeds_to_themselves_and_the_hub(feeds: Feeds):
    assert feeds.rss.feed.link == feeds.atom.feed.link == feeds.json["home_page_url"] == scene.CAMPAIGN.link
    base = "https://example.org/feeds/sharing-lille/"
    links = {(link.rel, link.href) for link in feeds.rss.feed.links}
    assert {("self", f"{base}feed.xml"), ("hub", scene.CAMPAIGN.hub)} <= links
    links = {(link.rel, link.href) for link in feeds.atom.feed.links}
    assert {("self", f"{base}atom.xml"), ("hub", scene.CAMPAIGN.hub)} <= links
    assert feeds.json["feed_url"] == f"{base}feed.json"
    assert feeds.json["hubs"] == [{"type": "WebSub", "url": scene.CAMPAIGN.hub}]


def test_the_feed_names_its_title_description_and_language(feeds: Feeds):
    campaign = scene.CAMPAIGN
    for feed in (feeds.rss.feed, feeds.atom.feed):
        assert (feed.title, feed.subtitle, feed.language) == (campaign.title, campaign.description, "fr")
    assert (feeds.json["title"], feeds.json["description"], feeds.json["language"]) == (
        campaign.title,
        campaign.description,
        "fr",
    )


def test_an_entry_in_another_language_says_so_everywhere(feeds: Feeds):
    assert feeds.entry("repair-cafe")[2]["language"] == "en"
    atom_entries = feeds.atom_tree.findall("atom:entry", NS)
    assert [entry.get(XML_LANG) for entry in atom_entries] == ["en", "fr", "fr"]
    items = feeds.rss_tree.findall("channel/item")
    assert [item.findtext("dc:language", None, NS) for item in items] == ["en", "fr", "fr"]
    assert feeds.entry("repair-cafe")[0].content[0].value.startswith('<div lang="en" dir="auto">')


def test_an_edit_after_the_release_moves_updated_and_keeps_id_and_published(tmp_path: Path):
    scene.lay_out(tmp_path)
    before = written(tmp_path)
    edited_at = datetime(2016, 4, 20, 18, 0, tzinfo=UTC)
    edited = [
        replace(release, entry=replace(release.entry, title="Un autre titre"), updated=edited_at)
        if release.entry.id == "jardin"
        else release
        for release in scene.RELEASES
    ]
    after = written(tmp_path, releases=tuple(edited))
    assert [item["id"] for item in after.json["items"]] == [item["id"] for item in before.json["items"]]
    for old, new in zip(before.entry("jardin"), after.entry("jardin"), strict=True):
        assert old["title"] != new["title"] == "Un autre titre"
    assert before.entry("jardin")[1].published == after.entry("jardin")[1].published
    assert before.entry("jardin")[0].published == after.entry("jardin")[0].published
    assert instant(after.entry("jardin")[1].updated_parsed) == edited_at
    assert datetime.fromisoformat(after.entry("jardin")[2]["date_modified"]) == edited_at
    assert instant(after.atom.feed.updated_parsed) == instant(after.rss.feed.updated_parsed) == edited_at


def test_a_feed_without_releases_is_valid_and_dated_when_the_campaign_was_first_seen(tmp_path: Path):
    feeds = written(tmp_path, releases=())
    assert (feeds.rss.bozo, feeds.atom.bozo) == (False, False)
    assert feeds.rss.entries == feeds.atom.entries == feeds.json["items"] == []
    assert instant(feeds.rss.feed.updated_parsed) == scene.FIRST_SEEN
    assert instant(feeds.atom.feed.updated_parsed) == scene.FIRST_SEEN
    assert feeds.json["feed_url"]


def test_without_a_public_address_nothing_pretends_to_have_one(tmp_path: Path):
    scene.lay_out(tmp_path)
    feeds = written(tmp_path, campaign={"public_url": None})
    for name in scene.FEED_FILES:
        text = (tmp_path / "public" / scene.CAMPAIGN.id / name).read_text()
        assert "/media/" not in text
        assert "feeds/" not in text
        assert "hub.example" not in text
    assert [link.rel for link in feeds.atom.feed.links] == ["alternate"]
    assert "feed_url" not in feeds.json
    html = feeds.entry("jardin")[2]["content_html"]
    assert "Le plan du jardin" in html
    assert "<img" not in html
    assert '<a href="https://example.org/jardin">' in html


def test_the_author_is_the_event_when_the_campaign_names_none(tmp_path: Path):
    scene.lay_out(tmp_path)
    feeds = written(tmp_path, campaign={"author": None})
    rss, atom, plain = feeds.entry("velo")
    assert rss.author == atom.author == plain["authors"][0]["name"] == "Sharing Lille"


def test_the_credit_of_a_picture_stands_in_sight(feeds: Feeds):
    html = feeds.entry("jardin")[2]["content_html"]
    assert "<figcaption>Photo : Zoé &amp; Cie</figcaption>" in html
    assert html.endswith("<p>📍 Fives, Lille</p>")


def test_a_very_long_body_survives_whole(tmp_path: Path):
    words = " ".join(f"mot{number}" for number in range(200_000))
    body = replace(scene.EDITED, body=f"{words}\n")
    feeds = written(tmp_path, releases=(scene.release(body, 19),))
    rss, atom, plain = feeds.entry("velo")
    assert rss.content[0].value == atom.content[0].value == plain["content_html"] == f"<p>{words}</p>"


def test_dates_are_whole_seconds_and_updated_never_precedes_published(tmp_path: Path):
    released = datetime(2016, 4, 19, 7, 0, 0, 999_999, tzinfo=UTC)
    odd = replace(scene.release(scene.EDITED, 19), released=released, updated=released - timedelta(days=1))
    feeds = written(tmp_path, releases=(odd,))
    plain = feeds.entry("velo")[2]
    assert plain["date_published"] == plain["date_modified"] == "2016-04-19T07:00:00+00:00"


def test_a_feed_holds_the_newest_entries_only(tmp_path: Path):
    first = scene.RELEASES[0]
    many = [
        replace(first, entry=replace(first.entry, id=f"e{n:03}"), released=first.released + timedelta(days=n))
        for n in range(feeds_package.LENGTH + 7)
    ]
    built = document.build(scene.CAMPAIGN, many, authority=scene.AUTHORITY, first_seen=scene.FIRST_SEEN)
    shown = [entry.id.rsplit("/", 1)[1] for entry in built.entries]
    assert shown == [f"e{n:03}" for n in range(feeds_package.LENGTH + 6, 6, -1)]
