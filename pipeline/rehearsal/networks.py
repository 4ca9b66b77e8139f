"""The networks of a rehearsal: a stand-in for each account, in the weather of the profile.

Channels open as they do in earnest, with the stand-in's address as `api` and credentials that are made up,
so no request can reach a real network.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.accounts import Account
from pipeline.channels import NETWORKS, open_channel
from pipeline.channels.base import Channel, Surroundings
from pipeline.clock import Clock
from pipeline.errors import WrongUse
from pipeline.model import Campaign, ChannelConfig
from pipeline.rehearsal.standins import STANDINS, stand_in
from pipeline.rehearsal.standins.base import StandIn
from pipeline.rehearsal.weather import Weather


class Networks:
    """Opens channels over stand-ins; they are started when first needed and stopped at the end."""

    def __init__(self, root: Path, public: Path, clock: Clock, weather: Weather) -> None:
        self._clock = clock
        self._weather = weather
        self._stack = ExitStack()
        self._standins: dict[Account, StandIn] = {}
        self._surroundings = Surroundings(
            root, public, self._credential, clock.now, pause=self._pause, durable=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def standins(self) -> Mapping[Account, StandIn]:
        """Those that were needed."""
        return self._standins

    def shown(self, account: Account) -> tuple[str, ...] | None:
        """The texts that the account's readers see; None for an embedded network."""
        standin = self._standins.get(account)
        return None if standin is None else tuple(post.text for post in standin.shown())

    def open(self, campaign: Campaign, config: ChannelConfig) -> Channel:
        """The channel. Raises WrongUse for a network that has no stand-in."""
        network = NETWORKS.get(config.network)
        if network is None or network.embedded:
            return open_channel(campaign, config, self._surroundings)
        if config.network not in STANDINS:
            raise WrongUse(
                f"{campaign.path}: channel {config.id}: {config.network} has no stand-in to rehearse with",
                hint="Take the channel out of the campaign, then rehearse.",
            )
        account = Account(config.network, config.id)
        if account not in self._standins:
            self._standins[account] = self._start(config)
        standin = self._standins[account]
        address = standin.direct if self._weather.calm else standin.url
        return open_channel(campaign, replace(config, api=address), self._surroundings)

    def blow(self) -> None:
        """Let nobody listen where the weather says so, and everybody elsewhere."""
        if self._weather.calm:
            return
        for (_, channel), standin in self._standins.items():
            if self._weather.refuses(channel):
                standin.refuse()
            else:
                standin.resume()

    def tidy(self, text: str) -> str:
        """The text without the addresses of this one run."""
        for (network, _), standin in self._standins.items():
            place = f"{network}.rehearsal.invalid"
            for address in (standin.url, standin.direct):
                text = text.replace(address, f"https://{place}")
                text = text.replace(address.removeprefix("http://"), place)
        return text

    def _start(self, config: ChannelConfig) -> StandIn:
        started = self._stack.enter_context(stand_in(config, self._clock.now))
        started.faults.choose = lambda _head: self._weather.fault(config.id)
        return started

    def _credential(self, channel_id: str, name: str) -> str | None:
        for (_, known), standin in self._standins.items():
            if known == channel_id and name in standin.credentials:
                return standin.credentials[name]
        return None

    def _pause(self, span: timedelta) -> None:
        self._clock.sleep_until(self._clock.now() + span)
