"""A web server for tests: paths answer with bytes, or with a redirect."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Page:
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request as the server saw it, and the status it was answered with."""

    path: str
    status: int


class Web:
    """Answers by path; `asked` is what came in."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(urlsplit(self.path).path)
                web.answer(self, path, web.pages.get(path, Page(b"not here", 404)))

            def log_message(self, *_args: object) -> None:
                """A test's output is not a server's log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler, path: str, page: Page) -> None:
        self.asked.append(Asked(path, page.status))
        handler.send_response(page.status)
        for name, value in {**page.headers, "Content-Length": str(len(page.body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(page.body)

    def statuses(self, path: str) -> list[int]:
        return [one.status for one in self.asked if one.path == path]


@contextmanager
def serving() -> Iterator[Web]:
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.server.shutdown()
        web.server.server_close()
        thread.join(5)
