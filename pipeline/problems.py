"""A problem in content or schedules: where it is, what is wrong, what to do; and the forms it is printed in.

Codes are stable: they are documented in docs/PROBLEMS.md, and editors and scripts rely on them.
All problems are collected and shown at once; none of them is ever an exception.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error makes `check` fail; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


# code → what it means, in a few words. The one list: docs and tests are compared with it.
CODES = {
    # files
    "E001": "the file cannot be read",
    "E002": "the file is not UTF-8",
    "E003": "the file has no front matter",
    "E004": "the YAML cannot be parsed",
    "E005": "a key stands twice",
    "E006": "the document is not a mapping of keys to values",
    "E007": "the file holds a character that feeds and networks refuse",
    # fields
    "E101": "a required key is missing",
    "E102": "a key is not known",
    "E103": "a value has the wrong type",
    "E104": "a value is too long or too short",
    "E105": "a URL is not an absolute http(s) URL",
    "E106": "a date or time cannot be read",
    "E107": "a duration cannot be read",
    "E108": "a language tag is not well formed",
    "E109": "a value is not one of the allowed ones",
    "E110": "an id is not usable",
    "E111": "a time zone is not known",
    "E112": "a text must be one paragraph of plain text",
    "E113": "a value stands twice in a list",
    # pictures
    "E201": "an image has no alt text",
    "E202": "the image file does not exist, or lies outside content/",
    "E203": "the image file is not a picture this project can use",
    # across files
    "E301": "two entries have the same id",
    "E302": "a campaign names an entry that does not exist",
    "E303": "more entries than days",
    "E304": "an entry is pinned to a day on which it cannot go out",
    "E305": "two entries are pinned to the same day",
    "E306": "a network is not known",
    "E307": "the calendar of the campaign is not possible",
    "E308": "an option does not belong to the network",
    "E309": "two files claim the same campaign id",
    "E310": "an account would post more in a day than its network allows",
    "E311": "an entry went out already under another id",
    "E312": "different accounts share one set of credentials",
    # texts
    "E401": "a template cannot be parsed",
    "E402": "a template cannot be filled in",
    "E403": "a text does not fit the network's limit",
    "E404": "a text is empty",
    # channels, asked by `check --online`
    "E501": "a credential of a channel is missing",
    "E502": "the credentials of a channel are refused",
    "E503": "a channel cannot be asked",
    "E504": "the credentials of a channel expire before its last post",
    # warnings
    "W301": "a campaign names an entry that is still a draft",
    "W302": "the authority differs from the one frozen at the first release",
    "W303": "an entry has texts for a channel that no campaign has",
    "W304": "a tag makes no hashtag",
    "W305": "a network will probably refuse a text",
    "W306": "a file looks like an entry or a campaign, but is not read",
    "W307": "the event is over, and posts are still planned",
    "W501": "the clock of a network differs from this machine's",
    "W502": "a network warns of something",
}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem.

    `path` is relative to the root; `line` and `column` count from 1, columns in characters.
    """

    path: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"unknown problem code {self.code}")


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any of them is more than a warning."""
    return any(problem.severity is Severity.ERROR for problem in problems)


def as_text(problems: Iterable[Problem]) -> str:
    """One problem a line, as compilers print them, the hint indented below."""
    lines = []
    for p in sorted(problems):
        mark = "warning " if p.severity is Severity.WARNING else ""
        lines.append(f"{p.path}:{p.line}:{p.column}: {mark}{p.code} {p.message}")
        if p.hint:
            lines.append(f"    {p.hint}")
    return "\n".join(lines)


def as_json(problems: Iterable[Problem]) -> str:
    """The `check --json` document."""
    rows = [asdict(problem) for problem in sorted(problems)]
    return json.dumps({"problems": rows}, ensure_ascii=False, indent=2)


def as_annotations(problems: Iterable[Problem]) -> str:
    """Workflow commands that a CI host shows beside the line in a review."""
    return "\n".join(
        f"::{p.severity} file={_escape(p.path, property_value=True)},line={p.line},col={p.column},"
        f"title={p.code}::{_escape(' '.join(filter(None, (p.message, p.hint))))}"
        for p in sorted(problems)
    )


def _escape(text: str, *, property_value: bool = False) -> str:
    """Percent-encode what would end a workflow command or one of its properties."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property_value else text
