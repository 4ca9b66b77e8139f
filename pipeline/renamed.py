"""Entries that went out already and stand in the files under another id: mostly a file that was renamed.

Networks and feeds know an entry by its id, which is its file's name unless the file says otherwise. So a new
name is a new entry, and would go out a second time. What must stay true: only the same address in the same
words is taken for the same entry, so that entries that share one page are never held back for each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pipeline.checks import Sources
from pipeline.model import Campaign, Entry
from pipeline.problems import Problem
from pipeline.source import Parsed

if TYPE_CHECKING:
    from pipeline.ledger import Ledger  # `check` without a ledger loads no database library

_HINT = "Add a line `id: {old}`, or give the file its old name. For a second post, change title and summary."


def renamed_problems(sources: Sources, ledger: Ledger, now: datetime) -> list[Problem]:
    """E311 for each entry that a campaign still to end has released under an id that no file has any more.

    `now` is in UTC. Raises LedgerError when the ledger cannot be read.
    """
    entries = sources.by_entry_id()
    # A broken file keeps the id that its name gives.
    here = entries.keys() | {PurePosixPath(path).stem for path in sources.entries}
    found: dict[str, Problem] = {}
    for parsed in sources.campaigns.values():
        campaign = parsed.value
        if campaign is None or campaign.event.starts <= now:
            continue
        released = ledger.released(campaign.id)
        if gone := released - here:
            before = [one.entry for one in ledger.releases(campaign.id, entries=gone) if not one.retracted]
            for new in _waiting(campaign, entries, released):
                if problem := _told(new, before, campaign):
                    found.setdefault(problem.path, problem)
    return list(found.values())


def _waiting(
    campaign: Campaign, entries: Mapping[str, Parsed[Entry]], released: frozenset[str]
) -> list[Parsed[Entry]]:
    """The campaign's entries that have not been released."""
    names = entries if campaign.entries is None else campaign.entries
    return [entries[name] for name in names if name in entries and name not in released]


def _told(new: Parsed[Entry], before: list[Entry], campaign: Campaign) -> Problem | None:
    """The problem, if the entry is one of those that went out before."""
    entry = new.value
    if entry is None or entry.draft:
        return None
    for old in before:
        if old.url == entry.url and (old.title == entry.title or old.summary == entry.summary):
            message = (
                f"this entry went out in the campaign `{campaign.id}` as `{old.id}`, which no file is now"
            )
            hint = _HINT.format(old=old.id)
            return Problem(entry.path, *new.marks.at("id"), "E311", message, hint)
    return None
