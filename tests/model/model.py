"""Everything that can happen to one delivery between two processes and a network, state by state.

The decisions are those of `pipeline.delivery` itself: its table, `after`, `settle`, `lease_length`, `in_time`
and `same_request`. What the ledger guards in SQL is written down here once more; the stateful test holds the
real ledger to it. `Rules` holds all of them, so that a test can break one and watch what happens.

Two runners read, claim, look at the clock, send, and record. Each may stall or crash between any two of its
steps. The network takes a request when it likes within the request's timeout, refuses it or loses it, and its
reply may be lost too. A person who looks at the account answers for what is unknown.

What is assumed, and nothing more:

- no process stalls for `World.stall` ticks or longer between its last look at the clock and its first byte;
- what a network accepts, it accepts within the timeout of the request, and a read-back shows it;
- a timed key is known for at least its window; a person looks after settling, and tells the truth.

Pauses before a next try (`not_before`) are left out: they make a runner wait, and any may wait anyhow.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache

from pipeline.delivery import AskPerson, Event, LookUp, NextStep, Repeat
from pipeline.model import Delivery, DeliveryKey, NoKey, PermanentKey, Published, State, TimedKey
from tests.model.situation import (
    IDLE,
    NOTHING,
    OUTCOMES,
    REFUSALS,
    RESTS,
    START,
    WITHOUT_POST,
    Row,
    Runner,
    Situation,
    World,
    at,
)

Steps = Iterator[tuple[str, Situation]]


def steps(world: World, now: Situation) -> Steps:
    """Everything that may happen next, each with its name."""
    for name, then in _all_steps(world, now):
        yield name, _without_idle_talk(world, then)


def _without_idle_talk(world: World, now: Situation) -> Situation:
    """A runner that can change nothing any more is as good as idle: this keeps the walk short."""
    rules = world.rules
    runners = []
    for runner in now.runners:
        lost = runner.pc == "answered" and runner.knows != "published" and now.row.lease != runner.attempt
        over = runner.pc in ("claiming", "repeating", "looked") and now.row.state in RESTS
        runners.append(
            IDLE if (lost and rules.refusal_needs_lease) or (over and rules.claim_guarded) else runner
        )
    return now._replace(runners=tuple(sorted(runners)))


def _all_steps(world: World, now: Situation) -> Steps:
    idle = set(now.runners) == {IDLE} and not now.under_way
    if not (idle and now.row.state in RESTS) and now.now < world.horizon:
        under_way = tuple(one for one in now.under_way if one[1] > now.now)
        late = [one for one in now.under_way if one not in under_way]
        then = now._replace(now=now.now + 1, under_way=under_way)
        yield "time passes", _answered(then, [attempt for attempt, _ in late], "no answer")
    yield from _ledger_alone(world, now)
    yield from _person(world, now)
    yield from _network(world, now)
    for index, runner in enumerate(now.runners):
        others = now.runners[:index] + now.runners[index + 1 :]
        for name, then, what in _runner(world, now, runner):
            yield name, what._replace(runners=tuple(sorted((then, *others))))
        if runner != IDLE:
            yield f"crash while {runner.pc}", now._replace(runners=tuple(sorted((IDLE, *others))))


def violation(now: Situation) -> str | None:
    """What must never be."""
    if now.posts > 1:
        return "duplicate"
    if now.row.state is State.PUBLISHED and not now.posts:
        return "published, and nothing is there"
    if now.row.state in WITHOUT_POST and (now.posts or now.under_way):
        return f"{now.row.state}, and the network has it or may still take it"
    return "a receipt was forgotten" if now.forgotten else None


def at_rest(world: World, now: Situation) -> bool:
    """It has come to its end, or a person has been asked."""
    if now.row.state is State.UNKNOWN:
        return isinstance(_next(world, now.row, now.now), AskPerson)
    return now.row.state in RESTS


# --------------------------------------------------------------------------- ledger, person, network


def _moved(world: World, row: Row, event: Event, **changes: int) -> Row | None:
    """As the ledger moves: along the table, and the lease only outlives `sending`."""
    to = world.rules.next_state(row.state, event)
    if to is None:
        return None
    row = row._replace(state=to, **changes)
    if to is not State.SENDING:
        row = row._replace(lease=0)
    return row if to in (State.SENDING, State.UNKNOWN) else row._replace(until=NOTHING)


def _ledger_alone(world: World, now: Situation) -> Steps:
    if now.row.state is State.SENDING and now.now >= now.row.until:
        row = _moved(world, now.row, Event.LEASE_EXPIRED)
        if row is not None:
            yield "the lease expires", now._replace(row=row)
    if now.row.state is State.PLANNED and now.now >= world.closes:
        row = _moved(world, now.row, Event.GRACE_OVER)
        if row is not None:
            yield "the window closes", now._replace(row=row)


def _person(world: World, now: Situation) -> Steps:
    waits = world.rules.person_waits and now.now < now.row.until + world.settle
    if now.row.state is not State.UNKNOWN or (waits and not now.posts):
        return
    event = Event.SAID_POSTED if now.posts else Event.SAID_NOT_POSTED
    row = _moved(world, now.row, event)
    if row is not None:
        yield event.value, now._replace(row=row)


def _network(world: World, now: Situation) -> Steps:
    for one in now.under_way:
        attempt = one[0]
        ended = now._replace(under_way=tuple(other for other in now.under_way if other != one))
        taken = _taken(world, ended)
        yield f"request {attempt} is lost", _answered(ended, [attempt], "no answer")
        yield (
            f"the network takes request {attempt}, its reply is lost",
            _answered(taken, [attempt], "no answer"),
        )
        if any(runner.pc == "waiting" and runner.attempt == attempt for runner in now.runners):
            yield (
                f"the network takes request {attempt}, its reply arrives",
                _answered(taken, [attempt], "published"),
            )
            for refusal in REFUSALS:
                yield (
                    f"the network refuses request {attempt}: {refusal}",
                    _answered(ended, [attempt], refusal),
                )


def _answered(now: Situation, attempts: list[int], knows: str) -> Situation:
    """Whoever waits for one of these requests learns how it ended, and may not get round to it for long."""
    runners = (
        runner._replace(pc="answered", knows=knows)
        if runner.pc == "waiting" and runner.attempt in attempts
        else runner
        for runner in now.runners
    )
    return now._replace(runners=tuple(sorted(runners)))


def _taken(world: World, now: Situation) -> Situation:
    known = now.key_since != NOTHING
    match world.key:
        case PermanentKey():
            pass
        case TimedKey(window):
            known = known and at(now.now) <= at(now.key_since) + window
        case NoKey():
            known = False
    return now if known else now._replace(posts=now.posts + 1, key_since=now.now)


# --------------------------------------------------------------------------- a runner


def _runner(world: World, now: Situation, runner: Runner) -> Iterator[tuple[str, Runner, Situation]]:
    """The steps of `dispatch`, in its order."""
    match runner.pc:
        case "idle":
            yield from _reads(world, now)
        case "claiming" | "repeating":
            yield from _claims(world, now, runner)
        case "claimed":
            yield _looks_at_the_clock(world, now, runner)
        case "sending" if now.now - runner.seen <= world.stall:
            sent = (runner.attempt, now.now + world.timeout)
            under_way = tuple(sorted((*now.under_way, sent)))
            waiting = runner._replace(pc="waiting", seen=NOTHING, row=Row())
            yield f"sends request {runner.attempt}", waiting, now._replace(under_way=under_way)
        case "waiting":
            given_up = runner._replace(pc="answered", knows="no answer")
            yield f"gives up waiting for the reply to {runner.attempt}", given_up, now
        case "answered":
            yield _records(world, now, runner)
        case "looked":
            yield _records_look(world, now, runner)


def _reads(world: World, now: Situation) -> Iterator[tuple[str, Runner, Situation]]:
    if now.row.state is State.PLANNED and now.now < world.closes:
        yield "reads that it is due", Runner("claiming", seen=now.now), now
    if now.row.state is not State.UNKNOWN:
        return
    match _next(world, now.row, now.now):
        case Repeat():
            yield "decides to repeat", Runner("repeating", seen=now.now), now
        case LookUp(believe_absence):
            if now.posts or believe_absence:
                knows = "found" if now.posts else "absent"
                yield f"reads back: {knows}", Runner("looked", knows=knows, row=now.row), now


def _claims(world: World, now: Situation, runner: Runner) -> Iterator[tuple[str, Runner, Situation]]:
    """The instants are those of the look that decided it, however long ago that was."""
    repeated = runner.pc == "repeating"
    if now.row.attempts == world.attempts:
        return
    attempt, until = now.row.attempts + 1, runner.seen + world.lease
    event = Event.REPEATED if repeated else Event.CLAIMED
    sent = now.row.sent if repeated else runner.seen
    over = not repeated or now.row.until <= runner.seen
    row = _moved(world, now.row, event, lease=attempt, until=until, sent=sent, attempts=attempt)
    if (row is None or not over) and world.rules.claim_guarded:
        yield "loses the race", IDLE, now
    elif row is not None and row.state is not State.SENDING:
        yield "puts it into the queue instead", IDLE, now._replace(row=row)
    else:
        row = row or Row(State.SENDING, attempt, until, sent, attempt)
        claimed = Runner("claimed", attempt=attempt, repeated=repeated, row=row)
        kept = now._replace(row=row) if world.rules.intent_first else now
        yield f"{'repeats' if repeated else 'claims'} as attempt {attempt}", claimed, kept


def _looks_at_the_clock(world: World, now: Situation, runner: Runner) -> tuple[str, Runner, Situation]:
    if world.rules.in_time(_delivery(world.closes, runner.row), world.traits, at(now.now)):
        return "looks at the clock: in time", runner._replace(pc="sending", seen=now.now, row=Row()), now
    stalled = runner._replace(pc="answered", knows="not accepted", row=Row())
    return "looks at the clock: too late, sends nothing", stalled, now


def _records(world: World, now: Situation, runner: Runner) -> tuple[str, Runner, Situation]:
    name = f"records attempt {runner.attempt}: {runner.knows}"
    outcome = OUTCOMES[runner.knows]
    receipt = isinstance(outcome, Published)
    if now.row.lease == runner.attempt or not (receipt or world.rules.refusal_needs_lease):
        event = _event(world, runner.knows, now.row, runner.repeated)
    elif receipt and world.rules.late_receipt_counts:
        event = Event.LATE_RECEIPT
    else:
        return f"{name}, without the lease", IDLE, now._replace(forgotten=_lost(receipt, now.row))
    row = _moved(world, now.row, event) or now.row
    return name, IDLE, now._replace(row=row, forgotten=_lost(receipt, row))


def _lost(receipt: bool, row: Row) -> bool:
    return receipt and row.state is not State.PUBLISHED


def _records_look(world: World, now: Situation, runner: Runner) -> tuple[str, Runner, Situation]:
    name = f"records the read-back: {runner.knows}"
    closes = world.closes
    if runner.knows == "absent" and not (
        now.row.state is State.UNKNOWN
        and world.rules.same_request(_delivery(closes, now.row), _delivery(closes, runner.row))
    ):
        return "the read-back is out of date", IDLE, now
    event = Event.FOUND if runner.knows == "found" else Event.ABSENT
    return name, IDLE, now._replace(row=_moved(world, now.row, event) or now.row)


@cache
def _delivery(closes: int, row: Row) -> Delivery:
    return Delivery(
        key=DeliveryKey("lille", "ouistock", "x"),
        network="x",
        state=row.state,
        date=date(2016, 4, 11),
        due=START,
        closes=at(closes),
        attempts=row.attempts,
        lease=str(row.lease) if row.lease else None,
        lease_until=None if row.until == NOTHING else at(row.until),
        sent_at=None if row.sent == NOTHING else at(row.sent),
    )


@cache
def _next(world: World, row: Row, tick: int) -> NextStep:
    return world.rules.settle(_delivery(world.closes, row), world.traits, at(tick))


@cache
def _event(world: World, knows: str, row: Row, repeated: bool) -> Event:
    ended = _delivery(world.closes, row)
    return world.rules.after(OUTCOMES[knows], ended, at(row.sent), repeated=repeated).event
