"""What the files of a folder under `public/` were made from, kept beside them as `.feeds.json`.

It spares work and decides nothing: without it, or with one that cannot be read or was written by another
version of the program, everything is made anew from the ledger. It is written last, so it never claims what
is not on the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.model import ReleaseMark

RECORD = ".feeds.json"
# What the bytes of a feed depend on beside this package.
_WRITERS = ("feedgen", "lxml", "markdown-it-py", "nh3")

_REMEMBERED = 16  # folders whose latest record need not be parsed when it is read


@dataclass(frozen=True, slots=True)
class Row:
    """A release as the feeds have it: its tags, its language (None: its campaign's), and what it shows.

    `shown` is a digest of the entry and its pictures. `plain` is all of it as it is kept, and `sign` the same
    in a word: it changes whenever anything of this does.
    """

    mark: ReleaseMark
    tags: tuple[str, ...]
    language: str | None
    shown: str
    plain: tuple[Any, ...] = field(init=False, repr=False, compare=False)
    sign: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        plain = _plain(self)
        object.__setattr__(self, "plain", plain)
        object.__setattr__(self, "sign", repr(plain))


@dataclass(frozen=True, slots=True)
class Made:
    """A document: what it was made from, and the files it was written to, with their lengths in bytes."""

    sign: str
    files: Mapping[str, int]

    def stands(self, folder: Path) -> bool:
        """Whether the files are still there, at their full length."""
        try:
            return all((folder / name).stat().st_size == length for name, length in self.files.items())
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class Record:
    """The releases by the ids of their entries, the documents by name, the feeds' labels by folder.

    `authority` is the one in the id of a feed that has no campaign to take it from.
    """

    rows: Mapping[str, Row] = field(default_factory=dict)
    documents: Mapping[str, Made] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    authority: str | None = None

    def still_holds(self, name: str, sign: str, folder: Path) -> bool:
        """Whether the document is on the disk as it would be made now."""
        made = self.documents.get(name)
        return made is not None and made.sign == sign and made.stands(folder)


_latest: OrderedDict[Path, tuple[bytes, Record]] = OrderedDict()


def read(folder: Path) -> Record:
    """The record of the folder; an empty one when there is none that can be relied on."""
    try:
        data = (folder / RECORD).read_bytes()
        latest = _latest.get(folder)
        if latest is not None and latest[0] == data:
            return latest[1]
        plain = json.loads(data)
        if plain["program"] != _program():
            return Record()
        return Record(
            rows={row[0]: _row(row) for row in plain["rows"]},
            documents={name: Made(sign, files) for name, (sign, files) in plain["documents"].items()},
            labels=plain["labels"],
            authority=plain["authority"],
        )
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return Record()


def remember(folder: Path, data: bytes, record: Record) -> None:
    """Let `read` take the record for these bytes of the folder's file without parsing them."""
    _latest[folder] = data, record
    _latest.move_to_end(folder)
    while len(_latest) > _REMEMBERED:
        _latest.popitem(last=False)


def written(record: Record) -> bytes:
    """The record as it is kept."""
    plain = {
        "program": _program(),
        "authority": record.authority,
        "labels": dict(record.labels),
        "documents": {name: (made.sign, dict(made.files)) for name, made in record.documents.items()},
        "rows": [row.plain for row in record.rows.values()],
    }
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def digest(text: str) -> str:
    """A short name for a text: equal texts have equal digests."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@cache
def _program() -> str:
    """What changes whenever the same releases may be written otherwise."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    told = [source.read_text("utf-8") for source in sources] + [version(name) for name in _WRITERS]
    return digest("\0".join(told))


def _plain(row: Row) -> tuple[Any, ...]:
    mark = row.mark
    instants = (mark.released.isoformat(), mark.updated.isoformat())
    retracted = mark.retracted and mark.retracted.isoformat()
    return (mark.entry, mark.date.isoformat(), *instants, retracted, row.tags, row.language, row.shown)


def _row(plain: Any) -> Row:
    entry, day, released, updated, retracted, tags, language, shown = plain
    at = datetime.fromisoformat
    mark = ReleaseMark(entry, date.fromisoformat(day), at(released), at(updated), retracted and at(retracted))
    return Row(mark, tuple(tags), language, shown)
