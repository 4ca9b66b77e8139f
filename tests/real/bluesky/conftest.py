"""A real server for all tests here; without one they say why they are skipped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.bluesky.servers import Account, missing, running


@pytest.fixture(scope="session")
def pds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server, started once."""
    if reason := missing():
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("pds")) as url:
        yield url


@pytest.fixture(scope="session")
def limited_pds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same with its rate limits on."""
    if reason := missing():
        pytest.skip(reason)
    with running(tmp_path_factory.mktemp("limited-pds"), "--rate-limits") as url:
        yield url


@pytest.fixture(scope="session")
def one_account(pds: str) -> Iterator[Account]:
    with Account(pds) as account:
        yield account


@pytest.fixture
def account(one_account: Account) -> Iterator[Account]:
    """An account without posts: making a new one takes longer than most tests."""
    yield one_account
    one_account.clear()
