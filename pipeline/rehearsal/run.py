"""The virtual run: tick, jump to the next instant at which there is something to do, tick again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.clock import VirtualClock
from pipeline.days import first_due
from pipeline.errors import BrokenEnvironment
from pipeline.model import Campaign, Delivery, Entry, Release
from pipeline.planning import plan
from pipeline.tick import Pipeline, TickReport

BEFOREHAND = timedelta(hours=1)  # the rehearsal opens this long before the first instant
MOST_TICKS = 100_000  # a rehearsal that has not ended by then never will


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What happened: every delivery and release of every campaign, and the ticks it took."""

    campaigns: tuple[Campaign, ...]
    deliveries: tuple[Delivery, ...]
    releases: tuple[Release, ...]
    ticks: int
    began: datetime
    ended: datetime
    notices: tuple[str, ...]


def first_instant(campaigns: Iterable[Campaign], entries: Mapping[str, Entry]) -> datetime | None:
    """Shortly before the first entry of any campaign is due; None when no campaign has an entry."""
    firsts = []
    for campaign in campaigns:
        whole = plan(campaign, entries, {}, campaign.event.starts)  # as seen afterwards: the ideal calendar
        firsts += [first_due(campaign, slot.date) for slot in whole.slots]
    return min(firsts) - BEFOREHAND if firsts else None


def rehearse(
    pipeline: Pipeline, clock: VirtualClock, watch: Callable[[TickReport], None] = lambda _: None
) -> Rehearsal:
    """Run until nothing is left to do, showing every tick to `watch`."""
    began = clock.now()
    notices: list[str] = []
    ticks = 0
    upcoming: datetime | None = began
    while upcoming is not None and not (ticks and pipeline.done()):
        if ticks == MOST_TICKS:
            raise BrokenEnvironment(f"the rehearsal had not ended after {MOST_TICKS} ticks, at {clock.now()}")
        clock.sleep_until(upcoming)
        report = pipeline.tick()
        ticks += 1
        notices += [notice for notice in report.notices if notice not in notices]
        watch(report)
        upcoming = pipeline.next_wake(clock.now())
    campaigns = tuple(pipeline.reader.read(clock.now()).campaigns.values())
    return Rehearsal(
        campaigns=campaigns,
        deliveries=tuple(pipeline.ledger.deliveries()),
        releases=tuple(release for one in campaigns for release in pipeline.ledger.releases(one.id)),
        ticks=ticks,
        began=began,
        ended=clock.now(),
        notices=tuple(notices),
    )
