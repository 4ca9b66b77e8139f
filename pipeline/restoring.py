"""An export takes the place of a lost ledger, and nothing that was sent since goes out again.

What must stay true: whatever may have been sent after the export was made is `unknown` afterwards, with the
bytes it would have been sent as, so that evidence decides. That is what the export itself calls open, and
what the files, which may be newer than the export, would have had sent by now: an entry that was added, or
moved to an earlier day. The lost ledger knew the very bytes; here they are composed anew from the files, as
of the day on which they were due. Keys do not depend on the words, so a network that knows the key is not
misled by an edit since.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TextIO, TypeGuard

from pipeline.channels.base import Channel, DoesNotFit, RejectedError
from pipeline.composing import TemplateProblem, compose
from pipeline.delivery import Change, Create, Place
from pipeline.errors import WrongUse
from pipeline.ledger import Doubt, Ledger
from pipeline.library import Library, LibraryReader, recorded_plan
from pipeline.model import (
    Campaign,
    ChannelConfig,
    Delivery,
    DeliveryKey,
    MissedPolicy,
    Rendition,
    Slot,
    SlotRecord,
    State,
)
from pipeline.planning import Plan, changes

OpenChannel = Callable[[Campaign, ChannelConfig], Channel]


def restore(
    root: Path,
    export: Callable[[], AbstractContextManager[TextIO]],
    *,
    into: Ledger,
    draft: Ledger,
    open_channel: OpenChannel,
    now: datetime,
) -> int:
    """Read the export into the empty ledger; the number of its rows.

    `draft`, an empty ledger too, is where what the files have changed since the export is worked out.
    Raises WrongUse as `Ledger.import_` and `renditions` do, LedgerGone for the export of another project;
    then nothing was read.
    """
    with export() as stream:
        count = draft.import_(stream)
    since = draft.last_event()
    library = LibraryReader(root, draft, open_channel).read(now)
    if since is None:  # nothing had happened when it was made
        with export() as stream:
            return into.import_(stream)
    unsure: set[DeliveryKey] = set()
    for campaign in library.campaigns.values():
        if now < campaign.event.starts:
            unsure |= _catch_up(draft, campaign, library, since, now)
    doubt = Doubt(now, since, renditions(library, open_channel, now), unsure)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as caught_up:
        draft.export(caught_up)
        caught_up.seek(0)
        into.import_(caught_up, doubt)
    return count


def _catch_up(
    draft: Ledger, campaign: Campaign, library: Library, since: datetime, now: datetime
) -> set[DeliveryKey]:
    """Plan in the draft what the files, had they been as they are, would have had sent by now.

    What the export calls open and due keeps its day, for it may have been sent on it. The answer names every
    delivery that may have been sent on another day than the one it now has.
    """
    calendar = recorded_plan(draft, campaign, library.entries, since)
    planned = draft.deliveries(campaign.id)
    todo = changes(campaign, calendar, planned, since)
    found = [change for change in todo if _would_have_been_sent(change, since, now)]
    if found:
        days = _past_days(found, draft.slots(campaign.id), planned, now)
        slots = _slots(campaign, calendar, draft.slots(campaign.id), days)
        placed = [replace(change, date=days[_key(change).entry]) for change in found]
        draft.adopt(campaign.id, since)
        draft.apply_plan(campaign.id, slots, placed, since)
    return {_key(change) for change in todo}


def _would_have_been_sent(change: Change, since: datetime, now: datetime) -> TypeGuard[Create | Place]:
    if isinstance(change, Create):
        return change.state is State.PLANNED and since < change.due <= now
    if not isinstance(change, Place) or change.due > now:
        return False
    if change.was.state is State.CANCELLED:
        return change.closes > since  # what comes back within its late window is sent at once
    return since < change.due and change.was.state is State.PLANNED and change.was.due > now


def _past_days(
    found: Iterable[Create | Place],
    records: Mapping[str, SlotRecord],
    planned: Iterable[Delivery],
    now: datetime,
) -> dict[str, date]:
    """A day for each entry: its own, or else the first free one going back from the day it would have had.

    Two entries may have been meant for one day, one before and one after the files changed, and either may
    have been sent on it.
    """
    taken = {one.date: one.key.entry for one in planned if one.date}
    taken |= {record.date: entry for entry, record in records.items()}
    days: dict[str, date] = {}
    for change in sorted(found, key=lambda change: change.due):
        entry = _key(change).entry
        own = records.get(entry)
        day = days.get(entry) or (own.date if own and own.due <= now else change.date)
        while taken.get(day, entry) != entry:
            day -= timedelta(days=1)
        taken[day] = entry
        days[entry] = day
    return days


def _slots(
    campaign: Campaign, calendar: Plan, records: Mapping[str, SlotRecord], days: Mapping[str, date]
) -> list[Slot]:
    """The slots as they were, but for those that get these days."""
    kept = [
        Slot(campaign.id, one.entry, one.date, one.due, 0)
        for one in records.values()
        if days.get(one.entry, one.date) == one.date
    ]
    stay = {slot.entry for slot in kept}
    moved = [slot for slot in calendar.slots if slot.entry in days and slot.entry not in stay]
    return kept + [replace(slot, date=days[slot.entry]) for slot in moved]


def _key(change: Change) -> DeliveryKey:
    return change.key if isinstance(change, Create) else change.was.key


def renditions(
    library: Library, open_channel: OpenChannel, now: datetime
) -> Callable[[Delivery], Rendition | None]:
    """For each delivery the bytes it was, or would be, sent as; None for one that is not sent any more.

    The answer raises WrongUse for a text that cannot be composed: it could be mended after the import,
    and would then be sent a second time.
    """

    def rendition(delivery: Delivery) -> Rendition | None:
        campaign = library.campaigns.get(delivery.key.campaign)
        config = campaign.channel(delivery.key.channel) if campaign else None
        entry = library.entries.get(delivery.key.entry)
        if campaign is None or config is None or entry is None:
            return None
        if now >= campaign.event.starts:
            return None
        if delivery.state is State.MISSED and campaign.posting.missed is not MissedPolicy.MOVE:
            return None  # nothing but a person sends it, and is told what it was
        day = delivery.due.astimezone(campaign.event.zone).date()
        channel = open_channel(campaign, config)
        try:
            library.refuse_unfit(entry)
            post = compose(entry, campaign, config, delivery.date or day, sent_on=day)
            return channel.render(channel.fit(post), str(delivery.key))
        except (TemplateProblem, DoesNotFit, RejectedError) as error:  # the last: an unusable picture
            raise WrongUse(
                f"{delivery.key} may have been sent since the export, and cannot be composed: {error}",
                hint="Mend the text as it was sent, then import again; nothing was imported.",
            ) from error

    return rendition
