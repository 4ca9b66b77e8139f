"""How a delivery moves: the one TRANSITIONS table, the retry policy, and what to do about an uncertain send.

Pure: no I/O, no clock. The ledger refuses every step that is not in the table; the diagram in
docs/ARCHITECTURE.md is generated from it. Whatever cannot be classified is `unknown`, and `unknown` is
left only by evidence.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import assert_never

from pipeline.model import (
    AuthFailed,
    Delivery,
    DeliveryKey,
    Key,
    NoKey,
    NotAccepted,
    Outcome,
    PermanentKey,
    Published,
    RateLimited,
    Rejected,
    State,
    TimedKey,
    Traits,
    Unknown,
)


class Event(StrEnum):
    """What may happen to a delivery. The values are the words people read in history and in the diagram."""

    CLAIMED = "due and claimed"
    GRACE_OVER = "grace over"
    WITHDRAWN = "entry withdrawn, or no day left"
    RESTORED = "entry back in the plan"
    MOVED = "moved to a free day"
    RECEIPT = "receipt"
    LATE_RECEIPT = "late receipt"
    NOT_ACCEPTED = "not accepted"
    RATE_LIMITED = "rate limited"
    REJECTED = "rejected"
    AUTH_FAILED = "auth failed"
    USED_UP = "attempts used up"
    NO_ANSWER = "no answer"
    LEASE_EXPIRED = "lease expired"
    FOUND = "found"
    REPEATED = "key still valid with margin"
    ABSENT = "absent after settling"
    SAID_POSTED = "person: posted"
    SAID_NOT_POSTED = "person: not posted"
    RETRIED = "person retries"
    GIVEN_UP = "person gives up"
    RESTORED_OLD = "restored from an older export"
    EDITED = "edited"
    DELETED = "delete confirmed"


_NEVER = datetime.max.replace(tzinfo=UTC)

S, E = State, Event

TRANSITIONS: dict[tuple[State, Event], State] = {
    (S.PLANNED, E.CLAIMED): S.SENDING,
    (S.PLANNED, E.GRACE_OVER): S.MISSED,
    (S.PLANNED, E.WITHDRAWN): S.CANCELLED,
    (S.PLANNED, E.GIVEN_UP): S.CANCELLED,
    (S.SENDING, E.RECEIPT): S.PUBLISHED,
    (S.SENDING, E.NOT_ACCEPTED): S.PLANNED,
    (S.SENDING, E.RATE_LIMITED): S.PLANNED,
    (S.SENDING, E.REJECTED): S.HELD,
    (S.SENDING, E.AUTH_FAILED): S.HELD,
    (S.SENDING, E.USED_UP): S.HELD,
    (S.SENDING, E.NO_ANSWER): S.UNKNOWN,
    (S.SENDING, E.LEASE_EXPIRED): S.UNKNOWN,
    (S.UNKNOWN, E.FOUND): S.PUBLISHED,
    (S.UNKNOWN, E.REPEATED): S.SENDING,
    (S.UNKNOWN, E.ABSENT): S.PLANNED,
    (S.UNKNOWN, E.SAID_POSTED): S.PUBLISHED,
    (S.UNKNOWN, E.SAID_NOT_POSTED): S.PLANNED,
    (S.HELD, E.RETRIED): S.PLANNED,
    (S.HELD, E.GIVEN_UP): S.CANCELLED,
    (S.MISSED, E.RETRIED): S.PLANNED,
    (S.MISSED, E.MOVED): S.PLANNED,
    (S.MISSED, E.GIVEN_UP): S.CANCELLED,
    (S.CANCELLED, E.RESTORED): S.PLANNED,
    # What an export calls open may have been sent after it was made.
    (S.PLANNED, E.RESTORED_OLD): S.UNKNOWN,
    (S.HELD, E.RESTORED_OLD): S.UNKNOWN,
    (S.MISSED, E.RESTORED_OLD): S.UNKNOWN,
    (S.PUBLISHED, E.EDITED): S.PUBLISHED,
    (S.PUBLISHED, E.DELETED): S.DELETED,
    # A receipt is evidence whenever it comes, also for somebody who has lost the lease.
    (S.PLANNED, E.LATE_RECEIPT): S.PUBLISHED,
    (S.SENDING, E.LATE_RECEIPT): S.PUBLISHED,
    (S.UNKNOWN, E.LATE_RECEIPT): S.PUBLISHED,
    (S.HELD, E.LATE_RECEIPT): S.PUBLISHED,
    (S.MISSED, E.LATE_RECEIPT): S.PUBLISHED,
    (S.CANCELLED, E.LATE_RECEIPT): S.PUBLISHED,
}

# States in which a post is, or may be, at the network. A slot with one of these never moves.
GOT = frozenset({S.SENDING, S.UNKNOWN, S.HELD, S.PUBLISHED, S.DELETED})

WITHDRAWN_REASON = "withdrawn"  # marks a cancellation that the plan, not a person, made: it can be restored


def next_state(state: State, event: Event) -> State | None:
    """The state after `event`, or None when the table has no such step."""
    return TRANSITIONS.get((state, event))


def allowed_from(event: Event) -> frozenset[State]:
    """The states from which `event` is a step."""
    return frozenset(state for state, known in TRANSITIONS if known is event)


# --------------------------------------------------------------------------- after an attempt

MAX_ATTEMPTS = 20  # with the waits below, more than a late window of six hours: an outage asks nobody
FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(minutes=30)
ROOM = timedelta(seconds=5)  # what a process may lose before it sends, and to write the answer down


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient we are: what all who share a ledger must agree on.

    `first_wait` doubles up to `longest_wait`; after `attempts` refusals in a row a person is asked; `room` is
    what a lease gives beyond the request's own limit.
    """

    attempts: int = MAX_ATTEMPTS
    first_wait: timedelta = FIRST_WAIT
    longest_wait: timedelta = LONGEST_WAIT
    room: timedelta = ROOM


POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Step:
    """The event an outcome is, why, and the earliest instant (UTC) of the next try."""

    event: Event
    reason: str | None = None
    not_before: datetime | None = None


def after(
    outcome: Outcome, delivery: Delivery, now: datetime, *, repeated: bool = False, policy: Policy = POLICY
) -> Step:
    """What an outcome means for the delivery. `delivery.attempts` counts the one that has just ended.

    `repeated`: the request was sent again out of `unknown`. Then only a receipt is news: a refusal of the
    second request says nothing about the first, which may have been taken.
    """
    pause = now + wait_before_next(delivery.key, delivery.attempts, policy)
    match outcome:
        case Published():
            return Step(Event.RECEIPT)
        case RateLimited(until, detail) if repeated:
            again = max(pause, min(until, delivery.closes)) if until else pause
            return Step(Event.NO_ANSWER, f"repeated: {detail}", again)
        case NotAccepted(detail) | Rejected(detail) | AuthFailed(detail) if repeated:
            return Step(Event.NO_ANSWER, f"repeated: {detail}", pause)
        case NotAccepted(detail) if delivery.attempts >= policy.attempts:
            return Step(Event.USED_UP, f"not accepted {delivery.attempts} times; the last time: {detail}")
        case NotAccepted(detail):
            return Step(Event.NOT_ACCEPTED, detail, pause)
        case RateLimited(until, detail):
            # The network's own instant, never sooner; the slot's window still bounds it. Where it names none,
            # asking ever later: calls during a block lengthen it.
            again = max(until, now + policy.first_wait) if until else pause
            return Step(Event.RATE_LIMITED, detail, again)
        case Rejected(detail):
            return Step(Event.REJECTED, detail)
        case AuthFailed(detail):
            return Step(Event.AUTH_FAILED, detail)
        case Unknown(detail, until):
            # Once the window has closed nothing is repeated: no network may keep a person from being asked.
            return Step(Event.NO_ANSWER, detail, max(pause, min(until, delivery.closes)) if until else pause)
        case _ as never:
            assert_never(never)


