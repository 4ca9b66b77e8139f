"""The stand-in and a real server, asked the same: both must answer as it says here."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from random import Random
from typing import Any

import pytest
from PIL import Image as Pillow

from pipeline.clock import SystemClock
from pipeline.rehearsal.standins.bluesky import Bluesky as StandIn
from pipeline.rehearsal.standins.bluesky_records import InvalidRecord, check, raw_cid, record_cid
from tests.real.bluesky.servers import POST, Account, ask
from tests.support.records_bluesky import CARD, FULL, IMAGES, every_spoiled


def a_png() -> bytes:
    made = BytesIO()
    Pillow.new("RGB", (3, 2), "teal").save(made, "PNG")
    return made.getvalue()


RKEY, OTHER = "3jzfcijpj2z2a", "7777777777777"
RECORD = {"$type": POST, "text": "Un projet", "createdAt": "2016-04-11T07:00:00.000Z"}
FAMILY = "👩‍👩‍👧‍👦"
BROKEN = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes(60)
PNG = a_png()
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(100))

Reply = tuple[int, dict[str, Any], dict[str, str]]


class Remote:
    """A server of either kind, logged in."""

    def __init__(self, server: Any, did: str) -> None:
        self.server = server
        self.did = did
        self.handle = server.handle
        self.password = server.credentials["APP_PASSWORD"]
        status, session, _ = self.login()
        assert status == 200, session
        self.session = session

    def login(self, **changes: str) -> Reply:
        given = {"identifier": self.handle, "password": self.password, **changes}
        return ask(self.server.url, "POST", "server.createSession", given)

    def call(self, name: str, given: Any = None, **options: Any) -> Reply:
        options.setdefault("token", self.session["accessJwt"])
        return ask(self.server.url, "POST", name, given, **options)

    def read(self, name: str, **given: str) -> Reply:
        return ask(self.server.url, "GET", name, given)

    def put(self, record: Any = RECORD, **changes: Any) -> Reply:
        given = {"repo": self.handle, "collection": POST, "rkey": RKEY, "record": record, **changes}
        return self.call("repo.putRecord", given)

    def upload(self, data: bytes, kind: str = "image/png") -> Reply:
        return self.call("repo.uploadBlob", data, kind=kind)

    def get(self, rkey: str = RKEY, **changes: str) -> Reply:
        return self.read("repo.getRecord", **{"repo": self.did, "collection": POST, "rkey": rkey, **changes})


@pytest.fixture(params=["stand-in", "real"])
def remote(request: pytest.FixtureRequest) -> Iterator[Remote]:
    if request.param == "real":
        account = request.getfixturevalue("account")
        yield Remote(account, account.did)
        return
    with StandIn("alice.test", SystemClock().now) as server:
        server.limits.enabled = False  # as the real one is started
        yield Remote(server, server.handles["alice.test"])


def named(reply: Reply) -> tuple[int, str | None]:
    return reply[0], reply[1].get("error")


# --------------------------------------------------------------------------- sessions


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_a_login_gives_two_tokens_and_says_where_the_account_lives(remote: Remote):
    session = remote.session
    assert (session["handle"], session["did"], session["active"]) == (remote.handle, remote.did, True)
    access, refresh = claims(session["accessJwt"]), claims(session["refreshJwt"])
    assert access["scope"] == "com.atproto.appPass"
    assert refresh["scope"] == "com.atproto.refresh"
    now = SystemClock().now().timestamp()
    assert access["exp"] - now == pytest.approx(120 * 60, abs=60)
    assert refresh["exp"] - now == pytest.approx(90 * 24 * 3600, abs=60)
    homes = [one for one in session["didDoc"]["service"] if one["id"].endswith("#atproto_pds")]
    assert homes[0]["serviceEndpoint"].startswith("http://")


def test_who_is_not_let_in(remote: Remote):
    assert named(remote.login(password="wrong")) == (401, "AuthenticationRequired")
    assert named(remote.login(identifier="nobody.test")) == (401, "AuthenticationRequired")
    assert named(remote.call("server.createSession", {"identifier": "x.test"})) == (400, "InvalidRequest")


def test_tokens_that_do_not_count(remote: Remote):
    access, refresh = remote.session["accessJwt"], remote.session["refreshJwt"]
    for token, expected in (
        (None, (401, "AuthMissing")),
        ("x.y.z", (400, "InvalidToken")),
        (access[:-4] + "AAAA", (400, "InvalidToken")),
        (refresh, (400, "InvalidToken")),
    ):
        given = {"repo": remote.handle, "collection": POST, "rkey": RKEY, "record": RECORD}
        assert named(remote.call("repo.putRecord", given, token=token)) == expected
    assert named(remote.call("server.refreshSession", token=access)) == (400, "InvalidToken")
    assert named(remote.call("server.refreshSession", token=None)) == (401, "AuthMissing")
    assert remote.get()[0] == 400


def test_a_refresh_token_works_once_more_while_it_is_in_its_grace(remote: Remote):
    first = remote.call("server.refreshSession", token=remote.session["refreshJwt"])
    again = remote.call("server.refreshSession", token=remote.session["refreshJwt"])
    assert (first[0], again[0]) == (200, 200)
    assert claims(first[1]["refreshJwt"])["jti"] == claims(again[1]["refreshJwt"])["jti"]
    assert claims(first[1]["accessJwt"])["scope"] == "com.atproto.appPass"
    assert remote.call("server.refreshSession", token=again[1]["refreshJwt"])[0] == 200


# --------------------------------------------------------------------------- writing once


def test_a_record_is_made_once_and_a_repeat_changes_nothing(remote: Remote):
    first = remote.put(swapRecord=None)
    again = remote.put(swapRecord=None)
    assert (first[0], again[0]) == (200, 200)
    assert first[1]["uri"] == again[1]["uri"] == f"at://{remote.did}/{POST}/{RKEY}"
    assert first[1]["cid"] == again[1]["cid"] == record_cid(RECORD)
    assert "commit" in first[1]
    assert "commit" not in again[1]
    assert first[1]["validationStatus"] == "valid"


def test_another_record_under_a_used_key_is_refused_unless_it_may_replace(remote: Remote):
    cid = remote.put()[1]["cid"]
    other = {**RECORD, "text": "Un autre"}
    status, answer, _ = remote.put(other, swapRecord=None)
    assert (status, answer) == (400, {"error": "InvalidSwap", "message": f"Record was at {cid}"})
    assert named(remote.put(other, swapRecord=record_cid(other))) == (400, "InvalidSwap")
    assert remote.get()[1]["value"] == RECORD
    changed = remote.put(other, swapRecord=cid)
    assert (changed[0], changed[1]["cid"]) == (200, record_cid(other))
    assert remote.put()[0] == 200
    assert remote.get()[1]["cid"] == cid


def test_a_replacement_of_what_is_not_there_is_refused(remote: Remote):
    status, answer, _ = remote.put(swapRecord=record_cid(RECORD))
    assert (status, answer) == (400, {"error": "InvalidSwap", "message": "Record was at null"})


def test_creating_under_a_used_key_looks_like_a_fault(remote: Remote):
    given = {"repo": remote.handle, "collection": POST, "rkey": RKEY, "record": RECORD}
    assert remote.call("repo.createRecord", given)[0] == 200
    assert named(remote.call("repo.createRecord", given)) == (500, "InternalServerError")
    assert remote.get()[1]["value"] == RECORD


def test_creating_without_a_key_makes_another_each_time(remote: Remote):
    given = {"repo": remote.handle, "collection": POST, "record": RECORD}
    uris = {remote.call("repo.createRecord", given)[1]["uri"] for _ in range(2)}
    listed = remote.read("repo.listRecords", repo=remote.did, collection=POST)[1]["records"]
    assert {one["uri"] for one in listed} == uris
    assert len(uris) == 2


@pytest.mark.parametrize("rkey", ["a b", "../x", "not-a-tid", "2222222222", "zzzzzzzzzzzzz", "day-7", "."])
def test_a_key_that_is_none_is_refused(remote: Remote, rkey: str):
    assert named(remote.put(rkey=rkey)) == (400, "InvalidRequest")


def test_the_account_may_be_named_by_its_handle_or_its_identifier(remote: Remote):
    assert remote.put()[1]["uri"] == remote.put(repo=remote.did)[1]["uri"]
    assert named(remote.put(repo="nobody.test")) == (403, "AccountNotFound")
    assert named(remote.put(repo="did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")) == (403, "AccountNotFound")
    assert named(remote.put(repo="not a handle")) == (400, "InvalidRequest")


def test_what_is_there_is_shown_at_once_to_everybody(remote: Remote):
    assert named(remote.get()) == (400, "RecordNotFound")
    uri = remote.put()[1]["uri"]
    for repo in (remote.did, remote.handle):
        assert remote.get(repo=repo)[:2] == (
            200,
            {"uri": uri, "cid": record_cid(RECORD), "value": RECORD},
        )
    assert named(remote.get(OTHER)) == (400, "RecordNotFound")
    assert named(remote.get(repo="nobody.test")) == (400, "InvalidRequest")


def test_deleting_again_is_fine_and_the_key_is_free_after_it(remote: Remote):
    given = {"repo": remote.did, "collection": POST, "rkey": RKEY}
    assert remote.call("repo.deleteRecord", given)[:2] == (200, {})
    remote.put()
    first = remote.call("repo.deleteRecord", given)
    assert (first[0], "commit" in first[1]) == (200, True)
    assert remote.call("repo.deleteRecord", given)[:2] == (200, {})
    assert named(remote.get()) == (400, "RecordNotFound")
    assert remote.put(swapRecord=None)[0] == 200


# --------------------------------------------------------------------------- what a record may be


def facet(*features: dict[str, str], start: int = 0, end: int = 2) -> dict[str, Any]:
    index = {"byteStart": start, "byteEnd": end}
    return {"facets": [{"$type": "app.bsky.richtext.facet", "index": index, "features": list(features)}]}


def link(uri: str) -> dict[str, str]:
    return {"$type": "app.bsky.richtext.facet#link", "uri": uri}


def external(**changes: Any) -> dict[str, Any]:
    card = {"uri": "https://example.org/", "title": "t", "description": "d", **changes}
    return {"$type": "app.bsky.embed.external", "external": {k: v for k, v in card.items() if v is not None}}


TAKEN: dict[str, dict[str, Any]] = {
    "300 letters": {"text": "x" * 300},
    "3000 bytes": {"text": FAMILY * 120},
    "3 languages": {"langs": ["fr", "en", "pt-BR"]},
    "8 tags": {"tags": ["a"] * 8},
    "a facet past the end": facet(link("https://example.org/"), start=900, end=999),
    "a tag of 64": facet({"$type": "app.bsky.richtext.facet#tag", "tag": "é" * 64}),
    "a card": {"embed": external()},
    "an unknown embed": {"embed": {"$type": "app.example.embed"}},
    "an offset": {"createdAt": "2016-04-11T09:00:00+02:00"},
    "an unknown field": {"something": {"else": [1, -2, True, None, "é"]}},
}
REFUSED: dict[str, dict[str, Any]] = {
    "301 letters": {"text": "x" * 301},
    "121 families": {"text": FAMILY * 121},
    "text that is none": {"text": 7},
    "4 languages": {"langs": ["fr", "en", "de", "it"]},
    "a language x": {"langs": ["x"]},
    "no language": {"langs": ["not a lang!"]},
    "9 tags": {"tags": ["a"] * 9},
    "a date only": {"createdAt": "2016-04-11"},
    "no zone": {"createdAt": "2016-04-11T07:00:00"},
    "a bad link": facet(link("not a link")),
    "a bad mention": facet({"$type": "app.bsky.richtext.facet#mention", "did": "resolve:alice.test"}),
    "a tag of 65": facet({"$type": "app.bsky.richtext.facet#tag", "tag": "é" * 65}),
    "a negative index": facet(link("https://example.org/"), start=-1),
    "a card without words": {"embed": external(description=None)},
    "a card without an address": {"embed": external(uri="nowhere")},
    "another type": {"$type": "app.bsky.feed.like"},
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_record_is_taken(remote: Remote, name: str):
    status, answer, _ = remote.put({**RECORD, **TAKEN[name]})
    assert status == 200, answer
    assert answer["cid"] == record_cid({**RECORD, **TAKEN[name]})


@pytest.mark.parametrize("name", REFUSED)
def test_a_record_is_refused(remote: Remote, name: str):
    assert named(remote.put({**RECORD, **REFUSED[name]})) == (400, "InvalidRequest")
    assert named(remote.get()) == (400, "RecordNotFound")


def takes(record: Any) -> bool:
    try:
        check(record)
    except InvalidRecord:
        return False
    return True


@pytest.mark.parametrize("embed", [IMAGES, CARD], ids=["images", "card"])
def test_whatever_the_real_server_refuses_the_stand_in_refuses(account: Account, embed: dict[str, Any]):
    real = Remote(account, account.did)
    assert real.upload(b"x", "image/png")[0] == 200
    refused, friendlier = 0, []
    for name, spoilt in every_spoiled({**FULL, "embed": embed}):
        reply = real.put(spoilt)
        if reply[0] != 200 and reply[1]["error"] not in {"BlobNotFound", "InvalidMimeType", "InvalidSize"}:
            refused += 1
            if takes(spoilt):
                friendlier.append((name, reply[:2]))
    assert refused > 100
    assert friendlier == []


@pytest.mark.parametrize("left_out", ["text", "createdAt"])
def test_a_record_lacks_something(remote: Remote, left_out: str):
    record = {key: value for key, value in RECORD.items() if key != left_out}
    assert named(remote.put(record)) == (400, "InvalidRequest")


def test_how_a_text_that_is_too_long_is_refused(remote: Remote):
    long, heavy = (remote.put({**RECORD, "text": text})[1] for text in ("x" * 301, FAMILY * 121))
    assert "grapheme too big (maximum 300, got 301) at $.record.text" in long["message"]
    assert "string too big (maximum 3000, got 3025) at $.record.text" in heavy["message"]


# --------------------------------------------------------------------------- pictures


def shows(blob: dict[str, Any], **changes: Any) -> dict[str, Any]:
    image = {"image": {**blob, **changes}, "alt": "Une place", "aspectRatio": {"width": 3, "height": 2}}
    return {**RECORD, "embed": {"$type": "app.bsky.embed.images", "images": [image]}}


def blob_of(data: bytes, mime: str) -> dict[str, Any]:
    return {"$type": "blob", "ref": {"$link": raw_cid(data)}, "mimeType": mime, "size": len(data)}


@pytest.mark.parametrize(("data", "mime"), [(PNG, "image/png"), (JPEG, "image/jpeg")], ids=["PNG", "JPEG"])
def test_a_picture_is_named_by_its_bytes_however_often_it_is_uploaded(remote: Remote, data, mime):
    for _ in range(2):
        assert remote.upload(data, mime)[:2] == (200, {"blob": blob_of(data, mime)})
    status, answer, _ = remote.put(shows(blob_of(data, mime)))
    assert (status, answer["cid"]) == (200, record_cid(shows(blob_of(data, mime))))


def test_a_picture_that_is_not_there_or_is_another_is_refused(remote: Remote):
    data = JPEG + Random(remote.did).randbytes(9)  # one that this server has not seen
    blob = blob_of(data, "image/jpeg")
    assert named(remote.put(shows(blob))) == (400, "BlobNotFound")
    remote.upload(data, "image/jpeg")
    assert named(remote.put(shows(blob, mimeType="image/png"))) == (400, "InvalidMimeType")
    assert named(remote.put(shows(blob, size=3))) == (400, "InvalidSize")
    assert remote.put(shows(blob))[0] == 200


@pytest.mark.parametrize(
    "embed",
    [
        shows(blob_of(JPEG, "image/jpeg"), mimeType="text/plain"),
        shows(blob_of(JPEG, "image/jpeg"), size=1_000_001),
        {**RECORD, "embed": external(thumb=blob_of(JPEG, "image/jpeg") | {"size": 1_000_001})},
    ],
    ids=["no picture", "too large", "too large for a card"],
)
def test_a_picture_of_another_kind_is_refused(remote: Remote, embed: dict[str, Any]):
    remote.upload(JPEG, "image/jpeg")
    assert named(remote.put(embed)) == (400, "InvalidRequest")


def test_five_pictures_or_one_without_words_are_refused(remote: Remote):
    remote.upload(JPEG, "image/jpeg")
    image = shows(blob_of(JPEG, "image/jpeg"))["embed"]["images"][0]
    silent = {key: value for key, value in image.items() if key != "alt"}
    for images, status in (([image] * 4, 200), ([image] * 5, 400), ([silent], 400)):
        embed = {"$type": "app.bsky.embed.images", "images": images}
        assert remote.put({**RECORD, "embed": embed})[0] == status


def test_a_broken_picture_is_a_fault_of_the_server(remote: Remote):
    assert named(remote.upload(BROKEN)) == (500, "InternalServerError")


def test_a_picture_needs_a_token(remote: Remote):
    assert named(remote.call("repo.uploadBlob", PNG, kind="image/png", token=None)) == (401, "AuthMissing")


# --------------------------------------------------------------------------- the rest


def test_names(remote: Remote):
    assert remote.read("identity.resolveHandle", handle=remote.handle)[:2] == (200, {"did": remote.did})
    status, answer, _ = remote.read("identity.resolveHandle", handle="nobody.test")
    assert (status, answer) == (400, {"error": "InvalidRequest", "message": "Unable to resolve handle"})


def test_a_call_that_does_not_exist(remote: Remote):
    assert named(remote.call("repo.publishEverywhere", {})) == (400, "InvalidRequest")


# --------------------------------------------------------------------------- limits


@pytest.fixture(params=["stand-in", "real"])
def limited(request: pytest.FixtureRequest) -> Iterator[Remote]:
    if request.param == "real":
        with Account(request.getfixturevalue("limited_pds")) as account:
            yield Remote(account, account.did)
        return
    with StandIn("alice.test", SystemClock().now) as server:
        yield Remote(server, server.handles["alice.test"])


def test_the_31st_login_in_5_minutes_is_refused_and_says_when_only_in_its_own_header(limited: Remote):
    for _ in range(29):
        status, _, headers = limited.login()
        assert status == 200
    assert headers["ratelimit-limit"] == "30"
    assert headers["ratelimit-remaining"] == "0"
    assert headers["ratelimit-policy"] == "30;w=300"
    reply = limited.login()
    assert named(reply) == (429, "RateLimitExceeded")
    assert "retry-after" not in reply[2]
    reset = datetime.fromtimestamp(int(reply[2]["ratelimit-reset"]), UTC)
    assert 0 < (reset - SystemClock().now()).total_seconds() <= 301


def test_other_answers_count_too(limited: Remote):
    status, _, headers = limited.get()
    assert status == 400
    assert headers["ratelimit-policy"] == "3000;w=300"
    before = int(headers["ratelimit-remaining"])
    assert int(limited.get()[2]["ratelimit-remaining"]) == before - 1
