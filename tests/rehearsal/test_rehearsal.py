"""The whole campaign on a simulated clock: the real one, and a year with everything a calendar can hold."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import feedparser
import icalendar
import pytest

from pipeline import app
from pipeline.errors import WrongUse
from pipeline.model import State
from pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
TEN_DAYS = [date(2016, 4, day) for day in range(11, 21)]


def settings_of(root):
    return Settings(root, f"sqlite:///{root}/state/ledger.db")


def everything_under(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def lille(tmp_path_factory):
    """The real campaign, rehearsed twice into two folders."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    result = app.rehearse_project(settings_of(ROOT), first / "out")
    app.rehearse_project(settings_of(ROOT), second / "out")
    return result, first / "out", second / "out"


def test_ten_projects_go_out_one_a_day_until_the_eve(lille):
    result, _, _ = lille
    assert [release.date for release in sorted(result.releases, key=lambda r: r.date)] == TEN_DAYS
    assert len(result.deliveries) == 10 * 5
    for delivery in result.deliveries:
        assert delivery.state is State.PUBLISHED
        # A server that prepares a picture is asked again after seconds.
        assert timedelta(0) <= delivery.published_at - delivery.due <= timedelta(seconds=10)
        assert delivery.attempts == 1


def test_two_rehearsals_are_identical_to_the_byte(lille):
    _, first, second = lille
    assert everything_under(first) == everything_under(second)


def test_the_outbox_holds_each_post_once_with_its_countdown(lille):
    _, out, _ = lille
    posts = [json.loads(path.read_text()) for path in sorted((out / "outbox/sharing-lille").glob("*.json"))]
    assert [post["days_left"] for post in posts] == list(range(10, 0, -1))
    assert [post["date"] for post in posts] == [day.isoformat() for day in TEN_DAYS]
    assert all(f"J-{post['days_left']} " in post["text"] for post in posts)


@pytest.mark.parametrize("name", ["feed.xml", "atom.xml"])
def test_a_reader_sees_ten_entries_newest_first(lille, name):
    _, out, _ = lille
    feed = feedparser.parse((out / "sharing-lille" / name).read_bytes())
    assert not feed.bozo
    assert len(feed.entries) == 10
    assert feed.entries[0].id == "tag:example.org,2016:sharing-lille/pepeat"
    assert [entry.published_parsed[2] for entry in feed.entries] == list(range(20, 10, -1))


def test_the_public_calendar_holds_what_was_released_and_the_event(lille):
    _, out, _ = lille
    document = icalendar.Calendar.from_ical((out / "sharing-lille/calendar.ics").read_bytes())
    uids = [str(event["uid"]) for event in document.walk("VEVENT")]
    assert len(uids) == len(set(uids)) == 11
    assert "sharing-lille/pepeat@example.org" in uids


def test_the_three_feeds_agree_on_ids(lille):
    _, out, _ = lille
    folder = out / "sharing-lille"
    ids = [
        [entry.id for entry in feedparser.parse((folder / "feed.xml").read_bytes()).entries],
        [entry.id for entry in feedparser.parse((folder / "atom.xml").read_bytes()).entries],
        [item["id"] for item in json.loads((folder / "feed.json").read_text())["items"]],
    ]
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids[0])) == 10


# --------------------------------------------------------------------------- a year


ENTRY = """---
title: Project {number}
summary: One of many projects.
url: https://example.org/{number}
---
Text.
"""
CAMPAIGN = """
title: A year
description: One a day.
language: en
link: https://example.org/year/
event: {{name: The end, starts: {event} 12:00, timezone: {zone}}}
posting: {{time: "02:30", late: 1h, skip: [tuesday, wednesday, thursday, friday, saturday]}}
text: "{{{{ days_left }}}} {{{{ entry.title }}}}"
channels:
  outbox: {{}}
"""


def write_year(root, *, zone, event, count=105):
    (root / "content").mkdir()
    (root / "schedules").mkdir()
    for number in range(count):
        (root / f"content/p{number:03}.md").write_text(ENTRY.format(number=number))
    (root / "schedules/year.yaml").write_text(CAMPAIGN.format(zone=zone, event=event))
    return settings_of(root)


