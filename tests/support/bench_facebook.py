"""The Facebook channel with its stand-in, for the contract suite and every fault of the wire."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

from pipeline.clock import VirtualClock
from pipeline.composing import compose
from pipeline.model import ChannelConfig, Image, Post
from pipeline.rehearsal.standins.facebook import FacebookPage
from tests.support.builders import make_campaign, make_entry, surroundings
from tests.support.wire_bench import WireBench

NOW = datetime(2016, 4, 11, 7, tzinfo=UTC)
PAGE = "104500000000001"
PICTURE = Image("content/ouistock.png", "Des étagères pleines d’outils.", "Photo : Ouistock")


def a_picture() -> bytes:
    """A PNG of a few bytes."""
    from PIL import Image as Pillow

    out = BytesIO()
    Pillow.new("RGB", (8, 6), "#1d7a5f").save(out, "PNG")
    return out.getvalue()


def facebook(**changes: object) -> ChannelConfig:
    base = ChannelConfig(
        id="facebook",
        network="facebook",
        timeout=timedelta(seconds=10),
        api="https://graph.invalid",
        options={"page": PAGE},
    )
    return replace(base, **changes)


class FacebookBench(WireBench):
    """Real sockets: the stand-in stops listening, or the wire is cut after it has answered."""

    picture: Image | None = None

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.clock = VirtualClock(NOW)
        self.remote = stack.enter_context(FacebookPage(PAGE, self.clock.now))
        self.config = facebook(api=self.remote.url)
        self.folder = folder
        given = {("facebook", name): value for name, value in self.remote.credentials.items()}
        self.around = surroundings(folder, credentials=given, now=self.clock.now)
        (folder / "content").mkdir(exist_ok=True)
        (folder / PICTURE.path).write_bytes(a_picture())
        self.channel = self.open()

    def post(self, title: str = "OuiStock") -> Post:
        entry = make_entry("ouistock", title=title, image=self.picture)
        return compose(entry, make_campaign(), self.config, date(2016, 4, 11))


class FacebookPictureBench(FacebookBench):
    """The same with a picture, which has to be uploaded before each post."""

    picture = PICTURE
