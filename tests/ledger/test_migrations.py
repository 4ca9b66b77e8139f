"""From every older version to the present one; and the rules that the database keeps by itself."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.exc import DBAPIError

from pipeline.errors import LedgerError, LedgerTooNew
from pipeline.ledger import Ledger, open_ledger
from pipeline.ledger.database import Database
from pipeline.ledger.migrations import NEWEST, STEPS, Step, migrate, version_of
from pipeline.ledger.schema import campaigns, deliveries, metadata
from pipeline.model import State
from tests.ledger.scene import START, TODAY, Scene, exported, receipt, rendition


def quiet(_: str) -> None:
    """Nobody watches."""


def at_version(url: str, version: int) -> None:
    """Make the database one of that version, as the program of that time left it."""
    database = Database(url)
    with database.writing() as connection:
        migrate(connection, START, quiet, STEPS[:version])
    database.close()


def in_a_folder(url: str) -> None:
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).parent.mkdir()


def add_a_column(connection: Connection) -> None:
    """A step as a later version may have it."""
    connection.exec_driver_sql("ALTER TABLE campaigns ADD COLUMN colour TEXT")


LATER: tuple[Step, ...] = (*STEPS, add_a_column)


@pytest.mark.parametrize("version", range(NEWEST + 1))
def test_every_version_becomes_the_present_one(shared_url: str, version: int) -> None:
    in_a_folder(shared_url)
    at_version(shared_url, version)
    for _ in range(2):
        with open_ledger(shared_url, now=START) as ledger, ledger._database.reading() as connection:
            assert version_of(connection) == NEWEST
            assert_as_queries_see_it(connection)


def assert_as_queries_see_it(connection: Connection) -> None:
    """Tables, columns and keys of the database are those of `schema`."""
    found = inspect(connection)
    assert set(found.get_table_names()) == set(metadata.tables)
    for name, table in metadata.tables.items():
        columns = {column["name"]: column for column in found.get_columns(name)}
        assert list(columns) == [column.name for column in table.columns]
        for column in table.columns:
            kind = column.type.compile(connection.dialect)
            there = columns[column.name]["type"].compile(connection.dialect)
            assert there == kind.replace("BIGINT", "INTEGER" if connection.dialect.name == "sqlite" else kind)
            assert columns[column.name]["nullable"] is (column.nullable or False)
        assert found.get_pk_constraint(name)["constrained_columns"] == [c.name for c in table.primary_key]


def test_a_ledger_of_the_first_version_keeps_what_it_holds_and_learns_of_hubs(shared_url: str) -> None:
    in_a_folder(shared_url)
    at_version(shared_url, 1)
    old = Database(shared_url)
    with old.writing() as connection:
        connection.execute(insert(campaigns).values(id="lille", first_seen=START))
    old.close()
    with open_ledger(shared_url, now=START) as ledger:
        assert [campaign.id for campaign in ledger.campaigns()] == ["lille"]
        assert '"note":"version 1 → ' in exported(ledger)
        assert ledger.failed_pings() == []
        ledger.feeds_stand("https://hub.example/", {"feed": "1"}, due=START, now=START, news=True)
        assert [ping.topic for ping in ledger.due_pings(START)] == ["feed"]


def test_a_failed_migration_leaves_the_old_version(shared_url: str) -> None:
    in_a_folder(shared_url)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            open_ledger(shared_url, now=START, probe=lambda name: 1 // (name != "migrating"))
        database = Database(shared_url)
        with database.reading() as connection:
            assert inspect(connection).get_table_names() == []
        database.close()
    open_ledger(shared_url, now=START).close()


def test_a_migration_killed_half_way_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    url = f"sqlite:///{path}"
    with open_ledger(url, now=START) as ledger:
        ledger.adopt("lille", START)
    script = """
        import os, signal, sys
        from pipeline.ledger.database import Database
        from pipeline.ledger.migrations import migrate
        from tests.ledger.test_migrations import LATER, START

        with Database(sys.argv[1]).writing() as connection:
            migrate(connection, START, lambda name: os.kill(os.getpid(), signal.SIGKILL), LATER)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), url], cwd=Path(__file__).parents[2], check=False
    )
    assert ended.returncode == -9
    with open_ledger(url, now=START) as ledger, ledger._database.reading() as connection:
        assert version_of(connection) == NEWEST
        assert_as_queries_see_it(connection)
        assert ledger.campaign("lille") is not None


def test_a_migration_keeps_what_is_there_and_is_an_event(shared_url: str) -> None:
    with open_ledger(shared_url, now=START) as ledger:
        ledger.adopt("lille", START)
        told: list[str] = []
        with ledger._database.writing() as connection:
            migrate(connection, START, told.append, LATER)
        assert told == ["migrating"]
        with pytest.raises(LedgerTooNew), ledger._database.writing() as connection:
            migrate(connection, START, quiet)  # somebody upgraded between the look and the lock
        with ledger._database.reading() as connection:
            assert version_of(connection) == len(LATER)
        assert ledger.campaign("lille") is not None
        assert f'"ledger migrated","to_state":null,"note":"version {NEWEST} → {len(LATER)}"' in exported(
            ledger
        )
    with pytest.raises(
        LedgerTooNew, match=f"version {len(LATER)}, this program knows versions up to {NEWEST}"
    ):
        open_ledger(shared_url, now=START)


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/other.db")
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE bookmarks (url TEXT)")
    database.close()
    with pytest.raises(LedgerError, match="not a ledger: it holds bookmarks"):
        open_ledger(f"sqlite:///{tmp_path}/other.db", now=START)


