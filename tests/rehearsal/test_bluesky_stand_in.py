"""Bluesky's stand-in: as the published lexicons say, as strict as they are, as forgetful as the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from regex import fullmatch

from pipeline.channels import open_channel
from pipeline.channels.base import Absent, Found, MemoryKeep, NotAcceptedError, RateLimitedError
from pipeline.clock import VirtualClock
from pipeline.rehearsal.standins import stand_in
from pipeline.rehearsal.standins.bluesky import BLOBS_LAST, PASSWORD, Bluesky
from pipeline.rehearsal.standins.bluesky_records import InvalidRecord, check
from tests.support import lexicons
from tests.support.bench_bluesky import HANDLE, a_post, bluesky, with_picture
from tests.support.builders import make_campaign, surroundings
from tests.support.records_bluesky import CARD, FULL, IMAGES, every_spoiled

START = datetime(2016, 4, 11, 7, tzinfo=UTC)
POST = "app.bsky.feed.post"
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(100))
published = pytest.mark.skipif(
    not lexicons.FOLDER.exists(), reason="the published lexicons are not beside the project"
)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock(START)
        self.server = Bluesky(HANDLE, self.clock.now)
        self.keep = MemoryKeep()

    def channel(self, **changes: Any) -> Any:
        credentials = {("bluesky", "APP_PASSWORD"): PASSWORD}
        around = surroundings(self.folder, credentials=credentials, now=self.clock.now)
        around = replace(around, keep=lambda _: self.keep)
        return open_channel(make_campaign(), bluesky(api=self.server.url, **changes), around)

    def ask(
        self,
        method: str,
        name: str,
        given: Any = None,
        *,
        token: str | None = None,
        kind: str = "application/json",
    ):
        path = f"/xrpc/{name}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = None
        if method == "GET" and given:
            path += f"?{urlencode(given)}"
        elif given is not None:
            body = given if isinstance(given, bytes) else json.dumps(given).encode()
            headers["Content-Type"] = kind
        connection = HTTPConnection("127.0.0.1", int(self.server.url.rpartition(":")[2]), timeout=10)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read()), {k.lower(): v for k, v in answer.getheaders()}
        connection.close()
        return found

    def token(self) -> str:
        given = {"identifier": HANDLE, "password": PASSWORD}
        return self.ask("POST", "com.atproto.server.createSession", given)[1]["accessJwt"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    with scene.server:
        yield scene


# --------------------------------------------------------------------------- the published contract


@published
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("handle", "handle"),
        ("did", "did"),
        ("atidentifier", "at-identifier"),
        ("recordkey", "record-key"),
        ("tid", "tid"),
        ("nsid", "nsid"),
        ("datetime", "datetime"),
    ],
)
def test_the_forms_used_here_are_the_published_ones(name: str, kind: str):
    assert all(fullmatch(lexicons.FORMATS[kind], one) for one in lexicons.vectors(f"{name}_syntax_valid"))
    if kind != "datetime":  # of which some are dates that no calendar has
        invalid = lexicons.vectors(f"{name}_syntax_invalid")
        assert not any(fullmatch(lexicons.FORMATS[kind], one) for one in invalid)


@published
@pytest.mark.parametrize("embed", ["image", "card"])
def test_what_the_channel_says_and_what_the_stand_in_answers_are_as_published(scene: Scene, embed: str):
    scene.server.handles["zoe.test"] = "did:plc:zoezoezoezoezoezoezoezoe"
    channel = scene.channel(options={"embed": embed})
    image = with_picture(scene.folder)
    post = a_post(bluesky(), summary="Avec @zoe.test, « été ».", image=image)
    rendition = channel.prepare(channel.render(channel.fit(post), "lille/ouistock/bluesky"))
    receipt = channel.publish(rendition)
    channel.edit(receipt, channel.render(channel.fit(a_post(bluesky(), title="Corrigé")), "x"))
    channel.delete(receipt)
    bodies = {seen.path.rpartition("/")[2]: seen.body for seen in scene.server.seen if seen.method == "POST"}
    told = {
        name: json.loads(body) for name, body in bodies.items() if not name.endswith("uploadBlob") and body
    }
    assert set(told) == {
        "com.atproto.server.createSession",
        "com.atproto.repo.putRecord",
        "com.atproto.repo.deleteRecord",
    }
    for name, document in told.items():
        assert lexicons.faults(name, "input", document) == []
    for seen in scene.server.seen:
        if seen.path.endswith("putRecord"):
            assert lexicons.faults(POST, "record", json.loads(seen.body)["record"]) == []


@published
def test_every_answer_is_as_published(scene: Scene):
    token = scene.token()
    record = {"$type": POST, "text": "a", "createdAt": "2016-04-11T07:00:00.000Z"}
    write = {"repo": HANDLE, "collection": POST, "rkey": "3jzfcijpj2z2a", "record": record}
    where = {"repo": HANDLE, "collection": POST}
    login = {"identifier": HANDLE, "password": PASSWORD}
    refresh = scene.ask("POST", "com.atproto.server.createSession", login)[1]["refreshJwt"]
    for method, name, told, with_token in (
        ("POST", "com.atproto.server.createSession", login, None),
        ("POST", "com.atproto.server.refreshSession", None, refresh),
        ("GET", "com.atproto.server.getSession", None, token),
        ("POST", "com.atproto.repo.putRecord", write, token),
        ("POST", "com.atproto.repo.putRecord", write, token),
        ("POST", "com.atproto.repo.createRecord", {**write, "rkey": "3jzfcijpj2z2b"}, token),
        ("GET", "com.atproto.repo.getRecord", {**where, "rkey": "3jzfcijpj2z2a"}, None),
        ("GET", "com.atproto.repo.listRecords", where, None),
        ("POST", "com.atproto.repo.deleteRecord", {**where, "rkey": "3jzfcijpj2z2a"}, token),
        ("POST", "com.atproto.repo.deleteRecord", {**where, "rkey": "3jzfcijpj2z2a"}, token),
    ):
        status, answer, _ = scene.ask(method, name, told, token=with_token)
        assert (status, lexicons.faults(name, "output", answer)) == (200, []), name
    status, answer, _ = scene.ask("POST", "com.atproto.repo.uploadBlob", JPEG, token=token, kind="image/jpeg")
    assert (status, lexicons.faults("com.atproto.repo.uploadBlob", "output", answer)) == (200, [])


@published
@pytest.mark.parametrize("embed", [IMAGES, CARD, None], ids=["images", "card", "none"])
def test_whatever_the_published_form_refuses_the_stand_in_refuses(embed: Any):
    record = {**FULL, "embed": embed} if embed else FULL
    check(record)
    assert lexicons.faults(POST, "record", record) == []
    refused, friendlier = 0, []
    for name, spoilt in every_spoiled(record):
        if lexicons.faults(POST, "record", spoilt):
            refused += 1
            if takes(spoilt):
                friendlier.append(name)
    assert refused > 100
    assert friendlier == []


def takes(record: Any) -> bool:
    try:
        check(record)
    except InvalidRecord:
        return False
    return True


# --------------------------------------------------------------------------- as forgetful, as limited


def test_it_is_the_one_that_rehearsals_use():
    with stand_in(bluesky(handle="Sharing.example.com"), lambda: START) as made:
        assert isinstance(made, Bluesky)
        assert made.handle == "sharing.example.com"


def test_a_picture_that_no_record_shows_is_forgotten(scene: Scene):
    channel = scene.channel()
    rendition = channel.render(channel.fit(a_post(bluesky(), image=with_picture(scene.folder))), "k")
    channel.prepare(rendition)
    scene.clock.advance(BLOBS_LAST)
    with pytest.raises(NotAcceptedError):
        channel.publish(rendition)
    channel.publish(channel.prepare(rendition))
    scene.clock.advance(timedelta(days=30))
    other = channel.render(channel.fit(a_post(bluesky(), image=with_picture(scene.folder))), "k2")
    scene.channel().prepare(other)
    assert len(scene.server.blobs) == 1
    assert all(blob.until is None for blob in scene.server.blobs.values())


def test_a_read_back_lags_if_it_shall(scene: Scene):
    scene.server.lag = timedelta(seconds=30)
    channel = scene.channel()
    rendition = channel.prepare(channel.render(channel.fit(a_post(bluesky())), "k"))
    receipt = channel.publish(rendition)
    assert channel.find(rendition, START) == Absent()
    scene.clock.advance(timedelta(seconds=30))
    assert channel.find(rendition, START) == Found(receipt)


def test_tokens_end_and_a_used_refresh_token_ends_after_its_grace(scene: Scene):
    login = {"identifier": HANDLE, "password": PASSWORD}
    session = scene.ask("POST", "com.atproto.server.createSession", login)[1]

    def named(method: str, name: str, token: str) -> tuple[int, str | None]:
        status, answer, _ = scene.ask(method, name, token=token)
        return status, answer.get("error")

    refresh = "com.atproto.server.refreshSession"
    assert named("POST", refresh, session["refreshJwt"]) == (200, None)
    scene.clock.advance(timedelta(minutes=119))
    assert named("GET", "com.atproto.server.getSession", session["accessJwt"]) == (200, None)
    assert named("POST", refresh, session["refreshJwt"]) == (200, None)
    scene.clock.advance(timedelta(minutes=1))
    expired = (400, "ExpiredToken")
    assert named("GET", "com.atproto.server.getSession", session["accessJwt"]) == expired
    assert named("POST", refresh, session["refreshJwt"]) == expired


def test_the_hourly_limit_of_writes_is_counted_in_points(scene: Scene):
    scene.server.limits.writes[0].points = 5
    channel = scene.channel()
    renditions = [channel.render(channel.fit(a_post(bluesky())), f"k{number}") for number in range(3)]
    for rendition in renditions[:2]:
        channel.publish(channel.prepare(rendition))
    with pytest.raises(RateLimitedError):
        channel.publish(channel.prepare(renditions[2]))
    scene.clock.advance(timedelta(minutes=59))
    with pytest.raises(RateLimitedError):
        channel.publish(channel.prepare(renditions[2]))
    scene.clock.advance(timedelta(minutes=1))
    channel.publish(channel.prepare(renditions[2]))
    assert scene.server.accepted == 3


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"{", "Invalid JSON"), (b"[]", "Input must be an object"), (b"{}", "must have the property")],
)
def test_what_is_no_request_is_refused(scene: Scene, body: bytes, message: str):
    status, answer, _ = scene.ask("POST", "com.atproto.repo.putRecord", body, token=scene.token())
    assert (status, answer["error"]) == (400, "InvalidRequest")
    assert message in answer["message"]
    assert scene.ask("GET", "com.atproto.repo.putRecord", token=scene.token())[0] == 400


def test_half_a_character_is_refused(scene: Scene):
    record = b'{"text": "\\ud83d", "createdAt": "2016-04-11T07:00:00.000Z"}'
    body = b'{"repo": "%s", "collection": "%s", "rkey": "3jzfcijpj2z2a", "record": %s}'
    body %= (HANDLE.encode(), POST.encode(), record)
    assert scene.ask("POST", "com.atproto.repo.putRecord", body, token=scene.token())[0] == 400


@pytest.mark.parametrize(
    ("status", "word"), [("takendown", "AccountTakedown"), ("deactivated", "AccountDeactivated")]
)
def test_an_account_that_is_not_active_cannot_post(scene: Scene, status: str, word: str):
    token = scene.token()
    scene.server.status = status
    record = {"text": "a", "createdAt": "2016-04-11T07:00:00.000Z"}
    given = {"repo": HANDLE, "collection": POST, "rkey": "3jzfcijpj2z2a", "record": record}
    found = scene.ask("POST", "com.atproto.repo.putRecord", given, token=token)
    assert (found[0], found[1]["error"]) == (401, word)
