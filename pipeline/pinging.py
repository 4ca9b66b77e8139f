"""Telling WebSub hubs that feeds have changed, so that subscribers hear of a release within seconds.

What must stay true: a hub is told only of feeds that are on the disk, and of each change at least once, also
through a kill: what is due is worked out from the files and the ledger, not remembered by a process. No hub
delays a post: telling has threads of its own, each request a hard limit, and a hub that fails is left alone
until its next turn. A hub is never told of what was there before it was first seen.

A ping says only "look again", so repeating one is harmless; that is why an uncertain one is simply repeated.
The address of a feed and its hub are those that the feed itself names: what subscribers find is what is told.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlencode

from pipeline.channels.base import AuthFailedError, ChannelError, OutcomeUnknownError, RateLimitedError
from pipeline.channels.base import RejectedError as HubRefusedError
from pipeline.channels.http import Http, Limits
from pipeline.clock import Clock
from pipeline.delivery import POLICY, wait_before_next
from pipeline.ledger import Ledger, Ping
from pipeline.model import Campaign

log = logging.getLogger(__name__)

LIMITS = Limits(total=timedelta(seconds=10), connect=timedelta(seconds=5), size=1 << 16)
PATIENCE = timedelta(days=1)  # a hub that asks for more is given up: by then the news is old
WORKERS = 4  # hubs that are told side by side
_ATOM = "{http://www.w3.org/2005/Atom}"
_FEEDS = frozenset({"feed.xml", "atom.xml", "feed.json"})
_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"}
_Stamp = tuple[tuple[Path, int, int], ...]


class NoHubs:
    """Tells nobody of anything: so it is in a rehearsal."""

    def note(self, campaign: Campaign | None, *, news: bool) -> None:
        """Look at the campaign's feeds as they are on the disk, and make a ping due for each that changed.

        None stands for the feeds of all campaigns together. `news`: something was released just now, so that
        a feed never seen before is worth telling of.
        """

    def next_wake(self, after: datetime) -> datetime | None:  # noqa: ARG002 - nothing is ever due
        """The next instant (UTC) after `after` at which a hub is to be told."""
        return None

    def done(self) -> bool:
        """Whether no hub is left to be told."""
        return True

    def start(self, *, progress: Callable[[], None] = lambda: None) -> None:
        """Begin with all that is due, hubs side by side, leaving out hubs that are being told already.

        `progress` is called, from another thread, when a hub has come to its end: more may be due.
        """

    def wait(self) -> None:
        """Return once no hub is being told."""

    def collect(self) -> list[str]:
        """What an operator should know, once: hubs that were given up, and what went wrong here."""
        return []

    def begin_no_more(self) -> None:
        """Let the requests in hand be the last ones. May be called by a signal handler."""

    def stop(self) -> None:
        """Finish the requests in hand, begin no other, and wait for them."""


class Pinger(NoHubs):
    """Notes which feeds have changed, and tells their hubs. `note` and `start` belong to one thread."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        public: Path,
        *,
        delay: timedelta = timedelta(0),
        workers: int = WORKERS,
        limits: Limits = LIMITS,
        probe: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`delay`: how long after a change its files are publicly readable; `workers` 0: no threads."""
        self._ledger = ledger
        self._clock = clock
        self._public = public
        self._delay = delay
        self._limits = limits
        self._probe = probe
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ping") if workers else None
        self._busy: dict[str, Future[None]] = {}
        self._stamps: dict[str, _Stamp] = {}
        self._told: SimpleQueue[str] = SimpleQueue()
        self._stopping = False

    # ----------------------------------------------------------------- what is due

    def note(self, campaign: Campaign | None, *, news: bool) -> None:
        """Look at the files, and record in the ledger what their hubs are to be told."""
        if campaign is not None and (campaign.hub is None or campaign.public_url is None):
            return
        about = "" if campaign is None else campaign.id
        now = self._clock.now()
        try:
            paths = _feed_files(self._public, about)
            stamp = tuple((path, info.st_mtime_ns, info.st_size) for path in paths for info in [path.stat()])
            if self._stamps.get(about) == stamp:
                return
            self._probe("before feeds noted")
            hubs: dict[str, dict[str, str]] = {}
            for path in paths:
                data = path.read_bytes()
                topic, hub = _self_and_hub(path.name, data)
                if topic is not None and hub is not None:
                    hubs.setdefault(hub, {})[topic] = hashlib.sha256(data).hexdigest()
        except (OSError, ValueError) as error:
            # Looked at again with the next tick that looks at this campaign.
            whose = about or "all campaigns"
            self._told.put(f"{whose}: the feeds cannot be read, so no hub was told: {error}")
            return
        for hub, digests in hubs.items():
            self._ledger.feeds_stand(hub, digests, due=now + self._delay, now=now, news=news)
        self._stamps[about] = stamp
        self._probe("after feeds noted")

    def next_wake(self, after: datetime) -> datetime | None:
        """The first ping of the ledger after that instant (UTC)."""
        return self._ledger.next_ping(after)

    def done(self) -> bool:
        """Whether the ledger has no ping that is due, now or later."""
        return self._ledger.next_ping() is None

    # ----------------------------------------------------------------- telling

    def start(self, *, progress: Callable[[], None] = lambda: None) -> None:
        """One thread a hub; without threads all is told before this returns."""
        hubs: dict[str, list[Ping]] = {}
        for ping in self._ledger.due_pings(self._clock.now()):
            hubs.setdefault(ping.hub, []).append(ping)
        for hub, due in hubs.items():
            if self._pool is None:
                self._serve(due)
            elif hub not in self._busy or self._busy[hub].done():
                future = self._busy[hub] = self._pool.submit(self._serve, due)
                future.add_done_callback(partial(self._ended, progress))

    def wait(self) -> None:
        """Bounded: every request has its limit, and a hub that fails is asked once."""
        wait(self._busy.values())

    def collect(self) -> list[str]:
        """What was put aside since the last call."""
        found = []
        while not self._told.empty():
            found.append(self._told.get())
        return found

    def begin_no_more(self) -> None:
        """What is due stays due, in the ledger."""
        self._stopping = True

    def stop(self) -> None:
        """Takes no longer than one request."""
        self.begin_no_more()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _ended(self, progress: Callable[[], None], future: Future[None]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            # Not even a fault of our own may end the daemon over a ping; what is due stays due.
            log.error("telling a hub failed", exc_info=error)
            self._told.put(f"telling a hub failed: {type(error).__name__}: {error}")
        progress()

    def _serve(self, due: list[Ping]) -> None:
        """Tell one hub, feed by feed. When it is out of order the rest of this turn shares its fate."""
        given_up = []
        for number, ping in enumerate(due):
            if self._stopping:
                return
            failure = self._tell(ping)
            if failure is None:
                continue
            rest = due[number + 1 :] if failure.of_the_hub else []
            ended = [
                self._ledger.end_ping(one, reason=failure.reason, again=failure.again, now=self._clock.now())
                for one in (failure.ping, *rest)
            ]
            if failure.again is None and any(ended):
                given_up.append((failure, sum(ended)))
            if rest:
                break
        for failure, count in given_up:
            others = f" and {count - 1} more" if count > 1 else ""
            self._told.put(
                f"the hub was not told that {failure.ping.topic}{others} changed, and is not asked again: "
                f"{failure.reason}. Readers that ask for the feed see the change; the next change is told."
            )

    def _tell(self, ping: Ping) -> _Failure | None:
        """One request; why it failed, or None."""
        now = self._clock.now()
        if ping.attempts >= POLICY.attempts:  # the last one was begun, and its process ended
            return _Failure(ping, ping.reason or "no answer", None, of_the_hub=False)
        pause = wait_before_next(ping.topic, ping.attempts + 1)
        # Nobody else begins it while it is under way, nor before the pause that follows a failure.
        until = now + max(pause, self._limits.total + POLICY.room)
        began = self._ledger.begin_ping(ping, until, now)
        if began is None:
            return None
        self._probe("before ping")
        error = self._ask(ping)
        self._probe("after ping")
        if error is None:
            self._ledger.end_ping(began, reason=None, again=None, now=self._clock.now())
            return None
        return self._failure(began, error, pause)

    def _ask(self, ping: Ping) -> ChannelError | None:
        fields = {"hub.mode": "publish", "hub.url": ping.topic, "hub.topic": ping.topic}
        try:
            Http(self._limits).request("POST", ping.hub, headers=_FORM, body=urlencode(fields).encode())
        except ChannelError as error:
            return error
        return None

    def _failure(self, ping: Ping, error: ChannelError, pause: timedelta) -> _Failure:
        """What an error means: a refusal is final for this feed, all else concerns the hub and may pass."""
        if isinstance(error, HubRefusedError | AuthFailedError):
            return _Failure(ping, str(error), None, of_the_hub=False)
        now = self._clock.now()
        again: datetime | None = now + pause
        if isinstance(error, RateLimitedError | OutcomeUnknownError):
            asked = error.until or (now + error.wait if error.wait else now)
            again = max(now + pause, asked) if asked <= now + PATIENCE else None
        if ping.attempts >= POLICY.attempts:
            again = None
        return _Failure(ping, str(error), again, of_the_hub=True)


@dataclass(frozen=True, slots=True)
class _Failure:
    """A hub was not told: why, and when it is next (None: it is given up). `of_the_hub`: of no feed alone."""

    ping: Ping
    reason: str
    again: datetime | None
    of_the_hub: bool


def _feed_files(public: Path, campaign: str) -> list[Path]:
    """The campaign's feeds, or those of all campaigns. Archives are called otherwise: they are no news."""
    found = (public / campaign).rglob("*") if campaign else public.glob("*")
    return sorted(path for path in found if path.name in _FEEDS)


def _self_and_hub(name: str, data: bytes) -> tuple[str | None, str | None]:
    """The feed's own address and its hub, as it names them. Raises ValueError for what is no feed."""
    if name.endswith(".json"):
        document: Any = json.loads(data)
        if not isinstance(document, dict):
            raise ValueError(f"{name} holds no JSON Feed")
        hubs = document.get("hubs") or [{}]
        return document.get("feed_url"), hubs[0].get("url")
    from lxml import etree  # noqa: PLC0415 - as heavy as the feeds, and as seldom needed

    try:
        root = etree.fromstring(data)
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error
    channel = root.find("channel") if root.tag == "rss" else root
    found = [] if channel is None else channel.findall(f"{_ATOM}link")
    links = {link.get("rel"): link.get("href") for link in found}
    return links.get("self"), links.get("hub")