def wait_before_next(key: DeliveryKey | str, attempts: int, policy: Policy = POLICY) -> timedelta:
    """Doubling from the first wait to the longest, spread by up to a quarter.

    The spread comes from the key, not from chance: a rehearsal shows the very instants of the real run.
    """
    wait = min(policy.first_wait * (1 << min(max(attempts - 1, 0), 16)), policy.longest_wait)
    spread = hashlib.sha256(f"{key}#{attempts}".encode()).digest()[0] / 255
    return wait * (1 + spread / 4)


# --------------------------------------------------------------------------- out of `unknown`


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send the identical request again: the network knows the key."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """Read back. `believe_absence`: whether finding nothing is evidence yet."""

    believe_absence: bool


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing to do before `instant`."""

    instant: datetime


@dataclass(frozen=True, slots=True)
class AskPerson:
    """The network offers no evidence: only a person can look."""


NextStep = Repeat | LookUp | WaitUntil | AskPerson


def settle(delivery: Delivery, traits: Traits, now: datetime, policy: Policy = POLICY) -> NextStep:
    """How an unknown delivery may be settled at `now`. Raises ValueError for any other state.

    A timed key is tested here and leads straight to `sending`: through the queue its window could close.
    The margin is the whole lease of the repeat, since the request may begin as late as `in_time` allows.
    Once the delivery's own window has closed nothing is repeated: should the first request have been
    lost, the repeat would post too late.
    """
    if delivery.state is not State.UNKNOWN or delivery.sent_at is None:
        raise ValueError(f"{delivery.key} is {delivery.state}: there is nothing to settle")
    over = max(delivery.sent_at + traits.timeout, delivery.lease_until or delivery.sent_at)
    if now < over:
        return WaitUntil(over)  # the first request may still be under way
    if delivery.not_before and now < delivery.not_before:
        return WaitUntil(delivery.not_before)
    ends = min(_key_ends(traits.key, delivery.sent_at, policy), delivery.closes)
    if now + lease_length(traits, policy) <= ends:
        return Repeat()
    if traits.lookup:
        return LookUp(believe_absence=now >= over + traits.settle)
    return AskPerson()


def _key_ends(key: Key, sent_at: datetime, policy: Policy) -> datetime:
    """Until when (UTC) a repeat may rely on the key of a request first sent at `sent_at`."""
    match key:
        case PermanentKey():
            return _NEVER
        case TimedKey(window):
            return sent_at + window - policy.room  # for a stall after the last look at the clock
        case NoKey():
            return sent_at
        case _ as never:
            assert_never(never)


def lease_length(traits: Traits, policy: Policy = POLICY) -> timedelta:
    """How long a claim lasts: the hard limit of the request, and room around it."""
    return traits.timeout + policy.room


def in_time(claimed: Delivery, traits: Traits, now: datetime) -> bool:
    """Whether a request that begins at `now` is over before its lease is.

    The last look before the first byte. Once a lease is over others settle the delivery, and rely on
    nothing being under way any more.
    """
    return claimed.lease_until is not None and now + traits.timeout <= claimed.lease_until


def same_request(one: Delivery, other: Delivery) -> bool:
    """Whether both speak of the same latest request: what was learnt about one holds for the other."""
    return (one.attempts, one.sent_at, one.lease_until) == (other.attempts, other.sent_at, other.lease_until)


# --------------------------------------------------------------------------- what a plan changes


@dataclass(frozen=True, slots=True)
class Create:
    """A delivery the ledger has not seen. One that was due before it was first seen is born `missed`."""

    key: DeliveryKey
    network: str
    date: date
    due: datetime
    closes: datetime
    state: State = State.PLANNED
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A delivery gets another day or instant. `event` is None when it was planned and stays planned.

    Applies only if the delivery is still as `was` saw it.
    """

    was: Delivery
    event: Event | None
    date: date
    due: datetime
    closes: datetime


@dataclass(frozen=True, slots=True)
class Withdraw:
    """A planned delivery is no longer wanted. Applies only if it is still as `was` saw it."""

    was: Delivery


Change = Create | Place | Withdraw
