"""A hub written by others: what is released reaches its subscriber by itself, signed.

This hub delivers only what names it in the `Link` headers of the answer, so those are tested as well.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
import requests

from pipeline.pinging import Pinger


@pytest.fixture
def others(made, tmp_path) -> Iterator[dict[str, str]]:
    """The addresses of hub and subscriber, run by the Python that has their libraries."""
    process = subprocess.Popen(
        [made("venv") / "bin" / "python", Path(__file__).with_name("websub_hub.py"), tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.kill()


def received(others: dict[str, str], count: int) -> list[dict[str, object]]:
    """What the subscriber was sent, once there are that many; the hub delivers in its own time."""
    ends = monotonic() + 20
    while True:
        found = requests.get(f"{others['subscriber']}/received", timeout=10).json()
        if len(found) >= count or monotonic() > ends:
            return found
        sleep(0.1)


@pytest.mark.parametrize("name", ["feed.xml", "atom.xml", "feed.json"])
def test_a_release_reaches_a_subscriber_by_itself(publisher, others, name):
    hub, pipeline = others["hub"], publisher.pipeline
    publisher.project.campaign("a", "b", "c", public_url=publisher.address, hub=hub)
    pipeline.pinger = Pinger(pipeline.ledger, publisher.clock, publisher.project.public, workers=0)
    pipeline.tick()
    asked = {"topic": publisher.url(name), "hub": hub, "secret": "geheim"}
    answer = requests.post(f"{others['subscriber']}/subscribe", data=asked, timeout=10)
    assert answer.status_code == 202, answer.text
    publisher.release()
    assert pipeline.ledger.failed_pings() == []
    (first,) = received(others, 1)
    assert first["signed"]
    assert first["body"].encode() == (publisher.project.public / "lille" / name).read_bytes()
    assert "Projet a" in first["body"]
    pipeline.tick()
    publisher.edit("a", "Projet a, corrigé")
    (_, second) = received(others, 2)
    assert "Projet a, corrigé" in second["body"]
