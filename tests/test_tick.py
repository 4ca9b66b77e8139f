"""One look at the world, over real files and a real ledger, on a clock that moves when it is told to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from pipeline.clock import VirtualClock
from pipeline.errors import BrokenEnvironment, LedgerError
from pipeline.model import DeliveryKey, NoKey, State
from pipeline.tick import LOOK_AGAIN, Pipeline
from tests.support.channels import PERMANENT, FaultyChannel, no_answer, rate_limited, rejected
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two entries, the first due at DUE, the second a day later."""
    project = Project(tmp_path, DUE)
    project.entry("a")
    project.entry("b")
    project.campaign("a", "b")
    return project


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(DUE - HOUR)


@pytest.fixture
def pipeline(project: Project, clock: VirtualClock) -> Iterator[Pipeline]:
    with project.open(clock) as opened:
        opened.tick()
        yield opened


def states(pipeline: Pipeline) -> dict[str, State]:
    return {one.key.entry: one.state for one in pipeline.ledger.deliveries()}


def days(pipeline: Pipeline) -> dict[str, int]:
    return {entry: slot.date.day for entry, slot in pipeline.ledger.slots("lille").items()}


# --------------------------------------------------------------------------- the day


def test_what_was_sent_and_whose_file_went_before_its_release_is_not_released(pipeline, project, clock):
    clock.sleep_until(DUE)
    pipeline.dispatcher.start(pipeline.reader.read(clock.now()))  # and the process ends before it releases
    (project.root / "content/a.md").unlink()
    assert pipeline.tick().released == ()
    assert states(pipeline)["a"] is State.PUBLISHED
    assert project.feed_titles() == []


def test_a_released_entry_that_becomes_a_draft_keeps_the_words_readers_have(pipeline, project, clock):
    clock.sleep_until(DUE)
    pipeline.tick()
    project.entry("a", title="Un brouillon", status="draft")
    pipeline.tick()
    assert project.feed_titles() == ["Projet a"]
    project.entry("a", title="Relu")
    pipeline.tick()
    assert project.feed_titles() == ["Relu"]


def test_an_older_checkout_on_the_same_ledger_does_not_undo_an_edit(pipeline, project, clock, tmp_path):
    clock.sleep_until(DUE)
    pipeline.tick()
    older = Project(tmp_path / "older", DUE, ledger=project.ledger)
    for folder in ("content", "schedules"):
        shutil.copytree(project.root / folder, older.root / folder, dirs_exist_ok=True)
    with older.open(clock) as other:
        other.tick()
        project.entry("a", title="Relu")
        pipeline.tick()
        older.entry("b", title="Un autre")  # makes the other one read its files again
        other.tick()
    (release,) = pipeline.ledger.releases("lille")
    assert release.entry.title == "Relu"


def test_an_account_that_was_asked_to_wait_is_not_asked_again_for_another_campaign(project, clock):
    (project.root / "schedules/lille.yaml").unlink()
    for name in ("un", "deux"):
        project.campaign("a", campaign_id=name, channels={"presse": {"network": "outbox"}})
    channel = FaultyChannel(clock=clock, traits=PERMANENT)
    channel.fail("publish", rate_limited(until=DUE + 20 * MINUTE))
    with project.open(clock, channels={"presse": channel}) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        assert len(channel.remote.calls) == 1
        waiting = pipeline.ledger.deliveries(states={State.PLANNED})
        assert {one.not_before for one in waiting} == {DUE + 20 * MINUTE}
        assert pipeline.next_wake(clock.now()) == DUE + 20 * MINUTE
        clock.sleep_until(DUE + 20 * MINUTE)
        assert len(pipeline.tick().sent) == 2


def test_after_an_outage_of_days_one_post_goes_out_however_long_the_late_window(project, clock):
    project.entry("c")
    project.campaign("a", "b", "c", late="5d", missed="skip")
    with project.open(clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE + 2 * DAY + HOUR)
        report = pipeline.tick()
        assert report.released == (("lille", "c"),)
        assert project.posts() == ["lille/c/outbox"]
        assert states(pipeline) == {"a": State.MISSED, "b": State.MISSED, "c": State.PUBLISHED}


