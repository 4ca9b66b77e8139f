"""A profile at work: which fault a request meets, when nobody listens, where the process dies.

What must stay true: chance depends on the seed, the channel and how many requests it has made, never on real
time or on threads, so that a rehearsal can be played again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from random import Random
from zoneinfo import ZoneInfo

from pipeline.clock import Clock
from pipeline.rehearsal.profiles import LOGIN_EXPIRED, REFUSED, WHAT, Profile, Trouble
from pipeline.rehearsal.standins.faults import Fault


class Killed(BaseException):
    """The process ended here, without another word. No handler of errors may stop it."""


class Weather:
    """The troubles of one rehearsal."""

    def __init__(self, profile: Profile, seed: int, clock: Clock) -> None:
        self._profile = profile
        self._seed = seed
        self._clock = clock
        self._days: Sequence[date] = ()
        self._zone = ZoneInfo("UTC")
        self._met: Counter[str] = Counter()
        self._renewed: set[str] = set()

    def follow(self, days: Sequence[date], zone: ZoneInfo) -> None:
        """The posting days of the campaign, by which the profile counts, and its time zone."""
        self._days = sorted(days)
        self._zone = zone

    @property
    def calm(self) -> bool:
        """Whether nothing can happen on the wire."""
        return not self._profile.troubles

    def renew(self, channel: str) -> None:
        """A person has seen to the channel: its login counts again."""
        self._renewed.add(channel)

    def refuses(self, channel: str) -> bool:
        """Whether nobody listens at the channel's network now."""
        return any(REFUSED in trouble.what for trouble in self._now(channel))

    def fault(self, channel: str) -> Fault | None:
        """What the channel's next request meets."""
        for trouble in self._now(channel):
            what = [word for word in trouble.what if self._possible(word, channel)]
            chance = self._chance(channel)
            if what and chance.random() < trouble.share:
                return WHAT[chance.choice(what)]
        return None

    def probe(self, point: str) -> None:
        """Raises Killed at the share of points that the profile says."""
        if self._profile.crashes and self._chance(f"point {point}").random() < self._profile.crashes:
            raise Killed(point)

    def _possible(self, word: str, channel: str) -> bool:
        return word != REFUSED and not (word == LOGIN_EXPIRED and channel in self._renewed)

    def _now(self, channel: str) -> list[Trouble]:
        local = self._clock.now().astimezone(self._zone)
        number = self._number(local)
        return [
            trouble
            for trouble in self._profile.troubles
            if trouble.strikes(channel, number, local.date(), local.time())
            or (LOGIN_EXPIRED in trouble.what and self._has_begun(trouble, channel, local))
        ]

    def _has_begun(self, trouble: Trouble, channel: str, local: datetime) -> bool:
        """An expired login stays expired on the days that follow."""
        return any(
            trouble.strikes(channel, number, day, local.time())
            for number, day in enumerate(self._days, start=1)
            if day <= local.date()
        )

    def _number(self, local: datetime) -> int:
        """The posting day, counted from 1; 0 on other days."""
        return self._days.index(local.date()) + 1 if local.date() in self._days else 0

    def _chance(self, what: str) -> Random:
        """A chance of its own for each thing that may happen, so that one does not disturb the others."""
        self._met[what] += 1
        return Random(f"{self._seed} {what} {self._met[what]}")  # noqa: S311 - a play, not a secret
