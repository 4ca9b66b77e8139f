"""Who X's stand-in lets in: signatures of OAuth 1.0a, and OAuth 2 tokens that end and are exchanged once.

Signatures are checked with the functions of the reference library that servers use. Their timestamps are
those of the machine: the library that makes them knows no other clock.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

from oauthlib.oauth1.rfc5849 import signature  # type: ignore[import-untyped]

from pipeline.clock import SystemClock
from pipeline.rehearsal.standins.base import Seen

SERVER = "https://api.x.com"
TOLERANCE = timedelta(minutes=5)
ACCESS_LIFE = timedelta(hours=2)


class Guard(Protocol):
    """`credentials` are what gets in."""

    credentials: Mapping[str, str]

    def lets_in(self, seen: Seen, query: str) -> bool:
        """Whether the request comes from the account."""

    def exchange(self, seen: Seen) -> tuple[int, dict[str, Any]]:
        """The answer to who brings a refresh token: a status and a document."""


class OAuth1Guard:
    """Four secrets; each signature counts once."""

    def __init__(self) -> None:
        self.credentials = {
            "CONSUMER_KEY": "stand-in-consumer-key",
            "CONSUMER_SECRET": "stand-in-consumer-secret",
            "ACCESS_TOKEN": "2244994945-stand-in-access-token",
            "ACCESS_TOKEN_SECRET": "stand-in-access-token-secret",
        }
        self._clock = SystemClock()
        self._nonces: set[str] = set()

    def lets_in(self, seen: Seen, query: str) -> bool:
        """By RFC 5849: key, token, time, nonce, and the signature over method, address and parameters."""
        scheme, _, given = seen.headers.get("authorization", "").partition(" ")
        pairs = (part.strip().partition("=") for part in given.split(","))
        signed = {name: unquote(value.strip('"')) for name, _, value in pairs}
        nonce, when = signed.get("oauth_nonce", ""), signed.get("oauth_timestamp", "")
        known = (signed.get("oauth_consumer_key"), signed.get("oauth_token"))
        if scheme != "OAuth" or known != (self.credentials["CONSUMER_KEY"], self.credentials["ACCESS_TOKEN"]):
            return False
        late = abs(self._clock.now().timestamp() - int(when)) if when.isdigit() else float("inf")
        if late > TOLERANCE.total_seconds() or not nonce or nonce in self._nonces:
            return False
        if not hmac.compare_digest(self._expected(seen, query).encode(), signed["oauth_signature"].encode()):
            return False
        self._nonces.add(nonce)
        return True

    def _expected(self, seen: Seen, query: str) -> str:
        parameters = signature.collect_parameters(
            uri_query=query, headers={"Authorization": seen.headers["authorization"]}
        )
        base = signature.signature_base_string(
            seen.method,
            signature.base_string_uri(SERVER + seen.path),
            signature.normalize_parameters(parameters),
        )
        secrets = self.credentials["CONSUMER_SECRET"], self.credentials["ACCESS_TOKEN_SECRET"]
        made = hmac.digest("&".join(secrets).encode(), base.encode(), "sha1")
        return base64.b64encode(made).decode()

    def exchange(self, seen: Seen) -> tuple[int, dict[str, Any]]:
        """There is nothing to exchange."""
        del seen
        return 400, {"error": "invalid_request", "error_description": "this app has no OAuth 2"}


class OAuth2Guard:
    """A confidential client: access tokens of two hours, refresh tokens that count once."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.credentials = {
            "CLIENT_ID": "stand-in-client",
            "CLIENT_SECRET": "stand-in-client-secret",
            "ACCESS_TOKEN": "stand-in-access-0",
            "REFRESH_TOKEN": "stand-in-refresh-0",
        }
        self._now = now
        self.access: dict[str, datetime] = {"stand-in-access-0": now() + ACCESS_LIFE}
        self.refresh = {"stand-in-refresh-0"}
        self.exchanges = 0

    def lets_in(self, seen: Seen, query: str) -> bool:
        """By a token that has not ended."""
        del query
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and token in self.access and self._now() < self.access[token]

    def exchange(self, seen: Seen) -> tuple[int, dict[str, Any]]:
        """A new pair for a refresh token, which then counts no more."""
        form = dict(parse_qsl(seen.body.decode("utf-8", "replace")))
        if not self._is_client(seen, form):
            return 401, {
                "error": "unauthorized_client",
                "error_description": "Missing valid authorization header",
            }
        token = form.get("refresh_token", "")
        if form.get("grant_type") != "refresh_token" or token not in self.refresh:
            return 400, {
                "error": "invalid_request",
                "error_description": "Value passed for the token was invalid.",
            }
        self.refresh.remove(token)
        self.exchanges += 1
        access, refresh = f"stand-in-access-{self.exchanges}", f"stand-in-refresh-{self.exchanges}"
        self.access[access] = self._now() + ACCESS_LIFE
        self.refresh.add(refresh)
        return 200, {
            "token_type": "bearer",
            "expires_in": int(ACCESS_LIFE.total_seconds()),
            "access_token": access,
            "scope": "tweet.read tweet.write users.read media.write offline.access",
            "refresh_token": refresh,
        }

    def _is_client(self, seen: Seen, form: Mapping[str, str]) -> bool:
        secret = self.credentials.get("CLIENT_SECRET")
        if secret is None:
            return form.get("client_id") == self.credentials["CLIENT_ID"]
        scheme, _, given = seen.headers.get("authorization", "").partition(" ")
        try:
            pair = base64.b64decode(given, validate=True).decode()
        except (binascii.Error, UnicodeError):
            return False
        return scheme == "Basic" and pair == f"{self.credentials['CLIENT_ID']}:{secret}"
