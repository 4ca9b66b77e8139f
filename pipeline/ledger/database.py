"""Engines, connections, transactions, and the one edge at which database errors become LedgerError.

What must stay true: a write transaction on SQLite begins IMMEDIATE, so that what it read is still so when it
writes; the data is on the disk when a write returns (WAL, synchronous=FULL); a closed ledger stays closed;
and an SQLite file that is deleted or replaced while it is open is not used any more, nor made anew.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.pool import StaticPool

from pipeline.errors import BrokenEnvironment, LedgerError, LedgerGone, WrongUse

# A file up to this size is checked each time it is opened (about 2 ms a megabyte), a larger one only when
# the last process that had it open did not close it.
SMALL = 16 * 2**20  # bytes

LOCK_WAIT = 10.0  # seconds a write waits for another one; `?timeout=` in an SQLite URL replaces it

# What a database says → what a person can do about it. The first that is found in the message counts.
HINTS = (
    ("is locked", "Another process is writing to the ledger. Try again; if it lasts, find that process."),
    ("lock timeout", "Another process is writing to the ledger. Try again; if it lasts, find that process."),
    ("malformed", "The file is damaged. Put a backup in its place, or import an export into a new ledger."),
    ("not a database", "The file is damaged or no ledger. Put a backup in its place, or name another file."),
    ("readonly", "The file or its folder may not be written. Correct their owner or permissions."),
    ("is full", "Free some space on the disk, then try again: nothing was lost."),
    ("disk i/o", "The disk failed or is full. Check it, then try again."),
    ("unable to open", "Check that the path names a file, in a folder that may be written."),
    ("no such table", "Parts of the ledger are missing. Put a backup in its place."),
    ("does not exist", "Parts of the ledger are missing. Put a backup in its place."),
    ("connection", "Check that the database server runs, and the address in --ledger or PIPELINE_LEDGER."),
)


class Database:
    """An engine, and transactions on it. Safe to share between threads."""

    def __init__(self, url: str) -> None:
        """Prepare, without connecting yet.

        Raises WrongUse for a URL that is none, BrokenEnvironment when PostgreSQL's driver is missing.
        """
        self.url = _read_url(url)
        self.name = self.url.render_as_string(hide_password=True)
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)
        # An in-memory database is one connection, which threads take in turns.
        in_memory = self.is_sqlite and self.path is None
        self._turn: AbstractContextManager[Any] = threading.RLock() if in_memory else nullcontext()
        self.closed = False
        self._file: tuple[int, int] | None = None  # device and inode of the SQLite file that is in use

    @property
    def is_sqlite(self) -> bool:
        """Whether it is embedded."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database; None in memory or on a server."""
        named = self.url.database
        return Path(named) if self.is_sqlite and named and named != ":memory:" else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the ledger and writes nothing."""
        with self._errors(), self._turn, self._connected() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self, one_at_a_time: str | None = None) -> Iterator[Connection]:
        """A transaction that commits at the end, or leaves no trace when an exception ends it.

        Those with the same `one_at_a_time` follow each other; on SQLite all do.
        """
        with self._errors(), self._turn, self._connected() as connection:
            connection.execution_options(pipeline_writes=True)
            with connection.begin():
                if one_at_a_time is not None and not self.is_sqlite:
                    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
                    connection.execute(lock, {"name": one_at_a_time})
                yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection to the file that was opened first, and to no other that has its name now."""
        self._refuse_replaced()  # before SQLite could make an empty one in its place
        with self.engine.connect() as connection:
            self._refuse_replaced()
            yield connection

    def _refuse_replaced(self) -> None:
        """Raises LedgerGone when the file is no longer the one in use. Costs one `stat`."""
        if self.path is None:
            return
        try:
            status = self.path.stat()
        except FileNotFoundError:
            found = None
        else:
            found = (status.st_dev, status.st_ino)
        if self._file is None:
            self._file = found
        elif found != self._file:
            raise LedgerGone(
                f"the ledger {self.name} was {'replaced' if found else 'deleted'} while it was in use",
                hint="Stop what uses it, put the newest backup or export back, then start again.",
            )

    def check(self, *, thorough: bool = True) -> None:
        """Look for damage: in all of an SQLite file, its indexes too, or only at its structure.

        Raises LedgerError. Of a server's database nothing is checked: that is its own affair.
        """
        if not self.is_sqlite:
            return
        with self.reading() as connection:
            pragma = "integrity_check" if thorough else "quick_check"
            verdict = connection.exec_driver_sql(f"PRAGMA {pragma}(1)").scalar_one()
            if verdict != "ok":
                raise self.explained(sqlite3.DatabaseError(f"malformed: {verdict}"))
            stray = connection.exec_driver_sql("PRAGMA foreign_key_check").first() if thorough else None
            if stray is not None:
                raise self.explained(
                    sqlite3.DatabaseError(f"malformed: a row of {stray[0]} lacks its parent")
                )

    def check_at_opening(self) -> None:
        """Look for damage where it is likely or cheap: see SMALL. Raises LedgerError."""
        if self.path is None or not self.path.exists():
            return
        left_open = self.path.with_name(f"{self.path.name}-wal").exists()
        if left_open or self.path.stat().st_size <= SMALL:
            self.check(thorough=False)

    def close(self) -> None:
        """Give every connection back. Closing twice is fine."""
        with self._turn:
            self.closed = True
            self.engine.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if self.closed:
            raise LedgerError(f"the ledger {self.name} is closed", hint="Open it again.")
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            if isinstance(error, StatementError) and isinstance(error.orig, ValueError):
                raise error.orig from error  # the caller gave what is no instant or no state
            raise self.explained(error) from error

    def explained(self, error: Exception) -> LedgerError:
        """The error in a person's words, with what to do."""
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        said = " ".join(str(cause).split()) or type(cause).__name__
        hint = next((hint for sign, hint in HINTS if sign in said.lower()), None)
        return LedgerError(f"the ledger {self.name} cannot be used: {said}", hint=hint)


