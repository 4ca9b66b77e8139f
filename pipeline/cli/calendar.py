"""A campaign's weeks in the terminal: colour only there, and everything said in words too."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.month import WEEKDAYS, Cell
from pipeline.planning import Standing
from pipeline.remembered import MONTHS

NARROWEST = 76  # columns: in less, a cell holds no word
MOST_LINES = 3  # of a title
_FRAME = 8  # columns that the frame takes
_PADDING = 2  # of each cell


def print_weeks(console: Console, weeks: Sequence[Sequence[Cell]], event: str, *, over: bool = False) -> None:
    """Print them as wide as the console. `over`: what was planned is history, and stands for itself."""
    console.print(_span(weeks))
    room = (console.width - _FRAME) // len(WEEKDAYS) - _PADDING
    table = Table(box=box.SQUARE if console.color_system else box.ASCII2, show_lines=True)
    for name in WEEKDAYS:
        table.add_column(name if room >= len("Wednesday") else name[:3], width=room, overflow="fold")
    for week in weeks:
        table.add_row(*(_text(cell, week[0].day == cell.day, event, room, over=over) for cell in week))
    console.print(table)


def _span(weeks: Sequence[Sequence[Cell]]) -> str:
    """From which month to which, with the year: `March to April 2016`."""
    days = [cell.day for week in weeks for cell in week if cell.within]
    first, last = days[0], days[-1]
    words = [f"{MONTHS[last.month - 1]} {last.year}"]
    if (first.year, first.month) != (last.year, last.month):
        words.insert(0, MONTHS[first.month - 1] + (f" {first.year}" if first.year != last.year else ""))
    return " to ".join(words)


def _text(cell: Cell, monday: bool, event: str, room: int, *, over: bool) -> Text:
    if not cell.within and cell.title is None:
        return Text(_number(cell, monday=monday, room=room), style="dim")
    text = Text(_number(cell, monday=monday, room=room), style="bold reverse" if cell.today else "bold")
    if cell.title is not None:
        text.append(f"  J-{cell.days_left}" if cell.days_left >= 0 else "", style="not bold not reverse cyan")
        standing = None if over or cell.standing in {None, Standing.AHEAD} else cell.standing
        text.append("\n" + _cut(cell.title, room), style="not bold not reverse")
        if standing is not None:
            text.append(f"\n[{standing}]", style="not bold not reverse " + _COLOURS[standing])
    elif cell.skipped:
        text.append("\nno post", style="not bold not reverse dim")
        text.stylize("dim")
    if cell.today:
        text.append("\n<today>", style="not reverse bold green")
    if cell.event:
        text.append("\n" + _cut(f"* {event}", room), style="not reverse bold magenta")
    return text


_COLOURS = {Standing.SETTLED: "green", Standing.OPEN: "yellow", Standing.MISSED: "red"}


def _number(cell: Cell, *, monday: bool, room: int) -> str:
    """The day's number, with its month on Mondays and where one begins."""
    month = MONTHS[cell.day.month - 1]
    if not monday and cell.day.day != 1:
        return str(cell.day.day)
    name = month if len(month) + 3 + len("  J-10") <= room else month[:3]
    return f"{cell.day.day} {name}"


def _cut(words: str, room: int) -> str:
    """At most three lines of the cell, with an ellipsis for the rest."""
    lines = Text(words).wrap(Console(width=room), room, overflow="fold")
    if len(lines) <= MOST_LINES:
        return words
    kept = [line.plain.rstrip() for line in lines[:MOST_LINES]]
    kept[-1] = Text(kept[-1]).plain[: room - 1].rstrip() + "…"
    return "\n".join(kept)
