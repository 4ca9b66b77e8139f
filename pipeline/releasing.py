"""What becomes visible in the feeds: entries are released, their edits carried over, the feeds written.

Feeds are made from the ledger's releases alone, so a file that is broken or gone changes nothing that
readers have. What cannot be written is told, not raised: a full disk must not keep a post from going out.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pipeline import atomic, content, feeds
from pipeline.days import first_due
from pipeline.errors import BrokenEnvironment, LedgerError
from pipeline.ledger import CampaignRecord, Ledger
from pipeline.library import Library
from pipeline.model import Campaign, Entry, Release, ReleaseMark
from pipeline.planning import Plan, Standing
from pipeline.sending import Probe, no_probe

log = logging.getLogger(__name__)

REMEMBERED = 2048  # releases whose entries need not be read from the ledger again


class Shelf:
    """Releases as the ledger has them. An entry that was read is kept until its mark changes."""

    def __init__(self, ledger: Ledger, remembered: int = REMEMBERED) -> None:
        self._ledger = ledger
        self._remembered = remembered
        self._kept: OrderedDict[tuple[str, str], Release] = OrderedDict()

    def of(self, campaign: str) -> ShelfOf:
        """What the campaign has released."""
        return ShelfOf(self, campaign)

    def marks(self, campaign: str) -> list[ReleaseMark]:
        """The campaign's releases without their entries, newest first, as they are now."""
        marks = self._ledger.release_marks(campaign)
        for mark in marks:
            kept = self._kept.get((campaign, mark.entry))
            if kept is not None and kept.mark != mark:
                self.forget(campaign, mark.entry)
        return marks

    def load(self, campaign: str, entries: Collection[str]) -> dict[str, Release]:
        """The campaign's releases with these entry ids, by id."""
        found = {}
        for entry in entries:
            kept = self._kept.get((campaign, entry))
            if kept is not None:
                self._kept.move_to_end((campaign, entry))
                found[entry] = kept
        missing = set(entries).difference(found)
        if missing:
            for release in self._ledger.releases(campaign, entries=missing):
                found[release.entry.id] = self._kept[campaign, release.entry.id] = release
        while len(self._kept) > self._remembered:
            self._kept.popitem(last=False)
        return found

    def forget(self, campaign: str, entry: str) -> None:
        """Read the release from the ledger when it is needed next."""
        self._kept.pop((campaign, entry), None)


class ShelfOf:
    """One campaign's part of a shelf, as it was when its marks were first asked for."""

    def __init__(self, shelf: Shelf, campaign: str) -> None:
        self._shelf = shelf
        self._campaign = campaign
        self._marks: list[ReleaseMark] | None = None

    def marks(self) -> list[ReleaseMark]:
        """All releases without their entries, newest first."""
        if self._marks is None:
            self._marks = self._shelf.marks(self._campaign)
        return self._marks

    def load(self, entries: Collection[str]) -> dict[str, Release]:
        """The releases with these entry ids, by id."""
        return self._shelf.load(self._campaign, entries)


