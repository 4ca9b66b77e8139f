"""What one channel shows of one day: asked of the channel itself, or taken from what was sent.

What must stay true: a delivery that has a rendition is shown by it, whatever the files say now; what has none
is composed, fitted and rendered by the same calls that the dispatcher makes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from pipeline.channels.base import Channel, ChannelError, DoesNotFit
from pipeline.composing import TemplateProblem, compose
from pipeline.days import channel_due
from pipeline.model import (
    Campaign,
    ChannelConfig,
    Delivery,
    DeliveryKey,
    Entry,
    Fit,
    Image,
    Rendition,
    Slot,
    State,
)
from pipeline.storyboard.marks import Mark, marks
from pipeline.storyboard.networks import look
from pipeline.storyboard.script import Story

OpenChannel = Callable[[Campaign, ChannelConfig], Channel]


@dataclass(frozen=True, slots=True)
class LinkCard:
    """What a network shows of a linked page.

    Title and description are None where the network reads them from the page when the post is out.
    """

    domain: str
    title: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A post on a channel. `text` and `body` are what is or was sent, None when `problem` says why not.

    `left_out` is what fell away of the full text, `length` None for a text sent before an edit. `digest` is
    that of the planned request, which does not depend on what a server names itself, and `alt` what it says
    of its picture: to most networks that goes beside the request.
    """

    key: DeliveryKey
    config: ChannelConfig
    date: date
    due: datetime
    lang: str
    state: State
    published: datetime | None = None
    reason: str | None = None
    url: str | None = None
    text: str | None = None
    length: int | None = None
    limit: int | None = None
    left_out: str = ""
    price: Decimal | None = None
    body: bytes | None = None
    digest: str | None = None
    alt: str | None = None
    marks: tuple[Mark, ...] = ()
    picture: Image | None = None
    link: LinkCard | None = None
    problem: str | None = None

    @property
    def waits(self) -> bool:
        """Whether a person has to look at it."""
        return self.problem is not None or self.state in {State.HELD, State.UNKNOWN, State.MISSED}


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a campaign. `entry` is None when its file is gone."""

    slot: Slot
    entry: Entry | None
    cards: tuple[Card, ...]


def days(story: Story, entries: Mapping[str, Entry], open_channel: OpenChannel) -> tuple[Day, ...]:
    """Every day of the campaign with a card for each channel."""
    campaign = story.campaign
    released = {one.entry.id: one.entry for one in story.releases}
    ways = {config.id: open_channel(campaign, config) for config in campaign.channels}
    told = []
    for slot in story.slots:
        entry = entries.get(slot.entry) or released.get(slot.entry)
        cards = []
        for config in campaign.channels:
            delivery = story.deliveries.get(DeliveryKey(campaign.id, slot.entry, config.id))
            cards.append(_card(campaign, config, slot, entry, ways[config.id], delivery))
        told.append(Day(slot, entry, tuple(cards)))
    return tuple(told)


def _card(
    campaign: Campaign,
    config: ChannelConfig,
    slot: Slot,
    entry: Entry | None,
    way: Channel,
    delivery: Delivery | None,
) -> Card:
    key = DeliveryKey(campaign.id, slot.entry, config.id)
    told: dict[str, Any] = {
        "key": key,
        "config": config,
        "date": slot.date,
        "due": channel_due(campaign, config, slot.date),
        "lang": (entry.lang if entry else None) or campaign.language,
        "state": State.PLANNED,
    }
    if delivery is not None:
        told |= {
            "state": delivery.state,
            "published": delivery.published_at,
            "reason": delivery.reason,
            "url": delivery.receipt.url if delivery.receipt else None,
        }
    sent = delivery.rendition if delivery else None
    sent_on = _local_day(campaign, delivery) or slot.date
    if entry is None:
        return Card(**told, **(_sent(config, sent) if sent else {"problem": "its file is gone"}))
    try:
        fit, rendition = _asked(entry, campaign, config, way, slot.date, sent_on)
        plain = rendition if sent_on == slot.date else _asked(entry, campaign, config, way, slot.date)[1]
    except (TemplateProblem, DoesNotFit, ChannelError) as error:
        return Card(**told, **(_sent(config, sent) if sent else {"problem": str(error)}))
    alt = plain.media[0].alt if plain.media else None
    told |= {"digest": plain.digest, "alt": alt} | _sent(config, sent or rendition)
    if told["text"] == fit.text:
        told |= {"length": fit.length, "limit": fit.limit, "price": fit.price, "left_out": _left_out(fit)}
    return Card(**told) if told["link"] else Card(**told | {"link": _read_by_network(config, entry, told)})


def _local_day(campaign: Campaign, delivery: Delivery | None) -> date | None:
    """The local day on which it was really sent."""
    at = (delivery.sent_at or delivery.published_at) if delivery and delivery.rendition else None
    return at.astimezone(campaign.event.zone).date() if at else None


def _asked(
    entry: Entry,
    campaign: Campaign,
    config: ChannelConfig,
    way: Channel,
    day: date,
    sent_on: date | None = None,
) -> tuple[Fit, Rendition]:
    fit = way.fit(compose(entry, campaign, config, day, sent_on=sent_on))
    return fit, way.render(fit, str(DeliveryKey(campaign.id, entry.id, config.id)))


def _left_out(fit: Fit) -> str:
    """What of the full text is not in the fitted one: it is always one stretch of the summary."""
    if not fit.shortened:
        return ""
    full, text = fit.post.text(fit.post.summary), fit.text
    most = min(len(full), len(text))
    begin = next((i for i in range(most) if full[i] != text[i]), most)
    end = next((i for i in range(most - begin) if full[-1 - i] != text[-1 - i]), most - begin)
    return full[begin : len(full) - end].strip()


# --------------------------------------------------------------------------- what a request shows


def _sent(config: ChannelConfig, rendition: Rendition) -> dict[str, Any]:
    """What readers see of a request."""
    document = _document(rendition.body)
    picture = rendition.media[0] if rendition.media else None
    return {
        "text": rendition.text,
        "body": rendition.body,
        "marks": marks(config.network, rendition.text, document) if look(config.network).marks else (),
        "picture": picture,
        "link": _embedded(document),
    }


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _embedded(document: Any) -> LinkCard | None:
    """The card that a Bluesky record brings along."""
    try:
        external = document["record"]["embed"]["external"]
        return LinkCard(_domain(external["uri"]), external["title"], external["description"])
    except (KeyError, TypeError):
        return None


def _read_by_network(config: ChannelConfig, entry: Entry, told: Mapping[str, Any]) -> LinkCard | None:
    """The card that a network makes of the linked page, unless a picture takes its place."""
    if told["picture"] is not None or not look(config.network).reads_page:
        return None
    # What is sent of the address may say more than the entry does, so its beginning is looked for.
    shown = entry.url.partition("#")[0] in told["text"] or config.network == "facebook"
    return LinkCard(_domain(entry.url)) if shown else None


def _domain(address: str) -> str:
    try:
        return (urlsplit(address).hostname or address).removeprefix("www.")
    except ValueError:
        return address
