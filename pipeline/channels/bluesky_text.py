"""How Bluesky counts a text, and what in it becomes a link, a hashtag or a mention.

What must stay true: a facet points at whole characters of the text, in bytes of its UTF-8 form, and no two
facets overlap. Nothing here asks the network: a mention names its account by `resolve:HANDLE` until the
account's identifier is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import regex

from pipeline.addresses import web_address
from pipeline.channels.text import HASHTAG, LINK, graphemes, utf8

LIMIT = 300  # graphemes
BYTES = 3_000  # of UTF-8
UNIT = "characters"
FACET = "app.bsky.richtext.facet"
UNRESOLVED = "resolve:"
_LONGEST_TAG, _LONGEST_TAG_BYTES = 64, 640
_LONGEST_URI = 8_000
_LONGEST_HANDLE = 253

Facet = dict[str, Any]

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MENTION = regex.compile(
    rf"(?<![\p{{L}}\p{{M}}\p{{Nd}}_.@/-])@((?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?)"
    r"(?![\p{L}\p{M}\p{Nd}_@-])"
)
_GRAPHEME = regex.compile(r"\X")
_LETTER = regex.compile(r"\p{L}")
_JOINS = regex.compile(r"\p{CCC=Virama}")


def plain(text: str) -> str:
    """The text as it can be sent: halves of characters, which no UTF-8 can carry, are question marks."""
    return text.encode(errors="replace").decode()


def measure(text: str) -> int:
    """How much of LIMIT a text takes. Bytes count too, in the proportion of both limits.

    Letters that a sign joins into one character count one by one: servers with older tables of Unicode do
    not see that they are joined.
    """
    return max(graphemes(text) + _joined(text), -(-utf8(text) * LIMIT // BYTES))


def _joined(text: str) -> int:
    if not _JOINS.search(text):
        return 0
    clusters = (match.group() for match in _GRAPHEME.finditer(text))
    return sum(max(0, len(_LETTER.findall(one)) - 1) for one in clusters if _JOINS.search(one))


def language(tag: str) -> str | None:
    """A language tag in its usual spelling, `fr` or `pt-BR`; None for one that servers would refuse.

    Of a tag with more than language, script and region only the language is kept.
    """
    first, *rest = tag.replace("_", "-").split("-")
    if not regex.fullmatch(r"[A-Za-z]{2,3}", first):
        return None
    parts = [first.lower()]
    for number, part in enumerate(rest):
        if number == 0 and regex.fullmatch(r"[A-Za-z]{4}", part):
            parts.append(part.title())
        elif number == len(rest) - 1 and regex.fullmatch(r"[A-Za-z]{2}|[0-9]{3}", part):
            parts.append(part.upper())
        else:
            return parts[0]
    return "-".join(parts)


def uri(address: str) -> str | None:
    """An absolute web address in ASCII, accents encoded; None for what is none, or is too long."""
    made = web_address(address)
    return made if made and len(made) <= _LONGEST_URI and regex.fullmatch(r"[!-~]+", made) else None


# --------------------------------------------------------------------------- facets


def facets(text: str) -> list[Facet]:
    """Links as they are written, hashtags and mentions, in the order in which they stand."""
    edges = {0, *(match.end() for match in _GRAPHEME.finditer(text))}
    taken: list[tuple[int, int]] = []
    found: list[tuple[int, int, dict[str, Any]]] = []
    for start, end, feature in _features(text):
        if any(start < e and s < end for s, e in taken):
            continue
        taken.append((start, end))
        if feature is not None and start in edges and end in edges:
            found.append((start, end, feature))
    return [_facet(text, *one) for one in sorted(found, key=lambda one: one[0])]


def _features(text: str) -> Iterator[tuple[int, int, dict[str, Any] | None]]:
    """What may become a facet, links first: inside one there is nothing else, also if it leads nowhere."""
    for match in LINK.finditer(text):
        target = _target(match.group())
        yield *match.span(), {"$type": f"{FACET}#link", "uri": target} if target else None
    for match in HASHTAG.finditer(text):
        tag = match.group()[1:].rstrip("\u200c\u200d")
        if _is_tag(tag):
            yield match.start(), match.start() + 1 + len(tag), {"$type": f"{FACET}#tag", "tag": tag}
    for match in _MENTION.finditer(text):
        if len(match[1]) <= _LONGEST_HANDLE:
            did = f"{UNRESOLVED}{match[1].lower()}"
            yield *match.span(), {"$type": f"{FACET}#mention", "did": did}


def _target(link: str) -> str | None:
    """Where a link leads. A name without `http` or `www` may be none (`Node.js/Deno`), and leads nowhere."""
    return uri(f"https://{link}" if link.lower().startswith("www.") else link)


def _is_tag(tag: str) -> bool:
    return bool(_LETTER.search(tag)) and graphemes(tag) <= _LONGEST_TAG and utf8(tag) <= _LONGEST_TAG_BYTES


def _facet(text: str, start: int, end: int, feature: Facet) -> Facet:
    first = utf8(text[:start])
    return {
        "$type": FACET,
        "index": {"byteStart": first, "byteEnd": first + utf8(text[start:end])},
        "features": [feature],
    }
