"""The only place that claims, sends, records and reconciles.

A send is six steps in this order, and nothing that follows a claim may repeat it:

1. compose and render, while nothing is at stake;
2. prepare: a session, pictures; it posts nothing, so a crash here costs no more than the same again;
3. claim: the bytes, the key, the lease and the attempt are committed;
4. send: one request, no transaction open;
5. record: the receipt before anything else;
6. whatever went unanswered is `unknown`, and is settled by evidence only.

`deliver` is complete in itself: any process on any machine that shares the ledger may call it, and the
claim decides who sends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from queue import SimpleQueue
from typing import assert_never
from uuid import uuid4

from pipeline.accounts import Account, Accounts
from pipeline.channels.base import (
    Absent,
    CannotTell,
    Channel,
    DoesNotFit,
    Found,
    RejectedError,
    Sighting,
)
from pipeline.clock import Clock
from pipeline.composing import TemplateProblem, compose
from pipeline.delivery import (
    POLICY,
    AskPerson,
    Event,
    LookUp,
    NextStep,
    Policy,
    Repeat,
    WaitUntil,
    after,
    lease_length,
    settle,
)
from pipeline.errors import LedgerError, LostRace, PipelineError, UnusableChannel, one_line
from pipeline.ledger import Ledger
from pipeline.library import Library
from pipeline.model import (
    Campaign,
    ChannelConfig,
    Delivery,
    DeliveryKey,
    NoKey,
    NotAccepted,
    Outcome,
    Rendition,
    State,
)
from pipeline.receipts import record_surely
from pipeline.sending import Probe, Sender, no_probe

log = logging.getLogger(__name__)

OpenChannel = Callable[[Campaign, ChannelConfig], Channel]
LOOK_AGAIN = timedelta(hours=1)
CLOCKS_APART = timedelta(minutes=5)  # how far a network's clock may be behind ours


def _account(delivery: Delivery) -> Account:
    return Account(delivery.network, delivery.key.channel)


@dataclass(frozen=True, slots=True)
class Way:
    """A delivery with the campaign and the opened channel it goes through."""

    delivery: Delivery
    campaign: Campaign
    config: ChannelConfig
    channel: Channel


class Dispatcher:
    """Sends what is due and settles what is unknown: accounts side by side, in order within an account."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        open_channel: OpenChannel,
        *,
        workers: int = 8,
        probe: Probe = no_probe,
        policy: Policy = POLICY,
    ) -> None:
        """`workers` 0 sends in the calling thread, one after the other: for rehearsals and tests."""
        self._ledger = ledger
        self._clock = clock
        self._open_channel = open_channel
        self._probe = probe
        self._policy = policy
        self.sender = Sender(clock, policy, probe)
        self._accounts = Accounts(workers)
        self._asked_to_wait: dict[Account, datetime] = {}
        self._stopping = False
        self._sent: SimpleQueue[DeliveryKey] = SimpleQueue()
        self._left: SimpleQueue[DeliveryKey] = SimpleQueue()

    # ----------------------------------------------------------------- many

    def start(self, library: Library, *, progress: Callable[[], None] = lambda: None) -> None:
        """Begin with all that is due or unknown, leaving out accounts that are still at it.

        `progress` is called, from the account's thread, when an account has come to its end and something
        is new: a delivery has changed, more has become due meanwhile, or the ledger failed.
        """
        for account, deliveries in self._by_account().items():
            keys = {delivery.key for delivery in deliveries}
            self._accounts.begin(account, keys, partial(self._serve, deliveries, library), progress)

    def wait(self) -> None:
        """Return once every account is idle. Raises the first error of the ledger that one met."""
        self._accounts.wait()

    def collect(self) -> list[BaseException]:
        """The errors of the ledger that accounts met since the last call; the others went on."""
        return self._accounts.collect()

    def sent(self) -> tuple[DeliveryKey, ...]:
        """What this process has published, or found to be, since it was last asked."""
        return _emptied(self._sent)

    def left(self) -> tuple[DeliveryKey, ...]:
        """What this process was at since it was last asked, and did not get published."""
        return _emptied(self._left)

    def begin_no_more(self) -> None:
        """Let the sends in hand be the last ones. Does not wait, and may be called by a signal handler."""
        self._stopping = True

    def stop(self) -> None:
        """Finish the sends in hand, begin no other, and wait for them."""
        self.begin_no_more()
        self._accounts.stop()

    def _by_account(self) -> dict[Account, list[Delivery]]:
        accounts: dict[Account, list[Delivery]] = {}
        now = self._clock.now()
        unknown = [d for d in self._ledger.unsettled() if d.not_before is None or d.not_before <= now]
        for delivery in [*unknown, *self._ledger.due(now)]:
            accounts.setdefault(_account(delivery), []).append(delivery)
        return accounts

    def _serve(self, deliveries: list[Delivery], library: Library) -> bool:
        """Take each as far as it goes. Whether any is different from what it was before."""
        changed = False
        for delivery in deliveries:
            if self._stopping:
                break
            step = self.reconcile if delivery.state is State.UNKNOWN else self.deliver
            state = None
            try:
                state = step(delivery.key, library)
            except LostRace as lost:
                log.info("%s: somebody else was at it: %s", delivery.key, lost)
            except LedgerError:
                raise
            except PipelineError as error:  # of the files or the machine: a trace would say nothing more
                log.warning("%s cannot be handled: %s", delivery.key, error)
                self._put_off(delivery, error)
            except Exception as error:
                # One delivery that cannot be handled must not keep its account's others from going out.
                log.exception("%s cannot be handled", delivery.key)
                self._put_off(delivery, error)
            if state not in {None, State.PUBLISHED}:
                self._left.put(delivery.key)
            # One that stays in its state may still have got an instant at which to look again.
            moved = state is not None and state is not delivery.state
            changed = changed or moved or self._ledger.delivery(delivery.key) != delivery
        return changed

    def _put_off(self, delivery: Delivery, error: Exception) -> None:
        """Look at it again a little later, and say why."""
        self._left.put(delivery.key)
        now = self._clock.now()
        what = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
        reason = one_line(f"cannot be handled: {what}")
        with suppress(LostRace):  # it has moved on
            again = now + self._policy.first_wait
            self._ledger.note(delivery.key, delivery.state, reason=reason, not_before=again, now=now)

    # ----------------------------------------------------------------- one

    def deliver(self, key: DeliveryKey, library: Library) -> State | None:
        """Send one planned delivery, if due and nobody else has it. Its state after, None if not ours."""
        way = self.way(key, library)
        if way is None or way.delivery.state is not State.PLANNED:
            return way.delivery.state if way else None
        now = self._clock.now()
        if now >= way.campaign.event.starts:
            return way.delivery.state  # nothing goes out once the event has begun; its window will close
        until = self._asked_to_wait.get(_account(way.delivery), now)
        if until > now:
            # Another post of the account was sent away: asking on, post after post, gets accounts locked.
            reason = f"the account of `{key.channel}` was asked to wait"
            self._ledger.note(key, State.PLANNED, reason=reason, not_before=until, now=now)
            return State.PLANNED
        rendition = self._render(way, library, now)
        if rendition is None:
            return way.delivery.state
        rendition, obstacle = self.sender.prepare(way.channel, rendition)
        lease = uuid4().hex
        self._probe("before claim")
        now = self._clock.now()
        if now >= way.campaign.event.starts:  # preparing took its time
            return way.delivery.state
        try:
            claimed = self._ledger.claim(
                key, rendition, lease, self._lease_end(way, now), now, way.config.network
            )
        except LostRace:
            return None
        self._probe("after claim")
        # What stood in the way of preparing ends the attempt as if the post itself had met it.
        outcome = obstacle or self.sender.publish(way.channel, claimed)
        return self._record(claimed, outcome, repeated=False)

    def reconcile(self, key: DeliveryKey, library: Library) -> State | None:
        """Take the next step out of `unknown`, if there is one. Its state after, None if not ours."""
        way = self.way(key, library)
        if way is None or way.delivery.state is not State.UNKNOWN:
            return way.delivery.state if way else None
        now = self._clock.now()
        match settle(way.delivery, way.channel.traits, now, self._policy):
            case Repeat():
                return self._repeat(way)
            case LookUp(believe_absence):
                return self._look_up(way, now, believe_absence=believe_absence)
            case WaitUntil(instant):
                self._ledger.note(key, State.UNKNOWN, reason=way.delivery.reason, not_before=instant, now=now)
            case AskPerson():
                # status says what is known and what each answer would do; the files may yet change
                later = now + LOOK_AGAIN
                self._ledger.note(key, State.UNKNOWN, reason=way.delivery.reason, not_before=later, now=now)
            case _ as never:
                assert_never(never)
        return State.UNKNOWN

    def next_step(self, delivery: Delivery, library: Library) -> NextStep | None:
        """What would settle an unknown delivery now; None when the files have no such channel to use."""
        try:
            way = self.way(delivery.key, library)
        except UnusableChannel:
            way = None  # until the file is mended it is as good as gone
        if way is None or way.delivery.state is not State.UNKNOWN:
            return None
        now = self._clock.now()
        # That it will be looked at again, should the files change, does not mean that it goes on by itself.
        at_once, later = (
            settle(delivery, way.channel.traits, now, self._policy)
            for delivery in (replace(way.delivery, not_before=None), way.delivery)
        )
        return at_once if isinstance(at_once, AskPerson) else later

    def _repeat(self, way: Way) -> State | None:
        """Send the identical request again, if it can be prepared while that is still allowed.

        Where the network can be read, a look comes first: what is found needs no repeat, and a network that
        refuses one for other reasons cannot keep us from learning that the post is there.
        """
        frozen = way.delivery.rendition
        assert frozen is not None  # what is unknown was claimed
        key = way.delivery.key
        looked = self._clock.now()
        sighting = self._sighting(way) if way.channel.traits.lookup else None
        if isinstance(sighting, Found):
            with suppress(LostRace):
                return self._found(key, sighting, self._clock.now())
            return None
        prepared, obstacle = self.sender.prepare(way.channel, frozen)
        now = self._clock.now()
        if obstacle is None and prepared != frozen:
            # It was claimed with an obstacle in hand, and the process ended before that was written down.
            if sighting is not None:
                return self._conclude(way, sighting, now, believe_absence=self._believable(way, looked))
            obstacle = NotAccepted(f"preparing `{way.config.network}` changed a request that was frozen")
        if obstacle is not None:
            again = after(obstacle, way.delivery, now, repeated=True, policy=self._policy).not_before
            reason = f"cannot be repeated yet: {obstacle.detail}"
            self._ledger.note(key, State.UNKNOWN, reason=reason, not_before=again, now=now)
            return State.UNKNOWN
        if not isinstance(settle(way.delivery, way.channel.traits, now, self._policy), Repeat):
            return State.UNKNOWN  # preparing took too long: the next look finds another way
        lease = uuid4().hex
        try:
            claimed = self._ledger.repeat(key, lease, self._lease_end(way, now), now)
        except LostRace:
            return None
        self._probe("after repeat")
        return self._record(claimed, self.sender.publish(way.channel, claimed), repeated=True)

    def _lease_end(self, way: Way, now: datetime) -> datetime:
        return now + lease_length(way.channel.traits, self._policy)

    def way(self, key: DeliveryKey, library: Library) -> Way | None:
        """The delivery with its campaign and channel; None when either is gone or is another now.

        What is planned goes to the network that the channel has now: no other one has it, or may have it.
        """
        delivery = self._ledger.delivery(key)
        campaign = library.campaigns.get(key.campaign)
        config = campaign.channel(key.channel) if campaign else None
        if delivery is None or campaign is None or config is None:
            return None
        if config.network != delivery.network and delivery.state is not State.PLANNED:
            return None
        return Way(delivery, campaign, config, self._open_channel(campaign, config))

    def _render(self, way: Way, library: Library, now: datetime) -> Rendition | None:
        """The bytes to send, or None after noting why there are none.

        The delivery stays planned: as soon as the editor mends the text it goes, if its window is open.
        """
        key = way.delivery.key
        entry = library.entries.get(key.entry)
        if entry is None:
            return None
        day = now.astimezone(way.campaign.event.zone).date()
        try:
            library.refuse_unfit(entry)
            post = compose(entry, way.campaign, way.config, way.delivery.date or day, sent_on=day)
            return way.channel.render(way.channel.fit(post), str(key))
        except (TemplateProblem, DoesNotFit, RejectedError) as error:  # the last: an unusable picture
            reason = f"cannot be composed: {error}"
            self._ledger.note(key, State.PLANNED, reason=reason, not_before=None, now=now)
            return None

    def _record(self, claimed: Delivery, outcome: Outcome, *, repeated: bool) -> State | None:
        self._probe("after reply")
        now = self._clock.now()
        step = after(outcome, claimed, now, repeated=repeated, policy=self._policy)
        if step.event is Event.RATE_LIMITED and step.not_before is not None:
            self._asked_to_wait[_account(claimed)] = step.not_before
        self._probe("before receipt")
        try:
            recorded = record_surely(
                self._ledger,
                self._clock,
                claimed,
                step,
                outcome,
                answered=now,
                stopping=lambda: self._stopping,
            )
        except LostRace as lost:
            log.warning("%s: the answer (%s) came after the lease was lost: %s", claimed.key, outcome, lost)
            return None
        self._probe("after receipt")
        if recorded.state is State.PUBLISHED:
            self._sent.put(claimed.key)
        log.info("%s: %s%s", claimed.key, recorded.state, f" ({recorded.reason})" if recorded.reason else "")
        return recorded.state

    def _look_up(self, way: Way, now: datetime, *, believe_absence: bool) -> State:
        return self._conclude(way, self._sighting(way), now, believe_absence=believe_absence)

    def _believable(self, way: Way, looked: datetime) -> bool:
        """Whether what was not there when one looked, without the help of a key, is believed not to be."""
        step = settle(way.delivery, replace(way.channel.traits, key=NoKey()), looked, self._policy)
        return isinstance(step, LookUp) and step.believe_absence

    def _conclude(self, way: Way, sighting: Sighting, now: datetime, *, believe_absence: bool) -> State:
        """Write down what a look at the network has shown."""
        delivery = way.delivery
        if isinstance(sighting, Found):
            return self._found(delivery.key, sighting, now)
        if isinstance(sighting, Absent) and believe_absence:
            return self._ledger.absent(delivery, now).state
        if isinstance(sighting, CannotTell):
            reason = f"the network cannot tell: {sighting.detail}"
            again = now + self._pause_before_looking(delivery, now)
        else:
            reason = "not seen at the network yet; absence is believed only after settling"
            again = now + way.channel.traits.settle
        self._ledger.note(delivery.key, State.UNKNOWN, reason=reason, not_before=again, now=now)
        return State.UNKNOWN

    def _pause_before_looking(self, delivery: Delivery, now: datetime) -> timedelta:
        """Ever longer, as the request gets older: a network that cannot be read is not asked each minute."""
        age = now - (delivery.sent_at or now)
        return max(self._policy.first_wait * 4, min(age / 8, LOOK_AGAIN))

    def _found(self, key: DeliveryKey, sighting: Found, now: datetime) -> State:
        found = self._ledger.found(key, sighting.receipt, now).state
        self._sent.put(key)
        return found

    @staticmethod
    def _sighting(way: Way) -> Sighting:
        """What the network shows of a post that may be there."""
        delivery = way.delivery
        assert delivery.rendition is not None  # what is unknown was claimed
        assert delivery.sent_at is not None
        return way.channel.find(delivery.rendition, delivery.sent_at - CLOCKS_APART)


def _emptied(queue: SimpleQueue[DeliveryKey]) -> tuple[DeliveryKey, ...]:
    found = set()
    while not queue.empty():
        found.add(queue.get())
    return tuple(sorted(found))
