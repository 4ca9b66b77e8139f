"""What the ledger answers with where the words of `model` do not suffice. Instants are aware and UTC."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.model import Delivery, Rendition, State

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
    """What an import needs to doubt: the instant (UTC) until which something may have been sent.

    `rendition` gives the bytes that would have been sent, or None when nothing of the delivery is, or ever
    will be, sent by the project as it is.
    """

    now: datetime
    rendition: Callable[[Delivery], Rendition | None]


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One event of a delivery. The states are None or equal where the event did not move it."""

    at: datetime
    from_state: State | None
    event: str
    to_state: State | None
    note: str | None
