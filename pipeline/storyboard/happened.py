"""The timeline: what happened in a rehearsal, by day, in local time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from html import escape
from itertools import groupby
from zoneinfo import ZoneInfo

from pipeline.storyboard import markup
from pipeline.storyboard.script import Moment, Script

# By kind: its sign, and how it is painted. What is expected needs no attention.
_SIGNS = {
    "released": ("◆", "calm"),
    "sent": ("✓", "good"),
    "retried": ("↻", "warn"),
    "uncertain": ("?", "warn"),
    "asked a person": ("!", "bad"),
    "answered": ("↩", "calm"),
    "missed": ("✗", "bad"),
    "killed": ("⚡", "bad"),
}
_FIRST = {"released": 0, "answered": 1}  # of one instant: what the rest follows from
_EXPECTED = frozenset({"released", "sent"})
_OTHER = ("·", "calm")
_MANY = 14  # uneventful days from which on none of them is shown open


def timeline(script: Script) -> str:
    """The section; nothing when nothing was played."""
    if not script.moments:
        return ""
    zones = {story.campaign.id: story.campaign.event.zone for story in script.stories}
    zone = next(iter(zones.values()))

    def local_day(one: Moment) -> date:
        return one.at.astimezone(zones.get(one.campaign or "", zone)).date()

    ordered = sorted(script.moments, key=lambda one: (local_day(one), one.at, _FIRST.get(one.kind, 2)))
    days = [(day, list(group)) for day, group in groupby(ordered, key=local_day)]
    open_calm = len(days) <= _MANY
    inner = "".join(_day(day, moments, zones, zone, open_calm=open_calm) for day, moments in days)
    return f'<section id="timeline">\n<h2>What happened</h2>\n{inner}</section>\n'


def _day(
    day: date, moments: list[Moment], zones: dict[str, ZoneInfo], zone: ZoneInfo, *, open_calm: bool
) -> str:
    odd = [one for one in moments if one.kind not in _EXPECTED]
    told = ", ".join(f"{number} {kind}" for kind, number in _counted(moments))
    lines = "".join(_line(one, zones.get(one.campaign or "", zone)) for one in moments)
    return markup.disclosure(
        f'<b>{markup.long_day(day)}</b> <span class="quiet">{told}</span>',
        f'<ol class="moments">\n{lines}</ol>',
        kind="past odd" if odd else "past",
        opened=bool(odd) and open_calm,
    )


def _counted(moments: Iterable[Moment]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for one in moments:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    return list(counts.items())


def _line(one: Moment, zone: ZoneInfo) -> str:
    sign, paint = _SIGNS.get(one.kind, _OTHER)
    who = " · ".join(escape(name) for name in (one.entry, one.channel) if name) or "the process"
    when = markup.moment(one.at, f"{one.at.astimezone(zone):%H:%M:%S}")
    return (
        f'<li class="{paint}"><span class="sign" aria-hidden="true">{sign}</span>{when} '
        f"<span><b>{who}</b> {escape(markup.localised(one.text, zone))}</span></li>\n"
    )
