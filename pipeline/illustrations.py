"""The pictures inside the bodies of entries, looked for as the feeds look for them.

What must stay true: `check` tells of a picture exactly when the feeds would go out without it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from pipeline import content
from pipeline.checks import Sources
from pipeline.model import Entry
from pipeline.problems import Problem
from pipeline.source import Marks, Position
from pipeline.source.values import quoted

# Where an address may stand: `![alt](address)`, `[name]: address`, `<img src=address>`.
_ADDRESS = re.compile(
    r"""\]\(\s*(?:<(?P<angled>[^<>\n]+)>|(?P<inline>(?:[^\s()<>]|\([^\s()<>]*\))+))"""
    r"""|^[ ]{0,3}\[[^\]\n]+\]:[ \t]*<?(?P<named>[^\s<>]+)"""
    r"""|<img\b[^>]*?\ssrc\s*=\s*["']?(?P<tag>[^"'>\s]+)""",
    re.MULTILINE | re.IGNORECASE,
)
_ESCAPED = re.compile(r"\\(?=[!-/:-@\[-`{-~])")


def illustration_problems(sources: Sources, root: Path) -> Iterator[Problem]:
    """E202 and E203 for each picture of a body that is missing, outside `content/` or no picture.

    Loads the feeds' libraries if there is a picture in any body.
    """
    for parsed in sources.entries.values():
        entry = parsed.value
        if entry is None or not content.may_show_pictures(entry.body):
            continue
        from pipeline.feeds import pictures  # noqa: PLC0415 - as the docstring says

        for lost in pictures.lost(root, entry):
            message = f"a picture of the body {lost.reason}: {quoted(unquote(lost.src))}"
            hint = (
                "Save the picture in one of these formats."
                if lost.found
                else content.where_to(root / lost.place, inside=lost.inside)
            )
            place = _place(entry, parsed.marks, lost.src)
            yield Problem(entry.path, *place, "E203" if lost.found else "E202", message, hint)


def _place(entry: Entry, marks: Marks, src: str) -> Position:
    """Where the address stands first; where the body begins if it is written in a way not thought of."""
    first = len(marks.starts) - entry.body.count("\n")
    for match in _ADDRESS.finditer(entry.body):
        written = html.unescape(_ESCAPED.sub("", match[match.lastgroup or 0]))
        if unquote(written) == unquote(src):
            start = match.start(match.lastgroup or 0)
            before = entry.body[:start]
            return first + before.count("\n"), start - (before.rfind("\n") + 1) + 1
    return first, 1
