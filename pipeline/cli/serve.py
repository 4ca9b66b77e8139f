"""`pipeline serve`: `public/` over HTTP, where the daemon runs elsewhere or from cron."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import click

from pipeline import app
from pipeline.cli.options import project
from pipeline.settings import Settings

_TOLD = 10  # pages


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
            for page in _pages(settings.public):
                click.echo(f"  {server.url}{page}", err=True)
        server.wait()


def _pages(public: Path) -> list[str]:
    """What a browser may begin with, below the address: the campaigns' pages, since none stands above."""
    folders = sorted(page.parent.name for page in public.glob("*/index.html"))
    return [f"{quote(name)}/" for name in folders[:_TOLD]]
