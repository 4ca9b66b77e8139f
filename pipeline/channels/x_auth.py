"""Who may speak for an X account: the four secrets of OAuth 1.0a, or OAuth 2 tokens that are kept fresh.

What must stay true: a refresh token, which counts once, is used by one process at a time; what it is
exchanged for is kept before it is used; and tokens made from other credentials than the present ones are
never used. Nothing here posts.

The secrets of OAuth 1.0a do not expire, so nothing can be lost on the way: they are the default.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from pipeline.channels.base import (
    AuthFailedError,
    ChannelError,
    NotAcceptedError,
    OutcomeUnknownError,
    Surroundings,
)
from pipeline.channels.http import Http, Judge, Limits, Reply, excerpt, host
from pipeline.credentials import variable
from pipeline.errors import BrokenEnvironment
from pipeline.model import ChannelConfig

_MARGIN = timedelta(minutes=5)  # a token that ends sooner than this after a request's limit is refreshed
_LIFE = timedelta(hours=2)  # of an access token, when the answer does not say
_OAUTH1 = ("CONSUMER_KEY", "CONSUMER_SECRET", "ACCESS_TOKEN", "ACCESS_TOKEN_SECRET")


@dataclass(frozen=True, slots=True)
class Signing:
    """What signs a request: arguments of the library's client, and whether it signs as OAuth 1.0a."""

    arguments: Mapping[str, str] = field(repr=False)
    oauth1: bool

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be in a message."""
        return tuple(self.arguments.values())


class Access(Protocol):
    """One account's right to speak."""

    def seed(self) -> str:
        """A digest that changes when the credentials do. Raises AuthFailedError."""

    def ready(self) -> None:
        """See to it that the next request can be signed. Raises ChannelError; nothing has been posted."""

    def signing(self) -> Signing:
        """What signs a request now. Raises AuthFailedError, NotAcceptedError; asks nobody."""

    def doubt(self) -> None:
        """The server refused what `signing` gave."""

    def warnings(self) -> tuple[str, ...]:
        """What will fail, and when. Raises AuthFailedError."""


def access(config: ChannelConfig, surroundings: Surroundings, base: str, timeout: timedelta) -> Access:
    """As the option `auth` says; `base` is the address of the API."""
    fields = _Fields(config.id, surroundings)
    if config.options.get("auth") == "oauth2":
        return OAuth2(fields, base, timeout)
    return OAuth1(fields)


@dataclass(frozen=True, slots=True)
class _Fields:
    """The credentials of a channel, checked to be what can stand in a header."""

    channel_id: str
    surroundings: Surroundings

    def required(self, name: str) -> str:
        return self._checked(name, self.surroundings.required(self.channel_id, name))

    def optional(self, name: str) -> str | None:
        try:
            value = self.surroundings.credential(self.channel_id, name)
        except BrokenEnvironment as error:  # nothing has been sent
            raise AuthFailedError(str(error)) from error
        return value and self._checked(name, value)

    def _checked(self, name: str, value: str) -> str:
        if value.isascii() and value.isprintable() and " " not in value:
            return value
        where = variable(self.channel_id, name)
        raise AuthFailedError(f"{where} holds signs that no key of X has; copy it again, then retry")


def _digest(*values: str | None) -> str:
    return sha256("\n".join(value or "" for value in values).encode()).hexdigest()


def encoded_pair(client_id: str, client_secret: str) -> str:
    """What HTTP's Basic scheme sends of both. It is a secret like the one in it: no message may hold it."""
    pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    return base64.b64encode(pair.encode()).decode()


class OAuth1:
    """Consumer key and secret of the app, access token and secret of the account."""

    def __init__(self, fields: _Fields) -> None:
        self._fields = fields

    def _values(self) -> tuple[str, ...]:
        return tuple(self._fields.required(name) for name in _OAUTH1)

    def seed(self) -> str:
        """Of all four."""
        return _digest(*self._values())

    def ready(self) -> None:
        """They are there."""
        self._values()

    def signing(self) -> Signing:
        """The four, as they are."""
        names = (name.lower() for name in _OAUTH1)
        return Signing(dict(zip(names, self._values(), strict=True)), oauth1=True)

    def doubt(self) -> None:
        """Nothing can be done about it from here."""

    def warnings(self) -> tuple[str, ...]:
        """They do not expire."""
        return ()


@dataclass(frozen=True, slots=True)
class _Given:
    """The OAuth 2 credentials a person has set."""

    client_id: str | None
    client_secret: str | None = field(repr=False)
    access: str | None = field(repr=False)
    refresh: str | None = field(repr=False)

    @property
    def seed(self) -> str:
        return _digest(self.client_id, self.client_secret, self.access, self.refresh)


