"""From the ledger to what is public: what a tick writes for each campaign and for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from lxml import etree

from pipeline.clock import VirtualClock
from pipeline.ledger import Ledger, open_ledger
from pipeline.model import Release
from pipeline.releasing import Shelf
from tests.feeds import judges, scene
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NAME = scene.CAMPAIGN.id


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two campaigns, one entry each, due a day apart."""
    project = Project(tmp_path, DUE)
    for campaign, due in (("arras", DUE + DAY), ("lille", DUE)):
        project.entry(f"{campaign}-a", tags=["vert"])
        authority = f"{campaign}.example,2016"
        project.campaign(
            f"{campaign}-a",
            campaign_id=campaign,
            due=due,
            title=f"Partage {campaign}",
            authority=authority,
            public_url="https://example.org/feeds/",
        )
    return project


def common(project: Project) -> dict[str, object]:
    return json.loads((project.public / "feed.json").read_bytes())


def common_id(project: Project) -> str:
    return etree.parse(str(project.public / "atom.xml")).findtext("{http://www.w3.org/2005/Atom}id")


def test_the_common_feed_grows_with_every_campaign_and_keeps_its_id(project: Project):
    clock = VirtualClock(DUE - HOUR)
    with project.open(clock) as pipeline:
        pipeline.tick()
        assert common(project)["items"] == []
        clock.sleep_until(DUE)
        assert pipeline.tick().notices == ()
        assert [item["id"] for item in common(project)["items"]] == ["tag:lille.example,2016:lille/lille-a"]
        first = common_id(project)
        clock.sleep_until(DUE + DAY)
        pipeline.tick()
        assert [item["id"] for item in common(project)["items"]] == [
            "tag:arras.example,2016:arras/arras-a",
            "tag:lille.example,2016:lille/lille-a",
        ]
    assert common_id(project) == first == "tag:lille.example,2016:@all"
    judged = judges.judge_folder(project.public / "lille") + judges.judge_folder(project.public / "arras")
    assert judged.count("tags/vert/atom.xml") == 2
    judges.judge_opml((project.public / "feeds.opml").read_bytes())


def test_the_id_of_the_common_feed_survives_the_loss_of_everything_public(project: Project):
    clock = VirtualClock(DUE - HOUR)
    with project.open(clock) as pipeline:
        for instant in (DUE - HOUR, DUE, DUE + DAY):
            clock.sleep_until(instant)
            pipeline.tick()
    before = {
        path: path.read_bytes() for path in project.public.rglob("*.*") if path.parent == project.public
    }
    for path in before:
        path.unlink()
    with project.open(clock) as pipeline:
        pipeline.tick()
    assert {path: path.read_bytes() for path in before} == before


def test_a_retracted_entry_leaves_every_feed_and_the_calendar(project: Project):
    clock = VirtualClock(DUE - HOUR)
    with project.open(clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(DUE)
        pipeline.tick()
        assert b"lille-a" in (project.public / "lille/calendar.ics").read_bytes()
        clock.advance(HOUR)
        assert pipeline.ledger.retract("lille", "lille-a", clock.now())
        pipeline.tick()
    assert common(project)["items"] == []
    assert project.feed_titles() == []
    assert b"lille-a" not in (project.public / "lille/calendar.ics").read_bytes()
    stone = f'ref="tag:lille.example,2016:lille/lille-a" when="{(DUE + HOUR).isoformat()}"'
    for name in ("atom.xml", "lille/atom.xml", "lille/tags/vert/atom.xml"):
        assert stone in (project.public / name).read_text()


def test_a_common_feed_that_cannot_be_written_is_told_and_written_later(project: Project):
    clock = VirtualClock(DUE)
    (project.public / "feed.xml").mkdir(parents=True)
    (project.public / "feed.xml" / "in the way").touch()
    with project.open(clock) as pipeline:
        (notice,) = pipeline.tick().notices
        assert notice.startswith("the feed of all campaigns could not be written: ")
        assert (project.public / "lille" / "feed.xml").is_file()
        (project.public / "feed.xml" / "in the way").unlink()
        (project.public / "feed.xml").rmdir()
        clock.advance(HOUR)
        assert pipeline.tick().notices == ()
    assert (project.public / "feed.xml").is_file()


# ----------------------------------------------------------------------------- the shelf


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db", now=DUE) as opened:
        opened.adopt(NAME, DUE)
        yield opened


def put(ledger: Ledger, entry: str) -> Release:
    release = replace(scene.RELEASES[1], entry=replace(scene.EDITED, id=entry))
    ledger.release(release)
    return release


def test_what_another_process_changed_is_read_again(ledger: Ledger):
    shelf = Shelf(ledger)
    release = put(ledger, "a")
    assert shelf.load(NAME, ["a", "b"]) == {"a": release}
    edited = replace(release, entry=replace(release.entry, title="Autre"), updated=release.updated + HOUR)
    ledger.refresh(edited)
    assert shelf.marks(NAME) == [edited.mark]
    assert shelf.load(NAME, ["a"]) == {"a": edited}


def test_the_shelf_keeps_only_so_many_releases_and_finds_the_others_again(ledger: Ledger):
    shelf = Shelf(ledger, remembered=5)
    names = [f"e{n:04}" for n in range(12)]
    for name in names:
        put(ledger, name)
    found = shelf.load(NAME, names)
    assert sorted(found) == names
    assert len(shelf._kept) == 5
    assert shelf.load(NAME, names[:3]) == {name: found[name] for name in names[:3]}
