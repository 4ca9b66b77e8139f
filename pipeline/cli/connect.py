"""`pipeline connect`: get credentials for a channel, test them, write them to `.env`."""

from __future__ import annotations

import sys

import click

from pipeline import app
from pipeline.cli.options import project
from pipeline.errors import WrongUse
from pipeline.settings import Settings

EXIT_INTERRUPTED = 130  # as shells have it: 128 and the number of the signal


class Terminal:
    """Whoever is at standard input: a person at a terminal, or the lines of a script.

    Questions and texts go to standard error, so that nothing but results is on standard output.
    """

    @property
    def present(self) -> bool:
        """Whether standard input is a terminal."""
        return sys.stdin.isatty()

    def tell(self, text: str) -> None:
        """Show a text."""
        click.echo(text, err=True)

    def ask(self, question: str, *, hidden: bool) -> str:
        """One line; at a terminal, a hidden one is not shown. Raises WrongUse at the end of the input."""
        if self.present:
            answer = click.prompt(question, default="", show_default=False, hide_input=hidden, err=True)
            return str(answer).strip()
        line = sys.stdin.readline()
        if not line:
            raise WrongUse(
                f"standard input ends before the answer to “{question}”",
                hint="Nothing was changed. A script gives one answer a line, an empty one for “nothing”.",
            )
        return line.strip()

    def agrees(self, question: str, *, default: bool = True) -> bool:
        """Yes or no, at a terminal; a script means yes."""
        return not self.present or click.confirm(question, default=default, err=True)


@click.command("connect")
@click.argument("channel")
@click.option("--campaign", help="The campaign that has the channel, when several lead to different places.")
@project
def connect_command(settings: Settings, quiet: bool, channel: str, campaign: str | None) -> None:
    """Get credentials for CHANNEL step by step, test them, and write them to .env.

    CHANNEL is a channel's id in a campaign, or a network when only one channel is on it. What fails the test
    is not written, and Ctrl-C leaves everything as it was.
    """
    try:
        identity = app.connect_channel(settings, channel, campaign, Terminal())
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nnothing was changed", err=True)
        sys.exit(EXIT_INTERRUPTED)
    if identity is not None and not quiet:
        click.echo(f"connected: {identity.account}")
