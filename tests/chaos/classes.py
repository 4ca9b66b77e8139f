"""The rows of the table: a webhook of each class of promise, and the social networks.

What must stay true: every span here is one of production made shorter, and all of them together, so that
what holds here holds there: a lease outlasts its request, a request is taken within `TIMEOUT` and a little,
and shown within `SETTLE` after that. Limits that are only reached because a campaign of weeks is played in a
minute are out of the way; being told to wait is one of the faults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from pipeline.channels import NETWORKS, Network, web_address
from pipeline.channels.bluesky_session import MARGIN
from pipeline.channels.mastodon import Mastodon
from pipeline.clock import SystemClock
from pipeline.model import Traits
from pipeline.rehearsal.standins.base import StandIn
from pipeline.rehearsal.standins.bluesky import Bluesky
from pipeline.rehearsal.standins.bluesky_account import DAY, Limit
from pipeline.rehearsal.standins.facebook import FacebookPage
from pipeline.rehearsal.standins.mastodon import MastodonServer
from pipeline.rehearsal.standins.mastodon_software import SOFTWARE
from pipeline.rehearsal.standins.x import XService
from tests.support.networks import PROMISES, PromisingReceiver, PromisingWebhook

TIMEOUT = timedelta(seconds=1)  # of one request
SETTLE = timedelta(seconds=2)
LAG = timedelta(seconds=0.75)  # how long a post stays out of the read-back
WINDOW = timedelta(seconds=10)  # how long a timed key is known
SESSION = timedelta(seconds=4)  # how long a session is used
CLOCK = SystemClock()

_NO_LIMIT = 1_000_000
_HANDLE = "sharing.test"
_PAGE = "104500000000001"
_FAMILIES = tuple(SOFTWARE)

CLASSES = {
    name: replace(promise, window=WINDOW) if promise.window else promise for name, promise in PROMISES.items()
}


@dataclass(frozen=True)
class Kind:
    """A row. `start` makes its servers by their numbers, `options` are those of its channels.

    Of servers whose posts are read back there are more the more is to be done, at least `least`: an account
    has no more posts than one has in some weeks.
    """

    start: Callable[[int], StandIn]
    options: Mapping[str, str]
    least: int = 1
    grows: bool = True

    def servers(self, deliveries: int, accounts: int) -> int:
        """How many servers play it."""
        return min(accounts, max(self.least, -(-deliveries // 30))) if self.grows else self.least


def _receiver(name: str, _number: int) -> StandIn:
    return PromisingReceiver(CLASSES[name], CLOCK.now, lag=LAG)


def _x(number: int) -> StandIn:
    return XService(CLOCK.now, lag=LAG, pending=number % 2)


def _mastodon(number: int) -> StandIn:
    server = MastodonServer(CLOCK.now, family=_FAMILIES[number % len(_FAMILIES)], lag=LAG)
    server.windows.all.most = server.windows.media.most = _NO_LIMIT
    return server


def _bluesky(_number: int) -> StandIn:
    server = Bluesky(_HANDLE, CLOCK.now)
    server.lag = LAG
    server.limits.logins = (Limit(_NO_LIMIT, DAY),)
    server.tokens.access_lasts = MARGIN + TIMEOUT + SESSION
    return server


def _facebook(_number: int) -> StandIn:
    page = FacebookPage(_PAGE, CLOCK.now)
    page.mood.lag = LAG
    return page


KINDS: dict[str, Kind] = {
    **{
        name: Kind(partial(_receiver, name), {"url": "https://receiver.invalid/hook"}, grows=False)
        for name in CLASSES
    },
    "x": Kind(_x, {}),
    "mastodon": Kind(_mastodon, {"instance": "https://mastodon.invalid"}, least=len(_FAMILIES)),
    "bluesky": Kind(_bluesky, {"handle": _HANDLE}),
    "facebook": Kind(_facebook, {"page": _PAGE}),
}


def network(name: str) -> str:
    """The network of a row, as campaigns name it."""
    return name.replace(" ", "-")


# --------------------------------------------------------------------------- the channels


class Permanent(PromisingWebhook):
    promise = CLASSES["permanent"]


class Timed(PromisingWebhook):
    promise = CLASSES["timed"]


class TimedWithLookup(PromisingWebhook):
    promise = CLASSES["timed with lookup"]


class Lookup(PromisingWebhook):
    promise = CLASSES["lookup"]


class Nothing(PromisingWebhook):
    promise = CLASSES["nothing"]


class HastyMastodon(Mastodon):
    """Its patience with an unanswered request is made shorter with the request's own limit."""

    @property
    def traits(self) -> Traits:
        """What the server keeps decides, as it does where a request may take a minute."""
        return replace(super().traits, key=self._server().key)


def register() -> None:
    """Make the networks of this run known to campaigns, in this process."""
    for kind in (Permanent, Timed, TimedWithLookup, Lookup, Nothing):
        name = network(next(name for name, promise in CLASSES.items() if promise == kind.promise))
        NETWORKS[name] = Network(
            name=name,
            summary="a webhook that promises what the networks of its class do",
            load=f"{__name__}:{kind.__name__}",
            rules={"url": web_address},
            required=frozenset({"url"}),
        )
    NETWORKS["mastodon"] = replace(NETWORKS["mastodon"], load=f"{__name__}:{HastyMastodon.__name__}")
