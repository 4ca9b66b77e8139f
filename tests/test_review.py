"""What a review says when the files contradict what readers have already."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.channels import open_channel
from pipeline.clock import VirtualClock
from pipeline.problems import Severity
from pipeline.review import Review
from pipeline.tick import Pipeline
from tests.support.builders import surroundings
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Of three entries the first is released."""
    project = Project(tmp_path, DUE)
    for entry in ("a", "b", "c"):
        project.entry(entry)
    project.campaign("a", "b", "c", days_off=3)
    return project


@pytest.fixture
def pipeline(project: Project) -> Iterator[Pipeline]:
    clock = VirtualClock(DUE - HOUR)
    with project.open(clock) as opened:
        opened.tick()
        clock.sleep_until(DUE)
        assert opened.tick().released == (("lille", "a"),)
        yield opened


def review_of(project: Project, pipeline: Pipeline) -> Review:
    around = surroundings(project.root)
    return Review(
        project.root, lambda one, config: open_channel(one, config, around), DUE + HOUR, pipeline.ledger
    )


def found(project: Project, pipeline: Pipeline) -> list[tuple[str, str, str]]:
    problems = review_of(project, pipeline).problems()
    warnings = [one for one in problems if one.severity is Severity.WARNING]
    return [(one.path, one.code, f"{one.message} {one.hint}") for one in warnings]


def test_a_channel_that_came_too_late_for_a_day_is_not_shown_as_if_it_got_the_post(project, pipeline):
    project.campaign("a", "b", "c", days_off=3, channels={"outbox": {}, "presse": {"network": "outbox"}})
    review = review_of(project, pipeline)
    (view,) = review.views()
    first, second, _ = review.document(view)["slots"]
    assert [row["state"] for row in first["channels"]] == ["published", "missed"]
    assert [row["state"] for row in second["channels"]] == ["planned", "planned"]


def test_files_that_agree_with_the_ledger_are_no_problem(project, pipeline):
    assert found(project, pipeline) == []


@pytest.mark.parametrize("keys", [{"authority": "example.org,2020"}, {"authority": None}])
def test_another_authority_than_the_frozen_one_is_a_warning_that_names_it(project, pipeline, keys):
    project.campaign("a", "b", "c", days_off=3, link="https://other.example/", **keys)
    ((path, code, text),) = found(project, pipeline)
    assert (path, code) == ("schedules/lille.yaml", "W302")
    assert "Write `authority: example.org,2016`" in text
