"""A campaign's calendar as iCalendar: one event per slot and the event itself, with permanent UIDs.

The same plan gives the same bytes: DTSTAMP is the slot's own instant, not the clock's. Of an event that was
imported before, programs believe the one with the higher SEQUENCE: it counts how often the slot has moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone

from pipeline.addresses import web_address
from pipeline.days import days_left, slot_due
from pipeline.model import Campaign, Entry, Release, Slot
from pipeline.model import Event as CampaignEvent

SLOT_LENGTH = timedelta(minutes=15)  # long enough to be visible in a calendar


def calendar(
    campaign: Campaign,
    slots: Iterable[Slot],
    entries: Mapping[str, Entry],
    moves: Mapping[str, int] = MappingProxyType({}),
) -> bytes:
    """The iCalendar document of the slots, in the campaign's time zone. `moves`: how often each has moved."""
    document = Calendar()
    document.add("prodid", "-//content-pipeline//campaign//EN")
    document.add("version", "2.0")
    document.add("x-wr-calname", campaign.title)
    head, end, _ = bytes(document.to_ical()).partition(b"END:VCALENDAR")
    days = sorted(slots, key=lambda slot: slot.date)
    first = min([slot.date for slot in days] + [campaign.event.day])
    host = campaign.authority.split(",")[0]
    parts = [_zone(campaign.event.timezone, first.year, campaign.event.day)]
    for slot in days:
        entry = entries.get(slot.entry)
        words = (entry.title, entry.summary, entry.url) if entry else (slot.entry, None, None)
        uid = f"{campaign.id}/{slot.entry}@{host}"
        sequence = moves.get(slot.entry, 0)
        parts.append(_slot(uid, sequence, slot, campaign.event.timezone, *words))
    parts.append(_the_event(campaign.event, f"{campaign.id}@{host}"))
    return b"".join([head, *parts, end, b"\r\n"])


def released(campaign: Campaign, releases: Iterable[Release]) -> bytes:
    """The calendar for the public: what has been released, and the event; nothing that is still to come."""
    done = list(releases)
    slots = [
        Slot(campaign.id, one.entry.id, one.date, slot_due(campaign, one.date), days_left(campaign, one.date))
        for one in done
    ]
    return calendar(campaign, slots, {one.entry.id: one.entry for one in done})


# A calendar is its parts, one after the other, and each is made once: a day adds one to those of yesterday.


@lru_cache(maxsize=64)
def _zone(name: str, first_year: int, event_day: date) -> bytes:
    last = event_day + timedelta(days=366)
    zone = Timezone.from_tzinfo(ZoneInfo(name), first_date=date(first_year, 1, 1), last_date=last)
    return bytes(zone.to_ical())


@lru_cache(maxsize=4096)
def _slot(
    uid: str,
    sequence: int,
    slot: Slot,
    zone: str,
    title: str,
    summary: str | None,
    url: str | None,
) -> bytes:
    begins = slot.due.astimezone(ZoneInfo(zone))
    happening = Event()
    happening.add("uid", uid)
    happening.add("dtstamp", slot.due)
    if sequence:
        happening.add("sequence", sequence)
    happening.add("dtstart", begins)
    happening.add("dtend", begins + SLOT_LENGTH)
    happening.add("summary", f"J-{slot.days_left} {title}")
    if url is not None:
        happening.add("description", f"{summary}\n{url}")
        happening.add("url", web_address(url) or url)  # a URI: programs drop one with accents
    return bytes(happening.to_ical())


@lru_cache(maxsize=64)
def _the_event(event: CampaignEvent, uid: str) -> bytes:
    begins = event.starts.astimezone(event.zone)
    happening = Event()
    happening.add("uid", uid)
    happening.add("dtstamp", event.starts)
    happening.add("dtstart", begins)
    happening.add("dtend", begins + timedelta(hours=1))
    happening.add("summary", event.name)
    if event.place:
        happening.add("location", event.place)
    if event.url:
        happening.add("url", web_address(event.url) or event.url)
    return bytes(happening.to_ical())
