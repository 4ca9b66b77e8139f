"""The plan as it was last shown: what a person is told of the difference, and how often a slot has moved.

Pure. What must stay true: looking at an unchanged plan again tells nothing and remembers the same; and an
entry's number of moves never falls, since programs that imported its event believe the higher one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.model import Entry
from pipeline.planning import Plan

# In English whatever the machine speaks, as all messages.
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stood: its local day, None since it has none; its title; and how often it has moved.

    `due` is its instant (UTC) as text, None in what versions before this one remembered.
    """

    date: date | None
    title: str
    due: str | None = None
    moves: int = 0


Memory = Mapping[str, Place]


def read(document: str) -> Memory:
    """What `write` wrote, or what versions before this one did: days alone, by entry."""
    return {entry: _place(entry, kept) for entry, kept in json.loads(document).items()}


def _place(entry: str, kept: Any) -> Place:
    if isinstance(kept, str):
        return Place(date.fromisoformat(kept), entry)
    day = kept["date"]
    return Place(day and date.fromisoformat(day), kept["title"], kept["due"], kept["moves"])


def write(memory: Memory) -> str:
    """As text that is the same for the same memory."""
    rows = {
        entry: {"date": p.date and p.date.isoformat(), "title": p.title, "due": p.due, "moves": p.moves}
        for entry, p in memory.items()
    }
    return json.dumps(rows, sort_keys=True, ensure_ascii=False)


def remember(before: Memory, plan: Plan, entries: Mapping[str, Entry]) -> Memory:
    """The plan as it is shown now. Entries that left stay, without a day: they may come back."""
    left = {entry: Place(None, was.title, was.due, was.moves) for entry, was in before.items()}
    shown = {}
    for slot in plan.slots:
        was = before.get(slot.entry)
        entry = entries.get(slot.entry)
        due = slot.due.isoformat()
        moved = was is not None and (was.date != slot.date if was.due is None else was.due != due)
        shown[slot.entry] = Place(
            date=slot.date,
            title=entry.title if entry else was.title if was else slot.entry,
            due=due,
            moves=(was.moves if was else 0) + moved,
        )
    return left | shown


def moves(memory: Memory) -> dict[str, int]:
    """How often each entry's slot was seen to have moved."""
    return {entry: place.moves for entry, place in memory.items()}


def changes(before: Memory, after: Memory, today: date) -> list[str]:
    """Who moved, came or went, in the order of the days, one sentence each."""
    days = {entry: (before[entry].date if entry in before else None, after[entry].date) for entry in after}
    found = {entry: pair for entry, pair in days.items() if pair[0] != pair[1]}
    names = _names({**before, **after})
    order = sorted(found, key=lambda entry: (found[entry][1] or found[entry][0] or today, names[entry]))
    return [_sentence(names[entry], *found[entry], today) for entry in order]


def _sentence(name: str, old: date | None, new: date | None, today: date) -> str:
    if old is not None and new is not None:
        return f"{name} moves from {_from(old, new)} to {day_words(new, today)}"
    if new is not None:
        return f"{name} joins on {day_words(new, today)}"
    assert old is not None
    return f"{name} leaves its day, {day_words(old, today)}"


def _names(memory: Memory) -> dict[str, str]:
    """Titles, with the id where two entries share one."""
    many = Counter(place.title for place in memory.values())
    return {
        entry: place.title if many[place.title] == 1 else f"{place.title} ({entry})"
        for entry, place in memory.items()
    }


def day_words(day: date, today: date) -> str:
    """The day as people say it: `13 April`, with the year when it is not this one."""
    year = "" if day.year == today.year else f" {day.year}"
    return f"{day.day} {MONTHS[day.month - 1]}{year}"


def _from(old: date, new: date) -> str:
    """The old day, of which only what differs from the new one is said."""
    if (old.year, old.month) == (new.year, new.month):
        return str(old.day)
    if old.year == new.year:
        return f"{old.day} {MONTHS[old.month - 1]}"
    return f"{old.day} {MONTHS[old.month - 1]} {old.year}"
