"""The words of the model: the rules that can be broken, the network, and all there is at one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pipeline import delivery
from pipeline.delivery import ROOM, Event, NextStep
from pipeline.model import (
    AuthFailed,
    Delivery,
    Key,
    NotAccepted,
    Outcome,
    Published,
    RateLimited,
    Receipt,
    Rejected,
    State,
    Traits,
    Unknown,
)

TICK = ROOM  # the shortest span that matters: a stall of one tick stands for any that is shorter than ROOM
START = datetime(2016, 4, 11, 7, tzinfo=UTC)
NOTHING = -1
RESTS = frozenset({State.PUBLISHED, State.MISSED, State.HELD, State.CANCELLED})
WITHOUT_POST = frozenset({State.PLANNED, State.MISSED, State.HELD, State.CANCELLED})
OUTCOMES: dict[str, Outcome] = {
    "published": Published(Receipt("1", None, "digest")),
    "not accepted": NotAccepted("connection refused"),
    "rate limited": RateLimited(START, "too many requests"),
    "rejected": Rejected("a forbidden word"),
    "auth failed": AuthFailed("the token has expired"),
    "no answer": Unknown("timeout"),
}
REFUSALS = ("not accepted", "rejected")


def at(tick: int) -> datetime:
    return START + tick * TICK


@dataclass(frozen=True)
class Rules:
    """The protections, one a field. Every default is the real thing, or what the real ledger demands."""

    next_state: Callable[[State, Event], State | None] = delivery.next_state
    after: Callable[..., delivery.Step] = delivery.after
    settle: Callable[[Delivery, Traits, datetime], NextStep] = delivery.settle
    lease_length: Callable[[Traits], timedelta] = delivery.lease_length
    in_time: Callable[[Delivery, Traits, datetime], bool] = delivery.in_time
    same_request: Callable[[Delivery, Delivery], bool] = delivery.same_request
    claim_guarded: bool = True  # only what is planned can be claimed, only what is unknown repeated
    intent_first: bool = True  # the claim is on the disk before the first byte leaves
    refusal_needs_lease: bool = True  # who lost the lease may bring nothing but a receipt
    late_receipt_counts: bool = True  # and that is taken
    person_waits: bool = True  # "it is not there" is refused while a request may be under way


@dataclass(frozen=True, eq=False)
class World:
    """A network's traits and the horizon, in ticks."""

    key: Key
    lookup: bool = False
    timeout: int = 2
    settle: int = 2
    closes: int = 8
    stall: int = 1
    attempts: int = 3  # a fourth would add nothing but time
    runners: int = 2
    rules: Rules = field(default_factory=Rules)
    traits: Traits = field(init=False)

    def __post_init__(self) -> None:
        spans = {"timeout": self.timeout * TICK, "settle": self.settle * TICK}
        object.__setattr__(self, "traits", Traits(self.key, self.lookup, edit=False, delete=False, **spans))

    @property
    def lease(self) -> int:
        return self.rules.lease_length(self.traits) // TICK

    @property
    def horizon(self) -> int:
        """The last claim is before `closes`: by then its lease is over, and what it left is settled."""
        return self.closes + self.timeout + 1 + self.settle


class Row(NamedTuple):
    """The delivery in the ledger; instants in ticks. An attempt's number is its lease token as well."""

    state: State = State.PLANNED
    lease: int = 0  # 0: nobody's
    until: int = NOTHING
    sent: int = NOTHING
    attempts: int = 0


class Runner(NamedTuple):
    """A process: where it is, and all it remembers. A crash leaves `IDLE`."""

    pc: str = "idle"
    seen: int = NOTHING  # when it last looked at the clock
    attempt: int = 0
    repeated: bool = False
    knows: str = ""  # the outcome of its request, or what the read-back showed
    row: Row = Row()  # as it last read it


IDLE = Runner()


class Situation(NamedTuple):
    """All there is at one moment. Runners and requests are sorted: their order means nothing."""

    runners: tuple[Runner, ...]
    now: int = 0
    row: Row = Row()
    under_way: tuple[tuple[int, int], ...] = ()  # attempt, the last tick at which it may be taken
    posts: int = 0
    key_since: int = NOTHING  # when the network first took the key it knows
    forgotten: bool = False  # a receipt was brought and not kept
