"""A campaign's folder under `public/`: its feeds and their archives, its page, and their pictures.

What must stay true: the same releases leave every file alone, mtime included; pictures are in place before
the documents that point to them, and archive pages before the feeds; writing costs what has changed, however
much was released before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline import atomic
from pipeline.errors import BrokenEnvironment
from pipeline.feeds import (
    LENGTH,
    FeedsWritten,
    Source,
    archives,
    document,
    json_feed,
    landing,
    landing_pages,
    record,
    rss_atom,
    style,
)
from pipeline.feeds.archives import Page
from pipeline.feeds.document import Addresses, FeedDocument
from pipeline.feeds.pictures import Publisher, plain_name
from pipeline.feeds.record import Made, Record
from pipeline.feeds.selections import Kind, Listed, Selection, select
from pipeline.feeds.stock import Stock
from pipeline.feeds.text import url
from pipeline.model import Event

STYLE_FILE = "feed.css"
_TYPES = ("RSS", rss_atom.RSS_TYPE), ("Atom", rss_atom.ATOM_TYPE), ("JSON Feed", "application/feed+json")


def write(source: Source, *, root: Path, public: Path) -> FeedsWritten:
    """Write whatever differs from what is on the disk. Raises BrokenEnvironment when a file cannot be."""
    folder = public / plain_name(source.campaign.id)
    publisher = Publisher(root, folder / document.MEDIA_FOLDER)
    with told(folder, f"the feeds of {source.campaign.id}"):
        stock = Stock(source, publisher)
        was = record.read(folder)
        rows = stock.rows(was)
        selections = select(rows, source.campaign.language, was.labels)
        writer = Writer(folder, was)
        _write_all(writer, stock, selections, source.campaign.event)
        # Only now that no document shows them any more.
        for entry in stock.retracted:
            publisher.withdraw(entry)
        labels = {one.folder: one.label for one in selections if one.kind is not Kind.CAMPAIGN}
        writer.finish(replace(was, rows={row.mark.entry: row for row in reversed(rows)}, labels=labels))
    listed = tuple(_listed(source, one) for one in selections if not _is_hidden(one))
    changed = (*publisher.changed, *writer.changed)
    return FeedsWritten(changed, tuple(publisher.notices), selections[0].rows[:LENGTH], listed)


@contextmanager
def told(folder: Path, what: str) -> Iterator[None]:
    """A file that cannot be written raises BrokenEnvironment, saying which and what to do."""
    try:
        yield
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise BrokenEnvironment(
            f"{where}: {what} cannot be written: {why}",
            hint=f"make room on the disk, or make {folder} writable; the next run writes them",
        ) from error


class Writer:
    """Writes those documents of a folder that are not on the disk as they should be.

    `changed` are the files that it wrote or removed.
    """

    def __init__(self, folder: Path, was: Record) -> None:
        self._folder = folder
        self._was = was
        self._made: dict[str, Made] = {}
        self.changed: list[Path] = []

    def write(self, name: str, sign: str, files: Sequence[str], make: Callable[[], Iterable[bytes]]) -> None:
        """Write the document's files, unless they are what `sign` stands for."""
        if self._was.still_holds(name, sign, self._folder):
            self._made[name] = self._was.documents[name]
            return
        made = dict(zip(files, make(), strict=True))
        self._made[name] = Made(sign, {file: len(data) for file, data in made.items()})
        for file, data in made.items():
            if self._put(file, data):
                self.changed.append(self._folder / file)

    def finish(self, now: Record) -> None:
        """Remove archive pages that are no more, and at last keep the record."""
        gone = {file for made in self._was.documents.values() for file in made.files}
        for file in sorted(gone.difference(*(made.files for made in self._made.values()))):
            (self._folder / file).unlink(missing_ok=True)
            self.changed.append(self._folder / file)
        kept = replace(now, documents=self._made)
        data = record.written(kept)
        self._put(record.RECORD, data)
        record.remember(self._folder, data, kept)

    def _put(self, file: str, data: bytes) -> bool:
        # What a power cut takes is missed by its length at the next look, and made anew.
        return atomic.write(self._folder / file, data, flush=False)


def _write_all(writer: Writer, stock: Stock, selections: Sequence[Selection], event: Event) -> None:
    writer.write("style", record.digest(style.CSS.decode()), (STYLE_FILE,), lambda: (style.CSS,))
    about = repr(stock.head)
    for selection in selections:
        stones = repr(stock.tombstones(selection.rows)) if selection.rows else ""
        for page in archives.pages(selection, archived=stock.base is not None):
            sign = page.sign(about + stones if page.number is None else about)
            writer.write(page.name, sign, page.files, partial(_documents, stock, page))
    _write_pages(writer, stock, selections, event)


