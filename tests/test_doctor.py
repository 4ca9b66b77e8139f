"""What `doctor` and `check --online` find: every fault by itself, and that none hides another."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline import app, connected
from pipeline.clock import Clock, SystemClock, VirtualClock
from pipeline.connected import Connection
from pipeline.doctor import Finding, Grade, Report, exit_status, look_around, machine
from pipeline.problems import Problem
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.bluesky import Bluesky
from pipeline.rehearsal.standins.facebook import FacebookPage
from pipeline.rehearsal.standins.mastodon import MastodonServer
from pipeline.rehearsal.standins.x import XService
from pipeline.settings import Settings
from tests.cli.commands import Project as LedgerProject
from tests.cli.commands import held, key, planned
from tests.connecting.scene import OPTIONS, now
from tests.support.processes import daemon
from tests.support.projects import Project

PAGE = "100064000000001"
SKEW = timedelta(seconds=90)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("PIPELINE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


class Shifted(SystemClock):
    """A machine whose clock is wrong by `shift`."""

    def __init__(self, shift: timedelta) -> None:
        self._shift = shift

    def now(self) -> datetime:
        return super().now() + self._shift


class Checked:
    """A project with two posts ahead, on channels of the test's choice."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = Project(root, now() + timedelta(hours=1))
        self.project.entry("p0")
        self.project.entry("p1")
        self.channels: dict[str, dict[str, str]] = {}
        self.env: dict[str, str] = {}
        self.write()

    def write(self, campaign_id: str = "lille", due: datetime | None = None) -> None:
        channels = self.channels or {"outbox": {}}
        self.project.campaign("p0", "p1", campaign_id=campaign_id, channels=channels, due=due)

    def add(self, network, remote=None, *, credentials=None, **options):
        api = {"api": remote.url} if remote else {}
        self.channels[network] = {**OPTIONS[network], **api, **options}
        given = remote.credentials if credentials is None else credentials
        self.env |= {f"PIPELINE_{network.upper()}_{name}": value for name, value in given.items()}
        (self.root / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in self.env.items()))
        (self.root / ".env").chmod(0o600)
        self.write()

    @property
    def settings(self) -> Settings:
        return Settings(self.root, f"sqlite:///{self.root}/state/ledger.db")

    def report(self, *, online: bool = True) -> Report:
        report = app.examine(self.settings, online=online)
        shown = json.dumps(report.document())
        assert not [value for value in self.env.values() if value and value in shown]
        return report

    def of(self, area: str, *, online: bool = True) -> list[Finding]:
        return [one for one in self.report(online=online).findings if one.area == area]

    def online_problems(self, clock: Clock | None = None) -> list[Problem]:
        with app.open_review(self.settings) as review:
            return app.online_problems(self.settings, review, clock=clock)


@pytest.fixture
def checked(tmp_path):
    return Checked(tmp_path)


def only(findings: list[Finding], grade: Grade) -> Finding:
    found = [one for one in findings if one.grade is grade]
    assert len(found) == 1, findings
    return found[0]


def faulty(report: Report) -> list[Finding]:
    return [one for one in report.findings if one.grade is not Grade.FINE]


# --------------------------------------------------------------------------- the machine


def test_a_sound_project_is_fine_and_looking_leaves_no_trace(checked):
    before = sorted(str(path) for path in checked.root.rglob("*"))
    report = checked.report()
    assert faulty(report) == []
    assert report.exit_status == 0
    areas = [one.area for one in report.findings]
    assert areas == [
        *("python", "time zones", "clock", "state/", "public/", "ledger", "daemon", "files"),
        "channel lille/outbox",
    ]
    assert sorted(str(path) for path in checked.root.rglob("*")) == before


def test_a_clock_that_is_behind_the_files_is_wrong(checked):
    ahead = (now() + timedelta(days=3)).timestamp()
    os.utime(checked.root / "schedules/lille.yaml", (ahead, ahead))
    found = only(checked.of("clock"), Grade.BROKEN)
    assert "schedules/lille.yaml was written at" in found.message
    assert checked.report().exit_status == 4


@pytest.mark.parametrize("name", ["state", "public"])
def test_a_folder_that_cannot_be_written_is_named(checked, name):
    (checked.root / name).write_text("a file")
    found = only(checked.of(f"{name}/"), Grade.BROKEN)
    assert str(checked.root / name) in found.message


@pytest.mark.parametrize(
    ("free", "grade"),
    [(machine.FULL - 1, Grade.BROKEN), (machine.SCARCE - 1, Grade.WARNING), (machine.SCARCE, Grade.FINE)],
)
def test_a_disk_is_reported_before_it_is_full(free, grade):
    found = machine.space("state/", free)
    assert found.grade is grade
    assert f"{free // machine.MEBIBYTE} MiB free" in found.message


