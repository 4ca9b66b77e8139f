"""The whole page: problems first, then the campaign at a glance, its days, what happened, the feeds."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from html import escape
from pathlib import Path

from pipeline.feeds.landing_words import bound
from pipeline.model import Image
from pipeline.storyboard import markup
from pipeline.storyboard.cards import Day
from pipeline.storyboard.happened import timeline
from pipeline.storyboard.memory import Changes
from pipeline.storyboard.overview import calendar, news, summary, troubles
from pipeline.storyboard.pictures import Pictures
from pipeline.storyboard.post import Drawer
from pipeline.storyboard.reader import reader
from pipeline.storyboard.script import Script, Story
from pipeline.storyboard.style import channel_filters, sheet

_SHORT = timedelta(days=32)
Told = Mapping[str, tuple[Day, ...]]


def page(script: Script, told: Told, changes: Changes, root: Path) -> bytes:
    """The page in HTML, UTF-8. `told` are the days of each campaign."""
    pictures = Pictures(root, _wanted(script, told))
    style = sheet(_channels(script))
    title = _title(script)
    parts = [
        troubles(script, told),
        news(changes, script, told),
        summary(script, told),
        calendar(script, told, changes),
        _days(script, told, changes, pictures),
        timeline(script),
        reader(script, pictures),
    ]
    sections = "".join(parts)
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_policy(style)}">
<meta name="referrer" content="no-referrer">
<title>Storyboard: {escape(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#days">Skip to the days</a>
{pictures.sheet()}{_header(script, told, title, sections)}{_main(script, told)}
{sections}</main>
</body>
</html>
""".encode(errors="replace")


def _main(script: Script, told: Told) -> str:
    """The tag. A short calendar of one campaign has room beside the numbers."""
    stories = script.stories
    short = len(stories) == 1 and all(
        stories[0].campaign.event.day - day.slot.date < _SHORT for day in told[stories[0].campaign.id]
    )
    return '<main class="short">' if short else "<main>"


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def _channels(script: Script) -> list[str]:
    """The ids of all channels, each once, in the order of the campaigns."""
    return list(dict.fromkeys(one.id for story in script.stories for one in story.campaign.channels))


def _wanted(script: Script, told: Told) -> dict[str, Image]:
    """The pictures that are shown, by path, in the order in which they are."""
    found: dict[str, Image] = {}
    for story in script.stories:
        for day in told[story.campaign.id]:
            for card in day.cards:
                if card.picture is not None:
                    found.setdefault(card.picture.path, card.picture)
        for release in story.releases:
            if release.entry.image is not None:
                found.setdefault(release.entry.image.path, release.entry.image)
    return found


def _title(script: Script) -> str:
    if len(script.stories) == 1:
        campaign = script.stories[0].campaign
        return bound(campaign.title, campaign.language)
    return f"{len(script.stories)} campaigns"


def _header(script: Script, told: Told, title: str, sections: str) -> str:
    lang = f' lang="{escape(script.stories[0].campaign.language)}"' if len(script.stories) == 1 else ""
    what = "Rehearsal" if script.played is not None else "Plan"
    lead = (
        f"Played with {escape(script.played)}: the real code on a simulated clock, against stand-ins of the "
        "networks. Nothing left this machine."
        if script.played is not None
        else "Everything as it will be sent. Nothing has been sent for this page."
    )
    links = [
        ("problems", "Problems"),
        ("changes", "What is new"),
        ("summary", "At a glance"),
        ("calendar", "Calendar"),
        ("days", "Days"),
        ("timeline", "Timeline"),
        ("feeds", "Feeds"),
    ]
    listed = "".join(
        f'<li><a href="#{anchor}">{words}</a></li>'
        for anchor, words in links
        if f' id="{anchor}"' in sections
    )
    span = _span(told)
    return (
        f'<header class="top">\n<p class="kind">Storyboard · {what}{span}</p>\n<h1{lang} dir="auto">'
        f'{escape(title)}</h1>\n<p class="lead">{lead}</p>\n'
        f'<nav aria-label="On this page"><ul>{listed}</ul></nav>\n</header>\n'
    )


def _span(told: Told) -> str:
    dates = sorted(day.slot.date for days in told.values() for day in days)
    if not dates:
        return ""
    first, last = dates[0], dates[-1]
    begin = f"{first.day} {first:%B}" + (f" {first.year}" if first.year != last.year else "")
    return f" · {begin} to {last.day} {last:%B} {last.year}" if first != last else f" · {begin} {last.year}"


# --------------------------------------------------------------------------- day by day


def _days(script: Script, told: Told, changes: Changes, pictures: Pictures) -> str:
    several = len(script.stories) > 1
    inner = []
    for story in script.stories:
        lang = escape(story.campaign.language)
        if several:
            inner.append(f'<h3 lang="{lang}" dir="auto">{escape(story.campaign.title)}</h3>\n')
        drawer = Drawer(story.campaign, pictures, 5 if several else 4)
        inner += [_day(day, story, drawer, changes) for day in told[story.campaign.id]]
    channels = _channels(script)
    return (
        '<section id="days" tabindex="-1">\n<h2>Day by day</h2>\n'
        f"{channel_filters(channels, changed=bool(changes.cards), waits=_any_waits(told))}"
        f"{''.join(inner) or '<p>No day is planned.</p>'}</section>\n"
    )


def _any_waits(told: Told) -> bool:
    return any(card.waits for days in told.values() for day in days for card in day.cards)


def _day(day: Day, story: Story, drawer: Drawer, changes: Changes) -> str:
    slot = day.slot
    title = day.entry.title if day.entry else slot.entry
    lang = escape((day.entry.lang if day.entry else None) or story.campaign.language)
    heading = f"h{drawer.level - 1}"
    cards = "".join(drawer.card(card, title, changes.cards.get(card.key)) for card in day.cards)
    path = f'<code class="quiet">{escape(day.entry.path)}</code>' if day.entry else ""
    return (
        f'<section class="day" id="{markup.day_anchor(story.campaign.id, slot.date, slot.entry)}">\n'
        f'<div class="when"><{heading}><span class="weekday">{slot.date:%A}</span>'
        f'<span class="number">{slot.date.day}</span>'
        f'<span class="month">{slot.date:%B} {slot.date.year}</span></{heading}>\n'
        f'<p class="countdown">{markup.countdown(slot.days_left)}</p>\n'
        f'<p class="title" lang="{lang}" dir="auto">{escape(title)}</p>{path}</div>\n'
        f'<div class="cards">\n{cards}</div>\n</section>\n'
    )
