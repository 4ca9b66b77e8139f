"""mastodon_mock, with mitmproxy before it: both written by others, both processes of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
PROGRAMS = ROOT / ".real" / "mastodon" / "bin"
ADDON = Path(__file__).with_name("faults.py")
TOKEN = "mock_token"
_PATIENCE = 60.0  # seconds until a program answers
POST = r"^POST /api/v1/statuses$"


def missing() -> str | None:
    """Why the tests cannot run here; None when they can."""
    if all((PROGRAMS / name).exists() for name in ("mastodon_mock", "mitmdump")):
        return None
    return "mastodon_mock and mitmproxy are not installed: run .ci/real/mastodon.sh"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[str], port: int, path: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program, once it answers."""
    log = folder / f"{Path(command[0]).name}.log"
    # Nothing of ours may lead it out of the machine, or let it find a configuration of the user's.
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=clean, cwd=folder)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _answers(port, path):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not answer: {log.read_text('utf-8', 'replace')}")
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        if process.poll() is None:
            process.kill()
            process.wait()


def _answers(port: int, path: str) -> bool:
    try:
        return ask(port, "GET", path)[0] == 200
    except (OSError, HTTPException, ValueError):
        return False


def ask(port: int, method: str, path: str, document: Any = None) -> tuple[int, Any]:
    body = None if document is None else json.dumps(document).encode()
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


class Proxy:
    """mitmproxy before the server, on a port of its own that stays the same."""

    def __init__(self, server: int, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._port = free_port()
        self._running: Any = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        if self._running is None:
            command = [str(PROGRAMS / "mitmdump"), "--quiet", "--scripts", str(ADDON)]
            command += ["--listen-host", "127.0.0.1", "--listen-port", str(self._port)]
            command += ["--mode", f"reverse:http://127.0.0.1:{self._server}"]
            command += ["--set", f"confdir={self._folder / 'mitmproxy'}"]
            self._running = running(command, self._port, "/__faults", self._folder)
            self._running.__enter__()

    def stop(self) -> None:
        """Connections are refused from now on."""
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None

    def strike(self, what: str, times: int = 1, match: str = POST, **details: Any) -> None:
        """From now on this happens, and nothing else."""
        rule = {"what": what, "times": times, "match": match, **details}
        assert ask(self._port, "PUT", "/__faults", [rule])[0] == 200

    def mend(self) -> None:
        assert ask(self._port, "PUT", "/__faults", [])[0] == 200

    def passed(self) -> list[list[str]]:
        """The exchanges since the last rule: each request's line, and what it met."""
        found: list[list[str]] = ask(self._port, "GET", "/__faults")[1]
        return found


class Server:
    """mastodon_mock in memory, behind the proxy. `port` is where it can be asked without it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.proxy = Proxy(port, folder)

    def shown(self) -> list[dict[str, Any]]:
        """The account's posts, newest first."""
        account = ask(self.port, "GET", "/api/v1/accounts/verify_credentials")[1]
        path = f"/api/v1/accounts/{account['id']}/statuses?limit=40"
        found: list[dict[str, Any]] = ask(self.port, "GET", path)[1]
        return found

    def clear(self) -> None:
        """Without posts, and without the keys they had."""
        assert ask(self.port, "POST", "/api/v1/_mock/reset")[0] == 200


@contextmanager
def mastodon_mock(folder: Path) -> Iterator[Server]:
    port = free_port()
    command = [str(PROGRAMS / "mastodon_mock"), "serve", "--in-memory", "--port", str(port)]
    with running(command, port, "/api/v2/instance", folder):
        server = Server(port, folder)
        try:
            yield server
        finally:
            server.proxy.stop()
