"""A lost ledger comes back from an older export: what was posted since is not posted again, nor lost."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.channels import open_channel
from pipeline.channels.base import Channel, Surroundings
from pipeline.clock import VirtualClock
from pipeline.errors import LedgerGone, WrongUse
from pipeline.ledger import Ledger, open_ledger
from pipeline.model import DeliveryKey, NoKey, State, TimedKey
from pipeline.restoring import restore
from tests.support import processes
from tests.support.channels import PERMANENT, FaultyChannel, no_answer, rejected
from tests.support.projects import PIXEL, Project

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

    def __init__(self, root: Path, kind: str = "permanent key", **keys: Any) -> None:
        self.clock = VirtualClock(DUE - HOUR)
        self.channel = FaultyChannel(clock=self.clock, traits=KINDS[kind])
        self.channels = {"outbox": self.channel, "other": self.channel}
        self.project = Project(root, DUE)
        for entry in ("a", "b"):
            self.project.entry(entry)
        self.project.campaign("a", "b", **keys)

    def at(self, instant: datetime, rounds: int = 1) -> dict[str, State]:
        """Look `rounds` times, a minute apart, from `instant` on; the states, by entry."""
        self.clock.advance(instant - self.clock.now())
        with self.project.open(self.clock, channels=self.channels) as pipeline:
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
        return self.channel if config.id in self.channels else open_channel(campaign, config, around)

    def decide(self, decision: Callable[[Ledger, datetime], object]) -> None:
        with self.project.open_ledger() as ledger:
            decision(ledger, self.clock.now())

    @property
    def posts(self) -> int:
        return self.channel.remote.made

    @property
    def keys(self) -> list[str]:
        """What readers see, by key; twice what is there twice."""
        return [post.key for post in self.channel.remote.posts.values()]


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


def test_a_picture_that_cannot_be_used_stops_the_import_with_words(tmp_path):
    scene = Scene(tmp_path, channels={"bluesky": {"handle": "sharing.example.org"}})
    scene.project.write("content/a.png", PIXEL)
    scene.project.entry("a", image="a.png", image_alt="Un point")
    scene.at(DUE - HOUR)
    old = scene.export()
    scene.clock.advance(HOUR + MINUTE)
    scene.project.write("content/a.png", PIXEL[:45])
    with pytest.raises(WrongUse, match=r"lille/a/bluesky may .* content/a\.png is damaged") as told:
        scene.lose_and_restore(old)
    assert "nothing was imported" in told.value.hint
    assert deliveries(scene) == []
    scene.project.write("content/a.png", PIXEL)
    scene.lose_and_restore(old)
    assert {one.key.entry: one.state for one in deliveries(scene)}["a"] is State.UNKNOWN


def test_once_the_event_has_begun_nothing_is_doubted_and_no_text_stops_the_import(tmp_path):
    scene = Scene(tmp_path)
    scene.at(DUE - HOUR)
    old = scene.export()
    scene.clock.advance(5 * DAY)
    scene.channel = FaultyChannel(clock=scene.clock, limit=5)
    scene.lose_and_restore(old)
    assert State.UNKNOWN not in {one.state for one in deliveries(scene)}
    assert scene.posts == 0


def test_what_is_missed_for_good_is_not_doubted_and_its_text_does_not_stop_the_import(tmp_path):
    scene = Scene(tmp_path, missed="skip")
    scene.at(DUE - HOUR)
    assert scene.at(DUE + 7 * HOUR)["a"] is State.MISSED
    old = scene.export()
    scene.channel = FaultyChannel(clock=scene.clock, limit=5)
    scene.lose_and_restore(old)
    assert {one.key.entry: one.state for one in deliveries(scene)}["a"] is State.MISSED


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


# --------------------------------------------------------------------------- held in the export


def held_in_the_export(scene: Scene) -> str:
    """An export in which the network has refused `a`."""
    scene.at(DUE - HOUR)
    scene.channel.fail("publish", rejected())
    assert scene.at(DUE)["a"] is State.HELD
    return scene.export()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_held_retried_and_then_posted_is_not_posted_again(tmp_path, kind):
    scene = Scene(tmp_path, kind)
    old = held_in_the_export(scene)
    scene.decide(lambda ledger, now: ledger.retry(KEY, now, now + HOUR, now))
    assert scene.at(DUE + 10 * MINUTE)["a"] is State.PUBLISHED
    scene.lose_and_restore(old)
    after = scene.at(DUE + 12 * MINUTE, rounds=5)["a"]
    assert after is (State.PUBLISHED if kind == "read-back" else State.UNKNOWN)
    if after is State.UNKNOWN:
        with scene.project.open(scene.clock, channels={"outbox": scene.channel}) as pipeline:
            assert [asked.delivery.key for asked in pipeline.waiting()] == [KEY]
    scene.at(DUE + DAY, rounds=2)
    assert scene.keys.count(str(KEY)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_still_held_is_not_sent_by_a_restoration(tmp_path, kind):
    """Somebody has to see to the cause first, also where a repeat would do no harm."""
    scene = Scene(tmp_path, kind, missed="skip")
    scene.lose_and_restore(held_in_the_export(scene))
    after = scene.at(DUE + 2 * MINUTE, rounds=10)["a"]
    assert after is (State.MISSED if kind == "read-back" else State.UNKNOWN)
    assert scene.posts == 0


# --------------------------------------------------------------------------- files newer than the export

LAST = 5  # the last posting day: days are counted from that of DUE


def calendar(scene: Scene, *entries: str, pins: Mapping[str, int] = MappingProxyType({}), **keys) -> None:
    """One entry a day so that the last one goes out on the last day, the event on the day after."""
    for entry in entries:
        pinned = {"date": f"{DUE + pins[entry] * DAY:%Y-%m-%d}"} if entry in pins else {}
        scene.project.entry(entry, **pinned)
    zone = scene.project.zone
    scene.project.campaign(
        *entries,
        event={"name": "E", "starts": f"{DUE + (LAST + 1) * DAY:%Y-%m-%d} 23:00", "timezone": zone},
        posting={
            "time": scene.project.wall(DUE),
            "until": f"{DUE + LAST * DAY:%Y-%m-%d}",
            "late": "6h",
            "missed": keys.pop("missed", "move"),
        },
        **keys,
    )


def added_elsewhere(scene: Scene) -> None:
    calendar(scene, "a", "b", "c", channels={"outbox": {}, "other": {"network": "outbox"}})


CHANGES: dict[str, Callable[[Scene], None]] = {
    "nothing": lambda scene: None,
    "an entry before all others": lambda scene: calendar(scene, "x", "a", "b", "c"),
    "an entry after all others": lambda scene: calendar(scene, "a", "b", "c", "x"),
    "two entries between others": lambda scene: calendar(scene, "a", "x", "b", "y", "c"),
    "an entry on a day that was taken": lambda scene: calendar(scene, "a", "b", "c", "x", pins={"x": 3}),
    "an entry moved to an earlier day": lambda scene: calendar(scene, "a", "b", "c", pins={"c": 2}),
    "the order turned round": lambda scene: calendar(scene, "c", "b", "a"),
    "an entry put back": lambda scene: calendar(scene, "a", "w", "b", "c"),
    "an entry taken out": lambda scene: calendar(scene, "b", "c"),
    "a channel": added_elsewhere,
}


def lives(scene: Scene, change: Callable[[Scene], None], exported: int, changed: float, lost: int) -> None:
    """A campaign of three entries on days 3 to 5, and one that is withdrawn, until all is over.

    Each number is a day, counted from that of DUE: the export is made after its posts, the files change in
    the hours before those of the next, and the ledger is lost an hour after the day's posts.
    """
    calendar(scene, "a", "w", "b", "c")
    scene.at(DUE - HOUR)
    calendar(scene, "a", "b", "c")
    days = [DUE + day * DAY for day in range(LAST + 1)]
    old = ""
    for number, day in enumerate(days):
        if number > changed >= number - 1:
            change(scene)
            scene.at(day - HOUR)
        scene.at(day)
        if number == exported:
            old = scene.export()
        if number == lost:
            scene.clock.advance(HOUR)
            scene.lose_and_restore(old)
            scene.at(scene.clock.now(), rounds=4)
    scene.at(days[-1] + 7 * HOUR, rounds=4)


def assert_the_ledger_is_right(scene: Scene) -> None:
    """Each post is there once, and what is said of each delivery is so."""
    assert len(scene.keys) == len(set(scene.keys)), scene.keys
    for delivery in deliveries(scene):
        if delivery.state is not State.UNKNOWN:
            assert (delivery.state is State.PUBLISHED) == (str(delivery.key) in scene.keys), delivery


@pytest.mark.parametrize(
    "kind",
    [kind if kind == "read-back" else pytest.param(kind, marks=pytest.mark.night) for kind in KINDS],
)
@pytest.mark.parametrize("change", CHANGES)
def test_what_the_files_had_sent_since_the_export_is_not_sent_again(tmp_path, kind, change):
    """The files change before the next slot, as whoever exports after the day's posts may rely on."""
    scene = Scene(tmp_path, kind)
    lives(scene, CHANGES[change], exported=1, changed=1, lost=3)
    assert_the_ledger_is_right(scene)
    left = {one.state for one in deliveries(scene)} - {State.PUBLISHED}
    assert left <= {State.CANCELLED, State.MISSED} | (
        {State.UNKNOWN} if "key" in kind or kind == "nothing" else set()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_back_within_its_window_and_was_posted_then_is_not_posted_again(tmp_path, kind):
    """It was exported while the campaign's file was away; the post went out late, as soon as it was back."""
    scene = Scene(tmp_path, kind)
    scene.at(DUE - HOUR)
    path = scene.project.root / "schedules/lille.yaml"
    path.unlink()
    assert scene.at(DUE)["a"] is State.CANCELLED
    old = scene.export()
    scene.project.campaign("a", "b")
    assert scene.at(DUE + HOUR)["a"] is State.PUBLISHED
    scene.lose_and_restore(old)
    after = scene.at(DUE + HOUR + 2 * MINUTE, rounds=10)
    assert scene.posts == 1
    # Nobody knows when it was sent, and a key that is kept for an hour may be over.
    asked = kind in {"timed key", "nothing"}
    assert after == {"a": State.UNKNOWN if asked else State.PUBLISHED, "b": State.PLANNED}


def test_what_another_network_may_have_had_since_the_export_is_asked_about(tmp_path):
    scene = Scene(tmp_path)
    scene.at(DUE - HOUR)
    old = scene.export()
    other = {"network": "webhook", "url": "https://example.org/hook"}
    scene.project.campaign("a", "b", channels={"outbox": other})
    assert scene.at(DUE)["a"] is State.PUBLISHED
    scene.lose_and_restore(old)
    assert scene.at(DUE + 2 * MINUTE, rounds=10) == {"a": State.UNKNOWN, "b": State.PLANNED}
    assert scene.posts == 1


@pytest.mark.night
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    change=st.sampled_from(sorted(CHANGES)),
    exported=st.integers(0, LAST - 1),
    wait=st.integers(0, LAST),
    rest=st.integers(1, LAST),
    missed=st.sampled_from(["move", "skip"]),
)
def test_whenever_the_files_change_and_the_ledger_is_lost_nothing_is_sent_twice(
    change, exported, wait, rest, missed
):
    lost = min(exported + rest, LAST)
    with TemporaryDirectory() as folder:
        scene = Scene(Path(folder), "read-back")
        lives(scene, CHANGES[change], exported, min(exported + wait, lost - 1), lost)
        assert_the_ledger_is_right(scene)


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
