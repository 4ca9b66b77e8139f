"""What every channel keeps. A new network joins with a bench; no test here knows which one it runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.channels import open_channel
from pipeline.channels.base import Absent, Channel, Found, NotAcceptedError, OutcomeUnknownError
from pipeline.composing import compose
from pipeline.model import NoKey, PermanentKey, Post, TimedKey
from tests.support.builders import make_campaign, make_entry, outbox
from tests.support.channels import PERMANENT, FaultyChannel, no_answer, not_accepted

KEY = "lille/ouistock/here"
SINCE = datetime(2016, 4, 11, 6, tzinfo=UTC)


class Bench(Protocol):
    """A channel with its remote side, as the suite needs them."""

    channel: Channel

    def post(self, title: str = "OuiStock") -> Post:
        """A post for the channel; another title is an edit of the same post."""

    def count(self) -> int:
        """How many posts readers see at the remote."""

    def refuse(self) -> None:
        """From now on the remote takes nothing, and provably so."""

    def lose_answer(self) -> None:
        """From now on the remote takes a post, but its answer is not understood."""

    def mend(self) -> None:
        """The remote works again."""


def a_post(channel_id: str, network: str, title: str) -> Post:
    config = outbox(channel_id, network=network)
    return compose(make_entry("ouistock", title=title), make_campaign(), config, date(2016, 4, 11))


class OutboxBench:
    """Faults are real: a file or a folder stands where the channel wants to write."""

    def __init__(self, folder: Path, channel_id: str = "outbox") -> None:
        self.public = folder / "public"
        self.config = outbox(channel_id)
        self.channel = open_channel(make_campaign(), self.config, root=folder, public=self.public)
        self._in_the_way: list[Path] = []

    def post(self, title: str = "OuiStock") -> Post:
        return a_post(self.config.id, "outbox", title)

    def count(self) -> int:
        return len(list(self.public.rglob("*.html")))

    def refuse(self) -> None:
        self.public.mkdir(exist_ok=True)
        blocker = self.public / "outbox"
        blocker.write_bytes(b"")
        self._in_the_way.append(blocker)

    def lose_answer(self) -> None:
        folder = self.public / "outbox" / "lille"
        if self.config.id != "outbox":
            folder /= self.config.id
        blocker = folder / "2016-04-11-ouistock.json"
        blocker.mkdir(parents=True)
        self._in_the_way.append(blocker)

    def mend(self) -> None:
        for blocker in self._in_the_way:
            blocker.rmdir() if blocker.is_dir() else blocker.unlink()
        self._in_the_way.clear()


class FaultyBench:
    def __init__(self, traits: object = PERMANENT) -> None:
        self.channel = FaultyChannel(traits=traits)

    def post(self, title: str = "OuiStock") -> Post:
        return a_post("memory", "memory", title)

    def count(self) -> int:
        return self.channel.remote.count

    def refuse(self) -> None:
        self.channel.fail("publish", not_accepted())

    def lose_answer(self) -> None:
        self.channel.fail("publish", no_answer(accepted=True))

    def mend(self) -> None:
        """Faults of this channel end by themselves."""


BENCHES: dict[str, Callable[[Path], Bench]] = {
    "outbox": OutboxBench,
    "outbox under another id": lambda folder: OutboxBench(folder, "vitrine"),
    "memory, permanent key": lambda folder: FaultyBench(),
    "memory, timed key": lambda folder: FaultyBench(replace(PERMANENT, key=TimedKey(timedelta(hours=1)))),
    "memory, no key": lambda folder: FaultyBench(replace(PERMANENT, key=NoKey())),
}


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return BENCHES[request.param](tmp_path)


def test_a_post_gives_a_receipt_with_the_digest_of_what_was_sent(bench: Bench):
    rendition = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    receipt = bench.channel.publish(rendition)
    assert receipt.digest == rendition.digest
    assert receipt.remote_id
    assert bench.count() == 1


def test_the_same_post_gives_the_same_bytes(bench: Bench):
    first = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    second = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    assert first == second
    assert bench.count() == 0


def test_another_key_gives_another_request(bench: Bench):
    fit = bench.channel.fit(bench.post())
    assert bench.channel.render(fit, KEY).key == KEY
    assert bench.channel.render(fit, KEY) != bench.channel.render(fit, KEY + "-2")


def test_the_identical_request_again_is_one_post_where_the_network_keeps_keys(bench: Bench):
    rendition = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    first, second = bench.channel.publish(rendition), bench.channel.publish(rendition)
    if isinstance(bench.channel.traits.key, NoKey):
        assert bench.count() == 2
    else:
        assert (first, bench.count()) == (second, 1)


def test_nothing_is_found_before_and_the_same_receipt_after(bench: Bench):
    rendition = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    assert bench.channel.find(rendition, SINCE) == Absent()
    receipt = bench.channel.publish(rendition)
    assert bench.channel.find(rendition, SINCE) == Found(receipt)


def test_a_refusal_leaves_nothing_and_the_next_try_goes_through(bench: Bench):
    rendition = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    bench.refuse()
    with pytest.raises(NotAcceptedError):
        bench.channel.publish(rendition)
    assert bench.count() == 0
    bench.mend()
    assert bench.channel.publish(rendition).digest == rendition.digest
    assert bench.count() == 1


def test_a_lost_answer_is_unknown_and_the_post_is_there_once(bench: Bench):
    rendition = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    bench.lose_answer()
    with pytest.raises(OutcomeUnknownError):
        bench.channel.publish(rendition)
    assert bench.count() == 1
    bench.mend()
    if isinstance(bench.channel.traits.key, PermanentKey):
        bench.channel.publish(rendition)
    assert bench.count() == 1
    assert isinstance(bench.channel.find(rendition, SINCE), Found)


def test_an_edit_replaces_the_post_however_often_it_is_repeated(bench: Bench):
    receipt = bench.channel.publish(bench.channel.render(bench.channel.fit(bench.post()), KEY))
    changed = bench.channel.render(bench.channel.fit(bench.post("OuiStock, corrigé")), KEY)
    first = bench.channel.edit(receipt, changed)
    assert first == bench.channel.edit(receipt, changed)
    assert (first.remote_id, first.digest) == (receipt.remote_id, changed.digest)
    assert bench.count() == 1
    assert bench.channel.find(changed, SINCE) == Found(first)


def test_a_deleted_post_is_gone_and_deleting_it_again_is_fine(bench: Bench):
    rendition = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    receipt = bench.channel.publish(rendition)
    bench.channel.delete(receipt)
    bench.channel.delete(receipt)
    assert bench.count() == 0
    assert bench.channel.find(rendition, SINCE) == Absent()


def test_verify_says_who_we_are_and_posts_nothing(bench: Bench):
    assert bench.channel.verify().account
    assert bench.count() == 0


def test_a_request_has_a_time_limit(bench: Bench):
    assert timedelta(0) < bench.channel.traits.timeout <= timedelta(minutes=5)
    assert bench.channel.traits.settle >= timedelta(0)
