"""YAML as it was typed: parser events become plain data and marks.

No recursion, and nothing is built beyond the limits: depth, length, number of values. Anchors, aliases
and tags are refused, so that no small file becomes a large one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from pipeline.problems import Problem
from pipeline.source.complaints import Broken, explain, refuse_magic
from pipeline.source.text import (
    HIDDEN,
    REFUSED,
    REPLACEMENT,
    Keys,
    Marks,
    called,
    line_starts,
    refused,
)

MAX_YAML = 256 * 1024  # characters
MAX_DEPTH = 12
MAX_VALUES = 10_000
MAX_REPAIRS = 20

_STAND_IN = "\ue000"
_HASHED = re.compile(r"[^\n#]*[:-][ \t]+#\w")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Document:
    """A mapping as it was typed. `data` is None when nothing of it could be read; `problems` says why."""

    data: dict[str, Any] | None
    problems: tuple[Problem, ...]
    marks: Marks


def read_mapping(
    path: str, text: str, start: int = 0, end: int | None = None, *, loader: Any = LOADER
) -> Document:
    """The YAML mapping between two offsets of a cleaned text; marks count from the text's first line.

    `loader` is PyYAML's C parser where it was built, else its Python one, which is ten times slower.
    """
    return _Reader(path, text, start, len(text) if end is None else end, loader).read()


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is still open. `key` is the mapping's key that waits for its value."""

    container: dict[str, Any] | list[Any]
    path: Keys
    key: str | None = None
    doubled: bool = False


