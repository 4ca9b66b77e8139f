"""The Page behind the stand-in refuses what Facebook refuses, and speaks in the published parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from pipeline.channels.multipart import multipart
from pipeline.clock import VirtualClock
from pipeline.model import ChannelConfig
from pipeline.rehearsal.standins import stand_in
from pipeline.rehearsal.standins.facebook import (
    FEED,
    LARGEST,
    LONGEST,
    PAGE_FIELDS,
    PHOTO,
    POST,
    POST_FIELDS,
    READ,
    READING,
    WINDOW,
    WRITING,
    FacebookPage,
)
from tests.support.bench_facebook import NOW, PAGE, FacebookBench, FacebookPictureBench, a_picture

CONTRACT = Path(__file__).resolve().parents[2] / ".." / "shared" / "contracts" / "meta-graph"
TOKEN = "EAAGstandinPageTokenZC8x"
ALT = "Des étagères pleines d’outils."


class Scene:
    """A Page on a clock of its own, and somebody who speaks HTTP to it."""

    def __init__(self) -> None:
        self.clock = VirtualClock(NOW)
        self.page = FacebookPage(PAGE, self.clock.now)

    def ask(
        self, method: str, path: str, document: object = None, *, token: str | None = TOKEN, **more: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = more.get("body")
        if document is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(document).encode()
        if "content" in more:
            headers["Content-Type"] = more["content"]
        connection = HTTPConnection("127.0.0.1", int(self.page.url.rpartition(":")[2]), timeout=10)
        connection.request(method, f"/{more.get('version', 'v26.0')}/{path}", body, headers)
        answer = connection.getresponse()
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    def post(self, message: str = "Bonjour", **more: Any) -> str:
        status, document = self.ask("POST", f"{PAGE}/feed", {"message": message, **more})
        assert status == 200, document
        return str(document["id"])

    def upload(self, data: bytes | None = None, **fields: str) -> tuple[int, Any]:
        files = [("source", "a.png", "image/png", a_picture() if data is None else data)]
        content, body = multipart({"published": "false", **fields}, files)
        return self.ask("POST", f"{PAGE}/photos", body=body, content=content)

    def refused(self, method: str, path: str, document: object = None, **more: Any) -> tuple[int, int]:
        """The status and the code of a refusal, in Graph's form."""
        status, answer = self.ask(method, path, document, **more)
        error = answer["error"]
        assert set(error) >= {"message", "type", "code", "fbtrace_id"}
        assert error["message"].startswith(f"(#{error['code']})")
        return status, error["code"]


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    with scene.page:
        yield scene


# --------------------------------------------------------------------------- the published lists


def published(name: str) -> dict[str, Any]:
    path = CONTRACT / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: the published parameter lists are kept beside the project")
    return json.loads(path.read_bytes())


def parameters(name: str, method: str, endpoint: str | None) -> dict[str, str]:
    (api,) = [
        one for one in published(name)["apis"] if (one["method"], one.get("endpoint")) == (method, endpoint)
    ]
    return {parameter["name"]: parameter["type"] for parameter in api["params"]}


@pytest.mark.parametrize(
    ("ours", "name", "method", "endpoint"),
    [
        (FEED, "Page", "POST", "feed"),
        (PHOTO, "Page", "POST", "photos"),
        (READ, "Page", "GET", "published_posts"),
        (POST, "PagePost", "POST", None),
        (POST, "Post", "POST", None),
    ],
)
def test_every_parameter_it_takes_is_published_with_its_type(ours, name, method, endpoint):
    known = parameters(name, method, endpoint)
    assert {parameter: known.get(parameter) for parameter in ours} == ours


def test_every_field_it_shows_is_published():
    fields = {field["name"] for field in published("PagePost")["fields"]}
    assert fields >= POST_FIELDS
    assert {field["name"] for field in published("Page")["fields"]} >= PAGE_FIELDS


def test_a_post_can_be_deleted_by_the_published_lists():
    assert parameters("PagePost", "DELETE", None) == parameters("Post", "DELETE", None) == {}


