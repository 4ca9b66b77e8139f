"""Several daemons over one ledger, each a process of its own, and a network that knows no keys.

    herd.py ROOT LEDGER COUNT

Forks COUNT daemons for the project at ROOT, so that the imports are paid for once. Each publish appends one
line, CHANNEL and process, to ROOT/posts: whoever sends twice is seen there. Ends when all have, with the
number of those that failed.
"""

from __future__ import annotations

import os
import sys
import traceback
from datetime import timedelta
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.daemon import Daemon
from pipeline.model import NoKey, Receipt, Rendition, Traits
from tests.support.channels import FaultyChannel
from tests.support.projects import Project

SECOND = timedelta(seconds=1)
TRAITS = Traits(NoKey(), lookup=False, edit=False, delete=False, timeout=10 * SECOND, settle=SECOND)
CHANNELS = tuple(f"c{number}" for number in range(6))


class Counted(FaultyChannel):
    """Every request is a line in a file that all processes share."""

    def __init__(self, channel: str, posts: Path) -> None:
        super().__init__(traits=TRAITS, clock=SystemClock())
        self._channel = channel
        self._posts = posts

    def publish(self, rendition: Rendition) -> Receipt:
        line = os.open(self._posts, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(line, f"{self._channel} {os.getpid()}\n".encode())
        finally:
            os.close(line)
        return super().publish(rendition)


def daemon(root: Path, ledger: str) -> None:
    project = Project(root, ledger=ledger)
    channels = {name: Counted(name, root / "posts") for name in CHANNELS}
    clock = SystemClock()
    with project.open(clock, channels=channels, workers=len(CHANNELS)) as pipeline:
        Daemon(pipeline, clock).run(until_done=True)


def main(root: str, ledger: str, count: str) -> int:
    children = []
    for _ in range(int(count)):
        child = os.fork()
        if not child:
            try:
                daemon(Path(root), ledger)
            except BaseException:  # noqa: BLE001 - a fork must never go on with its parent's work
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