def test_secrets_that_others_may_read_are_warned_about(checked):
    (checked.root / ".env").write_text("A=1\n")
    (checked.root / ".env").chmod(0o640)
    assert "mode 0640" in only(checked.of(".env"), Grade.WARNING).message
    assert checked.report().exit_status == 0
    (checked.root / ".env").chmod(0o600)
    assert only(checked.of(".env"), Grade.FINE)


# --------------------------------------------------------------------------- ledger and daemon


def test_a_damaged_ledger_hides_nothing_else(checked):
    (checked.root / "state").mkdir()
    (checked.root / "state/ledger.db").write_bytes(b"no database" * 100)
    report = checked.report()
    found = only([one for one in report.findings if one.area == "ledger"], Grade.BROKEN)
    assert "not a database" in found.message
    assert "backup" in found.hint
    assert report.exit_status == 4
    assert {"files", "channel lille/outbox"} <= {one.area for one in report.findings}


def test_a_ledger_that_was_lost_is_not_made_anew(checked):
    with app.open_pipeline(checked.settings, workers=0) as pipeline:
        pipeline.tick()
    assert only(checked.of("ledger"), Grade.FINE)
    (checked.root / "state/ledger.db").unlink()
    assert "used here for `lille`" in only(checked.of("ledger"), Grade.BROKEN).message
    assert not (checked.root / "state/ledger.db").exists()


def test_the_ledger_of_another_project_is_refused(checked, tmp_path):
    other = Project(tmp_path / "other", now() + timedelta(hours=1))
    other.entry("q0")
    other.campaign("q0", campaign_id="roubaix")
    settings = Settings(other.root, f"sqlite:///{other.root}/state/ledger.db")
    with app.open_pipeline(settings, workers=0) as pipeline:
        pipeline.tick()
    (checked.root / "state").mkdir()
    shutil.copy(other.root / "state/ledger.db", checked.root / "state/ledger.db")
    assert "another project" in only(checked.of("ledger"), Grade.BROKEN).message


def test_what_waits_for_a_person_is_told(tmp_path):
    project = LedgerProject(tmp_path / "p")
    with project.ledger() as ledger:
        held(ledger)
    report = app.examine(Settings(project.root, project.url), online=False)
    found = only([one for one in report.findings if one.area == "deliveries"], Grade.WAITS)
    assert "fete/p0/outbox" in found.message
    assert report.exit_status == 3


def test_a_delivery_that_nobody_sends_is_told(tmp_path):
    project = LedgerProject(tmp_path / "p")
    with project.ledger() as ledger:
        planned(ledger)
    settings = Settings(project.root, project.url)
    assert not [one for one in app.examine(settings, online=False).findings if one.area == "deliveries"]
    with project.ledger() as ledger:
        (late,) = ledger.deliveries()
        assert late.key == key()
    hour_later = now() + timedelta(hours=1)
    clock = VirtualClock(hour_later)
    found = look_around(settings, lambda: app.open_pipeline(settings, clock=clock, workers=0), hour_later)
    told = only([one for one in found if one.area == "deliveries"], Grade.WAITS)
    assert "due and not sent: 1, the first is fete/p0/outbox" in told.message
    assert "pipeline run" in told.hint


def test_a_running_daemon_is_named_and_its_lock_is_left_alone(checked):
    assert "none runs here" in only(checked.of("daemon"), Grade.FINE).message
    with daemon(checked.root) as process:
        assert f"process {process.pid} on" in only(checked.of("daemon"), Grade.FINE).message
        assert process.running
    assert "none runs here" in only(checked.of("daemon"), Grade.FINE).message


def test_problems_in_the_files_are_counted(checked):
    checked.project.write("content/p9.md", "no front matter")
    report = checked.report()
    found = only([one for one in report.findings if one.area == "files"], Grade.PROBLEM)
    assert "1 errors" in found.message
    assert report.exit_status == 1


def test_a_folder_that_is_gone_is_a_broken_environment(checked):
    shutil.rmtree(checked.root / "schedules")
    report = checked.report()
    assert (
        "schedules is gone" in only([o for o in report.findings if o.area == "files"], Grade.BROKEN).message
    )
    assert report.exit_status == 4


def test_the_worst_finding_decides():
    def status(*grades: Grade) -> int:
        return exit_status(Finding("x", grade, "") for grade in grades)

    assert status() == status(Grade.FINE, Grade.WARNING) == 0
    assert status(Grade.PROBLEM, Grade.FINE) == 1
    assert status(Grade.WAITS, Grade.PROBLEM) == 3
    assert status(Grade.WAITS, Grade.BROKEN) == 4


