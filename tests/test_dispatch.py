"""Claim, send, record, reconcile: the real dispatcher and ledger, against a remote that counts posts."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta

import pytest

from pipeline.channels.base import OutcomeUnknownError, RejectedError
from pipeline.clock import VirtualClock
from pipeline.delivery import POLICY, Create, Policy, lease_length
from pipeline.dispatch import Dispatcher
from pipeline.errors import LedgerError
from pipeline.ledger import open_ledger
from pipeline.library import Library
from pipeline.model import DeliveryKey, NoKey, PermanentKey, Slot, State, TimedKey, Traits
from tests.support.builders import make_campaign, make_entries, outbox, utc
from tests.support.channels import (
    PERMANENT,
    Fault,
    FaultyChannel,
    Remote,
    auth_failed,
    crash,
    no_answer,
    not_accepted,
    rate_limited,
    rejected,
    slow,
)

DUE = utc(2016, 4, 11, 7, 0)
DAY = date(2016, 4, 11)
KEY = DeliveryKey("lille", "a", "outbox")


def no_answer_before(until):
    return Fault(OutcomeUnknownError("no answer", until=until))


def traits(key, *, lookup=False):
    return Traits(
        key, lookup, edit=True, delete=True, timeout=timedelta(seconds=30), settle=timedelta(seconds=60)
    )


class Stage:
    """One project with a campaign `lille`, entries, and one faulty channel a channel id."""

    def __init__(self, ledger, *, channels=("outbox",), entries=("a",), workers=0, probe=lambda _: None):
        self.clock = VirtualClock(DUE)
        self.ledger = ledger
        self.campaign = make_campaign(channels=tuple(outbox(name) for name in channels))
        self.library = Library(make_entries(*entries), {"lille": self.campaign}, ())
        self.channels = {name: FaultyChannel(clock=self.clock) for name in channels}
        self.dispatcher = self.another(workers=workers, probe=probe)
        ledger.adopt("lille", DUE)
        creates = [
            Create(
                DeliveryKey("lille", entry, channel),
                "outbox",
                DAY + timedelta(days=index),
                DUE,
                DUE + timedelta(hours=6),
            )
            for index, entry in enumerate(entries)
            for channel in channels
        ]
        slots = [Slot("lille", one, DAY + timedelta(days=i), DUE, 10 - i) for i, one in enumerate(entries)]
        ledger.apply_plan("lille", slots, creates, DUE)

    def another(self, *, workers=0, probe=lambda _: None, open_channel=None, policy=POLICY):
        """A second dispatcher on the same ledger and the same network."""
        return Dispatcher(
            self.ledger,
            self.clock,
            open_channel or (lambda _campaign, config: self.channels[config.id]),
            workers=workers,
            probe=probe,
            policy=policy,
        )

    @property
    def channel(self):
        return self.channels["outbox"]

    @property
    def posts(self):
        return self.channel.remote.made

    def use(self, key, *, lookup=False, **more):
        self.channels["outbox"] = FaultyChannel(traits=traits(key, lookup=lookup), clock=self.clock, **more)
        return self.channel

    def state(self, key=KEY):
        return self.ledger.delivery(key).state

    def round(self, after=timedelta(0)):
        """Move on, and do what the tick does about deliveries."""
        self.clock.advance(after)
        self.ledger.expire_leases(self.clock.now())
        self.ledger.close_windows(self.clock.now())
        self.dispatcher.start(self.library)
        return self.state()

    def rounds(self, count=40, step=timedelta(minutes=1)):
        return [self.round(step) for _ in range(count)][-1]


@pytest.fixture
def ledger():
    with open_ledger("sqlite://", now=DUE) as opened:
        yield opened


@pytest.fixture
def stage(ledger):
    return Stage(ledger)


# --------------------------------------------------------------------------- the straight way


def test_what_is_due_is_published_once(stage):
    assert stage.round() is State.PUBLISHED
    stage.rounds(5)
    assert stage.posts == 1
    delivery = stage.ledger.delivery(KEY)
    assert delivery.receipt.remote_id == "post-1"
    assert delivery.published_at == DUE
    assert stage.dispatcher.sent() == (KEY,)
    assert stage.dispatcher.sent() == ()


def test_what_is_not_due_is_not_sent(stage):
    stage.clock.advance(timedelta(seconds=-1))
    assert stage.round() is State.PLANNED
    assert stage.dispatcher.deliver(KEY, stage.library) in {None, State.PLANNED}
    assert stage.posts == 0


def test_what_is_sent_is_what_the_preview_shows(stage):
    stage.round()
    sent = next(iter(stage.channel.remote.posts.values()))
    assert "J-10 : Projet a." in sent.body.decode()
    assert stage.ledger.delivery(KEY).rendition.body == sent.body


def test_a_post_sent_after_midnight_says_one_day_less(ledger):
    stage = Stage(ledger)
    night = utc(2016, 4, 11, 21, 59)
    create = Create(DeliveryKey("lille", "b", "outbox"), "outbox", DAY, night, night + timedelta(hours=6))
    ledger.apply_plan("lille", [], [replace(create, date=date(2016, 4, 15))], DUE)
    stage.library = Library(make_entries("a", "b"), {"lille": stage.campaign}, ())
    stage.clock.sleep_until(night + timedelta(minutes=2))
    stage.dispatcher.deliver(create.key, stage.library)
    assert ledger.delivery(create.key).rendition.text.startswith("J-9 ")


def test_nothing_goes_out_once_the_event_has_begun(stage):
    begun = replace(stage.campaign, event=replace(stage.campaign.event, starts=DUE))
    stage.library = Library(stage.library.entries, {"lille": begun}, ())
    assert stage.round() is State.PLANNED
    assert stage.posts == 0


def test_a_delivery_whose_campaign_or_channel_is_gone_is_left_alone(stage):
    for campaigns in ({}, {"lille": replace(stage.campaign, channels=())}):
        stage.library = Library(stage.library.entries, campaigns, ())
        assert stage.round() is State.PLANNED
    assert stage.posts == 0


def test_an_entry_that_is_gone_from_the_files_is_not_sent(stage):
    stage.library = Library({}, {"lille": stage.campaign}, ())
    assert stage.round() is State.PLANNED
    assert stage.posts == 0


def test_a_text_that_cannot_be_composed_waits_and_goes_once_it_is_mended(stage):
    broken = replace(stage.campaign, text="{{ entry.titel }}")
    stage.library = Library(stage.library.entries, {"lille": broken}, ())
    assert stage.round() is State.PLANNED
    assert "titel" in stage.ledger.delivery(KEY).reason
    stage.library = Library(stage.library.entries, {"lille": stage.campaign}, ())
    assert stage.round(timedelta(minutes=1)) is State.PUBLISHED


def test_a_text_that_does_not_fit_waits_with_its_reason(stage):
    stage.channels["outbox"] = FaultyChannel(clock=stage.clock, limit=10)
    assert stage.round() is State.PLANNED
    assert "limit is 10" in stage.ledger.delivery(KEY).reason
    assert stage.dispatcher.left() == (KEY,)


def test_what_fails_in_a_way_nobody_foresaw_is_told_and_tried_again(stage):
    class Faulty(FaultyChannel):
        def render(self, fit, key):
            raise RuntimeError("a bug\nin the adapter")

    stage.channels["outbox"] = Faulty(clock=stage.clock)
    assert stage.round() is State.PLANNED
    assert stage.dispatcher.left() == (KEY,)
    assert "a bug in the adapter" in stage.ledger.delivery(KEY).reason
    stage.channels["outbox"] = FaultyChannel(clock=stage.clock)
    assert stage.rounds(5) is State.PUBLISHED


# --------------------------------------------------------------------------- refusals


def test_a_picture_that_cannot_be_used_waits_and_goes_once_it_is_mended(stage):
    class Picky(FaultyChannel):
        broken = True

        def render(self, fit, key):
            if self.broken:
                raise RejectedError("the picture is cut", field="image")
            return super().render(fit, key)

    stage.channels["outbox"] = channel = Picky(clock=stage.clock)
    assert stage.rounds(5) is State.PLANNED
    assert "the picture is cut" in stage.ledger.delivery(KEY).reason
    assert stage.ledger.delivery(KEY).attempts == 0
    channel.broken = False
    assert stage.rounds(5) is State.PUBLISHED


def test_not_accepted_is_tried_again_later_and_posted_once(stage):
    stage.channel.fail("publish", not_accepted(), not_accepted())
    assert stage.round() is State.PLANNED
    assert stage.round(timedelta(seconds=1)) is State.PLANNED
    assert len(stage.channel.remote.calls) == 1, "it waits before it tries again"
    assert stage.rounds(3) is State.PUBLISHED
    assert stage.posts == 1


def test_not_accepted_again_and_again_is_held_for_a_person(stage):
    stage.dispatcher = stage.another(policy=Policy(attempts=8))
    stage.channel.fail("publish", *[not_accepted()] * 20)
    assert stage.rounds(300) is State.HELD
    assert "8 times" in stage.ledger.delivery(KEY).reason


def test_an_outage_shorter_than_the_late_window_asks_nobody(stage):
    stage.channel.fail("publish", *[not_accepted()] * 15)
    assert stage.rounds(360) is State.PUBLISHED
    assert stage.ledger.delivery(KEY).attempts == 16


def test_an_outage_longer_than_the_late_window_ends_as_missed(stage):
    stage.channel.fail("publish", *[not_accepted()] * 50)
    assert stage.rounds(361) is State.MISSED


def test_a_rate_limit_is_waited_out(stage):
    stage.channel.fail("publish", rate_limited(until=DUE + timedelta(minutes=20)))
    stage.round()
    assert stage.rounds(19) is State.PLANNED
    assert stage.round(timedelta(minutes=1)) is State.PUBLISHED
    assert len(stage.channel.remote.calls) == 2


def test_a_rate_limit_without_an_instant_still_waits(stage):
    stage.channel.fail("publish", rate_limited())
    stage.round()
    assert stage.ledger.delivery(KEY).not_before > DUE


def test_a_rate_limit_beyond_the_window_ends_as_missed(stage):
    stage.channel.fail("publish", rate_limited(until=DUE + timedelta(hours=7)))
    stage.round()
    assert stage.round(timedelta(hours=6)) is State.MISSED
    assert "too many requests" in stage.ledger.delivery(KEY).reason


def test_a_rejection_is_held_with_the_field_at_fault(stage):
    stage.channel.fail("publish", rejected())
    assert stage.round() is State.HELD
    assert "text: the text holds a forbidden word" in stage.ledger.delivery(KEY).reason
    stage.rounds(5)
    assert len(stage.channel.remote.calls) == 1


def test_a_failed_login_pauses_the_whole_channel_and_a_retry_resumes_it(ledger):
    stage = Stage(ledger, entries=("a", "b"))
    stage.channel.fail("publish", auth_failed())
    assert stage.round() is State.HELD
    assert stage.rounds(5) is State.HELD
    assert stage.channel.remote.calls == ["publish"], "no second entry runs into the same refusal"
    assert ledger.paused() == {("lille", "outbox"): "the token has expired"}
    now = stage.clock.now()
    ledger.retry(KEY, now, now + timedelta(hours=1), now)
    assert stage.rounds(2) is State.PUBLISHED
    assert stage.posts == 2


# --------------------------------------------------------------------------- preparing


class Uploading(FaultyChannel):
    """The network names the picture when it is prepared, and another way each time."""

    uploads = 0

    def prepare(self, rendition):
        rendition = super().prepare(rendition)
        if b"picture-" in rendition.body:
            return rendition
        self.uploads += 1
        return replace(rendition, body=rendition.body + b" picture-%d" % self.uploads)


def test_what_preparing_adds_is_frozen_by_the_claim_and_repeated_as_it_is(stage):
    stage.channels["outbox"] = channel = Uploading(clock=stage.clock)
    channel.fail("publish", no_answer(accepted=False))
    assert stage.round() is State.UNKNOWN
    assert stage.rounds(3) is State.PUBLISHED
    assert [post.body[-10:] for post in channel.remote.posts.values()] == [b" picture-1"]
    assert channel.uploads == 1


def test_a_post_that_was_refused_is_prepared_anew(stage):
    stage.channels["outbox"] = channel = Uploading(clock=stage.clock)
    channel.fail("publish", not_accepted())
    assert stage.rounds(3) is State.PUBLISHED
    assert [post.body[-10:] for post in channel.remote.posts.values()] == [b" picture-2"]


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (not_accepted(), State.PLANNED),
        (no_answer(accepted=False), State.PLANNED),
        (crash(RuntimeError("a bug in the adapter"), accepted=False), State.PLANNED),
        (rate_limited(wait=timedelta(minutes=2)), State.PLANNED),
        (rejected(), State.HELD),
        (auth_failed(), State.HELD),
    ],
    ids=["not accepted", "no answer", "undeclared exception", "rate limited", "rejected", "auth failed"],
)
def test_a_failure_to_prepare_posts_nothing_and_is_never_uncertain(stage, fault, state):
    stage.channel.fail("prepare", fault)
    assert stage.round() is state
    assert stage.channel.remote.calls == []
    if state is State.PLANNED:
        assert stage.rounds(5) is State.PUBLISHED
        assert stage.posts == 1


def test_a_network_that_asks_for_time_while_it_is_prepared_gets_it(stage):
    stage.channel.fail("prepare", no_answer_before(DUE + timedelta(minutes=30)))
    assert stage.rounds(29) is State.PLANNED
    assert stage.channel.remote.calls == []
    assert stage.rounds(3) is State.PUBLISHED


def test_failures_to_prepare_are_used_up_like_others(stage):
    stage.dispatcher = stage.another(policy=Policy(attempts=8))
    stage.channel.fail("prepare", *[not_accepted()] * 50)
    assert stage.rounds(300) is State.HELD
    assert "not accepted 8 times" in stage.ledger.delivery(KEY).reason


def test_a_repeat_that_cannot_be_prepared_stays_unknown_until_it_can(stage):
    stage.use(PermanentKey())
    stage.channel.fail("publish", no_answer(accepted=True))
    stage.round()
    stage.channel.fail("prepare", rejected(), auth_failed(), not_accepted())
    assert stage.rounds(2) is State.UNKNOWN
    assert "cannot be repeated yet" in stage.ledger.delivery(KEY).reason
    assert stage.channel.remote.calls == ["publish"]
    assert stage.rounds(10) is State.PUBLISHED
    assert stage.posts == 1


def test_a_repeat_is_never_sent_with_other_bytes(stage):
    channel = stage.use(PermanentKey())
    channel.fail("publish", no_answer(accepted=True))
    stage.round()
    changing = Uploading(traits=traits(PermanentKey()), clock=stage.clock, remote=channel.remote)
    stage.channels["outbox"] = changing
    assert stage.rounds(20) is State.UNKNOWN
    assert "changed a request that was frozen" in stage.ledger.delivery(KEY).reason
    assert changing.remote.calls == ["publish"]


def test_preparing_that_takes_until_the_window_has_closed_posts_nothing(stage):
    stage.channel.fail("prepare", slow(timedelta(hours=7)))
    stage.round()
    assert stage.rounds(2) is State.MISSED
    assert stage.posts == 0


def test_preparing_that_takes_until_the_event_posts_nothing(stage):
    stage.campaign = replace(
        stage.campaign, event=replace(stage.campaign.event, starts=DUE + timedelta(hours=1))
    )
    stage.library = Library(stage.library.entries, {"lille": stage.campaign}, ())
    stage.channel.fail("prepare", slow(timedelta(hours=2)))
    assert stage.round() is State.PLANNED
    assert stage.posts == 0


def test_a_repeat_that_was_prepared_too_late_for_its_key_is_not_sent(ledger):
    stage = Stage(ledger)
    stage.use(TimedKey(timedelta(minutes=10)))
    stage.channel.fail("publish", no_answer(accepted=True))
    stage.round()
    stage.channel.fail("prepare", slow(timedelta(minutes=9)))
    assert stage.rounds(5) is State.UNKNOWN
    assert stage.channel.remote.calls == ["publish"]


# --------------------------------------------------------------------------- unknown


def test_a_network_that_can_be_read_is_looked_at_before_it_is_asked_again(stage):
    stage.channel.fail("publish", no_answer(accepted=True))
    assert stage.round() is State.UNKNOWN
    assert (stage.dispatcher.sent(), stage.dispatcher.left()) == ((), (KEY,))
    assert stage.rounds(2) is State.PUBLISHED
    assert stage.channel.remote.calls == ["publish", "find"]
    assert stage.dispatcher.sent() == (KEY,)


def test_a_post_that_is_there_is_found_although_every_repeat_is_refused(stage):
    stage.channel.fail("publish", no_answer(accepted=True), *[rejected()] * 50)
    stage.channel.fail("find", no_answer(accepted=False))
    stage.round()
    assert stage.rounds(10) is State.PUBLISHED
    assert stage.channel.remote.calls == ["publish", "find", "publish", "find"]
    assert stage.posts == 1
    assert stage.dispatcher.sent() == (KEY,)


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize(
    "fault",
    [no_answer, lambda *, accepted: crash(RuntimeError("a bug\nin the adapter"), accepted=accepted)],
    ids=["no answer", "undeclared exception"],
)
def test_with_a_permanent_key_an_uncertain_send_ends_as_one_post(stage, fault, accepted):
    stage.channel.fail("publish", fault(accepted=accepted))
    assert stage.round() is State.UNKNOWN
    assert stage.ledger.delivery(KEY).reason.isprintable(), "one line"
    assert stage.rounds(3) is State.PUBLISHED
    assert stage.posts == 1


def test_a_repeat_sends_the_identical_bytes_even_if_the_entry_was_edited(stage):
    stage.channel.fail("publish", no_answer(accepted=False))
    stage.round()
    first = stage.ledger.delivery(KEY).rendition
    edited = {"a": replace(stage.library.entries["a"], title="Another title")}
    stage.library = Library(edited, {"lille": stage.campaign}, ())
    assert stage.rounds(3) is State.PUBLISHED
    assert next(iter(stage.channel.remote.posts.values())).body == first.body


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize(
    "refusal",
    [not_accepted(), rate_limited(wait=timedelta(seconds=1)), rejected(), auth_failed()],
    ids=["not accepted", "rate limited", "rejected", "auth failed"],
)
def test_a_refused_repeat_never_leads_back_to_the_queue(ledger, accepted, refusal):
    stage = Stage(ledger)
    stage.use(TimedKey(timedelta(minutes=3)))
    stage.channel.fail("publish", no_answer(accepted=accepted), *[refusal] * 50)
    assert stage.rounds(60) is State.UNKNOWN, "the first request may have been taken"
    assert stage.posts == (1 if accepted else 0)


def test_after_its_window_a_timed_key_is_not_used_again(ledger):
    stage = Stage(ledger)
    stage.use(TimedKey(timedelta(minutes=3)))
    stage.channel.fail("publish", no_answer(accepted=True))
    stage.round()
    stage.clock.advance(timedelta(minutes=10))
    assert stage.rounds(60) is State.UNKNOWN
    assert stage.channel.remote.calls == ["publish"]


@pytest.mark.parametrize("accepted", [True, False])
def test_with_lookup_an_uncertain_send_ends_as_one_post(ledger, accepted):
    stage = Stage(ledger)
    stage.use(NoKey(), lookup=True)
    stage.channel.fail("publish", no_answer(accepted=accepted))
    assert stage.rounds(20) is State.PUBLISHED
    assert stage.posts == 1


def test_a_lagging_read_back_is_not_taken_for_absence(ledger):
    stage = Stage(ledger)
    stage.use(NoKey(), lookup=True, remote=Remote(lag=timedelta(seconds=80)))
    stage.channel.fail("publish", no_answer(accepted=True))
    stage.round()
    steps = [stage.round(timedelta(seconds=5)) for _ in range(60)]
    assert steps[-1] is State.PUBLISHED
    assert State.PLANNED not in steps
    assert stage.posts == 1


def test_a_read_back_that_cannot_tell_changes_nothing(ledger):
    stage = Stage(ledger)
    stage.use(NoKey(), lookup=True)
    stage.channel.fail("publish", no_answer(accepted=True))
    stage.channel.fail("find", *[crash(OSError("down"), accepted=False)] * 3)
    stage.round()
    stage.round(timedelta(minutes=3))
    assert stage.state() is State.UNKNOWN
    assert "cannot tell: down" in stage.ledger.delivery(KEY).reason
    assert stage.rounds(20) is State.PUBLISHED
    assert stage.posts == 1


@pytest.mark.parametrize("accepted", [True, False])
def test_without_key_and_lookup_a_person_decides(ledger, accepted):
    stage = Stage(ledger)
    stage.use(NoKey())
    stage.channel.fail("publish", no_answer(accepted=accepted))
    assert stage.rounds(100) is State.UNKNOWN
    assert stage.channel.remote.calls == ["publish"]
    now = stage.clock.now()
    ledger.resolve(KEY, accepted, None, now)
    assert stage.rounds(3) is State.PUBLISHED
    assert stage.posts == 1


def test_an_uncertain_send_is_not_looked_into_all_the_time(ledger):
    stage = Stage(ledger)
    stage.use(NoKey())
    stage.channel.fail("publish", no_answer(accepted=False))
    stage.rounds(2)
    before = len(ledger.history(KEY))
    stage.rounds(30)
    assert len(ledger.history(KEY)) - before <= 2


# --------------------------------------------------------------------------- two at once, stalls, ends


def test_a_process_that_stalls_until_its_lease_is_over_sends_nothing(ledger):
    def stall(point):
        if point == "after claim" and not stalled:
            stalled.append(point)
            stage.clock.advance(lease_length(PERMANENT))

    stalled = []
    stage = Stage(ledger, probe=stall)
    stage.round()
    assert stage.posts == 0
    assert "stalled" in (ledger.delivery(KEY).reason or "")
    assert stage.rounds(3) is State.PUBLISHED
    assert stage.posts == 1


def test_a_receipt_that_comes_after_the_lease_is_evidence(ledger):
    stage = Stage(ledger)
    stage.use(NoKey())

    def meanwhile(point):
        if point == "after reply":
            stage.clock.advance(lease_length(PERMANENT))
            ledger.expire_leases(stage.clock.now())
            assert stage.state() is State.UNKNOWN

    stage.another(probe=meanwhile).deliver(KEY, stage.library)
    assert stage.state() is State.PUBLISHED
    assert stage.posts == 1


def test_a_refusal_that_comes_after_the_lease_changes_nothing(ledger):
    stage = Stage(ledger)
    stage.use(NoKey())
    stage.channel.fail("publish", slow(timedelta(minutes=1), not_accepted()))

    def meanwhile(point):
        if point == "after reply":
            ledger.expire_leases(stage.clock.now())

    assert stage.another(probe=meanwhile).deliver(KEY, stage.library) is None
    assert stage.state() is State.UNKNOWN


def test_of_two_dispatchers_one_sends(ledger):
    stage = Stage(ledger)
    other = stage.another()

    def overtake(point):
        if point == "before claim":
            assert other.deliver(KEY, stage.library) is State.PUBLISHED

    assert stage.another(probe=overtake).deliver(KEY, stage.library) is None
    assert stage.posts == 1


def test_of_two_dispatchers_one_repeats(ledger):
    stage = Stage(ledger)
    stage.channel.fail("publish", no_answer(accepted=True))
    stage.round()
    stage.clock.advance(timedelta(minutes=2))
    first, second = stage.another(), stage.another()
    ledger.repeat(KEY, "held by somebody", stage.clock.now() + timedelta(minutes=5), stage.clock.now())
    assert first.reconcile(KEY, stage.library) is State.SENDING
    assert second.deliver(KEY, stage.library) is State.SENDING
    assert stage.channel.remote.calls == ["publish"]


def test_what_is_not_unknown_is_not_reconciled(stage):
    stage.round()
    assert stage.dispatcher.reconcile(KEY, stage.library) is State.PUBLISHED
    assert stage.dispatcher.next_step(stage.ledger.delivery(KEY), stage.library) is None
    assert stage.dispatcher.reconcile(DeliveryKey("lille", "nobody", "outbox"), stage.library) is None


class Gate(FaultyChannel):
    """A network that does not answer until it is told to."""

    def __init__(self, **more):
        super().__init__(**more)
        self.reached = threading.Event()
        self.open = threading.Event()

    def publish(self, rendition):
        self.reached.set()
        assert self.open.wait(20)
        return super().publish(rendition)


@pytest.fixture
def file_ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db", now=DUE) as opened:
        yield opened


def test_a_dead_network_delays_no_other(file_ledger):
    stage = Stage(file_ledger, channels=("dead", "fine"), workers=4)
    gate = stage.channels["dead"] = Gate(clock=stage.clock)
    moved = threading.Event()
    stage.dispatcher.start(stage.library, progress=moved.set)
    assert gate.reached.wait(20)
    assert moved.wait(20), "the other account ends while the dead one hangs"
    assert stage.state(DeliveryKey("lille", "a", "fine")) is State.PUBLISHED
    assert stage.state(DeliveryKey("lille", "a", "dead")) is State.SENDING
    stage.dispatcher.start(stage.library)  # an account that is still at it is left alone
    gate.open.set()
    stage.dispatcher.wait()
    assert stage.state(DeliveryKey("lille", "a", "dead")) is State.PUBLISHED
    assert gate.remote.made == 1
    stage.dispatcher.collect()
    stage.dispatcher.stop()


def test_stopping_finishes_the_send_in_hand_and_begins_no_other(file_ledger):
    stage = Stage(file_ledger, entries=("a", "b"), workers=2)
    gate = stage.channels["outbox"] = Gate(clock=stage.clock)
    stage.dispatcher.start(stage.library)
    assert gate.reached.wait(20)
    stopping = threading.Thread(target=stage.dispatcher.stop)
    stopping.start()
    while not stage.dispatcher._stopping:
        stopping.join(0.01)
    gate.open.set()
    stopping.join(20)
    assert not stopping.is_alive()
    assert {stage.state(), stage.state(DeliveryKey("lille", "b", "outbox"))} == {
        State.PUBLISHED,
        State.PLANNED,
    }


def test_within_an_account_deliveries_go_out_in_order(ledger):
    stage = Stage(ledger, entries=("a", "b", "c"))
    stage.round()
    texts = [post.body.decode() for post in stage.channel.remote.posts.values()]
    assert [f"Projet {name}" in text for name, text in zip("abc", texts, strict=True)] == [True] * 3


def test_an_error_of_the_ledger_in_a_thread_is_raised_by_the_next_look(file_ledger):
    stage = Stage(file_ledger, workers=1)

    def close(point):
        if point == "after reply":
            file_ledger.close()

    stage.dispatcher = stage.another(workers=1, probe=close)
    stage.dispatcher.start(stage.library)
    with pytest.raises(LedgerError):
        stage.dispatcher.wait()


def test_what_becomes_due_while_its_account_is_busy_is_told_when_that_ends(file_ledger):
    stage = Stage(file_ledger, workers=2)
    gate = stage.channels["outbox"] = Gate(clock=stage.clock)
    stage.library = Library(make_entries("a", "b"), {"lille": stage.campaign}, ())
    stage.dispatcher.start(stage.library)
    assert gate.reached.wait(20)
    later = Create(
        DeliveryKey("lille", "b", "outbox"), "outbox", date(2016, 4, 12), DUE, DUE + timedelta(hours=6)
    )
    file_ledger.apply_plan("lille", [Slot("lille", "a", DAY, DUE, 10)], [later], DUE)
    told = threading.Event()
    stage.dispatcher.start(stage.library, progress=told.set)  # the account is still at the first one
    gate.open.set()
    stage.dispatcher.wait()
    stage.dispatcher.start(stage.library)
    stage.dispatcher.wait()
    assert stage.state(later.key) is State.PUBLISHED
    stage.dispatcher.stop()


def test_a_new_instant_at_which_to_look_again_is_told_though_the_state_stays(file_ledger):
    def broken(point):
        if point == "before claim":
            raise RuntimeError("a fault of our own")

    stage = Stage(file_ledger)
    stage.dispatcher = stage.another(workers=1, probe=broken)
    told = threading.Event()
    stage.dispatcher.start(stage.library, progress=told.set)
    stage.dispatcher.wait()
    put_off = stage.ledger.delivery(KEY)
    assert (put_off.state, put_off.not_before is not None) == (State.PLANNED, True)
    assert told.wait(20), "whoever sleeps until the next instant must hear of this one"
    stage.dispatcher.stop()


def test_an_account_that_has_not_begun_when_all_stops_sends_nothing(file_ledger):
    stage = Stage(file_ledger, channels=("first", "second"), workers=1)
    gate = stage.channels["first"] = Gate(clock=stage.clock)
    stage.dispatcher.start(stage.library)
    assert gate.reached.wait(20)
    stopping = threading.Thread(target=stage.dispatcher.stop)
    stopping.start()
    gate.open.set()
    stopping.join(20)
    assert stage.state(DeliveryKey("lille", "a", "first")) is State.PUBLISHED
    assert stage.state(DeliveryKey("lille", "a", "second")) is State.PLANNED


def test_without_threads_there_is_nothing_to_wait_for(stage):
    stage.dispatcher.stop()
    assert stage.round() is State.PLANNED
    assert stage.posts == 0


def test_a_repeat_that_somebody_else_began_first_is_left_to_them(ledger):
    stage = Stage(ledger)
    stage.channel.fail("publish", no_answer(accepted=True))
    stage.round()
    stage.clock.advance(timedelta(minutes=2))
    other = stage.another()

    def overtaken(_campaign, config):
        if ledger.delivery(KEY).state is State.UNKNOWN:
            other.reconcile(KEY, stage.library)
        return stage.channels[config.id]

    late = stage.another(open_channel=overtaken)
    assert late.reconcile(KEY, stage.library) is None
    assert stage.state() is State.PUBLISHED
    assert stage.posts == 1
