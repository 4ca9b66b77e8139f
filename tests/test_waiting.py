"""What a person reads about a delivery: what happened and when, what is known, what each answer does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.clock import VirtualClock
from pipeline.model import DeliveryKey, NoKey, State, Traits
from pipeline.report import Waiting
from tests.support.channels import FaultyChannel, auth_failed, no_answer, not_accepted, rejected
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NOTHING = Traits(NoKey(), lookup=False, edit=False, delete=False, timeout=30 * SECOND, settle=MINUTE)
KEY = DeliveryKey("lille", "a", "outbox")


class Scene:
    def __init__(self, root, **keys):
        self.clock = VirtualClock(DUE - HOUR)
        self.channel = FaultyChannel(clock=self.clock, traits=NOTHING)
        self.project = Project(root, DUE)
        self.project.entry("a")
        self.project.campaign("a", **keys)
        self.look(DUE - HOUR)

    def look(self, instant):
        """A tick at `instant`; what waits, and what was missed."""
        self.clock.sleep_until(instant)
        with self.project.open(self.clock, channels={"outbox": self.channel}) as pipeline:
            pipeline.tick()
            return pipeline.waiting(), pipeline.missed()

    def do(self, what):
        with self.project.open(self.clock, channels={"outbox": self.channel}) as pipeline:
            return what(pipeline)


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def words(one: Waiting) -> str:
    return " ".join((one.happened, one.known, *one.answers))


def test_an_unknown_one_tells_every_attempt_and_until_when_it_would_go(scene):
    scene.channel.fail("publish", not_accepted(), no_answer(accepted=True))
    assert scene.look(DUE) == ([], [])
    again = DUE + MINUTE
    scene.look(again)
    ((told,), missed) = scene.look(again + MINUTE)
    assert missed == []
    assert told.happened == "a request was sent at 2016-04-11T10:01:00Z and not answered: no answer"
    assert "Attempts: 2 (#1 at 2016-04-11T10:00:00Z: NotAccepted at 2016-04-11T10:00:00Z; #2" in told.known
    assert "Look at the account" in told.known
    posted, not_posted = told.answers
    assert "pipeline resolve lille/a/outbox posted [--url URL]" in posted
    assert "before 2016-04-11T16:00:00Z; later it is missed" in not_posted


def test_what_status_says_of_an_answer_is_what_happens(scene):
    scene.channel.fail("publish", no_answer(accepted=False))
    scene.look(DUE)
    scene.look(DUE + MINUTE)
    scene.do(lambda pipeline: pipeline.ledger.resolve(KEY, posted=False, url=None, now=scene.clock.now()))
    scene.look(DUE + 2 * MINUTE)
    assert scene.project.states() == {str(KEY): "published"}


def test_not_posted_after_the_window_is_missed_as_said(scene):
    scene.channel.fail("publish", no_answer(accepted=False))
    scene.look(DUE)
    scene.look(DUE + 6 * HOUR)
    scene.do(lambda pipeline: pipeline.ledger.resolve(KEY, posted=False, url=None, now=scene.clock.now()))
    waits, (told,) = scene.look(DUE + 6 * HOUR + MINUTE)
    assert waits == []
    assert told.happened.startswith("it was due at 2016-04-11T10:00:00Z and not sent: its window closed at")
    assert "Attempts: 1 (#1 at 2016-04-11T10:00:00Z: Unknown" in told.known


def test_a_held_one_tells_when_and_why_it_was_refused(scene):
    scene.channel.fail("publish", auth_failed())
    ((told,), _) = scene.look(DUE)
    assert told.delivery.state is State.HELD
    assert "the token has expired" in told.happened
    assert "#1 at 2016-04-11T10:00:00Z: AuthFailed at 2016-04-11T10:00:00Z" in told.known
    assert "It was not posted." in told.known
    assert "pipeline retry lille/a/outbox" in words(told)
    assert "pipeline cancel lille/a/outbox" in words(told)


def test_a_missed_one_is_told_until_its_event_and_asks_for_nothing(scene):
    waits, (told,) = scene.look(DUE + 7 * HOUR)
    assert waits == []
    assert "No attempt is on record. It was not posted." in told.known
    assert "pipeline retry lille/a/outbox: send it after all" in words(told)
    assert scene.look(DUE + timedelta(days=3)) == ([], [])


def test_the_past_is_not_told_as_missed(tmp_path):
    project = Project(tmp_path, DUE)
    project.entry("a")
    project.campaign("a")
    with project.open(VirtualClock(DUE + HOUR)) as pipeline:
        pipeline.tick()
        assert [one.state for one in pipeline.ledger.deliveries()] == [State.MISSED]
        assert pipeline.missed() == []


def test_many_attempts_are_counted_and_the_last_three_told(scene):
    scene.channel.fail("publish", *[not_accepted()] * 7, rejected())
    for number in range(40):
        scene.look(DUE + number * 10 * MINUTE)
    (told,) = scene.do(lambda pipeline: pipeline.waiting())
    assert "Attempts: 8 (#6 at" in told.known
