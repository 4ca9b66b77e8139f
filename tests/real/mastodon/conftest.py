"""One server for all tests here; where it is not installed they say so and are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.mastodon.servers import Server, mastodon_mock, missing


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if reason := missing():
        pytest.skip(reason)
    with mastodon_mock(tmp_path_factory.mktemp("mastodon")) as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    """Without posts, and nothing in its way."""
    running_server.proxy.start()
    running_server.proxy.mend()
    yield running_server
    running_server.proxy.start()
    running_server.clear()
