"""What a storyboard remembers of itself, and what is new since an earlier one.

The record is stable: sorted, without the instant at which it was made, and without anything that a server
names itself. Cards are known again by campaign, entry and channel, whatever day they stand on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import WrongUse
from pipeline.model import DeliveryKey
from pipeline.report import iso
from pipeline.storyboard.cards import Card, Day
from pipeline.storyboard.script import Script

PLAN, REHEARSAL = "plan", "rehearsal"


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _CardRecord(_Read):
    channel: str
    text: str | None
    digest: str | None
    alt: str | None = None
    state: str


class _DayRecord(_Read):
    date: date
    entry: str
    title: str
    cards: tuple[_CardRecord, ...]


class _CampaignRecord(_Read):
    id: str
    days: tuple[_DayRecord, ...]


class _Record(_Read):
    version: Literal[1]
    made_from: str
    campaigns: tuple[_CampaignRecord, ...]


@dataclass(frozen=True, slots=True)
class Old:
    """A card of an earlier storyboard."""

    date: date
    title: str
    text: str | None
    digest: str | None
    alt: str | None
    state: str


@dataclass(frozen=True, slots=True)
class Before:
    """An earlier storyboard: its cards, the campaigns it showed, whether it was of a plan or a rehearsal."""

    cards: Mapping[DeliveryKey, Old]
    campaigns: frozenset[str]
    made_from: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is new about a card: all of it, its day, its text, its request only, its end."""

    added: bool = False
    moved_from: date | None = None
    old_text: str | None = None
    request: bool = False
    old_state: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new in a storyboard. `compared` is false when there was none before."""

    compared: bool = False
    cards: Mapping[DeliveryKey, Change] = field(default_factory=dict)
    gone: Mapping[DeliveryKey, Old] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """How many cards are new, gone, and changed in which way."""
        changes = self.cards.values()
        return {
            "added": sum(one.added for one in changes),
            "removed": len(self.gone),
            "moved": sum(one.moved_from is not None for one in changes),
            "text": sum(one.old_text is not None for one in changes),
            "request": sum(one.request for one in changes),
            "state": sum(one.old_state is not None for one in changes),
        }


def made_from(script: Script) -> str:
    """What a storyboard of the script is made from: the word its record has for it."""
    return PLAN if script.played is None else REHEARSAL


# --------------------------------------------------------------------------- writing


def record(script: Script, told: Mapping[str, tuple[Day, ...]]) -> bytes:
    """The record of a storyboard, with its days by campaign."""
    document = {
        "version": 1,
        "made_from": made_from(script),
        "campaigns": [
            {
                "id": story.campaign.id,
                "title": story.campaign.title,
                "days": [_day(day) for day in told[story.campaign.id]],
            }
            for story in script.stories
        ],
    }
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode(errors="replace")


def _day(day: Day) -> dict[str, Any]:
    return {
        "date": day.slot.date.isoformat(),
        "entry": day.slot.entry,
        "title": day.entry.title if day.entry else day.slot.entry,
        "days_left": day.slot.days_left,
        "cards": [_card(card) for card in day.cards],
    }


def _card(card: Card) -> dict[str, Any]:
    return {
        "channel": card.key.channel,
        "network": card.config.network,
        "due": iso(card.due),
        "state": str(card.state),
        "text": card.text,
        "length": card.length,
        "limit": card.limit,
        "left_out": card.left_out,
        "digest": card.digest,
        "alt": card.alt,
        "problem": card.problem,
    }


# --------------------------------------------------------------------------- reading and comparing


def earlier(path: Path, *, asked: bool) -> Before | None:
    """The storyboard that left this record. None when there is none, or none that can be read.

    When a person `asked` for this very file, WrongUse is raised instead.
    """
    try:
        read = _Record.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        if asked:
            hint = "Name the storyboard.json that lies beside an earlier storyboard."
            raise WrongUse(f"{path} is not the record of a storyboard", hint=hint) from error
        return None
    return Before(
        cards=dict(_cards(read)),
        campaigns=frozenset(campaign.id for campaign in read.campaigns),
        made_from=read.made_from,
    )


def _cards(read: _Record) -> Iterator[tuple[DeliveryKey, Old]]:
    for campaign in read.campaigns:
        for day in campaign.days:
            for card in day.cards:
                key = DeliveryKey(campaign.id, day.entry, card.channel)
                yield key, Old(day.date, day.title, card.text, card.digest, card.alt, card.state)


def compare(before: Before | None, script: Script, told: Mapping[str, tuple[Day, ...]]) -> Changes:
    """What is new. Campaigns that the earlier storyboard did not show have nothing to be compared with."""
    if before is None:
        return Changes()
    shown = before.campaigns & told.keys()
    same_kind = before.made_from == made_from(script)
    found: dict[DeliveryKey, Change] = {}
    seen = set()
    for campaign in sorted(shown):
        for card in (card for day in told[campaign] for card in day.cards):
            seen.add(card.key)
            change = _change(before.cards.get(card.key), card, states=same_kind)
            if change != Change():
                found[card.key] = change
    gone = {key: old for key, old in before.cards.items() if key.campaign in shown and key not in seen}
    return Changes(compared=bool(shown), cards=found, gone=gone)


def _change(old: Old | None, card: Card, *, states: bool) -> Change:
    if old is None:
        return Change(added=True)
    moved = old.date != card.date
    rewritten = old.text != card.text
    # A picture that came or went changes the request itself; older records do not know the words.
    reworded = None not in (old.alt, card.alt) and old.alt != card.alt
    return Change(
        moved_from=old.date if moved else None,
        old_text=(old.text or "") if rewritten else None,
        request=not moved and not rewritten and (reworded or old.digest != card.digest),
        old_state=old.state if states and old.state != card.state else None,
    )
