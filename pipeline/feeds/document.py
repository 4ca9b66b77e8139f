"""Everything a feed knows, before it is written in any format.

RSS, Atom and JSON Feed are written from the same `FeedDocument` and so say the same. `build` reads no file
and no clock: the same releases always give the same document. Instants are UTC in whole seconds, because
RSS knows no smaller ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from pipeline.feeds import LENGTH, html
from pipeline.feeds.text import clean, url
from pipeline.model import Campaign, Entry, Image, Release

RSS_FILE = "feed.xml"
ATOM_FILE = "atom.xml"
JSON_FILE = "feed.json"
MEDIA_FOLDER = "media"

_SAFE_IN_TAG_URI = "-._~!$&'()*+,;=:@"  # RFC 4151: pchar of RFC 3986; the slash is ours


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the campaign's media folder: its file name, its type, its length in bytes."""

    name: str
    mime: str
    length: int


@dataclass(frozen=True, slots=True)
class EntryMedia:
    """The pictures of one entry: its own, and those of its body by their `src`. None: there is no file."""

    image: Picture | None = None
    body: Mapping[str, Picture | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeedImage:
    """A picture as subscribers fetch it. `length` is in bytes."""

    url: str
    alt: str
    credit: str | None
    mime: str
    length: int


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """A released entry as subscribers read it.

    `id` never changes. `html` is sanitised and never empty; everything else is plain text. `published` and
    `updated` are UTC, whole seconds.
    """

    id: str
    title: str
    url: str
    summary: str
    html: str
    published: datetime
    updated: datetime
    author: str
    language: str
    tags: tuple[str, ...]
    place: str | None
    image: FeedImage | None


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """A campaign's feed, newest entry first.

    The addresses of the feeds themselves are None, and so is the hub, unless the campaign says where
    `public/` is served: a hub is of no use to a feed without an address.
    """

    id: str
    title: str
    description: str
    link: str
    language: str
    author: str
    updated: datetime
    entries: tuple[FeedEntry, ...]
    rss_url: str | None
    atom_url: str | None
    json_url: str | None
    hub: str | None


def newest(releases: Sequence[Release]) -> list[Release]:
    """The releases a feed holds, newest first; within an instant by day, then by id."""
    ordered = sorted(releases, key=lambda r: r.entry.id)
    ordered.sort(key=lambda r: (r.released, r.date), reverse=True)
    return ordered[:LENGTH]


def build(
    campaign: Campaign,
    releases: Sequence[Release],
    *,
    authority: str,
    first_seen: datetime,
    media: Mapping[str, EntryMedia] | None = None,
) -> FeedDocument:
    """The feed of what the campaign has released.

    It holds the newest LENGTH entries.
    `authority` is the one frozen at the first release, `first_seen` the instant an empty feed is dated with
    (UTC), `media` the published pictures by entry id. Raises ValueError when an entry is released twice.
    """
    ids = [release.entry.id for release in releases]
    if len(ids) != len(set(ids)):
        raise ValueError(
            f"campaign {campaign.id}: an entry is released twice, so two feed entries would share an id"
        )
    known = media or {}
    entries = tuple(
        _entry(campaign, release, authority, known.get(release.entry.id, EntryMedia()))
        for release in newest(releases)
    )
    folder = _public_folder(campaign)
    return FeedDocument(
        id=_tag_uri(authority, campaign.id),
        title=_first(campaign.title, campaign.id),
        description=_first(campaign.description, campaign.title, campaign.id),
        link=url(campaign.link),
        language=campaign.language,
        author=_author(campaign),
        updated=max((entry.updated for entry in entries), default=_whole_second(first_seen)),
        entries=entries,
        rss_url=folder and folder + RSS_FILE,
        atom_url=folder and folder + ATOM_FILE,
        json_url=folder and folder + JSON_FILE,
        hub=url(campaign.hub) if folder and campaign.hub else None,
    )


def _entry(campaign: Campaign, release: Release, authority: str, media: EntryMedia) -> FeedEntry:
    entry = release.entry
    language = entry.lang or campaign.language
    title = _first(entry.title, entry.id)
    summary = _first(entry.summary, title)
    place = _first(entry.place) or None
    image = _image(campaign, entry.image, media.image)
    content = _content(_body(campaign, entry, media) or html.paragraph(summary), image, place)
    published = _whole_second(release.released)
    return FeedEntry(
        id=_tag_uri(authority, campaign.id, entry.id),
        title=title,
        url=url(entry.url),
        summary=summary,
        # RSS has no language of its own for an item; the mark in the HTML reaches readers of every format.
        html=content if language == campaign.language else html.in_language(content, language),
        published=published,
        updated=max(published, _whole_second(release.updated)),
        author=_author(campaign),
        language=language,
        tags=tuple(dict.fromkeys(filter(None, map(_first, entry.tags)))),
        place=place,
        image=image,
    )


def _body(campaign: Campaign, entry: Entry, media: EntryMedia) -> str:
    addresses = {src: _address(campaign, picture) for src, picture in media.body.items()}
    return html.render(entry.body, base=url(campaign.link), images=addresses)


def _content(body: str, image: FeedImage | None, place: str | None) -> str:
    """The whole entry in HTML: its picture with credit, its body, its place."""
    parts = (
        html.figure(image.url, image.alt, image.credit) if image else None,
        body,
        html.paragraph(f"📍 {place}") if place else None,
    )
    return "\n".join(filter(None, parts))


def _image(campaign: Campaign, image: Image | None, picture: Picture | None) -> FeedImage | None:
    address = _address(campaign, picture)
    if image is None or picture is None or address is None:
        return None
    return FeedImage(address, _first(image.alt), _first(image.credit) or None, picture.mime, picture.length)


def _address(campaign: Campaign, picture: Picture | None) -> str | None:
    folder = _public_folder(campaign)
    return f"{folder}{MEDIA_FOLDER}/{quote(picture.name)}" if folder and picture else None


def _public_folder(campaign: Campaign) -> str | None:
    """Where the campaign's folder under `public/` is served, with a slash at the end."""
    return f"{url(campaign.public_url).rstrip('/')}/{quote(campaign.id)}/" if campaign.public_url else None


def _tag_uri(authority: str, *specific: str) -> str:
    return f"tag:{authority}:{'/'.join(quote(part, safe=_SAFE_IN_TAG_URI) for part in specific)}"


def _author(campaign: Campaign) -> str:
    return _first(campaign.author, campaign.event.name, campaign.title, campaign.id)


def _first(*texts: str | None) -> str:
    """The first text with something to show, cleaned: every format wants a title and a summary."""
    return next((shown for shown in (clean(text).strip() for text in texts if text) if shown), "")


def _whole_second(instant: datetime) -> datetime:
    return instant.replace(microsecond=0)
