"""A feed in pages (RFC 5005): the newest releases, which is what subscribers fetch, and archives of the rest.

Releases are counted from the oldest on, retracted ones too, and every LENGTH of them fill an archive page. A
page exists once a newer release than all of its own does; from then on it changes only with what it holds,
and once, when its successor comes to be, by a link. The feed itself overlaps with the last page, so that no
release is ever on neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.feeds import LENGTH
from pipeline.feeds.document import ATOM_FILE, JSON_FILE, RSS_FILE
from pipeline.feeds.record import Row, digest
from pipeline.feeds.selections import Selection


@dataclass(frozen=True, slots=True)
class Page:
    """A document of a feed: an archive page by its number from 1 on, or (None) the feed itself.

    `older` and `newer` are the numbers of the archive pages beside it.
    """

    selection: Selection
    number: int | None
    rows: tuple[Row, ...]
    older: int | None
    newer: int | None

    @property
    def name(self) -> str:
        """The document's name below the campaign's folder."""
        return self.selection.folder + (f"archive/{self.number:04}" if self.number else "feed")

    @property
    def files(self) -> tuple[str, str, str]:
        """RSS, Atom and JSON, below the campaign's folder."""
        return files_of(self.selection.folder, self.number)

    def sign(self, about: str) -> str:
        """What changes whenever the page is to be written anew; `about` says what else it depends on."""
        rows = "\n".join(row.sign for row in self.rows)
        return digest(f"{about}\n{self.selection.label}\n{self.older} {self.newer}\n{rows}")


def files_of(folder: str, number: int | None) -> tuple[str, str, str]:
    """The files of a feed in that folder, or of an archive page of it: RSS, Atom and JSON."""
    if number is None:
        return folder + RSS_FILE, folder + ATOM_FILE, folder + JSON_FILE
    name = f"{folder}archive/{number:04}"
    return f"{name}.rss.xml", f"{name}.atom.xml", f"{name}.json"


def pages(selection: Selection, *, archived: bool) -> list[Page]:
    """The feed's archive pages, oldest first, and the feed itself, which points to them, at the end.

    Without `archived`, the feed alone: where nothing has an address, a feed cannot point to its pages.
    """
    rows: Sequence[Row] = selection.rows
    count = max(len(rows) - 1, 0) // LENGTH if archived else 0
    found = []
    for number in range(1, count + 1):
        begin = len(rows) - number * LENGTH
        held = tuple(rows[begin : begin + LENGTH])
        older, newer = number - 1 or None, number + 1 if number < count else None
        found.append(Page(selection, number, held, older, newer))
    return [*found, Page(selection, None, tuple(rows[:LENGTH]), count or None, None)]
