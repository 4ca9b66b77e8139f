"""New projects and new entries, from the templates in `templates/`.

What must stay true: no file that exists is ever touched, and whatever is made here passes `pipeline check`.
The example goes only into a project without entries: a campaign under way must not take it for its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import count
from pathlib import Path, PurePosixPath
from string import Template
from zoneinfo import ZoneInfo

from pipeline import content, schedules
from pipeline.errors import WrongUse
from pipeline.problems import has_errors
from pipeline.source.values import slug

TIMEZONE = "Europe/Paris"  # of the example campaign
UNTIL_THE_EVENT = timedelta(days=21)
LONGEST_ID = 80

_EXAMPLES = {
    "content/first-project.md": "first-project.md",
    "schedules/first-campaign.yaml": "first-campaign.yaml",
}
_GITHUB = {
    ".github/workflows/check.yml": "github/check.yml",
    ".github/workflows/tick.yml": "github/tick.yml",
    ".github/tick.sh": "github/tick.sh",
    ".github/requirements.txt": "github/requirements.txt",
}
_ALWAYS = {"content/README.md": "content-readme.md", ".gitignore": "gitignore"}


@dataclass(frozen=True, slots=True)
class Scaffolded:
    """What `new_project` did: paths made, paths left as they were, and lines that `.gitignore` still lacks.

    `begun`: there were entries or campaigns before, so that no example was added.
    """

    made: tuple[str, ...]
    left: tuple[str, ...]
    begun: bool
    not_ignored: tuple[str, ...]


def new_project(folder: Path, now: datetime) -> Scaffolded:
    """Make a project that can be rehearsed at once; the example's event is three weeks after `now` (UTC).

    Paths are relative to `folder`, which is made too. Raises WrongUse when it is no folder, OSError when
    something cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"{folder} is not a folder", hint="Name a new folder, or an empty one.")
    day = now.astimezone(ZoneInfo(TIMEZONE)).date() + UNTIL_THE_EVENT
    words = {"event_day": day.isoformat(), "timezone": TIMEZONE}
    for name in (content.FOLDER, schedules.FOLDER):
        _make_folder(folder / name)
    begun = bool(content.scan(folder) or schedules.scan(folder))
    made: list[str] = []
    left: list[str] = []
    for path, template in (_EXAMPLES | _ALWAYS).items():
        text = Template(_template(template)).substitute(words)
        if begun and path in _EXAMPLES:
            left += [path] if (folder / path).exists() else []
        else:
            (made if _make(folder / path, text) else left).append(path)
    return Scaffolded(tuple(made), tuple(left), begun, tuple(_not_ignored(folder)))


def new_entry(root: Path, title: str) -> str:
    """Make a draft of that title under `content/`; its path, relative to `root`.

    Its id is the title without accents, or with a number when that is taken. Raises WrongUse for a title
    that no entry may have, OSError when the file cannot be written.
    """
    taken = _taken_ids(root)
    for name in _ids(title):
        if name in taken:
            continue
        path = f"{content.FOLDER}/{name}.md"
        text = _draft(path, name, title)
        if _make(root / path, text):
            return path
    raise AssertionError("there are always more numbers")


def add_workflows(folder: Path) -> Scaffolded:
    """Put the workflows for pull requests and for posting on a schedule under `.github/` of the project.

    Raises OSError when something cannot be written.
    """
    made: list[str] = []
    left: list[str] = []
    for path, template in _GITHUB.items():
        (made if _make(folder / path, _template(template)) else left).append(path)
    return Scaffolded(tuple(made), tuple(left), begun=False, not_ignored=())


def _draft(path: str, name: str, title: str) -> str:
    # A JSON string is a YAML string, whatever is in it.
    words = {"title": json.dumps(title, ensure_ascii=False), "id": name}
    text = Template(_template("new-entry.md")).substitute(words)
    problems = content.parse_entry(path, text).problems
    if has_errors(problems):
        raise WrongUse(f"no entry can have this title: {problems[0].message}", hint=problems[0].hint or None)
    return text


def _ids(title: str) -> Iterator[str]:
    """The id of a title, `repair-cafe`, then `repair-cafe-2`, `repair-cafe-3` and so on."""
    first = slug(title)
    yield first
    for number in count(2):
        ending = f"-{number}"
        yield first[: LONGEST_ID - len(ending)] + ending


def _taken_ids(root: Path) -> set[str]:
    """The id of every entry, broken ones by their file's name; and `readme`, which is no entry's name."""
    taken = {"readme"}
    for path in content.scan(root):
        entry = content.read_entry(root, path).value
        taken |= {PurePosixPath(path).stem.lower(), *([entry.id] if entry else ())}
    return taken


def _make(path: Path, text: str) -> bool:
    """Write the file unless there is one. Whether it was written."""
    _make_folder(path.parent)
    try:
        stream = path.open("xb")
    except FileExistsError:
        return False
    try:
        with stream:
            stream.write(text.encode())
    except OSError:
        path.unlink(missing_ok=True)  # a full disk must not leave half an entry
        raise
    return True


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise WrongUse(
            f"{path} cannot be made: a file stands where a folder belongs",
            hint="Move the file away, or name another folder; then run the command again.",
        ) from error


def _not_ignored(folder: Path) -> list[str]:
    """What must not get into git and is not in `.gitignore`."""
    text = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace")
    present = {line.strip().strip("/") for line in text.splitlines()}
    wanted = [line for line in _template("gitignore").splitlines() if line and not line.startswith("#")]
    return [line for line in wanted if line.strip("/") not in present]


def _template(name: str) -> str:
    return (files("pipeline") / "templates" / name).read_text(encoding="utf-8")
