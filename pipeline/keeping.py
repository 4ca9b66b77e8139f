"""What channels keep between two posts, as files: `state/channels/ID.json`, for this machine's user alone.

What must stay true: a file is replaced as a whole and readable by its owner only, since sessions are secrets;
what cannot be read counts as lost. The lock is the system's, so it ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline import atomic


class FileKeep:
    """The keep of the channel `channel_id` under `folder`."""

    def __init__(self, folder: Path, channel_id: str) -> None:
        plain = channel_id.isascii() and channel_id.replace("-", "").isalnum() and channel_id.islower()
        # Ids may hold what file systems disagree about; then a digest tells two of them apart.
        name = channel_id if plain else sha256(channel_id.encode(errors="replace")).hexdigest()[:16]
        self._path = folder / f"{name}.json"

    def read(self) -> Mapping[str, Any]:
        """What was written last; empty when nothing was, or it cannot be read."""
        try:
            facts = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return facts if isinstance(facts, dict) else {}

    def write(self, facts: Mapping[str, Any]) -> None:
        """Replace it. Raises OSError."""
        atomic.write(self._path, json.dumps(facts, sort_keys=True).encode(), mode=0o600)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off other threads and processes of this machine; not to be nested. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # of this opening of the file, so threads wait as well
            yield
        finally:
            os.close(descriptor)
