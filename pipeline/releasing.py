"""What becomes visible in the feeds: entries are released, their edits carried over, the feeds written.

Feeds are made from the ledger's releases alone, so a file that is broken or gone changes nothing that
readers have. What cannot be written is told, not raised: a full disk must not keep a post from going out.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pipeline import atomic, feeds
from pipeline.days import first_due
from pipeline.dispatch import Probe, no_probe
from pipeline.errors import BrokenEnvironment
from pipeline.ledger import CampaignRecord, Ledger
from pipeline.library import Library
from pipeline.model import Campaign, Entry, Release
from pipeline.planning import Plan, Standing

log = logging.getLogger(__name__)


class Releasing:
    """Keeps `public/` in step with what has been released. Used by one thread."""

    def __init__(self, ledger: Ledger, root: Path, public: Path, probe: Probe = no_probe) -> None:
        self._ledger = ledger
        self._root = root
        self._public = public
        self._probe = probe
        self._seen: Library | None = None  # the library whose edits have been carried over
        self._written: dict[str, bytes] = {}  # what the feeds on the disk were made from, by campaign

    def has_written(self, campaign: str) -> bool:
        """Whether this process has written the campaign's feeds, and nothing went wrong."""
        return campaign in self._written

    def release(self, campaign: Campaign, calendar: Plan, library: Library, now: datetime) -> list[str]:
        """Make visible what is due: a slot that is open, or one a channel has. The entries that are new."""
        if calendar.over:
            return []
        known = self._ledger.released(campaign.id)
        new = []
        for slot in calendar.slots:
            stands = calendar.standing[slot.entry]
            if slot.entry not in calendar.members or stands not in {Standing.OPEN, Standing.SETTLED}:
                continue
            if slot.entry in known or first_due(campaign, slot.date) > now:
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
            if entry is None or entry.draft or self._knows(entry):
                continue
            if replace(entry, path="") != replace(release.entry, path=""):
                self._ledger.refresh(replace(release, entry=entry, updated=now))

    def carried_over(self, library: Library) -> None:
        """Every campaign of this library has been refreshed: its entries are known from now on."""
        self._seen = library

    def write_changed(self, campaign: Campaign, library: Library) -> list[str]:
        """Write the feeds unless this process has written them from the very same things."""
        releases = self._ledger.releases(campaign.id, limit=feeds.LENGTH)
        shown = library.pictures if any(shows_pictures(release.entry) for release in releases) else ()
        made_from = hashlib.sha256(repr((campaign, releases, shown)).encode(errors="replace")).digest()
        if self._written.get(campaign.id) == made_from:
            return []
        self._written.pop(campaign.id, None)
        notices, complete = self._write(campaign, releases)
        if complete:
            self._written[campaign.id] = made_from
        return notices

    def _knows(self, entry: Entry) -> bool:
        return self._seen is not None and self._seen.entries.get(entry.id) == entry

    def _write(self, campaign: Campaign, releases: Sequence[Release]) -> tuple[list[str], bool]:
        """What there is to tell, and whether everything was written."""
        known = self._ledger.campaign(campaign.id)
        if known is None:
            return [], False
        authority = self._authority(campaign, known, frozen=bool(releases))
        self._probe("before feeds")
        try:
            written = feeds.write(
                campaign,
                releases,
                authority=authority,
                first_seen=known.first_seen,
                root=self._root,
                public=self._public,
            )
            self._write_calendar(campaign, releases)
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
        return list(written.notices), True

    def _write_calendar(self, campaign: Campaign, releases: Sequence[Release]) -> None:
        from pipeline import ics  # noqa: PLC0415 - as heavy as the feeds, and as seldom needed

        atomic.write(self._public / campaign.id / "calendar.ics", ics.released(campaign, releases))

    def _authority(self, campaign: Campaign, known: CampaignRecord, *, frozen: bool) -> str:
        """The authority of the feed ids: from the first release on it never changes."""
        if known.authority is not None:
            return known.authority
        return (
            self._ledger.freeze_authority(campaign.id, campaign.authority) if frozen else campaign.authority
        )


def shows_pictures(entry: Entry) -> bool:
    """Whether the entry's feed item depends on picture files."""
    return entry.image is not None or "![" in entry.body or "<img" in entry.body.lower()
