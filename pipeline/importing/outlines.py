"""Where feeds are named: in OPML lists, and in the head of web pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

from lxml import etree

from pipeline.errors import WrongUse
from pipeline.importing.fetching import Got

_FEED_TYPES = ("application/atom+xml", "application/rss+xml", "application/feed+json")
_LIST = re.compile(rb"<opml[\s>]", re.IGNORECASE)
_PAGE = re.compile(rb"<(!doctype\s+)?html[\s>]", re.IGNORECASE)
_HEAD = 1000  # bytes in which a document says what it is
_PAGE_HEAD = 300_000  # bytes of a page that are searched for feeds


def safe_parser() -> etree.XMLParser:
    """Reads what it can, expands no entity, fetches nothing."""
    return etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )


def is_list(data: bytes) -> bool:
    """Whether it is an OPML list."""
    return _LIST.search(data[:_HEAD]) is not None


def feeds_of(got: Got) -> list[str]:
    """The addresses of the feeds that a list names, each once, in its order. Raises WrongUse."""
    try:
        root = etree.fromstring(got.data, safe_parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise WrongUse(f"{got.name}: the list cannot be read: {error}", hint="Export it again.") from error
    found = [] if root is None else [outline.get("xmlUrl") for outline in root.iter("outline")]
    return list(dict.fromkeys(_absolute(got, url) for url in found if url and url.strip()))


def announced(got: Got) -> str | None:
    """The feed that a web page announces, the first one; None when it is no page or announces none."""
    if _PAGE.search(got.data[:_HEAD]) is None:
        return None
    reader = _Links()
    reader.feed(got.data[:_PAGE_HEAD].decode("utf-8", "replace"))
    return _absolute(got, reader.found[0]) if reader.found else None


def _absolute(got: Got, url: str) -> str:
    try:
        return urljoin(got.base or "", url.strip())
    except ValueError:
        return url.strip()


class _Links(HTMLParser):
    """Collects the feeds among a page's `<link rel="alternate">`."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        kind = given.get("type", "").partition(";")[0].strip().lower()
        is_feed = "alternate" in given.get("rel", "").lower().split() and kind in _FEED_TYPES
        if tag == "link" and is_feed and given.get("href"):
            self.found.append(given["href"])
