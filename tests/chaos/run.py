"""`make chaos`: the proof that a doubtful reader runs. Ends with a table, and with 1 unless all of it holds.

Nothing here takes part in a delivery: this process starts servers and daemons, has them killed, waits until
nothing is left to do but what a person must, and counts.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.tick import Pipeline
from tests.chaos.classes import CLOCK, KINDS, register
from tests.chaos.daemons import wired
from tests.chaos.result import Result, count, explained
from tests.chaos.rules import RULES
from tests.chaos.scene import DAEMONS, Mishap, Orders, mishaps, write_project
from tests.support import postgres
from tests.support.processes import ROOT, environment

STEP = timedelta(seconds=0.25)


class Helper:
    """A process that answers commands, one JSON value a line. `said` is what it says at its start."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self._popen = popen

    def hear(self) -> Any:
        assert self._popen.stdout
        line = self._popen.stdout.readline()
        if not line:
            raise AssertionError(f"{self._popen.args!r} ended; its log says why")
        return json.loads(line)

    def ask(self, *words: object) -> Any:
        print(json.dumps(words), file=self._popen.stdin, flush=True)
        return self.hear()


@contextmanager
def helper(module: str, *words: object, log: Path) -> Iterator[Helper]:
    """`python -m MODULE WORDS`, until its input is closed."""
    command = [sys.executable, "-m", module, *map(str, words)]
    # Not measured: who is killed could tell nothing, and would only be slower.
    around = {name: value for name, value in environment().items() if not name.startswith("COVERAGE_")}
    pipe = subprocess.PIPE
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=errors, text=True, cwd=ROOT, env=around
        ) as popen,
    ):
        try:
            yield Helper(popen)
        finally:
            assert popen.stdin
            popen.stdin.close()
            try:
                popen.wait(20)
            except subprocess.TimeoutExpired:
                popen.kill()


class Run:
    """One run: daemons at work, and what happens to them."""

    def __init__(self, orders: Orders, servers: Helper, nursery: Helper) -> None:
        self._servers = servers
        self._nursery = nursery
        self._orders = orders
        self._daemons = [self._start() for _ in range(DAEMONS)]
        self.began = CLOCK.now()
        self.killed = self.downs = self.crashed = 0

    def suffer(self) -> None:
        """Let every mishap happen at its time, and end when its time is over."""
        due = [(mishap.at, mishap) for mishap in mishaps(self._orders)]
        while due:
            due.sort(key=lambda one: one[0])
            at, mishap = due.pop(0)
            CLOCK.sleep_until(self.began + at)
            if at == mishap.at:
                self._begin(mishap)
                due.append((at + mishap.length, mishap))
            else:
                self._end(mishap)

    def _begin(self, mishap: Mishap) -> None:
        if mishap.what == "kill":
            self.killed += self._daemons[mishap.who] > 0
            self._finish("kill", mishap.who, expected=-signal.SIGKILL)
        else:
            self._servers.ask("down", list(KINDS)[mishap.who])
            self.downs += 1

    def _end(self, mishap: Mishap) -> None:
        if mishap.what == "down":
            self._servers.ask("up", list(KINDS)[mishap.who])
        elif not self._daemons[mishap.who]:
            self._daemons[mishap.who] = self._start()

    def _start(self) -> int:
        return int(self._nursery.ask("start"))

    def _finish(self, how: str, who: int, *, expected: int) -> None:
        if self._daemons[who]:
            self.crashed += self._nursery.ask(how, self._daemons[who]) != expected
            self._daemons[who] = 0

    def rest(self, pipeline: Pipeline) -> bool:
        """Wait until only people can do something, but not for ever. Whether it came to that."""
        end = CLOCK.now() + self._orders.patience
        while not pipeline.done():
            if CLOCK.now() > end:
                return False
            CLOCK.sleep_until(CLOCK.now() + STEP)
        return True

    def stop(self) -> None:
        """Ask every daemon to end."""
        for who in range(DAEMONS):
            self._finish("stop", who, expected=0)


def play(orders: Orders, root: Path, ledger: str | None = None) -> Result:
    """Play the whole run in the folder `root`, on the ledger at that URL, and count."""
    register()
    ledger = ledger or f"sqlite:///{root}/state/ledger.db"
    with (
        helper("tests.chaos.server", orders.seed, orders.deliveries, log=root / "servers.log") as servers,
        helper("tests.chaos.daemons", root, ledger, orders.broken or "", log=root / "daemons.log") as nursery,
    ):
        write_project(root, orders, ledger, servers.hear())
        run = Run(orders, servers, nursery)
        run.suffer()
        with wired(root, ledger, "") as pipeline:
            settled = run.rest(pipeline)
            run.stop()
            deliveries = pipeline.ledger.deliveries()
            report = servers.ask("report")
    met: Counter[str] = sum((Counter(one["met"]) for one in report.values()), Counter())
    return Result(
        orders=orders,
        rows=count(deliveries, report),
        requests=sum(one["requests"] for one in report.values()),
        met=met,
        killed=run.killed,
        downs=run.downs,
        crashed=run.crashed,
        settled=settled,
        took=CLOCK.now() - run.began,
        notes=explained(deliveries),
        others={
            f"{name}: {kind}": (number, bad)
            for name, one in report.items()
            for kind, (number, bad) in one["others"].items()
        },
    )


def main(words: list[str] | None = None) -> int:
    """The command. Its exit status."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=Orders.deliveries)
    parser.add_argument("--seed", type=int, default=Orders.seed)
    parser.add_argument("--ledger", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--break", choices=sorted(RULES), dest="broken", help="leave this protection out")
    parser.add_argument("--keep", type=Path, help="a new folder for the project, its ledger and its logs")
    given = parser.parse_args(words)
    orders = Orders(given.deliveries, given.seed, given.broken)
    with ExitStack() as stack:
        if given.keep and given.keep.exists():
            parser.error(f"{given.keep} exists; name a new folder")
        root = given.keep or Path(stack.enter_context(TemporaryDirectory(prefix="chaos-")))
        root.mkdir(parents=True, exist_ok=True)
        ledger = None
        if given.ledger == "postgresql":
            ledger = stack.enter_context(stack.enter_context(postgres.running()).database())
        result = play(orders, root, ledger)
    sys.stdout.write(result.text() + "\n")
    return 0 if result.kept else 1


if __name__ == "__main__":
    sys.exit(main())
