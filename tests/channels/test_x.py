"""X: the bytes, the signature, what its refusals mean, pictures, and what is found again."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image as Pillow

from pipeline.channels import open_channel, wire, x_api
from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    Channel,
    ChannelError,
    Found,
    MemoryKeep,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    Surroundings,
)
from pipeline.channels.http import Reply
from pipeline.clock import VirtualClock
from pipeline.model import Image, NoKey, Receipt, Rendition
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.faults import Fault
from pipeline.rehearsal.standins.x import XService
from tests.support.bench_x import XBench, a_picture, x_config, x_post
from tests.support.builders import make_campaign

KEY = "lille/ouistock/x"
TEXT = (
    "J-10 : OuiStock. Un projet collaboratif. Il réunit des habitants. Il grandit.\n"
    "https://example.org/ouistock #ÉconomieCollaborative"
)
MINUTE = timedelta(minutes=1)


class Scene:
    """A service, a clock, and channels to the one from the other."""

    def __init__(self, folder: Path, remote: XService, clock: VirtualClock) -> None:
        self.folder = folder
        self.remote = remote
        self.clock = clock
        self.keep = MemoryKeep()
        self.paused: list[timedelta] = []
        self.credentials: dict[str, str | None] = dict(remote.credentials)

    def channel(self, **changes: Any) -> Channel:
        options = {"auth": "oauth2"} if "CLIENT_ID" in self.remote.credentials else {}
        config = x_config(**{"api": self.remote.url, "options": options, **changes})
        around = Surroundings(
            root=self.folder,
            public=self.folder / "public",
            credential=lambda _, name: self.credentials.get(name),
            now=self.clock.now,
            keep=lambda _: self.keep,
            pause=self.paused.append,
        )
        return open_channel(make_campaign(), config, around)

    def rendition(self, **changes: Any) -> Rendition:
        channel = self.channel()
        return channel.render(channel.fit(replace(x_post(x_config()), **changes)), KEY)

    def prepared(self, **changes: Any) -> Rendition:
        return self.channel().prepare(self.rendition(**changes))

    def publish(self, text: str, **changes: Any) -> Receipt:
        return self.channel().publish(self.prepared(text=lambda _: text, **changes))

    def since(self) -> datetime:
        return self.clock.now() - 5 * MINUTE

    def answer(self, status: int, document: object, **headers: str) -> None:
        """The next request is answered with this, and not taken."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.remote.faults.strike(faults.status(status, given, body, accepted=False))

    def choose(self, path: str, *found: Fault) -> None:
        """The requests for this path meet these faults, others none."""
        left = list(found)
        self.remote.faults.choose = lambda head: left.pop(0) if left and path in head else None


@pytest.fixture
def scene(tmp_path: Path):
    clock = VirtualClock(datetime(2016, 4, 11, 7, tzinfo=UTC))
    with XService(clock.now) as remote:
        yield Scene(tmp_path, remote, clock)


# --------------------------------------------------------------------------- what is sent


def test_the_bytes_shown_are_the_bytes_received(scene: Scene):
    rendition = scene.rendition()
    assert rendition.body == (
        b'{"text": "J-10 : OuiStock. Un projet collaboratif. Il r\\u00e9unit des habitants. Il grandit.'
        b'\\nhttps://example.org/ouistock #\\u00c9conomieCollaborative"}'
    )
    assert rendition.text == TEXT
    assert scene.channel().prepare(rendition) == rendition
    receipt = scene.channel().publish(rendition)
    [seen] = scene.remote.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/2/tweets", rendition.body)
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["user-agent"].startswith("content-pipeline/")
    assert receipt.url == f"https://x.com/i/web/status/{receipt.remote_id}"
    [shown] = scene.remote.shown()
    assert (shown.text, shown.body) == (TEXT, rendition.body)


