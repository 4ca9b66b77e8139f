"""RSS 2.0 and Atom 1.0 from a feed document, by feedgen: the only module that imports it.

feedgen 1.0.0 is taken for its two element trees; its faults are put right here, and each has a test that
notices when a later release behaves differently:

- the links of an Atom entry lose rel, type and length: they are put back on the finished element;
- the channel's <link> is the link added last: the alternate one is;
- `updated` and `lastBuildDate` default to the present moment: feed and entries are all given theirs;
- entries are prepended: they are appended, so the document's order (newest first) stands;
- an author without an e-mail address is dropped from RSS: `dc:creator` names them;
- a hub is written in Atom only: RSS gets an `atom:link` as well;
- `content(type="CDATA")` makes invalid Atom: it is used for RSS alone, Atom gets `type="html"`;
- its media extension writes invalid groups without alt text or credit: the elements are made here;
- it has no language and no place for entries: Atom gets `xml:lang`, RSS `dc:language` and the instant of the
  last edit (`atom:updated`), both get `dc:coverage`;
- it knows no archive pages, tombstones, `sy:` elements in the right case, nor style sheets: made here too;
- the generator names feedgen's version, so an upgrade would change every feed: ours has no version;
- dates are formatted while the locale of the whole process is switched, which is not safe beside other
  threads: the formatter of the standard library, which reads no locale, stands in its place.

An entry reads the same in every feed it stands in, so it is written once, remembered, and set into the feeds
between their head and their end. The bytes depend on the document alone. Any thread may call these
functions, also several at once.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from email.utils import format_datetime
from functools import lru_cache, partial

import feedgen.entry
import feedgen.feed
from feedgen.feed import FeedGenerator
from lxml import etree
from lxml.etree import _Element as Element

from pipeline.feeds.document import Addresses, FeedDocument, FeedEntry, FeedImage

ATOM = "http://www.w3.org/2005/Atom"
DC = "http://purl.org/dc/elements/1.1/"
HISTORY = "http://purl.org/syndication/history/1.0"  # RFC 5005
MEDIA = "http://search.yahoo.com/mrss/"
SYNDICATION = "http://purl.org/rss/1.0/modules/syndication/"
TOMBSTONES = "http://purl.org/atompub/tombstones/1.0"  # RFC 6721
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

RSS_TYPE = "application/rss+xml"
ATOM_TYPE = "application/atom+xml"
PAGE_TYPE = "text/html"
GENERATOR = "content-pipeline"
MINUTES_TO_LIVE = 60  # `sy:` says the same: once an hour
_REMEMBERED = 2048  # entries
_RSS_END = b"  </channel>"
_ATOM_END = b"</feed>"

feedgen.feed.formatRFC2822 = feedgen.entry.formatRFC2822 = format_datetime


def rss(document: FeedDocument) -> bytes:
    """The document as RSS 2.0, UTF-8."""
    feed = _feed(document, document.rss_url, RSS_TYPE)
    feed.description(document.description)
    if document.current is None:
        feed.ttl(MINUTES_TO_LIVE)
    feed.register_extension("pipeline", partial(_RssFeed, document))
    head = bytes(feed.rss_str(pretty=True))
    return _joined(head, _RSS_END, map(_rss_item, document.entries), document.style)


def atom(document: FeedDocument) -> bytes:
    """The document as Atom 1.0, UTF-8."""
    feed = _feed(document, document.atom_url, ATOM_TYPE)
    feed.subtitle(document.description)
    feed.author(name=document.author)
    feed.register_extension("pipeline", partial(_AtomFeed, document))
    head = bytes(feed.atom_str(pretty=True))
    return _joined(head, _ATOM_END, map(_atom_entry, document.entries), document.style)


def _joined(feed: bytes, end: bytes, entries: Iterable[bytes], style: str | None) -> bytes:
    """A feed without entries, with the entries and the style sheet set into it."""
    declaration, _, root = feed.partition(b"\n")
    instruction = etree.ProcessingInstruction("xml-stylesheet", f'type="text/css" href="{style}"')
    sheet = etree.tostring(instruction) + b"\n" if style else b""
    head, _, tail = root.rpartition(end)
    return b"".join((declaration, b"\n", sheet, head, *entries, end, tail))


@lru_cache(_REMEMBERED)
def _rss_item(entry: FeedEntry) -> bytes:
    feed = _bare()
    feed.register_extension("pipeline", _RssNames)
    written = _entry(feed, entry, partial(_RssEntry, entry))
    # A description is read as HTML, the plain summary must not be mistaken for it.
    written.description(html.escape(entry.summary, quote=False), isSummary=True)
    written.content(entry.html, type="CDATA")
    if entry.image:
        written.enclosure(entry.image.url, str(entry.image.length), entry.image.mime)
    return _cut(bytes(feed.rss_str(pretty=True)), b"    <item>", _RSS_END)


@lru_cache(_REMEMBERED)
def _atom_entry(entry: FeedEntry) -> bytes:
    feed = _bare()
    feed.register_extension("pipeline", _AtomNames)
    links = _atom_links(entry)
    written = _entry(feed, entry, partial(_AtomEntry, entry, links))
    written.author(name=entry.author)
    written.summary(entry.summary)
    written.content(entry.html, type="html")
    written.link(links, replace=True)
    return _cut(bytes(feed.atom_str(pretty=True)), b"  <entry ", _ATOM_END)


def _bare() -> FeedGenerator:
    """A feed that is only there to write one entry: none of what it says of itself is kept."""
    feed = FeedGenerator()
    feed.id("bare")
    feed.title("bare")
    feed.description("bare")
    feed.link(href="bare", rel="alternate")
    return feed


def _cut(feed: bytes, begin: bytes, end: bytes) -> bytes:
    """The entry of a bare feed: what stands before it cannot hold `begin`, nor what follows it `end`."""
    return feed[feed.index(begin) : feed.rindex(end)]


def _feed(document: FeedDocument, own_url: str | None, own_type: str) -> FeedGenerator:
    feed = FeedGenerator()
    feed.id(document.id)
    feed.title(document.title)
    feed.updated(document.updated)
    feed.language(document.language)
    feed.generator(GENERATOR)
    if document.hub:
        feed.link(href=document.hub, rel="hub")
    if own_url:
        feed.link(href=own_url, rel="self", type=own_type)
    feed.link(href=document.link, rel="alternate", type=PAGE_TYPE)
    return feed


def _entry(feed: FeedGenerator, entry: FeedEntry, finish: Callable[[], object]) -> feedgen.entry.FeedEntry:
    """What both formats share. `finish` makes the extension that completes the entry's element."""
    written = feed.add_entry(order="append")
    written.guid(entry.id, permalink=False)
    written.title(entry.title)
    written.link(href=entry.url)
    written.published(entry.published)
    written.updated(entry.updated)
    for tag in entry.tags:
        written.category(term=tag)
    written.register_extension("finish", finish)
    return written


