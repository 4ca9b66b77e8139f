"""Killed with -9 at every point of a send, and started again: each post is there once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.clock import SystemClock, VirtualClock
from tests.support import processes
from tests.support.projects import PIXEL, Project

SECOND = timedelta(seconds=1)

Victims = Callable[..., int]

# What readers see at the moment of the crash: nothing yet, the page without its receipt, or the post.
POINTS = {
    "before prepare": 0,
    "after prepare": 0,
    "before claim": 0,
    "after claim": 0,
    "before a.png": 0,
    "before a.html": 0,
    "before a.json": 0,
    "after reply": 1,
    "before receipt": 1,
    "after receipt": 1,
}
AFTER_THE_POST = (
    "after release",
    "before feeds",
    "before feed.xml",
    "before atom.xml",
    "before feed.json",
    "after feeds",
)


def project_with_a_past_slot(root: Path) -> Project:
    """Its slot was due ten minutes ago, and the ledger knew of it before that."""
    due = SystemClock().now() - timedelta(minutes=10)
    project = Project(root, due)
    project.write("content/a.png", PIXEL)
    project.entry("a", image="a.png", image_alt="Un point.")
    project.campaign("a", channels={"outbox": {"timeout": "1s"}})
    with project.open(VirtualClock(project.due - 60 * SECOND)) as pipeline:
        pipeline.tick()
    assert project.states() == {"lille/a/outbox": "planned"}
    return project


@pytest.mark.parametrize("point", POINTS)
def test_a_send_that_was_cut_short_ends_in_one_post(tmp_path: Path, victims: Victims, point: str):
    project = project_with_a_past_slot(tmp_path)
    assert victims(project, "tick", point, project.due) == -signal.SIGKILL
    posts = list((project.public / "outbox").rglob("*.json"))
    assert len(posts) == POINTS[point]
    before = {path: (path.read_bytes(), path.stat().st_ino) for path in posts}
    assert victims(project, "tick") == 0
    assert project.posts() == ["lille/a/outbox"]
    assert project.states() == {"lille/a/outbox": "published"}
    assert {path: (path.read_bytes(), path.stat().st_ino) for path in before} == before, "it is not rewritten"
    assert project.feed_titles() == ["Projet a"]


@pytest.mark.parametrize("point", AFTER_THE_POST)
def test_feeds_that_were_cut_short_are_written_by_the_next_tick(tmp_path: Path, victims: Victims, point: str):
    project = project_with_a_past_slot(tmp_path)
    assert victims(project, "tick", point, project.due) == -signal.SIGKILL
    assert victims(project, "tick") == 0
    assert project.posts() == ["lille/a/outbox"]
    assert project.feed_titles() == ["Projet a"]
    for name in ("feed.xml", "atom.xml"):
        assert (project.public / "lille" / name).read_bytes().count(b"Projet a") >= 1


def test_three_crashes_in_a_row_still_end_in_one_post(tmp_path: Path, victims: Victims):
    project = project_with_a_past_slot(tmp_path)
    assert victims(project, "tick", "after claim", project.due) == -signal.SIGKILL
    assert victims(project, "tick", "after repeat", project.due + 30 * SECOND) == -signal.SIGKILL
    assert project.posts() == []
    assert victims(project, "tick", "after reply", project.due + 60 * SECOND) == -signal.SIGKILL
    assert project.posts() == ["lille/a/outbox"]
    assert victims(project, "tick") == 0
    assert project.posts() == ["lille/a/outbox"]
    assert project.states() == {"lille/a/outbox": "published"}


def test_a_first_start_that_is_killed_while_it_makes_the_ledger_leaves_no_half_of_one(
    tmp_path: Path, victims: Victims
):
    project = Project(tmp_path, SystemClock().now() + timedelta(hours=1))
    project.entry("a")
    project.campaign("a")
    assert victims(project, "tick", "migrating") == -signal.SIGKILL
    ended = processes.pipeline(tmp_path, "tick")
    assert ended.returncode == 0, ended.stderr
    assert project.states() == {"lille/a/outbox": "planned"}


@pytest.mark.parametrize("point", ["after claim", pytest.param("after reply", marks=pytest.mark.long)])
def test_a_daemon_killed_in_its_slot_is_followed_by_one_that_finishes(
    tmp_path: Path, victims: Victims, point: str
):
    project = Project(tmp_path, SystemClock().now() + 6 * SECOND)
    project.entry("a")
    project.campaign("a", channels={"outbox": {"timeout": "1s"}})
    assert victims(project, "run", point) == -signal.SIGKILL
    assert SystemClock().now() >= project.due
    assert project.states() == {"lille/a/outbox": "sending"}
    assert victims(project, "run") == 0
    assert project.posts() == ["lille/a/outbox"]
    assert project.states() == {"lille/a/outbox": "published"}


@pytest.mark.long
def test_a_daemon_killed_before_its_slot_is_followed_by_one_that_is_on_time(tmp_path: Path):
    project = Project(tmp_path, SystemClock().now() + 7 * SECOND)
    project.entry("a")
    project.campaign("a")
    with processes.daemon(tmp_path) as first:
        first.until(lambda: project.states() == {"lille/a/outbox": "planned"}, "the plan")
        first.send(signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
    assert SystemClock().now() < project.due, "this machine is too slow for the test"
    with processes.daemon(tmp_path, "--until-done") as second:
        assert second.wait() == 0, second.said()
    (row,) = processes.status(tmp_path)["deliveries"]
    assert row["state"] == "published"
    (post,) = (project.public / "outbox").rglob("*.json")
    assert 0 <= post.stat().st_mtime - project.due.timestamp() <= 1
