"""Which account is at work: side by side with the others, each at one thing after the other.

What must stay true: of this process only one thread at a time is at an account; an error ends its account's
turn and no other; and whoever waits for news hears of all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from pipeline.model import DeliveryKey


class Account(NamedTuple):
    """Whose posts they are. Campaigns that share a network and a channel id share the account."""

    network: str
    channel: str


class Accounts:
    """The accounts of this process and who is at which."""

    def __init__(self, workers: int) -> None:
        """`workers` 0: every turn is taken in the calling thread, one after the other."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="send") if workers else None
        self._busy: dict[Account, Future[bool]] = {}
        self._in_hand: dict[Account, Collection[DeliveryKey]] = {}
        self._passed_over: set[Account] = set()  # those that were at it when more became due
        self._lock = threading.Lock()
        self._errors: SimpleQueue[BaseException] = SimpleQueue()

    def begin(
        self,
        account: Account,
        deliveries: Collection[DeliveryKey],
        turn: Callable[[], bool],
        progress: Callable[[], None],
    ) -> None:
        """Take a turn at these deliveries of the account, unless it is still at an earlier one.

        `turn` says whether anything is different now. `progress` is called, from the thread that took the
        turn, at its end and when something is new: by what `turn` said, because more became due meanwhile,
        or because of an error.
        """
        if self._pool is None:
            if turn():
                progress()
        elif not self._pass_over(account, deliveries):
            future = self._pool.submit(turn)
            self._busy[account] = future
            self._in_hand[account] = deliveries
            future.add_done_callback(partial(self._ended, account, progress))

    def _pass_over(self, account: Account, deliveries: Collection[DeliveryKey]) -> bool:
        """Whether the account is still at it. If it is not at all of these, its end is told in any case."""
        with self._lock:
            at_it = account in self._busy and not self._busy[account].done()
            if at_it and any(delivery not in self._in_hand[account] for delivery in deliveries):
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
        """Return once every account is idle. Raises the first error that one met."""
        wait(self._busy.values())
        ended, self._busy = self._busy, {}
        for future in ended.values():
            future.result()

    def collect(self) -> list[BaseException]:
        """The errors that accounts met since the last call; the others went on."""
        self._busy = {account: future for account, future in self._busy.items() if not future.done()}
        found = []
        while not self._errors.empty():
            found.append(self._errors.get())
        return found

    def stop(self) -> None:
        """Let the turns in hand end, begin no other, and wait for them."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
