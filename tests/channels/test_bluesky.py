"""Bluesky, as sent: one request, the same bytes and the same key on every repeat, believed when taken."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from pipeline.app import open_pipeline
from pipeline.channels import open_channel, option_problems
from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    ChannelError,
    Found,
    MemoryKeep,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.channels.bluesky import Bluesky
from pipeline.channels.bluesky_record import cid
from pipeline.channels.tid import tid
from pipeline.clock import VirtualClock
from pipeline.model import Image, PermanentKey, Receipt, Rendition, State
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.bluesky import DID, PASSWORD
from pipeline.rehearsal.standins.bluesky import Bluesky as StandIn
from pipeline.rehearsal.standins.bluesky_records import record_cid
from pipeline.settings import Settings
from tests.support.bench_bluesky import HANDLE, IMAGE, a_post, bluesky, with_picture
from tests.support.builders import make_campaign, surroundings
from tests.support.projects import Project

KEY = "lille/ouistock/bluesky"
SINCE = datetime(2016, 4, 11, 6, tzinfo=UTC)
START = datetime(2016, 4, 11, 7, tzinfo=UTC)


class Scene:
    """A channel and its server, on one clock."""

    def __init__(self, folder: Path, server: StandIn, clock: VirtualClock) -> None:
        self.folder = folder
        self.server = server
        self.clock = clock
        self.keep = MemoryKeep()

    def channel(self, password: str | None = PASSWORD, campaign=None, **changes) -> Bluesky:
        credentials = {("bluesky", "APP_PASSWORD"): password} if password is not None else {}
        around = surroundings(self.folder, credentials=credentials, now=self.clock.now)
        around = replace(around, keep=lambda _: self.keep)
        config = bluesky(**{"api": self.server.url, **changes})
        return open_channel(campaign or make_campaign(), config, around)

    def rendition(self, channel: Bluesky | None = None, key: str = KEY, **changes) -> Rendition:
        channel = channel or self.channel()
        return channel.render(channel.fit(a_post(bluesky(), **changes)), key)

    def published(self, **changes) -> Receipt:
        channel = self.channel()
        return channel.publish(channel.prepare(self.rendition(channel, **changes)))

    def asked(self) -> list[str]:
        return [seen.path.rpartition(".")[2] for seen in self.server.seen]


@pytest.fixture
def scene(tmp_path: Path):
    clock = VirtualClock(START)
    with StandIn(HANDLE, clock.now) as server:
        yield Scene(tmp_path, server, clock)


def record_of(rendition: Rendition) -> dict:
    return json.loads(rendition.body)["record"]


# --------------------------------------------------------------------------- what is sent


def test_the_body_is_canonical_and_frozen(scene: Scene):
    rendition = scene.rendition()
    text = (
        "J-10 : Projet ouistock. Un projet collaboratif. Il réunit des habitants. Il grandit.\n"
        "https://example.org/ouistock #ÉconomieCollaborative"
    )
    facet = "app.bsky.richtext.facet"
    assert rendition.body.decode() == json.dumps(
        {
            "collection": "app.bsky.feed.post",
            "record": {
                "$type": "app.bsky.feed.post",
                "createdAt": "2016-04-11T07:00:00.000Z",
                "embed": {
                    "$type": "app.bsky.embed.external",
                    "external": {
                        "description": "Un projet collaboratif. Il réunit des habitants. Il grandit.",
                        "title": "Projet ouistock",
                        "uri": "https://example.org/ouistock",
                    },
                },
                "facets": [
                    {
                        "$type": facet,
                        "features": [{"$type": f"{facet}#link", "uri": "https://example.org/ouistock"}],
                        "index": {"byteEnd": 114, "byteStart": 86},
                    },
                    {
                        "$type": facet,
                        "features": [{"$type": f"{facet}#tag", "tag": "ÉconomieCollaborative"}],
                        "index": {"byteEnd": 138, "byteStart": 115},
                    },
                ],
                "langs": ["fr"],
                "text": text,
            },
            "repo": HANDLE,
            "rkey": tid("example.org,2016", KEY),
            "swapRecord": None,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
    assert rendition.text == text
    scene.clock.advance(timedelta(hours=3))
    assert scene.rendition() == rendition
    assert scene.server.seen == []


def test_the_bytes_of_the_preview_are_the_bytes_received(scene: Scene):
    image = with_picture(scene.folder)
    rendition = scene.rendition(image=image)
    channel = scene.channel()
    channel.publish(channel.prepare(rendition))
    [shown] = scene.server.shown()
    assert shown.body == rendition.body == scene.server.seen[-1].body
    assert (shown.text, shown.alts, shown.at) == (rendition.text, (image.alt,), START)


def test_created_at_is_the_instant_of_the_slot(scene: Scene):
    for campaign, changes, expected in (
        (make_campaign(), {"time": time(12, 30, 15)}, "2016-04-11T10:30:15.000Z"),
        (make_campaign(zone="America/New_York"), {}, "2016-04-11T13:00:00.000Z"),
    ):
        channel = scene.channel(campaign=campaign, **changes)
        assert record_of(scene.rendition(channel))["createdAt"] == expected


def test_the_key_stays_when_the_slot_moves(scene: Scene):
    channel = scene.channel()
    post = a_post(bluesky())
    moved = replace(post, date=post.date + timedelta(days=3))
    bodies = [json.loads(channel.render(channel.fit(one), KEY).body) for one in (post, moved)]
    assert bodies[0]["rkey"] == bodies[1]["rkey"]
    assert bodies[0]["record"]["createdAt"] != bodies[1]["record"]["createdAt"]


def test_a_handle_is_written_in_small_letters_and_an_odd_language_left_out(scene: Scene):
    channel = scene.channel(options={"handle": "Alice.TEST"})
    body = json.loads(scene.rendition(channel, lang="x-lille").body)
    assert body["repo"] == HANDLE
    assert "langs" not in body["record"]


def test_a_card_has_no_address_that_is_none_and_a_description_of_a_readable_length(scene: Scene):
    long = "Un mot après l’autre, encore et encore. " * 12
    embed = record_of(scene.rendition(summary=long, url="https://exämple.org/é"))["embed"]
    assert embed["external"]["uri"] == "https://xn--exmple-cua.org/%C3%A9"
    assert long.startswith(embed["external"]["description"])
    assert 200 < len(embed["external"]["description"]) <= 300
    assert "embed" not in record_of(scene.rendition(url="https://[::1"))


# --------------------------------------------------------------------------- pictures


def test_a_picture_is_shown_with_its_alternative_text_and_its_shape(scene: Scene):
    image = with_picture(scene.folder)
    scene.published(image=image)
    embed = record_of(scene.rendition(image=image))["embed"]
    [shown] = embed["images"]
    assert (shown["alt"], shown["aspectRatio"]) == (image.alt, {"width": 120, "height": 80})
    data = scene.server.seen[1].body
    assert shown["image"] == {
        "$type": "blob",
        "ref": {"$link": cid(data)},
        "mimeType": scene.server.seen[1].headers["content-type"],
        "size": len(data),
    }
    assert scene.asked() == ["createSession", "uploadBlob", "putRecord"]


def test_a_content_id_is_the_hash_of_the_bytes():
    # The one of the empty file, as every implementation has it.
    assert cid(b"") == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    decoded = base64.b32decode(cid(b"x")[1:].upper() + "=" * 6)
    assert decoded == b"\x01\x55\x12\x20" + hashlib.sha256(b"x").digest()


def test_a_card_can_show_the_picture_instead(scene: Scene):
    image = with_picture(scene.folder)
    channel = scene.channel(options={"embed": "card"})
    rendition = scene.rendition(channel, image=image)
    external = record_of(rendition)["embed"]["external"]
    assert external["uri"] == "https://example.org/ouistock"
    channel.publish(channel.prepare(rendition))
    assert cid(scene.server.seen[1].body) == external["thumb"]["ref"]["$link"]
    without = scene.rendition(channel, image=image, url="https://[::1")
    assert (without.media, "embed" in record_of(without)) == ((), False)


def test_a_large_picture_is_made_small_enough_for_every_server(scene: Scene):
    image = with_picture(scene.folder, 2300, 1700)
    scene.published(image=image)
    [shown] = record_of(scene.rendition(image=image))["embed"]["images"]
    assert 100_000 < shown["image"]["size"] <= 976_000
    assert shown["aspectRatio"]["width"] <= 2_000


def test_a_picture_that_vanished_from_the_server_is_uploaded_again_under_the_same_name(scene: Scene):
    channel = scene.channel()
    rendition = scene.rendition(channel, image=with_picture(scene.folder))
    assert channel.prepare(rendition) == rendition
    scene.clock.advance(timedelta(minutes=10))
    with pytest.raises(NotAcceptedError, match="has not got the picture"):
        channel.publish(rendition)
    assert channel.prepare(rendition) == rendition
    assert channel.publish(rendition).digest == rendition.digest


@pytest.mark.parametrize("gone", [False, True], ids=["another picture", "no picture"])
def test_a_repeat_keeps_its_bytes_when_the_editor_has_changed_the_picture(scene: Scene, gone: bool):
    channel = scene.channel()
    rendition = channel.prepare(scene.rendition(channel, image=with_picture(scene.folder)))
    scene.server.faults.strike(faults.drop(accepted=True))
    with pytest.raises(OutcomeUnknownError):
        channel.publish(rendition)
    with_picture(scene.folder, seed=2)
    if gone:
        (scene.folder / IMAGE.path).unlink()
    assert channel.prepare(rendition) == rendition
    assert channel.publish(rendition).digest == rendition.digest
    assert scene.server.accepted == 1
    assert scene.asked().count("uploadBlob") == 1


def test_a_picture_that_is_none_names_the_field(scene: Scene):
    with pytest.raises(RejectedError) as refusal:
        scene.rendition(image=Image("content/nowhere.png", "Rien"))
    assert refusal.value.field == "image"


def test_a_server_that_keeps_the_picture_under_another_name_is_not_believed(scene: Scene):
    channel = scene.channel()
    rendition = scene.rendition(channel, image=with_picture(scene.folder))
    channel.verify()
    other = b'{"blob": {"$type": "blob", "ref": {"$link": "bafk"}, "mimeType": "image/png", "size": 1}}'
    scene.server.faults.strike(faults.status(200, body=other, accepted=False))
    with pytest.raises(RejectedError, match="under another name or type") as refusal:
        channel.prepare(rendition)
    assert refusal.value.field == "image"


@pytest.mark.parametrize(
    "fault",
    [faults.drop(accepted=True), faults.status(502, accepted=False), faults.truncated(), faults.garbage()],
    ids=lambda fault: fault.name,
)
def test_an_upload_that_fails_posts_nothing_and_may_be_repeated(scene: Scene, fault):
    channel = scene.channel()
    rendition = scene.rendition(channel, image=with_picture(scene.folder))
    channel.verify()
    scene.server.faults.strike(fault)
    with pytest.raises(OutcomeUnknownError):
        channel.prepare(rendition)
    assert scene.server.shown() == ()
    channel.publish(channel.prepare(rendition))
    assert scene.server.accepted == 1


# --------------------------------------------------------------------------- mentions


def test_a_mention_is_resolved_before_the_bytes_are_frozen(scene: Scene):
    scene.server.handles["zoe.test"] = "did:plc:zoezoezoezoezoezoezoezoe"
    channel = scene.channel()
    summary = "Avec @zoe.test, @nobody.test et @Zoe.test"
    rendition = scene.rendition(channel, summary=summary)
    before = [f["features"][0].get("did") for f in record_of(rendition)["facets"]]
    assert before[:3] == ["resolve:zoe.test", "resolve:nobody.test", "resolve:zoe.test"]
    prepared = channel.prepare(rendition)
    after = [f["features"][0].get("did") for f in record_of(prepared)["facets"]]
    assert after[:2] == [scene.server.handles["zoe.test"]] * 2
    assert "nobody.test" not in str(after)
    assert prepared.text == rendition.text
    assert scene.asked() == ["createSession", "resolveHandle", "resolveHandle"]
    assert channel.prepare(prepared) == prepared
    channel.publish(prepared)
    assert scene.server.shown()[0].body == prepared.body


def test_a_post_whose_mentions_are_not_resolved_is_not_sent(scene: Scene):
    channel = scene.channel()
    channel.verify()
    with pytest.raises(NotAcceptedError, match="not prepared"):
        channel.publish(scene.rendition(channel, summary="Avec @zoe.test"))
    assert "putRecord" not in scene.asked()


def test_a_server_that_cannot_say_whom_a_mention_means_is_asked_again_later(scene: Scene):
    channel = scene.channel()
    channel.verify()
    scene.server.faults.strike(faults.status(502, accepted=False))
    with pytest.raises(OutcomeUnknownError):
        channel.prepare(scene.rendition(channel, summary="Avec @alice.test"))


def test_only_a_mention_in_the_text_needs_no_facets_when_nobody_is_meant(scene: Scene):
    channel = scene.channel()
    post = replace(a_post(bluesky()), text=lambda _: "Avec @nobody.test")
    rendition = channel.prepare(channel.render(channel.fit(post), KEY))
    assert "facets" not in record_of(rendition)


# --------------------------------------------------------------------------- what comes back


def test_the_receipt_names_the_record_and_where_it_can_be_seen(scene: Scene):
    rkey = tid("example.org,2016", KEY)
    assert scene.published() == Receipt(
        f"at://{DID}/app.bsky.feed.post/{rkey}",
        f"https://bsky.app/profile/{HANDLE}/post/{rkey}",
        scene.rendition().digest,
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"uri": 7, "cid": "b"}',
        b'{"uri": "at://did:plc:x/app.bsky.feed.post/3jzfcijpj2z2a", "cid": "b"}',
        b'{"uri": "https://example.org/", "cid": "b"}',
    ],
)
def test_a_success_that_does_not_speak_of_our_record_is_unknown(scene: Scene, answer: bytes):
    channel = scene.channel()
    rendition = channel.prepare(scene.rendition(channel))
    scene.server.faults.strike(faults.status(200, body=answer, accepted=True))
    with pytest.raises(OutcomeUnknownError):
        channel.publish(rendition)


def test_other_words_under_our_key_are_evidence_that_it_was_posted(scene: Scene):
    receipt = scene.published()
    channel = scene.channel()
    other = channel.prepare(scene.rendition(channel, title="Autrement"))
    with pytest.raises(OutcomeUnknownError, match="other words is there under this key already"):
        channel.publish(other)
    assert channel.find(other, SINCE) == Found(replace(receipt, digest=other.digest))
    assert scene.server.accepted == 1
    assert "Autrement" not in scene.server.shown()[0].text


def error(name: str, message: str = "no", status: int = 400) -> faults.Fault:
    return faults.status(
        status, body=json.dumps({"error": name, "message": message}).encode(), accepted=False
    )


@pytest.mark.parametrize(
    ("fault", "kind", "field"),
    [
        (error("ExpiredToken"), NotAcceptedError, None),
        (error("InvalidToken"), NotAcceptedError, None),
        (error("ExpiredToken", status=401), NotAcceptedError, None),
        (error("AccountNotFound", status=403), NotAcceptedError, None),
        (error("BlobNotFound"), NotAcceptedError, None),
        (error("InvalidSwap"), OutcomeUnknownError, None),
        (error("InvalidRequest", "grapheme too big at $.record.text"), RejectedError, "text"),
        (error("InvalidRequest", "at $.record.embed.images[0].alt"), RejectedError, "image"),
        (error("InvalidMimeType"), RejectedError, "image"),
        (error("Forbidden", status=403), RejectedError, None),
        (error("AccountTakedown", status=401), AuthFailedError, None),
        (error("AccountDeactivated", status=401), AuthFailedError, None),
        (error("AuthMissing", status=401), AuthFailedError, None),
        (error("InternalServerError", status=500), OutcomeUnknownError, None),
        (faults.status(400, body=b"<html>no</html>", accepted=False), RejectedError, None),
        (faults.status(400, body=b'["no"]', accepted=False), RejectedError, None),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_refusal_means_what_its_name_says(scene: Scene, fault, kind, field):
    channel = scene.channel()
    rendition = channel.prepare(scene.rendition(channel))
    scene.server.faults.strike(fault)
    with pytest.raises(kind) as refusal:
        channel.publish(rendition)
    assert getattr(refusal.value, "field", None) == field
    assert PASSWORD not in str(refusal.value)
    channel.publish(channel.prepare(rendition))
    assert scene.server.accepted == 1


def test_without_a_session_or_a_token_nothing_is_sent(scene: Scene):
    channel = scene.channel()
    rendition = scene.rendition(channel)
    with pytest.raises(NotAcceptedError, match="not prepared; nothing was sent"):
        channel.publish(rendition)
    channel.prepare(rendition)
    scene.server.faults.strike(error("ExpiredToken"))
    with pytest.raises(NotAcceptedError, match="the next try gets another token"):
        channel.publish(rendition)
    with pytest.raises(NotAcceptedError, match="not prepared; nothing was sent"):
        channel.publish(rendition)
    assert scene.asked() == ["createSession"]


def test_a_token_that_a_server_repeats_is_not_shown(scene: Scene):
    channel = scene.channel()
    rendition = channel.prepare(scene.rendition(channel))
    access = scene.keep.read()["session"]["access"]
    for fault in (
        *(error(name, f"token {access}") for name in ("Bad", "InvalidSwap", "BlobNotFound")),
        *(error("Bad", "x" * before + access) for before in range(0, 330, 10)),  # cut inside it
        faults.status(400, body=access.encode(), accepted=False),
    ):
        scene.server.faults.strike(fault)
        with pytest.raises(ChannelError) as refusal:
            channel.publish(rendition)
        said = str(refusal.value)
        assert access[:8] not in said
        assert len(said) < 400


@pytest.mark.parametrize("name", ["Bad", "InvalidSwap", "BlobNotFound"])
def test_a_refusal_without_end_is_told_in_a_line(scene: Scene, name: str):
    channel = scene.channel()
    rendition = channel.prepare(scene.rendition(channel))
    scene.server.faults.strike(error(name, "word\n" * 20_000))
    with pytest.raises(ChannelError, match=f"answered 400: {name}: word word word.*…") as refusal:
        channel.publish(rendition)
    assert "\n" not in str(refusal.value)


def test_a_limit_says_until_when_in_its_own_header(scene: Scene):
    channel = scene.channel()
    rendition = channel.prepare(scene.rendition(channel))
    reset = str(int((START + timedelta(minutes=7)).timestamp()))
    date = "Mon, 11 Apr 2016 07:01:00 GMT"
    hour = {"Retry-After": "3600"}
    for headers, until, wait in (
        ({"RateLimit-Reset": reset}, START + timedelta(minutes=7), None),
        ({"RateLimit-Reset": reset, "Date": date}, None, timedelta(minutes=6)),
        (
            {"RateLimit-Reset": reset, "Date": "Mon, 23 Nov 2026 07:01:00 GMT"},
            START + timedelta(minutes=7),
            None,
        ),
        ({"RateLimit-Reset": "9" * 30, **hour}, None, timedelta(hours=1)),
        ({"RateLimit-Reset": "soon", **hour}, None, timedelta(hours=1)),
        (hour, None, timedelta(hours=1)),
        ({}, None, None),
    ):
        scene.server.faults.strike(faults.status(429, headers, accepted=False))
        with pytest.raises(RateLimitedError) as asked:
            channel.publish(rendition)
        assert (asked.value.until, asked.value.wait) == (until, wait)


def test_a_rendition_of_another_network_is_refused(scene: Scene):
    channel = scene.channel()
    channel.verify()
    for body in (
        b"[]",
        b"text",
        b'{"collection": "app.bsky.feed.post", "rkey": "x", "record": [], "repo": ""}',
    ):
        rendition = Rendition(KEY, body, "text")
        for call in (channel.prepare, channel.publish):
            with pytest.raises(RejectedError, match="not rendered for Bluesky"):
                call(rendition)
        assert isinstance(channel.find(rendition, SINCE), CannotTell)


# --------------------------------------------------------------------------- read, change, take back


def test_a_read_back_knows_what_is_there_and_says_when_it_cannot_tell(scene: Scene):
    channel = scene.channel()
    rendition = channel.prepare(scene.rendition(channel))
    assert channel.find(rendition, SINCE) == Absent()
    receipt = channel.publish(rendition)
    assert channel.find(rendition, SINCE) == Found(receipt)
    scene.server.lag = timedelta(seconds=30)
    assert channel.find(rendition, SINCE) == Absent()
    for fault in (
        error("InvalidRequest"),
        error("RepoDeactivated"),
        faults.drop(accepted=True),
        error("x", status=502),
    ):
        scene.server.faults.strike(fault)
        assert isinstance(channel.find(rendition, SINCE), CannotTell)
    assert isinstance(scene.channel(None).find(rendition, SINCE), CannotTell)


def test_a_post_that_somebody_deleted_is_not_made_again_by_an_edit(scene: Scene):
    receipt = scene.published()
    channel = scene.channel()
    channel.delete(receipt)
    with pytest.raises(RejectedError, match="is not there any more"):
        channel.edit(receipt, scene.rendition(title="Corrigé"))
    assert scene.server.shown() == ()


def test_an_edit_that_meets_another_changes_nothing(scene: Scene):
    receipt = scene.published()
    channel = scene.channel()

    def choose(head: str) -> None:
        if puts(head):  # somebody else is faster
            [(rkey, record)] = scene.server.records.items()
            value = {**record.value, "text": "Par un autre"}
            scene.server.records[rkey] = replace(record, value=value, cid=record_cid(value))

    scene.server.faults.choose = choose
    with pytest.raises(NotAcceptedError, match="changed meanwhile"):
        channel.edit(receipt, scene.rendition(title="Corrigé"))
    assert scene.server.shown()[0].text == "Par un autre"


def test_an_edit_shows_the_new_picture(scene: Scene):
    receipt = scene.published()
    channel = scene.channel()
    changed = scene.rendition(channel, image=with_picture(scene.folder))
    assert channel.edit(receipt, changed) == replace(receipt, digest=changed.digest)
    assert scene.server.shown()[0].alts == (IMAGE.alt,)


def test_what_a_person_said_is_posted_can_be_changed_by_its_address_in_the_app(scene: Scene):
    receipt = scene.published()
    by_hand = Receipt(receipt.url, None, "")
    channel = scene.channel()
    assert channel.edit(by_hand, scene.rendition(title="Corrigé")).remote_id == receipt.remote_id
    channel.delete(by_hand)
    assert scene.server.shown() == ()
    with pytest.raises(RejectedError, match="is not the address of a Bluesky post"):
        channel.delete(Receipt("https://example.org/7", None, ""))


# --------------------------------------------------------------------------- who we are


def test_verify_says_who_we_are_what_counts_and_what_will_fail(scene: Scene):
    identity = scene.channel().verify()
    assert identity.account == f"@{HANDLE} ({DID}), https://bsky.app/profile/{HANDLE}"
    assert identity.limits["text"] == "300 characters and 3000 bytes"
    assert identity.limits["posts a day"] == "11666"
    assert identity.limits["requests left"] == "2998 of 3000"
    assert identity.server_time is not None
    assert (identity.warnings, identity.expires) == ((), None)


def test_verify_warns_of_what_will_fail(scene: Scene):
    scene.server.scope = "com.atproto.access"
    channel = scene.channel()
    [warning] = channel.verify().warnings
    assert "own password" in warning
    scene.server.handle = "alice.example.org"
    scene.server.status = "deactivated"
    [_, renamed, inactive] = channel.verify().warnings
    assert "now called alice.example.org" in renamed
    assert "the account is deactivated" in inactive


def test_without_a_password_a_post_can_be_checked_and_not_sent(scene: Scene):
    channel = scene.channel(None)
    rendition = scene.rendition(channel)
    for call in (lambda: channel.prepare(rendition), lambda: channel.publish(rendition), channel.verify):
        with pytest.raises(AuthFailedError, match="PIPELINE_BLUESKY_APP_PASSWORD is not set"):
            call()
    assert scene.server.seen == []


def test_traits_and_options(scene: Scene):
    traits = scene.channel(timeout=None).traits
    assert (traits.key, traits.timeout, traits.per_day) == (PermanentKey(), timedelta(seconds=30), 11_666)
    assert option_problems(bluesky()) == []
    for options, option in (
        ({}, "handle"),
        ({"handle": "@alice.test"}, "handle"),
        ({"handle": "alice"}, "handle"),
        ({"handle": HANDLE, "service": "bsky.social"}, "service"),
        ({"handle": HANDLE, "embed": "both"}, "embed"),
    ):
        assert [found for found, _ in option_problems(replace(bluesky(), options=options))] == [option]


# --------------------------------------------------------------------------- the whole way


@pytest.fixture
def project(tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Project:
    """One entry, due when the clock says, to be sent to the server."""
    monkeypatch.setenv("PIPELINE_BLUESKY_APP_PASSWORD", PASSWORD)
    project = Project(tmp_path / "project", scene.clock.now() + timedelta(hours=1))
    project.entry("a")
    project.campaign("a", channels={"bluesky": {"handle": HANDLE, "api": scene.server.url, "timeout": "10s"}})
    return project


def run(project: Project, scene: Scene, *waits: timedelta) -> list[State]:
    """The states of the one delivery, at its instant and after each wait."""
    states = []
    settings = Settings(project.root, project.ledger)
    with open_pipeline(settings, clock=scene.clock, workers=0) as pipeline:
        pipeline.tick()
        for wait in (timedelta(hours=1), *waits):
            scene.clock.advance(wait)
            pipeline.tick()
            [delivery] = pipeline.ledger.deliveries()
            states.append(delivery.state)
    return states


def puts(head: str) -> bool:
    return "putRecord" in head.partition("\r\n")[0]


def test_lost_answers_leave_one_post_and_the_bytes_stay_the_same(project: Project, scene: Scene):
    left = [faults.drop(accepted=True), faults.reset(accepted=True)]
    scene.server.faults.choose = lambda head: left.pop(0) if puts(head) and left else None
    hour = timedelta(hours=1)
    assert run(project, scene, hour, hour) == [State.UNKNOWN, State.PUBLISHED, State.PUBLISHED]
    assert scene.server.accepted == 1
    assert scene.asked().count("putRecord") == 1


def test_lost_requests_are_repeated_with_the_same_bytes(project: Project, scene: Scene):
    left = [faults.drop(accepted=False), faults.reset(accepted=True)]
    scene.server.faults.choose = lambda head: left.pop(0) if puts(head) and left else None
    hour = timedelta(hours=1)
    assert run(project, scene, hour, hour) == [State.UNKNOWN, State.UNKNOWN, State.PUBLISHED]
    assert scene.server.accepted == 1
    assert len({seen.body for seen in scene.server.seen if seen.path.endswith("putRecord")}) == 1
    assert scene.asked().count("createSession") == 1


def test_an_expired_token_costs_one_more_try_and_no_login(project: Project, scene: Scene):
    left = [error("ExpiredToken")]
    scene.server.faults.choose = lambda head: left.pop(0) if puts(head) and left else None
    assert run(project, scene, timedelta(hours=1)) == [State.PLANNED, State.PUBLISHED]
    assert scene.asked().count("createSession") == 1
    assert "refreshSession" in scene.asked()


def test_a_password_that_is_refused_holds_the_post_for_a_person(project, scene, monkeypatch):
    monkeypatch.setenv("PIPELINE_BLUESKY_APP_PASSWORD", "wrong-wrong-wrong")
    assert run(project, scene) == [State.HELD]
    assert scene.server.shown() == ()
