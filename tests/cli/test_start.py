"""`init`, `new`: what they make passes `check`, and nothing that exists is touched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import content, scaffold, schedules
from pipeline.composing import _WORDS
from pipeline.content import EntryFields
from pipeline.errors import WrongUse
from tests.cli.commands import Project, now, run, spawn

MADE = {"content/README.md", "content/first-project.md", "schedules/first-campaign.yaml", ".gitignore"}


def files(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_init_makes_a_project_that_passes_check_and_can_be_rehearsed(tmp_path):
    folder = tmp_path / "new project"
    ran = spawn("init", folder, folder=tmp_path)
    assert set(files(folder)) == MADE
    for path in MADE:
        assert f"made {folder / path}" in ran.out
    assert f"cd '{folder}'" in ran.out

    checked = run("check", "--root", folder)
    assert checked.out == ""
    assert "1 entry, 1 campaign: 0 errors, 0 warnings" in checked.err
    rehearsed = run("rehearse", "--json", "--root", folder).json()
    assert [row["state"] for row in rehearsed["deliveries"]] == ["published"]
    assert (folder / "rehearsal/first-campaign/feed.xml").is_file()


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2027, 12, 20, 12, tzinfo=UTC), "2028-01-10"),
        (datetime(2028, 2, 8, 12, tzinfo=UTC), "2028-02-29"),
        (datetime(2026, 3, 1, 23, 30, tzinfo=UTC), "2026-03-23"),  # already the 2nd in Paris
    ],
)
def test_the_examples_event_is_three_weeks_after_the_local_day(tmp_path, instant, day):
    scaffold.new_project(tmp_path, instant)
    campaign = schedules.read_campaign(tmp_path, "schedules/first-campaign.yaml").value
    assert campaign is not None
    assert campaign.event.day.isoformat() == day
    assert campaign.event.zone == ZoneInfo(scaffold.TIMEZONE)


def test_init_again_changes_nothing_and_names_what_it_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("init")
    before = files(tmp_path)
    ran = run("init")
    assert files(tmp_path) == before
    for path in MADE:
        assert f"left as it is: {path}" in ran.out
    assert "made" not in ran.out.replace("made by", "")


def test_init_adds_no_example_to_a_project_that_has_entries(project):
    before = files(project.root)
    ran = run("init", project.root)
    assert set(files(project.root)) == {*before, "content/README.md", ".gitignore"}
    assert {path: text for path, text in files(project.root).items() if path in before} == before
    assert "no example was added" in ran.out


def test_init_keeps_a_gitignore_and_tells_what_it_lacks(tmp_path):
    (tmp_path / ".gitignore").write_text("public/\n*.log\n")
    ran = run("init", tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "public/\n*.log\n"
    assert "/state/, /rehearsal/, /preview/, .env" in ran.err
    assert "public" not in ran.err


def test_init_refuses_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert "is not a folder" in run("init", tmp_path / "file", status=2).err


def test_the_readme_of_a_new_project_explains_every_key_and_every_word_of_templates(tmp_path):
    scaffold.new_project(tmp_path, now())
    text = (tmp_path / "content/README.md").read_text()
    for key in EntryFields.model_fields:
        assert f"| `{key}` |" in text
    for word, parts in _WORDS.items():
        for name in [f"{word}.{part}" for part in parts] or [word]:
            assert f"`{name}`" in text


# --------------------------------------------------------------------------- new


def test_new_makes_a_draft_and_prints_its_path(project, monkeypatch):
    monkeypatch.chdir(project.root)
    ran = run("new", "Été à Lille : l’œuvre")
    assert ran.out == "content/ete-a-lille-l-oeuvre.md\n"
    assert "draft" in ran.err
    entry = content.read_entry(project.root, ran.out.strip()).value
    assert entry is not None
    assert entry.draft
    assert entry.title == "Été à Lille : l’œuvre"
    assert "0 errors, 0 warnings" in project.run("check").err


def test_new_from_elsewhere_prints_where_the_entry_is(project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    ran = spawn("new", "A title", "-q", "--root", project.root, folder=tmp_path / "elsewhere")
    assert ran.out == f"{project.root}/content/a-title.md\n"
    assert ran.err == ""


def test_a_taken_id_gets_a_number(project):
    (project.root / "content/2026").mkdir()
    (project.root / "content/2026/deep.md").write_text(project.write_entry("x").read_text())
    project.write_entry("other").write_text(
        "---\ntitle: T\nsummary: S\nurl: https://example.org\nid: named\n---\n"
    )
    (project.root / "content/broken.md").write_text("no front matter")
    for title, name in [
        ("P0", "p0-2"),
        ("P0", "p0-3"),
        ("Deep", "deep-2"),
        ("Named", "named-2"),
        ("Broken", "broken-2"),
        ("README", "readme-2"),
        ("日本", "entry"),
        ("…", "entry-2"),
    ]:
        assert scaffold.new_entry(project.root, title) == f"content/{name}.md"


def test_a_long_title_leaves_room_for_the_number(project):
    title = "a" * 119
    assert scaffold.new_entry(project.root, title) == f"content/{'a' * 80}.md"
    assert scaffold.new_entry(project.root, title) == f"content/{'a' * 78}-2.md"


@pytest.mark.parametrize(
    ("title", "told"),
    [("", "is empty"), ("  ", "is empty"), ("a" * 121, "120"), ("a\nb", "single line"), ("a\x07", "U+0007")],
)
def test_new_refuses_a_title_that_no_entry_may_have(project, title, told):
    before = files(project.root)
    assert told in project.run("new", title, status=2).err
    assert files(project.root) == before


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("any") / "project", entries=0)


@settings(max_examples=60)
@given(title=st.text(min_size=1, max_size=60))
def test_whatever_the_title_the_new_entry_is_sound_or_refused(shelf, title):
    try:
        path = scaffold.new_entry(shelf.root, title)
    except WrongUse:
        assert content.scan(shelf.root) == []
        return
    try:
        parsed = content.read_entry(shelf.root, path)
        assert parsed.problems == ()
        assert parsed.value is not None
        assert parsed.value.draft
        assert content.scan(shelf.root) == [path]
    finally:
        (shelf.root / path).unlink()


def test_a_new_entry_shows_every_key_and_its_comments_are_right(project):
    path = project.root / scaffold.new_entry(project.root, "A title")
    text = path.read_text()
    for key in EntryFields.model_fields:
        assert f"\n{key}: " in text or f"\n# {key}: " in text
    path.write_text("\n".join(line.removeprefix("# ") for line in text.split("\n")))
    codes = [problem["code"] for problem in project.run("check --json", status=1).json()["problems"]]
    assert codes == ["E202"]  # the picture, which is only an example


def test_the_examples_event_is_never_in_the_past(tmp_path):
    scaffold.new_project(tmp_path, now())
    campaign = schedules.read_campaign(tmp_path, "schedules/first-campaign.yaml").value
    assert campaign is not None
    assert timedelta(days=20) < campaign.event.starts - now() < timedelta(days=22)


GITHUB = {
    ".github/workflows/check.yml",
    ".github/workflows/tick.yml",
    ".github/tick.sh",
    ".github/requirements.txt",
}


def test_workflows_are_added_only_when_asked_for_and_as_they_are_tested(tmp_path):
    ran = run("init", tmp_path, "--github")
    assert set(files(tmp_path)) == MADE | GITHUB
    assert "--begin" in ran.out
    templates = Path(scaffold.__file__).parent / "templates/github"
    assert {Path(path).name for path in GITHUB} == {path.name for path in templates.iterdir()}
    for path in GITHUB:
        assert (tmp_path / path).read_bytes() == (templates / Path(path).name).read_bytes()


def test_workflows_can_be_added_later_and_never_replace_what_is_there(project):
    (project.root / ".github").mkdir()
    (project.root / ".github/tick.sh").write_text("mine")
    ran = run("init", project.root, "--github")
    assert f"left as it is: {project.root / '.github/tick.sh'}" in ran.out
    assert (project.root / ".github/tick.sh").read_text() == "mine"
    assert set(files(project.root)) >= GITHUB


@pytest.mark.parametrize("name", ["content", "schedules"])
def test_init_over_a_file_of_a_folders_name_says_what_and_what_next(tmp_path, name):
    (tmp_path / name).write_text("mine")
    told = run("init", tmp_path, status=2).err
    assert f"{tmp_path / name} cannot be made: a file stands where a folder belongs" in told
    assert "Move the file away" in told
    assert (tmp_path / name).read_text() == "mine"
