"""Requests to a server with the Mastodon API, what its refusals mean, and looking for a post of ours there.

What must stay true: a call here is one request, except where it is said; reading never changes anything; and
a post counts as absent only when the account's posts were read back to the instant asked for, and none of
them can be it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    ChannelError,
    Found,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    Sighting,
)
from pipeline.channels.http import Http, Judge, Limits, Reply, excerpt, host, retry_after
from pipeline.channels.mastodon_text import canonical, plain, shares_a_link
from pipeline.model import Receipt, Rendition

_PAGE = 40  # the most that servers give
_PAGES = 25
_LOOKS = 60  # requests about single posts, well below what servers allow in five minutes
_MISSING = (404, 405, 410, 501)


@dataclass(frozen=True, slots=True)
class Api:
    """A server and the account that `token` belongs to. `timeout` is the hard limit of one request."""

    base: str
    token: str = field(repr=False)
    timeout: timedelta

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        judges: Mapping[int, Judge] | None = None,
    ) -> Reply:
        """One request. Raises ChannelError."""
        given = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        known: dict[int, Judge] = {
            400: self.rejected,
            403: self._forbidden,
            409: self._busy,
            422: self.rejected,
            429: self._limited,
        }
        http = Http(Limits(self.timeout), secrets=(self.token,))
        return http.request(
            method, f"{self.base}{path}", headers=given, body=body, judges=known | dict(judges or {})
        )

    def read(self, path: str) -> Any:
        """The JSON under a path; None where there is nothing, or something else. Raises ChannelError."""
        reply = self.request("GET", path, judges=dict.fromkeys(_MISSING, lambda _: None))
        if reply.status in _MISSING:
            return None
        try:
            return reply.json()
        except OutcomeUnknownError:
            return None

    # ----------------------------------------------------------------- refusals

    def rejected(self, reply: Reply) -> ChannelError:
        """The server will not have it, and says why."""
        return RejectedError(self._said(reply))

    def _forbidden(self, reply: Reply) -> ChannelError:
        return AuthFailedError(
            f"{self._said(reply)}; the account or the token may not do this: the token needs the scopes "
            "read:accounts, read:statuses, write:statuses and write:media"
        )

    def _busy(self, reply: Reply) -> ChannelError:
        # Pleroma, while an earlier request with the same key is still being dealt with.
        return OutcomeUnknownError(self._said(reply))

    def _limited(self, reply: Reply) -> ChannelError:
        until, wait = retry_after(reply.headers.get("retry-after"))
        if until is None and wait is None:
            until = instant(reply.headers.get("x-ratelimit-reset"))
        return RateLimitedError(self._said(reply), until=until, wait=wait)

    def _said(self, reply: Reply) -> str:
        """A refusal in the server's own words, without secrets."""
        try:
            said = str(json.loads(reply.body)["error"]).encode(errors="replace")
        except (ValueError, TypeError, KeyError, RecursionError):
            said = reply.body
        words = excerpt(said, (self.token,))
        again = " (its earlier answer again)" if reply.headers.get("idempotent-replayed") == "true" else ""
        return f"{host(self.base)}: answered {reply.status}{again}" + (f": {words}" if words else "")


def instant(value: object) -> datetime | None:
    """A moment (UTC) as servers write it: ISO 8601, or seconds since 1970. None when it cannot be read."""
    text = str(value or "").strip()
    try:
        if text.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(text), UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def receipt_of(status: Any, digest: str) -> Receipt | None:
    """The receipt that a status is, None for what is not one."""
    if not isinstance(status, dict) or not isinstance(status.get("id"), str) or not status["id"]:
        return None
    for name in ("url", "uri"):
        place = status.get(name)
        if isinstance(place, str) and place.startswith(("https://", "http://")) and place.isprintable():
            return Receipt(status["id"], place, digest)
    return Receipt(status["id"], None, digest)


def status_path(status_id: str) -> str:
    """Where a status is."""
    return f"/api/v1/statuses/{quote(status_id, safe='')}"


# --------------------------------------------------------------------------- reading back


class _Enough(Exception):
    """More was to be read than a look may read. The message says what."""


