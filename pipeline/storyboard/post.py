"""A card as HTML: the post as its network shows it, and around it what only we know."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pipeline.model import Campaign, State
from pipeline.storyboard import markup
from pipeline.storyboard.cards import Card, LinkCard
from pipeline.storyboard.memory import Change
from pipeline.storyboard.networks import Look, look
from pipeline.storyboard.pictures import Pictures

_NARROW = 30  # units left to the limit from which on the counter warns
_CHIPS = {
    State.PUBLISHED: ("good", "published"),
    State.PLANNED: ("calm", "planned"),
    State.SENDING: ("calm", "sending"),
    State.UNKNOWN: ("bad", "unknown"),
    State.HELD: ("bad", "held"),
    State.MISSED: ("bad", "missed"),
    State.CANCELLED: ("calm", "cancelled"),
    State.DELETED: ("calm", "deleted"),
}


@dataclass(frozen=True, slots=True)
class Drawer:
    """Draws the cards of one campaign. `level` is that of their headings."""

    campaign: Campaign
    pictures: Pictures
    level: int

    @property
    def zone(self) -> ZoneInfo:
        """The event's, in which all hours are shown."""
        return self.campaign.event.zone

    def card(self, card: Card, title: str, change: Change | None) -> str:
        """The whole card. `title` is the entry's, in the card's language."""
        face = look(card.config.network)
        marks = " changed" if change else ""
        marks += " waits" if card.waits else ""
        channel = "" if card.key.channel == card.config.network else f" · {escape(card.key.channel)}"
        heading = f"h{self.level}"
        inner = (
            f'<p class="fault"><strong>Nothing can be sent:</strong> {escape(card.problem)}</p>\n'
            if card.problem is not None
            else self._post(card, face, title)
        )
        return (
            f'<article class="card {_face(card)} at-{escape(card.key.channel)}{marks}">\n'
            f'<header class="strip"><{heading}>{escape(face.name)}{channel}</{heading}>'
            f"{self._chip(card)}</header>\n"
            f"{_badges(change)}{inner}{self._below(card, face, change)}</article>\n"
        )

    # ----------------------------------------------------------------- what readers see

    def _post(self, card: Card, face: Look, title: str) -> str:
        name = self.campaign.author or self.campaign.title
        when = card.published or card.due
        actions = "".join(f"<span>{action}</span>" for action in face.actions)
        shown = markup.marked(card.text or "", card.marks)
        return (
            '<div class="post">\n'
            f'<p class="who"><span class="avatar" aria-hidden="true">{escape(_initial(name))}</span>'
            f"<span><b>{escape(name)}</b> "
            f'<span class="handle"><span class="account">{escape(face.account(card.config))}</span>'
            f"<span>· {markup.moment(when, markup.clock(when, self.zone))}</span></span></span></p>\n"
            f'<div class="text" lang="{escape(card.lang)}" dir="auto">{shown}</div>\n'
            f"{self._attached(card, face, title)}"
            + (f'<p class="actions" aria-hidden="true">{actions}</p>\n' if actions else "")
            + "</div>\n"
        )

    def _attached(self, card: Card, face: Look, title: str) -> str:
        if card.link is not None:
            picture = self.pictures.shown(card.picture) if card.picture else ""
            return f'<div class="linked">{picture}{_linked(card.link, face, title, card.lang)}</div>\n'
        return f"{self.pictures.shown(card.picture)}\n" if card.picture else ""

    # ----------------------------------------------------------------- what only we know

    def _chip(self, card: Card) -> str:
        if card.problem is not None:
            return '<span class="chip bad">problem</span>'
        kind, word = _CHIPS[card.state]
        if card.state is State.PUBLISHED and card.published:
            late = card.published.astimezone(self.zone).date() != card.date
            day = f"{markup.short_day(card.published.astimezone(self.zone).date())} " if late else ""
            shown = f"{word} {day}{markup.clock(card.published, self.zone)}"
        elif card.state is State.PLANNED:
            shown = f"{word} {markup.clock(card.due, self.zone)}"
        else:
            shown = word
        return f'<span class="chip {kind}">{shown}</span>'

    def _below(self, card: Card, face: Look, change: Change | None) -> str:
        parts = []
        if card.reason and card.state is not State.PUBLISHED:
            why = markup.localised(card.reason, self.zone)
            parts.append(f'<p class="reason">{escape(why)}</p>\n')
        parts.append(_counter(card))
        if change is not None and change.old_text is not None:
            words = markup.difference(change.old_text, card.text or "")
            shown = f'<div class="diff" lang="{escape(card.lang)}" dir="auto">{words}</div>'
            parts.append(markup.disclosure("What changed in the text", shown, opened=True))
        if card.left_out:
            gone = f'<p lang="{escape(card.lang)}" dir="auto"><del>{markup.text(card.left_out)}</del></p>'
            parts.append(markup.disclosure("Left out to fit", gone, kind="left-out"))
        if card.picture is not None:
            alt = f'<p lang="{escape(card.lang)}" dir="auto">{escape(card.picture.alt)}</p>'
            parts.append(markup.disclosure("Alt text of the picture", alt))
        if card.body is not None:
            line = f"<p><code>{escape(face.request(card.config))}</code></p>"
            size = markup.count(len(card.body), "byte")
            inner = line + markup.request(card.body)
            parts.append(markup.disclosure(f"The exact request, {size}", inner, kind="request"))
        there = card.url if card.state is not State.DELETED else None
        if there and urlsplit(there).scheme in {"http", "https"}:
            parts.append(f'<p class="out"><a href="{escape(there)}" rel="noreferrer">See it there</a></p>\n')
        return f'<footer class="ours">\n{"".join(parts)}</footer>\n'


