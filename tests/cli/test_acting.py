"""`tick`, `run`, `feeds`, `rehearse`: what they do is told, and by the exit status too."""

from __future__ import annotations

import json
import socket
from datetime import timedelta

import pytest

from pipeline import app
from pipeline.clock import VirtualClock
from pipeline.settings import Settings
from tests.cli.commands import Project, held, now, run, spawn, unknown


def first_sight(project: Project) -> None:
    """A tick a day before: what was due before a ledger first saw it is never posted."""
    clock = VirtualClock(now() - timedelta(days=1))
    with app.open_pipeline(Settings(project.root, project.url), clock=clock, workers=0) as pipeline:
        assert pipeline.tick().sent == ()


def test_tick_releases_what_is_due_and_says_so(tmp_path):
    project = Project(tmp_path / "p", entries=1, days=1)
    first_sight(project)
    ran = spawn("tick", folder=project.root)
    assert ran.out == "released fete/p0\npublished fete/p0/outbox\n"
    assert (project.root / "public/fete/feed.xml").is_file()
    (post,) = (project.root / "public/outbox/fete").glob("*.json")
    assert "Projet p0" in post.read_text()
    assert project.run("tick").out == "nothing was due\n"
    assert project.run("tick -q").out == ""


def test_tick_for_scripts(tmp_path):
    project = Project(tmp_path / "p", entries=2, days=2)
    first_sight(project)
    document = project.run("tick --json").json()
    assert document["released"] == ["fete/p0"]
    assert document["sent"] == ["fete/p0/outbox"]
    assert document["missed"] == []
    assert document["next"] == f"{project.event.date() - timedelta(days=1)}T00:00:00Z"


def test_tick_tells_of_problems_and_of_what_waits(project):
    project.write_entry("p1").write_text("broken")
    assert "E003" in project.run("tick --ledger sqlite:///other.db", status=1).err
    with project.ledger() as ledger:
        held(ledger)
    assert "E003" in project.run("tick", status=3).err  # what waits for a person weighs more


@pytest.fixture
def refused(tmp_path):
    """A project whose one post is due and goes to an address where nobody listens."""
    project = Project(tmp_path / "p", entries=1, days=1)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    file = project.root / "schedules/fete.yaml"
    hook = f"{{presse: {{network: webhook, url: 'http://127.0.0.1:{port}/hook'}}}}"
    file.write_text(file.read_text().replace("{outbox: {}}", hook))
    first_sight(project)
    return project


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of Standard Webhooks


def test_tick_tells_of_what_was_due_and_not_posted(refused, monkeypatch):
    monkeypatch.setenv("PIPELINE_PRESSE_SECRET", SECRET)
    ran = refused.run("tick")
    assert "planned fete/p0/presse: " in ran.out
    assert "Connection refused" in ran.out
    assert "nothing was due" not in ran.out


def test_tick_says_why_it_ends_with_what_waits(refused):
    ran = refused.run("tick", status=3)
    assert "held fete/p0/presse: PIPELINE_PRESSE_SECRET is not set" in ran.out
    assert "1 delivery waits for you" in ran.err
    again = refused.run("tick", status=3)
    assert again.out == "nothing was due\n"
    assert "1 delivery waits for you" in again.err


def test_tick_tells_scripts_why_it_ends_as_it_does(refused):
    (refused.root / "content/broken.md").write_text("broken")
    document = refused.run("tick --json", status=3).json()
    assert document["sent"] == []
    (left,) = document["left"]
    assert left["id"] == "fete/p0/presse"
    assert left["state"] == "held"
    assert "PIPELINE_PRESSE_SECRET" in left["reason"]
    assert document["waiting"] == ["fete/p0/presse"]
    assert [problem["code"] for problem in document["problems"]] == ["E003"]


def test_a_channel_that_cannot_be_is_told_in_a_line_and_the_others_go_on(tmp_path):
    project = Project(tmp_path / "p", entries=1, days=1)
    file = project.root / "schedules/fete.yaml"
    file.write_text(file.read_text().replace("{outbox: {}}", "{mastodn: {}, outbox: {}}"))
    first_sight(project)
    ran = spawn("tick", folder=project.root, status=1)  # no traceback, says `spawn`
    told = "schedules/fete.yaml: channel mastodn: unknown network `mastodn`"
    assert ran.out.splitlines() == [
        "released fete/p0",
        "published fete/p0/outbox",
        f"planned fete/p0/mastodn: cannot be handled: {told}",
    ]
    (line,) = [line for line in ran.err.splitlines() if "WARNING" in line]
    assert line.endswith(f"fete/p0/mastodn cannot be handled: {told}")


@pytest.mark.parametrize(
    ("prepare", "known"), [(held, "was not posted"), (unknown, "no such channel to use")]
)
def test_what_waits_is_told_though_its_channel_cannot_be_used(project, prepare, known):
    with project.ledger() as ledger:
        prepare(ledger)
    file = project.root / "schedules/fete.yaml"
    file.write_text(file.read_text().replace("{outbox: {}}", "{outbox: {limitt: 3}}"))
    ran = project.run("status", status=3)
    assert "fete/p0/outbox waits for you" in ran.out
    assert known in ran.out
    assert "1 delivery waits for you" in project.run("tick", status=3).err


