"""The world around fails: a full disk, a vanished ledger, no time zones; and eight run at once."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.clock import SystemClock, VirtualClock
from pipeline.errors import LedgerError
from pipeline.model import NoKey, Traits
from tests.crash.herd import CHANNELS
from tests.support import postgres, processes
from tests.support.channels import FaultyChannel
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NOTHING = Traits(NoKey(), lookup=False, edit=False, delete=False, timeout=30 * SECOND, settle=MINUTE)


def planned(root: Path, due: datetime = DUE) -> Project:
    """A project whose one delivery is planned."""
    project = Project(root, due)
    project.entry("a")
    project.campaign("a")
    with project.open(VirtualClock(due - MINUTE)) as pipeline:
        pipeline.tick()
    assert project.states() == {"lille/a/outbox": "planned"}
    return project


# --------------------------------------------------------------------------- the disk is full


class Disk:
    """As if full: no file of this process can be written beyond its first page."""

    PAGE = 4096

    def __init__(self) -> None:
        self.full = False
        self._was = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        self.full = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.PAGE, self._was[1]))

    def free(self) -> None:
        self.full = False
        resource.setrlimit(resource.RLIMIT_FSIZE, self._was)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    try:
        yield disk
    finally:
        disk.free()


class Freeing(VirtualClock):
    """A clock on which somebody frees space after a while."""

    def __init__(self, start: datetime, disk: Disk, at: datetime) -> None:
        super().__init__(start)
        self._disk, self._at = disk, at

    def sleep_until(self, instant: datetime) -> None:
        super().sleep_until(instant)
        if self.now() >= self._at:
            self._disk.free()


FULL_AT = ("before claim", "after claim", "after reply", "after receipt", "after release", "before feeds")


@pytest.mark.parametrize("point", FULL_AT)
def test_a_full_disk_posts_nothing_twice_and_loses_nothing(tmp_path: Path, disk: Disk, point: str):
    """The network knows no key and shows nothing: a claim or receipt that went astray would be seen."""
    project = planned(tmp_path)
    clock = Freeing(DUE, disk, DUE + 20 * SECOND)
    channel = FaultyChannel(clock=clock, traits=NOTHING)
    reached = []

    def probe(name: str) -> None:
        if name == point and not reached:
            reached.append(name)
            disk.fill()

    with project.open(clock, channels={"outbox": channel}, probe=probe) as pipeline:
        try:
            pipeline.tick()
        except (LedgerError, OSError) as error:
            told = f"{error} {getattr(error, 'hint', '')}"
            assert any(word in told.lower() for word in ("full", "too large", "space")), told
        assert reached
        disk.free()
        clock.sleep_until(DUE + MINUTE)
        pipeline.tick()
    assert project.states() == {"lille/a/outbox": "published"}
    assert channel.remote.made == 1
    assert project.feed_titles() == ["Projet a"]


def test_a_disk_that_is_full_before_anything_is_sent_sends_nothing(tmp_path: Path, disk: Disk):
    project = planned(tmp_path)
    clock = VirtualClock(DUE)
    channel = FaultyChannel(clock=clock, traits=NOTHING)
    with project.open(clock, channels={"outbox": channel}, probe=lambda _: disk.fill()) as pipeline:
        with pytest.raises(LedgerError, match=r"disk|full") as raised:
            pipeline.tick()
        assert "full" in str(raised.value.hint) or "space" in str(raised.value.hint)
        disk.free()
    assert channel.remote.calls == []
    assert project.states() == {"lille/a/outbox": "planned"}


# --------------------------------------------------------------------------- a folder that may not be written


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder, and the rights of somebody who may not write what others made there."""
    folder = Path(tempfile.mkdtemp(prefix="readonly-"))
    folder.chmod(0o755)
    was = os.geteuid()
    try:
        yield folder
    finally:
        os.seteuid(was)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(folder)


