"""Which fault a request meets: decided by the seed and by the request itself, whatever the timing.

The nth request that carries a delivery's text meets the same fault in every run of a seed, whichever daemon
makes it. Others (a login, a picture, a read-back) are of no one delivery: what counts there is the nth of
its kind at its server.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.faults import Fault
from tests.chaos.classes import CLOCK, TIMEOUT

SHARE = 0.4  # of the requests that post
SHARE_OF_OTHERS = 0.2  # a look takes several of them, and fails with any
TOO_SLOW = TIMEOUT * 1.15
WAIT = timedelta(seconds=1.5)  # what a network asks for with headers of its own
_KEY = re.compile(rb"\bc[0-9]+/[a-z]/[a-z]+(?:-[a-z]+)*-[0-9]+")

Weights = list[tuple[int, Fault]]

# Each as likely as it stands here.
ON_THE_WIRE: Weights = [
    (8, faults.drop(accepted=True)),
    (3, faults.drop(accepted=False)),
    (4, faults.reset(accepted=True)),
    (3, faults.reset(accepted=False)),
    *((2, faults.status(code, accepted=accepted)) for code in (500, 502, 504) for accepted in (True, False)),
    (4, faults.status(429, {"Retry-After": "1"}, accepted=False)),
    (4, faults.status(429, accepted=False)),
    (3, faults.slow(TOO_SLOW, accepted=True)),
    (3, faults.slow(TOO_SLOW, accepted=False)),
    (3, faults.garbage()),
    (3, faults.truncated()),
    (1, faults.drip(timedelta(seconds=0.05))),
]
# Such a refusal ends in front of a person, so there are few of those.
REFUSED: Weights = [(2, faults.status(422, body=b'{"error": "duplicate content"}', accepted=False))]


class Mix:
    """The choice of one server's faults: the `number`th of the row `name`.

    `others` counts requests of no one delivery by their kind, `spoiled` those among them that met a fault.
    """

    def __init__(self, seed: int, name: str, number: int = 0) -> None:
        self._seed = seed
        self._name = name
        self._place = f"{name} {number}"
        self._posts: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.spoiled: Counter[str] = Counter()

    def choose(self, head: str, body: bytes) -> Fault | None:
        """Called for each request, with its head and its body."""
        if found := _KEY.search(body):
            return self._next(self._name, found[0].decode(), self._posts, SHARE)
        kind = _kind(head)
        fault = self._next(self._place, kind, self.others, SHARE_OF_OTHERS)
        self.spoiled[kind] += fault is not None
        return fault

    def _next(self, place: str, what: str, met: Counter[str], share: float) -> Fault | None:
        """The fault of the next request of its sort."""
        met[what] += 1
        chance = random.Random(f"{self._seed} {place} {what} {met[what]}")
        if chance.random() >= share:
            return None
        weights, choices = zip(*weighted(self._name, posting=met is self._posts), strict=True)
        chosen: Fault = chance.choices(choices, weights)[0]
        return chosen

    @property
    def requests(self) -> int:
        return self._posts.total() + self.others.total()


def _kind(head: str) -> str:
    """The method and the path, whatever is asked for."""
    method, target, *_ = head.split(" ", 2)
    return f"{method} {target.partition('?')[0]}"


def weighted(name: str, *, posting: bool) -> Weights:
    """The faults of a row, each with its weight."""
    now = CLOCK.now()
    match name:
        case "x":
            always, when_posting = _x(now)
        case "mastodon":
            always, when_posting = _mastodon(now)
        case "bluesky":
            always, when_posting = _bluesky(now)
        case "facebook":
            always, when_posting = _facebook()
        case _:
            always, when_posting = [], []
    return [*ON_THE_WIRE, *always, *([*REFUSED, *when_posting] if posting else [])]


# --------------------------------------------------------------------------- as each network says it

# A success that does not come from the network: where it wants an id, it must not be believed.
_FALSE_SUCCESS = (3, faults.false_success())


def _x(now: datetime) -> tuple[Weights, Weights]:
    reset = {"x-rate-limit-limit": "100", "x-rate-limit-remaining": "0"}
    reset["x-rate-limit-reset"] = str(int((now + WAIT).timestamp()))
    busy = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
    words = "You are not allowed to create a Tweet with duplicate content."
    same = {"title": "Forbidden", "detail": words, "type": "about:blank", "status": 403}
    return [_FALSE_SUCCESS, (3, _said("busy", 429, busy, reset))], _duplicates(403, same)


def _mastodon(now: datetime) -> tuple[Weights, Weights]:
    reset = {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0"}
    reset["X-RateLimit-Reset"] = (now + WAIT).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return [_FALSE_SUCCESS, (3, _said("busy", 429, {"error": "Too many requests"}, reset))], []


def _bluesky(now: datetime) -> tuple[Weights, Weights]:
    reset = {"RateLimit-Limit": "5000", "RateLimit-Remaining": "0", "RateLimit-Policy": "5000;w=3600"}
    reset["RateLimit-Reset"] = str(int((now + WAIT).timestamp()))
    busy = {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}
    over = {"error": "ExpiredToken", "message": "Token has expired"}
    return (
        [_FALSE_SUCCESS, (3, _said("busy", 429, busy, reset))],
        [(3, _said("session over", 400, over))],
    )


def _facebook() -> tuple[Weights, Weights]:
    # Its header counts in minutes, so what it asks for here is care and no wait.
    usage = {"type": "pages", "call_count": 97, "total_cputime": 1, "total_time": 1}
    usage["estimated_time_to_regain_access"] = 0
    header = {"x-business-use-case-usage": json.dumps({"1": [usage]})}
    busy = _graph(32, "Page request limit reached")
    same = _graph(506, "Duplicate status message")
    return [_FALSE_SUCCESS, (3, _said("busy", 403, busy, header))], _duplicates(400, same)


def _graph(code: int, message: str) -> Mapping[str, object]:
    return {"error": {"message": f"(#{code}) {message}", "type": "OAuthException", "code": code}}


def _duplicates(status: int, said: Mapping[str, object]) -> Weights:
    """The text is refused as one that is there: it may be this very post, or another's words."""
    return [(3, _said("duplicate", status, said, accepted=accepted)) for accepted in (True, False)]


def _said(
    name: str,
    status: int,
    document: Mapping[str, object],
    headers: Mapping[str, str] | None = None,
    *,
    accepted: bool = False,
) -> Fault:
    kind = {"Content-Type": "application/json", **(headers or {})}
    fault = faults.status(status, kind, json.dumps(document).encode(), accepted=accepted)
    return replace(fault, name=f"{name}: {fault.name}")
