"""Opening a ledger: where it may lie, and what is said when it cannot be used."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import EXIT_BROKEN, EXIT_WRONG_USE, BrokenEnvironment, LedgerError, WrongUse
from pipeline.ledger import Ledger, open_ledger
from pipeline.ledger.database import Database
from tests.ledger.scene import START
from tests.support import postgres

ROOT = Path(__file__).parents[2]


def test_the_folder_is_made(tmp_path: Path) -> None:
    with open_ledger(f"sqlite:///{tmp_path}/a/b/ledger.db", now=START):
        assert (tmp_path / "a" / "b" / "ledger.db").is_file()


def test_a_file_is_written_durably(tmp_path: Path) -> None:
    with (
        open_ledger(f"sqlite:///{tmp_path}/ledger.db", now=START) as ledger,
        ledger._database.reading() as connection,
    ):
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in pragmas]
    assert found == ["wal", 2, 1, 10_000]


def test_two_ledgers_in_memory_are_two(tmp_path: Path) -> None:
    with open_ledger("sqlite://", now=START) as one, open_ledger("sqlite:///:memory:", now=START) as two:
        one.adopt("lille", START)
        assert two.campaign("lille") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["ledger.db", "", "mysql://root@127.0.0.1/ledger", "sqlite+aiosqlite://"])
def test_a_url_that_is_no_ledgers_is_wrong_use(url: str) -> None:
    with pytest.raises(WrongUse) as raised:
        open_ledger(url, now=START)
    assert raised.value.exit_status == EXIT_WRONG_USE
    assert "sqlite:///state/ledger.db" in str(raised.value.hint)


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="unable to open database file") as raised:
        open_ledger(f"sqlite:///{tmp_path}", now=START)
    assert "names a file" in str(raised.value.hint)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, not a folder")
    with pytest.raises(LedgerError, match="cannot be made") as raised:
        open_ledger(f"sqlite:///{tmp_path}/state/ledger.db", now=START)
    assert raised.value.exit_status == EXIT_BROKEN


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough" * 100, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_damaged_file_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"not a database|malformed|disk I/O|unable to open") as raised:
        open_ledger(f"sqlite:///{path}", now=START)
    assert raised.value.hint
    assert path.read_bytes() == content


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder of the tests, and the rights of somebody who may not write there, also in a root session."""
    folder = Path(tempfile.mkdtemp(prefix="readonly-"))
    with open_ledger(f"sqlite:///{folder}/there.db", now=START):
        pass
    with closing(sqlite3.connect(folder / "old.db")) as not_yet_wal:
        not_yet_wal.execute("PRAGMA user_version = 1")
    for there in folder.iterdir():
        there.chmod(0o444)
    folder.chmod(0o555)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(was)
        folder.chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["new.db", "there.db", "old.db", "deeper/new.db"])
def test_a_folder_that_may_not_be_written_is_told(as_nobody: Path, name: str) -> None:
    with pytest.raises(LedgerError) as raised:
        open_ledger(f"sqlite:///{as_nobody}/{name}", now=START)
    assert raised.value.hint
    assert name in str(raised.value)


def test_a_locked_file_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="database is locked"):
            open_ledger(f"sqlite:///{path}?timeout=0.01", now=START)
    with open_ledger(f"sqlite:///{path}?timeout=0.01", now=START) as ledger:
        assert ledger.deliveries() == []


def test_a_reader_of_an_old_kind_is_waited_for(tmp_path: Path) -> None:
    """Before a file is in WAL, a single reader keeps it from becoming so."""
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA user_version = 1")
        other.execute("BEGIN")
        other.execute("SELECT * FROM sqlite_master").fetchall()
        with pytest.raises(LedgerError, match="database is locked"):
            open_ledger(f"sqlite:///{path}?timeout=0.01", now=START)
        threading.Timer(0.2, other.execute, ["COMMIT"]).start()
        with open_ledger(f"sqlite:///{path}", now=START) as ledger:
            assert ledger.deliveries() == []


def test_an_instant_that_is_none_is_told(tmp_path: Path) -> None:
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db", now=START) as ledger:
        ledger.adopt("lille", START)
        tamper(ledger, "UPDATE campaigns SET first_seen = 'yesterday'")
        with pytest.raises(LedgerError, match="'yesterday' where an instant should be"):
            ledger.campaign("lille")


def test_a_snapshot_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db", now=START) as ledger:
        ledger.adopt("lille", START)
        tamper(
            ledger,
            "INSERT INTO releases SELECT id, 'a', '2016-04-11', first_seen, first_seen, '{}', NULL "
            "FROM campaigns",
        )
        with pytest.raises(LedgerError, match="snapshot of lille/a cannot be read"):
            ledger.releases("lille")


def tamper(ledger: Ledger, statement: str) -> None:
    """What no method of the ledger would write."""
    with ledger._database.writing() as connection:
        connection.exec_driver_sql(statement)


# ----------------------------------------------------------------------------- PostgreSQL


def test_without_its_driver_the_message_says_how_to_get_it() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from datetime import UTC, datetime\n"
        "from pipeline.errors import BrokenEnvironment\n"
        "from pipeline.ledger import open_ledger\n"
        "try:\n    open_ledger('postgresql://u@127.0.0.1/db', now=datetime.fromtimestamp(0, UTC))\n"
        "except BrokenEnvironment as error:\n    print(error, error.hint, sep='\\n')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said, hint = ended.stdout.splitlines()
    assert said == "a PostgreSQL ledger needs the driver psycopg, which is not installed"
    assert hint == "Install it: pip install 'content-pipeline[postgres]'"


def test_an_sqlite_ledger_does_not_load_the_driver() -> None:
    script = (
        "import sys; from pipeline.ledger import open_ledger; from tests.ledger.scene import START\n"
        "open_ledger('sqlite://', now=START).close(); sys.exit('psycopg' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_server_url_is_spoken_to_by_psycopg(postgres_url: str, scheme: str) -> None:
    url = postgres_url.replace("postgresql", scheme, 1) + "?connect_timeout=5"
    with open_ledger(url, now=START) as ledger:
        assert ledger._database.engine.driver == "psycopg"
        with ledger._database.reading() as connection:
            assert connection.exec_driver_sql("SHOW timezone").scalar() == "UTC"
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "10s"


def test_a_server_that_does_not_answer_is_told_without_the_password() -> None:
    port = postgres._free_port()
    with pytest.raises(BrokenEnvironment) as raised:
        open_ledger(f"postgresql://editor:secret@127.0.0.1:{port}/ledger", now=START)
    assert isinstance(raised.value, LedgerError)
    assert "secret" not in str(raised.value)
    assert "database server runs" in str(raised.value.hint)


def test_a_closed_database_gives_its_connections_back(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/ledger.db")
    with database.reading():
        pass
    database.close()
    assert {path.name for path in tmp_path.iterdir()} == {"ledger.db"}
