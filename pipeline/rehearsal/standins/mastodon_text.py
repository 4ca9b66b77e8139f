"""What Mastodon makes of a text: how long it is to it, and the HTML that it shows.

Written from twitter-text, whose tables it takes, and from Mastodon's own rules for paths; it shares no code
with the channel, so that each checks the other.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

import regex

_GENERAL = r"[^\p{White_Space}<>()?]"
_PARENTHESES = rf"\((?:{_GENERAL}+|{_GENERAL}*\({_GENERAL}+\){_GENERAL}*)\)"
_ENDING = rf"(?:[^\p{{White_Space}}()?!*\"'「」<>;:=,.$%\[\]~&|@]|{_PARENTHESES})"
_PATH = rf"(?:{_GENERAL}*(?:{_PARENTHESES}{_GENERAL}*)*{_ENDING}|{_GENERAL}+/)"
_OTHERS = r"\u00A0-\uD7FF\uF900-\uFDCF\uFDF0-\uFFEF\U00010000-\U000EFFFD\uE000-\uF8FF"
_ASKED = rf"[a-z0-9!?*'();:&=+$/%#\[\]\-_.,~|@\^{_OTHERS}]"
_ASKED_LAST = rf"[a-z0-9_&=#/\-{_OTHERS}]"

_MENTION = regex.compile(
    r"(?<![=/\w])@((?P<name>[a-z0-9_]+(?:[a-z0-9_.-]+[a-z0-9_]+)?)(?:@[\w.-]+\w+)?)", regex.IGNORECASE
)
_SHORTENED = regex.compile(r"https?://t\.co/[a-z0-9]+", regex.IGNORECASE)  # ends where twitter-text ends it
_NO_MENTION = regex.compile("[@\uff20]|://")  # right after it
_TAG = regex.compile(r"(?<![\w/)&])[#\uFF03]([\p{L}\p{M}\p{N}_]*[\p{L}\p{M}_][\p{L}\p{M}\p{N}_]*)")
_JOINT = regex.compile(r"\p{InCB=Linker}[\p{M}\u200D]*(?=\p{InCB=Consonant})")


@cache
def _link() -> Any:
    """The pattern of a link; its tables are loaded with the first text."""
    valid_domain = import_module("twitter_text.regexp.valid_domain").valid_domain
    return regex.compile(
        r"(?:[^a-z0-9@\uFF20$#\uFF03\uFFFE\uFEFF\uFFFF]|^)"
        r"(?P<url>(?P<scheme>(?:https?|dat|dweb|ipfs|ipns|ssb|gopher|gemini)://)?"
        rf"(?P<host>{valid_domain.pattern})(?::[0-9]+)?(?:/{_PATH}*)?(?:\?{_ASKED}*{_ASKED_LAST})?)",
        regex.IGNORECASE,
    )


def _links(text: str) -> Iterator[tuple[int, int]]:
    for found in _link().finditer(text) if "://" in text else ():
        if found["scheme"] and len(found["url"]) <= 4_096 and len(found["host"]) <= 253:
            begin, end = found.span("url")
            short = _SHORTENED.match(text, begin)
            yield begin, short.end() if short else end


def _mentions(text: str) -> Iterator[tuple[int, int, str]]:
    for found in _MENTION.finditer(text):
        if not _NO_MENTION.match(text, found.end()):
            yield *found.span(), found["name"]


def _entities(text: str) -> list[tuple[int, int, str | None]]:
    """Links (None) and mentions (their name), none of which overlap."""
    found: list[tuple[int, int, str | None]] = [(*span, None) for span in _links(text)]
    found += _mentions(text)
    kept: list[tuple[int, int, str | None]] = []
    for entity in sorted(found, key=lambda entity: entity[0]):
        if not kept or entity[0] >= kept[-1][1]:
            kept.append(entity)
    return kept


def length(text: str, spoiler: str, per_link: int) -> int:
    """Graphemes, as Rubies without Unicode 15.1 count them; a link is `per_link`, a mention its name."""
    counted, last = [], 0
    for begin, end, name in _entities(text):
        counted += [text[last:begin], "x" * per_link if name is None else f"@{name}"]
        last = end
    return graphemes(spoiler + "".join(counted) + text[last:])


def graphemes(text: str) -> int:
    """Grapheme clusters, with the joints of Indic scripts as ends of one."""
    return len(regex.findall(r"\X", text)) + len(_JOINT.findall(text))


def shown(text: str, base: str) -> str:
    """The HTML of a text: paragraphs, links shortened for the eye, hashtags and mentions."""
    pieces, last = [], 0
    for begin, end, name in _entities(text):
        pieces.append(_tagged(text[last:begin], base))
        pieces.append(_anchor(text[begin:end]) if name is None else _mention(name, base))
        last = end
    pieces.append(_tagged(text[last:], base))
    paragraphs = regex.split(r"\n\n+", "".join(pieces).replace("\r\n", "\n"))
    return "".join(f"<p>{paragraph.replace(chr(10), '<br />')}</p>" for paragraph in paragraphs)


def _tagged(text: str, base: str) -> str:
    pieces, last = [], 0
    for tag in _TAG.finditer(text):
        pieces.append(html.escape(text[last : tag.start()]))
        name = html.escape(tag[1])
        pieces.append(
            f'<a href="{base}/tags/{name}" class="mention hashtag" rel="tag">#<span>{name}</span></a>'
        )
        last = tag.end()
    return "".join([*pieces, html.escape(text[last:])])


def _mention(name: str, base: str) -> str:
    return (
        f'<span class="h-card" translate="no"><a href="{base}/@{name}" class="u-url mention">'
        f"@<span>{html.escape(name)}</span></a></span>"
    )


def _anchor(url: str) -> str:
    scheme = regex.match(r"[a-z]+://(?:www\.)?", url, regex.IGNORECASE)
    prefix = scheme[0] if scheme else ""
    seen, rest = url[len(prefix) : len(prefix) + 30], url[len(prefix) + 30 :]
    cut = "ellipsis" if rest else ""
    return (
        f'<a href="{html.escape(url)}" target="_blank" rel="nofollow noopener" translate="no">'
        f'<span class="invisible">{html.escape(prefix)}</span><span class="{cut}">{html.escape(seen)}</span>'
        f'<span class="invisible">{html.escape(rest)}</span></a>'
    )
