"""What every channel keeps. A new network joins with a bench; no test here knows which one it runs on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.channels.base import (
    Absent,
    CannotTell,
    Found,
    NotAcceptedError,
    OutcomeUnknownError,
    RejectedError,
    Sighting,
)
from pipeline.model import NoKey, Rendition
from tests.support.benches import BENCHES, Bench, ready

KEY = "lille/ouistock/here"
SINCE = datetime(2016, 4, 11, 6, tzinfo=UTC)


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield BENCHES[request.param](tmp_path, stack)


def shows(bench: Bench, rendition: Rendition, expected: Sighting) -> None:
    """A read-back gives what is expected; a network without one says that it cannot tell."""
    sighting = bench.channel.find(rendition, SINCE)
    if bench.channel.traits.lookup:
        assert sighting == expected
    else:
        assert isinstance(sighting, CannotTell)


def test_a_post_gives_a_receipt_with_the_digest_of_what_was_sent(bench: Bench):
    rendition = ready(bench, KEY)
    receipt = bench.channel.publish(rendition)
    assert receipt.digest == rendition.digest
    assert receipt.remote_id
    assert bench.count() == 1


def test_the_same_post_gives_the_same_bytes(bench: Bench):
    first = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    second = bench.channel.render(bench.channel.fit(bench.post()), KEY)
    assert first == second
    assert bench.count() == 0


def test_another_key_gives_another_request(bench: Bench):
    fit = bench.channel.fit(bench.post())
    assert bench.channel.render(fit, KEY).key == KEY
    assert bench.channel.render(fit, KEY) != bench.channel.render(fit, KEY + "-2")


def test_preparing_posts_nothing_and_what_is_prepared_keeps_its_bytes(bench: Bench):
    rendition = ready(bench, KEY)
    assert bench.channel.prepare(rendition) == rendition
    assert bench.count() == 0
    assert bench.channel.publish(rendition).digest == rendition.digest


def test_the_identical_request_again_is_one_post_where_the_network_keeps_keys(bench: Bench):
    rendition = ready(bench, KEY)
    first = bench.channel.publish(rendition)
    if isinstance(bench.channel.traits.key, NoKey):
        with suppress(OutcomeUnknownError):  # some refuse words they have already; that is no answer
            bench.channel.publish(rendition)
        assert bench.count() in {1, 2}
    else:
        assert bench.channel.publish(rendition) == first
        assert bench.count() == 1


def test_nothing_is_found_before_and_the_same_receipt_after(bench: Bench):
    rendition = ready(bench, KEY)
    shows(bench, rendition, Absent())
    receipt = bench.channel.publish(rendition)
    shows(bench, rendition, Found(receipt))


def test_a_refusal_leaves_nothing_and_the_next_try_goes_through(bench: Bench):
    rendition = ready(bench, KEY)
    bench.refuse()
    with pytest.raises(NotAcceptedError):
        bench.channel.publish(rendition)
    assert bench.count() == 0
    bench.mend()
    assert bench.channel.publish(rendition).digest == rendition.digest
    assert bench.count() == 1


def test_a_lost_answer_is_unknown_and_the_post_is_there_once(bench: Bench):
    rendition = ready(bench, KEY)
    bench.lose_answer()
    with pytest.raises(OutcomeUnknownError):
        bench.channel.publish(rendition)
    assert bench.count() == 1
    bench.mend()
    if not isinstance(bench.channel.traits.key, NoKey):
        shows(bench, rendition, Found(bench.channel.publish(rendition)))
    assert bench.count() == 1
    assert isinstance(bench.channel.find(rendition, SINCE), Found) == bench.channel.traits.lookup


def test_an_edit_replaces_the_post_however_often_it_is_repeated(bench: Bench):
    receipt = bench.channel.publish(ready(bench, KEY))
    changed = ready(bench, KEY, "OuiStock, corrigé")
    if not bench.channel.traits.edit:
        with pytest.raises(RejectedError):
            bench.channel.edit(receipt, changed)
        return
    first = bench.channel.edit(receipt, changed)
    assert first == bench.channel.edit(receipt, changed)
    assert (first.remote_id, first.digest) == (receipt.remote_id, changed.digest)
    assert bench.count() == 1
    shows(bench, changed, Found(first))


def test_a_deleted_post_is_gone_and_deleting_it_again_is_fine(bench: Bench):
    rendition = ready(bench, KEY)
    receipt = bench.channel.publish(rendition)
    if not bench.channel.traits.delete:
        with pytest.raises(RejectedError):
            bench.channel.delete(receipt)
        return
    bench.channel.delete(receipt)
    bench.channel.delete(receipt)
    assert bench.count() == 0
    shows(bench, rendition, Absent())


def test_verify_says_who_we_are_and_posts_nothing(bench: Bench):
    assert bench.channel.verify().account
    assert bench.count() == 0


def test_a_request_has_a_time_limit(bench: Bench):
    assert timedelta(0) < bench.channel.traits.timeout <= timedelta(minutes=5)
    assert bench.channel.traits.settle >= timedelta(0)
