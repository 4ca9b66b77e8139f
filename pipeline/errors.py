"""What can go wrong, other than problems in files (`problems`) and refusals of a network (`channels.base`).

    PipelineError                 exit status 4 unless said otherwise
    ├── WrongUse                  exit status 2: the command cannot be carried out as given
    │   ├── NotAllowed            the state table forbids the step
    │   └── UnusableChannel       exit status 1: a campaign names a network or option there is not
    └── BrokenEnvironment         exit status 4: ledger, disk or network
        ├── AlreadyRunning        another daemon holds the run lock
        └── LedgerError           the ledger cannot be read or written
            ├── LedgerTooNew      written by a later version of this program
            ├── LedgerGone        not the ledger that was here before, or that of another project
            └── LostRace          somebody else moved the delivery first

Every message says what happened and, where there is one, the next thing to do.
"""

from __future__ import annotations

EXIT_FINE = 0
EXIT_PROBLEMS = 1
EXIT_WRONG_USE = 2
EXIT_WAITS = 3
EXIT_BROKEN = 4


def one_line(text: str) -> str:
    """The text as lists and logs show it: in one line, without signs that steer a terminal."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


class PipelineError(Exception):
    """Root of the tree. `hint` is the next thing to do, printed on a line of its own."""

    exit_status = EXIT_BROKEN

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class WrongUse(PipelineError):
    """The command cannot be carried out as given."""

    exit_status = EXIT_WRONG_USE


class NotAllowed(WrongUse):
    """The state table has no such step from the state the delivery is in."""


class UnusableChannel(WrongUse):
    """A campaign's channel cannot be opened as its file describes it: a problem of the file."""

    exit_status = EXIT_PROBLEMS


class BrokenEnvironment(PipelineError):
    """Ledger, disk or network is not usable."""


class AlreadyRunning(BrokenEnvironment):
    """Another daemon holds the run lock."""


class LedgerError(BrokenEnvironment):
    """The ledger cannot be opened, read or written."""


class LedgerTooNew(LedgerError):
    """The ledger was written by a later version of this program."""


class LedgerGone(LedgerError):
    """Not the ledger that was used here before, or not this project's: going on could post twice."""


class LostRace(LedgerError):
    """The delivery was no longer in the state, or under the lease, that the write assumed."""
