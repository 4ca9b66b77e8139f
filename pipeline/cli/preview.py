"""`pipeline preview`: every day on every channel, as readers will see it, without playing anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from pipeline import app
from pipeline.cli.options import as_json, print_json, project
from pipeline.errors import EXIT_FINE, EXIT_PROBLEMS
from pipeline.problems import as_text, has_errors
from pipeline.settings import Settings

# What `counts` counts: kinds of posts, and what of a post is another than before.
_POSTS = {"added": "new", "removed": "removed", "moved": "moved"}
_PARTS = {"text": "text", "request": "request", "state": "outcome"}


@click.command("preview")
@click.argument("campaign", required=False)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the storyboard goes. Default: preview/ under the root.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The storyboard.json to compare with. Default: the last one in the same folder.",
)
@as_json
@project
def preview_command(
    settings: Settings,
    quiet: bool,
    campaign: str | None,
    out: Path | None,
    against: Path | None,
    json_output: bool,
) -> None:
    """Draw the storyboard: what is published and what is planned, the very texts and requests.

    Nothing is sent or asked, and no credentials are needed. Exit status 1 when a file has a problem.
    """
    from pipeline.storyboard import PAGE_FILE
    from pipeline.storyboard.markup import count

    out = (out or settings.root / "preview").resolve()
    drawn, problems = app.preview_project(settings, out, campaign=campaign, against=against)
    counts = drawn.changes.counts() if drawn.changes.compared else None
    if json_output:
        document = json.loads(drawn.record)
        print_json({"storyboard": str(out / PAGE_FILE), "changes": counts, **document})
    else:
        for name, days in drawn.days.items():
            posts = sum(len(day.cards) for day in days)
            shortened = sum(bool(card.left_out) for day in days for card in day.cards)
            amounts = f"{count(len(days), 'day')}, {count(posts, 'post')}"
            click.echo(f"{name}: {amounts}, {shortened} shortened")
        if counts is not None:
            told = ", ".join(_told(change, number) for change, number in counts.items() if number)
            click.echo(f"Since the last storyboard: {told or 'nothing is new'}")
        click.echo(f"Storyboard: {out / PAGE_FILE}")
    if problems and not quiet:
        click.echo(as_text(problems), err=True)
    sys.exit(EXIT_PROBLEMS if has_errors(problems) else EXIT_FINE)


def _told(change: str, number: int) -> str:
    """So many changes of a kind, in words: 24 texts changed, 2 moved."""
    from pipeline.storyboard.markup import count

    if change in _PARTS:
        return f"{count(number, _PARTS[change])} changed"
    return f"{number} {_POSTS[change]}"
