"""`status`, and what a person decides, on a ledger that has been through something."""

from __future__ import annotations

import json

import pytest

from pipeline.model import State
from tests.cli.commands import held, key, planned, published, read, spawn, unknown

ROW = [
    *("id", "campaign", "entry", "channel", "network", "date", "due", "state", "reason", "url", "remote_id"),
    *("attempts", "published_at"),
]


def test_status_before_anything_happened(project):
    ran = project.run("status")
    assert "no deliveries yet" in ran.out
    document = project.run("status --json").json()
    assert (document["deliveries"], document["next"], document["waiting"]) == ([], None, [])


def test_json_is_what_the_interface_says(project):
    with project.ledger() as ledger:
        was, ahead = published(ledger), planned(ledger, "p1")
    document = spawn("status", "--json", folder=project.root).json()
    rows = {row["id"]: row for row in document["deliveries"]}
    assert list(rows) == ["fete/p0/outbox", "fete/p1/outbox"]
    row = rows["fete/p0/outbox"]
    assert list(row) == ROW
    assert was.published_at is not None
    published_at = was.published_at.isoformat().replace("+00:00", "Z")
    assert (
        row
        | {
            "campaign": "fete",
            "entry": "p0",
            "channel": "outbox",
            "network": "outbox",
            "state": "published",
            "reason": None,
            "url": "https://social.example/42",
            "remote_id": "42",
            "attempts": 1,
            "published_at": published_at,
        }
        == row
    )
    assert document["next"] == {"id": "fete/p1/outbox", "due": ahead.due.isoformat().replace("+00:00", "Z")}


def test_a_held_delivery_waits_for_a_person(project):
    with project.ledger() as ledger:
        held(ledger)
    ran = spawn("status", folder=project.root, status=3)
    assert "fete/p0/outbox waits for you: the network refused it: forbidden word" in ran.out
    assert "pipeline retry fete/p0/outbox" in ran.out
    (waits,) = project.run("status --json", status=3).json()["waiting"]
    assert waits["id"] == "fete/p0/outbox"
    assert len(waits["answers"]) == 2


def test_a_missed_delivery_is_told_and_asks_for_nothing(project):
    with project.ledger() as ledger:
        was = planned(ledger)
        assert ledger.close_windows(was.closes) == [was.key]
    ran = project.run("status")
    assert "fete/p0/outbox was missed, you may still act: it was due at" in ran.out
    assert "pipeline retry fete/p0/outbox" in ran.out
    (missed,) = project.run("status --json").json()["missed"]
    assert missed["id"] == "fete/p0/outbox"
    assert "its window closed" in missed["happened"]


def test_an_unknown_delivery_whose_channel_is_gone_waits_for_a_person(project):
    with project.ledger() as ledger:
        unknown(ledger)
    project.run("status")  # the outbox can be looked at: it goes on by itself
    path = project.root / "schedules/fete.yaml"
    path.write_text(path.read_text().replace("{outbox: {}}", "{other: {network: outbox}}"))
    ran = project.run("status", status=3)
    assert "pipeline resolve fete/p0/outbox posted" in ran.out


def test_problems_in_the_files_are_shown_with_the_deliveries(project):
    with project.ledger() as ledger:
        planned(ledger)
    project.run("status")
    project.write_entry("p0").write_text("broken")
    ran = project.run("status")
    assert "content/p0.md:1:1: E003" in ran.err
    assert project.run("status -q").err == ""
    (problem,) = project.run("status --json").json()["problems"]
    assert (problem["path"], problem["code"], problem["severity"]) == ("content/p0.md", "E003", "error")


# --------------------------------------------------------------------------- decisions


def test_a_person_found_the_post(project):
    with project.ledger() as ledger:
        unknown(ledger)
    ran = spawn("resolve", key(), "posted", "--url", "https://social.example/7", folder=project.root)
    assert ran.out == "fete/p0/outbox is now published\n"
    (row,) = project.run("status --json").json()["deliveries"]
    assert (row["state"], row["url"]) == ("published", "https://social.example/7")


