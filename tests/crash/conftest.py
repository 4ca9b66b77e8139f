"""What the crash suite shares: processes that are there to be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.support import processes
from tests.support.projects import Project


@pytest.fixture(scope="module")
def victims() -> Iterator[Callable[..., int]]:
    """Carries a command out in a process of its own; its exit status."""
    command = [sys.executable, str(Path(__file__).with_name("victim.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=processes.environment()
    ) as server:
        assert server.stdin
        assert server.stdout

        def carry_out(
            project: Project, command: str, point: str = "", instant: datetime | None = None
        ) -> int:
            words = [
                str(project.root),
                project.ledger,
                command,
                point,
                instant.isoformat() if instant else "",
            ]
            print(json.dumps(words), file=server.stdin, flush=True)
            return int(server.stdout.readline())

        yield carry_out
        server.stdin.close()
