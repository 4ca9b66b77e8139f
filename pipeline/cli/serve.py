"""`pipeline serve`: `public/` over HTTP, where the daemon runs elsewhere or from cron."""

from __future__ import annotations

import click

from pipeline import app
from pipeline.cli.options import project
from pipeline.settings import Settings


@click.command("serve")
@click.argument("where", metavar="HOST:PORT")
@project
def serve_command(settings: Settings, quiet: bool, where: str) -> None:
    """Serve public/ at HOST:PORT until SIGTERM or Ctrl-C. Nothing is sent or written.

    /healthz says whether the ledger can be read, /metrics is for Prometheus.
    """
    from pipeline.serve import signals_held

    with signals_held(), app.open_server(settings, where) as server:
        if not quiet:
            click.echo(f"serving {settings.public} at {server.url}; stop with Ctrl-C", err=True)
        server.wait()
