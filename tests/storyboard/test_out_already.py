"""A storyboard of a campaign that is under way: its feeds are those that readers have."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline import app
from pipeline.amending import Amender
from pipeline.clock import VirtualClock
from pipeline.settings import Settings
from tests.storyboard.scenes import Page
from tests.support.builders import utc
from tests.support.projects import Project

DUE = utc(2016, 4, 11, 10)


@pytest.fixture
def project(tmp_path):
    """Four entries are out: one was retracted, one has lost its file, one came late, one is as it was."""
    project = Project(tmp_path / "project", DUE)
    for name in "abcd":
        project.entry(name)
    project.campaign(*"abcd", public_url="https://feeds.example.org/")
    clock = VirtualClock(DUE - timedelta(minutes=1))
    with project.open(clock) as pipeline:
        pipeline.tick()
        for day, late in enumerate((0, 0, 2, 0)):
            clock.sleep_until(DUE + timedelta(days=day, hours=late))
            pipeline.tick()
        (project.root / "content/b.md").unlink()
        pipeline.tick()
        Amender(pipeline).retract("a")
        pipeline.rewrite_feeds()
    return project


def preview(project: Project, out: str = "preview") -> Page:
    folder = project.root / out
    app.preview_project(Settings(project.root, project.ledger), folder)
    return Page(folder / "storyboard.html")


def test_its_reader_shows_what_the_feeds_hold(project):
    pane = preview(project).section("feeds")
    assert project.feed_titles() == ["Projet d", "Projet c", "Projet b"]
    assert [title.get_text() for title in pane.select("h4")] == project.feed_titles()
    assert "3 entries" in pane.get_text()


def test_its_reader_dates_an_entry_by_when_it_came_out(project):
    instants = [one["datetime"] for one in preview(project).section("feeds").select("time")]
    assert instants[1] == (DUE + timedelta(days=2, hours=2)).isoformat()


def test_a_deleted_post_leads_nowhere_and_a_published_one_to_itself(project):
    page = preview(project)
    assert "deleted" in page.card("a", "outbox").select_one(".chip").get_text()
    assert page.card("a", "outbox").select(".out a") == []
    (there,) = page.card("c", "outbox").select(".out a")
    assert there["href"].startswith("https://feeds.example.org/outbox/lille/")


def test_a_file_that_is_gone_changes_nothing_about_what_was_posted(project):
    again = Project(project.root, DUE)
    preview(project)
    again.entry("b")
    (line,) = preview(project).section("changes").select("p")
    assert line.get_text() == "Nothing has changed since the earlier storyboard."
    assert preview(project).card("b", "outbox").select_one(".text").get_text().startswith("J-3 Projet b")
