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


def found(project: Project, pipeline: Pipeline) -> list[tuple[str, str, str]]:
    around = surroundings(project.root)
    review = Review(
        project.root, lambda one, config: open_channel(one, config, around), DUE + HOUR, pipeline.ledger
    )
    warnings = [one for one in review.problems() if one.severity is Severity.WARNING]
    return [(one.path, one.code, f"{one.message} {one.hint}") for one in warnings]


def test_files_that_agree_with_the_ledger_are_no_problem(project, pipeline):
    assert found(project, pipeline) == []


@pytest.mark.parametrize("keys", [{"authority": "example.org,2020"}, {"authority": None}])
def test_another_authority_than_the_frozen_one_is_a_warning_that_names_it(project, pipeline, keys):
    project.campaign("a", "b", "c", days_off=3, link="https://other.example/", **keys)
    ((path, code, text),) = found(project, pipeline)
    assert (path, code) == ("schedules/lille.yaml", "W302")
    assert "Write `authority: example.org,2016`" in text
