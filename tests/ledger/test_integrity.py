"""Damage is found and told; what was committed survives a power cut."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.clock import VirtualClock
from pipeline.errors import LedgerError, LedgerGone
from pipeline.ledger import Ledger, open_ledger
from pipeline.ledger.database import SMALL, Database
from tests.ledger.scene import START, Scene
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)


def filled(path: Path, *, large: str = "") -> None:
    with open_ledger(f"sqlite:///{path}", now=START) as ledger:
        scene = Scene(ledger, VirtualClock(START))
        scene.create(scene.key())
        ledger.remember_files(
            {f"content/{n}.md": "x" * 3000 for n in range(40)} | {"large": large}, (), START
        )


def scramble(path: Path) -> None:
    """A page of the table of files is overwritten: nothing that opening or planning would read."""
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        count = connection.execute("PRAGMA page_count").fetchone()[0]
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'files'").fetchone()[0]
    assert count > root
    whole = bytearray(path.read_bytes())
    whole[(root - 1) * size : (root - 1) * size + 200] = b"\xff" * 200
    path.write_bytes(whole)


# --------------------------------------------------------------------------- damage


def test_a_damaged_ledger_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    filled(path)
    scramble(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="malformed") as raised:
        open_ledger(f"sqlite:///{path}", now=START)
    assert "backup" in str(raised.value.hint)
    assert "import" in str(raised.value.hint)
    assert path.read_bytes() == before


def test_a_large_ledger_is_looked_over_only_when_it_was_not_closed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    filled(path, large="x" * (SMALL + 1))
    scramble(path)
    with open_ledger(f"sqlite:///{path}", now=START) as ledger, pytest.raises(LedgerError, match="malformed"):
        ledger.check()
    (tmp_path / "ledger.db-wal").touch()
    with pytest.raises(LedgerError, match="malformed"):
        open_ledger(f"sqlite:///{path}", now=START)


def test_a_row_without_its_parent_is_damage(ledger: Ledger, url: str) -> None:
    ledger.check()
    if "postgresql" in url:
        return  # the server itself sees to that
    with ledger._database.reading() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute("COMMIT")
        raw.execute("PRAGMA foreign_keys=OFF")
        raw.execute("INSERT INTO pauses VALUES ('nobody', 'x', 'why', '2016-04-11T07:00:00.000000Z')")
        raw.execute("BEGIN")
    with pytest.raises(LedgerError, match="lacks its parent"):
        ledger.check()


# --------------------------------------------------------------------------- another file in its place


@pytest.mark.parametrize("told", ["deleted", "replaced"])
def test_a_file_that_is_swapped_while_it_is_open_is_not_used(tmp_path: Path, told: str) -> None:
    path = tmp_path / "ledger.db"
    filled(path)
    shutil.copy(path, tmp_path / "copy.db")
    with open_ledger(f"sqlite:///{path}", now=START) as ledger:
        assert ledger.deliveries()
        path.unlink()
        if told == "replaced":
            (tmp_path / "copy.db").rename(path)
        for call in (ledger.deliveries, lambda: ledger.adopt("paris", START)):
            with pytest.raises(LedgerGone, match=f"was {told} while it was in use") as raised:
                call()
            assert raised.value.hint
        assert path.exists() == (told == "replaced"), "none is made in its place"


# --------------------------------------------------------------------------- power cuts


def test_every_connection_waits_for_the_disk(tmp_path: Path) -> None:
    """WAL with synchronous=FULL: SQLite flushes the log at each commit. Pooled or new, read or write."""
    opened = Database(f"sqlite:///{tmp_path}/ledger.db")
    try:
        for transaction in (opened.reading, opened.writing):
            with transaction() as one, opened.reading() as two, opened.reading() as three:
                for connection in (one, two, three):
                    assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
                    assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    finally:
        opened.close()


def test_a_power_cut_that_loses_all_later_writes_never_forgets_a_claim(tmp_path: Path) -> None:
    """What was in the files when the claim had been committed was flushed; of what came later any part may
    be missing, or be zeros. Whatever is left, the claim is known and the next look ends in one post.
    """
    project = Project(tmp_path / "project", DUE)
    project.entry("a")
    project.campaign("a")
    with project.open(VirtualClock(DUE - timedelta(hours=1))) as pipeline:
        pipeline.tick()
    names = ("ledger.db", "ledger.db-wal")
    state = project.root / "state"
    kept: dict[str, dict[str, bytes]] = {}

    def probe(point: str) -> None:
        if point in {"after claim", "after receipt"}:
            kept[point] = {name: (state / name).read_bytes() for name in names}

    with project.open(VirtualClock(DUE), probe=probe) as pipeline:
        pipeline.tick()
    flushed, whole = kept["after claim"], kept["after receipt"]
    assert flushed["ledger.db"] == whole["ledger.db"], "no checkpoint came in between"
    log, later = flushed["ledger.db-wal"], whole["ledger.db-wal"]
    assert later.startswith(log)
    assert len(later) > len(log)
    chance = random.Random(2016)
    cuts = [len(log), *sorted(chance.randrange(len(log), len(later)) for _ in range(4)), len(later)]
    seen = set()
    for number, cut in enumerate(cuts):
        for filler in (b"", bytes(len(later) - cut)):
            left = Project(tmp_path / f"{number}-{len(filler)}", DUE)
            shutil.copytree(project.root, left.root, dirs_exist_ok=True)
            (left.root / "state/ledger.db-shm").unlink(missing_ok=True)
            (left.root / "state/ledger.db").write_bytes(flushed["ledger.db"])
            (left.root / "state/ledger.db-wal").write_bytes(later[:cut] + filler)
            (stands,) = left.states().values()
            seen.add(stands)
            with left.open(VirtualClock(DUE + timedelta(minutes=10))) as pipeline:
                pipeline.tick()
            assert left.posts() == ["lille/a/outbox"]
            assert left.states() == {"lille/a/outbox": "published"}
    assert seen == {"sending", "published"}
