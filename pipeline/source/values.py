"""Kinds of values that content and schedules share, each a check of the text that was typed.

A check returns the value in its usual form or refuses it in plain words, with a hint of what to write.
Every check is bounded: a value far beyond its limit is refused before anything costly looks at it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date
from difflib import get_close_matches
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, PlainValidator
from pydantic_core import PydanticCustomError, PydanticKnownError

from pipeline.source.bidi import unclosed
from pipeline.source.text import called

YEARS = range(1970, 2200)
MAX_TEXT = 20_000
MAX_URL = 2_000

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_LANGUAGE = re.compile(
    r"[a-z]{2,3}(-[a-z]{3}){0,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"
    r"(-[0-9a-wy-z](-[a-z0-9]{2,8})+)*(-x(-[a-z0-9]{1,8})+)?"
)
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_FRENCH_DATE = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})")
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|&(#[0-9]+|#x[0-9A-Fa-f]+|[A-Za-z]+);|!?\[[^\[\]]*\]\([^()\s]*\)")
_INVISIBLE = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))  # a text of nothing else shows nothing
_FRENCH_KEYS = {
    "titre": "title",
    "résumé": "summary",
    "resume": "summary",
    "lien": "url",
    "étiquettes": "tags",
    "mots-clés": "tags",
    "lieu": "place",
    "langue": "lang",
    "statut": "status",
    "texte": "text",
    "textes": "texts",
    "canaux": "channels",
    "auteur": "author",
    "autorité": "authority",
    "événement": "event",
    "fuseau": "timezone",
    "heure": "time",
    "début": "starts",
    "nom": "name",
}


def refuse(code: str, message: str, hint: str = "") -> PydanticCustomError:
    """The problem of a value. `message` continues the key's name, as in "`url` is not …"."""
    return PydanticCustomError("problem", "{message}", {"code": code, "message": message, "hint": hint})


def quoted(text: str) -> str:
    """A value as a message shows it: on one line, 40 characters at most."""
    line = " ".join(text.split())
    return f'"{line if len(line) <= 40 else line[:39] + "…"}"'


def suggest(word: str, known: Iterable[str]) -> str:
    """A hint "did you mean …?" when one of the known words is near, else nothing."""
    words = sorted(known)
    if len(word) > 40:
        return ""
    near = get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    meant = near[0] if near else _FRENCH_KEYS.get(word.lower(), "")
    return f"Did you mean `{meant}`?" if meant in words else ""


def slug(text: str) -> str:
    """The nearest usable id: small letters without accents, digits and hyphens; "entry" if none is left."""
    text = text[:200].lower().replace("œ", "oe").replace("æ", "ae").replace("ß", "ss")
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[^a-z0-9._-]+", "-", plain).strip("-._")[:80] or "entry"


def identifier(value: str) -> str:
    """A permanent id: 1 to 80 of a-z, 0-9, dot, underscore and hyphen, first a letter or digit (E110)."""
    if _ID.fullmatch(value):
        return value
    # The path of an entry's file is a likely thing to write, and its id is the file's name.
    name = value.rsplit("/", 1)[-1][:-3] if value.lower().endswith(".md") else value
    raise refuse(
        "E110",
        f"is not a usable id: {quoted(value)}",
        f"Use a-z, 0-9, `-`, `_` and `.`, at most 80 of them: `{slug(name)}`",
    )


def _normal(value: str, limit: int) -> str:
    # Composing takes a time that grows with the square of a run of combining marks.
    if len(value) > 2 * limit + 1000:
        _measured(value, limit)
    return unicodedata.normalize("NFC", value).strip()


def _measured(value: str, limit: int) -> str:
    if all(unicodedata.category(character) in _INVISIBLE for character in value):
        raise refuse("E104", "is empty", "Write a text, or leave the key out if it is optional.")
    if len(value) > limit:
        hint = f"Shorten it by {len(value) - limit}."
        raise refuse("E104", f"has {len(value)} characters; {limit} is the most", hint)
    if (left := unclosed(value)) is not None:
        offset, closer = left
        message = (
            f"turns what follows it around: character {offset + 1}, {called(value[offset])}, is not closed"
        )
        raise refuse("E007", message, f"Delete that invisible character, or close it with {called(closer)}.")
    return value


def line(limit: int, *, markup: bool = False) -> AfterValidator:
    """One line of plain text of 1 to `limit` characters, trimmed, in Unicode's composed form.

    `markup`: whether HTML may stand, as in names that are not shown as a text.
    """

    def check(value: str) -> str:
        value = _normal(value, limit)
        if "\n" in value:
            raise refuse("E112", "must be a single line", "Join the lines, or keep the first.")
        value = re.sub(r"[ \t]+", " ", value)
        return _measured(value if markup else _plain(value), limit)

    return AfterValidator(check)


def paragraph(limit: int, *, markup: bool = False) -> AfterValidator:
    """One paragraph of 1 to `limit` characters; line ends become spaces. `markup`: whether HTML may stand."""

    def check(value: str) -> str:
        value = _normal(value, limit)
        if re.search(r"\n[ \t]*\n", value):
            hint = "Delete the blank line; long texts belong into the body."
            raise refuse("E112", "has more than one paragraph", hint)
        value = re.sub(r"[ \t\n]+", " ", value)
        return _measured(value if markup else _plain(value), limit)

    return AfterValidator(check)


