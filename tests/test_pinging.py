"""Hubs hear of every change of the feeds, of nothing else, and never delay anything."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest

from pipeline import app
from pipeline.channels.http import Limits
from pipeline.clock import VirtualClock
from pipeline.delivery import MAX_ATTEMPTS
from pipeline.errors import BrokenEnvironment
from pipeline.ledger import open_ledger
from pipeline.pinging import LIMITS, PATIENCE, Pinger
from pipeline.settings import Settings, load
from tests.cli.commands import run
from tests.support.hubs import listening
from tests.support.projects import Project
from tests.support.sockets import answering, black_hole, dripping, resetting, serving

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
PUBLIC = "https://example.org/feeds/"
HASTY = Limits(total=SECOND, connect=SECOND / 2)


@pytest.fixture
def hub():
    with listening() as listens:
        yield listens


@pytest.fixture
def clock():
    return VirtualClock(DUE - HOUR)


@pytest.fixture
def project(tmp_path, hub):
    """Two entries, the first due at DUE, the second a day later; their feeds have a hub."""
    return a_project(tmp_path, hub.url)


def a_project(folder: Path, hub_url: str | None, **keys: object) -> Project:
    project = Project(folder, DUE)
    project.entry("a")
    project.entry("b")
    project.campaign("a", "b", **({"hub": hub_url, "public_url": PUBLIC} if hub_url else {}), **keys)
    return project


@contextmanager
def opened(project, clock, *, workers=0, limits=LIMITS, delay=timedelta(0), probe=lambda _: None):
    """The pipeline with a pinger, after its first tick unless time has come for more."""
    with project.open(clock, probe=probe) as pipeline:
        pipeline.pinger = Pinger(
            pipeline.ledger,
            clock,
            project.public,
            workers=workers,
            limits=limits,
            delay=delay,
            probe=probe,
        )
        try:
            yield pipeline
        finally:
            pipeline.pinger.stop()


def own_addresses(project) -> set[str]:
    """What the feeds on the disk call themselves, as a subscriber would find it."""
    found = {json.loads(path.read_bytes())["feed_url"] for path in project.public.rglob("feed.json")}
    return found | {
        address.replace("feed.json", name) for address in found for name in ("feed.xml", "atom.xml")
    }


def due(pipeline) -> set[str]:
    return {ping.topic for ping in pipeline.ledger.due_pings(datetime.max.replace(tzinfo=UTC))}


# --------------------------------------------------------------------------- of what hubs hear


def test_a_release_is_told_for_each_feed_that_holds_it(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        assert hub.requests == 0, "what was there before is no news"
        clock.sleep_until(DUE)
        pipeline.tick()
        assert set(hub.topics) == own_addresses(project)
        assert f"{PUBLIC}lille/feed.xml" in hub.topics
        assert len(hub.topics) == len(set(hub.topics))
        assert hub.refused == []
        pipeline.tick()
        assert hub.requests == len(hub.topics), "nothing has changed since"
        assert pipeline.ledger.failed_pings() == []


def test_the_feed_of_all_campaigns_is_told_of_too(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        assert (project.public / "feed.json").exists()
        assert hub.topics.count(f"{PUBLIC}feed.json") == 1


def test_an_edit_is_told(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        hub.topics.clear()
        clock.advance(MINUTE)
        project.entry("a", title="Un autre titre")
        pipeline.tick()
        assert f"{PUBLIC}lille/atom.xml" in hub.topics


def test_an_edit_carried_over_by_another_command_is_told_by_the_next_tick(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        hub.topics.clear()
        clock.advance(MINUTE)
        project.entry("a", title="Un autre titre")
        pipeline.rewrite_feeds()
        assert hub.topics == [], "writing the feeds sends nothing"
        pipeline.tick()
        assert f"{PUBLIC}lille/atom.xml" in hub.topics


def test_a_first_start_tells_nothing_of_the_past(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
    with project.open(clock) as without_hubs:
        clock.sleep_until(DUE)
        without_hubs.tick()
        with without_hubs.ledger._database.writing() as connection:
            connection.exec_driver_sql("DELETE FROM pings")  # as a ledger of version 1 has it
    clock.advance(MINUTE)
    with opened(project, clock) as pipeline:
        pipeline.tick()
        assert hub.requests == 0
        clock.sleep_until(DUE + DAY)
        pipeline.tick()
        assert f"{PUBLIC}lille/feed.xml" in hub.topics


def test_what_is_released_in_the_first_tick_of_all_is_told(tmp_path, clock, hub):
    project = a_project(tmp_path, None)
    with project.open(clock) as pipeline:
        pipeline.tick()
    project.campaign("a", "b", hub=hub.url, public_url=PUBLIC)
    clock.sleep_until(DUE)
    with opened(project, clock) as pipeline:
        pipeline.tick()
        assert f"{PUBLIC}lille/feed.xml" in hub.topics


@pytest.mark.parametrize("keys", [{}, {"public_url": PUBLIC}, {"hub": "https://hub.invalid/"}], ids=str)
def test_a_campaign_without_hub_or_address_has_nobody_to_tell(tmp_path, clock, keys):
    project = a_project(tmp_path, None, **keys)
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        assert project.feed_titles() == ["Projet a"]
        assert due(pipeline) == set()
        assert pipeline.done() is False


def test_a_rehearsal_tells_no_hub(tmp_path, hub):
    project = a_project(tmp_path, hub.url)
    app.rehearse_project(Settings(project.root, project.ledger), tmp_path / "out")
    assert json.loads((tmp_path / "out/lille/feed.json").read_bytes())["hubs"][0]["url"] == hub.url
    assert hub.requests == 0


# --------------------------------------------------------------------------- when


def test_a_hub_is_told_only_after_the_delay(project, clock, hub):
    with opened(project, clock, delay=5 * MINUTE) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        report = pipeline.tick()
        assert hub.requests == 0
        assert pipeline.next_wake(report.now) == DUE + 5 * MINUTE
        clock.sleep_until(DUE + 5 * MINUTE)
        pipeline.tick()
        assert set(hub.topics) == own_addresses(project)


def test_the_delay_is_a_setting(tmp_path, monkeypatch):
    Project(tmp_path)
    assert load(tmp_path).ping_delay == timedelta(0)
    monkeypatch.setenv("PIPELINE_PING_DELAY", "300")
    assert load(tmp_path).ping_delay == 5 * MINUTE
    for wrong in ("-1", "5 minutes", "86401"):
        monkeypatch.setenv("PIPELINE_PING_DELAY", wrong)
        with pytest.raises(BrokenEnvironment, match="PIPELINE_PING_DELAY"):
            load(tmp_path)


def test_the_files_are_on_the_disk_before_the_hub_is_told(project, clock, hub):
    seen = []

    def look(point: str) -> None:
        if point == "before ping":
            seen.append(project.feed_titles())

    with opened(project, clock, probe=look) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
    assert seen
    assert all(titles == ["Projet a"] for titles in seen)


def test_a_hub_that_hangs_delays_no_post_and_no_tick(project, clock, hub):
    hub.held.clear()
    with opened(project, clock, workers=1, limits=Limits(total=3 * SECOND)) as pipeline:
        pipeline.tick(wait=False)
        clock.sleep_until(DUE)
        began = monotonic()
        pipeline.tick(wait=False)
        assert project.posts() == ["lille/a/outbox"]
        assert monotonic() - began < 2.5
        pipeline.pinger.wait()
        assert 2.5 < monotonic() - began < 8
        (first, *others) = pipeline.ledger.failed_pings()
        assert hub.requests == 1, "the hub was left alone after it failed"
        assert "the limit of 3 s" in first.reason
        assert {ping.not_before for ping in others} == {first.not_before}


def test_hubs_are_told_side_by_side(tmp_path, clock, hub):
    """The slow one is first in every order there is."""
    with listening() as slow:
        slow.held.clear()
        project = a_project(tmp_path, hub.url)
        project.entry("c")
        project.campaign("c", campaign_id="autre", hub=slow.url, public_url="https://example.org/a/")
        with opened(project, clock, workers=2, limits=Limits(total=5 * SECOND)) as pipeline:
            pipeline.tick(wait=False)
            clock.sleep_until(DUE)
            pipeline.tick(wait=False)
            ends = monotonic() + 4
            while f"{PUBLIC}lille/feed.xml" not in hub.topics:
                assert monotonic() < ends
            slow.held.set()


# --------------------------------------------------------------------------- hubs that fail


def test_a_failure_is_tried_again_ever_later_then_given_up_and_told(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        hub.answers = [(503, {})] * 100
        waits, notices = [], []
        while True:
            notices += pipeline.tick().notices
            (first, *_) = pipeline.ledger.failed_pings()
            if first.not_before is None:
                break
            waits.append(first.not_before - clock.now())
            clock.sleep_until(first.not_before)
        assert hub.requests == MAX_ATTEMPTS
        assert all(later > 0.8 * earlier for earlier, later in pairwise(waits)), "but for their spread"
        assert 10 * SECOND < waits[0] < MINUTE < waits[-1] < HOUR
        assert len([one for one in notices if "hub was not told" in one]) == 1
        assert "answered 503" in notices[-1]
        assert due(pipeline) == set()
        hub.answers.clear()
        clock.sleep_until(DUE + DAY)
        pipeline.tick()
        assert set(hub.topics) == own_addresses(project), "the next change begins anew"
        assert pipeline.ledger.failed_pings() == []


def test_retry_after_is_honoured_also_through_another_change(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        hub.answers = [(429, {"Retry-After": "7200"})]
        pipeline.tick()
        assert hub.requests == 1
        assert {ping.not_before for ping in pipeline.ledger.failed_pings()} == {DUE + 2 * HOUR}
        clock.advance(HOUR)
        project.entry("a", title="Un autre titre")
        pipeline.tick()
        assert hub.requests == 1
        clock.sleep_until(DUE + 2 * HOUR)
        pipeline.tick()
        assert set(hub.topics) == own_addresses(project)


def test_a_hub_that_asks_for_more_than_a_day_is_given_up(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        hub.answers = [(429, {"Retry-After": str(int(PATIENCE.total_seconds()) + 60)})]
        notices = pipeline.tick().notices
        assert due(pipeline) == set()
        assert any("not asked again" in one for one in notices)


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410])
def test_a_refusal_is_final_for_that_feed_alone(project, clock, hub, status):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        hub.answers = [(status, {"Location": "https://elsewhere.invalid/"})]
        notices = pipeline.tick().notices
        (refused,) = pipeline.ledger.failed_pings()
        assert (refused.not_before, refused.attempts) == (None, 1)
        assert str(status) in refused.reason
        assert {*hub.topics, refused.topic} == own_addresses(project)
        assert any(refused.topic in one for one in notices)


WIRE = {
    "no answer": answering(b""),
    "reset": resetting(),
    "garbage": answering(b"SMTP 220 hello\r\n\r\n"),
    "drips for ever": dripping(b"HTTP/1.1 204 No Content\r\nX-A: ", 0.05),
    "endless body": dripping(b"HTTP/1.1 200 OK\r\n\r\n", 0.01, b"x" * 4096),
}


@pytest.mark.parametrize("fault", WIRE)
def test_a_hub_that_misbehaves_is_tried_again_within_bounds(tmp_path, clock, fault):
    with serving(WIRE[fault]) as server:
        project = a_project(tmp_path, server.url)
        with opened(project, clock, limits=HASTY) as pipeline:
            pipeline.tick()
            clock.sleep_until(DUE)
            began = monotonic()
            pipeline.tick()
            assert monotonic() - began < 10
            assert project.posts() == ["lille/a/outbox"]
            failed = pipeline.ledger.failed_pings()
            assert {ping.topic for ping in failed} == own_addresses(project)
            assert all(ping.not_before > clock.now() for ping in failed)
            assert server.connections == 1


def test_a_hub_that_is_not_there_is_tried_again(tmp_path, clock):
    with black_hole() as port:
        project = a_project(tmp_path, f"http://127.0.0.1:{port}/hub")
        with opened(project, clock, limits=HASTY) as pipeline:
            pipeline.tick()
            clock.sleep_until(DUE)
            pipeline.tick()
            assert all(ping.not_before > clock.now() for ping in pipeline.ledger.failed_pings())
            assert "connecting" in pipeline.ledger.failed_pings()[0].reason


def test_feeds_that_cannot_be_read_are_told_of_and_looked_at_again(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        hub.topics.clear()
        campaign = pipeline.reader.read(clock.now()).campaigns["lille"]
        broken = project.public / "lille" / "feed.xml"
        whole = broken.read_bytes()
        broken.write_bytes(b"<rss")
        pipeline.pinger.note(campaign, news=False)
        assert "lille: the feeds cannot be read" in pipeline.pinger.collect()[0]
        broken.write_bytes(whole.replace(b"Projet a", b"Projet b"))
        pipeline.pinger.note(campaign, news=False)
        pipeline.pinger.start()
        assert hub.topics == [f"{PUBLIC}lille/feed.xml"]


def test_status_shows_what_could_not_be_told(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        hub.answers = [(404, {}), (503, {})]
        pipeline.tick()
    told = run("status", "--root", project.root).out
    assert "answered 404 (given up until the feed changes again)" in told
    assert "answered 503 (again at 2016-04-11T10:00" in told
    rows = run("status", "--json", "--root", project.root).json()["pings"]
    assert {row["feed"] for row in rows} == own_addresses(project)
    assert [row["attempts"] for row in rows if row["next"] is None] == [1]
    assert list(rows[0]) == ["hub", "feed", "changed", "attempts", "next", "reason"]
    project.campaign("a", "b", hub="https://another.example/hub", public_url=PUBLIC)
    assert run("status", "--json", "--root", project.root).json()["pings"] == []


# --------------------------------------------------------------------------- killed

VICTIM = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from pipeline.clock import VirtualClock
from pipeline.pinging import Pinger
from tests.support.projects import Project

root, now, point = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), sys.argv[3]
project, clock = Project(root), VirtualClock(now)

def probe(reached):
    if reached == point:
        os.kill(os.getpid(), signal.SIGKILL)

with project.open(clock, probe=probe) as pipeline:
    pipeline.pinger = Pinger(pipeline.ledger, clock, project.public, workers=0, probe=probe)
    pipeline.tick()
print("survived")
"""


