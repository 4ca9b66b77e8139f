"""Pieces of HTML that every part of the page is made of.

What must stay true: whatever an editor or a network said is escaped; what `text`, `marked` and `request`
write reads back, as text, to the very characters they were given. Nothing carries a style of its own: the
page's policy knows one style sheet, by its hash.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from html import escape
from zoneinfo import ZoneInfo

from pipeline.storyboard.marks import LINK_MARK, Mark

_DEEPEST = 8  # levels of a request that are set in
_WORD = re.compile(r"\s+|[^\s]+")
_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],]')  # a text as a whole, or what gives structure
_IN_UTC = re.compile(r"\b([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}(:[0-9]{2})?) UTC\b")
_EDGES = 3  # words kept beside a change


def text(shown: str) -> str:
    """Escaped. A carriage return would be read back as a line feed."""
    return escape(shown).replace("\r", "&#13;")


def marked(shown: str, marks: Iterable[Mark]) -> str:
    """A post's text with its links to click, its hashtags and mentions told apart."""
    pieces, done = [], 0
    for mark in marks:
        pieces.append(text(shown[done : mark.start]))
        words = text(shown[mark.start : mark.end])
        if mark.kind == LINK_MARK and mark.target:
            pieces.append(f'<a href="{text(mark.target)}" rel="noreferrer">{words}</a>')
        else:
            pieces.append(f'<span class="{mark.kind}">{words}</span>')
        done = mark.end
    pieces.append(text(shown[done:]))
    return "".join(pieces)


def request(body: bytes) -> str:
    """The bytes of a request to be read and copied; as hexadecimal when they are no text.

    JSON on one line is set in lines by the style sheet alone, so what is copied stays the exact bytes.
    """
    try:
        shown = body.decode()
    except UnicodeDecodeError:
        return f'<pre class="hex">{body.hex(" ")}</pre>'
    # The first line feed after the tag is not part of the text.
    inner = text(shown) if "\n" in shown or shown[:1] not in {"{", "["} else _set_in(shown)
    return f"<pre>\n{inner}</pre>"


def _set_in(document: str) -> str:
    pieces: list[str] = []
    depth, begin = 0, 0
    for match in _JSON.finditer(document):
        sign, place = match.group(), match.start()
        if sign in {"{", "[", ","}:
            depth += sign != ","
            if document[place + 1 : place + 2] not in {"}", "]"}:
                pieces.append(text(document[begin : place + 1]) + _line(depth))
                begin = place + 1
        elif sign in {"}", "]"}:
            depth -= 1
            if document[place - 1] not in "{[":
                pieces.append(text(document[begin:place]) + _line(depth))
                begin = place
    return "".join(pieces) + text(document[begin:])


def _line(depth: int) -> str:
    return f'<i class="i{max(0, min(depth, _DEEPEST))}"></i>'


INDENTS = "".join(rf'.i{n}::before{{content:"\A{"  " * n}"}}' + "\n" for n in range(_DEEPEST + 1))


def difference(old: str, new: str) -> str:
    """Both texts in one, word by word: what went struck, what came underlined."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    pieces = []
    for what, i, j, k, m in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if what == "equal":
            pieces.append(_shortened(before[i:j], first=i == 0, last=j == len(before)))
            continue
        if j > i:
            pieces.append(f"<del>{text(''.join(before[i:j]))}</del>")
        if m > k:
            pieces.append(f"<ins>{text(''.join(after[k:m]))}</ins>")
    return "".join(pieces)


def _shortened(words: list[str], *, first: bool, last: bool) -> str:
    """What did not change, but for the middle of a long stretch."""
    edge = _EDGES * 2  # words and the spaces between them
    if len(words) <= 2 * edge + 2:
        return text("".join(words))
    head = "" if first else text("".join(words[:edge]))
    tail = "" if last else text("".join(words[-edge:]))
    return f"{head} … {tail}"


def disclosure(summary: str, content: str, *, kind: str = "", opened: bool = False) -> str:
    """Something that is shown on demand. Both parts are HTML."""
    marked_as = f' class="{kind}"' if kind else ""
    return f"<details{marked_as}{' open' if opened else ''}><summary>{summary}</summary>{content}</details>\n"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


# --------------------------------------------------------------------------- days and hours


def long_day(day: date) -> str:
    """Monday 11 April 2016."""
    return f"{day:%A} {day.day} {day:%B} {day.year}"


def short_day(day: date) -> str:
    """Mon 11 Apr."""
    return f"{day:%a} {day.day} {day:%b}"


def clock(instant: datetime, zone: ZoneInfo) -> str:
    """The wall time there, to the minute."""
    return f"{instant.astimezone(zone):%H:%M}"


def localised(told: str, zone: ZoneInfo) -> str:
    """The text with the instants that it gives in UTC as clocks show them there; one without a day stays."""

    def local(found: re.Match[str]) -> str:
        try:
            instant = datetime.fromisoformat(found[1]).replace(tzinfo=UTC).astimezone(zone)
        except (ValueError, OverflowError):  # some server's words, and no instant
            return found[0]
        return f"{instant:%Y-%m-%d %H:%M:%S}" if found[2] else f"{instant:%Y-%m-%d %H:%M}"

    return _IN_UTC.sub(local, told)


def moment(instant: datetime, shown: str) -> str:
    """A `time` element: the words, and the instant for machines."""
    whole = instant - timedelta(microseconds=instant.microsecond)
    return f'<time datetime="{whole.isoformat()}">{shown}</time>'


def countdown(days_left: int) -> str:
    """How far the event is."""
    if days_left == 0:
        return "the day itself"
    return f"{count(days_left, 'day')} to go"


def day_anchor(campaign: str, day: date, entry: str) -> str:
    """The name of a day's place on the page."""
    return escape(f"day-{campaign}-{day.isoformat()}-{entry}")
