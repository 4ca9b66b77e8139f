"""What changed since the plan was last shown, as people say it, and how often a slot has moved."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model import Slot
from pipeline.planning import Plan
from pipeline.remembered import changes, moves, read, remember, write
from tests.support.builders import make_entry

TODAY = date(2016, 4, 1)
ENTRIES = {"pop": make_entry("pop", title="Pop School"), "oui": make_entry("oui", title="OuiStock")}


def planned(**days):
    slots = []
    for entry, day in days.items():
        due = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
        slots.append(Slot("lille", entry, day, due, days_left=1))
    return Plan("lille", tuple(slots))


def told(before, after, today=TODAY, entries=ENTRIES):
    first = remember({}, planned(**before), entries)
    return changes(first, remember(first, planned(**after), entries), today)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (date(2016, 4, 13), date(2016, 4, 14), "Pop School moves from 13 to 14 April"),
        (date(2016, 5, 2), date(2016, 4, 30), "Pop School moves from 2 May to 30 April"),
        (date(2016, 12, 31), date(2017, 1, 1), "Pop School moves from 31 December 2016 to 1 January 2017"),
        (date(2017, 4, 13), date(2017, 4, 14), "Pop School moves from 13 to 14 April 2017"),
        (date(2017, 4, 30), date(2017, 5, 1), "Pop School moves from 30 April to 1 May 2017"),
        (date(2017, 1, 1), date(2016, 12, 31), "Pop School moves from 1 January 2017 to 31 December"),
        (None, date(2016, 4, 14), "Pop School joins on 14 April"),
        (None, date(2017, 4, 14), "Pop School joins on 14 April 2017"),
        (date(2016, 4, 13), None, "Pop School leaves its day, 13 April"),
    ],
)
def test_a_change_is_told_as_people_say_it(old, new, sentence):
    assert told({"pop": old} if old else {}, {"pop": new} if new else {}) == [sentence]


def test_changes_come_in_the_order_of_the_days():
    before = {"pop": date(2016, 4, 13), "oui": date(2016, 4, 14)}
    after = {"pop": date(2016, 4, 14), "oui": date(2016, 4, 13)}
    assert [line.split(" moves")[0] for line in told(before, after)] == ["OuiStock", "Pop School"]


def test_an_entry_whose_file_is_gone_is_still_told_by_its_title():
    first = remember({}, planned(pop=date(2016, 4, 13)), ENTRIES)
    assert changes(first, remember(first, planned(), {}), TODAY) == ["Pop School leaves its day, 13 April"]


def test_two_entries_with_one_title_are_told_apart():
    twins = {name: make_entry(name, title="Pop School") for name in ("pop", "oui")}
    after = {"pop": date(2016, 4, 13), "oui": date(2016, 4, 14)}
    assert told({}, after, entries=twins) == [
        "Pop School (pop) joins on 13 April",
        "Pop School (oui) joins on 14 April",
    ]


def test_another_title_is_no_change():
    first = remember({}, planned(pop=date(2016, 4, 13)), ENTRIES)
    renamed = {"pop": make_entry("pop", title="Une autre école")}
    assert changes(first, remember(first, planned(pop=date(2016, 4, 13)), renamed), TODAY) == []


def test_what_earlier_versions_remembered_is_understood():
    before = read('{"pop": "2016-04-13", "oui": "2016-04-14"}')
    after = remember(before, planned(pop=date(2016, 4, 14), oui=date(2016, 4, 14)), ENTRIES)
    assert changes(before, after, TODAY) == ["Pop School moves from 13 to 14 April"]
    assert moves(after) == {"pop": 1, "oui": 0}


CALENDARS = st.dictionaries(
    st.sampled_from(["pop", "oui", "c", "d"]), st.dates(date(2016, 1, 1), date(2017, 12, 31))
)


@given(st.lists(CALENDARS, min_size=2, max_size=6))
def test_whatever_is_planned_nothing_is_told_twice_and_moves_never_fall(calendars):
    memory = {}
    for days in calendars:
        after = remember(memory, planned(**days), ENTRIES)
        assert read(write(after)) == after
        assert {entry for entry, place in after.items() if place.date} == set(days)
        for entry, place in memory.items():
            moved = entry in days and place.due != after[entry].due
            assert moves(after)[entry] == place.moves + moved
        again = remember(after, planned(**days), ENTRIES)
        assert again == after
        assert changes(after, again, TODAY) == []
        memory = after


def test_a_later_hour_is_a_move_that_nobody_needs_to_be_told():
    day = date(2016, 4, 13)
    first = remember({}, planned(pop=day), ENTRIES)
    (slot,) = planned(pop=day).slots
    later = Plan("lille", (Slot("lille", "pop", day, slot.due + timedelta(hours=1), 1),))
    second = remember(first, later, ENTRIES)
    assert changes(first, second, TODAY) == []
    assert moves(second) == {"pop": 1}
