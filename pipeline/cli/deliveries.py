"""`pipeline status`, and what a person decides: `resolve`, `retry`, `cancel`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from pipeline import app, decisions, report
from pipeline.cli.options import as_json, print_json, project
from pipeline.errors import EXIT_FINE, EXIT_WAITS
from pipeline.model import Delivery, State
from pipeline.problems import Problem, as_text
from pipeline.settings import Settings
from pipeline.tick import Pipeline

_delivery = click.argument("delivery", metavar="CAMPAIGN/ENTRY/CHANNEL")


@click.command("status")
@as_json
@project
def status_command(settings: Settings, quiet: bool, json_output: bool) -> None:
    """Show every delivery and its state, what waits for a person, and problems in the files."""
    with app.open_pipeline(settings, workers=0) as pipeline:
        document = _document(pipeline)
        if json_output:
            print_json(document)
        else:
            problems = pipeline.reader.read(pipeline.clock.now()).problems
            _show(document, [] if quiet else problems)
    sys.exit(EXIT_WAITS if document["waiting"] else EXIT_FINE)


def _document(pipeline: Pipeline) -> dict[str, Any]:
    deliveries = pipeline.ledger.deliveries()
    return {
        "deliveries": [report.delivery_row(delivery) for delivery in deliveries],
        "next": report.next_row(deliveries),
        "waiting": [_told(one) for one in pipeline.waiting()],
        "missed": [_told(one) for one in pipeline.missed()],
        "problems": [asdict(problem) for problem in pipeline.reader.read(pipeline.clock.now()).problems],
        "paused": [
            {"campaign": campaign, "channel": channel, "reason": reason}
            for (campaign, channel), reason in sorted(pipeline.ledger.paused().items())
        ],
        "pings": _pings(pipeline),
    }


def _pings(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Feeds whose hub, one that a campaign still has, could not be told of their last change."""
    hubs = {campaign.hub for campaign in pipeline.reader.read(pipeline.clock.now()).campaigns.values()}
    return [
        {
            "hub": ping.hub,
            "feed": ping.topic,
            "changed": report.iso(ping.changed),
            "attempts": ping.attempts,
            "next": report.iso(ping.not_before),
            "reason": ping.reason,
        }
        for ping in pipeline.ledger.failed_pings()
        if ping.hub in hubs
    ]


def _told(one: report.Waiting) -> dict[str, Any]:
    return {
        "id": str(one.delivery.key),
        "happened": one.happened,
        "known": one.known,
        "answers": list(one.answers),
    }


def _show(document: dict[str, Any], problems: Sequence[Problem]) -> None:
    from rich import box
    from rich.table import Table

    from pipeline.cli.tables import print_table

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("delivery", "day", "state", "url or reason"):
        table.add_column(heading, overflow="fold")
    for row in document["deliveries"]:
        told = row["url"] or row["remote_id"] or row["reason"] or ""
        table.add_row(row["id"], row["date"] or "", row["state"], told)
    if document["deliveries"]:
        print_table(table)
    else:
        click.echo("no deliveries yet: `pipeline tick` or `pipeline run` plans them")
    if document["next"]:
        click.echo(f"next: {document['next']['id']} at {document['next']['due']}")
    for one in document["paused"]:
        click.echo(f"paused: {one['campaign']}/{one['channel']}: {one['reason']}")
    for ping in document["pings"]:
        then = f"again at {ping['next']}" if ping["next"] else "given up until the feed changes again"
        click.echo(f"hub not told: {ping['feed']}: {ping['reason']} ({then})")
    for heading, ones in (
        ("waits for you", document["waiting"]),
        ("was missed, you may still act", document["missed"]),
    ):
        for one in ones:
            click.echo(f"\n{one['id']} {heading}: {one['happened']}\n  {one['known']}")
            for answer in one["answers"]:
                click.echo(f"  {answer}")
    if problems:
        click.echo("\nproblems in the files (the last good version goes on):", err=True)
        click.echo(as_text(problems), err=True)


@click.command("resolve")
@_delivery
@click.argument("answer", type=click.Choice(["posted", "not-posted"]))
@click.option("--url", help="Where the post is, when it was posted.")
@project
def resolve_command(settings: Settings, quiet: bool, delivery: str, answer: str, url: str | None) -> None:
    """Say whether a delivery whose outcome is unknown was posted. Only a person who looked may say so."""
    if url is not None and answer != "posted":
        raise click.UsageError("--url says where the post is: it goes with `posted` only.")
    with app.open_pipeline(settings, workers=0) as pipeline:
        moved = decisions.resolve(pipeline, delivery, posted=answer == "posted", url=url)
    _tell(moved, quiet=quiet)


@click.command("retry")
@_delivery
@project
def retry_command(settings: Settings, quiet: bool, delivery: str) -> None:
    """Send a held or missed delivery after all, from now on. The next tick sends it."""
    with app.open_pipeline(settings, workers=0) as pipeline:
        moved = decisions.retry(pipeline, delivery)
    _tell(moved, quiet=quiet)


@click.command("cancel")
@_delivery
@project
def cancel_command(settings: Settings, quiet: bool, delivery: str) -> None:
    """Give up a delivery that no network has: it never goes out on this channel."""
    with app.open_pipeline(settings, workers=0) as pipeline:
        moved = decisions.cancel(pipeline, delivery)
    _tell(moved, quiet=quiet)


def _tell(delivery: Delivery, *, quiet: bool) -> None:
    if quiet:
        return
    when = f", due {report.iso(delivery.due)}" if delivery.state is State.PLANNED else ""
    click.echo(f"{delivery.key} is now {delivery.state}{when}")
