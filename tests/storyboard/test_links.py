"""Links go out as they are written, unless the campaign asks to tell its channels apart."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import app
from pipeline.composing import told_apart
from pipeline.model import Utm
from tests.cli.commands import run
from tests.storyboard.scenes import Lille, Page

PAGE = "https://example.org/sharing-lille/pepeat"


def link_of(text):
    return next(word for word in text.split() if word.startswith("https://"))


def preview(lille, tmp_path):
    return Page(app.preview_project(lille.settings, tmp_path / "storyboard")[0].page)


def test_without_utm_links_go_out_as_they_are_written(tmp_path):
    page = preview(Lille(tmp_path / "lille"), tmp_path)
    for channel in ("x", "mastodon", "bluesky", "facebook", "presse"):
        assert link_of(page.card("pepeat", channel).select_one(".text").get_text()) == PAGE


def test_with_utm_each_channel_tells_its_network_medium_and_campaign(tmp_path):
    lille = Lille(tmp_path / "lille")
    lille.rewrite(lille.campaign, r"(?m)^channels:", "utm: {}\nchannels:")
    page = preview(lille, tmp_path)
    for channel, network in {"x": "x", "mastodon": "mastodon", "presse": "webhook"}.items():
        link = link_of(page.card("pepeat", channel).select_one(".text").get_text())
        assert link == f"{PAGE}?utm_source={network}&utm_medium=social&utm_campaign=sharing-lille"


def test_the_cards_of_networks_lead_to_the_same_address(tmp_path):
    lille = Lille(tmp_path / "lille")
    lille.rewrite(lille.campaign, r"(?m)^channels:", "utm: {source: lettre, medium: courriel}\nchannels:")
    page = preview(lille, tmp_path)
    link = link_of(page.card("pepeat", "bluesky").select_one(".text").get_text())
    assert parse_qs(urlsplit(link).query)["utm_source"] == ["lettre"]
    bluesky, facebook = (
        json.loads(page.card("pepeat", channel).select_one("pre").get_text())
        for channel in ("bluesky", "facebook")
    )
    assert bluesky["record"]["embed"]["external"]["uri"] == link
    assert facebook["link"] == link


def test_feeds_keep_the_address_as_it_is_written(tmp_path):
    lille = Lille(tmp_path / "lille", "channels:\n  outbox: {}\n")
    lille.rewrite(lille.campaign, r"(?m)^channels:", "utm: {}\nchannels:")
    app.rehearse_project(lille.settings, tmp_path / "out")
    assert "utm_" not in (tmp_path / "out/sharing-lille/feed.xml").read_text()
    assert "utm_" in (tmp_path / "out/outbox/sharing-lille/2016-04-20-pepeat.json").read_text()


@pytest.mark.parametrize("wrong", ["{sauce: lettre}", "lettre", "{medium: ''}"])
def test_utm_that_is_none_is_a_problem(tmp_path, wrong):
    lille = Lille(tmp_path / "lille", "channels:\n  outbox: {}\n")
    lille.rewrite(lille.campaign, r"(?m)^channels:", f"utm: {wrong}\nchannels:")
    assert "schedules/sharing-lille.yaml" in run("check", "--root", lille.root, status=1).out


@given(
    st.sampled_from(["", "a=1", "a=1&a=2&b=", "utm_source=moi", "é=ü&x=%20"]),
    st.sampled_from(["", "haut", "é"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20),
)
def test_what_an_address_says_already_is_kept(query, fragment, medium):
    address = "https://example.org/p" + (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")
    made = urlsplit(told_apart(address, Utm(medium, "lille"), "x"))
    assert made.query.startswith(query)
    assert made.fragment == fragment
    asked = dict(parse_qsl(made.query))
    assert asked["utm_source"] == ("moi" if "utm_source" in query else "x")
    assert (asked["utm_medium"], asked["utm_campaign"]) == (medium, "lille")
