"""The documents tell the truth: their examples run, their tables are those of the code."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from docs import state_diagram
from pipeline.cli import COMMANDS
from pipeline.model import State

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def transcripts():
    """Every `$ command` of a console block with the lines shown below it."""
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, [line.strip() for line in shown.splitlines() if line.strip() not in {"", "…"}]


@pytest.fixture
def project(tmp_path):
    for folder in ("content", "schedules"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def arguments(command):
    """A command of the README as it is run in a copy of the project."""
    words = shlex.split(command)
    if words == ["make", "rehearse"]:
        made = subprocess.run(
            ["make", "--no-print-directory", "-n", "rehearse"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        words = shlex.split(made.stdout.splitlines()[-1])
    assert Path(words[0]).name == "pipeline", f"the README shows a command this test cannot run: {command}"
    return [sys.executable, "-m", "pipeline", *words[1:]]


@pytest.mark.parametrize(("command", "shown"), list(transcripts()))
def test_readme_examples_print_what_the_readme_shows(command, shown, project):
    done = subprocess.run(
        arguments(command), cwd=project, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = [line.strip() for line in (done.stdout + done.stderr).splitlines()]
    assert shown
    for line in shown:
        assert line in printed


def test_the_two_commands_of_the_readme_are_targets_of_make():
    help_text = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("make rehearse", "make test", "make setup"):
        assert target in README
        assert target in help_text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command):
    assert re.search(rf"^\| .*`{command}\b.*\|", README, re.MULTILINE)


def test_the_state_diagram_is_made_from_the_table():
    page = state_diagram.PAGE.read_text(encoding="utf-8")
    assert state_diagram.rewritten(page) == page, "run `make docs`"


@pytest.mark.parametrize("state", State)
def test_every_state_is_in_the_diagram(state):
    assert re.search(rf"\b{state}\b", state_diagram.diagram())


@pytest.mark.parametrize("waiting", ["unknown", "held", "missed", "The ledger is lost"])
def test_the_runbook_has_a_heading_for_what_a_person_meets(waiting):
    assert f"\n## {waiting}\n" in (ROOT / "docs/RUNBOOK.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "page",
    [
        path.relative_to(ROOT)
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("content/*.md")]
    ],
    ids=str,
)
def test_links_between_documents_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not re.match(r"[a-z]+:", target):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}"


def test_every_module_is_in_the_architecture():
    page = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    for path in (ROOT / "pipeline").iterdir():
        if path.name.startswith("_") or path.name == "py.typed":
            continue
        name = f"{path.name}/" if path.is_dir() else path.name
        assert f"`{name}`" in page, f"{name} is not in docs/ARCHITECTURE.md"


def test_the_campaign_of_the_readme_is_the_real_one():
    campaign = yaml.safe_load((ROOT / "schedules/sharing-lille.yaml").read_text(encoding="utf-8"))
    assert campaign["title"] in README
