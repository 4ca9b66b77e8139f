"""What is wrong with the braces of a template, in the words of somebody who writes.

Pure. It is asked only once Jinja2 has refused a template, whose own words are for programmers, and whose
line is the one where it noticed. What must stay true: what is told stands in the line that is told.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_OPENING = re.compile(r"\{\{|\{%|\{#")
_CLOSERS = {"{{": "}}", "{%": "%}", "{#": "#}"}
# A text that is not closed goes on to the end, so that nothing is looked at twice.
_INSIDE = re.compile(
    r""""(?:[^"\\]|\\.)*(?:"|\\?\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z)|\{\{|\{%|\}\}|%\}|.""", re.DOTALL
)
_QUOTES = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2018\u2019\u201a\u201b"  # as word processors write them
_TAG = re.compile(r"\{%[-+]?\s*(?P<name>\w+)")
_BLOCKS = {"endif": "if", "endfor": "for"}
_BRANCHES = {"else", "elif"}
_LONGEST = 30

# (Jinja2's words, ours, hint)
_WORDS = (
    (
        r"Expected an expression, got 'end of .*",
        "these braces say nothing",
        "Name what is to stand here, or delete them.",
    ),
    (
        r"unexpected '(.+)', expected '(.+)'",
        "inside braces `{0}` stands where `{1}` belongs",
        "Close every bracket that is opened.",
    ),
    (
        r"expected token '(?:name|:)', got .*",
        "inside braces something is missing",
        "After `|` and `.` comes a word.",
    ),
    (r"expected token .*, got '='", "`=` compares nothing", "Write `==` to compare."),
    (
        r"expected token .*, got '(.+)'",
        "inside braces `{0}` stands where nothing can follow",
        "One word stands in braces: `{{{{ entry.title }}}}`; a filter comes after `|`.",
    ),
    (
        r"unexpected char (?:'(.+)'|\"(.+)\") at .*",
        "the character `{0}` cannot stand inside braces",
        "Delete it, or put it outside of the braces.",
    ),
    (
        r"unexpected '(.+)'",
        "inside braces `{0}` stands where it cannot",
        "Close every bracket that is opened.",
    ),
    (
        r"Encountered unknown tag '(\w+)'.*",
        "there is no `{{% {0} %}}` that could stand here",
        "There are `if`, `for` and `set`.",
    ),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, in which line of the template (from 1), and what to do."""

    message: str
    line: int
    hint: str


def explain(source: str, words: str, line: int) -> Fault:
    """The fault of a template that Jinja2 refused with these words, noticing it in that line."""
    found = _fault(source)
    if found is not None:
        return found
    for pattern, message, hint in _WORDS:
        if match := re.fullmatch(pattern, words, re.DOTALL):
            told = [part for part in match.groups() if part]
            return Fault(message.format(*told), line, hint.format())
    return Fault(words, line, "")


def _fault(source: str) -> Fault | None:
    """The first pair of braces that is not one, or the first block that is not ended."""
    blocks: list[tuple[str, int]] = []
    place = 0
    while opening := _OPENING.search(source, place):
        line = source.count("\n", 0, opening.start()) + 1
        if opening.group() == "{#":
            end = source.find("#}", opening.end())
            fault = None if end >= 0 else _open(source[opening.start() :], opening, line)
        else:
            end, fault = _end(source, opening, line)
        if fault is not None:
            return fault
        place = end + 2
        if (tag := _TAG.match(source, opening.start())) and (fault := _block(tag["name"], line, blocks)):
            return fault
    if blocks:
        name, line = blocks[-1]
        return Fault(f"`{{% {name} … %}}` is never ended", line, f"Write `{{% end{name} %}}` where it ends.")
    return None


def _end(source: str, opening: re.Match[str], line: int) -> tuple[int, Fault | None]:
    """Where the braces close, or what is wrong with them."""
    closer, depth = _CLOSERS[opening.group()], 0
    for part in _INSIDE.finditer(source, opening.end()):
        match part.group():
            case "}}" if closer == "}}" and depth < 2:
                return part.start(), None
            case "%}" if closer == "%}":
                return part.start(), None
            case "{":
                depth += 1
            case "}" if depth:
                depth -= 1
            case "}}" if depth >= 2:
                depth -= 2
            case "}" | "}}" | "%}" as wrong:
                shown = _shown(source[opening.start() : part.end()])
                return 0, Fault(
                    f"{shown} is closed with `{wrong}`",
                    line,
                    f"What begins with `{opening.group()}` ends with `{closer}`.",
                )
            case "{{" | "{%":
                return 0, _open(source[opening.start() : part.start()], opening, line)
            case text if text[0] in "\"'" and (len(text) == 1 or text[-1] != text[0]):
                where = source.count("\n", 0, part.start()) + 1
                return 0, Fault(
                    "a quotation mark inside braces is opened and never closed", where, "Close it."
                )
            case quote if quote in _QUOTES:
                where = source.count("\n", 0, part.start()) + 1
                name = unicodedata.name(quote).lower()
                message = f"the character `{quote}` ({name}) stands inside braces"
                return 0, Fault(message, where, "Word processors write it: type a straight \" or ' there.")
    return 0, _open(source[opening.start() :], opening, line)


def _open(text: str, opening: re.Match[str], line: int) -> Fault:
    shown = _shown(text.split("\n", 1)[0])
    return Fault(f"{shown} is never closed", line, f"Close it with `{_CLOSERS[opening.group()]}`.")


def _block(name: str, line: int, blocks: list[tuple[str, int]]) -> Fault | None:
    """Take a tag in: blocks end in the order in which they began."""
    if name in _BLOCKS.values():
        blocks.append((name, line))
    elif name in _BLOCKS or name in _BRANCHES:
        inner = blocks[-1][0] if blocks else None
        if inner is None or (name in _BLOCKS and _BLOCKS[name] != inner):
            why = f"the innermost one is `{inner}`" if inner else "no block is open"
            return Fault(f"`{{% {name} %}}` belongs to no block: {why}", line, "Begin it, or delete this.")
        if name in _BLOCKS:
            blocks.pop()
    return None


def _shown(text: str) -> str:
    words = " ".join(text.split())
    return f"`{words if len(words) <= _LONGEST else words[: _LONGEST - 1] + '…'}`"
