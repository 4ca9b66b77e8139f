"""`pipeline preview`, and what `pipeline rehearse` says of its storyboard."""

from __future__ import annotations

import pytest

from tests.cli.commands import run
from tests.storyboard.scenes import Lille, Page


@pytest.fixture
def lille(tmp_path):
    return Lille(tmp_path / "lille", "channels:\n  outbox: {}\n  x: {}\n")


def test_it_draws_into_its_own_folder_and_says_where(lille):
    ran = run("preview", "--root", lille.root)
    page = lille.root / "preview/storyboard.html"
    assert f"Storyboard: {page}" in ran.out
    assert "sharing-lille: 10 days, 20 posts" in ran.out
    assert len(Page(page).cards("x")) == 10


def test_one_of_something_is_called_one(lille):
    lille.rewrite(lille.campaign, r"(?m)^entries:\n(  - .*\n)+", "entries: [ouistock]\n")
    lille.rewrite(lille.campaign, r"(?m)^  x: \{\}\n", "")
    ran = run("preview", "--root", lille.root)
    assert "sharing-lille: 1 day, 1 post, 0 shortened" in ran.out


def test_it_sends_nothing_and_makes_no_ledger(lille):
    run("preview", "--root", lille.root)
    assert {path.name for path in lille.root.iterdir()} == {"content", "schedules", "preview"}


def test_it_needs_no_credentials_and_reads_none(lille):
    (lille.root / ".env").write_text("PIPELINE_X_CONSUMER_KEY=very-secret\n")
    run("preview", "--root", lille.root)
    assert "very-secret" not in (lille.root / "preview/storyboard.html").read_text()


def test_json_has_every_text_and_what_is_new(lille, tmp_path):
    first = run("preview", "--root", lille.root, "--json").json()
    assert first["changes"] is None
    assert first["campaigns"][0]["days"][0]["cards"][1]["limit"] == 280
    lille.rewrite(lille.entry("ouistock"), "Trop de place", "Tant de place")
    second = run("preview", "--root", lille.root, "--json").json()
    assert second["changes"]["text"] == 2
    assert second["storyboard"] == str(lille.root / "preview/storyboard.html")


def test_it_says_what_is_new_since_another_storyboard(lille, tmp_path):
    run("preview", "--root", lille.root, "--out", tmp_path / "main")
    lille.rewrite(lille.entry("ouistock"), "Trop de place", "Tant de place")
    record = tmp_path / "main/storyboard.json"
    ran = run("preview", "--root", lille.root, "--out", tmp_path / "branch", "--against", record)
    assert "Since the last storyboard: 2 texts changed\n" in ran.out


def told_since(lille) -> str:
    out = run("preview", "--root", lille.root).out
    (line,) = [line for line in out.splitlines() if line.startswith("Since the last storyboard: ")]
    return line.removeprefix("Since the last storyboard: ")


def test_what_is_new_is_told_in_words(lille):
    run("preview", "--root", lille.root)
    assert told_since(lille) == "nothing is new"
    lille.rewrite(lille.entry("ouistock"), "image_alt: .*", "image_alt: Une maison")
    assert told_since(lille) == "2 requests changed"
    lille.rewrite(lille.campaign, r"(?m)^  x: \{\}\n", "  second: {network: outbox}\n")
    assert told_since(lille) == "10 new, 10 removed"
    lille.rewrite(lille.campaign, r"(?m)^  second: .*\n", "")
    lille.rewrite(lille.entry("ouistock"), "Trop de place", "Tant de place")
    assert told_since(lille) == "10 removed, 1 text changed"


def test_a_problem_in_a_file_is_on_the_page_and_in_the_exit_status(lille):
    lille.rewrite(lille.entry("ouistock"), "url: .*", "url: nowhere")
    ran = run("preview", "--root", lille.root, status=1)
    assert "E105" in ran.err
    assert "E105" in Page(lille.root / "preview/storyboard.html").words("problems")


def test_a_folder_that_holds_anything_else_is_left_alone(lille, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "storyboard.html").write_text("my own")
    ran = run("preview", "--root", lille.root, "--out", mine, status=2)
    assert "holds no storyboard" in ran.err
    assert [path.read_text() for path in mine.iterdir()] == ["my own"]


def test_a_campaign_that_is_not_there_is_wrong_use(lille):
    assert (
        "Did you mean `sharing-lille`" in run("preview", "sharing-lile", "--root", lille.root, status=2).err
    )


def test_rehearse_names_its_storyboard(lille, tmp_path):
    ran = run("rehearse", "--root", lille.root, "--out", tmp_path / "out", "--json")
    assert ran.json()["storyboard"] == str(tmp_path / "out/storyboard.html")
    words = Page(tmp_path / "out/storyboard.html").soup.header.get_text(" ")
    assert "calm, seed 1" in words


def test_rehearse_shows_the_problems_of_the_files_on_its_storyboard(lille, tmp_path):
    lille.rewrite(lille.entry("ouistock"), "url: .*", "url: nowhere")
    run("rehearse", "--root", lille.root, "--out", tmp_path / "out", status=1)
    assert "E105" in Page(tmp_path / "out/storyboard.html").words("problems")
