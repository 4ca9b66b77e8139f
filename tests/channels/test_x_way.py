"""X, the whole way: dispatcher, ledger and keep, with the service as it answers, loses and lags."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.app import open_pipeline
from pipeline.clock import VirtualClock
from pipeline.model import Delivery, State
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.x import XService
from pipeline.settings import Settings
from tests.support.bench_x import a_picture
from tests.support.projects import Project

MINUTE = timedelta(minutes=1)


class Way:
    """One entry with a picture, due in an hour, to be posted by the service's account."""

    def __init__(self, folder: Path, remote: XService, clock: VirtualClock) -> None:
        self.remote = remote
        self.clock = clock
        self.project = Project(folder, clock.now() + timedelta(hours=1))
        a_picture(folder)
        self.project.entry("a", image="o.png", image_alt="Une place")
        auth = "oauth2" if "CLIENT_ID" in remote.credentials else "oauth1"
        options = {"api": remote.url, "auth": auth, "timeout": "10s"}
        self.project.campaign("a", channels={"x": options})

    def run(self, minutes: int) -> list[State]:
        """The states of the one delivery, after its instant and after each minute, repeats left out."""
        states: list[State] = []
        settings = Settings(self.project.root, self.project.ledger)
        with open_pipeline(settings, clock=self.clock, workers=0) as pipeline:
            pipeline.tick()
            self.clock.advance(timedelta(hours=1))
            for _ in range(minutes):
                pipeline.tick()
                self.clock.advance(MINUTE)
                state = self.delivery().state
                if states[-1:] != [state]:
                    states.append(state)
        return states

    def delivery(self) -> Delivery:
        with open_pipeline(Settings(self.project.root, self.project.ledger), clock=self.clock) as pipeline:
            [delivery] = pipeline.ledger.deliveries()
        return delivery


@pytest.fixture(params=["oauth1", "oauth2"])
def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    clock = VirtualClock(datetime(2016, 4, 11, 7, tzinfo=UTC))
    with XService(clock.now, auth=request.param) as remote:
        for name, value in remote.credentials.items():
            monkeypatch.setenv(f"PIPELINE_X_{name}", value)
        yield Way(tmp_path / "project", remote, clock)


def losing_answers_to_posts(remote: XService, times: int) -> None:
    left = [faults.drop(accepted=True)] * times
    remote.faults.choose = lambda head: left.pop() if left and head.startswith("POST /2/tweets") else None


def test_a_lost_answer_is_read_back_and_there_is_one_post(way: Way):
    losing_answers_to_posts(way.remote, 1)
    assert way.run(10) == [State.UNKNOWN, State.PUBLISHED]
    [shown] = way.remote.shown()
    receipt = way.delivery().receipt
    assert receipt is not None
    assert (receipt.remote_id, shown.alts) == (shown.id, ("Une place",))
    assert way.remote.accepted == 1


def test_a_post_that_is_shown_long_after_settling_is_not_made_twice_and_is_found_in_the_end(way: Way):
    way.remote.lag = 25 * MINUTE
    losing_answers_to_posts(way.remote, 1)
    states = way.run(45)
    assert states[-1] is State.PUBLISHED
    tries = [seen for seen in way.remote.seen if seen.path == "/2/tweets"]
    assert len(tries) > 2, "absence was believed, and X refused the repeats"
    receipt = way.delivery().receipt
    assert receipt is not None
    assert [shown.id for shown in way.remote.shown()] == [receipt.remote_id]


def test_what_was_not_taken_goes_out_with_a_later_try(way: Way):
    left = [faults.drop(accepted=False)]
    way.remote.faults.choose = lambda head: left.pop() if left and head.startswith("POST /2/tweets") else None
    states = way.run(30)
    assert states[0] is State.UNKNOWN
    assert states[-1] is State.PUBLISHED
    assert way.remote.accepted == 1


def test_a_service_that_is_down_gets_it_when_it_is_back(way: Way):
    way.remote.refuse()
    assert way.run(2) == [State.PLANNED]
    assert way.delivery().reason
    way.remote.resume()
    assert way.run(1) == [State.PUBLISHED]
    assert way.remote.accepted == 1


def test_opening_the_channel_loads_no_library_that_speaks_or_counts_or_decodes():
    script = (
        "import sys; from pathlib import Path\n"
        "from pipeline.channels import open_channel\n"
        "from pipeline.model import ChannelConfig\n"
        "from tests.support.builders import make_campaign, surroundings\n"
        "open_channel(make_campaign(), ChannelConfig('x', 'x'), surroundings(Path()))\n"
        "heavy = {'tweepy', 'requests', 'urllib3', 'twitter_text', 'oauthlib', 'PIL'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=Path(__file__).parents[2])
