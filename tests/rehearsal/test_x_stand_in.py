"""X's stand-in: it speaks as X's own models have it, and refuses what X refuses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from io import BytesIO
from typing import Any, get_args
from urllib.parse import urlencode

import pytest
from oauthlib.oauth1 import Client
from PIL import Image as Pillow
from pydantic import BaseModel
from xdk import schemas

from pipeline.clock import SystemClock, VirtualClock
from pipeline.rehearsal.standins import stand_in
from pipeline.rehearsal.standins.x import XService
from tests.support.bench_x import x_config

SERVER = "https://api.x.com"


class Caller:
    """Signs with the reference library and speaks plain HTTP."""

    def __init__(self, remote: XService) -> None:
        self.remote = remote

    def signer(self, **changes: Any) -> Client:
        given = self.remote.credentials
        settings = {
            "client_secret": given["CONSUMER_SECRET"],
            "resource_owner_key": given["ACCESS_TOKEN"],
            "resource_owner_secret": given["ACCESS_TOKEN_SECRET"],
            **changes,
        }
        return Client(settings.pop("client_key", given["CONSUMER_KEY"]), **settings)

    def signed(self, method: str, path: str, *, server: str = SERVER, **changes: Any) -> dict[str, str]:
        _, headers, _ = self.signer(**changes).sign(server + path, method)
        return dict(headers)

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", int(self.remote.url.rpartition(":")[2]), timeout=20)
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        return answer.status, json.loads(said)

    def __call__(
        self, method: str, path: str, document: object = None, query: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        path += f"?{urlencode(query)}" if query else ""
        body = None if document is None else json.dumps(document).encode()
        return self.send(method, path, body, self.signed(method, path))

    def picture(self, **changes: object) -> tuple[int, Any]:
        document = {"media": base64.b64encode(png()).decode(), "media_category": "tweet_image", **changes}
        return self("POST", "/2/media/upload", document)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2016, 4, 11, 7, tzinfo=UTC))


@pytest.fixture
def call(clock: VirtualClock) -> Iterator[Caller]:
    with XService(clock.now) as remote:
        yield Caller(remote)


def png(size: int = 8, kind: str = "PNG") -> bytes:
    file = BytesIO()
    Pillow.new("RGB", (size, size)).save(file, kind)
    return file.getvalue()


def known(model: type[BaseModel], document: Any) -> BaseModel:
    """The document as X's model reads it: of the right types, and with no field X's model does not know."""
    read = model.model_validate(document)
    assert unknown(read) == [], f"{model.__name__} knows no {unknown(read)}"
    return read


# X's answers carry this older name beside the one its newest model has.
OLDER = {"edit_history_tweet_ids", "status"}


def unknown(read: BaseModel) -> list[str]:
    found = [f"{type(read).__name__}.{name}" for name in (read.model_extra or {}) if name not in OLDER]
    for name in type(read).model_fields:
        value = getattr(read, name)
        for inner in value if isinstance(value, list) else [value]:
            found += unknown(inner) if isinstance(inner, BaseModel) else []
    return found


# --------------------------------------------------------------------------- against X's own models


def test_what_is_taken_and_answered_is_what_xs_own_models_hold(call: Caller):
    status, uploaded = call.picture()
    assert status == 200
    media = known(schemas.MediaUploadResponse, uploaded).data
    assert media.expires_after_secs == 86_400

    describe = {"id": media.id, "metadata": {"alt_text": {"text": "Une place"}}}
    known(schemas.CreateMediaMetadataRequest, describe)
    status, described = call("POST", "/2/media/metadata", describe)
    assert (status, known(schemas.CreateMediaMetadataResponse, described).data.id) == (200, media.id)

    post = {"text": "A & B https://example.org/é", "media": {"media_ids": [media.id]}}
    known(schemas.CreatePostsRequest, post)
    status, created = call("POST", "/2/tweets", post)
    made = known(schemas.CreatePostsResponse, created).data
    assert (status, made.text.count("https://t.co/"), made.text[:10]) == (201, 2, "A &amp; B ")

    status, me = call("GET", "/2/users/me")
    user = known(schemas.GetUsersMeResponse, me).data
    query = {"tweet.fields": "created_at,entities", "max_results": "5"}
    status, page = call("GET", f"/2/users/{user.id}/tweets", query=query)
    read = known(schemas.GetUsersPostsResponse, page)
    [shown] = read.data
    assert (status, read.meta.result_count, shown.text) == (200, 1, made.text)
    for link in shown.entities.urls:
        assert shown.text[link.start : link.end] == link.url
        assert len(link.url) == 23
    assert shown.entities.urls[0].expanded_url == "https://example.org/é"

    status, deleted = call("DELETE", f"/2/tweets/{made.id}")
    assert (status, known(schemas.DeletePostsResponse, deleted).data.deleted) == (200, True)


def test_the_state_of_a_picture_is_what_xs_own_model_holds(call: Caller):
    call.remote.pending = 1
    _, uploaded = call.picture()
    waiting = known(schemas.MediaUploadResponse, uploaded).data
    assert waiting.processing_info.state == "pending"
    post = {"text": "a", "media": {"media_ids": [waiting.id]}}
    assert call("POST", "/2/tweets", post)[0] == 400
    _, state = call("GET", "/2/media/upload", query={"command": "STATUS", "media_id": waiting.id})
    assert known(schemas.GetMediaUploadStatusResponse, state).data.processing_info.state == "succeeded"
    assert call("POST", "/2/tweets", post)[0] == 201


@pytest.mark.parametrize(
    ("request_line", "document", "model"),
    [
        ("POST /2/tweets", {"text": ""}, schemas.InvalidRequestProblem),
        ("DELETE /2/tweets/7", None, schemas.ResourceNotFoundProblem),
    ],
)
def test_a_refusal_is_of_a_kind_xs_own_models_know(call: Caller, request_line, document, model):
    _, refusal = call(*request_line.split(" "), document)
    assert refusal["type"] in get_args(model.model_fields["type"].annotation)
    assert all(isinstance(refusal[name], str) for name in ("title", "detail"))


# --------------------------------------------------------------------------- who is let in


@pytest.mark.parametrize(
    "changes",
    [
        {"client_secret": "another"},
        {"resource_owner_secret": "another"},
        {"resource_owner_key": "another"},
        {"client_key": "another"},
        {"timestamp": "1460358000"},
        {"timestamp": "soon"},
        {"server": "https://api.twitter.com"},
        {"server": "http://127.0.0.1"},
    ],
)
def test_a_signature_that_is_not_the_accounts_is_refused(call: Caller, changes: dict[str, Any]):
    path = "/2/users/me?user.fields=id"
    assert call.send("GET", path, None, call.signed("GET", path, **changes))[0] == 401


def test_a_signature_is_that_of_one_request(call: Caller):
    headers = call.signed("GET", "/2/users/me")
    assert call.send("GET", "/2/users/me?a=b", None, headers)[0] == 401
    assert call.send("DELETE", "/2/tweets/7", None, headers)[0] == 401
    assert call.send("GET", "/2/users/me", None, headers)[0] == 200
    assert call.send("GET", "/2/users/me", None, headers)[0] == 401  # it has been used


@pytest.mark.parametrize("header", ["", "Bearer a", "OAuth", "OAuth oauth_token", "Basic YTpi"])
def test_without_a_signature_nobody_is_let_in(call: Caller, header: str):
    assert call.send("GET", "/2/users/me", None, {"Authorization": header})[0] == 401


def test_a_token_ends_and_a_refresh_token_counts_once(clock: VirtualClock):
    with stand_in(x_config(options={"auth": "oauth2"}), clock.now) as remote:
        call = Caller(remote)
        given = remote.credentials
        pair = base64.b64encode(f"{given['CLIENT_ID']}:{given['CLIENT_SECRET']}".encode()).decode()
        form = urlencode({"grant_type": "refresh_token", "refresh_token": given["REFRESH_TOKEN"]}).encode()

        def me(token: str) -> int:
            return call.send("GET", "/2/users/me", None, {"Authorization": f"Bearer {token}"})[0]

        def exchange(login: str) -> tuple[int, Any]:
            return call.send("POST", "/2/oauth2/token", form, {"Authorization": login})

        assert [me(given["ACCESS_TOKEN"]), me("another")] == [200, 401]
        assert [exchange(f"Basic {pair[:-4]}")[0], exchange("Basic ?")[0], exchange("")[0]] == [401, 401, 401]
        status, new = exchange(f"Basic {pair}")
        assert (status, new["expires_in"], me(new["access_token"])) == (200, 7200, 200)
        assert exchange(f"Basic {pair}")[0] == 400
        clock.advance(timedelta(hours=2))
        assert me(new["access_token"]) == 401


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({}, 400),
        ({"text": " \n"}, 400),
        ({"text": 7}, 400),
        ({"text": "a", "upload": "b"}, 400),
        ({"text": "a", "media": {"media_ids": []}}, 400),
        ({"text": "a", "media": {"media_ids": ["7"]}}, 400),
        ({"text": "a", "media": {"media_ids": ["upload:abc"]}}, 400),
        ({"text": "a", "media": {"media_ids": [7]}}, 400),
        ({"text": "a", "media": {"ids": ["7"]}}, 400),
        ({"text": "a", "media": "7"}, 400),
        ([], 400),
        ({"text": "a" * 281}, 403),
        ({"text": "日" * 141}, 403),
        ({"text": "a\ufffe"}, 403),
        ({"text": "$LILLE et $NORD"}, 403),
        ({"text": "$LILLE et 5 $ ou $20"}, 201),
        ({"text": "a" * 280}, 201),
        ({"text": "日" * 140}, 201),
        ({"text": "https://example.org/" + "a" * 400}, 201),
    ],
)
def test_what_is_no_post_is_refused(call: Caller, document: object, status: int):
    assert call("POST", "/2/tweets", document)[0] == status
    assert call.remote.accepted == (status == 201)


def test_a_body_that_is_not_json_is_refused(call: Caller):
    headers = call.signed("POST", "/2/tweets")
    assert call.send("POST", "/2/tweets", b"text=a", headers)[0] == 400
    headers = {**call.signed("POST", "/2/tweets"), "Content-Type": "text/plain"}
    assert call.send("POST", "/2/tweets", b'{"text": "a"}', headers)[0] == 400


def test_a_text_it_has_had_is_a_duplicate_for_a_day_however_it_is_spaced(call: Caller, clock: VirtualClock):
    _, created = call("POST", "/2/tweets", {"text": "Café  un"})
    for text in ("Café  un", "Cafe\u0301 un ", "CAFÉ\nun"):
        status, refusal = call("POST", "/2/tweets", {"text": text})
        assert (status, refusal["detail"]) == (
            403,
            "You are not allowed to create a Tweet with duplicate content.",
        )
    call("DELETE", f"/2/tweets/{created['data']['id']}")
    assert call("POST", "/2/tweets", {"text": "Café  un"})[0] == 403
    assert call("DELETE", f"/2/tweets/{created['data']['id']}")[0] == 404
    clock.advance(timedelta(days=1))
    assert call("POST", "/2/tweets", {"text": "Café  un"})[0] == 201
    assert call.remote.accepted == 2


def test_no_more_is_taken_than_the_published_limits_allow(call: Caller, clock: VirtualClock):
    statuses = [call("POST", "/2/tweets", {"text": f"post {n}"})[0] for n in range(101)]
    assert statuses == [201] * 100 + [429]
    clock.advance(timedelta(minutes=15))
    assert call("POST", "/2/tweets", {"text": "later"})[0] == 201


@pytest.mark.parametrize(
    "changes",
    [
        {"media": "?"},
        {"media": base64.b64encode(b"no picture").decode()},
        {"media": 7},
        {"media_category": "tweet_gif"},
        {"media_category": None},
        {"additional": "a"},
        {"media": base64.b64encode(png(kind="BMP")).decode()},
        {"media": base64.b64encode(png(kind="GIF")).decode()},
        {"media": base64.b64encode(png(kind="GIF")).decode(), "media_category": "tweet_gif"},
        {"media": base64.b64encode(png() + bytes(5_000_000)).decode()},
    ],
)
def test_what_is_no_picture_is_refused(call: Caller, changes: dict[str, object]):
    assert call.picture(**changes)[0] == 400
    assert call.remote.pictures == {}


def test_a_picture_is_forgotten_after_a_day(call: Caller, clock: VirtualClock):
    media_id = call.picture()[1]["data"]["id"]
    clock.advance(timedelta(days=1))
    status, refusal = call("POST", "/2/tweets", {"text": "a", "media": {"media_ids": [media_id]}})
    assert (status, refusal["errors"][0]["message"]) == (400, "Your media IDs are invalid.")


def test_a_description_is_for_a_picture_there_is_and_at_most_1000_characters(call: Caller):
    media_id = call.picture()[1]["data"]["id"]

    def describe(media_id: str, text: object) -> int:
        document = {"id": media_id, "metadata": {"alt_text": {"text": text}}}
        return call("POST", "/2/media/metadata", document)[0]

    assert [describe(media_id, "a" * 1000), describe(media_id, "a" * 1001)] == [200, 400]
    assert [describe("7", "a"), describe(media_id, ""), describe(media_id, None)] == [400, 400, 400]
    assert call("POST", "/2/media/metadata", {"id": media_id})[0] == 400
    assert call("GET", "/2/media/upload", query={"command": "STATUS", "media_id": "7"})[0] == 400


# --------------------------------------------------------------------------- the timeline


def timeline(call: Caller, **query: str) -> tuple[int, Any]:
    return call(
        "GET", "/2/users/2244994945/tweets", query={name.replace("__", "."): v for name, v in query.items()}
    )


def test_the_timeline_is_newest_first_in_pages_from_the_second_on(call: Caller, clock: VirtualClock):
    for number in range(7):
        call("POST", "/2/tweets", {"text": f"post {number}"})
        clock.advance(timedelta(seconds=1))
    status, page = timeline(call, max_results="5", start_time="2016-04-11T07:00:01Z")
    assert (status, [post["text"] for post in page["data"]]) == (200, [f"post {n}" for n in (6, 5, 4, 3, 2)])
    assert set(page["data"][0]) == {"id", "text", "edit_history_tweet_ids"}
    token = page["meta"]["next_token"]
    _, rest = timeline(call, max_results="5", start_time="2016-04-11T07:00:01Z", pagination_token=token)
    assert [post["text"] for post in rest["data"]] == ["post 1"]
    assert "next_token" not in rest["meta"]
    _, nothing = timeline(call, start_time="2016-04-12T00:00:00Z")
    assert nothing == {"meta": {"result_count": 0}}


def test_the_timeline_lags_when_it_is_told_to(call: Caller, clock: VirtualClock):
    call.remote.lag = timedelta(minutes=1)
    call("POST", "/2/tweets", {"text": "a"})
    assert timeline(call)[1]["meta"]["result_count"] == 0
    clock.advance(timedelta(minutes=1))
    assert timeline(call)[1]["meta"]["result_count"] == 1


@pytest.mark.parametrize(
    "query",
    [{"max_results": "4"}, {"max_results": "101"}, {"max_results": "a"}, {"start_time": "2016-04-11"}],
)
def test_a_question_x_does_not_understand_is_refused(call: Caller, query: dict[str, str]):
    assert timeline(call, **query)[0] == 400


def test_another_accounts_timeline_is_not_here(call: Caller):
    assert call("GET", "/2/users/7/tweets")[0] == 404


def test_the_signatures_time_is_the_machines():
    """The service's own clock may be any other: what signs knows only the machine's."""
    with XService(lambda: datetime(1999, 1, 1, tzinfo=UTC)) as remote:
        call = Caller(remote)
        now = int(SystemClock().now().timestamp())
        for shift, status in ((0, 200), (-200, 200), (-400, 401), (400, 401)):
            headers = call.signed("GET", "/2/users/me", timestamp=str(now + shift))
            assert call.send("GET", "/2/users/me", None, headers)[0] == status
