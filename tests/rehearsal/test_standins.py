"""A stand-in refuses what the real network refuses, and keeps what its class of network keeps."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
from starlette.requests import Request

from pipeline.channels.base import Absent, CannotTell, Found
from pipeline.channels.webhook import signed
from pipeline.clock import VirtualClock
from pipeline.composing import compose
from pipeline.rehearsal.standins.base import Seen
from pipeline.rehearsal.standins.webhook import WebhookReceiver
from tests.support.builders import make_campaign, make_entry, surroundings
from tests.support.networks import PROMISES, SECRET, PromisingReceiver, promising, webhook

START = datetime(2016, 4, 11, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
BODY = b'{"type": "entry.published"}'
KEY_BYTES = base64.b64decode(SECRET.removeprefix("whsec_"))


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver((SECRET,), lambda: START) as receiver:
        yield receiver


def send(receiver: WebhookReceiver, body: bytes = BODY, **changes: str | None) -> tuple[int, dict[str, str]]:
    headers = signed((KEY_BYTES,), "msg_1", START, body)
    headers |= {name.replace("_", "-"): value for name, value in changes.items() if value is not None}
    for name, value in changes.items():
        if value is None:
            del headers[name.replace("_", "-")]
    connection = HTTPConnection("127.0.0.1", int(receiver.url.rpartition(":")[2]), timeout=5)
    connection.request("POST", "/hook", body, headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_a_signed_message_is_taken_once(receiver: WebhookReceiver):
    assert send(receiver) == send(receiver) == (200, {"id": "msg_1", "url": f"{receiver.url}/posts/msg_1"})
    assert (receiver.accepted, len(receiver.seen)) == (1, 2)


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"webhook_id": None}, 400, "missing webhook-id"),
        (
            {"webhook_timestamp": None, "webhook_signature": None},
            400,
            "missing webhook-timestamp, webhook-si",
        ),
        ({"webhook_id": "msg_2"}, 401, "no signature matches"),
        ({"webhook_signature": "v1,AAAA v2,BBBB"}, 401, "no signature matches"),
        ({"webhook_signature": "é"}, 401, "no signature matches"),
        ({"webhook_timestamp": "soon"}, 400, "not a number"),
        ({"webhook_timestamp": "9" * 30}, 400, "not a number"),
        ({"webhook_timestamp": str(int(START.timestamp()) - 301)}, 400, "too far from now"),
        ({"webhook_timestamp": str(int(START.timestamp()) + 301)}, 400, "too far from now"),
    ],
)
def test_what_is_not_signed_as_the_standard_says_is_refused(receiver, changes, status, error):
    found, answer = send(receiver, **changes)
    assert found == status
    assert error in answer["error"]
    assert receiver.accepted == 0


def test_a_body_that_is_not_json_is_refused(receiver: WebhookReceiver):
    assert send(receiver, b"text") == (400, {"error": "the body is not JSON"})


class Scene:
    def __init__(self, folder: Path, name: str) -> None:
        self.clock = VirtualClock(START)
        self.receiver = PromisingReceiver(PROMISES[name], self.clock.now)
        config = webhook()
        self.post = compose(make_entry("o"), make_campaign(), config, START.date())
        self.folder = folder

    def open(self):
        config = webhook(api=self.receiver.url)
        around = surroundings(self.folder, credentials={("presse", "SECRET"): SECRET}, now=self.clock.now)
        channel = promising(self.receiver.promise, make_campaign(), config, around)
        return channel, channel.render(channel.fit(self.post), "lille/o/presse")


@pytest.mark.parametrize(
    ("name", "within", "after"),
    [("permanent", 1, 1), ("timed", 1, 2), ("timed with lookup", 1, 2), ("lookup", 2, 3), ("nothing", 2, 3)],
)
def test_each_class_forgets_what_its_network_forgets(tmp_path: Path, name: str, within: int, after: int):
    scene = Scene(tmp_path, name)
    with scene.receiver:
        channel, rendition = scene.open()
        channel.publish(rendition)
        scene.clock.advance(HOUR - timedelta(seconds=1))
        channel.publish(rendition)
        assert scene.receiver.accepted == within
        scene.clock.advance(timedelta(seconds=1))
        channel.publish(rendition)
        assert scene.receiver.accepted == after


def test_a_read_back_shows_what_came_since_and_not_before_its_lag(tmp_path: Path):
    scene = Scene(tmp_path, "lookup")
    scene.receiver.lag = timedelta(seconds=30)
    with scene.receiver:
        channel, rendition = scene.open()
        receipt = channel.publish(rendition)
        assert channel.find(rendition, START) == Absent()
        scene.clock.advance(timedelta(seconds=30))
        assert channel.find(rendition, START) == Found(receipt)
        assert channel.find(rendition, START + timedelta(seconds=1)) == Absent()
        scene.receiver.refuse()
        assert isinstance(channel.find(rendition, START), CannotTell)


def test_many_at_once_are_all_taken_and_the_same_one_once(tmp_path: Path):
    scene = Scene(tmp_path, "permanent")
    with scene.receiver:
        channel, rendition = scene.open()
        others = [channel.render(channel.fit(scene.post), f"lille/{number}/presse") for number in range(8)]
        threads = [
            threading.Thread(target=channel.publish, args=(one,)) for one in [*others, *[rendition] * 8]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert scene.receiver.accepted == 9


def test_no_thread_outlives_a_stand_in():
    before = threading.active_count()
    for _ in range(2):
        with WebhookReceiver((SECRET,), lambda: START) as receiver:
            send(receiver)
    assert threading.active_count() == before


class SlowReceiver(WebhookReceiver):
    """Takes a fifth of a second over each request, and says when it has one."""

    def __init__(self) -> None:
        super().__init__((SECRET,), lambda: START)
        self.reached = threading.Event()

    async def note(self, request: Request) -> Seen:
        self.reached.set()
        await asyncio.sleep(0.2)
        return await super().note(request)


def test_a_request_in_hand_is_answered_before_a_stand_in_stops():
    answers: list[int] = []

    def ask(address: str) -> None:
        connection = HTTPConnection(address.removeprefix("http://"), timeout=10)
        connection.request("POST", "/", BODY, signed((KEY_BYTES,), "msg_1", START, BODY))
        answers.append(connection.getresponse().status)
        connection.close()

    with SlowReceiver() as receiver:
        asking = threading.Thread(target=ask, args=(receiver.direct,))
        asking.start()
        assert receiver.reached.wait(10)
    asking.join(10)
    assert answers == [200]
    assert receiver.accepted == 1