def test_feeds_that_may_not_be_written_stop_no_post_and_come_later(as_nobody: Path):
    project = planned(as_nobody)
    (project.root / "public").mkdir(exist_ok=True)
    for path in (project.root / "state", *(project.root / "state").iterdir()):
        path.chmod(0o777 if path.is_dir() else 0o666)
    shutil.rmtree(project.root / "public/lille", ignore_errors=True)
    (project.root / "public").chmod(0o555)
    clock = VirtualClock(DUE)
    channel = FaultyChannel(clock=clock, traits=NOTHING)
    if os.geteuid() == 0:
        os.seteuid(65534)
    with project.open(clock, channels={"outbox": channel}) as pipeline:
        try:
            told = " ".join(pipeline.tick().notices)
        except OSError as error:
            told = str(error)
        assert "Permission denied" in told
        assert channel.remote.made == 1
        os.seteuid(os.getuid())
        (project.root / "public").chmod(0o755)
        clock.sleep_until(DUE + MINUTE)
        pipeline.tick()
    assert channel.remote.made == 1
    assert project.feed_titles() == ["Projet a"]


# --------------------------------------------------------------------------- the ledger vanishes


def test_a_ledger_deleted_under_a_daemon_is_neither_made_anew_nor_worked_without(tmp_path: Path):
    due = SystemClock().now() + timedelta(minutes=30)
    project = Project(tmp_path, due)
    project.entry("a")
    project.campaign("a")
    with processes.daemon(tmp_path) as daemon:
        daemon.until(lambda: project.states() == {"lille/a/outbox": "planned"}, "the plan")
        daemon.until((tmp_path / "state/ledgers.json").exists, "the end of the first look")
        for path in (tmp_path / "state").glob("ledger.db*"):
            path.unlink()
        project.entry("a", title="Un autre titre")  # so that it looks soon
        assert daemon.wait() == 4, daemon.said()
    assert "was deleted while it was in use" in daemon.said()
    assert "Traceback" not in daemon.said()
    again = processes.pipeline(tmp_path, "run")
    assert again.returncode == 4
    assert "state/ledger.db is gone" in again.stderr
    assert "pipeline ledger import" in again.stderr
    assert not (tmp_path / "state/ledger.db").exists()
    assert project.posts() == []


# --------------------------------------------------------------------------- no time zones

_WITHOUT_ZONES = (
    "import sys, zoneinfo; sys.modules['tzdata'] = None; zoneinfo.reset_tzpath([])\n"
    "from pipeline.cli import main; main(sys.argv[1:])"
)


def test_without_time_zone_data_nothing_is_sent_at_a_wrong_hour(tmp_path: Path):
    due = SystemClock().now() - MINUTE
    project = planned(tmp_path, due)
    for command in ("tick", "check"):
        ended = subprocess.run(
            [sys.executable, "-c", _WITHOUT_ZONES, command, "--root", str(tmp_path)],
            env=processes.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 4, ended.stderr
        assert "this machine has no time zone data" in ended.stderr
        assert "tzdata" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert project.states() == {"lille/a/outbox": "planned"}
    assert project.posts() == []


# --------------------------------------------------------------------------- eight of them


@contextmanager
def ledger_of_kind(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder}/shared.db"
        return
    try:
        with postgres.running() as cluster, cluster.database() as url:
            yield url
    except postgres.Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_eight_daemons_on_one_ledger_send_each_post_once(tmp_path: Path, kind: str):
    with ledger_of_kind(kind, tmp_path) as url:
        project = Project(tmp_path / "project", SystemClock().now() + 5 * SECOND, ledger=url)
        project.entry("a")
        project.campaign("a", channels={name: {"network": "outbox"} for name in CHANNELS})
        project.adopt()
        herd = Path(__file__).with_name("herd.py")
        with processes.started(herd, project.root, url, "8", log=tmp_path / "herd.log") as started:
            assert started.wait() == 0, started.said()
        assert "Traceback" not in started.said()
        sent = [line.split() for line in (project.root / "posts").read_text().splitlines()]
        assert sorted(channel for channel, _ in sent) == sorted(CHANNELS)
        assert set(project.states().values()) == {"published"}
