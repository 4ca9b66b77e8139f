"""An export takes the place of a lost ledger, and nothing that was sent since goes out again.

What must stay true: whatever the export calls open, but may have been sent after it was made, is `unknown`
afterwards, with the bytes it would have been sent as, so that evidence decides. The lost ledger knew the very
bytes; here they are composed anew from the files, as of the day on which they were due. Keys do not depend on
the words, so a network that knows the key is not misled by an edit since.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TextIO

from pipeline.channels.base import Channel, DoesNotFit
from pipeline.composing import TemplateProblem, compose
from pipeline.errors import WrongUse
from pipeline.ledger import Doubt, Ledger
from pipeline.library import Library, LibraryReader
from pipeline.model import Campaign, ChannelConfig, Delivery, MissedPolicy, Rendition, State

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
    """Read the export into the empty ledger; the number of rows.

    `draft`, an empty ledger too, is for the last good versions of files that came along. Raises WrongUse as
    `Ledger.import_` and `renditions` do, LedgerGone for the export of another project; then nothing was read.
    """
    with export() as stream:
        draft.import_(stream)
    library = LibraryReader(root, draft, open_channel).read(now)
    with export() as stream:
        return into.import_(stream, Doubt(now, renditions(library, open_channel, now)))


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
        if campaign is None or config is None or entry is None or config.network != delivery.network:
            return None
        if now >= campaign.event.starts:
            return None
        if delivery.state is State.MISSED and campaign.posting.missed is not MissedPolicy.MOVE:
            return None  # nothing but a person sends it, and is told what it was
        day = delivery.due.astimezone(campaign.event.zone).date()
        channel = open_channel(campaign, config)
        try:
            post = compose(entry, campaign, config, delivery.date or day, sent_on=day)
            return channel.render(channel.fit(post), str(delivery.key))
        except (TemplateProblem, DoesNotFit) as error:
            raise WrongUse(
                f"{delivery.key} may have been sent since the export, and cannot be composed: {error}",
                hint="Mend the text as it was sent, then import again; nothing was imported.",
            ) from error

    return rendition
