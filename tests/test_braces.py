"""What is wrong with a template's braces is told in plain words, in its line."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.braces import explain
from pipeline.composing import TemplateProblem, compile_template


def problem_of(source: str) -> TemplateProblem:
    with pytest.raises(TemplateProblem) as caught:
        compile_template(source)
    return caught.value


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("a\n{{ entry.title\nb", 2, "`{{ entry.title` is never closed"),
        ("{{ entry.title\net {{ entry.url }}", 1, "`{{ entry.title` is never closed"),
        ("{{ {{ entry.title }} }}", 1, "`{{` is never closed"),
        ("a\n\n{% if entry.place\nb", 3, "`{% if entry.place` is never closed"),
        ("{# note", 1, "`{# note` is never closed"),
        ("a\n{{ entry.title } b\nc", 2, "`{{ entry.title }` is closed with `}`"),
        ("{{ entry.title %}", 1, "`{{ entry.title %}` is closed with `%}`"),
        ("{% if entry.place }}a{% endif %}", 1, "`{% if entry.place }}` is closed with `}}`"),
        ("{{ “a” }}", 1, "the character `“` (left double quotation mark) stands inside braces"),
        (
            "{{ entry.title\n| replace(\u2018a\u2019, 'b') }}",
            2,
            "the character `\u2018` (left single quotation mark)",
        ),
        ("a\n{{ entry.title\n| join('b) }}", 3, "a quotation mark inside braces is opened and never closed"),
        ("{{ 1 }}\n{% if entry.place %}\na", 2, "`{% if … %}` is never ended"),
        (
            "{% for tag in entry.tags %}{% endif %}",
            1,
            "`{% endif %}` belongs to no block: the innermost one is",
        ),
        ("{% else %}", 1, "`{% else %}` belongs to no block: no block is open"),
        ("{{ entry title }}", 1, "inside braces `title` stands where nothing can follow"),
        ("{{}}", 1, "these braces say nothing"),
        ("{{ (entry.title }}", 1, "inside braces `}` stands where `)` belongs"),
        ("{% fro tag in entry.tags %}", 1, "there is no `{% fro %}` that could stand here"),
        ("{{ entry.title | uper }}", 1, "there is no filter `uper`; did you mean `upper`?"),
    ],
)
def test_the_fault_is_told_in_plain_words_in_its_line(source: str, line: int, message: str):
    problem = problem_of(source)
    assert problem.message.startswith(message)
    assert problem.line == line


def test_the_hint_is_about_the_braces():
    assert problem_of("{{ entry.title").hint == "Close it with `}}`."
    assert problem_of("{{ entry.title }").hint == "What begins with `{{` ends with `}}`."


def test_what_stands_in_straight_quotes_and_in_mappings_is_no_brace():
    compile_template("{{ '“}} {{ l’' }} {{ {'a': {'b': 1}} | length }}")
    assert problem_of("{{ '}}' }} {{ {'a': {'b': 1}} | length }}\n{{ entry.url").line == 2


@given(st.text(alphabet="{}%#\"'\\\n “ifendfor", max_size=60))
def test_any_text_has_a_fault_with_a_line_of_its_own(source: str):
    fault = explain(source, "unexpected words of another version", 1)
    assert fault.message
    assert 1 <= fault.line <= source.count("\n") + 1


@pytest.mark.parametrize("part", ['\\"', "\"'", "{", "{{", "{% if a %}", "{# #}", "'"])
def test_a_long_text_is_explained_at_once(part: str):
    began = time.perf_counter()
    explain("{{ " + part * (20_000 // len(part)), "words", 1)
    assert time.perf_counter() - began < 1
