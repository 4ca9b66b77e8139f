"""A campaign whose feeds are served over HTTP; and readers written by others, where they are installed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from pipeline.clock import SystemClock, VirtualClock
from pipeline.serve import Address, Watch, serving
from pipeline.tick import Pipeline
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
REAL = Path(__file__).parents[3] / ".real"


class Publisher:
    """A campaign of three days, at which a test arrives one by one; its feeds are served by ourselves."""

    def __init__(self, project: Project, clock: VirtualClock, pipeline: Pipeline, address: str) -> None:
        self.project = project
        self.clock = clock
        self.pipeline = pipeline
        self.address = address
        self._days = 0

    def url(self, name: str) -> str:
        return f"{self.address}lille/{name}"

    def unchanged(self) -> int:
        """How many requests have been answered with 304, as the server itself counts them."""
        text = requests.get(f"{self.address}metrics", timeout=10).text
        return sum(
            map(
                int,
                map(float, re.findall(r'^pipeline_http_requests.*status="304".* (\S+)$', text, re.MULTILINE)),
            )
        )

    def release(self) -> None:
        """The next day comes, and with it the next entry."""
        self.clock.sleep_until(DUE + timedelta(days=self._days))
        self._days += 1
        assert len(self.pipeline.tick().released) == 1

    def edit(self, entry: str, title: str) -> None:
        """An hour later somebody has changed the entry."""
        self.clock.advance(timedelta(hours=1))
        self.project.entry(entry, title=title, body="Un **tout autre** texte.\n")
        self.pipeline.tick()


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    project = Project(tmp_path / "project", DUE)
    for entry in "abc":
        project.entry(entry, tags=["zéro déchet"], lang="fr")
    clock = VirtualClock(DUE - timedelta(hours=1))
    watch = Watch(SystemClock(), lambda: None, daemon=False)
    with serving(project.public, Address("127.0.0.1", 0), watch) as server:
        address = server.url.rstrip("/") + "/"
        project.campaign("a", "b", "c", public_url=address)
        with project.open(clock) as pipeline:
            pipeline.tick()
            yield Publisher(project, clock, pipeline, address)


@pytest.fixture
def tool() -> Callable[[str], str]:
    """The path of a program, if it is installed; else the test is skipped."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed (Debian: apt-get install newsboat rss2email nodejs npm)")
        return found

    return find


@pytest.fixture
def made() -> Callable[[str], Path]:
    """What .ci/real/feeds.sh has made; else the test is skipped."""

    def find(name: str) -> Path:
        if not (REAL / name / ".made-from").exists():
            pytest.skip(f".real/{name} is not there: run .ci/real/feeds.sh")
        return REAL / name

    return find
