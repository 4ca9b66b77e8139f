"""Web addresses in plain ASCII, as feeds and networks want them: accents and other scripts encoded."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urlsplit

WEB = frozenset({"http", "https"})

_PLAIN = re.compile(r"(?:[A-Za-z0-9/?#\[\]@!$&'()*+,;=:~._-]|%[0-9A-Fa-f]{2})+")
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~"  # RFC 3986, pchar; letters, digits and -._ are always safe
_SAFE_IN_QUERY = _SAFE_IN_PATH + "?"


def web_address(address: str) -> str | None:
    """An absolute http(s) URL in ASCII; one that is plain stays as it is. None for what is none."""
    try:
        parts = urlsplit(address)
        if parts.scheme not in WEB or not parts.hostname:
            return None
        return address if _PLAIN.fullmatch(address) else in_ascii(parts)
    except ValueError:  # brackets that are no IPv6 address, a name that is no host's
        return None


def in_ascii(parts: SplitResult) -> str:
    """The URL of these parts in ASCII. Raises ValueError for a host that no name can have."""
    return parts._replace(
        netloc=_host(parts.netloc),
        path=_quoted(parts.path, _SAFE_IN_PATH),
        query=_quoted(parts.query, _SAFE_IN_QUERY),
        fragment=_quoted(parts.fragment, _SAFE_IN_QUERY),
    ).geturl()


def _quoted(part: str, safe: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", part), safe=safe)


def _host(netloc: str) -> str:
    if netloc.isascii():
        return netloc
    user, at, host = netloc.rpartition("@")
    name, colon, port = host.partition(":")
    return f"{quote(user, safe=_SAFE_IN_PATH)}{at}{name.encode('idna').decode('ascii')}{colon}{port}"
