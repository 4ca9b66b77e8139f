"""Two at once, one of them stopped in the middle of its transaction until the other has run into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Connection, text

from pipeline.clock import SystemClock, VirtualClock
from pipeline.delivery import Event
from pipeline.errors import LostRace
from pipeline.ledger import Ledger, open_ledger
from pipeline.ledger.database import Database
from pipeline.model import Slot, State
from tests.ledger.scene import SOON, START, TODAY, Scene, rendition

DAY, PATIENCE = timedelta(days=1), timedelta(seconds=20)
WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.fixture
def two(shared_url: str) -> Iterator[tuple[Ledger, Ledger]]:
    """Two processes' views of one ledger."""
    with open_ledger(shared_url, now=START) as one, open_ledger(shared_url, now=START) as other:
        yield one, other


@contextmanager
def in_the_middle(one: Ledger, *, plan: bool = False) -> Iterator[Connection]:
    """A transaction of `one` that is begun and not yet over."""
    with one._database.writing(one_at_a_time="plan of lille" if plan else None) as connection:
        yield connection


def until_blocked(database: Database) -> None:
    """On a server: wait until somebody waits for a lock. In a file nobody can begin to write meanwhile."""
    if database.is_sqlite:
        return
    clock = SystemClock()
    end = clock.now() + PATIENCE
    while clock.now() < end:
        with database.reading() as connection:
            if connection.scalar(WAITING):
                return
        clock.sleep_until(clock.now() + timedelta(milliseconds=20))
    raise AssertionError("nobody waits")


def meanwhile(pool: ThreadPoolExecutor, other: Ledger, step: Callable[[], object]) -> Future[object]:
    """Let `other` take the step, and come back when it is stopped by the transaction in the middle."""
    begun = pool.submit(step)
    until_blocked(other._database)
    return begun


def slots(*named: tuple[str, int]) -> list[Slot]:
    return [Slot("lille", entry, TODAY + day * DAY, START + day * DAY, 1) for entry, day in named]


def test_two_plans_are_never_mixed(two: tuple[Ledger, Ledger]) -> None:
    """The second has seen the first one's slots before it decides which of them go."""
    one, other = two
    one.adopt("lille", START)
    one.apply_plan("lille", slots(("a", 1)), (), START)
    with ThreadPoolExecutor(1) as pool:
        with in_the_middle(one, plan=True) as connection:
            one._apply_slots(connection, "lille", slots(("a", 2)), START)
            second = meanwhile(pool, other, lambda: other.apply_plan("lille", slots(("b", 3)), (), START))
        second.result()
    assert set(one.slots("lille")) == {"b"}


def test_a_claim_that_is_not_committed_yet_is_not_claimed_again(two: tuple[Ledger, Ledger]) -> None:
    one, other = two
    scene = Scene(one, VirtualClock(START))
    key = scene.key()
    was = scene.create(key)
    intent = {
        "lease": "first",
        "lease_until": START + SOON,
        "sent_at": START,
        "attempts": 1,
        "rendition_key": "k",
        "body": b"b",
        "text": "t",
        "media": "[]",
    }
    with ThreadPoolExecutor(1) as pool:
        with in_the_middle(one) as connection:
            one._move(connection, was, Event.CLAIMED, START, **intent)
            second = meanwhile(
                pool, other, lambda: other.claim(key, rendition(key), "second", START + SOON, START)
            )
        with pytest.raises(LostRace):
            second.result()
    assert (scene.read(key).state, scene.read(key).lease) == (State.SENDING, "first")


def test_what_is_read_in_order_to_move_it_is_still_so_when_it_is_moved(two: tuple[Ledger, Ledger]) -> None:
    """A read-back's `absent` meets a repeat that has just begun: it must see the newer request."""
    one, other = two
    scene = Scene(one, VirtualClock(START))
    key = scene.key()
    seen = scene.to_unknown(key)
    now = scene.now
    with ThreadPoolExecutor(1) as pool:
        with in_the_middle(one) as connection:
            again = {"lease": "again", "lease_until": now + SOON, "attempts": seen.attempts + 1}
            sending = one._move(connection, seen, Event.REPEATED, now, **again)
            one._move(connection, sending, Event.NO_ANSWER, now)
            second = meanwhile(pool, other, lambda: other.absent(seen, now + SOON))
        with pytest.raises(LostRace, match="having been sent again"):
            second.result()
    assert scene.read(key).state is State.UNKNOWN
