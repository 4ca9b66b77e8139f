"""A feed in pages: nothing falls between them, what is full stays as it is, and a release costs little."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from pipeline import feeds
from pipeline.feeds import archives, record
from pipeline.feeds.record import Row
from pipeline.feeds.selections import Kind, Selection
from pipeline.model import Entry, Release, ReleaseMark
from tests.feeds import scene
from tests.feeds.judges import NS

BASE = "https://example.org/feeds/sharing-lille/"
FIRST = datetime(2016, 1, 1, 8, tzinfo=UTC)
KINDS = ("rss.xml", "atom.xml", "json", "html")
LATER = FIRST + timedelta(days=5000)


def release(n: int, **changes: Any) -> Release:
    entry = Entry(f"e{n:04}", f"content/e{n:04}.md", f"Projet {n}", "Un projet.", f"https://example.org/{n}")
    at = FIRST + timedelta(days=n)
    keys = {name: changes.pop(name) for name in ("tags", "title") if name in changes}
    return replace(Release(scene.CAMPAIGN.id, replace(entry, **keys), at.date(), at, at), **changes)


def releases(count: int, **changes: Any) -> list[Release]:
    return [release(n, **changes) for n in range(count)]


def folder(root: Path) -> Path:
    return root / "public" / scene.CAMPAIGN.id


def changed(root: Path, given: Sequence[Release]) -> set[str]:
    """Write; the names of the files that changed."""
    return {path.relative_to(folder(root)).as_posix() for path in scene.write(root, releases=given).changed}


def walk(root: Path) -> list[Any]:
    """The Atom feed and its archive pages, by following the links as a reader does."""
    documents = [etree.parse(str(folder(root) / "atom.xml")).getroot()]
    while older := documents[-1].xpath("atom:link[@rel='prev-archive']/@href", namespaces=NS):
        assert older[0].startswith(BASE)
        documents.append(etree.parse(str(folder(root) / older[0].removeprefix(BASE))).getroot())
    return documents


def ids(document: Any) -> list[str]:
    return [text.rpartition("/")[2] for text in document.xpath("atom:entry/atom:id/text()", namespaces=NS)]


def row(n: int) -> Row:
    return Row(ReleaseMark(f"e{n}", FIRST.date(), FIRST, FIRST), (), None, "")


@given(st.integers(0, 5 * feeds.LENGTH))
def test_every_release_is_on_a_page_and_pages_link_to_their_neighbours(count: int):
    selection = Selection(Kind.CAMPAIGN, "", "", tuple(row(n) for n in reversed(range(count))))
    *full, feed = archives.pages(selection, archived=True)
    assert (feed.number, feed.rows) == (None, selection.rows[: feeds.LENGTH])
    assert [page.number for page in full] == list(range(1, len(full) + 1))
    assert all(len(page.rows) == feeds.LENGTH for page in full)
    assert {one for page in (*full, feed) for one in page.rows} == set(selection.rows)
    assert [page.older for page in (*full, feed)] == [None, *(page.number for page in full)][: len(full) + 1]
    assert [page.newer for page in full] == [*(page.number for page in full[1:]), None][: len(full)]


@given(st.integers(0, 5 * feeds.LENGTH))
def test_a_full_page_holds_the_same_whatever_is_released_afterwards(count: int):
    rows = [row(n) for n in range(count + 1)]
    before, after = (
        archives.pages(Selection(Kind.CAMPAIGN, "", "", tuple(reversed(held))), archived=True)[:-1]
        for held in (rows[:-1], rows)
    )
    assert [page.rows for page in after[: len(before)]] == [page.rows for page in before]


def test_a_reader_who_follows_the_links_finds_every_release_newest_first(tmp_path: Path):
    count = 3 * feeds.LENGTH + 7
    scene.write(tmp_path, releases=releases(count))
    feed, *pages = walk(tmp_path)
    assert ids(feed) == [f"e{n:04}" for n in range(count - 1, count - 1 - feeds.LENGTH, -1)]
    archived = [entry for page in pages for entry in ids(page)]
    assert archived == [f"e{n:04}" for n in range(3 * feeds.LENGTH - 1, -1, -1)]
    assert {page.findtext("atom:id", None, NS) for page in (feed, *pages)} == {
        "tag:example.org,2016:sharing-lille"
    }
    assert feed.find("fh:archive", NS) is None
    for page in pages:
        assert page.find("fh:archive", NS) is not None
        assert page.xpath("atom:link[@rel='current']/@href", namespaces=NS) == [f"{BASE}atom.xml"]
        assert page.xpath("atom:link[@rel='hub']", namespaces=NS) == []
    newer = [page.xpath("string(atom:link[@rel='next-archive']/@href)", namespaces=NS) for page in pages]
    assert newer == ["", f"{BASE}archive/0003.atom.xml", f"{BASE}archive/0002.atom.xml"]


def test_rss_and_json_have_the_same_pages(tmp_path: Path):
    scene.write(tmp_path, releases=releases(2 * feeds.LENGTH + 1))
    rss = etree.parse(str(folder(tmp_path) / "feed.xml"))
    (older,) = rss.xpath("channel/atom:link[@rel='prev-archive']", namespaces=NS)
    assert dict(older.attrib) == {
        "href": f"{BASE}archive/0002.rss.xml",
        "rel": "prev-archive",
        "type": "application/rss+xml",
    }
    page = etree.parse(str(folder(tmp_path) / "archive/0002.rss.xml"))
    assert page.find("channel/fh:archive", NS) is not None
    assert page.find("channel/ttl") is page.find("channel/sy:updatePeriod", NS) is None
    assert page.findtext("channel/item/title") == f"Projet {2 * feeds.LENGTH - 1}"
    feed = json.loads((folder(tmp_path) / "feed.json").read_bytes())
    found = {item["title"] for item in feed["items"]}
    while "next_url" in feed:
        feed = json.loads((folder(tmp_path) / feed["next_url"].removeprefix(BASE)).read_bytes())
        assert feed["feed_url"] == f"{BASE}feed.json"
        found |= {item["title"] for item in feed["items"]}
    assert found == {f"Projet {n}" for n in range(2 * feeds.LENGTH + 1)}


def test_a_feed_within_its_length_has_no_pages(tmp_path: Path):
    scene.write(tmp_path, releases=releases(feeds.LENGTH))
    assert not (folder(tmp_path) / "archive").exists()
    assert len(walk(tmp_path)) == 1


def test_without_a_public_address_there_are_pages_for_people_only(tmp_path: Path):
    scene.write(tmp_path, replace(scene.CAMPAIGN, public_url=None), releases(2 * feeds.LENGTH))
    assert [path.name for path in (folder(tmp_path) / "archive").iterdir()] == ["0001.html"]


def test_a_release_rewrites_the_feed_and_no_archive_page_and_looks_up_the_newest_only(tmp_path: Path):
    many = releases(1000)
    scene.write(tmp_path, releases=many)
    given = scene.Given([*many, release(1000)])
    source = feeds.Source(scene.CAMPAIGN, given, scene.AUTHORITY, scene.FIRST_SEEN)
    written = feeds.write(source, root=tmp_path, public=tmp_path / "public")
    names = {path.relative_to(folder(tmp_path)).as_posix() for path in written.changed}
    # Page 20 came to be with this release; the page before it got its link.
    page = {f"archive/0020.{kind}" for kind in KINDS}
    assert names == {"feed.xml", "atom.xml", "feed.json", "index.html"} | page | {
        "archive/0019.rss.xml",
        "archive/0019.atom.xml",
        "archive/0019.html",
    }
    assert changed(tmp_path, [*many, release(1000), release(1001)]) == {
        "feed.xml",
        "atom.xml",
        "feed.json",
        "index.html",
    }
    assert len(set(given.loaded)) <= 3 * feeds.LENGTH


def test_an_edit_rewrites_the_page_that_holds_it_and_no_other(tmp_path: Path):
    many = releases(4 * feeds.LENGTH)
    scene.write(tmp_path, releases=many)
    before = {page.findtext("atom:updated", None, NS) for page in walk(tmp_path)}
    many[70] = release(70, title="Corrigé", updated=LATER)
    assert changed(tmp_path, many) == {f"archive/0002.{kind}" for kind in KINDS}
    page = etree.parse(str(folder(tmp_path) / "archive/0002.atom.xml")).getroot()
    (entry,) = [
        one for one in page.findall("atom:entry", NS) if one.findtext("atom:title", None, NS) == "Corrigé"
    ]
    assert entry.findtext("atom:published", None, NS) == many[70].released.isoformat()
    assert entry.findtext("atom:updated", None, NS) == LATER.isoformat() not in before


def test_a_retraction_leaves_a_tombstone_in_the_feed_and_on_the_page_that_held_it(tmp_path: Path):
    many = releases(3 * feeds.LENGTH)
    scene.write(tmp_path, releases=many)
    many[10] = release(10, retracted=LATER)
    names = changed(tmp_path, many)
    assert {name for name in names if "archive" in name} == {f"archive/0001.{kind}" for kind in KINDS}
    feed, second, first = walk(tmp_path)
    stone = {"ref": "tag:example.org,2016:sharing-lille/e0010", "when": LATER.isoformat()}
    for document, stones in ((feed, [stone]), (second, []), (first, [stone])):
        assert [dict(one.attrib) for one in document.findall("at:deleted-entry", NS)] == stones
        assert "e0010" not in ids(document)
    assert feed.findtext("atom:updated", None, NS) == LATER.isoformat()
    assert len(ids(first)) == feeds.LENGTH - 1
    for path in folder(tmp_path).rglob("*"):
        if path.suffix in {".xml", ".json", ".html"} and path.name != record.RECORD:
            assert "Projet 10<" not in path.read_text()
            assert '"Projet 10"' not in path.read_text()


def test_the_newest_tombstones_stay_and_their_number_is_limited(tmp_path: Path):
    gone = [release(n, retracted=LATER + timedelta(hours=n)) for n in range(feeds.LENGTH + 5)]
    scene.write(tmp_path, releases=gone)
    feed = etree.parse(str(folder(tmp_path) / "atom.xml")).getroot()
    refs = [one.get("ref").rpartition("/")[2] for one in feed.findall("at:deleted-entry", NS)]
    assert refs == [f"e{n:04}" for n in range(feeds.LENGTH + 4, 4, -1)]
    assert ids(feed) == []


def test_an_edit_moves_updated_in_rss_too_and_keeps_id_and_date(tmp_path: Path):
    scene.write(tmp_path, releases=[release(0)])
    scene.write(tmp_path, releases=[release(0, title="Corrigé", updated=LATER)])
    (item,) = etree.parse(str(folder(tmp_path) / "feed.xml")).findall("channel/item")
    assert item.findtext("guid") == "tag:example.org,2016:sharing-lille/e0000"
    assert item.findtext("pubDate") == "Fri, 01 Jan 2016 08:00:00 +0000"
    assert item.findtext("atom:updated", None, NS) == LATER.isoformat()
    assert item.findtext("title") == "Corrigé"


@pytest.mark.parametrize(
    "lost", ["archive/0001.atom.xml", "archive/0001.html", "feed.json", "index.html", "feed.css"]
)
@pytest.mark.parametrize("how", ["gone", "cut short"])
def test_a_file_that_was_lost_is_written_again_and_no_other(tmp_path: Path, lost: str, how: str):
    many = releases(2 * feeds.LENGTH)
    scene.write(tmp_path, releases=many)
    path = folder(tmp_path) / lost
    data = path.read_bytes()
    path.unlink() if how == "gone" else path.write_bytes(data[: len(data) // 2])
    assert changed(tmp_path, many) == {lost}
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"[]", b"null", b'{"program": 1}', b'{"program": "x", "rows": [1]}', b"\xff\xfe"]
)
def test_without_a_record_that_can_be_relied_on_everything_is_made_anew(tmp_path: Path, broken: bytes):
    many = releases(2 * feeds.LENGTH)
    scene.write(tmp_path, releases=many)
    kept = (folder(tmp_path) / record.RECORD).read_bytes()
    (folder(tmp_path) / record.RECORD).write_bytes(broken)
    (folder(tmp_path) / "archive/0001.atom.xml").write_bytes(b"else")
    assert changed(tmp_path, many) == {"archive/0001.atom.xml"}
    assert (folder(tmp_path) / record.RECORD).read_bytes() == kept


def test_a_record_of_another_version_of_the_program_is_not_relied_on(tmp_path: Path):
    many = releases(3)
    scene.write(tmp_path, releases=many)
    path = folder(tmp_path) / record.RECORD
    plain = json.loads(path.read_bytes())
    feed = folder(tmp_path) / "atom.xml"
    feed.write_bytes(b"x" * feed.stat().st_size)
    assert changed(tmp_path, many) == set(), "its length is as recorded"
    path.write_text(json.dumps(plain | {"program": "another"}))
    assert changed(tmp_path, many) == {"atom.xml"}


def test_a_record_read_from_the_disk_is_the_one_that_was_written(tmp_path: Path):
    gone = release(4, retracted=LATER, updated=LATER)
    many = [release(n, tags=("vert",)) for n in range(3)]
    scene.write(tmp_path, releases=[gone, *reversed(many)])
    known = record.read(folder(tmp_path))
    elsewhere = tmp_path / "another process"
    elsewhere.mkdir()
    (elsewhere / record.RECORD).write_bytes((folder(tmp_path) / record.RECORD).read_bytes())
    assert known.documents.keys() >= {"page", "style"}
    assert len(known.rows) == 4
    assert record.read(elsewhere) == known
    assert [row.sign for row in record.read(elsewhere).rows.values()] == [
        row.sign for row in known.rows.values()
    ]


def test_pages_that_are_no_more_are_removed(tmp_path: Path):
    tagged = [release(n, tags=("vert",)) for n in range(feeds.LENGTH + 1)]
    scene.write(tmp_path, releases=tagged)
    page = folder(tmp_path) / "tags/vert/archive/0001.atom.xml"
    assert page.exists()
    edited = [release(0, updated=LATER), *tagged[1:]]
    removed = {f"tags/vert/archive/0001.{kind}" for kind in ("rss.xml", "atom.xml", "json")}
    assert changed(tmp_path, edited) >= removed
    assert not page.exists()


def test_nothing_is_left_of_a_retracted_entrys_pictures(tmp_path: Path):
    scene.lay_out(tmp_path)
    other = replace(scene.WITH_PICTURE, id="jardin-2", path="content/jardin-2.md")
    both = [scene.release(scene.WITH_PICTURE, 18), scene.release(other, 19)]
    scene.write(tmp_path, releases=both)
    media = folder(tmp_path) / "media"
    assert len(list(media.iterdir())) == 4
    scene.write(tmp_path, releases=[replace(both[0], retracted=LATER), both[1]])
    left = sorted(path.name for path in media.iterdir())
    assert len(left) == 2
    assert all(name.startswith("jardin-2-") for name in left)
