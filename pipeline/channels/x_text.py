"""Texts as X counts and shows them.

What must stay true: what `cautious` counts is never less than X counts, whichever emoji and domains X has
learnt since the tables of its published library, which end in 2020; and two texts that X shows for the same
post are the same `canonical` text.

The library is `twitter-text-parser`, loaded with the first text that is counted. It asks a package it does
not declare, and new Pythons do not bring, for one file; that file is handed to it instead.
"""

from __future__ import annotations

import sys
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import regex

from pipeline.addresses import web_address
from pipeline.channels.text import LINK as LINK_IN_TEXT

LIMIT = 280  # by the published configuration, version 3
LINK = 23  # what any link weighs
ALT_LIMIT = 1000
_EMOJI = 2  # what an emoji weighs, however many code points it is made of
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))  # code points that weigh 1; others weigh 2
_INVALID = regex.compile("[\ufffe\ufeff\uffff]")  # X refuses a text that holds one
_COULD_BE_EMOJI = regex.compile(r"(?V1)[\p{Emoji}--[0-9#*]]|\u20E3")
_GRAPHEME = regex.compile(r"\X")
_SCHEME = regex.compile(r"https?://\S+", regex.IGNORECASE)
# Whatever could be a domain to somebody who knows more of them: a label, a dot, a name of letters.
_DOMAIN = regex.compile(r"(?<=[\p{L}\p{M}\p{Nd}_-])\.(?=\p{L}[\p{L}\p{M}])")
_SHORTEST_LINK = 4  # characters, as in `a.bc`

_loading = threading.Lock()


@cache
def library() -> ModuleType:
    """X's published library, without the package it does not declare."""
    with _loading:
        handed = ModuleType("pkg_resources")
        handed.resource_string = (  # type: ignore[attr-defined]
            lambda module, name: files(module.rpartition(".")[0]).joinpath(name).read_bytes()
        )
        before = sys.modules.get("pkg_resources")
        sys.modules["pkg_resources"] = handed
        try:
            import twitter_text  # type: ignore[import-untyped]  # noqa: PLC0415  # a quarter of a second
        finally:
            if before is None:
                del sys.modules["pkg_resources"]
            else:
                sys.modules["pkg_resources"] = before
        return twitter_text  # type: ignore[no-any-return]


def clean(text: str) -> str:
    """The text in the form X brings it into, without what X refuses: NFC, line feeds, no stray characters."""
    text = text.encode("utf-8", "replace").decode()
    text = _INVALID.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return unicodedata.normalize("NFC", text)


@lru_cache(maxsize=1024)  # the tables are long, and of each text it is asked several times
def links(text: str) -> tuple[tuple[int, int], ...]:
    """Where the links of a clean text are, by the library's tables: from, to."""
    found = library().extract_urls_with_indices(text)
    return tuple((one["indices"][0], one["indices"][1]) for one in found)


def with_whole_links(text: str) -> str:
    """The clean text, with those links in ASCII that X would end at a sign it knows in no address.

    `…/l’atelier` would lead to `…/l`. A link that X reads to its end stays as it is written.
    """
    odd = [
        (match, plain)
        for match in LINK_IN_TEXT.finditer(text)
        if (plain := web_address(match.group())) is not None and plain != match.group()
    ]
    read = set(links(text)) if odd else set()
    for match, plain in reversed(odd):
        if match.span() not in read and links(plain) == ((0, len(plain)),):
            text = text[: match.start()] + plain + text[match.end() :]
    return text


def has_link(text: str) -> bool:
    """Whether X makes a link of some part of a text, by the library's tables or by a scheme."""
    text = clean(text)
    return bool(links(text) or _SCHEME.search(text))


# --------------------------------------------------------------------------- counting


def weighted(text: str) -> int:
    """The length by the library's tables, of the text as it is."""
    return int(library().parse_tweet(text.encode("utf-8", "replace").decode()).weightedLength)


@lru_cache(maxsize=4096)  # check, preview and the send itself measure the same texts
def cautious(text: str) -> int:
    """The length X could count at most: at least `weighted`.

    An emoji the tables do not know as one counts by its parts. A dot that could stand in a domain the tables
    do not know counts as if all the shortest link that could be there weighed a link's whole weight.
    """
    text = clean(text)
    emoji = _known_emoji(text)
    total, begin = 0, 0
    for start, end in [*links(text), (len(text), len(text))]:
        if emoji:
            total += sum(
                _EMOJI if match.span() in emoji else _weight(match.group())
                for match in _GRAPHEME.finditer(text, begin, start)
            )
        else:
            total += sum(map(_weight, _GRAPHEME.findall(text, begin, start)))
        between = text[begin:start]
        total += (LINK - _SHORTEST_LINK) * _unknown_links(between)
        total += LINK if end > start else 0
        begin = end
    return total