def test_run_ends_when_all_is_done(tmp_path):
    project = Project(tmp_path / "p", entries=1, days=1)
    first_sight(project)
    ran = spawn("run", "--until-done", folder=project.root)
    assert ran.out == ""
    assert "running for" in ran.err
    assert len(list((project.root / "public/outbox/fete").glob("*.json"))) == 1


def test_feeds_carries_an_edit_into_what_is_released(tmp_path):
    project = Project(tmp_path / "p", entries=1, days=1)
    first_sight(project)
    project.run("tick")
    project.write_entry("p0", title="Un autre titre")
    assert spawn("feeds", folder=project.root).out == f"feeds are in {project.root}/public\n"
    feed = json.loads((project.root / "public/fete/feed.json").read_text())
    assert [row["title"] for row in feed["items"]] == ["Un autre titre"]


# --------------------------------------------------------------------------- public/ cannot be written


@pytest.fixture(params=["public/fete/feed.xml", "public/feed.xml"])
def blocked(request, tmp_path):
    """A project with a post that is due, and a folder in the place of one of its feeds."""
    project = Project(tmp_path / "p", entries=1, days=1)
    first_sight(project)
    way = project.root / request.param
    way.unlink(missing_ok=True)
    (way / "in the way").mkdir(parents=True)
    return project, way


def test_a_disk_that_cannot_be_written_is_exit_status_4_once_all_else_is_done(blocked):
    project, way = blocked
    for command, told in (("tick", "published fete/p0/outbox"), ("tick", "nothing was due"), ("feeds", "")):
        ran = project.run(command, status=4)
        assert told in ran.out
        assert "written: " in ran.err
        assert str(way.parent) in ran.err
    assert "feeds are in" not in ran.out
    assert project.run("amend p0", status=4).out != ""
    assert project.run("run --until-done", status=4).out == ""
    (way / "in the way").rmdir()
    way.rmdir()
    project.run("tick")
    assert "Projet p0" in way.read_text()
    project.run("feeds")
    project.run("run --until-done")


def test_a_disk_that_cannot_be_written_weighs_more_than_what_waits(blocked):
    project, _ = blocked
    with project.ledger() as ledger:
        held(ledger, "p1")
    assert "1 delivery waits for you" in project.run("tick", status=4).err


# --------------------------------------------------------------------------- rehearse


def test_rehearse_shows_the_whole_campaign_and_touches_nothing_else(project):
    ran = spawn("rehearse", folder=project.root)
    assert "Projet p0" in ran.out
    assert "2 released; deliveries: 2 published" in ran.out
    assert sorted(path.name for path in project.root.iterdir()) == ["content", "rehearsal", "schedules"]


def test_rehearse_for_scripts(project, tmp_path):
    document = project.run("rehearse fete --json --out", tmp_path / "out").json()
    assert document["out"] == str(tmp_path / "out")
    assert [row["state"] for row in document["deliveries"]] == ["published", "published"]
    assert {row["entry"] for row in document["releases"]} == {"p0", "p1"}
    assert document["notices"] == []


@pytest.mark.parametrize("faults", ["calm", "bad-network"])
def test_two_rehearsals_tell_scripts_the_same_whatever_ports_they_had(project, faults):
    file = project.root / "schedules/fete.yaml"
    hooks = ", ".join(f"h{n}: {{network: webhook, url: 'https://example.org/h'}}" for n in range(3))
    masto = "masto: {network: mastodon, instance: 'https://example.social'}"
    file.write_text(file.read_text().replace("{outbox: {}}", f"{{{hooks}, {masto}}}"))
    first, again = (
        project.run(f"rehearse --json --faults {faults} --out", project.root / "out") for _ in range(2)
    )
    assert first.out == again.out
    assert "127.0.0.1" not in first.out
    urls = [row["url"] for row in first.json()["deliveries"] if row["channel"] == "h0"]
    assert [url.rpartition("/")[0] for url in urls] == ["https://webhook.rehearsal.invalid/posts"] * 2


def test_a_rehearsal_after_an_edit_shows_the_edit(project):
    project.run("rehearse")
    project.write_entry("p0", title="Un autre titre")
    project.run("rehearse")
    (post,) = (project.root / "rehearsal/outbox/fete").glob("*-p0.json")
    assert "Un autre titre" in post.read_text()


def test_rehearse_deletes_nothing_that_is_not_its_own(project, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    assert "not empty" in project.run("rehearse --out", tmp_path, status=2).err
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_there_may_be_nothing_to_rehearse(tmp_path):
    project = Project(tmp_path / "p", entries=0)
    assert "nothing to rehearse" in project.run("rehearse", status=2).err


def test_a_problem_is_shown_and_the_rest_rehearsed(project):
    project.write_entry("p1").write_text("broken")
    ran = project.run("rehearse", status=1)
    assert "E003" in ran.err
    assert "1 released" in ran.out


def test_a_campaign_that_is_not_there(project):
    assert "Did you mean `fete`?" in run("rehearse", "fetes", "--root", project.root, status=2).err
