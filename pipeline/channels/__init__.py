"""The networks there are, and how a campaign's channel is opened.

A network's module is imported when a channel of it is opened, never before: checking a campaign loads no
HTTP or image library. Adding a network takes a line in NETWORKS, its module, and a bench in the contract
suite.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import cast
from urllib.parse import urlsplit

from pipeline.channels.base import Channel, Surroundings
from pipeline.errors import UnusableChannel
from pipeline.model import Campaign, ChannelConfig

Rule = Callable[[str], str | None]  # what is wrong with an option's value, None when nothing is


def positive_number(value: str) -> str | None:
    """The rule for a whole number above zero."""
    if value.isascii() and value.isdigit() and len(value) <= 9 and int(value) > 0:
        return None
    return f"`{value}` is not a whole number above 0"


def web_address(value: str) -> str | None:
    """The rule for an absolute http(s) URL."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if usable and value.isprintable() and " " not in value:
        return None
    return f"`{value}` is not an absolute http(s) URL"


def _pattern(expression: str, what: str) -> Rule:
    """The rule for a value that has the form of `what`."""
    form = re.compile(expression)
    return lambda value: None if form.fullmatch(value) else f"`{value}` is not {what}"


def _one_of(*known: str) -> Rule:
    """The rule for one of a few words."""
    choices = f"{', '.join(known[:-1])} or {known[-1]}"
    return lambda value: None if value in known else f"`{value}` is not {choices}"


@dataclass(frozen=True, slots=True)
class Network:
    """A network: its options with the rule of each, and where its channel class stands (`module:Class`).

    The class is called with (campaign, config, surroundings). `required` are the options it cannot do
    without, `credentials` the fields of its credentials, `credentials_by_auth` those with another value of
    its option `auth`. `account` is the option that says whose account it is, where one does; its value has no
    case. `embedded`: it speaks to nobody, so that a rehearsal may use it as it is.
    """

    name: str
    summary: str
    load: str
    rules: Mapping[str, Rule] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    credentials: tuple[str, ...] = ()
    credentials_by_auth: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    account: str | None = None
    embedded: bool = False

    @property
    def options(self) -> frozenset[str]:
        """The options a campaign may give, besides those every channel has."""
        return frozenset(self.rules)


_HANDLE = r"(?i:[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?i:[a-z]([a-z0-9-]{0,61}[a-z0-9])?)"

NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network(
            name="bluesky",
            summary="posts to a Bluesky account with an app password",
            load="pipeline.channels.bluesky:Bluesky",
            rules={
                "handle": _pattern(_HANDLE, "a handle, such as `sharing.example.com`, without `@`"),
                "service": web_address,
                "embed": _one_of("image", "card"),
            },
            required=frozenset({"handle"}),
            credentials=("APP_PASSWORD",),
            account="handle",
        ),
        Network(
            name="facebook",
            summary="posts to a Facebook Page",
            load="pipeline.channels.facebook:Facebook",
            rules={
                "page": _pattern(r"[A-Za-z0-9][A-Za-z0-9.]{0,63}", "the id of a Page"),
                "version": _pattern(r"v[1-9][0-9]{0,2}\.[0-9]", "a Graph API version, such as `v26.0`"),
            },
            required=frozenset({"page"}),
            credentials=("PAGE_TOKEN",),
            account="page",
        ),
        Network(
            name="mastodon",
            summary="posts to an account on Mastodon, GoToSocial, Pleroma or another server with its API",
            load="pipeline.channels.mastodon:Mastodon",
            rules={
                "instance": web_address,
                "visibility": _one_of("public", "unlisted", "private", "direct"),
                "spoiler": _pattern(r"[^\r\n]{1,200}", "one line of at most 200 characters"),
            },
            required=frozenset({"instance"}),
            credentials=("ACCESS_TOKEN",),
            account="instance",
        ),
        Network(
            name="outbox",
            summary="writes posts as files under public/outbox/; needs no account",
            load="pipeline.channels.outbox:Outbox",
            rules={"limit": positive_number},
            embedded=True,
        ),
        Network(
            name="webhook",
            summary="sends each post, signed, to an address of your choice (Standard Webhooks)",
            load="pipeline.channels.webhook:Webhook",
            rules={"url": web_address},
            required=frozenset({"url"}),
            credentials=("SECRET",),
        ),
        Network(
            name="x",
            summary="posts to an X account through the X API v2",
            load="pipeline.channels.x:X",
            rules={"auth": _one_of("oauth1", "oauth2")},
            credentials=("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET"),
            credentials_by_auth={"oauth2": ("CLIENT_ID", "REFRESH_TOKEN")},
        ),
    )
}


