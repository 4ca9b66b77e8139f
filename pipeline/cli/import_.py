"""`pipeline import`: an editor with a blog starts in a minute."""

from __future__ import annotations

import sys
from typing import Any

import click

from pipeline.cli.options import as_json, print_json, project
from pipeline.settings import Settings


@click.command("import")
@click.argument("source", metavar="FEED-OR-OPML")
@click.option("--into", metavar="content/FOLDER", help="Where the drafts go. Default: content/ itself.")
@as_json
@project
def import_command(settings: Settings, quiet: bool, source: str, into: str | None, json_output: bool) -> None:
    """Make a draft of every entry of a feed: RSS, Atom, JSON Feed, a page that has one, or an OPML list.

    Give a URL or a file. Pictures come along. What was imported before is left as it is.
    """
    from pipeline.importing import Imported, import_feed

    result: Imported = import_feed(settings.root, source, into)
    if json_output:
        print_json(_document(result))
    else:
        _show(result, quiet=quiet)
    for error in result.failed:
        click.echo(f"error: {error}", err=True)
        if error.hint:
            click.echo(f"    {error.hint}", err=True)
    sys.exit(max((error.exit_status for error in result.failed), default=0))


def _document(result: Any) -> dict[str, object]:
    return {
        "made": list(result.made),
        "known": result.known,
        "notices": list(result.notices),
        "failed": [str(error) for error in result.failed],
    }


def _show(result: Any, *, quiet: bool) -> None:
    for path in result.made:
        click.echo(f"made {path}")
    for notice in result.notices:
        click.echo(f"notice: {notice}", err=True)
    if quiet:
        return
    click.echo(f"{len(result.made)} drafts made, {result.known} were imported before")
    if result.made:
        click.echo("Look through them: delete the line `status: draft` of those that may go out.", err=True)
