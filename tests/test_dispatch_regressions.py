"""Duplicates that were once possible, each with what brought it about. The remote counts the posts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.clock import VirtualClock
from pipeline.delivery import ROOM, Create, lease_length
from pipeline.dispatch import Dispatcher
from pipeline.errors import LostRace, NotAllowed
from pipeline.ledger import open_ledger
from pipeline.library import Library
from pipeline.model import DeliveryKey, NoKey, State, TimedKey, Traits
from tests.support.builders import make_campaign, make_entries, outbox, utc
from tests.support.channels import FaultyChannel, no_answer, slow

DUE = utc(2016, 4, 11, 7, 0)
KEY = DeliveryKey("lille", "a", "outbox")
SECOND = timedelta(seconds=1)
TIMEOUT = timedelta(seconds=30)


def traits(key, *, lookup=False, settle=60 * SECOND):
    return Traits(key, lookup, edit=False, delete=False, timeout=TIMEOUT, settle=settle)


class Scene:
    """One delivery, due now, on a network of the given traits."""

    def __init__(self, ledger, allows):
        self.ledger = ledger
        self.clock = VirtualClock(DUE)
        self.channel = FaultyChannel(traits=allows, clock=self.clock)
        self.library = Library(make_entries("a"), {"lille": make_campaign(channels=(outbox(),))}, ())
        ledger.adopt("lille", DUE)
        create = Create(KEY, "outbox", DUE.date(), DUE, DUE + timedelta(hours=6))
        ledger.apply_plan("lille", (), [create], DUE)

    def dispatcher(self, *, channel=None, probe=lambda _: None):
        """One more process."""
        return Dispatcher(
            self.ledger, self.clock, lambda _c, _i: channel or self.channel, workers=0, probe=probe
        )

    def look(self):
        """What a tick does about deliveries, by a process that never stalls."""
        self.ledger.expire_leases(self.clock.now())
        self.dispatcher().start(self.library)
        return self.ledger.delivery(KEY).state

    @property
    def posts(self):
        return self.channel.remote.made


@pytest.fixture
def ledger():
    with open_ledger("sqlite://", now=DUE) as opened:
        yield opened


class Meanwhile(FaultyChannel):
    """Something happens after the read-back was answered and before the answer is used."""

    def __init__(self, like, what):
        super().__init__(traits=like.traits, remote=like.remote)
        self._like, self._what = like, what

    def find(self, rendition, since):
        seen = self._like.find(rendition, since)
        self._what()
        return seen


def test_absence_seen_before_a_newer_request_says_nothing_about_it(ledger):
    scene = Scene(ledger, traits(NoKey(), lookup=True))
    scene.channel.fail("publish", no_answer(accepted=False), no_answer(accepted=True))
    scene.look()
    scene.clock.advance(timedelta(minutes=5))

    def another_process_is_faster():
        assert scene.look() is State.PLANNED
        scene.clock.advance(SECOND)
        assert scene.look() is State.UNKNOWN, "sent again, and accepted without an answer"

    slow_one = scene.dispatcher(channel=Meanwhile(scene.channel, another_process_is_faster))
    with pytest.raises(LostRace, match="having been sent again"):
        slow_one.reconcile(KEY, scene.library)
    assert ledger.delivery(KEY).state is State.UNKNOWN
    for _ in range(20):
        scene.clock.advance(timedelta(minutes=1))
        scene.look()
    assert ledger.delivery(KEY).state is State.PUBLISHED
    assert scene.posts == 1


@pytest.mark.parametrize("stall", [ROOM + SECOND, TIMEOUT, lease_length(traits(NoKey())) - SECOND], ids=str)
def test_a_request_that_would_outlive_its_lease_is_not_begun(ledger, stall):
    """It could arrive after a read-back has been believed, when `settle` is shorter than a request."""
    scene = Scene(ledger, traits(NoKey(), lookup=True, settle=SECOND))

    def stalled(point):
        if point == "after claim":
            scene.clock.advance(stall)

    scene.dispatcher(probe=stalled).deliver(KEY, scene.library)
    assert scene.channel.remote.calls == []
    assert ledger.delivery(KEY).state is State.PLANNED
    scene.clock.advance(timedelta(minutes=1))
    assert scene.look() is State.PUBLISHED
    assert scene.posts == 1


@pytest.mark.parametrize("stall", [0, 5, 6, 29, 34])
@pytest.mark.parametrize("wait", [35, 60, 61, 65, 70, 71])
def test_a_timed_key_is_still_known_when_a_stalled_repeat_arrives(ledger, wait, stall):
    """A repeat is decided inside the window; its last byte leaves a stall and a timeout later."""
    scene = Scene(ledger, traits(TimedKey(timedelta(seconds=100))))
    scene.channel.fail("publish", no_answer(accepted=True), slow(TIMEOUT))
    scene.look()
    scene.clock.sleep_until(DUE + wait * SECOND)

    def stalled(point):
        if point == "after repeat":
            scene.clock.advance(stall * SECOND)

    scene.dispatcher(probe=stalled).reconcile(KEY, scene.library)
    assert scene.posts == 1


def test_nobody_can_say_that_it_is_not_there_while_its_request_may_be_under_way(ledger):
    scene = Scene(ledger, traits(NoKey()))
    scene.channel.fail("publish", no_answer(accepted=False))  # for all anybody knows it is still on its way
    assert scene.look() is State.UNKNOWN
    over = ledger.delivery(KEY).lease_until
    with pytest.raises(NotAllowed, match="may be under way until 07:00:35 UTC"):
        ledger.resolve(KEY, False, None, over - SECOND)
    assert ledger.resolve(KEY, False, None, over).state is State.PLANNED


def test_somebody_who_sees_it_there_is_believed_at_once(ledger):
    scene = Scene(ledger, traits(NoKey()))
    scene.channel.fail("publish", no_answer(accepted=True))
    scene.look()
    assert ledger.resolve(KEY, True, None, scene.clock.now()).state is State.PUBLISHED


def test_a_network_whose_clock_is_behind_ours_still_shows_what_it_took(ledger):
    scene = Scene(ledger, traits(NoKey(), lookup=True))
    scene.channel.fail("publish", no_answer(accepted=True))
    scene.look()
    (post,) = scene.channel.remote.posts.values()
    scene.channel.remote.posts[post.id] = replace(post, at=post.at - timedelta(minutes=4))
    for _ in range(10):
        scene.clock.advance(timedelta(minutes=1))
        scene.look()
    assert scene.posts == 1
