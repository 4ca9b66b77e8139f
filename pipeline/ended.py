"""A campaign whose event is over by its file, while posts of it are still to come by the ledger.

Mostly a slip in the year. Nothing goes out once the event has begun, so without a word the rest of the
campaign would be missed in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from pipeline.model import Campaign, Delivery, State
from pipeline.problems import Problem, Severity
from pipeline.source import Parsed


def stopped_by_event(campaign: Campaign, deliveries: Iterable[Delivery], now: datetime) -> str | None:
    """What is wrong, if posts that are due after `now` (UTC) do not go out because the event is over."""
    if campaign.event.starts > now:
        return None
    coming = sum(one.state is State.PLANNED and one.due > now for one in deliveries)
    if not coming:
        return None
    posts = "1 planned post does" if coming == 1 else f"{coming} planned posts do"
    return f"the event began on {campaign.event.day}, so {posts} not go out"


def ended_problem(
    parsed: Parsed[Campaign], deliveries: Iterable[Delivery], now: datetime
) -> Iterator[Problem]:
    """W307, at the start of the event."""
    campaign = parsed.value
    if campaign is not None and (message := stopped_by_event(campaign, deliveries, now)):
        place = parsed.marks.value("event", "starts")
        hint = "Correct the date if it is a slip; else cancel the posts (`pipeline cancel`)."
        yield Problem(campaign.path, *place, "W307", message, hint, Severity.WARNING)
