"""Which feeds a campaign has: its own, one for each tag, and, when it has several languages, one for each.

What must stay true: a feed keeps its folder whatever other tags there are, and two tags never share one; a
feed that was there stays, without entries if need be, because somebody may have subscribed to it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from pipeline.feeds.record import Row, digest

_DIGEST_LENGTH = 6
_LONGEST = 60
# A name that cannot be taken for one with a digest.
_PLAIN = re.compile(rf"(?!.*-[0-9a-f]{{{_DIGEST_LENGTH}}}$)[a-z0-9]+(-[a-z0-9]+)*")


class Kind(StrEnum):
    """What a feed selects by. The value is the folder such feeds are in."""

    CAMPAIGN = ""
    TAG = "tags"
    LANGUAGE = "lang"


@dataclass(frozen=True, slots=True)
class Selection:
    """A feed of a campaign: its folder below the campaign's (with a slash at the end), and its releases.

    `label` is the tag as it was first written, or the language; "" for the campaign's own feed. The newest
    release stands first.
    """

    kind: Kind
    folder: str
    label: str
    rows: tuple[Row, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it to read."""
        return all(row.mark.retracted is not None for row in self.rows)

    def title(self, campaign_title: str) -> str:
        """The title of the feed, from that of the campaign."""
        if self.kind is Kind.TAG:
            return f"{campaign_title} – {self.label}"
        return f"{campaign_title} ({self.label})" if self.kind is Kind.LANGUAGE else campaign_title

    @property
    def identity(self) -> tuple[str, ...]:
        """What the feed's id has after that of the campaign."""
        return () if self.kind is Kind.CAMPAIGN else (f"@{self.kind}", self.folder.split("/")[1])


@dataclass(frozen=True, slots=True)
class Listed:
    """A feed as lists of feeds name it. `folder` is relative to the campaign's; addresses may be unknown."""

    kind: Kind
    folder: str
    label: str
    title: str
    language: str
    rss_url: str | None
    link: str


def select(rows: Sequence[Row], language: str, labels: Mapping[str, str]) -> list[Selection]:
    """The feeds for these releases, the newest first; `labels` are those of feeds that were there before.

    `language` is the campaign's. The campaign's own feed is the first one.
    """
    by_tag: dict[str, list[Row]] = {}
    by_language: dict[str, list[Row]] = {}
    first_written: dict[str, str] = {}
    for row in reversed(rows):
        for folder in dict.fromkeys(_tag_folder(tag) for tag in row.tags):
            by_tag.setdefault(folder, []).append(row)
        for tag in row.tags:
            first_written.setdefault(_tag_folder(tag), tag)
        by_language.setdefault(row.language or language, []).append(row)
    found = [Selection(Kind.CAMPAIGN, "", "", tuple(rows))]
    found += [_selection(Kind.TAG, name, first_written[name], by_tag[name]) for name in sorted(by_tag)]
    if len(by_language) > 1:
        found += [
            _selection(Kind.LANGUAGE, f"{Kind.LANGUAGE}/{slug(name)}/", name, by_language[name])
            for name in sorted(by_language)
        ]
    there = {selection.folder for selection in found}
    gone = sorted((folder, label) for folder, label in labels.items() if folder not in there)
    return found + [_selection(Kind(folder.split("/")[0]), folder, label, ()) for folder, label in gone]


def _selection(kind: Kind, folder: str, label: str, oldest_first: Iterable[Row]) -> Selection:
    return Selection(kind, folder, label, tuple(oldest_first)[::-1])


@lru_cache(4096)
def _tag_folder(tag: str) -> str:
    return f"{Kind.TAG}/{slug(tag)}/"


@lru_cache(4096)
def slug(words: str) -> str:
    """A name of ASCII letters, digits and hyphens for a folder and an address.

    Words that differ in case or in how their characters are encoded have the same one; all others differ,
    by a digest at the end where the letters alone would not tell them apart.
    """
    key = " ".join(unicodedata.normalize("NFKC", words).casefold().split())
    if _PLAIN.fullmatch(key) and len(key) <= _LONGEST:
        return key
    letters = unicodedata.normalize("NFKD", key).encode("ascii", "ignore").decode()
    name = "-".join(re.findall("[a-z0-9]+", letters))[:_LONGEST].strip("-")
    return f"{name or 'other'}-{digest(key)[:_DIGEST_LENGTH]}"
