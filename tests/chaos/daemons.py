"""The daemons: `pipeline run` over the networks of chaos, forked so that the imports are paid for once.

Started as `python -m tests.chaos.daemons ROOT LEDGER RULE`; RULE is a protection to leave out, or "". It
answers commands from standard input, one JSON list a line: `["start"]` with a pid, `["kill", PID]` (SIGKILL)
and `["stop", PID]` (SIGTERM) with the exit status, negative for the signal. With its input its daemons end.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import tweepy  # type: ignore[import-untyped]  # noqa: F401 - before the fork, as others below

from pipeline import feeds  # noqa: F401
from pipeline.channels import bluesky, facebook, media_pixels, open_channel, wire, x, x_text  # noqa: F401
from pipeline.channels.base import Channel, Surroundings
from pipeline.daemon import Daemon, stopping_on_signals
from pipeline.dispatch import Dispatcher
from pipeline.feeds import files, rss_atom  # noqa: F401
from pipeline.keeping import FileKeep
from pipeline.ledger import open_ledger
from pipeline.library import LibraryReader
from pipeline.model import Campaign, ChannelConfig
from pipeline.tick import Pipeline
from tests.chaos.classes import CLOCK, register
from tests.chaos.rules import RULES
from tests.chaos.scene import CREDENTIALS, POLICY

LONGEST_LIFE = 900  # seconds, after which a forgotten daemon ends itself
LONGEST_STOP = timedelta(seconds=20)
FASTER = 20  # by which waiting for a picture is shorter, as all else is


@contextmanager
def wired(root: Path, ledger_url: str, rule: str) -> Iterator[Pipeline]:
    """The parts, as `pipeline.app` puts them together, with the waits of this run."""
    public = root / "public"
    known = json.loads((root / CREDENTIALS).read_bytes())
    around = Surroundings(
        root,
        public,
        lambda channel_id, name: known[channel_id].get(name),
        CLOCK.now,
        keep=lambda channel_id: FileKeep(root / "state/channels", channel_id),
        pause=lambda span: CLOCK.sleep_until(CLOCK.now() + span / FASTER),
    )
    kind = RULES[rule] if rule else Dispatcher
    with open_ledger(ledger_url, now=CLOCK.now()) as ledger:

        def way(campaign: Campaign, config: ChannelConfig) -> Channel:
            return open_channel(campaign, config, around)

        yield Pipeline(
            root=root,
            public=public,
            ledger=ledger,
            clock=CLOCK,
            reader=LibraryReader(root, ledger, way),
            dispatcher=kind(ledger, CLOCK, way, workers=8, policy=POLICY),
        )


def live(root: Path, ledger_url: str, rule: str) -> None:
    """A daemon's whole life."""
    signal.alarm(LONGEST_LIFE)
    with wired(root, ledger_url, rule) as pipeline:
        daemon = Daemon(pipeline, CLOCK, safety=timedelta(seconds=1), watch=timedelta(seconds=0.5))
        with stopping_on_signals(daemon.stop):
            daemon.run()


class Nursery:
    """Starts daemons and ends them: only those it started, and that still are its children."""

    def __init__(self, life: Callable[[], None]) -> None:
        self._life = life
        self._alive: set[int] = set()

    def start(self) -> int:
        pid = os.fork()
        if not pid:
            status = 1
            try:
                self._life()
                status = 0
            except BaseException:  # noqa: BLE001 - a fork must never go on with its parent's loop
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        self._alive.add(pid)
        return pid

    def end(self, pid: int, number: signal.Signals) -> int:
        """Its exit status; one that does not obey in time is killed."""
        os.kill(pid, number)  # a child that has ended keeps its pid until it is waited for
        patience = CLOCK.now() + LONGEST_STOP
        while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0) and CLOCK.now() < patience:
            CLOCK.sleep_until(CLOCK.now() + timedelta(milliseconds=5))
        if ended == (0, 0):
            os.kill(pid, signal.SIGKILL)
            ended = os.waitpid(pid, 0)
        self._alive.discard(pid)
        return os.waitstatus_to_exitcode(ended[1])

    def close(self) -> None:
        for pid in list(self._alive):
            self.end(pid, signal.SIGKILL)


def main() -> None:
    root, ledger_url, rule = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING, format="%(process)d %(message)s")
    register()
    x_text.library()
    nursery = Nursery(lambda: live(Path(root), ledger_url, rule))
    actions: dict[str, Callable[..., int]] = {
        "start": nursery.start,
        "kill": lambda pid: nursery.end(pid, signal.SIGKILL),
        "stop": lambda pid: nursery.end(pid, signal.SIGTERM),
    }
    try:
        for line in sys.stdin:
            what, *given = json.loads(line)
            sys.stdout.write(f"{actions[what](*given)}\n")
            sys.stdout.flush()
    finally:
        nursery.close()


if __name__ == "__main__":
    main()
