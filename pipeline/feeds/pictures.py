"""The pictures of entries, copied into a campaign's media folder.

What must stay true: nothing outside `content/` is ever published, nor anything that is no picture; a picture
that was published stays, because subscribers' readers go on asking for it, unless its entry is retracted.

A copy is named ENTRY-PATH-BYTES.EXT, where PATH and BYTES begin the SHA-256 digests of the picture's path and
of its bytes: an exchanged picture gets a new address, which no cache can mistake for the old one, and the
copy of a picture that has vanished is found by its path.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from pipeline import atomic
from pipeline.feeds import html
from pipeline.feeds.document import EntryMedia, Picture
from pipeline.model import Entry

CONTENT = "content"
_DIGEST_LENGTH = 8
# First bytes → type and extension. What is none of these is not published, whatever its name.
_KINDS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", ".png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", ".jpg"),
    (re.compile(rb"GIF8[79]a"), "image/gif", ".gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp", ".webp"),
)
# A file that changed this shortly before it was read may change again and keep its stamp.
_SETTLED_NS = 2 * 10**9
_REMEMBERED = 4096
_NO_PICTURE = "is not a PNG, JPEG, GIF or WebP picture"

_Stamp = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Missing:
    """Why a picture cannot be taken from `content/`."""

    reason: str
    inside: bool = True
    found: bool = False


class Publisher:
    """Copies pictures into the media folder; `changed` and `notices` collect what happened."""

    # Which copy was made of a file as it stands, so that it is not read again for every feed.
    _copies: ClassVar[OrderedDict[tuple[Path, str, _Stamp], Picture]] = OrderedDict()

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._content = os.path.realpath(root / CONTENT)
        self._folder = folder
        self.changed: list[Path] = []
        self.notices: list[str] = []

    def publish(self, entry: Entry) -> EntryMedia:
        """Publish the entry's own picture and those of its body that are files beside it."""
        image = self._picture(entry, (entry.image.path,)) if entry.image else None
        body = {src: self._picture(entry, _places(entry, src)) for src in html.local_images(entry.body)}
        return EntryMedia(image, body)

    def withdraw(self, entry: str) -> None:
        """Remove every copy made for the entry of that id: it was retracted, and its pictures with it."""
        shape = re.compile(rf"{re.escape(plain_name(entry))}(-[0-9a-f]{{{_DIGEST_LENGTH}}}){{2}}\.[a-z]+")
        for path in sorted(self._folder.glob("*")):
            if shape.fullmatch(path.name):
                path.unlink(missing_ok=True)
                self.changed.append(path)

    def _picture(self, entry: Entry, places: tuple[str, ...]) -> Picture | None:
        """The first picture found at one of the places, or the copy made of it when it was still there."""
        reasons = []
        for place in places:
            found = self._published(entry, place)
            if isinstance(found, Picture):
                return found
            reasons.append(found.reason)
        for place in places:
            kept = self._kept(entry, place)
            if kept:
                self._note(entry, places[0], reasons[0], f"the feeds go on with the copy {kept.name}")
                return kept
        self._note(entry, places[0], reasons[0], "the entry is in the feeds without it")
        return None

    def _note(self, entry: Entry, place: str, reason: str, outcome: str) -> None:
        self.notices.append(
            f"{entry.path}: {place} {reason}; {outcome}. Put the file back, or change the entry."
        )

    def _published(self, entry: Entry, place: str) -> Picture | _Missing:
        """The copy of the picture at that place, made now unless it is there."""
        try:
            path = _source(self._root, self._content, place)
            if isinstance(path, _Missing):
                return path
            key = (self._folder, _stem(entry, place), _stamp(path))
            known = self._copies.get(key)
            if known is not None and self._stands(known, key[2]):
                self._copies.move_to_end(key)
                return known
            data = Path(path).read_bytes()
        except OSError as error:
            return _Missing(f"cannot be read ({error.strerror})")
        except ValueError:  # a NUL in the path
            return _Missing("is not a path")
        if not _kind(data):
            return _Missing(_NO_PICTURE)
        picture = self._copies[key] = self._copy(key[1], data)
        while len(self._copies) > _REMEMBERED:
            self._copies.popitem(last=False)
        return picture

    def _stands(self, picture: Picture, stamp: _Stamp) -> bool:
        """Whether the copy is there, and was made when its source had long been as it is."""
        try:
            copy = (self._folder / picture.name).stat()
        except OSError:
            return False
        changed = max(stamp[2:4])
        return copy.st_size == picture.length and copy.st_mtime_ns - changed > _SETTLED_NS

    def _copy(self, stem: str, data: bytes) -> Picture:
        kind = _kind(data)
        assert kind is not None
        mime, extension = kind
        name = f"{stem}-{hashlib.sha256(data).hexdigest()[:_DIGEST_LENGTH]}{extension}"
        if atomic.write(self._folder / name, data):
            self.changed.append(self._folder / name)
        return Picture(name, mime, len(data))

    def _kept(self, entry: Entry, place: str) -> Picture | None:
        """The newest copy of what stood at that place."""
        shape = re.compile(rf"{re.escape(_stem(entry, place))}-[0-9a-f]{{{_DIGEST_LENGTH}}}\.[a-z]+")
        copies = [path for path in self._folder.glob("*") if shape.fullmatch(path.name)]
        if not copies:
            return None
        newest = max(copies, key=lambda path: (path.stat().st_mtime_ns, path.name))
        data = newest.read_bytes()
        kind = _kind(data)
        return Picture(newest.name, kind[0], len(data)) if kind else None


