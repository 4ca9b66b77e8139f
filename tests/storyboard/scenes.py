"""Sharing Lille on five networks, and a page as a program reads it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bs4 import BeautifulSoup

from pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
CHANNELS = """\
channels:
  x: {}
  mastodon: {instance: "https://mastodon.example"}
  bluesky: {handle: sharing-lille.example}
  facebook: {page: "104293874629"}
  presse: {network: webhook, url: "https://example.org/crochet"}
"""
NETWORKS = {
    "x": "x",
    "mastodon": "mastodon",
    "bluesky": "bluesky",
    "facebook": "facebook",
    "presse": "webhook",
}


class Lille:
    """A copy of the real campaign, on five networks, to be edited."""

    def __init__(self, root: Path, channels: str = CHANNELS) -> None:
        self.root = root
        shutil.copytree(ROOT / "content", root / "content")
        shutil.copytree(ROOT / "schedules", root / "schedules")
        self.campaign = root / "schedules/sharing-lille.yaml"
        self.rewrite(self.campaign, r"(?m)^channels:\n(  .*\n)*", channels)

    @property
    def settings(self) -> Settings:
        return Settings(self.root, f"sqlite:///{self.root}/state/ledger.db")

    def entry(self, name: str) -> Path:
        return self.root / f"content/{name}.md"

    def rewrite(self, path: Path, pattern: str, new: str) -> None:
        """Replace what matches, once; a scene that has nothing to replace is a mistake of the test."""
        text, count = re.subn(pattern, lambda _: new, path.read_text(), count=1)
        assert count == 1, f"{path.name} has nothing like {pattern}"
        path.write_text(text)


class Page:
    """A storyboard as read by a program that knows HTML."""

    def __init__(self, html: bytes | Path) -> None:
        data = html if isinstance(html, bytes) else html.read_bytes()
        self.raw = data.decode()
        self.soup = BeautifulSoup(self.raw, "html.parser", preserve_whitespace_tags={"pre", "div"})

    def section(self, name: str):
        return self.soup.find(id=name)

    def words(self, name: str) -> str:
        return " ".join(self.section(name).get_text(" ").split())

    def cards(self, channel: str):
        return self.soup.select(f"article.at-{channel}")

    def card(self, entry: str, channel: str):
        (found,) = self.soup.select(f'section.day[id$="-{entry}"] article.at-{channel}')
        return found

    def texts(self, channel: str) -> list[str]:
        return [card.select_one(".text").get_text() for card in self.cards(channel)]

    def bodies(self, channel: str) -> list[bytes]:
        return [body_of(card) for card in self.cards(channel)]


def body_of(card) -> bytes:
    """The request as it is copied: browsers leave out the first line feed of a `pre`."""
    return card.select_one("details.request pre").get_text().removeprefix("\n").encode()
