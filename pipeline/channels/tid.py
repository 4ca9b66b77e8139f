"""Record keys of the AT Protocol (TIDs), derived from a delivery instead of from a clock.

What must stay true: the same authority and key give the same TID for ever, wherever the slot moves and on
whatever machine: it is the key under which the network knows a post, and a second one would be a second post.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

_SIGNS = "234567abcdefghijklmnopqrstuvwxyz"
_LENGTH = 13
_CLOCK_BITS = 10
_YEAR = re.compile(r",([0-9]{4})(?:-|\Z)")
_YEARS = range(1970, 2255)  # what 53 bits of microseconds can hold
_NO_YEAR = 2016


def tid(authority: str, key: str) -> str:
    """The TID of a delivery: an instant inside the authority's year and a clock id, both from a hash.

    `authority` is `host,YEAR` as feed ids use it; without a usable year it is always the same one.
    """
    digest = hashlib.sha256(f"{authority}\n{key}".encode(errors="replace")).digest()
    begin, end = _year(authority)
    microsecond = begin + int.from_bytes(digest[:8]) % (end - begin)
    clock = int.from_bytes(digest[8:10]) % (1 << _CLOCK_BITS)
    number = microsecond << _CLOCK_BITS | clock
    return "".join(_SIGNS[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))


def _year(authority: str) -> tuple[int, int]:
    """The first microsecond of the authority's year, and of the next, since 1970."""
    found = _YEAR.search(authority)
    year = int(found[1]) if found and int(found[1]) in _YEARS else _NO_YEAR
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    begin, end = ((datetime(one, 1, 1, tzinfo=UTC) - epoch) for one in (year, year + 1))
    return begin // timedelta(microseconds=1), end // timedelta(microseconds=1)
