"""The guarantees make no empty promise: every test they name exists, and every network has its row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from pipeline.channels import NETWORKS
from pipeline.delivery import ROOM
from pipeline.dispatch import CLOCKS_APART
from tests.model.test_model import PROTECTIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/GUARANTEES.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_test_that_is_named_exists(path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert not name or name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_has_a_row_that_names_a_test(network):
    assert re.search(rf"^\| `{network}`.* \|.*`tests/.*::", PAGE, re.MULTILINE)


def test_the_list_of_protections_is_that_of_the_walk():
    listed = re.findall(r"^- (.*)$", PAGE.partition("## Every protection")[2], re.MULTILINE)
    assert listed == list(PROTECTIONS)


def test_the_spans_are_those_of_the_code():
    assert f"for {ROOM.seconds} seconds" in PAGE
    assert f"{CLOCKS_APART.seconds // 60} minutes behind" in PAGE
