"""OAuth 2 on X: tokens that end are refreshed once, kept before they are used, and never mixed up."""

from __future__ import annotations

import base64
import json
import logging
import stat
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.channels import open_channel
from pipeline.channels.base import (
    AuthFailedError,
    Channel,
    ChannelError,
    Found,
    Keep,
    MemoryKeep,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    Surroundings,
)
from pipeline.clock import VirtualClock
from pipeline.errors import BrokenEnvironment
from pipeline.keeping import FileKeep
from pipeline.model import Rendition
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.x import XService
from pipeline.rehearsal.standins.x_login import OAuth2Guard
from tests.support.bench_x import x_config, x_post
from tests.support.builders import make_campaign

HOUR = timedelta(hours=1)


class Scene:
    def __init__(self, folder: Path, remote: XService, clock: VirtualClock) -> None:
        self.folder = folder
        self.remote = remote
        self.clock = clock
        self.keep: Keep = MemoryKeep()
        self.credentials: dict[str, str | None] = dict(remote.credentials)

    @property
    def guard(self) -> OAuth2Guard:
        assert isinstance(self.remote.guard, OAuth2Guard)
        return self.remote.guard

    def channel(self, **changes: Any) -> Channel:
        around = Surroundings(
            root=self.folder,
            public=self.folder,
            credential=lambda _, name: self.credentials.get(name),
            now=self.clock.now,
            keep=lambda _: self.keep,
        )
        config = x_config(**{"api": self.remote.url, "options": {"auth": "oauth2"}, **changes})
        return open_channel(make_campaign(), config, around)

    def rendition(self, text: str = "un") -> Rendition:
        channel = self.channel()
        return channel.render(channel.fit(replace(x_post(x_config()), text=lambda _: text)), "lille/a/x")

    def publish(self, text: str = "un") -> None:
        self.channel().publish(self.channel().prepare(self.rendition(text)))

    def bearers(self) -> list[str]:
        found = [seen for seen in self.remote.seen if seen.path == "/2/tweets"]
        return [seen.headers["authorization"].removeprefix("Bearer ") for seen in found]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    clock = VirtualClock(datetime(2016, 4, 11, 7, tzinfo=UTC))
    with XService(clock.now, auth="oauth2") as remote:
        yield Scene(tmp_path, remote, clock)


def test_a_token_is_used_as_long_as_it_outlives_a_request(scene: Scene):
    for number in range(4):
        scene.publish(f"post {number}")
        scene.clock.advance(HOUR)
    assert scene.bearers() == [f"stand-in-access-{n}" for n in (1, 1, 2, 2)]
    scene.clock.advance(30 * 24 * HOUR)
    scene.publish("much later")
    assert scene.guard.exchanges == 3


def test_publishing_is_one_request_and_refreshes_nothing(scene: Scene):
    rendition = scene.channel().prepare(scene.rendition())
    scene.clock.advance(2 * HOUR - timedelta(seconds=5))
    before = len(scene.remote.seen)
    with pytest.raises(NotAcceptedError, match="ended before the request could begin"):
        scene.channel().publish(rendition)
    assert len(scene.remote.seen) == before
    scene.channel().publish(scene.channel().prepare(rendition))
    assert len(scene.remote.seen) == before + 2


