"""The virtual run: tick, jump to the next instant at which there is something to do, tick again.

When the weather kills the process, another one begins over the same ledger, as in earnest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from pipeline.accounts import Account
from pipeline.clock import VirtualClock
from pipeline.days import first_due
from pipeline.errors import BrokenEnvironment, WrongUse
from pipeline.library import Library
from pipeline.model import Campaign, Delivery, Entry, Release, State
from pipeline.planning import plan
from pipeline.rehearsal.moving import MovedReader, to_clock_change
from pipeline.rehearsal.networks import Networks
from pipeline.rehearsal.person import Person
from pipeline.rehearsal.profiles import Profile
from pipeline.rehearsal.standins.base import Shown
from pipeline.rehearsal.timeline import Happening, Kind, timeline
from pipeline.rehearsal.weather import Killed, Weather
from pipeline.tick import Pipeline, TickReport

BEFOREHAND = timedelta(hours=1)  # the rehearsal opens this long before the first instant
RESTART = timedelta(seconds=20)  # how long it takes until a killed process is started again
MOST_TICKS = 100_000  # a rehearsal that has not ended by then never will


@dataclass(frozen=True, slots=True)
class Tally:
    """The last word on one account: what we say was published, and what the network's readers see.

    `twice` counts posts beyond the one that each delivery stands for, `lost` those that we call published and
    nobody sees. `waiting` counts what still waits for a person, `missed` what was not sent in time.
    """

    channel: str
    network: str
    published: int
    seen: int
    twice: int
    lost: int
    waiting: int
    missed: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What happened: every delivery and release of every campaign, in order.

    `seen` is what the readers of each account see in the end, oldest first; embedded networks are left out.
    """

    campaigns: tuple[Campaign, ...]
    entries: Mapping[str, Entry]
    deliveries: tuple[Delivery, ...]
    releases: tuple[Release, ...]
    timeline: tuple[Happening, ...]
    tallies: tuple[Tally, ...]
    seen: Mapping[Account, tuple[Shown, ...]]
    ticks: int
    kills: int
    began: datetime
    ended: datetime
    notices: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """Whether nothing went out twice and nothing was lost."""
        return not any(tally.twice or tally.lost for tally in self.tallies)


def set_scene(reader: MovedReader, profile: Profile, weather: Weather, now: datetime) -> datetime:
    """Move the calendar if the profile wants it, and tell the weather its days. When (UTC) the play begins.

    Raises WrongUse when no campaign has an entry to play with, or the clocks never change.
    """
    days = _posting_days(reader.read(now))
    if not days:
        raise WrongUse("there is nothing to rehearse: no campaign has a ready entry")
    if profile.clock_change:
        campaign, planned = next(iter(days.values()))
        reader.days = to_clock_change(planned, campaign.event.zone)
        days = _posting_days(reader.read(now))
    zone = next(iter(days.values()))[0].event.zone
    weather.follow(sorted({day for _, planned in days.values() for day in planned}), zone)
    return min(first_due(campaign, min(planned)) for campaign, planned in days.values()) - BEFOREHAND


def _posting_days(library: Library) -> dict[str, tuple[Campaign, list[date]]]:
    """The campaigns that have entries, and the days of these."""
    found = {}
    for campaign in library.campaigns.values():
        whole = plan(campaign, library.entries, {}, campaign.event.starts)  # as seen afterwards: the ideal
        if whole.slots:
            found[campaign.id] = campaign, [slot.date for slot in whole.slots]
    return found


