"""Every channel over HTTP, through every fault of the wire: what is believed, and what readers see."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from pipeline.channels.base import (
    AuthFailedError,
    ChannelError,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.faults import Fault
from tests.support.benches import HTTP_BENCHES, HttpBench, ready, wire_benches
from tests.support.builders import utc
from tests.support.networks import PROMISES, PromisingReceiver

KEY = "lille/ouistock/here"
LONG = timedelta(seconds=30)  # longer than any channel here waits
LIMIT = timedelta(seconds=0.5)  # for faults that would use up any limit


@pytest.fixture(params=wire_benches())
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HttpBench]:
    with ExitStack() as stack:
        bench = HTTP_BENCHES[request.param](tmp_path, stack)
        yield bench


FAULTS: list[tuple[Fault, type[ChannelError], int]] = [
    (faults.drop(accepted=True), OutcomeUnknownError, 1),
    (faults.drop(accepted=False), OutcomeUnknownError, 0),
    (faults.reset(accepted=True), OutcomeUnknownError, 1),
    (faults.reset(accepted=False), OutcomeUnknownError, 0),
    (faults.slow(LONG, accepted=True), OutcomeUnknownError, 1),
    (faults.slow(LONG, accepted=False), OutcomeUnknownError, 0),
    (faults.drip(timedelta(seconds=0.1)), OutcomeUnknownError, 1),
    (faults.truncated(), OutcomeUnknownError, 1),
    (replace(faults.truncated(0.9), name="truncated, reset", reset=True), OutcomeUnknownError, 1),
    (faults.garbage(), OutcomeUnknownError, 1),
    (faults.status(429, {"Retry-After": "30"}, accepted=False), RateLimitedError, 0),
    (faults.status(429, accepted=False), RateLimitedError, 0),
    (faults.status(401, accepted=False), AuthFailedError, 0),
    (faults.status(422, body=b'{"error": "duplicate"}', accepted=False), RejectedError, 0),
    (faults.status(307, {"Location": "/elsewhere"}, accepted=False), RejectedError, 0),
    *(
        (faults.status(code, accepted=accepted), OutcomeUnknownError, int(accepted))
        for code in (500, 502, 503, 504)
        for accepted in (True, False)
    ),
]


@pytest.mark.parametrize(("fault", "error", "count"), FAULTS, ids=[fault.name for fault, *_ in FAULTS])
def test_a_fault_is_never_believed_to_be_more_than_it_shows(bench, fault, error, count):
    rendition = ready(bench, KEY)
    if fault.before or fault.after or fault.drip:
        bench.hurry(LIMIT)
    bench.remote.faults.strike(fault)
    with pytest.raises(error):
        bench.channel.publish(rendition)
    assert bench.remote.faults.met == [fault.name]  # one exchange, and no other behind our back
    assert bench.count() == count


def test_the_next_request_is_not_harmed_by_a_fault(bench):
    rendition = ready(bench, KEY)
    bench.remote.faults.strike(faults.reset(accepted=False), faults.drop(accepted=False))
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError):
            bench.channel.publish(rendition)
    assert bench.channel.publish(rendition).digest == rendition.digest
    assert bench.count() == 1


def test_a_request_that_was_slow_on_its_way_arrives_although_nobody_waits_any_more(bench):
    rendition = ready(bench, KEY)
    bench.hurry(LIMIT)
    bench.remote.faults.strike(faults.slow(timedelta(seconds=1.2), accepted=False))
    with pytest.raises(OutcomeUnknownError):
        bench.channel.publish(rendition)
    assert bench.count() == 0
    assert bench.remote.wait_for(1, timeout=20)
    assert bench.count() == 1


def test_a_stand_in_that_refuses_can_be_resumed_where_it_was(bench):
    rendition = ready(bench, KEY)
    for _ in range(2):
        bench.remote.refuse()
        with pytest.raises(NotAcceptedError):
            bench.channel.publish(rendition)
        bench.remote.resume()
    bench.channel.publish(rendition)
    assert bench.count() == 1


# --------------------------------------------------------------------------- the proxy itself


@pytest.fixture
def remote() -> Iterator[PromisingReceiver]:
    with PromisingReceiver(PROMISES["nothing"], lambda: utc(2016, 4, 11, 7)) as remote:
        yield remote


def test_whoever_chooses_sees_the_head_of_each_request(remote: PromisingReceiver):
    heads: list[str] = []

    def choose(head: str) -> Fault | None:
        heads.append(head)
        return faults.status(418, accepted=False) if head.startswith("GET") else None

    remote.faults.choose = choose
    statuses = []
    for method in ("GET", "POST"):
        connection = HTTPConnection("127.0.0.1", int(remote.url.rpartition(":")[2]))
        connection.request(method, "/hook", body=b"{}", headers={"webhook-id": "msg_7"})
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [418, 400]
    assert [head.partition(" HTTP/")[0] for head in heads] == ["GET /hook", "POST /hook"]
    assert all("webhook-id: msg_7" in head and "{}" not in head for head in heads)
    assert [seen.method for seen in remote.seen] == ["POST"]


def test_whoever_speaks_no_http_harms_nobody(remote: PromisingReceiver):
    for junk in (b"", b"\r\n\r\n", b"x" * 200_000, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", int(remote.url.rpartition(":")[2])), 5) as connection:
            try:
                connection.sendall(junk)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass  # cut by the proxy, which may be before we have said all
    connection = HTTPConnection("127.0.0.1", int(remote.url.rpartition(":")[2]))
    connection.request("POST", "/", body=b"{}")
    assert connection.getresponse().status == 400
    connection.close()
