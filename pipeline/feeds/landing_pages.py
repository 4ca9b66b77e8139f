"""Where a campaign's pages stand: its front page, and the archive pages of what is too old for that.

What must stay true: an entry has one address at a time, on the archive page that holds it once there is one;
what was an address on the front page leads on from there to the entry, without any script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.feeds import document
from pipeline.feeds.archives import Page
from pipeline.feeds.record import Row

PAGE_FILE = "index.html"


@dataclass(frozen=True, slots=True)
class Shelf:
    """An archive page as the front page names it: its days, and the anchors of entries that stand only there.

    `file` is relative to the campaign's folder; `first` and `last` are instants of release, UTC.
    """

    file: str
    first: datetime
    last: datetime
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page stands among the campaign's; files are relative to the campaign's folder.

    `number` is None for the front page. `filed` says on which archive pages those of its entries are that are
    on one, by their anchors. `newer` and `older` are the pages beside it; `shelves` are the archive pages,
    newest first, as the front page lists them.
    """

    file: str = PAGE_FILE
    number: int | None = None
    filed: Mapping[str, str] = field(default_factory=dict)
    newer: str | None = None
    older: str | None = None
    shelves: tuple[Shelf, ...] = ()

    @property
    def up(self) -> str:
        """The way from the page to the campaign's folder."""
        return "../" * self.file.count("/")

    @property
    def below(self) -> str:
        """The page's address below that of the campaign's folder."""
        return "" if self.number is None else self.file

    def to(self, entry: str) -> str:
        """The entry's address, relative to the page."""
        file = self.filed.get(entry, self.file)
        return f"#{entry}" if file == self.file else f"{self.up}{file}#{entry}"

    def permalink(self, entry: str) -> str:
        """The entry's address below that of the campaign's folder."""
        return f"{self.filed.get(entry, self.below)}#{entry}"


FRONT = Place()


def file_of(page: Page) -> str:
    """The file of an archive page in HTML, below the campaign's folder."""
    return f"{page.name}.html"


def archive(page: Page) -> Place:
    """The place of an archive page of the campaign's own feed."""
    file = file_of(page)
    return Place(
        file=file,
        number=page.number,
        filed={_anchor(row): file for row in page.rows},
        newer=_neighbour(page.newer),
        older=_neighbour(page.older),
    )


def front(pages: Sequence[Page]) -> Place:
    """The place of the front page: `pages` are the archive pages, oldest first, and it."""
    *archived, page = pages
    shown = {row.mark.entry for row in page.rows}
    shelves = tuple(_shelf(one, shown) for one in reversed(archived))
    # The front page holds what no archive page does, and so much of the last as fills it.
    filed = {
        _anchor(row): file_of(one) for one in archived[-1:] for row in one.rows if row.mark.entry in shown
    }
    return Place(filed=filed, older=shelves[0].file if shelves else None, shelves=shelves)


def _shelf(page: Page, shown: set[str]) -> Shelf:
    there = [row for row in page.rows if row.mark.retracted is None and row.mark.entry not in shown]
    first, last = page.rows[-1].mark.released, page.rows[0].mark.released
    return Shelf(file_of(page), first, last, tuple(map(_anchor, there)))


def _anchor(row: Row) -> str:
    """The end of the entry's permanent id."""
    return document.tag_uri("", row.mark.entry).removeprefix("tag::")


def _neighbour(number: int | None) -> str | None:
    return f"archive/{number:04}.html" if number else None
