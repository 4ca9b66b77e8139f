"""What a run of chaos is played with: the networks, the spans, the project, and the order of its mishaps.

Everything that is left to chance comes from the seed. The spans are those of production made shorter, and
all of them together: a lease still outlasts its request, a request is taken within `TIMEOUT` and a little,
and shown within `SETTLE` after that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pipeline.channels import NETWORKS, Network, web_address
from pipeline.clock import SystemClock, VirtualClock
from pipeline.delivery import Policy
from pipeline.tick import Pipeline
from tests.support.networks import PROMISES, PromisingWebhook
from tests.support.projects import Project

TIMEOUT = timedelta(seconds=1)  # of one request
SETTLE = timedelta(seconds=2)
LAG = timedelta(seconds=0.25)  # how long a post stays out of the read-back
WINDOW = timedelta(seconds=10)  # how long a timed key is known
TOO_SLOW = TIMEOUT * 1.15
POLICY = Policy(
    first_wait=timedelta(seconds=0.25), longest_wait=timedelta(seconds=2), room=timedelta(seconds=1)
)
DAEMONS = 3
CLOCK = SystemClock()

CLASSES = {
    name: replace(promise, window=WINDOW) if promise.window else promise for name, promise in PROMISES.items()
}


def network(name: str) -> str:
    """The network of a class, as campaigns name it."""
    return name.replace(" ", "-")


class Permanent(PromisingWebhook):
    promise = CLASSES["permanent"]


class Timed(PromisingWebhook):
    promise = CLASSES["timed"]


class TimedWithLookup(PromisingWebhook):
    promise = CLASSES["timed with lookup"]


class Lookup(PromisingWebhook):
    promise = CLASSES["lookup"]


class Nothing(PromisingWebhook):
    promise = CLASSES["nothing"]


def register() -> None:
    """Make the networks of this run known to campaigns, in this process."""
    for kind in (Permanent, Timed, TimedWithLookup, Lookup, Nothing):
        name = network(next(name for name, promise in CLASSES.items() if promise == kind.promise))
        NETWORKS[name] = Network(
            name=name,
            summary="a webhook that promises what the networks of its class do",
            load=f"{__name__}:{kind.__name__}",
            rules={"url": web_address},
            required=frozenset({"url"}),
        )


# --------------------------------------------------------------------------- the project


def write_project(root: Path, orders: Orders, ledger: str, urls: dict[str, str]) -> Project:
    """As many deliveries as ordered, due over the first seconds of the run, planned and not yet sent."""
    project = Project(root, CLOCK.now() + timedelta(seconds=2), ledger=ledger)
    project.entry("a")
    left = orders.deliveries
    campaigns = -(-left // orders.accounts)
    for number in range(campaigns):
        channels = {
            f"{network(name)}-{account + 1}": {
                "network": network(name),
                "url": urls[name],
                "timeout": f"{TIMEOUT.seconds}s",
                "settle": f"{SETTLE.seconds}s",
            }
            for account in range(orders.accounts // len(CLASSES))
            for name in CLASSES
        }
        channels = dict(list(channels.items())[:left])
        left -= len(channels)
        campaign = f"c{number + 1}"
        project.campaign(
            "a",
            campaign_id=campaign,
            channels=channels,
            due=project.due + orders.active * (0.6 * number / campaigns),
            # Readers know a post by its text, and so does the count: no key of ours is trusted with it.
            texts={channel: f"{campaign}/a/{channel}" for channel in channels},
        )
    with project.open(VirtualClock(project.due - timedelta(minutes=1)), kind=Pipeline) as pipeline:
        report = pipeline.tick()
        planned = len(pipeline.ledger.deliveries())
    if report.problems or planned != orders.deliveries:
        raise AssertionError(f"{planned} of {orders.deliveries} deliveries are planned: {report.problems}")
    return project


# --------------------------------------------------------------------------- what goes wrong, and when


@dataclass(frozen=True)
class Orders:
    """What to play. `broken` names a protection that is left out."""

    deliveries: int = 2000
    seed: int = 1
    broken: str | None = None

    @property
    def accounts(self) -> int:
        """Channels of a campaign: as many for each class, more when there is more to do."""
        return len(CLASSES) * (40 if self.deliveries > 500 else 10)

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
    """After `at` from the beginning a daemon is killed, or the servers of a class go down, for `length`."""

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
            yield Mishap(at, "down", chance.randrange(len(CLASSES)), length)
        at += timedelta(seconds=chance.uniform(0.2, 1.4))
