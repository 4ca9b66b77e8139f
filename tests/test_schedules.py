"""Campaigns: what a schedule file says, how it is read, and that nothing typed in it ends in an exception."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model import Campaign, ChannelConfig, Event, MissedPolicy, Posting, Utm
from pipeline.schedules import parse_campaign, read_campaign, scan
from tests.support.editing import BROKEN, assert_sound, documents, edits, expected, found

FAULTS = expected("schedules/")
PATH = "schedules/lille.yaml"
SMALL = """title: Lille
description: Un projet par jour.
language: fr
link: https://Example.org/lille/
event: {name: Sharing Lille, starts: 2016-04-21 09:00, timezone: Europe/Paris}
text: "{{ entry.title }}"
channels: {outbox: }
"""
FULL = """# Sharing Lille
title: "Lille, ville collaborative : 10 projets"
description: >-
  Un projet collaboratif
  par jour.
language: FR
author: OuiShare
link: https://example.org/sharing-lille/
public_url: https://example.org/feeds
authority: Example.org,2016-04
event:
  name: Sharing Lille
  starts: 2016-04-21T09:00:30+05:45
  timezone: Asia/Kathmandu
  place: EuraTechnologies, Lille
  url: https://example.org/
posting:
  time: 18:30:15
  until: 2016-04-19
  skip: [sunday, Tue, 2016-04-18]
  late: 1h30m
  missed: skip
entries: [ouistock, 0123]
text: |
  J-{{ days_left }} : {{ entry.title }}
texts: {mastodon: "Bonjour {{ entry.title }}"}
channels:
  outbox:
  presse: {network: webhook, url: no, time: 12:30, late: 1d, timeout: 30s, settle: 2m, api: "http://127.0.0.1:8080"}
