"""The words of the project as frozen types: what editors write, what is planned, what is sent, what happened.

Nothing here reads a file, a clock or a database. Every `datetime` is aware and in UTC; a `date` is a
local day in the event's time zone. Instances never change: a new fact is a new instance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

# --------------------------------------------------------------------------- what editors write


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of an entry: `path` is relative to the project's root, with forward slashes."""

    path: str
    alt: str
    credit: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An editor's project, from one Markdown file.

    `id` is permanent: feeds and the ledger know the entry by it for ever. `pinned` is the local day the
    editor chose (`date` in the file). `posts` replaces the campaign's template per channel id or network.
    """

    id: str
    path: str
    title: str
    summary: str
    url: str
    body: str = ""
    image: Image | None = None
    tags: tuple[str, ...] = ()
    place: str | None = None
    lang: str | None = None
    draft: bool = False
    pinned: date | None = None
    posts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """What the campaign counts down to. `starts` is UTC; `timezone` is an IANA name."""

    name: str
    starts: datetime
    timezone: str
    place: str | None = None
    url: str | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The event's time zone, in which every local day and wall time is read."""
        return ZoneInfo(self.timezone)

    @property
    def day(self) -> date:
        """The local day on which the event starts."""
        return self.starts.astimezone(self.zone).date()


class MissedPolicy(StrEnum):
    """What becomes of a slot that no channel got in time."""

    MOVE = "move"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Posting:
    """When a campaign posts: a local wall time, the last posting day, and what is skipped."""

    time: time
    until: date
    skip_weekdays: frozenset[int] = frozenset()  # Monday is 0, as in datetime.date.weekday
    skip_dates: frozenset[date] = frozenset()
    late: timedelta = timedelta(hours=6)
    missed: MissedPolicy = MissedPolicy.MOVE


@dataclass(frozen=True, slots=True)
class ChannelConfig:
    """One account on one network, as a campaign names it.

    `None` means: the campaign's value, or the network's own.
    """

    id: str
    network: str
    time: time | None = None
    late: timedelta | None = None
    timeout: timedelta | None = None
    settle: timedelta = timedelta(seconds=60)
    api: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Utm:
    """What links in posts say of where they were found. `source` None: the network's name."""

    medium: str
    campaign: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """An event, its channels and its calendar, from one YAML file. `id` is the file's stem.

    `entries` is the order of release; None means every ready entry, by id. `utm` None: links go out as they
    are written.
    """

    id: str
    path: str
    title: str
    description: str
    language: str
    link: str
    event: Event
    posting: Posting
    text: str
    channels: tuple[ChannelConfig, ...]
    texts: Mapping[str, str] = field(default_factory=dict)
    entries: tuple[str, ...] | None = None
    public_url: str | None = None
    authority: str = ""
    author: str | None = None
    hub: str | None = None
    utm: Utm | None = None

    def channel(self, channel_id: str) -> ChannelConfig | None:
        """The channel of that id, or None when the campaign no longer has it."""
        return next((channel for channel in self.channels if channel.id == channel_id), None)


# --------------------------------------------------------------------------- what is planned and sent


@dataclass(frozen=True, slots=True)
class Slot:
    """A day of a campaign: which entry goes out on which local day, and the instant it is due (UTC)."""

    campaign: str
    entry: str
    date: date
    due: datetime
    days_left: int


@dataclass(frozen=True, slots=True)
class Post:
    """An entry composed for one channel, before the network's limits are known.

    `text` gives the whole text for a summary: shortening the summary and calling it again is the only
    way a text gets shorter, so title, link and hashtags never give way.
    """

    campaign: str
    entry: str
    channel: str
    network: str
    date: date
    days_left: int
    title: str
    summary: str
    url: str
    lang: str
    hashtags: tuple[str, ...]
    text: Callable[[str], str]
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A post within a network's limits. `length` and `limit` are in the network's own unit.

    `price` is what the network charges for it, in US dollars, as far as its price list is known. `doubts` say
    why the network will probably refuse it all the same.
    """

    post: Post
    text: str
    length: int
    limit: int | None
    shortened: bool
    price: Decimal | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendition:
    """The exact bytes of one request, and the key under which the network knows it.

    `media` are pictures the request needs; uploading them is preparatory and may repeat.
    """

    key: str
    body: bytes
    text: str
    media: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the body, in hex: what the receipt and the ledger keep."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a network took a post."""

    remote_id: str
    url: str | None
    digest: str


