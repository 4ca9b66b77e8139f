"""What every part of the ledger stands on: fetching a delivery, moving it by the table, appending events.

What must stay true: a state changes only in `_move`, only along TRANSITIONS, only while the row is still as
it was read; and every write appends to the events in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningUpdate

from pipeline.delivery import Event, allowed_from, next_state
from pipeline.errors import LostRace, NotAllowed, WrongUse
from pipeline.ledger import rows
from pipeline.ledger.database import Database
from pipeline.ledger.schema import attempts, campaigns, deliveries, events, pauses
from pipeline.model import Delivery, DeliveryKey, State

# Statements of the way of every post are built once: building one costs more than running it.

_D, _A = deliveries.c, attempts.c


def key_is(columns: Any) -> ColumnElement[bool]:
    """The table's row is about the delivery that the parameters of `key_parameters` name."""
    return and_(
        columns.campaign == bindparam("is_campaign"),
        columns.entry == bindparam("is_entry"),
        columns.channel == bindparam("is_channel"),
    )


IS_KEY = key_is(_D)
_DELIVERY = select(deliveries).where(IS_KEY)
_DELIVERY_LOCKED = _DELIVERY.with_for_update()  # on SQLite the write transaction holds everything already
EVENT = insert(events)
_ATTEMPT = insert(attempts)
IS_ATTEMPT = key_is(_A)
_NEWEST_ATTEMPT = select(_A.number).where(IS_ATTEMPT).order_by(_A.number.desc()).limit(1)


def key_parameters(key: DeliveryKey) -> dict[str, str]:
    """The parameters by which the statements above find a delivery."""
    return {"is_campaign": key.campaign, "is_entry": key.entry, "is_channel": key.channel}


@cache
def _update(columns: tuple[str, ...]) -> ReturningUpdate[Any]:
    """Write these columns of a delivery that is as it was read: same state, lease, day and instant."""
    as_read = and_(
        _D.state == bindparam("was_state"),
        _D.lease.is_not_distinct_from(bindparam("was_lease", type_=_D.lease.type)),
        _D.date.is_not_distinct_from(bindparam("was_date", type_=_D.date.type)),
        _D.due == bindparam("was_due"),
    )
    written = {name: bindparam(name, type_=_D[name].type) for name in columns}
    return update(deliveries).where(IS_KEY, as_read).values(written).returning(deliveries)


