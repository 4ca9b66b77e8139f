"""An answer in hand waits for the ledger, for a bounded time, and then the log has it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.clock import VirtualClock
from pipeline.delivery import ROOM
from pipeline.model import NoKey, State, Traits
from pipeline.receipts import PATIENCE, WHEN_STOPPING
from pipeline.tick import Pipeline
from tests.support.channels import PERMANENT, FaultyChannel, rejected
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
# No key, no read-back: a receipt that is dropped could only be replaced by a person.
NOTHING = Traits(NoKey(), lookup=False, edit=False, delete=False, timeout=30 * SECOND, settle=MINUTE)


class LockedUntil(VirtualClock):
    """A clock on which somebody else's lock on the ledger is given up at `until`, or when asked to."""

    until: datetime | None = None
    release: Callable[[], None] | None = None

    def sleep_until(self, instant: datetime) -> None:
        super().sleep_until(instant)
        if self.until is not None and self.now() >= self.until and self.release is not None:
            self.release()
            self.release = None


class Scene:
    """A delivery is due; right after the network's answer the ledger is locked."""

    def __init__(self, root: Path, span: timedelta) -> None:
        self.clock = LockedUntil(DUE)
        self.clock.until = DUE + span
        self.channel = FaultyChannel(clock=self.clock, traits=NOTHING)
        self.project = Project(root, DUE, ledger=f"sqlite:///{root}/state/ledger.db?timeout=0.01")
        self.project.entry("a")
        self.project.campaign("a")
        with self.project.open(VirtualClock(DUE - MINUTE)) as pipeline:
            pipeline.tick()

    @property
    def path(self) -> Path:
        return self.project.root / "state/ledger.db"

    def send(self, then: Callable[[Pipeline], None] = lambda _: None) -> None:
        """Tick, and have the ledger locked from the answer on."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:

            def probe(point: str) -> None:
                if point == "after reply":
                    other.execute("BEGIN IMMEDIATE")
                    self.clock.release = lambda: other.execute("ROLLBACK") and None
                    then(pipeline)

            channels = {"outbox": self.channel}
            with self.project.open(self.clock, channels=channels, probe=probe) as pipeline:
                try:
                    pipeline.tick()
                finally:
                    if other.in_transaction:
                        other.execute("ROLLBACK")

    @property
    def state(self) -> str:
        return self.project.states()["lille/a/outbox"]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield


@pytest.mark.parametrize("span", [5 * SECOND, PERMANENT.timeout + ROOM + MINUTE])
def test_a_receipt_waits_for_a_locked_ledger_also_beyond_its_lease(tmp_path, span, caplog):
    scene = Scene(tmp_path, span)
    scene.send()
    assert scene.state == "published"
    assert scene.channel.remote.made == 1
    assert "the answer waits for the ledger" in caplog.text
    with scene.project.open_ledger() as ledger:
        (sent,) = ledger.deliveries()
        assert sent.published_at == DUE, "the instant of the answer, not that of the writing"


def test_patience_has_an_end_and_then_the_log_has_the_receipt(tmp_path, caplog):
    scene = Scene(tmp_path, timedelta(days=1))
    began = scene.clock.now()
    with pytest.raises(Exception, match="is locked"):
        scene.send()
    assert timedelta(0) <= scene.clock.now() - began - NOTHING.timeout - ROOM - PATIENCE < MINUTE
    assert "posted as post-1" in caplog.text
    assert "pipeline resolve lille/a/outbox posted --url https://memory.example/post-1" in caplog.text
    with scene.project.open(scene.clock, channels={"outbox": scene.channel}) as pipeline:
        pipeline.tick()
        assert [one.state for one in pipeline.ledger.deliveries()] == [State.UNKNOWN]
    assert scene.channel.remote.made == 1


def test_a_stop_shortens_the_patience(tmp_path):
    scene = Scene(tmp_path, timedelta(days=1))
    with pytest.raises(Exception, match="is locked"):
        scene.send(then=lambda pipeline: pipeline.begin_no_more())
    assert WHEN_STOPPING <= scene.clock.now() - DUE < WHEN_STOPPING + MINUTE / 2


def test_a_stop_still_leaves_time_for_the_receipt(tmp_path):
    scene = Scene(tmp_path, 10 * SECOND)
    scene.send(then=lambda pipeline: pipeline.begin_no_more())
    assert scene.state == "published"


def test_a_refusal_waits_as_long_as_its_lease(tmp_path, caplog):
    scene = Scene(tmp_path, 20 * SECOND)
    scene.channel.fail("publish", rejected())
    scene.send()
    assert scene.state == "held"


def test_a_refusal_does_not_wait_when_it_would_change_nothing(tmp_path, caplog):
    scene = Scene(tmp_path, timedelta(days=1))
    scene.channel.fail("publish", rejected())
    with pytest.raises(Exception, match="is locked"):
        scene.send()
    assert scene.clock.now() - DUE < NOTHING.timeout + ROOM + MINUTE / 2
    assert "could not be written down" in caplog.text


def test_a_ledger_that_is_gone_is_not_waited_for(tmp_path, caplog):
    scene = Scene(tmp_path, timedelta(days=1))
    with pytest.raises(Exception, match="was deleted while it was in use"):
        scene.send(then=lambda _: scene.path.unlink())
    assert scene.clock.now() == DUE
    assert "posted as post-1" in caplog.text
