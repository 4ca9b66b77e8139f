"""`pipeline tick`, `run` and `feeds`: the commands that act."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime

import click

from pipeline import app, report
from pipeline.cli.options import as_json, print_json, project
from pipeline.cli.serve import Pages
from pipeline.errors import EXIT_BROKEN, EXIT_FINE, EXIT_PROBLEMS, EXIT_WAITS
from pipeline.model import Delivery
from pipeline.problems import as_text, has_errors
from pipeline.settings import Settings
from pipeline.tick import Pipeline, TickReport


@click.command("tick")
@as_json
@project
def tick_command(settings: Settings, quiet: bool, json_output: bool) -> None:
    """Do what is due now, then exit: for cron and CI. Safe to run as often as you like, and side by side."""
    with app.open_pipeline(settings) as pipeline:
        result = pipeline.tick()
        waits = pipeline.waiting()
        left = [one for one in map(pipeline.ledger.delivery, result.left) if one is not None]
        if json_output:
            print_json(_document(result, left, waits, pipeline))
        elif not quiet:
            _tell(result, left, waits)
        behind = pipeline.releasing.behind
    sys.exit(EXIT_BROKEN if behind else _status(result, waits=bool(waits)))


@click.command("run")
@click.option("--until-done", is_flag=True, help="Exit when no campaign has anything left to do.")
@click.option("--serve", "where", metavar="HOST:PORT", help="Serve public/ there as well, with /healthz.")
@project
def run_command(settings: Settings, quiet: bool, until_done: bool, where: str | None) -> None:
    """Run the daemon: every slot at its instant, files picked up as they change.

    SIGTERM, SIGHUP and Ctrl-C end it gently.
    """
    from pipeline.clock import SystemClock
    from pipeline.daemon import Daemon, run_lock, stopping_on_signals

    clock = SystemClock()
    with ExitStack() as stack:
        stack.enter_context(run_lock(settings.state, clock))
        pipeline = stack.enter_context(app.open_pipeline(settings, clock=clock))
        server = stack.enter_context(app.open_server(settings, where, pipeline)) if where else None
        pages = Pages(settings.public, server.url) if server and not quiet else None

        def ticked(now: datetime) -> None:
            if server:
                server.watch.ticked(now)
            if pages:
                pages.tell()  # a first look at the world writes them

        daemon = Daemon(pipeline, clock, ticked=ticked)
        with stopping_on_signals(daemon.stop):
            if not quiet:
                at = f", serving at {server.url}" if server else ""
                click.echo(f"running for {settings.root}{at}; stop with Ctrl-C", err=True)
            daemon.run(until_done=until_done)
        if pipeline.releasing.behind:
            sys.exit(EXIT_BROKEN)
        sys.exit(EXIT_WAITS if pipeline.waiting() else EXIT_FINE)


@click.command("feeds")
@project
def feeds_command(settings: Settings, quiet: bool) -> None:
    """Write the feeds of what has been released, with the entries as they read now. Nothing is sent."""
    with app.open_pipeline(settings, workers=0) as pipeline:
        notices = pipeline.rewrite_feeds()
        behind = pipeline.releasing.behind
    for notice in notices:
        click.echo(f"notice: {notice}", err=True)
    if behind:
        sys.exit(EXIT_BROKEN)
    if not quiet:
        click.echo(f"feeds are in {settings.public}")


def _document(
    result: TickReport, left: list[Delivery], waits: list[report.Waiting], pipeline: Pipeline
) -> dict[str, object]:
    return {
        "now": report.iso(result.now),
        "released": ["/".join(pair) for pair in result.released],
        "missed": [str(key) for key in result.missed],
        "sent": [str(key) for key in result.sent],
        "left": [{"id": str(one.key), "state": str(one.state), "reason": one.reason} for one in left],
        "waiting": [str(one.delivery.key) for one in waits],
        "problems": [asdict(problem) for problem in result.problems],
        "notices": list(result.notices),
        "next": report.iso(pipeline.next_wake(result.now)),
    }


def _tell(result: TickReport, left: list[Delivery], waits: list[report.Waiting]) -> None:
    for campaign, entry in result.released:
        click.echo(f"released {campaign}/{entry}")
    for key in result.sent:
        click.echo(f"published {key}")
    for one in left:
        click.echo(f"{one.state} {one.key}" + (f": {one.reason}" if one.reason else ""))
    for key in result.missed:
        click.echo(f"missed {key}")
    for notice in result.notices:
        click.echo(f"notice: {notice}", err=True)
    if result.problems:
        click.echo(as_text(result.problems), err=True)
    if not (result.released or result.sent or left or result.missed):
        click.echo("nothing was due")
    if waits:
        ones = "delivery waits" if len(waits) == 1 else "deliveries wait"
        click.echo(f"{len(waits)} {ones} for you: `pipeline status` says what to do", err=True)


def _status(result: TickReport, *, waits: bool) -> int:
    if waits:
        return EXIT_WAITS
    return EXIT_PROBLEMS if has_errors(result.problems) else EXIT_FINE