hub: https://hub.example.org/
utm: {source: lettre, medium: email, campaign: lille-2016}
"""


def campaign(text: str, path: str = PATH) -> Campaign:
    parsed = parse_campaign(path, text)
    assert parsed.problems == ()
    assert parsed.value is not None
    return parsed.value


def changed(*pairs: tuple[str, str]) -> str:
    text = SMALL
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def event(starts: str, zone: str = "Europe/Paris") -> Event:
    return campaign(changed(("2016-04-21 09:00", f'"{starts}"'), ("Europe/Paris", zone))).event


def codes(text: str, path: str = PATH) -> list[str]:
    return [problem.code for problem in parse_campaign(path, text).problems]


def posting(*lines: str) -> str:
    return SMALL + "posting:\n" + "".join(f"  {line}\n" for line in lines)


@pytest.mark.parametrize("key", ["title", "name"])
def test_what_a_campaign_says_of_itself_is_plain_text(key: str):
    marked = re.sub(rf"\b{key}: ", f"{key}: <b>Lille</b> ", SMALL, count=1)
    assert codes(marked) == ["E112"]
    assert codes(marked.replace("<b>Lille</b>", "Lille <3 & R&D")) == []


def test_a_campaign_with_every_key_is_read_whole():
    assert campaign(FULL) == Campaign(
        id="lille",
        path=PATH,
        title="Lille, ville collaborative : 10 projets",
        description="Un projet collaboratif par jour.",
        language="fr",
        link="https://example.org/sharing-lille/",
        event=Event(
            "Sharing Lille",
            datetime(2016, 4, 21, 3, 15, 30, tzinfo=UTC),
            "Asia/Kathmandu",
            "EuraTechnologies, Lille",
            "https://example.org/",
        ),
        posting=Posting(
            time=time(18, 30, 15),
            until=date(2016, 4, 19),
            skip_weekdays=frozenset({6, 1}),
            skip_dates=frozenset({date(2016, 4, 18)}),
            late=timedelta(minutes=90),
            missed=MissedPolicy.SKIP,
        ),
        text="J-{{ days_left }} : {{ entry.title }}\n",
        texts={"mastodon": "Bonjour {{ entry.title }}"},
        channels=(
            ChannelConfig("outbox", "outbox"),
            ChannelConfig(
                "presse",
                "webhook",
                time=time(12, 30),
                late=timedelta(days=1),
                timeout=timedelta(seconds=30),
                settle=timedelta(minutes=2),
                api="http://127.0.0.1:8080",
                options={"url": "no"},
            ),
        ),
        entries=("ouistock", "0123"),
        public_url="https://example.org/feeds/",
        authority="example.org,2016-04",
        author="OuiShare",
        hub="https://hub.example.org/",
        utm=Utm(medium="email", campaign="lille-2016", source="lettre"),
    )


def test_a_small_campaign_has_sensible_defaults():
    read = campaign(SMALL)
    assert read.posting == Posting(time(9), date(2016, 4, 20))
    assert read.authority == "example.org,2016"
    assert (read.entries, read.public_url, read.author, read.hub) == (None, None, None, None)
    assert read.channels == (ChannelConfig("outbox", "outbox"),)


def test_a_host_that_no_id_can_hold_needs_an_authority_of_its_own():
    text = changed(("https://Example.org/lille/", f"https://{'é' * 60}.example/"))
    assert codes(text) == ["E110"]
    assert campaign(text + "authority: example.org,2016\n").authority == "example.org,2016"


def test_the_year_of_the_authority_is_the_local_year_of_the_event():
    text = changed(("2016-04-21 09:00", "2016-12-31T23:00Z"))
    assert campaign(text).authority == "example.org,2017"


def test_an_international_host_names_the_authority_in_ascii():
    text = changed(("https://Example.org/lille/", "https://épicerie.example:8080/"))
    assert campaign(text).authority == "xn--picerie-9xa.example,2016"


@pytest.mark.parametrize(
    "value", ["example.org,2016", "a@example.org,2016-02-29", "x-1.fr,2016-12", "localhost,2016"]
)
def test_an_authority_is_a_host_or_mail_address_and_a_date(value: str):
    assert campaign(SMALL + f"authority: '{value}'\n").authority == value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("example.org", "E110"),
        ("example.org, 2016", "E110"),
        ("épicerie.fr,2016", "E110"),
        ("-a.fr,2016", "E110"),
        ("a..fr,2016", "E110"),
        ("a.fr,16", "E110"),
        ("a.fr,2016-13", "E106"),
        ("a.fr,2015-02-29", "E106"),
    ],
)
def test_an_authority_that_makes_no_valid_id_is_refused(value: str, code: str):
    assert codes(SMALL + f"authority: '{value}'\n") == [code]


@pytest.mark.parametrize(
    ("starts", "zone", "utc"),
    [
        ("2016-04-21 09:00", "Europe/Paris", "2016-04-21 07:00:00"),
        ("2016-04-21T09:00:01", "Europe/Paris", "2016-04-21 07:00:01"),
        ("2016-04-21 09:00Z", "Europe/Paris", "2016-04-21 09:00:00"),
        ("2016-04-21 09:00 -03:30", "Europe/Paris", "2016-04-21 12:30:00"),
        ("2016-03-27 02:30", "Europe/Paris", "2016-03-27 01:00:00"),  # does not exist: first instant after
        ("2016-10-30 02:30", "Europe/Paris", "2016-10-30 00:30:00"),  # exists twice: the first
        ("2016-04-21 09:00", "Pacific/Chatham", "2016-04-20 20:15:00"),
        ("2016-04-21 09:00", "America/St_Johns", "2016-04-21 11:30:00"),
        ("2016-02-29 00:00", "UTC", "2016-02-29 00:00:00"),
    ],
)
def test_the_start_is_read_in_the_time_zone_of_the_event(starts: str, zone: str, utc: str):
    assert event(starts, zone).starts == datetime.fromisoformat(utc + "+00:00")


@pytest.mark.parametrize(
    "starts",
    [
        "2016-04-21",
        "2016-04-21 9:00",
        "2016-04-21 24:00",
        "2016-04-2109:00",
        "2016-02-30 09:00",
        "21/04/2016 09:00",
        "2016-04-21 09:00 CET",
        "2016-04-21 09:00+24:00",
        "0001-01-01 00:00+14:00",
        "9999-12-31 23:59-14:00",
    ],
)
def test_a_start_that_is_no_moment_is_refused(starts: str):
    assert codes(changed(("2016-04-21 09:00", f'"{starts}"'))) == ["E106"]


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("Europe/Pariss", "`Europe/Paris`"),
        ("europe/paris", "`Europe/Paris`"),
        ("Paris", "`Europe/Paris`"),
        ("new york", "`America/New_York`"),
        ("Europe", ""),
        ("localtime", ""),
        ("right/Europe/Paris", ""),
        ("../../etc/passwd", "such as"),
        ("/etc/localtime", ""),
        ("Europe//Paris", ""),
        ("GMT+1", ""),
    ],
)
def test_a_time_zone_is_a_name_that_every_machine_knows(typed: str, hint: str):
    parsed = parse_campaign(PATH, changed(("Europe/Paris", f'"{typed}"')))
    assert [problem.code for problem in parsed.problems] == ["E111"]
    assert hint in parsed.problems[0].hint
    assert f"`{typed}`" not in parsed.problems[0].hint


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("6h", 21600),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1d1h1m1s", 90061),
        ("999d", 86313600),
    ],
)
def test_a_duration_is_a_number_and_a_letter(typed: str, seconds: int):
    assert campaign(posting(f"late: {typed}")).posting.late == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "typed", ["0h", "6", "6 h", "-6h", "6H", "30m1h", "1.5h", "h", "six heures", "1000d", "٦h", "''"]
)
def test_a_duration_that_cannot_be_read_or_is_nothing_is_refused(typed: str):
    assert codes(posting(f"late: {typed}")) == ["E107"]


@pytest.mark.parametrize(
    "typed", ["9:00", "24:00", "12:60", "09:00:60", "9h", "midi", "09:00 ", "0900", "09:00:00.5"]
)
def test_a_time_of_day_is_hours_and_minutes(typed: str):
    wanted = [] if typed == "09:00 " else ["E106"]
    assert codes(posting(f'time: "{typed}"')) == wanted


def test_skipped_days_are_weekdays_or_dates_one_or_many():
    assert campaign(posting("skip: Sunday")).posting.skip_weekdays == frozenset({6})
    assert campaign(posting("skip: [mon, THURS, 2016-04-18, 2016-04-18]")).posting == Posting(
        time(9), date(2016, 4, 20), frozenset({0, 3}), frozenset({date(2016, 4, 18)})
    )
    assert codes(posting("skip: [dimanche, 2016-02-30, [monday]]")) == ["E109", "E106", "E103"]


def test_the_last_posting_day_is_the_day_of_the_event_at_the_latest():
    assert campaign(posting("until: 2016-04-21")).posting.until == date(2016, 4, 21)
    assert codes(posting("until: 2016-04-22")) == ["E307"]
    far_east = changed(("2016-04-21 09:00", "2016-04-21T23:30Z"), ("Europe/Paris", "Asia/Tokyo"))
    assert campaign(far_east + "posting: {until: 2016-04-22}\n").event.day == date(2016, 4, 22)


def test_a_campaign_must_leave_a_day_of_the_week():
    six = "monday, tuesday, wednesday, thursday, friday, saturday"
    assert codes(posting(f"skip: [{six}]")) == []
    assert codes(posting(f"skip: [{six}, sun]")) == ["E307"]


def test_rules_between_parts_are_told_together_with_faults_inside_other_parts():
    text = posting("until: 2016-04-22", "skip: [mon, tue, wed, thu, fri, sat, sun]") + "couleur: vert\n"
    assert sorted(codes(text)) == ["E102", "E307", "E307"]


def test_a_key_of_several_lines_is_told_in_one():
    assert_sound(
        parse_campaign(PATH, "event:\n  ? 'a\n\n    b'\n  : c\n"), "event:\n  ? 'a\n\n    b'\n  : c\n"
    )


def test_the_id_of_a_campaign_is_the_stem_of_its_file():
    assert campaign(SMALL, "schedules/sharing-lille.2016.yml").id == "sharing-lille.2016"
    assert codes(SMALL, "schedules/Été.yaml") == ["E110"]
    assert codes(SMALL, "schedules/\udce9.yaml") == ["E110"]


def test_options_of_channels_stay_text_whatever_they_are_called():
    text = changed(("{outbox: }", "{x: {model_config: no, __class__: 1e3, network_id: 007}}"))
    assert campaign(text).channels[0].options == {
        "model_config": "no",
        "__class__": "1e3",
        "network_id": "007",
    }


def test_nested_or_empty_options_and_lists_are_told_at_their_place():
    text = changed(("{outbox: }", "\n  x:\n    a: {b: c}\n    d: [e]\n    f:\n  y: text\n  z:\n  w: [a]"))
    parsed = parse_campaign(PATH, text)
    assert found(parsed) == ["10:8 E103", "11:5 E103", "12:6 E103", "14:6 E103", "9:8 E103"]


@pytest.mark.parametrize("path", sorted(FAULTS))
def test_each_broken_file_is_told_at_its_line_and_column(path: str):
    parsed = read_campaign(BROKEN, path)
    assert found(parsed) == FAULTS[path]
    assert parsed.value is None
    assert all(problem.path == path and problem.hint for problem in parsed.problems)


def test_the_whole_folder_of_broken_files_is_told_in_one_pass():
    assert {path: found(read_campaign(BROKEN, path)) for path in scan(BROKEN)} == FAULTS


def test_scan_finds_both_spellings_and_no_folder_below(tmp_path: Path):
    for name in ("a.yaml", "b.yml", "c.YAML", ".d.yaml", "e.txt", "f/g.yaml"):
        (tmp_path / "schedules" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "schedules" / name).write_text(SMALL, encoding="utf-8")
    assert scan(tmp_path) == ["schedules/a.yaml", "schedules/b.yml", "schedules/c.YAML"]
    assert all(read_campaign(tmp_path, path).value for path in scan(tmp_path))


def test_a_file_that_is_gone_is_a_problem(tmp_path: Path):
    assert [problem.code for problem in read_campaign(tmp_path, PATH).problems] == ["E001"]


# --------------------------------------------------------------------------- anything at all


KEYS = (
    *("title", "description", "language", "link", "event", "text", "channels", "posting", "texts", "entries"),
    *(
        "public_url",
        "authority",
        "author",
        "hub",
        "name",
        "starts",
        "timezone",
        "place",
        "url",
        "time",
        "until",
    ),
    *("skip", "late", "missed", "network", "api", "timeout", "settle"),
    *("utm", "source", "medium", "campaign"),
)


@given(st.text(max_size=300))
def test_any_text_gives_a_campaign_or_problems(text: str):
    assert_sound(parse_campaign(PATH, text), text)


@given(edits(FULL))
def test_any_clumsy_edit_gives_a_campaign_or_problems(text: str):
    assert_sound(parse_campaign(PATH, text), text)


@given(documents(KEYS))
def test_any_value_under_any_key_gives_a_campaign_or_problems(text: str):
    assert_sound(parse_campaign(PATH, text), text)


@given(st.binary(max_size=300))
def test_any_bytes_in_a_file_give_a_campaign_or_problems(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
):
    root = tmp_path_factory.getbasetemp()
    (root / "schedules").mkdir(exist_ok=True)
    (root / PATH).write_bytes(data)
    assert_sound(read_campaign(root, PATH), data.decode("utf-8", "replace"))


@given(
    st.dates(date(1970, 1, 2), date(2199, 12, 30)),
    st.times().map(lambda moment: moment.replace(microsecond=0)),
    st.sampled_from(["Europe/Paris", "Pacific/Apia", "America/St_Johns"]),
)
def test_any_wall_time_becomes_an_instant_whose_eve_is_the_last_posting_day(
    day: date, clock: time, zone: str
):
    starts = f"{day} {clock}"
    read = campaign(changed(("2016-04-21 09:00", f'"{starts}"'), ("Europe/Paris", zone)))
    assert read.event.starts.tzinfo is UTC
    assert read.posting.until == read.event.day - timedelta(days=1)
    assert read.event.day - day in (timedelta(0), timedelta(days=1))


def test_the_path_of_an_entrys_file_leads_to_its_id():
    (problem,) = parse_campaign("schedules/c.yaml", SMALL + "entries: [content/sub/a.md]\n").problems
    assert problem.code == "E110"
    assert problem.hint.endswith("`a`")
