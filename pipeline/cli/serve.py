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
            Pages(settings.public, server.url).tell()
        server.wait()


class Pages:
    """What a browser may begin with: the campaigns' pages, since none stands above. Each is named once."""

    def __init__(self, public: Path, url: str) -> None:
        """`url` is that of `public`, with a slash at the end."""
        self._public = public
        self._url = url
        self._told: set[str] = set()

    def tell(self) -> None:
        """Name the pages that are there and were not named yet, on standard error; ten in all."""
        folders = {page.parent.name for page in self._public.glob("*/index.html")}
        for name in sorted(folders - self._told)[: _TOLD - len(self._told)]:
            self._told.add(name)
            click.echo(f"  {self._url}{quote(name)}/", err=True)
