"""What hubs are still to be told, on an SQLite file, in memory, and on a real PostgreSQL."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from pipeline.ledger import Ledger, open_ledger
from pipeline.ledger.pings import due_pings_query, next_ping_query
from pipeline.ledger.schema import pings
from tests.ledger.scene import START, exported
from tests.ledger.test_query_plans import plan

HUB = "https://hub.example/"
MINUTE = timedelta(minutes=1)


def stand(ledger: Ledger, digests: dict[str, str], *, news: bool = False, after: timedelta = MINUTE) -> int:
    now = START + after
    return ledger.feeds_stand(HUB, digests, due=now, now=now, news=news)


def topics(ledger: Ledger) -> list[str]:
    return [ping.topic for ping in ledger.due_pings(START + timedelta(days=1))]


def test_a_feed_seen_for_the_first_time_is_no_news(ledger: Ledger) -> None:
    assert stand(ledger, {"a": "1", "b": "1"}) == 0
    assert topics(ledger) == []
    assert ledger.next_ping() is None
    assert stand(ledger, {"c": "1"}, news=True) == 1
    assert topics(ledger) == ["c"]


def test_a_change_is_due_once(ledger: Ledger) -> None:
    stand(ledger, {"a": "1", "b": "1"})
    assert stand(ledger, {"a": "2", "b": "1"}, after=2 * MINUTE) == 1
    before = exported(ledger)
    assert stand(ledger, {"a": "2", "b": "1"}, after=3 * MINUTE) == 0
    assert exported(ledger) == before
    assert ledger.next_ping() == START + 2 * MINUTE
    assert ledger.next_ping(START + 2 * MINUTE) is None
    assert ledger.due_pings(START + MINUTE) == []
    (ping,) = ledger.due_pings(START + 2 * MINUTE)
    assert (ping.topic, ping.digest, ping.changed, ping.attempts) == ("a", "2", START + 2 * MINUTE, 0)


def test_each_hub_has_its_own(ledger: Ledger) -> None:
    stand(ledger, {"a": "1"}, news=True)
    ledger.feeds_stand("https://other.example/", {"a": "2"}, due=START, now=START, news=True)
    assert [ping.hub for ping in ledger.due_pings(START + MINUTE)] == ["https://other.example/", HUB]


def test_one_of_two_begins(ledger: Ledger) -> None:
    stand(ledger, {"a": "1"}, news=True)
    (ping,) = ledger.due_pings(START + MINUTE)
    began = ledger.begin_ping(ping, START + 2 * MINUTE, START + MINUTE)
    assert began is not None
    assert began.attempts == 1
    assert ledger.begin_ping(ping, START + 2 * MINUTE, START + MINUTE) is None
    assert ledger.due_pings(START + MINUTE) == []
    assert ledger.due_pings(START + 2 * MINUTE) == [began]


def test_of_many_threads_one_begins(shared_url: str) -> None:
    with open_ledger(shared_url, now=START) as ledger:
        stand(ledger, {"a": "1"}, news=True)
        (ping,) = ledger.due_pings(START + MINUTE)
        with ThreadPoolExecutor(8) as threads:
            began = list(threads.map(lambda _: ledger.begin_ping(ping, START + 2 * MINUTE, START), range(8)))
    assert sum(one is not None for one in began) == 1


def test_several_may_see_the_same_new_feed_at_once(shared_url: str) -> None:
    with open_ledger(shared_url, now=START) as ledger, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: stand(ledger, {"a": "1"}, news=True), range(8)))
        assert topics(ledger) == ["a"]


@pytest.mark.parametrize(
    ("reason", "again", "event"),
    [
        (None, None, "hub told"),
        ("answered 503", START + 9 * MINUTE, "hub not told"),
        ("answered 404", None, "hub given up"),
    ],
    ids=["told", "failed", "given up"],
)
def test_how_it_ended_is_kept(ledger: Ledger, reason: str | None, again: object, event: str) -> None:
    stand(ledger, {"a": "1"}, news=True)
    (ping,) = ledger.due_pings(START + MINUTE)
    began = ledger.begin_ping(ping, START + 2 * MINUTE, START + MINUTE)
    assert began is not None
    assert ledger.end_ping(began, reason=reason, again=again, now=START + MINUTE)
    assert ledger.next_ping() == again
    assert [(one.reason, one.not_before) for one in ledger.failed_pings()] == [(reason, again)] * bool(reason)
    assert f'"event":"{event}"' in exported(ledger)
    assert not ledger.end_ping(began, reason="late", again=None, now=START + MINUTE) or again is None


def test_a_change_meanwhile_is_not_taken_for_told(ledger: Ledger) -> None:
    stand(ledger, {"a": "1"}, news=True)
    (ping,) = ledger.due_pings(START + MINUTE)
    began = ledger.begin_ping(ping, START + 5 * MINUTE, START + MINUTE)
    assert began is not None
    stand(ledger, {"a": "2"}, after=2 * MINUTE)
    assert not ledger.end_ping(began, reason=None, again=None, now=START + 3 * MINUTE)
    (again,) = ledger.due_pings(START + 5 * MINUTE)
    assert (again.digest, again.attempts, again.reason) == ("2", 0, None)
    assert ledger.due_pings(START + 4 * MINUTE) == [], "the hub is not asked while it is being told"


def test_pings_are_part_of_an_export(ledger: Ledger, url: str) -> None:
    stand(ledger, {"a": "1", "b": "1"}, news=True)
    (first, _) = ledger.due_pings(START + MINUTE)
    ledger.end_ping(first, reason="answered 404", again=None, now=START + MINUTE)
    with open_ledger("sqlite://", now=START) as other:
        other.import_(io.StringIO(exported(ledger)))
        assert exported(other) == exported(ledger)
        assert other.failed_pings() == ledger.failed_pings()


def test_what_is_due_is_found_without_reading_what_was_told(ledger: Ledger) -> None:
    stand(ledger, {f"feed-{number}": "1" for number in range(300)})
    with ledger._database.reading() as connection:
        for query in (due_pings_query(START), next_ping_query(), next_ping_query(START)):
            words = plan(connection, query)
            assert "pings_due" in words, words
            assert f"SCAN {pings.name}\n" not in words + "\n"
