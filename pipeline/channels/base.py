"""The contract every channel keeps, and what a network's refusals are called.

    ChannelError
    ├── NotAcceptedError      provably not taken: no connection was made, or a documented refusal
    ├── RateLimitedError      not now; says until when, or for how long
    ├── RejectedError         a person must change the entry or the campaign
    ├── AuthFailedError       the credentials are not valid; the channel pauses
    └── OutcomeUnknownError   bytes may have left, no answer was understood

A channel never touches the ledger, a clock or the settings. Any exception that is not in the tree is
taken as `OutcomeUnknownError`: never "probably failed".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.model import Fit, Post, Receipt, Rendition, Traits


class ChannelError(Exception):
    """Root of the tree. The message must not hold a secret."""


class NotAcceptedError(ChannelError):
    """Provably not taken."""


class RateLimitedError(ChannelError):
    """Refused for now. Give `until` (UTC) when the network names an instant, `wait` when it names a span."""

    def __init__(self, message: str, *, until: datetime | None = None, wait: timedelta | None = None) -> None:
        super().__init__(message)
        self.until = until
        self.wait = wait


class RejectedError(ChannelError):
    """Refused for good. `field` names the part of the entry that is at fault, when the network tells."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class AuthFailedError(ChannelError):
    """The credentials are missing, wrong or expired."""


class OutcomeUnknownError(ChannelError):
    """Bytes may have left and no answer was understood."""


class DoesNotFit(Exception):
    """No shortening of the summary brings the text within the limit. `length` is the shortest reached."""

    def __init__(self, length: int, limit: int, unit: str) -> None:
        super().__init__(
            f"even with the shortest summary the text has {length} {unit}, and the limit is {limit}"
        )
        self.length = length
        self.limit = limit
        self.unit = unit


@dataclass(frozen=True, slots=True)
class Found:
    """The post is there."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Absent:
    """The post was not among those the network showed."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The network could not be read, or does not show enough."""

    detail: str


Sighting = Found | Absent | CannotTell


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the credentials belong to, and until when they last (UTC, None when the network does not tell)."""

    account: str
    expires: datetime | None = None


class Channel(Protocol):
    """One account on one network.

    `fit` and `render` are pure: the same input gives the same bytes, and what they give in a preview is
    what is sent. `publish` makes one request within `traits.timeout`, without any hidden retry. `find`
    only reads. `edit` and `delete` name a remote post, so repeating them is harmless.
    """

    @property
    def traits(self) -> Traits:
        """What the network allows."""

    def fit(self, post: Post) -> Fit:
        """Shorten the summary until the text fits. Raises DoesNotFit."""

    def render(self, fit: Fit, key: str) -> Rendition:
        """The exact bytes of the request."""

    def publish(self, rendition: Rendition) -> Receipt:
        """Send it, once. Raises ChannelError."""

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        """Look for the post among those made since then."""

    def edit(self, receipt: Receipt, rendition: Rendition) -> Receipt:
        """Replace what was published. Raises ChannelError."""

    def delete(self, receipt: Receipt) -> None:
        """Remove what was published; already gone is fine. Raises ChannelError."""

    def verify(self) -> Identity:
        """Who we are there. Raises ChannelError."""
