"""The only place that claims, sends, records and reconciles.

A send is five steps in this order, and nothing that follows a step may repeat it:

1. compose and render, while nothing is at stake;
2. claim: the bytes, the key, the lease and the attempt are committed;
3. send: one request, no transaction open;
4. record: the receipt before anything else;
5. whatever went unanswered is `unknown`, and is settled by evidence only.

`deliver` is complete in itself: any process on any machine that shares the ledger may call it, and the
claim decides who sends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from queue import SimpleQueue
from typing import assert_never
from uuid import uuid4

from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    Channel,
    DoesNotFit,
    Found,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.clock import Clock
from pipeline.composing import TemplateProblem, compose
from pipeline.delivery import (
    POLICY,
    AskPerson,
    LookUp,
    NextStep,
    Policy,
    Repeat,
    WaitUntil,
    after,
    in_time,
    lease_length,
    settle,
)
from pipeline.errors import LedgerError, LostRace
from pipeline.ledger import Ledger
from pipeline.library import Library
from pipeline.model import (
    AuthFailed,
    Campaign,
    ChannelConfig,
    Delivery,
    DeliveryKey,
    NotAccepted,
    Outcome,
    Published,
    RateLimited,
    Rejected,
    Rendition,
    State,
    Unknown,
)
from pipeline.receipts import record_surely

log = logging.getLogger(__name__)

OpenChannel = Callable[[Campaign, ChannelConfig], Channel]
Probe = Callable[[str], None]
LOOK_AGAIN = timedelta(hours=1)
CLOCKS_APART = timedelta(minutes=5)  # how far a network's clock may be behind ours

Account = tuple[str, str]  # network and channel id: campaigns that share both share the credentials


def no_probe(_point: str) -> None:
    """Nothing happens at the named point. Crash tests give a probe that ends the process there."""


@dataclass(frozen=True, slots=True)
class _Way:
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
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="send") if workers else None
        self._busy: dict[Account, Future[bool]] = {}
        self._lock = threading.Lock()
        self._in_hand: dict[Account, set[DeliveryKey]] = {}
        self._passed_over: set[Account] = set()  # accounts that were at it when more became due
        self._errors: SimpleQueue[BaseException] = SimpleQueue()
        self._stopping = False
        self._sent: SimpleQueue[DeliveryKey] = SimpleQueue()

    # ----------------------------------------------------------------- many

    def start(self, library: Library, *, progress: Callable[[], None] = lambda: None) -> None:
        """Begin with all that is due or unknown, leaving out accounts that are still at it.

        `progress` is called, from the account's thread, when an account has come to its end and something
        is new: a delivery has changed, more has become due meanwhile, or the ledger failed.
        """
        for account, deliveries in self._by_account().items():
            if self._pool is None:
                if self._serve(deliveries, library):
                    progress()
            elif not self._pass_over(account, deliveries):
                future = self._pool.submit(self._serve, deliveries, library)
                self._busy[account] = future
                self._in_hand[account] = {delivery.key for delivery in deliveries}
                future.add_done_callback(partial(self._ended, account, progress))

    def _pass_over(self, account: Account, deliveries: list[Delivery]) -> bool:
        """Whether the account is still at it. If it is not at all of these, its end is told in any case."""
        with self._lock:
            at_it = account in self._busy and not self._busy[account].done()
            if at_it and any(delivery.key not in self._in_hand[account] for delivery in deliveries):
                self._passed_over.add(account)
            return at_it

    def _ended(self, account: Account, progress: Callable[[], None], future: Future[bool]) -> None:
        if future.cancelled():
            return
        with self._lock:
            more = account in self._passed_over
            self._passed_over.discard(account)
        error = future.exception()
        if error is not None:
            self._errors.put(error)
        if error is not None or more or future.result():
            progress()

    def wait(self) -> None:
        """Return once every account is idle. Raises the first error of the ledger that one met."""
        wait(self._busy.values())
        ended, self._busy = self._busy, {}
        for future in ended.values():
            future.result()

    def collect(self) -> list[BaseException]:
        """The errors of the ledger that accounts met since the last call; the others went on."""
        self._busy = {account: future for account, future in self._busy.items() if not future.done()}
        found = []
        while not self._errors.empty():
            found.append(self._errors.get())
        return found

    def sent(self) -> tuple[DeliveryKey, ...]:
        """What this process has published since it was last asked."""
        found = []
        while not self._sent.empty():
            found.append(self._sent.get())
        return tuple(sorted(found))

    def begin_no_more(self) -> None:
        """Let the sends in hand be the last ones. Does not wait, and may be called by a signal handler."""
        self._stopping = True

    def stop(self) -> None:
        """Finish the sends in hand, begin no other, and wait for them."""
        self.begin_no_more()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _by_account(self) -> dict[Account, list[Delivery]]:
        accounts: dict[Account, list[Delivery]] = {}
        now = self._clock.now()
        unknown = [d for d in self._ledger.unsettled() if d.not_before is None or d.not_before <= now]
        for delivery in [*unknown, *self._ledger.due(now)]:
            accounts.setdefault((delivery.network, delivery.key.channel), []).append(delivery)
        return accounts

    def _serve(self, deliveries: list[Delivery], library: Library) -> bool:
        """Take each as far as it goes. Whether any is different from what it was before."""
        changed = False
        for delivery in deliveries:
            if self._stopping:
                break
            step = self.reconcile if delivery.state is State.UNKNOWN else self.deliver
            try:
                step(delivery.key, library)
            except LostRace as lost:
                log.info("%s: somebody else was at it: %s", delivery.key, lost)
            except LedgerError:
                raise
            except Exception as error:
                # One delivery that cannot be handled must not keep its account's others from going out.
                log.exception("%s cannot be handled", delivery.key)
                self._put_off(delivery, error)
            changed |= self._ledger.delivery(delivery.key) != delivery
        return changed

    def _put_off(self, delivery: Delivery, error: Exception) -> None:
        """Look at it again a little later, and say why."""
        now = self._clock.now()
        reason = f"cannot be handled: {type(error).__name__}: {error}"
        with suppress(LostRace):  # it has moved on
            again = now + self._policy.first_wait
            self._ledger.note(delivery.key, delivery.state, reason=reason, not_before=again, now=now)

    # ----------------------------------------------------------------- one

    def deliver(self, key: DeliveryKey, library: Library) -> State | None:
        """Send one planned delivery, if due and nobody else has it. Its state after, None if not ours."""
        way = self._way(key, library)
        if way is None or way.delivery.state is not State.PLANNED:
            return way.delivery.state if way else None
        now = self._clock.now()
        if now >= way.campaign.event.starts:
            return way.delivery.state  # nothing goes out once the event has begun; its window will close
        rendition = self._render(way, library, now)
        if rendition is None:
            return way.delivery.state
        lease = uuid4().hex
        self._probe("before claim")
        try:
            claimed = self._ledger.claim(key, rendition, lease, self._lease_end(way, now), now)
        except LostRace:
            return None
        self._probe("after claim")
        return self._send(way, claimed, repeated=False)

    def reconcile(self, key: DeliveryKey, library: Library) -> State | None:
        """Take the next step out of `unknown`, if there is one. Its state after, None if not ours."""
        way = self._way(key, library)
        if way is None or way.delivery.state is not State.UNKNOWN:
            return way.delivery.state if way else None
        now = self._clock.now()
        match settle(way.delivery, way.channel.traits, now, self._policy):
            case Repeat():
                lease = uuid4().hex
                try:
                    claimed = self._ledger.repeat(key, lease, self._lease_end(way, now), now)
                except LostRace:
                    return None
                self._probe("after repeat")
                return self._send(way, claimed, repeated=True)
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
        """What would settle an unknown delivery now; None when its channel is no longer in the files."""
        way = self._way(delivery.key, library)
        if way is None or way.delivery.state is not State.UNKNOWN:
            return None
        now = self._clock.now()
        # That it will be looked at again, should the files change, does not mean that it goes on by itself.
        at_once, later = (
            settle(delivery, way.channel.traits, now, self._policy)
            for delivery in (replace(way.delivery, not_before=None), way.delivery)
        )
        return at_once if isinstance(at_once, AskPerson) else later

    def _lease_end(self, way: _Way, now: datetime) -> datetime:
        return now + lease_length(way.channel.traits, self._policy)

    def _way(self, key: DeliveryKey, library: Library) -> _Way | None:
        delivery = self._ledger.delivery(key)
        campaign = library.campaigns.get(key.campaign)
        config = campaign.channel(key.channel) if campaign else None
        if delivery is None or campaign is None or config is None or config.network != delivery.network:
            return None
        return _Way(delivery, campaign, config, self._open_channel(campaign, config))

    def _render(self, way: _Way, library: Library, now: datetime) -> Rendition | None:
        """The bytes to send, or None after noting why there are none.

        The delivery stays planned: as soon as the editor mends the text it goes, if its window is open.
        """
        key = way.delivery.key
        entry = library.entries.get(key.entry)
        if entry is None:
            return None
        day = now.astimezone(way.campaign.event.zone).date()
        try:
            post = compose(entry, way.campaign, way.config, way.delivery.date or day, sent_on=day)
            return way.channel.render(way.channel.fit(post), str(key))
        except (TemplateProblem, DoesNotFit) as error:
            reason = f"cannot be composed: {error}"
            self._ledger.note(key, State.PLANNED, reason=reason, not_before=None, now=now)
            return None

    def _send(self, way: _Way, claimed: Delivery, *, repeated: bool) -> State | None:
        assert claimed.rendition is not None  # a claim stores it
        outcome = self._publish(way.channel, claimed.rendition, claimed)
        self._probe("after reply")
        now = self._clock.now()
        step = after(outcome, claimed, now, repeated=repeated, policy=self._policy)
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

    def _publish(self, channel: Channel, rendition: Rendition, claimed: Delivery) -> Outcome:
        """One request, and what its end means. Anything unclassified is unknown: never "probably failed"."""
        if not in_time(claimed, channel.traits, self._clock.now()):
            return NotAccepted("this process stalled until its lease was too short for it, and sent nothing")
        try:
            return Published(channel.publish(rendition))
        except NotAcceptedError as error:
            return NotAccepted(str(error))
        except RateLimitedError as error:
            return RateLimited(self._asked(error) or self._clock.now() + self._policy.first_wait, str(error))
        except RejectedError as error:
            return Rejected(f"{error.field}: {error}" if error.field else str(error))
        except AuthFailedError as error:
            return AuthFailed(str(error))
        except OutcomeUnknownError as error:
            return Unknown(str(error), self._asked(error))
        except Exception as error:
            log.exception("%s: the channel failed in a way it does not declare", claimed.key)
            return Unknown(f"{type(error).__name__}: {error}")

    def _asked(self, error: RateLimitedError | OutcomeUnknownError) -> datetime | None:
        """When the network wants to hear from us again, if it said so."""
        if error.until is None and error.wait is not None:
            return self._clock.now() + error.wait
        return error.until

    def _look_up(self, way: _Way, now: datetime, *, believe_absence: bool) -> State:
        delivery = way.delivery
        assert delivery.rendition is not None  # what is unknown was claimed
        assert delivery.sent_at is not None
        sighting = way.channel.find(delivery.rendition, delivery.sent_at - CLOCKS_APART)
        if isinstance(sighting, Found):
            return self._ledger.found(delivery.key, sighting.receipt, now).state
        if isinstance(sighting, Absent) and believe_absence:
            return self._ledger.absent(delivery, now).state
        if isinstance(sighting, CannotTell):
            reason, again = f"the network cannot tell: {sighting.detail}", now + self._policy.first_wait * 4
        else:
            reason = "not seen at the network yet; absence is believed only after settling"
            again = now + way.channel.traits.settle
        self._ledger.note(delivery.key, State.UNKNOWN, reason=reason, not_before=again, now=now)
        return State.UNKNOWN
