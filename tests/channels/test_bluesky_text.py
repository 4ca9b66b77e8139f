"""Counting, links, hashtags and mentions for Bluesky, for any text an editor may write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import regex
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.channels import open_channel
from pipeline.channels.base import DoesNotFit
from pipeline.channels.bluesky_text import LIMIT, facets, language, measure, plain, uri
from pipeline.channels.text import HASHTAG, LINK, graphemes, utf8
from tests.support.bench_bluesky import a_post, bluesky
from tests.support.builders import make_campaign, surroundings
from tests.support.texts_bluesky import FAMILY, any_text

VECTORS = Path(__file__).parents[2].parent / "shared/contracts/atproto/interop-test-files/syntax"


def pointed_at(text: str) -> list[tuple[str, str]]:
    """Each facet as what it covers and what it means."""
    found = []
    for facet in facets(text):
        [feature] = facet["features"]
        part = text.encode()[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode()
        found.append((part, next(value for key, value in feature.items() if key != "$type")))
    return found


# --------------------------------------------------------------------------- counting


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("été", 3),
        (FAMILY, 3),  # 25 bytes of 3,000 are as much as 2.5 of 300
        (FAMILY * 120, 300),
        (FAMILY * 121, 303),
        ("x" * 301, 301),
        ("क्ष" * 10, 20),  # one by one for who does not see them joined
        ("语" * 300, 300),
        ("e" + "\u0301" * 2000, 401),
    ],
)
def test_both_limits_count(text: str, length: int):
    assert measure(text) == length


def test_half_a_character_is_a_question_mark():
    assert plain("a\ud83db") == "a?b"


# --------------------------------------------------------------------------- facets


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Été : https://example.org/é?a=ß#ñ.",
            [("https://example.org/é?a=ß#ñ", "https://example.org/%C3%A9?a=%C3%9F#%C3%B1")],
        ),
        ("(http://münchen.example/)", [("http://münchen.example/", "http://xn--mnchen-3ya.example/")]),
        ("www.example.org", [("www.example.org", "https://www.example.org")]),
        ("Node.js/Deno et example.org/x", []),
        ("https:// http://[::1 https://a b", [("https://a", "https://a")]),
        (
            "#Été, #ÉconomieCollaborative!",
            [("#Été", "Été"), ("#ÉconomieCollaborative", "ÉconomieCollaborative")],
        ),
        ("#2016 # #️⃣ #_", []),
        ("\uff03東京 a#b", [("\uff03東京", "東京")]),
        ("https://example.org/#tag", [("https://example.org/#tag", "https://example.org/#tag")]),
        ("(https://example.org/b) c", [("https://example.org/b", "https://example.org/b")]),
        (
            "https://example.org/Tri_(homonymie)",
            [("https://example.org/Tri_(homonymie)", "https://example.org/Tri_(homonymie)")],
        ),
        ("(voir https://example.org/T_(h)).", [("https://example.org/T_(h)", "https://example.org/T_(h)")]),
        ("https://example.org/(a)/b)", [("https://example.org/(a)/b", "https://example.org/(a)/b")]),
        ("https://example.org/a(b.", [("https://example.org/a(b", "https://example.org/a(b")]),
        ("example.org/#tag", []),
        ("https://example.org/?#tag", [("https://example.org/?#tag", "https://example.org/?#tag")]),
        ("https://[::1?#tag", []),  # a link that leads nowhere
        ("example.org/?#tag example.org/?@alice.test", []),
        ("#" + "x" * 64, [("#" + "x" * 64, "x" * 64)]),
        ("#" + "x" * 65, []),
        ("#" + "e\u0301\u0302\u0303\u0304\u0305" * 60, []),  # 660 bytes
        (
            "@Alice.test, @zoe.bsky.social.",
            [("@Alice.test", "resolve:alice.test"), ("@zoe.bsky.social", "resolve:zoe.bsky.social")],
        ),
        ("@alice a@b.example @user@instance.example @a..b @-a.b @a.1", []),
        (
            "https://example.org/@alice.test",
            [("https://example.org/@alice.test", "https://example.org/@alice.test")],
        ),
        (f"{FAMILY} #a\u200d👩", []),  # the tag would end inside what readers take for one character
        ("👍🏽 #a", [("#a", "a")]),
    ],
)
def test_what_becomes_a_link_a_hashtag_or_a_mention(text: str, found: list[tuple[str, str]]):
    assert pointed_at(text) == found


@given(any_text(30))
@example("#a\u0301\u200d")
def test_facets_point_at_whole_characters_in_order_and_never_overlap(text: str):
    ends = {0}
    for match in regex.finditer(r"\X", text):
        ends.add(utf8(text[: match.end()]))
    last = 0
    for facet, (part, meaning) in zip(facets(text), pointed_at(text), strict=True):
        start, end = facet["index"]["byteStart"], facet["index"]["byteEnd"]
        assert last <= start < end
        assert {start, end} <= ends
        last = end
        match facet["features"][0]["$type"].rpartition("#")[2]:
            case "link":
                assert LINK.fullmatch(part)
                assert regex.fullmatch(r"https?://[!-~]+", meaning, regex.IGNORECASE)
            case "tag":
                assert part[1:] == meaning
                assert graphemes(meaning) <= 64
            case "mention":
                assert f"resolve:{part[1:].lower()}" == meaning


@given(st.text(max_size=60))
def test_an_address_is_ascii_or_none(text: str):
    for address in (text, f"https://{text}", f"https://example.org/{text}"):
        made = uri(address)
        assert made is None or regex.fullmatch(r"[!-~]{1,8000}", made)


def test_an_address_too_long_is_none():
    assert uri("https://example.org/" + "é" * 2000) is None


# --------------------------------------------------------------------------- languages


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("fr", "fr"),
        ("EN-us", "en-US"),
        ("pt_BR", "pt-BR"),
        ("ZH-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-1996", "de"),
        ("fr-x-lille", "fr"),
        ("i-klingon", None),
        ("x", None),
        ("", None),
        ("not a lang!", None),
    ],
)
def test_a_language_is_spelt_as_servers_want_it(given: str, found: str | None):
    assert language(given) == found


@pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not beside the project")
def test_published_language_tags_become_such_or_nothing():
    lines = (VECTORS / "language_syntax_valid.txt").read_text().splitlines()
    tags = [line for line in lines if line and not line.startswith("#")]
    assert len(tags) > 5
    for tag in tags:
        made = language(tag)
        assert made is None or tag.replace("_", "-").lower().startswith(made.lower())


# --------------------------------------------------------------------------- fitting


def fitting(summary: str, folder: Path) -> None:
    channel = open_channel(make_campaign(), bluesky(), surroundings(folder))
    summary = summary.strip() or "a"
    post = replace(a_post(bluesky()), summary=summary, text=str)
    try:
        text = channel.fit(post).text
    except DoesNotFit:
        return
    assert graphemes(text) <= LIMIT
    assert utf8(text) <= 3_000
    if text == summary:
        return
    kept = text.removesuffix("…").rstrip()
    assert summary.startswith(kept)
    cut = len(kept)
    assert cut in {match.end() for match in regex.finditer(r"\X", summary)}
    for pattern in (LINK, HASHTAG):
        assert not any(start < cut < end for start, end in (m.span() for m in pattern.finditer(summary)))


@given(any_text())
def test_a_fitted_text_is_within_both_limits_and_cut_between_things(tmp_path_factory, summary: str):
    fitting(summary, tmp_path_factory.getbasetemp())


@pytest.mark.night
@pytest.mark.timeout(900)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_text())
def test_ten_thousand_fitted_texts(tmp_path_factory, summary: str):
    fitting(summary, tmp_path_factory.getbasetemp())
