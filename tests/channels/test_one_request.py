"""One publish is one request, whatever becomes of it: no library below tries again, or anything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.channels.base import ChannelError
from tests.support.benches import HTTP_BENCHES, HttpBench, ready, wire_benches
from tests.support.sockets import Behaviour, answering, dripping, read_request, resetting, serving

SOON = timedelta(seconds=0.6)


def answer(status: int, *fields: str, body: bytes = b"{}") -> Behaviour:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *fields, "", ""]
    return answering("\r\n".join(lines).encode() + body)


def closing_at_once(connection):
    """Nothing is read: what an idle connection of a pool looks like, which libraries like to replace."""


def silent(connection):
    read_request(connection)
    connection.recv(1)


STATUSES = [200, 201, 204, 400, 401, 403, 404, 408, 409, 410, 413, 422, 425, 500, 502, 504]
BEHAVIOURS: dict[str, Behaviour] = {
    **{str(status): answer(status, body=b"" if status == 204 else b"{}") for status in STATUSES},
    **{f"{status}, come back": answer(status, "Retry-After: 0") for status in (413, 429, 503)},
    **{f"{status}, elsewhere": answer(status, "Location: /there") for status in (301, 302, 303, 307, 308)},
    "401, who are you": answer(401, 'WWW-Authenticate: Basic realm="x"'),
    "closed at once": closing_at_once,
    "closed without an answer": answering(b""),
    "reset": resetting(),
    "reset in the answer": resetting(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    "garbage": answering(b"\x16\x03\x01 what?\r\n\r\n"),
    "cut": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"),
    "silent": silent,
    "dripping": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", 0.05),
}


@pytest.fixture(params=wire_benches())
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HttpBench]:
    with ExitStack() as stack:
        yield HTTP_BENCHES[request.param](tmp_path, stack)


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_one_publish_is_one_request(bench: HttpBench, name: str):
    rendition = ready(bench, "lille/ouistock/here")
    requests: list[bytes] = []

    def behave(connection):
        requests.append(b"a connection")
        BEHAVIOURS[name](connection)

    with serving(behave) as server:
        bench.config = replace(bench.config, api=server.url)
        bench.hurry(SOON if name in {"silent", "dripping"} else timedelta(seconds=10))
        with suppress(ChannelError):  # what each of them means is the matter of other tests
            bench.channel.publish(rendition)
    assert (len(requests), server.connections) == (1, 1)
    assert bench.count() == 0, "nothing went to another address"
