"""The pipeline as real processes: started, watched with bounded patience, and ended by their own pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.clock import SystemClock

ROOT = Path(__file__).parents[2]
PATIENCE = 25.0  # seconds; a wait this long is a failure, not a slow machine
CLOCK = SystemClock()


class Process:
    """One started process; what it says on standard error is kept in a file."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self._log = log
        self.pid = popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, patience: float = PATIENCE) -> int:
        """The exit status; negative for the signal that ended it."""
        return self._popen.wait(patience)

    def until(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
        """Wait for the condition, which the process is to bring about while it lives."""
        wait_until(condition, what, patience, still=lambda: self.running, told=self.said)

    def ready(self) -> None:
        """Wait until it says that it runs."""
        self.until(lambda: "running for" in self.said(), "the daemon to start")


def wait_until(
    condition: Callable[[], Any],
    what: str,
    patience: float = PATIENCE,
    *,
    still: Callable[[], bool] = lambda: True,
    told: Callable[[], str] = lambda: "",
) -> None:
    end = CLOCK.now() + timedelta(seconds=patience)
    while not condition():
        assert CLOCK.now() < end, f"waited {patience} s for {what}\n{told()}"
        assert still() or condition(), f"it ended while waiting for {what}\n{told()}"
        CLOCK.sleep_until(CLOCK.now() + timedelta(milliseconds=20))


def environment() -> dict[str, str]:
    """This process's, without any setting of a pipeline, and with the project to import from."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}
    return kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}


@contextmanager
def started(*words: str | Path, log: Path) -> Iterator[Process]:
    """`python WORDS`, killed at the end if it still runs."""
    command = [sys.executable, *map(str, words)]
    with log.open("ab") as output:
        popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(), cwd=ROOT
        )
    try:
        yield Process(popen, log)
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait(PATIENCE)


@contextmanager
def daemon(root: Path, *options: str, ready: bool = True) -> Iterator[Process]:
    """`pipeline run`."""
    log = root / f"daemon-{CLOCK.now():%H%M%S%f}.log"
    with started("-m", "pipeline", "run", "--root", root, *options, log=log) as process:
        if ready:
            process.ready()
        yield process


def pipeline(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    command, *options = words
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *command.split(), "--root", str(root), *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(),
        cwd=ROOT,
        check=False,
    )


def status(root: Path, *options: str) -> dict[str, Any]:
    """`pipeline status --json`."""
    ended = pipeline(root, "status", "--json", *options)
    assert ended.returncode in {0, 3}, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document