def test_the_same_bytes_are_formed_as_the_library_would_form_them(scene: Scene):
    """What is signed and sent is what the library alone would have sent."""
    formed: list[tuple[str, bytes | None]] = []

    def ask(_method: str, url: str, _headers: object, body: bytes | None) -> Reply:
        formed.append((url, body))
        return Reply(201, {}, b'{"data": {}}')

    import tweepy

    client = tweepy.Client(**{name.lower(): value for name, value in scene.remote.credentials.items()})
    client.session = wire.BridgedSession(ask, known="https://api.twitter.com", server=x_api.SERVER)
    client.create_tweet(text=scene.rendition().text)
    assert formed == [("https://api.x.com/2/tweets", scene.rendition().body)]


def test_a_signature_is_made_for_the_address_of_x_itself(scene: Scene):
    """The service checks it for api.x.com, and so does X."""
    receipt = scene.channel().publish(scene.rendition())
    scene.remote.guard.credentials = {**scene.remote.credentials, "ACCESS_TOKEN_SECRET": "another"}
    with pytest.raises(AuthFailedError, match="answered 401"):
        scene.channel().delete(receipt)
    assert len(scene.remote.shown()) == 1


def test_behind_a_path_of_its_own_the_service_is_found_and_the_signature_still_counts(scene: Scene):
    channel = scene.channel(api=scene.remote.url + "/")
    assert channel.publish(scene.rendition()).remote_id


def test_the_traits_claim_no_more_than_x_offers(scene: Scene):
    traits = scene.channel(timeout=None).traits
    assert (traits.key, traits.lookup, traits.edit, traits.delete) == (NoKey(), True, False, True)
    assert (traits.timeout, traits.per_day) == (timedelta(seconds=30), 10_000)


def test_no_secret_is_logged_however_much_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    scene.channel().publish(scene.prepared())
    scene.channel().verify()
    for secret in scene.remote.credentials.values():
        assert secret not in caplog.text


# --------------------------------------------------------------------------- refusals

DUPLICATE = {
    "detail": "You are not allowed to create a Tweet with duplicate content.",
    "type": "about:blank",
    "title": "Forbidden",
    "status": 403,
}
PERMISSION = {
    "title": "Forbidden",
    "status": 403,
    "detail": "Your client app is not configured with the appropriate oauth1 app permissions.",
    "type": "https://api.twitter.com/2/problems/oauth1-permissions",
}
NO_CREDIT = {"title": "CreditsDepleted", "detail": "Your account does not have any credits.", "status": 402}
BAD_MEDIA = {
    "errors": [{"parameters": {"media.media_ids": ["[7]"]}, "message": "Your media IDs are invalid."}],
    "title": "Invalid Request",
    "detail": "One or more parameters to your request was invalid.",
}
BAD_TEXT = {"errors": [{"message": "text is wrong"}], "title": "Invalid Request", "detail": "Invalid."}


@pytest.mark.parametrize(
    ("status", "document", "error", "said"),
    [
        (403, DUPLICATE, OutcomeUnknownError, "duplicate content. It may be there"),
        (
            403,
            {"errors": [{"code": 187, "message": "Status is a duplicate."}]},
            OutcomeUnknownError,
            "187|duplicate",
        ),
        (403, {"errors": [{"code": 187}]}, OutcomeUnknownError, "may be there"),
        (403, PERMISSION, RejectedError, "oauth1 app permissions"),
        (403, b"<html>Sorry, you have been blocked</html>", RejectedError, "you have been blocked"),
        (403, b"", RejectedError, "answered 403"),
        (403, [7], RejectedError, "answered 403"),
        (402, NO_CREDIT, RejectedError, "any credits. Add credits in X's developer console"),
        (400, BAD_MEDIA, NotAcceptedError, "Your media IDs are invalid"),
        (400, BAD_TEXT, RejectedError, "text is wrong"),
        (401, {"title": "Unauthorized"}, AuthFailedError, "Unauthorized"),
        (404, {}, RejectedError, "404"),
        (201, {"data": {"text": "a"}}, OutcomeUnknownError, "without the post's id"),
        (201, {"data": {"id": "7/../8"}}, OutcomeUnknownError, "without the post's id"),
        (201, {"errors": [{"detail": "x"}]}, OutcomeUnknownError, "without what was asked"),
        (200, b"[]", OutcomeUnknownError, "without what was asked"),
        (200, b"<html>", OutcomeUnknownError, "not JSON"),
    ],
)
def test_a_refusal_means_what_it_says(scene: Scene, status, document, error: type[ChannelError], said: str):
    scene.answer(status, document)
    with pytest.raises(error, match=said):
        scene.channel().publish(scene.rendition())
    assert scene.remote.shown() == ()
    assert len(scene.remote.faults.met) == 1


