"""Asking channels who we are there: side by side, each within its own time.

What must stay true: a network that does not answer delays and hides no other one; whatever goes wrong with a
question is an answer too, in the words of the channels' error tree; and nothing is posted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TypeVar

from pipeline.channels.base import (
    AuthFailedError,
    Channel,
    ChannelError,
    Identity,
    NotAcceptedError,
    OutcomeUnknownError,
)
from pipeline.errors import PipelineError

AT_ONCE = 50  # questions; more of them follow in turns
_GRACE = 1.0  # seconds, for a channel to say itself that its time was over
_TICK = timedelta(seconds=1)  # a Date header has no fractions

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Answer:
    """Who we are, or why that is not known. `asked` and `answered` are this machine's instants (UTC)."""

    asked: datetime
    answered: datetime
    identity: Identity | None = None
    error: ChannelError | None = None

    @property
    def skew(self) -> timedelta | None:
        """How far the server's clock is from ours at the least, as its answer shows; ahead is positive."""
        told = self.identity.server_time if self.identity else None
        if told is None:
            return None
        if told + _TICK < self.asked:
            return told + _TICK - self.asked
        return max(told - self.answered, timedelta(0))

    @property
    def refused(self) -> bool:
        """Whether the credentials are missing or not valid."""
        return isinstance(self.error, AuthFailedError)


def ask(channels: Mapping[K, Channel], now: Callable[[], datetime]) -> dict[K, Answer]:
    """The answer of each channel, after at most its `timeout`."""
    names = list(channels)
    answers: dict[K, Answer] = {}
    for begin in range(0, len(names), AT_ONCE):
        turn = {name: channels[name] for name in names[begin : begin + AT_ONCE]}
        answers |= _turn(turn, now)
    return {name: answers[name] for name in names}


def who(channel: Channel, now: Callable[[], datetime]) -> Identity:
    """Who we are on one channel, within its `timeout`. Raises ChannelError."""
    answer = ask({"": channel}, now)[""]
    if answer.identity is None:
        raise answer.error or OutcomeUnknownError("no answer")
    return answer.identity


def _turn(channels: Mapping[K, Channel], now: Callable[[], datetime]) -> dict[K, Answer]:
    asked, began = now(), monotonic()
    heard: SimpleQueue[tuple[K, Answer]] = SimpleQueue()

    def question(name: K, channel: Channel) -> None:
        started = now()
        identity, error = _verified(channel)
        heard.put((name, Answer(started, now(), identity, error)))

    spans = {name: channel.traits.timeout for name, channel in channels.items()}
    for name, channel in channels.items():
        # Left behind when it takes too long, and ended with the process.
        threading.Thread(target=question, args=(name, channel), name="ask", daemon=True).start()
    answers: dict[K, Answer] = {}
    while waited := {name: span for name, span in spans.items() if name not in answers}:
        name, span = min(waited.items(), key=lambda one: one[1])
        left = span.total_seconds() + _GRACE - (monotonic() - began)
        try:
            told, answer = heard.get(timeout=max(left, 0.0))
        except Empty:
            late = NotAcceptedError(f"no answer within {span.total_seconds():g} s")
            answers[name] = Answer(asked, now(), None, late)
        else:
            answers.setdefault(told, answer)  # what comes after its time is not counted
    return answers


def _verified(channel: Channel) -> tuple[Identity | None, ChannelError | None]:
    try:
        return channel.verify(), None
    except ChannelError as error:
        return None, error
    except PipelineError as error:
        return None, NotAcceptedError(str(error))
    except Exception as error:  # noqa: BLE001  # its words might repeat a secret; one bug hides no network
        return None, OutcomeUnknownError(f"the answer could not be understood ({type(error).__name__})")
