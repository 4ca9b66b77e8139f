"""Bluesky as the contract suite needs it: the channel before a server, over real sockets.

The server is the stand-in here; the tests against a real one give another. The bench prepares once, since
what the suite sends is published without asking for a session or for its picture first.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Protocol

from PIL import Image as Pillow

from pipeline.channels import open_channel
from pipeline.channels.base import Channel, Keep, MemoryKeep, Surroundings
from pipeline.channels.bluesky_session import Session, Sessions
from pipeline.composing import compose
from pipeline.model import ChannelConfig, Image, Post
from pipeline.rehearsal.standins.bluesky import Bluesky as StandIn
from pipeline.rehearsal.standins.faults import Faults
from tests.support.builders import make_campaign, make_entry, surroundings
from tests.support.wire_bench import WireBench

NOW = datetime(2016, 4, 11, 7, tzinfo=UTC)
DAY = date(2016, 4, 11)
HANDLE = "alice.test"
IMAGE = Image("content/place.png", "Une place, le matin", None)


class Server(Protocol):
    """The remote side: a stand-in, or a real server behind the same proxy."""

    handle: str
    credentials: Any
    faults: Faults
    accepted: int

    @property
    def url(self) -> str: ...

    def refuse(self) -> None: ...

    def resume(self) -> None: ...


def bluesky(channel_id: str = "bluesky", *, handle: str = HANDLE, **changes: Any) -> ChannelConfig:
    """A channel that can only reach what `api` names: its own service does not exist."""
    options = {"handle": handle, "service": "https://bluesky.invalid", **changes.pop("options", {})}
    base = ChannelConfig(
        id=channel_id, network="bluesky", timeout=timedelta(seconds=10), options=options, api=None
    )
    return replace(base, **changes)


def with_picture(folder: Path, width: int = 120, height: int = 80, *, seed: int = 1) -> Image:
    """The picture of an entry, written into the project. Another seed is another picture."""
    path = folder / IMAGE.path
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = Random(seed).randbytes(width * height * 3)
    Pillow.frombytes("RGB", (width, height), noise).save(path)
    return IMAGE


def a_post(config: ChannelConfig, campaign: Any = None, entry_id: str = "ouistock", **changes: Any) -> Post:
    return compose(make_entry(entry_id, **changes), campaign or make_campaign(), config, DAY)


def moved(keep: Keep, config: ChannelConfig, around: Surroundings) -> None:
    """Let the session at hand count for another address: nobody there is asked for one."""
    facts = keep.read()
    if held := facts.get("session"):
        place = (config.api or "").rstrip("/")
        sessions = Sessions(config.id, place, config.options["handle"], around, fixed=True)
        session = replace(Session(**held), home=place, made_for=sessions._made_for())
        keep.write({"session": {name: getattr(session, name) for name in held}})


class BlueskyBench(WireBench):
    """The channel before a server, with a session. `pictured`: its posts show a picture."""

    def __init__(
        self, folder: Path, stack: ExitStack, *, pictured: bool = False, remote: Server | None = None
    ) -> None:
        self.remote = remote or stack.enter_context(StandIn(HANDLE, lambda: NOW))
        self.config = bluesky(handle=self.remote.handle, api=self.remote.url)
        self.image = with_picture(folder) if pictured else None
        self.keep = MemoryKeep()
        password = self.remote.credentials["APP_PASSWORD"]
        credentials = {(self.config.id, "APP_PASSWORD"): password}
        around = surroundings(folder, credentials=credentials, now=lambda: NOW)
        self.around = replace(around, keep=lambda _: self.keep)
        self.channel = self.open()
        self.channel.prepare(self.channel.render(self.channel.fit(self.post()), "bench"))

    def open(self) -> Channel:
        moved(self.keep, self.config, self.around)
        return open_channel(make_campaign(), self.config, self.around)

    def post(self, title: str = "OuiStock") -> Post:
        return a_post(self.config, title=title, image=self.image)

    def count(self) -> int:
        """How many posts readers see: a stand-in counts them, a real server is asked."""
        shown = getattr(self.remote, "shown", None)
        return len(shown()) if shown else self.remote.accepted


def pictured(folder: Path, stack: ExitStack) -> BlueskyBench:
    """The same, with posts that show a picture."""
    return BlueskyBench(folder, stack, pictured=True)