def test_a_slot_is_sent_and_released_at_its_instant_and_not_before(pipeline, project, clock):
    clock.sleep_until(DUE - SECOND)
    assert pipeline.tick().released == ()
    assert project.posts() == []
    clock.sleep_until(DUE)
    report = pipeline.tick()
    assert report.released == (("lille", "a"),)
    assert report.sent == (DeliveryKey("lille", "a", "outbox"),)
    assert project.posts() == ["lille/a/outbox"]
    assert project.feed_titles() == ["Projet a"]
    assert pipeline.tick().sent == ()


def test_a_channel_with_a_time_of_its_own_is_sent_then(project, clock):
    project.campaign(
        "a", channels={"outbox": {}, "soir": {"network": "outbox", "time": project.wall(DUE + HOUR)}}
    )
    with project.open(clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        report = pipeline.tick()
        assert project.posts() == ["lille/a/outbox"]
        assert pipeline.next_wake(report.now) == DUE + HOUR
        clock.sleep_until(DUE + HOUR)
        pipeline.tick()
    assert project.posts() == ["lille/a/outbox", "lille/a/soir"]


def test_what_becomes_due_while_a_tick_works_is_not_passed_over(pipeline, clock):
    report = pipeline.tick()
    clock.sleep_until(DUE + SECOND)
    assert pipeline.next_wake(report.now) == DUE


def test_after_a_long_sleep_a_slot_is_still_posted_within_its_late_window(pipeline, project, clock):
    clock.sleep_until(DUE + 6 * HOUR - SECOND)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox"]


def test_after_a_sleep_beyond_the_late_window_the_slot_is_missed(pipeline, project, clock):
    clock.sleep_until(DUE + 6 * HOUR)
    report = pipeline.tick()
    assert report.missed == (DeliveryKey("lille", "a", "outbox"),)
    assert project.posts() == []
    assert states(pipeline) == {"a": State.MISSED, "b": State.PLANNED}
    assert project.feed_titles() == []


def test_a_missed_slot_moves_to_a_free_day(project, clock):
    project.campaign("a", days_off=2, until="2016-04-11")
    project.write(
        "schedules/lille.yaml", _with(project, "lille", posting={"missed": "move", "until": "2016-04-13"})
    )
    with project.open(clock) as pipeline:
        pipeline.tick()
        (slot,) = pipeline.ledger.slots("lille").values()
        clock.sleep_until(slot.due + 6 * HOUR)
        pipeline.tick()
        assert states(pipeline) == {"a": State.MISSED}, "the 13th was the last posting day"
    project.write(
        "schedules/lille.yaml", _with(project, "lille", posting={"missed": "move", "until": "2016-04-14"})
    )
    project.write("schedules/lille.yaml", _with(project, "lille", event={"starts": "2016-04-15 23:00"}))
    with project.open(clock) as pipeline:
        pipeline.tick()
        assert states(pipeline) == {"a": State.PLANNED}
        assert days(pipeline) == {"a": 14}
        clock.sleep_until(DUE + 3 * DAY)
        pipeline.tick()
    assert project.posts() == ["lille/a/outbox"]


def _with(project: Project, campaign: str, **parts: dict[str, str]) -> str:
    """The campaign file with some keys of its parts replaced."""
    document = {}
    for line in (project.root / "schedules" / f"{campaign}.yaml").read_text().splitlines():
        key, _, value = line.partition(": ")
        document[key] = json.loads(value)
    for part, keys in parts.items():
        document[part] = {**document[part], **{k: v for k, v in keys.items() if v is not None}}
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in document.items() if key != "until")


@pytest.mark.parametrize("jump", [-HOUR, -DAY, HOUR])
def test_a_clock_that_jumps_sends_nothing_twice_and_nothing_is_lost(pipeline, project, clock, jump):
    clock.sleep_until(DUE)
    pipeline.tick()
    clock.advance(jump)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox"]
    assert states(pipeline) == {"a": State.PUBLISHED, "b": State.PLANNED}
    clock.sleep_until(DUE + DAY)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox", "lille/b/outbox"]


