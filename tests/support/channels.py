"""`FaultyChannel`: a real channel over a remote in memory, whose every fault the test chooses.

The remote counts posts, so a test asks it, not the pipeline, whether something went out twice. Share one
`Remote` between channels to play several processes against one network.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    Found,
    Identity,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    Sighting,
)
from pipeline.channels.text import fit_text, graphemes
from pipeline.clock import Clock, VirtualClock
from pipeline.model import Fit, PermanentKey, Post, Receipt, Rendition, TimedKey, Traits

PERMANENT = Traits(
    key=PermanentKey(),
    lookup=True,
    edit=True,
    delete=True,
    timeout=timedelta(seconds=30),
    settle=timedelta(seconds=60),
)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call: it takes `slow`, then the network acts if `accepted`, then `error`."""

    error: Exception | None
    accepted: bool = False
    slow: timedelta = timedelta(0)


def not_accepted() -> Fault:
    return Fault(NotAcceptedError("connection refused"))


def rate_limited(*, until: datetime | None = None, wait: timedelta | None = None) -> Fault:
    return Fault(RateLimitedError("too many requests", until=until, wait=wait))


def rejected(reason: str = "the text holds a forbidden word") -> Fault:
    return Fault(RejectedError(reason, field="text"))


def auth_failed() -> Fault:
    return Fault(AuthFailedError("the token has expired"))


def no_answer(*, accepted: bool) -> Fault:
    return Fault(OutcomeUnknownError("no answer"), accepted=accepted)


def crash(error: Exception, *, accepted: bool) -> Fault:
    """An exception that is not in the channels' tree."""
    return Fault(error, accepted=accepted)


def slow(span: timedelta, then: Fault | None = None) -> Fault:
    """The clock moves on by `span` before the call does what `then` says; without it, it succeeds."""
    return replace(then, slow=span) if then else Fault(None, accepted=True, slow=span)


@dataclass
class RemotePost:
    id: str
    key: str
    body: bytes
    at: datetime


@dataclass
class Remote:
    """The network's side. Posts are seen by readers at once, by `find` after `lag`."""

    lag: timedelta = timedelta(0)
    posts: dict[str, RemotePost] = field(default_factory=dict)
    keys: dict[str, tuple[str, datetime]] = field(default_factory=dict)  # key → id, when it was first used
    calls: list[str] = field(default_factory=list)
    made: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def count(self) -> int:
        """How many posts readers see."""
        with self.lock:
            return len(self.posts)

    def accept(self, rendition: Rendition, traits: Traits, now: datetime) -> RemotePost:
        """Take a post, or give back the one that has its key."""
        with self.lock:
            known = self.keys.get(rendition.key)
            if known and _keeps(traits, known[1], now) and known[0] in self.posts:
                return self.posts[known[0]]
            self.made += 1
            post = RemotePost(f"post-{self.made}", rendition.key, rendition.body, now)
            self.posts[post.id] = post
            self.keys[rendition.key] = post.id, now
            return post


def _keeps(traits: Traits, first: datetime, now: datetime) -> bool:
    match traits.key:
        case PermanentKey():
            return True
        case TimedKey(window):
            return now < first + window
    return False


class FaultyChannel:
    """The channel. Faults are taken in the order they were given, one a call; without one, calls succeed."""

    def __init__(
        self,
        *,
        traits: Traits = PERMANENT,
        clock: Clock | None = None,
        remote: Remote | None = None,
        limit: int | None = None,
    ) -> None:
        self._traits = traits
        self._clock = clock or VirtualClock(datetime(2016, 4, 11, 7, tzinfo=UTC))
        self._limit = limit
        self._faults: dict[str, deque[Fault]] = {}
        self.remote = remote or Remote()

    def fail(self, call: str, *faults: Fault) -> None:
        """The next calls of `publish`, `find`, `edit`, `delete` or `verify` meet these faults."""
        self._faults.setdefault(call, deque()).extend(faults)

    @property
    def traits(self) -> Traits:
        return self._traits

    def fit(self, post: Post) -> Fit:
        if self._limit is not None:
            return fit_text(post, self._limit, graphemes, "characters")
        text = post.text(post.summary)
        return Fit(post, text, graphemes(text), None, shortened=False)

    def render(self, fit: Fit, key: str) -> Rendition:
        media = (fit.post.image,) if fit.post.image else ()
        return Rendition(key, json.dumps({"key": key, "text": fit.text}).encode(), fit.text, media)

    def prepare(self, rendition: Rendition) -> Rendition:
        fault = self._begin("prepare")
        _end(fault)
        return rendition

    def publish(self, rendition: Rendition) -> Receipt:
        fault = self._begin("publish")
        if fault and not fault.accepted:
            raise _error(fault)
        post = self.remote.accept(rendition, self._traits, self._clock.now())
        _end(fault)
        return _receipt(post)

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        fault = self._begin("find")
        if fault and fault.error:
            return CannotTell(str(fault.error))
        if not self._traits.lookup:
            return CannotTell("this network does not show what was posted")
        now = self._clock.now()
        with self.remote.lock:
            for post in self.remote.posts.values():
                if post.key == rendition.key and since <= post.at <= now - self.remote.lag:
                    return Found(_receipt(post))
        return Absent()

    def edit(self, receipt: Receipt, rendition: Rendition) -> Receipt:
        fault = self._begin("edit")
        if fault and not fault.accepted:
            raise _error(fault)
        with self.remote.lock:
            post = self.remote.posts.get(receipt.remote_id)
            if post is None:
                raise RejectedError(f"{receipt.remote_id} is not there any more")
            post.body = rendition.body
        _end(fault)
        return _receipt(post)

    def delete(self, receipt: Receipt) -> None:
        fault = self._begin("delete")
        if fault and not fault.accepted:
            raise _error(fault)
        with self.remote.lock:
            self.remote.posts.pop(receipt.remote_id, None)
        _end(fault)

    def verify(self) -> Identity:
        fault = self._begin("verify")
        _end(fault)
        return Identity("someone@memory.example")

    def _begin(self, call: str) -> Fault | None:
        with self.remote.lock:
            if call != "prepare":  # which the network's readers never see
                self.remote.calls.append(call)
            waiting = self._faults.get(call)
            fault = waiting.popleft() if waiting else None
        if fault and fault.slow:
            self._clock.sleep_until(self._clock.now() + fault.slow)
        return fault


def _error(fault: Fault) -> Exception:
    assert fault.error is not None, "a fault that is not accepted needs an error"
    return fault.error


def _end(fault: Fault | None) -> None:
    if fault and fault.error:
        raise fault.error


def _receipt(post: RemotePost) -> Receipt:
    digest = hashlib.sha256(post.body).hexdigest()
    return Receipt(post.id, f"https://memory.example/{post.id}", digest)