def _plain(value: str) -> str:
    """The value, unless it holds markup: some feed readers would show it as such, others as it is typed."""
    found = _MARKUP.search(value)
    if found:
        hint = "Write plain text; links and formatting belong into the body."
        raise refuse("E112", f"holds HTML or Markdown: {quoted(found.group())}", hint)
    return value


def source_text(value: str) -> str:
    """A template as it was typed, not empty, at most 20,000 characters (E404, E104)."""
    if not value.strip():
        raise refuse("E404", "is empty", "Write the text, or delete the key.")
    return unicodedata.normalize("NFC", _measured(value, MAX_TEXT))


def web_address(value: str) -> str:
    """An absolute http(s) URL with a host, without spaces, user name or password (E105)."""
    value = _normal(value, MAX_URL)
    reason = _why_no_address(value)
    if not reason:
        return value
    bare = re.fullmatch(r"(www\.)?[\w-]+(\.[\w-]+)+(/\S*)?", value)
    hint = f"Write `https://{value}`." if bare else "Write it as in `https://example.org/page`."
    raise refuse("E105", f"is not an absolute http(s) URL, {reason}: {quoted(value)}", hint)


def _why_no_address(value: str) -> str:
    if any(unicodedata.category(c) in {"Zs", "Zl", "Zp", "Cc", "Cf"} for c in value):
        return "it holds a space or an invisible character"
    if re.search(r'[<>"\\^`{|}]', value):
        return "it holds a character that must be encoded"
    try:
        parts = urlsplit(value)
        port_is_wrong = parts.port == 0
    except ValueError:
        return "its host or port is not valid"
    if parts.scheme not in {"http", "https"}:
        return "it does not begin with https:// or http://"
    if "@" in parts.netloc:
        return "it holds a user name or password"
    host = (parts.hostname or "").removesuffix(".")
    if port_is_wrong or not re.fullmatch(r"[0-9a-f.]*:[0-9a-f:.]+|([\w-]{1,63}\.)*[\w-]{1,63}", host):
        return "its host or port is not valid"
    return f"it is longer than {MAX_URL} characters" if len(value) > MAX_URL else ""


def language(value: str) -> str:
    """A well-formed BCP 47 tag in its usual case: `fr`, `fr-CA`, `zh-Hant` (E108)."""
    value = value.strip()
    if len(value) > 40 or not _LANGUAGE.fullmatch(value.lower()):
        proposal = value[:40].lower().replace("_", "-")
        fits = _LANGUAGE.fullmatch(proposal)
        hint = f"Write `{_cased(proposal)}`." if fits else "Write a short tag, as `fr`, `fr-CA` or `zh-Hant`."
        raise refuse("E108", f"is not a language tag: {quoted(value)}", hint)
    return _cased(value)


def _cased(tag: str) -> str:
    """Lower case, but `Hant` for a script and `CA` for a region; what follows a single letter stays lower."""
    parts = tag.lower().split("-")
    for number, part in enumerate(parts[1:], 1):
        if len(part) == 1:
            break
        if len(part) == 4 and part.isalpha():
            parts[number] = part.title()
        elif len(part) == 2:
            parts[number] = part.upper()
    return "-".join(parts)


def day(value: str) -> date:
    """A calendar day, `2016-04-18`, in the years 1970 to 2199 (E106)."""
    value = value.strip()
    match = _DATE.fullmatch(value)
    if not match:
        french = _FRENCH_DATE.fullmatch(value)
        hint = f"`{french[3]}-{int(french[2]):02}-{int(french[1]):02}`" if french else "`2016-04-18`"
        raise refuse("E106", f"is not a date: {quoted(value)}", f"Write year, month, day: {hint}.")
    return calendar_day(value, int(match[1]), int(match[2]), int(match[3]))


def calendar_day(value: str, year: int, month: int, number: int) -> date:
    """The day, if the calendar has it and it is within the years this project handles (E106)."""
    if year not in YEARS:
        hint = f"Write a year from {YEARS.start} to {YEARS.stop - 1}."
        raise refuse("E106", f"has an impossible year: {quoted(value)}", hint)
    try:
        return date(year, month, number)
    except ValueError:
        hint = "Write year, month, day, and look the day up in a calendar."
        raise refuse("E106", f"names a day that does not exist: {quoted(value)}", hint) from None


def one_of(*words: str) -> AfterValidator:
    """One of a few words, in small letters (E109)."""

    def check(value: str) -> str:
        if value.strip() in words:
            return value.strip()
        hint = suggest(value.strip(), words) or f"Write {' or '.join(f'`{word}`' for word in words)}."
        raise refuse("E109", f"is not one of {', '.join(words)}: {quoted(value)}", hint)

    return AfterValidator(check)


def of_text(check: Callable[[str], Any]) -> PlainValidator:
    """A validator for what is typed as text and becomes something else."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        return check(value)

    return PlainValidator(read)


Id = Annotated[str, AfterValidator(identifier)]
Day = Annotated[date, of_text(day)]
Url = Annotated[str, AfterValidator(web_address)]
Language = Annotated[str, AfterValidator(language)]
SourceText = Annotated[str, AfterValidator(source_text)]
