"""`pipeline import`: an existing feed, or a list of feeds, becomes draft entries.

`fetching` brings bytes, within limits; `feed` and `outlines` read them; `drafting` writes an entry's text;
`folder` puts it under `content/`. What must stay true: no file that exists is touched; what was imported once
is not imported again; every file that is made passes `pipeline check`; and nothing in a feed can make this
program read a local file, or fetch from the machine's own network, unless the feed itself was given there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BrokenEnvironment, PipelineError, WrongUse
from pipeline.importing import feed, outlines
from pipeline.importing.fetching import Fetcher
from pipeline.importing.folder import Folder

MOST_ENTRIES = 500  # of one feed, the first ones
MOST_FEEDS = 100  # of one list


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: paths of the entries made, relative to the root, and how many were there already.

    `notices` say what an editor should look at; `failed` which feeds of a list could not be read, and why.
    """

    made: tuple[str, ...]
    known: int
    notices: tuple[str, ...]
    failed: tuple[PipelineError, ...]


def import_feed(root: Path, source: str, into: str | None = None) -> Imported:
    """Make a draft of each entry of the feed or list at `source`, a URL or a file, in a folder of `content/`.

    Raises WrongUse for what is no feed or a folder elsewhere, BrokenEnvironment for what cannot be fetched,
    OSError for what cannot be written. One feed of a list that fails does not stop the others.
    """
    folder = Folder(root, into)
    fetcher = Fetcher(source)
    failed: list[PipelineError] = []
    for address in _feeds(fetcher, source, failed):
        try:
            _import_one(fetcher, address, folder)
        except (WrongUse, BrokenEnvironment) as error:
            if address == source:
                raise
            failed.append(error)
    return Imported(tuple(folder.made), folder.known, tuple(folder.notices), tuple(failed))


def _feeds(fetcher: Fetcher, source: str, failed: list[PipelineError]) -> Iterator[str]:
    """The addresses to import: of a list those it names, of a page the feed it announces, else `source`."""
    got = fetcher.feed(source)
    if outlines.is_list(got.data):
        addresses = outlines.feeds_of(got)
        if not addresses:
            raise WrongUse(f"{source}: the list names no feed", hint="An OPML file names each in `xmlUrl`.")
        if len(addresses) > MOST_FEEDS:
            failed.append(
                WrongUse(
                    f"{source}: the list names {len(addresses)} feeds, only the first {MOST_FEEDS} were read",
                    hint="Split the list, then import the rest.",
                )
            )
        yield from addresses[:MOST_FEEDS]
    elif announced := outlines.announced(got):
        yield announced
    else:
        yield source


def _import_one(fetcher: Fetcher, address: str, folder: Folder) -> None:
    found = feed.read(fetcher.feed(address))
    if len(found.entries) > MOST_ENTRIES:
        folder.notices.append(
            f"{address}: {len(found.entries)} entries; only the first {MOST_ENTRIES} are imported"
        )
    for entry in found.entries[:MOST_ENTRIES]:
        folder.add(entry, fetcher)
