"""`pipeline rehearse`: watch the whole campaign before it happens."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline import app, report
from pipeline.cli.options import as_json, print_json, project
from pipeline.errors import EXIT_FINE, EXIT_PROBLEMS
from pipeline.problems import as_text, has_errors
from pipeline.rehearsal import Rehearsal
from pipeline.settings import Settings
from pipeline.tick import TickReport


@click.command("rehearse")
@click.argument("campaign", required=False)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where feeds and outbox go. Default: rehearsal/ under the root.",
)
@as_json
@project
def rehearse_command(
    settings: Settings, quiet: bool, campaign: str | None, out: Path | None, json_output: bool
) -> None:
    """Play the campaign from its first day to the event: the real code, a simulated clock, no network."""
    from pipeline.cli.tables import steps

    out = (out or settings.root / "rehearsal").resolve()
    with app.open_review(settings, use_ledger=False) as review:
        problems = review.problems(calendars=False)
        total = sum(len(view.calendar.slots) for view in review.views(campaign))
    if problems and not quiet:
        click.echo(as_text(problems), err=True)
    done = 0
    with steps(total, "rehearsing", show=not (quiet or json_output)) as bar:

        def watch(tick: TickReport) -> None:
            nonlocal done
            done += len(tick.released)
            bar.reach(done, tick.now.date().isoformat())

        result = app.rehearse_project(settings, out, campaign=campaign, watch=watch)
    if json_output:
        print_json(_document(result, out))
    else:
        _show(result, out)
    sys.exit(EXIT_PROBLEMS if has_errors(problems) else EXIT_FINE)


def _document(result: Rehearsal, out: Path) -> dict[str, object]:
    return {
        "out": str(out),
        "began": report.iso(result.began),
        "ended": report.iso(result.ended),
        "deliveries": [report.delivery_row(delivery) for delivery in result.deliveries],
        "releases": [
            {
                "campaign": r.campaign,
                "entry": r.entry.id,
                "date": r.date.isoformat(),
                "released": report.iso(r.released),
            }
            for r in result.releases
        ],
        "notices": list(result.notices),
    }


def _show(result: Rehearsal, out: Path) -> None:
    from rich import box
    from rich.table import Table

    from pipeline.cli.tables import print_table

    for campaign in result.campaigns:
        table = Table(title=campaign.title, title_justify="left", box=box.SIMPLE_HEAD)
        for heading in ("day", "", "entry", *(channel.id for channel in campaign.channels)):
            table.add_column(heading)
        for row in report.calendar_rows(campaign, result.deliveries, result.releases):
            table.add_row(*row)
        print_table(table)
    for notice in result.notices:
        click.echo(f"notice: {notice}")
    states = sorted({delivery.state for delivery in result.deliveries})
    counts = [f"{sum(d.state is state for d in result.deliveries)} {state}" for state in states]
    click.echo(f"{len(result.releases)} released; deliveries: {', '.join(counts) or 'none'}")
    click.echo(f"Feeds and outbox: {out}")
