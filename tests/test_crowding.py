"""Campaigns that share an account: more posts in 24 hours than its network allows are found days before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from pipeline.channels import known_networks
from pipeline.checks import Sources
from pipeline.content import parse_entry
from pipeline.crowding import crowd_problems, sharing_problems
from pipeline.model import SlotRecord, State
from pipeline.planning import plan
from pipeline.review import Review
from pipeline.schedules import parse_campaign
from tests.support.builders import make_entries, utc
from tests.support.channels import PERMANENT, FaultyChannel

LONG_BEFORE = utc(2016, 1, 1)
ENTRY_TEXT = "---\ntitle: A\nsummary: B.\nurl: https://example.org/\n---\n\nC.\n"
ENTRY = parse_entry("content/a.md", ENTRY_TEXT)
CAMPAIGN = """title: A campaign
description: One a day.
language: en
link: https://example.org/c/
event: {{name: The end, starts: {event} 09:00, timezone: Europe/Paris}}
posting: {{time: "{at}"}}
text: "{{{{ entry.title }}}}"
channels:
  {channel}
"""


def campaign(name, *, event="2016-04-21", at="09:00", channel="outbox: {}"):
    parsed = parse_campaign(f"schedules/{name}.yaml", CAMPAIGN.format(event=event, at=at, channel=channel))
    assert parsed.value is not None, parsed.problems
    return parsed


def find(*campaigns, per_day, now=LONG_BEFORE):
    """All problems, when every network allows so many posts."""
    sources = Sources({"content/a.md": ENTRY}, {parsed.value.path: parsed for parsed in campaigns})
    calendars = {c.value.id: plan(c.value, make_entries("a"), {}, now) for c in campaigns}
    channel = FaultyChannel(traits=replace(PERMANENT, per_day=per_day))
    return list(crowd_problems(sources, calendars, lambda _campaign, _config: channel))


def test_one_post_too_many_is_told_at_the_channel_of_the_campaign_it_belongs_to():
    (problem,) = find(campaign("one"), campaign("two", at="09:30"), campaign("three", at="10:00"), per_day=2)
    assert (problem.code, problem.path, problem.line, problem.column) == (
        "E310",
        "schedules/three.yaml",
        9,
        3,
    )
    assert "on 2016-04-20 the account of `outbox` (outbox) would post more than 2 times" in problem.message


@pytest.mark.parametrize("per_day", [3, None])
def test_as_many_as_allowed_are_fine(per_day):
    assert find(campaign("one"), campaign("two"), campaign("three"), per_day=per_day) == []


def test_a_limit_holds_across_midnight():
    late = campaign("late", at="23:00")
    early = campaign("early", event="2016-04-22", at="01:00")
    (problem,) = find(late, early, per_day=1)
    assert problem.path == "schedules/early.yaml"
    next_day = campaign("early", event="2016-04-22", at="23:00")
    assert find(late, next_day, per_day=1) == []


def test_two_accounts_on_one_network_do_not_count_together():
    other = campaign("two", channel="other: {network: outbox}")
    assert find(campaign("one"), other, per_day=1) == []


def test_what_has_passed_is_no_problem_any_more():
    both = campaign("one"), campaign("two")
    assert find(*both, per_day=1, now=utc(2016, 4, 22)) == []
    assert find(*both, per_day=1, now=utc(2016, 4, 20, 12)) == []


def test_what_has_gone_out_today_counts():
    one, two = campaign("one"), campaign("two", at="20:00")
    sources = Sources({"content/a.md": ENTRY}, {c.value.path: c for c in (one, two)})
    now = utc(2016, 4, 20, 12)
    gone = SlotRecord(
        "a", date(2016, 4, 20), utc(2016, 4, 20, 7), frozenset({State.PUBLISHED}), released=True
    )
    calendars = {
        "one": plan(one.value, make_entries("a"), {"a": gone}, now),
        "two": plan(two.value, make_entries("a"), {}, now),
    }
    channel = FaultyChannel(traits=replace(PERMANENT, per_day=1))
    (problem,) = crowd_problems(sources, calendars, lambda _campaign, _config: channel)
    assert problem.path == "schedules/two.yaml"


def test_a_network_that_is_not_known_is_another_problem():
    assert "carrier-pigeon" not in known_networks()
    unknown = campaign("one", channel="carrier-pigeon: {}")
    assert find(unknown, campaign("two"), per_day=1) == []


def test_an_hour_lost_in_spring_is_no_whole_day():
    # From 09:00 before the clocks change to 09:00 after it are 23 hours.
    one = campaign("one", event="2016-03-27", at="09:00")
    two = campaign("two", event="2016-03-28", at="09:00")
    (problem,) = find(one, two, per_day=1)
    assert "on 2016-03-27" in problem.message


def shared(*campaigns, now=LONG_BEFORE):
    """The problems of credentials that campaigns share."""
    sources = Sources({"content/a.md": ENTRY}, {parsed.value.path: parsed for parsed in campaigns})
    calendars = {c.value.id: plan(c.value, make_entries("a"), {}, now) for c in campaigns}
    return list(sharing_problems(sources, calendars))


ACCOUNTS = {
    "bluesky": ("{handle: one.example.org}", "{handle: two.example.org}"),
    "facebook": ('{page: "100"}', '{page: "200"}'),
    "mastodon": ("{instance: https://one.example}", "{instance: https://two.example}"),
}


@pytest.mark.parametrize("network", ACCOUNTS)
def test_accounts_that_share_credentials_are_told_at_the_option_that_differs(network):
    first, second = (f"{network}: {options}" for options in ACCOUNTS[network])
    (problem,) = shared(campaign("two", channel=second), campaign("one", channel=first))
    where = (problem.code, problem.path, problem.line, problem.column)
    assert where == ("E312", "schedules/two.yaml", 9, 3 + len(network) + 3)
    assert "schedules/one.yaml" in problem.message
    assert f"`PIPELINE_{network.upper()}_…`" in problem.message
    assert f"`{network}-2: {{network: {network}, …}}`" in problem.hint
    renamed = second.replace(f"{network}: {{", f"{network}-2: {{network: {network}, ")
    assert shared(campaign("one", channel=first), campaign("two", channel=renamed)) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("bluesky: {handle: one.example.org}", "bluesky: {handle: One.Example.ORG, embed: card}"),
        ("mastodon: {instance: https://one.example}", "mastodon: {instance: https://one.example/}"),
        (
            "presse: {network: webhook, url: https://a.example/}",
            "presse: {network: webhook, url: https://b.example/}",
        ),
        ("x: {}", "x: {auth: oauth2}"),
        ("carrier-pigeon: {handle: a}", "carrier-pigeon: {handle: b}"),
        ("bluesky: {}", "bluesky: {handle: one.example.org}"),
    ],
)
def test_one_account_is_no_problem_nor_is_what_no_option_tells(first, second):
    assert shared(campaign("one", channel=first), campaign("two", channel=second)) == []


def test_ids_that_lead_to_the_same_variables_share_credentials():
    one = campaign("one", channel="la-une: {network: bluesky, handle: one.example.org}")
    two = campaign("two", channel="la_une: {network: bluesky, handle: two.example.org}")
    assert [problem.path for problem in shared(one, two)] == ["schedules/two.yaml"]


def test_the_account_of_a_campaign_that_is_over_is_no_problem_any_more():
    over = campaign("a", channel="bluesky: {handle: one.example.org}")
    now = campaign("b", event="2017-04-21", channel="bluesky: {handle: two.example.org}")
    assert len(shared(over, now)) == 1
    assert shared(over, now, now=utc(2016, 4, 22)) == []


def test_check_tells_of_shared_credentials(tmp_path):
    (tmp_path / "content").mkdir()
    (tmp_path / "schedules").mkdir()
    (tmp_path / "content/a.md").write_text(ENTRY_TEXT)
    for name in ("one", "two"):
        channel = f"bluesky: {{handle: {name}.example.org}}"
        text = CAMPAIGN.format(event="2016-04-21", at="09:00", channel=channel)
        (tmp_path / f"schedules/{name}.yaml").write_text(text)
    review = Review(tmp_path, lambda _campaign, _config: FaultyChannel(traits=PERMANENT), LONG_BEFORE, None)
    assert [problem.code for problem in review.problems()] == ["E312"]


def test_check_tells_it(tmp_path):
    (tmp_path / "content").mkdir()
    (tmp_path / "schedules").mkdir()
    (tmp_path / "content/a.md").write_text(ENTRY_TEXT)
    for name in ("one", "two"):
        text = CAMPAIGN.format(event="2016-04-21", at="09:00", channel="outbox: {}")
        (tmp_path / f"schedules/{name}.yaml").write_text(text)
    channel = FaultyChannel(traits=replace(PERMANENT, per_day=1))
    review = Review(tmp_path, lambda _campaign, _config: channel, LONG_BEFORE, None)
    assert [problem.code for problem in review.problems()] == ["E310"]
    assert review.problems(calendars=False) == []
