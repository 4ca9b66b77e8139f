"""What the server knows of the ledger and of the daemon: snapshots, taken beside the requests.

A thread looks at the ledger now and then, and the daemon tells of its ticks. Requests read the last snapshot
and nothing else, so no number of them can slow down a delivery.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.clock import Clock
from pipeline.errors import PipelineError
from pipeline.ledger import Counts, Ledger

log = logging.getLogger(__name__)

LOOK = timedelta(seconds=15)  # between two looks at the ledger
SPARING = 20  # a look that takes long comes so many times its own length apart
SILENT = timedelta(minutes=5)  # a daemon that has not finished a tick for so long is in trouble


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known at one moment. All instants are UTC.

    `looked` is when the ledger was last read; `counts` what it held then, None when there is no ledger.
    `trouble` says why it could not be read since. `ticked` is the start of the daemon's last finished tick,
    None where no daemon runs.
    """

    started: datetime
    daemon: bool
    looked: datetime | None = None
    counts: Counts | None = None
    trouble: str | None = None
    ticked: datetime | None = None

    def silent(self, now: datetime) -> bool:
        """Whether a daemon should have finished a tick by now, and has not."""
        return self.daemon and now - (self.ticked or self.started) > SILENT

    def healthy(self, now: datetime) -> bool:
        """Whether the ledger can be read and the daemon, if there is one, does its rounds."""
        return self.trouble is None and not self.silent(now)


class Watch:
    """Keeps the snapshot fresh. Any thread may read it."""

    def __init__(self, clock: Clock, ledger: Callable[[], Ledger | None], *, daemon: bool) -> None:
        """`ledger` gives the ledger to look at, None when there is none yet.

        `daemon`: one runs here, and the ledger is its own. Otherwise it is closed in the end, and opened anew
        when it could not be read.
        """
        self._clock = clock
        self._open = ledger
        self._ledger: Ledger | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._last = Snapshot(clock.now(), daemon)
        self._thread = threading.Thread(target=self._keep_looking, name="ledger watch", daemon=True)

    @property
    def clock(self) -> Clock:
        """The clock by which the snapshot is dated."""
        return self._clock

    @property
    def snapshot(self) -> Snapshot:
        """The last one."""
        return self._last

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when the ledger is no longer used."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._let_go()

    def ticked(self, began: datetime) -> None:
        """The daemon has finished a tick that began at that instant."""
        self._update(ticked=began)

    def look(self) -> None:
        """Read the ledger now."""
        try:
            if self._ledger is None:
                self._ledger = self._open()
            counts = None if self._ledger is None else self._ledger.counts()
        except Exception as error:
            known = isinstance(error, PipelineError)
            log.warning("the ledger cannot be looked at: %s", error, exc_info=None if known else error)
            self._update(trouble=str(error))
            self._let_go()
        else:
            self._update(looked=self._clock.now(), counts=counts, trouble=None)

    def _let_go(self) -> None:
        if self._ledger is not None and not self._last.daemon:
            self._ledger.close()
        self._ledger = None

    def _keep_looking(self) -> None:
        pause = timedelta()
        while not self._stop.wait(pause.total_seconds()):
            began = self._clock.now()
            self.look()
            pause = max(LOOK, (self._clock.now() - began) * SPARING)

    def _update(self, **known: Any) -> None:
        with self._lock:
            self._last = replace(self._last, **known)
