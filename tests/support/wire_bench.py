"""What benches of networks over HTTP have in common: a channel before a server, and faults between."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from pipeline.channels import open_channel
from pipeline.channels.base import Channel, Surroundings
from pipeline.model import ChannelConfig
from pipeline.rehearsal.standins import faults
from tests.support.builders import make_campaign


class WireBench:
    """Real sockets: the server stops listening, or the wire is cut after it has answered.

    Whoever inherits sets `remote`, `config` and `around`, and then `channel`.
    """

    remote: Any  # a stand-in, or another server with the same faults before it
    config: ChannelConfig
    around: Surroundings
    channel: Channel

    def open(self) -> Channel:
        """The channel as `config` now has it."""
        return open_channel(make_campaign(), self.config, self.around)

    def hurry(self, timeout: timedelta) -> None:
        """Open the channel again with another limit for a request."""
        self.config = replace(self.config, timeout=timeout)
        self.channel = self.open()

    def count(self) -> int:
        return len(self.remote.shown())

    def refuse(self) -> None:
        self.remote.refuse()

    def lose_answer(self) -> None:
        self.remote.faults.standing = faults.drop(accepted=True)

    def mend(self) -> None:
        self.remote.resume()
        self.remote.faults.standing = None
