"""What stands on the page, in which order, and that it is safe, sound and complete in itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from pipeline import app, storyboard
from pipeline.channels import open_channel
from pipeline.channels.base import Surroundings
from pipeline.channels.bluesky_text import facets
from pipeline.model import State
from pipeline.storyboard import markup
from pipeline.storyboard.marks import marks
from pipeline.storyboard.networks import LOOKS
from tests.storyboard.scenes import ROOT, Lille, Page

OUTBOX = "channels:\n  outbox: {}\n"
TYPED = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
POSTED = st.lists(
    st.sampled_from(
        [
            *("#ÉcoLille", "#2016", "#a#b", "@lille@mastodon.example", "@ouishare", "a.fr/x", "J-10 :", "é"),
            *("https://example.org/é?q=@ouishare&c=#d", "(https://example.org)", "\n", " ", "<b>", '"&amp;'),
            "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}",
        ]
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The real campaign on five networks, on a day on which every network is down."""
    root = tmp_path_factory.mktemp("lille")
    lille = Lille(root / "project")
    result = app.rehearse_project(lille.settings, root / "out", faults="outage-day", seed=1)
    return result, Page(root / "out/storyboard.html")


def preview(lille, tmp_path):
    return Page(app.preview_project(lille.settings, tmp_path / "storyboard")[0].page)


# --------------------------------------------------------------------------- what is typed stays what it is


@given(TYPED | POSTED, st.sampled_from(sorted(LOOKS)))
def test_a_marked_text_reads_back_to_the_very_text(text, network):
    html = markup.marked(text, marks(network, text, None))
    # The reader of these tests throws blank lines away, but for those in a `pre`.
    assert BeautifulSoup(f"<pre>{html}</pre>", "html.parser").get_text() == text


@given(TYPED | POSTED, st.sampled_from(sorted(LOOKS)))
def test_marks_stand_in_order_and_apart(text, network):
    done = 0
    for mark in marks(network, text, None):
        assert done <= mark.start < mark.end <= len(text)
        assert mark.target is None or mark.target.lower().startswith(("http://", "https://"))
        done = mark.end


@given(POSTED)
def test_on_bluesky_the_marks_are_the_facets_of_the_request(text):
    found = facets(text)
    shown = marks("bluesky", text, {"record": {"text": text, "facets": found}})
    stretches = [text.encode()[one["index"]["byteStart"] : one["index"]["byteEnd"]].decode() for one in found]
    assert [text[mark.start : mark.end] for mark in shown] == stretches
    assert [mark.target for mark in shown] == [one["features"][0].get("uri") for one in found]


def test_a_facet_that_leads_nowhere_on_the_web_is_no_link_here():
    feature = {"$type": "app.bsky.richtext.facet#link", "uri": "javascript:alert(1)"}
    facet = {"index": {"byteStart": 0, "byteEnd": 4}, "features": [feature]}
    (mark,) = marks("bluesky", "clic", {"record": {"facets": [facet]}})
    assert "href" not in markup.marked("clic", [mark])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TYPED,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TYPED, inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from([(",", ":"), (", ", ": ")]), st.sampled_from([None, 2]), st.booleans())
def test_a_request_reads_back_to_the_very_bytes(document, separators, indent, ascii_only):
    written = json.dumps(document, separators=separators, indent=indent, ensure_ascii=ascii_only)
    shown = BeautifulSoup(markup.request(written.encode()), "html.parser").pre.get_text()
    assert shown.removeprefix("\n") == written


@given(st.text(st.sampled_from(["\n", "\r", " ", "é", "<", "{", '"', ",", "]"])))
def test_a_request_that_is_no_json_reads_back_to_the_very_bytes_too(body):
    shown = BeautifulSoup(markup.request(body.encode()), "html.parser").pre.get_text()
    assert shown.removeprefix("\n") == body


def test_what_is_empty_in_a_request_stays_on_its_line():
    assert "{}" in markup.request(b'{"a":{},"b":[]}')
    assert markup.request(b'{"a":{},"b":[]}').count("<i ") == 3


def test_a_request_that_is_no_text_is_shown_in_hexadecimal():
    assert "ff fe 00" in markup.request(b"\xff\xfe\x00")


def test_what_an_editor_types_never_becomes_markup(tmp_path):
    lille = Lille(tmp_path / "lille")
    evil = "</style><script>alert(1)</script><img src=x onerror=alert(2)>"
    half = "<img src=x onerror=alert(3) <script"  # nothing closes it but what follows on the page
    lille.rewrite(lille.entry("pop-school"), "title: .*", f"title: '{half}'")
    lille.rewrite(lille.entry("pop-school"), "image_alt: .*", f"image_alt: '{evil}\" onload=\"x'")
    lille.rewrite(lille.campaign, "  name: Sharing Lille", f"  name: '{half}'")
    page = preview(lille, tmp_path)
    assert not page.soup.find_all(["script", "img", "iframe", "object", "form"])
    assert not [tag for tag in page.soup.find_all() for name in tag.attrs if name.startswith("on")]
    assert evil in page.section("days").get_text()
    assert half in page.section("days").get_text()


