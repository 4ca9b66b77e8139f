"""Protections left out, one at a time: what the run must find out."""

from __future__ import annotations

from typing import Any

from pipeline.channels.base import Channel
from pipeline.dispatch import Dispatcher
from pipeline.library import Library
from pipeline.model import Delivery, DeliveryKey, NotAccepted, Outcome, State, Unknown
from pipeline.sending import Sender


class Requeue(Dispatcher):
    """What is unknown goes back to the queue without any evidence, and so does a stuck `sending`."""

    def reconcile(self, key: DeliveryKey, library: Library) -> State | None:
        unknown = self._ledger.delivery(key)
        if unknown is not None and unknown.state is State.UNKNOWN:
            self._ledger.absent(unknown, self._clock.now())
        return self.deliver(key, library)


class AbsentAtOnce(Dispatcher):
    """What a network does not show is taken not to be there, however short ago it was sent."""

    def deliver(self, key: DeliveryKey, library: Library) -> State | None:
        state = super().deliver(key, library)
        return self.reconcile(key, library) if state is State.UNKNOWN else state

    def reconcile(self, key: DeliveryKey, library: Library) -> State | None:
        way = self.way(key, library)
        if way is None or way.delivery.state is not State.UNKNOWN or not way.channel.traits.lookup:
            return super().reconcile(key, library)
        return self._look_up(way, self._clock.now(), believe_absence=True)


class Optimist(Sender):
    """No answer counts as a refusal."""

    def publish(self, channel: Channel, claimed: Delivery) -> Outcome:
        outcome = super().publish(channel, claimed)
        return NotAccepted(outcome.detail) if isinstance(outcome, Unknown) else outcome


class ProbablyFailed(Dispatcher):
    """Sends as an optimist does."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.sender = Optimist(self._clock, self._policy, self._probe)


RULES: dict[str, type[Dispatcher]] = {
    "requeue": Requeue,
    "absent-at-once": AbsentAtOnce,
    "probably-failed": ProbablyFailed,
}