class _Reader:
    """Builds the document from parser events: no recursion, and nothing is built beyond the limits."""

    def __init__(self, path: str, text: str, start: int, end: int, loader: Any) -> None:
        self.path, self.start, self.loader = path, start, loader
        self.yaml = text[start:end]
        self.starts = line_starts(text)
        self.repairable = _STAND_IN not in self.yaml
        self.problems: list[Problem] = []
        self._begin()

    def _begin(self) -> None:
        self.keys: dict[Keys, int] = {(): self.start}
        self.values: dict[Keys, int] = {}
        self.literal: set[Keys] = set()
        self.hashed: set[Keys] = set()
        self.found: list[Problem] = []
        self.stack: list[_Frame] = []
        self.root: Any = None
        self.top: Keys = ()
        self.documents = self.count = 0

    def read(self) -> Document:
        complete = False
        try:
            self._measure()
            while not (complete := self._pass()):
                self._begin()
        except Broken as broken:
            self.problems.append(self._problem(broken))
        marks = Marks(self.starts, self.keys, self.values, frozenset(self.literal), frozenset(self.hashed))
        data = self.root if complete else None
        if complete and not isinstance(data, dict):
            data = None
            self._not_a_mapping(marks)
        return Document(data, tuple(sorted(self.problems + self.found)), marks)

    def _measure(self) -> None:
        if len(self.yaml) > MAX_YAML:
            message = f"the YAML is longer than {MAX_YAML >> 10} KiB"
            raise Broken(0, message, "Keep long texts in the body of an entry.")

    def _not_a_mapping(self, marks: Marks) -> None:
        what = "there are no keys" if self.root is None else "this is not a mapping of keys to values"
        line, column = marks.value()
        hint = "Write one `key: value` per line, as in `title: OuiStock`."
        self.problems.append(Problem(self.path, line, column, "E006", what, hint))

    def _pass(self) -> bool:
        """Read all events. False: a colon was reported and neutralised, so read again from the top."""
        try:
            for event in yaml.parse(self.yaml, Loader=self.loader):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            broken = explain(error, self.yaml)
            if not (broken.colon and self.repairable) or len(self.problems) == MAX_REPAIRS:
                raise broken from error
            self.problems.append(self._problem(broken))
            self._neutralise(broken.offset)
            return False
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            # Only the pure Python parser: an escape such as "\UFFFFFFFF" that is no character.
            raise Broken(0, "an escape sequence names no character", "Write the character itself.") from error
        return True

    def _neutralise(self, colon: int) -> None:
        """Replace the colons of the rest of the line, each by one character: every position stays true."""
        end = self.yaml.find("\n", colon)
        end = len(self.yaml) if end < 0 else end
        rest = re.sub(r":(?=\s|$)", _STAND_IN, self.yaml[colon:end])
        self.yaml = self.yaml[:colon] + rest + self.yaml[end:]

    def _problem(self, broken: Broken) -> Problem:
        offset = min(
            broken.offset, len(self.yaml.rstrip())
        )  # the end of the YAML is not beyond its last word
        line, column = Marks(self.starts).position(self.start + offset)
        return Problem(self.path, line, column, broken.code, broken.message, broken.hint)

    def _take(self, event: Any) -> None:
        offset = event.start_mark.index
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise Broken(offset, "a second document begins here", "Delete the line `---`.")
        elif isinstance(event, yaml.NodeEvent):
            self._node(event, offset)
        elif isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()

    def _node(self, event: Any, offset: int) -> None:
        self.count += 1
        if self.count > MAX_VALUES:
            raise Broken(offset, f"there are more than {MAX_VALUES} values", "Split the file.")
        refuse_magic(event, offset)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._key(frame, event, offset)
            return
        if isinstance(event, yaml.ScalarEvent):
            plain = not event.style and event.value in _NULLS
            self._put(frame, None if plain else self._text(event.value, offset), offset, event)
            return
        if len(self.stack) >= MAX_DEPTH:
            raise Broken(offset, f"values are nested more than {MAX_DEPTH} deep", "Write it flatter.")
        container: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.stack.append(_Frame(container, self._put(frame, container, offset, event)))

    def _key(self, frame: _Frame, event: Any, offset: int) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            hint = "Put quotes around a value that begins with `{` or `[`."
            raise Broken(offset, "a key must be a word", hint)
        assert isinstance(frame.container, dict)
        key = self._seen(self._text(event.value, offset), offset)
        frame.key, frame.doubled = key, key in frame.container
        if frame.doubled:
            line, _ = Marks(self.starts).position(self.keys[*frame.path, key])
            hint = f"It is already in line {line}; keep one of the two."
            doubled = Broken(
                offset, f"the key `{' '.join(key[:40].split())}` stands twice", hint, code="E005"
            )
            self.found.append(self._problem(doubled))
        else:
            frame.container[key] = None
            self.keys[*frame.path, key] = self.start + offset

    def _seen(self, key: str, offset: int) -> str:
        """The key as it is seen: a no-break space before the colon, as the French type it, is a fault."""
        hidden = HIDDEN.search(key)
        if hidden is None:
            return key
        seen = " ".join(HIDDEN.sub(" " if hidden.group().isspace() else "", key).split())
        message = f"the key `{seen[:40]}` holds {called(hidden.group())}, which nobody sees"
        self.found.append(
            self._problem(Broken(offset, message, f"Type it again: `{seen[:40]}: …`.", code="E102"))
        )
        return seen

    def _put(self, frame: _Frame | None, value: Any, offset: int, event: Any) -> Keys:
        """Store a value where it belongs; the key path under which its own members are marked."""
        if frame is None:
            self.root, path = value, self.top
        elif isinstance(frame.container, list):
            path = (*frame.path, len(frame.container))
            frame.container.append(value)
            self.keys[path] = self.start + offset
        else:
            assert frame.key is not None
            key, frame.key = frame.key, None
            path = (*frame.path, key)
            if frame.doubled:
                return (*path, -1)  # the first one stands: what is under the second marks nothing
            frame.container[key] = value
        if value is not None:
            self.values[path] = self.start + offset
        elif path in self.keys and _HASHED.match(self.yaml, self.keys[path] - self.start):
            self.hashed.add(path)
        if isinstance(event, yaml.ScalarEvent) and event.style == "|":
            self.literal.add(path)
        return path

    def _text(self, text: str, offset: int) -> str:
        match = REFUSED.search(text)
        if match:
            line, column = Marks(self.starts).position(self.start + offset)
            self.found.append(refused(self.path, line, column, match.group()))
        text = REFUSED.sub(REPLACEMENT, text)
        return text.replace(_STAND_IN, ":") if self.repairable else text
