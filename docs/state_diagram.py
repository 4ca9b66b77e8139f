"""Writes the state diagram and table into docs/ARCHITECTURE.md, from TRANSITIONS in pipeline/delivery.py.

Run it after changing the table: `make docs`. A test compares.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.delivery import TRANSITIONS, Event
from pipeline.model import State

PAGE = Path(__file__).parent / "ARCHITECTURE.md"
BEGIN, END = "<!-- from TRANSITIONS: begin -->", "<!-- from TRANSITIONS: end -->"


def diagram() -> str:
    """The states as Mermaid draws them. Late receipts lead to `published` from everywhere: a note says so."""
    edges: dict[tuple[State, State], list[str]] = {}
    for (state, event), to in TRANSITIONS.items():
        if event is not Event.LATE_RECEIPT:
            edges.setdefault((state, to), []).append(event.value)
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> planned",
        "    [*] --> missed: due before first seen",
    ]
    lines += [f"    {state} --> {to}: {', '.join(events)}" for (state, to), events in edges.items()]
    return "\n".join([*lines, "```"])


def table() -> str:
    """Every step of the table, one row each."""
    rows = [f"| {state} | {event.value} | {to} |" for (state, event), to in TRANSITIONS.items()]
    return "\n".join(["| from | event | to |", "| --- | --- | --- |", *rows])


def block() -> str:
    """What stands between the two markers."""
    return f"{BEGIN}\n\n{diagram()}\n\n{table()}\n\n{END}"


def rewritten(page: str) -> str:
    """The page with its block made anew."""
    before, rest = page.split(BEGIN)
    return before + block() + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
