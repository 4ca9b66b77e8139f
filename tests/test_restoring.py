"""A lost ledger comes back from an older export: what was posted since is not posted again, nor lost."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.channels import open_channel
from pipeline.channels.base import Channel, Surroundings
from pipeline.clock import VirtualClock
from pipeline.errors import LedgerGone, WrongUse
from pipeline.ledger import open_ledger
from pipeline.model import DeliveryKey, NoKey, State, TimedKey
from pipeline.restoring import restore
from tests.support import processes
from tests.support.channels import PERMANENT, FaultyChannel, no_answer
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KEY = DeliveryKey("lille", "a", "outbox")

KINDS = {
    "permanent key": replace(PERMANENT, lookup=False),
    "timed key": replace(PERMANENT, key=TimedKey(HOUR), lookup=False),
    "read-back": replace(PERMANENT, key=NoKey()),
    "nothing": replace(PERMANENT, key=NoKey(), lookup=False),
}


class Scene:
    """A project with two entries, a network, and a ledger that can be lost and restored."""

    def __init__(self, root: Path, kind: str = "permanent key", **keys: str) -> None:
        self.clock = VirtualClock(DUE - HOUR)
        self.channel = FaultyChannel(clock=self.clock, traits=KINDS[kind])
        self.project = Project(root, DUE)
        for entry in ("a", "b"):
            self.project.entry(entry)
        self.project.campaign("a", "b", **keys)

    def at(self, instant: datetime, rounds: int = 1) -> dict[str, State]:
        """Look `rounds` times, a minute apart, from `instant` on; the states, by entry."""
        self.clock.advance(instant - self.clock.now())
        with self.project.open(self.clock, channels={"outbox": self.channel}) as pipeline:
            for _ in range(rounds):
                pipeline.tick()
                self.clock.advance(MINUTE)
            return {one.key.entry: one.state for one in pipeline.ledger.deliveries()}

    def export(self) -> str:
        stream = io.StringIO()
        with self.project.open_ledger() as ledger:
            ledger.export(stream)
        return stream.getvalue()

    def lose_and_restore(self, export: str) -> None:
        for path in (self.project.root / "state").glob("ledger.db*"):
            path.unlink()
        now = self.clock.now()
        with open_ledger("sqlite://", now=now) as draft, self.project.open_ledger() as ledger:
            restore(
                self.project.root,
                lambda: nullcontext(io.StringIO(export)),
                into=ledger,
                draft=draft,
                open_channel=self.open_channel,
                now=now,
            )

    def open_channel(self, campaign, config) -> Channel:
        around = Surroundings(self.project.root, self.project.public, lambda *_: None, self.clock.now)
        return self.channel if config.id == "outbox" else open_channel(campaign, config, around)

    @property
    def posts(self) -> int:
        return self.channel.remote.made


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_posted_after_the_export_is_not_posted_again(tmp_path, kind):
    scene = Scene(tmp_path, kind)
    scene.at(DUE - HOUR)
    old = scene.export()
    assert scene.at(DUE)["a"] is State.PUBLISHED
    scene.lose_and_restore(old)
    after = scene.at(DUE + 2 * MINUTE, rounds=10)
    assert scene.posts == 1
    assert after == {"a": State.UNKNOWN if kind == "nothing" else State.PUBLISHED, "b": State.PLANNED}
    assert scene.at(DUE + DAY)["b"] is State.PUBLISHED


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_posted_after_the_export_is_not_lost(tmp_path, kind):
    scene = Scene(tmp_path, kind)
    scene.at(DUE - HOUR)
    old = scene.export()
    scene.clock.advance(DUE + MINUTE - scene.clock.now())  # nothing ran: the machine was broken
    scene.lose_and_restore(old)
    after = scene.at(DUE + 2 * MINUTE, rounds=10)["a"]
    if kind == "nothing":
        assert (after, scene.posts) == (State.UNKNOWN, 0)
        with scene.project.open(scene.clock, channels={"outbox": scene.channel}) as pipeline:
            (asked,) = pipeline.waiting()
            assert "restored from an export" in asked.happened
            assert "a request was sent" not in asked.happened
            pipeline.ledger.resolve(KEY, posted=False, url=None, now=scene.clock.now())
        after = scene.at(scene.clock.now())["a"]
    assert (after, scene.posts) == (State.PUBLISHED, 1)


def test_a_timed_key_that_may_be_over_is_not_relied_on(tmp_path):
    scene = Scene(tmp_path, "timed key")
    scene.at(DUE - HOUR)
    old = scene.export()
    scene.at(DUE)
    scene.clock.advance(HOUR)
    scene.lose_and_restore(old)
    assert scene.at(scene.clock.now(), rounds=5)["a"] is State.UNKNOWN
    assert scene.posts == 1


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("state", [State.SENDING, State.UNKNOWN])
def test_what_was_under_way_in_the_export_is_looked_into(tmp_path, state, accepted):
    scene = Scene(tmp_path, "read-back")
    scene.at(DUE - HOUR)
    scene.channel.fail("publish", no_answer(accepted=accepted))
    exports = []

    def probe(point: str) -> None:
        if point == "before receipt":
            exports.append(scene.export())

    scene.clock.advance(DUE - scene.clock.now())
    with scene.project.open(scene.clock, channels={"outbox": scene.channel}, probe=probe) as pipeline:
        pipeline.tick()
    exports.append(scene.export())
    scene.lose_and_restore(exports[0] if state is State.SENDING else exports[-1])
    assert scene.project.states()["lille/a/outbox"] == state
    assert scene.at(DUE + MINUTE, rounds=10)["a"] is State.PUBLISHED
    assert scene.posts == 1


@pytest.mark.parametrize("kind", ["permanent key", "read-back", "nothing"])
def test_what_was_missed_moved_and_then_posted_is_not_posted_again(tmp_path, kind):
    scene = Scene(tmp_path, kind)
    scene.at(DUE - HOUR)
    assert scene.at(DUE + 7 * HOUR)["a"] is State.MISSED
    old = scene.export()
    scene.project.campaign("a", "b", days_off=3)  # days become free: the missed slot moves
    scene.project.write(
        "schedules/lille.yaml",
        (scene.project.root / "schedules/lille.yaml").read_text().replace('"2016-04-12"', '"2016-04-14"'),
    )
    scene.at(DUE + 8 * HOUR)
    (moved_to,) = (one.due for one in deliveries(scene) if one.key == KEY)
    assert moved_to > DUE
    assert scene.at(moved_to)["a"] is State.PUBLISHED
    posted = scene.posts
    scene.lose_and_restore(old)
    scene.at(scene.clock.now(), rounds=10)
    for later in range(1, 4):
        scene.at(moved_to + later * DAY, rounds=2)
    keys = [post.key for post in scene.channel.remote.posts.values()]
    assert len(keys) == len(set(keys)) == posted


def deliveries(scene: Scene):
    with scene.project.open_ledger() as ledger:
        return ledger.deliveries()


def test_a_text_that_could_be_mended_and_sent_again_stops_the_import(tmp_path):
    scene = Scene(tmp_path)
    scene.at(DUE - HOUR)
    old = scene.export()
    scene.at(DUE)
    scene.channel = FaultyChannel(clock=scene.clock, limit=5)
    with pytest.raises(WrongUse, match="lille/a/outbox may have been sent since") as raised:
        scene.lose_and_restore(old)
    assert "nothing was imported" in raised.value.hint
    assert deliveries(scene) == []


def test_what_nobody_will_send_is_not_doubted(tmp_path):
    scene = Scene(tmp_path)
    scene.at(DUE - HOUR)
    old = scene.export()
    scene.at(DUE)
    (scene.project.root / "content/a.md").unlink()
    scene.lose_and_restore(old)
    assert scene.at(DUE + 2 * MINUTE) == {"a": State.CANCELLED, "b": State.PLANNED}


def test_another_projects_export_is_refused(tmp_path):
    scene = Scene(tmp_path / "one")
    scene.at(DUE - HOUR)
    other = Project(tmp_path / "two", DUE)
    other.entry("x")
    other.campaign("x", campaign_id="autre")
    with other.open(VirtualClock(DUE - HOUR)) as pipeline:
        pipeline.tick()
    stream = io.StringIO()
    with other.open_ledger() as ledger:
        ledger.export(stream)
    with pytest.raises(LedgerGone, match="another project"):
        scene.lose_and_restore(stream.getvalue())
    assert deliveries(scene) == []


@pytest.mark.long
def test_the_commands_bring_a_lost_ledger_back(tmp_path):
    """With the real outbox, in processes: export, post, lose, refuse, import, settle."""
    project = Project(tmp_path, processes.CLOCK.now() - 10 * MINUTE)
    project.entry("a")
    project.campaign("a", channels={"outbox": {"timeout": "1s"}})
    with project.open(VirtualClock(project.due - MINUTE)) as pipeline:
        pipeline.tick()
    export = tmp_path / "export.jsonl"
    assert processes.pipeline(tmp_path, "ledger export", str(export)).returncode == 0
    assert processes.pipeline(tmp_path, "tick").returncode == 0
    before = project.outbox_bytes()
    for path in (tmp_path / "state").glob("ledger.db*"):
        path.unlink()
    refused = processes.pipeline(tmp_path, "tick")
    assert refused.returncode == 4
    assert "pipeline ledger import" in refused.stderr
    assert processes.pipeline(tmp_path, "ledger import", str(export)).returncode == 0
    assert project.states() == {"lille/a/outbox": "unknown"}
    with project.open(processes.CLOCK) as pipeline:
        pipeline.tick()
    assert project.states() == {"lille/a/outbox": "published"}
    posts = {path: text for path, text in project.outbox_bytes().items() if "outbox" in path}
    assert posts == {path: text for path, text in before.items() if "outbox" in path}
