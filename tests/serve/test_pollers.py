"""Many readers at once while the feed is replaced all the time: nobody gets an error, or two feeds in one."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import threading
import time
from collections import Counter
from pathlib import Path

import brotli
import pytest

from tests.serve.site import PATIENCE, Site, served

LENGTH = 60_000  # as long as a feed of twenty entries


def version(number: int) -> bytes:
    """A feed that says what it should be: a torn one would not."""
    filling = (f"Projet {number}. " * LENGTH)[:LENGTH]
    digest = hashlib.sha256(filling.encode()).hexdigest()
    return (
        f"<rss version='2.0'><channel><title>{digest}</title><item>{filling}</item></channel></rss>".encode()
    )


def is_whole(body: bytes) -> bool:
    digest = body.partition(b"<title>")[2].partition(b"</title>")[0]
    filling = body.partition(b"<item>")[2].partition(b"</item>")[0]
    return body.endswith(b"</rss>") and hashlib.sha256(filling).hexdigest().encode() == digest


async def poll(site: Site, number: int, rounds: int, seen: Counter[str]) -> None:
    """Read the feed that often over one connection, conditionally from the second time on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    encoding = ("identity", "gzip", "br")[number % 3]
    etag = ""
    for _ in range(rounds):
        condition = f"If-None-Match: {etag}\r\n" if etag else ""
        request = f"GET /lille/feed.xml HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {encoding}\r\n{condition}\r\n"
        writer.write(request.encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = head.split(" ", 2)[1]
        seen[status] += 1
        named = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(named.get("content-length", 0)))
        if status == "200":
            decoded = {"identity": bytes, "gzip": gzip.decompress, "br": brotli.decompress}[encoding](body)
            seen["whole" if is_whole(decoded) else "torn"] += 1
            etag = named["etag"]
    writer.close()


def play(folder: Path, *, pollers: int, rounds: int) -> tuple[Counter[str], int]:
    """What the pollers saw, and how many versions of the feed there were meanwhile."""
    seen: Counter[str] = Counter()
    written = 0
    done = threading.Event()

    def write(site: Site) -> None:
        nonlocal written
        while not done.wait(0.02):
            written += 1
            site.write("lille/feed.xml", version(written))

    async def all_of_them(site: Site) -> None:
        await asyncio.gather(*(poll(site, number, rounds, seen) for number in range(pollers)))

    with served(folder) as site:
        site.write("lille/feed.xml", version(0))
        writer = threading.Thread(target=write, args=[site])
        writer.start()
        try:
            asyncio.run(asyncio.wait_for(all_of_them(site), 5 * PATIENCE))
        finally:
            done.set()
            writer.join()
    return seen, written


def test_sixty_pollers_see_whole_feeds_only(tmp_path: Path):
    seen, written = play(tmp_path / "public", pollers=60, rounds=5)
    assert seen["200"] + seen["304"] == 60 * 5
    assert seen["whole"] == seen["200"]
    assert seen["200"] > 60
    assert written > 3


@pytest.mark.long
def test_a_thousand_pollers_see_whole_feeds_only(tmp_path: Path):
    began = time.monotonic()
    seen, written = play(tmp_path / "public", pollers=1000, rounds=5)
    assert seen["200"] + seen["304"] == 1000 * 5
    assert seen["whole"] == seen["200"]
    assert written > 10
    assert time.monotonic() - began < 4 * PATIENCE
