"""Files that are replaced as a whole: a reader sees the old bytes or the new ones, never half.

What must stay true: same bytes leave the file alone, its mtime included, so that web servers' validators
stay honest; what `write` returned from is on the disk, unless it was told not to wait; a process killed at
any point leaves at worst a hidden temporary file, which a later write into the same folder removes.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

TEMPORARY_PREFIX = ".pipeline-writing-"
# Far longer than any write takes: a younger temporary file may belong to a process that is still writing.
ABANDONED_AFTER_NS = 3600 * 10**9


def write(path: Path, data: bytes, *, mode: int = 0o644, flush: bool = True) -> bool:
    """Make `path` hold exactly `data`, its folder included. True if the bytes changed.

    `mode` is that of a file whose bytes change: public files are for everybody, secrets for their owner.
    Without `flush` it returns before the bytes are on the disk, which is what takes the time: a power cut may
    then leave a shorter file, or the old one. That is for what can be made anew, and whose length is watched.
    Several processes may write the same path at once: the last one to finish wins. Raises OSError as the
    system gave it; `path` then holds what it held before, unless only the final flush of the folder failed.
    """
    changed = not _holds(path, data)
    if changed:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, data, mode, flush=flush)
    if flush:
        # Also without a change: whoever wrote these bytes may have been killed before this flush.
        _flush_folder(path.parent)
    return changed


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def _replace(path: Path, data: bytes, mode: int, *, flush: bool) -> None:
    temporary = path.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            # A umask must not hide a public file from the web server.
            os.fchmod(descriptor, mode)
            if flush:
                os.fsync(descriptor)
            written = os.fstat(descriptor).st_mtime_ns
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _remove_abandoned(path.parent, before=written - ABANDONED_AFTER_NS)


def _remove_abandoned(folder: Path, *, before: int) -> None:
    """Remove temporary files last written before `before`, in nanoseconds of the file system's own clock."""
    with os.scandir(folder) as found:
        for leftover in found:
            if leftover.name.startswith(TEMPORARY_PREFIX):
                # Another process may clean up at the same moment, or own the file: neither harms this write.
                with suppress(OSError):
                    if leftover.stat(follow_symlinks=False).st_mtime_ns < before:
                        Path(leftover.path).unlink()


def _flush_folder(folder: Path) -> None:
    """Put the folder's names on the disk: without it a power cut may undo the rename."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
