"""What every ledger does, on an SQLite file, in memory, and on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from pipeline.clock import VirtualClock
from pipeline.delivery import TRANSITIONS, WITHDRAWN_REASON, Create, Event, Place, Step, Withdraw
from pipeline.errors import LostRace, NotAllowed, WrongUse
from pipeline.ledger import SAID_POSTED, open_ledger
from pipeline.ledger.shelf import IDS_AT_ONCE
from pipeline.model import DeliveryKey, Entry, Image, Release, Slot, State
from tests.ledger.scene import SOON, START, Scene, exported, receipt, rendition

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


# ----------------------------------------------------------------------------- campaigns


def test_a_campaign_is_first_seen_once(scene: Scene) -> None:
    assert scene.ledger.campaign("lille") is None
    first = scene.ledger.adopt("lille", START)
    before = exported(scene.ledger)
    assert scene.ledger.adopt("lille", START + DAY) == first
    assert exported(scene.ledger) == before
    assert first.first_seen == START
    assert scene.ledger.campaign("lille") == first


def test_the_first_authority_stays(scene: Scene) -> None:
    scene.ledger.adopt("lille", START)
    assert scene.ledger.freeze_authority("lille", "example.org,2016") == "example.org,2016"
    assert scene.ledger.freeze_authority("lille", "other.org,2020") == "example.org,2016"
    record = scene.ledger.campaign("lille")
    assert record is not None
    assert record.authority == "example.org,2016"


def test_a_campaign_that_was_never_adopted_is_told(scene: Scene) -> None:
    entry = Entry(id="a", path="content/a.md", title="A", summary="a", url="https://a.example/")
    for call in (
        lambda: scene.ledger.freeze_authority("lille", "example.org,2016"),
        lambda: scene.ledger.apply_plan("lille", (), (), START),
        lambda: scene.ledger.release(Release("lille", entry, START.date(), START, START)),
    ):
        with pytest.raises(WrongUse, match="'lille' is not in the ledger"):
            call()


def test_the_last_plan_is_kept(scene: Scene) -> None:
    assert scene.ledger.last_plan("lille") is None
    scene.ledger.save_plan("lille", "one", START)
    scene.ledger.save_plan("lille", "two — é", START)
    assert scene.ledger.last_plan("lille") == "two — é"


# ----------------------------------------------------------------------------- plans


def slot(entry: str, day: date, campaign: str = "lille") -> Slot:
    return Slot(campaign, entry, day, datetime.combine(day, START.timetz()), 1)


def test_slots_become_exactly_those_of_the_plan(scene: Scene) -> None:
    first, second, third = (START.date() + n * DAY for n in range(3))
    scene.ledger.adopt("lille", START)
    scene.ledger.apply_plan("lille", [slot("a", first), slot("b", second), slot("c", third)], (), START)
    assert list(scene.ledger.slots("lille")) == ["a", "b", "c"]
    scene.ledger.apply_plan("lille", [slot("b", first), slot("c", second), slot("d", third)], (), START)
    found = scene.ledger.slots("lille")
    assert {entry: record.date for entry, record in found.items()} == {"b": first, "c": second, "d": third}
    assert found["b"].due == START


def test_days_may_be_permuted(scene: Scene) -> None:
    days = [START.date() + n * DAY for n in range(4)]
    created = [scene.create(scene.key(f"e{n}"), day=day, due=START + n * DAY) for n, day in enumerate(days)]
    moves = [
        Place(was, None, days[n - 1], START + (n - 1) % 4 * DAY, START + 9 * DAY)
        for n, was in enumerate(created)
    ]
    slots = [slot(f"e{n}", days[n - 1]) for n in range(4)]
    scene.ledger.apply_plan("lille", slots, moves, START)
    assert [scene.read(was.key).date for was in created] == [days[-1], *days[:-1]]
    assert {scene.read(was.key).state for was in created} == {State.PLANNED}
    assert scene.events(created[0].key) == ["created", "placed anew"]


def test_a_place_leaves_no_trace_of_why_it_waited(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    scene.ledger.note(key, State.PLANNED, reason="no text", not_before=START + HOUR, now=START)
    was = scene.read(key)
    place = Place(was, None, START.date(), START + HOUR, START + 2 * HOUR)
    scene.ledger.apply_plan("lille", (), [place], START)
    after = scene.read(key)
    assert (after.reason, after.not_before, after.due, after.closes) == (
        None,
        None,
        START + HOUR,
        START + 2 * HOUR,
    )


def test_what_is_withdrawn_gives_its_day_free_and_comes_back(scene: Scene) -> None:
    key, other = scene.key(), scene.key("other")
    was = scene.create(key)
    take_over = Create(other, "outbox", START.date(), START, START + HOUR)
    scene.ledger.apply_plan("lille", (), [take_over, Withdraw(was)], START)
    gone = scene.read(key)
    assert (gone.state, gone.date, gone.reason) == (State.CANCELLED, None, WITHDRAWN_REASON)
    back = Place(gone, Event.RESTORED, START.date() + DAY, START + DAY, START + DAY + HOUR)
    scene.ledger.apply_plan("lille", (), [back], START)
    assert scene.read(key).state is State.PLANNED
    assert scene.read(key).date == START.date() + DAY
    assert scene.events(key) == ["created", "entry withdrawn, or no day left", "entry back in the plan"]


def test_a_missed_one_moves_to_a_free_day(scene: Scene) -> None:
    was = scene.create(scene.key(), state=State.MISSED, reason="due before the ledger was made")
    assert was.reason == "due before the ledger was made"
    scene.ledger.apply_plan(
        "lille", (), [Place(was, Event.MOVED, START.date() + DAY, START + DAY, START + 2 * DAY)], START
    )
    assert scene.read(was.key).state is State.PLANNED


def test_a_plan_that_no_longer_fits_is_not_applied_at_all(scene: Scene) -> None:
    key, other, third = scene.key(), scene.key("other"), scene.key("third")
    was = scene.create(key)
    was_other = scene.create(other, day=START.date() + DAY)
    scene.claim(key)
    plan = [
        Create(third, "outbox", START.date() + 5 * DAY, START, START + HOUR),
        Place(was_other, None, START.date() + 3 * DAY, START, START + HOUR),
        Withdraw(was),
    ]
    for changes in (plan, [plan[0], plan[1], Place(was, None, START.date() + 4 * DAY, START, START + HOUR)]):
        with pytest.raises(LostRace):
            scene.ledger.apply_plan("lille", [slot("third", START.date())], changes, START)
        assert scene.read(other) == was_other
        assert scene.ledger.delivery(third) is None
        assert scene.ledger.slots("lille") == {}
        assert scene.events(other) == ["created"]


@pytest.mark.parametrize("stale", ["date", "due", "state"])
def test_a_placing_needs_the_delivery_as_the_plan_saw_it(scene: Scene, stale: str) -> None:
    was = scene.create(scene.key())
    other = {"date": START.date() + DAY, "due": START + DAY, "state": State.MISSED}[stale]
    seen = replace(was, **{stale: other})
    event = Event.MOVED if stale == "state" else None
    with pytest.raises(LostRace):
        scene.ledger.apply_plan("lille", (), [Place(seen, event, START.date(), START, START + DAY)], START)
    assert scene.read(was.key) == was


def test_a_taken_day_or_a_second_creation_is_a_lost_race(scene: Scene) -> None:
    was = scene.create(scene.key())
    for key in (was.key, scene.key("other")):
        with pytest.raises(LostRace, match="no longer fits"):
            scene.ledger.apply_plan(
                "lille", (), [Create(key, "outbox", START.date(), START, START + HOUR)], START
            )
    with pytest.raises(LostRace, match="no longer fits"):
        scene.ledger.apply_plan("lille", [slot("a", START.date()), slot("b", START.date())], (), START)
    assert scene.ledger.deliveries() == [was]


def test_a_plan_cannot_do_what_the_table_forbids(scene: Scene) -> None:
    key = scene.key()
    was = scene.create(key)
    born = scene.key("born")
    forbidden = [
        Place(was, Event.RESTORED, START.date(), START, START + HOUR),
        Place(was, Event.CLAIMED, START.date(), START, START + HOUR),
        Place(replace(was, state=State.MISSED), None, START.date(), START, START + HOUR),
        Withdraw(replace(was, state=State.PUBLISHED)),
        Create(born, "outbox", START.date() + DAY, START, START + HOUR, State.HELD),
    ]
    for change in forbidden:
        with pytest.raises(NotAllowed):
            scene.ledger.apply_plan("lille", (), [change], START)
    assert scene.ledger.deliveries() == [was]


def test_a_plan_is_about_one_campaign_and_one_slot_an_entry(scene: Scene) -> None:
    was = scene.create(scene.key())
    day = START.date()
    with pytest.raises(ValueError, match="may not change paris"):
        scene.ledger.apply_plan("lille", [slot("a", day, "paris")], (), START)
    with pytest.raises(ValueError, match="may not change lille"):
        scene.ledger.apply_plan("paris", (), [Withdraw(was)], START)
    with pytest.raises(ValueError, match="two slots"):
        scene.ledger.apply_plan("lille", [slot("a", day), slot("a", day + DAY)], (), START)


def test_a_plan_that_changes_nothing_writes_nothing(scene: Scene) -> None:
    scene.create(scene.key())
    slots = [slot("ouistock", START.date())]
    scene.ledger.apply_plan("lille", slots, (), START)
    before = exported(scene.ledger)
    scene.ledger.apply_plan("lille", slots, (), START + DAY)
    assert exported(scene.ledger) == before


# ----------------------------------------------------------------------------- what is due


def test_deliveries_come_in_one_order_and_can_be_chosen(scene: Scene) -> None:
    later = scene.create(scene.key("a"), due=START + HOUR)
    b = scene.create(scene.key("b", "x"), day=START.date() + DAY)
    b2 = scene.create(scene.key("b", "outbox"), day=START.date() + DAY)
    other = scene.create(scene.key("a", campaign="amiens"), state=State.MISSED)
    assert scene.ledger.deliveries() == [other, b2, b, later]
    assert scene.ledger.deliveries("lille") == [b2, b, later]
    assert scene.ledger.deliveries(states=[State.MISSED, State.HELD]) == [other]
    assert scene.ledger.deliveries("lille", {State.MISSED}) == []
    assert scene.ledger.deliveries(states=[]) == []
    assert scene.ledger.delivery(scene.key("nobody")) is None


def test_due_is_what_may_be_sent_now(scene: Scene) -> None:
    days = [START.date() + n * DAY for n in range(6)]
    now = scene.create(scene.key("now"), day=days[0])
    earlier = scene.create(scene.key("earlier"), day=days[1], due=START - HOUR)
    scene.create(scene.key("later"), day=days[2], due=START + timedelta(microseconds=1))
    scene.create(scene.key("closed"), day=days[3], due=START - HOUR, closes=START)
    scene.create(scene.key("waits"), day=days[4])
    scene.ledger.note(
        scene.key("waits"),
        State.PLANNED,
        reason="wait",
        not_before=START + timedelta(microseconds=1),
        now=START,
    )
    scene.create(scene.key("missed"), day=days[5], state=State.MISSED)
    assert scene.ledger.due(START) == [earlier, now]
    assert scene.ledger.due(START, limit=1) == [earlier]
    keys = [found.key.entry for found in scene.ledger.due(START + timedelta(microseconds=1))]
    assert keys == ["earlier", "now", "waits", "later"]


def test_the_ledger_wakes_for_the_earliest_of_what_is_open(scene: Scene) -> None:
    assert scene.ledger.next_wake() is None
    key = scene.key()
    scene.create(key, due=START + HOUR, closes=START + 9 * HOUR)
    assert scene.ledger.next_wake() == START + HOUR
    scene.ledger.note(key, State.PLANNED, reason="r", not_before=START + 2 * HOUR, now=START)
    assert scene.ledger.next_wake() == START + 2 * HOUR
    scene.ledger.note(key, State.PLANNED, reason="r", not_before=START, now=START)
    assert scene.ledger.next_wake() == START + HOUR
    scene.clock.sleep_until(START + HOUR)
    scene.claim(key)
    assert scene.ledger.next_wake() == START + HOUR + SOON
    scene.clock.advance(SOON)
    scene.ledger.expire_leases(scene.now)
    assert scene.ledger.next_wake() == START + HOUR + SOON
    scene.ledger.note(key, State.UNKNOWN, reason="r", not_before=START + 3 * HOUR, now=scene.now)
    assert scene.ledger.next_wake() == START + 3 * HOUR
    scene.create(scene.key("soon"), day=START.date() + DAY, due=START + 2 * HOUR)
    assert scene.ledger.next_wake() == START + 2 * HOUR
    scene.ledger.found(key, receipt(), scene.now)
    scene.ledger.cancel(scene.key("soon"), scene.now)
    assert scene.ledger.next_wake() is None


# ----------------------------------------------------------------------------- one send


def test_a_claim_freezes_what_will_be_sent(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    media = (Image("content/a.png", "alt « é »", "credit"), Image("content/b.png", "b"))
    frozen = replace(rendition(key), media=media)
    claimed = scene.ledger.claim(key, frozen, "L", START + SOON, START)
    assert claimed == scene.read(key)
    assert claimed.rendition == frozen
    assert (claimed.state, claimed.lease, claimed.lease_until) == (State.SENDING, "L", START + SOON)
    assert (claimed.sent_at, claimed.attempts) == (START, 1)
    (attempt,) = scene.ledger.attempts(key)
    assert (attempt.number, attempt.started, attempt.ended, attempt.outcome) == (1, START, None, None)
    assert attempt.digest == frozen.digest


def test_a_claim_needs_a_delivery_that_may_be_sent(scene: Scene) -> None:
    key = scene.key()
    with pytest.raises(LostRace, match="not in the ledger"):
        scene.claim(key)
    scene.create(key, due=START + HOUR, closes=START + 2 * HOUR)
    with pytest.raises(LostRace, match="planned, due 2016-04-11 08:00:00 UTC"):
        scene.claim(key)
    scene.clock.sleep_until(START + HOUR)
    scene.ledger.note(key, State.PLANNED, reason="r", not_before=START + 1.5 * HOUR, now=scene.now)
    with pytest.raises(LostRace):
        scene.claim(key)
    scene.clock.sleep_until(START + 2 * HOUR)
    with pytest.raises(LostRace):
        scene.claim(key)
    scene.clock.advance(-timedelta(minutes=30))
    scene.claim(key)
    with pytest.raises(LostRace, match=r"sending, .* with a lease until 08:30:30"):
        scene.claim(key, "second")
    assert len(scene.ledger.attempts(key)) == 1


def test_a_receipt_is_recorded_with_its_attempt(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    scene.claim(key)
    scene.clock.advance(timedelta(seconds=2))
    done = scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt(), "published", scene.now)
    assert done == scene.read(key)
    assert (done.state, done.receipt, done.published_at) == (State.PUBLISHED, receipt(), scene.now)
    assert (done.lease, done.lease_until, done.sent_at) == (None, None, START)
    (attempt,) = scene.ledger.attempts(key)
    assert (attempt.ended, attempt.outcome) == (scene.now, "published")
    assert attempt.detail == receipt().url
    rows = scene.ledger.history(key)
    assert [(row.from_state, row.event, row.to_state) for row in rows] == [
        (None, "created", State.PLANNED),
        (State.PLANNED, "due and claimed", State.SENDING),
        (State.SENDING, "receipt", State.PUBLISHED),
    ]
    assert [row.at for row in rows] == [START, START, scene.now]


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (event, to)
        for (frm, event), to in TRANSITIONS.items()
        if frm is State.SENDING and "receipt" not in event
    ],
    ids=str,
)
def test_every_other_outcome_is_recorded_with_reason_and_wait(
    scene: Scene, event: Event, state: State
) -> None:
    key = scene.key()
    scene.create(key)
    scene.claim(key)
    step = Step(event, "why it did", START + HOUR)
    moved = scene.ledger.record(key, "first", step, None, "outcome", START)
    assert (moved.state, moved.reason, moved.not_before) == (state, "why it did", START + HOUR)
    assert (moved.lease, moved.receipt) == (None, None)
    assert scene.ledger.attempts(key)[0].detail == "why it did"
    assert scene.ledger.history(key)[-1].note == "why it did"
    assert bool(scene.ledger.paused()) is (event is Event.AUTH_FAILED)


def test_record_refuses_what_does_not_fit_together(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    claimed = scene.claim(key)
    with pytest.raises(ValueError, match="receipt"):
        scene.ledger.record(key, "first", Step(Event.RECEIPT), None, "published", START)
    with pytest.raises(ValueError, match="receipt"):
        scene.ledger.record(key, "first", Step(Event.REJECTED), receipt(), "rejected", START)
    with pytest.raises(NotAllowed, match="'person retries' is possible only when it is held or missed"):
        scene.ledger.record(key, "first", Step(Event.RETRIED), None, "retried", START)
    with pytest.raises(LostRace, match="not in the ledger"):
        scene.ledger.record(scene.key("x"), "first", Step(Event.REJECTED), None, "rejected", START)
    assert scene.read(key) == claimed


def test_an_attempt_after_a_wait_is_a_new_one(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    for number in (1, 2):
        scene.claim(key, f"lease {number}")
        step = Step(Event.NOT_ACCEPTED, f"refused {number}", scene.now + SOON)
        scene.ledger.record(key, f"lease {number}", step, None, "not accepted", scene.now)
        scene.clock.advance(SOON)
    assert scene.read(key).attempts == 2
    assert scene.read(key).reason == "refused 2"
    assert [(a.number, a.detail) for a in scene.ledger.attempts(key)] == [(1, "refused 1"), (2, "refused 2")]
    assert scene.claim(key, "lease 3").reason is None


def test_the_second_of_two_claims_sends_nothing(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    scene.claim(key, "winner")
    with pytest.raises(LostRace):
        scene.claim(key, "loser")
    assert scene.read(key).lease == "winner"


# ----------------------------------------------------------------------------- late receipts


def test_a_receipt_after_the_lease_is_evidence(scene: Scene) -> None:
    key = scene.key()
    scene.to_unknown(key)
    done = scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt(), "published", scene.now)
    assert (done.state, done.receipt, done.lease_until) == (State.PUBLISHED, receipt(), None)
    assert scene.events(key)[-1] == "late receipt"


def bring_to(scene: Scene, key: DeliveryKey, state: State) -> None:
    """From unknown, after a first attempt under the lease `first`, to any state a late receipt may find."""
    scene.to_unknown(key)
    if state is State.UNKNOWN:
        return
    if state is State.SENDING:
        scene.ledger.repeat(key, "second", scene.now + SOON, scene.now)
        return
    if state is State.HELD:
        scene.ledger.repeat(key, "second", scene.now + SOON, scene.now)
        scene.ledger.record(key, "second", Step(Event.REJECTED, "no"), None, "rejected", scene.now)
        return
    scene.ledger.absent(scene.read(key), scene.now)
    if state is State.MISSED:
        scene.ledger.close_windows(START + DAY)
    elif state is State.CANCELLED:
        scene.ledger.cancel(key, scene.now)


@pytest.mark.parametrize("state", [frm for frm, event in TRANSITIONS if event is Event.LATE_RECEIPT], ids=str)
def test_a_late_receipt_is_accepted_from_whatever_state(scene: Scene, state: State) -> None:
    key = scene.key()
    bring_to(scene, key, state)
    assert scene.read(key).state is state
    done = scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt(), "published", scene.now)
    assert (done.state, done.receipt, done.published_at) == (State.PUBLISHED, receipt(), scene.now)
    assert done.date == (None if state is State.CANCELLED else START.date())
    assert scene.ledger.attempts(key)[0].outcome == "no answer"
    assert scene.ledger.history(key)[-1].from_state is state
    assert exported(scene.ledger)


def test_anything_but_a_receipt_needs_the_lease(scene: Scene) -> None:
    key = scene.key()
    before = scene.to_unknown(key)
    with pytest.raises(LostRace, match="rejected under a lease that is over"):
        scene.ledger.record(key, "first", Step(Event.REJECTED, "no"), None, "rejected", scene.now)
    assert scene.read(key) == before
    with pytest.raises(LostRace):
        scene.ledger.record(key, "stranger", Step(Event.REJECTED, "no"), None, "rejected", scene.now)


def test_the_same_receipt_twice_changes_nothing(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    scene.claim(key)
    first = scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt(), "published", START)
    before = exported(scene.ledger)
    again = scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt(), "published", START + HOUR)
    assert again == first
    assert exported(scene.ledger) == before


def test_another_receipt_is_told_as_a_second_post(scene: Scene) -> None:
    key = scene.key()
    bring_to(scene, key, State.SENDING)
    first = scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt("1"), "published", scene.now)
    kept = scene.ledger.record(key, "second", Step(Event.RECEIPT), receipt("2"), "published", scene.now)
    assert kept == first == scene.read(key)
    last = scene.ledger.history(key)[-1]
    assert (last.event, last.from_state, last.to_state) == (
        "late receipt",
        State.PUBLISHED,
        State.PUBLISHED,
    )
    assert last.note == "a second post exists: https://social.example/2; 1 stays on record"
    assert [a.outcome for a in scene.ledger.attempts(key)] == ["no answer", "published"]


def test_the_second_sender_of_one_post_closes_its_attempt(scene: Scene) -> None:
    key = scene.key()
    bring_to(scene, key, State.SENDING)
    scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt(), "published", scene.now)
    scene.ledger.record(key, "second", Step(Event.RECEIPT), receipt(), "published", scene.now)
    assert [a.outcome for a in scene.ledger.attempts(key)] == ["no answer", "published"]
    assert scene.ledger.history(key)[-1].note == "the same post"


# ----------------------------------------------------------------------------- settling


def test_a_lease_that_is_over_makes_the_outcome_unknown(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    scene.claim(key)
    assert scene.ledger.expire_leases(START + SOON - timedelta(microseconds=1)) == []
    assert scene.ledger.unsettled() == []
    assert scene.ledger.expire_leases(START + SOON) == [key]
    assert scene.ledger.expire_leases(START + SOON) == []
    (unknown,) = scene.ledger.unsettled()
    assert unknown == scene.read(key)
    assert (unknown.state, unknown.lease, unknown.lease_until) == (State.UNKNOWN, None, START + SOON)
    assert unknown.reason == "no answer was recorded before the lease ended at 07:00:30 UTC"
    assert unknown.rendition == rendition(key)
    assert scene.ledger.attempts(key)[0].ended == START + SOON


def test_a_repeat_sends_the_same_bytes_after_the_lease(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    scene.claim(key)
    scene.ledger.record(key, "first", Step(Event.NO_ANSWER, "reset", START + HOUR), None, "unknown", START)
    with pytest.raises(LostRace, match="could not be sent again: it is unknown"):
        scene.ledger.repeat(key, "second", START + 2 * SOON, START)
    again = scene.ledger.repeat(key, "second", START + 2 * SOON, START + SOON)
    assert (again.state, again.lease, again.lease_until) == (State.SENDING, "second", START + 2 * SOON)
    assert (again.sent_at, again.rendition, again.attempts) == (START, rendition(key), 2)
    assert [(a.number, a.started) for a in scene.ledger.attempts(key)] == [(1, START), (2, START + SOON)]
    with pytest.raises(LostRace):
        scene.ledger.repeat(key, "third", START + HOUR, START + SOON)


def test_a_read_back_settles(scene: Scene) -> None:
    key = scene.key()
    scene.to_unknown(key)
    found = scene.ledger.found(key, receipt(), scene.now)
    assert (found.state, found.receipt, found.published_at) == (State.PUBLISHED, receipt(), scene.now)
    with pytest.raises(LostRace, match="recorded as found: it is published"):
        scene.ledger.found(key, receipt(), scene.now)
    with pytest.raises(LostRace, match="recorded as absent: it is published"):
        scene.ledger.absent(scene.read(key), scene.now)


def test_what_is_absent_is_planned_again_at_once(scene: Scene) -> None:
    key = scene.key()
    scene.to_unknown(key)
    scene.ledger.note(key, State.UNKNOWN, reason="wait", not_before=START + HOUR, now=scene.now)
    absent = scene.ledger.absent(scene.read(key), scene.now)
    assert (absent.state, absent.not_before, absent.lease_until) == (State.PLANNED, None, None)
    assert scene.ledger.due(scene.now) == [absent]


def test_a_note_moves_nothing_and_is_written_once(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    for _ in range(2):
        scene.ledger.note(key, State.PLANNED, reason="E402 template", not_before=START + HOUR, now=START)
    assert scene.events(key) == ["created", "noted"]
    assert scene.read(key).state is State.PLANNED
    assert scene.read(key).reason == "E402 template"
    with pytest.raises(LostRace, match="noted as unknown: it is planned"):
        scene.ledger.note(key, State.UNKNOWN, reason="r", not_before=None, now=START)


def test_a_closed_window_says_why(scene: Scene) -> None:
    key, other = scene.key(), scene.key("other")
    scene.create(key, closes=START + HOUR)
    scene.create(other, day=START.date() + DAY, closes=START + HOUR)
    scene.ledger.note(other, State.PLANNED, reason="no text", not_before=None, now=START)
    assert scene.ledger.close_windows(START + HOUR - timedelta(microseconds=1)) == []
    assert scene.ledger.close_windows(START + HOUR) == sorted([key, other])
    assert scene.read(key).state is State.MISSED
    assert scene.read(key).reason == "its window closed at 2016-04-11 08:00:00 UTC"
    assert scene.read(other).reason == ("its window closed at 2016-04-11 08:00:00 UTC; before that: no text")


# ----------------------------------------------------------------------------- what a person decides


def test_a_person_vouches_for_a_post(scene: Scene) -> None:
    key = scene.key()
    scene.to_unknown(key)
    done = scene.ledger.resolve(key, True, "https://social.example/seen", scene.now)
    assert (done.state, done.published_at) == (State.PUBLISHED, scene.now)
    assert done.receipt is not None
    assert (done.receipt.remote_id, done.receipt.url) == (SAID_POSTED, "https://social.example/seen")
    assert done.receipt.digest == rendition(key).digest
    late = scene.ledger.record(key, "first", Step(Event.RECEIPT), receipt(), "published", scene.now)
    assert (late.receipt, late.published_at) == (receipt(), done.published_at)
    assert scene.ledger.history(key)[-1].note == "the network's receipt for what a person vouched for: 42"


def test_a_person_saw_nothing(scene: Scene) -> None:
    key = scene.key()
    scene.to_unknown(key)
    assert scene.ledger.resolve(key, False, None, scene.now).state is State.PLANNED
    for posted in (True, False):
        with pytest.raises(NotAllowed, match=r"is planned: .* possible only when it is unknown") as refused:
            scene.ledger.resolve(key, posted, None, scene.now)
        assert "From planned the possible steps are: due and claimed" in str(refused.value.hint)


def test_a_retry_begins_anew_and_resumes_the_channel(scene: Scene) -> None:
    key, waiting = scene.key(), scene.key("waiting")
    scene.create(key)
    scene.create(waiting, day=START.date() + DAY)
    scene.claim(key)
    scene.ledger.record(key, "first", Step(Event.AUTH_FAILED, "401: expired"), None, "auth failed", START)
    assert scene.ledger.paused() == {("lille", "outbox"): "401: expired"}
    again = scene.ledger.retry(key, START + HOUR, START + 2 * HOUR, START)
    assert (again.state, again.due, again.closes, again.attempts) == (
        State.PLANNED,
        START + HOUR,
        START + 2 * HOUR,
        0,
    )
    assert scene.ledger.paused() == {}
    assert len(scene.ledger.attempts(key)) == 1
    scene.clock.sleep_until(START + HOUR)
    scene.claim(key, "second")
    assert [a.number for a in scene.ledger.attempts(key)] == [1, 2]


def test_a_paused_channel_waits_alone(scene: Scene) -> None:
    key, waiting, elsewhere = scene.key(), scene.key("waiting"), scene.key("elsewhere", "x")
    scene.create(key)
    scene.create(waiting, day=START.date() + DAY)
    scene.create(elsewhere, due=START + timedelta(minutes=5))
    scene.claim(key)
    scene.ledger.record(key, "first", Step(Event.AUTH_FAILED), None, "auth failed", START)
    assert scene.ledger.paused() == {("lille", "outbox"): "paused"}
    assert scene.ledger.due(START) == []
    assert scene.ledger.next_wake() == START + timedelta(minutes=5)
    with pytest.raises(LostRace):
        scene.claim(waiting)
    for _ in range(2):
        scene.ledger.resume("lille", "outbox", START)
    assert [found.key for found in scene.ledger.due(START)] == [waiting]
    scene.claim(waiting, "w")


def test_a_second_failure_keeps_the_first_reason_of_a_pause(scene: Scene) -> None:
    for day, entry in enumerate(("a", "b")):
        scene.create(scene.key(entry), day=START.date() + day * DAY)
        scene.claim(scene.key(entry), entry)
    for entry in ("a", "b"):
        step = Step(Event.AUTH_FAILED, f"401 {entry}")
        scene.ledger.record(scene.key(entry), entry, step, None, "auth failed", START)
    assert scene.ledger.paused() == {("lille", "outbox"): "401 a"}


def test_a_channel_goes_on_once_nothing_held_explains_its_pause(scene: Scene) -> None:
    keys = [scene.key("a"), scene.key("b")]
    for day, key in enumerate(keys):
        scene.create(key, day=START.date() + day * DAY)
        scene.claim(key, key.entry)
    for key in keys:
        scene.ledger.record(key, key.entry, Step(Event.AUTH_FAILED), None, "auth failed", START)
    scene.ledger.cancel(keys[0], START)
    assert scene.ledger.paused() == {("lille", "outbox"): "paused"}, "the other one still waits for a person"
    scene.ledger.cancel(keys[1], START)
    assert scene.ledger.paused() == {}


def test_what_is_given_up_gives_its_day_free(scene: Scene) -> None:
    key = scene.key()
    scene.create(key)
    gone = scene.ledger.cancel(key, START)
    assert (gone.state, gone.date, gone.reason) == (State.CANCELLED, None, "given up")
    scene.create(scene.key("other"))
    with pytest.raises(NotAllowed, match="is cancelled: 'person gives up'"):
        scene.ledger.cancel(key, START)
    with pytest.raises(NotAllowed, match="is cancelled: 'person retries'"):
        scene.ledger.retry(key, START, START + HOUR, START)


def test_a_person_is_told_of_a_delivery_that_does_not_exist(scene: Scene) -> None:
    for call in (
        lambda key: scene.ledger.resolve(key, True, None, START),
        lambda key: scene.ledger.retry(key, START, START, START),
        lambda key: scene.ledger.cancel(key, START),
    ):
        with pytest.raises(WrongUse, match="there is no delivery lille/ouistock/outbox"):
            call(scene.key())


def test_the_end_has_no_steps(scene: Scene) -> None:
    key = scene.key()
    was = replace(scene.create(key), state=State.DELETED)
    with pytest.raises(NotAllowed) as refused:
        scene.ledger.apply_plan("lille", (), [Withdraw(was)], START)
    assert refused.value.hint == "From deleted the possible steps are: none, this is the end."


# ----------------------------------------------------------------------------- releases and files


def full_entry(entry: str = "ouistock") -> Entry:
    return Entry(
        id=entry,
        path=f"content/{entry}.md",
        title="Oui Stock « zéro déchet » 🎈",
        summary="Une phrase.\u2028Deux.",
        url="https://example.org/",
        body="# Titre\n\n```\n\\ \" '\n```\n",
        image=Image("content/images/a.png", "alt", "credit"),
        tags=("zéro déchet", "prêt"),
        place="Lille",
        lang="fr-FR",
        draft=False,
        pinned=date(2016, 2, 29),
        posts={"x": "court", "outbox": "long"},
    )


def test_an_entry_is_released_once(scene: Scene) -> None:
    scene.ledger.adopt("lille", START)
    release = Release("lille", full_entry(), START.date(), START, START)
    assert scene.ledger.release(release)
    before = exported(scene.ledger)
    assert not scene.ledger.release(replace(release, released=START + DAY))
    assert exported(scene.ledger) == before
    assert scene.ledger.releases("lille") == [release]
    assert scene.ledger.releases("paris") == []


def test_an_edit_after_release_keeps_its_instant(scene: Scene) -> None:
    scene.ledger.adopt("lille", START)
    release = Release("lille", full_entry(), START.date(), START, START)
    with pytest.raises(WrongUse, match="lille/ouistock is not released"):
        scene.ledger.refresh(release)
    scene.ledger.release(release)
    edited = replace(release, entry=replace(full_entry(), title="New", image=None), updated=START + DAY)
    scene.ledger.refresh(edited)
    assert scene.ledger.releases("lille") == [edited]
    before = exported(scene.ledger)
    scene.ledger.refresh(edited)
    assert exported(scene.ledger) == before


def test_releases_come_newest_first(scene: Scene) -> None:
    scene.ledger.adopt("lille", START)
    releases = [
        Release("lille", full_entry(entry), START.date() + days * DAY, START + released * DAY, START)
        for entry, days, released in [("a", 0, 0), ("b", 2, 1), ("c", 1, 1), ("d", 1, 1)]
    ]
    for release in releases:
        scene.ledger.release(release)
    assert [found.entry.id for found in scene.ledger.releases("lille")] == ["b", "c", "d", "a"]
    assert [found.entry.id for found in scene.ledger.releases("lille", 2)] == ["b", "c"]
    assert scene.ledger.release_marks("lille") == [found.mark for found in scene.ledger.releases("lille")]
    assert scene.ledger.release_marks("paris") == []


def test_releases_are_found_by_the_ids_of_their_entries(scene: Scene) -> None:
    scene.ledger.adopt("lille", START)
    entries = [f"e{n:04}" for n in range(IDS_AT_ONCE + 3)]
    for days, entry in enumerate((entries[0], entries[-1], "other")):
        released = START + days * DAY
        scene.ledger.release(Release("lille", full_entry(entry), START.date(), released, released))
    found = scene.ledger.releases("lille", entries=entries)
    assert [release.entry.id for release in found] == [entries[-1], entries[0]]
    assert [one.entry.id for one in scene.ledger.releases("lille", 1, entries=entries)] == [entries[-1]]
    assert scene.ledger.releases("lille", entries=()) == []
    assert scene.ledger.releases("paris", entries=entries) == []


def test_the_campaign_of_the_very_first_release_is_known(scene: Scene) -> None:
    assert scene.ledger.first_released() is None
    for campaign, released in [("lille", START + DAY), ("paris", START), ("arras", START + DAY)]:
        scene.ledger.adopt(campaign, START)
        scene.ledger.release(Release(campaign, full_entry(), START.date(), released, released))
    assert scene.ledger.first_released() == "paris"


def test_the_last_good_files_are_kept(scene: Scene) -> None:
    assert scene.ledger.good_files() == {}
    scene.ledger.remember_files({"content/b.md": "b", "content/a.md": "é\r\n"}, (), START)
    scene.ledger.remember_files({"content/b.md": "b2"}, ["content/a.md", "content/never.md"], START)
    assert scene.ledger.good_files() == {"content/b.md": "b2"}
    before = exported(scene.ledger)
    scene.ledger.remember_files({}, (), START)
    assert exported(scene.ledger) == before


# ----------------------------------------------------------------------------- time, and opening again


def test_instants_are_utc_and_keep_their_microseconds(scene: Scene) -> None:
    local = datetime.fromisoformat("2016-04-11T09:00:00.000001+02:00")
    record = scene.ledger.adopt("lille", local)
    assert record.first_seen == local
    assert record.first_seen.utcoffset() == timedelta(0)
    naive = local.replace(tzinfo=None)
    with pytest.raises(ValueError, match="has no time zone"):
        scene.ledger.adopt("paris", naive)
    with pytest.raises(ValueError, match="has no time zone"):
        scene.ledger.due(naive)


def test_what_was_written_is_there_when_opened_again(shared_url: str, clock: VirtualClock) -> None:
    with open_ledger(shared_url, now=START) as ledger:
        scene = Scene(ledger, clock)
        scene.to_unknown(scene.key())
        before = exported(ledger)
    with open_ledger(shared_url, now=START + DAY) as again:
        assert exported(again) == before
