"""The durable store of what happened: one public method is one transaction.

Time is always given as `now`, aware and in UTC; nothing here reads a clock. The methods are grouped by who
calls them: `plans` for planning, `sends` for dispatch, `decisions` and `afterwards` for people, `shelf` for
feeds and files, `pings` for hubs, `copies` for exports and backups. Every one raises LedgerError when the
database cannot be used, when it is locked for too long, or when the ledger is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from functools import cache
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Select, bindparam, func, select

from pipeline.errors import LedgerError
from pipeline.ledger import migrations, rows
from pipeline.ledger.afterwards import Afterwards
from pipeline.ledger.copies import Copies
from pipeline.ledger.database import Database
from pipeline.ledger.decisions import Decisions
from pipeline.ledger.pings import Pings
from pipeline.ledger.plans import Plans
from pipeline.ledger.queries import in_order
from pipeline.ledger.records import CampaignRecord, Counts, HistoryRow
from pipeline.ledger.room import IS_ATTEMPT, key_is, key_parameters
from pipeline.ledger.schema import KEPT, attempts, campaigns, deliveries, events, releases
from pipeline.ledger.sends import Sends
from pipeline.ledger.shelf import Shelf
from pipeline.model import Attempt, Delivery, DeliveryKey, State

_E = events.c
_ATTEMPTS = select(attempts).where(IS_ATTEMPT).order_by(attempts.c.number)
_HISTORY = select(_E.at, _E.from_state, _E.event, _E.to_state, _E.note).where(key_is(_E)).order_by(_E.id)


@cache
def _some_deliveries(*, one_campaign: bool, some_states: bool) -> Select[Any]:
    query = in_order(select(deliveries))
    if one_campaign:
        query = query.where(deliveries.c.campaign == bindparam("campaign"))
    if some_states:
        query = query.where(deliveries.c.state.in_(bindparam("states", expanding=True)))
    return query


class Ledger(Plans, Sends, Decisions, Afterwards, Shelf, Pings, Copies):
    """An open ledger. Threads may share it; it is a context manager that closes it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed here: then it can never be used again."""
        return self._database.closed

    def close(self) -> None:
        """Release the database. Closing twice is fine; anything else afterwards is a LedgerError."""
        self._database.close()

    def check(self) -> None:
        """Look for damage: in all of an SQLite file; on a server only whether every table can be read.

        Raises LedgerError, saying what to do.
        """
        self._database.check()
        with self._database.reading() as connection:
            for table in KEPT:
                connection.execute(select(*table.primary_key).limit(1))

    def campaigns(self) -> list[CampaignRecord]:
        """Every campaign that was ever adopted, in order of id."""
        with self._database.reading() as connection:
            found = connection.execute(select(campaigns).order_by(campaigns.c.id)).mappings()
            return [CampaignRecord(**row) for row in found]

    def deliveries(
        self, campaign: str | None = None, states: Collection[State] | None = None
    ) -> list[Delivery]:
        """Deliveries, in order of (due, campaign, entry, channel): all, or those that are asked for."""
        query = _some_deliveries(one_campaign=campaign is not None, some_states=states is not None)
        return self._list(query, campaign=campaign, states=sorted(states or ()))

    def counts(self) -> Counts:
        """How much there is of what. Reads all deliveries: not for the hot path."""
        by_state = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
        with self._database.reading() as connection:
            return Counts(
                {state: int(count) for state, count in connection.execute(by_state)},
                connection.scalar(select(func.count()).select_from(releases)) or 0,
            )

    def delivery(self, key: DeliveryKey) -> Delivery | None:
        """That delivery, or None."""
        with self._database.reading() as connection:
            return self._fetch(connection, key)

    def attempts(self, key: DeliveryKey) -> list[Attempt]:
        """Every try of the delivery, the first one first."""
        with self._database.reading() as connection:
            found = connection.execute(_ATTEMPTS, key_parameters(key)).mappings()
            return [rows.attempt(row) for row in found]

    def history(self, key: DeliveryKey) -> list[HistoryRow]:
        """Every event of the delivery, in the order in which they were recorded."""
        with self._database.reading() as connection:
            found = connection.execute(_HISTORY, key_parameters(key)).mappings()
            return [HistoryRow(**row) for row in found]


def open_ledger(url: str, *, now: datetime, probe: Callable[[str], None] = lambda _: None) -> Ledger:
    """Open the ledger at the URL, and bring it to the present version; a new one is made.

    `sqlite:///PATH` (its folder is made too), `sqlite://` in memory, or `postgresql://USER@HOST/DB`. `now`
    is noted as the instant of a migration; `probe` is told each step of one, before it is committed.
    An SQLite file that is small or was not closed is looked over for damage first.
    Raises LedgerTooNew, LedgerError, WrongUse for a URL that is none, BrokenEnvironment when the driver for
    PostgreSQL is missing.
    """
    database = Database(url)
    try:
        if database.path is not None:
            database.path.parent.mkdir(parents=True, exist_ok=True)
        database.check_at_opening()
        with database.reading() as connection:
            found = migrations.version_of(connection)
            migrations.refuse_newer(found)
        if found < migrations.NEWEST:
            with database.writing() as connection:
                migrations.migrate(connection, now, probe)
    except OSError as error:
        database.close()
        raise LedgerError(
            f"the folder of the ledger {database.name} cannot be made: {error.strerror}",
            hint="Name another file with --ledger or PIPELINE_LEDGER, or correct the folder's permissions.",
        ) from error
    except BaseException:
        database.close()
        raise
    return Ledger(database)
