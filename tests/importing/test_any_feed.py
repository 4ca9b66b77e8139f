"""Whatever a feed holds: no crash, and every file made is one that `check` accepts as a draft."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.content import parse_entry
from pipeline.errors import BrokenEnvironment, WrongUse
from pipeline.importing import import_feed
from pipeline.importing.drafting import as_text, draft, plain
from pipeline.importing.feed import FoundEntry, FoundImage
from pipeline.problems import has_errors
from tests.importing.feeds import atom, entries, escaped, json_feed, rss

NASTY = st.one_of(
    st.sampled_from(["\x00", "\x85", "\u2028", "\ufeff", "\ud800", "\u202e", "\r", "é\u0301" * 9, "👨‍👩‍👧"]),
    st.sampled_from(["]]>", "---\n", "\n\n", "&amp;amp;", "<b>", "&eacute;", "[a](b)", "![", "{{ x }}", '"']),
    st.sampled_from(["\\", "'", "#", ": ", "%", "<!--", "<script>", "- ", "1. "]),
)
TEXT = st.lists(st.one_of(st.text(max_size=40), NASTY), max_size=8).map("".join)
LONG = st.builds(lambda text, times: text * times, TEXT, st.integers(1, 60))
ADDRESS = st.one_of(
    TEXT,
    st.builds("https://a.example/{}".format, TEXT),
    st.sampled_from(
        ["", "/x", "//b.example/", "http://[", "javascript:x", "https://a.example/?a=b#c", "data:,x"]
    ),
)
ENTRY = st.builds(
    FoundEntry,
    id=LONG,
    title=LONG,
    url=ADDRESS,
    summary=LONG,
    html=LONG,
    tags=st.lists(TEXT, max_size=5).map(tuple),
    language=st.one_of(TEXT, st.sampled_from(["fr", "fr_FR", "zh-Hant"])),
    image=st.none() | st.builds(FoundImage, ADDRESS, LONG, LONG),
)


def imported(data: bytes) -> list[str]:
    """What an import of a file makes of it. Its entries name no host that could be asked."""
    with tempfile.TemporaryDirectory() as folder:
        root, file = Path(folder), Path(folder) / "feed"
        (root / "content").mkdir()
        file.write_bytes(data)
        try:
            done = import_feed(root, str(file))
        except (WrongUse, BrokenEnvironment):
            return []
        assert sorted(done.made) == sorted(entries(root))
        assert all(entry.draft for entry in entries(root).values())
        assert import_feed(root, str(file)).made == ()
        return list(done.made)


@given(ENTRY, st.sampled_from([None, "a.png"]))
@example(FoundEntry("", "a \u202e b", "https://a.example/", "\u2067 c", "0", ("\u202a",), "", None), None)
def test_any_entry_becomes_a_draft_or_nothing(found, picture):
    new = draft(found)
    if new is None:
        return
    text = as_text(new, picture)
    parsed = parse_entry("content/a.md", text)
    assert not has_errors(parsed.problems), (parsed.problems, text)
    assert parsed.value is not None
    assert parsed.value.draft
    assert "\n# imported: " in text[:20]
    assert draft(found) == new


@given(st.binary(max_size=2000))
@example(b"<rss><channel><item>")
@example(b"\xef\xbb\xbf{")
def test_any_bytes_are_a_feed_or_told(data):
    imported(data)


@given(st.data())
def test_any_damage_to_a_feed_is_survived(data):
    whole = data.draw(st.sampled_from([rss(), atom(), json_feed()]))
    at = data.draw(st.integers(0, len(whole)))
    cut = data.draw(st.integers(0, 40))
    imported(whole[:at] + data.draw(st.binary(max_size=40)) + whole[at + cut :])


@given(st.lists(st.tuples(TEXT, TEXT, LONG, LONG), max_size=4))
def test_any_texts_of_an_rss_feed(texts):
    items = "".join(
        f"<item><guid>{escaped(guid)}</guid><title>{escaped(title)}</title><link>https://a.example/{n}</link>"
        f"<description>{escaped(summary)}</description><content:encoded>{escaped(body)}</content:encoded></item>"
        for n, (guid, title, summary, body) in enumerate(texts)
    )
    imported(rss(items))


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
KEYS = ["id", "url", "external_url", "title", "content_html", "content_text", "summary", "tags", "language",
        "attachments"]  # fmt: skip


@given(
    st.lists(st.dictionaries(st.sampled_from(KEYS), VALUE) | VALUE, max_size=4),
    st.dictionaries(st.sampled_from(["home_page_url", "language", "title"]), VALUE),
)
def test_any_values_of_a_json_feed(items: list[Any], head: dict[str, Any]):
    imported(json.dumps({**head, "items": items}).encode("utf-8", "surrogatepass"))


@given(LONG)
def test_plain_text_is_one_line_without_markup(text):
    import re

    from pipeline.source.values import _MARKUP

    found = plain(text)
    assert not re.search(r"[\n\r\t]", found)
    assert found == found.strip()
    assert not _MARKUP.search(found), found