def known_networks() -> tuple[str, ...]:
    """The names a campaign may use, sorted."""
    return tuple(sorted(NETWORKS))


def credentials_of(config: ChannelConfig) -> tuple[str, ...]:
    """The fields of the credentials that a channel of a known network cannot do without."""
    network = NETWORKS[config.network]
    return network.credentials_by_auth.get(config.options.get("auth", ""), network.credentials)


def account_of(config: ChannelConfig) -> tuple[str, str] | None:
    """The option that says whose account the channel of a known network is, and its value in one spelling.

    None where the credentials alone say it, or where the option is missing.
    """
    option = NETWORKS[config.network].account
    value = config.options.get(option) if option else None
    return (option, value.lower().rstrip("/")) if option and value else None


_OTHER_NAMES = {
    "twitter": "x",
    "x.com": "x",
    "fb": "facebook",
    "meta": "facebook",
    "bsky": "bluesky",
    "atproto": "bluesky",
    "masto": "mastodon",
    "fediverse": "mastodon",
    "gotosocial": "mastodon",
    "pleroma": "mastodon",
}


def suggest(name: str) -> str | None:
    """The known network that `name` was probably meant to be."""
    return _OTHER_NAMES.get(name.casefold()) or _nearest(name, known_networks())


def option_problems(config: ChannelConfig) -> list[tuple[str, str]]:
    """What is wrong with a channel's options: (option, message), by option. Empty for an unknown network.

    An option that is named and not among the channel's is missing.
    """
    network = NETWORKS.get(config.network)
    if network is None:
        return []
    missing = sorted(network.required - config.options.keys())
    problems = [(option, f"`{option}` is missing: {network.name} needs it") for option in missing]
    for option, value in sorted(config.options.items()):
        rule = network.rules.get(option)
        if rule is None:
            near = _nearest(option, network.options)
            hint = f"; did you mean `{near}`?" if near else ""
            problems.append((option, f"`{option}` is not an option of {network.name}{hint}"))
        elif fault := rule(value):
            problems.append((option, f"`{option}`: {fault}"))
    return problems


def open_channel(campaign: Campaign, config: ChannelConfig, surroundings: Surroundings) -> Channel:
    """The channel, ready to use; nothing is sent. Raises UnusableChannel."""
    module, _, name = usable(campaign, config).load.partition(":")
    make = cast("Callable[..., Channel]", getattr(import_module(module), name))
    return make(campaign, config, surroundings)


def usable(campaign: Campaign, config: ChannelConfig) -> Network:
    """The channel's network. Raises UnusableChannel for an unknown one, or for options it cannot have."""
    network = NETWORKS.get(config.network)
    if network is None:
        near = suggest(config.network)
        hint = f"Did you mean `{near}`?" if near else f"Known networks: {', '.join(known_networks())}."
        what = f"unknown network `{config.network}`"
        raise UnusableChannel(f"{campaign.path}: channel {config.id}: {what}", hint=hint)
    if problems := option_problems(config):
        messages = "; ".join(message for _, message in problems)
        raise UnusableChannel(
            f"{campaign.path}: channel {config.id}: {messages}", hint="Run `pipeline check`."
        )
    return network


def _nearest(word: str, known: tuple[str, ...] | frozenset[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word.casefold(), sorted(known), n=1, cutoff=0.6)), None)
