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

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from pipeline.credentials import variable
from pipeline.errors import BrokenEnvironment, one_line
from pipeline.model import Fit, Post, Receipt, Rendition, Traits


class ChannelError(Exception):
    """Root of the tree. The message must not hold a secret; whatever it repeats, it is one line."""

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


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
    """Who the credentials belong to, and what the server says of itself. None: the network does not tell.

    `expires` is the instant (UTC) from which the credentials no longer count, `server_time` the server's
    clock (UTC) as its answer gave it. `limits` are the server's real ones, name and value as people read
    them; `warnings` say what will fail, and when.
    """

    account: str
    expires: datetime | None = None
    server_time: datetime | None = None
    limits: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class Keep(Protocol):
    """What a channel keeps between two posts, and what may get lost: a session, a server's limits.

    It is no ledger: losing it costs a login or a question to the server, never a post.
    """

    def read(self) -> Mapping[str, Any]:
        """What was written last, empty when nothing was or it cannot be read."""

    def write(self, facts: Mapping[str, Any]) -> None:
        """Replace what is kept, as a whole. Raises OSError."""

    def alone(self) -> AbstractContextManager[None]:
        """Hold others off, in this process and in others: for what must happen once, like a refresh.

        Not to be nested. Raises OSError.
        """


class MemoryKeep:
    """A keep that lasts as long as the process: for previews, rehearsals and tests."""

    def __init__(self) -> None:
        self._facts: dict[str, Any] = {}
        self._lock = threading.Lock()

    def read(self) -> Mapping[str, Any]:
        """What was written last."""
        return dict(self._facts)

    def write(self, facts: Mapping[str, Any]) -> None:
        """Replace it."""
        self._facts = dict(facts)

    def alone(self) -> AbstractContextManager[Any]:
        """Hold other threads off."""
        return self._lock


def _memory_keeps() -> Callable[[str], Keep]:
    keeps: defaultdict[str, MemoryKeep] = defaultdict(MemoryKeep)
    return lambda channel_id: keeps[channel_id]


def _no_pause(_span: timedelta) -> None:
    """Where no time passes there is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a channel may use besides its campaign.

    `root` holds the pictures, `public` is what is served. `credential` gives a field of a channel's
    credentials, None when it is not set; `now` the present instant (UTC), for requests that carry it.
    `keep` gives the keep of a channel id, `pause` waits, for servers that ask to be polled. `durable`: files
    must outlive a power cut; those of a rehearsal need not.
    """

    root: Path
    public: Path
    credential: Callable[[str, str], str | None] = field(repr=False)
    now: Callable[[], datetime] = field(repr=False)
    keep: Callable[[str], Keep] = field(default_factory=_memory_keeps, repr=False)
    pause: Callable[[timedelta], None] = field(default=_no_pause, repr=False)
    durable: bool = True

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
    what is sent. `prepare` comes before each `publish`, posts nothing, and may be repeated at any time.
    `publish` makes one request within `traits.timeout`, without any hidden retry. `find` only reads.
    `edit` and `delete` name a remote post, so repeating them is harmless.
    """

    @property
    def traits(self) -> Traits:
        """What the network allows."""

    def fit(self, post: Post) -> Fit:
        """Shorten the summary until the text fits. Raises DoesNotFit."""

    def render(self, fit: Fit, key: str) -> Rendition:
        """The exact bytes of the request, but for what only `prepare` can know.

        Raises RejectedError for a picture that cannot be used.
        """

    def prepare(self, rendition: Rendition) -> Rendition:
        """Make ready what the request needs: a session, uploaded pictures, the server's limits.

        What a server names itself, such as the id of a picture, takes its place in the body here, before
        the bytes are frozen. A rendition that has been prepared keeps its bytes. Raises ChannelError; of
        each, nothing has been posted.
        """

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
