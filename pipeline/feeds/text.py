"""What may stand in a feed: characters that XML can carry, and absolute URLs in plain ASCII.

The only place where characters are removed and URLs are rewritten, so that RSS, Atom and JSON agree.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, urljoin, urlsplit

# XML 1.0, production 2 (Char). Lone surrogates cannot be encoded at all.
_REFUSED_BY_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~"  # RFC 3986, pchar; letters, digits and -._ are always safe
_SAFE_IN_QUERY = _SAFE_IN_PATH + "?"

WEB = frozenset({"http", "https"})
LINKABLE = WEB | {"mailto"}


def clean(text: str) -> str:
    """The text without the characters that XML refuses; line ends become newlines. All else survives."""
    return _REFUSED_BY_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def absolute(base: str, reference: str) -> str | None:
    """The reference as an absolute URL in ASCII, read from the page `base`; None if it leads nowhere safe."""
    try:
        parts = urlsplit(urljoin(base, clean(reference).strip()))
        if parts.scheme not in LINKABLE or (parts.scheme in WEB and not parts.hostname):
            return None
        return _ascii(parts)
    except ValueError:  # brackets that are no IPv6 address, a port that is no number
        return None


def url(address: str) -> str:
    """An absolute URL in ASCII, accents percent-encoded; the address as it stands if it is no URL."""
    return absolute(address, address) or clean(address)


def _ascii(parts: SplitResult) -> str:
    return parts._replace(
        netloc=_ascii_host(parts.netloc),
        path=_quoted(parts.path, _SAFE_IN_PATH),
        query=_quoted(parts.query, _SAFE_IN_QUERY),
        fragment=_quoted(parts.fragment, _SAFE_IN_QUERY),
    ).geturl()


def _quoted(part: str, safe: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", part), safe=safe)


def _ascii_host(netloc: str) -> str:
    if netloc.isascii():
        return netloc
    user, at, host = netloc.rpartition("@")
    name, colon, port = host.partition(":")
    return f"{quote(user, safe=_SAFE_IN_PATH)}{at}{name.encode('idna').decode('ascii')}{colon}{port}"
