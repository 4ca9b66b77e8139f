"""A WebSub hub that takes nothing but a correct publish request, over a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl


class Hub:
    """Keeps the topics it was told of. `answers` are given first, each a status with headers; then 204."""

    def __init__(self) -> None:
        self.topics: list[str] = []
        self.refused: list[str] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.requests = 0
        self.held = threading.Event()
        self.held.set()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hub.requests += 1
                status, headers = hub.judge(self.headers.get("Content-Type"), body)
                hub.held.wait(30)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """A test's output is not a server's log."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hub"

    def judge(self, kind: str | None, body: bytes) -> tuple[int, dict[str, str]]:
        if self.answers:
            return self.answers.pop(0)
        fields = parse_qsl(body.decode("ascii"), strict_parsing=True)
        said = dict(fields)
        topic = said.get("hub.topic", "")
        wanted = {"hub.mode": "publish", "hub.url": topic, "hub.topic": topic}
        if kind != "application/x-www-form-urlencoded" or said != wanted or len(fields) != 3 or not topic:
            self.refused.append(f"{kind}: {body!r}")
            return 400, {}
        self.topics.append(topic)
        return 204, {}


@contextmanager
def listening() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.held.set()
        hub.server.shutdown()
        hub.server.server_close()
        thread.join(5)
