"""The feeds of tags, of languages and of all campaigns, and the list of them all."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from lxml import etree

from pipeline import feeds
from pipeline.feeds.selections import slug
from pipeline.model import Campaign, Release
from tests.feeds import judges, scene
from tests.feeds.judges import NS

BASE = "https://example.org/feeds/"
EVENT = scene.CAMPAIGN.event


def read(root: Path, name: str) -> Any:
    return json.loads((root / "public" / name / "feed.json").read_bytes())


def atom(root: Path, name: str) -> Any:
    return etree.parse(str(root / "public" / name / "atom.xml")).getroot()


def titles(root: Path, name: str) -> list[str]:
    return [item["title"] for item in read(root, name)["items"]]


def part(root: Path, campaign: Campaign, *given: Release) -> feeds.Part:
    source = scene.source(campaign, given)
    written = feeds.write(source, root=root, public=root / "public")
    return feeds.Part(source, written.newest, written.listed)


def collective(root: Path, *parts: feeds.Part) -> tuple[Path, ...]:
    return feeds.write_collective(parts, authority=scene.AUTHORITY, root=root, public=root / "public")


def retagged(release: Release, *tags: str, **changes: Any) -> Release:
    return replace(release, entry=replace(release.entry, tags=tags), **changes)


# ----------------------------------------------------------------------------- tags and languages


def test_each_tag_and_each_language_has_a_feed_of_its_entries(tmp_path: Path):
    scene.lay_out(tmp_path)
    scene.write(tmp_path)
    home = "sharing-lille"
    assert titles(tmp_path, f"{home}/tags/jardin") == ["Le jardin « à partager » & ses voisins"]
    assert titles(tmp_path, f"{home}/tags/{slug('vélo')}") == ["Le vélo pour tous 🚲"]
    assert titles(tmp_path, f"{home}/lang/en") == ["Repair café"]
    assert titles(tmp_path, f"{home}/lang/fr") == [
        "Le vélo pour tous 🚲",
        "Le jardin « à partager » & ses voisins",
    ]
    assert read(tmp_path, f"{home}/lang/en")["language"] == "en"
    assert read(tmp_path, f"{home}/tags/jardin")["title"] == f"{scene.CAMPAIGN.title} – jardin"


def test_an_entry_is_the_same_in_every_feed_and_each_feed_has_its_own_id_and_address(tmp_path: Path):
    scene.lay_out(tmp_path)
    scene.write_everything(tmp_path, scene.CAMPAIGN, scene.RELEASES)
    folders = [
        path.parent.relative_to(tmp_path / "public") for path in (tmp_path / "public").rglob("atom.xml")
    ]
    assert len(folders) == 7
    seen: dict[str, Any] = {}
    own_ids, own_addresses = set(), set()
    for folder in map(str, folders):
        for item in read(tmp_path, folder)["items"]:
            assert seen.setdefault(item["id"], item) == item
        feed = atom(tmp_path, folder)
        address = f"{BASE}{folder}/atom.xml".replace("/./", "/")
        assert feed.xpath("atom:link[@rel='self']/@href", namespaces=NS) == [address]
        assert feed.xpath("atom:link[@rel='hub']/@href", namespaces=NS) == [scene.CAMPAIGN.hub]
        own_ids.add(feed.findtext("atom:id", None, NS))
        own_addresses.add(address)
    assert len(seen) == 3
    assert len(own_ids) == len(own_addresses) == 7
    assert own_ids.isdisjoint(seen)


def test_every_feed_says_where_its_style_is(tmp_path: Path):
    scene.lay_out(tmp_path)
    scene.write_everything(tmp_path, scene.CAMPAIGN, scene.RELEASES)
    styled = 0
    for path in (tmp_path / "public").rglob("*.xml"):
        instruction = etree.parse(str(path)).getroot().getprevious()
        assert (instruction.target, instruction.get("type")) == ("xml-stylesheet", "text/css")
        assert (path.parent / instruction.get("href")).resolve().read_bytes().startswith(b"@charset")
        styled += 1
    assert styled == 14


def test_a_campaign_in_one_language_has_no_feeds_of_languages(tmp_path: Path):
    scene.write(tmp_path, releases=[scene.release(scene.EDITED, 18)])
    assert not (tmp_path / "public" / "sharing-lille" / "lang").exists()


def test_tags_that_differ_in_case_only_share_a_feed_named_as_first_written(tmp_path: Path):
    first, second, third = (
        retagged(one, tag) for one, tag in zip(scene.RELEASES, ("Vert", "vert", "VERT"), strict=True)
    )
    scene.write(tmp_path, releases=[third, first, second])
    assert len(titles(tmp_path, "sharing-lille/tags/vert")) == 3
    assert read(tmp_path, "sharing-lille/tags/vert")["title"].endswith(" – Vert")


def test_the_feed_of_a_tag_that_is_gone_stays_empty_and_is_listed_no_more(tmp_path: Path):
    one = retagged(scene.RELEASES[1], "vert")
    before = scene.write(tmp_path, releases=[one])
    after = scene.write(tmp_path, releases=[retagged(one, "bleu", updated=one.updated + timedelta(days=1))])
    assert titles(tmp_path, "sharing-lille/tags/vert") == []
    assert read(tmp_path, "sharing-lille/tags/vert")["title"].endswith(" – vert")
    assert titles(tmp_path, "sharing-lille/tags/bleu") == [one.entry.title]
    assert [feed.label for feed in before.listed] == ["", "vert"]
    assert [feed.label for feed in after.listed] == ["", "bleu"]
    page = (tmp_path / "public/sharing-lille/index.html").read_text()
    assert "tags/bleu/feed.xml" in page
    assert "tags/vert" not in page
    assert (
        scene.write(
            tmp_path, releases=[retagged(one, "bleu", updated=one.updated + timedelta(days=1))]
        ).changed
        == ()
    )


def test_a_release_touches_the_feeds_of_its_own_tags_only(tmp_path: Path):
    first, second, third = (
        retagged(one, tag) for one, tag in zip(scene.RELEASES, ("a", "b", "c"), strict=True)
    )
    scene.write(tmp_path, releases=[first, second])
    done = scene.write(
        tmp_path, releases=[first, second, replace(third, entry=replace(third.entry, lang="fr"))]
    )
    folders = {path.parent.name for path in done.changed}
    assert folders == {"sharing-lille", "c"}


@given(st.lists(st.text(min_size=1, max_size=30), max_size=30))
def test_words_share_a_folder_only_when_they_differ_in_case_or_encoding_alone(words: list[str]):
    assume(all(word.strip() for word in words))
    folders: dict[str, str] = {}
    for word in words:
        name = slug(word)
        assert name.isascii()
        assert not set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert 0 < len(name) <= 70
        same = " ".join(unicodedata.normalize("NFKC", word).casefold().split())
        assert folders.setdefault(name, same) == same
        assert slug(word.strip()) == name


@pytest.mark.parametrize(
    ("tags", "shared"),
    [
        (("C", "C++", "C#"), 0),
        (("zéro déchet", "zero dechet", "zero-dechet"), 0),
        (("Prêt", "prêt"), 1),
        (("🚲", "🚗"), 0),
    ],
)
def test_tags_alike_have_folders_apart(tags: tuple[str, ...], shared: int):
    assert len({slug(tag) for tag in tags}) == len(tags) - shared


def test_a_tag_cannot_take_the_folder_of_another_by_its_spelling():
    taken = slug("zéro déchet")
    assert slug(taken) != taken
    assert slug("jardin") == "jardin"


# ----------------------------------------------------------------------------- all campaigns


PARIS = replace(
    scene.CAMPAIGN,
    id="sharing-paris",
    title="Paris partage",
    authority="paris.example,2017",
    event=replace(EVENT, starts=EVENT.starts + timedelta(days=365)),
)


def test_the_common_feed_holds_the_newest_of_all_campaigns_under_their_own_ids(tmp_path: Path):
    scene.lay_out(tmp_path)
    lille = part(tmp_path, scene.CAMPAIGN, *scene.RELEASES[:2])
    paris = part(tmp_path, PARIS, scene.RELEASES[2])
    collective(tmp_path, lille, paris)
    feed = read(tmp_path, "")
    assert [item["id"] for item in feed["items"]] == [
        "tag:example.org,2016:sharing-paris/repair-cafe",
        "tag:example.org,2016:sharing-lille/velo",
        "tag:example.org,2016:sharing-lille/jardin",
    ]
    assert feed["items"][1:] == read(tmp_path, "sharing-lille")["items"]
    assert feed["feed_url"] == f"{BASE}feed.json"
    assert feed["title"] == "OuiShare"
    assert feed["description"] == "Lille, ville collaborative : 3 projets · Paris partage"
    assert feed["home_page_url"] == "https://example.org/"
    assert atom(tmp_path, "").findtext("atom:id", None, NS) == "tag:example.org,2016:@all"
    judges.judge_folder(tmp_path / "public")


def test_the_common_feed_holds_no_more_than_a_page(tmp_path: Path):
    base = scene.RELEASES[2]
    many = [
        replace(base, entry=replace(base.entry, id=f"e{n:03}"), released=base.released + timedelta(days=n))
        for n in range(feeds.LENGTH)
    ]
    lille, paris = part(tmp_path, scene.CAMPAIGN, *many), part(tmp_path, PARIS, *many)
    collective(tmp_path, lille, paris)
    feed = read(tmp_path, "")
    assert len(feed["items"]) == feeds.LENGTH
    assert [item["id"][-4:] for item in feed["items"][:4]] == ["e049", "e049", "e048", "e048"]
    assert "next_url" not in feed


def test_the_common_feed_is_written_when_something_changed_and_only_then(tmp_path: Path):
    lille = part(tmp_path, scene.CAMPAIGN, *scene.RELEASES[1:])
    assert {path.name for path in collective(tmp_path, lille)} == {
        "feed.css",
        "feed.xml",
        "atom.xml",
        "feed.json",
        "feeds.opml",
    }
    assert collective(tmp_path, lille) == ()
    again = part(tmp_path, scene.CAMPAIGN, *scene.RELEASES[1:])
    assert collective(tmp_path, again) == ()
    renamed = part(tmp_path, replace(scene.CAMPAIGN, title="Lille"), *scene.RELEASES[1:])
    assert {path.name for path in collective(tmp_path, renamed)} == {
        "feed.xml",
        "atom.xml",
        "feed.json",
        "feeds.opml",
    }


def test_a_retraction_reaches_the_common_feed(tmp_path: Path):
    when = scene.RELEASES[2].released + timedelta(days=1)
    gone = replace(scene.RELEASES[2], retracted=when)
    collective(tmp_path, part(tmp_path, scene.CAMPAIGN, scene.RELEASES[1], gone))
    assert titles(tmp_path, "") == ["Le vélo pour tous 🚲"]
    (stone,) = atom(tmp_path, "").findall("at:deleted-entry", NS)
    assert stone.get("ref") == "tag:example.org,2016:sharing-lille/repair-cafe"
    assert stone.get("when") == when.isoformat()


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({}, "OuiShare"),
        ({"author": "Else"}, "example.org"),
        ({"author": "Else", "link": "https://paris.example/p/"}, "example.org · paris.example"),
    ],
)
def test_the_common_feed_is_named_by_what_the_campaigns_share(tmp_path: Path, changes: Any, title: str):
    paris = part(tmp_path, replace(PARIS, **changes), scene.RELEASES[2])
    collective(tmp_path, part(tmp_path, scene.CAMPAIGN, scene.RELEASES[1]), paris)
    assert read(tmp_path, "")["title"] == title


def test_campaigns_served_at_different_places_have_a_common_feed_without_an_address(tmp_path: Path):
    paris = part(tmp_path, replace(PARIS, public_url="https://paris.example/"), scene.RELEASES[2])
    collective(tmp_path, part(tmp_path, scene.CAMPAIGN, scene.RELEASES[1]), paris)
    assert "feed_url" not in read(tmp_path, "")
    assert "hubs" not in read(tmp_path, "")
    tree = judges.judge_opml((tmp_path / "public/feeds.opml").read_bytes())
    assert f"{BASE}feed.xml" not in [outline.get("xmlUrl") for outline in tree.iter("outline")]
    assert "https://paris.example/sharing-paris/feed.xml" in etree.tostring(tree).decode()


# ----------------------------------------------------------------------------- the list


def test_the_list_names_every_feed_once_by_campaign(tmp_path: Path):
    scene.lay_out(tmp_path)
    lille, paris = (
        part(tmp_path, scene.CAMPAIGN, *scene.RELEASES),
        part(tmp_path, PARIS, retagged(scene.RELEASES[0])),
    )
    collective(tmp_path, lille, paris)
    tree = judges.judge_opml((tmp_path / "public/feeds.opml").read_bytes())
    common, of_lille, of_paris = tree.find("body")
    assert common.get("xmlUrl") == f"{BASE}feed.xml"
    assert of_lille.get("text") == scene.CAMPAIGN.title
    assert [outline.get("xmlUrl").removeprefix(f"{BASE}sharing-lille/") for outline in of_lille] == [
        "feed.xml",
        "tags/jardin/feed.xml",
        f"tags/{slug('vélo')}/feed.xml",
        f"tags/{slug('zéro déchet')}/feed.xml",
        "lang/en/feed.xml",
        "lang/fr/feed.xml",
    ]
    assert [outline.get("language") for outline in of_lille][-2:] == ["en", "fr"]
    assert of_paris.get("xmlUrl") == f"{BASE}sharing-paris/feed.xml"
    for outline in tree.iter("outline"):
        if address := outline.get("xmlUrl"):
            assert (tmp_path / "public" / address.removeprefix(BASE)).is_file()


def test_without_addresses_there_is_no_list(tmp_path: Path):
    collective(tmp_path, part(tmp_path, scene.CAMPAIGN, scene.RELEASES[1]))
    assert (tmp_path / "public/feeds.opml").exists()
    collective(tmp_path, part(tmp_path, replace(scene.CAMPAIGN, public_url=None), scene.RELEASES[1]))
    assert not (tmp_path / "public/feeds.opml").exists()
    assert (tmp_path / "public/feed.xml").exists()
