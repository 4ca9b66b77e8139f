"""What an edit changes is marked on the next storyboard, so that a reviewer sees it."""

from __future__ import annotations

import json

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from pipeline import app
from pipeline.errors import WrongUse
from pipeline.storyboard import Preface, markup
from tests.storyboard.scenes import Lille, Page

TWO = 'channels:\n  mastodon: {instance: "https://mastodon.example"}\n  outbox: {}\n'


@pytest.fixture
def lille(tmp_path):
    return Lille(tmp_path / "lille", TWO)


@pytest.fixture
def draw(lille, tmp_path):
    """Draws the storyboard into the same folder each time."""

    def drawn(**options):
        return app.preview_project(lille.settings, tmp_path / "storyboard", **options)[0]

    return drawn


def badges(card):
    return [badge.get_text() for badge in card.select(".badges span")]


def test_a_first_storyboard_has_nothing_to_compare_with(draw):
    page = Page(draw().page)
    assert page.section("changes") is None
    assert not page.soup.select(".badges, .changed")


def test_without_an_edit_nothing_is_new(draw):
    draw()
    again = draw()
    assert "Nothing has changed" in Page(again.page).words("changes")
    assert not Page(again.page).soup.select(".badges")
    assert sum(again.changes.counts().values()) == 0


def test_another_word_is_marked_in_the_text_and_on_both_channels(lille, draw):
    draw()
    lille.rewrite(lille.entry("ouistock"), "Trop de place", "Tant de place")
    page = Page(draw().page)
    for channel in ("mastodon", "outbox"):
        card = page.card("ouistock", channel)
        assert badges(card) == ["text changed"]
        assert [card.select_one(".diff del").get_text(), card.select_one(".diff ins").get_text()] == [
            "Trop",
            "Tant",
        ]
    assert "another text on 2 channels" in page.words("changes")
    assert len(page.soup.select(".card.changed")) == 2
    assert len(page.soup.select(".slot.changed")) == 1


def test_entries_that_change_places_say_from_which_day_they_come(lille, draw):
    draw()
    lille.rewrite(lille.campaign, "  - dinamove\n  - jean-bouteille\n", "  - jean-bouteille\n  - dinamove\n")
    drawn = draw()
    page = Page(drawn.page)
    assert badges(page.card("dinamove", "outbox"))[0] == "moved from Sun 17 Apr"
    assert badges(page.card("jean-bouteille", "outbox"))[0] == "moved from Mon 18 Apr"
    assert "moves from Sun 17 Apr to Mon 18 Apr" in page.words("changes")
    assert drawn.changes.counts()["moved"] == 4


def test_a_new_channel_and_an_entry_that_is_gone(lille, draw):
    draw()
    lille.rewrite(lille.campaign, "  outbox: ", "  presse: {network: outbox}\n  outbox: ")
    lille.rewrite(lille.campaign, "  - ouistock\n", "")
    drawn = draw()
    page = Page(drawn.page)
    assert badges(page.card("pepeat", "presse")) == ["new"]
    assert drawn.changes.counts() == {
        "added": 9,
        "removed": 2,
        "moved": 0,
        "text": 0,
        "request": 0,
        "state": 0,
    }
    gone = page.section("changes").find("del")
    assert gone.get_text() == "OuiStock loue la place qui dort"
    assert gone["lang"] == "fr"


def test_another_picture_is_marked_although_the_text_is_the_same(lille, draw):
    draw()
    (lille.root / "content/images/ouistock.png").write_bytes(
        (lille.root / "content/images/pop-school.png").read_bytes()
    )
    page = Page(draw().page)
    assert badges(page.card("ouistock", "mastodon")) == ["picture or card changed"]
    assert badges(page.card("c-ma-bulle", "mastodon")) == []


def test_another_alternative_text_is_marked_on_every_channel_that_sends_it(lille, draw):
    draw()
    lille.rewrite(lille.entry("ouistock"), "image_alt: .*", 'image_alt: "Une autre description"')
    drawn = draw()
    assert drawn.changes.counts()["request"] == 2
    for channel in ("mastodon", "outbox"):
        assert badges(Page(drawn.page).card("ouistock", channel)) == ["picture or card changed"]
    assert draw().changes.cards == {}


def test_a_record_from_before_alternative_texts_were_kept_marks_none(lille, draw, tmp_path):
    record = json.loads(draw().record)
    for card in (card for day in record["campaigns"][0]["days"] for card in day["cards"]):
        del card["alt"]
    (tmp_path / "older.json").write_text(json.dumps(record))
    assert draw(against=tmp_path / "older.json").changes.cards == {}


def test_a_plan_and_a_rehearsal_of_the_same_files_do_not_differ(lille, draw, tmp_path):
    draw()
    record = tmp_path / "storyboard/storyboard.json"
    app.rehearse_project(lille.settings, tmp_path / "out", preface=Preface(against=record))
    assert "Nothing has changed" in Page(tmp_path / "out/storyboard.html").words("changes")


def test_a_rehearsal_is_compared_with_the_last_one_in_its_folder(lille, tmp_path):
    out = tmp_path / "out"
    app.rehearse_project(lille.settings, out)
    app.rehearse_project(lille.settings, out)
    assert "Nothing has changed" in Page(out / "storyboard.html").words("changes")
    lille.rewrite(lille.entry("ouistock"), "Trop de place", "Tant de place")
    app.rehearse_project(lille.settings, out)
    assert badges(Page(out / "storyboard.html").card("ouistock", "outbox")) == ["text changed"]


def test_another_campaign_has_nothing_to_be_compared_with(lille, draw):
    second = lille.root / "schedules/seconde.yaml"
    second.write_text(lille.campaign.read_text())
    draw(campaign="seconde")
    assert Page(draw(campaign="sharing-lille").page).section("changes") is None


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"version": 99, "made_from": "plan", "campaigns": []}', "\ud83d"]
)
def test_a_record_that_cannot_be_read_is_no_reason_not_to_draw(draw, tmp_path, content):
    draw()
    record = tmp_path / "storyboard/storyboard.json"
    record.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(WrongUse, match="record of a storyboard"):
        draw(against=record)
    assert Page(draw().page).section("changes") is None


def test_the_record_is_sorted_out_for_machines(draw, tmp_path):
    draw()
    record = json.loads((tmp_path / "storyboard/storyboard.json").read_text())
    assert (record["version"], record["made_from"]) == (1, "plan")
    day = record["campaigns"][0]["days"][0]
    assert (day["date"], day["entry"], day["days_left"]) == ("2016-04-11", "ouistock", 10)
    card = day["cards"][0]
    assert card["text"].startswith("J-10 avant Sharing Lille")
    assert set(card) == {
        *(
            "channel",
            "network",
            "due",
            "state",
            "text",
            "length",
            "limit",
            "left_out",
            "digest",
            "alt",
            "problem",
        )
    }


WORDS = st.lists(st.sampled_from(["un", "deux", "<b>", "&", "trois", "\n", "quatre"]), max_size=30).map(
    " ".join
)


@given(WORDS, WORDS)
def test_a_difference_holds_all_that_went_and_all_that_came(old, new):
    soup = BeautifulSoup(markup.difference(old, new), "html.parser")
    for words, name in ((old, "del"), (new, "ins")):
        at = 0
        for one in soup.find_all(name):
            at = words.index(one.get_text(), at) + len(one.get_text())
    assert bool(soup.find_all(["del", "ins"])) == (old != new)
