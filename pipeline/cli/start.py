"""`pipeline init`, `new` and `schema`: the commands that come before everything else."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from pipeline.cli.options import anywhere, print_json, project
from pipeline.settings import Settings

_NEXT = (
    "  pipeline rehearse       watch the campaign on a simulated clock",
    '  pipeline new "A title"  add an entry; content/README.md explains its keys',
    "  pipeline check          find every mistake",
)


_NEXT_GITHUB = (
    "  .github/requirements.txt    say where the workflows get the pipeline from",
    "  .github/workflows/tick.yml  name your channels' secrets, then run it once with `--begin`",
)


@click.command("init")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@click.option("--github", is_flag=True, help="Also add workflows that review pull requests and post.")
@anywhere
def init_command(folder: Path, github: bool, root: Path | None, quiet: bool) -> None:
    """Make a project in DIR (default: --root, or here): an example entry and campaign.

    Nothing there is overwritten.
    """
    from pipeline import scaffold
    from pipeline.clock import SystemClock

    folder = (root or Path()) / folder
    done = scaffold.new_project(folder, SystemClock().now())
    workflows = scaffold.add_workflows(folder) if github else None
    for path in (*done.made, *(workflows.made if workflows else ())):
        click.echo(f"made {folder / path}")
    for path in (*done.left, *(workflows.left if workflows else ())):
        click.echo(f"left as it is: {folder / path}")
    if done.begun:
        click.echo("There are entries or campaigns already: no example was added.")
    if done.not_ignored:
        click.echo(f"warning: add to {folder / '.gitignore'}: {', '.join(done.not_ignored)}", err=True)
    if not quiet:
        here = folder.resolve() == Path.cwd()
        first = [] if here else [f"  cd {shlex.quote(str(folder))}"]
        click.echo("\n".join(["", "Next:", *first, *_NEXT, *(_NEXT_GITHUB if github else ())]))


@click.command("new")
@click.argument("title")
@project
def new_command(settings: Settings, quiet: bool, title: str) -> None:
    """Make a draft of that title in content/ and print its path."""
    from pipeline import scaffold

    path = scaffold.new_entry(settings.root, title)
    click.echo(_from_here(settings.root / path))
    if not quiet:
        click.echo("It is a draft: delete its line `status: draft` when it may go out.", err=True)


@click.command("schema")
@click.argument("kind", type=click.Choice(["entry", "campaign"]), default="entry")
@anywhere
def schema_command(kind: str, **_: Any) -> None:
    """Print the JSON Schema of an entry's front matter or of a campaign's file, for completion in editors."""
    from pipeline import editor_schema

    print_json(editor_schema.entry() if kind == "entry" else editor_schema.campaign())


def _from_here(path: Path) -> str:
    """The path as it is typed in this folder, or in full when it is elsewhere."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
