"""Characters, lines and columns: a file's text, and where its keys and values stand.

Nothing an editor can save is a reason for an exception: what cannot be read is a problem with a place.
"""

from __future__ import annotations

import os
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from pipeline.problems import Problem

T = TypeVar("T")
Key: TypeAlias = str | int
Keys: TypeAlias = tuple[Key, ...]
Position: TypeAlias = tuple[int, int]

MAX_FILE = 2 * 1024 * 1024  # bytes
MAX_SHOWN = 50

# Control characters, halves of surrogate pairs and non-characters cannot stand in XML; U+FEFF and the
# U+2028 and U+2029 of word processors are invisible, and other programs take them for line ends.
REFUSED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]"
)
REPLACEMENT = "\ufffd"
# Spaces that are none to YAML, and what has no width at all: fine in a text, a trap in or beside a key.
HIDDEN = re.compile("[\u00a0\u00ad\u2007\u200b-\u200f\u202f\u2060\u3000]")


@dataclass(frozen=True, slots=True)
class Marks:
    """Where the keys and values of a file stand, as (line, column) counted from 1, columns in characters.

    Keys lead from the top of the YAML downwards: `("channels", "mastodon", "time")`, `("tags", 0)`. What
    is not in the file is given the position of its nearest ancestor that is.
    """

    starts: tuple[int, ...] = (0,)
    keys: Mapping[Keys, int] = field(default_factory=dict)
    values: Mapping[Keys, int] = field(default_factory=dict)
    literal: frozenset[Keys] = frozenset()
    hashed: frozenset[Keys] = frozenset()  # without a value, but with `#word` behind them

    def position(self, offset: int) -> Position:
        """The line and column of a character of the text, by its offset."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def at(self, *keys: Key) -> Position:
        """Where the key itself stands; for a member of a list, where the member begins."""
        return self._nearest(keys, self.keys, self.values)

    def value(self, *keys: Key) -> Position:
        """Where the value of that key begins; the key itself when the value is empty."""
        return self._nearest(keys, self.values, self.keys)

    def inside(self, line: int, *keys: Key) -> Position:
        """Where a line (from 1) of a text value stands: exact for a literal block (`|`)."""
        row, column = self.value(*keys)
        if keys not in self.literal or row + line > len(self.starts):
            return row, column
        return row + line, 1

    def _nearest(self, keys: Keys, wanted: Mapping[Keys, int], other: Mapping[Keys, int]) -> Position:
        for end in range(len(keys), -1, -1):
            offset = wanted.get(keys[:end], other.get(keys[:end]))
            if offset is not None:
                return self.position(offset)
        return 1, 1


@dataclass(frozen=True, slots=True)
class Parsed(Generic[T]):
    """What a file holds. `value` is None exactly when one of `problems` is an error."""

    value: T | None
    problems: tuple[Problem, ...]
    marks: Marks


def read_text(root: Path, path: str) -> tuple[str | None, list[Problem]]:
    """The text of a file (`path` relative to `root`), or the problem that it cannot be read (E001, E002)."""
    shown = printable(path)
    try:
        with (root / path).open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return None, [Problem(shown, 1, 1, "E001", f"the file cannot be read: {reason}")]
    if len(data) > MAX_FILE:
        hint = "Split the file, or move what does not belong into it elsewhere."
        return None, [Problem(shown, 1, 1, "E001", f"the file is larger than {MAX_FILE >> 20} MiB", hint)]
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        before = before.replace("\r\n", "\n").replace("\r", "\n")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        message = f"the byte 0x{data[error.start]:02X} is not UTF-8"
        return None, [Problem(shown, line, column, "E002", message, "Save the file with the encoding UTF-8.")]


def walk(root: Path, folder: str, suffixes: tuple[str, ...], *, deep: bool) -> list[str]:
    """The files in a folder with one of the suffixes, sorted, relative to `root`, with forward slashes.

    Dot-files, dot-folders and linked folders are left out, and so are links that lead out of the folder. A
    folder that cannot be listed stands in the list itself: reading it tells why.
    """
    base = root / folder
    home = os.path.realpath(base)
    found: list[Path] = []

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            found.append(Path(error.filename))

    for parent, folders, names in os.walk(base, onerror=unreadable):
        folders[:] = [name for name in folders if deep and not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if name.startswith(".") or not name.lower().endswith(suffixes):
                continue
            if path.is_symlink() and not os.path.realpath(path).startswith(home + os.sep):
                continue
            found.append(path)
    return sorted(path.relative_to(root).as_posix() for path in found)


def name_problem(path: str) -> list[Problem]:
    """E110 for a file whose name is not UTF-8: no screen can show it and no other machine can hold it."""
    shown = printable(path)
    if shown == path:
        return []
    return [Problem(shown, 1, 1, "E110", "the file's name is not UTF-8", "Rename it with a-z, 0-9 and `-`.")]


def printable(path: str) -> str:
    """The path, with what is not UTF-8 in it written as an escape."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def clean(path: str, text: str) -> tuple[str, list[Problem]]:
    """The text with plain line ends and without byte order mark, refused characters replaced (E007).

    Every replacement keeps its place, so that the rest of the file is still checked.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    problems: dict[int, Problem] = {}
    marks = Marks(line_starts(text))
    for match in REFUSED.finditer(text):
        line, column = marks.position(match.start())
        if line not in problems:
            problems[line] = refused(path, line, column, match.group())
        if len(problems) >= MAX_SHOWN:
            break
    return REFUSED.sub(REPLACEMENT, text), list(problems.values())


def line_starts(text: str) -> tuple[int, ...]:
    """The offset at which each line begins."""
    return (0, *(match.end() for match in re.finditer("\n", text)))


def called(character: str) -> str:
    """The character as a message names it: `U+00A0 (no-break space)`."""
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'no name').lower()})"


def refused(path: str, line: int, column: int, character: str) -> Problem:
    """The problem of a character that feeds and networks refuse."""
    message = f"the character U+{ord(character):04X} is invisible and refused by feeds and networks"
    return Problem(path, line, column, "E007", message, "Delete it; it often comes with a copied text.")
