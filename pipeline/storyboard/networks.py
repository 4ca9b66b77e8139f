"""How each network looks from afar, and where it is sent to: names, colours, what stands under a post."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.model import ChannelConfig


@dataclass(frozen=True, slots=True)
class Look:
    """A network's face. `actions` are the buttons below a post.

    `account` names the account as far as the campaign does: whose it is, only its credentials tell. `request`
    is the line of the request, without the host where that is the network's own. `reads_page`: the network
    fetches the linked page by itself and makes a card of what it finds there. `marks`: it makes links.
    """

    name: str
    account: Callable[[ChannelConfig], str]
    request: Callable[[ChannelConfig], str]
    actions: tuple[str, ...] = ()
    reads_page: bool = False
    marks: bool = True


def look(network: str) -> Look:
    """The network's face; a plain one for a network that has none of its own."""
    return LOOKS.get(network) or Look(network.capitalize(), _by_id, lambda _: "POST")


def _by_id(config: ChannelConfig) -> str:
    return config.id


def _option(name: str, prefix: str = "") -> Callable[[ChannelConfig], str]:
    return lambda config: prefix + config.options.get(name, config.id)


def _host_in(name: str) -> Callable[[ChannelConfig], str]:
    return lambda config: _host(config.options.get(name, config.id))


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or address
    except ValueError:
        return address


def _facebook_path(config: ChannelConfig) -> str:
    from pipeline.channels.facebook import VERSION  # noqa: PLC0415 - loads the HTTP library

    return f"POST /{config.options.get('version', VERSION)}/{config.options.get('page', config.id)}/feed"


LOOKS: dict[str, Look] = {
    "bluesky": Look(
        "Bluesky",
        _option("handle", "@"),
        lambda _: "POST /xrpc/com.atproto.repo.putRecord",
        ("Reply", "Repost", "Like"),
    ),
    "facebook": Look(
        "Facebook",
        _option("page", "Page "),
        _facebook_path,
        ("Like", "Comment", "Share"),
        reads_page=True,
    ),
    "mastodon": Look(
        "Mastodon",
        _host_in("instance"),
        lambda _: "POST /api/v1/statuses",
        ("Reply", "Boost", "Favourite"),
        reads_page=True,
    ),
    "outbox": Look("Outbox", lambda config: f"public/outbox · {config.id}", lambda _: "file"),
    "webhook": Look(
        "Webhook",
        _host_in("url"),
        lambda config: f"POST {config.options.get('url', '')}",
        marks=False,
    ),
    "x": Look(
        "X",
        lambda _: "x.com",
        lambda _: "POST /2/tweets",
        ("Reply", "Repost", "Like"),
        reads_page=True,
    ),
}
