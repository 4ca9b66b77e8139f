r"""Counting texts as networks count them, and shortening a summary without spoiling it.

Everything works on grapheme clusters (what a reader takes for one character, `regex`'s ``\X``). What must
stay true: every candidate of `shorter` is a prefix of the summary, apart from its ellipsis; it has fewer
graphemes than the one before; it never ends inside a grapheme, a link, a hashtag or a mention.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import regex

from pipeline.channels.base import DoesNotFit
from pipeline.model import Fit, Post

Measure = Callable[[str], int]

# Stops of China and Japan, by number because in many fonts they look like their Latin kin.
_CJK_STOPS = "\u3002\uff01\uff1f"  # full stop, exclamation mark, question mark

_GRAPHEME = regex.compile(r"\X")


def graphemes(text: str) -> int:
    """How many characters a reader sees."""
    return len(_GRAPHEME.findall(text))


def code_points(text: str) -> int:
    """How many Unicode code points there are."""
    return len(text)


def utf16(text: str) -> int:
    """How many UTF-16 code units there are: beyond the first plane a code point takes two."""
    return len(text) + sum(1 for character in text if character > "\uffff")


def utf8(text: str) -> int:
    """How many bytes the text takes in UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


# --------------------------------------------------------------------------- links, hashtags, mentions

# A link ends before the punctuation that follows it in a sentence; a bracket that it opened itself, as in
# `Recyclage_(tri)`, belongs to it. No place can be read in two ways, which keeps these linear.
_IN_LINK = r"[^\s<>\"«»\u3002\u3001\uFF0C\uFF01\uFF1F\u300C\u300D()]"
_BRACKETED = rf"\({_IN_LINK}*\)"
LINK = regex.compile(
    r"(?:https?://|(?<![\p{L}\p{Nd}.-])(?:www\.|(?:[\p{L}\p{Nd}-]+\.)+\p{L}{2,}/))"
    rf"(?:(?:{_IN_LINK}|{_BRACKETED}|\((?!{_IN_LINK}*\))|\))*(?:{_BRACKETED}|{_IN_LINK}(?<![.,;:!?…\]}}'’”]))|(?<!\.))",
    regex.IGNORECASE,
)
HASHTAG = regex.compile(r"(?<![\p{L}\p{M}\p{Nd}_&/])[#\uFF03][\p{L}\p{M}\p{Nd}_\u200C\u200D]+")
MENTION = regex.compile(
    r"(?<![\p{L}\p{M}\p{Nd}_/])[@\uFF20][\p{L}\p{M}\p{Nd}_](?:[\p{L}\p{M}\p{Nd}_.@-]*[\p{L}\p{M}\p{Nd}_])?"
)


# --------------------------------------------------------------------------- sentences

# The end of a sentence: its marks, what closes with it, then space; marks of China and Japan need no space.
_SENTENCE_END = regex.compile(
    r"(?<![.!?।؟…])[.!?।؟]+[\"'”’)\]]*(?:[\s\u00A0\u202F]?»)?[\"'”’)\]]*(?=\s)|[\u3002\uFF01\uFF1F]+[\u300D\u300F\uFF09”’]*"
)
_ABBREVIATION = regex.compile(
    "al|approx|apr|aug|av|bd|boul|cf|chap|corp|dec|dept|dr|déc|env|etc|ex|feb|févr?|hon|inc|jan|janv|jr|jul|juil"
    "|jun|ltd|max|mgr|min|mlles?|mm|mmes?|mrs?|ms|mt|nb|nov|obs|oct|pp|prof|réf|sept|sr|ste?|sté|suiv|tel|tél|univ|vs"
)
_BEFORE_NUMBER = regex.compile("art|ch|col|fig|no|nos|nr|num|n°|vol")
_LAST_WORD = regex.compile(r"[\p{L}\p{M}\p{Nd}.°/-]*$")
_LONGEST_WORD = 40  # characters to look back for an abbreviation
_LETTERS_AND_DOTS = regex.compile(r"(?:\p{L}\p{M}*[.-]{1,2})*\p{L}\p{M}*")
_LETTER = regex.compile(r"\p{L}")
_GOES_ON = regex.compile(r"[\s\p{Ps}\p{Pi}\"'¡¿–—-]*(?:\p{Ll}|[,;:])")
_NUMBER = regex.compile(r"\s+\p{Nd}")


def _sentence_ends(text: str) -> list[int]:
    """Where sentences end, in code points, the text's own end left out."""
    ends: list[int] = []
    begin = 0
    for match in _SENTENCE_END.finditer(text):
        if not _LETTER.search(text, begin, match.start()) or _is_inside(text, match.start(), match.end()):
            continue
        begin = match.end()
        ends.append(begin)
    return ends


def _is_inside(text: str, start: int, end: int) -> bool:
    """Whether these marks stand inside a sentence: ellipsis, abbreviation, initial, quoted question."""
    if text[start] in _CJK_STOPS:
        return False
    if text.startswith("..", start) or _GOES_ON.match(text, end):
        return True
    if text[start] != ".":
        return False
    found = _LAST_WORD.search(text, max(0, start - _LONGEST_WORD), start)
    word = found.group().casefold() if found else ""
    return (
        bool(_LETTERS_AND_DOTS.fullmatch(word))  # J. Dupont, p. ex., c.-à-d., U.S.
        or bool(_ABBREVIATION.fullmatch(word))
        or (bool(_BEFORE_NUMBER.fullmatch(word)) and bool(_NUMBER.match(text, end)))
    )


