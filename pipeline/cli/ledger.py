"""`pipeline ledger`: copies of what happened, for git, for another machine, for a bad day."""

from __future__ import annotations

import io
from pathlib import Path

import click

from pipeline import app, atomic
from pipeline.cli.options import print_utf8, project
from pipeline.errors import WrongUse
from pipeline.settings import Settings


@click.group("ledger")
def ledger_command() -> None:
    """Export, import, back up, check or adopt the ledger."""


@ledger_command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@project
def export_command(settings: Settings, quiet: bool, file: Path | None) -> None:
    """Write everything as JSON lines in a stable order, fit for git. Default: standard output."""
    with app.open_existing_ledger(settings) as ledger:
        text = io.StringIO()
        lines = ledger.export(text)
    if file is None:
        print_utf8(text.getvalue())
        return
    atomic.write(file, text.getvalue().encode())
    if not quiet:
        click.echo(f"{file}: {lines} lines")


@ledger_command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@project
def import_command(settings: Settings, quiet: bool, file: Path) -> None:
    """Read an export into an empty ledger, in place of a lost one.

    A ledger that holds anything is refused. What may have been sent since the export becomes unknown.
    """
    try:
        lines = app.import_ledger(settings, file)
    except UnicodeDecodeError as error:
        raise WrongUse(f"{file} is no export of a ledger: it is not UTF-8") from error
    if not quiet:
        click.echo(f"{lines} lines from {file}")


@ledger_command.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@project
def backup_command(settings: Settings, quiet: bool, file: Path) -> None:
    """Copy the ledger while it is in use: the copy is complete and consistent."""
    with app.open_existing_ledger(settings) as ledger:
        ledger.backup(file)
    if not quiet:
        click.echo(f"the backup is {file}")


@ledger_command.command("check")
@project
def check_command(settings: Settings, quiet: bool) -> None:
    """Look for damage in all of the ledger's file. Each opening looks for the coarsest only."""
    with app.open_existing_ledger(settings) as ledger:
        ledger.check()
    if not quiet:
        click.echo("the ledger is sound")


@ledger_command.command("adopt")
@project
def adopt_command(settings: Settings, quiet: bool) -> None:
    """Say that the ledger, or a new one in place of a lost one, is this project's.

    Nothing is deleted from it. After a loss, what was posted is forgotten: make sure nothing goes out twice.
    """
    app.adopt_ledger(settings)
    if not quiet:
        click.echo("from now on this is the project's ledger")
