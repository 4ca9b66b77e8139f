"""What came of a run: the servers' posts held against the ledger, class by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipeline.model import Delivery, State
from tests.chaos.classes import KINDS, network
from tests.chaos.scene import Orders

WAITING = frozenset({State.UNKNOWN, State.HELD})
NOT_POSTED = frozenset({State.PLANNED, State.HELD, State.MISSED, State.CANCELLED})

# Parts of the addresses under which networks take pictures, and of those that begin and renew sessions.
UPLOADS = ("POST /2/media/upload", "POST /api/v2/media", "uploadBlob", "/photos")
SESSIONS = ("createSession", "refreshSession")


@dataclass(frozen=True)
class Row:
    """One class. `accepted` are the posts readers see; of the rest each is a number of deliveries.

    `lost`: not at the server, and neither waiting for a person nor missed. `mistaken`: at the server, and
    the ledger says that it is not, so that a retry would post it twice. `unsure` waits for a person who
    looks, `refused` for one who mends it.
    """

    name: str
    sent: int
    accepted: int
    duplicates: int
    lost: int
    mistaken: int
    published: int
    unsure: int
    refused: int
    missed: int


@dataclass(frozen=True)
class Result:
    """The whole run. `crashed` counts daemons that ended by themselves, `settled` says if it came to rest.

    `others` are requests of no one delivery, by kind: how many, and how many of them met a fault.
    """

    orders: Orders
    rows: tuple[Row, ...]
    requests: int
    met: Counter[str]
    killed: int
    downs: int
    crashed: int
    settled: bool
    took: timedelta
    notes: list[str] = field(default_factory=list)
    others: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        wrong = sum(row.duplicates + row.lost + row.mistaken for row in self.rows)
        return self.settled and not self.crashed and not wrong

    @property
    def verdict(self) -> str:
        """In words. What is still on its way when patience ends counts as lost, and proves nothing yet."""
        if self.kept:
            return "nothing twice, nothing lost"
        if any(row.duplicates + row.mistaken for row in self.rows) or (self.settled and not self.crashed):
            return "THE PROMISE WAS NOT KEPT"
        return "NOT PROVEN: a daemon ended by itself, or this machine is too slow; try fewer deliveries"

    def asked(self, *parts: str) -> tuple[int, int]:
        """Requests of those kinds, each named by a part of it: how many, and how many met a fault."""
        found = [pair for kind, pair in self.others.items() if any(part in kind for part in parts)]
        return sum(number for number, _ in found), sum(spoiled for _, spoiled in found)

    def text(self) -> str:
        """For a person."""
        titles = [*list(Row.__dataclass_fields__)]
        table = [["class", *titles[1:]], *([str(getattr(row, one)) for one in titles] for row in self.rows)]
        sums = [str(sum(getattr(row, one) for row in self.rows)) for one in titles[1:]]
        table.append(["all", *sums])
        widths = [max(len(line[at]) for line in table) for at in range(len(titles))]
        lines = ["  ".join(_aligned(line, widths)) for line in table]
        rule = "─" * len(lines[0])
        faults = self.met.total()
        without = f", without the rule {self.orders.broken}" if self.orders.broken else ""
        share = f"{faults / max(self.requests, 1):.0%}"
        rest = "nothing was left to do" if self.settled else "patience ended, AND SOMETHING WAS LEFT TO DO"
        told = [
            f"{self.orders.deliveries} deliveries, seed {self.orders.seed}{without}",
            f"{self.requests} requests, of which {faults} ({share}) met one of {len(self.met)} faults",
            "{} pictures sent, {} with a fault; {} logins and renewals of sessions, {} with a fault".format(
                *self.asked(*UPLOADS), *self.asked(*SESSIONS)
            ),
            f"servers down {self.downs} times, daemons killed and started again {self.killed} times",
            f"daemons that ended by themselves: {self.crashed}",
            f"{self.took.total_seconds():.0f} s until {rest}",
            "",
            *[lines[0], rule, *lines[1:-1], rule, lines[-1]],
            "",
            *self.notes,
            self.verdict,
        ]
        return "\n".join(told)


def _aligned(line: list[str], widths: list[int]) -> list[str]:
    return [
        line[0].ljust(widths[0]),
        *(word.rjust(width) for word, width in zip(line[1:], widths[1:], strict=True)),
    ]


def count(deliveries: Iterable[Delivery], report: Mapping[str, Mapping[str, Any]]) -> tuple[Row, ...]:
    """The rows. `report` is what each server says that it holds."""
    known = list(deliveries)
    return tuple(
        _row(name, [one for one in known if one.network == network(name)], Counter(report[name]["posts"]))
        for name in KINDS
    )


def _row(name: str, deliveries: list[Delivery], posts: Counter[str]) -> Row:
    states = Counter(one.state for one in deliveries)
    there = {one.key: posts[str(one.key)] for one in deliveries}
    lawful = WAITING | {State.MISSED}
    return Row(
        name=name,
        sent=sum(one.attempts > 0 for one in deliveries),
        accepted=posts.total(),
        duplicates=posts.total() - len(posts),
        lost=sum(not there[one.key] and one.state not in lawful for one in deliveries),
        mistaken=sum(there[one.key] > 0 and one.state in NOT_POSTED for one in deliveries),
        published=states[State.PUBLISHED],
        unsure=states[State.UNKNOWN],
        refused=states[State.HELD],
        missed=states[State.MISSED],
    )


def explained(deliveries: Iterable[Delivery]) -> list[str]:
    """A line for each delivery that was missed: why."""
    return [f"missed: {one.key}: {one.reason}" for one in deliveries if one.state is State.MISSED]
