"""A network's stand-in: a Starlette application on uvicorn, with a proxy for faults in front of it.

Both run in one event loop, in a thread of this process, on ports the system chooses.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import BrokenEnvironment
from pipeline.rehearsal.standins.faults import FaultProxy, Faults

_PATIENCE = 10.0  # seconds to start or stop
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it reached the server. Names of headers are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Shown:
    """A post as readers see it: its text, the alt texts of its pictures, the request that made it."""

    id: str
    text: str
    at: datetime
    body: bytes
    alts: tuple[str, ...] = ()


class StandIn(ABC):
    """The server. Use it as a context manager; `url` is where to send, `faults` what happens on the way.

    `now` is its clock (UTC). `credentials` are the fields of a channel's credentials that it lets in, all
    made up.
    """

    credentials: Mapping[str, str]

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.faults = Faults()
        self.seen: list[Seen] = []
        self.accepted = 0  # posts taken, each repeat that was recognised left out
        self.listening = False
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._proxy: FaultProxy | None = None
        self._port = 0
        self._inner = 0

    @abstractmethod
    def application(self) -> Starlette:
        """The network's own behaviour."""

    @abstractmethod
    def shown(self) -> tuple[Shown, ...]:
        """What readers see, oldest first."""

    @property
    def url(self) -> str:
        """The base address, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def direct(self) -> str:
        """The base address past the faults: nothing can happen on the way."""
        return f"http://127.0.0.1:{self._inner}"

    async def note(self, request: Request) -> Seen:
        """Remember a request, with its body."""
        body = await request.body()
        seen = Seen(request.method, request.url.path, dict(request.headers), body)
        with self.lock:
            self.seen.append(seen)
        return seen

    def wait_for(self, accepted: int, timeout: float) -> bool:
        """Wait, at most `timeout` seconds, until so many posts were taken. Whether they were."""
        with self.changed:
            return self.changed.wait_for(lambda: self.accepted >= accepted, timeout)

    # ----------------------------------------------------------------- running

    def __enter__(self) -> Self:
        self._thread.start()
        inner = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self._dated(self.application()),
            date_header=False,
            lifespan="off",
            ws="none",
            http="h11",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._serving = self._do(self._serve(self._server, inner))
        self._inner = inner.getsockname()[1]
        self._proxy = FaultProxy(inner.getsockname(), self.faults)
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        if self._server is not None and self._serving is not None:
            self._do(self._stop(self._server, self._serving))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            raise BrokenEnvironment(f"{type(self).__name__} does not stop")
        self._loop.close()

    async def _serve(self, server: uvicorn.Server, listener: socket.socket) -> asyncio.Task[None]:
        return asyncio.create_task(server.serve([listener]))

    async def _stop(self, server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
        """Let a request in hand end. With none, do not take the server's own way, which sleeps on it."""
        if server.server_state.tasks or not server.started:
            server.should_exit = True
            await serving
            return
        serving.cancel()
        await asyncio.wait([serving])
        for listener in server.servers:
            listener.close()
        while connections := list(server.server_state.connections):
            for connection in connections:
                connection.transport.abort()
            await asyncio.sleep(0)

    def _dated(self, application: Starlette) -> ASGIApp:
        """Its answers carry the time of the stand-in's clock, as a server's do of the server's."""

        async def dated(scope: Scope, receive: Receive, send: Send) -> None:
            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message).setdefault("date", format_datetime(self.now(), usegmt=True))
                await send(message)

            await application(scope, receive, sending)

        return dated

    def refuse(self) -> None:
        """From now on connections are refused, and those under way are cut."""
        if self._proxy is not None:
            self._do(self._proxy.close())
        self.listening = False

    def resume(self) -> None:
        """Accept connections, on the same port as before."""
        if self._proxy is not None and not self.listening:
            self._port = self._do(self._proxy.listen(self._port))
            self.listening = True

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
