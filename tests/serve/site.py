"""A folder that is really served on loopback, and a client that sends exactly what it is told."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.ledger import Ledger
from pipeline.serve import Address, Serving, Watch, serving
from pipeline.serve.server import Limits

CLOCK = SystemClock()
LONG_AGO = 1_461_135_600  # 2016-04-20 07:00:00 UTC
LONG_AGO_TEXT = "Wed, 20 Apr 2016 07:00:00 GMT"
PATIENCE = 20.0

ATOM = "http://www.w3.org/2005/Atom"
SELF = "https://example.org/feeds/lille/"
HUB = "https://hub.example.org/"
STYLE_SHEET = '<?xml-stylesheet type="text/css" href="feed.css"?>\n'
RSS = f"""<?xml version='1.0' encoding='UTF-8'?>
{STYLE_SHEET}<rss xmlns:atom="{ATOM}" version="2.0"><channel><title>Lille</title>
<atom:link href="{HUB}" rel="hub"/><atom:link href="{SELF}feed.xml" rel="self"/>
<item><title>{"Un jardin. " * 80}</title><atom:link href="https://evil.example/" rel="hub"/></item>
</channel></rss>
""".encode()
ATOM_FEED = f"""<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns="{ATOM}"><title>Lille</title>
<link href="{HUB}" rel="hub"/><link href="{SELF}atom.xml" rel="self"/><link href="https://example.org/"/>
<entry><link href="https://evil.example/" rel="self"/></entry>
</feed>
""".encode()
JSON_FEED = (
    f'{{"version": "https://jsonfeed.org/version/1.1", "feed_url": "{SELF}feed.json", '
    f'"hubs": [{{"type": "WebSub", "url": "{HUB}"}}], "items": []}}'
).encode()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Header names are lower case; a header that came twice is joined by a newline."""

    status: int
    headers: dict[str, str]
    body: bytes


class Site:
    """A served folder."""

    def __init__(self, folder: Path, server: Serving) -> None:
        self.folder = folder
        self.server = server
        self.port = server.address.port

    def write(self, path: str, data: bytes, *, modified: int = LONG_AGO) -> Path:
        """Put a file there, as the pipeline does it: the new one takes the old one's place."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        new.write_bytes(data)
        os.utime(new, (modified, modified))
        new.replace(target)
        return target

    def get(self, target: str, method: str = "GET", **headers: str) -> Reply:
        """Ask for the target exactly as it stands. `If_None_Match` sends If-None-Match."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        named: dict[str, str] = {}
        for name, value in answer.getheaders():
            key = name.lower()
            named[key] = f"{named[key]}\n{value}" if key in named else value
        return Reply(answer.status, named, body)

    def connections(self) -> int:
        """How many the server has open."""
        return len(self.server._server.server_state.connections)

    def connect(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)


@contextmanager
def served(
    folder: Path,
    *,
    limits: Limits | None = None,
    ledger: Callable[[], Ledger | None] = lambda: None,
    daemon: bool = False,
    host: str = "127.0.0.1",
) -> Iterator[Site]:
    """Within: the folder is served."""
    folder.mkdir(exist_ok=True)
    with serving(folder, Address(host, 0), Watch(CLOCK, ledger, daemon=daemon), limits) as server:
        yield Site(folder, server)
