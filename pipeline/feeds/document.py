"""Everything a feed knows, before it is written in any format.

RSS, Atom and JSON Feed are written from the same `FeedDocument` and so say the same. `build` reads no file
and no clock: the same releases always give the same document. Instants are UTC in whole seconds, because
RSS knows no smaller ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import quote

from pipeline.feeds import LENGTH, html
from pipeline.feeds.text import clean, url
from pipeline.model import Campaign, Entry, Image, Release

RSS_FILE = "feed.xml"
ATOM_FILE = "atom.xml"
JSON_FILE = "feed.json"
FEED_FILES = (RSS_FILE, ATOM_FILE, JSON_FILE)
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
class Tombstone:
    """An entry that was retracted at the instant `when` (UTC, whole seconds)."""

    id: str
    when: datetime


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where one document is served in each of the three formats: absolute URLs."""

    rss: str
    atom: str
    json: str


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """A feed, or an archive page of it, newest entry first.

    The addresses of the feeds themselves are None, and so is the hub, unless the campaign says where
    `public/` is served: a hub is of no use to a feed without an address. `current` makes it an archive page
    (RFC 5005): it says where the feed is. `older` and `newer` are the neighbouring archive pages. `style` is
    the style sheet, relative to the document.
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
    tombstones: tuple[Tombstone, ...] = ()
    current: Addresses | None = None
    older: Addresses | None = None
    newer: Addresses | None = None
    style: str | None = None


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

    It holds those of the newest LENGTH releases that were not retracted.
    `authority` is the one frozen at the first release, `first_seen` the instant an empty feed is dated with
    (UTC), `media` the published pictures by entry id. Raises ValueError when an entry is released twice.
    """
    once([release.entry.id for release in releases], campaign)
    known = media or {}
    entries = tuple(
        feed_entry(campaign, release, authority, known.get(release.entry.id, EntryMedia()))
        for release in newest(releases)
        if release.retracted is None
    )
    stones = tombstones([(entry_id(authority, campaign, one.entry.id), one.retracted) for one in releases])
    return feed(campaign, authority, first_seen, entries, stones)


def feed(
    campaign: Campaign,
    authority: str,
    first_seen: datetime,
    entries: tuple[FeedEntry, ...],
    stones: tuple[Tombstone, ...] = (),
) -> FeedDocument:
    """The campaign's feed with these entries, dated by the last thing that happened to any of them."""
    folder = public_folder(campaign)
    document = FeedDocument(
        id=tag_uri(authority, campaign.id),
        title=title_of(campaign),
        description=first(campaign.description, campaign.title, campaign.id),
        link=url(campaign.link),
        language=campaign.language,
        author=author_of(campaign),
        updated=last_change(entries, stones, first_seen),
        entries=entries,
        rss_url=None,
        atom_url=None,
        json_url=None,
        hub=url(campaign.hub) if folder and campaign.hub else None,
        tombstones=stones,
    )
    return at(document, addresses_in(folder)) if folder else document


def at(document: FeedDocument, addresses: Addresses) -> FeedDocument:
    """The document as it is served there."""
    return replace(document, rss_url=addresses.rss, atom_url=addresses.atom, json_url=addresses.json)


def last_change(entries: Sequence[FeedEntry], stones: Sequence[Tombstone], otherwise: datetime) -> datetime:
    """When the last thing happened to any of these, in whole seconds; `otherwise` when there are none."""
    happened = [entry.updated for entry in entries] + [stone.when for stone in stones]
    return max(happened, default=_whole_second(otherwise))


def once(ids: Sequence[str], campaign: Campaign) -> None:
    """Raise ValueError when an id stands there twice."""
    if len(ids) != len(set(ids)):
        raise ValueError(
            f"campaign {campaign.id}: an entry is released twice, so two feed entries would share an id"
        )


def tombstones(retracted: Sequence[tuple[str, datetime | None]]) -> tuple[Tombstone, ...]:
    """Tombstones for the entry ids that have an instant of retraction: the LENGTH latest, latest first."""
    stones = [Tombstone(entry, _whole_second(when)) for entry, when in retracted if when is not None]
    stones.sort(key=lambda stone: stone.id)
    stones.sort(key=lambda stone: stone.when, reverse=True)
    return tuple(stones[:LENGTH])


def feed_entry(campaign: Campaign, release: Release, authority: str, media: EntryMedia) -> FeedEntry:
    """The release as subscribers read it, with its pictures as they were published."""
    entry = release.entry
    language = entry.lang or campaign.language
    title = first(entry.title, entry.id)
    summary = first(entry.summary, title)
    place = first(entry.place) or None
    image = _image(campaign, entry.image, media.image)
    content = _content(_body(campaign, entry, media) or html.paragraph(summary), image, place)
    published = _whole_second(release.released)
    return FeedEntry(
        id=entry_id(authority, campaign, entry.id),
        title=title,
        url=url(entry.url),
        summary=summary,
        # RSS has no language of its own for an item; the mark in the HTML reaches readers of every format.
        html=content if language == campaign.language else html.in_language(content, language),
        published=published,
        updated=max(published, _whole_second(release.updated)),
        author=author_of(campaign),
        language=language,
        tags=shown_tags(entry),
        place=place,
        image=image,
    )


def shown_tags(entry: Entry) -> tuple[str, ...]:
    """The entry's tags as the feeds have them, each once."""
    return tuple(dict.fromkeys(filter(None, map(first, entry.tags))))


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
    return FeedImage(address, first(image.alt), first(image.credit) or None, picture.mime, picture.length)


def _address(campaign: Campaign, picture: Picture | None) -> str | None:
    folder = public_folder(campaign)
    return f"{folder}{MEDIA_FOLDER}/{quote(picture.name)}" if folder and picture else None


def public_folder(campaign: Campaign) -> str | None:
    """Where the campaign's folder under `public/` is served, with a slash at the end; None: not known."""
    return f"{url(campaign.public_url).rstrip('/')}/{quote(campaign.id)}/" if campaign.public_url else None


def addresses_in(folder: str) -> Addresses:
    """The addresses of a feed whose files are in the folder of that URL."""
    return Addresses(folder + RSS_FILE, folder + ATOM_FILE, folder + JSON_FILE)


def tag_uri(authority: str, *specific: str) -> str:
    """A `tag:` URI (RFC 4151). No id of a campaign or an entry begins with @, so what does is ours."""
    return f"tag:{authority}:{'/'.join(quote(part, safe=_SAFE_IN_TAG_URI) for part in specific)}"


def entry_id(authority: str, campaign: Campaign, entry: str) -> str:
    """The id under which an entry stands in every feed, for ever."""
    return tag_uri(authority, campaign.id, entry)


def title_of(campaign: Campaign) -> str:
    """The title of the campaign's feed, never empty."""
    return first(campaign.title, campaign.id)


def author_of(campaign: Campaign) -> str:
    """Who is named as the author of what the campaign releases."""
    return first(campaign.author, campaign.event.name, campaign.title, campaign.id)


def first(*texts: str | None) -> str:
    """The first text with something to show, cleaned: every format wants a title and a summary."""
    return next((shown for shown in (clean(text).strip() for text in texts if text) if shown), "")


def _whole_second(instant: datetime) -> datetime:
    return instant.replace(microsecond=0)
