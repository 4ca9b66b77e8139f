"""An entry's Markdown as HTML that is safe in anybody's reader.

What must stay true: only what the allow-list names comes out; every link and every picture is absolute;
a picture that cannot be shown leaves its alt text behind, so that nothing an editor wrote is lost.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from urllib.parse import urlsplit

import nh3
from markdown_it import MarkdownIt

from pipeline.addresses import WEB
from pipeline.content import may_show_pictures
from pipeline.feeds.text import LINKABLE, absolute, clean

# fmt: off
TAGS = {
    "a", "abbr", "b", "bdi", "bdo", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd",
    "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption", "figure", "h1", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s",
    "samp", "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "time", "tr", "u", "ul", "var", "wbr",
}
# What stands inside these is no text for readers, so it goes with them.
DROPPED_WHOLE = {
    "audio", "button", "canvas", "embed", "form", "iframe", "math", "noscript", "object", "script", "select",
    "style", "svg", "template", "textarea", "title", "video",
}
# fmt: on
ATTRIBUTES = {
    "*": {"dir", "lang", "title"},
    "a": {"href", "hreflang"},
    "col": {"span"},
    "colgroup": {"span"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"reversed", "start"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "time": {"datetime"},
}
# As the sanitiser writes them: attributes in double quotes, and no quote or angle bracket inside a value.
_IMAGE = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')
_ALT = re.compile(r' alt="([^"]*)"')
_ALIGNED = re.compile(r'style="text-align:(left|right|center)"')


# A text is rendered once, however many feeds it stands in and however often they are written.
_REMEMBERED = 2048


def render(markdown: str, *, base: str, images: Mapping[str, str | None] | None = None) -> str:
    """The Markdown (CommonMark and tables, HTML allowed) as a sanitised HTML fragment.

    Relative references are read from the page `base`. `images` gives the address of pictures by their `src`
    as `local_images` lists them; None means that there is no such picture, and its alt text stands instead.
    """
    return _render(markdown, base, tuple((images or {}).items()))


@lru_cache(_REMEMBERED)
def _render(markdown: str, base: str, images: tuple[tuple[str, str | None], ...]) -> str:
    known = dict(images)

    def rewrite(element: str, attribute: str, value: str) -> str | None:
        if element == "img" and attribute == "src":
            address = known[value] if value in known else absolute(base, value)
            return address if address and urlsplit(address).scheme in WEB else None
        return absolute(base, value) if attribute == "href" else value

    # Character references may stand for what XML refuses, so the outcome is cleaned as well.
    return clean(_IMAGE.sub(_or_alt_text, _sanitised(markdown, rewrite))).strip()


@lru_cache(_REMEMBERED)
def local_images(markdown: str) -> tuple[str, ...]:
    """The `src` of every picture that is named by a relative path, in order, each once."""
    if not may_show_pictures(markdown):
        return ()
    found: dict[str, None] = {}

    def collect(element: str, attribute: str, value: str) -> str:
        if element == "img" and attribute == "src" and _is_relative_path(value):
            found[value] = None
        return value

    _sanitised(markdown, collect)
    return tuple(found)


def figure(address: str, alt: str, credit: str | None) -> str:
    """A picture with its credit in sight: few readers show the credit in the feed's own elements."""
    caption = f"<figcaption>{html.escape(credit)}</figcaption>" if credit else ""
    return f'<figure><img src="{html.escape(address)}" alt="{html.escape(alt)}">{caption}</figure>'


def paragraph(text: str) -> str:
    """Plain text as one paragraph."""
    return f"<p>{html.escape(text, quote=False)}</p>"


def in_language(fragment: str, lang: str) -> str:
    """The fragment, marked as being in `lang`; its direction follows from its letters."""
    return f'<div lang="{html.escape(lang)}" dir="auto">{fragment}</div>'


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable("table")


def _sanitised(markdown: str, rewrite: Callable[[str, str, str], str | None]) -> str:
    # Table cells are aligned by a style, and styles are not let through.
    rendered = _ALIGNED.sub(r'align="\1"', _parser().render(clean(markdown)))
    return nh3.clean(
        rendered,
        tags=TAGS,
        clean_content_tags=DROPPED_WHOLE,
        attributes=ATTRIBUTES,
        attribute_filter=rewrite,
        url_schemes=set(LINKABLE),
        link_rel=None,
    )


def _is_relative_path(src: str) -> bool:
    try:
        parts = urlsplit(src)
    except ValueError:
        return False
    return bool(parts.path) and not parts.scheme and not parts.netloc and not parts.path.startswith("/")


def _or_alt_text(image: re.Match[str]) -> str:
    if ' src="' in image[1]:
        return image[0]
    alt = _ALT.search(image[1])
    return html.escape(html.unescape(alt[1]), quote=False) if alt else ""
