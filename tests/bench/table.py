"""The figures as people read them, in a terminal and in a page, and as programs do."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence

from tests.bench.measuring import Figure, spread

BEGIN, END = "<!-- from tests.bench: begin -->", "<!-- from tests.bench: end -->"
_UNITS = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"))


def seconds(span: float) -> str:
    """Three digits and a unit."""
    unit, name = next((one for one in _UNITS if span >= one[0]), _UNITS[-1])
    number = span / unit
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f} {name}"


def ratio(number: float) -> str:
    """How many times the baseline's time ours is."""
    return f"{number:.2f}×" if number < 10 else f"{number:.0f}×"


def spreads(figure: Figure) -> str:
    """Of ours and of the baseline; what was timed once has none."""
    both = [spread(side) for side in (figure.ours, figure.baseline)]
    return "one round" if None in both else ", ".join(f"{one:.0%}" for one in both if one is not None)


def text(figures: Sequence[Figure]) -> str:
    """For a terminal: three lines a row."""
    lines = [caption(figures)]
    for one in figures:
        times = f"{seconds(min(one.ours))} against {seconds(min(one.baseline))}"
        lines += [
            "",
            f"{one.name:22}{ratio(one.ratio):>8}   {times}; spread {spreads(one)}",
            f"    ours: {one.ours_says}",
            f"    baseline: {one.baseline_says}",
        ]
    return "\n".join([*lines, *_told(figures)])


def markdown(figures: Sequence[Figure]) -> str:
    """For a page: a table."""
    lines = [
        caption(figures),
        "",
        "| measure | ratio | ours | baseline | spread | what ours does | what the baseline does |",
        "| --- | ---: | ---: | ---: | --- | --- | --- |",
    ]
    for one in figures:
        times = f"{seconds(min(one.ours))} | {seconds(min(one.baseline))}"
        lines.append(
            f"| {one.name} | {ratio(one.ratio)} | {times} | {spreads(one)} "
            f"| {one.ours_says} | {one.baseline_says} |"
        )
    return "\n".join([*lines, *_told(figures)])


def around(page: str) -> tuple[str, str]:
    """What of a page stands before and after the table. Raises ValueError when its markers are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there is no `{BEGIN}` followed by `{END}`: put both where the table goes")
    return before + begin, end + after


def rewritten(page: str, figures: Sequence[Figure]) -> str:
    """The page with the figures between its two markers. Raises ValueError when it does not have both."""
    before, after = around(page)
    return f"{before}\n\n{markdown(figures)}\n\n{after}"


def as_json(figures: Sequence[Figure]) -> str:
    """For programs: every round, in seconds."""
    rows = [
        {
            "name": one.name,
            "ratio": one.ratio,
            "ours": {"what": one.ours_says, "seconds": one.ours},
            "baseline": {"what": one.baseline_says, "seconds": one.baseline},
            "promise": one.promise
            and {"what": one.promise.what, "seconds": one.promise.seconds, "kept": kept(one)},
        }
        for one in figures
    ]
    document = {"python": platform.python_version(), "cores": os.cpu_count(), "figures": rows}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def caption(figures: Sequence[Figure]) -> str:
    """Where, and of how many rounds each row is the best."""
    most = max(one.rounds for one in figures)
    return (
        f"Best of {most} round{'s' * (most > 1)}, or of one where the table says so; "
        f"Python {platform.python_version()}, {os.cpu_count()} cores."
    )


def kept(figure: Figure) -> bool | None:
    """Whether the stated bound was kept; None where there is none."""
    return None if figure.promise is None else min(figure.ours) < figure.promise.seconds


def _told(figures: Sequence[Figure]) -> list[str]:
    """The stated bounds, and what came of them."""
    lines = []
    for one in figures:
        if one.promise is not None:
            verdict = "kept" if kept(one) else "NOT kept in this run"
            bound, took = seconds(one.promise.seconds), seconds(min(one.ours))
            lines += ["", f"Promised: {one.promise.what} in under {bound}. It took {took}: {verdict}."]
    return lines
