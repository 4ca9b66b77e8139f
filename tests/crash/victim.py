"""Pipelines that end themselves with SIGKILL at a named point: the machine's power cut, on demand.

Reads commands from standard input, one JSON list a line, carries each out in a process of its own, forked so
that the imports are paid for once, and answers with its exit status (negative for a signal):

    [ROOT, LEDGER, COMMAND, POINT, INSTANT]

COMMAND is `tick`, at INSTANT (ISO 8601, with its zone; "" is the machine's time), or `run`, until nothing is
left to do. POINT is one that the code names to its probe, or `before FILE`: just before a file whose path
ends so is put in its place; `hold POINT`: there it writes its pid to ROOT/held and waits for ROOT/go;
`watched`: it begins with writing its pid to ROOT/held, and lives as long as who reads it lets it; "": it
lives.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from datetime import datetime
from pathlib import Path

import tweepy  # type: ignore[import-untyped]  # noqa: F401 - before the fork, as others below

from pipeline import app, dispatch, feeds, ledger, library, settings, tick  # noqa: F401
from pipeline.channels import bluesky, facebook, mastodon, media_pixels, outbox, wire, x  # noqa: F401
from pipeline.clock import SystemClock, VirtualClock
from pipeline.daemon import Daemon, stopping_on_signals
from pipeline.feeds import files  # noqa: F401


def carry_out(root: str, url: str, command: str, point: str, instant: str) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def probe(reached: str) -> None:
        if reached == point:
            die()
        if point == f"hold {reached}" and not held.exists():
            held.write_text(str(os.getpid()))
            while not (Path(root) / "go").exists():
                time.sleep(0.02)

    def on_rename(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and str(arguments[1]).endswith(point.removeprefix("before ")):
            die()

    if point.startswith("before ") and "." in point:
        sys.addaudithook(on_rename)
    held = Path(root) / "held"
    if point == "watched":
        held.write_text(str(os.getpid()))
    clock = VirtualClock(datetime.fromisoformat(instant)) if instant else SystemClock()
    with app.open_pipeline(settings.load(Path(root), url), clock=clock, probe=probe) as pipeline:
        if command == "tick":
            pipeline.tick()
        else:
            daemon = Daemon(pipeline, clock)
            with stopping_on_signals(daemon.stop):
                daemon.run(until_done=True)


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                carry_out(*json.loads(line))
            except BaseException:  # noqa: BLE001 - a fork must never go on with its parent's loop
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