def _face(card: Card) -> str:
    return f"net-{escape(card.config.network)}"


def _initial(name: str) -> str:
    return next((sign.upper() for sign in name if sign.isalnum()), "·")


def _linked(link: LinkCard, face: Look, title: str, lang: str) -> str:
    domain = f'<span class="domain">{escape(link.domain)}</span>'
    if link.title is None:
        return (
            f'<p>{domain}<b lang="{escape(lang)}" dir="auto">{escape(title)}</b>'
            f'<span class="quiet">{escape(face.name)} reads picture and description there.</span></p>'
        )
    described = f"<span>{escape(link.description)}</span>" if link.description else ""
    return f'<p lang="{escape(lang)}" dir="auto">{domain}<b>{escape(link.title)}</b>{described}</p>'


def _badges(change: Change | None) -> str:
    if change is None:
        return ""
    told = []
    if change.added:
        told.append("new")
    if change.moved_from is not None:
        told.append(f"moved from {markup.short_day(change.moved_from)}")
    if change.old_text is not None:
        told.append("text changed")
    if change.request:
        told.append("picture or card changed")
    if change.old_state is not None:
        told.append(f"was {escape(change.old_state)}")
    return f'<p class="badges">{"".join(f"<span>{one}</span>" for one in told)}</p>\n'


def _counter(card: Card) -> str:
    """How much of the limit is used: as a ring, and in numbers."""
    if card.length is None:
        return ""
    priced = f'<span class="quiet">${card.price.normalize():f}</span>' if card.price else ""
    shortened = '<span class="chip cut">shortened</span>' if card.left_out else ""
    if card.limit is None:
        return f'<p class="counter"><span>{card.length} characters</span>{shortened}{priced}</p>\n'
    share = min(100, round(100 * card.length / card.limit))
    kind = " narrow" if card.limit - card.length < _NARROW else ""
    return (
        f'<p class="counter"><svg class="ring{kind}" viewBox="0 0 20 20" aria-hidden="true">'
        '<circle cx="10" cy="10" r="8"/>'
        f'<circle class="used" cx="10" cy="10" r="8" pathLength="100" stroke-dasharray="{share} 100"/></svg>'
        f"<span>{card.length}/{card.limit}</span>{shortened}{priced}</p>\n"
    )
