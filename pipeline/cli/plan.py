"""`pipeline plan`: the calendar as it stands, or as it would be on another day."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from pipeline import app
from pipeline.cli.options import as_json, print_json, project
from pipeline.errors import EXIT_FINE, EXIT_PROBLEMS
from pipeline.problems import as_text, has_errors
from pipeline.settings import Settings


@click.command("plan")
@click.argument("campaign", required=False)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="The plan as it would be on that day.")
@click.option(
    "--ics", type=click.Path(dir_okay=False, path_type=Path), help="Also write the calendar to this file."
)
@as_json
@project
def plan_command(
    settings: Settings,
    quiet: bool,
    campaign: str | None,
    as_of: datetime | None,
    ics: Path | None,
    json_output: bool,
) -> None:
    """Show which entry goes out on which day, and what changed since the plan was last shown."""
    with app.open_review(settings, make_ledger=True) as review:
        problems = review.problems(calendars=as_of is None)
        views = review.views(campaign, as_of.date() if as_of else None)
        changes = {} if as_of else review.changes(views)
        if ics:
            review.write_ics(ics, views)
        documents = [review.document(view) for view in views]
    if json_output:
        print_json({"campaigns": [one | {"changes": changes.get(one["id"], [])} for one in documents]})
    else:
        for document in documents:
            _show(document, changes.get(document["id"], []))
    if problems and not quiet:
        click.echo(as_text(problems), err=True)
    sys.exit(EXIT_PROBLEMS if has_errors(problems) else EXIT_FINE)


def _show(document: dict[str, Any], changes: list[str]) -> None:
    from rich import box
    from rich.table import Table

    from pipeline.cli.tables import local, print_table

    over = "  (over: nothing more is planned)" if document["over"] else ""
    table = Table(title=f"{document['title']}{over}", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("day", "", "entry", "channels"):
        table.add_column(heading, overflow="fold")
    for slot in document["slots"]:
        channels = [
            f"{row['channel']} {local(row['due'], document['timezone'])}{_length(row)}"
            for row in slot["channels"]
        ]
        standing = "" if slot["standing"] == "ahead" or document["over"] else f" [{slot['standing']}]"
        table.add_row(slot["date"], f"J-{slot['days_left']}", slot["entry"] + standing, ", ".join(channels))
    print_table(table)
    for left in document["unplaced"]:
        click.echo(f"without a day: {left['entry']}: {left['reason']}")
    if changes:
        click.echo("Changed since the plan was last shown:")
        for line in changes:
            click.echo(f"  {line}")


def _length(row: dict[str, Any]) -> str:
    if "problem" in row:
        return f" ({row['problem']})"
    if row["limit"] is None:
        return ""
    return f" {row['length']}/{row['limit']}{' shortened' if row['shortened'] else ''}"
