"""The rules between files: each fault is found, and found where it stands."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.channels import open_channel
from pipeline.checks import Sources, calendar_problems, unread_problems
from pipeline.content import parse_entry
from pipeline.library import cross_problems
from pipeline.planning import plan
from pipeline.schedules import parse_campaign
from tests.support.builders import surroundings, utc

ENTRY = """---
title: Project
summary: A short summary. It has two sentences.
url: https://example.org/p
{more}---
Text.
"""
CAMPAIGN = """title: A campaign
description: One a day.
language: en
link: https://example.org/c/
event: {{name: The end, starts: 2016-04-21 09:00, timezone: Europe/Paris}}
posting: {{time: "09:00"{posting}}}
text: {text}
channels:
  outbox: {{{options}}}
{more}"""
LONG_BEFORE = utc(2016, 1, 1)


def entry(name="a", more=""):
    path = f"content/{name}.md"
    return path, parse_entry(path, ENTRY.format(more=more))


def campaign(name="c", text='"J-{{ days_left }} {{ entry.title }}"', more="", options="", posting=""):
    path = f"schedules/{name}.yaml"
    source = CAMPAIGN.format(text=text, more=more, options=options, posting=posting)
    parsed = parse_campaign(path, source)
    assert parsed.value is not None, parsed.problems
    return path, parsed


@pytest.fixture
def find(tmp_path):
    """All problems between some entries and campaigns, as (code, path, line, column)."""

    def found(entries, campaigns, now=LONG_BEFORE):
        sources = Sources(dict(entries), dict(campaigns))
        problems = cross_problems(sources, lambda c, config: open_channel(c, config, surroundings(tmp_path)))
        known = {name: one.value for name, one in sources.by_entry_id().items()}
        for parsed in sources.campaigns.values():
            problems += calendar_problems(sources, parsed, plan(parsed.value, known, {}, now))
        return problems

    return found


def places(problems):
    return sorted((p.code, p.path, p.line, p.column) for p in problems)


def test_a_sound_project_has_no_problem(find):
    assert find([entry()], [campaign()]) == []


def test_two_entries_with_one_id_are_told_at_the_second(find):
    problems = find([entry("a"), entry("b", "id: a\n")], [campaign()])
    assert places(problems) == [("E301", "content/b.md", 5, 1)]
    assert "content/a.md" in problems[0].message


def test_two_files_for_one_campaign_are_told(find):
    _, parsed = campaign()
    assert places(find([entry()], [("schedules/c.yaml", parsed), ("schedules/c.yml", parsed)]))[-1][:2] == (
        "E309",
        "schedules/c.yml",
    )


def test_a_campaign_that_names_nobody_is_told_with_who_was_meant(find):
    problems = find([entry("pop-school")], [campaign(more="entries: [pop-shool]\n")])
    assert places(problems) == [("E302", "schedules/c.yaml", 10, 11)]
    assert problems[0].hint == "Did you mean `pop-school`?"


def test_a_named_entry_whose_file_is_broken_is_not_told_twice(find):
    broken = "content/a.md", parse_entry("content/a.md", "---\ntitle: x\n---\n")
    assert find([broken], [campaign(more="entries: [a]\n")]) == []


def test_a_named_draft_is_a_warning(find):
    problems = find([entry("a", "status: draft\n"), entry("b")], [campaign(more="entries: [a, b]\n")])
    assert places(problems) == [("W301", "schedules/c.yaml", 10, 11)]
    assert problems[0].severity == "warning"


def test_a_text_for_a_channel_that_nobody_has_is_a_warning(find):
    problems = find([entry("a", "posts: {outbocks: hello}\n")], [campaign()])
    assert places(problems) == [("W303", "content/a.md", 5, 9)]
    assert "outbox" in problems[0].hint


def test_a_tag_that_makes_no_hashtag_is_a_warning(find):
    assert places(find([entry("a", 'tags: [art, "2016"]\n')], [campaign()])) == [
        ("W304", "content/a.md", 5, 13)
    ]


def test_an_unknown_network_is_told_at_its_channel(find):
    problems = find([entry()], [campaign(options="network: outbux")])
    assert places(problems) == [("E306", "schedules/c.yaml", 9, 12)]
    assert "Did you mean `outbox`?" in problems[0].hint


def test_an_option_that_does_not_belong_to_the_network_is_told(find):
    assert places(find([entry()], [campaign(options="visibility: public")])) == [
        ("E308", "schedules/c.yaml", 9, 12)
    ]


def test_more_entries_than_days_names_those_that_do_not_fit(find):
    entries = [entry(name) for name in "abcdef"]
    listed = "entries: [a, b, c, d, e, f]\n"
    problems = find(entries, [campaign(more=listed)], now=utc(2016, 4, 17))
    assert places(problems) == [("E303", "schedules/c.yaml", 10, 1)]
    assert problems[0].message.endswith("no day for a, b")
    assert find(entries, [campaign(more=listed)], now=utc(2016, 4, 15)) == []


def test_an_impossible_pin_is_told_at_the_date(find):
    assert places(find([entry("a", "date: 2016-04-25\n")], [campaign()])) == [("E304", "content/a.md", 5, 7)]


def test_two_pins_on_one_day_are_told_at_the_second(find):
    pinned = "date: 2016-04-15\n"
    assert places(find([entry("a", pinned), entry("b", pinned)], [campaign()])) == [
        ("E305", "content/b.md", 5, 7)
    ]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ('"{{ entry.titel }}"', "E402", 7, 7),
        ('"{{ entry.title "', "E401", 7, 7),
        ("|\n  {{ entry.title }}\n  {{ nobody }}", "E402", 9, 1),
        ("|\n  {{ entry.title }}\n  {% if %}", "E401", 9, 1),
        ('"{{ entry.place }}"', "E404", 7, 7),
    ],
)
def test_a_wrong_template_is_told_once_at_its_line(find, text, code, line, column):
    problems = find([entry("a"), entry("b")], [campaign(text=text)])
    assert places(problems) == [(code, "schedules/c.yaml", line, column)]


def test_a_wrong_template_is_told_although_no_entry_uses_it(find):
    problems = find([], [campaign(more='texts: {mastodon: "{{ open"}\n')])
    assert places(problems) == [("E401", "schedules/c.yaml", 10, 19)]


def test_an_entrys_own_wrong_text_is_told_in_its_file(find):
    problems = find([entry("a", 'posts: {outbox: "{{ entry.nothing }}"}\n')], [campaign()])
    assert places(problems) == [("E402", "content/a.md", 5, 17)]


def test_a_text_that_cannot_be_made_to_fit_is_told_at_the_title(find):
    problems = find([entry()], [campaign(options='limit: "9"')])
    assert places(problems) == [("E403", "content/a.md", 2, 1)]
    assert "limit is 9" in problems[0].message


def test_an_entrys_own_text_that_does_not_fit_is_told_there(find):
    own = entry("a", 'posts: {outbox: "far too long"}\n')
    assert places(find([own], [campaign(options='limit: "9"')])) == [("E403", "content/a.md", 5, 17)]


def test_a_pin_that_has_passed_is_told_once_the_campaign_is_under_way(find, tmp_path):
    from pipeline.model import SlotRecord, State

    name, parsed = campaign()
    sources = Sources(dict([entry("a"), entry("b", "date: 2016-04-12\n")]), {name: parsed})
    known = {key: one.value for key, one in sources.by_entry_id().items()}
    held = {
        "a": SlotRecord(
            "a", parsed.value.posting.until - timedelta(days=1), LONG_BEFORE, frozenset({State.PUBLISHED})
        )
    }
    calendar = plan(parsed.value, known, held, utc(2016, 4, 19, 12))
    assert places(calendar_problems(sources, parsed, calendar)) == [("E304", "content/b.md", 5, 7)]


def test_a_file_that_is_not_read_because_of_its_name_or_place_is_told(tmp_path):
    files = {
        "content/projet.v2.MD.txt": "---\ntitle: x\n---\n",
        "content/2016/autre.markdown": "\ufeff---\r\ntitle: x\r\n---\r\n",
        "content/notes.txt": "To do: call the printer.\n",
        "content/.projet.md.txt": "---\n",
        "content/oui.md": "---\n",
        "schedules/lille.yaml.txt": "title: x\n",
        "schedules/2016/lille.yml": "title: x\n",
        "schedules/lille.yaml": "title: x\n",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8", newline="")
    found = list(unread_problems(tmp_path))
    assert {problem.code for problem in found} == {"W306"}
    assert {problem.path: problem.hint for problem in found} == {
        "content/projet.v2.MD.txt": "Rename it to `projet.v2.md`.",
        "content/2016/autre.markdown": "Rename it to `autre.md`.",
        "schedules/lille.yaml.txt": "Rename it to `lille.yaml`.",
        "schedules/2016/lille.yml": "Move it to `schedules/lille.yml`.",
    }


def test_a_files_name_in_the_list_of_entries_leads_to_its_id(find):
    (problem,) = find([entry("ab")], [campaign(more="entries: [ab.md]\n")])
    assert (problem.code, problem.hint) == ("E302", "Did you mean `ab`?")
