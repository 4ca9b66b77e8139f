"""What servers count, and what they are known to be: against a count that shares no code with ours."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import regex
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.channels.base import DoesNotFit
from pipeline.channels.mastodon_instance import KEYS, Family, Server, family_of, kept, to_keep
from pipeline.channels.mastodon_text import (
    KNOWN_DOMAINS,
    canonical,
    mastodon,
    plain,
    shares_a_link,
)
from pipeline.channels.text import HASHTAG, LINK, MENTION, fit_text
from pipeline.model import Post
from pipeline.rehearsal.standins import mastodon_text as theirs
from pipeline.rehearsal.standins.mastodon_software import SOFTWARE

CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"
FAMILY = "👨‍👩‍👧‍👦"


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("abc", 3),
        (FAMILY * 3, 3),
        ("🇫🇷🇧🇪", 2),
        ("👍🏽", 1),
        ("e\u0301te\u0301", 3),
        ("مرحبا", 5),
        ("日本語", 3),
        ("a\r\nb", 3),
        ("http://a.fr", 23),
        ("https://example.org/a/long/way/to/a/page/of/ours?and=more#here", 23),
        ("voir https://example.org/a, puis https://example.org/b.", 5 + 23 + 7 + 23 + 1),
        ("(https://example.org/a)", 25),
        ("https://forêt.example.org/où?quoi=là", 23),
        ("example.org/not/a/link/here", 27),
        ("mailto:a@example.org", 20),
        ("@bob", 4),
        ("@bob@example.social, oui", 9),
        ("(@bob@example.social)", 6),
    ],
)
def test_a_text_is_counted_as_mastodon_counts_it(text: str, length: int):
    assert mastodon(text, "", 23) == length
    assert theirs.length(text, "", 23) == length


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/a" + "=" * 60,
        "https://example.org/a(" + "b" * 60,
        'https://пример.рф/?a=https://example.org/"' + "b" * 60,
        "https://example.newtld/" + "a" * 60,
        "https://example.org.newtld/" + "a" * 60,
        "xhttps://example.org/" + "a" * 60,
        "foo.com/https://example.org/" + "a" * 60,
        "https://t.co/abc/" + "d" * 60,
        "https://a-.example.org/" + "a" * 60,
        "ipfs://a.fr",
        "http://a.рф 日本https://a.fr/日本",
        "@bob@" + "example." * 10,
        "x@bob@example.social/" + "a" * 30,
        "@bob@" + "a" * 40 + "@x",
        "@bob@" + "a" * 40 + "://x",
        "\u0915\u094d\u0937" * 30,
    ],
)
def test_where_readings_differ_the_dearer_one_is_paid(text: str):
    assert mastodon(text, "", 23) >= theirs.length(text, "", 23)


def test_a_content_warning_counts_as_well():
    assert mastodon("abc", "déf", 23) == 6
    assert Server(Family.GOTOSOCIAL).length("abc", FAMILY) == 3 + len(FAMILY)
    assert Server(Family.PLEROMA).length("abc", FAMILY) == 4


def test_only_mastodon_gives_links_a_flat_rate():
    text = "https://example.org/a/long/way/to/a/page"
    lengths = {family: Server(family).length(text, "") for family in Family}
    assert lengths == {
        Family.MASTODON: 23,
        Family.GOTOSOCIAL: len(text),
        Family.PLEROMA: len(text),
        Family.OTHER: len(text),
    }
    assert Server().length(text, "") == 23


def test_what_is_taken_for_a_domain_is_one_in_the_published_list():
    path = CONTRACTS / "twitter-text" / "conformance" / "tld_lib.yml"
    if not path.exists():
        pytest.skip("the published list of top-level domains is not beside the project")
    known = yaml.safe_load(path.read_text("utf-8"))
    assert frozenset(known["country"] + known["generic"]) >= KNOWN_DOMAINS


# --------------------------------------------------------------------------- any text

PIECES = st.one_of(
    st.sampled_from(
        [
            "https://example.org/ouistock",
            "http://a.fr",
            "https://example.org/a(b(c)d)e?f=g&h=i/j#k",
            "https://forêt.example.org/où/çà?là=ñ",
            "https://пример.рф/ёж",
            "https://例え.jp/日本語。、",
            "https://example.newtld/a/rather/long/way/to/go",
            "HTTPS://EXAMPLE.COM/A=",
            "https://t.co/abcdefghij/klm",
            "https://a_b.example.org/x",
            "https://example.org.foo/x",
            "https://example.org:8080/x!",
            "ipfs://a.fr",
            "xhttps://example.org/abcdefghijklmnopqrstuvwxyz",
            "foo.com/https://example.org/abcdefghijklmnopqrstuvwxyz",
            "://",
            "https://",
            "@bob@example.social",
            "@bob",
            "#ZéroDéchet",
            FAMILY,
            "👍🏽",
            "🇫🇷",
            "\u0915\u094d\u0937\u0924\u094d\u0930\u093f\u092f",
            "e\u0301",
            "\u200f",
            "שלום",
            "。",
            "…",
        ]
    ),
    st.sampled_from(list(" \n\t.,;:!?()<>\"'«»=&/@#-_~|$%*[]{}")),
    st.text(max_size=6),
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)
FAMILIES = st.sampled_from(["mastodon", "gotosocial", "pleroma"])
SERVERS = {
    "mastodon": Server(Family.MASTODON),
    "gotosocial": Server(Family.GOTOSOCIAL, per_link=25),
    "pleroma": Server(Family.PLEROMA),
}
WORDS = st.lists(
    st.one_of(
        st.sampled_from(["Un", "projet", "collaboratif.", "habitants", "quartier!", "日本語です。", "שלום"]),
        PIECES,
    ),
    min_size=1,
    max_size=40,
).map(" ".join)


def no_server_counts_more_than_we_do(text: str, spoiler: str, family: str) -> None:
    server, software = SERVERS[family], SOFTWARE[family]
    assert server.length(text, spoiler) >= software.length(text, spoiler, server.per_link)
    assert Server(Family.OTHER).length(text, spoiler) >= software.length(text, spoiler, 23)


def a_fitted_text_is_taken_and_whole(summary: str, limit: int, family: str) -> None:
    server, software = SERVERS[family], SOFTWARE[family]
    post = Post(
        campaign="c",
        entry="e",
        channel="m",
        network="mastodon",
        date=date(2016, 4, 11),
        days_left=10,
        title="T",
        summary=summary,
        url="https://example.org/e",
        lang="fr",
        hashtags=("#ZéroDéchet",),
        text=lambda shown: f"{shown}\nhttps://example.org/e #ZéroDéchet",
    )
    try:
        fit = fit_text(post, limit, lambda text: server.length(text, "CW"), "characters")
    except DoesNotFit:
        return
    assert software.length(fit.text, "CW", server.per_link) <= fit.length <= limit
    assert fit.text.endswith("\nhttps://example.org/e #ZéroDéchet")
    shown = fit.text.removesuffix("\nhttps://example.org/e #ZéroDéchet")
    whole = shown == summary
    body = shown if whole else shown.removesuffix("…").removesuffix(" ")
    assert summary.startswith(body)
    ends = {match.end() for match in regex.finditer(r"\X", summary)} | {0}
    assert len(body) in ends
    for pattern in (LINK, HASHTAG, MENTION):
        for match in pattern.finditer(summary):
            assert not match.start() < len(body) < match.end(), match.group()


@given(TEXTS, st.sampled_from(["", "Économie", FAMILY]), FAMILIES)
def test_no_server_counts_more_than_we_do(text: str, spoiler: str, family: str):
    no_server_counts_more_than_we_do(text, spoiler, family)


@given(WORDS, st.integers(40, 200), FAMILIES)
def test_a_fitted_text_is_taken_and_whole(summary: str, limit: int, family: str):
    a_fitted_text_is_taken_and_whole(summary, limit, family)


@pytest.mark.night
@pytest.mark.timeout(1800)
@settings(max_examples=10_000, deadline=None)
@given(TEXTS, st.sampled_from(["", "Économie", FAMILY]), FAMILIES)
def test_no_server_counts_more_than_we_do_ten_thousand_times(text: str, spoiler: str, family: str):
    no_server_counts_more_than_we_do(text, spoiler, family)


@pytest.mark.night
@pytest.mark.timeout(1800)
@settings(max_examples=10_000, deadline=None)
@given(WORDS, st.integers(40, 200), FAMILIES)
def test_ten_thousand_fitted_texts_are_taken_and_whole(summary: str, limit: int, family: str):
    a_fitted_text_is_taken_and_whole(summary, limit, family)


# --------------------------------------------------------------------------- knowing a text again


@given(TEXTS)
def test_a_text_is_known_again_in_the_html_that_is_made_of_it(text: str):
    text = re.sub(r"[\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]", " ", text)  # which HTML cannot hold
    shown = theirs.shown(text, "https://server.example")
    assert canonical(plain(shown)) == canonical(text)


def test_what_readers_do_not_see_makes_no_difference():
    assert canonical(" e\u0301te\u0301\u200b\n\u00a0\u2060x ") == canonical("étéx")
    assert canonical("à @bob@example.social.") == canonical("à @bob.")
    assert canonical("a b") != canonical("a c")
    assert plain("<p>a &lt;b&gt;<br/>c</p><p>d</p>").split() == ["a", "<b>", "c", "d"]


def test_a_link_is_found_in_what_a_server_makes_of_it():
    marked_up = '<p><a href="https://example.org/a_b_c">here</a></p>'
    assert shares_a_link("see https://example.org/a_b_c", marked_up)
    assert not shares_a_link("see https://example.org/other", marked_up)
    assert shares_a_link("no link at all", "<p>anything</p>")


# --------------------------------------------------------------------------- which software it is

GITHUB = "https://github.com/mastodon/mastodon"


@pytest.mark.parametrize(
    ("software", "version", "source", "family"),
    [
        ("mastodon", "4.5.2", GITHUB, Family.MASTODON),
        ("mastodon", "4.6.0-beta.1+glitch", "https://github.com/glitch-soc/mastodon", Family.MASTODON),
        ("Mastodon", "4.5.2", "", Family.MASTODON),
        (None, "4.5.2", GITHUB, Family.MASTODON),
        (None, "4.5.2", GITHUB + "/", Family.MASTODON),
        (None, "4.5.2", "https://code.example/somebody/else", Family.OTHER),
        (None, "3.4.10", "", Family.OTHER),
        ("mastodon", "4.2.1 (compatible; Iceshrimp.NET 2025.1)", GITHUB, Family.OTHER),
        ("mastodon", "4.0.0 (not true; really something else)", GITHUB, Family.OTHER),
        (None, "4.2.1 (compatible; Mastodon)", "", Family.OTHER),
        ("gotosocial", "0.20.2+git-6a39e4b", "", Family.GOTOSOCIAL),
        (None, "0.20.2", "https://codeberg.org/superseriousbusiness/gotosocial", Family.GOTOSOCIAL),
        ("pleroma", "2.7.2 (compatible; Pleroma 2.9.1)", "", Family.PLEROMA),
        ("akkoma", "2.7.2 (compatible; Akkoma 3.15.2-0-gabcdef)", "", Family.PLEROMA),
        (None, "2.7.2 (compatible; Akkoma 3.15.2)", "", Family.PLEROMA),
        ("mastodon", "2.7.2 (compatible; Pleroma 2.9.1)", "", Family.OTHER),
        ("pleroma", "4.5.2", GITHUB, Family.PLEROMA),
        ("pixelfed", "3.5.3 (compatible; Pixelfed 0.12.5)", "", Family.OTHER),
        ("sharkey", "3.0.0 (compatible; Sharkey 2025.4)", "", Family.OTHER),
        ("", "", "", Family.OTHER),
        (None, "", "", Family.OTHER),
    ],
)
def test_software_is_known_by_what_it_says_and_never_by_half(software, version, source, family):
    assert family_of(software, version, source) is family


@given(st.text(max_size=30), st.text(max_size=60))
def test_an_unknown_software_is_never_relied_upon(software: str, version: str):
    family = family_of(software, version, GITHUB)
    assert family is Family.OTHER or software.strip().lower() in {
        "mastodon",
        "gotosocial",
        "pleroma",
        "akkoma",
    }


def test_every_software_has_its_word_on_keys_and_a_full_keep_gives_back_the_server():
    asked = datetime(2016, 4, 11, 7, tzinfo=UTC)
    assert set(KEYS) == set(Family)
    for family in Family:
        server = Server(
            family, "4.5", "a.example", 501, 24, 5, 1_000_000, 2_000_000, frozenset({"image/png"}), 99
        )
        assert kept(to_keep(server, "https://a.example", asked), "https://a.example") == (server, asked)
        assert kept(to_keep(server, "https://a.example", asked), "https://b.example") == (Server(), None)
