from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.wallclock import instant
from tests.support.builders import utc

ZONES = [
    "Europe/Paris",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
]


@pytest.mark.parametrize(
    ("day", "wall", "zone", "expected"),
    [
        # spring: 02:30 does not exist, the first instant that does is 03:00 local
        (date(2016, 3, 27), time(2, 30), "Europe/Paris", utc(2016, 3, 27, 1, 0)),
        # autumn: 02:30 happens twice, the first is still summer time
        (date(2016, 10, 30), time(2, 30), "Europe/Paris", utc(2016, 10, 30, 0, 30)),
        (date(2016, 4, 11), time(9, 0), "Europe/Paris", utc(2016, 4, 11, 7, 0)),
        (date(2016, 4, 11), time(9, 0), "Asia/Kathmandu", utc(2016, 4, 11, 3, 15)),
        (date(2016, 4, 11), time(9, 0), "Pacific/Chatham", utc(2016, 4, 10, 20, 15)),
        (date(2016, 4, 11), time(9, 0), "America/St_Johns", utc(2016, 4, 11, 11, 30)),
        # Lord Howe moves by half an hour: the gap is 02:00 to 02:30
        (date(2016, 10, 2), time(2, 10), "Australia/Lord_Howe", utc(2016, 10, 1, 15, 30)),
        # Samoa had no 30 December 2011: the first instant after it is the next midnight
        (date(2011, 12, 30), time(9, 0), "Pacific/Apia", utc(2011, 12, 30, 10, 0)),
        (date(2016, 2, 29), time(23, 59, 59), "UTC", utc(2016, 2, 29, 23, 59, 59)),
    ],
)
def test_wall_time_becomes_the_instant_people_mean(day, wall, zone, expected):
    assert instant(day, wall, ZoneInfo(zone)) == expected


@given(
    day=st.dates(date(1971, 1, 1), date(2037, 12, 30)),
    wall=st.times().map(lambda t: t.replace(microsecond=0)),
    zone=st.sampled_from(ZONES),
)
def test_instant_shows_the_wall_time_or_is_the_first_after_a_gap(day, wall, zone):
    moment = instant(day, wall, ZoneInfo(zone))
    shown = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    wanted = datetime.combine(day, wall)
    assert moment.tzinfo is UTC
    if shown != wanted:
        before = (moment - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert before < wanted < shown, "only a wall time inside a gap may move, and only to its end"
