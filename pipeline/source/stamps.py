"""When files were last changed: cheap enough to look at thousands of them every few seconds."""

from __future__ import annotations

import os
from collections.abc import Iterator

Stamp = tuple[int, int, int]  # inode, size, nanoseconds of the last change


def stamps(root: str, folder: str) -> Iterator[tuple[str, Stamp]]:
    """The files of a folder and of those in it, by their path relative to `root`, hidden ones left out."""
    try:
        found = list(os.scandir(os.path.join(root, folder)))  # noqa: PTH118 - thousands of them, every 2 s
    except OSError:
        return  # the scan lists a folder that cannot be read, and says why
    for one in found:
        if one.name.startswith("."):
            continue
        path = f"{folder}/{one.name}"
        if one.is_dir(follow_symlinks=False):
            yield from stamps(root, path)
            continue
        try:
            status = one.stat()
        except OSError:
            continue  # gone since, or a link to nowhere
        # Not the time of writing, which copies keep: this one also tells of changed permissions.
        yield path, (status.st_ino, status.st_size, status.st_ctime_ns)
