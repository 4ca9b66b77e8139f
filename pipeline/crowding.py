"""Accounts over every campaign that has them: how many posts each would make, and whose each is.

A limit holds for any 24 hours. A channel's id names its credentials, so campaigns that share an id share an
account, whatever else their options say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline.accounts import Account
from pipeline.channels import account_of, known_networks, option_problems
from pipeline.checks import OpenChannel, Sources
from pipeline.credentials import variable
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
            if campaign is None or not _is_usable(channel):
                continue
            limit = open_channel(campaign, channel).traits.per_day
            if limit is not None:
                account = Account(channel.network, channel.id)
                limits[account] = min(limit, limits.get(account, limit))
                posts.setdefault(account, []).extend(_dues(campaign, channel, calendar))
    for account, dues in posts.items():
        yield from _crowds(sources, account, sorted(dues), limits[account])


def sharing_problems(sources: Sources, calendars: Mapping[str, Plan]) -> Iterator[Problem]:
    """E312: channels of different accounts with one set of credentials, in campaigns that are not over.

    It is told at each channel whose account is not that of the first one, by the campaigns' ids.
    """
    first: dict[tuple[str, str], tuple[str, Campaign]] = {}
    campaigns = sources.by_campaign_id()
    for name in sorted(calendars):
        campaign = campaigns[name].value
        if campaign is None or calendars[name].over:
            continue
        for channel in campaign.channels:
            named = account_of(channel) if _is_usable(channel) else None
            if named is None:
                continue
            option, account = named
            credentials = variable(channel.id, "")
            known, other = first.setdefault((channel.network, credentials), (account, campaign))
            if account == known:
                continue
            message = (
                f"`{option}` is another than in {other.path}, but both channels read their credentials from "
                f"`{credentials}…`: the posts of one would be refused"
            )
            example = f"`{channel.id}-2: {{network: {channel.network}, …}}`"
            hint = f"Give one of the channels another id, as in {example}; one account is written alike."
            place = campaigns[name].marks.at("channels", channel.id, option)
            yield Problem(campaign.path, *place, "E312", message, hint)


def _is_usable(channel: ChannelConfig) -> bool:
    return channel.network in known_networks() and not option_problems(channel)


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
