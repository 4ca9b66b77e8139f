"""What hubs are still to be told: which feed has changed, when its hub is asked next, what the last try said.

What must stay true: a feed seen for the first time is no news unless the caller says so; a change that comes
while its hub is being told is told again; of several processes that begin the same ping, one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select, update

from pipeline.ledger.records import Ping
from pipeline.ledger.room import Room, insert_new
from pipeline.ledger.schema import pings

_C = pings.c


class Pings(Room):
    """The ledger's side of telling hubs."""

    def feeds_stand(
        self, hub: str, digests: Mapping[str, str], *, due: datetime, now: datetime, news: bool
    ) -> int:
        """Note the digests of a hub's feeds by address; how many of them the hub is to be told of.

        A feed whose digest is another than the one on record is due at `due`, later only if its hub has asked
        for that. `news`: whether a feed that is not on record is due as well.
        """
        changed = []
        with self._database.writing() as connection:
            found = connection.execute(select(pings).where(_C.hub == hub).with_for_update()).mappings()
            known = {row["topic"]: Ping(**row) for row in found}
            for topic, digest in digests.items():
                was = known.get(topic)
                if was is not None and was.digest == digest:
                    continue
                if was is None:
                    values: dict[str, Any] = {"hub": hub, "topic": topic, "attempts": 0}
                    values |= {"digest": digest, "changed": now, "not_before": due if news else None}
                    insert_new(connection, pings, values)
                else:
                    at = max(due, was.not_before or due)
                    fresh = {"digest": digest, "changed": now, "not_before": at}
                    connection.execute(update(pings).where(_is(was)).values(**fresh, attempts=0, reason=None))
                if was is not None or news:
                    changed.append(topic)
            if changed:
                self._append_about(connection, now, "feeds changed", note=", ".join(sorted(changed)))
        return len(changed)

    def due_pings(self, now: datetime) -> list[Ping]:
        """Those to be begun at `now`, the longest waiting first."""
        with self._database.reading() as connection:
            return [Ping(**row) for row in connection.execute(due_pings_query(now)).mappings()]

    def next_ping(self, after: datetime | None = None) -> datetime | None:
        """The first instant (UTC) at which a ping is due: of all, or of those after that instant."""
        with self._database.reading() as connection:
            return connection.execute(next_ping_query(after)).scalar()

    def failed_pings(self) -> list[Ping]:
        """Those whose last try failed: due again, or given up."""
        query = select(pings).where(_C.reason.is_not(None)).order_by(_C.hub, _C.topic)
        with self._database.reading() as connection:
            return [Ping(**row) for row in connection.execute(query).mappings()]

    def begin_ping(self, ping: Ping, until: datetime, now: datetime) -> Ping | None:
        """Count an attempt and keep others off until that instant; None when somebody else has begun it."""
        began = {"attempts": ping.attempts + 1, "not_before": until}
        return self._ping(ping, now, began, "ping begun")

    def end_ping(self, ping: Ping, *, reason: str | None, again: datetime | None, now: datetime) -> bool:
        """Write down how it ended: told (no reason), to be tried `again`, or given up (neither).

        False, and nothing changes, when the feed has changed since: then the hub is told of that.
        """
        event = "hub told" if reason is None else "hub not told" if again else "hub given up"
        return self._ping(ping, now, {"not_before": again, "reason": reason}, event) is not None

    def _ping(self, was: Ping, now: datetime, values: Mapping[str, Any], event: str) -> Ping | None:
        """Write where the row is still as `was`."""
        statement = update(pings).where(_is(was)).values(**values).returning(pings)
        with self._database.writing() as connection:
            row = connection.execute(statement).mappings().one_or_none()
            if row is None:
                return None
            told = Ping(**row)
            note = told.topic if told.reason is None else f"{told.topic}: {told.reason}"
            self._append_about(connection, now, event, note=note)
            return told


def due_pings_query(now: datetime) -> Select[Any]:
    """What `due_pings` asks."""
    return select(pings).where(_C.not_before <= now).order_by(_C.not_before, _C.hub, _C.topic)


def next_ping_query(after: datetime | None = None) -> Select[Any]:
    """What `next_ping` asks."""
    later = _C.not_before.is_not(None) if after is None else _C.not_before > after
    return select(func.min(_C.not_before)).where(later)


def _is(ping: Ping) -> ColumnElement[bool]:
    """The row is still as it was read: nobody has begun a try, and the feed has not changed."""
    return and_(
        _C.hub == ping.hub,
        _C.topic == ping.topic,
        _C.digest == ping.digest,
        _C.attempts == ping.attempts,
        _C.not_before.is_not_distinct_from(ping.not_before),
    )
