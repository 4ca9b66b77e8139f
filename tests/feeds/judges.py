"""Judges of feeds: schemas written after the formats' own descriptions, and a parser that readers use."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import feedparser
from jsonschema import Draft202012Validator, FormatChecker
from lxml import etree

HERE = Path(__file__).parent
NS = {
    "atom": "http://www.w3.org/2005/Atom",
    "at": "http://purl.org/atompub/tombstones/1.0",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "fh": "http://purl.org/syndication/history/1.0",
    "media": "http://search.yahoo.com/mrss/",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
}
RSS_CHANNEL = {"title", "link", "description"}


@cache
def atom_schema() -> Any:
    """Appendix B of RFC 4287."""
    return etree.RelaxNG(etree.parse(str(HERE / "atom.rng")))


@cache
def json_schema() -> Any:
    schema = json.loads((HERE / "json_feed.schema.json").read_text())
    return Draft202012Validator(schema, format_checker=FormatChecker())


def judge_atom(data: bytes) -> Any:
    tree = etree.fromstring(data)
    schema = atom_schema()
    assert schema.validate(tree), schema.error_log
    ids = [entry.text for entry in tree.findall("atom:entry/atom:id", NS)]
    assert len(ids) == len(set(ids))
    assert feedparser.parse(data).bozo is False
    return tree


def judge_json(data: bytes) -> Any:
    plain = json.loads(data)
    problems = [f"{error.json_path}: {error.message}" for error in json_schema().iter_errors(plain)]
    assert problems == []
    assert len({item["id"] for item in plain["items"]}) == len(plain["items"])
    assert plain.get("next_url") != plain.get("feed_url", "none")
    return plain


def judge_rss(data: bytes) -> Any:
    """RSS has no schema; these are the rules of its specification that a document can break."""
    tree = etree.fromstring(data)
    assert (tree.tag, tree.get("version")) == ("rss", "2.0")
    (channel,) = tree
    assert {child.tag for child in channel} >= RSS_CHANNEL
    for item in channel.findall("item"):
        tags = [child.tag for child in item]
        for once in (
            "title",
            "link",
            "description",
            "guid",
            "pubDate",
            "enclosure",
            f"{{{NS['content']}}}encoded",
        ):
            assert tags.count(once) <= 1, once
        assert tags.index("description") < tags.index(f"{{{NS['content']}}}encoded")
        assert item.findtext("guid")
    guids = [guid.text for guid in channel.findall("item/guid")]
    assert len(guids) == len(set(guids))
    assert feedparser.parse(data).bozo is False
    return tree


def judge_opml(data: bytes) -> Any:
    tree = etree.fromstring(data)
    assert (tree.tag, tree.get("version")) == ("opml", "2.0")
    head, body = tree
    assert (head.tag, body.tag) == ("head", "body")
    assert head.findtext("title")
    outlines = tree.findall(".//outline")
    assert outlines
    for outline in outlines:
        assert outline.get("text")
        if len(outline) == 0:
            assert outline.get("type") == "rss"
            assert outline.get("xmlUrl", "").startswith("https://")
            assert outline.get("htmlUrl", "").startswith("http")
            assert outline.get("language")
    addresses = [outline.get("xmlUrl") for outline in outlines if outline.get("xmlUrl")]
    assert len(addresses) == len(set(addresses))
    return tree


def judge_folder(public: Path) -> list[str]:
    """Judge every feed, archive page and list below `public`; their names."""
    judged = []
    for path in sorted(public.rglob("*")):
        data = path.read_bytes() if path.is_file() and not path.name.startswith(".") else b""
        if path.suffix == ".opml":
            judge_opml(data)
        elif path.name.endswith("atom.xml"):
            judge_atom(data)
        elif path.suffix == ".xml":
            judge_rss(data)
        elif path.suffix == ".json" and data:
            judge_json(data)
        else:
            continue
        judged.append(path.relative_to(public).as_posix())
    return judged
