"""Which networks there are, what may be set on them, and that naming them loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.channels import NETWORKS, known_networks, open_channel, option_problems, suggest
from pipeline.errors import WrongUse
from tests.support.builders import make_campaign, outbox, surroundings


def test_every_network_has_its_class_and_says_what_it_is():
    for name, network in NETWORKS.items():
        module, _, class_name = network.load.partition(":")
        assert callable(getattr(import_module(module), class_name))
        assert network.name == name
        assert network.summary
    assert known_networks() == tuple(sorted(NETWORKS))


def test_a_near_miss_is_suggested():
    assert suggest("outboxx") == "outbox"
    assert suggest("Outbox") == "outbox"
    assert suggest("carrier-pigeon") is None


@pytest.mark.parametrize("value", ["1", "280", "999999999"])
def test_a_limit_is_a_whole_number_above_zero(value: str):
    assert option_problems(outbox(options={"limit": value})) == []


@pytest.mark.parametrize("value", ["0", "-1", "", "12.5", "many", "٣", "9" * 5000, " 7"])
def test_any_other_limit_is_a_problem(value: str):
    [(option, message)] = option_problems(outbox(options={"limit": value}))
    assert option == "limit"
    assert "whole number above 0" in message


def test_an_unknown_option_is_a_problem_with_a_suggestion():
    assert option_problems(outbox(options={"limt": "3", "colour": "red"})) == [
        ("colour", "`colour` is not an option of outbox"),
        ("limt", "`limt` is not an option of outbox; did you mean `limit`?"),
    ]


def test_options_of_an_unknown_network_are_nobodys_problem():
    assert option_problems(outbox(network="pigeon", options={"loft": "7"})) == []


def test_a_channel_of_an_unknown_network_cannot_be_opened(tmp_path: Path):
    with pytest.raises(WrongUse, match="unknown network `outbx`") as refusal:
        open_channel(make_campaign(), outbox(network="outbx"), surroundings(tmp_path))
    assert refusal.value.hint == "Did you mean `outbox`?"
    with pytest.raises(WrongUse) as refusal:
        open_channel(make_campaign(), outbox(network="pigeon"), surroundings(tmp_path))
    assert refusal.value.hint == f"Known networks: {', '.join(known_networks())}."


def test_a_channel_with_wrong_options_cannot_be_opened(tmp_path: Path):
    with pytest.raises(WrongUse, match="`limit`: `no` is not a whole number"):
        open_channel(make_campaign(), outbox(options={"limit": "no"}), surroundings(tmp_path))


def test_the_registry_loads_no_network():
    script = (
        "import sys\nbefore = set(sys.modules)\nimport pipeline.channels\n"
        "loaded = set(sys.modules) - before\n"
        "heavy = {'regex', 'jinja2', 'ssl', 'socket', 'requests', 'pipeline.channels.outbox'} & loaded\n"
        "print(sorted(heavy))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "network"),
    [("twitter", "x"), ("Twitter", "x"), ("fb", "facebook"), ("bsky", "bluesky"), ("masto", "mastodon")],
)
def test_another_name_of_a_network_is_understood(name: str, network: str):
    assert suggest(name) == network
    assert network in known_networks()
