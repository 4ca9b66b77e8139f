"""The `pipeline` command. One module per group of commands: parse, call, print, exit status.

A command's module is imported when the command is run, so that `--help` and `check` load no scheduler,
feed or HTTP library.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pipeline import __version__
from pipeline.errors import EXIT_BROKEN, PipelineError

# command → (module, what it does, for the list of commands)
COMMANDS = {
    "init": ("start", "make a new project, ready to rehearse"),
    "new": ("start", "make a new entry, as a draft"),
    "import": ("import_", "make drafts of the entries of a feed, or of a list of feeds"),
    "schema": ("start", "print the JSON Schema of entries or campaigns, for editors"),
    "check": ("check", "find everything that can be known before posting"),
    "plan": ("plan", "show the calendar, and what changed since it was last shown"),
    "preview": ("preview", "draw the storyboard: every day on every channel, as readers will see it"),
    "rehearse": ("rehearse", "play a whole campaign on a simulated clock"),
    "feeds": ("run", "write the feeds of what has been released"),
    "tick": ("run", "do what is due now, then exit"),
    "run": ("run", "the daemon: do what is due, when it is due"),
    "serve": ("serve", "serve public/ over HTTP, without the daemon"),
    "status": ("deliveries", "show every delivery, and what waits for a person"),
    "resolve": ("deliveries", "say whether an uncertain delivery was posted"),
    "retry": ("deliveries", "send a held or missed delivery after all"),
    "cancel": ("deliveries", "give up a delivery"),
    "amend": ("amend", "edit what was published of an entry, wherever that is possible"),
    "retract": ("amend", "delete what was published of an entry, and take it out of the feeds"),
    "connect": ("connect", "get credentials for a channel, test and keep them"),
    "doctor": ("doctor", "check the installation and every channel"),
    "ledger": ("ledger", "export, import, back up, check or adopt the ledger"),
}


EXIT_READER_LEFT = 141  # as shells have it: 128 and the number of the signal; never 1, which says "problems"


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """Whoever reads our output may close it early, as `head` does: what was to be done is done by then."""
    try:
        yield
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # What is left in the buffer has nowhere to go, and is not to be missed at the exit.
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        sys.exit(EXIT_READER_LEFT)


class _Lazy(click.Group):
    """Knows its commands by name and loads the one that is called."""

    def make_context(self, *words: Any, **more: Any) -> click.Context:
        with _reader_may_leave():
            return super().make_context(*words, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_leave():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pipeline.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pipeline")
def cli() -> None:
    """Release one project a day until an event: into feeds, and onto social networks, each exactly once."""


def _open_what_is_closed() -> None:
    """A standard stream that our caller has closed (`>&-`) leads nowhere, instead of being none at all."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - as long as we live
            setattr(sys, name, nowhere)


def main(arguments: list[str] | None = None) -> Any:
    """Run the command and exit with the status that interface and scripts rely on."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an old terminal must not stop a command
    try:
        return cli.main(args=arguments, prog_name="pipeline", standalone_mode=True)
    except PipelineError as error:
        click.echo(f"error: {error}", err=True)
        if error.hint:
            click.echo(f"    {error.hint}", err=True)
        sys.exit(error.exit_status)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {place}{error.strerror or error}", err=True)
        sys.exit(EXIT_BROKEN)
