"""The server: uvicorn in a thread of its own, with deadlines for clients that are slow.

What must stay true: a client that sends or reads too slowly loses its connection, so that no number of them
keeps others waiting for ever; stopping finishes the answers in hand, within a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.errors import BrokenEnvironment
from pipeline.serve.address import Address, listen
from pipeline.serve.files import Public
from pipeline.serve.site import LONGEST_HEAD, LONGEST_TARGET, Site
from pipeline.serve.watch import Watch

log = logging.getLogger(__name__)

SPARE_FILES = 256  # open files left for everything else
_STOPPING = 20  # seconds until a server that does not stop is told of


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a client may take, in seconds, and how many `connections` there may be at once.

    `head`: to send a request. `progress`: to take the next piece of an answer. `idle`: between two requests.
    `stopping`: to take the rest of an answer when the server stops. There are fewer connections where the
    system allows fewer open files.
    """

    head: float = 10
    progress: float = 30
    idle: int = 5
    stopping: int = 5
    connections: int = 4096


class _Patient(H11Protocol):
    """A connection with a deadline, which moves on when its client does something worth waiting for.

    A byte now and then is not: from the first one on, a request's head has a fixed time. Also where uvicorn
    closes a connection whose client takes nothing, this ends it.
    """

    limits = Limits()
    _until = 0.0
    _answering: object = None
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._grant(self.limits.head)
        # Beyond the limit a client is told to come back, but only while there are files left to do so.
        if len(self.connections) > (self.limit_concurrency or 0) + SPARE_FILES // 2:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not self._answering:
            self._answering = self.cycle
            if self.cycle is not None and not self.cycle.response_complete:
                self._grant(self.limits.progress)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._grant(self.limits.progress)

    def on_response_complete(self) -> None:
        self._grant(self.limits.idle + self.limits.head)
        super().on_response_complete()

    def _grant(self, seconds: float) -> None:
        self._until = self.loop.time() + seconds
        if self._timer is None or self._timer.when() > self._until:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(self._until, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.loop.time() >= self._until:
            self.transport.abort()
        else:
            self._timer = self.loop.call_at(self._until, self._look)


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it; then end what its clients have not taken by now."""
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Patient):
                connection.transport.abort()
        await asyncio.sleep(0)  # until the loop has closed them


class Serving:
    """A server that listens."""

    def __init__(self, site: Site, listener: socket.socket, address: Address, limits: Limits) -> None:
        self.address = address
        self.watch = site.watch
        self._listener = listener
        self._server = _Server(_configuration(site, limits))
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._failed: BaseException | None = None

    @property
    def url(self) -> str:
        """The address as a browser takes it."""
        return f"http://{self.address}/"

    @property
    def running(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the answers in hand and close everything."""
        self._server.should_exit = True
        self._thread.join(_STOPPING)
        if self._thread.is_alive():
            log.warning("the server does not stop; its connections end with the process")
        self._listener.close()

    def wait(self) -> None:
        """Return on SIGTERM or SIGINT. For the main thread, with `signals_held` around it.

        Raises BrokenEnvironment when the server has ended by itself.
        """
        while signal.sigtimedwait(_ENDING, 1) is None:
            if not self.running:
                raise BrokenEnvironment(
                    f"the server at {self.address} has ended: {self._failed or 'no reason is known'}"
                ) from self._failed

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except BaseException as error:
            self._failed = error
            log.exception("the server at %s has ended", self.address)


_ENDING = frozenset((signal.SIGTERM, signal.SIGINT))


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Within: SIGTERM and SIGINT wait for `Serving.wait`, in this thread and in those it starts."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


@contextlib.contextmanager
def serving(folder: Path, address: Address, watch: Watch, limits: Limits | None = None) -> Iterator[Serving]:
    """Within: the folder is served there, and `watch` looks at the ledger.

    Raises BrokenEnvironment when that is not possible.
    """
    listener = listen(address)
    here = Address(address.host, listener.getsockname()[1])
    server = Serving(Site(Public(folder), watch), listener, here, limits or Limits())
    watch.start()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        watch.stop()


def _configuration(site: Site, limits: Limits) -> uvicorn.Config:
    protocol = type("Patient", (_Patient,), {"limits": limits})
    return uvicorn.Config(
        site,
        http=protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_connections(limits.connections),
        timeout_keep_alive=limits.idle,
        timeout_graceful_shutdown=limits.stopping,
        h11_max_incomplete_event_size=LONGEST_HEAD + LONGEST_TARGET,
    )


def _connections(most: int) -> int:
    """As many as wanted, or as the system lets this process have open files."""
    wanted = most + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return most if soft == resource.RLIM_INFINITY else max(min(most, soft - SPARE_FILES), 1)
