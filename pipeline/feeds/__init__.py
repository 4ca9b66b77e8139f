"""Feeds of what has been released: RSS 2.0, Atom 1.0 and JSON Feed 1.1, with their pictures and archives.

Importing this package is cheap: the XML, Markdown and sanitiser libraries are loaded by the first `write`.
`document` says what a feed knows, `rss_atom` and `json_feed` write it down, `selections` and `archives` say
which documents a campaign has, `files` puts them under `public/`, `collective` does so for all campaigns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pipeline.feeds import record
from pipeline.feeds.record import Row
from pipeline.feeds.selections import Listed
from pipeline.model import Campaign, Release, ReleaseMark

# The newest releases a feed holds, and those an archive page holds. Readers fetch the whole document each
# time.
LENGTH = 50


class Released(Protocol):
    """What a campaign has released, read as it is needed."""

    def marks(self) -> Sequence[ReleaseMark]:
        """All releases without their entries, newest first; within an instant by day, then by id."""

    def load(self, entries: Collection[str]) -> Mapping[str, Release]:
        """The releases with these entry ids, by id."""


@dataclass(frozen=True, slots=True)
class Source:
    """A campaign and what it has released.

    `authority` is the one frozen at the first release, `first_seen` the instant (UTC) that dates a feed
    without entries.
    """

    campaign: Campaign
    releases: Released
    authority: str
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class FeedsWritten:
    """What a `write` did: the files that changed, and notices for editors (pictures that have vanished).

    `newest` and `listed` are what the feed of all campaigns and the list of feeds are made from: the releases
    the campaign's feed holds, newest first, and its feeds.
    """

    changed: tuple[Path, ...]
    notices: tuple[str, ...]
    newest: tuple[Row, ...]
    listed: tuple[Listed, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A campaign's part in what is written for all of them."""

    source: Source
    newest: tuple[Row, ...]
    listed: tuple[Listed, ...]


def write(source: Source, *, root: Path, public: Path) -> FeedsWritten:
    """Write the campaign's feeds, archives, page and pictures below `public`, as far as they have changed.

    `root` is the project whose `content/` holds the pictures. Raises BrokenEnvironment when a file cannot be
    written, ValueError when an entry is released twice.
    """
    from pipeline.feeds import files  # noqa: PLC0415 - loads feedgen, lxml, markdown-it and nh3

    return files.write(source, root=root, public=public)


def write_collective(parts: Sequence[Part], *, authority: str, root: Path, public: Path) -> tuple[Path, ...]:
    """Write the feed of all these campaigns and the list of all feeds; the files that changed.

    `authority` is that of the feed's id: from the first release on it must never change. Raises
    BrokenEnvironment when a file cannot be written.
    """
    from pipeline.feeds import collective  # noqa: PLC0415 - as above

    return collective.write(parts, authority=authority, root=root, public=public)


def collective_authority(public: Path) -> str | None:
    """The authority in the id of the feed of all campaigns that is there; None while it has no entries."""
    return record.read(public).authority
