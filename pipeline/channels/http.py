"""Speaking HTTP to a network: one call is one request, and every way it can fail has one meaning.

What must stay true: the meanings stand in the two tables below and nowhere else; a request is sent at most
once, without redirects, retries, cookies, proxies or credentials from the environment; it is over when its
total limit is, however slowly the server drips; and no message holds a secret.

Proxies are not taken from the environment: one would answer in the network's place before and after the
post was taken. The channel option `api` names another address where one is needed. Certificates are
trusted as the machine trusts them (`SSL_CERT_FILE` counts), and as the bundled list does.

`requests` is loaded with the first request, so that checking a campaign loads none of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import quote, urlsplit

from pipeline import __version__
from pipeline.channels.base import (
    AuthFailedError,
    ChannelError,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.errors import one_line

USER_AGENT = f"content-pipeline/{__version__}"


class Stage(StrEnum):
    """How far a request had come when it failed. The values complete "failed while …"."""

    PREPARE = "preparing the request"
    RESOLVE = "looking up the name"
    CONNECT = "connecting"
    HANDSHAKE = "agreeing on TLS"
    SEND = "sending the request"
    READ = "waiting for the answer"


# What it means that there is no answer. Until the first byte is handed to the connection nothing can have
# been taken; from then on nobody knows.
STAGES: dict[Stage, type[ChannelError]] = {
    Stage.PREPARE: RejectedError,
    Stage.RESOLVE: NotAcceptedError,
    Stage.CONNECT: NotAcceptedError,
    Stage.HANDSHAKE: NotAcceptedError,
    Stage.SEND: OutcomeUnknownError,
    Stage.READ: OutcomeUnknownError,
}

# What a status means; None is success. The first row that holds it counts, and what no row holds (1xx, 5xx
# and inventions) is unknown. A refusal is one by its status alone, also when its body is cut or too large;
# a success must be read to its end.
STATUSES: tuple[tuple[range, type[ChannelError] | None], ...] = (
    (range(200, 300), None),
    (range(401, 402), AuthFailedError),
    (range(408, 409), OutcomeUnknownError),  # a gateway's patience says nothing about what stands behind it
    (range(429, 430), RateLimitedError),
    (range(303, 304), OutcomeUnknownError),  # "see there what came of it": it was probably taken
    (range(300, 400), RejectedError),  # a redirect is never followed: the post would be sent twice
    (range(400, 500), RejectedError),
)

LONGEST_WAIT = timedelta(days=366)  # a longer Retry-After is taken for this
_NAT64 = IPv6Network("64:ff9b::/96")
SHORTEST_SECRET = 4  # characters; what is shorter is a slip of the pen, and no network's token
EXCERPT = 200  # characters of a refusal's body that a message repeats


def meaning(status: int) -> type[ChannelError] | None:
    """The row of STATUSES."""
    return next((error for held, error in STATUSES if status in held), OutcomeUnknownError)


@dataclass(frozen=True, slots=True)
class Limits:
    """`total` bounds the whole request from name lookup to last byte; `connect` the way to a connection.

    `read` is how long the server may take to accept the request, and again how long it may then be silent;
    without it only `total` counts. `size` is the most bytes of an answer, once decompressed. `public_only`:
    connect to no address of this machine or of its own network, whatever a name leads to.
    """

    total: timedelta
    connect: timedelta = timedelta(seconds=10)
    read: timedelta | None = None
    size: int = 1 << 20
    public_only: bool = False


class WireError(Exception):
    """No answer. The text may hold a secret until it is redacted."""

    def __init__(self, stage: Stage, detail: str) -> None:
        super().__init__(detail)
        self.stage = stage


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Names of headers are in small letters. `fault` says why the body is not all there."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    fault: str | None = None

    @property
    def date(self) -> datetime | None:
        """The server's clock (UTC), as the answer gives it; None when it does not."""
        return _http_date(self.headers.get("date", ""))

    def json(self) -> Any:
        """The body as JSON. Raises OutcomeUnknownError: a success that cannot be read may be one."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise OutcomeUnknownError(f"answered {self.status} with what is not JSON") from error


Judge = Callable[[Reply], ChannelError | None]  # what one status means to one network; None is success


@dataclass(frozen=True, slots=True)
class Http:
    """Sends requests within limits. `secrets` never appear in a message, whoever repeats them."""

    limits: Limits
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        judges: Mapping[int, Judge] | None = None,
    ) -> Reply:
        """Send one request and give the answer, if it is a success. Raises ChannelError.

        `judges` decide over the statuses that mean something else to this network than to others.
        """
        from pipeline.channels import wire  # noqa: PLC0415  # loads requests

        given = {"User-Agent": USER_AGENT, "Accept": "application/json, */*;q=0.5"} | dict(headers or {})
        try:
            reply = wire.exchange(method, url, given, body, self.limits)
        except WireError as error:
            text = f"{host(url)}: failed while {error.stage}: {error}"
            raise STAGES[error.stage](redacted(text, self.secrets)) from None
        if judges and reply.status in judges:
            judged = judges[reply.status](reply)
            if judged is not None:
                raise judged
        else:
            self._refuse(host(url), reply)
        if reply.fault:
            text = f"{host(url)}: answered {reply.status}, but not to the end: {reply.fault}"
            raise OutcomeUnknownError(redacted(text, self.secrets))
        return reply

    def _refuse(self, name: str, reply: Reply) -> None:
        error = meaning(reply.status)
        if error is None:
            return
        text = f"{name}: answered {reply.status}"
        if 300 <= reply.status < 400:
            place = _without_query(reply.headers.get("location", ""))
            text += f" and points to {place or 'nowhere'}; "
            done = error is OutcomeUnknownError
            text += "it may have been taken" if done else "write the address that answers itself"
        elif said := excerpt(reply.body, self.secrets):
            text += f": {said}"
        text = redacted(text, self.secrets)
        if error in (RateLimitedError, OutcomeUnknownError):
            until, wait = retry_after(reply.headers.get("retry-after"))
            if error is RateLimitedError:
                raise RateLimitedError(text, until=until, wait=wait)
            raise OutcomeUnknownError(text, until=until, wait=wait)
        raise error(text)


def retry_after(value: str | None) -> tuple[datetime | None, timedelta | None]:
    """What a Retry-After header asks for: an instant (UTC), or a span, or neither when it cannot be read."""
    value = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,18}", value):
        return None, timedelta(seconds=min(int(value), int(LONGEST_WAIT.total_seconds())))
    return _http_date(value), None


def _http_date(value: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also where it wraps one of the older kind."""
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(str(inner))
    return found.is_global and not found.is_multicast


# --------------------------------------------------------------------------- what people may read


def host(url: str) -> str:
    """Host and port: all of an address that a message may show, since paths and queries carry tokens."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or "an address without a host"
    except ValueError:
        return "an address that cannot be read"


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret, also in its percent-encoded form, replaced by `***`.

    One shorter than SHORTEST_SECRET is none: hiding a letter wherever it stands leaves no word to read.
    """
    worth = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
    forms = {form for secret in worth for form in (secret, quote(secret, safe=""), quote(secret))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return text


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """The beginning of what a server said, in one line of plain text without secrets."""
    text = redacted(body.decode("utf-8", "replace"), secrets)
    text = re.sub(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    text = one_line(text)
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…"


def _without_query(url: str) -> str:
    """A redirect's target, as far as it may be shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return excerpt(shown.encode("utf-8", "replace"), ())
