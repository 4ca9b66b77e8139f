"""The calls of the AT Protocol: `METHOD {server}/xrpc/{name}`, and what its refusals say.

What must stay true: a refusal is known by the name in its body (`error`), and 429 waits for the instant that
`RateLimit-Reset` gives, since these servers send no `Retry-After`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from pipeline.channels.base import ChannelError, OutcomeUnknownError, RateLimitedError
from pipeline.channels.http import Http, Judge, Reply, excerpt, host, redacted, retry_after

_LONGEST_WINDOW = timedelta(days=2)  # a limit that ends later speaks of another clock than the answer's date


@dataclass(frozen=True, slots=True)
class Xrpc:
    """Calls to one server. Every call is one request."""

    server: str
    http: Http

    def query(
        self,
        name: str,
        parameters: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
        judges: Mapping[int, Judge] | None = None,
    ) -> Reply:
        """Read. Raises ChannelError."""
        question = f"{name}?{urlencode(parameters)}" if parameters else name
        return self._call("GET", question, None, _bearer(token), judges)

    def procedure(
        self,
        name: str,
        body: bytes | None = None,
        *,
        kind: str = "application/json",
        token: str | None = None,
        judges: Mapping[int, Judge] | None = None,
    ) -> Reply:
        """Change something. Raises ChannelError."""
        headers = _bearer(token) | ({"Content-Type": kind} if body is not None else {})
        return self._call("POST", name, body, headers, judges)

    def said(self, reply: Reply) -> str:
        """A refusal as a message repeats it: who, which status, what it says; without secrets."""
        text = f"{host(self.server)}: answered {reply.status}"
        name, message = refusal(reply)
        said = f"{name}: {message}".encode(errors="replace") if name else reply.body
        words = excerpt(said, self.http.secrets)
        return redacted(f"{text}: {words}" if words else text, self.http.secrets)

    def _call(
        self,
        method: str,
        name: str,
        body: bytes | None,
        headers: Mapping[str, str],
        judges: Mapping[int, Judge] | None,
    ) -> Reply:
        return self.http.request(
            method,
            f"{self.server.rstrip('/')}/xrpc/{name}",
            headers=headers,
            body=body,
            judges={429: self._too_many, **(judges or {})},
        )

    def _too_many(self, reply: Reply) -> ChannelError:
        until, wait = _reset(reply)
        return RateLimitedError(self.said(reply), until=until, wait=wait)


def _bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def refusal(reply: Reply) -> tuple[str, str]:
    """The name and the message of a refusal; empty where the body has none."""
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    name, message = (document.get(key) for key in ("error", "message"))
    return name if isinstance(name, str) else "", message if isinstance(message, str) else ""


def fields(reply: Reply, *names: str) -> dict[str, Any]:
    """The answer, an object in which `names` are texts. Raises OutcomeUnknownError for another."""
    document = reply.json()
    if isinstance(document, dict) and all(isinstance(document.get(name), str) for name in names):
        return document
    raise OutcomeUnknownError(f"answered {reply.status} without {', '.join(names)}")


def _reset(reply: Reply) -> tuple[datetime | None, timedelta | None]:
    """When to come back: an instant or a span, by the server's own clock where it shows it."""
    try:
        reset = datetime.fromtimestamp(int(reply.headers["ratelimit-reset"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return retry_after(reply.headers.get("retry-after"))
    there = reply.date
    if there is None or not timedelta(0) <= reset - there <= _LONGEST_WINDOW:
        return reset, None
    return None, reset - there
