"""What a YAML parser complains about, in the words of somebody who writes.

The complaints of both parsers of PyYAML, the C one and the Python one, are understood.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from pipeline.source.text import HIDDEN, called


class Broken(Exception):
    """The YAML cannot be read as it stands; `offset` counts from its beginning.

    `colon` says that the offset is a colon in an unquoted text: without it the rest could be read.
    """

    def __init__(
        self, offset: int, message: str, hint: str, *, code: str = "E004", colon: bool = False
    ) -> None:
        super().__init__(message)
        self.offset, self.message, self.hint, self.code, self.colon = offset, message, hint, code, colon


def refuse_magic(event: Any, offset: int) -> None:
    """Anchors, aliases and tags: to an editor they are a text that begins with `&`, `*` or `!`."""
    sign = None
    if isinstance(event, yaml.AliasEvent):
        sign = "*"
    elif event.anchor is not None:
        sign = "&"
    elif event.tag is not None:
        sign = "!"
    if sign:
        hint = f"Put quotes around a text that begins with `{sign}`; YAML's own use of it is not supported."
        raise Broken(offset, f"an unquoted value cannot begin with `{sign}`", hint)


_ODD_COLON = re.compile(rf"[ ]*(?:- )?(?P<key>[\w.-]+)(?::{HIDDEN.pattern}|\uff1a)")
_HASH_IN_LIST = re.compile(r"[^\n'\"#\[]*\[([^\n'\"#\]]*[ ,])?#(?=\w)")
_QUOTES = "Put quotes around the value."
_EXPLANATIONS = (
    # (part of the parser's words, whether it is where the construct begins that counts, message, hint)
    ("escape character", False, "a backslash in double quotes begins an escape that does not exist",
     "Use single quotes, or write the backslash twice."),
    ("quoted scalar", True, "a quotation mark is opened here and never closed",
     "Close it at the end of the text."),
    ("flow sequence", True, "this list in brackets is not closed, or a comma is missing in it",
     "Write it as [first, second]; quote what holds a colon, a comma or a bracket."),
    ("flow mapping", True, "these braces are not closed, or a comma is missing in them",
     "Quote a text that begins with a brace, or write one `key: value` per line."),
    ("simple key", True, "this line has no colon", "Write `key: value`."),
    ("sequence entries", False, "a list cannot begin on the line of its key",
     "Put each `- ` on a line of its own."),
    ("block scalar", True, "nothing may follow `|` or `>` on its line", "Begin the text on the next line."),
    ("directive", False, "a line cannot begin with `%`", _QUOTES),
)  # fmt: skip


def explain(error: yaml.MarkedYAMLError, text: str) -> Broken:
    """The parser's complaint in the words of somebody who writes."""
    words = f"{error.context or ''} {error.problem or ''}"
    at = min(error.problem_mark.index if error.problem_mark else 0, len(text))
    begin = error.context_mark.index if error.context_mark else at
    start = text.rfind("\n", 0, at) + 1
    line = text[start:].split("\n", 1)[0]
    before, sign = text[start:at], text[at : at + 1]
    indent = re.match(r"\s*", line + sign)
    assert indent is not None
    if "\t" in indent.group():
        hint = "Indent with spaces."
        return Broken(start + indent.group().index("\t"), "a tab cannot indent YAML", hint)
    if misread := _misread(text, at, colons="mapping values" in words or "simple key" in words):
        return misread
    if "mapping values" in words:
        return _colon(at, start, line, before)
    if "cannot start any token" in words or "anchor" in words or "alias" in words or "tag" in words:
        sign = text[begin : begin + 1]
        return Broken(begin, f"an unquoted value cannot begin with `{sign}`", _QUOTES)
    for part, beginning, message, hint in _EXPLANATIONS:
        if part in words:
            return Broken(begin if beginning else at, message, hint)
    if re.match(r"""\s*(- )?[\w.-]+:\s+(['"])""", before):
        hint = "In single quotes write an apostrophe twice; or use double quotes."
        return Broken(at, "the text goes on after its closing quotation mark", hint)
    hint = "Keys of one level begin in the same column, as `key: value`."
    return Broken(at, "this line does not fit what stands above it", hint)


def _misread(text: str, at: int, *, colons: bool) -> Broken | None:
    """What YAML does not take for what it looks like, in the line of the complaint or in the one above."""
    own = text.rfind("\n", 0, min(at, len(text.rstrip()))) + 1
    for begin in (text.rfind("\n", 0, max(own - 1, 0)) + 1, own):
        if colons and (match := _ODD_COLON.match(text, begin)):
            message = f"{called(match.group()[-1])} stands where a colon and a plain space belong"
            return Broken(match.end() - 1, message, f"Type it again: `{match['key']}: …`.")
        if match := _HASH_IN_LIST.match(text, begin):
            message = "in a list, a word that begins with `#` needs quotes"
            return Broken(match.end() - 1, message, "Write tags without `#`: hashtags are made from them.")
    return None


def _colon(at: int, start: int, line: str, before: str) -> Broken:
    """Either a colon inside a text without quotes, or a key that stands where a text still goes on."""
    if re.fullmatch(r"\s*[\w.-]+", before):
        hint = "Keys of one level begin in the same column; each is followed by a colon and a space."
        message = "this key is indented too far, or the line above it lacks its colon"
        return Broken(start + len(before) - len(before.lstrip()), message, hint)
    match = re.fullmatch(r"\s*(?:- )?([\w.-]+): +([^\"\\]{1,80}?)\s*", line)
    hint = f'Put quotes around the value: `{match[1]}: "{match[2]}"`' if match else _QUOTES
    return Broken(at, "a text that holds a colon and a space needs quotes", hint, colon=True)
