"""A real Bluesky server, and accounts on it, each behind the same proxy for faults as a stand-in."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from pipeline.rehearsal.standins.faults import FaultProxy, Faults

POST = "app.bsky.feed.post"
ROOT = Path(__file__).parents[3]
INSTALLED = ROOT / ".real" / "bluesky"
_PATIENCE = 60.0
_numbers = itertools.count(1)


def missing() -> str | None:
    """Why the real server cannot be started here; None when it can."""
    if shutil.which("node") is None:
        return "node is not installed: no real Bluesky server here"
    if not (INSTALLED / ".installed").is_file():
        return "no real Bluesky server is installed here: run .ci/real/bluesky.sh"
    return None


def ask(
    url: str,
    method: str,
    name: str,
    given: Mapping[str, Any] | bytes | None = None,
    token: str | None = None,
    kind: str = "application/json",
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """One call: status, answer, headers. `given` are the parameters of a GET, the body of a POST."""
    path = f"/xrpc/com.atproto.{name}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = None
    if method == "GET" and isinstance(given, Mapping):
        path += f"?{urlencode(given)}"
    elif given is not None:
        body = given if isinstance(given, bytes) else json.dumps(given).encode()
        headers["Content-Type"] = kind
    connection = HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = {key.lower(): value for key, value in answer.getheaders()}
        return answer.status, json.loads(answer.read() or b"{}"), found
    finally:
        connection.close()


@contextmanager
def running(data: Path, *flags: str) -> Iterator[str]:
    """A server of its own. Its address."""
    script = Path(__file__).with_name("pds.mjs")
    errors = data / "errors.txt"
    data.mkdir(parents=True, exist_ok=True)
    with errors.open("wb") as log:
        process = subprocess.Popen(
            ["node", str(script), str(INSTALLED), str(data), *flags], stdout=subprocess.PIPE, stderr=log
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the server did not start: {errors.read_text()[-2000:]}"
        yield json.loads(line)["url"]
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Account:
    """A new account on a real server, with an app password, seen through a proxy. A context manager."""

    def __init__(self, server: str) -> None:
        number = next(_numbers)
        self.server = server
        self.handle = f"reader{number}.test"
        self.password = f"the account's own {number}"
        given = {
            "handle": self.handle,
            "email": f"reader{number}@example.org",
            "password": self.password,
        }
        status, made, _ = ask(server, "POST", "server.createAccount", given)
        assert status == 200, made
        self.did: str = made["did"]
        self.owner: str = made["accessJwt"]
        self.credentials: dict[str, str] = {}
        self.renew_password()
        self.faults = Faults()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        place = urlsplit(server)
        self._proxy = FaultProxy((str(place.hostname), int(place.port or 0)), self.faults)
        self._port = 0
        self._listening = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def records(self) -> list[dict[str, Any]]:
        """The posts, as the server itself lists them."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            query = {"repo": self.did, "collection": POST, "limit": "100", **cursor}
            status, page, _ = ask(self.server, "GET", "repo.listRecords", query)
            assert status == 200, page
            found += page["records"]
            if not page.get("cursor"):
                return found
            cursor = {"cursor": page["cursor"]}

    @property
    def accepted(self) -> int:
        return len(self.records)

    def renew_password(self) -> None:
        """Another app password, also when there was one."""
        name = {"name": "pipeline"}
        ask(self.server, "POST", "server.revokeAppPassword", name, self.owner)
        status, made, _ = ask(self.server, "POST", "server.createAppPassword", name, self.owner)
        assert status == 200, made
        self.credentials["APP_PASSWORD"] = made["password"]

    def clear(self) -> None:
        """No posts, no faults, as at the beginning."""
        self.refuse()  # a request that is still slow on its way must not arrive in the next test
        self.faults.queued.clear()
        self.faults.standing = self.faults.choose = None
        self.faults.met.clear()
        self.resume()
        for record in self.records:
            given = {"repo": self.did, "collection": POST, "rkey": record["uri"].rpartition("/")[2]}
            status, answer, _ = ask(self.server, "POST", "repo.deleteRecord", given, self.owner)
            assert status == 200, answer

    def wait_for(self, accepted: int, timeout: float) -> bool:
        ends = monotonic() + timeout
        while self.accepted < accepted and monotonic() < ends:
            sleep(0.1)
        return self.accepted >= accepted

    def refuse(self) -> None:
        if self._listening:
            self._do(self._proxy.close())
            self._listening = False

    def resume(self) -> None:
        if not self._listening:
            self._port = self._do(self._proxy.listen(self._port))
            self._listening = True

    def __enter__(self) -> Self:
        self._thread.start()
        self.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
