"""What may stand in a feed: characters that XML can carry, and absolute URLs in plain ASCII.

The only place where characters are removed and URLs are rewritten, so that RSS, Atom and JSON agree.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from pipeline.addresses import WEB, in_ascii

# XML 1.0, production 2 (Char). Lone surrogates cannot be encoded at all.
_REFUSED_BY_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

LINKABLE = WEB | {"mailto"}


def clean(text: str) -> str:
    """The text without the characters that XML refuses; line ends become newlines. All else survives."""
    return _REFUSED_BY_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


@lru_cache(8192)
def absolute(base: str, reference: str) -> str | None:
    """The reference as an absolute URL in ASCII, read from the page `base`; None if it leads nowhere safe."""
    try:
        parts = urlsplit(urljoin(base, clean(reference).strip()))
        if parts.scheme not in LINKABLE or (parts.scheme in WEB and not parts.hostname):
            return None
        return in_ascii(parts)
    except ValueError:  # brackets that are no IPv6 address, a port that is no number
        return None


def url(address: str) -> str:
    """An absolute URL in ASCII, accents percent-encoded; the address as it stands if it is no URL."""
    return absolute(address, address) or clean(address)
