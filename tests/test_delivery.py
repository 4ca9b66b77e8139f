"""The state table, the retry policy, and the way out of `unknown`."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.delivery import (
    FIRST_WAIT,
    GOT,
    LONGEST_WAIT,
    MAX_ATTEMPTS,
    ROOM,
    TRANSITIONS,
    AskPerson,
    Event,
    LookUp,
    Repeat,
    WaitUntil,
    after,
    allowed_from,
    lease_length,
    next_state,
    settle,
    wait_before_next,
)
from pipeline.model import (
    AuthFailed,
    Delivery,
    DeliveryKey,
    NoKey,
    NotAccepted,
    PermanentKey,
    Published,
    RateLimited,
    Receipt,
    Rejected,
    State,
    TimedKey,
    Traits,
    Unknown,
)
from tests.support.builders import utc

NOW = utc(2016, 4, 11, 7, 0)
KEY = DeliveryKey("lille", "ouistock", "mastodon")
TIMEOUT = timedelta(seconds=30)
SETTLE = timedelta(seconds=60)


def traits(key=None, *, lookup=False):
    return Traits(key or NoKey(), lookup, edit=False, delete=False, timeout=TIMEOUT, settle=SETTLE)


def delivery(state=State.SENDING, **changes):
    base = Delivery(
        key=KEY,
        network="mastodon",
        state=state,
        date=date(2016, 4, 11),
        due=NOW,
        closes=NOW + timedelta(hours=6),
        attempts=1,
        sent_at=NOW,
        lease_until=NOW + lease_length(traits()),
    )
    return replace(base, **changes)


def unknown(**changes):
    return delivery(State.UNKNOWN, **changes)


# --------------------------------------------------------------------------- the table


def test_a_stuck_send_never_goes_back_to_the_queue():
    assert next_state(State.SENDING, Event.LEASE_EXPIRED) is State.UNKNOWN
    assert next_state(State.SENDING, Event.NO_ANSWER) is State.UNKNOWN


def test_unknown_is_left_only_by_evidence_or_a_person():
    ways = {event for state, event in TRANSITIONS if state is State.UNKNOWN}
    assert ways == {
        Event.FOUND,
        Event.LATE_RECEIPT,
        Event.REPEATED,
        Event.ABSENT,
        Event.SAID_POSTED,
        Event.SAID_NOT_POSTED,
    }


def test_published_never_goes_back_to_anything_that_is_sent():
    reach = {TRANSITIONS[state, event] for state, event in TRANSITIONS if state is State.PUBLISHED}
    assert reach == {State.PUBLISHED, State.DELETED}
    assert not [event for state, event in TRANSITIONS if state is State.DELETED]


def test_only_a_claim_or_a_repeat_leads_to_sending():
    assert {event for (_, event), to in TRANSITIONS.items() if to is State.SENDING} == {
        Event.CLAIMED,
        Event.REPEATED,
    }


def test_every_event_and_state_is_used():
    assert {event for _, event in TRANSITIONS} == set(Event)
    assert {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values()) == set(State)


def test_a_receipt_is_accepted_from_every_state_a_send_may_have_reached():
    assert allowed_from(Event.LATE_RECEIPT) == set(State) - {State.PUBLISHED, State.DELETED}


def test_what_the_table_does_not_know_is_no_step():
    assert next_state(State.PUBLISHED, Event.CLAIMED) is None


# --------------------------------------------------------------------------- after an attempt


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        (Published(Receipt("1", None, "d")), Event.RECEIPT),
        (NotAccepted("refused"), Event.NOT_ACCEPTED),
        (RateLimited(NOW + timedelta(hours=1), "429"), Event.RATE_LIMITED),
        (Rejected("too rude"), Event.REJECTED),
        (AuthFailed("401"), Event.AUTH_FAILED),
        (Unknown("timeout"), Event.NO_ANSWER),
    ],
)
def test_each_outcome_is_one_event(outcome, event):
    assert after(outcome, delivery(), NOW).event is event


@pytest.mark.parametrize(
    "outcome",
    [
        NotAccepted("refused"),
        RateLimited(NOW + timedelta(hours=1), "429"),
        Rejected("duplicate"),
        AuthFailed("401"),
        Unknown("timeout"),
    ],
)
def test_a_repeated_request_that_fails_says_nothing_about_the_first(outcome):
    step = after(outcome, delivery(), NOW, repeated=True)
    assert step.event is Event.NO_ANSWER
    assert step.not_before > NOW


def test_a_repeated_request_that_succeeds_is_a_receipt():
    assert after(Published(Receipt("1", None, "d")), delivery(), NOW, repeated=True).event is Event.RECEIPT


def test_attempts_are_used_up_in_the_end():
    assert after(NotAccepted("refused"), delivery(attempts=MAX_ATTEMPTS - 1), NOW).event is Event.NOT_ACCEPTED
    last = after(NotAccepted("refused"), delivery(attempts=MAX_ATTEMPTS), NOW)
    assert last.event is Event.USED_UP
    assert "20 times" in last.reason
    assert "refused" in last.reason


def test_a_rate_limit_is_obeyed_to_the_instant_and_uses_up_no_attempts():
    until = NOW + timedelta(hours=2)
    step = after(RateLimited(until, "429"), delivery(attempts=MAX_ATTEMPTS + 5), NOW)
    assert (step.event, step.not_before) == (Event.RATE_LIMITED, until)


def test_a_rate_limit_that_names_no_instant_is_met_ever_later():
    for attempts in (1, 4, MAX_ATTEMPTS + 5):
        one = delivery(attempts=attempts)
        pause = NOW + wait_before_next(one.key, attempts)
        assert after(RateLimited(None, "429"), one, NOW).not_before == pause
        assert after(RateLimited(None, "429"), one, NOW, repeated=True).not_before == pause
    assert pause >= NOW + LONGEST_WAIT


def test_an_unknown_outcome_waits_as_long_as_the_network_asks_but_not_beyond_the_window():
    until = NOW + timedelta(hours=2)
    assert after(Unknown("503", until), delivery(), NOW).not_before == until
    assert (
        after(Unknown("503", NOW), delivery(), NOW).not_before
        == after(Unknown("503"), delivery(), NOW).not_before
    )
    closes = delivery().closes
    assert after(Unknown("503", closes + timedelta(days=300)), delivery(), NOW).not_before == closes


def test_a_limit_met_by_a_repeat_keeps_nobody_from_looking_once_the_window_has_closed():
    until, closes = NOW + timedelta(hours=2), delivery().closes
    assert after(RateLimited(until, "429"), delivery(), NOW, repeated=True).not_before == until
    long = RateLimited(closes + timedelta(days=300), "429")
    assert after(long, delivery(), NOW, repeated=True).not_before == closes


def test_a_rate_limit_that_is_already_over_still_waits_a_little():
    step = after(RateLimited(NOW - timedelta(hours=1), "429"), delivery(), NOW)
    assert step.not_before == NOW + FIRST_WAIT


@given(st.integers(0, 10_000))
def test_waits_grow_to_a_limit_and_are_the_same_each_time(attempts):
    wait = wait_before_next(KEY, attempts)
    assert FIRST_WAIT <= wait <= LONGEST_WAIT * 1.25
    assert wait == wait_before_next(KEY, attempts)


def test_deliveries_do_not_come_back_all_at_once():
    waits = {wait_before_next(DeliveryKey("lille", f"e{i}", "x"), 3) for i in range(20)}
    assert len(waits) > 10


# --------------------------------------------------------------------------- out of unknown

OVER = NOW + lease_length(traits())


def test_nothing_is_done_while_the_first_request_may_still_be_under_way():
    for key in (PermanentKey(), TimedKey(timedelta(hours=1)), NoKey()):
        assert settle(unknown(), traits(key, lookup=True), OVER - timedelta(seconds=1)) == WaitUntil(OVER)


def test_an_unknown_delivery_waits_out_its_pause():
    pause = OVER + timedelta(minutes=1)
    assert settle(unknown(not_before=pause), traits(PermanentKey()), OVER) == WaitUntil(pause)


def test_a_permanent_key_repeats_the_request():
    assert settle(unknown(), traits(PermanentKey()), OVER) == Repeat()


def test_a_timed_key_repeats_only_inside_its_window_with_a_margin_of_its_whole_lease():
    window = timedelta(minutes=10)
    last = NOW + window - lease_length(traits()) - ROOM
    assert settle(unknown(), traits(TimedKey(window)), last) == Repeat()
    late = last + timedelta(microseconds=1)
    assert settle(unknown(), traits(TimedKey(window)), late) == AskPerson()
    assert settle(unknown(), traits(TimedKey(window), lookup=True), late) == LookUp(believe_absence=True)


def test_nothing_is_repeated_once_the_deliverys_own_window_has_closed():
    closing = unknown(closes=OVER + TIMEOUT - timedelta(microseconds=1))
    assert settle(closing, traits(PermanentKey()), OVER) == AskPerson()
    assert settle(closing, traits(PermanentKey(), lookup=True), OVER) == LookUp(believe_absence=False)


def test_absence_is_believed_only_after_settling():
    assert settle(unknown(), traits(lookup=True), OVER) == LookUp(believe_absence=False)
    assert settle(unknown(), traits(lookup=True), OVER + SETTLE) == LookUp(believe_absence=True)


def test_without_key_and_lookup_only_a_person_can_tell():
    assert settle(unknown(), traits(), OVER + timedelta(days=1)) == AskPerson()


def test_only_what_is_unknown_can_be_settled():
    with pytest.raises(ValueError, match="nothing to settle"):
        settle(delivery(), traits(), OVER)
    with pytest.raises(ValueError, match="nothing to settle"):
        settle(unknown(sent_at=None), traits(), OVER)


def test_a_lease_is_longer_than_the_request_it_covers():
    assert lease_length(traits()) > TIMEOUT


def test_a_slot_that_is_held_or_unknown_counts_as_taken():
    assert State.HELD in GOT
    assert State.UNKNOWN in GOT
    assert State.MISSED not in GOT
