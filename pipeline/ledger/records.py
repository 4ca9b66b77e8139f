"""What the ledger answers with where the words of `model` do not suffice. Instants are aware and UTC."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from pipeline.model import Delivery, DeliveryKey, Rendition, State

# The remote id of a post that a person vouched for: the network's own id is not known. A receipt that
# arrives later takes its place.
SAID_POSTED = "said-posted"


@dataclass(frozen=True, slots=True)
class CampaignRecord:
    """A campaign as the ledger knows it. `first_seen` never changes; `authority` neither, once frozen."""

    id: str
    first_seen: datetime
    authority: str | None


@dataclass(frozen=True, slots=True)
class Doubt:
    """What an import needs to doubt: something may have been sent from `since` until `now` (both UTC).

    `rendition` gives the bytes that would have been sent, or None when nothing of the delivery is, or ever
    will be, sent by the project as it is. `unsure` are those that may have been sent before they were due,
    since the files give them another day than the export.
    """

    now: datetime
    since: datetime
    rendition: Callable[[Delivery], Rendition | None]
    unsure: Collection[DeliveryKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Touched:
    """What has happened since an event: the number of the newest one, and the campaigns that have new ones.

    `replanned` are those of which something else happened than that posts were sent and entries released.
    """

    newest: int
    campaigns: frozenset[str] = frozenset()
    replanned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Counts:
    """How many deliveries are in each state (a state without any is left out), and how many releases."""

    deliveries: Mapping[State, int]
    releases: int


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One event of a delivery. The states are None or equal where the event did not move it."""

    at: datetime
    from_state: State | None
    event: str
    to_state: State | None
    note: str | None


@dataclass(frozen=True, slots=True)
class Ping:
    """A feed, as its hub is to know it: `topic` is the feed's address, `digest` that of its bytes.

    `changed` is when those bytes were first seen. The hub is told at or after `not_before`; None: it has been
    told, or, with a `reason`, was given up. `attempts` counts those begun since the change.
    """

    hub: str
    topic: str
    digest: str
    changed: datetime
    not_before: datetime | None
    attempts: int
    reason: str | None
