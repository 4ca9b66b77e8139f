"""Exports, imports and backups: what leaves the ledger comes back the same."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.clock import VirtualClock
from pipeline.delivery import Event, Step
from pipeline.errors import LedgerError, LedgerTooNew, PipelineError, WrongUse
from pipeline.ledger import Doubt, Ledger, open_ledger
from pipeline.ledger.migrations import NEWEST
from pipeline.model import Entry, Image, Release, Slot, State
from tests.ledger.scene import START, TODAY, Scene, exported, receipt, rendition

MINUTE = timedelta(minutes=1)
ENTRY = Entry(
    id="ouistock",
    path="content/a.md",
    title="« É » 🎈\u2028",
    summary="a",
    url="https://a.example/",
    image=Image("content/a.png", "alt"),
    tags=("zéro déchet",),
    pinned=TODAY,
    posts={"z": "1", "a": "2"},
)


def fill(ledger: Ledger) -> Ledger:
    """Something in every table."""
    scene = Scene(ledger, VirtualClock(START))
    key, second, third = scene.key(), scene.key("second"), scene.key("third")
    scene.to_unknown(key)
    scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt(), "published", scene.now)
    scene.create(second, day=TODAY + timedelta(days=1))
    media = (Image("content/a.png", "é", None),)
    scene.ledger.claim(second, replace(rendition(second), media=media), "l", scene.now, scene.now)
    scene.ledger.record(second, "l", Step(Event.AUTH_FAILED, "401"), None, "auth failed", scene.now)
    scene.create(third, day=TODAY + timedelta(days=2))
    ledger.apply_plan("lille", [Slot("lille", "ouistock", TODAY, START, 10)], (), START)
    ledger.freeze_authority("lille", "example.org,2016")
    ledger.save_plan("lille", '{"plan": "é\\n"}', START)
    ledger.release(Release("lille", ENTRY, TODAY, START, START))
    ledger.remember_files({"content/a.md": "---\r\né\n"}, (), START)
    return ledger


def test_an_export_comes_back_byte_for_byte(url: str, shared_url: str) -> None:
    with open_ledger(url, now=START) as ledger:
        stream = io.StringIO()
        rows = fill(ledger).export(stream)
        first = stream.getvalue()
        deliveries, releases = ledger.deliveries(), ledger.releases("lille")
    other = shared_url.replace("ledger.db", "other.db") if "ledger.db" in shared_url else shared_url
    if url == other:
        other = "sqlite://"  # the one database of this test holds the export already
    with open_ledger(other, now=START) as copy:
        assert copy.import_(io.StringIO(first)) == rows
        assert exported(copy) == first
        assert copy.deliveries() == deliveries
        assert copy.releases("lille") == releases
        assert copy.paused() == {("lille", "outbox"): "401"}
        copy.adopt("paris", START)  # numbers of events go on after those that came in
        assert len(copy.history(deliveries[0].key)) == 4


def test_an_export_is_fit_for_a_diff(scene: Scene) -> None:
    fill(scene.ledger)
    lines = [json.loads(line) for line in exported(scene.ledger).splitlines()]
    assert lines[0] == {"format": "content-pipeline ledger", "schema": NEWEST}
    assert {line["table"] for line in lines[1:]} == {
        *("campaigns", "plans", "slots", "deliveries", "attempts", "pauses", "releases", "files", "events")
    }
    release = next(line for line in lines[1:] if line["table"] == "releases")
    assert release["snapshot"]["title"] == "« É » 🎈\u2028"
    assert release["released"] == "2016-04-11T07:00:00.000000Z"
    delivery = next(line for line in lines[1:] if line["table"] == "deliveries")
    assert delivery["body"] == "AMO/IGJ5dGVzIG9mIGxpbGxlL291aXN0b2NrL291dGJveA=="
    assert "é" in exported(scene.ledger)


def test_an_import_in_place_of_a_lost_ledger_doubts_what_may_have_been_sent_since(ledger: Ledger) -> None:
    day = timedelta(days=1)
    with open_ledger("sqlite://", now=START) as lost:
        scene = Scene(lost, VirtualClock(START))
        due, ahead = scene.key("due"), scene.key("ahead")
        missed, nobody = scene.key("missed"), scene.key("nobody")
        held, moved = scene.key("held"), scene.key("moved")
        scene.create(due)
        scene.create(ahead, day=TODAY + day, due=START + day, closes=START + 2 * day)
        scene.create(missed, day=TODAY - day, state=State.MISSED, reason="its window closed")
        scene.create(nobody, day=TODAY - 2 * day)
        scene.create(held, day=TODAY - 3 * day)
        scene.claim(held)
        lost.record(held, "first", Step(Event.REJECTED, "no"), None, "rejected", START)
        scene.create(moved, day=TODAY - 4 * day, due=START + MINUTE)
        document = exported(lost)
        assert lost.last_event() == START
    later = START + 5 * MINUTE
    doubt = Doubt(later, START, lambda was: None if was.key == nobody else rendition(was.key), {moved})
    ledger.import_(io.StringIO(document), doubt)
    states = {one.key.entry: one.state for one in ledger.deliveries()}
    assert states == {
        "due": State.UNKNOWN,
        "missed": State.UNKNOWN,
        "held": State.UNKNOWN,
        "moved": State.UNKNOWN,
        "ahead": State.PLANNED,
        "nobody": State.PLANNED,
    }
    doubted = ledger.delivery(due)
    assert doubted is not None
    assert doubted.rendition == rendition(due)
    assert (doubted.sent_at, doubted.lease_until, doubted.attempts) == (START, later, 0)
    assert "knows nothing after 2016-04-11 07:00:00 UTC" in str(doubted.reason)
    assert ledger.history(due)[-1].event == Event.RESTORED_OLD
    assert ledger.absent(doubted, later).state is State.PLANNED
    others = {one.key: one for one in ledger.deliveries()}
    assert others[held].closes == later, "what was held is not sent by itself"
    assert others[moved].sent_at == START, "it may have been sent before it was due"


def test_only_an_empty_ledger_takes_an_import(scene: Scene) -> None:
    scene.ledger.adopt("lille", START)
    document = exported(scene.ledger)
    with pytest.raises(WrongUse, match="not empty: it holds campaigns") as raised:
        scene.ledger.import_(io.StringIO(document))
    assert raised.value.hint


HEADER = json.dumps({"format": "content-pipeline ledger", "schema": NEWEST})
CAMPAIGN = '{"table":"campaigns","id":"lille","first_seen":"2016-04-11T07:00:00.000000Z","authority":null}'
BROKEN_IMPORTS = {
    "nothing": ("", WrongUse, "line 1 of the import is no JSON"),
    "no header": (CAMPAIGN, WrongUse, "line 1 of the import does not say that it is an export"),
    "no version": ('{"format":"content-pipeline ledger"}', WrongUse, "line 1"),
    "older": ('{"format":"content-pipeline ledger","schema":0}', WrongUse, "version 0 is older"),
    "newer": ('{"format":"content-pipeline ledger","schema":999}', LedgerTooNew, "version 999"),
    "cut off": (f"{HEADER}\n{CAMPAIGN}\n{CAMPAIGN[:40]}", WrongUse, "line 3 of the import is no JSON"),
    "a list": (f"{HEADER}\n[]", WrongUse, "line 2 of the import is no JSON object"),
    "no table": (f'{HEADER}\n{{"a":1}}', WrongUse, "line 2 of the import names no table"),
    "odd table": (f'{HEADER}\n{{"table":["x"]}}', WrongUse, "line 2 of the import names no table"),
    "a column too few": (f'{HEADER}\n{{"table":"files","path":"a"}}', WrongUse, "line 2 .* unknown: content"),
    "no instant": (
        f"{HEADER}\n{CAMPAIGN.replace('2016-04-11T', 'x')}",
        WrongUse,
        "line 2 of the import: a value of campaigns is unreadable",
    ),
    "an instant without zone": (f"{HEADER}\n{CAMPAIGN.replace('000000Z', '000000')}", WrongUse, "line 2"),
    "a number as text": (f'{HEADER}\n{{"table":"files","path":"a","content":1}}', WrongUse, "line 2"),
    "twice": (f"{HEADER}\n{CAMPAIGN}\n{CAMPAIGN}", WrongUse, "line 3 of the import breaks a rule"),
    "a missing value": (f'{HEADER}\n{{"table":"files","path":"a","content":null}}', WrongUse, "line 2"),
}


@pytest.mark.parametrize("fault", BROKEN_IMPORTS)
def test_a_broken_import_names_its_line_and_leaves_nothing(ledger: Ledger, fault: str) -> None:
    document, kind, message = BROKEN_IMPORTS[fault]
    empty = exported(ledger)
    with pytest.raises(PipelineError, match=message) as raised:
        ledger.import_(io.StringIO(document))
    assert type(raised.value) is kind
    assert exported(ledger) == empty


def test_a_state_that_is_none_is_refused_at_its_line(scene: Scene) -> None:
    scene.create(scene.key())
    document = exported(scene.ledger).replace('"state":"planned"', '"state":"queued"')
    with open_ledger("sqlite://", now=START) as other, pytest.raises(WrongUse, match="line 3 of the import"):
        other.import_(io.StringIO(document))


def test_an_import_into_a_full_disk_is_the_ledgers_fault(tmp_path: Path) -> None:
    with open_ledger("sqlite://", now=START) as full:
        full.remember_files({"a": "x" * 100_000}, (), START)
        document = exported(full)
    with open_ledger("sqlite://", now=START) as ledger:
        limit_pages(ledger)
        with pytest.raises(LedgerError, match="full") as raised:
            ledger.import_(io.StringIO(document))
        assert raised.value.hint == "Free some space on the disk, then try again: nothing was lost."
        assert ledger.good_files() == {}


def limit_pages(ledger: Ledger) -> None:
    """As if the disk were full: SQLite may not make the database any larger."""
    with ledger._database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


# ----------------------------------------------------------------------------- backups


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_backup_is_a_ledger_that_says_the_same(tmp_path: Path, kind: str) -> None:
    url = "sqlite://" if kind == "memory" else f"sqlite:///{tmp_path}/ledger.db"
    target = tmp_path / "backup.db"
    target.write_text("an older backup")
    with open_ledger(url, now=START) as ledger:
        fill(ledger).backup(target)
        before = exported(ledger)
    with open_ledger(f"sqlite:///{target}", now=START) as copy:
        assert exported(copy) == before
    assert {path.name for path in tmp_path.iterdir()} <= {"ledger.db", "backup.db"}


def test_a_backup_is_one_file_that_can_be_carried_away(tmp_path: Path) -> None:
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db", now=START) as ledger:
        fill(ledger).backup(tmp_path / "backup.db")
    carried = (tmp_path / "backup.db").read_bytes()
    (tmp_path / "elsewhere.db").write_bytes(carried)
    with closing(sqlite3.connect(tmp_path / "elsewhere.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("SELECT count(*) FROM deliveries").fetchone() == (3,)


def test_a_backup_while_somebody_writes_is_of_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(f"sqlite:///{path}", now=START) as ledger:
        fill(ledger)
        before = exported(ledger)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("DELETE FROM files")
            ledger.backup(tmp_path / "backup.db")
            other.execute("COMMIT")
    with open_ledger(f"sqlite:///{tmp_path}/backup.db", now=START) as copy:
        assert exported(copy) == before


def test_a_backup_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db", now=START) as ledger:
        with pytest.raises(LedgerError, match=r"nowhere/b\.db cannot be written: No such file or directory"):
            ledger.backup(tmp_path / "nowhere" / "b.db")
        with pytest.raises(WrongUse, match="is the ledger itself"):
            ledger.backup(tmp_path / "." / "ledger.db")


def test_a_server_has_its_own_backups(postgres_url: str, tmp_path: Path) -> None:
    with open_ledger(postgres_url, now=START) as ledger, pytest.raises(WrongUse) as raised:
        ledger.backup(tmp_path / "backup.db")
    assert "pg_dump" in str(raised.value.hint)
