"""Invisible characters that turn the direction of a text, and must be closed where they are opened.

In a file each text ends with its own line; in a post, what stands behind it would be turned around with it.
"""

from __future__ import annotations

import re

_POP_EMBEDDING, _POP_ISOLATE = "\u202c", "\u2069"
# What opens → what closes it.
_PAIRS = {
    **dict.fromkeys("\u202a\u202b\u202d\u202e", _POP_EMBEDDING),
    **dict.fromkeys("\u2066\u2067\u2068", _POP_ISOLATE),
}
CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def unclosed(text: str) -> tuple[int, str] | None:
    """The first control that is still open at the end of its line: its offset, and what closes it.

    As Unicode has it: the end of an isolate also closes what was opened inside it.
    """
    if text.isascii():
        return None
    start = 0
    for line in text.split("\n"):
        opened = _opened(line)
        if opened is not None:
            return start + opened, _PAIRS[line[opened]]
        start += len(line) + 1
    return None


def _opened(line: str) -> int | None:
    stack: list[tuple[int, str]] = []
    isolates = 0
    for offset, character in enumerate(line):
        if character in _PAIRS:
            stack.append((offset, _PAIRS[character]))
            isolates += _PAIRS[character] == _POP_ISOLATE
        elif character == _POP_EMBEDDING and stack and stack[-1][1] == _POP_EMBEDDING:
            stack.pop()
        elif character == _POP_ISOLATE and isolates:
            isolates -= 1
            while stack.pop()[1] != _POP_ISOLATE:
                pass
    return stack[0][0] if stack else None