class Room:
    """Shared by the parts of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------------- reading inside a transaction

    def _fetch(self, connection: Connection, key: DeliveryKey, *, lock: bool = False) -> Delivery | None:
        query = _DELIVERY_LOCKED if lock else _DELIVERY
        row = connection.execute(query, key_parameters(key)).mappings().one_or_none()
        return None if row is None else rows.delivery(row)

    def _locked(self, connection: Connection, key: DeliveryKey) -> Delivery:
        """The delivery, which nobody else can move before this transaction ends. Raises LostRace."""
        found = self._fetch(connection, key, lock=True)
        if found is None:
            raise LostRace(f"{key} is not in the ledger")
        return found

    def _for_person(self, connection: Connection, key: DeliveryKey) -> Delivery:
        """As `_locked`, for a key that a person typed. Raises WrongUse."""
        found = self._fetch(connection, key, lock=True)
        if found is None:
            raise WrongUse(f"there is no delivery {key}", hint="`pipeline status` lists them.")
        return found

    def _lost(self, connection: Connection, key: DeliveryKey, wanted: str) -> LostRace:
        """Why a guarded write found no row, in words."""
        now = self._fetch(connection, key)
        stands = "not in the ledger" if now is None else f"{now.state}, due {now.due:%Y-%m-%d %H:%M:%S} UTC"
        if now is not None and now.lease_until is not None:
            stands += f", with a lease until {now.lease_until:%H:%M:%S}"
        return LostRace(f"{key} could not be {wanted}: it is {stands}")

    # ------------------------------------------------------------------- writing inside a transaction

    def _move(
        self, connection: Connection, was: Delivery, what: Event, now: datetime, **values: Any
    ) -> Delivery:
        """Apply the event, with the reason and other columns in `values`.

        Whatever is not given is reset: reason, not_before, and the lease with the state it belongs to.
        Raises NotAllowed when the table has no such step, LostRace when the row is no longer as `was`.
        """
        to = target(was, what)
        reset: dict[str, Any] = {"reason": None, "not_before": None}
        if to is not State.SENDING:
            reset["lease"] = None
        if to not in (State.SENDING, State.UNKNOWN):
            reset["lease_until"] = None
        moved = self._write(connection, was, {**reset, "state": to, **values})
        if moved is None:
            raise self._lost(connection, was.key, f"moved by {what.value!r}")
        self._append(connection, now, was.key, what, (was.state, to), moved.reason)
        return moved

    def _write(self, connection: Connection, was: Delivery, values: Mapping[str, Any]) -> Delivery | None:
        """Write the columns while the row is still as `was`; None when it is not."""
        parameters = {
            **key_parameters(was.key),
            "was_state": was.state,
            "was_lease": was.lease,
            "was_date": was.date,
            "was_due": was.due,
            **values,
        }
        row = connection.execute(_update(tuple(sorted(values))), parameters).mappings().one_or_none()
        return None if row is None else rows.delivery(row)

    def _append(
        self,
        connection: Connection,
        now: datetime,
        key: DeliveryKey,
        what: Event | str,
        states: tuple[State | None, State | None],
        note: str | None = None,
    ) -> None:
        """Append an event of a delivery."""
        connection.execute(EVENT, event_row(now, key, what, states, note))

    def _append_about(
        self,
        connection: Connection,
        now: datetime,
        what: str,
        *,
        note: str | None = None,
        **about: str | None,
    ) -> None:
        """Append an event of a campaign, one of its entries or channels, or of none."""
        connection.execute(EVENT, {"at": now, "event": what, "note": note, **about})

    def _open_attempt(self, connection: Connection, sending: Delivery, now: datetime) -> None:
        assert sending.rendition is not None
        assert sending.lease is not None
        newest = connection.execute(_NEWEST_ATTEMPT, key_parameters(sending.key)).scalar()
        row = {
            **rows.key_columns(sending.key),
            "number": (newest or 0) + 1,
            "lease": sending.lease,
            "started": now,
            "digest": sending.rendition.digest,
        }
        connection.execute(_ATTEMPT, row)

    def _pause(self, connection: Connection, key: DeliveryKey, reason: str | None, now: datetime) -> None:
        """Pause the delivery's channel; the first reason stays."""
        about = {"campaign": key.campaign, "channel": key.channel}
        reason = reason or "paused"
        if insert_new(connection, pauses, {**about, "reason": reason, "since": now}):
            self._append_about(connection, now, "channel paused", note=reason, **about)

    def _resume(self, connection: Connection, campaign: str, channel: str, now: datetime) -> None:
        gone = connection.execute(
            delete(pauses).where(pauses.c.campaign == campaign, pauses.c.channel == channel)
        )
        if gone.rowcount:
            self._append_about(connection, now, "channel resumed", campaign=campaign, channel=channel)

    def _known(self, connection: Connection, campaign: str) -> None:
        """Raises WrongUse for a campaign that was never adopted."""
        if connection.execute(select(campaigns.c.id).where(campaigns.c.id == campaign)).scalar() is None:
            raise WrongUse(
                f"campaign {campaign!r} is not in the ledger", hint="It is adopted by `tick` and `run`."
            )


def event_row(
    now: datetime,
    key: DeliveryKey,
    what: Event | str,
    states: tuple[State | None, State | None],
    note: str | None,
) -> dict[str, Any]:
    """A delivery's event, as EVENT takes it."""
    return {
        "at": now,
        **rows.key_columns(key),
        "from_state": states[0],
        "event": str(what),
        "to_state": states[1],
        "note": note,
    }


def target(was: Delivery, what: Event) -> State:
    """The state after the event. Raises NotAllowed, naming the states from which it would be possible."""
    to = next_state(was.state, what)
    if to is None:
        possible = " or ".join(sorted(allowed_from(what)))
        here = sorted(step.value for step in Event if next_state(was.state, step) is not None)
        raise NotAllowed(
            f"{was.key} is {was.state}: {what.value!r} is possible only when it is {possible}",
            hint=f"From {was.state} the possible steps are: {', '.join(here) or 'none, this is the end'}.",
        )
    return to


def not_paused() -> ColumnElement[bool]:
    """The delivery's channel is not paused."""
    c = deliveries.c
    return ~exists().where(pauses.c.campaign == c.campaign, pauses.c.channel == c.channel)


def insert_new(connection: Connection, table: Any, values: Mapping[str, Any]) -> bool:
    """Insert a row unless one with its key is there already; whether it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    # Not rowcount: what drivers count when nothing was inserted differs.
    return connection.execute(statement.returning(*table.primary_key)).first() is not None


def put(connection: Connection, table: Any, values: Mapping[str, Any]) -> None:
    """Insert a row, or give the one with its key these values."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    keys = [column.name for column in table.primary_key]
    rest = {name: value for name, value in values.items() if name not in keys}
    statement = dialect.insert(table).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=rest))
