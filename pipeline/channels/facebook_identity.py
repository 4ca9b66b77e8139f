"""Whose Page token it is, how long it lasts, how long the API's version does: what fails when, said before.

Facebook tells a token's expiry through `debug_token`, which it documents for tokens of the app and of its
developers only; a Page token may ask about itself, and when it may not, that is said and nothing else fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from pipeline.channels.base import AuthFailedError, ChannelError, Identity, OutcomeUnknownError
from pipeline.channels.facebook_graph import READ, WRITE, Answer, Graph, usage

# The last day on which a version of the API is sure to work: two years after its successor came out, or
# after it came out itself while it has none.
SURE_UNTIL = {"v25.0": date(2028, 7, 29), "v26.0": date(2028, 7, 29)}
NEWEST = "v26.0"
_WARN = timedelta(days=60)
_BUSY = 80  # percent of a quota
_LONGEST_DATE = 1 << 36  # seconds since 1970 that are still a date


def identity(graph: Graph, page: str, now: datetime) -> Identity:
    """Ask Facebook who we are. Raises ChannelError; AuthFailedError when the token is not the Page's."""
    me = graph.call("GET", "me?fields=id,name")
    holder, name = str(me.document.get("id", "")), str(me.document.get("name", ""))
    if not holder:
        raise OutcomeUnknownError("Facebook does not say whose token it is")
    own = page if page.isdigit() else str(graph.call("GET", f"{page}?fields=id").document.get("id"))
    if own != holder:
        raise AuthFailedError(
            f"the token belongs to {name or 'somebody'} ({holder}) and the channel posts to the Page {page}; "
            f"make a token of that Page, then retry"
        )
    about = _about(graph, now)
    warnings = [
        *version_warnings(graph.version, now, me.reply.headers.get("facebook-api-version")),
        *about.warnings,
    ]
    limits = {"text": "63,206 UTF-16 units (as others report; Facebook documents none)"}
    if found := usage(me.reply.headers):
        limits["quota used"] = f"{found.percent} %"
        if found.percent >= _BUSY:
            warnings.append(f"{found.percent} % of the quota is used: posts may have to wait")
    return Identity(
        account=f"{name} (https://www.facebook.com/{holder})",
        expires=about.expires,
        server_time=me.reply.date,
        limits=limits,
        warnings=tuple(warnings),
    )


def version_warnings(version: str, now: datetime, answered: str | None = None) -> list[str]:
    """What there is to say about the age of the API's version. `answered` is the one that really answered."""
    change = f"set `version: {NEWEST}`, or update this program"
    if answered and answered != version:
        return [f"Facebook answered as {answered}, so {version} is gone: {change}"]
    until = SURE_UNTIL.get(version)
    if until is None:
        return [f"how long {version} of the Graph API works is not known here: {change}"]
    if now.date() > until:
        return [f"{version} of the Graph API was only sure to work until {until}: {change}"]
    if now.date() > until - _WARN:
        return [f"{version} of the Graph API is sure to work until {until} and no longer: {change}"]
    return []


@dataclass(frozen=True, slots=True)
class _Token:
    """What Facebook tells of a token."""

    expires: datetime | None = None
    warnings: list[str] = field(default_factory=list)


def _about(graph: Graph, now: datetime) -> _Token:
    """What the token may say of itself."""
    try:
        answer = graph.call("GET", f"debug_token?{urlencode({'input_token': graph.token})}")
    except ChannelError as error:
        return _Token(warnings=[f"when the token expires is not told: {error}"])
    data = _data(answer)
    missing = [right for right in (WRITE, READ) if right not in (data.get("scopes") or (WRITE, READ))]
    warnings = [f"the token lacks the permission {right}" for right in missing]
    if (ends := _instant(data, "data_access_expires_at")) and now > ends - _WARN:
        warnings.append(
            f"the app may read the Page until {ends:%Y-%m-%d}, unless the person who made the token uses "
            "the app again before"
        )
    return _Token(_instant(data, "expires_at"), warnings)


def _data(answer: Answer) -> Mapping[str, Any]:
    data = answer.document.get("data")
    return data if isinstance(data, dict) else {}


def _instant(data: Mapping[str, Any], key: str) -> datetime | None:
    """A time of the answer; None for 0, which means never, and for what is none."""
    seconds = data.get(key)
    if not isinstance(seconds, int) or not 0 < seconds < _LONGEST_DATE:
        return None
    return datetime.fromtimestamp(seconds, UTC)
