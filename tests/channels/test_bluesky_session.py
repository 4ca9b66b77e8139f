"""Sessions: kept, renewed by one while others wait, and never shown to whom they are not for."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.channels.base import (
    AuthFailedError,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
)
from pipeline.channels.bluesky_session import Session, Sessions, _home
from pipeline.clock import VirtualClock
from pipeline.keeping import FileKeep
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.bluesky import DID, PASSWORD, Bluesky
from tests.support.bench_bluesky import HANDLE
from tests.support.builders import surroundings

START = datetime(2016, 4, 11, 7, tzinfo=UTC)
TIMEOUT = timedelta(seconds=10)


class Scene:
    """A server, its clock, and a keep in files."""

    def __init__(self, folder: Path, server: Bluesky, clock: VirtualClock) -> None:
        self.folder = folder
        self.server = server
        self.clock = clock
        self.password: str | None = PASSWORD

    def sessions(self, *, fixed: bool = True, **changes) -> Sessions:
        given = {"channel_id": "bluesky", "service": self.server.url, "handle": HANDLE, **changes}
        around = surroundings(self.folder, now=self.clock.now)
        around = replace(
            around,
            credential=lambda _channel, _name: self.password,
            keep=lambda channel_id: FileKeep(self.folder / "state" / "channels", channel_id),
        )
        return Sessions(**given, surroundings=around, fixed=fixed)

    def asked(self) -> list[str]:
        return [seen.path.rpartition(".")[2] for seen in self.server.seen]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    clock = VirtualClock(START)
    with Bluesky(HANDLE, clock.now) as server:
        yield Scene(tmp_path, server, clock)


# --------------------------------------------------------------------------- kept and renewed


def test_one_login_serves_every_post_and_every_process(scene: Scene):
    first = scene.sessions().ready(TIMEOUT)
    assert scene.sessions().ready(TIMEOUT) == first == scene.sessions().kept()
    assert (first.did, first.handle, first.home) == (DID, HANDLE, scene.server.url)
    assert first.expires == START + timedelta(minutes=120)
    assert scene.asked() == ["createSession"]


def test_a_session_is_kept_where_only_we_can_read_it_and_without_the_password(scene: Scene):
    scene.sessions().ready(TIMEOUT)
    [path] = (scene.folder / "state" / "channels").glob("*.json")
    assert path.stat().st_mode & 0o077 == 0
    assert PASSWORD not in path.read_text()
    session = Session(**json.loads(path.read_text())["session"])
    assert session.access not in repr(session)
    assert session.refresh not in repr(session)


def test_a_token_that_might_end_during_the_request_is_renewed_before(scene: Scene):
    sessions = scene.sessions()
    first = sessions.ready(TIMEOUT)
    scene.clock.advance(timedelta(minutes=115) - TIMEOUT - timedelta(seconds=1))
    assert sessions.ready(TIMEOUT) == first
    scene.clock.advance(timedelta(seconds=1))
    second = sessions.ready(TIMEOUT)
    assert second.access != first.access
    assert scene.asked() == ["createSession", "refreshSession"]


def test_a_campaign_of_three_months_needs_one_login(scene: Scene):
    sessions = scene.sessions()
    for _ in range(90):
        sessions.ready(TIMEOUT)
        scene.clock.advance(timedelta(days=1))
    assert scene.asked().count("createSession") == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda scene: scene.server.tokens.revoke(),
        lambda scene: scene.clock.advance(timedelta(days=91)),
        lambda scene: scene.server.faults.strike(faults.status(401, accepted=False)),
        lambda scene: scene.server.faults.strike(faults.status(403, accepted=False)),
    ],
    ids=["revoked", "too old", "401", "403"],
)
def test_where_refreshing_is_refused_a_login_follows(scene: Scene, spoil):
    sessions = scene.sessions()
    sessions.ready(TIMEOUT)
    scene.clock.advance(timedelta(hours=3))
    spoil(scene)
    assert sessions.ready(TIMEOUT).did == DID
    assert scene.asked().count("createSession") == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.drop(accepted=True), OutcomeUnknownError),
        (faults.status(502, accepted=False), OutcomeUnknownError),
        (faults.false_success(), OutcomeUnknownError),
        (faults.status(200, body=b'{"accessJwt": 1}', accepted=False), OutcomeUnknownError),
        (faults.status(429, accepted=False), RateLimitedError),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_fault_while_refreshing_is_no_reason_to_log_in(scene: Scene, fault, error):
    sessions = scene.sessions()
    sessions.ready(TIMEOUT)
    scene.clock.advance(timedelta(hours=3))
    scene.server.faults.strike(fault)
    with pytest.raises(error):
        sessions.ready(TIMEOUT)
    assert sessions.ready(TIMEOUT).did == DID  # also after a lost answer: the old token is in its grace
    assert scene.asked().count("createSession") == 1


def test_many_at_once_renew_once(scene: Scene):
    scene.sessions().ready(TIMEOUT)
    scene.clock.advance(timedelta(hours=3))
    found: list[Session] = []
    barrier = threading.Barrier(8)

    def renew() -> None:
        sessions = scene.sessions()
        barrier.wait()
        found.append(sessions.ready(TIMEOUT))

    threads = [threading.Thread(target=renew) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(found)) == 1
    assert len(found) == 8
    assert scene.asked() == ["createSession", "refreshSession"]


def test_a_forgotten_token_is_replaced_and_the_session_lives_on(scene: Scene):
    sessions = scene.sessions()
    first = sessions.ready(TIMEOUT)
    sessions.forget(first)
    assert sessions.kept() == replace(first, access="")
    scene.clock.advance(timedelta(seconds=1))
    second = sessions.ready(TIMEOUT)
    assert second.access != first.access
    sessions.forget(first)  # by somebody who was slower
    assert sessions.kept() == second
    assert scene.asked() == ["createSession", "refreshSession"]


def test_a_token_that_does_not_say_when_it_ends_is_used_until_it_is_refused(scene: Scene):
    body = {"accessJwt": "opaque", "refreshJwt": "opaque", "did": DID, "handle": HANDLE}
    for access in ("opaque", "a.b.c", f"a.{base64.urlsafe_b64encode(b'[1]').decode()}.c"):
        answer = json.dumps(body | {"accessJwt": access}).encode()
        scene.server.faults.strike(faults.status(200, body=answer, accepted=False))
        sessions = scene.sessions()
        session = sessions.ready(TIMEOUT)
        assert (session.access, session.expires, session.with_main_password) == (access, None, False)
        scene.clock.advance(timedelta(days=1))
        assert sessions.ready(TIMEOUT) == session
        (scene.folder / "state" / "channels" / "bluesky.json").unlink()


# --------------------------------------------------------------------------- whose session it is


def test_another_password_another_account_or_another_server_is_another_session(scene: Scene):
    first = scene.sessions().ready(TIMEOUT)
    scene.password = "ijkl-ijkl-ijkl-ijkl"
    assert scene.sessions().kept() is None
    scene.server.credentials = {"APP_PASSWORD": scene.password}
    assert scene.sessions().ready(TIMEOUT) != first
    for change in ({"handle": "zoe.test"}, {"service": "http://127.0.0.1:1"}, {"fixed": False}):
        assert scene.sessions(**change).kept() is None


@pytest.mark.parametrize("facts", [b"", b"[]", b'{"session": 7}', b'{"session": {"did": "x"}}'])
def test_a_keep_that_cannot_be_read_costs_a_login(scene: Scene, facts: bytes):
    folder = scene.folder / "state" / "channels"
    folder.mkdir(parents=True)
    (folder / "bluesky.json").write_bytes(facts)
    assert scene.sessions().ready(TIMEOUT).did == DID


def test_a_login_that_is_refused_says_what_to_do(scene: Scene):
    for name, advice in (
        ("AuthenticationRequired", "make a new one in the app's settings"),
        ("AuthFactorTokenRequired", "asks for a code by e-mail; make an app password"),
        ("AccountTakedown", "the account is suspended"),
    ):
        body = json.dumps({"error": name, "message": f"no {PASSWORD}"}).encode()
        scene.server.faults.strike(faults.status(401, body=body, accepted=False))
        with pytest.raises(AuthFailedError, match=advice) as refusal:
            scene.sessions().ready(TIMEOUT)
        assert PASSWORD not in str(refusal.value)


def test_logins_beyond_the_limit_wait_until_the_server_says(scene: Scene):
    for _ in range(30):
        scene.server.tokens.revoke()
        scene.sessions().ready(TIMEOUT)
        (scene.folder / "state" / "channels" / "bluesky.json").unlink()
    with pytest.raises(RateLimitedError) as asked:
        scene.sessions().ready(TIMEOUT)
    assert asked.value.until == START + timedelta(minutes=5) or asked.value.wait == timedelta(minutes=5)


def test_a_server_that_is_down_is_no_refusal_of_the_password(scene: Scene):
    scene.server.refuse()
    with pytest.raises(NotAcceptedError):
        scene.sessions().ready(TIMEOUT)


# --------------------------------------------------------------------------- where the account lives


def document(*services: object) -> dict[str, object]:
    return {"id": DID, "service": list(services)}


def pds(place: object, identity: str = "#atproto_pds") -> dict[str, object]:
    return {"id": identity, "type": "AtprotoPersonalDataServer", "serviceEndpoint": place}


@pytest.mark.parametrize(
    ("found", "home"),
    [
        (document(pds("https://home.example/")), "https://home.example"),
        (document(pds("https://home.example", f"{DID}#atproto_pds")), "https://home.example"),
        (
            document(pds("https://labels.example", "#atproto_labeler"), pds("http://h.example")),
            "http://h.example",
        ),
        (document(pds("ftp://home.example")), None),
        (document(pds("https://")), None),
        (document(pds("https://[::1")), None),
        (document(pds(7), "nothing", {}), None),
        (document(), None),
        ({"service": "https://home.example"}, None),
        ("https://home.example", None),
        (None, None),
    ],
)
def test_the_did_document_names_the_server_to_write_to(scene: Scene, found: object, home: str | None):
    body = {"accessJwt": "a", "refreshJwt": "r", "did": DID, "handle": HANDLE, "didDoc": found}
    scene.server.faults.strike(faults.status(200, body=json.dumps(body).encode(), accepted=False))
    assert scene.sessions(fixed=False).ready(TIMEOUT).home == (home or scene.server.url)


def test_a_token_does_not_leave_tls():
    assert _home(document(pds("http://home.example")), "https://bsky.social") is None
    assert _home(document(pds("https://home.example")), "https://bsky.social") == "https://home.example"
