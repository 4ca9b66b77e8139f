"""Dispatcher, ledger and the Facebook channel together: readers of the Page see each post once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.channels import open_channel
from pipeline.delivery import Create
from pipeline.dispatch import Dispatcher
from pipeline.ledger import open_ledger
from pipeline.library import Library
from pipeline.model import DeliveryKey, Slot, State
from pipeline.rehearsal.standins import faults
from tests.support.bench_facebook import NOW, PICTURE, FacebookBench, FacebookPictureBench
from tests.support.builders import make_campaign, make_entry

KEY = DeliveryKey("lille", "ouistock", "facebook")


class Scene:
    """A campaign with one entry, due now, and the Page it goes to."""

    def __init__(self, folder: Path, stack: ExitStack, *, pictured: bool) -> None:
        kind = FacebookPictureBench if pictured else FacebookBench
        self.bench = kind(folder, stack)
        self.clock, self.page = self.bench.clock, self.bench.remote
        self.ledger = stack.enter_context(open_ledger("sqlite://", now=NOW))
        campaign = make_campaign(channels=(self.bench.config,))
        entry = make_entry("ouistock", image=PICTURE if pictured else None)
        self.library = Library({"ouistock": entry}, {"lille": campaign}, ())
        self.ledger.adopt("lille", NOW)
        slot = Slot("lille", "ouistock", NOW.date(), NOW, 10)
        create = Create(KEY, "facebook", NOW.date(), NOW, NOW + timedelta(hours=6))
        self.ledger.apply_plan("lille", [slot], [create], NOW)
        self.dispatcher = Dispatcher(
            self.ledger, self.clock, lambda *given: open_channel(*given, self.bench.around), workers=0
        )

    def rounds(self, count: int = 30) -> State:
        for _ in range(count):
            self.ledger.expire_leases(self.clock.now())
            self.ledger.close_windows(self.clock.now())
            self.dispatcher.start(self.library)
            self.clock.advance(timedelta(minutes=1))
        return self.ledger.delivery(KEY).state


@pytest.fixture(params=[False, True], ids=["link", "picture"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(tmp_path, stack, pictured=request.param)


FAULTS = [
    faults.drop(accepted=True),
    faults.drop(accepted=False),
    faults.reset(accepted=True),
    faults.truncated(),
    faults.garbage(),
    faults.false_success(),
    faults.status(502, accepted=True),
    faults.status(502, accepted=False),
    faults.status(429, {"Retry-After": "90"}, accepted=False),
    faults.status(400, body=b'{"error":{"code":1,"message":"Unknown"}}', accepted=True),
    faults.status(400, body=b'{"error":{"code":506,"message":"Duplicate"}}', accepted=True),
    faults.status(400, body=b'{"error":{"code":506,"message":"Duplicate"}}', accepted=False),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_whatever_becomes_of_a_post_twice_it_is_there_once(scene: Scene, fault: faults.Fault):
    left = 2

    def choose(head: str) -> faults.Fault | None:
        nonlocal left
        if left and "/feed HTTP" in head:
            left -= 1
            return fault
        return None

    scene.page.faults.choose = choose
    assert scene.rounds() == State.PUBLISHED
    assert scene.bench.count() == scene.page.accepted == 1
    delivery = scene.ledger.delivery(KEY)
    assert delivery.receipt.remote_id == scene.page.shown()[0].id


@pytest.mark.parametrize(
    "headers", [{}, {"Retry-After": "Mon, 11 Apr 2016 06:00:00 GMT"}], ids=["none", "over"]
)
def test_a_limit_that_does_not_say_until_when_is_not_run_against(scene: Scene, headers: dict[str, str]):
    full = faults.status(429, headers, accepted=False)
    tried: list[str] = []

    def choose(head: str) -> faults.Fault | None:
        if "/feed HTTP" in head:
            tried.append(head)
            return full
        return None

    scene.page.faults.choose = choose
    assert scene.rounds(6 * 60) == State.PLANNED
    assert 10 < len(tried) < 25
    assert scene.page.posts == []


def test_a_post_that_facebook_takes_and_calls_a_failure_is_not_posted_again(scene: Scene):
    scene.page.mood.stumbles = 1
    scene.page.mood.lag = timedelta(seconds=50)
    assert scene.rounds() == State.PUBLISHED
    assert scene.bench.count() == 1


def test_a_repeat_of_what_the_page_has_from_another_hour_is_settled_by_that_post(scene: Scene):
    scene.rounds(1)
    [post] = scene.page.posts
    with ExitStack() as stack:
        again = Scene(scene.bench.folder, stack, pictured=False)
        earlier = replace(post, made=NOW - timedelta(hours=1))  # a person was faster
        again.page.posts.append(earlier)
        feed = faults.status(400, body=b'{"error":{"code":506,"message":"Duplicate"}}', accepted=False)
        again.page.faults.choose = lambda head: feed if "/feed HTTP" in head else None
        assert again.rounds() == State.PUBLISHED
        assert again.ledger.delivery(KEY).receipt.remote_id == post.id
        assert again.page.posts == [earlier]


def test_a_page_that_cannot_be_read_is_asked_ever_more_rarely_until_it_can(scene: Scene):
    busy, reads = True, 0

    def choose(head: str) -> faults.Fault | None:
        nonlocal reads
        if "/feed HTTP" in head:
            return faults.drop(accepted=True)
        if "/published_posts" in head and busy:
            reads += 1
            return faults.status(429, accepted=False)
        return None

    scene.page.faults.choose = choose
    assert scene.rounds(12 * 60) == State.UNKNOWN
    assert 20 < reads < 60
    busy = False
    assert scene.rounds(61) == State.PUBLISHED
    assert scene.bench.count() == 1


@pytest.mark.parametrize("path", ["/photos HTTP", "/published_posts"])
def test_what_is_not_the_post_may_fail_as_often_as_it_likes(scene: Scene, path: str):
    left = 3

    def choose(head: str) -> faults.Fault | None:
        nonlocal left
        if path in head and left:
            left -= 1
            return faults.reset(accepted=True)
        return None

    scene.page.faults.choose = choose
    scene.page.mood.stumbles = 1
    assert scene.rounds() == State.PUBLISHED
    assert scene.bench.count() == 1


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ({"expires": NOW}, "has expired"),
        ({"scopes": ("pages_read_engagement",)}, "permission pages_manage_posts"),
        ({"blocked": "Your Page is restricted."}, "blocks this for now"),
    ],
)
def test_what_a_person_must_mend_is_held_with_the_reason(scene: Scene, mood: dict[str, object], words: str):
    scene.page.mood = replace(scene.page.mood, **mood)
    assert scene.rounds(3) == State.HELD
    assert words in scene.ledger.delivery(KEY).reason
    assert scene.bench.count() == 0


def test_a_quota_that_is_used_up_is_waited_out_without_asking_again(scene: Scene):
    usage = {"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 19}
    headers = {"X-Business-Use-Case-Usage": json.dumps({"1": [usage]})}
    refusal = faults.status(403, headers, b'{"error":{"code":32,"message":"Limit"}}', accepted=False)
    scene.page.faults.choose = lambda head: refusal if "/feed HTTP" in head else None
    assert scene.rounds(2) == State.PLANNED
    scene.page.faults.choose = None
    asked = len(scene.page.seen)
    assert scene.rounds(17) == State.PLANNED
    assert len(scene.page.seen) == asked
    assert scene.rounds(3) == State.PUBLISHED
    assert scene.bench.count() == 1