def test_new_tokens_are_kept_before_they_are_used(scene: Scene, tmp_path: Path):
    scene.keep = FileKeep(tmp_path / "state/channels", "x")
    scene.channel().prepare(scene.rendition())
    [seen] = scene.remote.seen
    assert seen.path == "/2/oauth2/token"
    path = tmp_path / "state/channels/x.json"
    kept = json.loads(path.read_bytes())
    assert (kept["access"], kept["refresh"]) == ("stand-in-access-1", "stand-in-refresh-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for secret in scene.remote.credentials.values():
        assert secret not in path.read_text(encoding="utf-8")


class FullDisk(MemoryKeep):
    """Writes so often, then no more."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.left = writes

    def write(self, facts: Mapping[str, Any]) -> None:
        if not self.left:
            raise OSError(28, "No space left on device")
        self.left -= 1
        super().write(facts)


def test_a_token_is_not_used_up_where_the_next_cannot_be_kept(scene: Scene):
    scene.keep = FullDisk(0)
    with pytest.raises(NotAcceptedError, match=r"cannot be kept: .*No space.*X was not asked"):
        scene.publish()
    assert scene.remote.seen == []
    scene.keep = MemoryKeep()
    scene.publish()
    assert scene.remote.accepted == 1


def test_tokens_that_could_not_be_kept_after_all_are_a_persons_matter(scene: Scene):
    scene.keep = FullDisk(1)
    with pytest.raises(AuthFailedError, match=r"could not be kept .*pipeline connect x"):
        scene.publish()
    assert scene.remote.accepted == 0


class LockedOut(MemoryKeep):
    @contextmanager
    def alone(self) -> Iterator[None]:
        raise PermissionError(13, "Permission denied")
        yield


def test_without_the_lock_nothing_is_exchanged(scene: Scene):
    scene.keep = LockedOut()
    with pytest.raises(NotAcceptedError, match="Permission denied"):
        scene.publish()
    assert scene.remote.seen == []


def test_many_at_once_refresh_once(scene: Scene, tmp_path: Path):
    start = threading.Barrier(8)
    rendition = scene.rendition()

    def prepare(_number: int) -> None:
        own = Scene(tmp_path, scene.remote, scene.clock)
        own.keep = FileKeep(tmp_path / "state", "x")
        channel = own.channel()
        start.wait(20)
        channel.prepare(rendition)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prepare, range(8)))
    assert scene.guard.exchanges == 1


def test_a_lost_answer_to_a_refresh_that_arrived_needs_a_person(scene: Scene):
    scene.remote.faults.strike(faults.drop(accepted=True))
    with pytest.raises(OutcomeUnknownError):
        scene.publish()
    with pytest.raises(
        AuthFailedError, match=r"answered 400 .*counts once.*run `pipeline connect x`"
    ) as refusal:
        scene.publish()
    assert "stand-in-refresh" not in str(refusal.value)
    assert scene.remote.accepted == 0


def test_a_lost_answer_to_a_refresh_that_did_not_arrive_mends_itself(scene: Scene):
    scene.remote.faults.strike(faults.drop(accepted=False), faults.status(503, accepted=False))
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError):
            scene.publish()
    scene.publish()
    assert scene.remote.accepted == 1


def test_a_refresh_that_is_refused_for_now_is_tried_again(scene: Scene):
    scene.remote.faults.strike(faults.status(429, {"Retry-After": "60"}, accepted=False))
    with pytest.raises(RateLimitedError):
        scene.publish()
    scene.publish()
    assert scene.remote.accepted == 1


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_what_x_repeats_of_a_request_for_tokens_is_not_shown(scene: Scene, status: int):
    secret = scene.credentials["CLIENT_SECRET"]
    pair = base64.b64encode(f"{scene.credentials['CLIENT_ID']}:{secret}".encode()).decode()
    body = f"not you: Basic {pair} {secret}".encode()
    scene.remote.faults.strike(faults.status(status, body=body, accepted=False))
    with pytest.raises(ChannelError, match=r"not you: Basic \*\*\* \*\*\*") as refusal:
        scene.publish()
    assert pair not in str(refusal.value)
    scene.publish()
    assert scene.remote.seen[0].headers["authorization"] == f"Basic {pair}"


def test_new_credentials_win_over_what_was_kept_from_others(scene: Scene):
    scene.publish()
    scene.guard.refresh.add("given-by-hand")
    scene.credentials |= {"REFRESH_TOKEN": "given-by-hand"}
    scene.publish("deux")
    assert scene.guard.exchanges == 2
    assert scene.remote.seen[-2].body.endswith(b"refresh_token=given-by-hand")
    assert "given-by-hand" not in json.dumps(dict(scene.keep.read()))


def test_a_token_that_x_has_revoked_is_refreshed_with_the_next_try(scene: Scene):
    scene.publish()
    scene.guard.access.clear()
    with pytest.raises(AuthFailedError, match="answered 401"):
        scene.publish("deux")
    scene.publish("deux")
    assert scene.remote.accepted == 2


def test_the_read_back_refreshes_what_has_ended_meanwhile(scene: Scene):
    rendition = scene.rendition()
    scene.publish()
    scene.clock.advance(3 * HOUR)
    assert isinstance(scene.channel().find(rendition, scene.clock.now() - 3 * HOUR), Found)


def test_a_public_client_says_its_id_and_has_no_secret(scene: Scene):
    scene.credentials["CLIENT_SECRET"] = None
    scene.guard.credentials = {k: v for k, v in scene.guard.credentials.items() if k != "CLIENT_SECRET"}
    scene.publish()
    token = scene.remote.seen[0]
    assert "authorization" not in token.headers
    assert b"client_id=stand-in-client" in token.body


def test_an_access_token_alone_is_used_until_it_ends(scene: Scene):
    scene.credentials |= {"REFRESH_TOKEN": None, "CLIENT_ID": None, "CLIENT_SECRET": None}
    scene.publish()
    assert scene.bearers() == ["stand-in-access-0"]
    [warning] = scene.channel().verify().warnings
    assert "ends two hours after" in warning
    assert "PIPELINE_X_REFRESH_TOKEN is not set: run `pipeline connect x`" in warning
    scene.clock.advance(3 * HOUR)
    with pytest.raises(AuthFailedError, match="answered 401"):
        scene.publish("deux")


@pytest.mark.parametrize(
    ("missing", "named"), [(("CLIENT_ID",), "CLIENT_ID"), (("REFRESH_TOKEN", "ACCESS_TOKEN"), "ACCESS_TOKEN")]
)
def test_a_credential_that_is_missing_is_named(scene: Scene, missing: tuple[str, ...], named: str):
    rendition = scene.rendition()
    scene.credentials |= dict.fromkeys(missing)
    with pytest.raises(AuthFailedError, match=f"PIPELINE_X_{named} is not set"):
        scene.channel().prepare(rendition)
    assert scene.remote.seen == []


def test_without_an_access_token_the_first_comes_with_preparing(scene: Scene):
    scene.credentials["ACCESS_TOKEN"] = None
    rendition = scene.rendition()
    with pytest.raises(NotAcceptedError, match="no access token yet"):
        scene.channel().publish(rendition)
    assert scene.remote.seen == []
    scene.channel().publish(scene.channel().prepare(rendition))
    assert scene.remote.accepted == 1


def test_a_credential_that_cannot_be_read_is_no_unknown_outcome(scene: Scene, tmp_path: Path):
    def unreadable(_channel: str, _name: str) -> str:
        raise BrokenEnvironment("PIPELINE_X_REFRESH_TOKEN_FILE names a file that cannot be read")

    rendition = scene.rendition()
    around = Surroundings(tmp_path, tmp_path, unreadable, scene.clock.now)
    channel = open_channel(make_campaign(), x_config(options={"auth": "oauth2"}), around)
    with pytest.raises(AuthFailedError, match="cannot be read"):
        channel.publish(rendition)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({}, OutcomeUnknownError),
        ({"access_token": 7}, OutcomeUnknownError),
        ([], OutcomeUnknownError),
        ({"error": "unauthorized_client"}, OutcomeUnknownError),
    ],
)
def test_an_answer_without_a_token_is_not_taken_for_one(scene: Scene, answer: object, error: type[Exception]):
    scene.remote.faults.strike(faults.status(200, body=json.dumps(answer).encode(), accepted=False))
    with pytest.raises(error):
        scene.publish()
    scene.publish()
    assert scene.remote.accepted == 1


@pytest.mark.parametrize("life", [None, "7200", -1, 10**12])
def test_a_life_that_is_not_told_is_the_usual_one_and_a_refresh_token_that_stays_is_used_again(scene, life):
    scene.guard.access["given"] = scene.clock.now() + 100 * HOUR
    answer = {"access_token": "given", "expires_in": life}
    scene.remote.faults.strike(faults.status(200, body=json.dumps(answer).encode(), accepted=False))
    scene.publish()
    scene.clock.advance(2 * HOUR)
    scene.publish("deux")
    assert scene.bearers() == ["given", "stand-in-access-1"]


def test_an_answer_without_a_refresh_token_does_not_erase_the_one_that_is_kept(scene: Scene):
    scene.publish()
    scene.guard.access["given"] = scene.clock.now() + 100 * HOUR
    scene.clock.advance(2 * HOUR)
    answer = {"access_token": "given", "expires_in": 7200}
    scene.remote.faults.strike(faults.status(200, body=json.dumps(answer).encode(), accepted=False))
    scene.publish("deux")
    scene.clock.advance(2 * HOUR)
    scene.publish("trois")
    assert scene.bearers() == ["stand-in-access-1", "given", "stand-in-access-2"]


def test_kept_facts_that_make_no_sense_are_fetched_anew(scene: Scene):
    scene.publish()
    seed = scene.keep.read()["seed"]
    for odd in ({}, {"seed": seed, "expires": 7}, {"seed": seed, "expires": "soon", "access": 7}):
        scene.guard.refresh.add("stand-in-refresh-0")
        scene.keep.write(odd)
        scene.publish(f"après {odd}")
    assert scene.remote.accepted == 4


def test_no_token_is_logged_however_much_is_logged(scene: Scene, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    scene.publish()
    scene.channel().verify()
    assert "stand-in-" not in caplog.text
