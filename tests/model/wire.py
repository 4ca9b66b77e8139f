"""A network that takes requests late, loses replies and repeats them, and clocks that do not quite agree.

The remote of `tests.support.channels` counts the posts. Its time is the true one; each process has a clock
of its own, a little ahead or behind.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.channels.base import (
    AuthFailedError,
    ChannelError,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    Sighting,
)
from pipeline.clock import VirtualClock
from pipeline.model import Receipt, Rendition, Traits
from tests.support.channels import FaultyChannel, Remote

SECOND = timedelta(seconds=1)
REFUSALS: dict[str, type[ChannelError]] = {
    "not accepted": NotAcceptedError,
    "rate limited": RateLimitedError,
    "rejected": RejectedError,
    "auth failed": AuthFailedError,
}


@dataclass(frozen=True)
class Fate:
    """What becomes of a request: taken after `travels` seconds, or never; the reply arrives, or not.

    `refused` names a refusal, which then is the whole story. `waits`: how long the sender hears nothing
    before it gives up.
    """

    travels: int | None = 0
    reply: bool = True
    waits: int = 0
    refused: str | None = None


GOOD = Fate()


@dataclass
class LocalClock:
    """A process's own clock: the true one, and a few seconds off."""

    true: Network
    off: timedelta = timedelta(0)

    def now(self) -> datetime:
        return self.true.clock.now() + self.off

    def sleep_until(self, instant: datetime) -> None:
        self.true.advance(max(instant - self.now(), timedelta(0)))


@dataclass
class Network:
    """True time, the remote, and the requests that are on their way."""

    clock: VirtualClock
    traits: Traits
    remote: Remote = field(default_factory=Remote)
    under_way: list[tuple[datetime, Rendition]] = field(default_factory=list)
    fates: deque[Fate] = field(default_factory=deque)
    receipts: list[tuple[str, Receipt]] = field(default_factory=list)  # of every reply that was sent

    def advance(self, span: timedelta) -> None:
        """Time passes, and what is on its way arrives when it is due."""
        until = self.clock.now() + span
        while self.under_way and self.under_way[0][0] <= until:
            arrives, rendition = self.under_way.pop(0)
            self.clock.sleep_until(arrives)
            self.remote.accept(rendition, self.traits, arrives)
        self.clock.sleep_until(until)

    def posts(self, key: str) -> list[str]:
        """What readers see of a delivery."""
        return [post.id for post in self.remote.posts.values() if post.key == key]

    def expects(self, key: str) -> bool:
        """Whether a request of the delivery is on its way."""
        return any(rendition.key == key for _, rendition in self.under_way)


class Wire(FaultyChannel):
    """The channel: every request meets the next fate, and without one all is well.

    `probe` is told when a read-back was answered and the answer is not yet used.
    """

    def __init__(self, network: Network, probe: Callable[[str], None]) -> None:
        super().__init__(traits=network.traits, clock=network.clock, remote=network.remote)
        self._network = network
        self._probe = probe

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        seen = super().find(rendition, since)
        self._probe("after read-back")
        return seen

    def publish(self, rendition: Rendition) -> Receipt:
        network = self._network
        fate = network.fates.popleft() if network.fates else GOOD
        if fate.refused is not None:
            network.advance(fate.waits * SECOND)
            raise REFUSALS[fate.refused](fate.refused)
        if fate.travels is not None and fate.reply:
            network.advance(fate.travels * SECOND)
            receipt = super().publish(rendition)
            network.receipts.append((rendition.key, receipt))
            return receipt
        if fate.travels is not None:
            network.under_way.append((network.clock.now() + fate.travels * SECOND, rendition))
            network.under_way.sort(key=lambda one: one[0])
        network.advance(fate.waits * SECOND)
        raise OutcomeUnknownError("no answer")
