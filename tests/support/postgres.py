"""A throw-away PostgreSQL cluster on a free loopback port, for tests that need a real server.

One cluster per test session (under pytest-xdist: per worker), and an empty database for every test. Nothing
outlives the session: the server is stopped and its folder removed. PostgreSQL refuses to run as root, so a
root session runs it as the system's `postgres` user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

SERVER_USER = "postgres"


class Missing(Exception):
    """This machine cannot run the server; the message says what it lacks."""


def binaries() -> Path:
    """The folder of the newest installed server. Raises Missing."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parent.parent.name)
    )
    if found:
        return found[-1].parent
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    raise Missing("PostgreSQL is not installed (no initdb in /usr/lib/postgresql/*/bin or on the PATH)")


class Cluster:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._numbers = count(1)
        self._clean: list[str] = []  # databases that are empty and in nobody's use

    def url(self, database: str) -> str:
        return f"postgresql://{SERVER_USER}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database; afterwards whoever is connected is cut off and it is emptied.

        Databases are used again: emptying one takes a tenth of the time of making one.
        """
        name = self._clean.pop() if self._clean else self._new()
        yield self.url(name)
        self._run(
            name,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "DROP SCHEMA IF EXISTS public CASCADE",
            "CREATE SCHEMA public",
        )
        self._clean.append(name)

    def _new(self) -> str:
        name = f"test_{next(self._numbers)}"
        self._run("postgres", f'CREATE DATABASE "{name}"')
        return name

    def _run(self, database: str, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@contextmanager
def running() -> Iterator[Cluster]:
    """Start a cluster, and stop it at the end. Raises Missing."""
    bin_folder = binaries()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    data = folder / "data"
    try:
        if os.geteuid() == 0:
            try:
                owner = pwd.getpwnam(SERVER_USER)
            except KeyError:
                raise Missing(f"running as root, and there is no user {SERVER_USER!r} to run it") from None
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        _call(bin_folder / "initdb", "-D", data, "-U", SERVER_USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        port = _start(bin_folder, folder, data)
        try:
            yield Cluster(port)
        finally:
            _call(bin_folder / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _start(bin_folder: Path, folder: Path, data: Path) -> int:
    """Start on a free port; again on another one when somebody took it in between."""
    for last in (False, False, True):
        port = _free_port()
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} "
            "-c fsync=off -c full_page_writes=off -c shared_buffers=16MB -c max_connections=60"
        )
        try:
            _call(bin_folder / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        except subprocess.CalledProcessError as error:
            if last:
                log = (folder / "log").read_text() if (folder / "log").exists() else error.stderr
                raise Missing(f"PostgreSQL did not start: {log}") from error
        else:
            return port
    raise AssertionError("unreachable")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _call(*command: str | Path) -> None:
    # The server inherits the output of pg_ctl: a pipe would never be closed, hence a file.
    with tempfile.TemporaryFile("w+") as output:
        user = SERVER_USER if os.geteuid() == 0 else None
        ended = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            user=user,
            group=user,
            extra_groups=[] if user else None,
            check=False,
        )
        if ended.returncode:
            output.seek(0)
            raise subprocess.CalledProcessError(ended.returncode, command, stderr=output.read())
