"""From a local wall time to an instant: the one rule for the nights on which clocks change.

A wall time that does not exist (spring) becomes the first instant that does; one that happens twice
(autumn) is the first of the two.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=100_000)  # a plan asks for the same days again and again
def instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The UTC instant at which clocks in `zone` show `wall` on `day`."""
    local = datetime.combine(day, wall.replace(tzinfo=None, fold=0), zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return moment
    # In a gap the two readings of the same wall time (fold 1 and fold 0) lie before and after the change.
    return _change_between(local.replace(fold=1).astimezone(UTC), moment, zone)


@lru_cache(maxsize=100_000)
def is_on_day(day: date, wall: time, zone: ZoneInfo) -> bool:
    """Whether that instant is on that local day: a zone that crossed the date line has one that never was."""
    return instant(day, wall, zone).astimezone(zone).date() == day


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second after `before` at which the offset of `zone` is no longer what it was."""
    old = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)
