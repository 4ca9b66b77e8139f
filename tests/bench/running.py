"""What needs a ledger, a wire or a process: tick, ledger, send, rehearse, start."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import requests

from pipeline import app
from pipeline.clock import VirtualClock
from pipeline.delivery import Event, Step
from pipeline.model import Receipt, Rendition, State
from pipeline.rehearsal.standins.mastodon import TOKEN, MastodonServer
from pipeline.settings import Settings
from tests.bench import scene
from tests.bench.measuring import Pair, Side
from tests.support.processes import environment

CAMPAIGNS = 300
DELIVERIES = 50  # a round
SENDS = 20  # a round
LEASE = timedelta(seconds=90)


@contextmanager
def idle_tick(folder: Path, _rounds: int) -> Iterator[Sequence[Pair]]:
    """Campaigns of two entries each, of which the first is released."""
    root = folder / "project"
    settings = scene.begin_project(root)
    for number in range(CAMPAIGNS):
        pair = [number * 2, number * 2 + 1]
        for one in pair:
            (root / f"content/{scene.entry_id(one)}.md").write_text(scene.entry_text(one), encoding="utf-8")
        text = scene.campaign_text(2, {"outbox": {}}, [scene.entry_id(one) for one in pair])
        (root / f"schedules/lille-{number:03}.yaml").write_text(text, encoding="utf-8")
    files = [path for name in ("content", "schedules") for path in sorted((root / name).iterdir())]
    clock = VirtualClock(scene.BEFORE)
    with scene.planned(settings, clock) as (pipeline, deliveries):
        clock.sleep_until(next(deliveries).due)
        released = pipeline.tick().released
        assert len(released) == CAMPAIGNS, len(released)
        clock.advance(timedelta(seconds=1))
        pipeline.tick()
        ours = Side(
            f"a tick with nothing to do, {CAMPAIGNS} campaigns of 2 entries having released",
            pipeline.tick,
            20,
        )
        yield [
            Pair(
                "tick", ours, Side(f"os.stat of each of their {len(files)} files", partial(_stat, files), 20)
            )
        ]


def _stat(files: Sequence[Path]) -> None:
    for path in files:
        os.stat(path)  # noqa: PTH116 - the bare call is the baseline


@contextmanager
def ledger(folder: Path, rounds: int) -> Iterator[Sequence[Pair]]:
    """Claim and record, each a durable transaction, on the disk the folder is on."""
    settings = scene.write_project(folder / "project", DELIVERIES * rounds, {"outbox": {}})
    post = scene.post("outbox")
    body = post.text(post.summary).encode()
    clock = VirtualClock(scene.BEFORE)
    with scene.planned(settings, clock) as (pipeline, waiting), _bare(folder / "bare.db", body) as bare:

        def ours() -> None:
            delivery = next(waiting)
            rendition = Rendition(key=str(delivery.key), body=body, text=body.decode())
            now = delivery.due
            pipeline.ledger.claim(delivery.key, rendition, "lease", now + LEASE, now)
            receipt = Receipt("1", "https://example.org/1", rendition.digest)
            step = Step(Event.RECEIPT)
            done = pipeline.ledger.record(delivery.key, "lease", step, receipt, "published", now)
            assert done.state is State.PUBLISHED

        def baseline() -> None:
            for state in ("sending", "published"):
                bare.execute("BEGIN IMMEDIATE")
                bare.execute("UPDATE deliveries SET state = ?, body = ? WHERE id = 1", (state, body))
                bare.execute("COMMIT")

        yield [
            Pair(
                "ledger",
                Side("claim and record one delivery in an SQLite ledger", ours, DELIVERIES),
                Side(
                    "two sqlite3 transactions of one UPDATE each (WAL, synchronous=FULL)",
                    baseline,
                    DELIVERIES,
                ),
            )
        ]


@contextmanager
def _bare(path: Path, body: bytes) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as bare:
        for pragma in ("foreign_keys=ON", "synchronous=FULL", "journal_mode=WAL"):
            bare.execute(f"PRAGMA {pragma}")
        bare.execute("CREATE TABLE deliveries (id INTEGER PRIMARY KEY, state TEXT, body BLOB)")
        bare.execute("INSERT INTO deliveries VALUES (1, 'planned', ?)", (body,))
        yield bare


@contextmanager
def send(folder: Path, rounds: int) -> Iterator[Sequence[Pair]]:
    """One delivery to the end: composed, claimed, sent, recorded."""
    clock = VirtualClock(scene.BEFORE)
    with MastodonServer(clock.now) as server:
        there = {"mastodon": scene.CHANNELS["mastodon"] | {"api": server.direct}}
        settings = scene.write_project(folder / "project", SENDS * rounds + 1, there)
        with scene.planned(settings, clock) as (pipeline, waiting):
            library = pipeline.reader.read(clock.now())

            def ours() -> None:
                delivery = next(waiting)
                clock.sleep_until(delivery.due)
                state = pipeline.dispatcher.deliver(delivery.key, library)
                assert state is State.PUBLISHED, state

            ours()
            body = _sent(settings)
            yield [
                Pair(
                    "send",
                    Side("one delivery over HTTP to Mastodon's stand-in, ledger included", ours, SENDS),
                    Side(
                        "one requests.post of the same bytes to the same stand-in",
                        _Poster(server, body),
                        SENDS,
                    ),
                )
            ]


def _sent(settings: Settings) -> bytes:
    """The bytes of the request that was sent first."""
    with app.open_existing_ledger(settings) as kept:
        (done,) = kept.deliveries(states={State.PUBLISHED})
    assert done.rendition is not None
    return done.rendition.body


class _Poster:
    """Posts, each under a key of its own, on a new connection as the pipeline does."""

    def __init__(self, server: MastodonServer, body: bytes) -> None:
        self._server = server
        self._body = body
        self._numbers = itertools.count()

    def __call__(self) -> None:
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"bare {next(self._numbers)}",
        }
        answer = requests.post(
            f"{self._server.direct}/api/v1/statuses", data=self._body, headers=headers, timeout=30
        )
        assert answer.status_code == 200, answer.text


@contextmanager
def rehearse(folder: Path, _rounds: int) -> Iterator[Sequence[Pair]]:
    """A year of daily posts, played to its end, with its storyboard."""
    settings = scene.write_project(folder / "project", scene.YEAR, scene.five())
    post = scene.post("mastodon")
    posts = scene.YEAR * (len(scene.FIVE) - 1)
    clock = VirtualClock(scene.BEFORE)

    def ours() -> None:
        played = app.rehearse_project(settings, folder / "out")
        published = sum(one.state is State.PUBLISHED for one in played.deliveries)
        assert played.kept
        assert published == scene.YEAR * len(scene.FIVE), published

    with MastodonServer(clock.now) as server:
        poster = _Poster(server, b'{"status":"%b"}' % post.title.encode())

        def baseline() -> None:
            for _ in range(posts):
                poster()
                clock.advance(timedelta(hours=6))

        yield [
            Pair(
                "rehearse",
                Side(
                    f"rehearse {scene.YEAR} daily posts on {', '.join(scene.FIVE)}, storyboard included", ours
                ),
                Side(f"{posts} times requests.post of a short post to one stand-in", baseline),
            )
        ]


@contextmanager
def start(folder: Path, _rounds: int) -> Iterator[Sequence[Pair]]:
    """Commands as a shell starts them, on a project of ten entries that has a ledger."""
    settings = scene.write_project(folder / "project", 10, {"outbox": {}})
    with scene.planned(settings, VirtualClock(scene.BEFORE)):
        pass
    around = environment()

    def python(*words: str) -> None:
        subprocess.run(
            [sys.executable, *words], env=around, cwd=settings.root, check=True, capture_output=True
        )

    yield [
        Pair(
            name,
            Side(f"{name} in a fresh process", partial(python, "-m", "pipeline", *words), 3),
            Side("python -c pass", partial(python, "-c", "pass"), 3),
        )
        for name, words in (("pipeline --version", ("--version",)), ("pipeline status", ("status",)))
    ]
