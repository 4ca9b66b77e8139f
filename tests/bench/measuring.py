"""How long our work takes, as a ratio of what a named baseline takes in the same run.

What must stay true: both sides alternate, so that whatever else the machine does meets them alike; the best
round of each counts, because noise only ever adds; what prepares a round is not timed. Absolute seconds are
told beside the ratio and never judged.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any


def nothing() -> None:
    """What needs no preparing."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a pair: `run` is timed, `times` in a row each round, `before` prepares the round."""

    says: str
    run: Callable[[], object]
    times: int = 1
    before: Callable[[], object] = nothing

    def time(self, timer: Callable[[], float]) -> float:
        """Seconds that one `run` took, on average over a round."""
        self.before()
        gc.collect()  # neither side pays for the other's garbage
        began = timer()
        for _ in range(self.times):
            self.run()
        return (timer() - began) / self.times


@dataclass(frozen=True, slots=True)
class Pair:
    """A row of the table: our work, and the minimum of the same work with the bare library."""

    name: str
    ours: Side
    baseline: Side


@dataclass(frozen=True, slots=True)
class Promise:
    """A bound that is stated elsewhere. Whether it was kept is told, and nothing fails by it."""

    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Measure:
    """What `python -m tests.bench NAME` runs.

    `pairs` sets the scene in an empty folder, for so many rounds. `most_rounds` is for what takes too long.
    """

    name: str
    pairs: Callable[[Path, int], AbstractContextManager[Sequence[Pair]]]
    most_rounds: int | None = None
    promise: Promise | None = None

    def rounds(self, wanted: int) -> int:
        """How many rounds are run."""
        return wanted if self.most_rounds is None else min(wanted, self.most_rounds)


@dataclass(frozen=True, slots=True)
class Figure:
    """What came of a pair: seconds of each round, both sides in order."""

    name: str
    ours_says: str
    baseline_says: str
    ours: tuple[float, ...]
    baseline: tuple[float, ...]
    promise: Promise | None = None

    @property
    def ratio(self) -> float:
        """Our best round over the baseline's best."""
        return min(self.ours) / min(self.baseline)

    @property
    def rounds(self) -> int:
        """How often each side was timed."""
        return len(self.ours)


def spread(seconds: Sequence[float]) -> float | None:
    """How much longer than the best the worst round took, as a part of the best. None: there was but one."""
    return max(seconds) / min(seconds) - 1 if len(seconds) > 1 else None


def compare(
    pair: Pair, rounds: int, *, promise: Promise | None = None, timer: Callable[[], float] = perf_counter
) -> Figure:
    """Time both sides in turns, ours first."""
    ours, baseline = [], []
    for _ in range(rounds):
        ours.append(pair.ours.time(timer))
        baseline.append(pair.baseline.time(timer))
    return Figure(pair.name, pair.ours.says, pair.baseline.says, tuple(ours), tuple(baseline), promise)


def run(measure: Measure, folder: Path, rounds: int) -> list[Figure]:
    """The figures of a measure, which may work in the empty `folder`."""
    rounds = measure.rounds(rounds)
    with measure.pairs(folder, rounds) as pairs:
        return [compare(pair, rounds, promise=measure.promise) for pair in pairs]


def forget() -> None:
    """Empty every cache of the pipeline's own modules, as if the process had just begun."""
    for name, module in list(sys.modules.items()):
        if name.startswith("pipeline."):
            for value in vars(module).values():
                clear: Any = getattr(value, "cache_clear", None)
                if callable(clear) and getattr(value, "__module__", None) == name:
                    clear()
