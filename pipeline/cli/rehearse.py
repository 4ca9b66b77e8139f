"""`pipeline rehearse`: watch the whole campaign before it happens."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from pipeline import app, report
from pipeline.cli.options import as_json, print_json, project
from pipeline.errors import EXIT_FINE, EXIT_PROBLEMS, EXIT_WAITS
from pipeline.problems import Problem, as_text, has_errors
from pipeline.rehearsal import Kind, Rehearsal
from pipeline.settings import Settings
from pipeline.tick import TickReport


@click.command("rehearse")
@click.argument("campaign", required=False)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where feeds, outbox and storyboard go. Default: rehearsal/ under the root.",
)
@click.option(
    "--faults",
    default="calm",
    metavar="PROFILE",
    help="What goes wrong: calm, rush-hour, bad-network, token-expires, outage-day, crashes, dst, or a file.",
)
@click.option("--seed", default=1, help="Of all that is left to chance: the same seed plays the same.")
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The storyboard.json to compare the storyboard with. Default: the last one in the same folder.",
)
@click.option(
    "--serve", is_flag=True, help="Afterwards show the folder at an address of this machine, until Ctrl-C."
)
@as_json
@project
def rehearse_command(
    settings: Settings,
    quiet: bool,
    campaign: str | None,
    *,
    out: Path | None,
    faults: str,
    seed: int,
    against: Path | None,
    serve: bool,
    json_output: bool,
) -> None:
    """Play the campaign from its first day to the event: the real code, a simulated clock, no network.

    The networks are stand-ins in this process, so no credentials are needed. Exit status 1 when a file has a
    problem, or when something went out twice or was lost; 3 when something still waits for a person.
    """
    from pipeline.cli.tables import steps
    from pipeline.storyboard import Preface

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

        result = app.rehearse_project(
            settings,
            out,
            campaign=campaign,
            faults=faults,
            seed=seed,
            watch=watch,
            preface=Preface(tuple(problems), against),
        )
    if json_output:
        print_json(_document(result, out))
    else:
        _show(result, out)
    if serve:
        _serve(out)
    sys.exit(_status(result, problems))


def _serve(out: Path) -> None:
    """What was made, as a browser and a feed reader get it, until Ctrl-C or SIGTERM."""
    from pipeline.serve import signals_held
    from pipeline.storyboard import PAGE_FILE

    with signals_held(), app.show_folder(out) as server:
        click.echo(f"serving {server.url}{PAGE_FILE}; stop with Ctrl-C", err=True)
        server.wait()


def _status(result: Rehearsal, problems: list[Problem]) -> int:
    if has_errors(problems) or not result.kept:
        return EXIT_PROBLEMS
    return EXIT_WAITS if any(tally.waiting for tally in result.tallies) else EXIT_FINE


def _document(result: Rehearsal, out: Path) -> dict[str, object]:
    from pipeline.storyboard import PAGE_FILE

    return {
        "out": str(out),
        "storyboard": str(out / PAGE_FILE),
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
        "timeline": [asdict(happening) | {"at": report.iso(happening.at)} for happening in result.timeline],
        "channels": [asdict(tally) for tally in result.tallies],
        "kills": result.kills,
        "notices": list(result.notices),
    }


def _show(result: Rehearsal, out: Path) -> None:
    from rich import box
    from rich.table import Table

    from pipeline.cli.tables import print_table
    from pipeline.storyboard import PAGE_FILE

    for campaign in result.campaigns:
        table = Table(title=campaign.title, title_justify="left", box=box.SIMPLE_HEAD)
        for heading in ("day", "", "entry", *(channel.id for channel in campaign.channels)):
            table.add_column(heading)
        for row in report.calendar_rows(campaign, result.deliveries, result.releases):
            table.add_row(*row)
        print_table(table)
    _show_timeline(result)
    for notice in result.notices:
        click.echo(f"notice: {notice}")
    for tally in result.tallies:
        if tally.twice or tally.lost:
            click.echo(f"{tally.channel}: {tally.twice} went out twice, {tally.lost} were lost", err=True)
    states = sorted({delivery.state for delivery in result.deliveries})
    counts = [f"{sum(d.state is state for d in result.deliveries)} {state}" for state in states]
    click.echo(f"{len(result.releases)} released; deliveries: {', '.join(counts) or 'none'}")
    click.echo(f"Feeds and outbox: {out}")
    click.echo(f"Storyboard: {out / PAGE_FILE}")


_EXPECTED = frozenset({Kind.RELEASED, Kind.SENT})


def _show_timeline(result: Rehearsal) -> None:
    """What did not go straight; a calm campaign needs no more than its calendar."""
    zone = result.campaigns[0].event.zone
    for happening in result.timeline:
        if happening.kind not in _EXPECTED:
            what = "/".join(filter(None, (happening.entry, happening.channel))) or "the process"
            at = happening.at.astimezone(zone)
            click.echo(f"{at:%a %d %b %H:%M:%S}  {what}: {happening.text}")
