"""Where a network makes links, hashtags and mentions of a text.

What must stay true: marks stand in order, do not overlap, and lie within the text. Bluesky's come from the
facets of the request itself, X's links from its own library.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import regex

from pipeline.channels.text import HASHTAG, LINK, MENTION

LINK_MARK, TAG_MARK, MENTION_MARK = "link", "tag", "mention"
_X_MENTION = regex.compile(r"(?<![A-Za-z0-9_!#$%&*@\uFF20])[@\uFF20][A-Za-z0-9_]{1,15}")
_MASTODON_MENTION = regex.compile(r"(?<![\p{L}\p{Nd}_/])@[A-Za-z0-9_]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_SCHEMES = ("http://", "https://")
_LETTER = regex.compile(r"\p{L}")


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of a text, in code points, and where it leads; no target for what the page cannot link."""

    start: int
    end: int
    kind: str
    target: str | None = None


def marks(network: str, text: str, document: Any) -> tuple[Mark, ...]:
    """The marks of a text on a network. `document` is the request's body, read; None for one that is none."""
    if network == "bluesky" and (found := _of_facets(text, document)) is not None:
        return _apart(found)
    return _apart(_FINDERS.get(network, _usual)(text))


def _apart(found: Iterator[Mark] | list[Mark]) -> tuple[Mark, ...]:
    """In order, without those that reach into one before them."""
    kept: list[Mark] = []
    for mark in sorted(found, key=lambda one: (one.start, -one.end)):
        if mark.start < mark.end and (not kept or mark.start >= kept[-1].end):
            kept.append(mark)
    return tuple(kept)


def _link(text: str, start: int, end: int) -> Mark:
    shown = text[start:end]
    return Mark(start, end, LINK_MARK, shown if shown.lower().startswith(_SCHEMES) else f"https://{shown}")


def _links_and_tags(text: str) -> Iterator[Mark]:
    for match in LINK.finditer(text):
        if match.group().lower().startswith(_SCHEMES):
            yield _link(text, *match.span())
    yield from _tags(text)


def _tags(text: str) -> Iterator[Mark]:
    for match in HASHTAG.finditer(text):
        if _LETTER.search(match.group()):  # a number alone is no hashtag anywhere
            yield Mark(*match.span(), TAG_MARK)


def _usual(text: str) -> Iterator[Mark]:
    yield from _links_and_tags(text)
    for match in MENTION.finditer(text):
        yield Mark(*match.span(), MENTION_MARK)


def _mastodon(text: str) -> Iterator[Mark]:
    yield from _links_and_tags(text)
    for match in _MASTODON_MENTION.finditer(text):
        yield Mark(*match.span(), MENTION_MARK)


def _x(text: str) -> Iterator[Mark]:
    from pipeline.channels import x_text  # noqa: PLC0415 - its library takes a quarter of a second

    for start, end in x_text.links(text):
        yield _link(text, start, end)
    yield from _tags(text)
    for match in _X_MENTION.finditer(text):
        yield Mark(*match.span(), MENTION_MARK)


def _none(_text: str) -> Iterator[Mark]:
    return iter(())


_FINDERS = {
    "facebook": _links_and_tags,  # its API makes no mentions of a text
    "mastodon": _mastodon,
    "outbox": _links_and_tags,
    "webhook": _none,
    "x": _x,
}


def _of_facets(text: str, document: Any) -> list[Mark] | None:
    """The facets of a record, from bytes to code points; None when the document is no record."""
    try:
        facets = document["record"].get("facets", [])
        ends = _code_points(text)
        return [
            Mark(
                ends[one["index"]["byteStart"]], ends[one["index"]["byteEnd"]], *_feature(one["features"][0])
            )
            for one in facets
        ]
    except (AttributeError, KeyError, IndexError, TypeError):
        return None


def _code_points(text: str) -> dict[int, int]:
    """From an offset in the bytes of UTF-8 to one in code points."""
    offsets, done = {0: 0}, 0
    for number, sign in enumerate(text, start=1):
        done += len(sign.encode(errors="replace"))
        offsets[done] = number
    return offsets


def _feature(feature: Any) -> tuple[str, str | None]:
    kind = str(feature["$type"]).rpartition("#")[2]
    target = feature.get("uri")
    if kind == LINK_MARK and isinstance(target, str) and target.lower().startswith(_SCHEMES):
        return LINK_MARK, target
    return (TAG_MARK if kind == "tag" else MENTION_MARK), None
