"""Texts of any script, joined in any way, long enough to need shortening."""

from __future__ import annotations

from hypothesis import strategies as st

FAMILY = "👩‍👩‍👧‍👦"
PIECES = (
    *("un projet", "l’été", "e\u0301te\u0301", "—", "« Où ? »", "\u00a0", "\n", "."),
    *(
        FAMILY,
        "👍🏽",
        "🏳️‍🌈",
        "🇫🇷🇧🇪",
        "❤️",
        "1️⃣",
        "\u200d",
        "\ufe0f",
        "🫱🏿‍🫲🏻",
        "🏴\U000e0067\U000e0062\U000e007f",
    ),
    *(
        "مشروع تعاوني",
        "\u200fשלום\u200e",  # noqa: RUF001  # Hebrew
        "共同的项目。",
        "プロジェクト",
        "한국어",
        "โครงการ",
        "क्षत्रिय",
        "ক্ষ",
        "ᬓ᭄ᬱ",
    ),
    *("https://example.org/é/ü?q=ß#ñ", "http://münchen.example/", "www.example.org/a", "example.org/b"),
    *("https://example.org/a).", "https://例え.example/", "https://[::1", "https://", "http://a@b.example/"),
    *("#ÉconomieCollaborative", "#2016", "#é\u0301t", "\uff03東京", "#a_b", "#", "#️⃣", "#" + "x" * 80),
    *("@alice.test", "@alice.bsky.social.", "@user@instance.example", "a@b.example", "@x", "(@zoe.test)"),
)


def any_text(most: int = 120) -> st.SearchStrategy[str]:
    """Pieces and any signs, with or without space between them. No half of a character."""
    signs = st.text(st.characters(codec="utf-8", exclude_categories=("Cn",)), max_size=6)
    piece = st.one_of(st.sampled_from(PIECES), signs)
    joint = st.sampled_from(("", " ", " ", "  ", "\u200d", "\u0301"))
    return st.lists(st.tuples(piece, joint), max_size=most).map(
        lambda parts: "".join(word + space for word, space in parts)
    )
