"""The real campaign on every network there is: what the plan shows is what the networks receive."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipeline import app
from pipeline.channels import NETWORKS
from pipeline.cli import cli
from pipeline.rehearsal.standins import STANDINS
from pipeline.rehearsal.standins.base import Shown
from pipeline.settings import Settings

ROOT = Path(__file__).parents[2]
CHANNELS = {
    "outbox": {},
    "bluesky": {"handle": "sharing.example.com"},
    "facebook": {"page": "104500000000001"},
    "mastodon": {"instance": "https://mastodon.example"},
    "x": {},
    "presse": {"network": "webhook", "url": "https://example.org/hook"},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sharing Lille, with a channel on each network."""
    root = tmp_path_factory.mktemp("lille")
    for folder in ("content", "schedules"):
        shutil.copytree(ROOT / folder, root / folder)
    path = root / "schedules/sharing-lille.yaml"
    document = yaml.safe_load(path.read_text())
    document["channels"] = CHANNELS
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False))
    return root


@pytest.fixture(scope="module")
def received(project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Shown]]:
    """What each stand-in took, by channel."""
    settings = Settings(project, f"sqlite:///{project}/state/ledger.db")
    result = app.rehearse_project(settings, tmp_path_factory.mktemp("out") / "public")
    assert result.kept
    assert {(one.published, one.seen) for one in result.tallies} == {(10, 10)}
    return {channel: list(posts) for (_, channel), posts in result.seen.items()}


def test_every_network_is_here():
    assert {options.get("network", name) for name, options in CHANNELS.items()} == set(NETWORKS)
    assert set(STANDINS) == {name for name, network in NETWORKS.items() if not network.embedded}


def test_the_texts_the_plan_shows_are_those_the_networks_receive(
    project: Path, received: dict[str, list[Shown]]
):
    ran = CliRunner().invoke(cli, ["plan", "--root", str(project), "--json"])
    assert ran.exit_code == 0, ran.output
    (campaign,) = json.loads(ran.stdout)["campaigns"]
    assert len(campaign["slots"]) == 10
    for channel, posts in received.items():
        rows = [row for slot in campaign["slots"] for row in slot["channels"] if row["channel"] == channel]
        assert [row["text"].encode() for row in rows] == [post.text.encode() for post in posts]


def test_pictures_arrive_with_their_alternative_texts(received: dict[str, list[Shown]]):
    for channel in ("bluesky", "facebook", "mastodon", "x"):
        assert sum(bool(post.alts) for post in received[channel]) == 4
        assert all(alt.strip() for post in received[channel] for alt in post.alts)
