"""The daemon: real processes on the machine's clock, and its loop on a clock that alarms know nothing of."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.clock import Clock, SystemClock, VirtualClock
from pipeline.daemon import Daemon, run_lock
from pipeline.errors import AlreadyRunning, BrokenEnvironment
from pipeline.model import NoKey, State, Traits
from pipeline.tick import Pipeline
from tests.support import postgres, processes
from tests.support.channels import FaultyChannel, no_answer, rejected, slow
from tests.support.processes import wait_until
from tests.support.projects import Project

CLOCK = SystemClock()
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
SOON = 4 * SECOND
VICTIM = Path(__file__).parent / "crash" / "victim.py"


def soon(root: Path, span: timedelta = SOON, *, ledger: str | None = None) -> Project:
    return Project(root, CLOCK.now() + span + SECOND, ledger=ledger)


# --------------------------------------------------------------------------- on time


def test_every_channel_is_posted_within_a_second_of_its_instant(tmp_path: Path):
    project = soon(tmp_path)
    project.entry("a")
    later = project.due + SECOND
    project.campaign("a", channels={"outbox": {}, "soir": {"network": "outbox", "time": project.wall(later)}})
    project.adopt()
    with processes.daemon(tmp_path, "--until-done") as daemon:
        assert CLOCK.now() < project.due, "this machine is too slow for the test"
        assert daemon.wait() == 0, daemon.said()
    rows = processes.status(tmp_path)["deliveries"]
    assert [row["channel"] for row in rows] == ["outbox", "soir"]
    for row, due in zip(rows, (project.due, later), strict=True):
        assert datetime.fromisoformat(row["due"]) == due
        assert timedelta(0) <= datetime.fromisoformat(row["published_at"]) - due <= SECOND
        page = project.public / row["remote_id"]
        assert 0 <= page.with_suffix(".json").stat().st_mtime - due.timestamp() <= 1


@pytest.mark.long
def test_a_machine_that_sleeps_over_a_slot_posts_it_once_when_it_wakes(tmp_path: Path):
    project = soon(tmp_path)
    project.entry("a")
    project.campaign("a")
    project.adopt()
    with processes.daemon(tmp_path, "--until-done") as daemon:
        daemon.send(signal.SIGSTOP)
        CLOCK.sleep_until(project.due + 3 * SECOND)
        assert project.posts() == []
        daemon.send(signal.SIGCONT)
        assert daemon.wait() == 0, daemon.said()
    assert project.posts() == ["lille/a/outbox"]
    assert project.states() == {"lille/a/outbox": "published"}


def test_a_slow_account_delays_no_other(tmp_path: Path):
    project = soon(tmp_path, SECOND)
    project.entry("a")
    project.campaign("a", channels={"lent": {"network": "outbox"}, "outbox": {}})
    lazy = FaultyChannel(clock=CLOCK)
    lazy.fail("publish", slow(3 * SECOND))
    with running(project, CLOCK, channels={"lent": lazy}):
        wait_until(lambda: len(project.states()) == 2, "the plan")
        wait_until(lambda: set(project.states().values()) == {"published"}, "both posts")
    with project.open_ledger() as ledger:
        at = {one.key.channel: one.published_at for one in ledger.deliveries()}
    assert at["outbox"] - project.due <= SECOND
    assert at["lent"] - project.due >= 3 * SECOND


# --------------------------------------------------------------------------- two of them


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def shared_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shared.db"
        return
    try:
        with postgres.running() as cluster, cluster.database() as url:
            yield url
    except postgres.Missing as missing:
        pytest.skip(str(missing))


def test_two_daemons_on_one_ledger_publish_once(tmp_path: Path, shared_ledger: str):
    first = soon(tmp_path / "1", SOON + SECOND, ledger=shared_ledger)
    second = Project(tmp_path / "2", first.due, ledger=shared_ledger)
    for project in (first, second):
        for name in ("a", "b", "c"):
            project.entry(name)
            project.campaign(
                name, campaign_id=f"c-{name}", channels={"outbox": {}, "soir": {"network": "outbox"}}
            )
    first.adopt()
    options = ("--ledger", shared_ledger, "--until-done")
    with processes.daemon(first.root, *options) as one, processes.daemon(second.root, *options) as other:
        assert (one.wait(), other.wait()) == (0, 0), one.said() + other.said()
        assert "Traceback" not in one.said() + other.said()
    wanted = sorted(f"c-{name}/{name}/{channel}" for name in "abc" for channel in ("outbox", "soir"))
    assert sorted(first.posts() + second.posts()) == wanted
    assert first.states() == dict.fromkeys(wanted, "published")


def test_a_second_daemon_of_the_same_project_names_the_first(tmp_path: Path):
    project = soon(tmp_path, HOUR)
    project.entry("a")
    project.campaign("a")
    with processes.daemon(tmp_path) as first:
        ended = processes.pipeline(tmp_path, "run")
        assert ended.returncode == 4
        assert f"process {first.pid} on {socket.gethostname()} since 2" in ended.stderr
        assert "Traceback" not in ended.stderr
        first.send(signal.SIGKILL)
        first.wait()
    with processes.daemon(tmp_path) as next_one:
        next_one.send(signal.SIGTERM)
        assert next_one.wait() == 0, "a killed daemon leaves no lock behind"


def test_the_run_lock_is_free_again_when_its_holder_ends(tmp_path: Path):
    with run_lock(tmp_path / "state", CLOCK):
        with (
            pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"),
            run_lock(tmp_path / "state", CLOCK),
        ):
            pass
        (tmp_path / "state" / "run.lock").write_text("not JSON")
        with pytest.raises(AlreadyRunning, match="could not be read"), run_lock(tmp_path / "state", CLOCK):
            pass
    with run_lock(tmp_path / "state", CLOCK):
        held = json.loads((tmp_path / "state" / "run.lock").read_text())
    assert held["pid"] == os.getpid()


def test_a_run_lock_that_cannot_be_made_says_where(tmp_path: Path):
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(BrokenEnvironment, match="run lock"), run_lock(tmp_path / "state", CLOCK):
        pass


# --------------------------------------------------------------------------- its end


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_signal_lets_the_send_in_hand_end_and_begins_no_other(tmp_path: Path, number: signal.Signals):
    project = soon(tmp_path, SECOND)
    for name in ("a", "b"):
        project.entry(name)
        project.campaign(name, campaign_id=f"c-{name}")
    project.adopt()
    with subprocess.Popen(
        [sys.executable, str(VICTIM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=processes.environment(),
    ) as server:
        words = [str(tmp_path), project.ledger, "run", "hold after claim", ""]
        print(json.dumps(words), file=server.stdin, flush=True)
        wait_until((tmp_path / "held").exists, "a send in hand")
        wait_until((tmp_path / "held").read_text, "its pid")
        os.kill(int((tmp_path / "held").read_text()), number)
        assert "sending" in project.states().values()
        (tmp_path / "go").touch()
        began = CLOCK.now()
        assert server.stdout.readline() == "0\n"
        assert CLOCK.now() - began < 5 * SECOND
        server.stdin.close()
    assert sorted(project.states().values()) == ["planned", "published"]
    assert project.posts() == ["c-a/a/outbox"]


@contextmanager
def daemon_that_begins_with(hangup: str, root: Path) -> Iterator[processes.Process]:
    """`pipeline run`, as a terminal (`SIG_DFL`) or `nohup` (`SIG_IGN`) starts it."""
    command = [sys.executable, "-m", "pipeline", "run", "--root", str(root)]
    start = (
        "import os, signal\n"
        f"signal.signal(signal.SIGHUP, signal.{hangup})\n"
        f"os.execv({sys.executable!r}, {command!r})\n"
    )
    with processes.started("-c", start, log=root / "daemon.log") as process:
        process.ready()
        yield process


def test_a_terminal_that_is_closed_ends_it_gently(tmp_path: Path):
    Project(tmp_path).campaign()
    with daemon_that_begins_with("SIG_DFL", tmp_path) as daemon:
        daemon.send(signal.SIGHUP)
        assert daemon.wait() == 0, daemon.said()


def test_under_nohup_it_outlives_its_terminal(tmp_path: Path):
    project = soon(tmp_path)
    project.entry("a")
    project.campaign("a")
    project.adopt()
    with daemon_that_begins_with("SIG_IGN", tmp_path) as daemon:
        daemon.send(signal.SIGHUP)
        daemon.until(lambda: project.posts() == ["lille/a/outbox"], "the post")
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.said()


# --------------------------------------------------------------------------- files, while it runs


def test_files_are_picked_up_while_it_runs(tmp_path: Path):
    project = soon(tmp_path, SECOND)
    project.entry("a")
    project.entry("b")
    project.campaign("a", "b")
    project.adopt()
    with processes.daemon(tmp_path) as daemon:
        daemon.until(lambda: project.feed_titles() == ["Projet a"], "the first release")
        project.entry("a", title="Un autre titre")
        project.entry("c")
        project.campaign("a", "b", "c")
        daemon.until(lambda: project.feed_titles() == ["Un autre titre"], "the edit in the feeds")
        daemon.until(lambda: "lille/c/outbox" in project.states(), "the new entry")
        project.write("content/b.md", "---\ntitle: [\n---\n")
        daemon.until(lambda: "content/b.md" in daemon.said(), "the problem to be told")
        document = processes.status(tmp_path)
        assert {problem["path"] for problem in document["problems"]} == {"content/b.md"}
        assert project.states()["lille/b/outbox"] == "planned", "the last good version goes on"
        (project.root / "content/b.md").unlink()
        project.campaign("a", "c")
        daemon.until(lambda: project.states()["lille/b/outbox"] == "cancelled", "the withdrawal")
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.said()
    assert "Traceback" not in daemon.said()


def test_without_its_folder_a_tick_exits_with_status_4(tmp_path: Path):
    project = soon(tmp_path, HOUR)
    project.entry("a")
    project.campaign("a")
    assert processes.pipeline(tmp_path, "tick").returncode == 0
    (tmp_path / "content").rename(tmp_path / "unmounted")
    ended = processes.pipeline(tmp_path, "tick")
    assert ended.returncode == 4
    assert "content is gone" in ended.stderr
    assert project.states() == {"lille/a/outbox": "planned"}


# --------------------------------------------------------------------------- its loop


class Counting(Pipeline):
    """Counts its ticks."""

    ticks = 0

    def tick(self, **how):
        self.ticks += 1
        return super().tick(**how)


@contextmanager
def running(project: Project, clock: Clock, *, pace: timedelta = SECOND / 5, **parts) -> Iterator[Counting]:
    """A daemon in a thread, with a safety tick every 2.5 times `pace`."""
    with project.open(clock, workers=parts.pop("workers", 4), kind=Counting, **parts) as pipeline:
        daemon = Daemon(pipeline, clock, safety=pace * 2.5, watch=pace)
        thread = threading.Thread(target=daemon.run)
        thread.start()
        try:
            yield pipeline
        finally:
            daemon.stop()
            thread.join(20)
            assert not thread.is_alive()


# On this clock no alarm ever rings: the alarms live on the machine's clock, which is decades behind.
FAR = datetime(2096, 4, 11, 10, tzinfo=UTC)


@pytest.fixture
def far(tmp_path: Path) -> Project:
    project = Project(tmp_path, FAR)
    project.entry("a")
    project.campaign("a")
    return project


def test_a_lost_alarm_costs_no_more_than_a_safety_tick(far: Project):
    clock = VirtualClock(FAR - HOUR)
    with running(far, clock):
        wait_until(far.states, "the plan")
        clock.sleep_until(FAR)
        wait_until(far.posts, "the post")


def test_a_clock_that_jumps_back_an_hour_and_on_again_sends_once(far: Project):
    clock = VirtualClock(FAR - SECOND)
    with running(far, clock) as pipeline:
        wait_until(far.states, "the plan")
        for jump in (-HOUR, HOUR, 2 * SECOND, -HOUR, 2 * HOUR):
            clock.advance(jump)
            seen = pipeline.ticks
            wait_until(lambda seen=seen: pipeline.ticks >= seen + 2, "two looks at the new time")
        assert far.posts() == ["lille/a/outbox"]
        assert far.states() == {"lille/a/outbox": "published"}


def test_a_locked_ledger_is_waited_for(far: Project, caplog):
    far.ledger += "?timeout=0.05"
    clock = VirtualClock(FAR - HOUR)
    with running(far, clock):
        wait_until(far.states, "the plan")
        with closing(sqlite3.connect(far.root / "state" / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            clock.sleep_until(FAR)
            wait_until(lambda: "is locked" in caplog.text, "a tick that fails")
            assert far.posts() == []
            other.execute("ROLLBACK")
        wait_until(far.posts, "the post")
    assert "not foreseen" not in caplog.text


def test_a_folder_that_is_gone_is_waited_for(far: Project, caplog):
    clock = VirtualClock(FAR - HOUR)
    with running(far, clock) as pipeline:
        wait_until(far.states, "the plan")
        (far.root / "content").rename(far.root / "unmounted")
        wait_until(lambda: "is gone" in caplog.text, "a tick that fails")
        clock.sleep_until(FAR)
        seen = pipeline.ticks
        wait_until(lambda: pipeline.ticks >= seen + 2, "two more")
        assert far.states() == {"lille/a/outbox": "planned"}
        (far.root / "unmounted").rename(far.root / "content")
        wait_until(far.posts, "the post")
    assert "not foreseen" not in caplog.text


def test_a_fault_of_the_program_in_one_tick_does_not_end_it(far: Project, caplog):
    clock = VirtualClock(FAR - HOUR)
    faults = ["after release"]

    def probe(point: str) -> None:
        if point in faults:
            faults.remove(point)
            raise ZeroDivisionError("a fault")

    with running(far, clock, probe=probe):
        wait_until(lambda: "not foreseen" in caplog.text, "the fault")
        clock.sleep_until(FAR)
        wait_until(far.posts, "the post")


def test_it_does_not_spin_over_what_only_a_person_or_an_editor_can_move(tmp_path: Path):
    project = Project(tmp_path, CLOCK.now() - HOUR)
    project.entry("a", title="Un titre bien trop long pour ce canal")
    keyless = Traits(key=NoKey(), lookup=False, edit=False, delete=False, timeout=SECOND, settle=SECOND)
    channels = {
        "held": FaultyChannel(clock=CLOCK),
        "unknown": FaultyChannel(traits=keyless, clock=CLOCK),
        "long": FaultyChannel(limit=9, clock=CLOCK),
    }
    channels["held"].fail("publish", rejected())
    channels["unknown"].fail("publish", no_answer(accepted=False))
    project.campaign("a", channels={name: {"network": "outbox"} for name in channels})
    clock = VirtualClock(project.due - HOUR)
    with project.open(clock, channels=channels) as pipeline:
        pipeline.tick()
        clock.sleep_until(project.due)
        pipeline.tick()
    with running(project, CLOCK, channels=channels, pace=SECOND) as counted:
        wait_until(lambda: counted.ticks, "the first look")
        CLOCK.sleep_until(CLOCK.now() + 3 * SECOND)
        assert 1 <= counted.ticks <= 4
        assert [len(channel.remote.calls) for channel in channels.values()] == [1, 1, 0]
        assert {one.delivery.key.channel for one in counted.waiting()} == {"held", "unknown"}
    assert project.states() == {
        "lille/a/held": "held",
        "lille/a/long": "planned",
        "lille/a/unknown": "unknown",
    }


def test_until_done_ends_when_nothing_is_left(far: Project):
    clock = VirtualClock(FAR - HOUR)
    with far.open(clock, workers=2, kind=Counting) as pipeline:
        pipeline.tick()
        clock.sleep_until(FAR)
        Daemon(pipeline, clock, safety=SECOND, watch=SECOND / 5).run(until_done=True)
        assert [one.state for one in pipeline.ledger.deliveries()] == [State.PUBLISHED]


@pytest.fixture(autouse=True)
def _warnings_are_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="pipeline")
