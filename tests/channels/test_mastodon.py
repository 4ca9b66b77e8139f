"""Mastodon and its kin: the bytes of a post, what a repeat rests on, refusals, pictures, the whole way."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import open_pipeline
from pipeline.channels import open_channel, option_problems
from pipeline.channels.base import (
    AuthFailedError,
    CannotTell,
    ChannelError,
    MemoryKeep,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.channels.mastodon import Mastodon
from pipeline.clock import VirtualClock
from pipeline.model import Image, NoKey, Post, Receipt, Rendition, State, TimedKey
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.mastodon import TOKEN, MastodonServer
from pipeline.settings import Settings
from tests.channels.test_wire_faults import FAULTS
from tests.support.bench_mastodon import IMAGE, NOW, MastodonBench, a_post, mastodon, with_picture
from tests.support.builders import make_campaign, surroundings
from tests.support.projects import Project

KEY = "lille/ouistock/masto"
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Scene:
    """A channel and its server, on one clock."""

    def __init__(self, folder: Path, clock: VirtualClock, server: MastodonServer) -> None:
        self.folder = folder
        self.clock = clock
        self.server = server
        self.keep = MemoryKeep()
        self.pauses: list[timedelta] = []

    def channel(self, token: str | None = TOKEN, campaign=None, keep=None, **changes) -> Mastodon:
        credentials = {("masto", "ACCESS_TOKEN"): token} if token is not None else {}
        around = replace(
            surroundings(self.folder, credentials=credentials, now=self.clock.now),
            keep=lambda _: keep or self.keep,
            pause=self.pauses.append,
        )
        config = mastodon(**{"api": self.server.url, **changes})
        return open_channel(campaign or make_campaign(), config, around)

    def post(self, **changes) -> Post:
        return a_post(mastodon(), **changes)

    def rendition(self, channel: Mastodon | None = None, key: str = KEY, **changes) -> Rendition:
        channel = channel or self.channel()
        return channel.render(channel.fit(self.post(**changes)), key)

    def ready(self, channel: Mastodon | None = None, key: str = KEY, **changes) -> Rendition:
        channel = channel or self.channel()
        return channel.prepare(self.rendition(channel, key, **changes))

    def asked(self) -> list[str]:
        """The requests since the last time, in short."""
        found = [f"{seen.method} {seen.path}" for seen in self.server.seen]
        self.server.seen.clear()
        return found


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture
def scene(tmp_path: Path, clock: VirtualClock) -> Iterator[Scene]:
    with MastodonServer(clock.now) as server:
        yield Scene(tmp_path, clock, server)


@pytest.fixture(params=["mastodon", "gotosocial", "pleroma"])
def any_scene(request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock) -> Iterator[Scene]:
    with MastodonServer(clock.now, family=request.param) as server:
        yield Scene(tmp_path, clock, server)


# --------------------------------------------------------------------------- the bytes


def test_the_body_is_exactly_this(scene: Scene):
    assert scene.rendition(title="OuiStock").body.decode() == (
        '{"language":"fr","status":"J-10 : OuiStock. Un projet collaboratif. Il réunit des habitants. '
        'Il grandit.\\nhttps://example.org/ouistock #ÉconomieCollaborative","visibility":"public"}'
    )


def test_with_all_options_and_a_picture_the_body_is_exactly_this(scene: Scene):
    image = with_picture(scene.folder)
    channel = scene.channel(options={"visibility": "unlisted", "spoiler": "Économie"})
    rendition = scene.rendition(channel, image=image, title="Un")
    digest = channel._picture(image).digest
    assert json.loads(rendition.body) == {
        "language": "fr",
        "media_ids": [f"upload:{digest}"],
        "spoiler_text": "Économie",
        "status": "J-10 : Un. Un projet collaboratif. Il réunit des habitants. Il grandit.\n"
        "https://example.org/ouistock #ÉconomieCollaborative",
        "visibility": "unlisted",
    }
    assert rendition.media == (image,)
    assert scene.server.seen == []


@pytest.mark.parametrize(
    ("tag", "code"),
    [("fr", "fr"), ("FR", "fr"), ("fr-CA", "fr"), ("zh-Hant-TW", "zh"), ("gsw", None), ("x-klingon", None)],
)
def test_the_language_is_sent_in_two_letters_or_not_at_all(scene: Scene, tag: str, code: str | None):
    rendition = scene.rendition(lang=tag)
    assert json.loads(rendition.body).get("language") == code


def test_what_is_rendered_is_what_arrives_with_the_key_of_the_delivery(scene: Scene):
    channel = scene.channel()
    rendition = scene.ready(channel)
    scene.asked()
    receipt = channel.publish(rendition)
    [seen] = scene.server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/v1/statuses", rendition.body)
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    said = hashlib.sha256(rendition.body).hexdigest()
    expected = hashlib.sha256(f"example.org,2016\nlille/ouistock/masto\n{said}".encode()).hexdigest()
    assert seen.headers["idempotency-key"] == expected
    assert receipt == Receipt(
        scene.server.shown()[0].id,
        f"{scene.server.url}/@lille/{scene.server.shown()[0].id}",
        rendition.digest,
    )
    assert TOKEN.encode() not in rendition.body


def test_two_projects_and_two_deliveries_have_keys_of_their_own(scene: Scene):
    channels = [scene.channel(), scene.channel(campaign=make_campaign(authority="other.example,2016"))]
    for channel in channels:
        for key in (KEY, "lille/consultvox/masto"):
            channel.publish(scene.ready(channel, key))
    keys = [seen.headers["idempotency-key"] for seen in scene.server.seen if seen.method == "POST"]
    assert len(set(keys)) == 4
    assert scene.server.accepted == 4


# --------------------------------------------------------------------------- what a repeat rests on


def test_until_the_server_is_known_no_key_is_relied_upon(scene: Scene):
    channel = scene.channel()
    assert channel.traits.key == NoKey()
    channel.prepare(scene.rendition(channel))
    assert channel.traits.key == TimedKey(HOUR)
    assert channel.traits.timeout == MINUTE
    assert channel.traits.lookup


@pytest.mark.parametrize(
    ("family", "key"),
    [("mastodon", TimedKey(HOUR)), ("gotosocial", NoKey()), ("pleroma", TimedKey(6 * HOUR))],
)
def test_each_software_is_known_by_itself(tmp_path, clock, family, key):
    with MastodonServer(clock.now, family=family) as server:
        channel = Scene(tmp_path, clock, server).channel()
        channel.verify()
        assert channel.traits.key == key


def test_with_a_short_limit_no_repeat_could_be_sure_to_come_after_its_first(scene: Scene):
    scene.channel().verify()
    assert scene.channel(timeout=timedelta(seconds=59)).traits.key == NoKey()
    assert scene.channel(timeout=timedelta(seconds=60)).traits.key == TimedKey(HOUR)
    assert "timeout" in scene.channel(timeout=timedelta(seconds=59)).verify().warnings[0]


def test_what_is_known_of_one_server_is_not_believed_of_another(scene: Scene):
    scene.channel().verify()
    assert scene.channel(api="http://127.0.0.1:9").traits.key == NoKey()


@pytest.mark.parametrize(
    "facts",
    [
        {"family": "Elsewhere"},
        {"types": ["image/avif"]},
        {"types": 7},
        {"characters": "many"},
        {"asked": "yesterday"},
        {"asked": None},
    ],
)
def test_a_spoilt_keep_counts_as_lost(scene: Scene, facts: dict[str, Any]):
    channel = scene.channel()
    channel.verify()
    scene.keep.write(dict(scene.keep.read()) | facts)
    assert channel.traits.key == NoKey()
    channel.prepare(scene.rendition(channel))
    assert channel.traits.key == TimedKey(HOUR)


def test_the_key_is_the_same_whatever_was_kept_and_whichever_picture_was_uploaded(any_scene: Scene):
    channel = any_scene.channel()
    image = with_picture(any_scene.folder)
    renditions = [any_scene.ready(channel, image=image) for _ in range(2)]
    assert renditions[0].body != renditions[1].body
    for rendition, facts in zip(renditions, (dict(any_scene.keep.read()), {}), strict=True):
        any_scene.keep.write(facts)
        channel.publish(rendition)
    keys = [
        seen.headers["idempotency-key"] for seen in any_scene.server.seen if "idempotency-key" in seen.headers
    ]
    assert (len(keys), len(set(keys))) == (2, 1)


def test_a_text_that_was_mended_has_another_key(scene: Scene):
    channel = scene.channel()
    for title in ("OuiStock", "OuiStock, corrigé"):
        channel.publish(scene.ready(channel, title=title))
    first, second = (seen.headers["idempotency-key"] for seen in scene.server.seen if seen.body)
    assert first != second


def test_at_pleroma_a_mended_post_is_not_answered_with_the_old_refusal(tmp_path, clock):
    with MastodonServer(clock.now, family="pleroma") as server:
        scene = Scene(tmp_path, clock, server)
        channel = scene.channel()
        channel.verify()
        server.limits["characters"] = 120  # after they were asked for
        refused = scene.rendition(channel)
        for again in ("", r" \(its earlier answer again\)"):
            with pytest.raises(RejectedError, match=rf"answered 422{again}: .*character limit of 120"):
                channel.publish(refused)
        with pytest.raises(NotAcceptedError, match="limits have changed"):
            channel.prepare(refused)
        assert channel.publish(scene.ready(channel)).remote_id
        assert len({seen.headers.get("idempotency-key") for seen in server.seen if seen.body}) == 2


# --------------------------------------------------------------------------- the server's limits


def test_the_limits_are_asked_for_once_a_week(scene: Scene):
    channel = scene.channel()
    questions = ["GET /api/v2/instance", "GET /.well-known/nodeinfo", "GET /nodeinfo/2.0"]
    rendition = scene.ready(channel)
    assert scene.asked() == questions
    scene.clock.advance(timedelta(days=6, hours=23, minutes=59))
    assert channel.prepare(rendition) == rendition
    assert scene.asked() == []
    scene.clock.advance(MINUTE)
    assert channel.prepare(rendition) == rendition
    assert scene.asked() == questions


def test_a_limit_asked_for_in_the_future_is_asked_for_again(scene: Scene):
    channel = scene.channel()
    rendition = scene.ready(channel)
    scene.clock = VirtualClock(NOW - timedelta(days=3))
    scene.asked()
    scene.channel().prepare(rendition)
    assert len(scene.asked()) == 3


def test_a_large_limit_is_used_once_it_is_known(tmp_path, clock):
    summary = "Un projet de quartier. " * 60
    with MastodonServer(clock.now, family="gotosocial") as server:
        scene = Scene(tmp_path, clock, server)
        channel = scene.channel()
        assert channel.fit(scene.post(summary=summary)).limit == 500
        channel.verify()
        fit = channel.fit(scene.post(summary=summary))
        assert (fit.limit, fit.shortened) == (5_000, False)
        channel.publish(channel.prepare(channel.render(fit, KEY)))


def test_a_text_that_has_become_too_long_is_not_sent_and_the_next_try_is_shorter(scene: Scene):
    channel = scene.channel()
    scene.server.limits["characters"] = 110
    long = scene.rendition(channel, summary="Un projet. " * 20)
    with pytest.raises(NotAcceptedError, match="limits have changed"):
        channel.prepare(long)
    assert scene.server.accepted == 0
    shorter = scene.ready(channel, summary="Un projet. " * 20)
    assert len(shorter.text) < len(long.text)
    channel.publish(shorter)
    assert scene.server.accepted == 1


def test_a_refused_text_has_the_limits_asked_for_again(scene: Scene):
    channel = scene.channel()
    rendition = scene.ready(channel)
    scene.server.limits["characters"] = 100
    with pytest.raises(RejectedError, match=r"answered 422: Validation failed: Text character limit of 100"):
        channel.publish(rendition)
    assert channel.traits.key == TimedKey(HOUR)  # what the server is stays known
    with pytest.raises(NotAcceptedError, match="limits have changed"):
        channel.prepare(rendition)
    assert channel.publish(scene.ready(channel)).remote_id


@pytest.mark.parametrize("answer", [b"<html>Welcome</html>", b"[]", b'{"title": "no version"}'])
def test_what_is_no_such_server_takes_nothing(scene: Scene, answer: bytes):
    channel = scene.channel()
    scene.server.faults.standing = faults.status(200, body=answer, accepted=False)
    with pytest.raises(NotAcceptedError, match="does not answer as a server with the Mastodon API"):
        channel.prepare(scene.rendition(channel))
    assert channel.traits.key == NoKey()


def test_a_server_that_does_not_name_its_software_is_known_by_its_source(scene: Scene):
    missing = faults.status(404, body=b"{}", accepted=False)
    scene.server.faults.choose = lambda head: missing if "nodeinfo" in head else None
    channel = scene.channel()
    channel.verify()
    assert channel.traits.key == TimedKey(HOUR)


def test_a_failing_answer_about_the_software_is_not_taken_for_one(scene: Scene):
    scene.server.faults.choose = lambda head: (
        faults.status(502, accepted=False) if "nodeinfo" in head else None
    )
    channel = scene.channel()
    with pytest.raises(ChannelError):
        channel.prepare(scene.rendition(channel))
    assert scene.keep.read() == {}


def test_a_keep_that_cannot_be_written_stops_a_post_before_it_is_sent(scene: Scene):
    class Full(MemoryKeep):
        def write(self, facts):
            raise OSError("no space left")

    channel = scene.channel(keep=Full())
    with pytest.raises(NotAcceptedError, match="cannot be kept: no space left"):
        channel.prepare(scene.rendition(channel))


# --------------------------------------------------------------------------- refusals


def test_without_a_token_nothing_is_asked(scene: Scene):
    channel = scene.channel(token=None)
    rendition = scene.rendition(channel)
    for attempt in (channel.prepare, channel.publish, lambda _: channel.verify()):
        with pytest.raises(AuthFailedError, match="PIPELINE_MASTO_ACCESS_TOKEN is not set"):
            attempt(rendition)
    assert channel.find(rendition, NOW) == CannotTell(
        "PIPELINE_MASTO_ACCESS_TOKEN is not set; put it into the environment or into .env, then retry"
    )
    assert scene.server.seen == []


@pytest.mark.parametrize("token", ["", " abc", "a b", "abc\n", "abcdé"])
def test_a_token_that_none_can_be_is_not_sent(scene: Scene, token: str):
    channel = scene.channel(token=token)
    with pytest.raises(AuthFailedError) as caught:
        channel.publish(scene.rendition(channel))
    assert scene.server.seen == []
    assert token.strip() == "" or token.strip() not in str(caught.value)


def test_a_revoked_token_is_no_fault_of_the_post(scene: Scene):
    channel = scene.channel()
    rendition = scene.ready(channel)
    scene.server.revoked = True
    with pytest.raises(AuthFailedError, match=r"answered 401.*The access token is invalid"):
        channel.publish(rendition)
    assert isinstance(channel.find(rendition, NOW), CannotTell)


def test_a_token_with_too_few_scopes_is_told_which_it_needs(scene: Scene):
    channel = scene.channel()
    rendition = scene.ready(channel)
    scene.server.scopes = frozenset({"read:accounts"})
    with pytest.raises(AuthFailedError, match=r"answered 403.*outside the authorized scopes.*write:statuses"):
        channel.publish(rendition)
    assert scene.server.accepted == 0


def test_too_many_posts_are_told_until_when(scene: Scene):
    channel = scene.channel()
    rendition = scene.ready(channel)
    scene.server.windows.all.most = 0
    scene.clock.advance(timedelta(minutes=7))  # another window than before
    with pytest.raises(RateLimitedError, match="Too many requests") as caught:
        channel.publish(rendition)
    assert (caught.value.until, caught.value.wait) == (NOW + timedelta(minutes=10), None)


@pytest.mark.parametrize(
    ("headers", "until", "wait"),
    [
        (
            {"X-RateLimit-Reset": "2016-04-11T07:05:00.123456Z"},
            datetime(2016, 4, 11, 7, 5, 0, 123456, UTC),
            None,
        ),
        ({"X-RateLimit-Reset": "2016-04-11T09:05:00+02:00"}, datetime(2016, 4, 11, 7, 5, tzinfo=UTC), None),
        ({"X-RateLimit-Reset": "1460358300"}, datetime(2016, 4, 11, 7, 5, tzinfo=UTC), None),
        ({"X-RateLimit-Reset": "1460358300", "Retry-After": "30"}, None, timedelta(seconds=30)),
        ({"X-RateLimit-Reset": "soon"}, None, None),
        ({"X-RateLimit-Reset": "9" * 30}, None, None),
        ({}, None, None),
    ],
)
def test_every_way_to_say_when_is_understood(scene: Scene, headers, until, wait):
    channel = scene.channel()
    rendition = scene.ready(channel)
    scene.server.faults.strike(faults.status(429, headers, b'{"error": "Throttled"}', accepted=False))
    with pytest.raises(RateLimitedError) as caught:
        channel.publish(rendition)
    assert (caught.value.until, caught.value.wait) == (until, wait)


def test_an_answer_that_repeats_the_token_does_not_show_it(scene: Scene):
    channel = scene.channel()
    rendition = scene.ready(channel)
    for code in (400, 401, 403, 404, 409, 422, 429, 500):
        body = json.dumps({"error": f"what is {TOKEN}?"}).encode()
        scene.server.faults.strike(faults.status(code, body=body, accepted=False))
        with pytest.raises(ChannelError, match=r"what is \*\*\*\?") as caught:
            channel.publish(rendition)
        assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(channel._api())


def test_a_request_still_being_dealt_with_is_unknown(scene: Scene):
    channel = scene.channel()
    rendition = scene.ready(channel)
    scene.server.faults.strike(faults.status(409, body=b'{"error": "being processed"}', accepted=False))
    with pytest.raises(OutcomeUnknownError, match=r"answered 409: being processed"):
        channel.publish(rendition)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"id": 7}', b'{"id": ""}', b"null", b'"109"'])
def test_a_success_without_an_id_is_unknown(scene: Scene, body: bytes):
    channel = scene.channel()
    rendition = scene.ready(channel)
    scene.server.faults.strike(faults.status(200, body=body, accepted=False))
    with pytest.raises(OutcomeUnknownError, match="without a post's id"):
        channel.publish(rendition)


@pytest.mark.parametrize("place", ["javascript:alert(1)", "ftp://x", 7, None, "https://x/\x1b[31m"])
def test_an_address_that_is_none_is_not_shown(scene: Scene, place: object):
    channel = scene.channel()
    rendition = scene.ready(channel)
    body = json.dumps({"id": "1", "url": place, "uri": "https://x/1"}).encode()
    scene.server.faults.strike(faults.status(200, body=body, accepted=False))
    assert channel.publish(rendition).url == "https://x/1"


def test_another_networks_rendition_is_refused(scene: Scene):
    channel = scene.channel()
    for body in (b"<html>", b"[]", b'{"text": "x"}', b'{"status": 7}'):
        with pytest.raises(RejectedError, match="not rendered for this network"):
            channel.publish(Rendition(KEY, body, "x"))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"instance": "https://a.example"}, 0),
        ({"instance": "https://a.example", "visibility": "unlisted", "spoiler": "Économie"}, 0),
        ({}, 1),
        ({"instance": "a.example"}, 1),
        ({"instance": "https://a.example", "visibility": "everyone"}, 1),
        ({"instance": "https://a.example", "spoiler": "two\nlines"}, 1),
        ({"instance": "https://a.example", "visiblity": "public"}, 1),
    ],
)
def test_options_are_checked_before_anything_is_sent(options: dict[str, str], count: int):
    assert len(option_problems(replace(mastodon(), options=options))) == count


# --------------------------------------------------------------------------- pictures


def test_a_picture_is_uploaded_described_and_waited_for(any_scene: Scene):
    any_scene.server.polls = 3
    channel = any_scene.channel()
    rendition = any_scene.rendition(channel, image=with_picture(any_scene.folder))
    prepared = channel.prepare(rendition)
    [media] = any_scene.server.media.values()
    assert json.loads(prepared.body)["media_ids"] == [media.id]
    assert (prepared.text, prepared.key, prepared.media) == (rendition.text, KEY, (IMAGE,))
    assert any_scene.pauses == [timedelta(seconds=span) for span in (1, 2, 3, 5)]
    assert any_scene.server.accepted == 0
    channel.publish(prepared)
    [shown] = any_scene.server.shown()
    assert (shown.alts, shown.body) == (("Une place, le matin",), prepared.body)


def test_what_is_prepared_keeps_its_bytes_and_uploads_nothing(scene: Scene):
    channel = scene.channel()
    prepared = scene.ready(channel, image=with_picture(scene.folder))
    scene.asked()
    assert channel.prepare(prepared) == prepared
    assert scene.asked() == []
    with_picture(scene.folder, seed=2)
    assert channel.prepare(prepared) == prepared


def test_a_picture_without_an_id_is_not_posted(scene: Scene):
    channel = scene.channel()
    with pytest.raises(NotAcceptedError, match="has not been uploaded"):
        channel.publish(scene.rendition(channel, image=with_picture(scene.folder)))
    assert scene.server.seen == []


def test_a_picture_that_is_made_smaller_by_new_limits_is_rendered_anew(scene: Scene):
    channel = scene.channel()
    image = with_picture(scene.folder, 400, 300)
    rendition = scene.rendition(channel, image=image)
    scene.server.limits |= {"image_pixels": 40_000, "image_bytes": 30_000}
    with pytest.raises(NotAcceptedError, match=r"limits have changed, or the picture content/place.jpg has"):
        channel.prepare(rendition)
    assert scene.server.media == {}
    channel.publish(scene.ready(channel, image=image))
    [media] = scene.server.media.values()
    assert media.size[0] * media.size[1] <= 40_000


def test_a_long_description_is_cut_to_the_servers_limit(scene: Scene):
    scene.server.limits["alt"] = 40
    image = replace(with_picture(scene.folder), alt="Une place au petit matin, avec le marché et ses étals")
    channel = scene.channel()
    channel.publish(scene.ready(channel, image=image))
    [alt] = scene.server.shown()[0].alts
    assert len(alt) <= 40
    assert alt.startswith("Une place au petit matin")
    assert alt.endswith("…")


@pytest.mark.parametrize("code", [400, 413, 415, 422])
def test_a_picture_that_the_server_refuses_is_the_entrys_fault(scene: Scene, code: int):
    channel = scene.channel()
    channel.verify()
    rendition = scene.rendition(channel, image=with_picture(scene.folder))
    scene.server.faults.strike(faults.status(code, body=b'{"error": "too grey"}', accepted=False))
    with pytest.raises(RejectedError, match="too grey") as caught:
        channel.prepare(rendition)
    assert caught.value.field == "image"


def test_a_picture_that_cannot_be_processed_is_the_entrys_fault(scene: Scene):
    channel = scene.channel()
    rendition = scene.rendition(channel, image=with_picture(scene.folder))
    broken = faults.status(422, body=b'{"error": "could not be processed"}', accepted=False)
    scene.server.faults.choose = lambda head: broken if head.startswith("GET /api/v1/media/") else None
    with pytest.raises(RejectedError, match="could not be processed") as caught:
        channel.prepare(rendition)
    assert caught.value.field == "image"


def test_a_picture_that_is_never_ready_is_given_up_after_about_a_minute(scene: Scene):
    scene.server.polls = 1_000
    channel = scene.channel()
    with pytest.raises(NotAcceptedError, match="still working on the picture"):
        scene.ready(channel, image=with_picture(scene.folder))
    assert timedelta(seconds=60) <= sum(scene.pauses, timedelta()) <= timedelta(seconds=90)
    assert scene.server.accepted == 0


def test_too_many_pictures_are_waited_for(scene: Scene):
    channel = scene.channel()
    scene.server.windows.media.most = 0
    with pytest.raises(RateLimitedError) as caught:
        scene.ready(channel, image=with_picture(scene.folder))
    assert caught.value.until == NOW + timedelta(minutes=30)


def test_a_missing_picture_is_told_before_anything_is_sent(scene: Scene):
    with pytest.raises(RejectedError, match="gone"):
        scene.rendition(image=Image("content/none.jpg", "Rien"))
    assert scene.server.seen == []


@pytest.mark.parametrize(("fault", "error", "count"), FAULTS, ids=[fault.name for fault, *_ in FAULTS])
def test_a_fault_says_no_more_of_a_post_with_a_picture(tmp_path: Path, fault, error, count):
    with ExitStack() as stack:
        bench = MastodonBench(tmp_path, stack, pictures=True)
        rendition = bench.channel.prepare(bench.channel.render(bench.channel.fit(bench.post()), KEY))
        if fault.before or fault.after or fault.drip:
            bench.hurry(timedelta(seconds=0.5))
        bench.remote.faults.strike(fault)
        with pytest.raises(error):
            bench.channel.publish(rendition)
        assert bench.remote.faults.met == [fault.name]
        assert bench.count() == count


@pytest.mark.parametrize(
    "fault",
    [
        faults.drop(accepted=True),
        faults.reset(accepted=False),
        faults.truncated(),
        faults.garbage(),
        faults.status(502, accepted=True),
        faults.status(401, accepted=False),
        faults.false_success(),
    ],
    ids=lambda fault: fault.name,
)
@pytest.mark.parametrize("step", ["POST /api/v2/media", "GET /api/v1/media/"])
def test_a_fault_while_a_picture_is_uploaded_posts_nothing_and_the_next_try_goes_through(
    any_scene: Scene, fault, step: str
):
    left = [fault]
    any_scene.server.faults.choose = lambda head: left.pop() if left and head.startswith(step) else None
    channel = any_scene.channel()
    rendition = any_scene.rendition(channel, image=with_picture(any_scene.folder))
    with pytest.raises(ChannelError):
        channel.prepare(rendition)
    assert any_scene.server.accepted == 0
    channel.publish(channel.prepare(rendition))
    assert any_scene.server.accepted == 1
    assert any_scene.server.shown()[0].alts == ("Une place, le matin",)


# --------------------------------------------------------------------------- changing and deleting


def test_an_edit_keeps_who_sees_it_and_replaces_text_language_and_picture(any_scene: Scene):
    scene = any_scene
    channel = scene.channel(options={"visibility": "unlisted", "spoiler": "Projet"})
    receipt = channel.publish(scene.ready(channel, image=with_picture(scene.folder)))
    plain = scene.channel()
    changed = scene.rendition(plain, title="Un autre", lang="en", image=with_picture(scene.folder, seed=2))
    again = plain.edit(receipt, changed)
    assert (again.remote_id, again.url, again.digest) == (receipt.remote_id, receipt.url, changed.digest)
    assert plain.edit(receipt, changed) == again
    [status] = scene.server.statuses
    assert (status.visibility, status.language, status.now.spoiler) == ("unlisted", "en", "")
    assert "Un autre" in status.now.text
    assert len(status.now.media) == 1
    assert status.now.media[0] is not status.versions[0].media[0]


def test_a_picture_is_dropped_by_an_edit_without_one(scene: Scene):
    channel = scene.channel()
    receipt = channel.publish(scene.ready(channel, image=with_picture(scene.folder)))
    channel.edit(receipt, scene.rendition(channel))
    assert scene.server.shown()[0].alts == ()


def test_an_edit_of_what_is_gone_is_told_so(scene: Scene):
    channel = scene.channel()
    rendition = scene.ready(channel)
    receipt = channel.publish(rendition)
    channel.delete(receipt)
    with pytest.raises(RejectedError, match=rf"answered 404: {receipt.remote_id} is gone"):
        channel.edit(receipt, rendition)


def test_a_refused_deletion_is_told(scene: Scene):
    channel = scene.channel()
    receipt = channel.publish(scene.ready(channel))
    scene.server.revoked = True
    with pytest.raises(AuthFailedError):
        channel.delete(receipt)
    assert len(scene.server.shown()) == 1


def test_an_id_stays_within_its_place_in_the_address(scene: Scene):
    channel = scene.channel()
    heads: list[str] = []
    scene.server.faults.choose = heads.append
    channel.delete(Receipt("../../accounts/1?x=#", None, ""))
    assert heads[0].startswith("DELETE /api/v1/statuses/..%2F..%2Faccounts%2F1%3Fx%3D%23 HTTP/1.1")


# --------------------------------------------------------------------------- who we are


def test_verify_says_who_we_are_and_what_the_server_allows(scene: Scene):
    identity = scene.channel().verify()
    host = scene.server.url.partition("://")[2]
    assert identity.account == f"@lille@{host}, {scene.server.url}/@lille"
    assert identity.expires is None
    assert identity.server_time == scene.clock.now()
    assert identity.limits == {
        "software": "Mastodon 4.5.2",
        "characters": "500",
        "characters a link counts": "23",
        "pictures": "4, each of 16777216 bytes and 33177600 pixels",
        "characters of an alternative text": "1500",
        "repeats recognised": "1 h",
    }
    assert identity.warnings == ()
    assert scene.server.accepted == 0


def test_verify_asks_anew_and_warns_of_what_will_hurt(tmp_path, clock):
    with MastodonServer(clock.now, family="gotosocial") as server:
        scene = Scene(tmp_path, clock, server)
        channel = scene.channel(options={"visibility": "direct"})
        first, second = channel.verify(), channel.verify()
        assert first.limits == second.limits
        assert scene.asked().count("GET /api/v2/instance") == 2
        assert first.limits["repeats recognised"] == "no"
        assert first.limits["characters a link counts"] == "all it has"
        assert "GoToSocial does not recognise repeats" in first.warnings[0]
        assert "only those who are mentioned" in first.warnings[1]


def test_verify_warns_of_an_account_that_has_moved_or_is_limited(scene: Scene):
    body = json.dumps({"id": "1", "username": "lille", "moved": {"id": "2"}, "limited": True}).encode()
    scene.server.faults.strike(faults.status(200, body=body, accepted=False))
    identity = scene.channel().verify()
    assert identity.account.startswith("@lille@127.0.0.1")
    assert [warning.partition(":")[0] for warning in identity.warnings] == [
        "the account has moved to another server",
        "the server's moderators have limited the account",
    ]


# --------------------------------------------------------------------------- the whole way


class Way:
    """One entry of a project, due in an hour, on its way to the server."""

    def __init__(self, scene: Scene, monkeypatch: pytest.MonkeyPatch, *, picture: bool = False) -> None:
        self.scene = scene
        monkeypatch.setenv("PIPELINE_MASTO_ACCESS_TOKEN", TOKEN)
        self.project = Project(scene.folder / "project", scene.clock.now() + HOUR)
        image = {"image": "place.jpg", "image_alt": "Une place"} if picture else {}
        self.project.entry("a", **image)
        with_picture(self.project.root)
        options = {"network": "mastodon", "instance": "https://mastodon.invalid", "api": scene.server.url}
        self.project.campaign("a", channels={"masto": options})

    def run(self, *waits: timedelta) -> list[State]:
        """The states of the delivery, at its instant and after each wait."""
        states = []
        with open_pipeline(
            Settings(self.project.root, self.project.ledger), clock=self.scene.clock, workers=0
        ) as pipeline:
            pipeline.tick()
            for wait in (HOUR, *waits):
                self.scene.clock.advance(wait)
                pipeline.tick()
                [delivery] = pipeline.ledger.deliveries()
                states.append(delivery.state)
            self.delivery = delivery
        return states

    def lose(self, *, accepted: bool) -> None:
        """The answer to the next post is lost; everything else passes."""
        left = [faults.drop(accepted=accepted)]
        self.scene.server.faults.choose = lambda head: (
            left.pop() if left and head.startswith("POST /api/v1/statuses") else None
        )

    @property
    def posts(self) -> list[Any]:
        return [seen for seen in self.scene.server.seen if seen.path == "/api/v1/statuses"]


@pytest.mark.parametrize("picture", [False, True], ids=["text", "picture"])
@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "not accepted"])
def test_a_lost_answer_ends_in_one_post_whatever_the_software(any_scene, monkeypatch, picture, accepted):
    way = Way(any_scene, monkeypatch, picture=picture)
    way.lose(accepted=accepted)
    states = way.run(*[timedelta(minutes=5)] * 3)
    assert states[0] is State.UNKNOWN
    assert states[-1] is State.PUBLISHED
    [shown] = any_scene.server.shown()
    assert any_scene.server.accepted == 1
    assert shown.id == way.delivery.receipt.remote_id
    assert len(shown.alts) == picture


def test_within_the_hour_the_identical_request_is_repeated(scene: Scene, monkeypatch):
    way = Way(scene, monkeypatch)
    left = [faults.drop(accepted=True)]
    reads = re.compile("GET /api/v1/accounts/[^/]+/statuses")  # which fail, so that the key alone decides
    scene.server.faults.choose = lambda head: (
        faults.status(503, accepted=False)
        if reads.match(head)
        else left.pop()
        if left and head.startswith("POST /api/v1/statuses")
        else None
    )
    assert way.run(timedelta(minutes=50)) == [State.UNKNOWN, State.PUBLISHED]
    assert scene.server.accepted == 1
    first, second = way.posts
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_no_repeat_goes_out_before_a_minute_is_over(scene: Scene, monkeypatch):
    way = Way(scene, monkeypatch)
    way.lose(accepted=True)
    assert way.run(timedelta(seconds=59)) == [State.UNKNOWN, State.UNKNOWN]
    assert len(way.posts) == 1


def test_after_the_hour_the_account_is_read_instead(scene: Scene, monkeypatch):
    way = Way(scene, monkeypatch)
    way.lose(accepted=True)
    assert way.run(timedelta(minutes=59, seconds=30)) == [State.UNKNOWN, State.PUBLISHED]
    assert len(way.posts) == 1
    assert any(seen.path.endswith("/statuses") and seen.method == "GET" for seen in scene.server.seen)


def test_where_no_key_is_kept_absence_is_believed_only_after_settling(tmp_path, clock, monkeypatch):
    with MastodonServer(clock.now, family="gotosocial", lag=timedelta(seconds=90)) as server:
        way = Way(Scene(tmp_path, clock, server), monkeypatch)
        way.lose(accepted=True)
        # Not shown yet at the first look, which comes before settling is over; shown at the second.
        states = way.run(timedelta(seconds=70), timedelta(seconds=61))
        assert states == [State.UNKNOWN, State.UNKNOWN, State.PUBLISHED]
        assert (server.accepted, len(way.posts)) == (1, 1)


def test_a_lost_request_is_sent_again_once_it_is_surely_absent(tmp_path, clock, monkeypatch):
    with MastodonServer(clock.now, family="gotosocial") as server:
        way = Way(Scene(tmp_path, clock, server), monkeypatch)
        way.lose(accepted=False)
        assert way.run(timedelta(minutes=3), timedelta(minutes=3))[-1] is State.PUBLISHED
        assert (server.accepted, len(way.posts)) == (1, 1)


def test_a_server_that_is_down_gets_it_when_it_is_back(scene: Scene, monkeypatch):
    way = Way(scene, monkeypatch)
    scene.server.refuse()
    assert way.run() == [State.PLANNED]
    scene.server.resume()
    assert way.run() == [State.PUBLISHED]
    assert scene.server.accepted == 1


def test_a_token_that_may_not_post_holds_it_for_a_person(scene: Scene, monkeypatch):
    scene.server.scopes = frozenset({"read:accounts", "read:statuses"})
    way = Way(scene, monkeypatch)
    assert way.run() == [State.HELD]
    assert "write:statuses" in way.delivery.reason
