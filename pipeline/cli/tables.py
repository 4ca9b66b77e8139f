"""Tables and progress for people: colour and movement only on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

WIDE = 120  # columns where there is no terminal to ask


def output() -> Console:
    """Standard output; as wide as the terminal, or as a wide page."""
    return _console(sys.stdout)


def print_table(table: Table) -> None:
    """On standard output; as wide as the terminal, or as a wide page."""
    output().print(table)


def local(instant: str, timezone: str) -> str:
    """The wall time of an instant of a JSON document."""
    moment = datetime.fromisoformat(instant).astimezone(ZoneInfo(timezone))
    return moment.strftime("%H:%M:%S" if moment.second else "%H:%M")


def _console(stream: TextIO) -> Console:
    """Without markup: a bracket or a colon in a title is text. NO_COLOR leaves out every escape code."""
    terminal = stream.isatty()
    plain = not terminal or bool(os.environ.get("NO_COLOR"))
    return Console(
        file=stream,
        width=None if terminal else WIDE,
        force_terminal=terminal,
        color_system=None if plain else "auto",
        markup=False,
        emoji=False,
        highlight=False,
    )


class Steps:
    """A progress bar that is told how far things are."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task

    def reach(self, done: int, what: str) -> None:
        """Show that `done` of the total are done, and what the last one was."""
        self._progress.update(self._task, completed=done, description=what)


@contextmanager
def steps(total: int, what: str, *, show: bool) -> Iterator[Steps]:
    """A progress bar on standard error, if that is a terminal."""
    console = _console(sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, disable=not (show and console.is_terminal), transient=True
    ) as bar:
        yield Steps(bar, bar.add_task(what, total=total))
