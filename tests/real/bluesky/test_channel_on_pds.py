"""What the channel promises, kept by a real server: once and only once, at home, with the right bytes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from pipeline.app import open_pipeline
from pipeline.channels import open_channel
from pipeline.channels.base import AuthFailedError, Found, MemoryKeep, OutcomeUnknownError
from pipeline.channels.bluesky import Bluesky
from pipeline.channels.bluesky_text import LIMIT, measure
from pipeline.clock import SystemClock, VirtualClock
from pipeline.model import PermanentKey, State
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.bluesky_records import TID
from pipeline.settings import Settings
from tests.real.bluesky.servers import INSTALLED, Account, ask, missing
from tests.support.bench_bluesky import a_post, bluesky, with_picture
from tests.support.builders import make_campaign, surroundings
from tests.support.projects import Project
from tests.support.texts_bluesky import any_text

SINCE = datetime(2016, 4, 11, 6, tzinfo=UTC)


class Scene:
    """A channel of an account. Unless `api` is None, it only goes through the account's proxy."""

    def __init__(self, account: Account, folder: Path) -> None:
        self.account = account
        self.folder = folder
        self.keep = MemoryKeep()
        self.now = SystemClock().now

    def clock(self) -> datetime:
        return self.now()

    def channel(self, password: str | None = None, **changes) -> Bluesky:
        given = {"api": self.account.url, "handle": self.account.handle, **changes}
        credentials = {("bluesky", "APP_PASSWORD"): password or self.account.credentials["APP_PASSWORD"]}
        around = surroundings(self.folder, credentials=credentials, now=self.clock)
        around = replace(around, keep=lambda _: self.keep)
        return open_channel(make_campaign(), bluesky(**given), around)

    def rendition(self, channel: Bluesky, key: str = "lille/ouistock/bluesky", **changes):
        post = a_post(bluesky(handle=self.account.handle), **changes)
        return channel.render(channel.fit(post), key)


@pytest.fixture
def scene(account: Account, tmp_path: Path) -> Scene:
    return Scene(account, tmp_path)


@pytest.fixture
def own_account(pds: str) -> Iterator[Account]:
    """One that no other test has used: a request that was slow on its way there may arrive after its end."""
    with Account(pds) as account:
        yield account


