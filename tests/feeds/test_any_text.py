"""Whatever an editor types, the feeds are well formed and say the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from pipeline.feeds import document, json_feed, rss_atom
from pipeline.feeds.text import clean
from pipeline.model import Image
from tests.feeds import scene

NASTY = [
    "]]>",
    "<![CDATA[",
    "&amp;#0;",
    "&#x1;",
    "<b>",
    "\x00\x07\x1b",
    "\x85\u2028",
    "\r\n",
    "\ufffe\uffff",
    "\ud83d",
    "👩‍👩‍👧",
    "🇫🇷",
    "مرحبا",
    "\u202eabc\u202c",
    "e\u0301",
    "```\n<script>",
    "| a |\n|---|\n",
    "![](x.png)",
    "<!--",
    "<?xml?>",
    '"',
    "'",
    " ",
    "\n\n",
]
surrogates_too = st.text(st.characters(exclude_categories=()), max_size=30)
texts = st.lists(st.sampled_from(NASTY) | surrogates_too, max_size=6).map("".join)
entries = st.builds(
    lambda title, summary, body, tags, place, alt, credit: replace(
        scene.WITH_PICTURE,
        title=title,
        summary=summary,
        body=body,
        tags=tuple(tags),
        place=place,
        image=Image("content/images/jardin.png", alt, credit),
    ),
    texts,
    texts,
    texts,
    st.lists(texts, max_size=4),
    st.none() | texts,
    texts,
    st.none() | texts,
)
NS = {
    "atom": rss_atom.ATOM,
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": rss_atom.DC,
    "media": rss_atom.MEDIA,
}


def built(entry: Any, **campaign: Any) -> document.FeedDocument:
    media = {"jardin": document.EntryMedia(document.Picture("jardin.png", "image/png", 70))}
    return document.build(
        replace(scene.CAMPAIGN, **campaign),
        [scene.release(entry, 18)],
        authority=scene.AUTHORITY,
        first_seen=scene.FIRST_SEEN,
        media=media,
    )


@given(entry=entries, title=texts, description=texts, author=texts)
def test_any_text_gives_well_formed_feeds_that_say_the_same(
    entry: Any, title: str, description: str, author: str
):
    feed = built(entry, title=title, description=description, author=author)
    rss, atom = etree.fromstring(rss_atom.rss(feed)), etree.fromstring(rss_atom.atom(feed))
    plain = json.loads(json_feed.json_feed(feed))
    (item,), (atom_entry,), (json_entry,) = (
        rss.findall("channel/item"),
        atom.findall("atom:entry", NS),
        plain["items"],
    )
    content = item.findtext("content:encoded", None, NS)
    assert content == atom_entry.findtext("atom:content", None, NS) == json_entry["content_html"]
    shown = item.findtext("title")
    assert shown == atom_entry.findtext("atom:title", None, NS) == json_entry["title"] != ""
    assert atom_entry.findtext("atom:summary", None, NS) == json_entry["summary"] != ""
    assert item.findtext("dc:creator", None, NS) == json_entry["authors"][0]["name"] != ""
    categories = [category.text for category in item.findall("category")]
    assert categories == json_entry.get("tags", [])
    assert categories == [category.get("term") for category in atom_entry.findall("atom:category", NS)]
    assert rss.findtext("channel/title") == atom.findtext("atom:title", None, NS) == plain["title"] != ""
    credit = item.findtext("media:content/media:credit", None, NS)
    assert credit == json_entry.get("_pipeline", {}).get("image_credit")


@given(text=texts)
def test_only_what_xml_refuses_is_removed(text: str):
    kept = clean(text)
    etree.fromstring(
        f"<t>{kept.replace('&', '&amp;').replace('<', '&lt;')}</t>".replace("]]>", "]]&gt;").encode()
    )
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    refused = [c for c in lines if c not in kept]
    assert all(ord(c) < 0x20 or 0xD800 <= ord(c) <= 0xDFFF or c in "\ufffe\uffff" for c in refused)
    assert clean(kept) == kept


@given(text=texts)
def test_a_text_without_refused_characters_survives_whole(text: str):
    title = clean(text).strip()
    feed = built(replace(scene.WITH_PICTURE, title=title))
    assert etree.fromstring(rss_atom.rss(feed)).findtext("channel/item/title") == (title or "jardin")