# --------------------------------------------------------------------------- complete in itself


def test_nothing_on_the_page_is_fetched(rehearsed):
    _, page = rehearsed
    for tag in page.soup.find_all(src=True) + page.soup.find_all(["link", "image", "use"]):
        target = tag.get("src") or tag.get("href")
        assert target.startswith(("data:", "#"))
    assert "url(" not in page.soup.style.get_text()
    assert "@import" not in page.soup.style.get_text()


def test_the_policy_allows_the_one_style_sheet_and_nothing_else(rehearsed):
    _, page = rehearsed
    policy = page.soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    digest = base64.b64encode(hashlib.sha256(page.soup.style.get_text().encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert not page.soup.find_all(style=True)


def test_each_picture_stands_on_the_page_once_however_often_it_is_shown(rehearsed):
    _, page = rehearsed
    assert page.raw.count("data:image/") == 4
    assert len(page.soup.select("svg[role=img]")) > 4 * 4
    assert all(svg["aria-label"].strip() for svg in page.soup.select("svg[role=img]"))


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(rehearsed):
    _, page = rehearsed
    ids = [tag["id"] for tag in page.soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for a in page.soup.find_all(href=re.compile("^#"))}
    assert targets <= set(ids)


def test_headings_never_leave_out_a_level(rehearsed):
    _, page = rehearsed
    levels = [int(tag.name[1]) for tag in page.soup.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


# --------------------------------------------------------------------------- what stands there


def test_problems_come_first_then_the_overview_the_days_the_past_and_the_feeds(rehearsed):
    _, page = rehearsed
    sections = [tag["id"] for tag in page.soup.main.find_all("section", recursive=False)]
    assert sections == ["problems", "summary", "calendar", "days", "timeline", "feeds"]


def test_the_calendar_has_the_event_and_a_link_for_every_day(rehearsed):
    _, page = rehearsed
    (month,) = page.section("calendar").find_all("table")
    assert month.caption.get_text() == "April 2016"
    assert len(month.select("thead th[scope=col]")) == 7
    links = month.select("a.slot")
    assert [int(link.select_one(".number").get_text()) for link in links] == list(range(11, 21))
    assert month.select_one("td.event .number").get_text() == "21"
    assert links[0]["href"] == "#day-sharing-lille-2016-04-11-ouistock"


def test_a_day_has_a_card_for_each_channel_in_the_language_of_its_entry(rehearsed):
    _, page = rehearsed
    days = page.soup.select("section.day")
    assert len(days) == 10
    for day in days:
        assert len(day.select("article.card")) == 5
        assert {text["lang"] for text in day.select(".text")} == {"fr"}
    assert "10 days to go" in days[0].get_text()


def test_the_counter_is_the_networks_own(rehearsed):
    _, page = rehearsed
    assert page.card("ouistock", "x").select_one(".counter").get_text().startswith("278/280")
    assert page.card("ouistock", "bluesky").select_one(".counter").get_text().startswith("296/300")


def test_sentences_that_fell_away_are_shown_struck(rehearsed):
    _, page = rehearsed
    card = page.card("pop-school", "x")
    gone = card.select_one("details.left-out del").get_text()
    full = page.card("pop-school", "facebook").select_one(".text").get_text()
    assert gone
    assert gone.strip("…") in full
    assert gone not in card.select_one(".text").get_text()
    assert page.card("pop-school", "facebook").select_one("details.left-out") is None


def test_an_alternative_text_is_there_on_demand(rehearsed):
    _, page = rehearsed
    (details,) = (
        one
        for one in page.card("ouistock", "mastodon").find_all("details")
        if "Alt text" in one.summary.get_text()
    )
    assert details.p.get_text().startswith("Maison vue en coupe")
    assert not details.has_attr("open")


def test_a_bluesky_card_says_what_the_record_says(tmp_path):
    lille = Lille(tmp_path / "lille", "channels:\n  bluesky: {handle: lille.example, embed: card}\n")
    page = preview(lille, tmp_path)
    linked = page.card("ouistock", "bluesky").select_one(".linked")
    assert linked.b.get_text() == "OuiStock loue la place qui dort"
    assert linked.select_one(".domain").get_text() == "example.org"
    assert linked.select_one("svg[role=img]") is not None


def test_the_timeline_tells_in_local_time_what_went_wrong(rehearsed):
    result, page = rehearsed
    lines = page.section("timeline").select(".moments li")
    assert len(lines) == len(result.timeline)
    zone = result.campaigns[0].event.zone
    assert [line.time.get_text() for line in lines] == [
        f"{one.at.astimezone(zone):%H:%M:%S}" for one in result.timeline
    ]
    assert page.section("timeline").select("details.odd")


def test_the_feeds_read_newest_first_as_they_were_released(rehearsed):
    result, page = rehearsed
    shown = [heading.get_text() for heading in page.section("feeds").select(".feed h4")]
    released = sorted(result.releases, key=lambda one: one.released, reverse=True)
    assert shown == [one.entry.title for one in released]


# --------------------------------------------------------------------------- what is wrong


def test_when_nothing_is_wrong_the_page_says_so(tmp_path):
    assert "Nothing is wrong" in preview(Lille(tmp_path / "lille"), tmp_path).words("problems")


def test_a_text_that_cannot_fit_is_a_problem_and_its_card_says_why(tmp_path):
    lille = Lille(tmp_path / "lille", "channels:\n  outbox: {limit: '40'}\n")
    page = preview(lille, tmp_path)
    assert "E403" in page.words("problems")
    assert "nothing can be sent" in page.words("problems")
    card = page.card("ouistock", "outbox")
    assert "even with the shortest summary" in card.select_one(".fault").get_text()
    assert card.select_one(".text") is None


def test_an_entry_without_a_day_is_told_of(tmp_path):
    lille = Lille(tmp_path / "lille", OUTBOX)
    lille.rewrite(lille.campaign, "starts: 2016", "starts: 2096")
    lille.rewrite(lille.entry("pepeat"), "title:", "date: 2096-04-23\ntitle:")
    assert "pepeat has no day" in preview(lille, tmp_path).words("problems")


def test_what_waits_for_a_person_is_listed_with_a_link_to_its_card(rehearsed):
    result, _ = rehearsed
    first = result.deliveries[0]
    held = storyboard.planned(
        result.campaigns[0],
        storyboard.played(result.campaigns[0], result.deliveries, result.releases).slots,
        result.entries,
        [
            _replaced(one, State.HELD, "the token has expired") if one is first else one
            for one in result.deliveries
        ],
    )
    page = Page(_draw(result, held))
    (line,) = page.section("problems").select("li.bad")
    assert "held" in line.get_text()
    assert "the token has expired" in line.get_text()
    card = page.card(first.key.entry, first.key.channel)
    assert line.a["href"] == f"#{card.find_parent('section')['id']}"
    assert "held" in card.select_one(".chip").get_text()


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            "its window closed at 2016-04-11 23:30:05 UTC; more",
            "its window closed at 2016-04-12 01:30:05; more",
        ),
        ("asked to wait until 2016-01-05 08:00 UTC", "asked to wait until 2016-01-05 09:00"),
        ("the lease ended at 08:00:00 UTC", "the lease ended at 08:00:00 UTC"),
        ("back at 2016-99-99 08:00 UTC", "back at 2016-99-99 08:00 UTC"),
        ("back at 9999-12-31 23:59 UTC", "back at 9999-12-31 23:59 UTC"),
    ],
)
def test_a_reason_is_told_in_the_time_of_the_event_like_all_else(rehearsed, told, shown):
    result, _ = rehearsed
    campaign, first = result.campaigns[0], result.deliveries[0]
    deliveries = [_replaced(one, State.HELD, told) if one is first else one for one in result.deliveries]
    slots = storyboard.played(campaign, result.deliveries, result.releases).slots
    moment = storyboard.Moment(first.due, "missed", campaign.id, first.key.entry, first.key.channel, told)
    page = Page(
        _draw(result, storyboard.planned(campaign, slots, result.entries, deliveries), moments=(moment,))
    )
    card = page.card(first.key.entry, first.key.channel)
    assert card.select_one(".reason").get_text() == shown
    assert page.section("problems").select_one("li.bad").get_text().strip().endswith(shown)
    assert page.section("timeline").select_one(".moments li").get_text().strip().endswith(shown)
    assert "but for those marked UTC" in page.soup.get_text()


