"""What may be served from `public/`, each version of a file read once and whole.

What must stay true: no path leads out of the folder, to a hidden file, or through a symbolic link; the bytes
of a version are all from one state of the file. Files that are replaced by renaming, as the pipeline does it,
are whole at any moment; one that somebody writes in place is read again until it holds still.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.serve.bounded import Bounded
from pipeline.serve.kinds import Kind, kind_of

# Longer files are not kept in memory but read again, piece by piece, for each request.
LARGE = 4 * 1024 * 1024
PIECE = 64 * 1024
CACHE = 64 * 1024 * 1024  # bytes of files in memory
INDEX = "index.html"
_TRIES = 5
_LONGEST_PATH = 20  # segments; `public/` is four deep

# Not there, not a folder on the way, a link, a name no file can have, a socket, not ours to read.
_NOT_SERVED = frozenset(
    (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO, errno.EACCES)
)

Signature = tuple[int, int, int, int, int]


class Unsteady(OSError):
    """The file is being written in place, and did not hold still."""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of a file. `digest` is SHA-256 in hex, `modified` whole seconds since 1970.

    `body` is None for a large file: its pieces come from `Public.reopen`.
    """

    path: tuple[str, ...]
    signature: Signature
    digest: str
    modified: int
    length: int
    kind: Kind
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with a page in it, asked for without the slash at its end."""


class Public:
    """The folder that is served. Any thread may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: Bounded[tuple[str, ...], Version] = Bounded(CACHE)

    def find(self, path: str) -> Version | Folder | None:
        """The present version of the file at a decoded URL path; None when there is nothing to be served.

        A path that ends in a slash means the page of that folder. Raises OSError when the disk fails, and
        Unsteady for a file that is being written all the time.
        """
        names = segments(path)
        if names is None:
            return None
        if path.endswith("/"):
            names = (*names, INDEX)
        for _ in range(_TRIES):
            descriptor = self._open(names)
            if descriptor is None:
                return None
            try:
                found = os.fstat(descriptor)
                if stat.S_ISDIR(found.st_mode):
                    return Folder() if self._has_page(names) else None
                if not stat.S_ISREG(found.st_mode):
                    return None
                version = self._version(names, descriptor, found)
            finally:
                os.close(descriptor)
            if version is not None:
                return version
        raise Unsteady(f"{'/'.join(names)} changes while it is read")

    def reopen(self, version: Version) -> int | None:
        """A descriptor of the very file the version was read from; None when it has been replaced."""
        descriptor = self._open(version.path)
        if descriptor is None:
            return None
        if _signature(os.fstat(descriptor)) != version.signature:
            os.close(descriptor)
            return None
        return descriptor

    def _version(self, names: tuple[str, ...], descriptor: int, found: os.stat_result) -> Version | None:
        """The version the descriptor shows, known or read now; None if the file changed meanwhile."""
        signature = _signature(found)
        known = self._known.get(names)
        if known is not None and known.signature == signature:
            return known
        digest = hashlib.sha256()
        pieces = []
        large = found.st_size > LARGE
        while piece := os.read(descriptor, PIECE):
            digest.update(piece)
            if not large:
                pieces.append(piece)
                large = len(pieces) * PIECE > 2 * LARGE  # it grows as we read: the next look will tell
        if _signature(os.fstat(descriptor)) != signature:
            return None
        body = None if large else b"".join(pieces)
        version = Version(
            path=names,
            signature=signature,
            digest=digest.hexdigest(),
            modified=int(found.st_mtime_ns // 10**9),
            length=found.st_size,
            kind=kind_of(names[-1], body or b""),
            body=body,
        )
        self._known.put(names, version, len(body or b"") + PIECE // 64)
        return version

    def _open(self, names: tuple[str, ...]) -> int | None:
        """Open name by name below the folder, following no link. None when it is not there."""
        here = None
        try:
            # The folder itself may be a link: where it lies is for the operator to say.
            here = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for name in names:
                # Opening a pipe would wait for a writer.
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                below = os.open(name, flags, dir_fd=here)
                os.close(here)
                here = below
        except OSError as error:
            if here is not None:
                os.close(here)
            if error.errno in _NOT_SERVED:
                return None
            raise
        return here

    def _has_page(self, names: tuple[str, ...]) -> bool:
        descriptor = self._open((*names, INDEX))
        if descriptor is None:
            return False
        os.close(descriptor)
        return True


def segments(path: str) -> tuple[str, ...] | None:
    """The names of a decoded URL path, or None when one of them may not be served, whatever is there."""
    names = tuple(path.removeprefix("/").removesuffix("/").split("/")) if path.strip("/") else ()
    if not path.startswith("/") or "\0" in path or len(names) > _LONGEST_PATH or path.startswith("//"):
        return None
    if any(name == "" or name.startswith(".") for name in names):
        return None
    return names


def _signature(found: os.stat_result) -> Signature:
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev, found.st_ctime_ns)
