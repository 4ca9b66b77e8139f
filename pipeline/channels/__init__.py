"""The networks there are, and how a campaign's channel is opened.

A network's module is imported when a channel of it is opened, never before: checking a campaign loads no
HTTP or image library. Adding a network takes a line in NETWORKS, its module, and a bench in the contract
suite.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import cast

from pipeline.channels.base import Channel
from pipeline.errors import WrongUse
from pipeline.model import Campaign, ChannelConfig

Rule = Callable[[str], str | None]  # what is wrong with an option's value, None when nothing is


def positive_number(value: str) -> str | None:
    """The rule for a whole number above zero."""
    if value.isascii() and value.isdigit() and len(value) <= 9 and int(value) > 0:
        return None
    return f"`{value}` is not a whole number above 0"


@dataclass(frozen=True, slots=True)
class Network:
    """A network: its options with the rule of each, and where its channel class stands (`module:Class`).

    The class is called with (campaign, config, root=, public=).
    """

    name: str
    summary: str
    load: str
    rules: Mapping[str, Rule] = field(default_factory=dict)

    @property
    def options(self) -> frozenset[str]:
        """The options a campaign may give, besides those every channel has."""
        return frozenset(self.rules)


NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network(
            name="outbox",
            summary="writes posts as files under public/outbox/; needs no account",
            load="pipeline.channels.outbox:Outbox",
            rules={"limit": positive_number},
        ),
    )
}


def known_networks() -> tuple[str, ...]:
    """The names a campaign may use, sorted."""
    return tuple(sorted(NETWORKS))


def suggest(name: str) -> str | None:
    """The known network that `name` was probably meant to be."""
    return _nearest(name, known_networks())


def option_problems(config: ChannelConfig) -> list[tuple[str, str]]:
    """What is wrong with a channel's options: (option, message), by option. Empty for an unknown network."""
    network = NETWORKS.get(config.network)
    if network is None:
        return []
    problems = []
    for option, value in sorted(config.options.items()):
        rule = network.rules.get(option)
        if rule is None:
            near = _nearest(option, network.options)
            hint = f"; did you mean `{near}`?" if near else ""
            problems.append((option, f"`{option}` is not an option of {network.name}{hint}"))
        elif fault := rule(value):
            problems.append((option, f"`{option}`: {fault}"))
    return problems


def open_channel(campaign: Campaign, config: ChannelConfig, *, root: Path, public: Path) -> Channel:
    """The channel, ready to use; nothing is sent. Raises WrongUse for an unknown network or option."""
    network = NETWORKS.get(config.network)
    if network is None:
        near = suggest(config.network)
        hint = f"Did you mean `{near}`?" if near else f"Known networks: {', '.join(known_networks())}."
        raise WrongUse(f"{campaign.path}: channel {config.id}: unknown network `{config.network}`", hint=hint)
    if problems := option_problems(config):
        messages = "; ".join(message for _, message in problems)
        raise WrongUse(f"{campaign.path}: channel {config.id}: {messages}", hint="Run `pipeline check`.")
    module, _, name = network.load.partition(":")
    make = cast("Callable[..., Channel]", getattr(import_module(module), name))
    return make(campaign, config, root=root, public=public)


def _nearest(word: str, known: tuple[str, ...] | frozenset[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word.casefold(), sorted(known), n=1, cutoff=0.6)), None)
