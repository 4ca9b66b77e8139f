"""What the storyboard shows is what is sent: byte for byte, on every network."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipeline import app
from pipeline.clock import VirtualClock
from pipeline.credentials import variable
from pipeline.model import ChannelConfig
from pipeline.rehearsal.standins import stand_in
from tests.storyboard.scenes import NETWORKS, Lille, Page

OPTIONS = {
    "mastodon": {"instance": "https://mastodon.example"},
    "bluesky": {"handle": "sharing-lille.example"},
    "facebook": {"page": "104293874629"},
    "webhook": {"url": "https://example.org/crochet"},
}


def play(lille, clock):
    with app.open_pipeline(lille.settings, clock=clock, workers=0) as pipeline:
        while True:
            pipeline.tick()
            if pipeline.done():
                return
            clock.sleep_until(pipeline.next_wake(clock.now()))


class Played:
    """The campaign, its storyboard from before, what the networks then got, and its storyboard afterwards."""

    def __init__(self, root, stack):
        clock = VirtualClock(datetime(2016, 4, 10, 12, tzinfo=UTC))
        self.standins = {}
        lines, secrets = ["channels:"], []
        for channel, network in NETWORKS.items():
            config = ChannelConfig(channel, network, options=OPTIONS.get(network, {}))
            standin = stack.enter_context(stand_in(config, clock.now))
            self.standins[channel] = standin
            options = {"network": network, **OPTIONS.get(network, {}), "api": standin.url}
            lines.append(f"  {channel}: {json.dumps(options)}")
            secrets += [f"{variable(channel, name)}={value}" for name, value in standin.credentials.items()]
        self.lille = Lille(root, "\n".join(lines) + "\n  outbox: {}\n")
        (root / ".env").write_text("\n".join(secrets) + "\n")
        self.planned = Page(app.preview_project(self.lille.settings, root / "before")[0].page)
        play(self.lille, clock)
        self.published = Page(app.preview_project(self.lille.settings, root / "after")[0].page)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    with ExitStack() as stack:
        yield Played(tmp_path_factory.mktemp("lille"), stack)


@pytest.mark.parametrize("channel", NETWORKS)
def test_the_plan_shows_the_texts_that_the_network_gets_later(played, channel):
    got = [post.text for post in played.standins[channel].shown()]
    assert len(got) == 10
    assert Counter(played.planned.texts(channel)) == Counter(got)


@pytest.mark.parametrize("channel", NETWORKS)
def test_what_was_published_is_shown_by_the_very_request(played, channel):
    standin = played.standins[channel]
    assert Counter(played.published.bodies(channel)) == Counter(post.body for post in standin.shown())
    assert all("published" in card.select_one(".chip").get_text() for card in played.published.cards(channel))


@pytest.mark.parametrize("channel", NETWORKS)
def test_the_line_above_a_request_is_that_of_the_wire(played, channel):
    lines = {card.select_one("details.request code").get_text() for card in played.planned.cards(channel)}
    bodies = set(played.published.bodies(channel))
    wire = {f"{seen.method} {seen.path}" for seen in played.standins[channel].seen if seen.body in bodies}
    if channel == "presse":  # a webhook has no host of its own, so the line names the whole address
        assert lines == {"POST https://example.org/crochet"}
        assert {line.split()[0] for line in wire} == {"POST"}
    else:
        assert lines == wire


def test_the_outbox_writes_what_the_plan_shows(played):
    files = sorted((played.lille.root / "public/outbox/sharing-lille").glob("*.json"))
    assert [path.read_bytes() for path in files] == played.planned.bodies("outbox")
    assert [json.loads(path.read_text())["text"] for path in files] == played.planned.texts("outbox")


@pytest.mark.parametrize("faults", ["calm", "bad-network"])
def test_a_rehearsal_shows_what_its_networks_got(tmp_path, faults):
    lille = Lille(tmp_path / "lille")
    result = app.rehearse_project(lille.settings, tmp_path / "out", faults=faults, seed=7)
    page = Page(tmp_path / "out/storyboard.html")
    for tally in result.tallies:
        sent = [one for one in result.deliveries if one.key.channel == tally.channel and one.rendition]
        # The tally compares these texts with those that the stand-in shows.
        assert (tally.seen, tally.twice, tally.lost) == (10, 0, 0)
        assert Counter(page.texts(tally.channel)) == Counter(one.rendition.text for one in sent)
        assert Counter(page.bodies(tally.channel)) == Counter(one.rendition.body for one in sent)


def test_a_delivery_is_shown_as_it_was_sent_after_its_entry_was_edited(tmp_path):
    lille = Lille(tmp_path, "channels:\n  outbox: {}\n")
    play(lille, VirtualClock(datetime(2016, 4, 10, 12, tzinfo=UTC)))
    before = app.preview_project(lille.settings, tmp_path / "out")[0]
    lille.rewrite(lille.entry("ouistock"), "Trop de place", "Bien trop de place")
    after = app.preview_project(lille.settings, tmp_path / "out")[0]
    assert Page(after.page).texts("outbox") == Page(before.page).texts("outbox")
    assert Page(after.page).card("ouistock", "outbox").select_one(".counter") is None


def test_what_went_out_after_midnight_is_counted_with_the_countdown_it_had(tmp_path):
    lille = Lille(tmp_path, "channels:\n  outbox: {limit: '500'}\n")
    lille.rewrite(lille.campaign, 'time: "09:00"', 'time: "23:30"')
    clock = VirtualClock(datetime(2016, 4, 10, 12, tzinfo=UTC))
    with app.open_pipeline(lille.settings, clock=clock, workers=0) as pipeline:
        pipeline.tick()
        clock.sleep_until(datetime(2016, 4, 11, 22, 30, tzinfo=UTC))  # 00:30 in Lille
        pipeline.tick()
    page = Page(app.preview_project(lille.settings, tmp_path / "out")[0].page)
    card = page.card("ouistock", "outbox")
    assert card.select_one(".text").get_text().startswith("J-9 ")
    assert card.select_one(".chip").get_text() == "published Tue 12 Apr 00:30"
    assert card.select_one(".counter").get_text().endswith("/500")


def test_a_delivery_whose_file_is_gone_is_shown_as_it_was_sent(tmp_path):
    lille = Lille(tmp_path, "channels:\n  outbox: {}\n")
    play(lille, VirtualClock(datetime(2016, 4, 10, 12, tzinfo=UTC)))
    before = Page(app.preview_project(lille.settings, tmp_path / "out")[0].page)
    lille.entry("ouistock").unlink()
    lille.rewrite(lille.campaign, "  - ouistock\n", "")
    after = Page(app.preview_project(lille.settings, tmp_path / "out")[0].page)
    assert after.texts("outbox") == before.texts("outbox")


@pytest.mark.long
def test_two_rehearsals_draw_the_same_bytes(tmp_path):
    lille = Lille(tmp_path / "lille")
    pages = []
    for name in ("one", "two"):
        app.rehearse_project(lille.settings, tmp_path / name, faults="rush-hour", seed=3)
        pages.append(
            [(tmp_path / name / file).read_bytes() for file in ("storyboard.html", "storyboard.json")]
        )
    assert pages[0] == pages[1]


def test_a_plan_is_drawn_the_same_twice_and_names_no_instant_of_its_making(tmp_path):
    lille = Lille(tmp_path / "lille")
    drawn = [app.preview_project(lille.settings, tmp_path / name)[0] for name in ("one", "two")]
    assert replace(drawn[0], days={}) == replace(drawn[1], days={})
    years = {one["datetime"][:4] for one in Page(drawn[0].page).soup.find_all("time")}
    assert years == {"2016"}
