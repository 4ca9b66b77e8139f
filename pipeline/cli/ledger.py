"""`pipeline ledger`: copies of what happened, for git, for another machine, for a bad day."""

from __future__ import annotations

import io
from pathlib import Path

import click

from pipeline import app, atomic
from pipeline.cli.options import project
from pipeline.errors import WrongUse
from pipeline.settings import Settings


@click.group("ledger")
def ledger_command() -> None:
    """Export, import or back up the ledger."""


@ledger_command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@project
def export_command(settings: Settings, quiet: bool, file: Path | None) -> None:
    """Write everything as JSON lines in a stable order, fit for git. Default: standard output."""
    with app.open_existing_ledger(settings) as ledger:
        text = io.StringIO()
        lines = ledger.export(text)
    if file is None:
        click.echo(text.getvalue(), nl=False)
        return
    atomic.write(file, text.getvalue().encode())
    if not quiet:
        click.echo(f"{file}: {lines} lines")


@ledger_command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@project
def import_command(settings: Settings, quiet: bool, file: Path) -> None:
    """Read an export into an empty ledger. A ledger that holds anything is refused."""
    try:
        with app.open_any_ledger(settings) as ledger, file.open(encoding="utf-8") as stream:
            lines = ledger.import_(stream)
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