def test_fifty_answers_lost_after_acceptance_leave_fifty_records_and_none_twice(
    own_account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    account = own_account
    monkeypatch.setenv("PIPELINE_BLUESKY_APP_PASSWORD", account.credentials["APP_PASSWORD"])
    clock = VirtualClock(SystemClock().now().replace(microsecond=0))
    project = Project(tmp_path, clock.now() + timedelta(hours=1))
    names = [f"p{number:02}" for number in range(50)]
    for name in names:
        project.entry(name)
        options = {"handle": account.handle, "api": account.url, "timeout": "20s"}
        project.campaign(name, campaign_id=f"c{name}", channels={"bluesky": options})

    # The answer to the first request for each record is lost, after the server has taken it.
    lost: set[int] = set()

    def choose(head: str) -> faults.Fault | None:
        if "putRecord" not in head.partition("\r\n")[0] or len(lost) == 50:
            return None
        lost.add(len(lost))
        return faults.drop(accepted=True)

    account.faults.choose = choose
    with open_pipeline(Settings(project.root, project.ledger), clock=clock, workers=0) as pipeline:
        pipeline.tick()
        clock.advance(timedelta(hours=1))
        pipeline.tick()
        assert {one.state for one in pipeline.ledger.deliveries()} == {State.UNKNOWN}
        assert len(account.records) == 50
        for _ in range(3):
            clock.advance(timedelta(minutes=30))
            pipeline.tick()
        deliveries = pipeline.ledger.deliveries()
    assert {one.state for one in deliveries} == {State.PUBLISHED}
    assert len(deliveries) == 50
    records = account.records
    assert len(records) == 50
    assert {one["uri"] for one in records} == {one.receipt.remote_id for one in deliveries}
    assert sorted(one["value"]["text"].split()[2] for one in records) == names


def test_every_way_of_losing_the_answer_leaves_one_record(own_account: Account, tmp_path: Path):
    scene = Scene(own_account, tmp_path)
    channel = scene.channel(timeout=timedelta(seconds=2))
    long = timedelta(seconds=3)
    for number, fault in enumerate(
        (
            faults.reset(accepted=True),
            faults.truncated(),
            faults.garbage(),
            faults.status(502, accepted=True),
            faults.slow(long, accepted=True),
        )
    ):
        rendition = channel.prepare(scene.rendition(channel, f"lille/e{number}/bluesky"))
        scene.account.faults.strike(fault)
        with pytest.raises(OutcomeUnknownError):
            channel.publish(rendition)
        assert channel.prepare(rendition) == rendition
        receipt = channel.publish(rendition)
        assert channel.find(rendition, SINCE) == Found(receipt)
        assert scene.account.accepted == number + 1


def test_the_bytes_of_the_preview_are_the_record(scene: Scene):
    channel = scene.channel()
    image = with_picture(scene.folder, 900, 700)
    rendition = scene.rendition(channel, image=image, summary="« Été » à l’œuvre 👩‍👩‍👧‍👦.", tags=("été",))
    assert channel.prepare(rendition) == rendition
    channel.publish(rendition)
    [shown] = scene.account.records
    assert shown["value"] == json.loads(rendition.body)["record"]


def test_a_mention_leads_to_the_account_and_one_of_nobody_stays_text(scene: Scene):
    channel = scene.channel()
    summary = f"Avec @{scene.account.handle} et @nobody.test."
    rendition = channel.prepare(scene.rendition(channel, summary=summary))
    channel.publish(rendition)
    [shown] = scene.account.records
    text = shown["value"]["text"].encode()
    found = {
        text[one["index"]["byteStart"] : one["index"]["byteEnd"]].decode(): one["features"][0]
        for one in shown["value"]["facets"]
    }
    assert found[f"@{scene.account.handle}"]["did"] == scene.account.did
    assert "@nobody.test" not in found


def test_an_edit_in_place_of_the_record_shows_the_new_words(scene: Scene):
    channel = scene.channel()
    receipt = channel.publish(channel.prepare(scene.rendition(channel)))
    channel.edit(receipt, scene.rendition(channel, title="Corrigé", image=with_picture(scene.folder)))
    [shown] = scene.account.records
    assert "Corrigé" in shown["value"]["text"]
    assert shown["value"]["embed"]["images"][0]["alt"] == "Une place, le matin"


def test_without_api_requests_go_where_the_account_lives(scene: Scene):
    channel = scene.channel(api=None, options={"service": scene.account.url})
    receipt = channel.publish(channel.prepare(scene.rendition(channel)))
    # Only the login went to the service; the DID document names the server behind the proxy.
    assert scene.keep.read()["session"]["home"] == scene.account.server.replace("127.0.0.1", "localhost")
    scene.account.refuse()
    assert isinstance(channel.find(scene.rendition(channel), SINCE), Found)
    channel.delete(receipt)
    assert scene.account.records == []


def test_a_session_is_refreshed_and_not_made_anew(scene: Scene):
    asked: list[str] = []

    def choose(head: str) -> None:
        asked.append(head.partition(" HTTP")[0].rpartition(".")[2])

    scene.account.faults.choose = choose
    channel = scene.channel()
    rendition = scene.rendition(channel)
    channel.prepare(rendition)
    channel.prepare(rendition)
    scene.now = lambda: SystemClock().now() + timedelta(minutes=119)
    channel.publish(channel.prepare(rendition))
    assert asked == ["createSession", "refreshSession", "putRecord"]


def test_who_we_are_and_that_the_main_password_is_not_the_one_to_use(scene: Scene):
    identity = scene.channel().verify()
    account = scene.account
    assert identity.account == (
        f"@{account.handle} ({account.did}), https://bsky.app/profile/{account.handle}"
    )
    assert abs(identity.server_time - SystemClock().now()) < timedelta(seconds=60)
    assert identity.warnings == ()
    scene.keep = MemoryKeep()
    [warning] = scene.channel(account.password).verify().warnings
    assert "make an app password" in warning


def test_a_password_that_is_wrong_or_deleted_is_said_to_be(scene: Scene):
    with pytest.raises(AuthFailedError, match=r"Invalid identifier or password; the app password of reader"):
        scene.channel("abcd-efgh-ijkl-mnop").verify()
    assert "abcd" not in str(scene.keep.read())
    channel = scene.channel()
    channel.verify()
    status, _, _ = ask(
        scene.account.server, "POST", "server.revokeAppPassword", {"name": "pipeline"}, scene.account.owner
    )
    assert status == 200
    try:
        scene.now = lambda: SystemClock().now() + timedelta(hours=3)
        with pytest.raises(AuthFailedError, match="make a new one"):
            channel.prepare(scene.rendition(channel))
    finally:
        scene.account.renew_password()


def test_keys_are_such_as_the_server_takes(scene: Scene):
    channel = scene.channel()
    assert channel.traits.key == PermanentKey()
    assert TID.fullmatch(json.loads(scene.rendition(channel).body)["rkey"])


# --------------------------------------------------------------------------- counting


COUNT = """
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'
import path from 'node:path'
const require = createRequire(path.resolve(process.argv[1], 'node_modules/@atproto/lex-data/package.json'))
const { countGraphemes } = require('unicode-segmenter/grapheme')
const { graphemeLen, utf8Len } = require('./dist/index.js')
for await (const line of createInterface({ input: process.stdin })) {
  const text = JSON.parse(line)
  console.log(JSON.stringify([graphemeLen(text), countGraphemes(text), utf8Len(text)]))
}
"""


def counted_by_the_server(texts: list[str]) -> list[tuple[int, int, int]]:
    """Graphemes as the server's two ways of counting have them, and bytes."""
    lines = "\n".join(json.dumps(text) for text in texts)
    command = ["node", "--input-type=module", "-e", COUNT, str(INSTALLED)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def never_too_long(examples: int) -> None:
    texts: list[str] = []

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(any_text())
    def collect(text: str) -> None:
        # Up to the limit, as fitting leaves it: whole characters from the beginning.
        cut = text
        while measure(cut) > LIMIT:
            cut = cut[: len(cut) * 9 // 10]
        texts.append(cut)

    collect()
    assert len(texts) >= examples
    for text, (native, portable, size) in zip(texts, counted_by_the_server(texts), strict=True):
        assert max(native, portable) <= LIMIT, ascii(text)
        assert size <= 3_000


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_what_fits_here_fits_there():
    never_too_long(300)


@pytest.mark.night
@pytest.mark.timeout(900)
@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_what_fits_here_fits_there_for_ten_thousand_texts():
    never_too_long(10_000)