def test_a_clock_that_jumps_back_before_the_slot_still_sends_it_at_its_instant(pipeline, project, clock):
    clock.sleep_until(DUE - SECOND)
    clock.advance(-HOUR)
    report = pipeline.tick()
    assert pipeline.next_wake(report.now) == DUE
    clock.sleep_until(DUE)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox"]


def test_a_clock_that_jumps_forward_a_day_and_back_sends_nothing_twice_and_forgets_nothing(
    pipeline, project, clock
):
    clock.sleep_until(DUE - HOUR)
    pipeline.tick()
    clock.advance(DAY)
    pipeline.tick()
    assert states(pipeline) == {"a": State.MISSED, "b": State.PLANNED}, "it is told, and not sent a day late"
    clock.advance(HOUR)
    pipeline.tick()
    clock.advance(-DAY - HOUR)
    for _ in range(60):
        clock.advance(HOUR)
        pipeline.tick()
    assert project.posts() == ["lille/b/outbox"]
    assert states(pipeline) == {"a": State.MISSED, "b": State.PUBLISHED}


# --------------------------------------------------------------------------- files


def test_an_edit_of_a_released_entry_reaches_the_feeds(pipeline, project, clock):
    clock.sleep_until(DUE)
    pipeline.tick()
    project.entry("a", title="Un autre titre")
    clock.advance(MINUTE)
    pipeline.tick()
    assert project.feed_titles() == ["Un autre titre"]
    (release,) = pipeline.ledger.releases("lille")
    assert (release.released, release.updated) == (DUE, DUE + MINUTE)


