"""Compressed bodies: each made once per version and kept, within bounds."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import anyio
import anyio.to_thread
import brotli  # type: ignore[import-untyped]

from pipeline.serve.bounded import Bounded

CACHE = 32 * 1024 * 1024  # bytes of compressed bodies in memory
SHORTEST = 512  # bytes; below, the headers weigh more than what is saved
# Brotli's best costs seconds for a long feed; these cost about as long as gzip's best.
_BROTLI_QUALITY, _BROTLI_QUALITY_LONG = 9, 5
_LONG = 512 * 1024


def _brotli(data: bytes) -> bytes:
    quality = _BROTLI_QUALITY if len(data) < _LONG else _BROTLI_QUALITY_LONG
    compressed: bytes = brotli.compress(data, mode=brotli.MODE_TEXT, quality=quality)
    return compressed


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=9, mtime=0)  # the same bytes for the same entity tag


# In the order in which they are preferred where the client has no preference.
ENCODERS: dict[str, Callable[[bytes], bytes]] = {"br": _brotli, "gzip": _gzip}


class Encoded:
    """The compressed bodies. Used on one event loop."""

    def __init__(self) -> None:
        self._bodies: Bounded[tuple[str, str], bytes] = Bounded(CACHE)
        self._one_at_a_time = anyio.Lock()

    async def get(self, digest: str, encoding: str, body: bytes) -> bytes:
        """The body in that encoding; made in a thread, by the first who asks, while the others wait."""
        key = (digest, encoding)
        if (known := self._bodies.get(key)) is not None:
            return known
        async with self._one_at_a_time:
            if (known := self._bodies.get(key)) is not None:
                return known
            made = await anyio.to_thread.run_sync(ENCODERS[encoding], body)
            self._bodies.put(key, made, len(made))
            return made
