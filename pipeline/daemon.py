"""`pipeline run`: ticks at every due instant, and looks again every few seconds. The only APScheduler import.

APScheduler is an alarm clock and nothing more: it holds no state, its alarms only say "look now", and a
lost, late or doubled alarm changes nothing, since what is due is decided by the ledger. Between alarms
the loop waits on a monotonic clock, so a system clock that jumps cannot keep it asleep.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType

from apscheduler.executors.debug import DebugExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger

from pipeline.clock import Clock
from pipeline.errors import AlreadyRunning, BrokenEnvironment, LedgerGone
from pipeline.problems import Problem, as_text
from pipeline.tick import Pipeline, TickReport

log = logging.getLogger(__name__)

SAFETY_TICK = timedelta(seconds=15)  # a missed alarm costs at most this
WATCH = timedelta(seconds=2)  # how soon a changed file is noticed

_LOOK = "look"
_STOP = "stop"


class Daemon:
    """Owns the alarms and the loop. One per process."""

    def __init__(
        self,
        pipeline: Pipeline,
        clock: Clock,
        *,
        safety: timedelta = SAFETY_TICK,
        watch: timedelta = WATCH,
        ticked: Callable[[datetime], None] = lambda _: None,
    ) -> None:
        """`safety` is the longest time between two ticks, `watch` how often files are looked at.

        `ticked` is told the instant of every tick that came to its end.
        """
        self._pipeline = pipeline
        self._clock = clock
        self._watch = watch
        self._ticked = ticked
        self._problems: tuple[Problem, ...] = ()
        self._rounds = max(1, int(safety / watch))
        # A SimpleQueue may be written from a signal handler, which an Event or a Queue may not.
        self._wakes: SimpleQueue[str] = SimpleQueue()
        self._alarms = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            # An alarm only puts a word into a queue, so it rings in the scheduler's own thread: a pool could
            # be shut down under an alarm that is just about to ring.
            executors={"default": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )

    def stop(self) -> None:
        """Ask the loop to end after the sends in hand. Safe from any thread and from a signal handler."""
        self._pipeline.begin_no_more()  # at once, also when a long tick is under way
        self._wakes.put(_STOP)

    def run(self, *, until_done: bool = False) -> None:
        """Tick until stopped; with `until_done`, until no campaign has anything left to do."""
        self._alarms.start()
        try:
            while not self._tick(until_done=until_done):
                if self._wait():
                    return
        finally:
            self._alarms.shutdown(wait=False)
            self._pipeline.stop()

    def _tick(self, *, until_done: bool) -> bool:
        """One tick and the alarm for the next. True when there is nothing left to do.

        Whatever fails is told and tried again: a full disk, a locked ledger or an unmounted folder may
        pass, and a fault of this program in one tick is no reason to miss the slots of all later ones.
        What may be sent is decided by the ledger, so that trying again costs nothing. Only LedgerGone
        passes: another ledger in its place must be looked at by a person before anything else is sent.
        """
        try:
            report = self._pipeline.tick(wait=False, progress=lambda: self._wakes.put(_LOOK))
            self._tell(report)
            # From the tick's own instant on: what became due while it worked must not fall in between.
            upcoming = self._pipeline.next_wake(report.now)
            if upcoming is not None:
                self._set_alarm(upcoming)
            self._ticked(report.now)
            return until_done and self._pipeline.done()
        except LedgerGone:
            raise
        except (BrokenEnvironment, OSError) as error:
            log.warning("this tick failed, the next one tries again: %s", error)
        except Exception:
            log.exception("this tick failed in a way that was not foreseen, the next one tries again")
        return False

    def _tell(self, report: TickReport) -> None:
        for key in report.missed:
            log.warning("missed: %s", key)
        for notice in report.notices:
            log.warning("%s", notice)
        if report.problems != self._problems:
            log.warning(
                "%s", f"in the files:\n{as_text(report.problems)}" if report.problems else "files are fine"
            )
            self._problems = report.problems

    def _set_alarm(self, instant: datetime) -> None:
        self._alarms.add_job(
            self._wakes.put,
            DateTrigger(instant),
            args=[_LOOK],
            id=instant.isoformat(),
            replace_existing=True,
        )

    def _wait(self) -> bool:
        """Sleep until an alarm, a change of files, the safety tick, or a stop. True for a stop."""
        for _ in range(self._rounds):
            wake = self._next_wake_up(self._watch)
            if wake == _STOP:
                return True
            if wake == _LOOK or self._files_changed():
                return False
        return False

    def _files_changed(self) -> bool:
        """Whether files have changed; not while they cannot be seen, which the next tick will tell."""
        try:
            return self._pipeline.files_changed()
        except (BrokenEnvironment, OSError):
            return False

    def _next_wake_up(self, limit: timedelta) -> str | None:
        """The most urgent of the wakes that have gathered, or None after `limit` without any."""
        try:
            wakes = [self._wakes.get(timeout=limit.total_seconds())]
        except Empty:
            return None
        while not self._wakes.empty():
            wakes.append(self._wakes.get())
        return _STOP if _STOP in wakes else _LOOK


@contextlib.contextmanager
def stopping_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within: SIGTERM, SIGINT and SIGHUP call `stop`. Afterwards the former handlers are back.

    A SIGHUP that whoever started us has had ignored stays so: that is what `nohup` does.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        log.info("%s: finishing the sends in hand", signal.Signals(number).name)
        stop()

    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    former = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def run_lock(folder: Path, clock: Clock) -> Iterator[None]:
    """Hold the project's run lock. Raises AlreadyRunning, naming the holder.

    The kernel drops the lock when its holder ends, however it ends: there is no stale lock to clean.
    """
    path = folder / "run.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise BrokenEnvironment(
            f"cannot open the run lock {path}: {error.strerror}", hint="Make state/ writable."
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise AlreadyRunning(
                f"another daemon runs for this project: {_holder(handle.read())}",
                hint="Stop it first, or let it work: one daemon is enough.",
            ) from None
        handle.seek(0)
        handle.truncate()
        since = clock.now().isoformat(timespec="seconds")
        handle.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
        handle.flush()
        yield


def _holder(text: str) -> str:
    try:
        told = json.loads(text)
        return f"process {told['pid']} on {told['host']} since {told['since']}"
    except (ValueError, KeyError, TypeError):
        return "its name could not be read"