def test_a_server_may_hold_other_tables(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE bookmarks (url TEXT)")
    database.close()
    with open_ledger(postgres_url, now=START) as ledger:
        assert ledger.deliveries() == []


# ----------------------------------------------------------------------------- rules kept by the database


@pytest.mark.parametrize("state", State, ids=str)
def test_every_state_can_be_kept(scene: Scene, state: State) -> None:
    key = scene.key()
    scene.ledger.adopt("lille", START)
    sent = rendition(key)
    values = {
        **key._asdict(),
        "network": "outbox",
        "state": state,
        "date": None if state is State.CANCELLED else TODAY,
        "due": START,
        "closes": START,
        "attempts": 1,
        "lease": "lease" if state is State.SENDING else None,
        "lease_until": START,
        "sent_at": START,
        "rendition_key": sent.key,
        "body": sent.body,
        "text": sent.text,
        "media": "[]",
    }
    if state in (State.PUBLISHED, State.DELETED):
        proof = receipt()
        values |= {"remote_id": proof.remote_id, "url": None, "digest": proof.digest, "published_at": START}
    with scene.ledger._database.writing() as connection:
        connection.execute(insert(deliveries).values(**values))
    assert scene.read(key).state is state
    assert scene.read(key).rendition == sent


BROKEN_RULES = {
    "a word that is no state": "UPDATE deliveries SET state = 'queued'",
    "published without a receipt": "UPDATE deliveries SET state = 'published'",
    "a receipt while planned": "UPDATE deliveries SET remote_id = '1', digest = 'd', published_at = due",
    "a receipt without a digest": (
        "UPDATE deliveries SET state = 'published', remote_id = '1', published_at = due"
    ),
    "sending without a lease": "UPDATE deliveries SET state = 'sending'",
    "a lease while planned": "UPDATE deliveries SET lease = 'l'",
    "unknown without what was sent": "UPDATE deliveries SET state = 'unknown', lease_until = due",
    "half a rendition": "UPDATE deliveries SET text = 'text'",
    "planned without a day": "UPDATE deliveries SET date = NULL",
    "cancelled with a day": "UPDATE deliveries SET state = 'cancelled'",
    "fewer attempts than none": "UPDATE deliveries SET attempts = -1",
    "two on one day": "UPDATE deliveries SET date = '2016-04-11'",
    "the same delivery twice": "UPDATE deliveries SET entry = 'a'",
    "a delivery of no campaign": "UPDATE deliveries SET campaign = 'nowhere' WHERE entry = 'a'",
    "an event changed": "UPDATE events SET note = 'never happened'",
    "an event removed": "DELETE FROM events",
    "an attempt with half an end": "UPDATE attempts SET ended = started, outcome = NULL",
    "a ping tried fewer times than never": "UPDATE pings SET attempts = -1",
    "a feed twice at one hub": "UPDATE pings SET topic = 'feed'",
    "an attempt before the first": "UPDATE attempts SET number = 0",
}


@pytest.fixture(params=["memory", "postgresql"], scope="module")
def ruled(request: pytest.FixtureRequest) -> object:
    """A ledger with two planned deliveries and an attempt, whose every breach is rolled back."""
    if request.param == "memory":
        with open_ledger("sqlite://", now=START) as ledger:
            yield filled(ledger)
    else:
        with (
            request.getfixturevalue("cluster").database() as url,
            open_ledger(url, now=START) as ledger,
        ):
            yield filled(ledger)


def filled(ledger: Ledger) -> Ledger:
    from datetime import timedelta

    from pipeline.clock import VirtualClock
    from pipeline.delivery import Event as What
    from pipeline.delivery import Step as Outcome

    scene = Scene(ledger, VirtualClock(START))
    for day, entry in enumerate("abc"):
        scene.create(scene.key(entry), day=TODAY + timedelta(days=day))
    ledger.feeds_stand("hub", {"feed": "1", "other": "1"}, due=START, now=START, news=True)
    scene.claim(scene.key("c"))
    scene.ledger.record(scene.key("c"), "first", Outcome(What.NOT_ACCEPTED, "no"), None, "no", START)
    return ledger


@pytest.mark.parametrize("breach", BROKEN_RULES)
def test_the_database_refuses(ruled: Ledger, breach: str) -> None:
    before = exported(ruled)
    with pytest.raises(LedgerError) as raised, ruled._database.writing() as connection:
        connection.execute(text(BROKEN_RULES[breach]))
    assert isinstance(raised.value.__cause__, DBAPIError)
    assert exported(ruled) == before