def _known_emoji(text: str) -> set[tuple[int, int]]:
    """Where the emoji of a clean text are, by the library's tables: from, to."""
    if not _COULD_BE_EMOJI.search(text):  # the tables are long
        return set()
    found = library().extract_emojis_with_indices(text)
    return {(one["indices"][0], one["indices"][1]) for one in found}


@lru_cache(maxsize=10_000)  # texts are made of few different graphemes, and each is weighed many times
def _weight(text: str) -> int:
    """Of the parts; one that could be an emoji by itself weighs as one."""
    return sum(_EMOJI if _COULD_BE_EMOJI.match(sign) else _plain_weight(ord(sign)) for sign in text)


def _plain_weight(code_point: int) -> int:
    return 1 if any(low <= code_point <= high for low, high in _LIGHT) else 2


def _unknown_links(text: str) -> int:
    """How many links at most a text holds in which the tables find none."""
    return len(_SCHEME.findall(text)) + len(_DOMAIN.findall(_SCHEME.sub(" ", text)))


# --------------------------------------------------------------------------- what X does not let apps do

_CASHTAG = regex.compile(r"(?<![\p{L}\p{Nd}_$])\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?(?![\p{L}\p{Nd}_$])")
_MENTION = regex.compile(r"(?<![A-Za-z0-9_!#$%&*@\uFF20])[@\uFF20][A-Za-z0-9_]{1,20}")


def complaints(text: str) -> tuple[str, ...]:
    """Why X will probably refuse the text from an app, one sentence each; empty when nothing is known."""
    text = clean(text)
    plain = _without(text, links(text))
    found = []
    if mentions := _MENTION.findall(plain):
        found.append(
            f"X restricts apps that mention accounts ({', '.join(dict.fromkeys(mentions))}): "
            "write the name without `@`"
        )
    if len(cashtags := dict.fromkeys(_CASHTAG.findall(plain))) > 1:
        found.append(f"X takes one cashtag a post from apps ({', '.join(cashtags)}): keep one")
    return tuple(found)


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in reversed(spans):
        text = f"{text[:start]} {text[end:]}"
    return text


# --------------------------------------------------------------------------- reading back

_ESCAPED = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}  # the three that X escapes
_ESCAPES = regex.compile("|".join(_ESCAPED))
_TCO = regex.compile(r"https?://t\.co/\w+")
_MEDIA_PAGE = regex.compile(r"https?://(?:www\.)?(?:x|twitter)\.com/[^/]+/status/\d+/(?:photo|video)/\d+")
_PUNYCODE = regex.compile(r"\bxn--([a-z0-9-]+)")
_ENDING_SLASH = regex.compile(r"/(?=[\s?#.,;:!…)\]}»”’\"']|$)")
_UNSEEN = regex.compile("[\ufe0e\ufe0f]")


def shown(post: Mapping[str, Any]) -> str:
    """What was posted, from what X shows: its short links written out, those to the picture left out."""
    text = str(post.get("text") or "")
    for link in _entities(post):
        long = "" if _is_media(link) else str(link.get("expanded_url") or link["url"])
        text = text.replace(link["url"], long, 1)
    return _ESCAPES.sub(lambda match: _ESCAPED[match.group()], text)


def shown_words(post: Mapping[str, Any]) -> str:
    """As `shown`, without any link, in canonical form."""
    text = _TCO.sub(" ", str(post.get("text") or ""))
    return canonical(_ESCAPES.sub(lambda match: _ESCAPED[match.group()], text))


def words(text: str) -> str:
    """Our text without any link, in canonical form."""
    text = clean(text)
    return canonical(_SCHEME.sub(" ", _without(text, links(text))))


def canonical(text: str) -> str:
    """A form that a text shares with what X makes of it: case, space, and how links are written are gone.

    Links lose their scheme, the slash at their end, and both ways of writing accents in them.
    """
    text = unquote(unicodedata.normalize("NFC", text))
    text = regex.sub(r"(?i)https?://", "", _UNSEEN.sub("", text)).casefold()
    text = _PUNYCODE.sub(_readable, text)
    return " ".join(_ENDING_SLASH.sub("", unicodedata.normalize("NFC", text)).split())


def _readable(match: regex.Match[str]) -> str:
    try:
        return match.group(1).encode("ascii").decode("punycode")
    except UnicodeError:
        return match.group()


def _entities(post: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entities = post.get("entities")
    found = entities.get("urls") if isinstance(entities, Mapping) else None
    found = found if isinstance(found, list) else []
    return [link for link in found if isinstance(link, Mapping) and isinstance(link.get("url"), str)]


def _is_media(link: Mapping[str, Any]) -> bool:
    return "media_key" in link or bool(_MEDIA_PAGE.fullmatch(str(link.get("expanded_url") or "")))
