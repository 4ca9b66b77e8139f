"""A campaign's folder under `public/`: the three feeds and the pictures they point to.

What must stay true: the same releases leave every file alone, mtime included; pictures are in place before
the feeds that point to them; nothing outside `content/` is ever published; a picture that was published
stays, because subscribers' readers go on asking for it.

A copy is named ENTRY-PATH-BYTES.EXT, where PATH and BYTES begin the SHA-256 digests of the picture's path and
of its bytes: an exchanged picture gets a new address, which no cache can mistake for the old one, and the
copy of a picture that has vanished is found by its path.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline import atomic
from pipeline.errors import BrokenEnvironment
from pipeline.feeds import document, html, json_feed, rss_atom
from pipeline.feeds.document import EntryMedia, Picture
from pipeline.model import Campaign, Entry, Release

CONTENT = "content"
_DIGEST_LENGTH = 8
# First bytes → type and extension. What is none of these is not published, whatever its name.
_KINDS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png", ".png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg", ".jpg"),
    (re.compile(rb"GIF8[79]a"), "image/gif", ".gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp", ".webp"),
)


def write(
    campaign: Campaign,
    releases: Sequence[Release],
    *,
    authority: str,
    first_seen: datetime,
    root: Path,
    public: Path,
) -> tuple[list[Path], list[str]]:
    """Write the feeds and pictures; the files that changed, and what an editor should know.

    Raises BrokenEnvironment when a file cannot be written.
    """
    folder = public / _plain_name(campaign.id)
    publisher = _Publisher(root, folder / document.MEDIA_FOLDER)
    try:
        media = {release.entry.id: publisher.publish(release.entry) for release in document.newest(releases)}
        feed = document.build(campaign, releases, authority=authority, first_seen=first_seen, media=media)
        for name, data in (
            (document.RSS_FILE, rss_atom.rss(feed)),
            (document.ATOM_FILE, rss_atom.atom(feed)),
            (document.JSON_FILE, json_feed.json_feed(feed)),
        ):
            if atomic.write(folder / name, data):
                publisher.changed.append(folder / name)
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise BrokenEnvironment(
            f"{where}: the feeds of {campaign.id} cannot be written: {why}",
            hint=f"make room on the disk, or make {folder} writable; the next run writes them",
        ) from error
    return publisher.changed, publisher.notices


@dataclass(frozen=True, slots=True)
class _Missing:
    """Why a picture cannot be taken from `content/`."""

    reason: str


class _Publisher:
    """Copies pictures into the media folder; `changed` and `notices` collect what happened."""

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

    def _picture(self, entry: Entry, places: tuple[str, ...]) -> Picture | None:
        """The first picture found at one of the places, or the copy made of it when it was still there."""
        reasons = []
        for place in places:
            read = self._read(place)
            if isinstance(read, bytes):
                return self._copy(entry, place, read)
            reasons.append(read.reason)
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

    def _read(self, place: str) -> bytes | _Missing:
        try:
            path = os.path.realpath(self._root / place)
            if not path.startswith(self._content + os.sep):
                return _Missing(f"lies outside {CONTENT}/")
            # Opening a pipe or a device could wait for ever.
            if not Path(path).is_file():
                return _Missing("is not there")
            data = Path(path).read_bytes()
        except OSError as error:
            return _Missing(f"cannot be read ({error.strerror})")
        except ValueError:  # a NUL in the path
            return _Missing("is not a path")
        return data if _kind(data) else _Missing("is not a PNG, JPEG, GIF or WebP picture")

    def _copy(self, entry: Entry, place: str, data: bytes) -> Picture:
        kind = _kind(data)
        assert kind is not None
        mime, extension = kind
        name = f"{_stem(entry, place)}-{hashlib.sha256(data).hexdigest()[:_DIGEST_LENGTH]}{extension}"
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


def _places(entry: Entry, src: str) -> tuple[str, ...]:
    """Where a picture of the body may be, from the root: beside the entry, or under `content/`."""
    path = unquote(urlsplit(src).path)
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), path))
    below = posixpath.normpath(posixpath.join(CONTENT, path))
    return tuple(dict.fromkeys((beside, below)))


def _stem(entry: Entry, place: str) -> str:
    path_digest = hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return f"{_plain_name(entry.id)}-{path_digest}"


def _kind(data: bytes) -> tuple[str, str] | None:
    """MIME type and extension by the first bytes, None for anything that is not a picture we publish."""
    return next(((mime, ext) for start, mime, ext in _KINDS if start.match(data)), None)


def _plain_name(identity: str) -> str:
    """The id, asserted to be one plain file name. Ids are checked on reading; a ledger may be older."""
    if not re.fullmatch(r"[^\W_][\w.-]*", identity):
        raise ValueError(f"the id {identity!r} cannot name a file")
    return identity
