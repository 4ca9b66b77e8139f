"""A script becomes a storyboard: the page and its record, and the two files they are kept in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline import atomic
from pipeline.errors import WrongUse
from pipeline.storyboard.cards import Day, OpenChannel, days
from pipeline.storyboard.memory import Before, Changes, compare, earlier, record
from pipeline.storyboard.page import page
from pipeline.storyboard.script import Script

PAGE_FILE = "storyboard.html"
RECORD_FILE = "storyboard.json"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A storyboard: its page in HTML, its record in JSON, and what is new in it."""

    page: bytes
    record: bytes
    changes: Changes
    days: Mapping[str, tuple[Day, ...]]


def draw(script: Script, root: Path, open_channel: OpenChannel, last: Before | None = None) -> Drawn:
    """Ask every channel what it would send, and draw it. `root` holds the pictures; nothing is written."""
    told = {story.campaign.id: days(story, script.entries, open_channel) for story in script.stories}
    changes = compare(last, script, told)
    return Drawn(page(script, told, changes, root), record(script, told), changes, told)


def before(folder: Path, against: Path | None) -> Before | None:
    """The storyboard to compare with: that of the record `against`, else the last one in the folder.

    To be asked before the folder is emptied. Raises WrongUse when `against` is no such record.
    """
    return earlier(against or folder / RECORD_FILE, asked=against is not None)


def save(drawn: Drawn, folder: Path) -> Path:
    """Write both files; the page's path. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write(folder / RECORD_FILE, drawn.record)
    atomic.write(folder / PAGE_FILE, drawn.page)
    return folder / PAGE_FILE


def refuse_foreign(folder: Path) -> None:
    """Raise WrongUse when the folder holds anything but a storyboard, or what a rehearsal put beside one."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise WrongUse(f"{folder} is not a folder", hint="Name a new folder with --out.")
    found = {path.name for path in folder.iterdir()}
    ours = RECORD_FILE in found and found <= {RECORD_FILE, PAGE_FILE}
    if found and not ours and earlier(folder / RECORD_FILE, asked=False) is None:
        raise WrongUse(
            f"{folder} is not empty, and holds no storyboard", hint="Name a new folder with --out."
        )
