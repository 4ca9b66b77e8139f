"""The contract every channel keeps, and what a network's refusals are called.

    ChannelError
    ├── NotAcceptedError      provably not taken: no connection was made, or a documented refusal
    ├── RateLimitedError      not now; says until when, or for how long
    ├── RejectedError         a person must change the entry or the campaign
    ├── AuthFailedError       the credentials are not valid; the channel pauses
    └── OutcomeUnknownError   bytes may have left, no answer was understood

A channel never touches the ledger, a clock or the settings: what it needs of its surroundings it is
given. Any exception that is not in the tree is taken as `OutcomeUnknownError`: never "probably failed".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from pipeline.credentials import variable
from pipeline.errors import BrokenEnvironment
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
    """Bytes may have left and no answer was understood.

    `until` (UTC) or `wait` say when the network wants to be asked again, if it did.
    """

    def __init__(self, message: str, *, until: datetime | None = None, wait: timedelta | None = None) -> None:
        super().__init__(message)
        self.until = until
        self.wait = wait


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


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a channel may use besides its campaign.

    `root` holds the pictures, `public` is what is served. `credential` gives a field of a channel's
    credentials, None when it is not set; `now` the present instant (UTC), for requests that carry it.
    """

    root: Path
    public: Path
    credential: Callable[[str, str], str | None] = field(repr=False)
    now: Callable[[], datetime] = field(repr=False)

    def required(self, channel_id: str, name: str) -> str:
        """A credential that the channel cannot do without. Raises AuthFailedError, naming where to put it."""
        try:
            value = self.credential(channel_id, name)
        except BrokenEnvironment as error:  # nothing has been sent: this must not pass for an unknown outcome
            raise AuthFailedError(str(error)) from error
        if value is None:
            where = variable(channel_id, name)
            raise AuthFailedError(f"{where} is not set; put it into the environment or into .env, then retry")
        return value


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
