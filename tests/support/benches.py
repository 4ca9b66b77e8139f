"""Benches: a channel with its remote side, so that one suite can run on every network.

A new network is a class here, or only a row of BENCHES; one that is spoken to over HTTP is a row of
HTTP_BENCHES, and gets every fault of the wire with it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from pipeline.channels import open_channel
from pipeline.channels.base import Channel
from pipeline.composing import compose
from pipeline.model import ChannelConfig, NoKey, Post, Rendition, TimedKey
from pipeline.rehearsal.standins.base import StandIn
from tests.support.bench_bluesky import BlueskyBench, pictured
from tests.support.bench_facebook import FacebookBench, FacebookPictureBench
from tests.support.bench_mastodon import MastodonBench
from tests.support.bench_x import XBench
from tests.support.builders import make_campaign, make_entry, outbox, surroundings
from tests.support.channels import PERMANENT, FaultyChannel, no_answer, not_accepted
from tests.support.networks import PROMISES, SECRET, Promise, PromisingReceiver, promising, webhook
from tests.support.wire_bench import WireBench

NOW = datetime(2016, 4, 11, 7, tzinfo=UTC)


def ready(bench: Bench, key: str, title: str = "OuiStock") -> Rendition:
    """The post, rendered and prepared: what is left is one request."""
    return bench.channel.prepare(bench.channel.render(bench.channel.fit(bench.post(title)), key))


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


class HttpBench(Bench, Protocol):
    """One that is spoken to over HTTP: `remote` is the stand-in, `config` the channel as it is opened."""

    remote: StandIn
    config: ChannelConfig

    def hurry(self, timeout: timedelta) -> None:
        """Open the channel again with this limit for a request, and with whatever `config` says."""


def a_post(channel_id: str, network: str, title: str) -> Post:
    config = outbox(channel_id, network=network)
    return compose(make_entry("ouistock", title=title), make_campaign(), config, date(2016, 4, 11))


class OutboxBench:
    """Faults are real: a file or a folder stands where the channel wants to write."""

    def __init__(self, folder: Path, channel_id: str = "outbox") -> None:
        self.public = folder / "public"
        self.config = outbox(channel_id)
        self.channel = open_channel(make_campaign(), self.config, surroundings(folder, self.public))
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


class WebhookBench(WireBench):
    """Real sockets: the receiver stops listening, or the wire is cut after it has answered."""

    def __init__(self, folder: Path, stack: ExitStack, promise: Promise | None = None) -> None:
        """Without a promise, the channel as campaigns open it."""
        known = PROMISES["permanent"] if promise is None else promise
        self.remote = stack.enter_context(PromisingReceiver(known, lambda: NOW))
        self.config = webhook(api=self.remote.url)
        self._promise = promise
        self.around = surroundings(folder, credentials={("presse", "SECRET"): SECRET}, now=lambda: NOW)
        self.channel = self.open()

    def open(self) -> Channel:
        given = make_campaign(), self.config, self.around
        return promising(self._promise, *given) if self._promise else open_channel(*given)

    def post(self, title: str = "OuiStock") -> Post:
        return a_post(self.config.id, "webhook", title)

    def count(self) -> int:
        return self.remote.accepted


# One for each way an adapter speaks HTTP: the wire and its faults are the same for every class of promise.
# The suite runs on those of SUITE, a proof on all.
HTTP_BENCHES: dict[str, Callable[[Path, ExitStack], HttpBench]] = {
    "webhook": WebhookBench,
    "bluesky": BlueskyBench,
    "bluesky, with a picture": pictured,
    "facebook": FacebookBench,
    "facebook, with a picture": FacebookPictureBench,
    "x": XBench,
    "x, oauth2, with a picture": partial(XBench, auth="oauth2", picture=True),
    "mastodon": MastodonBench,
    "mastodon, with a picture": partial(MastodonBench, pictures=True),
    "gotosocial": partial(MastodonBench, family="gotosocial"),
    "pleroma": partial(MastodonBench, family="pleroma"),
}

SUITE = frozenset(
    {"webhook", "bluesky, with a picture", "facebook, with a picture", "x", "mastodon, with a picture"}
)


def wire_benches() -> list[object]:
    """The names of HTTP_BENCHES, as parameters of a test."""
    return [name if name in SUITE else pytest.param(name, marks=pytest.mark.night) for name in HTTP_BENCHES]


BENCHES: dict[str, Callable[[Path, ExitStack], Bench]] = {
    "outbox": lambda folder, _: OutboxBench(folder),
    "outbox under another id": lambda folder, _: OutboxBench(folder, "vitrine"),
    "memory, permanent key": lambda folder, _: FaultyBench(),
    "memory, timed key": lambda folder, _: FaultyBench(replace(PERMANENT, key=TimedKey(timedelta(hours=1)))),
    "memory, no key": lambda folder, _: FaultyBench(replace(PERMANENT, key=NoKey())),
    **HTTP_BENCHES,
    **{
        f"webhook, {name}": lambda folder, stack, promise=promise: WebhookBench(folder, stack, promise)
        for name, promise in PROMISES.items()
    },
}
