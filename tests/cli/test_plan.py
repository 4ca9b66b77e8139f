"""`plan`: the calendar, as it is, as it would be, as iCalendar, and what changed."""

from __future__ import annotations

import shutil
from datetime import date, timedelta

import pytest
from icalendar import Calendar

from tests.cli.commands import REPOSITORY, Project, published, run, spawn


@pytest.fixture
def lille(tmp_path):
    """The real campaign, in a folder of its own."""
    for name in ("content", "schedules"):
        shutil.copytree(REPOSITORY / name, tmp_path / "lille" / name)
    return tmp_path / "lille"


def test_json_is_what_the_interface_says(project):
    document = project.run("plan --json").json()
    assert list(document) == ["campaigns"]
    (campaign,) = document["campaigns"]
    assert campaign["id"] == "fete"
    assert campaign["over"] is False
    assert campaign["changes"] == []
    first, second = campaign["slots"]
    eve = project.event.date() - timedelta(days=1)
    assert {**second, "channels": None} == {
        "date": eve.isoformat(),
        "due": f"{eve}T00:00:00Z",
        "entry": "p1",
        "days_left": 1,
        "standing": "ahead",
        "channels": None,
    }
    assert (first["entry"], first["days_left"]) == ("p0", 2)
    (channel,) = second["channels"]
    text = "J-1 Projet p1 https://example.org/p1"
    assert channel | {"length": len(text), "limit": None, "shortened": False, "text": text} == channel
    assert (channel["channel"], channel["network"]) == ("outbox", "outbox")


def test_the_real_campaign_can_always_be_looked_at(lille):
    (campaign,) = spawn("plan", "--json", folder=lille).json()["campaigns"]
    assert campaign["over"] is True
    days = [(slot["date"], slot["days_left"]) for slot in campaign["slots"]]
    assert days == [(date(2016, 4, 11 + n).isoformat(), 10 - n) for n in range(10)]


def test_as_of_shows_another_day(lille):
    (campaign,) = run("plan", "sharing-lille", "--as-of", "2016-04-11", "--json", "--root", lille).json()[
        "campaigns"
    ]
    assert campaign["over"] is False
    assert campaign["slots"][0]["date"] == "2016-04-11"
    (late,) = run("plan", "--as-of", "2016-04-15", "--json", "--root", lille, status=0).json()["campaigns"]
    standing = [slot["standing"] for slot in late["slots"]]
    assert standing == ["missed"] * 4 + ["ahead"] * 6  # the past is never posted


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_as_of_a_day_beyond_all_calendars(project, day):
    assert "too far away" in project.run("plan --as-of", day, status=2).err


@pytest.mark.parametrize("day", ["tomorrow", "2016-02-30", "18/04/2016"])
def test_as_of_what_is_no_day(project, day):
    assert "--as-of" in project.run("plan --as-of", day, status=2).err


def test_what_changed_is_told_once(project):
    assert "Changed" not in project.run("plan").out
    project.write_entry("a-new-one")
    out = project.run("plan").out
    days = {n: (project.event.date() - timedelta(days=n)).isoformat() for n in (1, 2, 3)}
    assert f"a-new-one joins on {days[3]}" in out
    assert "Changed" not in project.run("plan").out
    (project.root / "content/p0.md").unlink()
    (campaign,) = project.run("plan --json").json()["campaigns"]
    assert campaign["changes"] == [
        f"a-new-one moves from {days[3]} to {days[2]}",
        f"p0 leaves its day, {days[2]}",
    ]


def test_another_day_is_not_remembered_as_the_plan(project):
    project.run("plan")
    project.run("plan --as-of", project.event.date() - timedelta(days=1))
    assert "Changed" not in project.run("plan").out


def test_what_is_published_stays(project):
    with project.ledger() as ledger:
        gone = published(ledger)
    (campaign,) = project.run("plan --json").json()["campaigns"]
    assert (campaign["slots"][0]["entry"], campaign["slots"][0]["date"]) == ("p0", gone.date.isoformat())
    assert campaign["slots"][0]["standing"] == "settled"
    assert "p0 [settled]" in project.run("plan").out  # brackets are text, no markup


def test_problems_are_shown_and_the_rest_is_planned(project):
    project.write_entry("p1").write_text("broken")
    ran = project.run("plan", status=1)
    assert "content/p1.md:1:1: E003" in ran.err
    assert "p0" in ran.out


def test_a_campaign_that_is_not_there(project):
    ran = project.run("plan fetes", status=2)
    assert "no readable campaign `fetes`" in ran.err
    assert "Did you mean `fete`?" in ran.err


# --------------------------------------------------------------------------- iCalendar


def test_the_calendar_file_can_be_read_and_is_the_same_each_time(lille, tmp_path):
    first, second = tmp_path / "a/calendar.ics", tmp_path / "b.ics"
    spawn("plan", "sharing-lille", "--ics", first, folder=lille)
    run("plan", "--root", lille, "--ics", second)
    assert first.read_bytes() == second.read_bytes()

    calendar = Calendar.from_ical(first.read_bytes())
    zones = [str(zone["tzid"]) for zone in calendar.walk("VTIMEZONE")]
    assert zones == ["Europe/Paris"]
    events = {str(event["uid"]): event for event in calendar.walk("VEVENT")}
    assert len(events) == 11
    ouistock = events["sharing-lille/ouistock@example.org"]
    assert ouistock["dtstart"].params["TZID"] == "Europe/Paris"
    assert ouistock.decoded("dtstart").isoformat() == "2016-04-11T09:00:00+02:00"


def test_a_uid_survives_a_move(project, tmp_path):
    def uids(name: str) -> dict[str, str]:
        project.run("plan --ics", tmp_path / name)
        events = Calendar.from_ical((tmp_path / name).read_bytes()).walk("VEVENT")
        return {str(event["uid"]): event.decoded("dtstart").isoformat() for event in events}

    before = uids("before.ics")
    project.write_campaign(event=project.event + timedelta(days=3))
    after = uids("after.ics")
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())


def test_one_calendar_file_is_one_campaign(project, tmp_path):
    shutil.copy(project.root / "schedules/fete.yaml", project.root / "schedules/autre.yaml")
    assert "Name the campaign" in project.run("plan --ics", tmp_path / "c.ics", status=2).err
    project.run("plan fete --ics", tmp_path / "c.ics")


def test_a_calendar_file_that_cannot_be_written(project):
    (project.root / "file").write_text("")
    assert "file" in project.run("plan --ics", project.root / "file/c.ics", status=4).err


# --------------------------------------------------------------------------- for people


def test_titles_are_shown_as_they_are(project):
    project.write_campaign(more="author: '[bold]'\n")
    path = project.root / "schedules/fete.yaml"
    path.write_text(path.read_text().replace("title: La fête", "title: '[red] la :fire: fête'"))
    assert "[red] la :fire: fête" in project.run("plan").out


def test_a_wide_table_is_not_cut_where_there_is_no_terminal(tmp_path):
    name = "p" + "x" * 79
    project = Project(tmp_path / "wide", entries=0)
    project.write_entry(name)
    assert "x" * 40 in spawn("plan", folder=project.root, COLUMNS="20").out
