"""Bytes of feeds and pictures, from the web or from a file that a person named.

What must stay true: every request has a limit of time and size; redirects are followed a few times, each
looked at as a new address; an address of this machine or its own network is asked only if the feed that the
person gave is on that very host; a file is read only if the person named it.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from pipeline.channels.base import ChannelError
from pipeline.channels.http import Http, Limits, Reply, is_public
from pipeline.errors import BrokenEnvironment, WrongUse
from pipeline.source.values import web_address

MOST_REDIRECTS = 5
LARGEST_FEED = 4 << 20  # bytes, once decompressed
LARGEST_PICTURE = 10 << 20
_FEED = Limits(total=timedelta(seconds=60), read=timedelta(seconds=20), size=LARGEST_FEED)
_PICTURE = replace(_FEED, size=LARGEST_PICTURE)
_FEED_TYPES = "application/atom+xml, application/rss+xml, application/feed+json, */*;q=0.5"
_PICTURE_TYPES = "image/webp, image/png, image/jpeg, image/gif"
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Got:
    """What was fetched. `base` is the address that relative ones in it start from, None for a file."""

    data: bytes
    name: str
    base: str | None = None
    content_type: str | None = None


class Fetcher:
    """Fetches for one import."""

    def __init__(self, given: str) -> None:
        """`given` is what the person typed: a URL or the path of a file."""
        self._given = given
        self._first: Got | None = None
        self._own_host = _host(given) if is_url(given) and _is_private(_host(given)) else None

    def feed(self, address: str) -> Got:
        """The feed or list at that address. Raises BrokenEnvironment, WrongUse."""
        if address != self._given:
            return self._fetch(address, _FEED, _FEED_TYPES)
        if self._first is None:  # looked at twice: as a list or a page, then as a feed
            self._first = (
                self._fetch(address, _FEED, _FEED_TYPES) if is_url(address) else _from_file(Path(address))
            )
        return self._first

    def picture(self, address: str) -> bytes:
        """The picture at that address. Raises BrokenEnvironment, WrongUse."""
        return self._fetch(address, _PICTURE, _PICTURE_TYPES).data

    def _fetch(self, address: str, limits: Limits, types: str) -> Got:
        url = address
        for _ in range(MOST_REDIRECTS + 1):
            _refuse_odd(url, address)
            trusted = url == self._given or _host(url) == self._own_host
            try:
                reply = Http(replace(limits, public_only=not trusted)).request(
                    "GET",
                    url,
                    headers={"Accept": types},
                    judges=dict.fromkeys(_REDIRECTS, _is_no_failure),
                )
            except ChannelError as error:
                raise BrokenEnvironment(
                    f"{address} cannot be fetched: {error}",
                    hint="Open the address in a browser; when it works there, try again.",
                ) from error
            if reply.status not in _REDIRECTS:
                return Got(reply.body, address, url, reply.headers.get("content-type"))
            url = _joined(url, reply.headers.get("location", ""))
        raise BrokenEnvironment(
            f"{address} cannot be fetched: it points elsewhere more than {MOST_REDIRECTS} times",
            hint="Open it in a browser and give the address it ends at.",
        )


def is_url(text: str) -> bool:
    """Whether it is meant as an address on the web."""
    return re.match(r"https?://", text, re.IGNORECASE) is not None


def _from_file(path: Path) -> Got:
    if not path.is_file():
        hint = "Give a file, or an address that begins with https://."
        raise WrongUse(f"{path} is not a file", hint=hint)
    with path.open("rb") as stream:
        data = stream.read(LARGEST_FEED + 1)
    if len(data) > LARGEST_FEED:
        raise WrongUse(f"{path} is larger than {LARGEST_FEED >> 20} MiB", hint="Give a part of it.")
    return Got(data, str(path))


def _is_no_failure(_reply: Reply) -> None:
    """A redirect is looked at, not followed blindly."""


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _refuse_odd(url: str, asked: str) -> None:
    """Raise BrokenEnvironment for what is no plain http(s) URL, such as a local file."""
    try:
        web_address(url)
    except ValueError as error:
        where = asked if url == asked else f"{asked} points to"
        raise BrokenEnvironment(
            f"{where}: it {error}", hint="Only addresses that begin with https:// or http:// are fetched."
        ) from error


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_private(host: str) -> bool:
    """Whether the host is this machine or in its own network: every address it has."""
    try:
        return not is_public(str(ipaddress.ip_address(host)))
    except ValueError:
        pass
    try:
        found = {place[4][0] for place in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and not any(is_public(str(address)) for address in found)
