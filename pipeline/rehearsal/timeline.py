"""What happened in a rehearsal, in order: from the ledger's own events, of which `status` is made too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.delivery import Event
from pipeline.ledger import Ledger
from pipeline.model import Delivery, DeliveryKey, Release


class Kind(StrEnum):
    """What sort of thing happened, for whoever paints it."""

    RELEASED = "released"
    SENT = "sent"
    RETRIED = "retried"
    UNCERTAIN = "uncertain"
    ASKED = "asked a person"
    ANSWERED = "answered"
    MISSED = "missed"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened at an instant (UTC).

    `channel` is None for what happened in the feeds; the process itself has neither campaign nor entry.
    """

    at: datetime
    kind: Kind
    campaign: str | None
    entry: str | None
    channel: str | None
    text: str


# Of the ledger's events those that people want to see, in their words; the rest is bookkeeping.
_TOLD: dict[str, tuple[Kind, str]] = {
    Event.RECEIPT: (Kind.SENT, "published"),
    Event.LATE_RECEIPT: (Kind.SENT, "published: its receipt came late"),
    Event.FOUND: (Kind.SENT, "published: it was found at the network"),
    Event.NOT_ACCEPTED: (Kind.RETRIED, "not accepted, tried again later"),
    Event.RATE_LIMITED: (Kind.RETRIED, "sent away for now"),
    Event.REPEATED: (Kind.RETRIED, "asked again, with the same key and bytes"),
    Event.ABSENT: (Kind.RETRIED, "it is not there, so it goes out again"),
    Event.NO_ANSWER: (Kind.UNCERTAIN, "nobody knows whether it was taken"),
    Event.LEASE_EXPIRED: (Kind.UNCERTAIN, "the process ended while it was sending"),
    Event.REJECTED: (Kind.ASKED, "refused"),
    Event.AUTH_FAILED: (Kind.ASKED, "the login was refused"),
    Event.USED_UP: (Kind.ASKED, "given up after too many tries"),
    Event.GRACE_OVER: (Kind.MISSED, "missed"),
}


def timeline(
    ledger: Ledger,
    deliveries: Iterable[Delivery],
    releases: Iterable[Release],
    others: Iterable[Happening],
    tidy: Callable[[str], str],
) -> tuple[Happening, ...]:
    """Everything worth telling, by instant; `others` is what the ledger cannot know of.

    `tidy` takes out of a text what only this one run could know.
    """
    found: list[Happening] = [
        Happening(one.released, Kind.RELEASED, one.campaign, one.entry.id, None, "in the feeds")
        for one in releases
    ]
    for delivery in deliveries:
        found += _of(ledger, delivery, tidy)
    found += others
    # Stable: of one instant the feeds come first, then each delivery's own events in their order.
    return tuple(sorted(found, key=lambda one: one.at))


def _of(ledger: Ledger, delivery: Delivery, tidy: Callable[[str], str]) -> list[Happening]:
    key: DeliveryKey = delivery.key
    told = []
    for row in ledger.history(key):
        if row.event in _TOLD:
            kind, words = _TOLD[row.event]
            told.append(Happening(row.at, kind, *key, f"{words}: {tidy(row.note)}" if row.note else words))
    return told
