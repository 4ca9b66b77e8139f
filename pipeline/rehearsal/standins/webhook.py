"""A receiver of Standard Webhooks: it checks the signature, and takes each `webhook-id` once.

Written from the standard and sharing no code with the channel, so that each checks the other.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipeline.model import ChannelConfig
from pipeline.rehearsal.standins.base import Seen, Shown, StandIn

TOLERANCE = timedelta(minutes=5)


def stand_in(_config: ChannelConfig, now: Callable[[], datetime]) -> WebhookReceiver:
    """A receiver with a secret of its own."""
    return WebhookReceiver(("whsec_" + base64.b64encode(bytes(range(32))).decode(),), now)


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was taken, and when."""

    id: str
    body: bytes
    at: datetime


class WebhookReceiver(StandIn):
    """The receiver. `secrets` are those it accepts signatures of, `now` its clock (UTC)."""

    def __init__(self, secrets: tuple[str, ...], now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self.credentials = {"SECRET": " ".join(secrets)}
        self._keys = tuple(base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets)
        self.messages: list[Message] = []

    def application(self) -> Starlette:
        """Every path takes posts."""
        return Starlette(routes=[Route("/{path:path}", self._receive, methods=["POST"])])

    def shown(self) -> tuple[Shown, ...]:
        """What was taken, in the order in which it came."""
        with self.lock:
            return tuple(self._as_shown(message) for message in self.messages)

    @staticmethod
    def _as_shown(message: Message) -> Shown:
        data = json.loads(message.body)["data"]
        image = data["image"]
        return Shown(message.id, data["text"], message.at, message.body, (image["alt"],) if image else ())

    def known(self, message_id: str) -> Message | None:
        """The message that already came under this id."""
        return next((message for message in self.messages if message.id == message_id), None)

    def where(self, message: Message) -> str:
        """The address under which the message can be seen."""
        return f"{self.url}/posts/{message.id}"

    async def _receive(self, request: Request) -> JSONResponse:
        seen = await self.note(request)
        if refusal := self._refusal(seen):
            status, reason = refusal
            return JSONResponse({"error": reason}, status)
        message_id = seen.headers["webhook-id"]
        with self.lock:
            message = self.known(message_id)
            if message is None:
                message = Message(message_id, seen.body, self.now())
                self.messages.append(message)
                self.accepted += 1
                self.changed.notify_all()
        return JSONResponse({"id": message.id, "url": self.where(message)})

    def _refusal(self, seen: Seen) -> tuple[int, str] | None:
        """The status and the reason to refuse with; None when all is well."""
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        if missing := [name for name in names if not seen.headers.get(name)]:
            return 400, f"missing {', '.join(missing)}"
        message_id, timestamp, signatures = (seen.headers[name] for name in names)
        try:
            sent = datetime.fromtimestamp(int(timestamp), UTC)
        except (ValueError, OverflowError, OSError):
            return 400, "the timestamp is not a number of seconds"
        if abs(self.now() - sent) > TOLERANCE:
            return 400, "the timestamp is too far from now"
        if not self._signed(f"{message_id}.{timestamp}.".encode() + seen.body, signatures.split(" ")):
            return 401, "no signature matches"
        try:
            json.loads(seen.body)
        except ValueError:
            return 400, "the body is not JSON"
        return None

    def _signed(self, content: bytes, signatures: list[str]) -> bool:
        expected = [b"v1," + base64.b64encode(hmac.digest(key, content, "sha256")) for key in self._keys]
        return any(
            hmac.compare_digest(one, given.encode("latin-1", "replace"))
            for one in expected
            for given in signatures
        )
