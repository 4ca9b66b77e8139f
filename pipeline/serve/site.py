"""The application: every request passes its limits, every answer gets its headers and is counted.

`/healthz` and `/metrics` say how many, never which: they may be read by anybody who reads the feeds.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import quote

import anyio
import anyio.to_thread
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.serve.answers import ANYBODY, PREFLIGHT, SECURITY, Answer, answer
from pipeline.serve.bodies import Pieces, from_disk, slices
from pipeline.serve.encoded import Encoded
from pipeline.serve.files import Folder, Public, Unsteady, Version
from pipeline.serve.health import Collector, health
from pipeline.serve.watch import Watch

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD")
ALLOWED = "GET, HEAD, OPTIONS"
LONGEST_TARGET = 2048  # bytes of path and query
LONGEST_HEAD = 16 * 1024  # bytes of a request's headers
READERS = 4  # files looked at side by side; more would only read the same new version more often
NEVER_KEPT = {"cache-control": "no-store"}


class Site:
    """The ASGI application. Lives on one event loop."""

    def __init__(self, public: Public, watch: Watch) -> None:
        self._public = public
        self.watch = watch
        self._encoded = Encoded()
        self._readers = anyio.CapacityLimiter(READERS)
        self.requests: Counter[tuple[str, int]] = Counter()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(Collector(watch, self.requests))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        method = scope["method"] if scope["method"] in METHODS else "other"

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message.get("headers", ())))
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
                message = {**message, "headers": headers.raw}
                self.requests[method, message["status"]] += 1
            await send(message)

        try:
            application = await self._answer(scope)
        except Unsteady as error:
            log.warning("%s", error)
            application = _plain(HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": "5", **NEVER_KEPT})
        except Exception:
            log.exception("%r could not be answered", scope["path"])
            application = _plain(HTTPStatus.INTERNAL_SERVER_ERROR, NEVER_KEPT)
        await application(scope, receive, finish)

    async def _answer(self, scope: Scope) -> ASGIApp:
        if scope["method"] == "OPTIONS":
            return Response(None, HTTPStatus.NO_CONTENT, {"allow": ALLOWED, **PREFLIGHT})
        if scope["method"] not in METHODS:
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, {"allow": ALLOWED})
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_TARGET:
            return _plain(HTTPStatus.REQUEST_URI_TOO_LONG)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > LONGEST_HEAD:
            return _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if scope["path"] == "/healthz":
            return self._health()
        if scope["path"] == "/metrics":
            return self._metrics(Headers(scope=scope))
        found = await anyio.to_thread.run_sync(self._public.find, scope["path"], limiter=self._readers)
        if found is None:
            return _plain(HTTPStatus.NOT_FOUND, {"cache-control": "no-cache", **ANYBODY})
        if isinstance(found, Folder):
            # Only the path: a name from the Host header would send readers wherever it says.
            return _plain(HTTPStatus.PERMANENT_REDIRECT, {"location": quote(scope["path"]) + "/"})
        return await self._file(scope, found)

    async def _file(self, scope: Scope, version: Version) -> ASGIApp:
        told = answer(version, scope["method"], Headers(scope=scope), self.watch.clock.now())
        headers = dict(told.headers)
        if told.span is None:
            return Response(None, told.status, headers)
        if version.body is None:
            return await self._large(scope, version, told)
        begins, ends = told.span
        body = version.body
        if told.encoding is not None:
            body = await self._encoded.get(version.digest, told.encoding, body)
            begins, ends = 0, len(body)
            headers["content-length"] = str(ends)
        return Pieces(told.status, headers, slices(body, begins, ends))

    async def _large(self, scope: Scope, version: Version, told: Answer) -> ASGIApp:
        assert told.span is not None
        if scope["method"] == "HEAD":
            return Pieces(told.status, dict(told.headers), slices(b"", 0, 0))
        descriptor = await anyio.to_thread.run_sync(self._public.reopen, version, limiter=self._readers)
        if descriptor is None:
            # Replaced since it was looked at, so the headers are those of another file: begin again.
            return await self._answer(scope)
        return Pieces(told.status, dict(told.headers), from_disk(descriptor, *told.span))

    def _health(self) -> Response:
        healthy, document = health(self.watch.snapshot, self.watch.clock.now())
        status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(json.dumps(document), status, NEVER_KEPT, "application/json")

    def _metrics(self, asked: Headers) -> Response:
        encode, mime = choose_encoder(asked.get("accept", ""))
        return Response(encode(self._registry), HTTPStatus.OK, {**NEVER_KEPT, "content-type": mime})


def _plain(status: HTTPStatus, headers: Mapping[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{status.value} {status.phrase}\n", status, headers)