# --------------------------------------------------------------------------- channels


@pytest.mark.parametrize(
    ("network", "make"),
    [
        ("bluesky", lambda: Bluesky("sharing.example.com", now)),
        ("facebook", lambda: FacebookPage(PAGE, now)),
        ("mastodon", lambda: MastodonServer(now)),
        ("x", lambda: XService(now)),
    ],
)
def test_each_network_says_who_we_are_and_what_its_limits_are(checked, stack, network, make):
    remote = stack.enter_context(make())
    checked.add(network, remote)
    report = checked.report()
    (row,) = report.document()["channels"]
    assert row["asked"]
    assert row["account"]
    assert row["limits"]
    assert row["error"] is None
    assert row["posts_ahead"] == 2
    assert set(row["credentials"].values()) == {".env"}
    assert abs(row["clock_skew_seconds"]) < 5
    (told,) = [
        one for one in report.findings if one.area == f"channel lille/{network}" and one.grade == "fine"
    ]
    assert row["account"] in told.message
    assert report.exit_status == 0
    assert remote.accepted == 0
    assert [p for p in checked.online_problems() if p.code.startswith("E")] == []


def test_offline_asks_nobody(checked, stack):
    remote = stack.enter_context(MastodonServer(now))
    checked.add("mastodon", remote)
    found = only(checked.of("channel lille/mastodon", online=False), Grade.FINE)
    assert "PIPELINE_MASTODON_ACCESS_TOKEN from .env" in found.message
    assert "not asked" in found.message
    assert remote.seen == []


def test_a_missing_credential_is_named(checked, stack):
    remote = stack.enter_context(XService(now))
    values = dict(remote.credentials)
    del values["ACCESS_TOKEN_SECRET"]
    checked.add("x", remote, credentials=values)
    found = only(checked.of("channel lille/x"), Grade.BROKEN)
    assert found.message == "PIPELINE_X_ACCESS_TOKEN_SECRET is not set"
    assert "pipeline connect x" in found.hint
    assert remote.seen == []
    (problem,) = checked.online_problems()
    assert (problem.code, problem.path) == ("E501", "schedules/lille.yaml")
    line = (checked.root / problem.path).read_text().splitlines()[problem.line - 1]
    assert "x" in line[problem.column - 1 :]


def test_a_credential_in_a_file_that_cannot_be_read_is_told(checked, stack, monkeypatch):
    remote = stack.enter_context(MastodonServer(now))
    checked.add("mastodon", remote)
    monkeypatch.setenv("PIPELINE_MASTODON_ACCESS_TOKEN_FILE", "gone")
    assert "cannot be read" in only(checked.of("channel lille/mastodon"), Grade.BROKEN).message
    assert [problem.code for problem in checked.online_problems()] == ["E501"]


def test_the_fields_of_the_other_way_to_log_in(checked, stack):
    remote = stack.enter_context(XService(now, auth="oauth2"))
    checked.add("x", remote, credentials={}, auth="oauth2")
    found = only(checked.of("channel lille/x"), Grade.BROKEN)
    assert found.message == "PIPELINE_X_CLIENT_ID, PIPELINE_X_REFRESH_TOKEN are not set"


def test_refused_credentials_say_what_the_clock_says(checked, stack):
    remote = stack.enter_context(MastodonServer(now))
    checked.add("mastodon", remote, credentials={"ACCESS_TOKEN": "revoked-token"})
    found = only(checked.of("channel lille/mastodon"), Grade.BROKEN)
    assert "401" in found.message
    assert f"{now():%Y-%m-%d}" in found.hint
    assert [problem.code for problem in checked.online_problems()] == ["E502"]


def test_a_dead_network_neither_delays_nor_hides_the_others(checked, stack):
    dead = stack.enter_context(MastodonServer(now))
    dead.faults.standing = faults.slow(timedelta(seconds=60), accepted=False)
    alive = stack.enter_context(Bluesky("sharing.example.com", now))
    checked.add("mastodon", dead, timeout="2s")
    checked.add("bluesky", alive)
    began = time.monotonic()
    report = checked.report()
    assert time.monotonic() - began < 8
    areas = {one.area: one for one in report.findings if one.area.startswith("channel")}
    assert areas["channel lille/bluesky"].grade is Grade.FINE
    assert areas["channel lille/mastodon"].grade is Grade.BROKEN
    assert "could not be asked" in areas["channel lille/mastodon"].message
    assert [problem.code for problem in checked.online_problems()] == ["E503"]


