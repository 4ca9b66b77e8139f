"""The ledger as JSON lines for git or another machine, and as a backup file.

What must stay true: export, import, export gives the same bytes. So rows come in the order of their keys,
each with every column; events in the order in which they happened, without their numbers. And an import that
takes the place of a lost ledger never leaves to be sent what may have been sent since the export was made.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TextIO

from sqlalchemy import Column, Connection, Table, exists, func, insert, or_, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from pipeline.delivery import Event
from pipeline.errors import LedgerError, WrongUse
from pipeline.ledger import migrations, rows
from pipeline.ledger.records import Doubt
from pipeline.ledger.room import Room
from pipeline.ledger.schema import KEPT, Instant, deliveries, events, instant_text
from pipeline.model import State

FORMAT = "content-pipeline ledger"
BATCH = 500  # rows of an import that are inserted together
_TABLES = {table.name: table for table in KEPT}
_AS_JSON = ("media", "snapshot")  # text that is JSON itself: nested in an export, so that a diff can be read


class Copies(Room):
    """The ledger's side of `pipeline ledger export|import|backup`."""

    def export(self, stream: TextIO) -> int:
        """Write everything as JSON lines, the format and schema version first; the number of rows.

        All of it is from one moment. Bodies are in base64. Errors of the stream pass as they are.
        """
        count = 0
        with self._database.reading() as connection:
            stream.write(rows.as_json({"format": FORMAT, "schema": migrations.version_of(connection)}) + "\n")
            for table in KEPT:
                columns = _columns(table)
                query = select(*columns).order_by(*table.primary_key).execution_options(yield_per=1000)
                for row in connection.execute(query):
                    kept = {c.name: _to_json(c, value) for c, value in zip(columns, row, strict=True)}
                    stream.write(rows.as_json({"table": table.name, **kept}) + "\n")
                    count += 1
        return count

    def import_(self, stream: TextIO, doubt: Doubt | None = None) -> int:
        """Read what `export` wrote into this empty ledger, all of it or nothing; the number of rows.

        With `doubt` the import takes the place of a lost ledger: deliveries that may have been sent since
        the export become `unknown`, and evidence decides.
        Raises WrongUse when the ledger is not empty, or for a line that is no row of an export (the
        message names the line), LedgerTooNew for an export of a later version.
        """
        with self._database.writing(one_at_a_time="import") as connection:
            for table in KEPT:
                if connection.execute(select(exists(select(*table.primary_key)))).scalar():
                    raise WrongUse(
                        f"the ledger is not empty: it holds {table.name}",
                        hint="Import into a new ledger: name another one with --ledger.",
                    )
            lines = enumerate(stream, start=1)
            number, header = next(lines, (1, ""))
            _refuse_other(number, header)
            count = 0
            parsed = (_row(number, line) for number, line in lines)
            for table, rows_of_table in groupby(parsed, key=lambda row: row.table):
                while batch := list(islice(rows_of_table, BATCH)):
                    self._insert(connection, table, batch)
                    count += len(batch)
            if doubt is not None:
                self._doubt(connection, doubt)
            return count

    def _doubt(self, connection: Connection, doubt: Doubt) -> None:
        """What the export calls open but may have been sent since becomes unknown, with what would be sent.

        A planned one may have been when its instant has come, a missed one when it was moved or retried, a
        held one when it was retried. Whatever was held is not sent by itself: its window is over.
        """
        c = deliveries.c
        waiting = c.state.in_([State.MISSED, State.HELD])
        suspect = or_(waiting, (c.state == State.PLANNED) & (c.due <= doubt.now))
        found = connection.execute(select(deliveries).where(suspect).order_by(*deliveries.primary_key))
        reason = (
            "the ledger was restored from an export that knows nothing after "
            f"{doubt.since:%Y-%m-%d %H:%M:%S} UTC; it may have been sent since"
        )
        for was in [rows.delivery(row) for row in found.mappings()]:
            rendition = doubt.rendition(was)
            if rendition is None:
                continue
            values: dict[str, Any] = {
                "sent_at": min(was.due, doubt.since) if was.key in doubt.unsure else was.due,
                "lease_until": doubt.now,
                **rows.rendition_columns(rendition),
            }
            if was.state is State.HELD:
                values["closes"] = min(was.closes, doubt.now)
            self._move(connection, was, Event.RESTORED_OLD, doubt.now, reason=reason, **values)

    def _insert(self, connection: Connection, table: Table, batch: Sequence[_Row]) -> None:
        """Insert them all at once; when the database refuses, one by one, to find the line it means."""
        if self._accepted(connection, table, batch) is None:
            return
        for row in batch:
            refusal = self._accepted(connection, table, [row])
            if refusal is not None:
                said = " ".join(str(refusal.orig).split())
                raise WrongUse(
                    f"line {row.line} of the import breaks a rule of the ledger: {said}"
                ) from refusal

    def _accepted(self, connection: Connection, table: Table, batch: Sequence[_Row]) -> StatementError | None:
        """None when the rows are in; why not, when the rows are at fault. Other errors pass."""
        savepoint = connection.begin_nested()
        try:
            connection.execute(insert(table), [row.values for row in batch])
        except StatementError as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError | DataError):
                raise  # the database is at fault, not the rows, and may have given up the savepoint too
            savepoint.rollback()
            return error
        savepoint.commit()
        return None

    def last_event(self) -> datetime | None:
        """The instant (UTC) of the newest event, after which this ledger knows nothing; None when empty."""
        with self._database.reading() as connection:
            newest: datetime | None = connection.scalar(select(func.max(events.c.at)))
        return newest

    def backup(self, path: Path) -> None:
        """Write a consistent copy of an SQLite ledger, also while others write; `path` is whole or as before.

        Raises WrongUse on PostgreSQL, or when `path` is the ledger itself.
        """
        if not self._database.is_sqlite:
            raise WrongUse(
                "a PostgreSQL ledger is backed up by its server's own tools",
                hint="Run pg_dump, or `pipeline ledger export`.",
            )
        own = self._database.path
        if own is not None and path.resolve() == own.resolve():
            raise WrongUse(f"{path} is the ledger itself", hint="Name another file for the backup.")
        try:
            self._backup(path)
        except OSError as error:
            raise LedgerError(
                f"the backup {path} cannot be written: {error.strerror}",
                hint="Check that its folder exists and may be written.",
            ) from error

    def _backup(self, path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".ledger-backup-") as folder:
            copy = Path(folder) / "ledger.db"
            with self._database.reading() as connection, closing(sqlite3.connect(copy)) as target:
                source = connection.connection.driver_connection
                assert isinstance(source, sqlite3.Connection)
                source.backup(target)
                # One file that can be carried away; and a copy of a damaged ledger is no backup.
                target.execute("PRAGMA journal_mode=DELETE")
                (verdict,) = target.execute("PRAGMA integrity_check(1)").fetchone()
                if verdict != "ok":
                    raise self._database.explained(sqlite3.DatabaseError(f"malformed: {verdict}"))
            _flush(copy)
            copy.replace(path)
            _flush(path.parent)


