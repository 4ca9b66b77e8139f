"""`pipeline doctor`: is everything there that posting needs, and what will fail when?"""

from __future__ import annotations

import sys

import click

from pipeline import app
from pipeline.cli.options import as_json, print_json, project
from pipeline.settings import Settings


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Ask no network.")
@as_json
@project
def doctor_command(settings: Settings, quiet: bool, offline: bool, json_output: bool) -> None:
    """Check the installation, the ledger, and every channel: who we are there and what will fail when.

    Exit status: 0 all is well, 1 problems in content or schedules, 3 something waits for a person, 4
    something that posting needs does not work.
    """
    report = app.examine(settings, online=not offline)
    if json_output:
        print_json(report.document())
        sys.exit(report.exit_status)
    width = max(len(finding.area) for finding in report.findings)
    for finding in report.findings:
        if quiet and finding.grade == "fine":
            continue
        click.echo(f"{finding.grade:<8} {finding.area:<{width}}  {finding.message}")
        if finding.hint:
            click.echo(f"{'':<8} {'':<{width}}  {finding.hint}")
    sys.exit(report.exit_status)