def test_a_token_that_ends_before_the_last_post_names_the_day(checked, stack):
    remote = stack.enter_context(FacebookPage(PAGE, now))
    remote.mood.expires = now() + timedelta(hours=5)
    checked.add("facebook", remote)
    report = checked.report()
    found = only([one for one in report.findings if one.area == "channel lille/facebook"], Grade.WAITS)
    tomorrow = (checked.project.due + timedelta(days=1)).astimezone(report.channels[0].campaign.event.zone)
    assert f"from {tomorrow:%Y-%m-%d} on (`p1`) nothing can be posted" in found.message
    assert report.exit_status == 3
    assert [problem.code for problem in checked.online_problems()] == ["E504"]


def test_a_token_that_outlives_the_campaign_is_fine(checked, stack):
    remote = stack.enter_context(FacebookPage(PAGE, now))
    remote.mood.expires = now() + timedelta(days=3)
    checked.add("facebook", remote)
    assert (
        f"until {remote.mood.expires:%Y-%m-%d}"
        in only(checked.of("channel lille/facebook"), Grade.FINE).message
    )


@pytest.mark.parametrize(("shift", "side"), [(-SKEW, "ahead of"), (SKEW, "behind")])
def test_a_clock_that_differs_from_a_networks_is_told(checked, stack, shift, side):
    remote = stack.enter_context(MastodonServer(now))
    checked.add("mastodon", remote)
    report = app.examine(checked.settings, online=True, clock=Shifted(shift))
    found = only([one for one in report.findings if one.area == "channel lille/mastodon"], Grade.WARNING)
    seconds = re.search(rf"at least (\d+) s {side} this machine's", found.message)
    assert seconds is not None
    assert 80 <= int(seconds[1]) <= 90
    assert [problem.code for problem in checked.online_problems(Shifted(shift))] == ["W501"]


def test_clocks_that_nearly_agree_are_fine(checked, stack):
    remote = stack.enter_context(MastodonServer(now))
    checked.add("mastodon", remote)
    assert checked.online_problems(Shifted(timedelta(seconds=20))) == []


def test_what_a_network_warns_of_is_told(checked, stack):
    remote = stack.enter_context(FacebookPage(PAGE, now))
    remote.mood.scopes = ("pages_read_engagement",)
    checked.add("facebook", remote)
    assert "pages_manage_posts" in only(checked.of("channel lille/facebook"), Grade.WARNING).message
    assert [problem.code for problem in checked.online_problems()] == ["W502"]
    assert checked.report().exit_status == 0


def test_a_campaign_that_is_over_is_no_cause_for_alarm(checked, stack):
    remote = stack.enter_context(MastodonServer(now))
    checked.add("mastodon", remote, credentials={"ACCESS_TOKEN": "revoked-token"})
    checked.write(due=now() - timedelta(days=30))
    report = checked.report()
    assert [one.grade for one in faulty(report)] == [Grade.WARNING]
    assert report.exit_status == 0
    assert checked.online_problems() == []
    checked.add("mastodon", remote, credentials={"ACCESS_TOKEN": ""})
    checked.write(due=now() - timedelta(days=30))
    assert "nothing is left to post" in only(checked.of("channel lille/mastodon"), Grade.FINE).message


def test_a_place_that_several_campaigns_post_to_is_asked_once(checked, stack):
    remote = stack.enter_context(MastodonServer(now))
    checked.add("mastodon", remote)
    checked.write("roubaix")
    report = checked.report()
    assert [row["asked"] for row in report.document()["channels"]] == [True, True]
    asked = [seen for seen in remote.seen if seen.path.endswith("verify_credentials")]
    assert len(asked) == 1


def test_since_when_the_credentials_are_in_use(checked, stack):
    remote = stack.enter_context(MastodonServer(now))
    checked.add("mastodon", remote)
    state = checked.root / "state"
    since = now() - timedelta(days=12, hours=1)
    connected.remember(state, "mastodon", remote.credentials, Connection(since, "@lille"))
    assert "connected 12 days ago" in only(checked.of("channel lille/mastodon"), Grade.FINE).message
    connected.remember(state, "mastodon", {"ACCESS_TOKEN": "former"}, Connection(since, "@lille"))
    assert "connected" not in only(checked.of("channel lille/mastodon"), Grade.FINE).message


def test_channels_with_wrong_options_are_left_to_check(checked, stack):
    remote = stack.enter_context(MastodonServer(now))
    checked.add("mastodon", remote, visibilty="public")
    report = checked.report()
    assert report.channels == ()
    assert report.exit_status == 1
