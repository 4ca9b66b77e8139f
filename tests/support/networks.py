"""Webhooks for every class of promise, over real sockets: what a network keeps, what the channel says of it.

A receiver of each class keeps exactly what the traits of its channel claim, so a test that counts its
messages sees what readers would see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipeline.channels.base import Absent, CannotTell, ChannelError, Found, Sighting
from pipeline.channels.http import Http, Limits
from pipeline.channels.webhook import Webhook
from pipeline.model import ChannelConfig, Key, NoKey, PermanentKey, Receipt, Rendition, TimedKey, Traits
from pipeline.rehearsal.standins.webhook import Message, WebhookReceiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the one of the standard's own examples


@dataclass(frozen=True)
class Promise:
    """What a network keeps: ids for `window` (None: for ever, 0: not at all), and if posts can be read."""

    window: timedelta | None
    readable: bool

    @property
    def key(self) -> Key:
        if self.window is None:
            return PermanentKey()
        return TimedKey(self.window) if self.window else NoKey()


PROMISES = {
    "permanent": Promise(None, readable=False),
    "timed": Promise(timedelta(hours=1), readable=False),
    "timed with lookup": Promise(timedelta(hours=1), readable=True),
    "lookup": Promise(timedelta(0), readable=True),
    "nothing": Promise(timedelta(0), readable=False),
}


class PromisingReceiver(WebhookReceiver):
    """Forgets ids after the window, and shows its messages to whoever knows the class."""

    def __init__(
        self, promise: Promise, now: Callable[[], datetime], *, lag: timedelta = timedelta(0)
    ) -> None:
        """`lag`: how long a message stays out of the read-back."""
        super().__init__((SECRET,), now)
        self.promise = promise
        self.lag = lag

    def application(self) -> Starlette:
        app = super().application()
        if self.promise.readable:
            app.router.routes.insert(0, Route("/posts", self._show, methods=["GET"]))
        return app

    def known(self, message_id: str) -> Message | None:
        window = self.promise.window
        for message in self.messages:
            if message.id == message_id and (window is None or self.now() < message.at + window):
                return message
        return None

    def where(self, message: Message) -> str:
        return f"{self.url}/posts/{self.messages.index(message) + 1}"

    async def _show(self, request: Request) -> JSONResponse:
        await self.note(request)
        since = datetime.fromisoformat(request.query_params["since"]).astimezone(UTC)
        with self.lock:
            shown = [m for m in self.messages if since <= m.at <= self.now() - self.lag]
            return JSONResponse([{"id": m.id, "url": self.where(m)} for m in shown])


class PromisingWebhook(Webhook):
    """The webhook channel with the traits of another network."""

    promise: Promise

    @property
    def traits(self) -> Traits:
        return replace(super().traits, key=self.promise.key, lookup=self.promise.readable)

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        if not self.promise.readable:
            return super().find(rendition, since)
        http = Http(Limits(self.traits.timeout))
        query = urlencode({"since": since.isoformat()})
        try:
            shown: Any = http.request("GET", f"{self.address}/posts?{query}").json()
        except ChannelError as error:
            return CannotTell(str(error))
        for post in shown:
            if post["id"] == self.id_of(rendition):
                return Found(Receipt(post["id"], post["url"], rendition.digest))
        return Absent()


def promising(promise: Promise, *given: Any) -> PromisingWebhook:
    """The channel over a receiver of that promise; `given` as to any channel class."""
    channel = PromisingWebhook(*given)
    channel.promise = promise
    return channel


def webhook(channel_id: str = "presse", **changes: Any) -> ChannelConfig:
    """A channel that can only reach what `api` names: its own host does not exist."""
    base = ChannelConfig(
        id=channel_id,
        network="webhook",
        timeout=timedelta(seconds=10),
        options={"url": "https://receiver.invalid/hook"},
    )
    return replace(base, **changes)
