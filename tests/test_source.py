"""Characters, YAML and marks: what was typed stays text, every key has a place, nothing is unbounded."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.source import Document, Marks, clean, read_mapping, read_text, walk
from pipeline.source.document import LOADER, MAX_VALUES, MAX_YAML
from pipeline.source.text import MAX_FILE

LOADERS = pytest.mark.parametrize("loader", [LOADER, yaml.SafeLoader], ids=["c", "python"])


def read(text: str) -> Document:
    return read_mapping("a.yaml", text)


def where(document: Document) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.column, problem.code) for problem in document.problems]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("no", "no"),
        ("Yes", "Yes"),
        ("2016", "2016"),
        ("0123", "0123"),
        ("12:30", "12:30"),
        ("2016-04-21 09:00", "2016-04-21 09:00"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        ("0x1F", "0x1F"),
        ("=", "="),
        ("'null'", "null"),
        ('""', ""),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_a_scalar_is_the_text_that_was_typed(typed: str, text: str | None):
    assert read(f"key: {typed}\n").data == {"key": text}


def test_marks_lead_to_keys_and_values_at_every_depth():
    marks = read("été: 1\nchannels:\n  x:\n    time: 12:30\ntags: [a, « b »]\n").marks
    assert marks.at("channels", "x", "time") == (4, 5)
    assert marks.value("channels", "x", "time") == (4, 11)
    assert marks.at("tags", 1) == marks.value("tags", 1) == (5, 11)
    assert marks.value("channels") == (3, 3)


def test_marks_of_what_is_not_there_are_those_of_the_nearest_ancestor():
    marks = read("# comment\nchannels:\n  x: {}\n").marks
    assert marks.at("channels", "x", "time") == (3, 3)
    assert marks.at("channels", "y") == (2, 1)
    assert marks.at("posting", "skip", 3) == (1, 1)
    assert marks.value("posting", "skip", 3) == (2, 1)
    assert Marks().at("anything") == (1, 1)


def test_marks_count_the_lines_of_a_literal_block():
    marks = read("text: |\n  one\n  two\nother: three\n").marks
    assert marks.inside(2, "text") == (3, 1)
    assert marks.inside(2, "other") == (4, 8)
    assert marks.inside(99, "text") == (1, 7)


def test_columns_count_characters_not_bytes():
    assert where(read("« é😀 »: a\n« é😀 »: b\nx: [é, 😀, b: c: d]\n"))[0] == (2, 1, "E005")
    assert where(read("x: é😀 : b\n")) == [(1, 7, "E004")]


@LOADERS
def test_both_parsers_agree_on_every_broken_campaign(loader: type):
    for path in sorted((Path(__file__).parent / "broken" / "schedules").iterdir()):
        text, _ = clean("a.yaml", path.read_text(encoding="utf-8"))
        assert read_mapping("a.yaml", text, loader=loader) == read_mapping("a.yaml", text)


@LOADERS
@pytest.mark.parametrize("escape", [r"\ud800", r"\UFFFFFFFF", r"\U00110000", r"\x00", r"\q", r"\uFEFF"])
def test_an_escape_that_is_no_usable_character_is_a_problem(loader: type, escape: str):
    document = read_mapping("a.yaml", f'key: "{escape}"\n', loader=loader)
    assert [problem.code for problem in document.problems] in (["E004"], ["E007"])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: &x b\n", (1, 4)),
        ("a: *x\n", (1, 4)),
        ("a: & b\n", (1, 4)),
        ("a: !!str b\n", (1, 4)),
        ("a: ! b\n", (1, 4)),
        ("? [a]\n: b\n", (1, 3)),
        ("a: {{ b }}\n", (1, 5)),
        ("a: b\n---\nc: d\n", (2, 1)),
        ("a: - b\n", (1, 4)),
        ("a: `b`\n", (1, 4)),
        ("a: %b\n", (1, 4)),
        ("a: |b\n  c\n", (1, 4)),
        ('a: "b" c\n', (1, 8)),
        ("a: [b]]\n", (1, 7)),
        ("a: {b: c\nd: e\n", (1, 4)),
        ("a: b\n- c\n", (2, 1)),
        ("%YAML 9.9\n---\na: b\n", (1, 1)),
        ("%YAML 1.1\n\n\n", (1, 10)),
        (" a: b\nc: d\n", (2, 1)),
        ("a: b\n\tc: d\n", (2, 1)),
        ("a:\n  - b\n  \t- c: d\n", (3, 3)),
    ],
)
def test_what_yaml_refuses_or_would_obey_is_told_at_its_place(text: str, place: tuple[int, int]):
    document = read(text)
    assert document.data is None
    assert where(document) == [(*place, "E004")]
    assert document.problems[0].hint


def test_a_colon_in_a_text_does_not_hide_the_problems_below_it():
    document = read("a: b : c : d\ne: f: g\nh: i\nh: j\n")
    assert where(document) == [(1, 6, "E004"), (2, 5, "E004"), (4, 1, "E005")]
    assert document.data == {"a": "b : c : d", "e": "f: g", "h": "i"}


@LOADERS
@pytest.mark.parametrize("typed", ["title\u00a0: OuiStock", "title\u202f: OuiStock", "ti\u200btle: OuiStock"])
def test_a_space_that_nobody_sees_in_a_key_is_named_and_the_key_is_read(typed: str, loader: object):
    document = read_mapping("a.yaml", f"{typed}\nurl: x\n", loader=loader)
    (problem,) = document.problems
    assert (problem.line, problem.column, problem.code) == (1, 1, "E102")
    assert "U+2" in problem.message or "U+00A0 (no-break space)" in problem.message
    assert problem.hint == "Type it again: `title: …`."
    assert document.data == {"title": "OuiStock", "url": "x"}


@LOADERS
@pytest.mark.parametrize("rest", ["", "\nurl: x"])
@pytest.mark.parametrize(("sign", "column"), [(":\u00a0", 7), (":\u202f", 7), ("\uff1a", 6)])
def test_a_colon_that_is_none_is_named_where_it_stands(sign: str, column: int, rest: str, loader: object):
    document = read_mapping("a.yaml", f"lang: fr\ntitle{sign}OuiStock{rest}\n", loader=loader)
    assert where(document) == [(2, column, "E004")]
    assert document.problems[0].hint == "Type it again: `title: …`."


def test_a_no_break_space_in_a_text_of_several_lines_is_not_taken_for_a_colon():
    document = read("summary: Bonjour\n  monde\u00a0! Oui\n  encore: là\n")
    assert "colon" in document.problems[0].message
    assert "U+00A0" not in document.problems[0].message


def test_the_first_of_two_equal_keys_stands():
    document = read("a: {b: 1, b: 2}\na: {b: 3, c: 4}\n")
    assert where(document) == [(1, 11, "E005"), (2, 1, "E005")]
    assert document.data == {"a": {"b": "1"}}
    assert document.marks.at("a", "c") == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 100_000,
        "a: " + "{" * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "\n".join(" " * n + "a:" for n in range(500)),
        "a: [" + "b," * (MAX_VALUES + 1) + "]",
        "a: " + "b" * MAX_YAML,
        "\n".join(f"k{n}: b : c" for n in range(10_000)),
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(50)),
        "a: '" + "é" * 50_000,
        "a:\n" * 50_000,
    ],
    ids=["[", "{", "-", "?", "steps", "many", "long", "colons", "bomb", "open quote", "same key"],
)
def test_large_or_deep_yaml_is_a_problem_told_quickly(text: str):
    before = time.perf_counter()
    document = read(text)
    assert document.problems
    assert time.perf_counter() - before < 20


def test_a_byte_that_is_not_utf8_is_told_at_its_line_and_character(tmp_path: Path):
    (tmp_path / "a.md").write_bytes("\ufeffété\r\nune clé".encode() + b"\xe9\n")
    text, problems = read_text(tmp_path, "a.md")
    assert text is None
    assert [(p.line, p.column, p.code) for p in problems] == [(2, 8, "E002")]


def test_a_file_that_is_gone_a_folder_or_too_large_cannot_be_read(tmp_path: Path):
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "large.md").write_bytes(b"a" * (MAX_FILE + 1))
    for name in ("gone.md", "folder.md", "large.md", "a\0b.md", "a" * 300 + ".md"):
        text, problems = read_text(tmp_path, name)
        assert text is None
        assert [problem.code for problem in problems] == ["E001"]


def test_every_line_with_a_refused_character_is_told_and_the_places_stay():
    text, problems = clean("a.md", "\ufeffa\x00\x07\r\nb\rc\u2028d\ufeff\n\ud800")
    assert text == "a\ufffd\ufffd\nb\nc\ufffdd\ufffd\n\ufffd"
    assert [(p.line, p.column, p.code) for p in problems] == [(1, 2, "E007"), (3, 2, "E007"), (4, 1, "E007")]


def test_what_people_really_type_is_not_refused():
    text = "👩‍👩‍👧 عربي « à  10 € » e\u0301 \t\u200f\u00ad 日本\n"
    assert clean("a.md", text) == (text, [])


def test_a_walk_finds_files_and_leaves_out_dots_and_links_that_lead_away(tmp_path: Path):
    inside = tmp_path / "content"
    for name in ("b.md", "a/deep.MD", ".hidden.md", ".git/x.md", "notes.txt", "a/.x/y.md"):
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_text("x", encoding="utf-8")
    (tmp_path / "secret.md").write_text("x", encoding="utf-8")
    (inside / "away.md").symlink_to(tmp_path / "secret.md")
    (inside / "near.md").symlink_to(inside / "b.md")
    (inside / "loop").symlink_to(inside)
    found = walk(tmp_path, "content", (".md",), deep=True)
    assert found == ["content/a/deep.MD", "content/b.md", "content/near.md"]
    assert walk(tmp_path, "content", (".md",), deep=False) == ["content/b.md", "content/near.md"]
    assert walk(tmp_path, "nowhere", (".md",), deep=True) == []


yaml_text = st.text(
    alphabet=st.sampled_from(list("ab é😀:-[]{}#&*!|>'\"%@`,?~\n\n \t\\<=0\x00\x85\u2028\ud800")), max_size=60
)


@LOADERS
@given(yaml_text | st.text(max_size=200))
def test_any_text_gives_a_mapping_or_a_problem_inside_the_file(loader: type, text: str):
    text, _ = clean("a.yaml", text)
    document = read_mapping("a.yaml", text, loader=loader)
    lines = text.split("\n")
    assert document.data is not None or document.problems
    for problem in document.problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


def test_a_key_of_several_lines_is_told_in_one():
    assert all("\n" not in problem.message for problem in read('"a\n\nb": c\n"a\n\nb": d\n').problems)