def _atom_links(entry: FeedEntry) -> list[dict[str, str]]:
    links = [{"href": entry.url, "rel": "alternate", "type": PAGE_TYPE}]
    if entry.image:
        image = entry.image
        length = str(image.length)
        links.append({"href": image.url, "rel": "enclosure", "type": image.mime, "length": length})
    return links


class _RssNames:
    """The namespaces of <rss>: the same for every feed, so that an entry fits into any of them."""

    def extend_ns(self) -> dict[str, str]:
        return {"dc": DC, "media": MEDIA}

    def extend_rss(self, root: Element) -> None:
        """Nothing is missing."""


class _RssFeed(_RssNames):
    """Completes <rss>: hub, archive, how often to look."""

    def __init__(self, document: FeedDocument) -> None:
        self._document = document

    def extend_rss(self, root: Element) -> None:
        channel = root[0]
        if self._document.hub:
            etree.SubElement(channel, f"{{{ATOM}}}link", href=self._document.hub, rel="hub")
        for rel, addresses in _archive_links(self._document):
            link = {"href": addresses.rss, "rel": rel, "type": RSS_TYPE}
            etree.SubElement(channel, f"{{{ATOM}}}link", link)
        if self._document.current:
            etree.SubElement(channel, f"{{{HISTORY}}}archive", nsmap={"fh": HISTORY})
            return
        for name, text in (("updatePeriod", "hourly"), ("updateFrequency", "1")):
            etree.SubElement(channel, f"{{{SYNDICATION}}}{name}", nsmap={"sy": SYNDICATION}).text = text


class _AtomNames:
    """The namespaces of <feed>, as with RSS."""

    def extend_ns(self) -> dict[str, str]:
        return {"dc": DC, "media": MEDIA}

    def extend_atom(self, root: Element) -> None:
        """Nothing is missing."""


class _AtomFeed(_AtomNames):
    """Completes <feed>: archive, tombstones."""

    def __init__(self, document: FeedDocument) -> None:
        self._document = document

    def extend_atom(self, root: Element) -> None:
        for rel, addresses in _archive_links(self._document):
            etree.SubElement(root, "link", {"href": addresses.atom, "rel": rel, "type": ATOM_TYPE})
        if self._document.current:
            etree.SubElement(root, f"{{{HISTORY}}}archive", nsmap={"fh": HISTORY})
        for stone in self._document.tombstones:
            attributes = {"ref": stone.id, "when": stone.when.isoformat()}
            etree.SubElement(root, f"{{{TOMBSTONES}}}deleted-entry", attributes, {"at": TOMBSTONES})


def _archive_links(document: FeedDocument) -> list[tuple[str, Addresses]]:
    links = (
        ("current", document.current),
        ("prev-archive", document.older),
        ("next-archive", document.newer),
    )
    return [(rel, addresses) for rel, addresses in links if addresses]


class _RssEntry:
    """Completes <item>: last edit, author, language, place, picture."""

    def __init__(self, entry: FeedEntry) -> None:
        self._entry = entry

    def extend_rss(self, element: Element) -> None:
        entry = self._entry
        _text(element, ATOM, "updated", entry.updated.isoformat())
        _text(element, DC, "creator", entry.author)
        _text(element, DC, "language", entry.language)
        if entry.place:
            _text(element, DC, "coverage", entry.place)
        _picture(element, entry.image)


class _AtomEntry:
    """Completes <entry>: link attributes, language, place, picture."""

    def __init__(self, entry: FeedEntry, links: list[dict[str, str]]) -> None:
        self._entry = entry
        self._links = links

    def extend_atom(self, element: Element) -> None:
        for link, attributes in zip(element.findall("link"), self._links, strict=True):
            for name, value in attributes.items():
                link.set(name, value)
        element.set(XML_LANG, self._entry.language)
        if self._entry.place:
            _text(element, DC, "coverage", self._entry.place)
        _picture(element, self._entry.image)


def _picture(parent: Element, image: FeedImage | None) -> None:
    if image is None:
        return
    length = str(image.length)
    content = etree.SubElement(
        parent, f"{{{MEDIA}}}content", url=image.url, type=image.mime, medium="image", fileSize=length
    )
    if image.alt:
        _text(content, MEDIA, "description", image.alt).set("type", "plain")
    if image.credit:
        _text(content, MEDIA, "credit", image.credit)


def _text(parent: Element, namespace: str, name: str, text: str) -> Element:
    child = etree.SubElement(parent, f"{{{namespace}}}{name}")
    child.text = text
    return child
