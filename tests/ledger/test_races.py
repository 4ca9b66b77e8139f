"""Two at once: threads on one ledger, processes on one database. Exactly one of them wins."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain
from pathlib import Path
from threading import Barrier

import pytest

from pipeline.clock import VirtualClock
from pipeline.delivery import Event, Step
from pipeline.errors import LostRace
from pipeline.ledger import Ledger, open_ledger
from pipeline.model import DeliveryKey, State
from tests.ledger.scene import SOON, START, Scene, receipt, rendition

ROOT = Path(__file__).parents[2]
PRELUDE = """
    import sys
    from datetime import date, timedelta
    from pipeline.delivery import Create
    from pipeline.errors import LostRace
    from pipeline.ledger import open_ledger
    from pipeline.model import DeliveryKey, Slot
    from tests.ledger.scene import SOON, START, rendition

    def ready():
        print("ready", flush=True)
        sys.stdin.readline()
"""
CLAIMS = """
    with open_ledger(sys.argv[1], now=START) as ledger:
        ready()
        for delivery in ledger.deliveries():
            try:
                ledger.claim(delivery.key, rendition(delivery.key), sys.argv[2], START + SOON, START)
            except LostRace:
                continue
            print(delivery.key)
"""
PLANS = """
    with open_ledger(sys.argv[1], now=START) as ledger:
        ready()
        days = [START + timedelta(days=n) for n in range(30)]
        slots = [Slot("lille", f"e{n}", day.date(), day, 1) for n, day in enumerate(days)]
        creates = [
            Create(DeliveryKey("lille", f"e{n}", "outbox"), sys.argv[2], day.date(), day, day + SOON)
            for n, day in enumerate(days)
        ]
        try:
            ledger.apply_plan("lille", slots, creates, START)
        except LostRace:
            print("lost")
        else:
            print("won", sys.argv[2])
"""
OPENS = """
    ready()
    with open_ledger(sys.argv[1], now=START) as ledger:
        print(ledger.adopt("lille", START).id)
"""


def race(script: str, url: str, names: Sequence[str]) -> list[list[str]]:
    """Run the script in one process per name, all let go at the same moment; the lines each printed."""
    source = textwrap.dedent(PRELUDE) + textwrap.dedent(script)
    runners = [
        subprocess.Popen(
            [sys.executable, "-c", source, url, name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for runner in runners:
        assert runner.stdout is not None
        assert runner.stdout.readline() == "ready\n"
    for runner in runners:
        assert runner.stdin is not None
        runner.stdin.write("go\n")
        runner.stdin.flush()
    printed = [runner.communicate(timeout=60)[0].splitlines() for runner in runners]
    assert [runner.returncode for runner in runners] == [0] * len(runners)
    return printed


def many(scene: Scene, number: int) -> list[DeliveryKey]:
    keys = [scene.key(f"e{n:02}") for n in range(number)]
    for n, key in enumerate(keys):
        scene.create(key, day=START.date() + timedelta(days=n))
    return keys


def test_of_two_processes_one_claims_each_delivery(shared_url: str, clock: VirtualClock) -> None:
    with open_ledger(shared_url, now=START) as ledger:
        keys = many(Scene(ledger, clock), 25)
        printed = race(CLAIMS, shared_url, ["a", "b"])
        assert Counter(chain.from_iterable(printed)) == Counter(str(key) for key in keys)
        winners = {str(key): name for name, lines in zip("ab", printed, strict=True) for key in lines}
        assert {str(found.key): found.lease for found in ledger.deliveries()} == winners
        assert all(len(ledger.attempts(key)) == 1 for key in keys)


def test_of_many_threads_one_claims_each_delivery(scene: Scene) -> None:
    keys = many(scene, 10)
    barrier = Barrier(4)

    def claim_all(name: str) -> list[DeliveryKey]:
        won = []
        barrier.wait()
        for key in keys:
            try:
                scene.ledger.claim(key, rendition(key), name, START + SOON, START)
            except LostRace:
                continue
            won.append(key)
        return won

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(claim_all, "abcd"))
    assert Counter(chain.from_iterable(won)) == Counter(keys)


def test_of_two_plans_one_is_applied_whole(shared_url: str) -> None:
    with open_ledger(shared_url, now=START) as ledger:
        ledger.adopt("lille", START)
        printed = race(PLANS, shared_url, ["a", "b"])
        (winner,) = (line for lines in printed for line in lines if line.startswith("won"))
        assert Counter(lines[0].split()[0] for lines in printed) == {"won": 1, "lost": 1}
        assert [found.network for found in ledger.deliveries()] == [winner.split()[1]] * 30


def test_a_new_ledger_may_be_opened_by_many_at_once(shared_url: str) -> None:
    assert race(OPENS, shared_url, ["a", "b", "c"]) == [["lille"]] * 3


def test_a_receipt_is_never_lost_to_an_expiring_lease(shared_url: str, clock: VirtualClock) -> None:
    """Whoever comes first, the receipt is on record at the end."""
    with open_ledger(shared_url, now=START) as ledger, open_ledger(shared_url, now=START) as other:
        scene = Scene(ledger, clock)
        keys = many(scene, 20)
        for key in keys:
            scene.claim(key)
        clock.advance(SOON)
        now = clock.now()

        def record(key: DeliveryKey) -> State:
            step = Step(Event.RECEIPT)
            return ledger.record(key, "first", step, receipt(key.entry), "published", now).state

        with ThreadPoolExecutor(2) as pool:
            expiring = pool.submit(lambda: [other.expire_leases(now) for _ in range(10)])
            states = [record(key) for key in keys]
            expiring.result()
        assert states == [State.PUBLISHED] * 20
        assert {found.state for found in ledger.deliveries()} == {State.PUBLISHED}


def test_a_stale_view_moves_nothing(scene: Scene) -> None:
    key = scene.key()
    was = scene.create(key)
    scene.claim(key)
    before = scene.read(key)
    with (
        pytest.raises(LostRace, match="moved by 'grace over'"),
        scene.ledger._database.writing() as connection,
    ):
        scene.ledger._move(connection, was, Event.GRACE_OVER, START)
    assert scene.read(key) == before


def test_a_new_ledger_object_per_thread_is_fine(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"

    def adopt(name: str) -> str:
        ledger: Ledger
        with open_ledger(url, now=START) as ledger:
            return ledger.adopt(name, START).id

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(adopt, "dcba")) == list("abcd")
