"""The calendar: examples people reason about, then what must hold for any input."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.days import channel_closes, channel_due, first_due, last_close
from pipeline.delivery import GOT, WITHDRAWN_REASON, Create, Event, Place, Withdraw
from pipeline.model import Delivery, DeliveryKey, MissedPolicy, SlotRecord, State
from pipeline.planning import (
    BORN_MISSED,
    Reason,
    Standing,
    changes,
    plan,
)
from tests.support.builders import local, make_campaign, make_entries, make_entry, outbox, utc

TEN = tuple("abcdefghij")
LONG_BEFORE = utc(2016, 3, 1)


def Record(entry, day, states=(), **more):  # noqa: N802 - reads as the type it makes
    return SlotRecord(entry, day, utc(2016, 1, 1), states=frozenset(states), **more)


def days(calendar):
    return {slot.entry: slot.date.day for slot in calendar.slots}


def april(day, hour=9, minute=0):
    return local(date(2016, 4, day), time(hour, minute))


def seen(calendar, **state_of):
    """The records a ledger would hold after that plan was applied; states by entry."""
    return {
        slot.entry: Record(slot.entry, slot.date, states=(state_of.get(slot.entry, State.PLANNED),))
        for slot in calendar.slots
    }


# --------------------------------------------------------------------------- a campaign not begun


def test_ten_entries_end_on_the_eve_of_the_event():
    calendar = plan(make_campaign(), make_entries(*TEN), {}, LONG_BEFORE)
    assert [slot.date for slot in calendar.slots] == [date(2016, 4, d) for d in range(11, 21)]
    assert [slot.entry for slot in calendar.slots] == list(TEN)
    assert [slot.days_left for slot in calendar.slots] == list(range(10, 0, -1))
    assert calendar.slots[0].due == utc(2016, 4, 11, 7, 0)
    assert not calendar.unplaced
    assert not calendar.over


def test_the_campaigns_own_order_wins_over_ids():
    calendar = plan(make_campaign(entries=("c", "a", "b")), make_entries("a", "b", "c"), {}, LONG_BEFORE)
    assert [slot.entry for slot in calendar.slots] == ["c", "a", "b"]


def test_drafts_and_unknown_names_are_left_out():
    entries = make_entries("a", "b") | {"c": make_entry("c", draft=True)}
    calendar = plan(make_campaign(entries=("a", "c", "nobody", "b")), entries, {}, LONG_BEFORE)
    assert days(calendar) == {"a": 19, "b": 20}


def test_skipped_weekdays_and_dates_stay_empty():
    campaign = make_campaign(skip_weekdays=frozenset({6}), skip_dates=frozenset({date(2016, 4, 18)}))
    calendar = plan(campaign, make_entries("a", "b", "c"), {}, LONG_BEFORE)
    assert days(calendar) == {"a": 16, "b": 19, "c": 20}  # 17 is a Sunday


def test_a_pin_takes_its_day_and_the_others_flow_around_it():
    entries = make_entries("a", "b", "c") | {"z": make_entry("z", pinned=date(2016, 4, 19))}
    assert days(plan(make_campaign(), entries, {}, LONG_BEFORE)) == {"a": 17, "b": 18, "z": 19, "c": 20}


@pytest.mark.parametrize(
    ("pinned", "now", "reason"),
    [
        (date(2016, 4, 21), LONG_BEFORE, Reason.PIN_LATE),
        (date(2016, 4, 17), LONG_BEFORE, Reason.PIN_SKIPPED),
        (date(2016, 4, 12), april(12, 9, 1), Reason.PIN_PAST),
    ],
)
def test_an_impossible_pin_is_named(pinned, now, reason):
    campaign = make_campaign(skip_weekdays=frozenset({6}))
    entries = make_entries("a") | {"z": make_entry("z", pinned=pinned)}
    held = {"a": Record("a", date(2016, 4, 11), (State.PUBLISHED,))}
    calendar = plan(campaign, entries, held, now)
    assert [(u.entry, u.reason) for u in calendar.unplaced] == [("z", reason)]


def test_two_pins_on_one_day_leave_the_second_without():
    entries = {name: make_entry(name, pinned=date(2016, 4, 15)) for name in ("a", "b")}
    calendar = plan(make_campaign(), entries, {}, LONG_BEFORE)
    assert days(calendar) == {"a": 15}
    assert [(u.entry, u.reason) for u in calendar.unplaced] == [("b", Reason.PIN_TAKEN)]


def test_leap_day_and_new_years_eve_are_days_like_any_other():
    leap = plan(make_campaign(event_day=date(2016, 3, 2)), make_entries("a", "b"), {}, utc(2016, 1, 1))
    assert [slot.date for slot in leap.slots] == [date(2016, 2, 29), date(2016, 3, 1)]
    turn = plan(make_campaign(event_day=date(2017, 1, 2)), make_entries("a", "b"), {}, utc(2016, 1, 1))
    assert [slot.date for slot in turn.slots] == [date(2016, 12, 31), date(2017, 1, 1)]


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns", "Europe/Paris"])
def test_the_local_wall_time_holds_through_clock_changes(zone):
    campaign = make_campaign(event_day=date(2016, 11, 10), zone=zone)
    calendar = plan(campaign, make_entries(*TEN, *"klmnopqrstuvwxyz"), {}, utc(2016, 6, 1))
    walls = {slot.due.astimezone(campaign.event.zone).time() for slot in calendar.slots}
    assert walls == {time(9, 0)}
    assert len({slot.due - utc(2016, 1, 1) for slot in calendar.slots}) == 26


def test_a_day_that_never_was_is_not_a_posting_day():
    campaign = make_campaign(event_day=date(2012, 1, 1), zone="Pacific/Apia")
    calendar = plan(campaign, make_entries("a", "b"), {}, utc(2011, 12, 1))
    assert [slot.date for slot in calendar.slots] == [date(2011, 12, 29), date(2011, 12, 31)]


# --------------------------------------------------------------------------- first seen half-way


def test_a_campaign_first_seen_half_way_starts_with_the_past_missed():
    calendar = plan(make_campaign(), make_entries(*TEN), {}, april(15, 12))
    assert days(calendar) == {name: 11 + i for i, name in enumerate(TEN)}
    assert [name for name in TEN if calendar.standing[name] is Standing.MISSED] == list("abcde")
    assert calendar.late == tuple("abcde")
    assert plan(make_campaign(), make_entries(*TEN), seen(calendar), april(15, 12)).late == ()
    made = changes(make_campaign(), calendar, [], april(15, 12))
    assert {(c.key.entry, c.state, c.reason) for c in made if isinstance(c, Create)} == {
        (name, State.MISSED, BORN_MISSED) if name in "abcde" else (name, State.PLANNED, None) for name in TEN
    }


def test_a_slot_due_at_the_very_instant_it_is_first_seen_is_sent():
    calendar = plan(make_campaign(), make_entries(*TEN), {}, april(11))
    assert calendar.standing["a"] is Standing.OPEN
    assert all(
        c.state is State.PLANNED
        for c in changes(make_campaign(), calendar, [], april(11))
        if isinstance(c, Create)
    )


def test_a_new_ledger_half_way_moves_a_missed_entry_to_a_day_that_is_free():
    # nothing else wants the eve's eve, so what missed its pin takes part again, in the campaign's order
    entries = make_entries("a") | {"b": make_entry("b", pinned=date(2016, 4, 14))}
    calendar = plan(make_campaign(), entries, {}, april(15, 8))
    assert days(calendar) == {"a": 19, "b": 20}
    assert calendar.standing["b"] is Standing.AHEAD
    assert days(plan(make_campaign(), entries, seen(calendar), april(15, 9))) == {"a": 19, "b": 20}


# --------------------------------------------------------------------------- changes half-way


def test_a_withdrawn_entry_frees_its_day_and_the_calendar_closes_up_towards_the_event():
    before = plan(make_campaign(), make_entries(*TEN), {}, LONG_BEFORE)
    held = seen(before, a=State.PUBLISHED, b=State.PUBLISHED)
    calendar = plan(make_campaign(), make_entries(*[n for n in TEN if n != "f"]), held, april(12, 10))
    assert days(calendar) == {"a": 11, "b": 12, "c": 14, "d": 15, "e": 16, "g": 17, "h": 18, "i": 19, "j": 20}


def test_a_published_entry_stays_in_the_calendar_when_its_file_goes():
    before = plan(make_campaign(), make_entries(*TEN), {}, LONG_BEFORE)
    held = seen(before, a=State.PUBLISHED)
    calendar = plan(make_campaign(), make_entries(*TEN[1:]), held, april(11, 10))
    assert days(calendar)["a"] == 11
    assert "a" not in calendar.members


def test_an_entry_added_too_late_is_named_and_moves_nobody():
    before = plan(make_campaign(), make_entries(*TEN), {}, LONG_BEFORE)
    held = seen(before, a=State.PUBLISHED)
    calendar = plan(make_campaign(), make_entries(*TEN, "k"), held, april(11, 10))
    assert days(calendar) == {name: 11 + i for i, name in enumerate(TEN)}
    assert [(u.entry, u.reason) for u in calendar.unplaced] == [("k", Reason.NO_DAY)]


def test_an_event_moved_back_a_week_moves_what_is_not_yet_out():
    before = plan(make_campaign(), make_entries(*TEN), {}, LONG_BEFORE)
    held = seen(before, a=State.PUBLISHED, b=State.PUBLISHED)
    later = make_campaign(event_day=date(2016, 4, 28))
    calendar = plan(later, make_entries(*TEN), held, april(12, 10))
    assert days(calendar) == {"a": 11, "b": 12} | {name: 20 + i for i, name in enumerate(TEN[2:])}


def test_an_event_moved_forward_names_those_without_a_day():
    before = plan(make_campaign(), make_entries(*TEN), {}, LONG_BEFORE)
    sooner = make_campaign(event_day=date(2016, 4, 15))
    calendar = plan(sooner, make_entries(*TEN), seen(before, a=State.PUBLISHED), april(11, 10))
    assert days(calendar) == {"a": 11, "b": 12, "c": 13, "d": 14}
    assert [u.entry for u in calendar.unplaced] == list("efghij")


def test_a_slot_within_its_late_window_keeps_its_day():
    before = plan(make_campaign(), make_entries(*TEN), {}, LONG_BEFORE)
    calendar = plan(make_campaign(), make_entries(*TEN), seen(before), april(11, 14, 59))
    assert calendar.standing["a"] is Standing.OPEN
    assert days(calendar)["a"] == 11


def test_an_open_slot_whose_entry_is_withdrawn_keeps_its_day_for_it():
    before = plan(make_campaign(), make_entries("a", "b"), {}, LONG_BEFORE)
    calendar = plan(make_campaign(), make_entries("b"), seen(before), april(19, 10))
    assert days(calendar) == {"a": 19, "b": 20}
    assert "a" not in calendar.members


def test_a_missed_slot_without_a_free_day_stays_missed():
    before = plan(make_campaign(), make_entries(*TEN), {}, LONG_BEFORE)
    calendar = plan(make_campaign(), make_entries(*TEN), seen(before, a=State.MISSED), april(11, 15))
    assert calendar.standing["a"] is Standing.MISSED
    assert days(calendar) == {name: 11 + i for i, name in enumerate(TEN)}


def test_a_missed_slot_moves_to_the_day_a_withdrawal_frees_and_nobody_else_moves():
    before = plan(make_campaign(), make_entries(*TEN), {}, LONG_BEFORE)
    rest = [name for name in TEN if name != "f"]
    calendar = plan(make_campaign(), make_entries(*rest), seen(before, a=State.MISSED), april(11, 15))
    assert calendar.standing["a"] is Standing.AHEAD
    assert days(calendar) == {"a": 12, "b": 13, "c": 14, "d": 15, "e": 16, "g": 17, "h": 18, "i": 19, "j": 20}


def test_missed_skip_leaves_it_missed_even_with_a_free_day():
    campaign = make_campaign(missed=MissedPolicy.SKIP)
    before = plan(campaign, make_entries(*TEN), {}, LONG_BEFORE)
    rest = [name for name in TEN if name != "f"]
    calendar = plan(campaign, make_entries(*rest), seen(before, a=State.MISSED), april(11, 15))
    assert calendar.standing["a"] is Standing.MISSED
    assert days(calendar)["a"] == 11


def test_a_slot_one_channel_got_does_not_move():
    held = {"a": Record("a", date(2016, 4, 18), (State.PUBLISHED, State.MISSED))}
    calendar = plan(make_campaign(), make_entries("a"), held, april(18, 20))
    assert days(calendar) == {"a": 18}
    assert calendar.standing["a"] is Standing.SETTLED


def test_a_slot_that_was_withdrawn_all_day_and_comes_back_takes_a_free_day():
    held = {"a": Record("a", date(2016, 4, 18))}
    assert plan(make_campaign(), make_entries("a"), held, april(18, 10)).standing["a"] is Standing.OPEN
    late = plan(make_campaign(), make_entries("a"), held, april(18, 20))
    assert (days(late), late.standing["a"]) == ({"a": 20}, Standing.AHEAD)


def test_a_slot_given_up_by_a_person_on_every_channel_does_not_come_back():
    held = {"a": Record("a", date(2016, 4, 18), (State.CANCELLED, State.CANCELLED))}
    calendar = plan(make_campaign(), make_entries("a"), held, april(18, 20))
    assert calendar.standing["a"] is Standing.SETTLED


def test_a_persons_retry_keeps_a_missed_slot_open_on_its_day():
    held = {"a": Record("a", date(2016, 4, 15), (State.PLANNED,), closes=april(18, 22))}
    assert plan(make_campaign(), make_entries("a"), held, april(18, 20)).standing["a"] is Standing.OPEN


def test_a_campaign_of_feeds_alone_is_settled_by_its_release():
    campaign = make_campaign(channels=())
    held = {"a": Record("a", date(2016, 4, 18), released=True)}
    assert plan(campaign, make_entries("a"), held, april(18, 20)).standing["a"] is Standing.SETTLED
    assert plan(campaign, make_entries("a"), {"a": replace(held["a"], released=False)}, april(18, 20)).slots[
        0
    ].date == date(2016, 4, 19 + 1)


def test_a_missed_entry_obeys_a_pin_that_is_still_ahead():
    held = {"a": Record("a", date(2016, 4, 12), (State.MISSED,))}
    for pinned, expected in (
        (date(2016, 4, 16), 16),
        (date(2016, 4, 21), 12),
    ):  # the event's own day is no day
        entries = {"a": make_entry("a", pinned=pinned)}
        assert days(plan(make_campaign(), entries, held, april(13))) == {"a": expected}


# --------------------------------------------------------------------------- over


def test_a_campaign_whose_event_has_started_shows_its_whole_calendar_and_plans_nothing():
    calendar = plan(make_campaign(), make_entries(*TEN), {}, utc(2026, 11, 23))
    assert calendar.over
    assert days(calendar) == {name: 11 + i for i, name in enumerate(TEN)}
    assert not calendar.unplaced


def test_what_happened_shows_in_the_calendar_of_a_campaign_that_is_over():
    held = {"a": Record("a", date(2016, 4, 5), (State.PUBLISHED,))}
    assert days(plan(make_campaign(), make_entries("a", "b"), held, utc(2026, 1, 1))) == {"a": 5, "b": 20}


# --------------------------------------------------------------------------- instants


def test_a_channels_own_time_and_late_window():
    campaign = make_campaign(channels=(outbox(), outbox("noon", time=time(12, 30), late=timedelta(hours=1))))
    day, noon = date(2016, 4, 11), campaign.channels[1]
    assert channel_due(campaign, noon, day) == april(11, 12, 30)
    assert channel_closes(campaign, noon, april(11, 12, 30)) == april(11, 13, 30)
    assert first_due(campaign, day) == april(11)
    assert last_close(campaign, day) == april(11, 15)


def test_nothing_may_be_sent_once_the_event_has_started():
    campaign = make_campaign(late=timedelta(days=3))
    assert last_close(campaign, date(2016, 4, 20)) == campaign.event.starts


def test_a_window_of_days_ends_where_the_next_post_is_due():
    campaign = make_campaign(late=timedelta(days=3), channels=(outbox(), outbox("noon", time=time(12, 30))))
    usual, noon = campaign.channels
    day = date(2016, 4, 11)
    assert channel_closes(campaign, usual, channel_due(campaign, usual, day)) == april(12)
    assert channel_closes(campaign, noon, channel_due(campaign, noon, day)) == april(12, 12, 30)
    assert last_close(campaign, day) == april(12, 12, 30)


def test_a_window_of_days_lasts_over_days_that_are_skipped():
    campaign = make_campaign(late=timedelta(days=3), skip_dates=frozenset({date(2016, 4, 12)}))
    (channel,) = campaign.channels
    assert channel_closes(campaign, channel, april(11)) == april(13)
    assert channel_closes(campaign, channel, april(20)) == campaign.event.starts


def test_the_day_of_the_event_is_a_posting_day_only_before_it_starts():
    evening = make_campaign(event_time=time(19), until=date(2016, 4, 21))
    assert days(plan(evening, make_entries("a"), {}, LONG_BEFORE)) == {"a": 21}
    morning = make_campaign(event_time=time(9), until=date(2016, 4, 21))
    assert days(plan(morning, make_entries("a"), {}, LONG_BEFORE)) == {"a": 20}


# --------------------------------------------------------------------------- from plan to ledger


def delivery(entry, day, state=State.PLANNED, channel="outbox", **more):
    due = april(day)
    base = Delivery(
        key=DeliveryKey("lille", entry, channel),
        network="outbox",
        state=state,
        date=date(2016, 4, day),
        due=due,
        closes=due + timedelta(hours=6),
    )
    return replace(base, **more)


def change_list(entries, deliveries, now, campaign=None, **more):
    campaign = campaign or make_campaign()
    held = {}
    for one in (d for d in deliveries if d.date):
        known = held.get(one.key.entry, Record(one.key.entry, one.date))
        held[one.key.entry] = replace(known, states=known.states | {one.state})
    return changes(campaign, plan(campaign, entries, held, now, **more), deliveries, now)


def test_nothing_changes_when_the_plan_stands():
    assert change_list(make_entries("a", "b"), [delivery("a", 19), delivery("b", 20)], LONG_BEFORE) == []


def test_a_planned_delivery_follows_its_slot():
    was = delivery("a", 15)
    assert change_list(make_entries("a"), [was], LONG_BEFORE) == [
        Place(was, None, date(2016, 4, 20), april(20), april(20, 15))
    ]


def test_a_withdrawn_entry_and_a_removed_channel_withdraw_what_is_planned_only():
    planned, done = delivery("a", 20, channel="gone"), delivery("b", 19, State.PUBLISHED, channel="gone")
    made = change_list(
        make_entries("a", "b"), [planned, done, delivery("a", 20), delivery("b", 19)], LONG_BEFORE
    )
    assert made == [Withdraw(planned)]


def test_an_entry_withdrawn_between_two_channels_of_its_day_goes_nowhere_else():
    campaign = make_campaign(channels=(outbox(), outbox("noon", time=time(12, 30))))
    later = delivery("a", 19, channel="noon", due=april(19, 12, 30))
    deliveries = [delivery("a", 19, State.PUBLISHED), later]
    assert change_list({}, deliveries, april(19, 10), campaign) == [Withdraw(later)]
    back = replace(later, state=State.CANCELLED, reason=WITHDRAWN_REASON, date=None)
    assert change_list(make_entries("a"), [deliveries[0], back], april(19, 11), campaign) == [
        Place(back, Event.RESTORED, date(2016, 4, 19), april(19, 12, 30), april(19, 18, 30))
    ]


def test_an_entry_that_comes_back_is_restored_but_a_persons_no_stays():
    withdrawn = delivery("a", 20, State.CANCELLED, reason=WITHDRAWN_REASON, date=None)
    made = change_list(make_entries("a"), [withdrawn], LONG_BEFORE)
    assert [type(c) for c in made] == [Place]
    assert made[0].event is Event.RESTORED
    assert change_list(make_entries("a"), [replace(withdrawn, reason="given up")], LONG_BEFORE) == []


def test_a_missed_delivery_moves_with_its_slot():
    was = delivery("a", 11, State.MISSED)
    assert change_list(make_entries("a"), [was], april(15, 8)) == [
        Place(was, Event.MOVED, date(2016, 4, 20), april(20), april(20, 15))
    ]


def test_a_channel_added_half_way_never_posts_the_past():
    campaign = make_campaign(channels=(outbox(), outbox("new")))
    made = change_list(
        make_entries("a", "b"),
        [delivery("a", 19, State.PUBLISHED), delivery("b", 20)],
        april(19, 10),
        campaign,
    )
    assert [(c.key.entry, c.state) for c in made] == [("a", State.MISSED), ("b", State.PLANNED)]


def test_a_delivery_whose_instant_has_come_keeps_it():
    waiting = delivery("a", 20, due=april(20), not_before=april(20, 11))
    campaign = make_campaign(post_at=time(10))
    assert change_list(make_entries("a"), [waiting], april(20, 9, 30), campaign) == []


# --------------------------------------------------------------------------- for any input

NAMES = [f"e{i:02d}" for i in range(14)]
ZONES = ["Europe/Paris", "Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns", "Pacific/Apia"]


@st.composite
def campaigns(draw):
    event_day = draw(st.dates(date(2011, 12, 20), date(2017, 1, 5)))
    return make_campaign(
        event_day=event_day,
        event_time=draw(st.times().map(lambda t: t.replace(microsecond=0))),
        zone=draw(st.sampled_from(ZONES)),
        post_at=draw(st.times().map(lambda t: t.replace(microsecond=0))),
        until=event_day - timedelta(days=draw(st.integers(0, 5))),
        missed=draw(st.sampled_from(MissedPolicy)),
        late=timedelta(minutes=draw(st.integers(1, 3000))),
        skip_weekdays=frozenset(draw(st.sets(st.integers(0, 6), max_size=6))),
        skip_dates=frozenset(event_day - timedelta(days=d) for d in draw(st.sets(st.integers(0, 15)))),
        entries=draw(st.none() | st.permutations(NAMES).map(tuple)),
        channels=tuple(
            outbox(f"c{i}", time=wall)
            for i, wall in enumerate(draw(st.lists(st.none() | st.times(), max_size=2)))
        ),
    )


@st.composite
def scenes(draw):
    campaign = draw(campaigns())
    names = draw(st.sets(st.sampled_from(NAMES)))
    day = campaign.posting.until
    pins = draw(st.dictionaries(st.sampled_from(NAMES), st.integers(-2, 20), max_size=4))
    entries = {
        name: make_entry(
            name,
            draft=draw(st.integers(0, 9)) == 0,
            pinned=day - timedelta(days=pins[name]) if name in pins else None,
        )
        for name in sorted(names)
    }
    taken = draw(st.dictionaries(st.integers(0, 20), st.sampled_from(NAMES), max_size=8))
    held = {
        name: Record(
            name,
            day - timedelta(days=back),
            states=draw(st.frozensets(st.sampled_from(State), max_size=2)),
            released=draw(st.booleans()),
        )
        for back, name in taken.items()
    }
    now = campaign.event.starts - timedelta(hours=draw(st.integers(-30, 24 * 21)))
    return campaign, entries, held, now


@settings(max_examples=400)
@given(scenes())
def test_no_day_twice_no_entry_twice_nothing_after_the_event_order_kept_published_stays(scene):
    campaign, entries, held, now = scene
    calendar = plan(campaign, entries, held, now)
    slots = calendar.slots
    assert len({slot.date for slot in slots}) == len(slots)
    assert len({slot.entry for slot in slots}) == len(slots)
    ahead = [slot for slot in slots if calendar.standing.get(slot.entry) is Standing.AHEAD]
    new = [slot for slot in ahead if slot.date != (held.get(slot.entry) or Record("", date.min)).date]
    for slot in new:
        assert slot.date <= campaign.posting.until
        assert slot.date.weekday() not in campaign.posting.skip_weekdays
        assert slot.date not in campaign.posting.skip_dates
        assert slot.due < campaign.event.starts
        assert slot.due.astimezone(campaign.event.zone).date() == slot.date
        if not calendar.over:
            assert slot.due > now
    for record in held.values():
        if any(state in GOT for state in record.states):
            assert next(s.date for s in slots if s.entry == record.entry) == record.date
    order = list(campaign.entries or sorted(entries))
    free = [slot.entry for slot in ahead if entries[slot.entry].pinned is None]
    assert free == sorted(free, key=order.index)
    if not calendar.over:
        placed = {slot.entry for slot in slots} | {left.entry for left in calendar.unplaced}
        assert {e.id for e in entries.values() if not e.draft and e.id in order} <= placed


@settings(max_examples=300)
@given(scenes())
def test_planning_again_changes_nothing(scene):
    campaign, entries, held, now = scene
    first = plan(campaign, entries, held, now)
    again = {
        slot.entry: replace(held.get(slot.entry, Record(slot.entry, slot.date)), date=slot.date)
        for slot in first.slots
    }
    if again and not first.over:
        assert plan(campaign, entries, again, now).slots == first.slots


@settings(max_examples=200)
@given(campaigns(), st.integers(0, 14), st.integers(1, 400))
def test_a_campaign_watched_from_the_start_places_every_entry_on_the_last_days(campaign, count, before):
    entries = make_entries(*NAMES[:count])
    campaign = replace(campaign, entries=None)
    now = campaign.event.starts - timedelta(days=365 * 3 + before)
    calendar = plan(campaign, entries, {}, now)
    if len(campaign.posting.skip_weekdays) < 7:
        assert [slot.entry for slot in calendar.slots] == sorted(entries)
        assert not calendar.unplaced
