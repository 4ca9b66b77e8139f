"""No public method of the ledger lets an error of the database through as anything but LedgerError."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from pipeline.delivery import Event, Step
from pipeline.errors import LedgerError, LostRace, WrongUse
from pipeline.ledger import Ledger, Ping, open_ledger
from pipeline.model import Delivery, DeliveryKey, Entry, Release, State
from tests.ledger.scene import START, receipt, rendition

KEY = DeliveryKey("lille", "ouistock", "outbox")
ENTRY = Entry(id="ouistock", path="content/a.md", title="A", summary="a", url="https://a.example/")
RELEASE = Release("lille", ENTRY, START.date(), START, START)
LATER = START + timedelta(hours=1)
SEEN = Delivery(KEY, "outbox", State.UNKNOWN, START.date(), START, LATER)

PING = Ping("https://hub.example/", "https://a.example/feed.xml", "d", START, START, 0, None)

Call = Callable[[Ledger, Path], object]

READS: dict[str, Call] = {
    "campaigns": lambda ledger, _: ledger.campaigns(),
    "check": lambda ledger, _: ledger.check(),
    "campaign": lambda ledger, _: ledger.campaign("lille"),
    "touched": lambda ledger, _: ledger.touched(0),
    "slots": lambda ledger, _: ledger.slots("lille"),
    "released": lambda ledger, _: ledger.released("lille"),
    "last_plan": lambda ledger, _: ledger.last_plan("lille"),
    "deliveries": lambda ledger, _: ledger.deliveries(),
    "counts": lambda ledger, _: ledger.counts(),
    "delivery": lambda ledger, _: ledger.delivery(KEY),
    "due": lambda ledger, _: ledger.due(START),
    "unsettled": lambda ledger, _: ledger.unsettled(),
    "has_open": lambda ledger, _: ledger.has_open(),
    "next_wake": lambda ledger, _: ledger.next_wake(),
    "paused": lambda ledger, _: ledger.paused(),
    "attempts": lambda ledger, _: ledger.attempts(KEY),
    "history": lambda ledger, _: ledger.history(KEY),
    "releases": lambda ledger, _: ledger.releases("lille"),
    "release_marks": lambda ledger, _: ledger.release_marks("lille"),
    "first_released": lambda ledger, _: ledger.first_released(),
    "due_pings": lambda ledger, _: ledger.due_pings(START),
    "next_ping": lambda ledger, _: ledger.next_ping(),
    "failed_pings": lambda ledger, _: ledger.failed_pings(),
    "good_files": lambda ledger, _: ledger.good_files(),
    "export": lambda ledger, _: ledger.export(io.StringIO()),
    "last_event": lambda ledger, _: ledger.last_event(),
    "backup": lambda ledger, folder: ledger.backup(folder / "backup.db"),
}
WRITES: dict[str, Call] = {
    "adopt": lambda ledger, _: ledger.adopt("lille", START),
    "freeze_authority": lambda ledger, _: ledger.freeze_authority("lille", "example.org,2016"),
    "save_plan": lambda ledger, _: ledger.save_plan("lille", "plan", START),
    "apply_plan": lambda ledger, _: ledger.apply_plan("lille", (), (), START),
    "claim": lambda ledger, _: ledger.claim(KEY, rendition(KEY), "lease", LATER, START),
    "repeat": lambda ledger, _: ledger.repeat(KEY, "lease", LATER, START),
    "record": lambda ledger, _: ledger.record(KEY, "l", Step(Event.RECEIPT), receipt(), "published", START),
    "found": lambda ledger, _: ledger.found(KEY, receipt(), START),
    "absent": lambda ledger, _: ledger.absent(SEEN, START),
    "note": lambda ledger, _: ledger.note(KEY, State.PLANNED, reason="r", not_before=None, now=START),
    "expire_leases": lambda ledger, _: ledger.expire_leases(START),
    "close_windows": lambda ledger, _: ledger.close_windows(START),
    "resolve": lambda ledger, _: ledger.resolve(KEY, False, None, START),
    "retry": lambda ledger, _: ledger.retry(KEY, START, LATER, START),
    "cancel": lambda ledger, _: ledger.cancel(KEY, START),
    "resume": lambda ledger, _: ledger.resume("lille", "outbox", START),
    "edited": lambda ledger, _: ledger.edited(SEEN, rendition(KEY), receipt(), START),
    "deleted": lambda ledger, _: ledger.deleted(SEEN, START),
    "retract": lambda ledger, _: ledger.retract("lille", "ouistock", START),
    "release": lambda ledger, _: ledger.release(RELEASE),
    "refresh": lambda ledger, _: ledger.refresh(RELEASE),
    "remember_files": lambda ledger, _: ledger.remember_files({"a": "b"}, ["c"], START),
    "feeds_stand": lambda ledger, _: ledger.feeds_stand(
        PING.hub, {PING.topic: "d"}, due=START, now=START, news=True
    ),
    "begin_ping": lambda ledger, _: ledger.begin_ping(PING, LATER, START),
    "end_ping": lambda ledger, _: ledger.end_ping(PING, reason=None, again=None, now=START),
    "import_": lambda ledger, _: ledger.import_(io.StringIO("")),
}
METHODS = READS | WRITES

every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def hasty(path: Path) -> Iterator[Ledger]:
    """A ledger in a file that does not wait long for a lock."""
    with open_ledger(f"sqlite:///{path}?timeout=0.05", now=START) as opened:
        yield opened


def test_the_list_is_complete() -> None:
    public = {name for name in dir(Ledger) if not name.startswith("_")}
    assert public - METHODS.keys() == {"close", "closed", "numbers_in_order"}
    assert not READS.keys() & WRITES.keys()


@every_method
def test_a_closed_ledger_stays_closed(hasty: Ledger, tmp_path: Path, method: str) -> None:
    hasty.close()
    hasty.close()
    with pytest.raises(LedgerError, match="is closed"):
        METHODS[method](hasty, tmp_path)


@every_method
def test_a_damaged_file_is_a_ledger_error(hasty: Ledger, path: Path, tmp_path: Path, method: str) -> None:
    scribble(path)
    with pytest.raises(LedgerError, match=r"malformed|not a database") as raised:
        METHODS[method](hasty, tmp_path)
    assert "backup in its place" in str(raised.value.hint)
    assert not (tmp_path / "backup.db").exists()


def scribble(path: Path) -> None:
    """Overwrite every table and index but not the schema, so that the file can still be opened."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        roots = [
            row[0] for row in connection.execute("SELECT rootpage FROM sqlite_master WHERE rootpage > 1")
        ]
    with path.open("r+b") as file:
        for root in roots:
            file.seek((root - 1) * size)
            file.write(b"\xa5" * size)


