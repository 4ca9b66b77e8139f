"""Clients that are slow, say nothing, or take nothing: each loses its connection, the others none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.serve.files import LARGE
from pipeline.serve.server import SPARE_FILES, Limits
from tests.serve.site import RSS, Site, served
from tests.support.processes import wait_until

LIMITS = Limits(head=0.6, progress=0.8, idle=1, stopping=1)
GRACE = 4.0  # seconds for a busy machine
REQUEST = b"GET /feed.xml HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Site]:
    with served(tmp_path / "public", limits=LIMITS) as site:
        site.write("feed.xml", RSS)
        yield site


def closed_after(connection: socket.socket) -> float:
    """Seconds until the server ends the connection; what it sends before is taken."""
    began = time.monotonic()
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began


def cut_off(connection: socket.socket, pieces: list[bytes]) -> bool:
    """Whether the server ends the connection while the pieces are sent, one now and then."""
    try:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def taken_from(connection: socket.socket) -> int:
    """How many bytes come until the connection ends."""
    taken = 0
    try:
        while piece := connection.recv(65536):
            taken += len(piece)
    except ConnectionResetError:
        pass
    return taken


def read_answer(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return body


def test_a_client_that_says_nothing_is_let_go(hasty: Site):
    with hasty.connect() as silent:
        assert LIMITS.head / 2 < closed_after(silent) < LIMITS.head + GRACE


def test_a_byte_now_and_then_is_not_a_request(hasty: Site):
    with hasty.connect() as slow:
        began = time.monotonic()
        assert cut_off(slow, [bytes([byte]) for byte in REQUEST * 20])
        assert time.monotonic() - began < LIMITS.head + GRACE


def test_nor_is_it_after_a_first_answer(hasty: Site):
    with hasty.connect() as slow:
        slow.sendall(REQUEST)
        assert read_answer(slow) == RSS
        began = time.monotonic()
        assert cut_off(slow, [bytes([byte]) for byte in REQUEST * 20])
        assert time.monotonic() - began < LIMITS.idle + LIMITS.head + GRACE


def test_a_body_without_end_is_not_listened_to_for_ever(hasty: Site):
    with hasty.connect() as endless:
        began = time.monotonic()
        endless.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n")
        assert cut_off(endless, [b"x" * 1000] * 400)
        assert time.monotonic() - began < LIMITS.idle + LIMITS.head + GRACE


def test_a_connection_that_is_used_stays_open(hasty: Site):
    with hasty.connect() as busy:
        for _ in range(8):
            busy.sendall(REQUEST)
            assert read_answer(busy) == RSS
            time.sleep(0.3)


def test_requests_sent_ahead_are_answered_in_order(hasty: Site):
    with hasty.connect() as eager:
        eager.sendall(REQUEST * 3)
        data = b""
        while data.count(b"</rss>") < 3:
            data += eager.recv(65536)
        assert data.count(b"HTTP/1.1 200 OK") == 3


@pytest.mark.parametrize("length", [LARGE - 1, 3 * LARGE])
def test_a_client_that_takes_nothing_is_let_go(hasty: Site, length):
    hasty.write("feed.xml", bytes(length))
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.settimeout(20)
        greedy.connect(("127.0.0.1", hasty.port))
        greedy.sendall(REQUEST)
        deadline = time.monotonic() + LIMITS.progress + GRACE
        while not hasty.connections() and time.monotonic() < deadline:
            time.sleep(0.01)  # until the server has taken the connection on
        while hasty.connections() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not hasty.connections()
        assert taken_from(greedy) < length


def test_a_client_that_takes_its_time_gets_everything(hasty: Site):
    data = bytes(3 * LARGE)
    hasty.write("feed.xml", data)
    with hasty.connect() as patient:
        patient.sendall(REQUEST)
        taken = 0
        began = time.monotonic()
        while taken < len(data):
            taken += len(patient.recv(len(data) // 20))
            time.sleep(0.1)
        assert time.monotonic() - began > LIMITS.progress


def test_many_who_say_nothing_keep_nobody_waiting(hasty: Site):
    silent = [hasty.connect() for _ in range(200)]
    try:
        for one in silent:
            one.sendall(b"GET /feed.xml HTTP/1.1\r\nX-Slow: ")
        began = time.monotonic()
        assert hasty.get("/feed.xml").body == RSS
        assert time.monotonic() - began < GRACE
        for one in silent:
            closed_after(one)
        assert time.monotonic() - began < LIMITS.head + 2 * GRACE
    finally:
        for one in silent:
            one.close()


def test_stopping_finishes_the_answer_in_hand_and_waits_for_nobody_else(tmp_path):
    data = bytes(3 * LARGE)
    with served(tmp_path / "public", limits=Limits(stopping=3)) as site:
        site.write("feed.xml", data)
        reader, idle, stuck = site.connect(), site.connect(), site.connect()
        reader.sendall(REQUEST)
        first = reader.recv(100_000)
        stuck.sendall(REQUEST)
        got: list[int] = []

        def read() -> None:
            taken = len(first)
            while piece := reader.recv(1_000_000):
                taken += len(piece)
            got.append(taken)

        thread = threading.Thread(target=read)
        thread.start()
        began = time.monotonic()
        site.server.stop()
        took = time.monotonic() - began
        thread.join(10)
    assert not site.server.running
    assert took < 3 + GRACE
    assert got[0] > len(data)
    for one in (reader, idle, stuck):
        one.close()


def test_a_head_without_end_is_not_read(site: Site):
    """Long before its time is over."""
    with site.connect() as endless:
        endless.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
        assert cut_off(endless, [b"a" * 10_000] * 100)


def test_beyond_the_limit_readers_are_told_to_come_back(tmp_path):
    with served(tmp_path / "public", limits=Limits(head=1, connections=20)) as site:
        site.write("feed.xml", RSS)
        silent = [site.connect() for _ in range(30)]
        wait_until(lambda: site.connections() == 30, "the connections to be there")
        assert site.get("/feed.xml").status == 503
        wait_until(lambda: site.connections() == 0, "the silent ones to be let go")
        assert site.get("/feed.xml").body == RSS
        for one in silent:
            one.close()


def test_far_beyond_it_connections_are_ended_at_once(tmp_path):
    most = 20 + SPARE_FILES // 2
    with served(tmp_path / "public", limits=Limits(connections=20)) as site:
        silent = [site.connect() for _ in range(most + 30)]
        wait_until(lambda: site.connections() == most, "those over the limit to be ended")
        assert closed_after(silent[-1]) < GRACE
        for one in silent:
            one.close()
