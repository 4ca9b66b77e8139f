"""What dispatch asks the ledger at each tick, and before each send.

What must stay true: every query here has an index that holds what is open and no history, which a test asks
both kinds of database about. The instants are parameters; the state is none, because a partial index is of no
use to a query whose state is only known when it runs.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, literal, or_, select

from pipeline.ledger.room import IS_KEY, not_paused
from pipeline.ledger.schema import deliveries
from pipeline.model import State

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)  # before every campaign
_C = deliveries.c
_NOW = bindparam("now", type_=_C.due.type)


def in_order(query: Select[Any]) -> Select[Any]:
    """The one order of deliveries everywhere."""
    return query.order_by(_C.due, _C.campaign, _C.entry, _C.channel)


@cache
def open_query() -> Select[Any]:
    """What `has_open` asks. What is open always wakes somebody; saying so lets the index serve."""
    states = or_(_is(State.PLANNED), _is(State.SENDING))
    return select(_C.state).where(states, _C.wakes.is_not(None)).limit(1)


@cache
def claimable() -> Select[Any]:
    """What `claim` asks, of one delivery."""
    return select(deliveries).where(IS_KEY, _may_be_sent(), not_paused()).with_for_update()


@cache
def due_query() -> Select[Any]:
    """What `due` asks."""
    return in_order(select(deliveries).where(_may_be_sent(), not_paused()))


@cache
def unsettled_query() -> Select[Any]:
    """What `unsettled` asks, with the index as in `open_query`."""
    return in_order(select(deliveries).where(_is(State.UNKNOWN), _C.wakes.is_not(None)))


@cache
def expired_query() -> Select[Any]:
    """What `expire_leases` asks."""
    return in_order(select(deliveries).where(_is(State.SENDING), _C.wakes <= _NOW)).with_for_update()


@cache
def closing_query() -> Select[Any]:
    """What `close_windows` asks."""
    return in_order(select(deliveries).where(_is(State.PLANNED), _C.closes <= _NOW)).with_for_update()


@cache
def wake_queries() -> tuple[Select[Any], ...]:
    """What `next_wake` asks: the first of each open state, straight from the index."""
    after = bindparam("after", type_=_C.due.type)
    firsts = {
        state: select(_C.wakes).where(_is(state), _C.wakes > after).order_by(_C.wakes).limit(1)
        for state in (State.PLANNED, State.SENDING, State.UNKNOWN)
    }
    firsts[State.PLANNED] = firsts[State.PLANNED].where(not_paused())
    closing = select(_C.closes).where(_is(State.PLANNED), _C.closes > after)
    return (*firsts.values(), closing.order_by(_C.closes).limit(1))


def _is(state: State) -> ColumnElement[bool]:
    return _C.state == literal(state, _C.state.type, literal_execute=True)


def _may_be_sent() -> ColumnElement[bool]:
    return and_(
        _is(State.PLANNED),
        _C.wakes <= _NOW,
        _C.due <= _NOW,
        or_(_C.not_before.is_(None), _C.not_before <= _NOW),
        _C.closes > _NOW,
    )
