"""The Mastodon family as the contract suite needs it: the channel before a stand-in of each software.

The bench asks the server who it is beforehand, as `prepare` does before every post, since what the suite
sends is published at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image as Pillow

from pipeline.channels.base import Keep, MemoryKeep
from pipeline.composing import compose
from pipeline.model import ChannelConfig, Image, Post
from pipeline.rehearsal.standins.mastodon import TOKEN, MastodonServer
from tests.support.builders import make_campaign, make_entry, surroundings
from tests.support.wire_bench import WireBench

NOW = datetime(2016, 4, 11, 7, tzinfo=UTC)
DAY = date(2016, 4, 11)
IMAGE = Image("content/place.jpg", "Une place, le matin", None)


def mastodon(channel_id: str = "masto", **changes: Any) -> ChannelConfig:
    """A channel that can only reach what `api` names: its own instance does not exist."""
    options = {"instance": "https://mastodon.invalid", **changes.pop("options", {})}
    return replace(ChannelConfig(id=channel_id, network="mastodon", options=options), **changes)


def with_picture(folder: Path, width: int = 120, height: int = 80, *, seed: int = 1) -> Image:
    """The picture of an entry, written into the project. Another seed is another picture."""
    path = folder / IMAGE.path
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = Random(seed).randbytes(width * height * 3)
    Pillow.frombytes("RGB", (width, height), noise).save(path)
    return IMAGE


def a_post(config: ChannelConfig, campaign: Any = None, **changes: Any) -> Post:
    return compose(make_entry("ouistock", **changes), campaign or make_campaign(), config, DAY)


class MastodonBench(WireBench):
    """Real sockets. `pictures` gives every post one."""

    def __init__(
        self, folder: Path, stack: ExitStack, family: str = "mastodon", *, pictures: bool = False
    ) -> None:
        self.remote = stack.enter_context(MastodonServer(lambda: NOW, family=family))
        self.config = mastodon(api=self.remote.url)
        self.keep: Keep = MemoryKeep()
        self._image = with_picture(folder) if pictures else None
        around = surroundings(folder, credentials={("masto", "ACCESS_TOKEN"): TOKEN}, now=lambda: NOW)
        self.around = replace(around, keep=lambda _: self.keep)
        self.channel = self.open()
        self.channel.verify()
        self.remote.seen.clear()

    def post(self, title: str = "OuiStock") -> Post:
        return a_post(self.config, title=title, image=self._image)


# As rows of the suite: each software, and posts that show a picture.
MASTODON_BENCHES: dict[str, Callable[[Path, ExitStack], MastodonBench]] = {
    "mastodon": MastodonBench,
    "gotosocial": lambda folder, stack: MastodonBench(folder, stack, "gotosocial"),
    "pleroma": lambda folder, stack: MastodonBench(folder, stack, "pleroma"),
    "mastodon, with a picture": lambda folder, stack: MastodonBench(folder, stack, pictures=True),
}
