"""A campaign as a calendar on the wall: weeks from Monday on, a cell a day.

Pure. The weeks are those from the first slot to the event, both whole; today is marked if it lies within.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.days import days_left, is_posting_day
from pipeline.model import Campaign, Slot
from pipeline.planning import Plan, Standing

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cell:
    """A local day.

    `within`: it lies between the first slot and the event. `skipped`: it does, and the campaign posts
    nothing on it, whatever is planned. `days_left` counts to the event and is negative after it.
    """

    day: date
    days_left: int
    within: bool
    skipped: bool
    today: bool
    event: bool
    title: str | None = None
    standing: Standing | None = None


def weeks(campaign: Campaign, plan: Plan, titles: Mapping[str, str], today: date) -> list[tuple[Cell, ...]]:
    """Every week, Monday first. `titles` are those of the entries, by id; an id stands for itself."""
    slots = {slot.date: slot for slot in plan.slots}
    first = min([campaign.event.day, *slots])
    last = max([campaign.event.day, *slots])
    cells = [_cell(campaign, plan, day, slots.get(day), titles, first, today) for day in _days(first, last)]
    return [tuple(cells[start : start + 7]) for start in range(0, len(cells), 7)]


def _days(first: date, last: date) -> Iterator[date]:
    """From the Monday before the first to the Sunday after the last."""
    day = first - first.weekday() * _DAY
    end = last + (6 - last.weekday()) * _DAY
    while day <= end:
        yield day
        day += _DAY


def _cell(
    campaign: Campaign,
    plan: Plan,
    day: date,
    slot: Slot | None,
    titles: Mapping[str, str],
    first: date,
    today: date,
) -> Cell:
    within = first <= day <= campaign.event.day
    event = day == campaign.event.day
    return Cell(
        day=day,
        days_left=days_left(campaign, day),
        within=within,
        skipped=within and not event and slot is None and not is_posting_day(campaign, day),
        today=day == today,
        event=event,
        title=titles.get(slot.entry, slot.entry) if slot else None,
        standing=plan.standing.get(slot.entry, Standing.AHEAD) if slot else None,
    )


def shown_slot(plan: Plan, today: date) -> Slot | None:
    """The slot a person asks for first: today's, or the next one; None when there is none to come."""
    if plan.over:
        return None
    coming = [slot for slot in plan.slots if slot.date >= today and _may_go_out(plan, slot)]
    todays = [slot for slot in plan.slots if slot.date == today]
    return next(iter(todays or coming), None)


def _may_go_out(plan: Plan, slot: Slot) -> bool:
    return plan.standing.get(slot.entry, Standing.AHEAD) in {Standing.OPEN, Standing.AHEAD}
