"""`pipeline check`: everything that can be known before posting. Nothing is posted.

With `--online` the networks are asked too; what their servers say of their limits is kept for later.
"""

from __future__ import annotations

import sys

import click

from pipeline import app
from pipeline.cli.options import as_json, print_utf8, project
from pipeline.errors import EXIT_FINE, EXIT_PROBLEMS
from pipeline.problems import Severity, as_annotations, as_text, has_errors
from pipeline.problems import as_json as problems_as_json
from pipeline.settings import Settings


@click.command("check")
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True
)
@click.option("--online", is_flag=True, help="Also ask each network who we are there, and what will fail.")
@as_json
@project
def check_command(settings: Settings, quiet: bool, form: str, online: bool, json_output: bool) -> None:
    """Find every problem in content and schedules, with its file, line and column."""
    with app.open_review(settings) as review:
        problems = review.problems(pictures=True)
        if online:
            problems = sorted({*problems, *app.online_problems(settings, review)})
    if json_output or form == "json":
        print_utf8(problems_as_json(problems) + "\n")
    elif form == "github":
        print_utf8(as_annotations(problems) + "\n" * bool(problems))
    else:
        if problems:
            click.echo(as_text(problems))
        if not quiet:
            errors = sum(problem.severity is Severity.ERROR for problem in problems)
            counts = f"{_count(errors, 'error')}, {_count(len(problems) - errors, 'warning')}"
            entries = _count(len(review.entries), "entry", "entries")
            click.echo(f"{entries}, {_count(len(review.campaigns), 'campaign')}: {counts}", err=True)
    sys.exit(EXIT_PROBLEMS if has_errors(problems) else EXIT_FINE)


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