def find(api: Api, rendition: Rendition, since: datetime) -> Sighting:
    """Look for the post among the account's own since then. Makes several requests; raises nothing."""
    try:
        wanted = _Wanted(api, rendition)
        doubtful: str | None = None
        for status in _statuses(api, since):
            match wanted.is_it(status):
                case True:
                    found = receipt_of(status, rendition.digest)
                    return Found(found) if found else CannotTell("the server shows the post without its id")
                case None:
                    doubtful = str(status.get("url") or status.get("id"))
    except (ChannelError, _Enough) as error:
        return CannotTell(str(error))
    if doubtful:
        return CannotTell(f"{doubtful} may be it, or a later version of it; the server does not show which")
    return Absent()


def _statuses(api: Api, since: datetime) -> Iterator[dict[str, Any]]:
    """The account's own posts since then, newest first. Raises ChannelError, and _Enough."""
    account = api.request("GET", "/api/v1/accounts/verify_credentials").json()
    account_id = account.get("id") if isinstance(account, dict) else None
    if not isinstance(account_id, str):
        raise OutcomeUnknownError(f"{host(api.base)}: does not say whose the token is")
    first = f"/api/v1/accounts/{quote(account_id, safe='')}/statuses?exclude_reblogs=true&limit={_PAGE}"
    path, seen = first, ""
    for _ in range(_PAGES):
        page = api.request("GET", path).json()
        if not isinstance(page, list) or not all(receipt_of(status, "") for status in page):
            raise OutcomeUnknownError(f"{host(api.base)}: the account's posts cannot be read")
        made = [(instant(status.get("created_at")), status) for status in page]
        if any(moment is None for moment, _ in made):
            raise OutcomeUnknownError(f"{host(api.base)}: does not say when a post was made")
        own = (status for moment, status in made if moment and moment >= since)
        yield from (status for status in own if not status.get("reblog"))
        # The page's order is that of its ids. A page may be short without being the last one.
        if not made or (made[-1][0] or since) < since:
            return
        if made[-1][1]["id"] == seen:
            raise _Enough("the server shows the same posts on every page")
        seen = made[-1][1]["id"]
        path = f"{first}&max_id={quote(seen, safe='')}"
    raise _Enough(f"the account has made more than {_PAGE * _PAGES} posts since then")


class _Wanted:
    """The post that is looked for.

    Its pictures tell it for sure, since no other post can have them; otherwise its text does, in the form
    readers see or, for servers that mark text up, in the form it was sent. What shows none of its links is
    another one. A post that was edited is looked up in all its versions.
    """

    def __init__(self, api: Api, rendition: Rendition) -> None:
        self._api = api
        document = json.loads(rendition.body)
        self._text = str(document.get("status", ""))
        self._form = (canonical(str(document.get("spoiler_text", ""))), canonical(self._text))
        self._media = set(document.get("media_ids", ()))
        self._looks = 0

    def is_it(self, status: dict[str, Any]) -> bool | None:
        """Whether it is; None when the server does not show enough to tell."""
        attached = status.get("media_attachments")
        ids = {part.get("id") for part in attached if isinstance(part, dict)} if attached else set()
        if self._media & ids or self._reads(status):
            return True
        edited = bool(status.get("edited_at"))
        alike = shares_a_link(self._text, str(status.get("content") or ""))
        if not alike and not edited:
            return False
        path = status_path(status["id"])
        source = self._look(f"{path}/source")
        if isinstance(source, dict) and self._same(source.get("spoiler_text"), source.get("text")):
            return True
        if edited:
            versions = self._look(f"{path}/history")
            if not isinstance(versions, list):
                return None
            return any(isinstance(version, dict) and self._reads(version) for version in versions)
        return False if isinstance(source, dict) else None

    def _reads(self, version: dict[str, Any]) -> bool:
        return self._same(version.get("spoiler_text"), plain(str(version.get("content") or "")))

    def _same(self, spoiler: object, text: object) -> bool:
        return self._form == (canonical(str(spoiler or "")), canonical(str(text or "")))

    def _look(self, path: str) -> Any:
        self._looks += 1
        if self._looks > _LOOKS:
            raise _Enough("the account has made too many posts since then to look at each")
        return self._api.read(path)