@pytest.mark.parametrize(
    "point", ["after feeds", "before feeds noted", "after feeds noted", "before ping", "after ping"]
)
def test_a_killed_process_leaves_no_change_untold(project, clock, hub, point):
    with opened(project, clock) as pipeline:
        pipeline.tick()
    clock.sleep_until(DUE)
    ended = subprocess.run(
        [sys.executable, "-c", VICTIM, str(project.root), DUE.isoformat(), point],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    clock.advance(MINUTE)
    with opened(project, clock) as pipeline:
        pipeline.tick()
        assert set(hub.topics) == own_addresses(project)
        assert len(hub.topics) - len(set(hub.topics)) == (point == "after ping"), "a ping may repeat itself"
        assert pipeline.done() is False
        assert due(pipeline) == set()


def test_a_process_killed_at_every_attempt_gives_up_in_the_end(project, clock, hub):
    """So that a request which kills its process is not made for ever."""
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.pinger.begin_no_more()
        pipeline.tick()
        for _ in range(MAX_ATTEMPTS):
            for ping in pipeline.ledger.due_pings(clock.now()):
                pipeline.ledger.begin_ping(ping, clock.now(), clock.now())
    with opened(project, clock) as pipeline:
        pipeline.tick()
        assert hub.requests == 0
        assert {ping.reason for ping in pipeline.ledger.failed_pings()} == {"no answer"}
        assert due(pipeline) == set()


def test_a_change_while_the_hub_is_told_is_told_again(project, clock, hub):
    with opened(project, clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)

        def change(point: str) -> None:
            if point == "before ping" and not hub.topics:
                for path in (project.public).rglob("*.*"):
                    path.write_bytes(path.read_bytes().replace(b"Projet a", b"Projet d"))
                pipeline.pinger.note(None, news=False)
                pipeline.pinger.note(pipeline.reader.read(DUE).campaigns["lille"], news=False)

        pipeline.pinger._probe = change
        pipeline.tick()
        (twice,) = hub.topics
        assert due(pipeline) == own_addresses(project)
        clock.advance(MINUTE)
        pipeline.pinger.start()
        assert hub.topics.count(twice) == 2
        assert set(hub.topics) == own_addresses(project)
        assert due(pipeline) == set()


def test_nobody_else_begins_what_is_under_way(project, clock, hub):
    seen = []

    def look(point: str) -> None:
        if point == "before ping":
            told = {topic for topic in own_addresses(project) if topic not in due_now(pipeline)}
            seen.append(len(told))

    with opened(project, clock, probe=look) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
    assert set(hub.topics) == own_addresses(project)
    assert seen == list(range(1, len(hub.topics) + 1)), "each is off the list before its request is sent"


def due_now(pipeline) -> set[str]:
    return {ping.topic for ping in pipeline.ledger.due_pings(pipeline.clock.now())}


def test_the_daemon_is_not_done_while_a_hub_is_to_be_told(tmp_path, clock, hub):
    project = Project(tmp_path, DUE)
    project.entry("a")
    project.campaign("a", hub=hub.url, public_url=PUBLIC)
    with opened(project, clock, delay=MINUTE) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        assert not pipeline.done()
        clock.advance(MINUTE)
        pipeline.tick()
        assert pipeline.done()


def test_the_pings_of_the_wired_project_go_out(project, hub):
    clock = VirtualClock(DUE - HOUR)
    with app.open_pipeline(Settings(project.root, project.ledger), clock=clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        assert set(hub.topics) == own_addresses(project)
        pipeline.stop()
    with open_ledger(project.ledger, now=DUE) as ledger:
        assert ledger.next_ping() is None
