"""Tests beside servers and readers written by others are proofs: `make real` installs these, as CI does."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("night") is None:
            item.add_marker(pytest.mark.long)
