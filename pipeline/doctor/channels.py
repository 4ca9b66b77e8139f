"""What is known of each channel: its credentials, who we are there, and what will fail when.

What must stay true: credentials are named and never shown. A place that several campaigns post to is asked
once. What the network itself says is told apart from what follows from it for a campaign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.asking import Answer, ask
from pipeline.channels import NETWORKS, credentials_of, option_problems
from pipeline.channels.base import Channel
from pipeline.connected import Connection, recall
from pipeline.credentials import Credentials, variable
from pipeline.days import channel_due
from pipeline.errors import PipelineError
from pipeline.model import Campaign, ChannelConfig
from pipeline.planning import Plan, Standing
from pipeline.settings import Settings

SKEWED = timedelta(seconds=30)

OpenChannel = Callable[[Campaign, ChannelConfig], Channel]


@dataclass(frozen=True, slots=True)
class Ahead:
    """A post that is still to go out: when (UTC), and which entry."""

    due: datetime
    entry: str


@dataclass(frozen=True, slots=True)
class Facts:
    """One channel of one campaign.

    `origins` says for each credential (the variable's name) where it comes from, None when it is not set;
    `unreadable` why that could not be found out. `ahead` is what is still to be posted, in order. `answer` is
    None when the channel was not asked.
    """

    campaign: Campaign
    config: ChannelConfig
    ahead: tuple[Ahead, ...]
    origins: Mapping[str, str | None] = field(default_factory=dict)
    unreadable: str | None = None
    connection: Connection | None = None
    answer: Answer | None = None

    @property
    def name(self) -> str:
        """As deliveries name it."""
        return f"{self.campaign.id}/{self.config.id}"

    @property
    def missing(self) -> list[str]:
        """The credentials that are not set."""
        return [name for name, origin in self.origins.items() if origin is None]

    @property
    def expires(self) -> datetime | None:
        """The instant (UTC) from which the credentials no longer count, when the network told it."""
        return self.answer.identity.expires if self.answer and self.answer.identity else None

    @property
    def fails(self) -> Ahead | None:
        """The first post that goes out too late for the credentials; None when none does."""
        expires = self.expires
        return next((one for one in self.ahead if expires and one.due >= expires), None)


def gather(
    settings: Settings,
    calendars: Iterable[tuple[Campaign, Plan]],
    open_channel: OpenChannel,
    now: Callable[[], datetime],
    *,
    online: bool,
) -> list[Facts]:
    """What is known of every channel. Online, those are asked that have credentials or posts ahead."""
    known = [
        _offline(settings, campaign, config, plan)
        for campaign, plan in calendars
        for config in campaign.channels
        if config.network in NETWORKS and not option_problems(config)
    ]
    if not online:
        return known
    asked = [one for one in known if not NETWORKS[one.config.network].embedded and _worth(one)]
    # The last campaign stands for all that post to the same place.
    places = {_place(one.config): one for one in asked}
    answers = ask({place: open_channel(one.campaign, one.config) for place, one in places.items()}, now)
    return [_with(one, answers.get(_place(one.config)) if one in asked else None) for one in known]


def _worth(facts: Facts) -> bool:
    return facts.unreadable is None and not facts.missing


def _offline(settings: Settings, campaign: Campaign, config: ChannelConfig, plan: Plan) -> Facts:
    credentials = Credentials(settings.root)
    fields = credentials_of(config)
    ahead = tuple(
        Ahead(channel_due(campaign, config, slot.date), slot.entry)
        for slot in plan.slots
        if not plan.over and plan.standing[slot.entry] in (Standing.AHEAD, Standing.OPEN)
    )
    try:
        origins = {variable(config.id, name): credentials.origin(config.id, name) for name in fields}
        values = {name: credentials.get(config.id, name) or "" for name in fields}
    except PipelineError as error:
        return Facts(campaign, config, ahead, unreadable=str(error))
    connection = recall(settings.state, config.id, values) if all(values.values()) else None
    return Facts(campaign, config, ahead, origins, connection=connection)


def _with(facts: Facts, answer: Answer | None) -> Facts:
    return Facts(
        facts.campaign,
        facts.config,
        facts.ahead,
        facts.origins,
        facts.unreadable,
        facts.connection,
        answer,
    )


def _place(config: ChannelConfig) -> tuple[object, ...]:
    return config.id, config.network, config.api, config.timeout, tuple(sorted(config.options.items()))
