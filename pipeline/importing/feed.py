"""What a feed holds, whatever its format: RSS and Atom read by feedparser, JSON Feed by ourselves.

Nothing here is trusted: texts may be HTML, addresses may be missing or relative, values may be of any type.
feedparser is given a stream, never bytes or text: those it would take for the name of a file or an address,
and open it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import feedparser  # type: ignore[import-untyped]
from lxml import etree

from pipeline.errors import WrongUse
from pipeline.importing.fetching import Got
from pipeline.importing.outlines import safe_parser

_MEDIA = "{http://search.yahoo.com/mrss/}"
_PICTURE_NAME = re.compile(r"\.(png|jpe?g|gif|webp)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundImage:
    """A picture of an entry. `alt` and `credit` are as the feed has them, which may be not at all."""

    url: str
    alt: str = ""
    credit: str = ""


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """An entry of a feed. `id` tells it from every other one, for ever; texts may hold HTML."""

    id: str
    title: str
    url: str
    summary: str
    html: str
    tags: tuple[str, ...] = ()
    language: str = ""
    image: FoundImage | None = None


@dataclass(frozen=True, slots=True)
class FoundFeed:
    """A feed, its entries in its own order."""

    entries: tuple[FoundEntry, ...]


def read(got: Got) -> FoundFeed:
    """The feed in these bytes. Raises WrongUse when there is none."""
    data = got.data.removeprefix(b"\xef\xbb\xbf").lstrip()
    return _read_json(got, data) if data[:1] in (b"{", b"[") else _read_xml(got)


def _no_feed(got: Got, reason: str) -> WrongUse:
    return WrongUse(
        f"{got.name} is no feed: {reason}",
        hint="Give the address of an RSS, Atom or JSON feed, of a page that announces one, or an OPML list.",
    )


def _identity(feed: str, given: str, fallback: Iterable[str]) -> str:
    """The entry's own id where it is a URI, else made unique with the feed's address."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S", given):
        return given
    if given:
        return f"{feed} {given}".strip()
    return "sha256:" + hashlib.sha256("\n".join(fallback).encode("utf-8", "replace")).hexdigest()


# --------------------------------------------------------------------------- RSS and Atom


def _read_xml(got: Got) -> FoundFeed:
    headers = {"content-location": got.base or "", "content-type": got.content_type or "application/xml"}
    try:
        parsed: Any = feedparser.parse(io.BytesIO(got.data), response_headers=headers)
    except Exception as error:  # a parser that meets anything at all may fail in any way
        raise _no_feed(got, f"its reader gave up ({type(error).__name__})") from error
    if not parsed.get("version") and not parsed.entries:
        reason = parsed.get("bozo_exception")
        raise _no_feed(got, str(reason) if reason else "it is neither RSS, Atom nor JSON Feed")
    described = _media(got.data)
    feed = parsed.feed
    home = _text(feed.get("link")) or got.base or ""
    language = _text(feed.get("language"))
    return FoundFeed(tuple(_xml_entry(entry, home, language, described) for entry in parsed.entries))


def _xml_entry(entry: Any, home: str, language: str, described: dict[str, FoundImage]) -> FoundEntry:
    alts = {image.alt for image in described.values()}
    summary = _text(entry.get("summary"))
    contents = [_text(content.get("value")) for content in entry.get("content") or ()]
    # feedparser takes the description of a picture for one of the entry.
    bodies = [content for content in contents if content.strip() not in alts] or [summary]
    html = max(bodies, key=len)
    title, link = _text(entry.get("title")), _text(entry.get("link"))
    url = next((described.get(one, FoundImage(one)) for one in _pictures(entry)), None)
    return FoundEntry(
        id=_identity(home, _text(entry.get("id")).strip(), (home, title, link, html)),
        title=title,
        url=link or home,
        summary=summary if summary.strip() not in alts else "",
        html=html,
        tags=tuple(_text(tag.get("label")) or _text(tag.get("term")) for tag in entry.get("tags") or ()),
        language=_text((entry.get("title_detail") or {}).get("language")) or language,
        image=url,
    )


def _pictures(entry: Any) -> Iterator[str]:
    """The addresses of what an entry shows, the likeliest picture first."""
    for media in entry.get("media_content") or ():
        if _is_picture(media.get("url"), media.get("type"), media.get("medium")):
            yield _text(media["url"])
    for link in entry.get("links") or ():
        if link.get("rel") == "enclosure" and _is_picture(link.get("href"), link.get("type")):
            yield _text(link["href"])
    yield from (_text(one["url"]) for one in entry.get("media_thumbnail") or () if one.get("url"))
    if (entry.get("image") or {}).get("href"):
        yield _text(entry["image"]["href"])


def _is_picture(url: object, kind: object, medium: object = None) -> bool:
    if not url:
        return False
    if medium or kind:
        return medium == "image" or _text(kind).startswith("image/")
    return _PICTURE_NAME.search(_path(_text(url))) is not None


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _media(data: bytes) -> dict[str, FoundImage]:
    """What a feed says of its pictures, by their address: feedparser mixes it with the entry's own texts."""
    try:
        root = etree.fromstring(data, safe_parser())
    except (etree.XMLSyntaxError, ValueError):
        return {}
    found: dict[str, FoundImage] = {}
    for media in () if root is None else root.iter(f"{_MEDIA}content"):
        url = media.get("url")
        if url:
            said = [media.findtext(f"{_MEDIA}{name}") or "" for name in ("description", "credit")]
            found.setdefault(url.strip(), FoundImage(url.strip(), *(text.strip() for text in said)))
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


# --------------------------------------------------------------------------- JSON Feed


def _read_json(got: Got, data: bytes) -> FoundFeed:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _no_feed(got, f"its JSON cannot be read: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise _no_feed(got, "it is JSON, but no JSON Feed: it has no `items`")
    home = _address(got, document.get("home_page_url")) or got.base or ""
    language = _text(document.get("language"))
    items = [item for item in document["items"] if isinstance(item, dict)]
    return FoundFeed(tuple(_json_entry(got, item, home, language) for item in items))


def _json_entry(got: Got, item: dict[str, Any], home: str, language: str) -> FoundEntry:
    given = item.get("id")
    title, plain = _text(item.get("title")), _text(item.get("content_text"))
    url = _address(got, item.get("url")) or _address(got, item.get("external_url")) or home
    html = _text(item.get("content_html")) or _as_html(plain)
    pictures = [item.get("image"), item.get("banner_image"), *_attached(item)]
    image = next(filter(None, (_address(got, picture) for picture in pictures)), None)
    tags = item.get("tags")
    own = str(given).strip() if isinstance(given, str | int | float) else ""
    return FoundEntry(
        id=_identity(home, own, (home, title, url, html)),
        title=_as_html(title),
        url=url,
        summary=_as_html(_text(item.get("summary"))),
        html=html,
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        language=_text(item.get("language")) or language,
        image=FoundImage(image) if image else None,
    )


def _attached(item: dict[str, Any]) -> Iterator[object]:
    attachments = item.get("attachments")
    for one in attachments if isinstance(attachments, list) else ():
        if isinstance(one, dict) and _text(one.get("mime_type")).startswith("image/"):
            yield one.get("url")


def _address(got: Got, value: object) -> str:
    text = _text(value).strip()
    try:
        return urljoin(got.base or "", text) if text else ""
    except ValueError:
        return ""


def _as_html(plain: str) -> str:
    """Plain text as HTML, its paragraphs kept."""
    escaped = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "\n".join(f"<p>{part}</p>" for part in re.split(r"\n\s*\n", escaped) if part.strip())
