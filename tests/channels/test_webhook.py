"""Standard Webhooks, as sent: signed as the standard says, the same on every repeat, believed when taken."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Reference

from pipeline.app import open_pipeline, rehearse_project
from pipeline.channels import open_channel, option_problems
from pipeline.channels.base import (
    AuthFailedError,
    CannotTell,
    DoesNotFit,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.channels.webhook import LARGEST, Webhook, signed
from pipeline.checks import channel_problems
from pipeline.clock import SystemClock, VirtualClock
from pipeline.composing import compose
from pipeline.model import Image, PermanentKey, Rendition, State
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.webhook import WebhookReceiver
from pipeline.schedules import parse_campaign
from pipeline.settings import Settings
from tests.support.builders import make_campaign, make_entry, surroundings
from tests.support.networks import SECRET, webhook
from tests.support.projects import Project

DAY = date(2016, 4, 11)
OTHER = "whsec_" + base64.b64encode(b"another key of 32 bytes, say so.").decode()
KEY = "lille/ouistock/presse"


class Scene:
    """A channel and its receiver, on one clock."""

    def __init__(self, folder: Path, receiver: WebhookReceiver, clock: VirtualClock) -> None:
        self.folder = folder
        self.receiver = receiver
        self.clock = clock

    def channel(self, secret: str | None = SECRET, campaign=None, **changes) -> Webhook:
        credentials = {("presse", "SECRET"): secret} if secret is not None else {}
        around = surroundings(self.folder, credentials=credentials, now=self.clock.now)
        config = webhook(api=f"{self.receiver.url}/hook", **changes)
        return open_channel(campaign or make_campaign(), config, around)

    def post(self, **changes):
        return compose(make_entry("ouistock", **changes), make_campaign(), webhook(), DAY)

    def rendition(self, channel: Webhook | None = None, key: str = KEY, **changes) -> Rendition:
        channel = channel or self.channel()
        return channel.render(channel.fit(self.post(**changes)), key)


@pytest.fixture
def scene(tmp_path: Path):
    clock = VirtualClock(datetime(2016, 4, 11, 7, tzinfo=UTC))
    with WebhookReceiver((SECRET,), clock.now) as receiver:
        yield Scene(tmp_path, receiver, clock)


# --------------------------------------------------------------------------- the signature


def test_the_published_example_of_the_standard_is_signed_alike():
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    sent = datetime.fromtimestamp(1614265330, UTC)
    headers = signed((key,), "msg_p5jXN8AQM9LWM0D4loKWxJek", sent, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200), st.integers(0, 4_000_000_000))
def test_any_body_is_signed_as_the_reference_signs_it(key: bytes, text: str, seconds: int):
    body = json.dumps({"text": text}, ensure_ascii=False).encode(errors="replace")
    now = datetime.fromtimestamp(seconds, UTC)
    expected = Reference(base64.b64encode(key).decode()).sign("msg_1", now, body.decode())
    assert signed((key,), "msg_1", now, body)["webhook-signature"] == expected


def test_the_reference_verifies_what_was_sent(tmp_path: Path):
    clock = SystemClock()
    with WebhookReceiver((OTHER,), clock.now) as receiver:
        scene = Scene(tmp_path, receiver, VirtualClock(clock.now()))
        channel = scene.channel(f"{SECRET} {OTHER}")
        channel.publish(scene.rendition(channel))
        [seen] = receiver.seen
    for secret in (SECRET, OTHER):
        assert Reference(secret).verify(seen.body, dict(seen.headers))["type"] == "entry.published"
    assert (seen.method, seen.path) == ("POST", "/hook")
    assert seen.headers["content-type"] == "application/json"


def test_a_receiver_may_change_its_secret_while_both_are_given(scene: Scene):
    channel = scene.channel(f"{OTHER} {SECRET}")
    channel.publish(scene.rendition(channel))
    assert scene.receiver.accepted == 1


def test_a_signature_of_another_secret_is_refused(scene: Scene):
    channel = scene.channel(OTHER)
    with pytest.raises(AuthFailedError, match=r"answered 401.*no signature matches"):
        channel.publish(scene.rendition(channel))
    assert scene.receiver.accepted == 0


@pytest.mark.parametrize("drift", [timedelta(minutes=6), timedelta(minutes=-6)])
def test_a_clock_that_is_wrong_is_refused(scene: Scene, drift: timedelta):
    scene.receiver.now = lambda: scene.clock.now() + drift
    with pytest.raises(RejectedError, match="too far from now"):
        scene.channel().publish(scene.rendition())


# --------------------------------------------------------------------------- what is sent


def test_the_body_is_canonical_and_frozen(scene: Scene):
    image = Image("content/o.png", "Une place", "Ville de Lille")
    body = scene.rendition(image=image).body
    assert json.loads(body) == {
        "id": scene.channel().id_of(scene.rendition()),
        "type": "entry.published",
        "timestamp": "2016-04-11T07:00:00Z",
        "data": {
            "campaign": "lille",
            "entry": "ouistock",
            "date": "2016-04-11",
            "days_left": 10,
            "title": "Projet ouistock",
            "summary": "Un projet collaboratif. Il réunit des habitants. Il grandit.",
            "text": "J-10 : Projet ouistock. Un projet collaboratif. Il réunit des habitants. Il grandit.\n"
            "https://example.org/ouistock #ÉconomieCollaborative",
            "url": "https://example.org/ouistock",
            "lang": "fr",
            "hashtags": ["#ÉconomieCollaborative"],
            "image": {"path": "content/o.png", "alt": "Une place", "credit": "Ville de Lille"},
        },
    }
    assert b"\\u" not in body
    assert b": {" not in body
    scene.clock.advance(timedelta(hours=3))
    assert scene.rendition(image=image).body == body


def test_the_timestamp_in_the_body_is_that_of_the_slot(scene: Scene):
    for campaign, changes, expected in (
        (make_campaign(), {"time": time(12, 30)}, "2016-04-11T10:30:00Z"),
        (make_campaign(zone="America/New_York"), {}, "2016-04-11T13:00:00Z"),
    ):
        channel = scene.channel(campaign=campaign, **changes)
        assert json.loads(scene.rendition(channel).body)["timestamp"] == expected


def test_a_repeat_carries_the_same_id_and_body_and_a_new_timestamp(scene: Scene):
    rendition = scene.rendition()
    first = scene.channel().publish(rendition)
    scene.clock.advance(timedelta(minutes=20))
    assert scene.channel().publish(rendition) == first
    one, two = scene.receiver.seen
    assert (one.body, one.headers["webhook-id"]) == (two.body, two.headers["webhook-id"])
    assert int(two.headers["webhook-timestamp"]) - int(one.headers["webhook-timestamp"]) == 20 * 60
    assert scene.receiver.accepted == 1


def test_every_delivery_and_every_project_has_ids_of_its_own(scene: Scene):
    ids = {scene.channel().id_of(scene.rendition(key=key)) for key in (KEY, KEY + "2", "lille/c/presse")}
    elsewhere = scene.channel(campaign=make_campaign(authority="example.net,2016"))
    ids.add(elsewhere.id_of(scene.rendition(elsewhere)))
    assert len(ids) == 4
    assert all(one.startswith("msg_") and len(one) == 36 for one in ids)


def test_a_text_is_shortened_until_the_whole_body_fits(scene: Scene):
    filler = "x" * (LARGEST - 450)
    post = replace(scene.post(), text=lambda summary: f"{filler} {summary}")
    fit = scene.channel().fit(post)
    body = scene.channel().render(fit, KEY).body
    assert fit.shortened
    assert fit.length == len(body) <= LARGEST == fit.limit
    with pytest.raises(DoesNotFit, match="bytes of payload"):
        scene.channel().fit(replace(post, text=lambda _: filler + filler))


# --------------------------------------------------------------------------- what comes back


@pytest.mark.parametrize(
    ("answer", "url"),
    [
        (b'{"url": "https://example.org/posts/7"}', "https://example.org/posts/7"),
        (b'{"url": "javascript:alert(1)"}', None),
        (b'{"url": "/posts/7"}', None),
        (b'{"url": "https://example.org/ 7"}', None),
        (b'{"url": 7}', None),
        (b"[1]", None),
        (b"ok", None),
        (b"", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_any_2xx_is_delivered_and_an_address_is_kept_if_it_is_one(
    scene: Scene, answer: bytes, url: str | None
):
    scene.receiver.faults.strike(faults.status(202, body=answer, accepted=True))
    receipt = scene.channel().publish(scene.rendition())
    assert (receipt.url, receipt.digest) == (url, scene.rendition().digest)
    assert receipt.remote_id == scene.receiver.messages[0].id


def test_gone_says_what_to_do(scene: Scene):
    scene.receiver.faults.strike(faults.status(410, accepted=False))
    with pytest.raises(AuthFailedError, match="wants no more; take `presse` out of the campaign or give it"):
        scene.channel().publish(scene.rendition())


def test_retry_after_is_kept_for_a_refusal_and_for_an_unknown_outcome(scene: Scene):
    for status, error in ((429, RateLimitedError), (503, OutcomeUnknownError)):
        scene.receiver.faults.strike(faults.status(status, {"Retry-After": "90"}, accepted=True))
        with pytest.raises(error) as asked:
            scene.channel().publish(scene.rendition())
        assert asked.value.wait == timedelta(seconds=90)


# --------------------------------------------------------------------------- credentials and options


def test_without_its_secret_a_post_can_be_checked_and_not_sent(scene: Scene):
    channel = scene.channel(secret=None)
    rendition = scene.rendition(channel)
    for call in (lambda: channel.publish(rendition), channel.verify):
        with pytest.raises(AuthFailedError, match="PIPELINE_PRESSE_SECRET is not set"):
            call()
    assert scene.receiver.seen == []


@pytest.mark.parametrize(
    "secret",
    [
        "hunter2hunter2",
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_short",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_é" + "A" * 39,
        f"{SECRET} hunter2",
        " ",
    ],
)
def test_a_secret_of_another_form_is_named_but_not_shown(scene: Scene, secret: str):
    channel = scene.channel(secret)
    for call in (lambda: channel.publish(scene.rendition()), channel.verify):
        with pytest.raises(AuthFailedError, match="the secret of `presse` is not `whsec_`") as refusal:
            call()
        assert "hunter2" not in str(refusal.value)
        assert SECRET not in str(refusal.value)
    assert scene.receiver.seen == []


def test_a_secret_that_a_receiver_repeats_is_not_shown(scene: Scene):
    for secret in (SECRET, SECRET.removeprefix("whsec_")):
        scene.receiver.faults.strike(faults.status(400, body=f"bad secret {secret}".encode(), accepted=False))
        with pytest.raises(RejectedError, match=r"bad secret \*\*\*$"):
            scene.channel().publish(scene.rendition())


def test_verify_sends_nothing(scene: Scene):
    assert scene.channel().verify().account == scene.receiver.url.removeprefix("http://")
    assert scene.receiver.seen == []


def test_what_was_sent_cannot_be_seen_changed_or_taken_back(scene: Scene):
    channel = scene.channel()
    receipt = channel.publish(scene.rendition())
    assert isinstance(channel.find(scene.rendition(), scene.clock.now()), CannotTell)
    for call in (lambda: channel.edit(receipt, scene.rendition()), lambda: channel.delete(receipt)):
        with pytest.raises(RejectedError, match="cannot be"):
            call()
    with pytest.raises(RejectedError, match="not rendered for a webhook"):
        channel.publish(Rendition(KEY, b"[]", "text"))


def test_limits_are_those_of_the_standard_unless_the_campaign_says_otherwise(scene: Scene):
    assert scene.channel(timeout=None).traits.timeout == timedelta(seconds=20)
    assert scene.channel(timeout=timedelta(seconds=3)).traits.timeout == timedelta(seconds=3)
    assert scene.channel().traits.key == PermanentKey()


def test_the_address_is_required_and_must_be_one():
    assert option_problems(webhook(options={})) == [("url", "`url` is missing: webhook needs it")]
    for url in (
        "",
        "example.org/hook",
        "ftp://example.org",
        "https://",
        "https://[::1",
        "http://a:0/",
        "http://a b",
    ):
        [(option, message)] = option_problems(webhook(options={"url": url}))
        assert option == "url"
        assert "not an absolute http(s) URL" in message
    assert option_problems(webhook()) == []


def test_a_missing_address_is_a_problem_of_the_file():
    source = (
        "title: A campaign\ndescription: One a day.\nlanguage: en\nlink: https://example.org/c/\n"
        "event: {name: The end, starts: 2016-04-21 09:00, timezone: Europe/Paris}\n"
        'posting: {time: "09:00"}\ntext: "{{ entry.title }}"\nchannels:\n  presse: {network: webhook}\n'
    )
    [problem] = channel_problems(parse_campaign("schedules/c.yaml", source))
    assert (problem.code, problem.line, problem.column) == ("E101", 9, 3)


# --------------------------------------------------------------------------- the whole way


@pytest.fixture
def project(tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Project:
    """One entry, due when the clock says, to be sent to the receiver."""
    monkeypatch.setenv("PIPELINE_PRESSE_SECRET", SECRET)
    project = Project(tmp_path / "project", scene.clock.now() + timedelta(hours=1))
    project.entry("a")
    options = {"network": "webhook", "url": "https://receiver.invalid/", "timeout": "10s"}
    project.campaign("a", channels={"presse": {**options, "api": f"{scene.receiver.url}/hook"}})
    return project


def run(project: Project, scene: Scene, *waits: timedelta) -> list[State]:
    """The states of the one delivery, at its instant and after each wait."""
    settings = Settings(project.root, project.ledger)
    states = []
    with open_pipeline(settings, clock=scene.clock, workers=0) as pipeline:
        pipeline.tick()
        for wait in (timedelta(hours=1), *waits):
            scene.clock.advance(wait)
            pipeline.tick()
            [delivery] = pipeline.ledger.deliveries()
            states.append(delivery.state)
    return states


def reason(project: Project, scene: Scene) -> str:
    with open_pipeline(Settings(project.root, project.ledger), clock=scene.clock) as pipeline:
        [delivery] = pipeline.ledger.deliveries()
    return delivery.reason or ""


def test_a_lost_answer_is_asked_for_again_and_the_receiver_has_one_message(project: Project, scene: Scene):
    scene.receiver.faults.strike(faults.drop(accepted=True), faults.reset(accepted=True))
    hour = timedelta(hours=1)
    assert run(project, scene, hour, hour) == [State.UNKNOWN, State.UNKNOWN, State.PUBLISHED]
    assert scene.receiver.accepted == 1
    assert len({(seen.body, seen.headers["webhook-id"]) for seen in scene.receiver.seen}) == 1
    assert len(scene.receiver.seen) == 3


def test_a_receiver_that_is_down_gets_it_when_it_is_back(project: Project, scene: Scene):
    scene.receiver.refuse()
    assert run(project, scene) == [State.PLANNED]
    scene.receiver.resume()
    assert run(project, scene) == [State.PUBLISHED]
    assert scene.receiver.accepted == 1


def test_an_unavailable_receiver_is_not_asked_before_it_wants_to_be(project: Project, scene: Scene):
    scene.receiver.faults.strike(faults.status(503, {"Retry-After": "600"}, accepted=False))
    nine, two = timedelta(minutes=9), timedelta(minutes=2)
    assert run(project, scene, nine, two) == [State.UNKNOWN, State.UNKNOWN, State.PUBLISHED]
    assert scene.receiver.accepted == len(scene.receiver.seen) == 1


def test_a_receiver_that_answers_303_is_asked_again_within_the_window_only_and_then_a_person_is(
    project, scene
):
    scene.receiver.faults.choose = lambda _head: faults.status(303, {"Location": "/done"}, accepted=True)
    with open_pipeline(Settings(project.root, project.ledger), clock=scene.clock, workers=0) as pipeline:
        pipeline.tick()
        scene.clock.advance(timedelta(hours=1))
        pipeline.tick()
        due = scene.clock.now()
        asked = []
        while (upcoming := pipeline.next_wake(scene.clock.now())) and upcoming < due + timedelta(hours=12):
            scene.clock.sleep_until(upcoming)
            pipeline.tick()
            asked.append((len(scene.receiver.seen), upcoming))
        last = min(at for count, at in asked if count == len(scene.receiver.seen))
        assert due + timedelta(hours=4) < last < due + timedelta(hours=6), "the late window"
        assert 3 < len(scene.receiver.seen) < 30
        assert scene.receiver.accepted == 1
        (waits,) = pipeline.waiting()
        assert "it may have been taken" in waits.happened
        assert "It may or may not be posted" in waits.known


def test_a_receiver_that_answers_303_once_is_settled_by_its_next_answer(project: Project, scene: Scene):
    scene.receiver.faults.strike(faults.status(303, {"Location": "/done"}, accepted=True))
    assert run(project, scene, timedelta(hours=1)) == [State.UNKNOWN, State.PUBLISHED]
    assert scene.receiver.accepted == 1


def test_a_receiver_that_wants_no_more_is_sent_nothing_more(project: Project, scene: Scene):
    project.entry("b")
    options = {"network": "webhook", "url": "https://receiver.invalid/", "api": f"{scene.receiver.url}/hook"}
    project.campaign("a", "b", channels={"presse": options})
    scene.receiver.faults.strike(faults.status(410, accepted=False))
    with open_pipeline(Settings(project.root, project.ledger), clock=scene.clock, workers=0) as pipeline:
        pipeline.tick()
        for wait in (timedelta(hours=1), timedelta(days=1)):
            scene.clock.advance(wait)
            pipeline.tick()
        assert scene.receiver.seen == [], "the second would have been taken"
        first, second = pipeline.ledger.deliveries()
        assert (first.state, second.state) == (State.HELD, State.PLANNED)
        assert "wants no more" in pipeline.ledger.paused()["lille", "presse"]
        now = scene.clock.now()
        pipeline.ledger.retry(first.key, now, now + timedelta(hours=1), now)
        pipeline.tick()
    assert scene.receiver.accepted == 2


def test_without_a_secret_nothing_is_sent_and_a_person_is_told(project, scene, monkeypatch):
    monkeypatch.delenv("PIPELINE_PRESSE_SECRET")
    assert run(project, scene) == [State.HELD]
    assert "PIPELINE_PRESSE_SECRET is not set" in reason(project, scene)
    assert scene.receiver.seen == []


def test_a_secret_that_cannot_be_read_is_no_unknown_outcome(project, scene, monkeypatch):
    monkeypatch.delenv("PIPELINE_PRESSE_SECRET")
    monkeypatch.setenv("PIPELINE_PRESSE_SECRET_FILE", "state/nowhere")
    assert run(project, scene) == [State.HELD]
    assert "PIPELINE_PRESSE_SECRET_FILE names" in reason(project, scene)
    assert scene.receiver.seen == []


def test_a_rehearsal_sends_nothing_to_a_network(project, scene, tmp_path):
    assert rehearse_project(Settings(project.root, project.ledger), tmp_path / "out").kept
    assert scene.receiver.seen == []
