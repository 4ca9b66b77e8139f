"""The tables as queries see them, and the types that keep instants and states what they are.

The constraints and indexes live in `migrations`, as SQL: what a database once got never changes there.
A test compares the columns here with a migrated database, on both kinds of database.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from pipeline.errors import LedgerError
from pipeline.model import State


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC, to the microsecond.

    SQLite keeps it as text of fixed width, which sorts and compares as time does; PostgreSQL as timestamptz.
    A naive datetime is refused with ValueError.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime] | TypeEngine[str]:
        """The column type of that kind of database."""
        return DateTime(timezone=True) if dialect.name == "postgresql" else Text()

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        """To the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone: the ledger takes aware datetimes only")
        return value.astimezone(UTC) if dialect.name == "postgresql" else instant_text(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002
        """From the database. What it returns raises LedgerError for what is no instant."""
        return _utc if dialect.name == "postgresql" else _instant


@lru_cache(maxsize=100_000)  # a plan reads the same instants again and again
def _instant(value: str | None) -> datetime | None:
    try:
        return None if value is None else datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, TypeError) as error:
        raise LedgerError(f"the ledger holds {value!r} where an instant should be") from error


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


class StateText(TypeDecorator[State]):
    """A State, kept as its value."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: State | str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database. Raises ValueError for a word that is no state."""
        return None if value is None else State(value).value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], State | None]:  # noqa: ARG002
        """From the database; its constraints let only states in."""
        return _STATES.__getitem__


_STATES: dict[str | None, State | None] = {None: None} | {state.value: state for state in State}


def instant_text(value: datetime) -> str:
    """The one way an instant is written as text: `2016-04-11T07:00:00.000000Z`."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


metadata = MetaData()

version = Table("ledger_version", metadata, Column("version", Integer, nullable=False))

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", Text, primary_key=True),
    Column("first_seen", Instant, nullable=False),
    Column("authority", Text),
)

plans = Table(
    "plans",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("saved", Instant, nullable=False),
)

slots = Table(
    "slots",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("entry", Text, primary_key=True),
    Column("date", Date, nullable=False),
    Column("due", Instant, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("entry", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("network", Text, nullable=False),
    Column("state", StateText, nullable=False),
    Column("date", Date),
    Column("due", Instant, nullable=False),
    Column("closes", Instant, nullable=False),
    Column("reason", Text),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Instant),
    Column("lease", Text),
    Column("lease_until", Instant),
    Column("sent_at", Instant),
    Column("rendition_key", Text),
    Column("body", LargeBinary),
    Column("text", Text),
    Column("media", Text),
    Column("remote_id", Text),
    Column("url", Text),
    Column("digest", Text),
    Column("published_at", Instant),
    # Computed by the database from the columns above: when somebody should look at this delivery next.
    # NULL in every state that nothing but a person or a plan leaves, so that history stays out of its index.
    Column("wakes", Instant, system=True),
)

attempts = Table(
    "attempts",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("entry", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("lease", Text, nullable=False),
    Column("started", Instant, nullable=False),
    Column("ended", Instant),
    Column("outcome", Text),
    Column("detail", Text),
    Column("digest", Text, nullable=False),
)

pauses = Table(
    "pauses",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", Instant, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("entry", Text, primary_key=True),
    Column("date", Date, nullable=False),
    Column("released", Instant, nullable=False),
    Column("updated", Instant, nullable=False),
    Column("snapshot", Text, nullable=False),
    Column("retracted", Instant),
)

files = Table(
    "files",
    metadata,
    Column("path", Text, primary_key=True),
    Column("content", Text, nullable=False),
)

pings = Table(
    "pings",
    metadata,
    Column("hub", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("changed", Instant, nullable=False),
    Column("not_before", Instant),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("campaign", Text),
    Column("entry", Text),
    Column("channel", Text),
    Column("from_state", StateText),
    Column("event", Text, nullable=False),
    Column("to_state", StateText),
    Column("note", Text),
)

# In the order in which rows can be inserted: what is referred to comes first.
KEPT = (campaigns, plans, slots, deliveries, attempts, pauses, releases, files, pings, events)