@pytest.mark.long
@pytest.mark.parametrize(
    ("zone", "event"), [("Europe/Paris", "2016-12-31"), ("Pacific/Chatham", "2017-01-01")]
)
def test_a_leap_year_of_sundays_and_mondays_through_both_clock_changes(tmp_path, zone, event):
    result = app.rehearse_project(write_year(tmp_path, zone=zone, event=event), tmp_path / "out")
    days = sorted(release.date for release in result.releases)
    assert len(days) == 105
    assert days[-1] - days[0] >= timedelta(days=358)
    assert date(2016, 2, 29) in days
    assert {day.weekday() for day in days} == {6, 0}
    assert {delivery.state for delivery in result.deliveries} == {State.PUBLISHED}
    assert all(delivery.published_at == delivery.due for delivery in result.deliveries)


def test_the_night_on_which_clocks_go_forward(tmp_path):
    settings = write_year(tmp_path, zone="Europe/Paris", event="2016-03-30", count=8)
    result = app.rehearse_project(settings, tmp_path / "out")
    due = {delivery.date: delivery.due for delivery in result.deliveries}
    assert due[date(2016, 3, 27)] == datetime(2016, 3, 27, 1, 0, tzinfo=UTC)  # 03:00, since 02:30 is not
    assert due[date(2016, 3, 28)] == datetime(2016, 3, 28, 0, 30, tzinfo=UTC)
    assert {delivery.state for delivery in result.deliveries} == {State.PUBLISHED}


# --------------------------------------------------------------------------- the folder


def test_a_rehearsal_leaves_nothing_of_the_one_before(tmp_path):
    settings = write_year(tmp_path, zone="UTC", event="2016-12-31", count=2)
    app.rehearse_project(settings, tmp_path / "out")
    before = everything_under(tmp_path / "out")
    (tmp_path / "content/p000.md").unlink()
    app.rehearse_project(settings, tmp_path / "out")
    after = everything_under(tmp_path / "out")
    assert any("p000" in name for name in before)
    assert not any("p000" in name for name in after)


def test_a_rehearsal_deletes_nothing_it_did_not_write(tmp_path):
    settings = write_year(tmp_path, zone="UTC", event="2016-12-31", count=1)
    precious = tmp_path / "out/thesis.txt"
    precious.parent.mkdir()
    precious.write_text("ten years of work")
    with pytest.raises(WrongUse, match="no rehearsal wrote"):
        app.rehearse_project(settings, precious.parent)
    assert precious.read_text() == "ten years of work"


def test_a_rehearsal_never_touches_the_projects_own_ledger_or_public_folder(tmp_path):
    app.rehearse_project(write_year(tmp_path, zone="UTC", event="2016-12-31", count=1), tmp_path / "out")
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "public").exists()


def test_a_rehearsal_does_not_wait_for_the_disk_at_each_post(tmp_path, monkeypatch):
    settings = write_year(tmp_path, zone="UTC", event="2016-12-31", count=4)
    flushed = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: flushed.append(str(Path(f"/proc/self/fd/{descriptor}").resolve()))
    )
    app.rehearse_project(settings, tmp_path / "out")
    assert any((tmp_path / "out/outbox").rglob("*.json"))
    assert flushed, "what is written once, at the end, is there for good"
    assert not [
        path for path in flushed if path.startswith((f"{tmp_path}/out/outbox", f"{tmp_path}/out/year"))
    ]


def test_an_empty_project_has_nothing_to_rehearse(tmp_path):
    settings = write_year(tmp_path, zone="UTC", event="2016-12-31", count=0)
    with pytest.raises(WrongUse, match="nothing to rehearse"):
        app.rehearse_project(settings, tmp_path / "out")


def test_one_campaign_can_be_rehearsed_alone(tmp_path):
    settings = write_year(tmp_path, zone="UTC", event="2016-12-31", count=1)
    shutil.copy(tmp_path / "schedules/year.yaml", tmp_path / "schedules/other.yaml")
    result = app.rehearse_project(settings, tmp_path / "out", campaign="other")
    assert {release.campaign for release in result.releases} == {"other"}