@pytest.mark.parametrize("kind", [FacebookBench, FacebookPictureBench])
def test_the_channel_sends_nothing_but_published_parameters(tmp_path: Path, kind: type[FacebookBench]):
    with ExitStack() as stack:
        bench = kind(tmp_path, stack)
        channel = bench.channel
        rendition = channel.prepare(channel.render(channel.fit(bench.post()), "lille/ouistock/facebook"))
        receipt = channel.publish(rendition)
        channel.find(rendition, NOW)
        channel.edit(receipt, rendition)
        channel.delete(receipt)
        requests = list(bench.remote.seen)
    names: set[tuple[str, str, str]] = set()
    for request in requests:
        endpoint = request.path.split("/")[3] if request.path.count("/") > 2 else ""
        kind_of_body = request.headers.get("content-type", "")
        sent: set[str] = set()
        if kind_of_body == "application/json":
            sent = set(json.loads(request.body))
        elif kind_of_body.startswith("multipart/"):
            sent = {name.decode() for name in re.findall(rb'form-data; name="(\w+)"', request.body)}
        names |= {(request.method, endpoint, name) for name in sent}
    assert {endpoint for _, endpoint, _ in names} >= {"feed", ""}
    for method, endpoint, name in names - {("POST", "photos", "source")}:  # files are not in the lists
        known = parameters("Page" if endpoint else "PagePost", method, endpoint or None)
        assert name in known, (method, endpoint, name)


# --------------------------------------------------------------------------- who may


def test_only_the_holder_of_the_token_gets_in(scene: Scene):
    assert scene.refused("GET", "me", token=None) == (400, 104)
    assert scene.refused("GET", "me", token="EAAGother") == (400, 190)
    assert scene.ask("GET", "me?fields=id,name") == (200, {"id": PAGE, "name": "Sharing Lille"})
    assert scene.ask("GET", f"me?access_token={TOKEN}", token=None) == (200, {"id": PAGE})
    scene.page.mood.expires = NOW + timedelta(seconds=1)
    assert scene.ask("GET", "me")[0] == 200
    scene.clock.advance(timedelta(seconds=1))
    _, answer = scene.ask("GET", "me")
    assert (answer["error"]["code"], answer["error"]["error_subcode"]) == (190, 463)


def test_each_permission_allows_its_own(scene: Scene):
    post = scene.post()
    scene.page.mood.scopes = (READING,)
    assert scene.refused("POST", f"{PAGE}/feed", {"message": "B"}) == (403, 200)
    assert scene.refused("POST", f"{PAGE}/photos", {}) == (403, 200)
    assert scene.refused("DELETE", post) == (403, 200)
    assert scene.ask("GET", f"{PAGE}/published_posts")[0] == 200
    scene.page.mood.scopes = (WRITING,)
    assert scene.refused("GET", f"{PAGE}/published_posts") == (403, 10)
    assert scene.refused("GET", post) == (403, 10)
    assert scene.ask("DELETE", post) == (200, {"success": True})


def test_a_quota_is_used_up_and_comes_back(scene: Scene):
    scene.page.mood.quota = 3
    for _ in range(3):
        assert scene.ask("GET", "me")[0] == 200
        scene.clock.advance(timedelta(minutes=10))
    assert scene.refused("GET", "me") == (403, 32)
    (usage,) = json.loads(scene.headers["x-business-use-case-usage"])[PAGE]
    assert usage["type"] == "pages"
    assert usage["call_count"] > 100
    assert timedelta(minutes=usage["estimated_time_to_regain_access"]) == WINDOW - timedelta(minutes=20)
    scene.clock.advance(WINDOW - timedelta(minutes=20))
    assert scene.ask("GET", "me")[0] == 200


@pytest.mark.parametrize(
    ("asked", "answers"), [("v26.0", "v26.0"), ("v25.0", "v25.0"), ("v2.12", "v25.0"), ("v9.0", "v25.0")]
)
def test_an_old_version_is_answered_by_the_oldest_that_is_left(scene: Scene, asked: str, answers: str):
    scene.ask("GET", "me", version=asked)
    assert scene.headers["facebook-api-version"] == answers


def test_a_token_tells_of_itself_unless_it_may_not(scene: Scene):
    scene.page.mood.expires = NOW + timedelta(days=2)
    _, answer = scene.ask("GET", f"debug_token?input_token={TOKEN}")
    assert answer["data"]["expires_at"] == int((NOW + timedelta(days=2)).timestamp())
    assert answer["data"]["scopes"] == [WRITING, READING]
    assert scene.ask("GET", "debug_token?input_token=x")[1]["data"]["is_valid"] is False
    scene.page.mood.inspects = False
    assert scene.refused("GET", f"debug_token?input_token={TOKEN}") == (400, 100)


# --------------------------------------------------------------------------- posts


