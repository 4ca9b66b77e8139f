"""Killed with -9 while a picture is on its way: nothing is posted, and the next start posts once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.clock import SystemClock, VirtualClock
from pipeline.model import ChannelConfig
from pipeline.rehearsal.standins import faults, stand_in
from pipeline.rehearsal.standins.base import StandIn
from tests.support.processes import wait_until
from tests.support.projects import PIXEL, Project

CLOCK = SystemClock()
ALT = "Un point."
FOREVER = timedelta(minutes=1)

Victims = Callable[..., int]


@dataclass(frozen=True)
class Case:
    """How a network takes pictures: the request, how many it has, and the options of its channel."""

    request: str
    stored: Callable[[StandIn], int]
    options: Mapping[str, str]


CASES = {
    "x": Case("POST /2/media/upload ", lambda server: len(server.pictures), {}),
    "mastodon": Case(
        "POST /api/v2/media ", lambda server: len(server.media), {"instance": "https://mastodon.invalid"}
    ),
    "bluesky": Case(
        "POST /xrpc/com.atproto.repo.uploadBlob ",
        lambda server: len(server.blobs),
        {"handle": "alice.test"},
    ),
    "facebook": Case(
        "POST /v26.0/104500000000001/photos ", lambda server: len(server.photos), {"page": "104500000000001"}
    ),
}
# Requests that come after the upload and before the post: the picture is described, or being processed.
LATER = {"x": "POST /2/media/metadata ", "mastodon": "GET /api/v1/media/"}


def a_project(root: Path, network: str, server: StandIn, *, timeout: str = "10s") -> Project:
    """Its slot was due ten minutes ago, and the ledger knew of it before that."""
    project = Project(root, CLOCK.now() - timedelta(minutes=10))
    project.write("content/a.png", PIXEL)
    project.entry("a", image="a.png", image_alt=ALT)
    given = [f"PIPELINE_{network.upper()}_{name}={value}\n" for name, value in server.credentials.items()]
    project.write(".env", "".join(given))
    channel = {**CASES[network].options, "api": server.url, "timeout": timeout}
    project.campaign("a", channels={network: channel})
    with project.open(VirtualClock(project.due - timedelta(minutes=1))) as pipeline:
        pipeline.tick()
    assert project.states() == {f"lille/a/{network}": "planned"}
    return project


def kill_when(happened: Callable[[], object], root: Path) -> threading.Thread:
    """Ends the watched process as soon as that has happened."""

    def watch() -> None:
        wait_until(lambda: (root / "held").exists() and happened(), "the request")
        os.kill(int((root / "held").read_text()), signal.SIGKILL)

    watcher = threading.Thread(target=watch)
    watcher.start()
    return watcher


def hold(server: StandIn, request: str, fault: faults.Fault) -> None:
    """Let the first such request meet the fault, and no other."""
    server.faults.choose = lambda head: fault if head.startswith(request) and not server.faults.met else None


def dies_then_posts_once(
    project: Project, victims: Victims, network: str, server: StandIn, happened: Callable[[], object]
) -> None:
    """The process is killed when that has happened; another one finishes what it began."""
    watcher = kill_when(happened, project.root)
    assert victims(project, "tick", "watched") == -signal.SIGKILL
    watcher.join()
    assert server.shown() == ()
    assert project.states() == {f"lille/a/{network}": "planned"}, (
        "nothing was claimed, so nothing is uncertain"
    )
    assert victims(project, "tick") == 0
    assert project.states() == {f"lille/a/{network}": "published"}
    assert [post.alts for post in server.shown()] == [(ALT,)]
    assert victims(project, "tick") == 0
    assert server.accepted == len(server.shown()) == 1


def in_the_suite(networks: Iterable[str], one: str) -> list[object]:
    """`one` of the networks; the others are a proof."""
    return [name if name == one else pytest.param(name, marks=pytest.mark.long) for name in networks]


@pytest.mark.parametrize("network", in_the_suite(CASES, "x"))
@pytest.mark.parametrize("stored", [False, True], ids=["before it is stored", "after it was stored"])
def test_a_process_killed_while_it_uploads_a_picture_is_followed_by_one_post(
    tmp_path: Path, victims: Victims, network: str, stored: bool
):
    case = CASES[network]
    with stand_in(ChannelConfig(network, network, options=case.options), CLOCK.now) as server:
        project = a_project(tmp_path, network, server)
        hold(server, case.request, faults.slow(FOREVER, accepted=stored))
        dies_then_posts_once(
            project,
            victims,
            network,
            server,
            lambda: case.stored(server) if stored else server.faults.met and not case.stored(server),
        )


@pytest.mark.parametrize("network", in_the_suite(LATER, "mastodon"))
def test_a_process_killed_while_its_picture_is_made_ready_is_followed_by_one_post(
    tmp_path: Path, victims: Victims, network: str
):
    case = CASES[network]
    with stand_in(ChannelConfig(network, network, options=case.options), CLOCK.now) as server:
        project = a_project(tmp_path, network, server)
        hold(server, LATER[network], faults.slow(FOREVER, accepted=False))
        dies_then_posts_once(project, victims, network, server, lambda: server.faults.met)
        assert case.stored(server) == 2, "the first picture is never shown, the second one is"


def test_a_process_killed_before_it_noted_that_a_picture_was_refused_is_followed_by_one_post(
    tmp_path: Path, victims: Victims
):
    """What it claimed was never prepared, so it cannot be repeated as it is: the posts there decide."""
    clock = VirtualClock(CLOCK.now())
    with stand_in(ChannelConfig("mastodon", "mastodon"), clock.now) as server:
        project = a_project(tmp_path, "mastodon", server, timeout="60s")
        hold(server, CASES["mastodon"].request, faults.status(500, accepted=False))
        assert victims(project, "tick", "after claim", clock.now()) == -signal.SIGKILL
        assert project.states() == {"lille/a/mastodon": "sending"}
        clock.advance(timedelta(seconds=90))  # the lease is over, and the time to settle is not
        assert victims(project, "tick", "", clock.now()) == 0
        assert project.states() == {"lille/a/mastodon": "unknown"}
        for _ in range(3):
            clock.advance(timedelta(seconds=90))
            assert victims(project, "tick", "", clock.now()) == 0
        assert project.states() == {"lille/a/mastodon": "published"}
        assert [post.alts for post in server.shown()] == [(ALT,)]