def test_a_refusal_whose_reason_is_cut_may_be_that_of_a_duplicate(scene: Scene):
    whole = faults.status(403, body=json.dumps(DUPLICATE).encode(), accepted=False)
    scene.remote.faults.strike(replace(whole, cut=0.6))
    with pytest.raises(OutcomeUnknownError, match="not to the end"):
        scene.channel().publish(scene.rendition())


def test_a_secret_that_a_refusal_repeats_is_not_shown(scene: Scene):
    secret = scene.remote.credentials["ACCESS_TOKEN_SECRET"]
    for status in (400, 402, 403, 429):
        scene.answer(status, {"detail": f"bad {secret}"})
        with pytest.raises(ChannelError, match=r"bad \*\*\*") as refusal:
            scene.channel().publish(scene.rendition())
        assert secret not in str(refusal.value)


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ({"x_rate_limit_reset": "1460359000"}, 1460359000),
        ({"x_rate_limit_reset": "1460359000", "x_rate_limit_remaining": "0"}, 1460359000),
        (
            {
                "x_rate_limit_reset": "1460359000",
                "x_rate_limit_remaining": "7",
                "x_user_limit_24hour_remaining": "0",
                "x_user_limit_24hour_reset": "1460400000",
            },
            1460400000,
        ),
        (
            {
                "x_rate_limit_reset": "1460359000",
                "x_app_limit_24hour_remaining": "0",
                "x_app_limit_24hour_reset": "1460400001",
            },
            1460400001,
        ),
        ({"x_rate_limit_reset": "soon"}, None),
        ({"x_rate_limit_reset": "9" * 30}, None),
        ({}, None),
    ],
)
def test_x_is_asked_again_when_its_window_begins_anew(scene: Scene, headers, until: int | None):
    scene.answer(429, {"title": "Too Many Requests"}, **headers)
    with pytest.raises(RateLimitedError) as asked:
        scene.channel().publish(scene.rendition())
    assert asked.value.until == (datetime.fromtimestamp(until, UTC) if until else None)


def test_the_services_own_limit_is_kept_to(scene: Scene):
    for number in range(100):
        scene.publish(f"post {number}")
    with pytest.raises(RateLimitedError) as asked:
        scene.publish("one more")
    assert asked.value.until is not None
    scene.clock.advance(asked.value.until - scene.clock.now())
    scene.publish("one more")
    assert scene.remote.accepted == 101


def test_a_duplicate_is_settled_by_the_post_it_duplicates(scene: Scene):
    receipt = scene.channel().publish(scene.rendition())
    scene.clock.advance(timedelta(hours=2))  # a later attempt, long after the first
    with pytest.raises(OutcomeUnknownError, match="duplicate"):
        scene.channel().publish(scene.rendition())
    assert scene.channel().find(scene.rendition(), scene.since()) == Found(receipt)
    assert scene.remote.accepted == 1


# --------------------------------------------------------------------------- credentials


def test_without_its_credentials_a_post_can_be_checked_and_not_sent(scene: Scene):
    rendition = scene.rendition()
    scene.credentials["ACCESS_TOKEN_SECRET"] = None
    channel = scene.channel()
    for call in (
        lambda: channel.prepare(rendition),
        lambda: channel.publish(rendition),
        channel.verify,
        lambda: channel.delete(Receipt("7", None, "")),
    ):
        with pytest.raises(AuthFailedError, match="PIPELINE_X_ACCESS_TOKEN_SECRET is not set"):
            call()
    assert isinstance(channel.find(rendition, scene.since()), CannotTell)
    assert scene.rendition() == rendition
    assert scene.remote.seen == []


