"""How many posts an account would make in a day, over every campaign that has it, and how many it may.

A limit holds for any 24 hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline.accounts import Account
from pipeline.channels import known_networks, option_problems
from pipeline.checks import OpenChannel, Sources
from pipeline.days import channel_due
from pipeline.model import Campaign, ChannelConfig
from pipeline.planning import Plan, Standing
from pipeline.problems import Problem

_DAY = timedelta(days=1)


class _Due(NamedTuple):
    """A post that went out, or will: when (UTC), of which campaign, and whether it is still to come."""

    at: datetime
    campaign: str
    coming: bool


def crowd_problems(
    sources: Sources, calendars: Mapping[str, Plan], open_channel: OpenChannel
) -> Iterator[Problem]:
    """E310: more posts of one account than its network allows. `calendars` by the campaign's id."""
    limits: dict[Account, int] = {}
    posts: dict[Account, list[_Due]] = {}
    campaigns = sources.by_campaign_id()
    for name, calendar in calendars.items():
        campaign = campaigns[name].value
        for channel in campaign.channels if campaign else ():
            if campaign is None or channel.network not in known_networks() or option_problems(channel):
                continue
            limit = open_channel(campaign, channel).traits.per_day
            if limit is not None:
                account = Account(channel.network, channel.id)
                limits[account] = min(limit, limits.get(account, limit))
                posts.setdefault(account, []).extend(_dues(campaign, channel, calendar))
    for account, dues in posts.items():
        yield from _crowds(sources, account, sorted(dues), limits[account])


def _dues(campaign: Campaign, channel: ChannelConfig, calendar: Plan) -> Iterator[_Due]:
    for slot in calendar.slots:
        standing = calendar.standing.get(slot.entry, Standing.AHEAD)
        if standing is not Standing.MISSED:
            coming = standing is not Standing.SETTLED and not calendar.over
            yield _Due(channel_due(campaign, channel, slot.date), campaign.id, coming)


def _crowds(sources: Sources, account: Account, dues: Sequence[_Due], limit: int) -> Iterator[Problem]:
    """The first post too many of each campaign."""
    told: set[str] = set()
    for first, due in zip(dues, dues[limit:], strict=False):
        if due.at - first.at >= _DAY or not due.coming or due.campaign in told:
            continue
        told.add(due.campaign)
        parsed = sources.by_campaign_id()[due.campaign]
        campaign = parsed.value
        assert campaign is not None
        message = (
            f"on {due.at.astimezone(campaign.event.zone):%Y-%m-%d} the account of `{account.channel}` "
            f"({account.network}) would post more than {limit} times in 24 hours, "
            "counting every campaign that has it"
        )
        hint = "Move days of one of the campaigns, or take the channel out of one."
        place = parsed.marks.at("channels", account.channel)
        yield Problem(campaign.path, *place, "E310", message, hint)