# --------------------------------------------------------------------------- shortening

_SPACE = regex.compile(r"[^\S\u00A0\u2007\u202F]+")  # a no-break space holds its words together
# Scripts that put no spaces between words, and the marks they write between them.
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー\u3001-\u3003\u3008-\u3011"
    r"\uFF01\uFF08\uFF09\uFF0C\uFF1A\uFF1B\uFF1F]\p{M}*"
)
# What makes no sense before an ellipsis: separators, and what opens something that is now cut off.
_DANGLING = regex.compile(
    r"[\s,;:.!?…¡¿·•\u3001\u3002\uFF0C\uFF1B\uFF1A\uFF01\uFF1F،؛؟।–—\-/|&~\p{Ps}\p{Pi}]+"
)
_ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class _Cut:
    """A place to end: `end` in code points, and what stands there instead of the rest."""

    end: int
    suffix: str = ""

    def of(self, summary: str) -> str:
        return summary[: self.end] + self.suffix


class _Clusters:
    """A text as graphemes, and where it may be broken. Indices count graphemes."""

    def __init__(self, text: str) -> None:
        matches = list(_GRAPHEME.finditer(text))
        self.parts = [match.group() for match in matches]
        self.ends = [match.end() for match in matches]
        self.links: set[int] = set()
        self.whole: set[int] = set()  # graphemes of links, hashtags and mentions
        self.held: set[int] = set()  # graphemes that continue one: no break before them
        for pattern in (LINK, HASHTAG, MENTION):
            for match in pattern.finditer(text):
                first, last = bisect_right(self.ends, match.start()), bisect_left(self.ends, match.end())
                self.whole.update(range(first, last + 1))
                self.held.update(range(first + 1, last + 1))
                if pattern is LINK:
                    self.links.update(range(first, last + 1))

    def may_break(self, index: int) -> bool:
        """Whether a word ends before the grapheme at `index`."""
        if index in self.held:
            return False
        if _SPACE.fullmatch(self.parts[index]):
            return True
        return bool(_UNSPACED.fullmatch(self.parts[index - 1]) and _UNSPACED.fullmatch(self.parts[index]))

    def without_dangling(self, index: int) -> int:
        """The break moved back over punctuation that should not stand before an ellipsis."""
        while index and index - 1 not in self.whole and self._dangles(index - 1):
            index -= 1
        return index

    def _dangles(self, index: int) -> bool:
        part = self.parts[index]
        if part in "\"'":  # opens a quotation unless it follows a word
            return index == 0 or bool(_DANGLING.fullmatch(self.parts[index - 1]))
        return bool(_DANGLING.fullmatch(part))


def shorter(summary: str) -> Iterator[str]:
    """The summary, then ever shorter versions of it.

    Whole sentences go first, from the end; then the first sentence loses word after word and ends in an
    ellipsis. The last candidate is one word, or in a script without spaces one character.
    """
    return (cut.of(summary) for cut in _cuts(summary))


def _cuts(summary: str) -> list[_Cut]:
    """The places to end, longest first: each leaves fewer graphemes than the one before."""
    clusters = _Clusters(summary)
    cuts = [_Cut(len(summary))]
    size = len(clusters.parts)
    for end in reversed(_sentence_ends(summary)):
        count = bisect_left(clusters.ends, end) + 1
        if count < size and clusters.ends[count - 1] == end and count not in clusters.held:
            size = count
            cuts.append(_Cut(end))
    reached = size
    for index in range(size - 1, 0, -1):
        if index >= reached or not clusters.may_break(index):
            continue
        reached = clusters.without_dangling(index)
        if reached == 0:
            break
        # After a link the ellipsis keeps its distance: networks would take it for a part of the address.
        suffix = f" {_ELLIPSIS}" if reached - 1 in clusters.links else _ELLIPSIS
        if reached + len(suffix) < size:
            size = reached + len(suffix)
            cuts.append(_Cut(clusters.ends[reached - 1], suffix))
    return cuts


# --------------------------------------------------------------------------- fitting

_TRY_ALL = 500  # candidates; every real summary has fewer


def fit_text(post: Post, limit: int, measure: Measure, unit: str) -> Fit:
    """The post with the longest summary whose text measures at most `limit`.

    Raises DoesNotFit with the shortest length reached, and whatever `post.text` raises. For a summary of
    thousands of words the search first halves, assuming that a shorter summary makes no longer text.
    """
    whole = post.text(post.summary)
    lengths = {0: (whole, measure(whole))}
    if lengths[0][1] <= limit:
        return Fit(post, *lengths[0], limit, shortened=False)
    cuts = _cuts(post.summary)

    def fits(index: int) -> bool:
        if index not in lengths:
            text = post.text(cuts[index].of(post.summary))
            lengths[index] = text, measure(text)
        return lengths[index][1] <= limit

    first = 1
    if len(cuts) > _TRY_ALL:
        first = min(bisect_left(range(len(cuts)), x=True, key=fits), len(cuts) - 1)
    for index in range(first, len(cuts)):
        if fits(index):
            text, length = lengths[index]
            return Fit(post, text, length, limit, shortened=True)
    raise DoesNotFit(min(length for _, length in lengths.values()), limit, unit)