@pytest.mark.parametrize("value", ["two words", "line\nend", "é", "\x00"])
def test_a_credential_that_cannot_stand_in_a_header_is_named_and_nothing_is_sent(scene: Scene, value: str):
    rendition = scene.rendition()
    scene.credentials["CONSUMER_KEY"] = value
    with pytest.raises(AuthFailedError, match="PIPELINE_X_CONSUMER_KEY holds signs"):
        scene.channel().publish(rendition)
    assert scene.remote.seen == []


def test_verify_says_who_we_are_and_warns_of_a_token_that_may_only_read(scene: Scene):
    identity = scene.channel().verify()
    assert identity.account == "@sharing (https://x.com/sharing)"
    assert identity.warnings == ()
    assert identity.server_time is not None
    assert "280 characters" in identity.limits["text"]
    scene.answer(200, {"data": {"id": "7", "username": "a", "name": "A"}}, x_access_level="read")
    [warning] = scene.channel().verify().warnings
    assert "may only read" in warning


# --------------------------------------------------------------------------- read-back


def test_a_post_is_found_whatever_x_made_of_its_text(scene: Scene):
    for text in (
        TEXT,
        "A & B <c> « d » &amp; https://example.org/?a=1&b=2#c",
        "Sans schéma : example.org/a, et https://École.example/é/日本.",
        "👨‍👩‍👧‍👦 e\u0301 مرحبا\n\n\n  fin ",
    ):
        receipt = scene.publish(text)
        sighting = scene.channel().find(scene.rendition(text=lambda _, text=text: text), scene.since())
        assert sighting == Found(replace(receipt, digest=sighting.receipt.digest))


def test_another_post_is_not_taken_for_ours(scene: Scene):
    scene.publish("J-9 : Autre. https://example.org/ouistock")
    scene.publish("J-10 : OuiStock. https://example.org/ouistock")
    assert scene.channel().find(scene.rendition(), scene.since()) == Absent()


def test_the_same_words_with_another_link_are_no_evidence_either_way(scene: Scene):
    receipt = scene.publish(TEXT.replace("/ouistock", "/autre"))
    sighting = scene.channel().find(scene.rendition(), scene.since())
    assert isinstance(sighting, CannotTell)
    assert receipt.remote_id in sighting.detail
    later = scene.clock.now() + MINUTE
    assert scene.channel().find(scene.rendition(), later) == Absent()


def test_a_post_that_is_shown_late_is_found_when_it_is(scene: Scene):
    scene.remote.lag = 3 * MINUTE
    receipt = scene.channel().publish(scene.rendition())
    since = scene.since()
    assert scene.channel().find(scene.rendition(), since) == Absent()
    scene.clock.advance(3 * MINUTE)
    assert scene.channel().find(scene.rendition(), since) == Found(receipt)


def test_every_page_is_read_and_absence_is_believed_only_of_all(scene: Scene):
    receipt = scene.channel().publish(scene.rendition())
    one = scene.remote.posts[0]
    with scene.remote.lock:  # by hand, beside the pipeline
        scene.remote.posts += [
            replace(one, id=str(8 + n), full=f"post {n}", text=f"post {n}") for n in range(250)
        ]
    since = scene.clock.now() - timedelta(hours=1)
    assert scene.channel().find(scene.rendition(), since) == Found(receipt)
    pages = [seen for seen in scene.remote.seen if seen.path.endswith("/tweets") and seen.method == "GET"]
    assert len(pages) == 3
    scene.choose("pagination_token", faults.status(503, accepted=False))
    sighting = scene.channel().find(scene.rendition(text=lambda _: "nowhere"), since)
    assert isinstance(sighting, CannotTell)


@pytest.mark.parametrize(
    "document",
    [
        {"data": [], "errors": [{"title": "Not Found"}]},
        {"meta": {"result_count": 1}},
        {"data": [{"id": "7", "text": "a"}], "meta": {"result_count": 2}},
        {"data": [7], "meta": {"result_count": 1}},
        {"data": [{"text": "a"}], "meta": {"result_count": 1}},
        {"data": {"id": "7"}, "meta": {"result_count": 1}},
        {},
        [],
    ],
)
def test_a_page_that_does_not_show_all_is_no_absence(scene: Scene, document: object):
    scene.channel().verify()
    scene.answer(200, document)
    assert isinstance(scene.channel().find(scene.rendition(), scene.since()), CannotTell)


