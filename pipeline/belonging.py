"""Whether a ledger is the one of this project, and the one that was here before.

Two mistakes would undo what the ledger promises: working with the ledger of another project, which would
withdraw all that the other has planned; and going on with an empty ledger where one has been lost, which has
forgotten what was posted. What must stay true: whoever adds, edits, renames or deletes files, moves or clones
a checkout, or shares a ledger between machines, is never refused.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pipeline import atomic
from pipeline.errors import LedgerGone

log = logging.getLogger(__name__)

ADOPT = "pipeline ledger adopt"


def refuse_stranger(
    root: Path,
    here: Mapping[str, str | None],
    known: Mapping[str, str],
    *,
    authorities: Callable[[], Mapping[str, tuple[str | None, str | None]]],
    open_campaigns: Callable[[], Collection[str]],
) -> None:
    """Raise LedgerGone when the ledger belongs to another project than that of `root`.

    `here` are the project's files and `known` those that the ledger remembers, text by path. `authorities`
    gives, for each campaign that both have, the one the ledger froze and the one in the files; and
    `open_campaigns` those of the ledger that may still send something. Both are asked only in doubt.

    One file in common is enough, also an edited one. Without any, it is still a project whose files were all
    replaced if the ledger has nothing left to do and no campaign of it is meant.
    """
    shared = known.keys() & here.keys()
    if not known or any(known[path] == here[path] for path in shared):
        return
    both = authorities()
    if shared and all(frozen in (None, ours) for frozen, ours in both.values()):
        return
    left = open_campaigns()
    if not shared and not both and not left:
        return
    names = ", ".join(f"`{name}`" for name in sorted({*both, *left}))
    raise LedgerGone(
        f"the ledger belongs to another project: it knows {len(known)} files, and none of them is in {root}"
        + (f", and its campaigns {names}" if names else ""),
        hint=(
            "Name this project's own ledger with --ledger or PIPELINE_LEDGER. If it is this one, and all "
            f"files were replaced at once: `{ADOPT}`."
        ),
    )


class Whereabouts:
    """Remembers, in `state/`, which ledgers were used from this checkout and which campaigns they held."""

    def __init__(self, state: Path, url: str) -> None:
        """`url` is the ledger's; what is kept of it names neither user nor password."""
        self._path = state / "ledgers.json"
        self._name = _bare(url, state.parent)

    def refuse_lost(self, campaigns: Collection[str] | None) -> None:
        """Raise LedgerGone when the ledger held campaigns and now holds none. None: there is no ledger."""
        before = self._read().get(self._name)
        if not before or campaigns:
            return
        raise LedgerGone(
            f"the ledger {self._name} is {'gone' if campaigns is None else 'empty'}; it was used here for "
            + ", ".join(f"`{name}`" for name in before),
            hint=(
                "What was posted would be forgotten. Put a backup back or `pipeline ledger import` an "
                f"export. Only to begin anew: `{ADOPT}`."
            ),
        )

    def remember(self, campaigns: Collection[str]) -> None:
        """Keep the names of what the ledger holds. Where state/ may not be written, nothing is kept."""
        known = self._read()
        if not campaigns or known.get(self._name) == sorted(campaigns):
            return
        self._write({**known, self._name: sorted(campaigns)})

    def forget(self) -> None:
        """Whatever is in the ledger now is right."""
        known = self._read()
        if known.pop(self._name, None) is not None:
            self._write(known)

    def _read(self) -> dict[str, list[str]]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, known: Mapping[str, list[str]]) -> None:
        text = json.dumps(dict(sorted(known.items())), ensure_ascii=False, indent=2) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write(self._path, text.encode())
        except OSError as error:
            log.info("%s cannot be written: %s", self._path, error)


def _bare(url: str, root: Path) -> str:
    """The ledger's address without user, password or options; a file below the root as seen from there."""
    parts = urlsplit(url)
    kind = parts.scheme.partition("+")[0]
    if kind == "sqlite":
        path = Path(url.partition(":///")[2].partition("?")[0])
        return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    return f"{kind}://{parts.netloc.rpartition('@')[2]}{parts.path}"
