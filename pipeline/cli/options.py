"""Options every command shares, and what they become."""

from __future__ import annotations

import functools
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline import settings

F = TypeVar("F", bound=Callable[..., Any])


def project(command: F) -> F:
    """`--root`, `--ledger`, `--quiet`, `--verbose`: the command gets `settings` in their place."""

    @_shared
    @functools.wraps(command)
    def wrapped(root: Path | None, ledger_url: str | None, quiet: bool, verbose: bool, **rest: Any) -> Any:
        level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
        _log_to_stderr(level)
        return command(settings=settings.load(root, ledger_url), quiet=quiet, **rest)

    return wrapped  # type: ignore[return-value]


def anywhere(command: F) -> F:
    """The same options for a command that needs no project: it gets `root` (None: here) and `quiet`."""

    @_shared
    @functools.wraps(command)
    def wrapped(root: Path | None, quiet: bool, ledger_url: str | None, verbose: bool, **rest: Any) -> Any:
        del ledger_url, verbose  # given by scripts that give them to every command
        return command(root=root, quiet=quiet, **rest)

    return wrapped  # type: ignore[return-value]


def _shared(command: F) -> F:
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Tell every step on standard error."),
        click.option("-q", "--quiet", is_flag=True, help="Print results only."),
        click.option(
            "--ledger",
            "ledger_url",
            help="The ledger's URL. Default: PIPELINE_LEDGER, or sqlite:///state/ledger.db.",
        ),
        click.option(
            "--root",
            type=click.Path(path_type=Path),
            help="The project's folder. Default: here, or the nearest one above.",
        ),
    ):
        command = option(command)
    return command


def as_json(command: F) -> F:
    """`--json`: the command gets `json_output`."""
    return click.option("--json", "json_output", is_flag=True, help="Print JSON for scripts.")(command)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    print_utf8(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def print_utf8(text: str) -> None:
    """Text for programs, on standard output: in UTF-8 wherever it is read, whatever the terminal speaks."""
    click.echo(text.encode(errors="backslashreplace"), nl=False)


def _log_to_stderr(level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    root = logging.getLogger("pipeline")
    root.handlers[:] = [handler]
    root.setLevel(level)
