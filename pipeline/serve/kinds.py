"""What a file is: its media type, by its name and its bytes, and the links a feed carries.

Feeds are told apart by their root element, not by their name. The links for the `Link` header are those that
stand in the feed, so the two can never disagree.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from lxml import etree

HTML = "text/html; charset=utf-8"
XML = "application/xml; charset=utf-8"
_RSS = "application/rss+xml; charset=utf-8"
_ATOM = "application/atom+xml; charset=utf-8"
_JSON_FEED = "application/feed+json; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_OPML = "text/x-opml; charset=utf-8"
_UNKNOWN = "application/octet-stream"

_BY_SUFFIX = {
    ".html": HTML,
    ".css": "text/css; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".ics": "text/calendar; charset=utf-8",
    ".opml": _OPML,
    ".xml": XML,
    ".json": _JSON,
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".ico": "image/vnd.microsoft.icon",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".pdf": "application/pdf",
}
_COMPRESSED_WELL = re.compile(r"text/|application/(?:.*\+)?(?:xml|json)|image/svg")

_ATOM_NAMESPACE = "http://www.w3.org/2005/Atom"
_ROOTS = {"rss": _RSS, f"{{{_ATOM_NAMESPACE}}}feed": _ATOM, "opml": _OPML}
# What stands between < and > of a Link header: anything else would end it, or the header.
_LINKABLE = re.compile(r"https?://[!#-;=?-~]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kind:
    """A media type, with `charset` where it is text.

    `styled`: a feed with a style sheet, which browsers show only when it comes as plain XML. `links` are
    (relation, address) pairs of a feed: its hubs and itself; all of them or none.
    """

    mime: str
    styled: bool = False
    links: tuple[tuple[str, str], ...] = ()

    @property
    def compresses(self) -> bool:
        """Whether compressing is worth while."""
        return _COMPRESSED_WELL.match(self.mime) is not None


def kind_of(name: str, data: bytes) -> Kind:
    """What the file of that name is. Never raises: a feed that cannot be read is served as it is."""
    suffix = PurePosixPath(name).suffix.lower()
    mime = _BY_SUFFIX.get(suffix, _UNKNOWN)
    if mime in {XML, _OPML}:
        return _xml(mime, data)
    if mime == _JSON:
        return _json(data)
    return Kind(mime)


def _xml(mime: str, data: bytes) -> Kind:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return Kind(mime)
    above = root.find("channel") if root.tag == "rss" else root
    found = [] if above is None else above.findall(f"{{{_ATOM_NAMESPACE}}}link")
    pairs = [(link.get("rel"), link.get("href")) for link in found]
    before = root.getprevious()
    styled = before is not None and "xml-stylesheet" in str(getattr(before, "target", ""))
    known = _ROOTS.get(str(root.tag), mime)
    return Kind(known, styled=styled and known in {_RSS, _ATOM}, links=_hub_and_self(pairs))


def _json(data: bytes) -> Kind:
    try:
        feed = json.loads(data)
    except (ValueError, RecursionError):
        return Kind(_JSON)
    if not isinstance(feed, dict) or not str(feed.get("version", "")).startswith(
        "https://jsonfeed.org/version/"
    ):
        return Kind(_JSON)
    hubs = feed.get("hubs")
    pairs = (
        [("hub", hub.get("url")) for hub in hubs if isinstance(hub, dict)] if isinstance(hubs, list) else []
    )
    return Kind(_JSON_FEED, links=_hub_and_self([*pairs, ("self", feed.get("feed_url"))]))


def _hub_and_self(pairs: list[tuple[object, object]]) -> tuple[tuple[str, str], ...]:
    links = [
        (relation, target)
        for wanted in ("hub", "self")
        for relation, target in pairs
        if relation == wanted and isinstance(relation, str) and isinstance(target, str)
        if _LINKABLE.fullmatch(target)
    ]
    # One without the other starts no subscription.
    return tuple(dict.fromkeys(links)) if {"hub", "self"} <= {relation for relation, _ in links} else ()
