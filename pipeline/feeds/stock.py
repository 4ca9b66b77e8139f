"""What there is to put into the feeds: a campaign's releases, looked up only where they are written."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from pipeline.feeds import LENGTH, Source, document
from pipeline.feeds.document import EntryMedia, FeedDocument, FeedEntry, Tombstone
from pipeline.feeds.pictures import Publisher
from pipeline.feeds.record import Record, Row, digest
from pipeline.model import Campaign, Release, ReleaseMark

_REMEMBERED = 2048
_MadeFrom = tuple[Campaign, str, Release, EntryMedia]


class Stock:
    """The releases of one campaign, for one writing of its feeds. `head` is its feed without entries."""

    # What was made of which release, kept from one writing to the next.
    _made: ClassVar[OrderedDict[tuple[str, str], tuple[_MadeFrom, FeedEntry, Row]]] = OrderedDict()

    def __init__(self, source: Source, publisher: Publisher) -> None:
        self._source = source
        self._publisher = publisher
        self._entries: dict[str, FeedEntry] = {}
        self.retracted: list[str] = []  # the entries that were, as `rows` found, since the record was written
        self.head: FeedDocument = document.feed(source.campaign, source.authority, source.first_seen, ())
        self.base = document.public_folder(source.campaign)

    def rows(self, was: Record) -> tuple[Row, ...]:
        """Every release as it is to be shown, newest first.

        What is known of one that has not changed is taken from the record; only the newest are looked up in
        any case, because their pictures may have been exchanged. Raises ValueError when one is there twice.
        """
        marks = self._source.releases.marks()
        document.once([mark.entry for mark in marks], self._source.campaign)
        newest = {mark.entry for mark in marks[:LENGTH]}
        unknown = {mark.entry for mark in marks if _known(mark, was) is None}
        loaded = self._source.releases.load(newest | unknown)
        self.retracted = [mark.entry for mark in marks if mark.retracted and mark.entry in unknown]
        return tuple(
            self._row(loaded[mark.entry]) if mark.entry in loaded else was.rows[mark.entry] for mark in marks
        )

    def entries(self, rows: Sequence[Row]) -> tuple[FeedEntry, ...]:
        """These releases as subscribers read them, without those that were retracted."""
        shown = [row.mark.entry for row in rows if row.mark.retracted is None]
        missing = [entry for entry in shown if entry not in self._entries]
        if missing:
            for release in self._source.releases.load(missing).values():
                self._keep(release, self._publisher.publish(release.entry))
        return tuple(self._entries[entry] for entry in shown)

    def tombstones(self, rows: Sequence[Row]) -> tuple[Tombstone, ...]:
        """Tombstones for what was retracted of these, the latest first."""
        gone = [row.mark for row in rows if row.mark.retracted is not None]
        return document.tombstones([(self.identity(mark.entry), mark.retracted) for mark in gone])

    def identity(self, *specific: str) -> str:
        """The permanent id of something of the campaign's."""
        return document.tag_uri(self._source.authority, self._source.campaign.id, *specific)

    def _row(self, release: Release) -> Row:
        if release.retracted is not None:
            return _row_of(release, EntryMedia())
        return self._keep(release, self._publisher.publish(release.entry))

    def _keep(self, release: Release, media: EntryMedia) -> Row:
        campaign, authority = self._source.campaign, self._source.authority
        key, made_from = (campaign.id, release.entry.id), (campaign, authority, release, media)
        known = self._made.pop(key, None)
        if known is None or known[0] != made_from:
            entry = document.feed_entry(campaign, release, authority, media)
            known = made_from, entry, _row_of(release, media)
        self._made[key] = known
        self._entries[release.entry.id] = known[1]
        while len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)
        return known[2]


def _row_of(release: Release, media: EntryMedia) -> Row:
    entry = release.entry
    return Row(release.mark, document.shown_tags(entry), entry.lang, digest(repr((entry, media))))


def _known(mark: ReleaseMark, was: Record) -> Row | None:
    row = was.rows.get(mark.entry)
    return row if row is not None and row.mark == mark else None
