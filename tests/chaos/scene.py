"""What a run of chaos is played with: the project, its size, and the order of its mishaps.

Everything that is left to chance comes from the seed. What readers see of a delivery begins with its name,
so that the count rests on no key of ours.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypedDict

from PIL import Image as Pillow

from pipeline.clock import VirtualClock
from pipeline.delivery import Policy
from pipeline.tick import Pipeline
from tests.chaos.classes import CLOCK, KINDS, SETTLE, TIMEOUT, network
from tests.support.projects import Project

POLICY = Policy(
    first_wait=timedelta(seconds=0.25), longest_wait=timedelta(seconds=2), room=timedelta(seconds=1)
)
DAEMONS = 3
CREDENTIALS = "credentials.json"  # by channel id and field; all of them are made up


class Place(TypedDict):
    """Where the servers of a row are, and what lets one in."""

    urls: list[str]
    credentials: Mapping[str, str]


# --------------------------------------------------------------------------- the project


def write_project(root: Path, orders: Orders, ledger: str, places: Mapping[str, Place]) -> Project:
    """As many deliveries as ordered, due over the first seconds of the run, planned and not yet sent."""
    project = Project(root, CLOCK.now() + timedelta(seconds=2), ledger=ledger)
    channels = _channels(orders, places)
    known = {channel: places[name]["credentials"] for channel, (name, _) in channels.items()}
    project.write(CREDENTIALS, json.dumps(known))
    project.entry("a")
    _picture(root / "content/b.png")
    project.entry("b", image="b.png", image_alt="Une place, le matin")
    left = orders.deliveries
    campaigns = -(-left // orders.accounts)
    for number in range(campaigns):
        given = {channel: config for channel, (_, config) in list(channels.items())[:left]}
        left -= len(given)
        campaign, entry = f"c{number + 1}", "ab"[number % 2]
        names = {channel: f"{campaign}/{entry}/{channel}" for channel in given}
        project.campaign(
            entry,
            campaign_id=campaign,
            channels=given,
            due=project.due + orders.active * (0.6 * number / campaigns),
            texts={channel: f"{name} https://example.org/{name}" for channel, name in names.items()},
        )
    with project.open(VirtualClock(project.due - timedelta(minutes=1)), kind=Pipeline) as pipeline:
        report = pipeline.tick()
        planned = len(pipeline.ledger.deliveries())
    if report.problems or planned != orders.deliveries:
        raise AssertionError(f"{planned} of {orders.deliveries} deliveries are planned: {report.problems}")
    return project


def _channels(orders: Orders, places: Mapping[str, Place]) -> dict[str, tuple[str, dict[str, str]]]:
    """Every account by its channel's id: its row, and how campaigns write it. The rows take turns."""
    spans = {"timeout": f"{TIMEOUT.seconds}s", "settle": f"{SETTLE.seconds}s"}
    found = {}
    for account in range(orders.accounts // len(KINDS)):
        for name, kind in KINDS.items():
            urls: Sequence[str] = places[name]["urls"]
            there = {"network": network(name), "api": urls[account % len(urls)], **kind.options, **spans}
            found[f"{network(name)}-{account + 1}"] = name, there
    return found


def _picture(path: Path) -> None:
    Pillow.frombytes("RGB", (40, 30), random.Random(1).randbytes(40 * 30 * 3)).save(path)


# --------------------------------------------------------------------------- what goes wrong, and when


@dataclass(frozen=True)
class Orders:
    """What to play. `broken` names a protection that is left out."""

    deliveries: int = 2000
    seed: int = 1
    broken: str | None = None

    @property
    def accounts(self) -> int:
        """Channels of a campaign: as many for each row, more when there is more to do."""
        return len(KINDS) * (40 if self.deliveries > 500 else 5)

    def servers(self, name: str) -> int:
        """How many servers play a row."""
        return KINDS[name].servers(-(-self.deliveries // len(KINDS)), self.accounts // len(KINDS))

    @property
    def active(self) -> timedelta:
        """For how long daemons are killed and servers go down."""
        return timedelta(seconds=2 + self.deliveries / 66)

    @property
    def patience(self) -> timedelta:
        """How long after that it may take to come to rest, on a slow machine that others use too."""
        return timedelta(seconds=60 + self.deliveries / 10)


@dataclass(frozen=True)
class Mishap:
    """After `at` from the beginning a daemon is killed, or the servers of a row go down, for `length`."""

    at: timedelta
    what: str  # "kill" or "down"
    who: int
    length: timedelta


def mishaps(orders: Orders) -> Iterator[Mishap]:
    """In the order in which they happen."""
    chance = random.Random(f"mishaps {orders.seed}")
    at = timedelta(seconds=chance.uniform(0.2, 1))
    while at < orders.active:
        if chance.random() < 0.75:
            yield Mishap(at, "kill", chance.randrange(DAEMONS), timedelta(seconds=chance.uniform(0, 0.5)))
        else:
            length = timedelta(seconds=chance.uniform(0.3, 1.5))
            yield Mishap(at, "down", chance.randrange(len(KINDS)), length)
        at += timedelta(seconds=chance.uniform(0.2, 1.4))
