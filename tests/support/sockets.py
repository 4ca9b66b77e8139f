"""Servers that misbehave below HTTP: a function of the test gets each connection as a bare socket."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Behaviour = Callable[[socket.socket], None]


class BareServer:
    """Counts connections, and lets `behaviour` answer. The socket is closed after it returns."""

    def __init__(self, behaviour: Behaviour, family: int = socket.AF_INET) -> None:
        self.behaviour = behaviour
        self.connections = 0
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self.behaviour(connection)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


@contextmanager
def serving(behaviour: Behaviour, family: int = socket.AF_INET) -> Iterator[BareServer]:
    server = BareServer(behaviour, family)
    acceptor = threading.Thread(target=server.accept, daemon=True)
    acceptor.start()
    try:
        yield server
    finally:
        server.close()
        acceptor.join(5)


def read_request(connection: socket.socket) -> bytes:
    """One whole request, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        ),
        0,
    )
    while len(body) < length:
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the client closed before its request was over")
    return data


def answering(answer: bytes) -> Behaviour:
    """Reads the request, sends these bytes, closes."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    return behave


def resetting(answer: bytes = b"") -> Behaviour:
    """Reads the request, sends these bytes, resets the connection."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def dripping(start: bytes, pause: float, drop: bytes = b"x") -> Behaviour:
    """Reads the request, sends `start`, then a byte now and then for ever."""

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(start)
        waiting = threading.Event()
        while not waiting.wait(pause):
            connection.sendall(drop)

    return behave


def over_tls(context: ssl.SSLContext, behaviour: Behaviour) -> Behaviour:
    """The same, inside TLS."""

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            behaviour(secured)

    return behave


@contextmanager
def black_hole() -> Iterator[int]:
    """A port whose listener never accepts and whose queue is full: a new connection gets no answer at all."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        try:
            for _ in range(3):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex(listener.getsockname())
                waiting.append(one)
            yield listener.getsockname()[1]
        finally:
            for one in waiting:
                one.close()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and 127.0.0.1 that nobody has signed, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return certificate, key
