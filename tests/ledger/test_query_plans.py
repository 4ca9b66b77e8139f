"""What runs at each tick costs what is open, not what has been: every query uses an index."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Select, text

from pipeline.ledger import Ledger, open_ledger
from pipeline.ledger.copies import FORMAT
from pipeline.ledger.migrations import NEWEST
from pipeline.ledger.queries import (
    closing_query,
    due_query,
    expired_query,
    open_query,
    unsettled_query,
    wake_queries,
)
from pipeline.ledger.schema import instant_text
from pipeline.model import State
from tests.ledger.scene import START, TODAY

HISTORY = 3000
HOT = {
    "due": [due_query()],
    "unsettled": [unsettled_query()],
    "expire_leases": [expired_query()],
    "close_windows": [closing_query()],
    "next_wake": wake_queries(),
    "has_open": [open_query()],
}


def history() -> str:
    """An export with thousands of published deliveries, and two of each open state."""
    lines = [{"format": FORMAT, "schema": NEWEST}]
    seen = {"first_seen": instant_text(START), "authority": None}
    lines += [{"table": "campaigns", "id": f"c{n}", **seen} for n in range(4)]
    for n in range(HISTORY):
        state = [State.PLANNED, State.SENDING, State.UNKNOWN][n // 2] if n < 6 else State.PUBLISHED
        lines.append(row(n, state))
    return "\n".join(json.dumps(line) for line in lines)


def row(n: int, state: State) -> dict[str, object]:
    instant = instant_text(START)
    there = state is State.PUBLISHED
    return {
        "table": "deliveries",
        "campaign": f"c{n % 4}",
        "entry": f"e{n}",
        "channel": "outbox",
        "network": "outbox",
        "state": state,
        "date": (TODAY + timedelta(days=n)).isoformat(),
        "due": instant,
        "closes": instant_text(START + timedelta(hours=1)),
        "reason": None,
        "attempts": 1,
        "not_before": None,
        "lease": "lease" if state is State.SENDING else None,
        "lease_until": instant,
        "sent_at": instant,
        "rendition_key": "k",
        "body": "",
        "text": "t",
        "media": [],
        "remote_id": "1" if there else None,
        "url": None,
        "digest": "d" if there else None,
        "published_at": instant if there else None,
    }


@pytest.fixture(params=["memory", "postgresql"], scope="module")
def full(request: pytest.FixtureRequest) -> object:
    """A ledger with a long history. A plan does not depend on where it is kept: memory stands for a file."""
    if request.param == "memory":
        with open_ledger("sqlite://", now=START) as ledger:
            ledger.import_(io.StringIO(history()))
            yield ledger
    else:
        with (
            request.getfixturevalue("cluster").database() as url,
            open_ledger(url, now=START) as ledger,
        ):
            ledger.import_(io.StringIO(history()))
            yield ledger


def plan(connection: Connection, query: Select[object]) -> str:
    """How the database would answer the query, in its own words."""
    asked = query.params(dict.fromkeys(query.compile().params, START))
    statement = str(asked.compile(connection, compile_kwargs={"literal_binds": True}))
    if connection.dialect.name == "sqlite":
        lines = connection.execute(text(f"EXPLAIN QUERY PLAN {statement}".replace(":", r"\:"))).all()
        return "\n".join(line[-1] for line in lines)
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    return "\n".join(connection.execute(text(f"EXPLAIN {statement}".replace(":", r"\:"))).scalars())


@pytest.mark.parametrize("name", HOT)
def test_a_hot_query_uses_an_index_of_what_is_open(full: Ledger, name: str) -> None:
    fitting = {"deliveries_open", "deliveries_closing"}  # both hold what is open, and only that
    with full._database.reading() as connection:
        for query in HOT[name]:
            words = plan(connection, query)
            assert any(index in words for index in fitting), words
            assert "SCAN deliveries" not in words
            assert "Seq Scan on deliveries" not in words


def test_the_hot_queries_find_what_is_open(full: Ledger) -> None:
    assert [found.state for found in full.due(START)] == [State.PLANNED] * 2
    assert [found.state for found in full.unsettled()] == [State.UNKNOWN] * 2
    assert full.next_wake() == START


@pytest.mark.parametrize("index", ["deliveries_open", "deliveries_closing"])
def test_history_is_not_in_the_indexes(full: Ledger, index: str) -> None:
    """Counted by reading through the index alone: its condition is what keeps history out."""
    condition = {"deliveries_open": "wakes IS NOT NULL", "deliveries_closing": "state = 'planned'"}[index]
    catalogue = (
        "SELECT sql FROM sqlite_master WHERE name = :name"
        if full._database.is_sqlite
        else "SELECT indexdef FROM pg_indexes WHERE indexname = :name"
    )
    with full._database.reading() as connection:
        definition = connection.execute(text(catalogue), {"name": index}).scalar_one()
        count = connection.execute(text(f"SELECT count(*) FROM deliveries WHERE {condition}")).scalar_one()
    assert "WHERE" in definition
    assert count <= 6
