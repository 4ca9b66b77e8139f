"""`plan`: the calendar, as it is, as it would be, as iCalendar, and what changed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from pipeline.remembered import day_words
from tests.cli.commands import REPOSITORY, Project, now, published, run, spawn


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
    days = [project.event.date() - timedelta(days=n) for n in (2, 3)]
    earlier, later = days[1], days[0]
    today = now().date()
    assert f"Projet a-new-one joins on {day_words(earlier, today)}" in out
    assert "Changed" not in project.run("plan").out
    (project.root / "content/p0.md").unlink()
    (campaign,) = project.run("plan --json").json()["campaigns"]
    moved, left = sorted(campaign["changes"], key=lambda line: "leaves" in line)
    assert re.fullmatch(rf"Projet a-new-one moves from {earlier.day}\b.* to {day_words(later, today)}", moved)
    assert left == f"Projet p0 leaves its day, {day_words(later, today)}"


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
    assert "p0 [settled]" in project.run("plan --list").out  # brackets are text, no markup
    assert re.search(r"\| Projet p0 +\|.*\n.*\| \[settled\] +\|", project.run("plan").out)


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


def test_each_move_raises_the_sequence_and_nothing_else_does(project, tmp_path):
    """Programs that imported an event keep what they have, unless the new one has a higher SEQUENCE."""

    def sequences() -> set[int]:
        project.run("plan --ics", tmp_path / "c.ics")
        events = Calendar.from_ical((tmp_path / "c.ics").read_bytes()).walk("VEVENT")
        return {int(event.get("sequence", 0)) for event in events if "/" in event["uid"]}

    assert sequences() == {0}
    assert sequences() == {0}
    project.write_campaign(at="00:30")
    assert sequences() == {1}
    assert sequences() == {1}
    project.write_campaign(event=project.event + timedelta(days=3), at="00:30")
    assert sequences() == {2}
    project.write_campaign(event=project.event, at="00:00")  # back to where it was
    assert sequences() == {3}


def test_the_zone_of_the_calendar_says_when_clocks_change(lille, tmp_path):
    """By hand, as a program that knows no names of zones reads it."""
    run("plan", "sharing-lille", "--ics", tmp_path / "c.ics", "--root", lille)
    lines = (tmp_path / "c.ics").read_bytes().decode().split("\r\n")
    assert all(len(line.encode()) <= 75 for line in lines)
    changes = []
    for part in re.findall(r"BEGIN:(?:STANDARD|DAYLIGHT)\n.*?END:", "\n".join(lines), re.DOTALL):
        values = dict(line.partition(":")[::2] for line in part.splitlines())
        begins = [values["DTSTART"], *values.get("RDATE", "").split(",")]
        changes += [(one, values["TZOFFSETTO"]) for one in begins if one]
    for day in (date(2016, 4, 11) + timedelta(days=n) for n in range(200)):
        wall = f"{day:%Y%m%d}T090000"
        _, offset = max(change for change in changes if change[0] <= wall)
        expected = datetime(day.year, day.month, day.day, 9, tzinfo=ZoneInfo("Europe/Paris"))
        assert offset == f"{expected:%z}", day
    assert "DTSTART;TZID=Europe/Paris:20160411T090000" in lines


def test_addresses_with_accents_are_uris_in_the_calendar(lille, tmp_path):
    path = lille / "content/ouistock.md"
    path.write_text(re.sub(r"(?m)^url: .*", "url: https://example.org/é?a=ñ", path.read_text()))
    run("plan", "sharing-lille", "--ics", tmp_path / "c.ics", "--root", lille)
    events = Calendar.from_ical((tmp_path / "c.ics").read_bytes()).walk("VEVENT")
    (event,) = [one for one in events if "ouistock" in one["uid"]]
    assert event["url"] == "https://example.org/%C3%A9?a=%C3%B1"
    assert "https://example.org/é?a=ñ" in event["description"]


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
    assert "x" * 40 in spawn("plan", "--list", folder=project.root, COLUMNS="20").out


WEEKS = (REPOSITORY / "tests/golden/plan/weeks.txt").read_text(encoding="utf-8")


@pytest.fixture
def without_sundays(lille):
    """Nine entries, and a Sunday on which nothing is posted."""
    path = lille / "schedules/sharing-lille.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(?m)^posting:\n", "posting:\n  skip: [sunday]\n", text), encoding="utf-8")
    (lille / "content/dinamove.md").unlink()
    path.write_text(re.sub(r"(?m)^ *- dinamove.*\n", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    return lille


def test_weeks_are_shown_as_on_a_wall(without_sundays):
    out = run("plan", "--as-of", "2016-04-15", "--root", without_sundays).out
    assert WEEKS in out
    assert "\nApril 2016\n" in out
    assert "\x1b" not in out
    shown = "Today: Friday 15 April, J-6: Touteco met le prêt entre habitants au service des villes"
    assert f"{shown}\n  09:00 outbox\n" in out


def test_on_a_day_without_a_post_the_next_one_is_shown(without_sundays):
    out = run("plan", "--as-of", "2016-04-17", "--root", without_sundays).out
    assert "\nNext: Monday 18 April, J-3: Jean Bouteille" in out


def test_a_narrow_terminal_gets_a_list_and_a_wide_one_weeks(lille):
    shown = {
        columns: in_terminal(columns, "plan", "--as-of", "2016-04-15", folder=lille) for columns in (60, 100)
    }
    assert "Monday" not in shown[60]
    assert "2016-04-11" in shown[60]
    assert "Mon" in shown[100]
    assert "\x1b[" in shown[100]
    assert max(map(len, plain(shown[100]).splitlines())) <= 100


def test_without_colour_a_terminal_gets_no_escape_code(lille):
    assert "\x1b" not in in_terminal(100, "plan", "--as-of", "2016-04-15", folder=lille, NO_COLOR="1")


def in_terminal(columns, *words, folder, **environment):
    """What the command shows in a terminal of that width."""
    main, sub = pty.openpty()
    fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "NO_COLOR"}}
    child = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color"} | environment,
        stdin=subprocess.DEVNULL,
        stdout=sub,
        stderr=sub,
    )
    os.close(sub)
    shown = b""
    try:
        while part := os.read(main, 65536):
            shown += part
    except OSError:
        pass  # how Linux says that the other side is closed
    os.close(main)
    assert child.wait(30) == 0, shown
    return shown.decode()


def plain(shown):
    return re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r", "")


# --------------------------------------------------------------------------- money


def test_what_a_campaign_will_cost_is_told(project):
    path = project.write_campaign()
    path.write_text(path.read_text().replace("channels: {outbox: {}}", "channels: {outbox: {}, x: {}}"))
    out = project.run("plan").out
    assert "x: 2 posts with a link at $0.20: about $0.40\n" in out
    (campaign,) = project.run("plan --json").json()["campaigns"]
    assert campaign["prices"] == [
        {
            "channel": "x",
            "network": "x",
            "currency": "USD",
            "total": "0.400",
            "kinds": [{"posts": 2, "link": True, "price": "0.200"}],
        }
    ]
    prices = [[row["price"] for row in slot["channels"]] for slot in campaign["slots"]]
    assert prices == [[None, "0.200"], [None, "0.200"]]


def test_what_is_over_costs_nothing_more(lille):
    as_of = run("plan", "--as-of", "2016-04-15", "--root", lille).out
    assert (
        "x: 5 posts with a link at $0.20, 1 post with a link at $0.205: about $1.20\n" in as_of
    )  # 4 have passed
    assert "about" not in run("plan", "--root", lille).out
