"""Response bodies that leave in pieces, so that a slow reader holds one piece in memory and not the whole."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import anyio.to_thread
from starlette.types import Receive, Scope, Send

from pipeline.serve.files import PIECE


class Pieces:
    """A response that is sent as fast as its reader takes it."""

    def __init__(self, status: int, headers: Mapping[str, str], body: AsyncGenerator[bytes, None]) -> None:
        self._status = status
        self._headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send it: to HEAD, the headers."""
        await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
        if scope["method"] != "HEAD":
            async with aclosing(self._body) as pieces:
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def slices(data: bytes, begins: int, ends: int) -> AsyncGenerator[bytes, None]:
    """The bytes of that span."""
    for place in range(begins, ends, PIECE):
        yield data[place : min(place + PIECE, ends)]


async def from_disk(descriptor: int, begins: int, ends: int) -> AsyncGenerator[bytes, None]:
    """The bytes of that span of an open file, which is closed at the end.

    A file that is cut short meanwhile ends the connection: the reader sees that something is missing.
    """
    try:
        while begins < ends:
            piece = await anyio.to_thread.run_sync(os.pread, descriptor, min(PIECE, ends - begins), begins)
            if not piece:
                raise OSError(f"a file became shorter while it was sent: {ends - begins} bytes are missing")
            begins += len(piece)
            yield piece
    finally:
        os.close(descriptor)
