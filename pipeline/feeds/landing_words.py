"""The landing page's few own words, in the languages it knows; a campaign in any other gets English ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

_LOOSE = re.compile(" (?=[:;?!»])|(?<=«) ")
# Scripts written from right to left, by the languages that use nothing else.
_RIGHT_TO_LEFT = frozenset({"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


@dataclass(frozen=True, slots=True)
class Words:
    """What the page says by itself, as HTML. `months` begins with January."""

    language: str
    subscribe: str
    how: str
    about: str
    entries: str
    nothing_yet: str
    place: str
    archive: str
    older: str
    newer: str
    newest: str
    months: tuple[str, ...]
    first_of_month: str

    def marked_in(self, language: str) -> str:
        """The attributes these words need within text of that language; empty when they need none."""
        if _primary(language) == self.language:
            return ""
        return f' lang="{self.language}"{self.turned_in(language)}'

    def turned_in(self, language: str) -> str:
        """The `dir` attribute these words need in text that runs the other way: else points stand first."""
        own = direction(self.language)
        return "" if direction(language) == own else f' dir="{own}"'

    def day(self, day: date) -> str:
        """The day in words."""
        number = self.first_of_month if day.day == 1 else str(day.day)
        return f"{number} {self.months[day.month - 1]} {day.year}"


_ENGLISH = Words(
    language="en",
    subscribe="Subscribe",
    how="Copy one of these addresses into your feed reader: every new project comes to you by itself.",
    about="About this campaign",
    entries="Projects",
    nothing_yet="Nothing has been published yet. Subscribe, and you will miss nothing.",
    place="Place:",
    archive="Archive, page",
    older="Older projects",
    newer="Newer projects",
    newest="The newest projects",
    months=(
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
    first_of_month="1",
)
_FRENCH = Words(
    language="fr",
    subscribe="S’abonner",
    how=(
        "Copiez l’une de ces adresses dans votre lecteur de flux&nbsp;: "
        "chaque nouveau projet viendra à vous de lui-même."
    ),
    about="À propos de cette campagne",
    entries="Les projets",
    nothing_yet="Rien n’est encore paru. Abonnez-vous pour ne rien manquer.",
    place="Lieu&nbsp;:",
    archive="Archives, page",
    older="Projets plus anciens",
    newer="Projets plus récents",
    newest="Les derniers projets",
    months=(
        *("janvier", "février", "mars", "avril", "mai", "juin"),
        *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    ),
    first_of_month="1<sup>er</sup>",
)
_KNOWN = {words.language: words for words in (_ENGLISH, _FRENCH)}


def words_of(language: str) -> Words:
    """The words for a language given as BCP 47."""
    return _KNOWN.get(_primary(language), _ENGLISH)


def bound(text: str, language: str) -> str:
    """The text with the spaces French puts before `:` and inside « » made ones that no line breaks at."""
    return _LOOSE.sub("\u00a0", text) if _primary(language) == _FRENCH.language else text


def direction(language: str) -> str:
    """`rtl` or `ltr`, for a language given as BCP 47."""
    return "rtl" if _primary(language) in _RIGHT_TO_LEFT else "ltr"


def _primary(language: str) -> str:
    return language.partition("-")[0].lower()
