"""`ledger export`, `import`, `backup`, `check`, `adopt`."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

from tests.cli.commands import Project, held, planned, published, read, spawn, unknown


@pytest.fixture
def busy(project: Project) -> Project:
    """A project whose ledger has been through something."""
    for number in (2, 3):
        project.write_entry(f"p{number}")
    with project.ledger() as ledger:
        published(ledger, "p0")
        held(ledger, "p1")
        unknown(ledger, "p2")
        planned(ledger, "p3")
    return project


def test_an_export_makes_the_same_ledger_elsewhere(project, tmp_path):
    """Where nothing can have been sent since, there is nothing to doubt."""
    with project.ledger() as ledger:
        published(ledger, "p0")
        unknown(ledger, "p1")
    export = tmp_path / "deep/ledger.jsonl"
    assert project.run("ledger export", export).out.startswith(f"{export}: ")
    assert "format" in json.loads(export.read_text().splitlines()[0])
    other = Project(tmp_path / "other")
    for folder in ("content", "schedules"):
        shutil.copytree(project.root / folder, other.root / folder, dirs_exist_ok=True)
    spawn("ledger", "import", export, folder=other.root)
    again = spawn("ledger", "export", folder=other.root).out.splitlines()
    # All of it is there; what came on top are the files that the import has read.
    assert [line for line in export.read_text().splitlines() if line not in again] == []
    with project.ledger() as one, other.ledger() as two:
        assert one.deliveries() == two.deliveries() != []


def test_an_import_never_mixes_with_what_is_there(busy, tmp_path):
    export = tmp_path / "ledger.jsonl"
    busy.run("ledger export", export)
    assert "not empty" in busy.run("ledger import", export, status=2).err


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe\x00", b"{}\n", b"no json\n", b'{"format": "something else", "schema": 1}\n', b"[1]\n"],
)
def test_a_file_that_is_no_export_is_refused_and_nothing_is_taken_in(project, tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    spawn("ledger", "import", tmp_path / "file", folder=project.root, status=2)
    with project.ledger() as ledger:
        assert ledger.deliveries() == []


def test_half_an_export_leaves_no_trace(busy, tmp_path):
    busy.run("ledger export", tmp_path / "whole")
    lines = (tmp_path / "whole").read_text().splitlines(keepends=True)
    (tmp_path / "half").write_text("".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    other = Project(tmp_path / "other")
    assert "line" in other.run("ledger import", tmp_path / "half", status=2).err
    other.run("ledger import", tmp_path / "whole")


def test_a_backup_is_a_ledger(busy, tmp_path):
    copy = tmp_path / "copy.db"
    assert busy.run("ledger backup", copy).out == f"the backup is {copy}\n"
    with sqlite3.connect(copy) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    ours = spawn("status", "--json", folder=busy.root, status=3).json()["deliveries"]
    theirs = spawn("status", "--json", "--ledger", f"sqlite:///{copy}", folder=busy.root, status=3).json()
    assert theirs["deliveries"] == ours


def test_a_sound_ledger_is_told_so_and_a_damaged_one_refused(busy):
    assert busy.run("ledger check").out == "the ledger is sound\n"
    path = busy.root / "state/ledger.db"
    path.write_bytes(path.read_bytes()[:6000])
    assert "malformed" in busy.run("ledger check", status=4).err


def test_adopting_says_so_and_keeps_everything(busy):
    with busy.ledger() as ledger:
        before = ledger.deliveries()
    assert busy.run("ledger adopt").out == "from now on this is the project's ledger\n"
    with busy.ledger() as ledger:
        assert ledger.deliveries() == before
        assert ledger.good_files() == {}


def test_a_backup_never_replaces_the_ledger_itself(busy):
    with busy.ledger() as ledger:
        before = read(ledger)
    assert busy.run("ledger backup", busy.root / "state/ledger.db", status=2).err
    with busy.ledger() as ledger:
        assert read(ledger) == before


@pytest.mark.parametrize("command", ["export", "backup"])
def test_there_is_nothing_to_copy_yet(project, tmp_path, command):
    ran = project.run(f"ledger {command}", tmp_path / "file", status=2)
    assert "there is no ledger yet" in ran.err
    assert not (project.root / "state").exists()


def test_a_copy_that_cannot_be_written(busy, tmp_path):
    (tmp_path / "file").write_text("")
    for command in ("export", "backup"):
        ran = spawn("ledger", command, tmp_path / "file/copy", folder=busy.root, status=4)
        assert ran.err.startswith("error: ")
