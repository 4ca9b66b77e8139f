"""Drafts and their pictures as files in a folder of `content/`.

What must stay true: a file that exists is never touched; which entry a draft was made from stands in a
comment of it, so that importing again adds nothing, wherever the draft was moved and whatever it is called.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pipeline import content
from pipeline.errors import BrokenEnvironment, WrongUse
from pipeline.importing.drafting import MARK, Draft, as_text, draft
from pipeline.importing.feed import FoundEntry
from pipeline.importing.fetching import Fetcher
from pipeline.problems import has_errors
from pipeline.source.values import slug

MOST_PICTURES = 200 << 20  # bytes of one import
MOST_FAILURES = 3  # of one host's pictures, then it is not asked again
LONGEST_NAME = 60
_KINDS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), ".png"),
    (re.compile(rb"\xff\xd8\xff"), ".jpg"),
    (re.compile(rb"GIF8[79]a"), ".gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), ".webp"),
)


class Folder:
    """Where drafts go. `made`, `known` and `notices` say what came of it."""

    def __init__(self, root: Path, into: str | None) -> None:
        """Raises WrongUse for a folder outside `content/`."""
        self._root = root
        self._folder = _inside(root, into)
        self._taken, self._sources = _present(root)
        self._room = MOST_PICTURES
        self._failures: Counter[str] = Counter()
        self.made: list[str] = []
        self.notices: list[str] = []
        self.known = 0

    def add(self, found: FoundEntry, fetcher: Fetcher) -> None:
        """Make a draft of the entry unless there is one. Raises OSError when it cannot be written."""
        new = draft(found)
        named = " ".join(found.title.split())[:60] or found.url[:60] or "without a title"
        if new is None:
            why = "it has no usable address, or neither title nor text"
            self.notices.append(f"left out: {named!r}: {why}")
        elif new.source in self._sources:
            self.known += 1
        else:
            self._add(new, fetcher)

    def _add(self, new: Draft, fetcher: Fetcher) -> None:
        name = next(one for one in _names(new.title) if one not in self._taken)
        path = f"{self._folder}/{name}.md"
        data, ending = self._picture(new, fetcher)
        picture = f"{name}{ending}" if data is not None else None
        text = as_text(new, picture)
        problems = content.parse_entry(path, text).problems
        if has_errors(problems):
            self.notices.append(f"left out: {new.title!r}: {problems[0].message}")
            return
        if data is not None and picture is not None:
            _make(self._root / self._folder / picture, data)
        _make(self._root / path, text.encode())
        self._taken.add(name)
        self._sources.add(new.source)
        self.made.append(path)
        if "\n# image: " in text:
            self.notices.append(f"{path}: the feed does not say what {picture} shows: write `image_alt`")

    def _picture(self, new: Draft, fetcher: Fetcher) -> tuple[bytes | None, str]:
        """The picture's bytes and the ending of its name, if there is one that can be used."""
        if new.image is None:
            return None, ""
        host = urlsplit(new.image.url).netloc
        if self._room <= 0 or self._failures[host] >= MOST_FAILURES:
            why = "too many failed" if self._room > 0 else f"there are more than {MOST_PICTURES >> 20} MiB"
            self.notices.append(f"{new.title}: its picture {new.image.url} was not fetched: {why}")
            return None, ""
        try:
            data = fetcher.picture(new.image.url)
        except (BrokenEnvironment, WrongUse) as error:
            self._failures[host] += 1
            self.notices.append(f"{new.title}: without its picture: {error}")
            return None, ""
        self._room -= len(data)
        ending = next((ending for start, ending in _KINDS if start.match(data)), None)
        if ending is None:
            why = "is not a PNG, JPEG, GIF or WebP picture"
            self.notices.append(f"{new.title}: without its picture: {new.image.url} {why}")
            return None, ""
        return data, ending


def _inside(root: Path, into: str | None) -> str:
    """The folder, relative to the root, made plain."""
    base = (root / content.FOLDER).resolve()
    if into is None:
        return content.FOLDER
    wanted = Path(into)
    place = (wanted if wanted.is_absolute() else root / wanted).resolve()
    inside = place == base or base in place.parents
    if not inside or any(part.startswith(".") for part in place.relative_to(base).parts):
        raise WrongUse(f"{into} is no folder of content/", hint="Write it as in `--into content/blog`.")
    if place.exists() and not place.is_dir():
        raise WrongUse(f"{into} is a file", hint="Name a folder; it is made if there is none.")
    return PurePosixPath(content.FOLDER, place.relative_to(base).as_posix()).as_posix()


def _present(root: Path) -> tuple[set[str], set[str]]:
    """Every name and id that is taken, and the entries of feeds that have been imported."""
    taken, sources = {"readme"}, set()
    for place in (root / content.FOLDER).rglob("*"):
        taken.add(place.stem.lower())  # a picture's too: a new one must not need its name
    for path in content.scan(root):
        text, _ = content.read_text(root, path)
        if text is None:
            continue
        entry = content.parse_entry(path, text).value
        taken |= {entry.id} if entry else set()
        sources |= {line.removeprefix(MARK) for line in text[:5000].splitlines() if line.startswith(MARK)}
    return taken, sources


def _names(title: str) -> Iterator[str]:
    """The id of a title, `repair-cafe`, then `repair-cafe-2`, `repair-cafe-3` and so on."""
    first = slug(title)[:LONGEST_NAME].rstrip("-._")
    yield first
    for number in count(2):
        yield f"{first}-{number}"


def _make(path: Path, data: bytes) -> None:
    """Write a new file. Raises FileExistsError when somebody made it meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("xb")
    try:
        with stream:
            stream.write(data)
    except OSError:
        path.unlink(missing_ok=True)  # a full disk must not leave half an entry
        raise