class OAuth2:
    """An access token of two hours, and a refresh token that gives the next two, once.

    CLIENT_ID and REFRESH_TOKEN, or an ACCESS_TOKEN alone, which then is used as long as it lasts;
    CLIENT_SECRET for a confidential client. What the first tokens were exchanged for is in the keep.
    """

    def __init__(self, fields: _Fields, base: str, timeout: timedelta) -> None:
        self._fields = fields
        self._base = base
        self._timeout = timeout
        self._keep = fields.surroundings.keep(fields.channel_id)

    def seed(self) -> str:
        """Of what a person has set, not of what it was exchanged for."""
        return self._given().seed

    def ready(self) -> None:
        """Refresh the access token when it would not outlive a request.

        That may be repeated when its answer was lost: it gives new tokens if it never arrived, and an
        AuthFailedError if it did.
        """
        given = self._given()
        if given.refresh is None or self._lasts(self._kept(given), _MARGIN):
            return
        try:
            with self._keep.alone():
                kept = self._kept(given)
                if not self._lasts(kept, _MARGIN):  # nobody else was faster
                    self._keep.write(kept)  # a token is used up only where the next can be kept
                    self._exchange(given, kept)
        except OSError as error:
            raise NotAcceptedError(
                f"the tokens of `{self._fields.channel_id}` cannot be kept: {error}; X was not asked"
            ) from error

    def signing(self) -> Signing:
        """The kept access token, or the one a person has set. Never one that ends during the request."""
        given = self._given()
        kept = self._kept(given)
        if "expires" in kept and not self._lasts(kept, timedelta(0)):
            raise NotAcceptedError("the access token ended before the request could begin; it is refreshed")
        token = kept.get("access") or given.access
        if not isinstance(token, str):
            raise NotAcceptedError("there is no access token yet; it is fetched before the next try")
        return Signing({"bearer_token": token}, oauth1=False)

    def doubt(self) -> None:
        """Refresh it before the next request, whatever its age."""
        given = self._given()
        if given.refresh is None:
            return
        try:
            with self._keep.alone():
                kept = self._kept(given)
                if "expires" in kept:
                    self._keep.write({**kept, "expires": datetime.fromtimestamp(0, UTC).isoformat()})
        except OSError:
            return  # then a person, who is told of the refusal, sees it again

    def warnings(self) -> tuple[str, ...]:
        """An access token alone does not last."""
        if self._given().refresh is not None:
            return ()
        name = variable(self._fields.channel_id, "REFRESH_TOKEN")
        return (
            f"the access token ends two hours after it was made, and {name} is not set: {self._connect()}",
        )

    def _given(self) -> _Given:
        refresh = self._fields.optional("REFRESH_TOKEN")
        needed = self._fields.optional if refresh is None else self._fields.required
        return _Given(
            client_id=needed("CLIENT_ID"),
            client_secret=self._fields.optional("CLIENT_SECRET"),
            access=(self._fields.required if refresh is None else self._fields.optional)("ACCESS_TOKEN"),
            refresh=refresh,
        )

    def _kept(self, given: _Given) -> dict[str, Any]:
        """What is kept, if it came from these credentials."""
        kept = dict(self._keep.read())
        return kept if kept.get("seed") == given.seed else {"seed": given.seed}

    def _lasts(self, kept: Mapping[str, Any], margin: timedelta) -> bool:
        """Whether the kept access token outlives a request that begins now."""
        try:
            expires = datetime.fromisoformat(kept["expires"])
        except (KeyError, TypeError, ValueError):
            return False
        return self._fields.surroundings.now() + self._timeout + margin < expires

    def _exchange(self, given: _Given, kept: Mapping[str, Any]) -> None:
        """Give the refresh token for a new pair, and keep that. Raises ChannelError."""
        refresh = str(kept.get("refresh") or given.refresh)
        asked = self._fields.surroundings.now()
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        secrets = tuple(filter(None, (refresh, given.client_secret, given.access, given.refresh)))
        if given.client_secret is None:
            form["client_id"] = given.client_id or ""
        else:
            pair = encoded_pair(given.client_id or "", given.client_secret)
            headers["Authorization"] = f"Basic {pair}"
            secrets += (pair,)
        http = Http(Limits(self._timeout), secrets=secrets)
        refused = self._refused(secrets)
        reply = http.request(
            "POST",
            f"{self._base}/2/oauth2/token",
            headers=headers,
            body=urlencode(form).encode(),
            judges={400: refused, 401: refused},
        )
        pair_of = _tokens(reply)
        new = {
            **kept,
            "access": pair_of.access,
            "refresh": pair_of.refresh or refresh,
            "expires": (asked + pair_of.life).isoformat(),
        }
        try:
            self._keep.write(new)
        except OSError as error:
            raise AuthFailedError(f"new tokens could not be kept ({error}): {self._connect()}") from error

    def _refused(self, secrets: tuple[str, ...]) -> Judge:
        def judge(reply: Reply) -> ChannelError:
            said = excerpt(reply.body, secrets)
            return AuthFailedError(
                f"{host(self._base)}: answered {reply.status} to the refresh token: {said}. It counts once: "
                f"if an answer was lost, or another machine used it, {self._connect()}"
            )

        return judge

    def _connect(self) -> str:
        return f"run `pipeline connect {self._fields.channel_id}`, then retry"


@dataclass(frozen=True, slots=True)
class _Tokens:
    access: str = field(repr=False)
    refresh: str | None = field(repr=False)
    life: timedelta


def _tokens(reply: Reply) -> _Tokens:
    """The new pair. Raises OutcomeUnknownError when the answer does not hold one."""
    document = reply.json()
    document = document if isinstance(document, dict) else {}
    token, refresh = document.get("access_token"), document.get("refresh_token")
    seconds = document.get("expires_in")
    if not isinstance(token, str) or not token:
        raise OutcomeUnknownError(f"answered {reply.status} to the refresh token, without a new token")
    life = timedelta(seconds=seconds) if isinstance(seconds, int) and 0 < seconds < 10**9 else _LIFE
    return _Tokens(token, refresh if isinstance(refresh, str) and refresh else None, life)
