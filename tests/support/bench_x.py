"""The bench of X: the channel with its stand-in, over real sockets."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from PIL import Image as Pillow

from pipeline.composing import compose
from pipeline.model import ChannelConfig, Image, Post
from pipeline.rehearsal.standins.x import XService
from tests.support.builders import make_campaign, make_entry, surroundings
from tests.support.wire_bench import WireBench

NOW = datetime(2016, 4, 11, 7, tzinfo=UTC)


def x_config(channel_id: str = "x", **changes: object) -> ChannelConfig:
    """A channel that can only reach what `api` names: nothing here leads to the internet."""
    base = ChannelConfig(id=channel_id, network="x", timeout=timedelta(seconds=10), api="http://127.0.0.1:1")
    return replace(base, **changes)


def x_post(config: ChannelConfig, title: str = "OuiStock", **changes: object) -> Post:
    """The post of an entry on that channel."""
    return compose(make_entry("ouistock", title=title, **changes), make_campaign(), config, date(2016, 4, 11))


def a_picture(folder: Path, name: str = "content/o.png", size: tuple[int, int] = (40, 30)) -> Image:
    """A picture on disk, and how an entry names it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", size, (200, 30, 40)).save(path)
    return Image(name, "Une place à Lille")


class XBench(WireBench):
    """Real sockets: the service stops listening, or the wire is cut after it has answered."""

    network = "x"

    def __init__(
        self, folder: Path, stack: ExitStack, auth: str = "oauth1", *, picture: bool = False
    ) -> None:
        self.remote = stack.enter_context(XService(lambda: NOW, auth=auth))
        self.config = x_config(api=self.remote.url, options={"auth": auth})
        given = {(self.config.id, name): value for name, value in self.remote.credentials.items()}
        self.around = surroundings(folder, credentials=given, now=lambda: NOW)
        self._picture = a_picture(folder) if picture else None
        self.channel = self.open()

    def post(self, title: str = "OuiStock") -> Post:
        return x_post(self.config, title, image=self._picture)
