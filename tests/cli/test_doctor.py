"""`doctor` and `check --online` as they are typed: what is printed, and the exit status."""

from __future__ import annotations

import json

import pytest

from pipeline.rehearsal.standins.mastodon import MastodonServer
from tests.cli.commands import Project, held, run, spawn, unknown
from tests.connecting.scene import Scene, now


@pytest.fixture
def remote():
    with MastodonServer(now) as remote:
        yield remote


@pytest.fixture
def scene(tmp_path, remote):
    scene = Scene(tmp_path, "mastodon", remote)
    scene.write_dotenv(PIPELINE_MASTODON_ACCESS_TOKEN=remote.credentials["ACCESS_TOKEN"])
    return scene


def test_a_sound_project(scene, remote):
    ran = spawn("doctor", folder=scene.root)
    lines = ran.out.splitlines()
    assert {line.split()[0] for line in lines} == {"fine"}
    assert [line for line in lines if "channel lille/mastodon" in line and "@" in line]
    assert remote.credentials["ACCESS_TOKEN"] not in ran.out + ran.err
    assert run("doctor", "-q", "--root", scene.root).out == ""


def test_what_is_wrong_comes_with_what_to_do(scene, remote):
    remote.revoked = True
    ran = run("doctor", "-q", "--root", scene.root, status=4)
    first, second = ran.out.splitlines()
    assert first.startswith("broken   channel lille/mastodon ")
    assert second.strip().startswith("Run `pipeline connect mastodon`.")


def test_for_scripts(scene, remote):
    document = run("doctor", "--json", "--root", scene.root).json()
    assert document["status"] == 0
    (row,) = document["channels"]
    assert row["account"].startswith("@")
    assert row["credentials"] == {"PIPELINE_MASTODON_ACCESS_TOKEN": ".env"}
    assert {finding["grade"] for finding in document["findings"]} == {"fine"}
    assert remote.credentials["ACCESS_TOKEN"] not in json.dumps(document)


def test_offline_asks_no_network(scene, remote):
    assert run("doctor", "--offline", "--root", scene.root).out
    assert remote.seen == []


def test_what_waits_and_what_is_wrong_in_the_files(project: Project):
    with project.ledger() as ledger:
        held(ledger)
    project.write_entry("p1").write_text("broken")
    ran = project.run("doctor --offline", status=3)
    assert "waits    deliveries" in ran.out
    assert "problem  files" in ran.out


def test_an_uncertain_delivery_that_settles_itself_is_no_cause_for_alarm(project: Project):
    with project.ledger() as ledger:
        unknown(ledger)
    assert project.run("doctor --offline").status == 0


def test_a_ledger_that_is_none(project: Project):
    (project.root / "state").mkdir()
    (project.root / "state/ledger.db").write_bytes(b"this is no database, and never was one" * 100)
    ran = project.run("doctor", status=4)
    assert "broken   ledger" in ran.out
    assert "Put a backup in its place" in ran.out


def test_check_online_finds_what_only_the_network_knows(scene, remote):
    assert run("check", "--online", "--root", scene.root).out == ""
    remote.revoked = True
    assert run("check", "--root", scene.root).out == ""
    ran = run("check", "--online", "--root", scene.root, status=1)
    assert "schedules/lille.yaml:" in ran.out
    assert "E502 the channel `mastodon` (mastodon): " in ran.out
    (problem,) = run("check", "--online", "--json", "--root", scene.root, status=1).json()["problems"]
    assert problem["code"] == "E502"
    line = (scene.root / problem["path"]).read_text().splitlines()[problem["line"] - 1]
    assert line[problem["column"] - 1 :].startswith(("mastodon", '"mastodon"'))
