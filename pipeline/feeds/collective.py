"""What is written for all campaigns together, right under `public/`: a common feed, the list of all feeds.

The common feed holds the newest releases of all campaigns, under the ids they have everywhere. It has no
archive pages: those of the campaigns hold everything, and a common archive could not keep what it says once
a campaign's file is gone. Nothing names it but the campaigns themselves, so its title is what they share:
their author, else the hosts they link to. Without addresses of feeds there is no list.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.feeds import LENGTH, Part, archives, document, record, style
from pipeline.feeds.document import FeedDocument, FeedEntry
from pipeline.feeds.files import STYLE_FILE, Writer, documents, told
from pipeline.feeds.opml import opml
from pipeline.feeds.pictures import Publisher
from pipeline.feeds.record import Row
from pipeline.feeds.selections import Kind, Listed
from pipeline.feeds.stock import Stock
from pipeline.feeds.text import url
from pipeline.model import Campaign

OPML_FILE = "feeds.opml"
_NAMED = 10  # campaigns in the description
# No campaign's id begins like this.
_IDENTITY = "@all"


def write(parts: Sequence[Part], *, authority: str, root: Path, public: Path) -> tuple[Path, ...]:
    """Write what differs from what is on the disk. Raises BrokenEnvironment when a file cannot be written."""
    if not parts:
        return ()
    with told(public, "the feed of all campaigns"):
        was = record.read(public)
        writer = Writer(public, was)
        head = _head(parts, authority)
        newest = _newest(parts)
        stones = _tombstones(parts)
        shown = {part.source.campaign.id: part for part, _ in newest}
        about = {campaign: repr(_about(part)) for campaign, part in shown.items()}
        rows = "\n".join(f"{part.source.campaign.id} {row.sign}" for part, row in newest)

        def feed() -> tuple[bytes, bytes, bytes]:
            entries = _entries(newest, root, public)
            updated = document.last_change(entries, stones, head.updated)
            return documents(replace(head, entries=entries, tombstones=stones, updated=updated))

        sign = record.digest(f"{head}\n{about}\n{stones}\n{rows}")
        writer.write("style", record.digest(style.CSS.decode()), (STYLE_FILE,), lambda: (style.CSS,))
        writer.write("feed", sign, archives.files_of("", None), feed)
        listed = [part.listed for part in parts]
        own = Listed(Kind.CAMPAIGN, "", "", head.title, head.language, head.rss_url, head.link)
        if any(feed.rss_url for feeds in listed for feed in feeds):
            sign = record.digest(repr((own, listed)))
            writer.write("list", sign, (OPML_FILE,), lambda: (opml(head.title, own, listed),))
        writer.finish(replace(was, authority=authority if newest else None))
    return tuple(writer.changed)


def _head(parts: Sequence[Part], authority: str) -> FeedDocument:
    campaigns = [part.source.campaign for part in parts]
    base = _shared([campaign.public_url for campaign in campaigns])
    hub = _shared([campaign.hub for campaign in campaigns])
    feed = FeedDocument(
        id=document.tag_uri(authority, _IDENTITY),
        title=_title(campaigns),
        description=_description(campaigns),
        link=_link(campaigns),
        language=_commonest([campaign.language for campaign in campaigns]),
        author=_shared([document.author_of(campaign) for campaign in campaigns]) or _title(campaigns),
        updated=min(part.source.first_seen for part in parts).replace(microsecond=0),
        entries=(),
        rss_url=None,
        atom_url=None,
        json_url=None,
        hub=url(hub) if base and hub else None,
        style=STYLE_FILE,
    )
    return document.at(feed, document.addresses_in(f"{url(base).rstrip('/')}/")) if base else feed


def _about(part: Part) -> FeedDocument:
    """What an entry depends on beside its release."""
    source = part.source
    return document.feed(source.campaign, source.authority, source.first_seen, ())


def _title(campaigns: Sequence[Campaign]) -> str:
    author = _shared([campaign.author for campaign in campaigns])
    hosts = sorted({urlsplit(url(campaign.link)).netloc for campaign in campaigns})
    return document.first(author, _some(hosts))


def _description(campaigns: Sequence[Campaign]) -> str:
    return _some([document.title_of(campaign) for campaign in campaigns])


def _link(campaigns: Sequence[Campaign]) -> str:
    """The front page of the host that the latest event's campaign links to."""
    parts = urlsplit(url(max(campaigns, key=lambda one: (one.event.starts, one.id)).link))
    return f"{parts.scheme}://{parts.netloc}/"


def _some(names: Sequence[str]) -> str:
    return " · ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])


def _shared(values: Sequence[str | None]) -> str | None:
    """What all of them are, None when they differ."""
    return values[0] if len(set(values)) == 1 else None


def _commonest(values: Sequence[str]) -> str:
    return max(sorted(set(values)), key=values.count)


def _newest(parts: Sequence[Part]) -> list[tuple[Part, Row]]:
    """The newest releases of all campaigns, newest first; at the same instant by campaign."""
    ordered = sorted(parts, key=lambda part: part.source.campaign.id)
    merged = heapq.merge(
        *(zip(repeat(part), part.newest, strict=False) for part in ordered),
        key=lambda pair: pair[1].mark.released,
        reverse=True,
    )
    return list(islice(merged, LENGTH))


def _tombstones(parts: Sequence[Part]) -> tuple[document.Tombstone, ...]:
    gone = [(part.source, row.mark) for part in parts for row in part.newest if row.mark.retracted]
    return document.tombstones(
        [
            (document.entry_id(source.authority, source.campaign, mark.entry), mark.retracted)
            for source, mark in gone
        ]
    )


def _entries(newest: Sequence[tuple[Part, Row]], root: Path, public: Path) -> tuple[FeedEntry, ...]:
    by_campaign: dict[str, tuple[Part, list[Row]]] = {}
    for part, row in newest:
        by_campaign.setdefault(part.source.campaign.id, (part, []))[1].append(row)
    found: dict[tuple[str, str], FeedEntry] = {}
    for campaign, (part, rows) in by_campaign.items():
        publisher = Publisher(root, public / campaign / document.MEDIA_FOLDER)
        shown = [row.mark.entry for row in rows if row.mark.retracted is None]
        entries = Stock(part.source, publisher).entries(rows)
        found |= {(campaign, entry): written for entry, written in zip(shown, entries, strict=True)}
    keys = [(part.source.campaign.id, row.mark.entry) for part, row in newest]
    return tuple(found[key] for key in keys if key in found)
