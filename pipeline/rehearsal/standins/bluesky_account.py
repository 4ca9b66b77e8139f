"""Sessions and rate limits of a Bluesky server, as the reference code has them.

What must stay true: a token counts only until it expires on the server's clock; a refresh token that was
used works for two more hours and then never again; a limit's window begins with its first request.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

GRACE = timedelta(hours=2)
FIVE_MINUTES, HOUR, DAY = timedelta(minutes=5), timedelta(hours=1), timedelta(days=1)


class Refusal(Exception):
    """An answer that is none of the good ones: status, name and message."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name


# --------------------------------------------------------------------------- tokens


@dataclass(slots=True)
class _Refresh:
    """A refresh token: until when it works, and which one follows it."""

    expires: datetime
    scope: str
    next: int | None = None


class Tokens:
    """The tokens of one account. `access_lasts` and `refresh_lasts` may be changed while it runs."""

    def __init__(self, did: str, now: Callable[[], datetime]) -> None:
        self._did = did
        self._now = now
        self._known: set[str] = set()
        self._refreshes: dict[int, _Refresh] = {}
        self._made = 0
        self.access_lasts = timedelta(minutes=120)
        self.refresh_lasts = timedelta(days=90)

    def start(self, scope: str) -> dict[str, str]:
        """The tokens of a new session."""
        return self._issue(self._next_number(), scope)

    def rotate(self, token: str | None) -> dict[str, str]:
        """New tokens for a refresh token; the same once more while it is in its grace. Raises Refusal."""
        number = self.claims(token, "com.atproto.refresh")["jti"]
        held = self._refreshes.get(number)
        if held is None or held.expires <= self._now():
            raise Refusal(400, "ExpiredToken", "Token has been revoked")
        if held.next is None:
            held.next = self._next_number()
            held.expires = min(held.expires, self._now() + GRACE)
        return self._issue(held.next, held.scope)

    def revoke(self) -> None:
        """What happens when the app password is deleted: access tokens live on, refresh tokens do not."""
        self._refreshes.clear()

    def claims(self, token: str | None, *scopes: str) -> dict[str, Any]:
        """What a token says, if it is one of ours, of one of these scopes and not over. Raises Refusal."""
        if not token:
            raise Refusal(401, "AuthMissing", "Authentication Required")
        if token not in self._known:
            raise Refusal(400, "InvalidToken", "Token could not be verified")
        payload = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["exp"] <= self._now().timestamp():
            raise Refusal(400, "ExpiredToken", "Token has expired")
        if claims["scope"] not in scopes:
            raise Refusal(400, "InvalidToken", "Invalid token type")
        return claims

    def _next_number(self) -> int:
        self._made += 1
        return self._made

    def _issue(self, number: int, scope: str) -> dict[str, str]:
        held = self._refreshes.setdefault(number, _Refresh(self._now() + self.refresh_lasts, scope))
        access = self._token(scope, self._now() + self.access_lasts)
        return {
            "accessJwt": access,
            "refreshJwt": self._token("com.atproto.refresh", held.expires, jti=number),
        }

    def _token(self, scope: str, expires: datetime, **more: int) -> str:
        claims = {
            "scope": scope,
            "sub": self._did,
            "iat": int(self._now().timestamp()),
            "exp": int(expires.timestamp()),
            **more,
        }
        parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
        token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".stand-in"
        self._known.add(token)
        return token


# --------------------------------------------------------------------------- limits


@dataclass(slots=True)
class Limit:
    """At most so many points in a window."""

    points: int
    window: timedelta
    used: int = 0
    began: datetime | None = None

    def state(self, now: datetime) -> tuple[int, int]:
        """Points left, and when the window ends, in seconds since 1970."""
        if self.began is None or now >= self.began + self.window:
            self.began, self.used = now, 0
        return max(0, self.points - self.used), int((self.began + self.window).timestamp())


@dataclass(slots=True)
class RateLimits:
    """The published limits. Not `enabled`, nothing is counted, as on a server of one's own by default."""

    enabled: bool = True
    overall: Limit = field(default_factory=lambda: Limit(3_000, FIVE_MINUTES))
    logins: tuple[Limit, ...] = field(default_factory=lambda: (Limit(30, FIVE_MINUTES), Limit(300, DAY)))
    writes: tuple[Limit, ...] = field(default_factory=lambda: (Limit(5_000, HOUR), Limit(35_000, DAY)))
    uploads: tuple[Limit, ...] = field(default_factory=lambda: (Limit(1_000, DAY),))

    def headers(self, now: datetime, points: int, *limits: Limit) -> tuple[dict[str, str], bool]:
        """The headers of an answer that costs so many points, and whether there were enough."""
        if not self.enabled:
            return {}, True
        enough = True
        tightest: tuple[int, int, Limit] | None = None
        for limit, cost in ((self.overall, 1), *((one, points) for one in limits)):
            left, ends = limit.state(now)
            enough = enough and left >= cost
            limit.used += cost
            if tightest is None or left - cost < tightest[0]:
                tightest = left - cost, ends, limit
        assert tightest is not None
        left, ends, limit = tightest
        policy = f"{limit.points};w={int(limit.window.total_seconds())}"
        return {
            "RateLimit-Limit": str(limit.points),
            "RateLimit-Remaining": str(max(0, left)),
            "RateLimit-Reset": str(ends),
            "RateLimit-Policy": policy,
        }, enough
