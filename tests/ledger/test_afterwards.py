"""What happens to a post after it was published, on every kind of ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.delivery import Event, Step
from pipeline.errors import LostRace, WrongUse
from pipeline.ledger import Ledger
from pipeline.model import Delivery, Entry, Release, State
from tests.ledger.scene import START, Scene, receipt, rendition

ENTRY = Entry(id="ouistock", path="content/a.md", title="A", summary="a", url="https://a.example/")


@pytest.fixture
def published(scene: Scene) -> Delivery:
    key = scene.key()
    scene.create(key)
    scene.claim(key)
    return scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt(), "published", scene.now)


def test_an_edit_replaces_rendition_and_receipt_and_leaves_the_rest(scene: Scene, published: Delivery):
    scene.clock.advance(timedelta(hours=1))
    new = replace(rendition(published.key), body=b"other bytes", text="other")
    after = scene.ledger.edited(published, new, replace(receipt(), digest=new.digest), scene.now)
    assert after == scene.read(published.key)
    assert after == replace(published, rendition=new, receipt=replace(receipt(), digest=new.digest))
    assert scene.events(published.key)[-1] == Event.EDITED


def test_a_deletion_keeps_the_receipt_of_what_was_there(scene: Scene, published: Delivery):
    after = scene.ledger.deleted(published, scene.now)
    assert (after.state, after.receipt) == (State.DELETED, published.receipt)
    assert scene.read(published.key) == after
    assert scene.events(published.key)[-1] == Event.DELETED


def test_what_has_changed_since_it_was_seen_is_not_recorded(scene: Scene, published: Delivery):
    ledger = scene.ledger
    ledger.edited(published, rendition(published.key), receipt("43"), scene.now)
    for record in (
        lambda: ledger.edited(published, rendition(published.key), receipt("44"), scene.now),
        lambda: ledger.deleted(published, scene.now),
    ):
        with pytest.raises(LostRace):
            record()
    assert scene.read(published.key).receipt == receipt("43")


def test_what_is_not_published_can_be_neither_edited_nor_deleted(scene: Scene):
    planned = scene.create(scene.key())
    with pytest.raises(LostRace):
        scene.ledger.edited(planned, rendition(planned.key), receipt(), scene.now)
    with pytest.raises(LostRace):
        scene.ledger.deleted(planned, scene.now)
    assert scene.read(planned.key) == planned


def test_a_retracted_release_stays_on_record_with_the_instant_and_is_not_released_again(
    ledger: Ledger, scene: Scene
):
    ledger.adopt("lille", START)
    ledger.release(Release("lille", ENTRY, START.date(), START, START))
    later = START + timedelta(hours=2)
    assert ledger.retract("lille", "ouistock", later)
    assert not ledger.retract("lille", "ouistock", later + timedelta(hours=1)), "the first instant stays"
    (found,) = ledger.releases("lille")
    assert (found.released, found.updated, found.retracted) == (START, later, later)
    assert [mark.retracted for mark in ledger.release_marks("lille")] == [later]
    assert ledger.released("lille") == {"ouistock"}
    assert not ledger.release(Release("lille", ENTRY, START.date(), later, later))


def test_what_was_never_released_cannot_be_retracted(ledger: Ledger):
    with pytest.raises(WrongUse, match="not released"):
        ledger.retract("lille", "ouistock", START)
