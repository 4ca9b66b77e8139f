"""Claiming, recording and settling: what dispatch does with deliveries.

What must stay true: intent is on the disk before the first byte leaves; a stuck `sending` becomes `unknown`
and never anything else by itself; a receipt is evidence whoever brings it, and the first one on record stays.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, update

from pipeline.delivery import Event, Step, same_request
from pipeline.ledger import rows
from pipeline.ledger.queries import (
    LONG_AGO,
    claimable,
    closing_query,
    due_query,
    expired_query,
    open_query,
    unsettled_query,
    wake_queries,
)
from pipeline.ledger.records import SAID_POSTED
from pipeline.ledger.room import IS_ATTEMPT, Room, key_parameters
from pipeline.ledger.schema import attempts
from pipeline.model import Delivery, DeliveryKey, Receipt, Rendition, State

_RECEIPTS = frozenset({Event.RECEIPT, Event.LATE_RECEIPT})


_A = attempts.c
_NEWEST_UNDER_LEASE = (
    select(_A.number)
    .where(IS_ATTEMPT, _A.lease == bindparam("under"))
    .order_by(_A.number.desc())
    .limit(1)
    .scalar_subquery()
)
_END_ATTEMPT = (
    update(attempts)
    .where(IS_ATTEMPT, _A.number == _NEWEST_UNDER_LEASE)
    .values(ended=bindparam("now"), outcome=bindparam("told"), detail=bindparam("more"))
)
_END_OPEN_ATTEMPT = _END_ATTEMPT.where(_A.ended.is_(None))


class Sends(Room):
    """The ledger's side of dispatch."""

    # ------------------------------------------------------------------- what is to be done

    def due(self, now: datetime, limit: int | None = None) -> list[Delivery]:
        """Planned deliveries that may be sent at `now`, in order, those of paused channels left out."""
        return self._list(due_query().limit(limit), now=now)

    def unsettled(self) -> list[Delivery]:
        """Every delivery whose outcome is not known."""
        return self._list(unsettled_query())

    def has_open(self) -> bool:
        """Whether anything is planned or under way."""
        with self._database.reading() as connection:
            return connection.scalar(open_query()) is not None

    def next_wake(self, after: datetime | None = None) -> datetime | None:
        """The earliest instant (UTC) at which something will be due. None: nothing is open.

        With `after`, only instants later than that count: what was due before has been looked at.

        A planned delivery is due when `due` and `not_before` are reached (unless its channel is paused) and
        again when its window closes, a sending one when its lease ends, an unknown one at `not_before` or
        else when its lease ended.
        """
        with self._database.reading() as connection:
            found = [connection.scalar(query, {"after": after or LONG_AGO}) for query in wake_queries()]
        return min((instant for instant in found if instant is not None), default=None)

    # ------------------------------------------------------------------- one send

    def claim(
        self,
        key: DeliveryKey,
        rendition: Rendition,
        lease: str,
        until: datetime,
        now: datetime,
        network: str | None = None,
    ) -> Delivery:
        """Freeze what will be sent, and take the right to send it until `until`.

        `network` is the one it is sent to, should the channel have got another since it was planned.
        Raises LostRace unless the delivery is planned, due, still open, and its channel not paused.
        """
        with self._database.writing() as connection:
            row = connection.execute(claimable(), key_parameters(key) | {"now": now}).mappings().one_or_none()
            if row is None:
                raise self._lost(connection, key, "claimed")
            was = rows.delivery(row)
            intent = {
                "lease": lease,
                "lease_until": until,
                "sent_at": now,
                "attempts": was.attempts + 1,
                **rows.rendition_columns(rendition),
                "network": network or was.network,
            }
            claimed = self._move(connection, was, Event.CLAIMED, now, **intent)
            self._open_attempt(connection, claimed, now)
            return claimed

    def repeat(self, key: DeliveryKey, lease: str, until: datetime, now: datetime) -> Delivery:
        """Take the right to send the identical request again; `sent_at` stays the instant of the first.

        Raises LostRace unless the delivery is unknown and its last lease is over.
        """
        with self._database.writing() as connection:
            was = self._locked(connection, key)
            over = was.lease_until is not None and was.lease_until <= now
            if was.state is not State.UNKNOWN or not over:
                raise self._lost(connection, key, "sent again")
            again = self._move(
                connection,
                was,
                Event.REPEATED,
                now,
                lease=lease,
                lease_until=until,
                attempts=was.attempts + 1,
            )
            self._open_attempt(connection, again, now)
            return again

    def record(
        self,
        key: DeliveryKey,
        lease: str,
        step: Step,
        receipt: Receipt | None,
        outcome: str,
        now: datetime,
    ) -> Delivery:
        """Write down how the attempt under `lease` ended; an authentication failure pauses the channel.

        Without the lease a receipt still counts, from whatever state (see `_late`); for anything else
        that is LostRace. Raises NotAllowed when the table has no such step from `sending`, and ValueError
        when receipt and step do not belong together.
        """
        if (receipt is not None) != (step.event in _RECEIPTS):
            raise ValueError(f"{step.event.value!r} comes with a receipt, or the other way round")
        with self._database.writing() as connection:
            was = self._locked(connection, key)
            if was.lease != lease:
                if receipt is None:
                    raise self._lost(connection, key, f"recorded as {outcome} under a lease that is over")
                return self._late(connection, was, lease, receipt, outcome, now)
            detail = step.reason if receipt is None else receipt.url or receipt.remote_id
            self._end_attempt(connection, key, lease, outcome, detail, now)
            values = {} if receipt is None else {**rows.receipt_columns(receipt), "published_at": now}
            moved = self._move(
                connection,
                was,
                step.event,
                now,
                reason=step.reason,
                not_before=step.not_before,
                **values,
            )
            if step.event is Event.AUTH_FAILED:
                self._pause(connection, key, step.reason, now)
            return moved

    def _late(
        self,
        connection: Connection,
        was: Delivery,
        lease: str,
        receipt: Receipt,
        outcome: str,
        now: datetime,
    ) -> Delivery:
        """A receipt for somebody who lost the lease.

        The first receipt on record stays: the same one again changes nothing, another one is a second post
        and is told as such. Only what a person vouched for gives way to the network's own receipt.
        """
        first = was.receipt
        open_still = self._end_attempt(
            connection, was.key, lease, outcome, receipt.url or receipt.remote_id, now, only_open=True
        )
        if first is None:
            values = {**rows.receipt_columns(receipt), "published_at": now}
            return self._move(connection, was, Event.LATE_RECEIPT, now, **values)
        if first.remote_id == receipt.remote_id:
            if open_still:
                self._append(
                    connection, now, was.key, Event.LATE_RECEIPT, (was.state, was.state), "the same post"
                )
            return was
        if first.remote_id == SAID_POSTED:
            note = f"the network's receipt for what a person vouched for: {receipt.remote_id}"
            better = self._write(connection, was, rows.receipt_columns(receipt))
            assert better is not None  # the row is locked
        else:
            there = receipt.url or receipt.remote_id
            note = f"a second post exists: {there}; {first.remote_id} stays on record"
            better = was
        self._append(connection, now, was.key, Event.LATE_RECEIPT, (was.state, was.state), note)
        return better

    def _end_attempt(
        self,
        connection: Connection,
        key: DeliveryKey,
        lease: str,
        outcome: str,
        detail: str | None,
        now: datetime,
        *,
        only_open: bool = False,
    ) -> bool:
        """Close the newest attempt made under the lease; whether there was one."""
        statement = _END_OPEN_ATTEMPT if only_open else _END_ATTEMPT
        told = {"now": now, "told": outcome, "more": detail, "under": lease}
        return bool(connection.execute(statement, key_parameters(key) | told).rowcount)

    # ------------------------------------------------------------------- settling what is uncertain

    def found(self, key: DeliveryKey, receipt: Receipt, now: datetime) -> Delivery:
        """A read-back found the post: unknown → published. Raises LostRace when it is no longer unknown."""
        with self._database.writing() as connection:
            was = self._unknown(connection, key, "recorded as found")
            values = {**rows.receipt_columns(receipt), "published_at": now}
            return self._move(connection, was, Event.FOUND, now, **values)

    def absent(self, seen: Delivery, now: datetime) -> Delivery:
        """A read-back found nothing, after settling: unknown → planned.

        `seen` is the delivery as it was before the look. Raises LostRace when it is no longer unknown, or
        was sent again since: then the look says nothing about the newer request.
        """
        with self._database.writing() as connection:
            was = self._unknown(connection, seen.key, "recorded as absent")
            if not same_request(was, seen):
                raise self._lost(connection, seen.key, "recorded as absent, having been sent again")
            return self._move(connection, was, Event.ABSENT, now)

    def _unknown(self, connection: Connection, key: DeliveryKey, wanted: str) -> Delivery:
        was = self._locked(connection, key)
        if was.state is not State.UNKNOWN:
            raise self._lost(connection, key, wanted)
        return was

    def note(
        self,
        key: DeliveryKey,
        state: State,
        *,
        reason: str | None,
        not_before: datetime | None,
        now: datetime,
    ) -> None:
        """Say why a delivery waits and until when, without moving it. Writes only what is new.

        Raises LostRace when it is no longer in `state`.
        """
        with self._database.writing() as connection:
            was = self._locked(connection, key)
            if was.state is not state:
                raise self._lost(connection, key, f"noted as {state}")
            if (was.reason, was.not_before) == (reason, not_before):
                return
            self._write(connection, was, {"reason": reason, "not_before": not_before})
            self._append(connection, now, key, "noted", (state, state), reason)

    # ------------------------------------------------------------------- what time alone changes

    def expire_leases(self, now: datetime) -> list[DeliveryKey]:
        """Sending deliveries whose lease is over become unknown; which ones, in order."""
        with self._database.writing() as connection:
            stuck = self._rows(connection, expired_query(), now=now)
            for was in stuck:
                assert was.lease is not None
                reason = f"no answer was recorded before the lease ended at {was.lease_until:%H:%M:%S} UTC"
                self._end_attempt(connection, was.key, was.lease, "no answer", reason, now)
                self._move(connection, was, Event.LEASE_EXPIRED, now, reason=reason)
            return [was.key for was in stuck]

    def close_windows(self, now: datetime) -> list[DeliveryKey]:
        """Planned deliveries whose window is over become missed; which ones, in order.

        The reason keeps why they could not go before, when that is known.
        """
        with self._database.writing() as connection:
            late = self._rows(connection, closing_query(), now=now)
            for was in late:
                reason = f"its window closed at {was.closes:%Y-%m-%d %H:%M:%S} UTC"
                if was.reason:
                    reason += f"; before that: {was.reason}"
                self._move(connection, was, Event.GRACE_OVER, now, reason=reason)
            return [was.key for was in late]

    # ------------------------------------------------------------------- helpers

    def _list(self, query: Select[Any], **parameters: Any) -> list[Delivery]:
        with self._database.reading() as connection:
            return self._rows(connection, query, **parameters)

    def _rows(self, connection: Connection, query: Select[Any], **parameters: Any) -> list[Delivery]:
        return [rows.delivery(row) for row in connection.execute(query, parameters).mappings().all()]