def _write_pages(writer: Writer, stock: Stock, selections: Sequence[Selection], event: Event) -> None:
    """The pages for people. They are linked relative to each other, so there are archives in any case."""
    about = repr(stock.head)
    *archived, front = pages = archives.pages(selections[0], archived=True)
    links = _links(stock, selections)
    # The feeds of tags come and go; what is archived should not change with them.
    own = links[: len(_TYPES)]
    for page in archived:

        def archive_page(page: Page = page) -> tuple[bytes]:
            place = landing_pages.archive(page)
            return (landing.page(_feed(stock, page), own, zone=event.zone, place=place),)

        file = landing_pages.file_of(page)
        writer.write(file, page.sign(f"{about}\n{own}\n{event.zone}"), (file,), archive_page)
    place = landing_pages.front(pages)

    def front_page() -> tuple[bytes]:
        return (landing.page(_feed(stock, front), links, zone=event.zone, event=event, place=place),)

    sign = front.sign(f"{about}\n{links}\n{event}\n{record.digest(repr(place))}")
    writer.write("page", sign, (landing_pages.PAGE_FILE,), front_page)


def _documents(stock: Stock, page: Page) -> tuple[bytes, bytes, bytes]:
    return documents(_feed(stock, page))


def documents(feed: FeedDocument) -> tuple[bytes, bytes, bytes]:
    """The document in RSS, Atom and JSON."""
    return rss_atom.rss(feed), rss_atom.atom(feed), json_feed.json_feed(feed)


def _feed(stock: Stock, page: Page) -> FeedDocument:
    """The page as subscribers read it."""
    selection = page.selection
    entries = stock.entries(page.rows)
    stones = stock.tombstones(selection.rows if page.number is None else page.rows)
    feed = replace(
        stock.head,
        id=stock.identity(*selection.identity),
        title=selection.title(stock.head.title),
        language=selection.label if selection.kind is Kind.LANGUAGE else stock.head.language,
        updated=document.last_change(entries, stones, stock.head.updated),
        entries=entries,
        tombstones=stones,
        style="../" * page.name.count("/") + STYLE_FILE,
    )
    if stock.base is None:
        return feed
    own = _addresses(stock.base, page.files)
    # A reader of JSON Feed takes this address for the feed's identity, so archive pages have the feed's.
    feed = document.at(feed, replace(own, json=_addresses(stock.base, _files(page, None)).json))
    return replace(
        feed,
        hub=feed.hub if page.number is None else None,
        current=_addresses(stock.base, _files(page, None)) if page.number else None,
        older=_addresses(stock.base, _files(page, page.older)) if page.older else None,
        newer=_addresses(stock.base, _files(page, page.newer)) if page.newer else None,
    )


def _files(page: Page, number: int | None) -> tuple[str, str, str]:
    return archives.files_of(page.selection.folder, number)


def _addresses(base: str, files: tuple[str, str, str]) -> Addresses:
    rss, atom, plain = files
    return Addresses(base + rss, base + atom, base + plain)


def _links(stock: Stock, selections: Sequence[Selection]) -> list[landing.FeedLink]:
    """The feeds that the campaign's page offers: its own in every format, the others in the commonest."""
    own, *others = selections
    links = [
        landing.FeedLink(f"{own.title(stock.head.title)} ({name})", mime, file)
        for (name, mime), file in zip(_TYPES, archives.files_of(own.folder, None), strict=True)
    ]
    return links + [
        landing.FeedLink(one.title(stock.head.title), rss_atom.RSS_TYPE, one.folder + document.RSS_FILE)
        for one in others
        if not _is_hidden(one)
    ]


def _is_hidden(selection: Selection) -> bool:
    """Whether no list names the feed: there is nothing in it, and it is not the campaign's own."""
    return selection.kind is not Kind.CAMPAIGN and selection.is_empty


def _listed(source: Source, selection: Selection) -> Listed:
    campaign = source.campaign
    base = document.public_folder(campaign)
    return Listed(
        kind=selection.kind,
        folder=selection.folder,
        label=selection.label,
        title=selection.title(document.title_of(campaign)),
        language=selection.label if selection.kind is Kind.LANGUAGE else campaign.language,
        rss_url=base and f"{base}{selection.folder}{document.RSS_FILE}",
        link=url(campaign.link),
    )
