"""What the tests of content and schedules share: written-down faults, clumsy edits, and what always holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from pipeline.problems import as_annotations, as_json, as_text, has_errors
from pipeline.source import Parsed

BROKEN = Path(__file__).parents[1] / "broken"

_SIGNS = st.sampled_from(
    [*":-[]{}#&*!|>'\"%@`,?~ \n\t\r\\<=/.0aé😀", ": ", "\n\n", "---\n", "\x00", "\u2028", "\ud800"]
)
_NEARLY = (
    *(
        "fr",
        "x-",
        "2016-02-30",
        "0000-00-00",
        "2016-04-21",
        "2016-04-21T09:00+14:00",
        "24:00",
        "9999d",
        "1h30m",
    ),
    *(
        "-1h",
        "0s",
        "mon",
        "Europe",
        "UTC",
        "a//b",
        "//",
        "http://",
        "https://[",
        "http://a:b@c",
        "https://xn--/",
    ),
    *("https://é.example:99999", "https://example.org/", "../x.png", "content", "/", ".", ",", "a@b,2016"),
    *("ready", "[key]", "__class__", "model_config", "<<", "*", "🙂"),
)


def expected(folder: str) -> dict[str, list[str]]:
    """The written-down faults of a folder: path to "line:column code", sorted."""
    faults: dict[str, list[str]] = {}
    for row in (BROKEN / "expected.txt").read_text(encoding="utf-8").splitlines():
        if row.startswith(folder):
            path, line, rest = row.split(":")
            faults.setdefault(path, []).append(f"{line}:{rest}")
    return {path: sorted(rows) for path, rows in faults.items()}


def found(parsed: Parsed[Any]) -> list[str]:
    """The problems of a file in the form of `expected`."""
    return sorted(f"{p.line}:{p.column} {p.code}" for p in parsed.problems)


def assert_sound(parsed: Parsed[Any], text: str) -> None:
    """A value or an error; every problem stands inside the text and can be printed in every form."""
    assert (parsed.value is None) == has_errors(parsed.problems)
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for problem in parsed.problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert len(problem.message) < 400
        assert "\n" not in problem.message + problem.hint
        assert "pydantic" not in (problem.message + problem.hint).lower()
    for show in (as_text, as_json, as_annotations):
        show(parsed.problems).encode("utf-8")


@st.composite
def edits(draw: st.DrawFn, text: str) -> str:
    """The text after some clumsy edits: signs put in, stretches deleted, lines doubled, moved or indented."""
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(text)))
        kind = draw(st.sampled_from(["insert", "delete", "double", "move", "indent"]))
        if kind == "insert":
            text = text[:at] + "".join(draw(st.lists(_SIGNS, min_size=1, max_size=4))) + text[at:]
        elif kind == "delete":
            text = text[:at] + text[at + draw(st.integers(1, 12)) :]
        else:
            lines = text.split("\n")
            number = draw(st.integers(0, len(lines) - 1))
            line = lines[number]
            if kind == "move":
                del lines[number]
            lines.insert(draw(st.integers(0, len(lines))), "  " + line if kind == "indent" else line)
            text = "\n".join(lines)
    return text


def documents(keys: tuple[str, ...]) -> st.SearchStrategy[str]:
    """YAML with the keys a parser knows and values of every shape, among them nearly right ones."""
    near = st.sampled_from(_NEARLY)
    scalars = st.none() | near | st.text(max_size=20) | st.integers() | st.booleans() | st.dates()
    names = st.sampled_from(keys) | near | st.text(max_size=8)
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
        max_leaves=20,
    )
    known = st.dictionaries(st.sampled_from(keys), values, max_size=len(keys))
    return known.map(lambda data: yaml.safe_dump(data, allow_unicode=True))
