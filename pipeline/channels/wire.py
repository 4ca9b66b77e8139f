"""One HTTP request on a connection of its own, cut off when its total limit is over.

What must stay true: `stage` says how far the request came, set before each step is begun, so that "nothing
was sent" rests on where we were and not on which exception a library chose; and no library below waits
longer than the total limit, repeats, or follows anything.

Names are looked up in a thread that is left behind when it takes too long. From the connection on a timer
shuts the socket down at the end of the limit, which ends whatever waits for it: handshake, sending, a
server that drips its headers or its body.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPException
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as LibraryTimeoutError
from urllib3.response import BaseHTTPResponse
from urllib3.util.ssl_ import create_urllib3_context

from pipeline.channels.http import Limits, Reply, Stage, WireError, is_public

# urllib3 writes the paths it asks for into its log, and in some networks' paths stand tokens.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

_AT_ONCE = 1 << 16
_FAILURES = (requests.RequestException, HTTPError, HTTPException, OSError)

_Address = tuple[Any, ...]


def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes | None, limits: Limits) -> Reply:
    """Send the request and read the answer. Raises WireError."""
    with closing(_Watch(limits)) as watch:
        try:
            request = requests.Request(method, url, headers={**headers, "Connection": "close"}, data=body)
            prepared = request.prepare()
            # The library puts a name and password of the address in the place of a token.
            prepared.headers.update(headers)
        except (requests.RequestException, ValueError) as error:
            # The error's own words repeat the address.
            raise watch.failed(f"the address or a header is not usable ({type(error).__name__})") from error
        with closing(_Adapter(watch, secure=(prepared.url or "").startswith("https:"))) as adapter:
            try:
                answer = adapter.send(
                    prepared, stream=True, timeout=(limits.connect.total_seconds(), watch.silence), proxies={}
                )
            except _FAILURES as error:
                raise watch.failed(_cause(error)) from error
            with closing(answer):
                data, fault = _read(answer.raw, watch)
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Reply(answer.status_code, found, data, fault)


def _read(raw: BaseHTTPResponse, watch: _Watch) -> tuple[bytes, str | None]:
    """The body, as far as it came, and why it came no further."""
    data = bytearray()
    try:
        while chunk := raw.read(_AT_ONCE, decode_content=True):
            data += chunk
            if len(data) > watch.limits.size:
                return bytes(data[: watch.limits.size]), f"it is larger than {watch.limits.size} bytes"
    except _FAILURES as error:
        return bytes(data), str(watch.failed(_cause(error)))
    # A shut-down socket looks like the end of a body that has no length.
    return bytes(data), str(watch.failed("")) if watch.over else None


class _Watch:
    """One request's stage and its total limit."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stage = Stage.PREPARE
        self.over = False
        total = limits.total.total_seconds()
        self.silence = min(limits.read.total_seconds() if limits.read else total, total)
        self._ends = monotonic() + total
        self._held: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(total, self._end)
        self._timer.daemon = True
        self._timer.start()

    def failed(self, detail: str) -> WireError:
        """The error at the present stage. When the limit is over, that is the reason."""
        if self.over or monotonic() >= self._ends:  # a socket's own time runs out together with the timer
            detail = f"the limit of {self.limits.total.total_seconds():g} s for the whole request was over"
        return WireError(self.stage, detail)

    def left(self) -> float:
        """Seconds left. Raises WireError when there are none."""
        left = self._ends - monotonic()
        if left <= 0:
            self.over = True
            raise self.failed("")
        return left

    def hold(self, connection: socket.socket) -> None:
        """Watch a connection. A second handle on it outlives what TLS makes of the first."""
        with self._lock:
            self._held = connection.dup()
            if self.over:
                self._shut()

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        with self._lock:
            if self._held is not None:
                self._held.close()
                self._held = None

    def _end(self) -> None:
        with self._lock:
            self.over = True
            self._shut()

    def _shut(self) -> None:
        if self._held is not None:
            with suppress(OSError):  # the other side was faster
                self._held.shutdown(socket.SHUT_RDWR)

    # ----------------------------------------------------------------- the way to a connection

    def connect(self, name: str, port: int) -> socket.socket:
        """A connection to the first address that answers. Raises WireError."""
        self.stage = Stage.RESOLVE
        addresses = self._look_up(name, port)
        if self.limits.public_only:
            # Here and not before: a name may lead elsewhere each time it is asked for.
            addresses = [address for address in addresses if is_public(address[4][0])]
            if not addresses:
                raise self.failed("the name leads to no public address")
        self.stage = Stage.CONNECT
        ends = monotonic() + min(self.limits.connect.total_seconds(), self.left())
        refusal = "the name has no address"
        for tried, address in enumerate(addresses):
            share = (ends - monotonic()) / (len(addresses) - tried)  # a dead address leaves time for the next
            if share <= 0:
                break
            try:
                return self._reach(address, share)
            except OSError as error:
                refusal = _cause(error)
        raise self.failed(refusal)

    def _reach(self, address: _Address, seconds: float) -> socket.socket:
        family, kind, protocol, _, place = address
        reached = socket.socket(family, kind, protocol)
        try:
            reached.settimeout(seconds)
            reached.connect(place)
            reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reached.settimeout(min(self.silence, self.left()))
            self.hold(reached)
        except BaseException:
            reached.close()
            raise
        return reached

    def _look_up(self, name: str, port: int) -> list[_Address]:
        if _is_number(name):
            return list(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        found: SimpleQueue[list[_Address] | OSError | UnicodeError] = SimpleQueue()

        def look_up() -> None:
            try:
                found.put(list(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)))
            except (OSError, UnicodeError) as error:
                found.put(error)

        threading.Thread(target=look_up, name="look up", daemon=True).start()
        try:
            addresses = found.get(timeout=min(self.limits.connect.total_seconds(), self.left()))
        except Empty:
            raise self.failed("the name service did not answer in time") from None
        if isinstance(addresses, list):
            return addresses
        raise self.failed(_cause(addresses)) from addresses


