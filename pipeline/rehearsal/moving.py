"""A campaign played at another time of the year: on the days around a change of the clocks.

Every day moves by the same number of days and every wall time stays, so the calendar keeps its shape.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipeline.errors import WrongUse
from pipeline.library import Library, LibraryReader
from pipeline.model import Campaign, Entry
from pipeline.wallclock import instant

_SEARCH = 400  # days: every zone that changes its clocks does so within


def to_clock_change(days: Iterable[date], zone: ZoneInfo) -> int:
    """By how many days to move these so that the next change of the clocks falls into their middle.

    Raises WrongUse for a zone that has none.
    """
    ordered = sorted(days)
    middle = ordered[len(ordered) // 2]
    for ahead in range(_SEARCH):
        day = middle + timedelta(days=ahead)
        if _offset(day, zone) != _offset(day + timedelta(days=1), zone):
            return ahead
    raise WrongUse(f"the clocks never change in {zone.key}", hint="Choose another profile for this campaign.")


def _offset(day: date, zone: ZoneInfo) -> timedelta | None:
    return datetime.combine(day, time(0), UTC).astimezone(zone).utcoffset()


class MovedReader(LibraryReader):
    """Reads the library once, as if every day in it were `days` later: a play has the files it began with."""

    days = 0
    _as_read: Library | None = None
    _moved: Library | None = None

    def changed(self) -> bool:
        """Whether nothing has been read yet."""
        return self._as_read is None

    def read(self, now: datetime) -> Library:
        """The library, moved by `days`; the same object each time."""
        if self._as_read is None:
            self._as_read = super().read(now)
        if not self.days:
            return self._as_read
        if self._moved is None:
            library = self._as_read
            self._moved = replace(
                library,
                entries={name: _entry(entry, self.days) for name, entry in library.entries.items()},
                campaigns={name: moved(campaign, self.days) for name, campaign in library.campaigns.items()},
            )
        return self._moved


def moved(campaign: Campaign, days: int) -> Campaign:
    """The campaign `days` later, at the same wall times: its event, its last day, the days it skips."""
    by = timedelta(days=days)
    local = campaign.event.starts.astimezone(campaign.event.zone)
    starts = instant(local.date() + by, local.time(), campaign.event.zone)
    posting = replace(
        campaign.posting,
        until=campaign.posting.until + by,
        skip_dates=frozenset(day + by for day in campaign.posting.skip_dates),
    )
    return replace(campaign, event=replace(campaign.event, starts=starts), posting=posting)


def _entry(entry: Entry, days: int) -> Entry:
    return replace(entry, pinned=entry.pinned + timedelta(days=days)) if entry.pinned else entry
