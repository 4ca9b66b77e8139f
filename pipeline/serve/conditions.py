"""Pure: what HTTP's conditional and range headers ask for (RFC 9110, sections 12 to 14).

A header that makes no sense is read as if it were not there, as the standard has it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from email.utils import parsedate_to_datetime
from enum import Enum

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_RANGE = re.compile(r"bytes=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*", re.IGNORECASE)
_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


class Unsatisfiable(Enum):
    """A range that begins after the end."""

    YES = "unsatisfiable"


def holds_tag(header: str, etag: str, *, weakly: bool) -> bool:
    """Whether If-None-Match (`weakly`) or If-Match names the entity tag, or is `*`."""
    if header.strip() == "*":
        return True
    tags = _TAG.findall(header)
    return any((tag.removeprefix("W/") if weakly else tag) == etag for tag in tags)


def http_date(header: str) -> int | None:
    """The instant in seconds since 1970, or None when it is no date of HTTP."""
    try:
        # A date without a zone is none of HTTP's; read in the machine's own it would mean anything.
        found = parsedate_to_datetime(header)
        return None if found.tzinfo is None else int(found.timestamp())
    except (ValueError, OverflowError):
        return None


def byte_range(header: str, length: int) -> tuple[int, int] | Unsatisfiable | None:
    """The first byte and the one after the last; None to send the whole, also for several ranges at once."""
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        wanted = min(int(suffix), length)
        return (length - wanted, length) if wanted else Unsatisfiable.YES
    begins = int(first)
    if last and int(last) < begins:
        return None
    if begins >= length:
        return Unsatisfiable.YES
    return begins, min(int(last) + 1 if last else length, length)


def accepts(header: str, name: str) -> float | None:
    """The quality (0 to 1) that an Accept or Accept-Encoding header gives this very name; None for none."""
    for part in header.split(","):
        token, *parameters = (piece.strip() for piece in part.split(";"))
        if token.lower() == name:
            return _quality(parameters)
    return None


def best_encoding(header: str | None, offered: Collection[str]) -> str | None:
    """The offered encoding the client likes best, the first of equals; None for the bytes as they are."""
    if not header:
        return None
    others = accepts(header, "*") or 0.0
    liked = {name: others if (own := accepts(header, name)) is None else own for name in offered}
    best = max(liked, key=lambda name: liked[name], default=None)
    return best if best is not None and liked[best] > 0 else None


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter[:2].lower() == "q=":
            match = _QUALITY.fullmatch(parameter)
            return float(match[1]) if match else 0.0
    return 1.0
