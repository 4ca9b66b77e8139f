"""The channel that other tests rely on does exactly the harm it is told to."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    DoesNotFit,
    Found,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.clock import VirtualClock
from pipeline.composing import compose
from pipeline.model import NoKey, Rendition, TimedKey, Traits
from tests.support import channels as faults
from tests.support.builders import make_campaign, make_entry, outbox
from tests.support.channels import PERMANENT, FaultyChannel, Remote

START = datetime(2016, 4, 11, 7, tzinfo=UTC)
RENDITION = Rendition("key", b"body", "body")


def a_channel(**traits: object) -> tuple[FaultyChannel, VirtualClock]:
    clock = VirtualClock(START)
    base = {
        name: getattr(PERMANENT, name) for name in ("key", "lookup", "edit", "delete", "timeout", "settle")
    }
    return FaultyChannel(traits=Traits(**{**base, **traits}), clock=clock), clock


@pytest.mark.parametrize(
    ("fault", "error", "count"),
    [
        (faults.not_accepted(), NotAcceptedError, 0),
        (faults.rejected(), RejectedError, 0),
        (faults.auth_failed(), AuthFailedError, 0),
        (faults.rate_limited(wait=timedelta(minutes=1)), RateLimitedError, 0),
        (faults.no_answer(accepted=True), OutcomeUnknownError, 1),
        (faults.no_answer(accepted=False), OutcomeUnknownError, 0),
        (faults.crash(KeyError("id"), accepted=True), KeyError, 1),
        (faults.crash(KeyError("id"), accepted=False), KeyError, 0),
    ],
)
def test_a_fault_strikes_once_and_the_remote_knows(fault: faults.Fault, error: type[Exception], count: int):
    channel, _ = a_channel()
    channel.fail("publish", fault)
    with pytest.raises(error):
        channel.publish(RENDITION)
    assert channel.remote.count == count
    channel.publish(RENDITION)
    assert (channel.remote.count, channel.remote.calls) == (1, ["publish", "publish"])


def test_a_rate_limit_says_until_when_or_how_long():
    channel, _ = a_channel()
    channel.fail("publish", faults.rate_limited(until=START), faults.rate_limited(wait=timedelta(seconds=5)))
    with pytest.raises(RateLimitedError) as named:
        channel.publish(RENDITION)
    with pytest.raises(RateLimitedError) as spanned:
        channel.publish(RENDITION)
    assert (named.value.until, named.value.wait) == (START, None)
    assert (spanned.value.until, spanned.value.wait) == (None, timedelta(seconds=5))


def test_a_slow_call_takes_its_time_on_the_clock():
    channel, clock = a_channel()
    channel.fail("publish", faults.slow(timedelta(seconds=40)))
    channel.publish(RENDITION)
    channel.fail("publish", faults.slow(timedelta(seconds=20), faults.no_answer(accepted=False)))
    with pytest.raises(OutcomeUnknownError):
        channel.publish(RENDITION)
    assert clock.now() == START + timedelta(minutes=1)
    assert channel.remote.count == 1


def test_a_timed_key_protects_for_its_window_only():
    channel, clock = a_channel(key=TimedKey(timedelta(hours=1)))
    channel.publish(RENDITION)
    clock.advance(timedelta(minutes=59))
    channel.publish(RENDITION)
    assert channel.remote.count == 1
    clock.advance(timedelta(minutes=1))
    channel.publish(RENDITION)
    assert channel.remote.count == 2


def test_two_channels_may_share_a_remote():
    remote = Remote()
    for _ in range(2):
        FaultyChannel(remote=remote).publish(RENDITION)
    assert remote.count == 1
    FaultyChannel(remote=remote, traits=a_channel(key=NoKey())[0].traits).publish(RENDITION)
    assert remote.count == 2


def test_a_read_back_lags_and_does_not_look_before_since():
    channel, clock = a_channel()
    channel.remote.lag = timedelta(seconds=30)
    receipt = channel.publish(RENDITION)
    assert channel.find(RENDITION, START) == Absent()
    clock.advance(timedelta(seconds=30))
    assert channel.find(RENDITION, START) == Found(receipt)
    assert channel.find(RENDITION, START + timedelta(seconds=1)) == Absent()


def test_a_read_back_may_fail_or_not_exist():
    channel, _ = a_channel()
    channel.fail("find", faults.not_accepted())
    assert channel.find(RENDITION, START) == CannotTell("connection refused")
    assert channel.find(RENDITION, START) == Absent()
    blind, _ = a_channel(lookup=False)
    blind.publish(RENDITION)
    assert isinstance(blind.find(RENDITION, START), CannotTell)


def test_edit_delete_and_verify_meet_their_faults_too():
    channel, _ = a_channel()
    receipt = channel.publish(RENDITION)
    for call in ("edit", "delete", "verify"):
        channel.fail(call, faults.auth_failed(), faults.no_answer(accepted=True))
    for error in (AuthFailedError, OutcomeUnknownError):
        with pytest.raises(error):
            channel.verify()
        with pytest.raises(error):
            channel.edit(receipt, Rendition("key", b"new", "new"))
    assert channel.remote.posts[receipt.remote_id].body == b"new"
    with pytest.raises(AuthFailedError):
        channel.delete(receipt)
    assert channel.remote.count == 1
    with pytest.raises(OutcomeUnknownError):
        channel.delete(receipt)
    assert channel.remote.count == 0
    with pytest.raises(RejectedError, match="not there any more"):
        channel.edit(receipt, RENDITION)


def test_a_limit_is_kept():
    post = compose(make_entry("x"), make_campaign(), outbox(), date(2016, 4, 11))
    assert FaultyChannel(limit=100).fit(post).length <= 100
    with pytest.raises(DoesNotFit):
        FaultyChannel(limit=10).fit(post)
