"""`check`: every form of output, and the exit status scripts rely on."""

from __future__ import annotations

import re

import pytest

from tests.cli.commands import Project, run, spawn
from tests.support.editing import BROKEN, expected
from tests.support.projects import PIXEL


def test_a_sound_project(project):
    ran = project.run("check")
    assert ran.out == ""
    assert ran.err == "2 entries, 1 campaign: 0 errors, 0 warnings\n"
    assert project.run("check", "--quiet").err == ""
    assert not (project.root / "state").exists()  # nothing is written


def test_an_error_is_shown_where_it_is_and_counts(project):
    project.write_entry("p1").write_text("---\ntitle: T\nsumary: S\nurl: nowhere\n---\n")
    ran = spawn("check", folder=project.root, status=1)
    assert "content/p1.md:3:1: E102 `sumary` is not known\n    Did you mean `summary`?" in ran.out
    assert "content/p1.md:4:6: E105" in ran.out
    assert ran.err == "1 entry, 1 campaign: 3 errors, 0 warnings\n"


def test_a_warning_alone_is_fine(project):
    path = project.write_entry("p1")
    path.write_text(path.read_text().replace("[lille]", "[lille, '!!!']"))
    ran = project.run("check")
    assert "content/p1.md:5:15: warning W304" in ran.out
    assert "0 errors, 1 warning\n" in ran.err


def test_a_picture_that_broke_off_is_found_days_before(project):
    path = project.write_entry("p1")
    path.write_text(path.read_text().replace("tags:", "image: p1.png\nimage_alt: Un point.\ntags:"))
    picture = path.with_suffix(".png")
    picture.write_bytes(PIXEL)
    assert project.run("check").out == ""
    picture.write_bytes(PIXEL[:-30])
    ran = project.run("check", status=1)
    assert re.search(r"content/p1\.md:\d+:\d+: E203 .*damaged", ran.out), ran.out


def test_what_x_will_probably_refuse_is_a_warning(project):
    path = project.root / "schedules/fete.yaml"
    path.write_text(path.read_text().replace("{outbox: {}}", "{outbox: {}, x: {}}"))
    assert project.run("check").out == ""
    path.write_text(path.read_text().replace("J-{{", "@lille J-{{"))
    ran = project.run("check")
    assert re.search(r"schedules/fete\.yaml:\d+:\d+: warning W305 .*@lille", ran.out), ran.out


def test_a_file_that_is_not_read_is_told(project):
    (project.root / "content/oublié.md.txt").write_text("---\ntitle: Oublié\n---\n")
    ran = project.run("check")
    assert re.search(r"content/oublié\.md\.txt:1:1: warning W306 ", ran.out), ran.out
    assert "Rename it to `oublié.md`" in ran.out


@pytest.mark.parametrize("words", [["--json"], ["--format", "json"]])
def test_json_is_what_the_interface_says(project, words):
    project.write_entry("p1").write_text("---\ntitle: T\nsummary: S\nurl: nowhere\n---\n")
    ran = project.run("check", *words, status=1)
    assert ran.err == ""
    assert ran.json() == {
        "problems": [
            {
                "path": "content/p1.md",
                "line": 4,
                "column": 6,
                "code": "E105",
                "message": ran.json()["problems"][0]["message"],
                "hint": "Write it as in `https://example.org/page`.",
                "severity": "error",
            }
        ]
    }
    assert Project.run(project, "check", "--json", status=1).json() == ran.json()


def test_no_problems_as_json(project):
    assert project.run("check --json").json() == {"problems": []}


def test_annotations_for_a_review(project):
    project.write_entry("p1").write_text("---\ntitle: T, 100%\nsummary: S\nurl: 'a, b: c'\n---\n")
    ran = project.run("check --format github", status=1)
    assert re.fullmatch(
        r"::error file=content/p1\.md,line=4,col=6,title=E105::`url` is not [^\n]+ Write it as [^\n]+\n",
        ran.out,
    )
    assert ran.err == ""
    project.write_entry("p1")
    assert project.run("check --format github").out == ""


def test_the_folder_of_broken_files(tmp_path):
    ran = spawn("check", "--json", "--root", BROKEN, folder=tmp_path, status=1)
    found: dict[str, set[str]] = {}
    for row in ran.json()["problems"]:
        found.setdefault(row["path"], set()).add(f"{row['line']}:{row['column']} {row['code']}")
    wanted = expected("content") | expected("schedules")
    assert len(wanted) >= 40
    for path, faults in wanted.items():
        assert set(faults) <= found[path]


def test_a_project_without_its_folders_is_not_a_sound_one(project, tmp_path):
    assert "is no project" in run("check", "--root", tmp_path, status=2).err
    (project.root / "schedules").rename(tmp_path / "away")
    assert "schedules is gone" in project.run("check", status=4).err
