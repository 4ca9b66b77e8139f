"""`make bench`: times what the pipeline does, and beside each the minimum of the same work.

Nothing fails by being slow. Exit status 2 for wrong use; an error of what is measured ends the run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import files, running, table
from tests.bench.measuring import Figure, Measure, Promise, run

PAGE = Path(__file__).parents[2] / "docs" / "PERFORMANCE.md"
ROUNDS = 5

MEASURES = {
    one.name: one
    for one in (
        Measure("check", files.check),
        Measure("plan", files.planning),
        Measure("tick", running.idle_tick),
        Measure("ledger", running.ledger),
        Measure("send", running.send),
        Measure("feeds", files.write_feeds),
        Measure("fit", files.fit),
        Measure(
            "rehearse",
            running.rehearse,
            most_rounds=1,
            promise=Promise("a year of daily posts on five channels", 30),
        ),
        Measure("start", running.start),
    )
}


def main(words: Sequence[str] | None = None) -> int:
    """The command. Its exit status."""
    parser = _parser()
    given = parser.parse_args(words)
    if unknown := [name for name in given.names if name not in MEASURES]:
        parser.error(f"there is no measure `{unknown[0]}`. There are: {', '.join(MEASURES)}.")
    if given.rounds < 1:
        parser.error(f"--rounds {given.rounds}: at least one round is needed")
    if given.markdown and given.names:
        parser.error("--markdown writes the whole table: name no measure beside it")
    if fault := _cannot_be_written(given.json, given.markdown):
        parser.error(fault)  # now, and not after minutes of measuring
    figures: list[Figure] = []
    for name in given.names or MEASURES:
        sys.stderr.write(f"measuring {name} …\n")
        with TemporaryDirectory(prefix="bench-") as folder:
            figures += run(MEASURES[name], Path(folder), given.rounds)
    if given.json:
        given.json.write_text(table.as_json(figures), encoding="utf-8")
    if given.markdown:
        page = given.markdown.read_text(encoding="utf-8")
        given.markdown.write_text(table.rewritten(page, figures), encoding="utf-8")
    sys.stdout.write(table.text(figures) + "\n")
    return 0


def _cannot_be_written(document: Path | None, page: Path | None) -> str | None:
    """What is wrong with the files to write; None when nothing is."""
    if document is not None and not document.absolute().parent.is_dir():
        return f"--json {document}: there is no such folder; make it first"
    if page is None:
        return None
    try:
        table.around(page.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return f"--markdown {page}: {getattr(error, 'strerror', None) or error}"
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MEASURES)}; default: all")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each side is timed ({ROUNDS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round of every measure there")
    parser.add_argument(
        "--markdown",
        type=Path,
        nargs="?",
        const=PAGE,
        metavar="FILE",
        help="write the table between the markers of that page; default: docs/PERFORMANCE.md",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
