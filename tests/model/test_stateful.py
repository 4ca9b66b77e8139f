"""Two real dispatchers on a real ledger, killed, stalled and lied to by the network; the remote counts.

Within what the guarantees assume: clocks agree to two seconds, a request that gets through does so in less
than its timeout, and people who look at the account tell what they see.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import count
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pipeline.clock import VirtualClock
from pipeline.delivery import TRANSITIONS, AskPerson, Create, Event, Place, Step, Withdraw
from pipeline.dispatch import Dispatcher
from pipeline.errors import NotAllowed
from pipeline.ledger import SAID_POSTED, open_ledger
from pipeline.library import Library
from pipeline.model import Delivery, DeliveryKey, NoKey, PermanentKey, State, TimedKey, Traits
from tests.model.wire import REFUSALS, SECOND, Fate, LocalClock, Network, Wire
from tests.support.builders import make_campaign, make_entries, outbox, utc

DUE = utc(2016, 4, 11, 7, 0)
LATE = timedelta(hours=2)
ENTRIES = ("a", "b", "c")
KEYS = [DeliveryKey("lille", entry, "outbox") for entry in ENTRIES]
TIMEOUT = 30
OFF = 2  # seconds a process's clock may be ahead or behind
ENDS = {State.PUBLISHED, State.MISSED, State.HELD, State.CANCELLED}
NOT_THERE = {State.PLANNED, State.MISSED, State.HELD, State.CANCELLED}

NETWORKS = {
    "permanent key": (PermanentKey(), False),
    "timed key": (TimedKey(timedelta(seconds=180)), False),
    "timed key and lookup": (TimedKey(timedelta(seconds=180)), True),
    "lookup only": (NoKey(), True),
    "neither": (NoKey(), False),
}
POINTS = [
    *["before claim", "after claim", "after repeat", "after read-back", "after receipt"],
    *["after reply", "before receipt"] * 3,  # where most is at stake
]
mishaps = st.one_of(
    st.just("kill"),
    st.just("the other looks"),
    st.sampled_from([f"stall {seconds}" for seconds in (3, 6, 34, 40, 130, 3600)]),
)

on_time = TIMEOUT - 2 * OFF - 1
fates = st.one_of(
    st.builds(Fate, travels=st.integers(0, on_time)),
    st.builds(
        Fate,
        travels=st.none() | st.integers(0, on_time),
        reply=st.just(False),
        waits=st.sampled_from([0, 1, TIMEOUT]),
    ),
    st.builds(Fate, refused=st.sampled_from(list(REFUSALS)), waits=st.sampled_from([0, 5])),
)


@dataclass(frozen=True)
class Look:
    """One look of one process. Every rule ends with one: people and plans only disturb."""

    seconds: int
    number: int
    fates: list[Fate]
    mishap: tuple[str, str]  # at which point, if it is reached, and what


looks = st.builds(
    Look,
    seconds=st.sampled_from([0, 1, 5, 16, 36, 61, 100, 180, 900]),
    number=st.integers(0, 1),
    fates=st.lists(fates, min_size=1, max_size=4),
    mishap=st.tuples(st.sampled_from(POINTS), mishaps),
)


class Killed(BaseException):
    """As SIGKILL: nothing in the process can catch it."""


class Campaign(RuleBasedStateMachine):
    """One campaign of three entries on one channel; two processes; time; people."""

    def __init__(self, traits: Traits, ledger_url: AbstractContextManager[str]) -> None:
        super().__init__()
        self.stack = ExitStack()
        url = self.stack.enter_context(ledger_url)
        self.ledger = self.stack.enter_context(open_ledger(url, now=DUE))
        self.network = Network(VirtualClock(DUE), traits)
        self.clocks = [LocalClock(self.network), LocalClock(self.network)]
        self.library = Library(make_entries(*ENTRIES), {"lille": make_campaign(channels=(outbox(),))}, ())
        self.days = (DUE.date() + timedelta(days=number) for number in count())
        self.mishap: tuple[str, str] | None = None
        self.processes = [self.process(0), self.process(1)]
        self.ledger.adopt("lille", DUE)
        creates = [Create(key, "outbox", next(self.days), DUE, DUE + LATE) for key in KEYS]
        self.ledger.apply_plan("lille", (), creates, DUE)

    def process(self, number: int) -> Dispatcher:
        probe = partial(self.probe, number)
        channel = Wire(self.network, probe)
        return Dispatcher(
            self.ledger,
            self.clocks[number],
            lambda _campaign, _config: channel,
            workers=0,
            probe=probe,
        )

    def probe(self, number: int, point: str) -> None:
        """The mishap of this look, once, when its point is reached."""
        if self.mishap is None or self.mishap[0] != point:
            return
        what, self.mishap = self.mishap[1], None
        if what == "kill":
            raise Killed
        if what == "the other looks":
            self.tick(1 - number)
            self.tick(1 - number)
        else:
            self.network.advance(int(what.split()[1]) * SECOND)
            self.ledger.expire_leases(self.clocks[1 - number].now())

    def tick(self, number: int) -> None:
        """What a tick does about deliveries."""
        now = self.clocks[number].now()
        self.ledger.expire_leases(now)
        self.ledger.close_windows(now)
        self.processes[number].start(self.library)

    def read(self, key: DeliveryKey) -> Delivery:
        found = self.ledger.delivery(key)
        assert found is not None
        return found

    def in_state(self, *states: State) -> list[Delivery]:
        return [one for one in map(self.read, KEYS) if one.state in states]

    # ------------------------------------------------------------------- what happens

    @rule(look=looks)
    def a_process_looks(self, look: Look) -> None:
        """After some time, with a fate for each request, and at most one mishap."""
        self.network.advance(look.seconds * SECOND)
        self.network.fates.extend(look.fates)
        self.mishap = look.mishap
        try:
            self.tick(look.number)
        except Killed:
            self.processes[look.number] = self.process(look.number)
        self.network.fates.clear()
        self.mishap = None

    @rule(off=st.integers(-OFF, OFF), title=st.sampled_from(["Un titre", "Un autre titre"]), look=looks)
    def a_clock_is_set_and_a_file_edited(self, off: int, title: str, look: Look) -> None:
        self.clocks[0].off = off * SECOND
        entry = replace(self.library.entries["a"], title=title)
        self.library = replace(self.library, entries={**self.library.entries, "a": entry})
        self.a_process_looks(look)

    @rule(look=looks)
    def somebody_looks_at_the_account(self, look: Look) -> None:
        self.answer(self.in_state(State.UNKNOWN))
        self.a_process_looks(look)

    def answer(self, unknown: list[Delivery]) -> None:
        for one in unknown:
            with suppress(NotAllowed):  # too early: a request may be under way
                posted = bool(self.network.posts(str(one.key)))
                self.ledger.resolve(one.key, posted, None, self.clocks[0].now())

    @precondition(lambda self: self.in_state(State.HELD, State.MISSED))
    @rule(give_up=st.booleans(), look=looks)
    def somebody_decides(self, give_up: bool, look: Look) -> None:
        now = self.clocks[0].now()
        for one in self.in_state(State.HELD, State.MISSED):
            if give_up:
                self.ledger.cancel(one.key, now)
            else:
                self.ledger.retry(one.key, now, now + LATE, now)
        self.a_process_looks(look)

    @rule(key=st.sampled_from(KEYS), look=looks)
    def the_plan_changes(self, key: DeliveryKey, look: Look) -> None:
        """Planned is withdrawn, withdrawn comes back, missed moves to another day."""
        one, now = self.read(key), self.clocks[1].now()
        ways = {State.PLANNED: None, State.MISSED: Event.MOVED, State.CANCELLED: Event.RESTORED}
        if one.state in ways and one.reason != "given up":
            event = ways[one.state]
            change = Place(one, event, next(self.days), now, now + LATE) if event else Withdraw(one)
            self.ledger.apply_plan("lille", (), [change], now)
        self.a_process_looks(look)

    @precondition(lambda self: self.network.receipts)
    @rule(which=st.integers(0, 50), look=looks)
    def an_old_reply_comes_again(self, which: int, look: Look) -> None:
        text, receipt = self.network.receipts[which % len(self.network.receipts)]
        key, now = DeliveryKey(*text.split("/")), self.clocks[0].now()
        self.ledger.record(key, "a lease long over", Step(Event.RECEIPT), receipt, "Published", now)
        assert self.read(key).state is State.PUBLISHED
        self.a_process_looks(look)

    # ------------------------------------------------------------------- what must hold

    @invariant()
    def nothing_is_posted_twice(self) -> None:
        for key in KEYS:
            assert len(self.network.posts(str(key))) <= 1, [row.event for row in self.ledger.history(key)]

    @invariant()
    def what_is_published_is_there_and_has_its_receipt(self) -> None:
        for one in map(self.read, KEYS):
            assert (one.receipt is not None) == (one.state is State.PUBLISHED)
            if one.receipt is not None:
                there = self.network.posts(str(one.key))
                assert there if one.receipt.remote_id == SAID_POSTED else there == [one.receipt.remote_id]

    @invariant()
    def what_may_be_sent_or_given_up_is_not_there(self) -> None:
        for one in self.in_state(*NOT_THERE):
            assert not self.network.posts(str(one.key)), one
            assert not self.network.expects(str(one.key)), one

    @invariant()
    def every_event_is_a_step_of_the_table(self) -> None:
        for key in KEYS:
            stands = None
            for row in self.ledger.history(key):
                assert row.from_state is stands
                assert row.to_state is not None
                if stands is not None and row.to_state is not stands:
                    assert TRANSITIONS[stands, Event(row.event)] is row.to_state
                stands = row.to_state
            assert stands is self.read(key).state

    def teardown(self) -> None:
        """Without further mishaps everything comes to its end, once or not at all."""
        with self.stack:
            for _ in range(30):
                if not self.in_state(*set(State) - ENDS):
                    break
                self.network.advance(timedelta(minutes=10))
                self.tick(0)
                self.answer([one for one in self.in_state(State.UNKNOWN) if self.asks(one)])
            for one in map(self.read, KEYS):
                assert one.state in ENDS, one
                posts = self.network.posts(str(one.key))
                assert len(posts) == (1 if one.state is State.PUBLISHED else 0), one

    def asks(self, one: Delivery) -> bool:
        return isinstance(self.processes[0].next_step(one, self.library), AskPerson)


# --------------------------------------------------------------------------- on every ledger


@contextmanager
def on_disk() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/ledger.db"


@contextmanager
def in_memory() -> Iterator[str]:
    yield "sqlite://"


def play(network: str, ledger_url, share: int) -> None:
    """`share`: one in so many of the profile's examples, since a ledger costs more than a number."""
    key, lookup = NETWORKS[network]
    traits = Traits(
        key, lookup, edit=False, delete=False, timeout=TIMEOUT * SECOND, settle=timedelta(seconds=60)
    )
    examples = max(settings.default.max_examples // share, 1)
    run_state_machine_as_test(
        lambda: Campaign(traits, ledger_url()),
        settings=settings(settings.default, max_examples=examples, stateful_step_count=15),
    )


@pytest.mark.timeout(0)  # under the long profile it takes as long as it takes
@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_twice_and_nothing_lost_in_memory(network):
    play(network, in_memory, share=10)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_twice_and_nothing_lost_on_disk(network):
    play(network, on_disk, share=50)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("network", NETWORKS)
def test_nothing_twice_and_nothing_lost_on_postgresql(network, cluster):
    play(network, cluster.database, share=50)
