"""Feeds of what a campaign has released: RSS 2.0, Atom 1.0 and JSON Feed 1.1, with their pictures.

Importing this package is cheap: the XML, Markdown and sanitiser libraries are loaded by the first `write`.
`document` says what a feed knows, `rss_atom` and `json_feed` write it down, `files` puts it under `public/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.model import Campaign, Release

# The newest entries a feed holds. Readers fetch the whole document each time; what is older stays with those
# who subscribed in time.
LENGTH = 50


@dataclass(frozen=True, slots=True)
class FeedsWritten:
    """What a `write` did: the files that changed, and notices for editors (pictures that have vanished)."""

    changed: tuple[Path, ...]
    notices: tuple[str, ...]


def write(
    campaign: Campaign,
    releases: Sequence[Release],
    *,
    authority: str,
    first_seen: datetime,
    root: Path,
    public: Path,
) -> FeedsWritten:
    """Write the campaign's feeds and pictures under `public`; what has not changed is left alone.

    `authority` is the one frozen at the first release, `first_seen` the instant (UTC) that dates a feed
    without entries, `root` the project whose `content/` holds the pictures. Raises BrokenEnvironment when
    a file cannot be written, ValueError when an entry is released twice.
    """
    from pipeline.feeds import files  # noqa: PLC0415 - loads feedgen, lxml, markdown-it and nh3

    changed, notices = files.write(
        campaign, releases, authority=authority, first_seen=first_seen, root=root, public=public
    )
    return FeedsWritten(tuple(changed), tuple(notices))
