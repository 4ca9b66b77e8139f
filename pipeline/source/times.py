"""Days, times of day, spans and time zones as campaigns write them.

A check returns the value or refuses it in plain words; nothing here depends on the current time.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from difflib import get_close_matches
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator

from pipeline.errors import BrokenEnvironment
from pipeline.source.values import calendar_day, day, of_text, quoted, refuse, suggest

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FRENCH_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_SHORT_DAYS = {"tues": 1, "weds": 2, "thur": 3, "thurs": 3} | {name[:3]: n for n, name in enumerate(WEEKDAYS)}

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_LOOSE_TIME = re.compile(r"([0-9]{1,2})\s*[hH:.]\s*([0-5][0-9])?")
_STARTS = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[Tt]| +)([0-9:]{5,8})(?: ?([Zz]|[+-](?:0[0-9]|1[0-4]):[0-5][0-9]))?"
)
_SPAN = re.compile(r"(?:([0-9]{1,3})d)?(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,6})s)?")
_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{1,60}")
_NO_ZONE = re.compile(r"(posix|right)/|(localtime|posixrules|Factory)$")


def wall_time(value: str) -> time:
    """A local wall time, `HH:MM` or `HH:MM:SS` (E106)."""
    match = _TIME.fullmatch(value.strip())
    if match:
        return time(int(match[1]), int(match[2]), int(match[3] or 0))
    loose = _LOOSE_TIME.fullmatch(value.strip())
    example = f"{int(loose[1]):02}:{loose[2] or '00'}" if loose and int(loose[1]) < 24 else "09:00"
    raise refuse("E106", f"is not a time of day: {quoted(value)}", f'Write hours and minutes: "{example}".')


def span(value: str) -> timedelta:
    """A length of time above zero and up to 999 days: `90s`, `30m`, `6h`, `1d`, `1h30m` (E107)."""
    match = _SPAN.fullmatch(value.strip())
    if not match or not any(match.groups()):
        loose = re.fullmatch(r"([0-9]{1,3}) *([dhms]|j)[a-z]*", value.strip().lower())
        example = (
            f"`{loose[1]}{loose[2].replace('j', 'd')}`" if loose else "`90s`, `30m`, `6h`, `1d` or `1h30m`"
        )
        raise refuse("E107", f"is not a duration: {quoted(value)}", f"Write it as {example}.")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not length:
        raise refuse("E107", f"is no time at all: {quoted(value)}", "Write a duration above zero, as `30s`.")
    return length


def zone_name(value: str) -> str:
    """An IANA time zone, such as `Europe/Paris`; no name that only means something on one machine (E111)."""
    value = value.strip()
    if _ZONE.fullmatch(value) and not _NO_ZONE.match(value):
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass  # told below, with a suggestion
    if not available_timezones():
        # The file is right. To take its zone for unknown would withdraw the campaign, to take UTC would post
        # at another hour.
        raise BrokenEnvironment(
            "this machine has no time zone data",
            hint="Install it (the system's tzdata, or `pip install tzdata`); nothing was sent or changed.",
        )
    known = {name.lower(): name for name in available_timezones() if not _NO_ZONE.match(name)}
    cities = {name.rpartition("/")[2]: known[name] for name in sorted(known)}
    near = get_close_matches(value[:60].lower().replace(" ", "_"), [*known, *cities], n=1, cutoff=0.7)
    meant = (known.get(near[0]) or cities[near[0]]) if near else ""
    hint = f"Did you mean `{meant}`?" if meant else "Write a name such as `Europe/Paris`."
    raise refuse("E111", f"is not a known time zone: {quoted(value)}", hint)


def skipped(value: str) -> int | date:
    """A weekday (Monday is 0), by its English name or its first three letters, or a day (E109, E106)."""
    word = value.strip().lower()
    if word[:1].isdigit():
        return day(word)
    if word in WEEKDAYS:
        return WEEKDAYS.index(word)
    if word in _SHORT_DAYS:
        return _SHORT_DAYS[word]
    hint = suggest(word, WEEKDAYS) or "Write a weekday, as `sunday`, or a date, as `2016-04-18`."
    if word in _FRENCH_DAYS:
        hint = f"Write `{WEEKDAYS[_FRENCH_DAYS.index(word)]}`."
    raise refuse("E109", f"is neither a weekday nor a date: {quoted(value)}", hint)


def starts(value: str) -> datetime:
    """The moment an event starts: naive when it was written without a zone, else aware (E106)."""
    match = _STARTS.fullmatch(value.strip())
    if not match or not _TIME.fullmatch(match[4]):
        hint = "Write date and time: `2016-04-21 09:00`."
        raise refuse("E106", f"is not a date and time: {quoted(value)}", hint)
    on = calendar_day(value, int(match[1]), int(match[2]), int(match[3]))
    moment = datetime.combine(on, wall_time(match[4]))
    if not match[5]:
        return moment
    if match[5] in "Zz":
        return moment.replace(tzinfo=UTC)
    offset = timedelta(hours=int(match[5][1:3]), minutes=int(match[5][4:6]))
    return moment.replace(tzinfo=timezone(-offset if match[5][0] == "-" else offset))


Span = Annotated[timedelta, of_text(span)]
WallTime = Annotated[time, of_text(wall_time)]
Skipped = Annotated[int | date, of_text(skipped)]
Starts = Annotated[datetime, of_text(starts)]
ZoneName = Annotated[str, AfterValidator(zone_name)]