def test_a_broken_promise_stands_above_everything(rehearsed):
    result, _ = rehearsed
    story = storyboard.played(result.campaigns[0], result.deliveries, result.releases)
    page = Page(_draw(result, story, alarms=("x: 1 went out twice, 0 were lost",)))
    assert page.section("problems").li.get_text() == "x: 1 went out twice, 0 were lost"


def _replaced(delivery, state, reason):
    return replace(delivery, state=state, reason=reason, rendition=None, receipt=None, published_at=None)


def _draw(result, story, **more):
    never = Surroundings(ROOT, ROOT / "public", lambda *_: None, lambda: datetime(2016, 4, 10, tzinfo=UTC))
    script = storyboard.Script((story,), result.entries, **more)
    return storyboard.draw(script, ROOT, lambda *config: open_channel(*config, never)).page


def test_several_campaigns_have_a_part_each(tmp_path):
    lille = Lille(tmp_path / "lille", OUTBOX)
    second = lille.campaign.read_text().replace("Lille, ville collaborative : 10 projets", "La seconde")
    (lille.root / "schedules/seconde.yaml").write_text(second)
    page = preview(lille, tmp_path)
    assert page.soup.h1.get_text() == "2 campaigns"
    assert len(page.soup.select("section.day")) == 20
    assert len(page.section("calendar").find_all("table")) == 2
    levels = [int(tag.name[1]) for tag in page.soup.find_all(re.compile("^h[1-6]$"))]
    assert all(after <= before + 1 for before, after in pairwise(levels))
