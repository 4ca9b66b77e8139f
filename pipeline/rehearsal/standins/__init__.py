"""Stand-ins: networks at wire level, on loopback ports of this process.

What must stay true: a stand-in refuses what the real network refuses and keeps what it keeps; it counts
what readers would see. Faults happen in front of it, on the wire (`faults`), so that they are the same for
every network. Real time passes here: a stand-in is the other side, and has no part in a simulated clock
except where it is given one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pipeline.model import ChannelConfig
    from pipeline.rehearsal.standins.base import StandIn

# By network: `module:function`, called with the channel and the stand-in's clock.
STANDINS: Mapping[str, str] = {
    "bluesky": "pipeline.rehearsal.standins.bluesky:stand_in",
    "facebook": "pipeline.rehearsal.standins.facebook:stand_in",
    "mastodon": "pipeline.rehearsal.standins.mastodon:stand_in",
    "webhook": "pipeline.rehearsal.standins.webhook:stand_in",
    "x": "pipeline.rehearsal.standins.x:stand_in",
}


def stand_in(config: ChannelConfig, now: Callable[[], datetime]) -> StandIn:
    """The stand-in of the channel's network, not started yet. Raises KeyError for a network without one."""
    module, _, name = STANDINS[config.network].partition(":")
    make = cast(
        "Callable[[ChannelConfig, Callable[[], datetime]], StandIn]", getattr(import_module(module), name)
    )
    return make(config, now)
