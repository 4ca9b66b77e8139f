"""`pipeline amend` and `pipeline retract`: a change of mind, carried to everywhere an entry was published."""

from __future__ import annotations

import sys

import click

from pipeline import app
from pipeline.amending import Amender, Told
from pipeline.cli.options import as_json, print_json, project
from pipeline.errors import EXIT_BROKEN, EXIT_FINE
from pipeline.settings import Settings

_entry = click.argument("entry")


@click.command("amend")
@_entry
@as_json
@project
def amend_command(settings: Settings, quiet: bool, entry: str, json_output: bool) -> None:
    """Edit what was published of ENTRY into what its file says now: where that is possible, and in the feeds.

    Safe to repeat. Exit status 4 when something is left to do: run it again then.
    """
    with app.open_pipeline(settings, workers=0) as pipeline:
        told = Amender(pipeline).amend(entry)
        notices = pipeline.rewrite_feeds()
        behind = pipeline.releasing.behind
    _tell(told, notices, behind=behind, quiet=quiet, json_output=json_output)


@click.command("retract")
@_entry
@as_json
@project
def retract_command(settings: Settings, quiet: bool, entry: str, json_output: bool) -> None:
    """Delete what was published of ENTRY where that is possible, send no more, and take it out of the feeds.

    Safe to repeat. Exit status 4 when something is left to do: run it again then.
    """
    with app.open_pipeline(settings, workers=0) as pipeline:
        told = Amender(pipeline).retract(entry)
        notices = list(pipeline.rewrite_feeds())
        behind = pipeline.releasing.behind
        words = pipeline.reader.read(pipeline.clock.now()).entries.get(entry)
    if words is not None and not words.draft:
        notices.append(
            f"{words.path} still says `ready`: write `status: draft` there, so that nothing plans it."
        )
    _tell(told, notices, behind=behind, quiet=quiet, json_output=json_output)


def _tell(
    told: list[Told], notices: list[str] | tuple[str, ...], *, behind: bool, quiet: bool, json_output: bool
) -> None:
    if json_output:
        rows = [
            {
                "id": str(one.delivery.key),
                "state": str(one.delivery.state),
                "done": one.text,
                "again": one.again,
            }
            for one in told
        ]
        print_json({"deliveries": rows, "notices": list(notices)})
    elif not quiet:
        for one in told:
            click.echo(f"{one.delivery.key}: {one.text}")
        for notice in notices:
            click.echo(f"notice: {notice}")
    sys.exit(EXIT_BROKEN if behind or any(one.again for one in told) else EXIT_FINE)
