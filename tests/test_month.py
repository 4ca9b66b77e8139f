"""The calendar on the wall: whole weeks, Monday first, and every slot on its day, whatever the campaign."""

from __future__ import annotations

from datetime import date, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.month import shown_slot, weeks
from pipeline.planning import plan
from tests.support.builders import make_campaign, make_entries, utc

DAY = timedelta(days=1)
TITLES = {"a": "Un", "b": "Deux"}
LONG_BEFORE = utc(2016, 1, 1)


def grid(campaign, *entries, now=LONG_BEFORE, today=date(2016, 1, 1)):
    return weeks(campaign, plan(campaign, make_entries(*entries), {}, now), TITLES, today)


def cells(campaign, *entries, now=LONG_BEFORE, today=date(2016, 1, 1)):
    found = grid(campaign, *entries, now=now, today=today)
    return {cell.day: cell for week in found for cell in week}


def test_slots_skipped_days_and_the_event_are_told_apart():
    campaign = make_campaign(skip_dates=frozenset({date(2016, 4, 20)}))
    shown = cells(campaign, "a", "b", today=date(2016, 4, 19))
    assert min(shown) == date(2016, 4, 18)  # a Monday
    assert max(shown) == date(2016, 4, 24)
    assert (shown[date(2016, 4, 18)].title, shown[date(2016, 4, 18)].days_left) == ("Un", 3)
    assert (shown[date(2016, 4, 19)].title, shown[date(2016, 4, 19)].today) == ("Deux", True)
    assert shown[date(2016, 4, 20)].skipped
    assert shown[date(2016, 4, 21)].event
    assert not shown[date(2016, 4, 21)].skipped
    assert not shown[date(2016, 4, 22)].within


def test_without_entries_the_week_of_the_event_is_shown():
    assert [len(week) for week in grid(make_campaign())] == [7]


@given(
    event=st.dates(date(1971, 1, 1), date(2190, 1, 1)),
    entries=st.integers(0, 40),
    skip=st.frozensets(st.integers(0, 6), max_size=5),
    today=st.dates(),
)
def test_weeks_are_whole_follow_each_other_and_hold_every_slot(event, entries, skip, today):
    names = [f"e{number}" for number in range(entries)]
    campaign = make_campaign(event_day=event, skip_weekdays=skip)
    calendar = plan(campaign, make_entries(*names), {}, utc(1970, 1, 1))
    found = weeks(campaign, calendar, {}, today)
    days = [cell.day for week in found for cell in week]
    assert all(len(week) == 7 and week[0].day.weekday() == 0 for week in found)
    assert days == [days[0] + n * DAY for n in range(len(days))]
    placed = {cell.day: cell.title for week in found for cell in week if cell.title}
    assert placed == {slot.date: slot.entry for slot in calendar.slots}
    assert sum(cell.event for week in found for cell in week) == 1
    assert not any(cell.skipped and cell.title for week in found for cell in week)


def test_what_is_asked_for_first_is_today_then_the_next_day():
    campaign = make_campaign(post_at=time(9))
    calendar = plan(campaign, make_entries("a", "b"), {}, LONG_BEFORE)
    first, second = calendar.slots
    assert shown_slot(calendar, date(2016, 4, 1)) == first
    assert shown_slot(calendar, first.date) == first
    assert shown_slot(calendar, second.date) == second
    assert shown_slot(calendar, second.date + DAY) is None
    over = plan(campaign, make_entries("a", "b"), {}, utc(2016, 5, 1))
    assert shown_slot(over, first.date) is None
