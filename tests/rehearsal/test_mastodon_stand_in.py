"""The Mastodon stand-in: what the published API says, what each software does otherwise, and no favours."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from PIL import Image as Pillow

from pipeline.clock import VirtualClock
from pipeline.rehearsal.standins import stand_in
from pipeline.rehearsal.standins.mastodon import TOKEN, MastodonServer
from tests.support.bench_mastodon import MastodonBench, mastodon

START = datetime(2016, 4, 11, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)
SCHEMA = Path(__file__).parents[3] / "shared" / "contracts" / "mastodon" / "schema.json"
BOUNDARY = "----of-this-test"


class Client:
    """Speaks to a server, and remembers nothing."""

    def __init__(self, server: MastodonServer) -> None:
        self.server = server
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", int(self.server.url.rpartition(":")[2]), timeout=20)
        connection.request(method, path, data, given)
        answer = connection.getresponse()
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    def post(self, text: str = "Bonjour", key: str | None = None, **changes: Any) -> tuple[int, Any]:
        headers = {"Idempotency_Key": key} if key else {}
        return self.ask("POST", "/api/v1/statuses", {"status": text, **changes}, **headers)

    def upload(self, data: bytes, mime: str = "image/png", description: str = "") -> tuple[int, Any]:
        lines = [
            f"--{BOUNDARY}",
            'Content-Disposition: form-data; name="description"',
            "",
            description,
            f"--{BOUNDARY}",
            'Content-Disposition: form-data; name="file"; filename="p"',
            f"Content-Type: {mime}",
            "",
            "",
        ]
        body = "\r\n".join(lines).encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return self.ask("POST", "/api/v2/media", body, Content_Type=kind)

    def ready(self, **changes: Any) -> str:
        """The id of a picture that may be shown."""
        media = self.upload(picture(), **changes)[1]
        while self.ask("GET", f"/api/v1/media/{media['id']}")[0] != 200:
            pass
        return str(media["id"])


def picture(kind: str = "PNG", size: tuple[int, int] = (4, 3)) -> bytes:
    out = io.BytesIO()
    Pillow.new("RGB", size, "teal").save(out, kind)
    return out.getvalue()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def client(clock: VirtualClock) -> Iterator[Client]:
    with MastodonServer(clock.now) as server:
        yield Client(server)


@pytest.fixture
def gotosocial(clock: VirtualClock) -> Iterator[Client]:
    with MastodonServer(clock.now, family="gotosocial") as server:
        yield Client(server)


@pytest.fixture
def pleroma(clock: VirtualClock) -> Iterator[Client]:
    with MastodonServer(clock.now, family="pleroma") as server:
        yield Client(server)


# --------------------------------------------------------------------------- the published API


@cache
def published() -> Any:
    return json.loads(SCHEMA.read_text("utf-8"))


def fits(document: Any, schema: Any) -> None:
    """Raises ValidationError unless it is as the published document says; formats count as well."""
    whole = {**schema, "components": published()["components"]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(document)


def answers(document: Any, method: str, path: str, status: int = 200) -> None:
    described = published()["paths"][path][method]["responses"][str(status)]
    fits(document, described["content"]["application/json"]["schema"])


with_schema = pytest.mark.skipif(not SCHEMA.exists(), reason="the published API is not beside the project")


@with_schema
def test_every_answer_is_as_published(client: Client):
    media = client.upload(picture(), description="Une place")
    answers(media[1], "post", "/api/v2/media", media[0])
    media_id = client.ready()
    status, made = client.post(
        "Voir https://example.org/a #tag @bob", spoiler_text="CW", media_ids=[media_id]
    )
    answers(made, "post", "/api/v1/statuses", status)
    one = f"/api/v1/statuses/{made['id']}"
    answers(client.ask("GET", one)[1], "get", "/api/v1/statuses/{id}")
    changed = client.ask("PUT", one, {"status": "autre", "media_ids": [media_id]})[1]
    answers(changed, "put", "/api/v1/statuses/{id}")
    assert changed["edited_at"]
    answers(client.ask("GET", f"{one}/source")[1], "get", "/api/v1/statuses/{id}/source")
    answers(client.ask("GET", f"{one}/history")[1], "get", "/api/v1/statuses/{id}/history")
    own = client.ask("GET", "/api/v1/accounts/verify_credentials")[1]
    answers(own, "get", "/api/v1/accounts/verify_credentials")
    listed = client.ask("GET", f"/api/v1/accounts/{own['id']}/statuses")[1]
    assert len(listed) == 1
    answers(listed, "get", "/api/v1/accounts/{id}/statuses")
    answers(client.ask("GET", "/api/v2/instance")[1], "get", "/api/v2/instance")
    answers(client.ask("DELETE", one)[1], "delete", "/api/v1/statuses/{id}")


@with_schema
def test_every_refusal_is_as_published(client: Client):
    for method, path, body, status in [
        ("post", "/api/v1/statuses", {"status": ""}, 422),
        ("get", "/api/v1/statuses/7", None, 404),
        ("put", "/api/v1/statuses/7", {"status": "x"}, 404),
        ("delete", "/api/v1/statuses/7", None, 404),
        ("get", "/api/v1/media/7", None, 404),
    ]:
        found, document = client.ask(method.upper(), path, body)
        assert found == status
        answers(document, method, path.replace("/7", "/{id}"), status)
    document = client.ask("GET", "/api/v1/accounts/verify_credentials", Authorization="Bearer x")[1]
    answers(document, "get", "/api/v1/accounts/verify_credentials", 401)
    client.server.windows.all.most = 0
    client.server.windows.all.begun = None
    answers(client.post()[1], "post", "/api/v1/statuses", 429)


@with_schema
def test_a_wrong_answer_would_be_noticed(client: Client):
    made = client.post()[1]
    del made["visibility"]
    with pytest.raises(ValidationError, match="not valid under any"):
        answers(made, "post", "/api/v1/statuses")


@with_schema
def test_what_our_channel_sends_is_as_published(tmp_path: Path):
    with ExitStack() as stack:
        bench = MastodonBench(tmp_path, stack, pictures=True)
        channel = bench.channel
        prepared = channel.prepare(channel.render(channel.fit(bench.post()), "c/e/m"))
        receipt = channel.publish(prepared)
        channel.edit(receipt, prepared)
        channel.find(prepared, START - HOUR)
        channel.delete(receipt)
        seen = bench.remote.seen
    bodies = {
        one.method: json.loads(one.body)
        for one in seen
        if one.path.startswith("/api/v1/statuses") and one.body
    }
    # The published alternatives overlap: what has text and a picture is both, so each is asked by name.
    fits(bodies["POST"], {"$ref": "#/components/schemas/MediaStatus"})
    fits(bodies["POST"], {"$ref": "#/components/schemas/TextStatus"})
    asked = published()["paths"]["/api/v1/statuses/{id}"]["put"]["requestBody"]["content"]["application/json"]
    fits(bodies["PUT"], asked["schema"])
    for method, known in (("POST", {"BaseStatus", "TextStatus", "MediaStatus"}), ("PUT", set())):
        names = set(asked["schema"]["properties"]) if method == "PUT" else set()
        for name in known:
            schema = published()["components"]["schemas"][name]
            for part in schema.get("allOf", [schema]):
                names |= set(part.get("properties", {}))
        assert set(bodies[method]) <= names
    described = published()["paths"]["/api/v1/accounts/{id}/statuses"]["get"]["parameters"]
    assert {"exclude_reblogs", "limit", "max_id"} <= {parameter["name"] for parameter in described}
    [header] = published()["paths"]["/api/v1/statuses"]["post"]["parameters"]
    assert header["name"] == "Idempotency-Key"  # its type is given as object, a slip: it is a string


# --------------------------------------------------------------------------- posts


def test_the_stand_in_of_a_channel_is_a_mastodon():
    with stand_in(mastodon(), lambda: START) as server:
        assert isinstance(server, MastodonServer)
        assert server.software.name == "mastodon"
        assert server.credentials == {"ACCESS_TOKEN": TOKEN}


def test_what_is_posted_is_shown(client: Client):
    _, made = client.post("  Bonjour\n", spoiler_text="CW")
    [shown] = client.server.shown()
    assert (shown.id, shown.text, shown.at, shown.alts) == (made["id"], "CW\nBonjour", START, ())
    assert json.loads(shown.body)["status"] == "  Bonjour\n"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"status": " \n"}, "Text can't be blank"),
        ({"status": "a" * 501}, "Text character limit of 500 exceeded"),
        ({"status": "a" * 490, "spoiler_text": "b" * 11}, "Text character limit of 500 exceeded"),
        ({"visibility": "everyone"}, "'everyone' is not a valid visibility"),
        ({"media_ids": ["7"]}, "Media 7 not found or already attached"),
        ({"media_ids": ["1", "2", "3", "4", "5"]}, "Cannot attach more than 4 files"),
    ],
)
def test_what_mastodon_refuses_is_refused(client: Client, changes: dict[str, Any], error: str):
    status, document = client.ask("POST", "/api/v1/statuses", {"status": "Bonjour", **changes})
    assert (status, error in document["error"]) == (422, True)
    assert client.server.accepted == 0


def test_what_is_not_json_is_refused(client: Client):
    assert client.ask("POST", "/api/v1/statuses", b"<html>")[0] == 400
    assert client.ask("POST", "/api/v1/statuses", b'{"status": "x"}', Content_Type="text/plain")[0] == 400
    assert client.ask("POST", "/api/v1/statuses", b'["status"]')[0] == 400


def test_without_the_token_or_its_scopes_nothing_is_let_in(client: Client):
    assert client.ask("POST", "/api/v1/statuses", {"status": "x"}, Authorization="Bearer other")[0] == 401
    client.server.scopes = frozenset({"read:accounts"})
    assert client.post()[0] == 403
    assert client.upload(picture())[0] == 403
    assert client.ask("GET", "/api/v1/accounts/verify_credentials")[0] == 200
    client.server.revoked = True
    assert client.ask("GET", "/api/v1/accounts/verify_credentials")[0] == 401
    assert client.server.accepted == 0


def test_three_hundred_requests_in_five_minutes_and_no_more(client: Client, clock: VirtualClock):
    client.server.windows.all.most = 3
    statuses = [client.post(f"Bonjour {number}")[0] for number in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    assert client.headers["x-ratelimit-remaining"] == "0"
    assert client.headers["x-ratelimit-reset"] == "2016-04-11T07:05:00.000000Z"
    assert "retry-after" not in client.headers
    clock.advance(timedelta(minutes=5))
    assert client.post()[0] == 200


def test_pages_go_back_from_the_newest(client: Client):
    ids = [client.post(f"Bonjour {number}")[1]["id"] for number in range(45)][::-1]
    path = "/api/v1/accounts/109000000000000001/statuses"
    first = [status["id"] for status in client.ask("GET", f"{path}?limit=80")[1]]
    assert first == ids[:40]
    assert [status["id"] for status in client.ask("GET", f"{path}?max_id={first[-1]}")[1]] == ids[40:]
    assert len(client.ask("GET", path)[1]) == 20
    assert client.ask("GET", "/api/v1/accounts/7/statuses")[0] == 404


def test_an_edit_keeps_the_versions_and_one_that_changes_nothing_makes_none(client: Client):
    _, made = client.post()
    path = f"/api/v1/statuses/{made['id']}"
    assert client.ask("PUT", path, {"status": "Bonjour"})[1]["edited_at"] is None
    assert client.ask("PUT", path, {"status": "Bonsoir"})[1]["edited_at"]
    assert [version["content"] for version in client.ask("GET", f"{path}/history")[1]] == [
        "<p>Bonjour</p>",
        "<p>Bonsoir</p>",
    ]
    assert client.ask("GET", f"{path}/source")[1]["text"] == "Bonsoir"


# --------------------------------------------------------------------------- keys


def test_mastodon_keeps_a_key_for_an_hour(client: Client, clock: VirtualClock):
    first = client.post("Bonjour", "k")
    clock.advance(timedelta(minutes=59, seconds=59))
    assert client.post("tout autre chose", "k") == first
    assert client.post("Bonjour", "other")[1]["id"] != first[1]["id"]
    clock.advance(timedelta(seconds=1))
    assert client.post("Bonjour", "k")[1]["id"] != first[1]["id"]
    assert client.server.accepted == 3


def test_a_key_of_a_refused_post_is_free(client: Client):
    assert client.post("a" * 501, "k")[0] == 422
    assert client.post("Bonjour", "k")[0] == 200


def test_a_key_of_a_deleted_post_leads_nowhere(client: Client):
    _, made = client.post("Bonjour", "k")
    client.ask("DELETE", f"/api/v1/statuses/{made['id']}")
    assert client.post("Bonjour", "k")[0] == 404


def test_gotosocial_makes_a_post_of_every_request(gotosocial: Client):
    assert gotosocial.post("Bonjour", "k")[1]["id"] != gotosocial.post("Bonjour", "k")[1]["id"]
    assert gotosocial.server.accepted == 2


def test_pleroma_keeps_its_whole_answer_for_six_hours_refusals_included(pleroma: Client, clock: VirtualClock):
    assert pleroma.post("a" * 5_001, "k")[0] == 422
    assert pleroma.post("Bonjour", "k")[0] == 422
    assert pleroma.headers["idempotent-replayed"] == "true"
    first = pleroma.post("Bonjour", "l")
    clock.advance(6 * HOUR - timedelta(seconds=1))
    assert pleroma.post("Bonjour", "l") == first
    clock.advance(timedelta(seconds=1))
    assert pleroma.post("Bonjour", "l")[1]["id"] != first[1]["id"]


def at_once(client: Client) -> list[int]:
    """The statuses of two requests with one key, the second while the first is being dealt with."""
    client.server.thinks = 0.8
    statuses: list[int] = []
    first = threading.Thread(target=lambda: statuses.append(client.post("Bonjour", "k")[0]))
    first.start()
    while not client.server.seen:
        threading.Event().wait(0.01)
    statuses.insert(0, client.post("Bonjour", "k")[0])
    first.join()
    return statuses


def test_a_repeat_that_overtakes_its_first_request_is_a_second_post_at_mastodon(client: Client):
    assert at_once(client) == [200, 200]
    assert client.server.accepted == 2


def test_a_repeat_that_overtakes_its_first_request_is_refused_at_pleroma(pleroma: Client):
    assert sorted(at_once(pleroma)) == [200, 409]
    assert pleroma.server.accepted == 1


# --------------------------------------------------------------------------- the other software


def test_gotosocial_counts_code_points_and_answers_400(gotosocial: Client):
    family = "👨‍👩‍👧‍👦"
    assert gotosocial.post(family * 714)[0] == 200
    status, document = gotosocial.post(family * 715)
    assert (status, "limit of 5000" in document["error"]) == (400, True)
    assert gotosocial.post(" " * 4_999 + "ab")[0] == 400  # counted before it is trimmed
    assert gotosocial.post(language="klingon")[0] == 400
    assert gotosocial.post(media_ids=["7"])[0] == 400


def test_each_software_says_who_it_is(client: Client, gotosocial: Client, pleroma: Client):
    for one, name in ((client, "mastodon"), (gotosocial, "gotosocial"), (pleroma, "pleroma")):
        index = one.ask("GET", "/.well-known/nodeinfo")[1]
        path = index["links"][0]["href"].removeprefix(one.server.url)
        assert one.ask("GET", path)[1]["software"]["name"] == name
    assert pleroma.ask("GET", "/api/v2/instance")[0] == 404
    assert pleroma.ask("GET", "/api/v1/instance")[1]["max_toot_chars"] == 5_000
    assert client.ask("GET", "/api/v1/instance")[0] == 404
    assert client.ask("GET", "/api/v1/nothing")[0] == 404


# --------------------------------------------------------------------------- pictures


def test_a_picture_is_worked_on_before_it_may_be_shown(client: Client):
    client.server.polls = 2
    status, media = client.upload(picture(), description="Une place")
    assert (status, media["url"]) == (202, None)
    assert client.post(media_ids=[media["id"]])[0] == 422
    path = f"/api/v1/media/{media['id']}"
    assert [client.ask("GET", path)[0] for _ in range(3)] == [206, 206, 200]
    assert client.post(media_ids=[media["id"]])[0] == 200
    assert client.server.shown()[0].alts == ("Une place",)
    assert client.ask("GET", path)[0] == 404
    assert client.post("encore", media_ids=[media["id"]])[0] == 422  # shown already


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (b"not a picture", "image/png"),
        (picture("GIF"), "image/png"),
        (picture(), "text/plain"),
        (b"", "image/png"),
    ],
)
def test_what_is_not_the_picture_it_is_said_to_be_is_refused(client: Client, data: bytes, mime: str):
    status, document = client.upload(data, mime)
    assert (status, document["error"]) == (422, "Validation failed: File content type is invalid")


def test_pictures_and_descriptions_have_limits(client: Client):
    assert client.upload(picture(), description="é" * 1_500)[0] == 202
    assert client.upload(picture(), description="é" * 1_501)[0] == 422
    client.server.limits["image_pixels"] = 11
    assert client.upload(picture())[0] == 422
    client.server.limits |= {"image_pixels": 12, "image_bytes": 20}
    assert client.upload(picture())[0] == 422
    assert client.ask("POST", "/api/v2/media", b"{}")[0] == 422


def test_a_picture_nobody_showed_is_forgotten_after_a_day(client: Client, clock: VirtualClock):
    media_id = client.ready()
    clock.advance(timedelta(days=1, seconds=1))
    assert client.post(media_ids=[media_id])[0] == 422


def test_thirty_pictures_in_half_an_hour_and_no_more(client: Client):
    statuses = [client.upload(picture())[0] for _ in range(31)]
    assert statuses == [202] * 30 + [429]
    assert client.post()[0] == 200


def test_a_picture_of_a_deleted_post_may_be_shown_again(client: Client):
    media_id = client.ready()
    _, made = client.post(media_ids=[media_id])
    client.ask("DELETE", f"/api/v1/statuses/{made['id']}")
    assert client.post(media_ids=[media_id])[0] == 200
