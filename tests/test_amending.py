"""A change of mind, carried to networks and feeds: repeatable, and honest about what it could not do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.amending import Amender, Told
from pipeline.clock import VirtualClock
from pipeline.errors import WrongUse
from pipeline.ledger import SAID_POSTED
from pipeline.model import DeliveryKey, NoKey, State
from pipeline.tick import Pipeline
from tests.support.builders import utc
from tests.support.channels import (
    PERMANENT,
    Fault,
    FaultyChannel,
    auth_failed,
    crash,
    no_answer,
    not_accepted,
    rate_limited,
    rejected,
)
from tests.support.projects import Project

DUE = utc(2016, 4, 11, 10)
KEY = DeliveryKey("lille", "a", "x")
MUTE = replace(PERMANENT, edit=False, delete=False)


class Scene:
    """A project of which the first entry is out, on a faulty network and in the outbox."""

    def __init__(self, root: Path, *, late: str = "6h", first: Fault | None = None, **traits: object) -> None:
        self.clock = VirtualClock(DUE - timedelta(minutes=1))
        self.channel = FaultyChannel(clock=self.clock, traits=replace(PERMANENT, **traits))
        self.project = Project(root, DUE)
        self.project.entry("a")
        self.project.entry("b")
        self.project.campaign(
            "a",
            "b",
            late=late,
            channels={"x": {"network": "webhook", "url": "https://a.invalid/"}, "outbox": {}},
        )
        self.tick()
        self.channel.fail("publish", *filter(None, [first]))
        self.clock.sleep_until(DUE)
        self.tick()

    @contextmanager
    def open(self) -> Iterator[Pipeline]:
        with self.project.open(self.clock, channels={"x": self.channel}) as pipeline:
            yield pipeline

    def tick(self) -> None:
        with self.open() as pipeline:
            pipeline.tick()

    def amend(self, entry: str = "a") -> dict[str, Told]:
        with self.open() as pipeline:
            told = Amender(pipeline).amend(entry)
            pipeline.rewrite_feeds()
            return {one.delivery.key.channel: one for one in told}

    def retract(self, entry: str = "a") -> dict[str, Told]:
        with self.open() as pipeline:
            told = Amender(pipeline).retract(entry)
            pipeline.rewrite_feeds()
            return {one.delivery.key.channel: one for one in told}

    def remote(self) -> list[bytes]:
        return [post.body for post in self.channel.remote.posts.values()]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_an_edited_entry_is_edited_where_it_is_and_in_the_feeds(scene: Scene):
    scene.project.entry("a", title="Un autre titre")
    told = scene.amend()
    assert {channel: one.text for channel, one in told.items()} == {"x": "edited", "outbox": "edited"}
    assert len(scene.remote()) == 1
    assert b"Un autre titre" in scene.remote()[0]
    assert len(scene.project.posts()) == 1
    assert scene.project.feed_titles() == ["Un autre titre"]
    with scene.project.open_ledger() as ledger:
        after = ledger.delivery(KEY)
    assert after.state is State.PUBLISHED
    assert b"Un autre titre" in after.rendition.body
    assert after.receipt.digest == after.rendition.digest


def test_the_countdown_of_an_edited_post_stays_that_of_its_day(scene: Scene):
    before = scene.remote()[0]
    scene.clock.advance(timedelta(days=1))
    assert scene.amend()["x"].text == "edited"
    assert scene.remote()[0] == before


def test_a_post_that_went_out_after_midnight_keeps_the_countdown_it_went_out_with(tmp_path: Path):
    scene = Scene(tmp_path, late="20h", first=rate_limited(wait=timedelta(hours=13)))
    scene.clock.advance(timedelta(hours=13))
    scene.tick()
    (before,) = scene.remote()
    assert b"J-1 Projet a" in before, "one day less than its slot"
    assert scene.amend()["x"].text == "edited"
    assert scene.remote() == [before]


def test_amending_twice_is_the_same_as_once(scene: Scene):
    scene.project.entry("a", title="Un autre titre")
    scene.amend()
    once = scene.remote()
    scene.amend()
    assert scene.remote() == once


def test_a_retracted_entry_is_gone_everywhere_and_never_comes_back(scene: Scene):
    told = scene.retract()
    assert {channel: one.text for channel, one in told.items()} == {"x": "deleted", "outbox": "deleted"}
    assert scene.remote() == []
    assert scene.project.posts() == []
    assert scene.project.feed_titles() == []
    for _ in range(3):
        scene.clock.advance(timedelta(hours=8))
        scene.tick()
    assert scene.project.feed_titles() == ["Projet b"]
    assert scene.project.posts() == ["lille/b/outbox"]
    assert scene.project.states()["lille/a/x"] == "deleted"


def test_retracting_twice_is_the_same_as_once(scene: Scene):
    scene.retract()
    assert {one.text for one in scene.retract().values()} == {"nothing to do: it is deleted"}
    assert scene.channel.remote.calls.count("delete") == 1


def test_an_edit_of_a_retracted_entry_brings_nothing_back(scene: Scene):
    scene.retract()
    scene.project.entry("a", title="Un autre titre")
    scene.tick()
    assert scene.project.feed_titles() == []


@pytest.mark.parametrize(
    "fault",
    [
        not_accepted(),
        no_answer(accepted=True),
        no_answer(accepted=False),
        rate_limited(wait=timedelta(minutes=1)),
        rejected(),
        auth_failed(),
        crash(RuntimeError("a bug in the adapter"), accepted=True),
    ],
    ids=[
        "not accepted",
        "taken, unknown",
        "not taken, unknown",
        "rate limited",
        "rejected",
        "auth failed",
        "a bug",
    ],
)
def test_what_went_wrong_is_told_and_the_same_command_again_does_it(scene: Scene, fault):
    scene.project.entry("a", title="Un autre titre")
    scene.channel.fail("edit", fault)
    told = scene.amend()
    assert told["x"].again
    assert not told["outbox"].again
    assert scene.amend()["x"].text == "edited"
    scene.channel.fail("delete", fault)
    assert scene.retract()["x"].again
    assert scene.project.states()["lille/a/x"] == "published"
    assert scene.retract()["x"].text == "deleted"
    assert scene.remote() == []


def test_an_edit_that_cannot_be_prepared_is_told_and_changes_nothing(scene: Scene):
    scene.project.entry("a", title="Un autre titre")
    scene.channel.fail("prepare", no_answer(accepted=False))
    assert scene.amend()["x"].again
    assert b"Un autre titre" not in scene.remote()[0]


def test_a_network_that_can_neither_is_left_alone_and_that_is_said(tmp_path: Path):
    scene = Scene(tmp_path, edit=False, delete=False)
    assert "does not let posts be edited" in scene.amend()["x"].text
    told = scene.retract()
    assert "by hand" in told["x"].text
    assert not told["x"].again
    assert len(scene.remote()) == 1
    assert scene.project.feed_titles() == []


def test_what_is_still_planned_is_cancelled_by_a_retraction(tmp_path: Path):
    scene = Scene(tmp_path, key=NoKey())
    scene.channel.fail("publish", *[not_accepted()] * 50)
    scene.clock.advance(timedelta(days=1))
    scene.tick()  # b is out in the feeds and the outbox, and not accepted by x
    assert scene.retract("b")["x"].text == "cancelled: it is not sent"
    for _ in range(10):
        scene.clock.advance(timedelta(minutes=30))
        scene.tick()
    assert scene.project.states()["lille/b/x"] == "cancelled"
    assert len(scene.remote()) == 1


def test_what_may_be_out_is_not_given_up_by_a_retraction(tmp_path: Path):
    scene = Scene(tmp_path, key=NoKey(), lookup=False)
    scene.channel.fail("publish", no_answer(accepted=True))
    scene.clock.advance(timedelta(days=1))
    scene.tick()
    told = scene.retract("b")
    assert told["x"].again
    assert scene.project.states()["lille/b/x"] == "unknown"
    with scene.open() as pipeline:
        pipeline.ledger.resolve(DeliveryKey("lille", "b", "x"), True, None, scene.clock.now())
    assert "by hand" in scene.retract("b")["x"].text, "nobody knows its id"


def test_a_post_that_a_person_vouched_for_is_looked_up_before_it_is_deleted(tmp_path: Path):
    scene = Scene(tmp_path, key=NoKey(), lookup=True)
    scene.channel.fail("publish", no_answer(accepted=True))
    scene.clock.advance(timedelta(days=1))
    scene.tick()
    key = DeliveryKey("lille", "b", "x")
    with scene.open() as pipeline:
        pipeline.ledger.resolve(key, True, None, scene.clock.now())
        assert pipeline.ledger.delivery(key).receipt.remote_id == SAID_POSTED
    assert scene.retract("b")["x"].text == "deleted"
    assert len(scene.remote()) == 1


@pytest.mark.parametrize("entry", ["b", "nobody"])
def test_what_never_went_out_can_be_neither_amended_nor_retracted(scene: Scene, entry: str):
    with pytest.raises(WrongUse):
        scene.amend(entry)
    with pytest.raises(WrongUse):
        scene.retract(entry)
    assert scene.project.states()["lille/b/x"] == "planned"


def test_a_file_with_problems_amends_nothing(scene: Scene):
    scene.project.entry("a", title="Un autre titre", posts={"x": "{{ entry.titel }}"})
    with pytest.raises(WrongUse, match="has problems"):
        scene.amend()
    assert b"Projet a" in scene.remote()[0]