def _read_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise WrongUse(
            f"{url!r} is no ledger URL",
            hint="Write sqlite:///state/ledger.db or postgresql://USER@HOST/DB.",
        ) from error
    if parsed.drivername in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        return parsed
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise WrongUse(
        f"a ledger cannot be kept in {parsed.drivername!r}",
        hint="Write sqlite:///state/ledger.db or postgresql://USER@HOST/DB.",
    )


def _sqlite(url: URL) -> Engine:
    timeout = {} if "timeout" in url.query else {"timeout": LOCK_WAIT}
    in_memory = url.database in (None, "", ":memory:")
    if in_memory:
        engine = create_engine(
            url, poolclass=StaticPool, connect_args={"check_same_thread": False, **timeout}
        )
    else:
        engine = create_engine(url, connect_args=timeout)

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions at moments of its own
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
        if not in_memory:
            _use_wal(connection)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("pipeline_writes", False)
        # Straight to the driver: as a statement of SQLAlchemy's it would cost as much as a whole query.
        driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL, also while other processes do the same with a new file.

    SQLite answers that race with "locked" at once, without the busy timeout. Beginning a transaction that
    needs the file alone does wait, and raises OperationalError when the timeout is over.
    """
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        else:
            return


def _postgresql(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401, PLC0415 (an extra: only who keeps a shared ledger needs it)
    except ImportError as error:
        raise BrokenEnvironment(
            "a PostgreSQL ledger needs the driver psycopg, which is not installed",
            hint="Install it: pip install 'content-pipeline[postgres]'",
        ) from error
    # A server that was restarted is noticed before a transaction begins, not in the middle of one.
    timeout = {} if "connect_timeout" in url.query else {"connect_timeout": int(LOCK_WAIT)}
    engine = create_engine(url, pool_pre_ping=True, connect_args=timeout)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute(f"SET lock_timeout = '{LOCK_WAIT:.0f}s'")
        connection.commit()

    return engine
