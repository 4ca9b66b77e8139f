"""The contract suite and every fault of the wire, on a real server: the same tests as on the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.channels.test_contract import *  # noqa: F403  # the tests themselves, on the bench below
from tests.channels.test_wire_faults import (  # noqa: F401
    test_a_fault_is_never_believed_to_be_more_than_it_shows,
    test_a_request_that_was_slow_on_its_way_arrives_although_nobody_waits_any_more,
    test_a_stand_in_that_refuses_can_be_resumed_where_it_was,
    test_the_next_request_is_not_harmed_by_a_fault,
)
from tests.real.bluesky.servers import Account
from tests.support.bench_bluesky import BlueskyBench


@pytest.fixture(params=[False, True], ids=["text", "picture"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, account: Account) -> Iterator[BlueskyBench]:
    with ExitStack() as stack:
        yield BlueskyBench(tmp_path, stack, pictured=request.param, remote=account)
