"""The waits are a value: whoever shares a ledger may agree on others, and every wait follows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from pipeline.clock import VirtualClock
from pipeline.delivery import (
    POLICY,
    AskPerson,
    Create,
    Event,
    Policy,
    Repeat,
    after,
    lease_length,
    settle,
    wait_before_next,
)
from pipeline.dispatch import Dispatcher
from pipeline.ledger import open_ledger
from pipeline.library import Library
from pipeline.model import DeliveryKey, NoKey, NotAccepted, RateLimited, State, TimedKey
from tests.support.builders import make_campaign, make_entries, utc
from tests.support.channels import PERMANENT, FaultyChannel, no_answer, not_accepted, rate_limited

SECOND = timedelta(seconds=1)
DUE = utc(2016, 4, 11, 7)
KEY = DeliveryKey("lille", "a", "outbox")
HASTY = Policy(attempts=2, first_wait=SECOND, longest_wait=4 * SECOND, room=2 * SECOND)
CANNOT_TELL = replace(PERMANENT, key=NoKey())


@pytest.fixture
def ledger():
    with open_ledger("sqlite://", now=DUE) as opened:
        opened.adopt("lille", DUE)
        create = Create(KEY, "outbox", date(2016, 4, 11), DUE, DUE + timedelta(hours=6))
        opened.apply_plan("lille", (), [create], DUE)
        yield opened


def look(ledger, channel, policy=HASTY, now=DUE):
    """One look of a dispatcher; the delivery after it."""
    library = Library(make_entries("a"), {"lille": make_campaign()}, ())
    Dispatcher(ledger, VirtualClock(now), lambda *_: channel, workers=0, policy=policy).start(library)
    return ledger.delivery(KEY)


def failing(fault, traits=PERMANENT):
    channel = FaultyChannel(traits=traits, clock=VirtualClock(DUE))
    channel.fail("publish", fault)
    return channel


@pytest.mark.parametrize("policy", [HASTY, POLICY], ids=["hasty", "of production"])
def test_a_lease_has_the_room_of_the_policy(ledger, policy):
    sent = look(ledger, failing(no_answer(accepted=True)), policy)
    assert sent.lease_until - DUE == PERMANENT.timeout + policy.room == lease_length(PERMANENT, policy)


@pytest.mark.parametrize("policy", [HASTY, POLICY], ids=["hasty", "of production"])
@pytest.mark.parametrize("fault", [not_accepted(), no_answer(accepted=False)], ids=["refused", "unknown"])
def test_the_first_wait_is_that_of_the_policy(ledger, policy, fault):
    waits = look(ledger, failing(fault), policy).not_before - DUE
    assert policy.first_wait <= waits <= policy.first_wait * 1.25


def test_a_rate_limit_without_an_instant_waits_as_long_as_the_policy_says(ledger):
    assert look(ledger, failing(rate_limited())).not_before == DUE + wait_before_next(KEY, 1, HASTY)


def test_waits_double_up_to_the_longest():
    waits = [wait_before_next(KEY, attempts, HASTY) / SECOND for attempts in range(1, 9)]
    for wait, nominal in zip(waits, [1, 2, 4, 4, 4, 4, 4, 4], strict=True):
        assert nominal <= wait <= nominal * 1.25


def test_attempts_are_used_up_when_the_policy_says(ledger):
    channel = failing(not_accepted())
    assert look(ledger, channel).state is State.PLANNED
    channel.fail("publish", not_accepted())
    assert look(ledger, channel, now=DUE + 10 * SECOND).state is State.HELD


def test_what_is_due_soon_is_never_sooner_than_the_policy_says(ledger):
    one = replace(ledger.delivery(KEY), attempts=1)
    assert after(RateLimited(DUE, "429"), one, DUE, policy=HASTY).not_before == DUE + HASTY.first_wait
    assert after(NotAccepted("refused"), replace(one, attempts=2), DUE, policy=HASTY).event is Event.USED_UP


def test_a_timed_key_keeps_the_margin_of_the_policy(ledger):
    traits = replace(CANNOT_TELL, key=TimedKey(timedelta(minutes=2)), lookup=False)
    unknown = replace(look(ledger, failing(no_answer(accepted=True), traits)), not_before=None)
    last = DUE + timedelta(minutes=2) - lease_length(traits, HASTY) - HASTY.room
    assert settle(unknown, traits, last, HASTY) == Repeat()
    assert settle(unknown, traits, last + SECOND, HASTY) == AskPerson()