class Releasing:
    """Keeps `public/` in step with what has been released. Used by one thread."""

    def __init__(self, ledger: Ledger, root: Path, public: Path, probe: Probe = no_probe) -> None:
        self._ledger = ledger
        self._root = root
        self._public = public
        self._probe = probe
        self._seen: Library | None = None  # the library whose edits have been carried over
        self._shelf = Shelf(ledger)
        self._written: dict[str, bytes] = {}  # what the feeds on the disk were made from, by campaign
        self._parts: dict[str, feeds.Part] = {}  # what each campaign has in what is written for all of them
        self._common: tuple[feeds.Part, ...] | None = None  # what that was last written from
        self._unwritten: set[str | None] = set()  # campaigns, and None for what is there for all of them

    def has_written(self, campaign: str) -> bool:
        """Whether this process has written the campaign's feeds, and nothing went wrong."""
        return campaign in self._written

    @property
    def behind(self) -> bool:
        """Whether anything of `public/` could not be written when it was last tried."""
        return bool(self._unwritten)

    def release(self, campaign: Campaign, calendar: Plan, library: Library, now: datetime) -> list[str]:
        """Make visible what is due: a slot that is open, or one a channel has. The entries that are new."""
        if calendar.over:
            return []
        known = self._ledger.released(campaign.id)
        new = []
        for slot in calendar.slots:
            if slot.entry in known or slot.entry not in calendar.members or slot.entry in library.unfit:
                continue
            if calendar.standing[slot.entry] not in (Standing.OPEN, Standing.SETTLED):
                continue
            if first_due(campaign, slot.date) > now:
                continue
            release = Release(campaign.id, library.entries[slot.entry], slot.date, released=now, updated=now)
            if self._ledger.release(release):
                new.append(slot.entry)
        self._probe("after release")
        return new

    def refresh(self, campaign: Campaign, library: Library, now: datetime) -> None:
        """Carry edits of released entries into their releases.

        Only what this process has seen changing since its last tick: two checkouts of different age on
        one ledger would else undo each other's edits for ever.
        """
        if library is self._seen:
            return
        for release in self._ledger.releases(campaign.id):
            entry = library.entries.get(release.entry.id)
            if entry is None or entry.draft or entry.id in library.unfit or self._knows(entry):
                continue
            if replace(entry, path="") != replace(release.entry, path=""):
                self._ledger.refresh(replace(release, entry=entry, updated=now))
                # An edit within the very instant of the last one leaves the mark as it was.
                self._shelf.forget(campaign.id, entry.id)

    def carried_over(self, library: Library) -> None:
        """Every campaign of this library has been refreshed: its entries are known from now on."""
        self._seen = library

    def write_changed(self, campaign: Campaign, library: Library) -> list[str]:
        """Write the feeds unless this process has written them from the very same things."""
        releases = self._shelf.of(campaign.id)
        marks = releases.marks()
        loaded = releases.load([mark.entry for mark in marks[: feeds.LENGTH]])
        newest = [loaded[mark.entry] for mark in marks if mark.entry in loaded]
        shown = library.pictures if any(shows_pictures(release.entry) for release in newest) else ()
        about = repr((campaign, hash(tuple(marks)), newest, shown))
        made_from = hashlib.sha256(about.encode(errors="replace")).digest()
        if self._written.get(campaign.id) == made_from:
            return []
        self._written.pop(campaign.id, None)
        notices, complete = self._write(campaign, releases, newest)
        if complete:
            self._written[campaign.id] = made_from
            self._unwritten.discard(campaign.id)
        elif notices:
            self._unwritten.add(campaign.id)
        return notices

    def write_collective(self, library: Library) -> list[str]:
        """Write what is there for all campaigns together, unless none of them has anything new."""
        parts = tuple(self._parts[name] for name in library.campaigns if name in self._parts)
        if not parts or (
            self._common is not None
            and len(parts) == len(self._common)
            and all(one is other for one, other in zip(parts, self._common, strict=True))
        ):
            return []
        self._unwritten.add(None)
        try:
            authority = self._collective_authority()
            feeds.write_collective(parts, authority=authority, root=self._root, public=self._public)
        except LedgerError:
            raise
        except (OSError, BrokenEnvironment) as error:
            notice = f"the feed of all campaigns could not be written: {error}"
            log.warning(notice)
            return [notice]
        except Exception as error:
            log.exception("the feed of all campaigns could not be made")
            return [f"the feed of all campaigns could not be made: {type(error).__name__}: {error}"]
        self._common = parts
        self._unwritten.discard(None)
        return []

    def _collective_authority(self) -> str:
        """That of the first campaign that released anything; it is frozen, so it never changes.

        Before the first release nobody knows the feed's id by heart yet, and the campaign seen first does.
        """
        known = feeds.collective_authority(self._public)
        if known is not None:
            return known
        first = self._ledger.first_released()
        sources = [part.source for part in self._parts.values()]
        oldest = min(sources, key=lambda source: (source.first_seen, source.campaign.id))
        record = self._ledger.campaign(first) if first is not None else None
        return (record and record.authority) or oldest.authority

    def _knows(self, entry: Entry) -> bool:
        return self._seen is not None and self._seen.entries.get(entry.id) == entry

    def _write(
        self, campaign: Campaign, releases: ShelfOf, newest: Sequence[Release]
    ) -> tuple[list[str], bool]:
        """What there is to tell, and whether everything was written."""
        known = self._ledger.campaign(campaign.id)
        if known is None:
            return [], False
        authority = self._authority(campaign, known, frozen=bool(newest))
        self._probe("before feeds")
        try:
            source = feeds.Source(campaign, releases, authority, known.first_seen)
            written = feeds.write(source, root=self._root, public=self._public)
            self._write_calendar(campaign, [one for one in newest if one.retracted is None])
        except LedgerError:
            raise
        except (OSError, BrokenEnvironment) as error:
            notice = f"{campaign.id}: the feeds could not be written: {error}"
            log.warning(notice)
            return [notice], False
        except Exception as error:
            # Not even a fault of our own in one campaign's feed may stop the others' posts.
            log.exception("%s: the feeds could not be made", campaign.id)
            why = f"{type(error).__name__}: {error}"
            return [f"{campaign.id}: the feeds could not be made: {why}"], False
        self._probe("after feeds")
        self._parts[campaign.id] = feeds.Part(source, written.newest, written.listed)
        return list(written.notices), True

    def _write_calendar(self, campaign: Campaign, releases: Sequence[Release]) -> None:
        from pipeline import ics  # noqa: PLC0415 - as heavy as the feeds, and as seldom needed

        data = ics.released(campaign, releases)
        # A power cut ends the process too, and the next one makes the calendar anew.
        atomic.write(self._public / campaign.id / "calendar.ics", data, flush=False)

    def _authority(self, campaign: Campaign, known: CampaignRecord, *, frozen: bool) -> str:
        """The authority of the feed ids: from the first release on it never changes."""
        if known.authority is not None:
            return known.authority
        return (
            self._ledger.freeze_authority(campaign.id, campaign.authority) if frozen else campaign.authority
        )


def shows_pictures(entry: Entry) -> bool:
    """Whether the entry's feed item depends on picture files."""
    return entry.image is not None or content.may_show_pictures(entry.body)
