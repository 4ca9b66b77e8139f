"""What X's answers mean where they mean something else than on other networks.

What must stay true: a refusal because the text was posted before is evidence that it may be there, so it is
an unknown outcome that the read-back settles; a 403 whose reason did not arrive may be that refusal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.channels.base import (
    ChannelError,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.channels.http import Judge, Reply, excerpt, host, redacted, retry_after

_WINDOWS = ("x-rate-limit", "x-user-limit-24hour", "x-app-limit-24hour")  # of the endpoint, user, app
_DUPLICATE_CODE = 187  # of the API's first version, which some answers still carry


@dataclass(frozen=True, slots=True)
class Answers:
    """The judges of one request: `base` is who answers, `secrets` are kept out of messages."""

    base: str
    secrets: tuple[str, ...] = field(repr=False)

    def reading(self) -> Mapping[int, Judge]:
        """For requests that post nothing."""
        return {402: self._no_credit, 429: self._too_many}

    def posting(self) -> Mapping[int, Judge]:
        """For the one that posts."""
        return {**self.reading(), 400: self._invalid, 403: self._forbidden}

    def deleting(self) -> Mapping[int, Judge]:
        """What is not there any more has been deleted."""
        return {**self.reading(), 404: lambda _reply: None}

    def _said(self, reply: Reply) -> str:
        texts = _texts(_problem(reply) or {})
        said = excerpt(texts[0].encode("utf-8", "replace") if texts else reply.body, self.secrets)
        return redacted(f"{host(self.base)}: answered {reply.status}: {said}", self.secrets)

    def _forbidden(self, reply: Reply) -> ChannelError:
        said = self._said(reply)
        if reply.fault:
            return OutcomeUnknownError(f"{said}, but not to the end: {reply.fault}")
        if _is_duplicate(reply):
            return OutcomeUnknownError(f"{said} It may be there: the account's posts are read")
        return RejectedError(said)

    def _invalid(self, reply: Reply) -> ChannelError:
        said = self._said(reply)
        if "media" in said.casefold() and "invalid" in said.casefold():
            # Pictures are known for a day; the next try sends it again.
            return NotAcceptedError(said)
        return RejectedError(said)

    def _no_credit(self, reply: Reply) -> ChannelError:
        return RejectedError(f"{self._said(reply)} Add credits in X's developer console, then retry")

    def _too_many(self, reply: Reply) -> ChannelError:
        until, wait = retry_after(reply.headers.get("retry-after"))
        until = max(filter(None, (until, *_resets(reply.headers))), default=None)
        return RateLimitedError(self._said(reply), until=until, wait=None if until else wait)


def _resets(headers: Mapping[str, str]) -> list[datetime]:
    """When the windows that are used up begin anew (UTC); the endpoint's counts unless it says it is not."""
    found = []
    for window in _WINDOWS:
        left = headers.get(f"{window}-remaining", "0" if window == _WINDOWS[0] else "")
        reset = headers.get(f"{window}-reset", "")
        if left.strip() == "0" and re.fullmatch(r"[0-9]{1,11}", reset.strip()):
            found.append(datetime.fromtimestamp(int(reset), UTC))
    return found


def _problem(reply: Reply) -> dict[str, Any] | None:
    try:
        document = reply.json()
    except OutcomeUnknownError:
        return None
    return document if isinstance(document, dict) else None


def _texts(problem: Mapping[str, Any]) -> list[str]:
    """What a problem says in words, most telling first."""
    errors = problem.get("errors")
    inner = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    said = [error.get(name) for error in inner for name in ("message", "detail")]
    said += [problem.get("detail"), problem.get("title")]
    return list(dict.fromkeys(text for text in said if isinstance(text, str) and text))


def _is_duplicate(reply: Reply) -> bool:
    problem = _problem(reply) or {}
    errors = problem.get("errors")
    codes = (
        [error.get("code") for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    )
    return _DUPLICATE_CODE in codes or any("duplicate" in text.casefold() for text in _texts(problem))