# --------------------------------------------------------------------------- what a network can promise


@dataclass(frozen=True, slots=True)
class PermanentKey:
    """The network keeps our key for ever: repeating the identical request is safe at any time."""


@dataclass(frozen=True, slots=True)
class TimedKey:
    """The network keeps our key for `window` after the first request."""

    window: timedelta


@dataclass(frozen=True, slots=True)
class NoKey:
    """The network has no idempotency key: a repeated request is a second post."""


Key = PermanentKey | TimedKey | NoKey


@dataclass(frozen=True, slots=True)
class Traits:
    """What a network allows: this decides how an uncertain send is settled.

    `timeout` is the hard total limit of one request, `settle` how long after an uncertain send a
    read-back that finds nothing is believed, `per_day` how many posts an account may make in 24 hours, when
    the network says so.
    """

    key: Key
    lookup: bool
    edit: bool
    delete: bool
    timeout: timedelta
    settle: timedelta
    per_day: int | None = None


# --------------------------------------------------------------------------- what happened


class State(StrEnum):
    """Where a delivery stands. The allowed steps are the TRANSITIONS table of `delivery`."""

    PLANNED = "planned"  # waits for its due instant, or for not_before
    SENDING = "sending"  # claimed under a lease; a request may be under way
    PUBLISHED = "published"  # the network gave a receipt, or a person said it is there
    UNKNOWN = "unknown"  # a request may have been taken; only evidence moves it
    HELD = "held"  # a person must change something, then retry or cancel
    MISSED = "missed"  # its window closed before it could be sent
    CANCELLED = "cancelled"  # withdrawn, or given up by a person
    DELETED = "deleted"  # was published, and the network confirmed the deletion


class DeliveryKey(NamedTuple):
    """What is delivered once: an entry of a campaign on a channel."""

    campaign: str
    entry: str
    channel: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as the ledger holds it.

    `date` is the local day of its slot, None once cancelled. It may be sent from `due` until `closes`.
    `lease` is the token of the claim in force, `sent_at` when the rendition was first claimed.
    """

    key: DeliveryKey
    network: str
    state: State
    date: date | None
    due: datetime
    closes: datetime
    reason: str | None = None
    attempts: int = 0
    not_before: datetime | None = None
    lease: str | None = None
    lease_until: datetime | None = None
    sent_at: datetime | None = None
    rendition: Rendition | None = None
    receipt: Receipt | None = None
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """A slot as the ledger holds it: its day, whether it was released, the states its deliveries are in.

    `closes` is the latest closing instant (UTC) of the deliveries still planned, which a person's retry may
    have set; None when there are none.
    """

    entry: str
    date: date
    due: datetime
    states: frozenset[State] = frozenset()
    closes: datetime | None = None
    released: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a delivery. `outcome` is None while it is under way."""

    key: DeliveryKey
    number: int
    started: datetime
    ended: datetime | None
    outcome: str | None
    detail: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Release:
    """An entry that became visible in the feeds, as it reads now.

    `released` never changes; `updated` moves when the editor changes the entry afterwards. Since `retracted`
    it is visible no more.
    """

    campaign: str
    entry: Entry
    date: date
    released: datetime
    updated: datetime
    retracted: datetime | None = None

    @property
    def mark(self) -> ReleaseMark:
        """The release without its entry."""
        return ReleaseMark(self.entry.id, self.date, self.released, self.updated, self.retracted)


@dataclass(frozen=True, slots=True)
class ReleaseMark:
    """A release without its entry, only the id of it: what tells whether anything has happened to it."""

    entry: str
    date: date
    released: datetime
    updated: datetime
    retracted: datetime | None = None


# --------------------------------------------------------------------------- outcomes of an attempt


@dataclass(frozen=True, slots=True)
class Published:
    """The network took it."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """Provably not taken: the connection was never made, or a documented refusal."""

    detail: str


@dataclass(frozen=True, slots=True)
class RateLimited:
    """Refused for now; `until` is when the network will listen again (UTC), None when it does not say."""

    until: datetime | None
    detail: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Refused for good: a person must change the entry or the campaign."""

    detail: str


@dataclass(frozen=True, slots=True)
class AuthFailed:
    """The credentials are not valid: the whole channel pauses."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Bytes may have left and no answer was understood. Before `until` (UTC) the network wants no repeat."""

    detail: str
    until: datetime | None = None


Outcome = Published | NotAccepted | RateLimited | Rejected | AuthFailed | Unknown
