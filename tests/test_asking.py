"""Channels are asked side by side: what one of them does changes nothing for the others."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.asking import AT_ONCE, Answer, ask, who
from pipeline.channels.base import (
    AuthFailedError,
    Identity,
    NotAcceptedError,
    OutcomeUnknownError,
)
from pipeline.clock import SystemClock
from pipeline.errors import BrokenEnvironment
from tests.support.channels import PERMANENT, FaultyChannel

T0 = datetime(2026, 11, 23, 8, tzinfo=UTC)
NOW = SystemClock().now


class Asked(FaultyChannel):
    """A channel whose answer to `verify` is a function of the test."""

    def __init__(self, answer, timeout: float = 5.0) -> None:
        super().__init__(traits=replace(PERMANENT, timeout=timedelta(seconds=timeout)))
        self._answer = answer

    def verify(self) -> Identity:
        return self._answer()


def identity(name: str = "@lille") -> Asked:
    return Asked(lambda: Identity(name))


def failing(error: Exception) -> Asked:
    def fail() -> Identity:
        raise error

    return Asked(fail)


def test_a_dead_network_neither_delays_nor_hides_the_others():
    waiting = threading.Event()
    channels = {
        "dead": Asked(lambda: waiting.wait(60) and Identity("never"), timeout=0.5),
        "deader": Asked(lambda: waiting.wait(60) and Identity("never"), timeout=0.6),
        "alive": identity(),
    }
    began = time.monotonic()
    answers = ask(channels, NOW)
    waiting.set()
    assert time.monotonic() - began < 5
    assert answers["alive"].identity == Identity("@lille")
    assert list(answers) == list(channels)
    assert isinstance(answers["dead"].error, NotAcceptedError)
    assert "no answer within 0.5 s" in str(answers["dead"].error)
    assert answers["alive"].answered - answers["alive"].asked < timedelta(seconds=1)


def test_a_slow_answer_that_comes_in_time_counts():
    waiting = threading.Event()
    slow = Asked(lambda: Identity("slow") if not waiting.wait(0.3) else Identity("never"))
    answers = ask({"slow": slow, "quick": identity()}, NOW)
    assert answers["slow"].identity == Identity("slow")


def test_more_channels_than_are_asked_at_once_are_all_asked():
    many = {number: identity(f"@{number}") for number in range(2 * AT_ONCE + 3)}
    answers = ask(many, NOW)
    found = [answers[number].identity for number in many]
    assert found == [Identity(f"@{number}") for number in many]


def test_nobody_is_asked_when_there_is_no_channel():
    assert ask({}, NOW) == {}


def test_whatever_goes_wrong_is_an_answer_and_shows_no_secret():
    answers = ask(
        {
            "refused": failing(AuthFailedError("revoked")),
            "broken": failing(BrokenEnvironment("the file is gone")),
            "bug": failing(KeyError("hunter2")),
        },
        NOW,
    )
    assert answers["refused"].refused
    assert str(answers["broken"].error) == "the file is gone"
    assert isinstance(answers["bug"].error, OutcomeUnknownError)
    assert "KeyError" in str(answers["bug"].error)
    assert "hunter2" not in str(answers["bug"].error)
    assert not any(answers[name].refused for name in ("broken", "bug"))


def test_one_channel_may_be_asked_alone():
    assert who(identity(), NOW) == Identity("@lille")
    with pytest.raises(AuthFailedError, match="revoked"):
        who(failing(AuthFailedError("revoked")), NOW)


# --------------------------------------------------------------------------- clocks


def answered(server: datetime | None, took: float = 2.0) -> Answer:
    return Answer(T0, T0 + timedelta(seconds=took), Identity("@lille", server_time=server))


@given(offset=st.integers(-100_000, 100_000), at=st.floats(0, 2), took=st.floats(2, 60))
def test_the_skew_is_never_overstated_and_off_by_no_more_than_the_time_it_took(offset, at, took):
    """The server's Date header is cut to whole seconds, and was made at some time during the question."""
    server = (T0 + timedelta(seconds=at + offset)).replace(microsecond=0)
    skew = answered(server, took).skew
    assert skew is not None
    seconds = skew.total_seconds()
    assert abs(seconds) <= abs(offset)
    assert abs(offset) - abs(seconds) <= took + 1


def test_a_server_that_does_not_tell_the_time_has_no_skew():
    assert answered(None).skew is None
    assert Answer(T0, T0, None, NotAcceptedError("down")).skew is None