class Run:
    """One rehearsal under way. `start` begins a process over the ledger, and again after each kill."""

    def __init__(
        self, start: Callable[[], Pipeline], clock: VirtualClock, networks: Networks, weather: Weather
    ) -> None:
        self._start = start
        self._clock = clock
        self._networks = networks
        self._weather = weather
        self._person = Person(networks, weather)
        self._notices: dict[str, None] = {}
        self._kills: list[Happening] = []

    def play(self, watch: Callable[[TickReport], None] = lambda _: None) -> Rehearsal:
        """Run until nothing is left to do, showing every tick to `watch`."""
        began = self._clock.now()
        pipeline = self._start()
        upcoming: datetime | None = began
        ticks = 0
        while upcoming is not None:
            if ticks == MOST_TICKS:
                raise BrokenEnvironment(
                    f"the rehearsal had not ended after {MOST_TICKS} ticks, at {self._clock.now()}"
                )
            self._clock.sleep_until(upcoming)
            self._networks.blow()
            ticks += 1
            try:
                report = pipeline.tick()
            except Killed as killed:
                self._kills.append(_killed(self._clock.now(), killed))
                pipeline = self._start()
                upcoming = self._clock.now() + RESTART
                continue
            self._notices.update(dict.fromkeys(map(self._networks.tidy, report.notices)))
            watch(report)
            upcoming = self._next(pipeline)
        return self._ended(pipeline, began, ticks)

    def _next(self, pipeline: Pipeline) -> datetime | None:
        """The next instant at which the pipeline or the person has something to do."""
        asked = self._person.look(pipeline)
        found = [] if pipeline.done() else [pipeline.next_wake(self._clock.now())]
        return min((one for one in (*found, asked) if one is not None), default=None)

    def _ended(self, pipeline: Pipeline, began: datetime, ticks: int) -> Rehearsal:
        library = pipeline.reader.read(self._clock.now())
        campaigns = tuple(library.campaigns.values())
        deliveries = tuple(map(self._tidied, pipeline.ledger.deliveries()))
        releases = tuple(release for one in campaigns for release in pipeline.ledger.releases(one.id))
        return Rehearsal(
            campaigns=campaigns,
            entries=library.entries,
            deliveries=deliveries,
            releases=releases,
            timeline=timeline(pipeline.ledger, deliveries, releases, self._others(), self._networks.tidy),
            tallies=tuple(tally(one, deliveries, self._networks.shown(one)) for one in _accounts(campaigns)),
            seen={account: standin.shown() for account, standin in self._networks.standins.items()},
            ticks=ticks,
            kills=len(self._kills),
            began=began,
            ended=self._clock.now(),
            notices=tuple(self._notices),
        )

    def _tidied(self, delivery: Delivery) -> Delivery:
        """The delivery without what only this one run could know: at which ports its networks were."""
        tidy = self._networks.tidy
        receipt = delivery.receipt
        return replace(
            delivery,
            reason=delivery.reason and tidy(delivery.reason),
            receipt=receipt and replace(receipt, url=receipt.url and tidy(receipt.url)),
        )

    def _others(self) -> list[Happening]:
        """What no ledger knows of: answers as they were given, and the ends of processes."""
        answers = [Happening(one.at, Kind.ANSWERED, *one.key, one.said) for one in self._person.answers]
        return [*answers, *self._kills]


def tally(account: Account, deliveries: Iterable[Delivery], shown: Iterable[str] | None) -> Tally:
    """The last word on an account. `shown` are the texts readers see; None: its files prove themselves."""
    ours = [one for one in deliveries if (one.network, one.key.channel) == account]
    states = Counter(one.state for one in ours)
    said = Counter(one.rendition.text for one in ours if one.rendition and one.state is State.PUBLISHED)
    wanted = Counter(one.rendition.text for one in ours if one.rendition)
    seen = said if shown is None else Counter(shown)
    return Tally(
        channel=account.channel,
        network=account.network,
        published=states[State.PUBLISHED],
        seen=seen.total(),
        twice=(seen - wanted).total(),
        lost=(said - seen).total(),
        waiting=states[State.HELD] + states[State.UNKNOWN],
        missed=states[State.MISSED],
    )


def _killed(at: datetime, killed: Killed) -> Happening:
    return Happening(at, Kind.KILLED, None, None, None, f"the process was killed at `{killed}`")


def _accounts(campaigns: Iterable[Campaign]) -> list[Account]:
    return sorted({Account(channel.network, channel.id) for one in campaigns for channel in one.channels})