@pytest.mark.parametrize("method", WRITES)
def test_a_write_says_that_the_ledger_is_locked(
    hasty: Ledger, path: Path, tmp_path: Path, method: str
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="database is locked") as raised:
            METHODS[method](hasty, tmp_path)
    assert not isinstance(raised.value, LostRace)
    assert "Another process is writing" in str(raised.value.hint)


@pytest.mark.parametrize("method", READS)
def test_a_read_is_answered_while_somebody_writes(
    hasty: Ledger, path: Path, tmp_path: Path, method: str
) -> None:
    hasty.adopt("lille", START)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM campaigns")
        READS[method](hasty, tmp_path)
        record = hasty.campaign("lille")
        other.execute("ROLLBACK")
    assert record is not None


def test_a_server_that_lost_its_tables_is_a_ledger_error(postgres_url: str, tmp_path: Path) -> None:
    with open_ledger(postgres_url, now=START) as ledger:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("DROP SCHEMA public CASCADE")
        for name, method in METHODS.items():
            with pytest.raises(WrongUse if name == "backup" else LedgerError):
                method(ledger, tmp_path)


def use_while_hung_up(ledger: Ledger, other: psycopg.Connection) -> None:
    with ledger._database.writing() as held:
        (pid,) = held.exec_driver_sql("SELECT pg_backend_pid()").one()
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        held.exec_driver_sql("SELECT 1")


def test_a_server_that_hangs_up_is_a_ledger_error(postgres_url: str) -> None:
    with open_ledger(postgres_url, now=START) as ledger:
        with (
            psycopg.connect(postgres_url, autocommit=True) as other,
            pytest.raises(LedgerError, match="terminat") as raised,
        ):
            use_while_hung_up(ledger, other)
        assert raised.value.hint
        assert ledger.deliveries() == []  # the next one gets a connection of its own
