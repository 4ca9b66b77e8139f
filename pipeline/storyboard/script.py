"""What a storyboard is told: campaigns with their days, what became of them, and what went wrong.

It comes from a plan or from a rehearsal; nothing here knows which, but for `Script.played`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

from pipeline.days import days_left, first_due, slot_due
from pipeline.model import Campaign, Delivery, DeliveryKey, Entry, Release, Slot
from pipeline.problems import Problem


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened at an instant (UTC). `kind` is what the rehearsal calls it.

    `channel` is None for what happened in the feeds, `campaign` too for what happened to the process.
    """

    at: datetime
    kind: str
    campaign: str | None
    entry: str | None
    channel: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Story:
    """One campaign: its days in order, its deliveries so far, the feeds as they will read at the end.

    `notes` are sentences about what the days do not show, such as entries without a day.
    """

    campaign: Campaign
    slots: tuple[Slot, ...]
    deliveries: Mapping[DeliveryKey, Delivery]
    releases: tuple[Release, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preface:
    """What a storyboard of a rehearsal is told besides: the problems of the files, what to compare it with.

    `against` is the record of an earlier storyboard, None for the last one in the same folder.
    """

    problems: tuple[Problem, ...] = ()
    against: Path | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """Everything one storyboard shows.

    `played` names the conditions of the rehearsal, None when nothing was played. `alarms` are broken
    promises, one sentence each. `entries` are those of all campaigns, by id.
    """

    stories: tuple[Story, ...]
    entries: Mapping[str, Entry]
    problems: tuple[Problem, ...] = ()
    alarms: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = field(default=())
    played: str | None = None


def planned(
    campaign: Campaign,
    slots: Iterable[Slot],
    entries: Mapping[str, Entry],
    deliveries: Iterable[Delivery],
    notes: Iterable[str] = (),
    released: Iterable[Release] = (),
) -> Story:
    """A campaign as it is planned, over what the ledger knows of it.

    `released` are its releases so far: they stay in the feeds whatever becomes of their files, and one that
    was retracted never comes back.
    """
    days = tuple(sorted(slots, key=lambda slot: (slot.date, slot.entry)))
    out = {
        one.entry.id: replace(one, entry=entries.get(one.entry.id, one.entry))
        for one in released
        if one.campaign == campaign.id
    }
    ahead = tuple(
        _release(campaign, slot, entries[slot.entry])
        for slot in days
        if slot.entry in entries and slot.entry not in out
    )
    return Story(campaign, days, _of(campaign, deliveries), (*out.values(), *ahead), tuple(notes))


def played(campaign: Campaign, deliveries: Iterable[Delivery], releases: Iterable[Release]) -> Story:
    """A campaign that has been played to its end: a day for whatever was released or is still to be sent."""
    ours = _of(campaign, deliveries)
    shown = tuple(one for one in releases if one.campaign == campaign.id)
    days: dict[str, date] = {one.entry.id: one.date for one in shown}
    for key, delivery in ours.items():
        if delivery.date is not None:
            days.setdefault(key.entry, delivery.date)
    slots = [
        Slot(campaign.id, entry, day, slot_due(campaign, day), days_left(campaign, day))
        for entry, day in days.items()
    ]
    return Story(campaign, tuple(sorted(slots, key=lambda slot: (slot.date, slot.entry))), ours, shown)


def _of(campaign: Campaign, deliveries: Iterable[Delivery]) -> dict[DeliveryKey, Delivery]:
    return {one.key: one for one in deliveries if one.key.campaign == campaign.id}


def _release(campaign: Campaign, slot: Slot, entry: Entry) -> Release:
    released = first_due(campaign, slot.date)
    return Release(campaign.id, entry, slot.date, released, released)
