"""Ledgers of all three kinds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.clock import VirtualClock
from pipeline.ledger import Ledger, open_ledger
from tests.ledger.scene import START, Scene
from tests.support import postgres


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    with ExitStack() as stack:
        try:
            running = stack.enter_context(postgres.running())
        except postgres.Missing as missing:
            pytest.skip(str(missing))
        yield running


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def postgres_url(cluster: postgres.Cluster) -> Iterator[str]:
    with cluster.database() as url:
        yield url


@pytest.fixture(params=["file", "memory", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new ledger of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path}/state/ledger.db"


@pytest.fixture(params=["file", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new ledger that several processes can open."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/state/ledger.db"


@pytest.fixture
def ledger(url: str, clock: VirtualClock) -> Iterator[Ledger]:
    with open_ledger(url, now=clock.now()) as opened:
        yield opened


@pytest.fixture
def scene(ledger: Ledger, clock: VirtualClock) -> Scene:
    return Scene(ledger, clock)
