"""The top of the page: what is wrong, what is new, each campaign in a line, and its calendar."""

from __future__ import annotations

import calendar as months
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from html import escape

from pipeline.model import State
from pipeline.problems import Problem, Severity
from pipeline.storyboard import markup
from pipeline.storyboard.cards import Card, Day
from pipeline.storyboard.memory import Change, Changes
from pipeline.storyboard.networks import look
from pipeline.storyboard.script import Script, Story

Told = Mapping[str, tuple[Day, ...]]
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEK = months.Calendar()  # weeks begin on Monday


# --------------------------------------------------------------------------- what is wrong


def troubles(script: Script, told: Told) -> str:
    """Broken promises, problems of the files, what waits for a person; one calm line for none of these."""
    lines = [f'<li class="bad"><strong>{escape(alarm)}</strong></li>\n' for alarm in script.alarms]
    lines += [_problem(one) for one in script.problems]
    for story in script.stories:
        lines += [
            _waiting(card, day, story) for day in told[story.campaign.id] for card in day.cards if card.waits
        ]
        lines += [f'<li class="warn">{escape(note)}</li>\n' for note in story.notes]
    if not lines:
        done = "every post went out once" if script.played is not None else "every text fits"
        inner = f'<p class="fine">Nothing is wrong: no problem in the files, {done}.</p>\n'
    else:
        inner = f'<ul class="troubles">\n{"".join(lines)}</ul>\n'
    return f'<section id="problems">\n<h2>Problems</h2>\n{inner}</section>\n'


def _problem(one: Problem) -> str:
    kind = "warn" if one.severity is Severity.WARNING else "bad"
    hint = f'<span class="quiet">{escape(one.hint)}</span>' if one.hint else ""
    return (
        f'<li class="{kind}"><code>{escape(one.path)}:{one.line}:{one.column}</code> '
        f"<strong>{one.severity} {one.code}</strong> {escape(one.message)} {hint}</li>\n"
    )


def _waiting(card: Card, day: Day, story: Story) -> str:
    place = markup.day_anchor(story.campaign.id, day.slot.date, day.slot.entry)
    why = card.problem or markup.localised(card.reason or "", story.campaign.event.zone)
    word = "nothing can be sent" if card.problem else str(card.state)
    return (
        f'<li class="bad"><a href="#{place}">{markup.short_day(card.date)}, {escape(card.key.channel)}</a> '
        f"<strong>{word}</strong> {escape(why)}</li>\n"
    )


# --------------------------------------------------------------------------- what is new

_COUNTED = {
    "added": "new",
    "removed": "removed",
    "moved": "moved to another day",
    "text": "with another text",
    "request": "with another picture or card",
    "state": "with another outcome",
}


def news(changes: Changes, script: Script, told: Told) -> str:
    """What is new since the earlier storyboard; nothing when there was none."""
    if not changes.compared:
        return ""
    counts = {word: number for word, number in changes.counts().items() if number}
    if not counts:
        inner = '<p class="fine">Nothing has changed since the earlier storyboard.</p>\n'
    else:
        sums = ", ".join(f"<b>{number}</b> {_COUNTED[word]}" for word, number in counts.items())
        inner = f"<p>Posts, compared with the earlier storyboard: {sums}.</p>\n{_list(changes, script, told)}"
    return f'<section id="changes">\n<h2>What is new</h2>\n{inner}</section>\n'


def _list(changes: Changes, script: Script, told: Told) -> str:
    """Entry by entry: its channels rarely differ."""
    lines = []
    for story in script.stories:
        for day in told[story.campaign.id]:
            found = [changes.cards[card.key] for card in day.cards if card.key in changes.cards]
            if found:
                lines.append(_entry_line(story, day, found))
    gone: dict[tuple[str, str, date], list[str]] = {}
    for key, old in changes.gone.items():
        gone.setdefault((key.campaign, old.title, old.date), []).append(key.channel)
    languages = {story.campaign.id: story.campaign.language for story in script.stories}
    for (campaign, title, left), channels in gone.items():
        lines.append(
            f'<li><del lang="{escape(languages[campaign])}">{escape(title)}</del> no longer goes out on '
            f"{markup.short_day(left)}: {escape(', '.join(channels))}</li>\n"
        )
    return f'<ul class="news">\n{"".join(lines)}</ul>\n'


