"""The proof in short: it holds, it can fail, and the same seed makes the same faults."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.model import Delivery, DeliveryKey, State
from tests.chaos import mix, run
from tests.chaos.result import Result, count
from tests.chaos.scene import CLASSES, Orders, mishaps, network


def test_nothing_twice_and_nothing_lost(tmp_path):
    result = run.play(Orders(200, seed=1), tmp_path)
    told = f"{result.text()}\n{(tmp_path / 'daemons.log').read_text()}"
    assert result.kept, told
    assert [(row.sent, row.missed) for row in result.rows] == [(40, 0)] * len(CLASSES), told
    # It was a storm, and those who could not know have asked.
    assert 0.3 < result.met.total() / result.requests < 0.5, told
    assert result.killed >= 3, told
    rows = {row.name: row for row in result.rows}
    assert rows["nothing"].unsure > 5, told
    assert not any(rows[name].unsure for name in ("permanent", "timed with lookup", "lookup")), told


@pytest.mark.long
def test_without_its_protection_it_fails(tmp_path, capsys):
    """Twice is found out: the servers count, and not what we believe."""
    words = ["--deliveries", "60", "--break", "requeue", "--keep", str(tmp_path / "new")]
    assert run.main(words) == 1
    told = capsys.readouterr().out
    duplicates = {line.split()[0]: int(line.split()[3]) for line in told.splitlines() if line[:4] == "noth"}
    assert duplicates["nothing"] > 0, told
    assert "THE PROMISE WAS NOT KEPT" in told


# --------------------------------------------------------------------------- what the count says

KEPT = Result(Orders(1), (), 10, Counter(), killed=1, downs=1, crashed=0, settled=True, took=timedelta(0))


def delivery(state: State, name: str = "lookup", attempts: int = 1) -> Delivery:
    key = DeliveryKey("c1", "a", f"{network(name)}-1")
    due = datetime(2016, 4, 11, 7, tzinfo=UTC)
    return Delivery(
        key=key, network=network(name), state=state, date=due.date(), due=due, closes=due, attempts=attempts
    )


def verdict(state: State, posts: int) -> tuple[bool, str]:
    """Whether the promise was kept, and which column says that it was not."""
    one = delivery(state)
    report = {name: {"posts": [str(one.key)] * posts if name == "lookup" else []} for name in CLASSES}
    rows = count([one], report)
    wrong = ("duplicates", "lost", "mistaken")
    columns = {column for row in rows for column in wrong if getattr(row, column)}
    return replace(KEPT, rows=rows).kept, " ".join(sorted(columns))


@pytest.mark.parametrize("state", [State.UNKNOWN, State.HELD, State.MISSED])
def test_what_waits_or_is_missed_is_not_lost(state):
    assert verdict(state, 0) == (True, "")


@pytest.mark.parametrize("state", [State.PUBLISHED, State.PLANNED, State.SENDING, State.CANCELLED])
def test_what_is_not_there_and_waits_for_nobody_is_lost(state):
    assert verdict(state, 0) == (False, "lost")


@pytest.mark.parametrize("state", [State.HELD, State.MISSED, State.PLANNED, State.CANCELLED])
def test_what_is_there_although_we_say_it_is_not_is_a_mistake(state):
    assert verdict(state, 1) == (False, "mistaken")


@pytest.mark.parametrize("state", [State.PUBLISHED, State.UNKNOWN])
def test_what_is_there_once_is_well_and_twice_is_a_duplicate(state):
    assert verdict(state, 1) == (True, "")
    assert verdict(state, 2) == (False, "duplicates")


@pytest.mark.parametrize("change", [{"settled": False}, {"crashed": 1}], ids=str)
def test_a_run_that_did_not_come_to_rest_or_lost_a_daemon_proves_nothing(change):
    assert KEPT.kept
    assert KEPT.text().endswith("nothing twice, nothing lost")
    unproven = replace(KEPT, **change)
    assert not unproven.kept
    assert "NOT PROVEN" in unproven.text()


# --------------------------------------------------------------------------- the seed

HEAD = "POST /hook HTTP/1.1\r\nHost: here\r\nwebhook-id: {}\r\nAccept: */*"


def choices(seed: int, order: list[str]) -> dict[tuple[str, int], str | None]:
    """The fault of each delivery's nth request, when they come in that order."""
    chosen, numbers, faults = {}, Counter[str](), mix.Mix(seed, "lookup")
    for message in order:
        numbers[message] += 1
        fault = faults.choose(HEAD.format(message))
        chosen[message, numbers[message]] = fault.name if fault else None
    return chosen


def test_the_same_seed_makes_the_same_faults_in_whatever_order_requests_come():
    order = [f"msg_{number % 100}" for number in range(500)]
    assert choices(1, order) == choices(1, sorted(order))
    assert choices(1, order) != choices(2, order)
    assert list(mishaps(Orders(seed=3))) == list(mishaps(Orders(seed=3)))


def test_about_two_in_five_requests_meet_a_fault_and_every_fault_is_met():
    met = Counter(choices(1, [f"msg_{number}" for number in range(3000)]).values())
    assert 0.37 < 1 - met.pop(None) / 3000 < 0.43
    assert set(met) == {fault.name for _, fault in mix.WEIGHTS}
