"""Problems: every code is documented and used, and each printed form can be relied on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.problems import CODES, Problem, Severity, as_annotations, as_json, as_text, has_errors

DOC = Path(__file__).parents[1] / "docs" / "PROBLEMS.md"
ERROR = Problem("content/a.md", 3, 7, "E105", "`url` is wrong", "Write it.")
WARNING = Problem("content/a.md", 2, 1, "W304", "a tag makes no hashtag", severity=Severity.WARNING)


def documented() -> dict[str, list[str]]:
    rows = re.findall(r"^\| `([EW][0-9]{3})` \|(.+)\|$", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    assert len({code for code, _ in rows}) == len(rows), "a code has two rows"
    return {code: [cell.strip() for cell in rest.split(" | ")] for code, rest in rows}


def test_every_code_has_one_row_with_meaning_example_and_remedy():
    rows = documented()
    assert list(rows) == list(CODES)
    for code, cells in rows.items():
        assert len(cells) == 3
        assert all(cells)
        assert cells[0] == CODES[code]


def test_the_broken_files_show_every_fault_that_a_single_file_can_have():
    expected = (Path(__file__).parent / "broken" / "expected.txt").read_text(encoding="utf-8")
    shown = set(re.findall(r"[EW][0-9]{3}$", expected, re.MULTILINE))
    across = {code for code in CODES if code[0] == "W" or code[1] in "345"} - {"E307", "E404"}
    assert shown == set(CODES) - across - {"E001"}


def test_an_undocumented_code_cannot_be_used():
    with pytest.raises(ValueError, match="E999"):
        Problem("a.md", 1, 1, "E999", "?")


def test_text_is_sorted_one_line_a_problem_with_the_hint_below():
    assert as_text([ERROR, WARNING]).splitlines() == [
        "content/a.md:2:1: warning W304 a tag makes no hashtag",
        "content/a.md:3:7: E105 `url` is wrong",
        "    Write it.",
    ]


def test_json_holds_every_field_under_its_documented_name():
    assert json.loads(as_json([ERROR, WARNING]))["problems"][1] == {
        "path": "content/a.md",
        "line": 3,
        "column": 7,
        "code": "E105",
        "message": "`url` is wrong",
        "hint": "Write it.",
        "severity": "error",
    }


def test_only_errors_make_a_check_fail():
    assert has_errors([WARNING, ERROR])
    assert not has_errors([WARNING])


def as_a_runner_reads_it(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command taken apart as GitHub's runner does: properties at commas, then each unescaped."""
    kind, _, rest = line.removeprefix("::").partition(" ")
    head, _, message = rest.partition("::")

    def back(text: str, *escapes: str) -> str:
        for escape in (*escapes, "%0D", "%0A", "%25"):
            text = text.replace(escape, chr(int(escape[1:], 16)))
        return text

    properties = dict(part.partition("=")[::2] for part in head.split(","))
    return kind, {name: back(value, "%3A", "%2C") for name, value in properties.items()}, back(message)


@given(st.text(), st.text(min_size=1))
def test_a_runner_reads_from_an_annotation_what_was_meant(path: str, message: str):
    line = as_annotations([Problem(path, 3, 7, "W304", message, severity=Severity.WARNING)])
    expected = {"file": path, "line": "3", "col": "7", "title": "W304"}
    assert as_a_runner_reads_it(line) == ("warning", expected, message)


@given(st.text(), st.text())
def test_an_annotation_is_one_line_whose_properties_cannot_be_forged(path: str, message: str):
    line = as_annotations([Problem(path, 1, 2, "E101", message)])
    assert not re.search(r"[\r\n]", line)
    head, _, _ = line.removeprefix("::error ").partition("::")
    assert [part.partition("=")[0] for part in head.split(",")] == ["file", "line", "col", "title"]
