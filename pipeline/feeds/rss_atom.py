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
- it has no language for entries: Atom gets `xml:lang`, RSS `dc:language`, where it is not the feed's;
- the generator names feedgen's version, so an upgrade would change every feed: ours has no version;
- dates are formatted while the locale of the whole process is switched, which is not safe beside other
  threads: the formatter of the standard library, which reads no locale, stands in its place.

The bytes depend on the document alone. Any thread may call these functions, also several at once.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from email.utils import format_datetime
from functools import partial

import feedgen.entry
import feedgen.feed
from feedgen.feed import FeedGenerator
from lxml import etree
from lxml.etree import _Element as Element

from pipeline.feeds.document import FeedDocument, FeedEntry, FeedImage

ATOM = "http://www.w3.org/2005/Atom"
DC = "http://purl.org/dc/elements/1.1/"
MEDIA = "http://search.yahoo.com/mrss/"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"

RSS_TYPE = "application/rss+xml"
ATOM_TYPE = "application/atom+xml"
PAGE_TYPE = "text/html"
GENERATOR = "content-pipeline"
MINUTES_TO_LIVE = 60

feedgen.feed.formatRFC2822 = feedgen.entry.formatRFC2822 = format_datetime


def rss(document: FeedDocument) -> bytes:
    """The document as RSS 2.0, UTF-8."""
    feed = _feed(document, document.rss_url, RSS_TYPE)
    feed.description(document.description)
    feed.ttl(MINUTES_TO_LIVE)
    feed.register_extension("pipeline", partial(_RssFeed, document))
    for entry in document.entries:
        written = _entry(feed, entry, partial(_RssEntry, entry, document.language))
        # A description is read as HTML, the plain summary must not be mistaken for it.
        written.description(html.escape(entry.summary, quote=False), isSummary=True)
        written.content(entry.html, type="CDATA")
        if entry.image:
            written.enclosure(entry.image.url, str(entry.image.length), entry.image.mime)
    return bytes(feed.rss_str(pretty=True))


def atom(document: FeedDocument) -> bytes:
    """The document as Atom 1.0, UTF-8."""
    feed = _feed(document, document.atom_url, ATOM_TYPE)
    feed.subtitle(document.description)
    feed.author(name=document.author)
    feed.register_extension("pipeline", _AtomFeed)
    for entry in document.entries:
        links = _atom_links(entry)
        written = _entry(feed, entry, partial(_AtomEntry, entry, document.language, links))
        written.author(name=entry.author)
        written.summary(entry.summary)
        written.content(entry.html, type="html")
        written.link(links, replace=True)
    return bytes(feed.atom_str(pretty=True))


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


class _RssFeed:
    """Completes <rss>: namespaces, and the hub."""

    def __init__(self, document: FeedDocument) -> None:
        self._document = document

    def extend_ns(self) -> dict[str, str]:
        return {"dc": DC, "media": MEDIA}

    def extend_rss(self, root: Element) -> None:
        if self._document.hub:
            etree.SubElement(root[0], f"{{{ATOM}}}link", href=self._document.hub, rel="hub")


class _AtomFeed:
    """Completes <feed>: namespaces."""

    def extend_ns(self) -> dict[str, str]:
        return {"media": MEDIA}

    def extend_atom(self, root: Element) -> None:
        """Nothing is missing."""


class _RssEntry:
    """Completes <item>: author, language, picture."""

    def __init__(self, entry: FeedEntry, feed_language: str) -> None:
        self._entry = entry
        self._feed_language = feed_language

    def extend_rss(self, element: Element) -> None:
        _text(element, DC, "creator", self._entry.author)
        if self._entry.language != self._feed_language:
            _text(element, DC, "language", self._entry.language)
        _picture(element, self._entry.image)


class _AtomEntry:
    """Completes <entry>: link attributes, language, picture."""

    def __init__(self, entry: FeedEntry, feed_language: str, links: list[dict[str, str]]) -> None:
        self._entry = entry
        self._feed_language = feed_language
        self._links = links

    def extend_atom(self, element: Element) -> None:
        for link, attributes in zip(element.findall("link"), self._links, strict=True):
            for name, value in attributes.items():
                link.set(name, value)
        if self._entry.language != self._feed_language:
            element.set(XML_LANG, self._entry.language)
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
