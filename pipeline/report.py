"""What people and scripts read about a campaign: the plan, what it costs, the state of deliveries.

Builds plain documents and texts from what planning, composing and the ledger say; decides nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.channels.base import Channel, DoesNotFit
from pipeline.composing import TemplateProblem, compose
from pipeline.days import channel_due, days_left
from pipeline.delivery import AskPerson, LookUp, NextStep, Repeat, WaitUntil
from pipeline.model import (
    Attempt,
    Campaign,
    ChannelConfig,
    Delivery,
    DeliveryKey,
    Entry,
    Release,
    Slot,
    State,
)
from pipeline.planning import BORN_MISSED, Plan, Standing

OpenChannel = Callable[[Campaign, ChannelConfig], Channel]


def iso(instant: datetime | None) -> str | None:
    """An instant as JSON carries it: UTC, to the second unless it is finer."""
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")


# --------------------------------------------------------------------------- plan


def plan_document(
    campaign: Campaign,
    calendar: Plan,
    entries: Mapping[str, Entry],
    open_channel: OpenChannel,
    states: Mapping[DeliveryKey, State],
) -> dict[str, Any]:
    """One campaign of `plan --json`: every slot with the very text each channel would be sent.

    `states` are those of its deliveries, as far as there are any.
    """
    ways = {channel.id: open_channel(campaign, channel) for channel in campaign.channels}
    slots = [
        {
            "date": slot.date.isoformat(),
            "due": iso(slot.due),
            "entry": slot.entry,
            "days_left": slot.days_left,
            "standing": str(calendar.standing.get(slot.entry, Standing.AHEAD)),
            "channels": [
                _channel_row(campaign, channel, slot, entries.get(slot.entry), ways[channel.id])
                | {"state": states.get(DeliveryKey(campaign.id, slot.entry, channel.id))}
                for channel in campaign.channels
            ],
        }
        for slot in calendar.slots
    ]
    return {
        "id": campaign.id,
        "title": campaign.title,
        "event": iso(campaign.event.starts),
        "timezone": campaign.event.timezone,
        "over": calendar.over,
        "slots": slots,
        "unplaced": [{"entry": left.entry, "reason": str(left.reason)} for left in calendar.unplaced],
        "prices": [] if calendar.over else _prices(slots),
    }


def _channel_row(
    campaign: Campaign, channel: ChannelConfig, slot: Slot, entry: Entry | None, way: Channel
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "channel": channel.id,
        "network": channel.network,
        "due": iso(channel_due(campaign, channel, slot.date)),
        "text": None,
        "length": None,
        "limit": None,
        "shortened": False,
        "price": None,
    }
    if entry is None:
        return row  # the file is gone; what was sent is in the ledger
    try:
        fit = way.fit(compose(entry, campaign, channel, slot.date))
    except (TemplateProblem, DoesNotFit) as error:
        return row | {"problem": str(error)}
    return row | {
        "text": fit.text,
        "length": fit.length,
        "limit": fit.limit,
        "shortened": fit.shortened,
        "price": None if fit.price is None else str(fit.price),
    }


def _prices(slots: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the posts that are still to come will cost, by channel, where the network takes money (US$)."""
    kinds: dict[tuple[str, str], Counter[tuple[str, bool]]] = {}
    for slot in slots:
        if slot["standing"] not in {Standing.AHEAD, Standing.OPEN}:
            continue
        for row in slot["channels"]:
            if row["price"] is not None:
                account = kinds.setdefault((row["channel"], row["network"]), Counter())
                account[row["price"], "://" in row["text"]] += 1
    return [
        {
            "channel": channel,
            "network": network,
            "currency": "USD",
            "total": str(sum(posts * Decimal(price) for (price, _), posts in found.items())),
            "kinds": [
                {"posts": posts, "link": link, "price": price}
                for (price, link), posts in sorted(found.items())
            ],
        }
        for (channel, network), found in kinds.items()
    ]


