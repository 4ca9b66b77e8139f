"""Markdown becomes HTML that is safe, absolute, and loses nothing an editor wrote."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.feeds import html

BASE = "https://example.org/campagne/"


def render(markdown: str, **images: str | None) -> str:
    return html.render(markdown, base=BASE, images=images)


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("a<script>alert(1)</script>b", "<p>ab</p>"),
        ("<p onclick='x()' lang='ar'>a</p>", '<p lang="ar">a</p>'),
        ("<a href='javascript:alert(1)'>a</a>", "<p><a>a</a></p>"),
        ("<a href=' java\nscript:alert(1)'>a</a>", "<p><a>a</a></p>"),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>"),
        ("<a href='vbscript:x'>a</a>", "<p><a>a</a></p>"),
        ("<p style='color:red'>a</p>", "<p>a</p>"),
        ("<style>p{color:red}</style>\n\na", "<p>a</p>"),
        ("a<iframe src='https://evil.example/'>x</iframe>b", "<p>ab</p>"),
        ("a <img src='data:image/png;base64,AAAA' alt='un point'> b", "<p>a un point b</p>"),
        ("a <img src='mailto:a@example.org' alt='x'>", "<p>a x</p>"),
        ("<a href='data:text/html,x'>a</a>", "<p><a>a</a></p>"),
        ("a<svg><a href='https://e.example'>x</a></svg>b", "<p>ab</p>"),
        ("<!-- a note -->\n\na", "<p>a</p>"),
        ("a <marquee>b</marquee>", "<p>a b</p>"),
        ("<form><input name='x'>hidden</form>\n\na", "<p>a</p>"),
    ],
)
def test_what_could_harm_a_reader_does_not_come_out(markdown: str, expected: str):
    assert render(markdown) == expected


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("[a](page)", '<p><a href="https://example.org/campagne/page">a</a></p>'),
        ("[a](../autre?x=1&y=2)", '<p><a href="https://example.org/autre?x=1&amp;y=2">a</a></p>'),
        ("[a](/racine)", '<p><a href="https://example.org/racine">a</a></p>'),
        ("[a](//cdn.example/x)", '<p><a href="https://cdn.example/x">a</a></p>'),
        ("[a](#bas)", '<p><a href="https://example.org/campagne/#bas">a</a></p>'),
        ("[a](été)", '<p><a href="https://example.org/campagne/%C3%A9t%C3%A9">a</a></p>'),
        ("<a href='été'>a</a>", '<p><a href="https://example.org/campagne/%C3%A9t%C3%A9">a</a></p>'),
        ("[a](https://été.example/)", '<p><a href="https://xn--t-9fab.example/">a</a></p>'),
        ("[a](mailto:a@example.org)", '<p><a href="mailto:a@example.org">a</a></p>'),
        ("![a](/i.png)", '<p><img src="https://example.org/i.png" alt="a"></p>'),
        ("<a href='http://[bad'>a</a>", "<p><a>a</a></p>"),
    ],
)
def test_every_address_is_absolute_and_ascii(markdown: str, expected: str):
    assert render(markdown) == expected


def test_pictures_beside_the_entry_are_listed_once_and_in_order():
    markdown = (
        "![](images/b.png) ![](a%20b.gif) <img src='images/b.png'> <img src='d.webp?v=1'>\n\n"
        "![](https://example.org/x.png) ![](/abs.png) ![](//cdn.example/y.png) <img src='data:,x'>"
        "<iframe src='no.html'></iframe><img src='http://[bad'><img src='//[bad'>"
    )
    assert html.local_images(markdown) == ("images/b.png", "a%20b.gif", "d.webp?v=1")


def test_a_published_picture_has_its_new_address():
    address = "https://example.org/feeds/media/p.png"
    rendered = html.render("![Un « plan »](p.png)", base=BASE, images={"p.png": address})
    assert rendered == f'<p><img src="{address}" alt="Un « plan »"></p>'


def test_a_picture_that_is_not_there_leaves_its_alt_text():
    rendered = html.render('a ![5 < 6 & "x"](p.png "titre") b', base=BASE, images={"p.png": None})
    assert rendered == '<p>a 5 &lt; 6 &amp; "x" b</p>'


def test_tables_keep_their_alignment_without_a_style():
    rendered = render("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<th align="center">a</th>' in rendered
    assert '<td align="right">2</td>' in rendered
    assert "style" not in rendered


def test_a_style_shown_as_code_stays_as_it_was_written():
    assert "style=" in render('`style="text-align:left"`')


def test_a_character_reference_cannot_bring_back_what_xml_refuses():
    assert "\x01" not in render("<p>a&#1;b</p>")


@pytest.mark.parametrize("deep", ["<div>", "> ", "- ", "[", "*", "![", "<b>", "`", "&"])
def test_deep_or_hostile_nesting_ends(deep: str):
    assert isinstance(render(deep * 5_000 + "x"), str)


TOKENS = [
    "<script>",
    "</script>",
    "<img src=x onerror=alert(1)>",
    "<a href='javascript:x'>",
    "<svg onload=x>",
    "<style>",
    "<iframe src=x>",
    "<math>",
    "<!--",
    "-->",
    "<noscript>",
    "<p title='",
    "'>",
    "](javascript:x)",
    "[a",
    "![b](data:image/svg+xml,x)",
    "`",
    "\n\n",
    '"',
    "<textarea>",
]


@given(markdown=st.lists(st.sampled_from(TOKENS) | st.text(max_size=10), max_size=12).map("".join))
def test_nothing_typed_brings_out_an_element_attribute_or_scheme_that_is_not_allowed(markdown: str):
    rendered = render(markdown)
    attributes = set().union(*html.ATTRIBUTES.values())
    for name, inside in re.findall(r'<([a-z][a-z0-9]*)((?: [a-z]+="[^"]*")*)>', rendered):
        assert name in html.TAGS
        for attribute, value in re.findall(r' ([a-z]+)="([^"]*)"', inside):
            assert attribute in attributes
            if attribute in {"href", "src"}:
                assert value.startswith(("https://", "http://", "mailto:"))
    # Every angle bracket that opens something was seen above, or closes it.
    rest = re.sub(r'<[a-z][a-z0-9]*(?: [a-z]+="[^"]*")*>|</[a-z][a-z0-9]*>', "", rendered)
    assert "<" not in rest