def test_an_account_that_posts_without_end_cannot_be_read_to_the_end(scene: Scene):
    scene.channel().verify()
    page = {"data": [{"id": "7", "text": "a"}], "meta": {"result_count": 1, "next_token": "again"}}
    scene.remote.faults.standing = faults.status(200, {}, json.dumps(page).encode(), accepted=False)
    sighting = scene.channel().find(scene.rendition(), scene.since())
    assert isinstance(sighting, CannotTell)
    assert len(scene.remote.faults.met) == 10


def test_who_we_are_is_asked_once_and_again_when_the_credentials_change(scene: Scene):
    def asked() -> int:
        return sum(seen.path == "/2/users/me" for seen in scene.remote.seen)

    for _ in range(2):
        scene.channel().find(scene.rendition(), scene.since())
    assert asked() == 1
    scene.remote.guard.credentials = {**scene.remote.credentials, "ACCESS_TOKEN": "another"}
    scene.credentials["ACCESS_TOKEN"] = "another"
    scene.channel().find(scene.rendition(), scene.since())
    assert asked() == 2


# --------------------------------------------------------------------------- pictures


def with_picture(scene: Scene, **changes: Any) -> Image:
    return replace(a_picture(scene.folder), **changes)


def test_a_picture_is_uploaded_described_and_put_in_its_place(scene: Scene):
    image = with_picture(scene)
    rendition = scene.rendition(image=image)
    [name] = json.loads(rendition.body)["media"]["media_ids"]
    assert name.startswith("upload:")
    assert rendition.media == (image,)
    with pytest.raises(NotAcceptedError, match="not been uploaded"):
        scene.channel().publish(rendition)
    prepared = scene.channel().prepare(rendition)
    assert scene.channel().prepare(prepared) == prepared
    scene.channel().publish(prepared)
    assert [seen.path for seen in scene.remote.seen] == ["/2/media/upload", "/2/media/metadata", "/2/tweets"]
    [shown] = scene.remote.shown()
    assert (shown.alts, shown.body, shown.text) == (("Une place à Lille",), prepared.body, TEXT)
    assert isinstance(scene.channel().find(prepared, scene.since()), Found)