def _flush(path: Path) -> None:
    """Wait until the file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _columns(table: Table) -> list[Column[Any]]:
    """What is kept of a table: neither what the database computes nor the numbers of events."""
    return [c for c in table.columns if not c.system and c is not events.c.id]


def _parsed(number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise WrongUse(f"line {number} of the import is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise WrongUse(f"line {number} of the import is no JSON object")
    return found


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of an export, ready to be inserted."""

    line: int
    table: Table
    values: dict[str, Any]


def _row(number: int, line: str) -> _Row:
    kept = _parsed(number, line)
    table = _TABLES.get(str(kept.pop("table", None)))
    if table is None:
        raise WrongUse(f"line {number} of the import names no table of the ledger")
    columns = {column.name: column for column in _columns(table)}
    if kept.keys() != columns.keys():
        wrong = ", ".join(sorted(kept.keys() ^ columns.keys()))
        raise WrongUse(
            f"line {number} of the import: columns of {table.name} are missing or unknown: {wrong}"
        )
    try:
        values = {name: _from_json(columns[name], value) for name, value in kept.items()}
    except (ValueError, TypeError) as error:
        raise WrongUse(
            f"line {number} of the import: a value of {table.name} is unreadable: {error}"
        ) from error
    return _Row(number, table, values)


def _refuse_other(number: int, line: str) -> None:
    header = _parsed(number, line)
    found = header.get("schema")
    if header.get("format") != FORMAT or not isinstance(found, int):
        raise WrongUse("line 1 of the import does not say that it is an export of a ledger")
    migrations.refuse_newer(found)
    if found != migrations.NEWEST:
        raise WrongUse(
            f"line 1 of the import: version {found} is older than this program's {migrations.NEWEST}",
            hint="Import it with the program that wrote it, then open that ledger with this one.",
        )


def _to_json(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return json.loads(value) if column.name in _AS_JSON else value


def _from_json(column: Column[Any], value: Any) -> Any:
    """The column's own type again. Raises ValueError for what is none."""
    if value is None:
        return None
    if column.name in _AS_JSON:
        return rows.as_json(value)
    expected = column.type.python_type
    if isinstance(column.type, Instant):
        return datetime.fromisoformat(value)
    readers: dict[type, Callable[[str], Any]] = {
        date: date.fromisoformat,
        bytes: lambda text: base64.b64decode(text, validate=True),
    }
    if expected in readers:
        return readers[expected](value)
    if not isinstance(value, expected):
        raise TypeError(f"{value!r} is no {expected.__name__}")
    return value
