"""Pictures inside a body are missed by `check` where the feeds would go out without them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.clock import VirtualClock
from pipeline.content import read_entry
from pipeline.feeds.pictures import Publisher
from pipeline.illustrations import illustration_problems
from pipeline.library import read_sources
from pipeline.review import Review
from tests.support.channels import FaultyChannel
from tests.support.projects import PIXEL, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    for place in ("content/images/un été.png", "content/sub/beside.png", "outside.png"):
        project.write(place, PIXEL)
    project.write("content/text.png", "no picture")
    return project


def told(project: Project, body: str) -> list[str]:
    """The problems of an entry in a folder; its body begins in line 6."""
    project.entry("sub/e", body=body)
    found = illustration_problems(read_sources(project.root), project.root)
    return [f"{p.line}:{p.column} {p.code} {p.message}" for p in found]


@pytest.mark.parametrize(
    "body",
    [
        "![Un point](beside.png) et ![un autre](images/un%20%C3%A9t%C3%A9.png)\n",
        "![Un point](<images/un été.png>)\n",
        '<img src="beside.png" alt="Un point">\n',
        "![Ailleurs](https://example.org/gone.png) ![Site](/gone.png)\n",
        "```\n![Un exemple](gone.png)\n```\n",
        "Une phrase![^1] sans image.\n",
    ],
)
def test_what_the_feeds_find_or_do_not_look_for_is_no_problem(project: Project, body: str):
    assert told(project, body) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "Du texte.\n\nEt ![un point](gone.png).\n",
            '8:16 E202 a picture of the body is not there: "gone.png"',
        ),
        (
            '<p>Et\n<img alt="Un point" src=gone.png></p>\n',
            '7:25 E202 a picture of the body is not there: "gone.png"',
        ),
        ("![Un point][p]\n\n[p]: gone.png\n", '8:6 E202 a picture of the body is not there: "gone.png"'),
        ("![Un point](<un été.png>)\n", '6:14 E202 a picture of the body is not there: "un été.png"'),
        (
            "![Un point](../../outside.png)\n",
            '6:13 E202 a picture of the body lies outside content/: "../../outside.png"',
        ),
        ("![Un point](a(1).png)\n", '6:13 E202 a picture of the body is not there: "a(1).png"'),
        (
            "![Un point](text.png)\n",
            '6:13 E203 a picture of the body is not a PNG, JPEG, GIF or WebP picture: "text.png"',
        ),
    ],
)
def test_a_picture_that_the_feeds_would_leave_out_is_told_at_its_place(
    project: Project, body: str, expected: str
):
    assert told(project, body) == [expected]
    entry = read_entry(project.root, "content/sub/e.md").value
    assert entry is not None
    assert list(Publisher(project.root, project.public).publish(entry).body.values()) == [None]


def test_a_file_of_nearly_the_same_name_is_proposed(project: Project):
    project.entry("sub/e", body="![Un point](besides.png)\n")
    (problem,) = illustration_problems(read_sources(project.root), project.root)
    assert problem.hint == "Did you mean `beside.png`?"


def test_check_tells_of_it_and_the_pipeline_goes_on_with_the_entry(project: Project):
    clock = VirtualClock(project.due - timedelta(hours=1))
    project.entry("e", body="![Un point](gone.png)\n")
    project.campaign("e")
    review = Review(project.root, lambda _c, _k: FaultyChannel(clock=clock), clock.now(), None)
    assert [p.code for p in review.problems(pictures=True)] == ["E202"]
    with project.open(clock) as pipeline:
        report = pipeline.tick()
    assert (report.problems, project.states()) == ((), {"lille/e/outbox": "planned"})
