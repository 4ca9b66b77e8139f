"""A PostgreSQL server for the stateful test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support import postgres


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    with ExitStack() as stack:
        try:
            running = stack.enter_context(postgres.running())
        except postgres.Missing as missing:
            pytest.skip(str(missing))
        yield running
