"""Counting and shortening, for any text an editor may write."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from itertools import pairwise

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.channels.base import DoesNotFit
from pipeline.channels.text import Measure, code_points, fit_text, graphemes, shorter, utf8, utf16
from pipeline.model import Post

FAMILY = "👩‍👩‍👧‍👦"


def a_post(summary: str, text: Callable[[str], str] = str) -> Post:
    return Post(
        campaign="lille",
        entry="x",
        channel="outbox",
        network="outbox",
        date=date(2016, 4, 11),
        days_left=10,
        title="Titre",
        summary=summary,
        url="https://example.org/x",
        lang="fr",
        hashtags=(),
        text=text,
    )


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", (0, 0, 0, 0)),
        ("été", (3, 3, 3, 5)),
        ("e\u0301", (1, 2, 2, 3)),
        (FAMILY, (1, 7, 11, 25)),
        ("🇫🇷🇧🇪", (2, 4, 8, 16)),
        ("👍🏽", (1, 2, 4, 8)),
        ("\ud800", (1, 1, 1, 3)),
    ],
)
def test_lengths_are_counted_in_each_unit(text: str, counts: tuple[int, ...]):
    assert (graphemes(text), code_points(text), utf16(text), utf8(text)) == counts


def test_sentences_go_first_then_words():
    assert list(shorter("Il naît. Il vit bien, ici. Il rit.")) == [
        "Il naît. Il vit bien, ici. Il rit.",
        "Il naît. Il vit bien, ici.",
        "Il naît.",
        "Il…",
    ]


def test_punctuation_before_the_ellipsis_goes_too():
    assert list(shorter("Vite, un café (noir) « chaud » et – fin")) == [
        "Vite, un café (noir) « chaud » et – fin",
        "Vite, un café (noir) « chaud » et…",
        "Vite, un café (noir) « chaud »…",
        "Vite, un café (noir) « chaud…",
        "Vite, un café (noir)…",
        "Vite, un café…",
        "Vite, un…",
        "Vite…",
    ]


def test_a_quotation_that_has_just_opened_goes_too():
    assert list(shorter('Il dit "oui" et " non')) == [
        'Il dit "oui" et " non',
        'Il dit "oui" et…',
        'Il dit "oui"…',
        "Il dit…",
        "Il…",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Reçu par M. Dupont",
        "Avec Mme. Durand",
        "Le vélo, p. ex. Décathlon",
        "Des fruits, etc. Une fête",
        "J. Doe arrive",
        "Levée de 600.000 euros",
        "Voir https://example.org/a.html maintenant",
        "Il hésite… Puis part",
        "Il hésite... Puis part",
        "« Où ? » demande-t-il",
        "Voir no. 5 ou fig. 3 ici",
        "Le c.-à-d. Final",
        "12. Rang",
    ],
)
def test_what_only_looks_like_the_end_of_a_sentence_is_none(text: str):
    assert all(candidate.endswith("…") for candidate in list(shorter(text + " oui. Fin."))[2:])
    assert list(shorter(text + " oui. Fin."))[1] == text + " oui."


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Vraiment\u202f! Oui.", "Vraiment\u202f!"),
        ("Vraiment ? Oui.", "Vraiment ?"),
        ("Il dit « oui.\u00a0» Bon.", "Il dit « oui.\u00a0»"),
        ('He said "yes." Good.', 'He said "yes."'),
        ("En 2015. Depuis, rien.", "En 2015."),
        ("今日は晴れ。明日は雨。", "今日は晴れ。"),
        ("Voir https://example.org/a. Puis.", "Voir https://example.org/a."),
    ],
)
def test_the_end_of_a_sentence_is_seen(text: str, first: str):
    assert list(shorter(text))[1] == first


@pytest.mark.parametrize(
    "whole",
    [
        "https://example.org/très/long?a=1,2&b=(3)#c",
        "www.exemple.fr/é",
        "exemple.fr/page",
        "#日本語タグ",
        "#ZéroDéchet",
        "@ami@mastodon.example",
        "10\u00a0€",
        "«\u202fmot\u202f»",
        FAMILY,
        "🇫🇷",
        "👍🏽",
    ],
)
def test_some_things_are_never_cut(whole: str):
    text = f"日本 avant {whole} après 日本語"
    allowed = text.index(whole) + len(whole)
    for candidate in shorter(text):
        end = len(candidate.removesuffix("…").rstrip(" "))
        assert not text.index(whole) < end < allowed, candidate


def test_the_ellipsis_keeps_its_distance_from_a_link():
    assert "Voir https://example.org/a/ …" in list(shorter("Voir https://example.org/a/ puis bien plus"))


def test_scripts_without_spaces_are_cut_between_characters():
    assert list(shorter("今日は、天気")) == ["今日は、天気", "今日は…", "今日…", "今…"]
    assert list(shorter("ที่นี่ดี"))[-1] == "ที่…"


def test_one_word_stays_whole():
    assert list(shorter("Bonjour")) == ["Bonjour"]
    assert list(shorter("https://example.org/x")) == ["https://example.org/x"]
    assert list(shorter("")) == [""]


PIECES = st.sampled_from(
    [
        *(
            "mot",
            "Mot",
            "été",
            "e\u0301",
            FAMILY,
            "🇫🇷",
            "👍🏽",
            "1️⃣",
            "שלום",
            "مرحبا",
            "\u0645\u06cc\u200c\u062e\u0648",
            "क्षि",
            "日本",
            "。",
        ),
        *(
            "ไทย",
            " ",
            " ",
            " ",
            "\u00a0",
            "\u202f",
            ". ",
            "! ",
            "… ",
            ", ",
            "«",
            "»",
            "(",
            ")",
            '"',
            "’",
            "-",
            "\u0301",
        ),
        *(
            "https://exämple.org/é?a=(1)",
            "#ZéroDéchet",
            "@ami@ex.org",
            "M. ",
            "\u200d",
            "\u200b",
            "\u0600",
            "\r\n",
            "\n",
        ),
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60)
WHOLE = regex.compile(r"(?:(?<=\s)|^)(?:https?://|#)[\p{L}\p{M}\p{Nd}:/.?=-]*[\p{L}\p{Nd}](?=\s|$)")


@given(TEXTS)
@example("\u0600 a b")
def test_candidates_shrink_and_are_prefixes_that_end_between_things(summary: str):
    candidates = list(shorter(summary))
    assert candidates[0] == summary
    sizes = [graphemes(candidate) for candidate in candidates]
    assert all(after < before for before, after in pairwise(sizes))
    boundaries = {0, *(match.end() for match in regex.finditer(r"\X", summary))}
    for candidate in candidates[1:]:
        kept = candidate.removesuffix("…")
        if kept + "…" == candidate and not summary.startswith(kept):
            kept = kept.removesuffix(" ")
        assert summary.startswith(kept)
        assert kept
        assert len(kept) in boundaries
        assert not any(match.start() < len(kept) < match.end() for match in WHOLE.finditer(summary))


@given(TEXTS, st.integers(1, 80), st.sampled_from([graphemes, code_points, utf16, utf8]))
def test_a_fit_never_exceeds_the_limit(summary: str, limit: int, measure: Measure):
    post = a_post(summary, lambda summary: f"Titre {summary} https://example.org/x")
    try:
        fit = fit_text(post, limit, measure, "characters")
    except DoesNotFit as refusal:
        shortest = min(measure(post.text(candidate)) for candidate in shorter(summary))
        assert (refusal.length, refusal.limit) == (shortest, limit)  # noqa: PT017 — the other way out
        assert shortest > limit
    else:
        assert fit.length == measure(fit.text) <= limit
        assert fit.text.startswith("Titre ")
        assert fit.text.endswith(" https://example.org/x")
        assert fit.shortened == (fit.text != post.text(summary))


def test_the_first_candidate_that_fits_is_taken():
    post = a_post("Un. Deux. Trois.")
    assert fit_text(post, 16, graphemes, "characters").text == "Un. Deux. Trois."
    fit = fit_text(post, 15, graphemes, "characters")
    assert (fit.text, fit.length, fit.limit, fit.shortened) == ("Un. Deux.", 9, 15, True)


def test_a_text_that_does_not_fit_says_how_short_it_got():
    with pytest.raises(DoesNotFit, match="has 8 characters, and the limit is 5"):
        fit_text(a_post("un deux trois", lambda summary: "Titre" + summary), 5, graphemes, "characters")


@pytest.mark.parametrize(
    "summary",
    [
        *("a " * 10_000, "猫" * 20_000, "x. " * 6_600, "." * 20_000, "a." * 10_000, "a" * 20_000),
        *(
            "https://" * 2_500,
            "@a." * 6_000,
            "#a" * 10_000,
            "« " * 10_000,
            '"' * 20_000,
            "http://a b " * 1_800,
        ),
    ],
)
def test_even_an_absurd_summary_is_fitted_in_no_time(summary: str):
    begin = time.perf_counter()
    calls = 0

    def text(summary: str) -> str:
        nonlocal calls
        calls += 1
        return "T " + summary

    try:
        assert fit_text(a_post(summary, text), 500, graphemes, "characters").length <= 500
    except DoesNotFit as refusal:
        assert refusal.length > 500  # noqa: PT017 — the other way out of the same property
    assert calls <= 600
    assert time.perf_counter() - begin < 5
