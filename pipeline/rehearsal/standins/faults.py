"""What can happen on the wire between us and a network, made to happen: a proxy that cuts, delays and lies.

It stands in front of a server and passes on one exchange a connection. A fault says whether the server
gets the request, and what comes back. So "accepted, and the answer lost" is just that: the server has
answered to the end before the connection is cut.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

Address = tuple[str, int]
NOTHING = timedelta(0)
_LARGEST_HEAD = 1 << 16


@dataclass(frozen=True, slots=True)
class Fault:
    """One exchange gone wrong.

    `accepted`: the server gets the request, and has answered it before anything comes back. `answer`
    replaces what it said, `cut` keeps only that share of it, `drip` waits before each byte of it, `reset`
    ends the connection with a reset instead of a close. `before` and `after` are waits before the request
    is passed on and before the answer is.
    """

    name: str
    accepted: bool
    answer: bytes | None = None
    cut: float = 1.0
    drip: timedelta = NOTHING
    reset: bool = False
    before: timedelta = NOTHING
    after: timedelta = NOTHING


def drop(*, accepted: bool) -> Fault:
    """The connection is closed without an answer."""
    return Fault(f"drop, {_taken(accepted)}", accepted, answer=b"")


def reset(*, accepted: bool) -> Fault:
    """The connection is reset without an answer."""
    return Fault(f"reset, {_taken(accepted)}", accepted, answer=b"", reset=True)


def status(
    code: int, headers: Mapping[str, str] | None = None, body: bytes = b"", *, accepted: bool
) -> Fault:
    """Another answer than the server's, as a gateway gives it."""
    lines = [f"HTTP/1.1 {code} Fault", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    answer = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    return Fault(f"{code}, {_taken(accepted)}", accepted, answer=answer)


def slow(span: timedelta, *, accepted: bool, then: Fault | None = None) -> Fault:
    """A wait after the server has taken the request, or before it gets it (which it then still does)."""
    fault = then or Fault("", accepted=True)
    name = f"slow {'after' if accepted else 'before'} accepting {fault.name}".rstrip()
    return replace(fault, name=name, after=span) if accepted else replace(fault, name=name, before=span)


def drip(pause: timedelta) -> Fault:
    """The server's own answer, a byte at a time."""
    return Fault("drip", accepted=True, drip=pause)


def truncated(share: float = 0.5) -> Fault:
    """The beginning of the server's own answer."""
    return Fault("truncated", accepted=True, cut=share)


def garbage() -> Fault:
    """An answer that is not HTTP."""
    return Fault("garbage", accepted=True, answer=b"\x16\x03\x01 220 not what you expect\r\n\r\n")


def false_success(body: bytes = b"<html>Welcome to the hotel's network</html>") -> Fault:
    """Success from somebody who is not the network."""
    fault = status(200, {"Content-Type": "text/html"}, body, accepted=False)
    return replace(fault, name="false success")


def _taken(accepted: bool) -> str:  # noqa: FBT001  # a word for each
    return "accepted" if accepted else "not accepted"


@dataclass(slots=True)
class Faults:
    """Which fault the next exchange meets: those given one by one, then the standing one, if any.

    `choose`, when set, decides instead; it is called with the request's head: its first line and its fields.
    `choose_whole` is the same for who must also see the body.
    """

    queued: deque[Fault] = field(default_factory=deque)
    standing: Fault | None = None
    choose: Callable[[str], Fault | None] | None = None
    choose_whole: Callable[[str, bytes], Fault | None] | None = None
    met: list[str] = field(default_factory=list)  # the names of those that happened

    def strike(self, *faults: Fault) -> None:
        """The next exchanges meet these, one each."""
        self.queued.extend(faults)

    def take(self, head: str, body: bytes = b"") -> Fault | None:
        """The fault of an exchange that has just begun."""
        if self.choose_whole is not None:
            fault = self.choose_whole(head, body)
        elif self.choose is not None:
            fault = self.choose(head)
        else:
            fault = self.queued.popleft() if self.queued else self.standing
        if fault is not None:
            self.met.append(fault.name)
        return fault


class FaultProxy:
    """Passes exchanges on to `server`, each through its fault. Lives in the running event loop."""

    def __init__(self, server: Address, faults: Faults) -> None:
        self._server = server
        self._faults = faults
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def listen(self, port: int = 0) -> int:
        """Accept connections on 127.0.0.1. The port."""
        self._listener = await asyncio.start_server(
            self._connected, "127.0.0.1", port, limit=_LARGEST_HEAD, reuse_address=True
        )
        found: int = self._listener.sockets[0].getsockname()[1]
        return found

    async def close(self) -> None:
        """Accept no more, and end what is under way."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for exchange in list(self._open):
            exchange.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._exchange(reader, writer)
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # the client went away, or is none: then there is nobody to tell
        except asyncio.CancelledError:
            pass  # the proxy closes
        finally:
            self._open.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _request(reader)
        head, _, body = request.partition(b"\r\n\r\n")
        fault = self._faults.take(head.decode("latin-1"), body) or Fault("none", accepted=True)
        await _wait(fault.before)
        answer = await self._ask(request) if fault.accepted else b""
        await _wait(fault.after)
        if fault.answer is not None:
            answer = fault.answer
        await _say(writer, answer[: int(len(answer) * fault.cut)], fault.drip)
        if fault.reset:
            handle: socket.socket = writer.get_extra_info("socket")
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _ask(self, request: bytes) -> bytes:
        """The server's whole answer."""
        reader, writer = await asyncio.open_connection(*self._server)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """One whole request, asking the server to close after its answer. Raises EOFError, ValueError."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    length, kept = 0, [first]
    for line in fields:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if name.lower() == b"transfer-encoding":
            raise ValueError("a request without a length")
        if name.lower() != b"connection":
            kept.append(line)
    body = await reader.readexactly(length)
    return b"\r\n".join([*kept, b"Connection: close", b"", body])


async def _say(writer: asyncio.StreamWriter, answer: bytes, pause: timedelta) -> None:
    if not pause:
        writer.write(answer)
        await writer.drain()
        return
    for number in range(len(answer)):
        await _wait(pause)
        writer.write(answer[number : number + 1])
        await writer.drain()


async def _wait(span: timedelta) -> None:
    if span:
        await asyncio.sleep(span.total_seconds())
