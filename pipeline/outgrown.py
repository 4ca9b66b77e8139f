"""Texts that were good when the ledger kept them, and that the rules of this version refuse.

An upgrade may be stricter than the version before it. What must stay true: no entry loses its day for that,
and nothing goes out of a text that is refused. So such an entry stands in its campaign with its id, its day
and whether it is ready; its posts and its release wait until somebody mends the file.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any

from pipeline import content
from pipeline.composing import TemplateProblem
from pipeline.model import Entry
from pipeline.source import Parsed, clean
from pipeline.source.fields import Fields, quietly
from pipeline.source.values import Day, one_of


class Outgrown(TemplateProblem):
    """The text was taken for fine by an earlier version, and is refused by this one."""


class _State(Fields):
    status: Annotated[str, one_of("ready", "draft")] = "ready"


class _Pin(Fields):
    date: Day | None = None


_NAMES_ITSELF = re.compile(r"^id[ \t]*:", re.MULTILINE)


def stand_in(path: str, text: str) -> Parsed[Entry]:
    """What a plan needs of an entry whose text is refused; it is never shown to readers.

    Without a value when not even its id can be told: a guess would be another entry, with a day of its own.
    """
    refused = content.parse_entry(path, text)
    document, _ = content.split(path, clean(path, text)[0])
    data: dict[str, Any] = document.data or {}
    if document.data is None and _NAMES_ITSELF.search(text):
        return refused
    state = quietly(_State, {"status": data.get("status")})
    pin = quietly(_Pin, {"date": data.get("date")})
    name = data.get("id")
    entry = Entry(
        id=name if isinstance(name, str) else PurePosixPath(path).stem,
        path=path,
        title="",
        summary="",
        url="",
        body="",
        draft=state is not None and state.status == "draft",
        pinned=pin.date if pin else None,
    )
    return Parsed(entry, refused.problems, refused.marks)


def why(parsed: Parsed[Entry]) -> str:
    """Why the text is refused, in one line."""
    first = parsed.problems[0]
    return f"{first.path}:{first.line}: {first.code} {first.message} (an earlier version let it pass)"
