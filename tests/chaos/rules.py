"""Protections left out, one at a time: what the run must find out."""

from __future__ import annotations

from pipeline.channels.base import Channel
from pipeline.dispatch import Dispatcher
from pipeline.library import Library
from pipeline.model import Delivery, DeliveryKey, NotAccepted, Outcome, Rendition, State, Unknown


class Requeue(Dispatcher):
    """What is unknown goes back to the queue without any evidence, and so does a stuck `sending`."""

    def reconcile(self, key: DeliveryKey, library: Library) -> State | None:
        unknown = self._ledger.delivery(key)
        if unknown is not None and unknown.state is State.UNKNOWN:
            self._ledger.absent(unknown, self._clock.now())
        return self.deliver(key, library)


class ProbablyFailed(Dispatcher):
    """No answer counts as a refusal."""

    def _publish(self, channel: Channel, rendition: Rendition, claimed: Delivery) -> Outcome:
        outcome = super()._publish(channel, rendition, claimed)
        return NotAccepted(outcome.detail) if isinstance(outcome, Unknown) else outcome


RULES: dict[str, type[Dispatcher]] = {
    "requeue": Requeue,
    "probably-failed": ProbablyFailed,
}
