"""What goes wrong in a rehearsal: it ends well, it can be played again, and a project can write its own."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline import app
from pipeline.accounts import Account
from pipeline.errors import WrongUse
from pipeline.model import Delivery, DeliveryKey, Rendition, State
from pipeline.rehearsal import PROFILES, Kind, Rehearsal
from pipeline.rehearsal.profiles import WHAT, load
from pipeline.rehearsal.run import tally
from pipeline.settings import Settings
from tests.support.builders import utc
from tests.support.projects import Project

DUE = utc(2016, 4, 11, 10)
ENTRIES = ("a", "b", "c", "d")
CHANNELS = {
    "outbox": {},
    "presse": {"network": "webhook", "url": "https://presse.invalid/"},
    "mairie": {"network": "webhook", "url": "https://mairie.invalid/"},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("project"), DUE)
    for entry in ENTRIES:
        project.entry(entry)
    project.zone = "Europe/Paris"
    project.campaign(*ENTRIES, channels=CHANNELS)
    return project


def play(project: Project, out: Path, faults: str = "calm", seed: int = 7) -> Rehearsal:
    return app.rehearse_project(Settings(project.root, project.ledger), out, faults=faults, seed=seed)


def kinds(played: Rehearsal) -> Counter[Kind]:
    return Counter(happening.kind for happening in played.timeline)


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_ends_with_nothing_twice_and_nothing_lost(
    project: Project, tmp_path: Path, profile: str
):
    played = play(project, tmp_path, profile)
    assert played.kept
    assert {delivery.state for delivery in played.deliveries} == {State.PUBLISHED}
    for one in played.tallies:
        assert (one.published, one.seen, one.waiting, one.missed) == (len(ENTRIES), len(ENTRIES), 0, 0)
    assert len(played.releases) == len(ENTRIES)


def test_each_profile_plays_what_it_says(project: Project, tmp_path: Path):
    found = {name: kinds(play(project, tmp_path / name, name)) for name in PROFILES}
    assert set(found["calm"]) == {Kind.RELEASED, Kind.SENT}
    assert found["rush-hour"][Kind.RETRIED]
    assert found["bad-network"][Kind.UNCERTAIN]
    assert found["token-expires"][Kind.ASKED] == found["token-expires"][Kind.ANSWERED] == 2
    assert found["outage-day"][Kind.RETRIED]
    assert found["outage-day"][Kind.ANSWERED]
    assert found["crashes"][Kind.KILLED]


@pytest.mark.parametrize("profile", ["bad-network", "crashes"])
def test_the_same_seed_plays_the_same_and_another_does_not(project: Project, tmp_path: Path, profile: str):
    first, again, other = (play(project, tmp_path, profile, seed) for seed in (7, 7, 8))
    assert first.timeline == again.timeline
    assert first.timeline != other.timeline


def test_no_address_of_this_one_run_is_told(project: Project, tmp_path: Path):
    played = play(project, tmp_path, "bad-network")
    assert any("webhook.rehearsal.invalid" in happening.text for happening in played.timeline)
    assert not [happening for happening in played.timeline if "127.0.0.1" in happening.text]


def test_the_clocks_change_in_the_middle_and_the_wall_time_stays(project: Project, tmp_path: Path):
    played = play(project, tmp_path, "dst")
    zone = played.campaigns[0].event.zone
    offsets = [delivery.due.astimezone(zone).utcoffset() for delivery in played.deliveries]
    assert len(set(offsets)) == 2
    assert len({delivery.due.astimezone(zone).time() for delivery in played.deliveries}) == 1
    assert min(delivery.date for delivery in played.deliveries) > date(2016, 10, 1)


def test_a_zone_whose_clocks_never_change_cannot_play_that(tmp_path: Path):
    project = Project(tmp_path, DUE)
    project.entry("a")
    project.campaign("a")
    with pytest.raises(WrongUse, match="clocks never change"):
        play(project, tmp_path / "out", "dst")


def test_a_profile_of_ones_own_strikes_the_channels_days_and_hours_it_names(project: Project, tmp_path: Path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "troubles:\n  - {what: [busy], channels: [presse], days: [2], between: ['12:00', '12:01']}\n"
        "  - {what: [answer lost], channels: [mairie], days: [2016-04-13]}\n"
    )
    played = play(project, tmp_path / "out", str(own))
    retried = [one for one in played.timeline if one.kind is Kind.RETRIED and one.channel == "presse"]
    assert {(one.entry, one.at - DUE) for one in retried} == {("b", timedelta(days=1))}
    uncertain = [one for one in played.timeline if one.kind is Kind.UNCERTAIN]
    assert {(one.entry, one.channel) for one in uncertain} == {("c", "mairie")}
    assert played.kept


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("troubles: [{what: [bussy]}]", "did you mean `busy`"),
        ("troubles: [{what: []}]", "troubles.1.what"),
        ("troubles: [{what: [busy], share: 2}]", "troubles.1.share"),
        ("troubles: [{what: [busy], day: [1]}]", "troubles.1.day"),
        ("crashes: often", "crashes"),
        ("- busy", "valid dictionary"),
        ("a: [", "is not YAML"),
        ("\x00", "is not YAML"),
    ],
)
def test_a_broken_profile_is_told_with_its_place(tmp_path: Path, text: str, told: str):
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(WrongUse) as raised:
        load(str(own))
    assert told in str(raised.value)
    assert str(own) in str(raised.value)


def test_an_unknown_profile_is_told_with_those_there_are(tmp_path: Path):
    with pytest.raises(WrongUse) as raised:
        load("rushhour")
    assert "rush-hour" in str(raised.value.hint)
    with pytest.raises(WrongUse, match="cannot be read"):
        load(str(tmp_path / "nothing.yaml"))


def test_an_empty_profile_is_calm(tmp_path: Path):
    own = tmp_path / "own.yaml"
    own.write_text("")
    assert load(str(own)) == load("calm")


# --------------------------------------------------------------------------- the count


def delivery(entry: str, state: State) -> Delivery:
    key = DeliveryKey("lille", entry, "x")
    return Delivery(key, "x", state, DUE.date(), DUE, DUE, rendition=Rendition(entry, b"", f"text {entry}"))


def test_what_is_there_twice_and_what_is_nowhere_is_counted():
    ours = [delivery("a", State.PUBLISHED), delivery("b", State.PUBLISHED), delivery("c", State.UNKNOWN)]
    found = tally(Account("x", "x"), ours, ["text a", "text a", "text c", "a stranger's"])
    assert (found.published, found.seen, found.twice, found.lost, found.waiting) == (2, 4, 2, 1, 1)
    calm = tally(Account("x", "x"), ours, ["text a", "text b", "text c"])
    assert (calm.twice, calm.lost) == (0, 0)


def test_every_word_and_profile_is_in_the_documentation():
    page = (Path(__file__).parents[2] / "docs/REHEARSAL.md").read_text()
    for name, known in PROFILES.items():
        assert f"| `{name}` | {known.summary} |" in page
    for word in WHAT:
        assert f"| `{word}` | " in page
