"""One call to a channel, and what its end means.

What must stay true: every way in which a channel can fail is one outcome; what is not in the channels' error
tree is unknown, never "probably failed". Only a call that posts can leave anything uncertain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from pipeline.channels.base import (
    AuthFailedError,
    Channel,
    ChannelError,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.clock import Clock
from pipeline.delivery import Policy, in_time
from pipeline.errors import one_line
from pipeline.model import (
    AuthFailed,
    Delivery,
    NotAccepted,
    Outcome,
    Published,
    RateLimited,
    Receipt,
    Rejected,
    Rendition,
    Unknown,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
Probe = Callable[[str], None]
Obstacle = NotAccepted | RateLimited | Rejected | AuthFailed | Unknown  # every outcome but a receipt


def no_probe(_point: str) -> None:
    """Nothing happens at the named point. Crash tests give a probe that ends the process there."""


class Sender:
    """Calls channels. Holds nothing but what it needs to say when the next try may be."""

    def __init__(self, clock: Clock, policy: Policy, probe: Probe) -> None:
        self._clock = clock
        self._policy = policy
        self._probe = probe

    def prepare(self, channel: Channel, rendition: Rendition) -> tuple[Rendition, Obstacle | None]:
        """The rendition made ready, or why it cannot be. Nothing is posted, so nothing here is uncertain."""
        self._probe("before prepare")
        ended = self._call(rendition.key, lambda: channel.prepare(rendition))
        if isinstance(ended, Rendition):
            self._probe("after prepare")
            return ended, None
        if isinstance(ended, Unknown):
            detail = f"before anything was posted: {ended.detail}"
            return rendition, RateLimited(ended.until, detail) if ended.until else NotAccepted(detail)
        return rendition, ended

    def publish(self, channel: Channel, claimed: Delivery) -> Outcome:
        """One request with the bytes of the claim, and what its end means."""
        rendition = claimed.rendition
        assert rendition is not None  # a claim stores it
        if not in_time(claimed, channel.traits, self._clock.now()):
            return NotAccepted("this process stalled until its lease was too short for it, and sent nothing")
        ended = self._call(rendition.key, lambda: channel.publish(rendition))
        return Published(ended) if isinstance(ended, Receipt) else ended

    def edit(self, channel: Channel, receipt: Receipt, rendition: Rendition) -> Receipt | Obstacle:
        """The receipt of the edited post, or why it is not edited, as far as one knows."""
        return self._call(rendition.key, lambda: channel.edit(receipt, rendition))

    def delete(self, channel: Channel, receipt: Receipt, key: str) -> Obstacle | None:
        """None when the post is gone, or why it is not, as far as one knows."""
        return self._call(key, lambda: channel.delete(receipt))

    def _call(self, key: str, call: Callable[[], T]) -> T | Obstacle:
        """What a call gives, or the outcome its failure is. Anything unclassified is unknown."""
        try:
            return call()
        except ChannelError as error:
            return self._meaning(error)
        except Exception as error:
            log.exception("%s: the channel failed in a way it does not declare", key)
            return Unknown(one_line(f"{type(error).__name__}: {error}"))

    def _meaning(self, error: ChannelError) -> Obstacle:
        match error:
            case NotAcceptedError():
                return NotAccepted(str(error))
            case RateLimitedError():
                return RateLimited(self._ahead(error), str(error))
            case RejectedError():
                return Rejected(f"{error.field}: {error}" if error.field else str(error))
            case AuthFailedError():
                return AuthFailed(str(error))
            case OutcomeUnknownError():
                return Unknown(str(error), self._asked(error))
        return Unknown(f"{type(error).__name__}: {error}")

    def _asked(self, error: RateLimitedError | OutcomeUnknownError) -> datetime | None:
        """When the network wants to hear from us again, if it said so."""
        if error.until is None and error.wait is not None:
            return self._clock.now() + error.wait
        return error.until

    def _ahead(self, error: RateLimitedError) -> datetime | None:
        """The same, but None for what is over by our clock: then the clocks differ, and it says nothing."""
        until = self._asked(error)
        return until if until is not None and until > self._clock.now() else None
