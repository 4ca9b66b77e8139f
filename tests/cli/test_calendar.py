"""Weeks in a terminal: whatever the titles and the width, the frame stays whole and every entry is named."""

from __future__ import annotations

import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from pipeline.cli.calendar import NARROWEST, print_weeks
from pipeline.month import weeks
from pipeline.planning import plan
from tests.support.builders import make_campaign, make_entries, utc

TITLES = st.text(st.characters(exclude_categories=("C", "Z", "M")), min_size=1, max_size=120)


def shown(titles, width, *, today=date(2016, 4, 19), campaign=None):
    campaign = campaign or make_campaign()
    names = dict(zip("abcdefgh", titles, strict=False))
    calendar = plan(campaign, make_entries(*names), {}, utc(2016, 1, 1))
    page = io.StringIO()
    console = Console(file=page, width=width, color_system=None, markup=False, emoji=False, highlight=False)
    print_weeks(console, weeks(campaign, calendar, names, today), campaign.event.name)
    return page.getvalue().splitlines()


@given(st.lists(TITLES, min_size=1, max_size=8), st.integers(NARROWEST, 200))
def test_the_frame_is_whole_whatever_the_titles_are(titles, width):
    _, *frame = shown(titles, width)
    assert len({cell_len(line) for line in frame}) == 1
    assert cell_len(frame[0]) <= width
    assert all(line[0] in "|+" for line in frame)
    assert all(line.count("+") >= 8 for line in frame if line[0] == "+")


@given(st.lists(TITLES, min_size=1, max_size=8))
def test_every_title_begins_in_its_cell_and_none_takes_more_than_three_lines(titles):
    _, *frame = shown(titles, 120)
    rows = "\n".join(frame).count("+---")
    assert rows
    text = "\n".join(frame)
    for title in titles:
        assert title[:6] in text
    heights = [len(part.splitlines()) for part in text.split("\n+")[2:-1]]
    assert all(height <= 1 + 1 + 3 + 1 + 1 for height in heights)


@pytest.mark.parametrize(
    ("event", "heading"),
    [
        (date(2016, 4, 21), "April 2016"),
        (date(2016, 5, 3), "April to May 2016"),
        (date(2017, 1, 3), "December 2016 to January 2017"),
    ],
)
def test_the_heading_says_which_months_and_which_year(event, heading):
    titles = ["a", "b", "c", "d"]
    assert shown(titles, 120, campaign=make_campaign(event_day=event))[0] == heading
