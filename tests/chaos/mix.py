"""Which fault a request meets: decided by the seed and by the request itself, whatever the timing.

The same delivery's nth request meets the same fault in every run of a seed, whichever daemon makes it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import timedelta

from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.faults import Fault
from tests.chaos.scene import TOO_SLOW

SHARE = 0.4
_ID = re.compile(r"^webhook-id: *(.*?)\r?$", re.IGNORECASE | re.MULTILINE)

# Each as likely as it stands here. A refusal ends in front of a person, so there are few of those.
WEIGHTS: list[tuple[int, Fault]] = [
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
    (2, faults.status(422, body=b'{"error": "duplicate content"}', accepted=False)),
]


class Mix:
    """The choice of one server's faults."""

    def __init__(self, seed: int, name: str) -> None:
        self._seed = seed
        self._name = name
        self._met: Counter[str] = Counter()

    def choose(self, head: str) -> Fault | None:
        """Called for each request, with its head."""
        found = _ID.search(head)
        identity = found.group(1) if found else head.partition(" ")[0]  # a read-back is of no one delivery
        self._met[identity] += 1
        return fault(self._seed, self._name, identity, self._met[identity])

    @property
    def requests(self) -> int:
        return self._met.total()


def fault(seed: int, name: str, identity: str, number: int) -> Fault | None:
    """What the request meets that is the `number`th of its identity at the server `name`."""
    chance = random.Random(f"{seed} {name} {identity} {number}")
    if chance.random() >= SHARE:
        return None
    weights, choices = zip(*WEIGHTS, strict=True)
    chosen: Fault = chance.choices(choices, weights)[0]
    return chosen
