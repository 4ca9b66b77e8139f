"""The files as the pipeline sees them: read once, and never worse than their last good version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.channels import open_channel
from pipeline.channels.base import Surroundings
from pipeline.errors import BrokenEnvironment
from pipeline.ledger import Ledger, open_ledger
from pipeline.library import LibraryReader
from tests.support.projects import PIXEL, Project

NOW = datetime(2016, 4, 1, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path, datetime(2016, 4, 11, 10, tzinfo=UTC))
    project.entry("a")
    project.entry("b")
    project.campaign("a", "b", channels={"outbox": {"limit": "60"}})
    return project


@contextmanager
def reading(project: Project, *, only: str | None = None) -> Iterator[tuple[LibraryReader, Ledger]]:
    """A reader as a process that has just started has it, over the project's ledger."""
    around = Surroundings(project.root, project.public, lambda _channel, _name: None, lambda: NOW)
    with open_ledger(project.ledger, now=NOW) as ledger:
        yield LibraryReader(project.root, ledger, lambda c, k: open_channel(c, k, around), only=only), ledger


@pytest.fixture
def reader(project: Project) -> Iterator[LibraryReader]:
    with reading(project) as (opened, _):
        opened.read(NOW)
        yield opened


def codes(reader: LibraryReader) -> set[str]:
    return {problem.code for problem in reader.read(NOW).problems}


def test_what_has_not_changed_is_not_read_again(project: Project, reader: LibraryReader):
    before = reader.read(NOW)
    assert not reader.changed()
    assert reader.read(NOW) is before
    project.entry("a", title="Autre")
    assert reader.changed()
    after = reader.read(NOW)
    assert after.entries["a"].title == "Autre"
    assert after.entries["b"] is before.entries["b"]
    assert after.campaigns["lille"] is before.campaigns["lille"]


def test_a_file_that_was_written_with_its_old_date_is_noticed(project: Project, reader: LibraryReader):
    import os

    path = project.root / "content/a.md"
    times = path.stat()
    path.write_bytes(path.read_bytes().replace(b"Projet a", b"Projet z"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert reader.changed()
    assert reader.read(NOW).entries["a"].title == "Projet z"


def test_a_picture_that_is_put_in_its_place_mends_the_entry(project: Project, reader: LibraryReader):
    project.entry("a", image="a.png", image_alt="Un point.")
    library = reader.read(NOW)
    assert codes(reader) == {"E202"}
    assert library.entries["a"].image is None, "the version without the picture goes on"
    project.write("content/a.png", PIXEL)
    assert reader.changed()
    assert codes(reader) == set()
    assert reader.read(NOW).entries["a"].image is not None


@pytest.mark.parametrize("restart", [False, True])
def test_a_picture_that_vanishes_takes_no_entry_with_it(project: Project, restart: bool):
    project.write("content/a.png", PIXEL)
    project.entry("a", image="a.png", image_alt="Un point.")
    with reading(project) as (reader, _):
        assert reader.read(NOW).problems == ()
        (project.root / "content/a.png").unlink()
        assert codes(reader) == {"E202"}
        assert set(reader.read(NOW).entries) == {"a", "b"}
    if restart:
        with reading(project) as (reader, _):
            library = reader.read(NOW)
            assert set(library.entries) == {"a", "b"}
            assert library.entries["a"].image is not None
            assert library.stale == {"content/a.md"}


@pytest.mark.parametrize("restart", [False, True])
def test_a_template_that_makes_posts_too_long_waits_until_it_is_mended(project: Project, restart: bool):
    with reading(project) as (reader, _):
        before = reader.read(NOW).campaigns["lille"]
        project.campaign(
            "a", "b", channels={"outbox": {"limit": "60"}}, text="{{ entry.title }} " + "trop long " * 10
        )
        library = reader.read(NOW)
    if restart:
        with reading(project) as (reader, _):
            library = reader.read(NOW)
    assert {problem.code for problem in library.problems} == {"E403"}
    assert library.campaigns["lille"].text == before.text
    assert "schedules/lille.yaml" in library.stale


def test_a_copy_with_the_same_id_does_not_displace_the_original(project: Project, reader: LibraryReader):
    project.write(
        "content/0.md", (project.root / "content/a.md").read_text().replace("---\n", "---\nid: a\n", 1)
    )
    assert codes(reader) == {"E301"}
    assert reader.read(NOW).entries["a"].path == "content/a.md"


def test_what_is_gone_is_forgotten_and_what_is_broken_is_not(project: Project):
    with reading(project) as (reader, ledger):
        reader.read(NOW)
        (project.root / "content/a.md").unlink()
        good = (project.root / "content/b.md").read_text()
        project.write("content/b.md", b"\xff\xfe")
        reader.read(NOW)
        assert ledger.good_files().keys() == {"content/b.md", "schedules/lille.yaml"}
        assert ledger.good_files()["content/b.md"] == good


def test_hidden_files_and_links_to_nowhere_do_not_matter(project: Project, reader: LibraryReader):
    project.write("content/.a.md.swp", "half")
    (project.root / "content" / "lost.md").symlink_to("nowhere.md")
    (project.root / "content" / ".git").mkdir()
    project.write("content/.git/x.md", "x")
    assert set(reader.read(NOW).entries) == {"a", "b"}


def test_only_one_campaign_is_seen_when_asked_for(project: Project):
    project.campaign("a", campaign_id="other")
    with reading(project, only="other") as (reader, _):
        assert set(reader.read(NOW).campaigns) == {"other"}


def test_one_deleted_file_is_deleted_although_it_was_the_last(tmp_path: Path):
    project = Project(tmp_path, NOW)
    project.entry("a")
    project.campaign("a")
    with reading(project) as (reader, _):
        reader.read(NOW)
        (tmp_path / "content/a.md").unlink()
        assert reader.read(NOW).entries == {}


def test_a_folder_emptied_of_several_files_is_taken_for_unmounted(project: Project, reader: LibraryReader):
    for name in "ab":
        (project.root / f"content/{name}.md").unlink()
    with pytest.raises(BrokenEnvironment, match="held 2 files"):
        reader.read(NOW)