def test_a_post_is_stored_as_facebook_stores_it(scene: Scene):
    post = scene.post(" e\u0301te\u0301\r\n fin \n")
    (shown,) = scene.page.shown()
    assert (shown.id, shown.text, shown.at) == (post, "été\n fin", NOW)
    assert scene.page.accepted == 1


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"message": " "},
        {"message": 7},
        {"message": "a", "link": "nulle part"},
        {"message": "a", "link": "https://exämple.org/"},
        {"message": "a", "link": "ftp://example.org/"},
        {"message": "a", "published": False},
        {"message": "a", "published": "oui"},
        {"message": "a", "client_mutation_id": "x"},
        {"message": "a", "attached_media": "122"},
        {"message": "a", "attached_media": ["122"]},
        {"message": "a", "attached_media": [{"media_fbid": "upload:abc"}]},
        {"message": "a", "attached_media": [{}]},
        {"message": "🙂" * (LONGEST // 2) + "a"},
        [],
    ],
)
def test_a_post_that_is_not_right_is_refused(scene: Scene, document: object):
    assert scene.refused("POST", f"{PAGE}/feed", document) == (400, 100)
    assert scene.page.accepted == 0


def test_the_longest_post_is_taken(scene: Scene):
    scene.post("🙂" * (LONGEST // 2))
    assert scene.page.accepted == 1


def test_only_the_very_last_post_is_recognised_as_repeated(scene: Scene):
    scene.post("A")
    assert scene.refused("POST", f"{PAGE}/feed", {"message": " A"}) == (400, 506)
    scene.post("A", link="https://example.org/")
    scene.post("B")
    scene.post("A")
    assert scene.page.accepted == 4


def test_a_link_that_cannot_be_read_and_a_blocked_page_are_refused(scene: Scene):
    scene.page.mood.unreadable.add("https://example.org/")
    assert scene.refused("POST", f"{PAGE}/feed", {"link": "https://example.org/"}) == (400, 1609005)
    scene.page.mood.blocked = "Your Page is restricted."
    assert scene.refused("POST", f"{PAGE}/feed", {"message": "A"}) == (403, 368)
    assert scene.page.accepted == 0


def test_a_stumble_takes_the_post_and_says_that_it_failed(scene: Scene):
    scene.page.mood.stumbles = 1
    assert scene.refused("POST", f"{PAGE}/feed", {"message": "A"}) == (500, 2)
    assert [post.text for post in scene.page.shown()] == ["A"]


def test_posts_are_edited_and_deleted_by_their_id(scene: Scene):
    post = scene.post()
    assert scene.ask("POST", post, {"message": "Bonsoir"}) == (200, {"success": True})
    assert scene.refused("POST", post, {"message": ""}) == (400, 100)
    assert scene.refused("POST", post, {"message": "A", "link": "https://example.org/"}) == (400, 100)
    assert [post.text for post in scene.page.shown()] == ["Bonsoir"]
    assert scene.ask("DELETE", post) == (200, {"success": True})
    for method in ("GET", "POST", "DELETE"):
        status, answer = scene.ask(method, post)
        assert (status, answer["error"]["code"], answer["error"]["error_subcode"]) == (400, 100, 33)
    assert scene.page.shown() == ()


# --------------------------------------------------------------------------- reading


def test_posts_are_shown_newest_first_and_page_by_page(scene: Scene):
    posts = [scene.post(str(number)) for number in range(7)]
    path, seen, pages = f"{PAGE}/published_posts?fields=id,message,created_time&limit=3", [], 0
    while path:
        status, answer = scene.ask("GET", path)
        assert status == 200
        pages += 1
        seen += [post["id"] for post in answer["data"]]
        following = answer["paging"].get("next", "")
        after = parse_qs(urlsplit(following).query).get("after")
        assert after in (None, [answer["paging"]["cursors"]["after"]])
        path = f"{PAGE}/published_posts?{urlsplit(following).query}" if following else ""
    assert (seen, pages) == (posts[::-1], 3)
    assert answer["data"][-1] == {"id": posts[0], "message": "0", "created_time": "2016-04-11T07:00:00+0000"}


def test_without_posts_there_are_no_cursors(scene: Scene):
    assert scene.ask("GET", f"{PAGE}/published_posts") == (200, {"data": []})


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=many", "fields=id,text", "after=xyz", "since=1460358000"]
)
def test_a_reading_that_is_not_right_is_refused(scene: Scene, query: str):
    scene.post()
    assert scene.refused("GET", f"{PAGE}/published_posts?{query}") == (400, 100)


def test_a_cursor_ends_with_its_post(scene: Scene):
    first, second = scene.post("A"), scene.post("B")
    after = scene.ask("GET", f"{PAGE}/published_posts?limit=1")[1]["paging"]["cursors"]["after"]
    assert scene.ask("GET", f"{PAGE}/published_posts?after={after}")[1]["data"] == [{"id": first}]
    scene.ask("DELETE", second)
    assert scene.refused("GET", f"{PAGE}/published_posts?after={after}") == (400, 100)


def test_a_new_post_stays_out_of_the_reading_for_the_lag(scene: Scene):
    scene.page.mood.lag = timedelta(seconds=30)
    scene.post()
    assert scene.ask("GET", f"{PAGE}/published_posts")[1]["data"] == []
    scene.clock.advance(timedelta(seconds=30))
    assert len(scene.ask("GET", f"{PAGE}/published_posts")[1]["data"]) == 1
    assert len(scene.page.shown()) == 1


# --------------------------------------------------------------------------- pictures


def test_a_picture_is_seen_with_the_post_that_names_it_and_only_once(scene: Scene):
    status, answer = scene.upload(alt_text_custom=ALT)
    assert (status, scene.page.shown()) == (200, ())
    media = [{"media_fbid": answer["id"]}]
    scene.post("A", attached_media=media)
    assert [shown.alts for shown in scene.page.shown()] == [(ALT,)]
    assert scene.refused("POST", f"{PAGE}/feed", {"message": "B", "attached_media": media}) == (400, 100)
    assert scene.refused("POST", f"{PAGE}/feed", {"message": "A", "attached_media": media}) == (400, 506)


@pytest.mark.parametrize(
    ("data", "fields", "code"),
    [
        (b"", {}, 1366046),
        (b"GIF89a but not really", {}, 1366046),
        (a_picture()[:40], {}, 1366046),
        (a_picture() + bytes(LARGEST), {}, 1366046),
        (None, {"published": "true"}, 100),
        (None, {"published": "maybe"}, 100),
        (None, {"caption": "x"}, 100),
    ],
)
def test_what_is_no_picture_is_refused(scene: Scene, data: bytes | None, fields: dict[str, str], code: int):
    status, answer = scene.upload(data, **fields)
    assert (status, answer["error"]["code"]) == (400, code)
    assert scene.page.photos == {}


def test_a_form_without_its_file_or_its_end_is_refused(scene: Scene):
    content, body = multipart({"published": "false"})
    assert scene.refused("POST", f"{PAGE}/photos", body=body, content=content) == (400, 324)
    assert scene.refused("POST", f"{PAGE}/photos", body=body[:-9], content=content) == (400, 100)
    form = urlencode({"message": "Par formulaire"}).encode()
    scene.ask("POST", f"{PAGE}/feed", body=form, content="application/x-www-form-urlencoded")
    assert [post.text for post in scene.page.shown()] == ["Par formulaire"]


def test_link_and_picture_exclude_each_other(scene: Scene):
    _, answer = scene.upload()
    both = {"link": "https://example.org/", "attached_media": [{"media_fbid": answer["id"]}]}
    assert scene.refused("POST", f"{PAGE}/feed", both) == (400, 100)


# --------------------------------------------------------------------------- as a rehearsal opens it


@pytest.mark.parametrize(("page", "holder"), [(PAGE, PAGE), ("sharing.lille", "100064000000001")])
def test_it_is_the_page_that_the_channel_names(page: str, holder: str):
    config = ChannelConfig("facebook", "facebook", options={"page": page})
    clock = VirtualClock(NOW)
    found = stand_in(config, clock.now)
    assert isinstance(found, FacebookPage)
    with found:
        connection = HTTPConnection("127.0.0.1", int(found.url.rpartition(":")[2]), timeout=10)
        token = found.credentials["PAGE_TOKEN"]
        connection.request("GET", f"/v26.0/{page}?fields=id", headers={"Authorization": f"Bearer {token}"})
        assert json.loads(connection.getresponse().read()) == {"id": holder}
        connection.close()


def test_a_page_that_is_another_does_not_exist(scene: Scene):
    assert scene.refused("POST", "7/feed", {"message": "A"}) == (400, 100)
    assert scene.refused("GET", "7/published_posts") == (400, 100)
    assert scene.refused("GET", "") == (400, 100)
