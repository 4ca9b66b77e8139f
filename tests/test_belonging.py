"""Another project's ledger and a lost one are refused; whoever edits, moves, clones or shares is not."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline import app, settings
from pipeline.belonging import Whereabouts
from pipeline.clock import VirtualClock
from pipeline.errors import EXIT_BROKEN, LedgerGone
from tests.support.projects import Project

DUE = datetime(2016, 4, 11, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)


def project(root: Path, *entries: str, campaign: str = "lille", ledger: str | None = None, **keys) -> Project:
    made = Project(root, DUE, ledger=ledger)
    for entry in entries:
        made.entry(entry)
    made.campaign(*entries, campaign_id=campaign, **keys)
    return made


def tick(of: Project, at: datetime = DUE - HOUR) -> None:
    with of.open(VirtualClock(at)) as pipeline:
        pipeline.tick()


@pytest.fixture
def first(tmp_path: Path) -> Project:
    """A project with a ledger that several could share, and two entries planned."""
    made = project(tmp_path / "first", "a", "b", ledger=f"sqlite:///{tmp_path}/shared.db")
    tick(made)
    return made


# --------------------------------------------------------------------------- another project's


@pytest.mark.parametrize("campaign", ["paris", "lille"])
def test_another_projects_ledger_is_refused_and_left_as_it_is(tmp_path, first, campaign):
    other = project(
        tmp_path / "other", "x", campaign=campaign, ledger=first.ledger, authority="example.net,2016"
    )
    with first.open_ledger() as ledger:
        ledger.freeze_authority("lille", "example.org,2016")
    before = first.states()
    with pytest.raises(LedgerGone, match="belongs to another project") as raised:
        tick(other)
    assert "`lille`" in str(raised.value)
    assert "--ledger" in raised.value.hint
    assert raised.value.exit_status == EXIT_BROKEN
    assert first.states() == before == {"lille/a/outbox": "planned", "lille/b/outbox": "planned"}


def test_an_id_that_both_chose_is_no_kinship_when_the_work_is_done(tmp_path, first):
    tick(first, DUE)
    tick(first, DUE + timedelta(days=1))
    assert set(first.states().values()) == {"published"}
    shutil.rmtree(tmp_path / "first" / "content")
    other = project(tmp_path / "other", "x", ledger=first.ledger, authority="example.net,2016")
    with pytest.raises(LedgerGone):
        tick(other)


def test_an_id_whose_file_is_long_gone_is_still_taken(tmp_path, first):
    for path in [*(first.root / "content").iterdir(), *(first.root / "schedules").iterdir()]:
        path.unlink()
    first.entry("c")
    first.campaign("c", campaign_id="autre")
    app.adopt_ledger(settings.load(first.root, first.ledger))
    tick(first)
    tick(first, DUE)
    other = project(tmp_path / "other", "x", ledger=first.ledger)
    with pytest.raises(LedgerGone, match="its campaigns `lille`"):
        tick(other)


def test_a_person_may_say_that_it_is_this_projects_all_the_same(tmp_path, first):
    other = project(tmp_path / "other", "x", campaign="paris", ledger=first.ledger)
    app.adopt_ledger(settings.load(other.root, other.ledger))
    tick(other)
    assert other.states()["paris/x/outbox"] == "planned"


def test_a_clone_a_moved_checkout_and_a_shared_ledger_are_welcome(tmp_path, first):
    shutil.copytree(first.root, tmp_path / "clone")
    tick(Project(tmp_path / "clone", DUE, ledger=first.ledger), DUE)
    first.root.rename(tmp_path / "moved")
    tick(Project(tmp_path / "moved", DUE, ledger=first.ledger), DUE)
    assert first.states() == {"lille/a/outbox": "published", "lille/b/outbox": "planned"}


@pytest.mark.parametrize("what", ["all edited", "new campaign", "renamed", "authority"])
def test_edits_while_nothing_ran_are_welcome(first, what):
    if what == "all edited":
        for entry in ("a", "b"):
            first.entry(entry, title=f"Un autre titre {entry}")
        first.campaign("a", "b", title="Un autre titre")
    elif what == "new campaign":
        (first.root / "schedules/lille.yaml").unlink()
        first.campaign("a", "b", campaign_id="autre")
    elif what == "renamed":
        for path in (first.root / "content").iterdir():
            path.rename(path.with_name(f"new-{path.name}"))
    else:
        with first.open_ledger() as ledger:
            ledger.freeze_authority("lille", "example.org,2016")
        first.campaign("a", "b", authority="example.net,2017")
    tick(first)


def test_files_that_were_all_replaced_are_welcome_once_nothing_is_left_to_do(first):
    tick(first, DUE)
    tick(first, DUE + timedelta(days=1))
    for path in [*(first.root / "content").iterdir(), *(first.root / "schedules").iterdir()]:
        path.unlink()
    first.entry("next")
    first.campaign("next", campaign_id="autre", due=DUE + timedelta(days=30))
    tick(first, DUE + timedelta(days=29))
    assert first.states()["autre/next/outbox"] == "planned"


# --------------------------------------------------------------------------- a lost one


@pytest.fixture
def used(tmp_path: Path) -> Project:
    """A project whose ledger was used from its checkout, in the default place."""
    made = project(tmp_path / "project", "a", "b")
    with opened(made) as pipeline:
        pipeline.tick()
    return made


def opened(of: Project):
    return app.open_pipeline(settings.load(of.root, of.ledger), clock=VirtualClock(DUE - HOUR), workers=0)


def lose(of: Project) -> None:
    for path in (of.root / "state").glob("ledger.db*"):
        path.unlink()


def test_a_lost_ledger_is_not_made_anew(used):
    lose(used)
    with (
        pytest.raises(LedgerGone, match=r"state/ledger.db is gone; it was used here for `lille`") as raised,
        opened(used),
    ):
        pass
    assert "pipeline ledger import" in raised.value.hint
    assert not (used.root / "state/ledger.db").exists(), "nothing lies in the way of a backup"


def test_an_empty_ledger_in_place_of_a_lost_one_is_refused(used):
    lose(used)
    with used.open_ledger():
        pass
    with pytest.raises(LedgerGone, match="is empty"), opened(used):
        pass


def test_a_person_may_begin_anew(used):
    lose(used)
    app.adopt_ledger(settings.load(used.root, used.ledger))
    with opened(used) as pipeline:
        pipeline.tick()
    assert used.states() == {"lille/a/outbox": "planned", "lille/b/outbox": "planned"}


def test_a_first_start_another_ledger_and_a_backup_are_welcome(used, tmp_path):
    with used.open_ledger() as ledger:
        ledger.backup(tmp_path / "backup.db")
    lose(used)
    other = Project(used.root, DUE, ledger=f"sqlite:///{tmp_path}/other.db")
    with opened(other) as pipeline:
        pipeline.tick()
    (tmp_path / "backup.db").rename(used.root / "state/ledger.db")
    with opened(used) as pipeline:
        pipeline.tick()


def test_what_is_remembered_names_no_password_and_no_place(used):
    known = json.loads((used.root / "state/ledgers.json").read_text())
    assert known == {"state/ledger.db": ["lille"]}
    place = whereabouts(used.root, "postgresql+psycopg://editor:secret@db.example/ledger?sslmode=require")
    place.remember(["lille"])
    text = (used.root / "state/ledgers.json").read_text()
    assert "secret" not in text
    assert json.loads(text)["postgresql://db.example/ledger"] == ["lille"]


def test_where_nothing_can_be_remembered_the_work_goes_on(tmp_path):
    (tmp_path / "state").write_text("in the way")
    place = whereabouts(tmp_path, "postgresql://db.example/ledger")
    place.remember(["lille"])
    place.refuse_lost([])


def whereabouts(root: Path, url: str) -> Whereabouts:
    return Whereabouts(root / "state", url)