def test_a_person_found_nothing(project):
    with project.ledger() as ledger:
        unknown(ledger)
    assert "fete/p0/outbox is now planned, due " in project.run("resolve fete/p0/outbox not-posted").out
    with project.ledger() as ledger:
        assert read(ledger).state is State.PLANNED


def test_an_address_belongs_to_a_post(project):
    with project.ledger() as ledger:
        unknown(ledger)
    ran = project.run("resolve fete/p0/outbox not-posted --url https://social.example/7", status=2)
    assert "--url" in ran.err
    with project.ledger() as ledger:
        assert read(ledger).state is State.UNKNOWN


@pytest.mark.parametrize("url", ["social.example/7", "javascript:alert(1)", "it is there", ""])
def test_what_is_no_address_is_not_taken_for_the_posts(project, url):
    with project.ledger() as ledger:
        unknown(ledger)
    ran = project.run("resolve fete/p0/outbox posted", "--url", url, status=2)
    assert "is not an absolute http(s) URL" in ran.err
    with project.ledger() as ledger:
        assert read(ledger).state is State.UNKNOWN


def test_retry_sends_a_held_delivery_and_the_next_tick_publishes_it(project):
    with project.ledger() as ledger:
        held(ledger)
    assert "is now planned" in project.run("retry fete/p0/outbox").out
    ticked = project.run("tick --json").json()
    assert "fete/p0/outbox" in ticked["sent"]
    (row,) = [row for row in project.run("status --json").json()["deliveries"] if row["entry"] == "p0"]
    assert row["state"] == "published"


def test_cancel_gives_a_delivery_up(project):
    with project.ledger() as ledger:
        held(ledger)
    assert spawn("cancel", "fete/p0/outbox", folder=project.root).out == "fete/p0/outbox is now cancelled\n"
    project.run("status")
    assert project.run("cancel fete/p0/outbox -q", status=2).err != ""


@pytest.mark.parametrize(
    ("command", "prepare"),
    [
        ("resolve fete/p0/outbox posted", planned),
        ("resolve fete/p0/outbox not-posted", published),
        ("retry fete/p0/outbox", published),
        ("retry fete/p0/outbox", planned),
        ("cancel fete/p0/outbox", published),
        ("cancel fete/p0/outbox", unknown),
    ],
)
def test_a_step_the_table_does_not_have_changes_nothing(project, command, prepare):
    with project.ledger() as ledger:
        before = prepare(ledger)
    ran = project.run(command, status=2)
    assert "fete/p0/outbox" in ran.err
    with project.ledger() as ledger:
        assert read(ledger) == before


@pytest.mark.parametrize("command", ["resolve {} posted", "retry {}", "cancel {}"])
def test_a_delivery_that_is_not_there(project, command):
    with project.ledger() as ledger:
        planned(ledger)
    ran = project.run(command.format("fete/p0/outboks"), status=2)
    assert "there is no delivery `fete/p0/outboks`" in ran.err
    assert "fete/p0/outbox" in ran.err
    assert "`pipeline status` lists" in project.run(command.format("x"), status=2).err


def test_nothing_is_retried_once_the_event_has_begun(project):
    with project.ledger() as ledger:
        held(ledger)
    path = project.root / "schedules/fete.yaml"
    path.write_text(path.read_text().replace(f"{project.event:%Y-%m-%d}", "2016-04-21"))
    assert "has begun" in project.run("retry fete/p0/outbox", status=2).err


def test_status_for_scripts_is_one_document(project):
    with project.ledger() as ledger:
        held(ledger)
    ran = project.run("status --json", status=3)
    assert json.loads(ran.out)["deliveries"][0]["reason"] == "forbidden word"
    assert ran.err == ""
