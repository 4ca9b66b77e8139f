"""A campaign's calendar as iCalendar: one event per slot and the event itself, with permanent UIDs.

The same plan gives the same bytes: DTSTAMP is the slot's own instant, not the clock's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from icalendar import Calendar, Event, Timezone

from pipeline.days import days_left, slot_due
from pipeline.model import Campaign, Entry, Release, Slot

SLOT_LENGTH = timedelta(minutes=15)  # long enough to be visible in a calendar


def calendar(campaign: Campaign, slots: Iterable[Slot], entries: Mapping[str, Entry]) -> bytes:
    """The iCalendar document of the slots, in the campaign's time zone."""
    document = Calendar()
    document.add("prodid", "-//content-pipeline//campaign//EN")
    document.add("version", "2.0")
    document.add("x-wr-calname", campaign.title)
    zone = campaign.event.zone
    days = sorted(slots, key=lambda slot: slot.date)
    first = min([slot.date for slot in days] + [campaign.event.day])
    document.add_component(
        Timezone.from_tzinfo(
            zone, first_date=first.replace(day=1, month=1), last_date=campaign.event.day + timedelta(days=366)
        )
    )
    for slot in days:
        entry = entries.get(slot.entry)
        begins = slot.due.astimezone(zone)
        happening = Event()
        happening.add("uid", f"{campaign.id}/{slot.entry}@{campaign.authority.split(',')[0]}")
        happening.add("dtstamp", slot.due)
        happening.add("dtstart", begins)
        happening.add("dtend", begins + SLOT_LENGTH)
        happening.add("summary", f"J-{slot.days_left} {entry.title if entry else slot.entry}")
        if entry:
            happening.add("description", f"{entry.summary}\n{entry.url}")
            happening.add("url", entry.url)
        document.add_component(happening)
    document.add_component(_the_event(campaign))
    return bytes(document.to_ical())


def released(campaign: Campaign, releases: Iterable[Release]) -> bytes:
    """The calendar for the public: what has been released, and the event; nothing that is still to come."""
    done = list(releases)
    slots = [
        Slot(campaign.id, one.entry.id, one.date, slot_due(campaign, one.date), days_left(campaign, one.date))
        for one in done
    ]
    return calendar(campaign, slots, {one.entry.id: one.entry for one in done})


def _the_event(campaign: Campaign) -> Event:
    event = campaign.event
    begins = event.starts.astimezone(event.zone)
    happening = Event()
    happening.add("uid", f"{campaign.id}@{campaign.authority.split(',')[0]}")
    happening.add("dtstamp", event.starts)
    happening.add("dtstart", begins)
    happening.add("dtend", begins + timedelta(hours=1))
    happening.add("summary", event.name)
    if event.place:
        happening.add("location", event.place)
    if event.url:
        happening.add("url", event.url)
    return happening