# --------------------------------------------------------------------------- the library, led


class _Watched(HTTPConnection):
    """Connects by the watch and tells it before the first byte goes out."""

    def __init__(self, *args: Any, watch: _Watch, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watch = watch

    def _new_conn(self) -> socket.socket:
        return self._watch.connect(self._dns_host, self.port)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self._watch.stage = Stage.SEND
        super().send(data)

    def getresponse(self) -> Any:
        self._watch.stage = Stage.READ
        return super().getresponse()


class _WatchedTls(_Watched, HTTPSConnection):
    """The same, with a handshake in between."""

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        self._watch.stage = Stage.HANDSHAKE
        return connection


class _Adapter(HTTPAdapter):
    """One request: no retry, and no session above it that would add redirects, cookies or a netrc."""

    def __init__(self, watch: _Watch, *, secure: bool) -> None:
        self._watch = watch
        self._trusted = create_urllib3_context() if secure else None
        if self._trusted is not None:
            self._trusted.load_default_certs()  # the machine's; requests adds its own list
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._trusted, **options)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = partial(
            _WatchedTls if pool.scheme == "https" else _Watched, watch=self._watch
        )  # of this pool, which no other request sees
        return pool


def _is_number(name: str) -> bool:
    """Whether it is an address already, and needs no looking up."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _cause(error: BaseException) -> str:
    """What happened at the bottom, in the system's words: what lies above repeats addresses."""
    while True:
        inner = [e for e in (getattr(error, "reason", None), *error.args) if isinstance(e, BaseException)]
        if not inner:
            break
        error = inner[0]
    if isinstance(error, TimeoutError | LibraryTimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


# --------------------------------------------------------------------------- a library that wants a session

# Called with method, URL, the headers that carry meaning, and the body.
Ask = Callable[[str, str, Mapping[str, str], bytes | None], Reply]
_CARRIED = ("Authorization", "Content-Type")  # what else a session adds is this module's business


class Bridge(BaseAdapter):
    """Hands each request a session has formed to `ask`, which sends it; what that raises goes through."""

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._ask = ask

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """The answer `ask` gives, in the library's form. The session's own limits count for nothing."""
        headers = {name: _text(request.headers[name]) for name in _CARRIED if name in request.headers}
        body = request.body.encode() if isinstance(request.body, str) else request.body
        reply = self._ask(request.method or "GET", request.url or "", headers, body)
        response = requests.Response()
        response.status_code = reply.status
        response.headers = CaseInsensitiveDict(reply.headers)
        response.url = request.url or ""
        response.request = request
        response._content = reply.body  # noqa: SLF001  # read to its end already
        response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    def close(self) -> None:
        """Nothing is held."""


class BridgedSession(requests.Session):
    """A session for a library that insists on one: it knows one server, and reaches it over a bridge only.

    What the library asks of `known` is asked of `server` instead, and so before it is signed: a signature
    counts for the address it was made for. Any other address, and http, has no way out.
    """

    def __init__(self, ask: Ask, *, known: str, server: str) -> None:
        super().__init__()
        self._known = known
        self._server = server
        self.trust_env = False
        self.adapters.clear()
        self.mount(f"{server}/", Bridge(ask))

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """The request as it is for the server that is really asked."""
        url = str(request.url)
        if url.startswith(f"{self._known}/"):
            request.url = self._server + url.removeprefix(self._known)
        return super().prepare_request(request)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
