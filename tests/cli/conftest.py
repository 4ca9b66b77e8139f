"""A project to run commands on, and an environment without anybody's own settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.commands import Project


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PIPELINE_") or name in {"NO_COLOR", "FORCE_COLOR"}:
            monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")
