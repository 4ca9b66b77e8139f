"""Edits and deletions of what was published: on every channel that can, and in the feeds.

Both name remote posts, so they may be repeated: whatever goes wrong is told, and the same command again does
what is left. Nothing here decides by itself; a person asked for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pipeline.channels.base import Channel, DoesNotFit, Found, RejectedError
from pipeline.composing import TemplateProblem, compose
from pipeline.dispatch import CLOCKS_APART, Way
from pipeline.errors import LostRace, WrongUse
from pipeline.ledger import SAID_POSTED
from pipeline.model import Delivery, Entry, Receipt, Rendition, State
from pipeline.sending import Obstacle, Sender
from pipeline.tick import Pipeline


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one delivery. `again`: the same command, run again, may do more."""

    delivery: Delivery
    text: str
    again: bool = False


class Amender:
    """Carries a person's change of mind to everywhere an entry was published."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._ledger = pipeline.ledger
        self._clock = pipeline.clock
        self._sender: Sender = pipeline.dispatcher.sender
        self._library = pipeline.reader.read(self._clock.now())

    def amend(self, entry: str) -> list[Told]:
        """Edit every post of the entry into what its file says now. Feeds follow with the next tick.

        Raises WrongUse for an entry that has no file, or one with problems, or of which nothing is published.
        """
        words = self._library.entries.get(entry)
        if words is None:
            raise WrongUse(
                f"there is no entry `{entry}`", hint="`pipeline status` names those that went out."
            )
        if words.path in self._library.stale:
            raise WrongUse(
                f"{words.path} has problems, so there is nothing to amend with",
                hint="`pipeline check` says which.",
            )
        return [self._amend(delivery, words) for delivery in self._of(entry, published_only=True)]

    def retract(self, entry: str) -> list[Told]:
        """Delete every post of the entry, send no more of it, and take it out of the feeds for good.

        Raises WrongUse for an entry of which nothing went out.
        """
        deliveries = self._of(entry, published_only=False)
        now = self._clock.now()
        # First what stops it from spreading: the feeds, which only we write.
        for campaign in sorted({delivery.key.campaign for delivery in deliveries}):
            if entry in self._ledger.released(campaign):
                self._ledger.retract(campaign, entry, now)
        return [self._retract(delivery) for delivery in deliveries]

    # ----------------------------------------------------------------- one delivery

    def _amend(self, delivery: Delivery, entry: Entry) -> Told:
        way = self._pipeline.dispatcher.way(delivery.key, self._library)
        if way is None:
            return Told(delivery, "left as it is: its channel is no longer in the campaign")
        channel = way.channel
        if not channel.traits.edit:
            return Told(
                delivery, f"left as it is: {way.config.network} does not let posts be edited from here"
            )
        receipt = self._receipt(delivery, channel)
        if receipt is None:
            return Told(delivery, "left as it is: nobody knows the post's id; edit it by hand")
        try:
            rendition = _render(entry, way)
        except (TemplateProblem, DoesNotFit, RejectedError) as error:
            return Told(delivery, f"left as it is: it cannot be composed: {error}")
        prepared, obstacle = self._sender.prepare(channel, rendition)
        if obstacle is not None:
            return _failed(delivery, obstacle)
        edited = self._sender.edit(channel, receipt, prepared)
        if not isinstance(edited, Receipt):
            return _failed(delivery, edited)
        return self._recorded(
            delivery, lambda now: self._ledger.edited(delivery, prepared, edited, now), "edited"
        )

    def _retract(self, delivery: Delivery) -> Told:
        match delivery.state:
            case State.PUBLISHED:
                return self._delete(delivery)
            case State.PLANNED | State.HELD | State.MISSED:
                return self._recorded(
                    delivery, lambda now: self._ledger.cancel(delivery.key, now), "cancelled: it is not sent"
                )
            case State.SENDING | State.UNKNOWN:
                return Told(
                    delivery,
                    "it may be out; once `status` no longer calls it open, retract again",
                    again=True,
                )
        return Told(delivery, f"nothing to do: it is {delivery.state}")

    def _delete(self, delivery: Delivery) -> Told:
        way = self._pipeline.dispatcher.way(delivery.key, self._library)
        if way is None:
            return Told(delivery, "still there: its channel is no longer in the campaign; delete it by hand")
        if not way.channel.traits.delete:
            network = way.config.network
            return Told(
                delivery, f"still there: {network} does not let posts be deleted from here; do it by hand"
            )
        receipt = self._receipt(delivery, way.channel)
        if receipt is None:
            return Told(delivery, "still there: nobody knows the post's id; delete it by hand")
        obstacle = self._sender.delete(way.channel, receipt, str(delivery.key))
        if obstacle is not None:
            return _failed(delivery, obstacle)
        return self._recorded(delivery, lambda now: self._ledger.deleted(delivery, now), "deleted")

    # ----------------------------------------------------------------- helpers

    def _of(self, entry: str, *, published_only: bool) -> list[Delivery]:
        """The entry's deliveries. Raises WrongUse when nothing of it went out."""
        deliveries = [one for one in self._ledger.deliveries() if one.key.entry == entry]
        campaigns = {one.key.campaign for one in deliveries}
        out = [one for one in deliveries if one.state is State.PUBLISHED]
        released = any(entry in self._ledger.released(campaign) for campaign in campaigns)
        if not out and not released and not any(one.state in _MAY_BE_OUT for one in deliveries):
            raise WrongUse(f"nothing of `{entry}` went out", hint="`pipeline status` shows what did.")
        return out if published_only else deliveries

    def _receipt(self, delivery: Delivery, channel: Channel) -> Receipt | None:
        """The receipt with the network's own id. Where a person vouched for the post it is looked up."""
        receipt = delivery.receipt
        if receipt is None or receipt.remote_id != SAID_POSTED:
            return receipt
        if delivery.rendition is None or delivery.sent_at is None or not channel.traits.lookup:
            return None
        sighting = channel.find(delivery.rendition, delivery.sent_at - CLOCKS_APART)
        return sighting.receipt if isinstance(sighting, Found) else None

    def _recorded(self, delivery: Delivery, record: Callable[[datetime], Delivery], text: str) -> Told:
        try:
            return Told(record(self._clock.now()), text)
        except LostRace as lost:
            return Told(delivery, f"somebody else was at it: {lost}", again=True)


_MAY_BE_OUT = frozenset({State.SENDING, State.UNKNOWN})


def _render(entry: Entry, way: Way) -> Rendition:
    """The post as it reads now, on its day. Raises TemplateProblem, DoesNotFit, RejectedError."""
    delivery = way.delivery
    assert delivery.published_at is not None  # it is published
    sent = delivery.published_at.astimezone(way.campaign.event.zone).date()
    post = compose(entry, way.campaign, way.config, delivery.date or sent, sent_on=sent)
    return way.channel.render(way.channel.fit(post), str(delivery.key))


def _failed(delivery: Delivery, obstacle: Obstacle) -> Told:
    return Told(delivery, f"not done, or nobody knows: {obstacle.detail}", again=True)
