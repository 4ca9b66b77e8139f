"""A control that turns the direction of writing must be closed in the text in which it is opened."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.content import parse_entry
from pipeline.source.bidi import unclosed

ENTRY = """---
title: {title}
summary: {summary}
url: https://example.org/p
posts:
  outbox: {text}
---
Text.
"""
OPENERS = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"


def problems(title: str = "Title", summary: str = "Short.", text: str = "Text") -> list[str]:
    found = parse_entry("content/e.md", ENTRY.format(title=title, summary=summary, text=text)).problems
    return [f"{p.line}:{p.column} {p.code} {p.message} {p.hint}" for p in found]


@pytest.mark.parametrize("opener", OPENERS)
def test_a_control_that_is_never_closed_is_told_with_its_name_and_place(opener: str):
    (told,) = problems(title=f"Un {opener}titre")
    assert told.startswith("2:8 E007 `title` turns what follows it around: character 4, U+20")
    assert f"U+{ord(opener):04X} (" in told
    assert ("close it with U+2069 (" if opener >= "\u2066" else "close it with U+202C (") in told


def test_an_escape_is_no_way_around_and_every_text_is_looked_at():
    assert len(problems(title='"a\\u202eb"', summary="a \u2067b", text="a \u202bb")) == 3
    assert (
        problems(title="a\u202eb")[0]
        .split("; ")[0]
        .endswith("Delete that invisible character, or close it with U+202C (pop directional formatting).")
    )


@pytest.mark.parametrize(
    "text",
    [
        "Un \u2067مشروع\u2069 commun",
        "\u202aa \u202eb\u202c c\u202c",
        "\u2067a \u202bb\u2069 c",
        "fin\u2069 et fin\u202c",
        "\u200fمشروع\u200e",
    ],
)
def test_what_is_closed_or_turns_nothing_is_fine(text: str):
    assert problems(title=text, summary=text, text=text) == []


def test_a_line_of_a_text_is_closed_in_that_line():
    assert problems(text="|\n    un \u2067\n    deux\u2069\n") != []


@given(st.text(alphabet=OPENERS + "\u202c\u2069a\n", max_size=40))
def test_what_is_open_is_closed_by_what_is_named(text: str):
    for _ in range(len(text) + 1):
        left = unclosed(text)
        if left is None:
            break
        assert text[left[0]] in OPENERS
        end = text.find("\n", left[0])
        end = len(text) if end < 0 else end
        text = text[:end] + left[1] + text[end:]
        # An isolate's end closes the embeddings inside it; an embedding's own end may be masked by them.
        if unclosed(text) == left:
            text = text[: left[0]] + text[left[0] + 1 :]
    assert unclosed(text) is None
