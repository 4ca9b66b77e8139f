"""The only place that reads the time or sleeps.

Everything else is given a `Clock`. Production gives `SystemClock`; tests and rehearsals give a
`VirtualClock`, on which a campaign of a year takes seconds.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time in UTC and waits."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""

    def sleep_until(self, instant: datetime) -> None:
        """Return once `now()` is at or after `instant`; at once if it already is."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)

    def sleep_until(self, instant: datetime) -> None:
        """Sleep in short steps, so that a changed system clock is noticed within a minute."""
        while (left := (instant - self.now()).total_seconds()) > 0:
            time.sleep(min(left, 60))


class VirtualClock:
    """A clock that only moves when told to. Safe to share between threads."""

    def __init__(self, start: datetime) -> None:
        """Start at `start`. Raises ValueError for a naive datetime."""
        if start.tzinfo is None:
            raise ValueError("a VirtualClock starts at an aware datetime")
        self._now = start.astimezone(UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The simulated instant, aware, in UTC."""
        with self._lock:
            return self._now

    def sleep_until(self, instant: datetime) -> None:
        """Jump to `instant`; never backwards."""
        with self._lock:
            self._now = max(self._now, instant.astimezone(UTC))

    def advance(self, step: timedelta) -> None:
        """Move by `step`, which may be negative: machines' clocks do jump back."""
        with self._lock:
            self._now += step
