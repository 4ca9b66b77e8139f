"""The rules let nothing out twice and lose nothing; and without any one of them a walk shows the fault.

The first half walks the real rules for every kind of key. The second breaks one protection at a time, and
must find what that protection prevents. To read how far each walk went and how each fault comes about:
`pytest tests/model/test_model.py -rP --log-level=INFO`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline import delivery
from pipeline.delivery import TRANSITIONS, AskPerson, Event, LookUp, NextStep, Repeat, Step, WaitUntil
from pipeline.model import Delivery, NoKey, Outcome, PermanentKey, State, TimedKey, Traits, Unknown
from tests.model.situation import OUTCOMES, REFUSALS, RESTS, TICK, Rules, World, at
from tests.model.walk import Walk, walk

log = logging.getLogger(__name__)

# A timed key that closes while the delivery's own window is still open, and is open for one repeat.
WINDOW = 5 * TICK
PERMANENT = World(PermanentKey(), timeout=1, closes=5, attempts=2)
TIMED = World(TimedKey(WINDOW), timeout=1, closes=7, attempts=2)
LOOKUP = World(NoKey(), lookup=True, timeout=1, closes=5, attempts=3)
NOTHING = World(NoKey(), timeout=1, closes=4, attempts=2)
SLOW = World(NoKey(), lookup=True, timeout=2, settle=1, closes=5, stall=0, attempts=2)

# What must be found at the least, so that a walk cannot become empty without anybody noticing.
CLASSES = {
    "permanent key": (PERMANENT, 20_000),
    "timed key": (replace(TIMED, closes=6), 25_000),
    "timed key and lookup": (replace(TIMED, closes=6, lookup=True), 25_000),
    "lookup only": (LOOKUP, 20_000),
    "lookup only, slow network that settles at once": (SLOW, 8_000),
    "neither key nor lookup": (NOTHING, 8_000),
}


@pytest.mark.parametrize(("world", "least"), CLASSES.values(), ids=CLASSES)
def test_nothing_twice_and_nothing_lost(world: World, least: int) -> None:
    done = walk(world)
    log.info("%s situations", done.situations)
    assert done.violation is None, shown(done)
    assert not done.stuck, "it can never come to rest:\n" + "\n".join(done.stuck)
    assert done.situations >= least, f"the walk has seen {done.situations} situations only"


def shown(done: Walk) -> str:
    return f"{done.violation}, after\n" + "\n".join(done.trace)


# --------------------------------------------------------------------------- each protection is needed


def table(*changed: tuple[State, Event, State]) -> Callable[[State, Event], State | None]:
    """TRANSITIONS with other ends for some steps."""
    broken = {**TRANSITIONS, **{(state, event): to for state, event, to in changed}}
    return lambda state, event: broken.get((state, event))


def probably_failed(outcome: Outcome, ended: Delivery, now: datetime, *, repeated: bool) -> Step:
    step = delivery.after(outcome, ended, now, repeated=repeated)
    return Step(Event.NOT_ACCEPTED) if isinstance(outcome, Unknown) else step


def a_refusal_is_a_refusal(outcome: Outcome, ended: Delivery, now: datetime, *, repeated: bool) -> Step:
    return delivery.after(outcome, ended, now)


def without_settling(row: Delivery, traits: Traits, now: datetime) -> NextStep:
    step = delivery.settle(row, traits, now)
    return LookUp(believe_absence=True) if isinstance(step, LookUp) else step


def without_waiting(row: Delivery, traits: Traits, now: datetime) -> NextStep:
    """As soon as no answer came, although the request may still be on its way."""
    step = delivery.settle(row, traits, now)
    return LookUp(believe_absence=True) if isinstance(step, WaitUntil | LookUp) else step


def without_margin(row: Delivery, traits: Traits, now: datetime) -> NextStep:
    step = delivery.settle(row, traits, now)
    assert isinstance(traits.key, TimedKey)
    assert row.sent_at is not None
    open_still = now <= min(row.sent_at + traits.key.window, row.closes)
    return Repeat() if open_still and isinstance(step, AskPerson) else step


def without_room_for_stalls(row: Delivery, traits: Traits, now: datetime) -> NextStep:
    """The margin is the lease, and not the stall after the last look at the clock."""
    assert isinstance(traits.key, TimedKey)
    wider = replace(traits, key=TimedKey(traits.key.window + delivery.ROOM))
    return delivery.settle(row, wider, now)


def believing(key: PermanentKey | TimedKey) -> Callable[..., NextStep]:
    """As if the network had a better key than it has."""
    return lambda row, traits, now: delivery.settle(row, replace(traits, key=key), now)


def until_the_lease_ends(claimed: Delivery, traits: Traits, now: datetime) -> bool:
    return claimed.lease_until is not None and now < claimed.lease_until


def always(*_: Any) -> bool:
    return True


def a_lease_shorter_than_the_request(traits: Traits) -> timedelta:
    return TICK


@dataclass(frozen=True)
class Broken:
    """A protection taken away, and the network on which it is missed."""

    world: World
    changed: dict[str, Any]
    finds: str = "duplicate"

    def walk(self) -> Walk:
        return walk(replace(self.world, rules=replace(Rules(), **self.changed)), self.finds)


ALONE = replace(TIMED, runners=1, attempts=3)  # one process is enough to break the rules of a timed key
PROTECTIONS = {
    "a stuck `sending` never goes back to the queue": Broken(
        NOTHING, {"next_state": table((State.SENDING, Event.LEASE_EXPIRED, State.PLANNED))}
    ),
    "no answer never leads back to the queue": Broken(
        NOTHING, {"next_state": table((State.SENDING, Event.NO_ANSWER, State.PLANNED))}
    ),
    "what cannot be classified is unknown, never probably failed": Broken(
        NOTHING, {"after": probably_failed}
    ),
    "absence is believed only after settling": Broken(LOOKUP, {"settle": without_settling}),
    "absence is not believed while the request may be under way": Broken(LOOKUP, {"settle": without_waiting}),
    "a read-back from before a newer request says nothing about it": Broken(LOOKUP, {"same_request": always}),
    "a timed key is never used through the queue": Broken(
        ALONE, {"next_state": table((State.UNKNOWN, Event.REPEATED, State.PLANNED))}
    ),
    "a timed key is used with a margin": Broken(ALONE, {"settle": without_margin}),
    "the margin of a timed key covers a stall": Broken(ALONE, {"settle": without_room_for_stalls}),
    "a timed key is not taken for a permanent one": Broken(ALONE, {"settle": believing(PermanentKey())}),
    "without a key nothing is repeated": Broken(NOTHING, {"settle": believing(TimedKey(WINDOW))}),
    "a refused repeat says nothing about the first request": Broken(ALONE, {"after": a_refusal_is_a_refusal}),
    "who has stalled looks at its lease before it sends": Broken(LOOKUP, {"in_time": always}),
    "a request that would outlive its lease is not begun": Broken(SLOW, {"in_time": until_the_lease_ends}),
    "a stalled repeat of a timed key is not begun": Broken(
        World(TimedKey(7 * TICK), closes=7, runners=1), {"in_time": until_the_lease_ends}
    ),
    "a lease is longer than the request it covers": Broken(
        SLOW,
        {"lease_length": a_lease_shorter_than_the_request, "in_time": until_the_lease_ends},
    ),
    "only one claims": Broken(NOTHING, {"claim_guarded": False}),
    "intent is durable before the first byte": Broken(NOTHING, {"intent_first": False}),
    "a refusal counts only under the lease": Broken(LOOKUP, {"refusal_needs_lease": False}),
    "nobody can say `not posted` while the request may be under way": Broken(
        NOTHING, {"person_waits": False}
    ),
    "a late receipt is evidence": Broken(
        NOTHING, {"late_receipt_counts": False}, finds="a receipt was forgotten"
    ),
}


@pytest.mark.parametrize("broken", PROTECTIONS.values(), ids=PROTECTIONS)
def test_without_this_protection_the_walk_finds_the_fault(broken: Broken) -> None:
    done = broken.walk()
    assert done.violation == broken.finds, f"{done.situations} situations, and no fault"
    log.info(shown(done))


def test_every_rule_of_the_model_is_broken_by_some_variant() -> None:
    changed = {name for broken in PROTECTIONS.values() for name in broken.changed}
    assert changed == {field.name for field in fields(Rules)}


def test_a_shortest_trace_tells_how_the_duplicate_comes_about() -> None:
    """What most schedulers do to a stuck send."""
    stuck = PROTECTIONS["a stuck `sending` never goes back to the queue"].walk()
    told = iter(line[3:] for line in stuck.trace)
    for step in (
        "claims as attempt 1",
        "the lease expires",
        "claims as attempt 2",
        "sends request 1",
        "sends request 2",
        "the network takes request 2",
    ):
        assert any(line.startswith(step) for line in told), shown(stuck)


# --------------------------------------------------------------------------- what the model leaves out


def test_the_refusals_that_are_left_out_go_the_way_of_those_that_are_walked() -> None:
    """Rate limits and failed logins would only multiply the situations."""
    alike = {"rate limited": "not accepted", "auth failed": "rejected"}
    assert set(OUTCOMES) - {"published", "no answer"} == set(alike) | set(REFUSALS)
    row = Delivery(
        delivery_key(),
        "x",
        State.SENDING,
        at(0).date(),
        at(0),
        at(9),
        attempts=1,
        lease_until=at(2),
        sent_at=at(0),
    )
    for left_out, walked in alike.items():
        for repeated in (False, True):
            ends = [
                delivery.next_state(
                    State.SENDING, delivery.after(OUTCOMES[name], row, at(1), repeated=repeated).event
                )
                for name in (left_out, walked)
            ]
            assert ends[0] is ends[1]


def delivery_key() -> Any:
    return delivery.DeliveryKey("lille", "ouistock", "x")


def test_what_rests_is_left_only_by_a_person_or_the_plan_or_as_published() -> None:
    """So the walk may end there. What a person retries starts as a first request does: nothing is there."""
    allowed = {Event.RETRIED, Event.MOVED, Event.RESTORED, Event.GIVEN_UP, Event.LATE_RECEIPT}
    allowed |= {Event.EDITED, Event.DELETED}
    allowed |= {Event.RESTORED_OLD}  # no step of a ledger in use: an older one has taken its place
    assert {event for state, event in TRANSITIONS if state in RESTS} <= allowed