def test_an_animation_is_posted_as_the_still_picture_that_one_request_may_upload(scene: Scene):
    image = with_picture(scene, path="content/a.gif")
    frames = [Pillow.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    frames[0].save(scene.folder / image.path, save_all=True, append_images=frames[1:], duration=100)
    scene.publish("a", image=image)
    uploaded = json.loads(scene.remote.seen[0].body)
    with Pillow.open(BytesIO(base64.b64decode(uploaded["media"]))) as sent:
        assert (sent.format, sent.convert("RGB").getpixel((0, 0))) == ("PNG", (255, 0, 0))
    assert uploaded["media_category"] == "tweet_image"
    [shown] = scene.remote.shown()
    assert shown.alts == ("Une place à Lille",)


def test_a_long_description_is_cut_between_graphemes(scene: Scene):
    scene.publish("a", image=with_picture(scene, alt="👨‍👩‍👧‍👦" * 300))
    [shown] = scene.remote.shown()
    alt = shown.alts[0]
    assert alt.endswith("👦…")
    assert 900 < len(alt.encode("utf-16-le")) // 2 <= 1000


def test_a_picture_that_is_processed_is_waited_for(scene: Scene):
    scene.remote.pending = 3
    scene.publish("a", image=with_picture(scene))
    assert scene.paused == [timedelta(seconds=2)] * 3
    scene.remote.pending = 1000
    with pytest.raises(NotAcceptedError, match=r"still processing content/o\.png"):
        scene.publish("b", image=with_picture(scene))
    assert scene.remote.accepted == 1


def test_a_picture_that_x_cannot_use_is_the_entrys_fault(scene: Scene):
    scene.remote.fail_pictures = True
    with pytest.raises(RejectedError, match=r"cannot process content/o\.png") as refusal:
        scene.prepared(image=with_picture(scene))
    assert refusal.value.field == "image"


def test_an_old_picture_is_sent_again(scene: Scene):
    rendition = scene.prepared(image=with_picture(scene))
    scene.clock.advance(timedelta(hours=25))
    with pytest.raises(NotAcceptedError, match="media IDs are invalid"):
        scene.channel().publish(rendition)
    scene.channel().publish(scene.prepared(image=with_picture(scene)))
    assert scene.remote.accepted == 1


def test_a_picture_that_changes_while_it_is_sent_is_rendered_anew(scene: Scene):
    rendition = scene.rendition(image=with_picture(scene))
    a_picture(scene.folder, size=(50, 50))
    with pytest.raises(NotAcceptedError, match="was changed meanwhile"):
        scene.channel().prepare(rendition)


def test_a_picture_larger_than_x_takes_is_made_smaller(scene: Scene):
    scene.publish("a", image=a_picture(scene.folder, size=(9000, 90)))
    [upload] = [seen for seen in scene.remote.seen if seen.path == "/2/media/upload"]
    with Pillow.open(BytesIO(base64.b64decode(json.loads(upload.body)["media"]))) as sent:
        assert sent.width <= 4096
    assert scene.remote.accepted == 1


@pytest.mark.parametrize("status", [500, 503, 429, 401])
@pytest.mark.parametrize("path", ["POST /2/media/upload", "POST /2/media/metadata"])
def test_a_failure_of_the_picture_posts_nothing_and_the_next_try_goes_through(scene: Scene, path, status):
    rendition = scene.rendition(image=with_picture(scene))
    scene.choose(path, faults.status(status, accepted=False))
    with pytest.raises(ChannelError):
        scene.channel().prepare(rendition)
    assert scene.remote.shown() == ()
    scene.channel().publish(scene.channel().prepare(rendition))
    assert scene.remote.accepted == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [({"data": {}}, "without giving its id"), ({}, "without what was asked"), (b"<html>", "not JSON")],
)
def test_a_picture_without_an_id_is_not_posted(scene: Scene, answer: object, said: str):
    scene.answer(200, answer)
    with pytest.raises(OutcomeUnknownError, match=said):
        scene.prepared(image=with_picture(scene))


WIRE = [
    (faults.drop(accepted=True), OutcomeUnknownError, 1),
    (faults.drop(accepted=False), OutcomeUnknownError, 0),
    (faults.reset(accepted=True), OutcomeUnknownError, 1),
    (faults.truncated(), OutcomeUnknownError, 1),
    (faults.garbage(), OutcomeUnknownError, 1),
    (faults.slow(timedelta(seconds=30), accepted=True), OutcomeUnknownError, 1),
    (faults.drip(timedelta(seconds=0.1)), OutcomeUnknownError, 1),
    (faults.false_success(), OutcomeUnknownError, 0),
    (faults.status(429, accepted=False), RateLimitedError, 0),
    (faults.status(401, accepted=False), AuthFailedError, 0),
    (faults.status(422, accepted=False), RejectedError, 0),
    (faults.status(307, {"Location": "/elsewhere"}, accepted=False), RejectedError, 0),
    *(
        (faults.status(code, accepted=took), OutcomeUnknownError, int(took))
        for code in (500, 503)
        for took in (0, 1)
    ),
]


@pytest.mark.parametrize("auth", ["oauth1", "oauth2"])
@pytest.mark.parametrize(("fault", "error", "count"), WIRE, ids=[fault.name for fault, *_ in WIRE])
def test_a_fault_of_the_wire_means_the_same_for_a_post_with_a_picture(tmp_path, auth, fault, error, count):
    with ExitStack() as stack:
        bench = XBench(tmp_path, stack, auth, picture=True)
        channel = bench.channel
        rendition = channel.prepare(channel.render(channel.fit(bench.post()), KEY))
        if fault.after or fault.drip:
            bench.hurry(timedelta(seconds=0.5))
        before = len(bench.remote.seen)
        bench.remote.faults.strike(fault)
        with pytest.raises(error):
            bench.channel.publish(rendition)
        assert bench.remote.faults.met == [fault.name]
        assert bench.count() == count == len(bench.remote.seen) - before
        bench.hurry(timedelta(seconds=10))
        sighting = bench.channel.find(rendition, bench.remote.now() - 5 * MINUTE)
        assert isinstance(sighting, Found if count else Absent)


