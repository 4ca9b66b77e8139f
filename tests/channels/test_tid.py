"""Record keys: valid, the same for ever, and another for every delivery."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.channels.tid import tid

VECTORS = Path(__file__).parents[2].parent / "shared/contracts/atproto/interop-test-files/syntax"
SYNTAX = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")
SIGNS = "234567abcdefghijklmnopqrstuvwxyz"


def microseconds(value: str) -> int:
    number = 0
    for sign in value:
        number = number << 5 | SIGNS.index(sign)
    return number >> 10


def test_the_key_of_a_delivery_never_changes():
    assert tid("example.org,2016", "lille/ouistock/bluesky") == "3dhilmjihvbgo"


@given(st.text(max_size=40), st.text(max_size=80))
def test_any_delivery_has_a_valid_key(authority: str, key: str):
    assert SYNTAX.fullmatch(tid(authority, key))
    assert tid(authority, key) == tid(authority, key)


@pytest.mark.parametrize(
    ("authority", "year"),
    [
        ("example.org,2016", 2016),
        ("example.org,1970", 1970),
        ("example.org,2254-12-31", 2254),
        ("example.org,2025-03", 2025),
        ("", 2016),
        ("example.org", 2016),
        ("example.org,1969", 2016),
        ("example.org,9999", 2016),
        ("example.org,20161", 2016),
    ],
)
def test_its_instant_lies_in_the_year_of_the_authority(authority: str, year: int):
    seconds = [microseconds(tid(authority, f"lille/{number}/b")) / 1_000_000 for number in range(200)]
    years = 365.2425 * 24 * 3600
    assert all(year - 0.01 <= 1970 + second / years <= year + 1.01 for second in seconds)
    assert max(seconds) - min(seconds) > years / 2


def test_every_delivery_and_every_project_has_a_key_of_its_own():
    keys = {
        tid(authority, f"lille/{number}/bluesky")
        for authority in ("example.org,2016", "example.net,2016")
        for number in range(5_000)
    }
    assert len(keys) == 10_000


@pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not beside the project")
def test_the_syntax_here_is_the_published_one():
    def vectors(name: str) -> list[str]:
        lines = (VECTORS / f"tid_syntax_{name}.txt").read_text().splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    assert all(SYNTAX.fullmatch(one) for one in vectors("valid"))
    assert not any(SYNTAX.fullmatch(one) for one in vectors("invalid"))
