"""Speaking to Facebook's Graph API: one call is one request, and every refusal has one meaning.

What must stay true: below 500 the code in a refusal's body decides, because Graph gives the same status for a
dead token, a duplicate and a full quota; from 500 on nothing is known, since posts have been taken behind
such answers; a refusal without a code means what its status means everywhere. The token travels in a header,
and stands in no message, whoever repeats it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipeline.channels.base import (
    AuthFailedError,
    ChannelError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.channels.http import Http, Limits, Reply, excerpt, host, meaning, retry_after

JSON = "application/json"
WRITE, READ = "pages_manage_posts", "pages_read_engagement"  # what the app must have been granted

# Codes of refusals, as Graph's page on errors lists them.
_TOKEN = frozenset({102, 190})
_PERMISSION = frozenset({3, 10, *range(200, 300)})
_TOO_MANY = frozenset({4, 17, 32, 341, 613, *range(80_000, 80_015)})
_UNCERTAIN = frozenset({1, 2})  # "unknown" and "service": posts have appeared in spite of them
_PARAMETER, _NO_OBJECT = 100, 33
_BLOCKED, _DUPLICATE, _LINK = 368, 506, 1_609_005
_ALREADY = "already posted"  # a block that is really a duplicate says so in its words only
_DEAD_TOKENS = {
    458: "the app was removed from the account",
    459: "the account must first pass a check on facebook.com",
    460: "the password was changed",
    463: "it has expired",
    464: "the account is not confirmed",
    467: "it was revoked",
    492: "the account has lost its role on the Page",
}
_LONGEST_WAIT = timedelta(days=1)  # the window of a Page's quota


class GoneError(RejectedError):
    """There is no such object, or none that this token may see: Graph does not tell the two apart."""


class BlockedError(RejectedError):
    """Facebook keeps the Page, the account or the app from posting for now."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of a quota is used, in percent, and how long until there is some again (zero: not said)."""

    percent: int
    regain: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Graph said to a request that it granted."""

    document: Mapping[str, Any]
    reply: Reply


@dataclass(frozen=True, slots=True)
class Graph:
    """The API at an address with a version, for the holder of a token. `noted` hears of each usage."""

    base: str
    version: str
    token: str = field(repr=False)
    timeout: timedelta
    noted: Callable[[Usage], None] = field(repr=False)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content: str = JSON,
        permission: str = READ,
    ) -> Answer:
        """Make one request. `permission` is the one to ask for when it is refused for want of one.

        Raises ChannelError.
        """
        url = f"{self.base.rstrip('/')}/{self.version}/{path}"
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = content

        def judge(reply: Reply) -> ChannelError:
            self._note(reply)
            return refusal(reply, host(url), permission, (self.token,))

        http = Http(Limits(self.timeout), secrets=(self.token,))
        reply = http.request(method, url, headers=headers, body=body, judges=dict.fromkeys(_REFUSALS, judge))
        self._note(reply)
        document = reply.json()
        if not isinstance(document, dict):
            raise OutcomeUnknownError(f"{host(url)}: answered {reply.status} with what is no object")
        return Answer(document, reply)

    def _note(self, reply: Reply) -> None:
        if found := usage(reply.headers):
            self.noted(found)


_REFUSALS = range(400, 600)


def refusal(reply: Reply, name: str, permission: str, secrets: tuple[str, ...]) -> ChannelError:
    """What a status from 400 on means."""
    said = _said(reply.body) if reply.status < 500 and reply.status != 408 else None
    if said is None:
        return _by_status(reply, name, secrets)
    code, subcode = _number(said, "code"), _number(said, "error_subcode")
    words = " ".join(str(said[key]) for key in ("message", "error_user_msg") if said.get(key))
    text = f"{name}: refused with code {code}"
    text += f", subcode {subcode}" if subcode is not None else ""
    text += f": {excerpt(words.encode(errors='replace'), secrets)}" if words else ""
    if code in _UNCERTAIN:
        return OutcomeUnknownError(f"{text}; Facebook has posted behind this answer before")
    if code == _DUPLICATE or (code == _BLOCKED and _ALREADY in words.casefold()):
        return OutcomeUnknownError(f"{text}; the last post may be this one")
    if code in _TOKEN:
        why = _DEAD_TOKENS.get(subcode or 0, "it is not valid")
        return AuthFailedError(f"{text}; the Page token is dead ({why}): make a new one, then retry")
    if code in _PERMISSION:
        return AuthFailedError(
            f"{text}; the Page token needs the permission {permission} and a role that may post"
        )
    if code in _TOO_MANY:
        return _rate_limited(text, reply)
    if code == _BLOCKED:
        return BlockedError(f"{text}; Facebook blocks this for now: look at the Page's quality, wait, retry")
    if _LINK in {code, subcode}:
        return RejectedError(f"{text}; Facebook could not read the page behind the link", field="url")
    if (code, subcode) == (_PARAMETER, _NO_OBJECT):
        return GoneError(text)
    if said.get("is_transient") is True:
        return OutcomeUnknownError(text)
    error = _by_status(reply, name, secrets)
    return type(error)(text) if type(error) in {RejectedError, AuthFailedError} else error


def usage(headers: Mapping[str, str]) -> Usage | None:
    """The fullest of the quotas that the headers of an answer speak of; None when they speak of none."""
    found: list[Usage] = []
    for entry in _quotas(headers):
        counts = [_number(entry, name) for name in ("call_count", "total_cputime", "total_time")]
        minutes = min(max(_number(entry, "estimated_time_to_regain_access") or 0, 0), 24 * 60)
        found.append(Usage(max(count or 0 for count in counts), timedelta(minutes=minutes)))
    return max(found, key=lambda one: (one.regain, one.percent), default=None)


def _quotas(headers: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """The quotas of the app, and of the Page among those of its business."""
    app = _object(headers.get("x-app-usage", ""))
    business = _object(headers.get("x-business-use-case-usage", ""))
    entries = [entry for held in business.values() if isinstance(held, list) for entry in held]
    pages = [one for one in entries if isinstance(one, dict) and one.get("type", "pages") == "pages"]
    return [*([app] if app else []), *pages]


def _by_status(reply: Reply, name: str, secrets: tuple[str, ...]) -> ChannelError:
    """What the status alone means, as everywhere."""
    text = f"{name}: answered {reply.status}"
    if words := excerpt(reply.body, secrets):
        text += f": {words}"
    error = meaning(reply.status) or OutcomeUnknownError
    if error is RateLimitedError:
        return _rate_limited(text, reply)
    if error is OutcomeUnknownError:
        until, wait = retry_after(reply.headers.get("retry-after"))
        return OutcomeUnknownError(text, until=until, wait=wait)
    return error(text)


def _rate_limited(text: str, reply: Reply) -> RateLimitedError:
    """Until when is told by the usage, or by the header that everybody has."""
    if (found := usage(reply.headers)) and found.regain:
        return RateLimitedError(text, wait=found.regain)
    until, wait = retry_after(reply.headers.get("retry-after"))
    return RateLimitedError(text, until=until, wait=wait)


def _said(body: bytes) -> Mapping[str, Any] | None:
    """Graph's own words on why it refuses; None when somebody else answered."""
    error = _object(body).get("error")
    return error if isinstance(error, dict) and _number(error, "code") is not None else None


def _object(text: str | bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _number(document: Mapping[str, Any], key: str) -> int | None:
    value = document.get(key)
    return int(value) if isinstance(value, int | float) and abs(value) < 1 << 40 else None