# --------------------------------------------------------------------------- taking back


def test_a_deleted_post_stays_deleted_and_its_text_stays_a_duplicate(scene: Scene):
    receipt = scene.channel().publish(scene.rendition())
    for _ in range(2):
        scene.channel().delete(receipt)
    assert scene.remote.shown() == ()
    with pytest.raises(OutcomeUnknownError, match="duplicate"):
        scene.channel().publish(scene.rendition())
    assert scene.channel().find(scene.rendition(), scene.since()) == Absent()


@pytest.mark.parametrize(
    ("status", "document", "error"),
    [
        (200, {"data": {"deleted": False}}, RejectedError),
        (200, {}, OutcomeUnknownError),
        (403, PERMISSION, RejectedError),
        (500, {}, OutcomeUnknownError),
    ],
)
def test_a_deletion_is_believed_only_when_x_confirms_it(scene: Scene, status, document, error):
    receipt = scene.channel().publish(scene.rendition())
    scene.answer(status, document)
    with pytest.raises(error):
        scene.channel().delete(receipt)


def test_what_x_cannot_do_is_refused_without_asking_it(scene: Scene):
    with pytest.raises(RejectedError, match="lets only some accounts edit"):
        scene.channel().edit(Receipt("7", None, ""), scene.rendition())
    with pytest.raises(RejectedError, match="not the id of a post"):
        scene.channel().delete(Receipt("7/../8", None, ""))
    with pytest.raises(RejectedError, match="not rendered for X"):
        scene.channel().publish(Rendition(KEY, b"[]", "text"))
    assert scene.remote.seen == []


# --------------------------------------------------------------------------- the library's way out


def refuse(*_: object) -> Reply:
    raise NotAcceptedError("as it is")


def test_a_bridged_session_has_one_way_out_and_lets_errors_through():
    session = wire.BridgedSession(refuse, known="https://known.example", server="https://real.example")
    for url in ("https://known.example/2/a?b=1", "https://real.example/2/a"):
        with pytest.raises(NotAcceptedError, match="as it is"):
            session.get(url)
    for url in (
        "http://known.example/",
        "https://known.example.org/",
        "https://127.0.0.1/",
        "http://real.example/",
    ):
        with pytest.raises(requests.exceptions.InvalidSchema):
            session.get(url)


def test_a_bridge_carries_what_has_a_meaning_and_nothing_of_the_environment(monkeypatch, tmp_path):
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine real.example login a password b\n", encoding="ascii")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    asked: list[tuple[object, ...]] = []

    def ask(*request: object) -> Reply:
        asked.append(request)
        return Reply(302, {"location": "https://elsewhere.example/", "set-cookie": "a=b"}, b"{}")

    session = wire.BridgedSession(ask, known="https://known.example", server="https://real.example")
    answer = session.post("https://known.example/a", json={"b": 1}, allow_redirects=False)
    session.get("https://known.example/a", allow_redirects=False)
    assert asked == [
        ("POST", "https://real.example/a", {"Content-Type": "application/json"}, b'{"b": 1}'),
        ("GET", "https://real.example/a", {}, None),
    ]
    assert (answer.status_code, answer.json(), answer.headers["Location"]) == (
        302,
        {},
        "https://elsewhere.example/",
    )


def test_a_request_that_cannot_be_formed_was_not_sent(scene: Scene, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object, **__: object) -> Callable[[], None]:
        raise TypeError("a library's own mistake")

    rendition = scene.rendition()
    monkeypatch.setattr("tweepy.client.OAuth1UserHandler", broken)
    with pytest.raises(RejectedError, match=r"could not be formed \(TypeError\), so nothing was sent"):
        scene.channel().publish(rendition)
    assert scene.remote.seen == []