def _entry_line(story: Story, day: Day, found: list[Change]) -> str:
    slot = day.slot
    phrases = []
    if before := next((one.moved_from for one in found if one.moved_from), None):
        phrases.append(f"moves from {markup.short_day(before)} to {markup.short_day(slot.date)}")
    for phrase, number in (
        ("new on", sum(one.added for one in found)),
        ("another text on", sum(one.old_text is not None for one in found)),
        ("another picture or card on", sum(one.request for one in found)),
        ("another outcome on", sum(one.old_state is not None for one in found)),
    ):
        if number:
            phrases.append(f"{phrase} {markup.count(number, 'channel')}")
    place = markup.day_anchor(story.campaign.id, slot.date, slot.entry)
    title = day.entry.title if day.entry else slot.entry
    lang = escape((day.entry.lang if day.entry else None) or story.campaign.language)
    return f'<li><a href="#{place}" lang="{lang}">{escape(title)}</a>: {", ".join(phrases)}</li>\n'


# --------------------------------------------------------------------------- each campaign in a line


def summary(script: Script, told: Told) -> str:
    """The numbers of each campaign, and of each of its channels."""
    return (
        '<section id="summary">\n<h2>At a glance</h2>\n'
        + "".join(_campaign(story, told[story.campaign.id], script) for story in script.stories)
        + "</section>\n"
    )


def _campaign(story: Story, days: tuple[Day, ...], script: Script) -> str:
    campaign = story.campaign
    cards = [card for day in days for card in day.cards]
    event = campaign.event
    when = f"{markup.long_day(event.day)}, {markup.clock(event.starts, event.zone)}"
    lang = escape(campaign.language)
    name = f'<b lang="{lang}" dir="auto">{escape(campaign.title)}</b>: ' if len(script.stories) > 1 else ""
    numbers = [
        (markup.count(len(days), "day"), ""),
        (markup.count(len(campaign.channels), "channel"), ""),
        (markup.count(len(cards), "post"), ""),
        (f"{sum(bool(card.left_out) for card in cards)} shortened", ""),
    ]
    if script.played is not None:
        numbers.append((f"{_in(cards, State.PUBLISHED)} published", ""))
    if waiting := sum(card.waits for card in cards):
        numbers.append((f"{waiting} waiting", "bad"))
    tiles = "".join(f'<li class="{kind}">{_large(words)}</li>' for words, kind in numbers)
    return (
        f'<p>{name}until <span lang="{lang}" dir="auto">{escape(event.name)}</span>, {when} '
        f"({escape(event.timezone.replace('_', ' '))}). All times are local to the event, "
        "but for those marked UTC.</p>\n"
        f'<ul class="tiles">{tiles}</ul>\n{_channels(story, cards, played=script.played is not None)}'
    )


def _channels(story: Story, cards: list[Card], *, played: bool) -> str:
    """A table of the channels, with the columns that have something to say."""
    columns = ["published" if played else "posts", "shortened", "longest"]
    columns += ["waiting"] if any(card.waits for card in cards) else []
    columns += ["price"] if any(card.price for card in cards) else []
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    rows = []
    for config in story.campaign.channels:
        ours = [card for card in cards if card.key.channel == config.id]
        cells = "".join(f"<td>{_tally(column, ours)}</td>" for column in columns)
        name = config.id if config.id == config.network else f"{config.id} ({look(config.network).name})"
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>\n')
    return (
        '<table class="channels"><caption>Posts by channel</caption><thead><tr>'
        f'<th scope="col">channel</th>{head}</tr></thead>\n<tbody>\n{"".join(rows)}</tbody></table>\n'
    )