# --------------------------------------------------------------------------- status


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that waits for a person: what happened, what is known, what each answer would do."""

    delivery: Delivery
    happened: str
    known: str
    answers: tuple[str, ...]


def waiting(
    delivery: Delivery, step: NextStep | None, attempts: Sequence[Attempt], *, orphaned: bool = False
) -> Waiting | None:
    """What a person must decide about the delivery, or None when it goes on by itself."""
    if delivery.state is State.HELD:
        return Waiting(
            delivery,
            f"the network refused it: {delivery.reason}",
            f"{_tried(attempts)} It was not posted.",
            _once_more(delivery, "once the cause is mended, send it"),
        )
    if delivery.state is State.UNKNOWN and (orphaned or isinstance(step, AskPerson)):
        why = (
            "The campaign has no such channel to use any more."
            if orphaned
            else "The network offers no way to tell."
        )
        return Waiting(
            delivery,
            _uncertain(delivery, attempts),
            f"{_tried(attempts)} It may or may not be posted. {why} Look at the account.",
            (
                f"pipeline resolve {delivery.key} posted [--url URL]: it is there, nothing more is sent",
                f"pipeline resolve {delivery.key} not-posted: it is not there, and {_then(delivery)}",
            ),
        )
    return None


def missed(delivery: Delivery, attempts: Sequence[Attempt]) -> Waiting | None:
    """What a person may, but need not, do about a delivery that was planned and missed."""
    if delivery.state is not State.MISSED or delivery.reason == BORN_MISSED:
        return None
    return Waiting(
        delivery,
        f"it was due at {iso(delivery.due)} and not sent: {delivery.reason}",
        f"{_tried(attempts)} It was not posted.",
        _once_more(delivery, "send it after all"),
    )


def _once_more(delivery: Delivery, when: str) -> tuple[str, ...]:
    return (
        f"pipeline retry {delivery.key}: {when}, within a new late window, never past the event",
        f"pipeline cancel {delivery.key}: give it up on this channel",
    )


def _then(delivery: Delivery) -> str:
    return f"goes out at the next look before {iso(delivery.closes)}; later it is missed"


def _uncertain(delivery: Delivery, attempts: Sequence[Attempt]) -> str:
    if not attempts:
        return f"no request is on record: {delivery.reason}"  # as after an import
    return f"a request was sent at {iso(attempts[-1].started)} and not answered: {delivery.reason}"


def _tried(attempts: Sequence[Attempt]) -> str:
    """Every attempt with its instants and end, the last three when there are more."""
    if not attempts:
        return "No attempt is on record."
    told = [
        f"#{one.number} at {iso(one.started)}: "
        + (f"{one.outcome} at {iso(one.ended)}" if one.ended else "no end on record")
        for one in attempts[-3:]
    ]
    return f"Attempts: {len(attempts)} ({'; '.join(told)})."


def progress_of(delivery: Delivery, step: NextStep | None) -> str:
    """What will happen next by itself, for an uncertain delivery."""
    match step:
        case Repeat():
            return "the identical request is sent again: the network knows its key"
        case LookUp():
            return "the network is asked whether it is there"
        case WaitUntil(instant):
            return f"looked into again at {iso(instant)}"
        case _:
            return delivery.reason or ""


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    """One delivery of `status --json`."""
    receipt = delivery.receipt
    return {
        "id": str(delivery.key),
        "campaign": delivery.key.campaign,
        "entry": delivery.key.entry,
        "channel": delivery.key.channel,
        "network": delivery.network,
        "date": delivery.date.isoformat() if delivery.date else None,
        "due": iso(delivery.due),
        "state": str(delivery.state),
        "reason": delivery.reason,
        "url": receipt.url if receipt else None,
        "remote_id": receipt.remote_id if receipt else None,
        "attempts": delivery.attempts,
        "published_at": iso(delivery.published_at),
    }


def next_row(deliveries: Iterable[Delivery]) -> dict[str, Any] | None:
    """The delivery that is sent next, or None."""
    planned = [delivery for delivery in deliveries if delivery.state is State.PLANNED]
    if not planned:
        return None
    first = min(planned, key=lambda d: (max(d.due, d.not_before or d.due), d.key))
    return {"id": str(first.key), "due": iso(max(first.due, first.not_before or first.due))}


# --------------------------------------------------------------------------- rehearsal


def calendar_rows(
    campaign: Campaign, deliveries: Iterable[Delivery], releases: Iterable[Release]
) -> list[tuple[str, ...]]:
    """A campaign that has been played: day, countdown, entry, and when each channel got it, by day."""
    zone = campaign.event.zone
    happened = {delivery.key: delivery for delivery in deliveries}
    rows = []
    for release in sorted(releases, key=lambda r: r.date):
        if release.campaign != campaign.id:
            continue
        cells = []
        for channel in campaign.channels:
            delivery = happened.get(DeliveryKey(campaign.id, release.entry.id, channel.id))
            cells.append(_cell(delivery, zone))
        left = days_left(campaign, release.date)
        rows.append((release.date.isoformat(), f"J-{left}", release.entry.title, *cells))
    return rows


def _cell(delivery: Delivery | None, zone: ZoneInfo) -> str:
    if delivery is None:
        return "-"
    if delivery.published_at is None:
        return f"{delivery.state}: {delivery.reason}" if delivery.reason else str(delivery.state)
    at = f"{delivery.published_at.astimezone(zone):%H:%M}"
    return at if delivery.state is State.PUBLISHED else f"{delivery.state} {at}"
