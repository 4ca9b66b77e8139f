"""Which entry goes out on which day: a pure function of files, of what already happened, and of now.

Local time exists here and in what people read, nowhere else. What must stay true, whatever the input:
no local day of a campaign has two entries, no entry has two days, nothing is planned after the event,
entries keep their order, and what a network has (or may have) never moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import islice
from operator import itemgetter

from pipeline.days import (
    channel_closes,
    channel_due,
    first_due,
    is_posting_day,
    last_close,
    slot_due,
)
from pipeline.delivery import GOT, WITHDRAWN_REASON, Change, Create, Event, Place, Withdraw
from pipeline.model import (
    Campaign,
    ChannelConfig,
    Delivery,
    DeliveryKey,
    Entry,
    MissedPolicy,
    Slot,
    SlotRecord,
    State,
)

BORN_MISSED = "it was due before this ledger first saw it; the past is never posted"

# Far enough for a daily campaign of ten years; an end, should every day be taken or skipped.
LONGEST_SEARCH = timedelta(days=3653)


class Standing(StrEnum):
    """Where a slot stands, seen from now."""

    SETTLED = "settled"  # a network has it, or may have it: it never moves
    OPEN = "open"  # due, and still within its late window
    AHEAD = "ahead"  # due later
    MISSED = "missed"  # its window closed and no channel got it


class Reason(StrEnum):
    """Why an entry has no day."""

    NO_DAY = "no day is left for it before the last posting day"
    PIN_PAST = "the day it is pinned to has passed"
    PIN_LATE = "the day it is pinned to is after the last posting day"
    PIN_SKIPPED = "the day it is pinned to is skipped by the campaign"
    PIN_TAKEN = "the day it is pinned to is taken by another entry"


@dataclass(frozen=True, slots=True)
class Unplaced:
    """An entry that has no day, and why."""

    entry: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Plan:
    """The calendar of a campaign, by day.

    `members` are the ready entries: a slot of an entry that is none of them is history. `late` are those
    whose day had passed when the campaign was first seen, which is now: they begin as missed. `over`: the
    event has started, so nothing more is planned.
    """

    campaign: str
    slots: tuple[Slot, ...]
    members: frozenset[str] = frozenset()
    standing: Mapping[str, Standing] = field(default_factory=dict)
    unplaced: tuple[Unplaced, ...] = ()
    late: tuple[str, ...] = ()
    over: bool = False


# --------------------------------------------------------------------------- the plan


def plan(
    campaign: Campaign, entries: Mapping[str, Entry], records: Mapping[str, SlotRecord], now: datetime
) -> Plan:
    """The calendar as it stands at `now`.

    `records` is empty when the ledger has never seen the campaign: then the calendar is the ideal one
    (the last entry on the last posting day), and what was due before now is missed.
    """
    members = _members(campaign, entries)
    over = now >= campaign.event.starts
    if records:
        kept = _kept(campaign, records, now)
    elif over:
        kept = {}
    else:
        kept = _born_missed(campaign, members, now)
    settled_days = {entry: day for entry, (day, _) in kept.items()}
    standing = {entry: stands for entry, (_, stands) in kept.items()}

    waiting = [entry for entry in members if entry.id not in kept]
    since = None if over else now
    moves = campaign.posting.missed is MissedPolicy.MOVE and not over
    had_a_day = records.keys() | kept.keys()
    loose = {e.id for e in members if moves and e.id in had_a_day and _pin_has_passed(campaign, e, now)}
    free = _free_days(campaign, set(settled_days.values()), since)
    placed, unplaced = _place(waiting, free, campaign, loose)
    if moves:
        placed, unplaced = _with_missed(campaign, members, kept, placed, unplaced, loose, now)
    for entry_id in placed:
        standing[entry_id] = Standing.AHEAD
    days = settled_days | placed
    if over:
        unplaced = []
    return Plan(
        campaign=campaign.id,
        slots=_slots(campaign, days),
        members=frozenset(entry.id for entry in members),
        standing=standing,
        unplaced=tuple(unplaced),
        late=() if records else tuple(e for e, stands in standing.items() if stands is Standing.MISSED),
        over=over,
    )


def _slots(campaign: Campaign, days: Mapping[str, date]) -> tuple[Slot, ...]:
    """The slots in order of date."""
    event_day = campaign.event.day
    return tuple(
        Slot(campaign.id, entry, day, slot_due(campaign, day), (event_day - day).days)
        for entry, day in sorted(days.items(), key=itemgetter(1))
    )


def _members(campaign: Campaign, entries: Mapping[str, Entry]) -> list[Entry]:
    """The ready entries of the campaign, in order of release."""
    order: Iterable[str] = sorted(entries) if campaign.entries is None else campaign.entries
    return [entries[name] for name in order if name in entries and not entries[name].draft]


def _kept(
    campaign: Campaign, records: Mapping[str, SlotRecord], now: datetime
) -> dict[str, tuple[date, Standing]]:
    """The recorded slots that are not planned anew: settled, open, or missed.

    Also those of entries that are withdrawn: one that comes back takes its day again, and nobody else moves.
    """
    standing = {record.entry: _standing(campaign, record, now) for record in records.values()}
    return {
        entry: (records[entry].date, stands)
        for entry, stands in standing.items()
        if stands is not Standing.AHEAD
    }


def _standing(campaign: Campaign, record: SlotRecord, now: datetime) -> Standing:
    if any(state in GOT for state in record.states):
        return Standing.SETTLED
    if not campaign.channels and record.released:
        return Standing.SETTLED
    given_up = bool(record.states) and all(state is State.CANCELLED for state in record.states)
    if first_due(campaign, record.date) > now and not record.released:
        return Standing.AHEAD
    if given_up:
        return Standing.SETTLED  # a person said no on every channel: it does not come back by itself
    return Standing.OPEN if now < (record.closes or last_close(campaign, record.date)) else Standing.MISSED


def _born_missed(
    campaign: Campaign, members: Sequence[Entry], now: datetime
) -> dict[str, tuple[date, Standing]]:
    """For a campaign never seen before: what the ideal calendar had due before now, or has due right now."""
    ideal, _ = _place(members, _free_days(campaign, set(), None), campaign)
    kept: dict[str, tuple[date, Standing]] = {}
    for entry_id, day in ideal.items():
        due = first_due(campaign, day)
        if due <= now:
            kept[entry_id] = (day, Standing.OPEN if due == now else Standing.MISSED)
    return kept


def _with_missed(
    campaign: Campaign,
    members: Sequence[Entry],
    kept: dict[str, tuple[date, Standing]],
    placed: dict[str, date],
    unplaced: list[Unplaced],
    loose: set[str],
    now: datetime,
) -> tuple[dict[str, date], list[Unplaced]]:
    """Give free days to missed entries, the first in order first, for as long as all others keep a day.

    Everything is then placed again in the campaign's order, so that this plan and the next agree.
    """
    taken = {day for day, _ in kept.values()}
    joined: set[str] = set()
    for candidate in (
        entry.id for entry in members if kept.get(entry.id, (None, None))[1] is Standing.MISSED
    ):
        attempt = [entry for entry in members if entry.id not in kept or entry.id in joined | {candidate}]
        trial, left = _place(attempt, _free_days(campaign, taken, now), campaign, loose)
        if len(left) <= len(unplaced):
            joined.add(candidate)
            placed, unplaced = trial, left
    return placed, unplaced


def _pin_has_passed(campaign: Campaign, entry: Entry, now: datetime) -> bool:
    """Whether the day of the pin is over: an entry that missed it, or was moved since, takes any day."""
    return entry.pinned is not None and first_due(campaign, entry.pinned) <= now


def _free_days(campaign: Campaign, taken: set[date], since: datetime | None) -> Iterator[date]:
    """Posting days that are not taken, the last first; with `since`, only days not yet begun to post."""
    day, stop = campaign.posting.until, _minus(campaign.posting.until, LONGEST_SEARCH)
    while day > stop:
        if day not in taken and is_posting_day(campaign, day):
            if since is not None and first_due(campaign, day) <= since:
                return
            yield day
        day -= timedelta(days=1)


def _minus(day: date, span: timedelta) -> date:
    """`day - span`, or the first day a zone conversion can still handle."""
    floor = date(1, 1, 3)
    return day - span if day - floor > span else floor


def _place(
    waiting: Sequence[Entry],
    days: Iterator[date],
    campaign: Campaign,
    loose: Iterable[str] = (),
) -> tuple[dict[str, date], list[Unplaced]]:
    """Give each entry a day: pins first, then the others in order so that the last has the last day.

    `days` come last first. `loose` entries have missed their pin and take any day.
    """
    pinned = [entry for entry in waiting if entry.pinned is not None and entry.id not in set(loose)]
    others = [entry for entry in waiting if entry not in pinned]
    wanted = {entry.pinned for entry in pinned}
    horizon = min((entry.pinned for entry in pinned if entry.pinned), default=None)
    free: list[date] = []
    pins_free: set[date] = set()
    for day in days:
        if len(free) >= len(others) and (horizon is None or day < horizon):
            break
        if day in wanted:
            pins_free.add(day)
        elif len(free) < len(others):
            free.append(day)
    placed, unplaced = _place_pins(pinned, pins_free, campaign)
    free.reverse()
    placed |= {entry.id: day for entry, day in zip(others, free, strict=False)}
    unplaced += [Unplaced(entry.id, Reason.NO_DAY) for entry in islice(others, len(free), None)]
    return placed, unplaced


def _place_pins(
    pinned: Sequence[Entry], free: set[date], campaign: Campaign
) -> tuple[dict[str, date], list[Unplaced]]:
    placed: dict[str, date] = {}
    unplaced: list[Unplaced] = []
    for entry in pinned:
        day = entry.pinned
        if day is None:  # pragma: no cover - callers pass pinned entries only
            continue
        if day in free and day not in placed.values():
            placed[entry.id] = day
        else:
            unplaced.append(Unplaced(entry.id, _why_not(campaign, day, placed)))
    return placed, unplaced


def _why_not(campaign: Campaign, day: date, placed: Mapping[str, date]) -> Reason:
    posting = campaign.posting
    if day in placed.values():
        return Reason.PIN_TAKEN
    if day > posting.until:
        return Reason.PIN_LATE
    if not is_posting_day(campaign, day):
        return Reason.PIN_SKIPPED
    return Reason.PIN_PAST


# --------------------------------------------------------------------------- from plan to ledger


def changes(campaign: Campaign, plan: Plan, deliveries: Iterable[Delivery], now: datetime) -> list[Change]:
    """What the ledger must change so that its planned deliveries are those of the plan.

    Decides only about deliveries no network has: the rest is history.
    """
    known = {delivery.key: delivery for delivery in deliveries}
    targets = [
        _target(campaign, slot, channel)
        for slot in plan.slots
        if slot.entry in plan.members
        for channel in campaign.channels
    ]
    result: list[Change] = []
    for target in targets:
        was = known.get(target.key)
        if was is None:
            late = target.due < now
            result.append(replace(target, state=State.MISSED, reason=BORN_MISSED) if late else target)
        elif (event := _placing(was, target, campaign, plan, now)) is not None:
            result.append(Place(was, event.event, target.date, target.due, target.closes))
    wanted = {target.key for target in targets}
    result += [Withdraw(d) for key, d in known.items() if key not in wanted and d.state is State.PLANNED]
    return result


def _target(campaign: Campaign, slot: Slot, channel: ChannelConfig) -> Create:
    due = channel_due(campaign, channel, slot.date)
    return Create(
        key=DeliveryKey(campaign.id, slot.entry, channel.id),
        network=channel.network,
        date=slot.date,
        due=due,
        closes=channel_closes(campaign, channel, due),
    )


@dataclass(frozen=True, slots=True)
class _Placing:
    """That a delivery gets the target's day, and by which event (None: planned stays planned)."""

    event: Event | None


def _placing(was: Delivery, target: Create, campaign: Campaign, plan: Plan, now: datetime) -> _Placing | None:
    if was.state is State.PLANNED:
        # Once its instant has come it keeps it: a person's retry, or a wait the network asked for.
        same = (was.date, was.due, was.closes) == (target.date, target.due, target.closes)
        return None if same or was.due <= now else _Placing(None)
    if was.state is State.CANCELLED and was.reason == WITHDRAWN_REASON:
        # Also when its instant has passed: it goes out within its late window, or is told as missed after it.
        return _Placing(Event.RESTORED)
    if target.due <= now:
        return None
    moved = (
        was.state is State.MISSED
        and campaign.posting.missed is MissedPolicy.MOVE
        and plan.standing.get(was.key.entry) is Standing.AHEAD
    )
    return _Placing(Event.MOVED) if moved else None
