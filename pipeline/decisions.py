"""What a person decides about a delivery: find it by its id, and say what happened or what shall happen."""

from __future__ import annotations

from difflib import get_close_matches

from pipeline.channels import web_address
from pipeline.days import channel_closes
from pipeline.errors import NotAllowed, WrongUse
from pipeline.library import Library
from pipeline.model import Campaign, Delivery, DeliveryKey
from pipeline.tick import Pipeline


def find(pipeline: Pipeline, text: str) -> Delivery:
    """The delivery with the id CAMPAIGN/ENTRY/CHANNEL. Raises WrongUse, naming near ones."""
    parts = text.split("/")
    delivery = pipeline.ledger.delivery(DeliveryKey(*parts)) if len(parts) == 3 else None
    if delivery is None:
        known = [str(one.key) for one in pipeline.ledger.deliveries()]
        close = get_close_matches(text, known, n=3)
        hint = f"Did you mean {', '.join(close)}?" if close else "`pipeline status` lists the deliveries."
        raise WrongUse(f"there is no delivery `{text}`", hint=hint)
    return delivery


def resolve(pipeline: Pipeline, text: str, *, posted: bool, url: str | None) -> Delivery:
    """A person looked: an uncertain delivery is, or is not, at the network.

    `url` is where the post is, an absolute http(s) one. Raises WrongUse, and NotAllowed.
    """
    delivery = find(pipeline, text)
    if url is not None and (fault := web_address(url)):
        raise WrongUse(f"--url: {fault}", hint="Copy it from the browser, with its https://.")
    return pipeline.ledger.resolve(delivery.key, posted, url, pipeline.clock.now())


def retry(pipeline: Pipeline, text: str) -> Delivery:
    """Send a held or missed delivery from now on, within a late window of its own, never past the event.

    Raises NotAllowed when the state table has no such step, the event has begun, or the files have no such
    post any more: the next tick would withdraw it.
    """
    delivery = find(pipeline, text)
    now = pipeline.clock.now()
    library = pipeline.reader.read(now)
    campaign = library.campaigns.get(delivery.key.campaign)
    channel = campaign.channel(delivery.key.channel) if campaign else None
    if campaign is None or channel is None:
        raise NotAllowed(
            f"{delivery.key} has no campaign or channel any more", hint="Put it back into schedules/ first."
        )
    if now >= campaign.event.starts:
        raise NotAllowed(
            f"the event of `{campaign.id}` has begun: nothing is posted any more",
            hint=f"`pipeline cancel {delivery.key}` closes the matter.",
        )
    _refuse_without_entry(delivery.key, campaign, library)
    return pipeline.ledger.retry(delivery.key, now, channel_closes(campaign, channel, now), now)


def _refuse_without_entry(key: DeliveryKey, campaign: Campaign, library: Library) -> None:
    entry = library.entries.get(key.entry)
    give_up = f"`pipeline cancel {key}` gives it up."
    if entry is None:
        raise NotAllowed(
            f"{key} has no entry any more: there is no `{key.entry}` under content/ that can be used",
            hint=f"Put the file back, or mend what `pipeline check` says of it, then retry; {give_up}",
        )
    if entry.draft:
        raise NotAllowed(
            f"{key} has no text to send: {entry.path} is a draft",
            hint=f"Take `status: draft` out of it, then retry; {give_up}",
        )
    if entry not in library.entries_of(campaign):
        raise NotAllowed(
            f"{key} has no place any more: {campaign.path} does not list `{key.entry}`",
            hint=f"Put it back under `entries`, then retry; {give_up}",
        )


def cancel(pipeline: Pipeline, text: str) -> Delivery:
    """Give a delivery up. Raises NotAllowed when a network has it, or may have it."""
    delivery = find(pipeline, text)
    return pipeline.ledger.cancel(delivery.key, pipeline.clock.now())