def _source(root: Path, content: str, place: str) -> str | _Missing:
    """The file that is taken from that place. Raises OSError and ValueError for what is no path."""
    path = os.path.realpath(root / place)
    if not path.startswith(content + os.sep):
        return _Missing(f"lies outside {CONTENT}/", inside=False)
    # Opening a pipe or a device could wait for ever.
    return path if Path(path).is_file() else _Missing("is not there")


@dataclass(frozen=True, slots=True)
class Lost:
    """A picture of a body that the feeds would leave out: where it is looked for, and why in vain.

    `inside`: that place is in `content/`; `found`: a file is there, and no picture.
    """

    src: str
    place: str
    reason: str
    inside: bool
    found: bool


def lost(root: Path, entry: Entry) -> Iterator[Lost]:
    """The pictures of the entry's body that `Publisher.publish` would not find."""
    content = os.path.realpath(root / CONTENT)
    for src in html.local_images(entry.body):
        places = _places(entry, src)
        faults = [_fault(root, content, place) for place in places]
        if None not in faults:
            # What is there and is no picture says more than that nothing is elsewhere.
            told = [(place, fault) for place, fault in zip(places, faults, strict=True) if fault is not None]
            place, fault = max(told, key=lambda one: one[1].found)
            yield Lost(src, place, fault.reason, fault.inside, fault.found)


def _fault(root: Path, content: str, place: str) -> _Missing | None:
    """Why no picture is taken from that place, or None if one is."""
    try:
        path = _source(root, content, place)
        if isinstance(path, _Missing):
            return path
        with Path(path).open("rb") as stream:
            return None if _kind(stream.read(16)) else _Missing(_NO_PICTURE, found=True)
    except OSError as error:
        return _Missing(f"cannot be read ({error.strerror})")
    except ValueError:  # a NUL in the path
        return _Missing("is not a path")


def plain_name(identity: str) -> str:
    """The id, asserted to be one plain file name. Ids are checked on reading; a ledger may be older."""
    if not re.fullmatch(r"[^\W_][\w.-]*", identity):
        raise ValueError(f"the id {identity!r} cannot name a file")
    return identity


def _places(entry: Entry, src: str) -> tuple[str, ...]:
    """Where a picture of the body may be, from the root: beside the entry, or under `content/`."""
    path = unquote(urlsplit(src).path)
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), path))
    below = posixpath.normpath(posixpath.join(CONTENT, path))
    return tuple(dict.fromkeys((beside, below)))


def _stem(entry: Entry, place: str) -> str:
    path_digest = hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return f"{plain_name(entry.id)}-{path_digest}"


def _stamp(path: str) -> _Stamp:
    """What changes whenever the file does."""
    info = Path(path).stat()
    return path, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino


def _kind(data: bytes) -> tuple[str, str] | None:
    """MIME type and extension by the first bytes, None for anything that is not a picture we publish."""
    return next(((mime, ext) for start, mime, ext in _KINDS if start.match(data)), None)