def _tally(column: str, cards: list[Card]) -> str:
    match column:
        case "published":
            return f"{_in(cards, State.PUBLISHED)}/{len(cards)}"
        case "posts":
            return str(len(cards))
        case "shortened":
            return str(sum(bool(card.left_out) for card in cards))
        case "waiting":
            return str(sum(card.waits for card in cards))
        case "price":
            price = sum((card.price for card in cards if card.price), Decimal(0))
            return f"${price:.2f}" if price else "–"
        case _:
            longest = max(cards, key=lambda card: card.length or 0, default=None)
            if longest is None or longest.length is None:
                return "–"
            return f"{longest.length}/{longest.limit}" if longest.limit else str(longest.length)


def _large(words: str) -> str:
    number, _, noun = words.partition(" ")
    return f"<b>{number}</b> {noun}"


def _in(cards: Iterable[Card], state: State) -> int:
    return sum(card.state is state for card in cards)


# --------------------------------------------------------------------------- calendar


def calendar(script: Script, told: Told, changes: Changes) -> str:
    """A month after the other, each day leading to its cards."""
    inner = []
    for story in script.stories:
        days = told[story.campaign.id]
        if len(script.stories) > 1:
            title = escape(story.campaign.title)
            inner.append(f'<h3 lang="{escape(story.campaign.language)}" dir="auto">{title}</h3>\n')
        dates = [day.slot.date for day in days] + [story.campaign.event.day]
        tables = [
            _month(year, month, story, days, changes) for year, month in _months(min(dates), max(dates))
        ]
        inner.append(f'<div class="months">\n{"".join(tables)}</div>\n')
    return f'<section id="calendar">\n<h2>Calendar</h2>\n{"".join(inner)}</section>\n'


def _months(first: date, last: date) -> list[tuple[int, int]]:
    begin, end = first.year * 12 + first.month - 1, last.year * 12 + last.month - 1
    return [(number // 12, number % 12 + 1) for number in range(begin, end + 1)]


def _month(year: int, month: int, story: Story, days: tuple[Day, ...], changes: Changes) -> str:
    by_date: dict[date, list[Day]] = {}
    for day in days:
        by_date.setdefault(day.slot.date, []).append(day)
    head = "".join(f'<th scope="col"><abbr title="{name}">{name[:2]}</abbr></th>' for name in _WEEKDAYS)
    rows = []
    for week in _WEEK.monthdatescalendar(year, month):
        cells = [
            _cell(day, by_date.get(day, []), story, changes) if day.month == month else "<td></td>"
            for day in week
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>\n")
    return (
        f'<table class="month"><caption>{months.month_name[month]} {year}</caption>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{''.join(rows)}</tbody></table>\n"
    )


def _cell(date_: date, days: list[Day], story: Story, changes: Changes) -> str:
    event = story.campaign.event
    name = escape(event.name)
    lang = escape(story.campaign.language)
    if date_ == event.day:
        return f'<td class="event"><span class="number">{date_.day}</span><b lang="{lang}">★ {name}</b></td>'
    if not days:
        return f'<td><span class="number quiet">{date_.day}</span></td>'
    links = "".join(_link(day, story, changes) for day in days)
    return f'<td class="filled">{links}</td>'


def _link(day: Day, story: Story, changes: Changes) -> str:
    slot = day.slot
    title = day.entry.title if day.entry else slot.entry
    waits = any(card.waits for card in day.cards)
    new = any(card.key in changes.cards for card in day.cards)
    kind = " waits" if waits else " changed" if new else ""
    words = (
        '<span class="sr">, needs a look</span>'
        if waits
        else '<span class="sr">, changed</span>'
        if new
        else ""
    )
    lang = escape((day.entry.lang if day.entry else None) or story.campaign.language)
    place = markup.day_anchor(story.campaign.id, slot.date, slot.entry)
    return (
        f'<a class="slot{kind}" href="#{place}"><span class="number">{slot.date.day}</span>'
        f'<span class="name" lang="{lang}" dir="auto">{escape(title)}</span>{words}</a>'
    )
