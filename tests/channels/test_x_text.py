"""X's counting: as the published cases have it, and never less than X could count; and texts read back."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import regex
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.channels import open_channel, x_text
from pipeline.channels.base import DoesNotFit
from pipeline.model import Image
from tests.support.bench_x import x_config, x_post
from tests.support.builders import make_campaign, surroundings

CASES = Path(__file__).parents[3] / "shared" / "contracts" / "twitter-text" / "conformance" / "validate.yml"
GROUPS = {"WeightedTweetsWithDiscountedEmojiCounterTest": 22, "UnicodeDirectionalMarkerCounterTest": 2}

FAMILY = "👨‍👩‍👧‍👦"
NEW = "🧑‍🫨"  # joined from parts of which the tables know one
CHANNEL = open_channel(make_campaign(), x_config(), surroundings(Path()))


@pytest.mark.skipif(not CASES.exists(), reason="the published conformance cases are not here")
@pytest.mark.parametrize("group", GROUPS)
def test_every_published_case_is_counted_as_published(group: str):
    cases = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"][group]
    assert len(cases) == GROUPS[group]
    for case in cases:
        assert x_text.weighted(case["text"]) == case["expected"]["weightedLength"], case["description"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("déjà", 4),
        ("de\u0301ja\u0300", 4),  # combining accents are one with their letter
        ("日本", 4),
        ("https://example.org/" + "a" * 200, 23),
        ("example.org", 23),
        ("(https://example.org/é)", 25),
        (FAMILY, 2),
        ("🇫🇷", 2),
        ("👍🏽", 2),
        ("a\r\nb", 3),
        ("©", 2),
    ],
)
def test_what_the_tables_know_counts_as_they_say(text: str, expected: int):
    assert x_text.cautious(text) == x_text.weighted(text) == expected


@pytest.mark.parametrize(
    ("text", "tables", "at_most"),
    [
        (NEW, 5, 5),  # 2 and 2, and 1 for what joins them
        ("🫨", 2, 2),
        (FAMILY + "\u200d🫨", 5, 14),  # not one emoji to the tables, so all its parts count
        ("mairie.truc", 11, 30),  # a domain, if such a name has come since
        ("https://mairie.truc/a", 21, 40),
        ("a.b.truc", 8, 27),
        ("habitant.e.s", 12, 12),
        ("3.14 et 1.2", 11, 11),
    ],
)
def test_what_the_tables_do_not_know_counts_as_the_most_it_could(text: str, tables: int, at_most: int):
    assert (x_text.weighted(text), x_text.cautious(text)) == (tables, at_most)


PIECES = st.one_of(
    st.sampled_from(
        [
            FAMILY,
            NEW,
            "🏳️‍🌈",
            "🇫🇷🇧🇪",
            "👩🏿‍🚒",
            "1️⃣",
            "🫱🏻‍🫲🏿",
            "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
            "مرحبا بالعالم",
            "שלום",
            "n\u0303a\u0301e\u0308\u0323",
            "日本語のテキスト。新しい文。",
            "한국어",
            "ภาษาไทย",
            "l’économie",
            "citoyen·ne·s",
            "habitant.e.s",
            "mairie.truc",
            "https://exämple.org/é/日本?q=ü#où",
            "https://example.org/" + "long-" * 12,
            "http://ville.nouveau/page.html",
            "example.com",
            "#ÉconomieCollaborative",
            "#日本語",
            "@quelqu_un",
            "$LILLE",
            "Il grandit.",
            "Vraiment ?",
            "© 2016 ®",
            "a\u200bb",
            "\u2066\u202ax\u202c",
        ]
    ),
    st.text(max_size=12),
    st.text(st.characters(codec="utf-8", categories=("So", "Sk", "Mn", "Lo", "Cf")), max_size=8),
)
SUMMARIES = st.lists(PIECES, min_size=1, max_size=60).map(" ".join)


# Somebody who knows every domain there could be, and every emoji by its parts only.
_ANY_DOMAIN = regex.compile(r"(?:https?://)?(?:[\p{L}\p{M}\p{Nd}_-]+\.)+\p{L}[\p{L}\p{M}]+(?:/[^\s]*)?")


def as_somebody_else_counts(text: str) -> int:
    plain = _ANY_DOMAIN.sub("", text)
    light = len(regex.findall(r"[\u0000-\u10FF\u2000-\u200D\u2010-\u201F\u2032-\u2037]", plain))
    return light + 2 * (len(plain) - light) + 23 * len(_ANY_DOMAIN.findall(text))


def whole_tokens(text: str) -> set[str]:
    return {token for token in text.split() if token.startswith(("http", "#", "@", "$"))}


def check(summary: str) -> None:
    post = replace(
        x_post(x_config()), summary=summary, text=lambda s: f"J-9 : {s}\nhttps://example.org/a #Lille"
    )
    fit = None
    with suppress(DoesNotFit):
        fit = CHANNEL.fit(post)
    if fit is None:
        return
    assert x_text.weighted(fit.text) <= x_text.cautious(fit.text) == fit.length <= x_text.LIMIT
    assert x_text.library().parse_tweet(fit.text).valid
    assert fit.text.endswith("\nhttps://example.org/a #Lille")
    assert fit.text == x_text.clean(fit.text)
    if not fit.shortened:
        assert fit.text == x_text.with_whole_links(x_text.clean(post.text(summary)))
        return
    kept = fit.text.removeprefix("J-9 : ").removesuffix("\nhttps://example.org/a #Lille")
    body = kept.removesuffix("…").rstrip() if kept.endswith("…") else kept
    full = x_text.with_whole_links(x_text.clean(post.text(summary))).removeprefix("J-9 : ")
    assert full.startswith(body)
    boundaries = {match.end() for match in regex.finditer(r"\X", full)} | {0}
    assert len(body) in boundaries, "cut inside a grapheme"
    begun = len(body) < len(full) and not full[len(body)].isspace()
    if begun and body and not body[-1].isspace():
        token = body.split()[-1]
        assert not token.startswith(("http://", "https://", "#", "@")) or token in whole_tokens(full)


@given(SUMMARIES)
def test_no_text_is_longer_than_x_takes_nor_cut_where_it_hurts(summary: str):
    check(summary)


@pytest.mark.night
@pytest.mark.timeout(3600)
@settings(max_examples=10_000)
@given(SUMMARIES)
def test_ten_thousand_texts_are_not_longer_than_x_takes_nor_cut_where_it_hurts(summary: str):
    check(summary)


@given(SUMMARIES)
def test_the_count_is_never_less_than_the_tables_nor_than_what_could_be_known(text: str):
    cleaned = x_text.clean(text)
    assert x_text.cautious(text) >= x_text.weighted(cleaned)
    emojiless = "".join(s for s in cleaned if not regex.match(r"\p{Emoji}|[\u200d\ufe0f\u20e3]|\p{Cf}", s))
    assert x_text.cautious(emojiless) >= as_somebody_else_counts(emojiless)


def test_what_x_refuses_in_a_text_is_left_out():
    post = replace(x_post(x_config()), text=lambda s: f"\ufeffCaf\u0065\u0301\r\n\uffff{s}\ud800")
    fit = CHANNEL.fit(post)
    assert fit.text.startswith("Café\nUn projet")
    assert fit.text.endswith("?")
    assert x_text.library().parse_tweet(fit.text).valid


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://example.org/l’atelier", "https://example.org/l%E2%80%99atelier"),
        ("https://example.org/?q=été&r=1#où", "https://example.org/?q=%C3%A9t%C3%A9&r=1#o%C3%B9"),
        ("https://example.org/أدوات", "https://example.org/%D8%A3%D8%AF%D9%88%D8%A7%D8%AA"),
        # What X reads to its end stays as it is written, and so does what it makes no link of either way.
        ("https://example.org/é-voilà_(œ)", "https://example.org/é-voilà_(œ)"),
        ("https://example.org/l%E2%80%99atelier", "https://example.org/l%E2%80%99atelier"),
        ("http://127.0.0.1/l’atelier", "http://127.0.0.1/l’atelier"),
    ],
)
def test_a_link_leads_where_it_was_written_to_lead(written: str, sent: str):
    post = replace(x_post(x_config()), text=lambda s: f"« {s} » ({written}), puis {written}. #Lille")
    fit = CHANNEL.fit(post)
    assert fit.text == x_text.clean(post.text(post.summary)).replace(written, sent)
    found = [fit.text[begin:end] for begin, end in x_text.links(fit.text)]
    assert found == ([sent, sent] if sent.startswith("https://example.org/") else [])
    assert x_text.canonical(fit.text) == x_text.canonical(post.text(post.summary))


def test_the_price_is_that_of_the_list():
    for changes, price in (
        ({}, "0.200"),
        ({"text": lambda s: s}, "0.015"),
        ({"text": lambda s: f"example.org {s}"}, "0.200"),
        ({"text": lambda s: s, "image": Image("content/o.png", "Une place")}, "0.020"),
        ({"image": Image("content/o.png", "Une place")}, "0.205"),
    ):
        assert CHANNEL.fit(replace(x_post(x_config()), **changes)).price == Decimal(price)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Un projet de @quelqu_un, et @autre.",
            ["restricts apps that mention accounts (@quelqu_un, @autre)"],
        ),
        ("$LILLE et $NORD", ["one cashtag a post from apps ($LILLE, $NORD)"]),
        ("\uff20vous $A $B", ["(\uff20vous)", "($A, $B)"]),
        ("$LILLE, $LILLE", []),
        ("contact@example.org, https://social.example.org/@nous, 5 $ ou $20", []),
        ("Un projet.", []),
    ],
)
def test_what_x_lets_no_app_do_is_said(text: str, said: list[str]):
    complaints = x_text.complaints(text)
    assert len(complaints) == len(said)
    for complaint, expected in zip(complaints, said, strict=True):
        assert expected in complaint


# --------------------------------------------------------------------------- reading back


def link(url: str, expanded: str, **more: str) -> dict[str, str]:
    return {"url": url, "expanded_url": expanded, **more}


@pytest.mark.parametrize(
    ("ours", "text", "links"),
    [
        (
            "A & B < C > D https://example.org/a",
            "A &amp; B &lt; C &gt; D https://t.co/aaaaaaaaaa",
            [link("https://t.co/aaaaaaaaaa", "https://example.org/a")],
        ),
        ("« &amp; » tel quel", "« &amp;amp; » tel quel", []),
        (
            "un  projet\n\nexample.org ",
            "un projet\nhttps://t.co/a",
            [link("https://t.co/a", "http://example.org")],
        ),
        (
            "https://École.example/é?q=ü",
            "https://t.co/a",
            [link("https://t.co/a", "https://xn--cole-9oa.example/%C3%A9?q=%C3%BC")],
        ),
        ("(https://example.org).", "(https://t.co/a).", [link("https://t.co/a", "https://example.org/")]),
        (
            "Une place",
            "Une place https://t.co/p",
            [link("https://t.co/p", "https://x.com/sharing/status/7/photo/1", media_key="3_9")],
        ),
        (
            "Une place",
            "Une place https://t.co/p",
            [link("https://t.co/p", "https://twitter.com/s/status/7/photo/1")],
        ),
        (
            "https://example.org/a https://example.org/b",
            "https://t.co/1 https://t.co/2",
            [
                link("https://t.co/2", "https://example.org/b"),
                link("https://t.co/1", "https://example.org/a"),
            ],
        ),
        ("E\u0301cole ❤️", "École ❤", []),
    ],
)
def test_what_x_makes_of_a_text_is_still_known(ours: str, text: str, links: list[dict[str, str]]):
    post = {"text": text, "entities": {"urls": links}}
    assert x_text.canonical(x_text.shown(post)) == x_text.canonical(x_text.clean(ours))
    assert x_text.shown_words(post) == x_text.words(ours)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("J-10 : OuiStock", "J-9 : OuiStock"),
        ("https://example.org/a", "https://example.org/b"),
        ("Oui", "Non"),
    ],
)
def test_other_texts_stay_others(ours: str, theirs: str):
    assert x_text.canonical(ours) != x_text.canonical(theirs)


@pytest.mark.parametrize(
    "post", [{}, {"text": None}, {"text": "a", "entities": []}, {"entities": {"urls": [7, {}]}}]
)
def test_a_post_in_another_form_is_read_as_far_as_it_can_be(post: dict[str, object]):
    assert x_text.shown(post) in {"", "a"}


# --------------------------------------------------------------------------- the library


def test_the_library_is_loaded_without_the_package_it_does_not_declare():
    script = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pkg_resources': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from pipeline.channels import x_text\n"
        "assert 'twitter_text' not in sys.modules\n"
        f"assert x_text.weighted({FAMILY!r}) == 2\n"
        "assert 'pkg_resources' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)
