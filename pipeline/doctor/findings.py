"""What an examination finds: one thing each, how bad it is, what to do; and the exit status of them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pipeline.errors import EXIT_BROKEN, EXIT_FINE, EXIT_PROBLEMS, EXIT_WAITS, PipelineError


class Grade(StrEnum):
    """How bad it is. The worst one decides over the exit status."""

    FINE = "fine"
    WARNING = "warning"  # nothing fails; exit status 0
    PROBLEM = "problem"  # in content or schedules; exit status 1
    WAITS = "waits"  # something fails unless a person acts; exit status 3
    BROKEN = "broken"  # something that posting needs does not work; exit status 4


_STATUSES = {
    Grade.FINE: EXIT_FINE,
    Grade.WARNING: EXIT_FINE,
    Grade.PROBLEM: EXIT_PROBLEMS,
    Grade.WAITS: EXIT_WAITS,
    Grade.BROKEN: EXIT_BROKEN,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`area` is what was looked at, such as `disk` or `channel mastodon`; `hint` the next thing to do."""

    area: str
    grade: Grade
    message: str
    hint: str = ""


def fine(area: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(area, Grade.FINE, message)


def broken(area: str, error: PipelineError) -> Finding:
    """What an error says, with its hint."""
    return Finding(area, Grade.BROKEN, str(error), error.hint or "")


def exit_status(findings: Iterable[Finding]) -> int:
    """That of the worst finding."""
    return max((_STATUSES[finding.grade] for finding in findings), default=EXIT_FINE)
