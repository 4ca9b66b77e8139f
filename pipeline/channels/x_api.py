"""One request to X: formed and signed by the library, sent once over our own wire.

What must stay true: nothing of the library reaches a network but through `Http`, with its limits and its
table of failures; the bytes sent are those that were given; and no token is in a log.

A signature of OAuth 1.0a is made for X's own address, also where `api` names another one: what stands there
passes the request on to X, or plays X, and only X checks signatures.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeGuard

from pipeline.channels.base import (
    AuthFailedError,
    ChannelError,
    OutcomeUnknownError,
    RejectedError,
    Surroundings,
)
from pipeline.channels.http import USER_AGENT, Http, Judge, Limits, Reply
from pipeline.channels.x_answers import Answers
from pipeline.channels.x_auth import access
from pipeline.model import ChannelConfig

SERVER = "https://api.x.com"
_LIBRARY_SERVER = "https://api.twitter.com"  # where the library wants to go

# At its lowest level the library, and what it signs with, write tokens into the log.
for _talkative in ("tweepy", "requests_oauthlib", "oauthlib"):
    logging.getLogger(_talkative).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose the credentials are."""

    id: str
    handle: str


class Api:
    """The API, spoken to for one account."""

    def __init__(self, config: ChannelConfig, surroundings: Surroundings, timeout: timedelta) -> None:
        self._base = (config.api or SERVER).rstrip("/")
        self._limits = Limits(timeout)
        self._keep = surroundings.keep(config.id)
        self._access = access(config, surroundings, self._base, timeout)

    def ready(self) -> None:
        """See to it that the next requests can be signed. Raises ChannelError; nothing has been posted."""
        self._access.ready()

    def warnings(self) -> tuple[str, ...]:
        """What will fail with these credentials, and when."""
        return self._access.warnings()

    def answers(self) -> Answers:
        """What X's answers to the next request mean."""
        return Answers(self._base, self._access.signing().secrets)

    def account(self) -> Account:
        """Whose credentials these are: kept, or asked for. Raises ChannelError."""
        kept = self._keep.read()
        known, handle = kept.get("account"), kept.get("handle")
        if is_id(known) and isinstance(handle, str) and kept.get("account_of") == self._access.seed():
            return Account(known, handle)
        return self.ask_account()[0]

    def ask_account(self) -> tuple[Account, Reply]:
        """Whose credentials these are, by X's answer of now. Raises ChannelError."""
        reply = self.read("GET", "/2/users/me")
        data = data_of(reply)
        account_id, handle = data.get("id"), data.get("username")
        if not is_id(account_id) or not isinstance(handle, str):
            raise OutcomeUnknownError(f"answered {reply.status} without saying whose the credentials are")
        facts = {"account_of": self._access.seed(), "account": account_id, "handle": handle}
        with suppress(OSError), self._keep.alone():  # if it is lost, it is asked for again
            self._keep.write({**self._keep.read(), **facts})
        return Account(account_id, handle), reply

    def read(
        self,
        method: str,
        route: str,
        *,
        params: Mapping[str, str] | None = None,
        document: Mapping[str, Any] | None = None,
    ) -> Reply:
        """A request that posts nothing. Raises ChannelError."""
        body = json.dumps(document).encode() if document is not None else None
        return self.call(method, route, params=params, body=body, judges=self.answers().reading())

    def call(
        self,
        method: str,
        route: str,
        *,
        judges: Mapping[int, Judge],
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Have the library form and sign the request; send it, once, with this body. Raises ChannelError."""
        import tweepy  # type: ignore[import-untyped]  # noqa: PLC0415  # a quarter of a second, and requests

        from pipeline.channels import wire  # noqa: PLC0415  # loads requests

        signing = self._access.signing()
        http = Http(self._limits, secrets=signing.secrets)
        asked: list[Reply | None] = []

        def ask(method: str, url: str, headers: Mapping[str, str], _formed: bytes | None) -> Reply:
            asked.append(None)
            place = self._base + url.removeprefix(SERVER)
            asked[0] = reply = http.request(method, place, headers=headers, body=body, judges=judges)
            return replace(reply, status=200)  # what is no failure to us must not be one to the library

        client = tweepy.Client(**signing.arguments)
        client.session = wire.BridgedSession(ask, known=_LIBRARY_SERVER, server=SERVER)
        client.user_agent = USER_AGENT
        document = json.loads(body) if body is not None else None
        try:
            client.request(method, route, params=params, json=document, user_auth=signing.oauth1)
        except AuthFailedError:
            self._access.doubt()
            raise
        except Exception as error:
            if asked or isinstance(error, ChannelError):
                raise
            raise RejectedError(
                f"the request could not be formed ({type(error).__name__}), so nothing was sent"
            ) from None
        assert asked[0] is not None  # the library has no answer of its own
        return asked[0]


def data_of(reply: Reply) -> Mapping[str, Any]:
    """What an answer holds. Raises OutcomeUnknownError when it holds nothing that can be read."""
    document = reply.json()
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise OutcomeUnknownError(f"answered {reply.status} without what was asked for")
    return data


def is_id(value: object) -> TypeGuard[str]:
    """Whether this is an id as X makes them: a number, written as text."""
    return isinstance(value, str) and value.isascii() and value.isdigit()