def test_an_edit_made_while_nothing_ran_reaches_the_feeds(project, clock):
    with project.open(clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
    project.entry("a", title="Un autre titre")
    with project.open(clock) as pipeline:
        pipeline.tick()
    assert project.feed_titles() == ["Un autre titre"]


def test_an_edit_of_the_campaign_reaches_the_feeds(pipeline, project):
    project.campaign("a", "b", title="Lille autrement")
    pipeline.tick()
    feed = json.loads((project.public / "lille" / "feed.json").read_bytes())
    assert feed["title"] == "Lille autrement"


def test_a_new_entry_gets_a_day_and_the_others_move_up(pipeline, project):
    assert days(pipeline) == {"a": 11, "b": 12}
    project.entry("c")
    project.campaign("a", "b", "c")
    pipeline.tick()
    assert days(pipeline) == {"a": 11, "b": 12, "c": 13}
    assert states(pipeline) == dict.fromkeys("abc", State.PLANNED)


def test_an_entry_that_loses_its_day_is_told_once(pipeline, project, clock):
    clock.sleep_until(DUE)
    assert pipeline.tick().notices == ()
    project.entry("a2")
    project.write("schedules/lille.yaml", _with(project, "lille").replace('["a", "b"]', '["a", "a2", "b"]'))
    report = pipeline.tick()
    assert report.notices == ("lille: b does not go out: no day is left for it before the last posting day",)
    assert states(pipeline) == {"a": State.PUBLISHED, "a2": State.PLANNED, "b": State.CANCELLED}
    assert pipeline.tick().notices == ()


def test_an_event_that_is_moved_takes_what_is_planned_with_it(pipeline, project, clock):
    clock.sleep_until(DUE)
    pipeline.tick()
    project.campaign("a", "b", due=DUE + 3 * DAY)
    pipeline.tick()
    assert days(pipeline) == {"a": 11, "b": 15}
    clock.sleep_until(DUE + 4 * DAY)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox", "lille/b/outbox"]


def test_a_deleted_entry_is_withdrawn_and_comes_back_with_its_file(pipeline, project):
    text = (project.root / "content/b.md").read_bytes()
    (project.root / "content/b.md").unlink()
    pipeline.tick()
    assert states(pipeline) == {"a": State.PLANNED, "b": State.CANCELLED}
    project.write("content/b.md", text)
    pipeline.tick()
    assert states(pipeline) == {"a": State.PLANNED, "b": State.PLANNED}


def test_a_deleted_campaign_sends_nothing_more_and_comes_back_with_its_file(pipeline, project, clock):
    clock.sleep_until(DUE)
    pipeline.tick()
    path = project.root / "schedules/lille.yaml"
    text = path.read_bytes()
    path.unlink()
    pipeline.tick()
    assert states(pipeline) == {"a": State.PUBLISHED, "b": State.CANCELLED}
    assert pipeline.done()
    project.write("schedules/lille.yaml", text)
    pipeline.tick()
    assert states(pipeline) == {"a": State.PUBLISHED, "b": State.PLANNED}
    clock.sleep_until(DUE + DAY)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox", "lille/b/outbox"]


BROKEN = {
    "content/a.md": "---\ntitle: Projet : deux points\n---\n",
    "schedules/lille.yaml": 'title: "guillemet jamais fermé\n',
}


def test_a_renamed_file_of_a_released_entry_does_not_go_out_again(pipeline, project, clock):
    clock.sleep_until(DUE)
    pipeline.tick()
    project.campaign("a-neuf", "a", "b", due=DUE, late="6h")
    (project.root / "content/a.md").rename(project.root / "content/a-neuf.md")
    report = pipeline.tick()
    told = [problem for problem in report.problems if problem.code == "E311"]
    assert [(problem.path, problem.line) for problem in told] == [("content/a-neuf.md", 2)]
    assert "`id: a`" in told[0].hint
    assert states(pipeline) == {"a": State.PUBLISHED, "b": State.PLANNED}
    clock.sleep_until(DUE + DAY)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox", "lille/b/outbox"]
    assert project.feed_titles() == ["Projet b", "Projet a"]


def test_a_renamed_file_that_keeps_its_id_is_the_same_entry(pipeline, project, clock):
    clock.sleep_until(DUE)
    pipeline.tick()
    project.entry("a", id="a", title="Un titre corrigé")
    (project.root / "content/a.md").rename(project.root / "content/a-neuf.md")
    assert pipeline.tick().problems == ()
    assert project.feed_titles() == ["Un titre corrigé"]
    assert states(pipeline) == {"a": State.PUBLISHED, "b": State.PLANNED}


def test_another_entry_about_the_same_page_goes_out(pipeline, project, clock):
    clock.sleep_until(DUE)
    pipeline.tick()
    (project.root / "content/a.md").unlink()
    project.entry("b", url="https://example.org/a", summary="Un autre projet.")
    pipeline.tick()
    clock.sleep_until(DUE + DAY)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox", "lille/b/outbox"]


def test_a_campaign_whose_file_was_away_while_a_slot_came_due_still_posts_it(pipeline, project, clock):
    path = project.root / "schedules" / "lille.yaml"
    text = path.read_bytes()
    path.unlink()
    clock.sleep_until(DUE)
    pipeline.tick()
    assert states(pipeline) == {"a": State.CANCELLED, "b": State.CANCELLED}
    project.write("schedules/lille.yaml", text)
    clock.sleep_until(DUE + 6 * HOUR - SECOND)
    assert pipeline.tick().released == (("lille", "a"),)
    assert states(pipeline) == {"a": State.PUBLISHED, "b": State.PLANNED}
    assert project.posts() == ["lille/a/outbox"]


def test_a_campaign_whose_file_was_away_for_a_whole_window_gives_the_entry_a_free_day(
    pipeline, project, clock
):
    (project.root / "schedules" / "lille.yaml").unlink()
    pipeline.tick()
    clock.sleep_until(DUE + 6 * HOUR)
    pipeline.tick()
    project.campaign("a", "b", due=DUE + DAY)
    pipeline.tick()
    assert days(pipeline) == {"a": 12, "b": 13}
    clock.sleep_until(DUE + DAY)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox"]


@pytest.mark.parametrize("path", BROKEN)
def test_a_broken_edit_does_not_stop_the_campaign(pipeline, project, clock, path):
    good = (project.root / path).read_bytes()
    project.write(path, BROKEN[path])
    clock.sleep_until(DUE)
    report = pipeline.tick()
    assert [problem.path for problem in report.problems if problem.path == path]
    assert project.posts() == ["lille/a/outbox"]
    project.write(path, good)
    assert pipeline.tick().problems == ()


@pytest.mark.parametrize("path", BROKEN)
def test_a_broken_edit_does_not_stop_the_campaign_after_a_restart(project, clock, path):
    with project.open(clock) as pipeline:
        pipeline.tick()
    project.write(path, BROKEN[path])
    for instant in (DUE, DUE + DAY):
        clock.sleep_until(instant)
        with project.open(clock) as pipeline:
            assert pipeline.tick().problems
    assert project.posts() == ["lille/a/outbox", "lille/b/outbox"]


@pytest.mark.parametrize("folder", ["content", "schedules"])
def test_a_folder_that_is_gone_stops_the_tick_and_cancels_nothing(pipeline, project, clock, folder):
    (project.root / folder).rename(project.root / "elsewhere")
    clock.sleep_until(DUE)
    with pytest.raises(BrokenEnvironment, match="is gone"):
        pipeline.tick()
    assert states(pipeline) == {"a": State.PLANNED, "b": State.PLANNED}
    (project.root / "elsewhere").rename(project.root / folder)
    pipeline.tick()
    assert project.posts() == ["lille/a/outbox"]


def test_a_mount_point_without_its_disk_stops_the_tick_and_cancels_nothing(pipeline, project):
    shutil.rmtree(project.root / "content")
    (project.root / "content").mkdir()
    with pytest.raises(BrokenEnvironment, match="is its disk mounted"):
        pipeline.tick()
    assert states(pipeline) == {"a": State.PLANNED, "b": State.PLANNED}
    (project.root / "content" / "README.md").write_text("Vide, exprès.\n")
    pipeline.tick()
    assert states(pipeline) == {"a": State.CANCELLED, "b": State.CANCELLED}


# --------------------------------------------------------------------------- several, and many


def test_of_two_checkouts_on_one_ledger_both_have_the_feeds_and_one_the_post(tmp_path):
    first, second = (Project(tmp_path / name, DUE, ledger=f"sqlite:///{tmp_path}/shared.db") for name in "12")
    clock = VirtualClock(DUE - HOUR)
    for project in (first, second):
        project.entry("a")
        project.campaign("a")
    with first.open(clock) as one, second.open(clock) as other:
        one.tick()
        other.tick()
        clock.sleep_until(DUE)
        one.tick()
        other.tick()
    assert sorted(first.posts() + second.posts()) == ["lille/a/outbox"]
    assert first.feed_titles() == second.feed_titles() == ["Projet a"]


def test_two_checkouts_of_different_age_do_not_undo_each_others_edits(tmp_path):
    first, second = (Project(tmp_path / name, DUE, ledger=f"sqlite:///{tmp_path}/shared.db") for name in "12")
    clock = VirtualClock(DUE - HOUR)
    for project in (first, second):
        project.entry("a")
        project.campaign("a")
    with first.open(clock) as one, second.open(clock) as other:
        for pipeline in (one, other):
            pipeline.tick()
        clock.sleep_until(DUE)
        for pipeline in (one, other):
            pipeline.tick()
        first.entry("a", title="Plus récent")
        for _ in range(3):
            clock.advance(MINUTE)
            one.tick()
            other.tick()
        assert first.feed_titles() == second.feed_titles() == ["Plus récent"]
        (release,) = one.ledger.releases("lille")
        assert release.updated == DUE + MINUTE


@contextmanager
def counting(pipeline: Pipeline) -> Iterator[list[str]]:
    """The statements that the ledger is asked meanwhile."""
    asked: list[str] = []

    def note(_connection, _cursor, statement, *_rest):
        asked.append(statement)

    engine = pipeline.ledger._database.engine
    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("campaigns", [1, 12])
def test_a_tick_with_nothing_to_do_costs_the_same_however_many_campaigns(tmp_path, clock, campaigns):
    project = Project(tmp_path, DUE)
    for number in range(campaigns):
        project.entry(f"a{number}")
        project.campaign(f"a{number}", campaign_id=f"c{number}")
    points: list[str] = []
    with project.open(clock, probe=points.append) as pipeline:
        clock.sleep_until(DUE)
        for _ in range(3):
            pipeline.tick()
        assert points.count("before feeds") == campaigns
        points.clear()
        library = pipeline.reader.read(clock.now())
        clock.advance(MINUTE)
        with counting(pipeline) as asked:
            pipeline.tick()
        assert pipeline.reader.read(clock.now()) is library, "no file was read again"
        assert points == [], "no feed was written again"
        assert len(asked) <= 20


def test_only_the_campaign_that_an_edit_concerns_is_planned_again(tmp_path, clock):
    project = Project(tmp_path, DUE)
    points: list[str] = []
    for name in ("c1", "c2"):
        project.entry(f"{name}-a")
        project.campaign(f"{name}-a", campaign_id=name)
    with project.open(clock, probe=points.append) as pipeline:
        for _ in range(3):
            pipeline.tick()
        points.clear()
        project.entry("c1-a", title="Autre titre")
        pipeline.tick()
        assert points.count("after release") == 1
        points.clear()
        clock.advance(LOOK_AGAIN * 2)
        pipeline.tick()
        assert points.count("after release") == 2, "now and then each is looked at in any case"


def test_what_another_process_writes_is_noticed(project, clock):
    with project.open(clock) as pipeline, project.open(clock) as other:
        pipeline.tick()
        other.ledger.cancel(DeliveryKey("lille", "a", "outbox"), clock.now())
        clock.sleep_until(DUE)
        pipeline.tick()
    assert project.posts() == []


# --------------------------------------------------------------------------- what goes wrong elsewhere


def test_a_channel_that_this_version_does_not_know_stops_no_other_campaign(project, clock):
    project.entry("c")
    project.campaign("c", campaign_id="aaa", channels={"outbox": {"network": "mastadon"}})
    with project.open(clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        report = pipeline.tick()
        assert any(problem.code == "E306" for problem in report.problems)
        assert project.posts() == ["lille/a/outbox"]


def test_feeds_that_cannot_be_written_stop_no_post_and_are_written_later(pipeline, project, clock):
    shutil.rmtree(project.public / "lille")
    (project.public / "lille").write_text("in the way")
    clock.sleep_until(DUE)
    report = pipeline.tick()
    assert "feeds" in report.notices[0]
    assert project.posts() == ["lille/a/outbox"]
    (project.public / "lille").unlink()
    assert pipeline.tick().notices == ()
    assert project.feed_titles() == ["Projet a"]


def test_a_tick_that_failed_half_way_leaves_the_rest_to_the_next(project, clock):
    broken = True

    def probe(point):
        if point == "after release" and broken:
            raise LedgerError("the disk is full")

    with project.open(clock, probe=probe) as pipeline:
        clock.sleep_until(DUE - HOUR)
        with pytest.raises(LedgerError):
            pipeline.tick()
        clock.sleep_until(DUE)
        with pytest.raises(LedgerError):
            pipeline.tick()
        broken = False
        pipeline.tick()
    assert project.posts() == ["lille/a/outbox"]
    assert project.feed_titles() == ["Projet a"]


def test_done_means_that_nothing_goes_on_by_itself(project, clock):
    project.campaign("a")
    keyless = FaultyChannel(
        traits=PERMANENT.__class__(
            key=NoKey(), lookup=False, edit=False, delete=False, timeout=SECOND, settle=MINUTE
        ),
        clock=clock,
    )
    keyless.fail("publish", no_answer(accepted=True))
    with project.open(clock, channels={"outbox": keyless}) as pipeline:
        pipeline.tick()
        assert not pipeline.done()
        clock.sleep_until(DUE)
        pipeline.tick()
        assert not pipeline.done(), "its lease is not over"
        clock.advance(MINUTE)
        pipeline.tick()
        assert pipeline.done()
        assert len(pipeline.waiting()) == 1
    assert keyless.remote.count == 1


def test_a_held_delivery_waits_for_a_person(project, clock):
    project.campaign("a")
    channel = FaultyChannel(clock=clock)
    channel.fail("publish", rejected())
    with project.open(clock, channels={"outbox": channel}) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        assert pipeline.done()
        assert [one.delivery.state for one in pipeline.waiting()] == [State.HELD]
