"""A few words to bring deliveries into a state, on whatever ledger a test has."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from pipeline.clock import VirtualClock
from pipeline.delivery import Create
from pipeline.ledger import Ledger
from pipeline.model import Delivery, DeliveryKey, Receipt, Rendition, State

START = datetime(2016, 4, 11, 7, 0, tzinfo=UTC)
TODAY = START.date()
SOON = timedelta(seconds=30)


@dataclass(frozen=True)
class Scene:
    """Steps that tests take again and again, on one ledger and one clock."""

    ledger: Ledger
    clock: VirtualClock

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def key(self, entry: str = "ouistock", channel: str = "outbox", campaign: str = "lille") -> DeliveryKey:
        return DeliveryKey(campaign, entry, channel)

    def create(
        self,
        key: DeliveryKey,
        *,
        day: date = TODAY,
        due: datetime = START,
        closes: datetime = START + timedelta(hours=6),
        state: State = State.PLANNED,
        reason: str | None = None,
    ) -> Delivery:
        """A delivery of that key; its campaign is adopted, its slots stay as they are."""
        self.ledger.adopt(key.campaign, self.now)
        create = Create(key, "outbox", day, due, closes, state, reason)
        self.ledger.apply_plan(key.campaign, (), [create], self.now)
        return self.read(key)

    def read(self, key: DeliveryKey) -> Delivery:
        found = self.ledger.delivery(key)
        assert found is not None
        return found

    def claim(self, key: DeliveryKey, lease: str = "first") -> Delivery:
        return self.ledger.claim(key, rendition(key), lease, self.now + SOON, self.now)

    def to_unknown(self, key: DeliveryKey, lease: str = "first") -> Delivery:
        """Created, claimed, and its lease over."""
        self.create(key)
        self.claim(key, lease)
        self.clock.advance(SOON)
        assert self.ledger.expire_leases(self.now) == [key]
        return self.read(key)

    def events(self, key: DeliveryKey) -> list[str]:
        return [row.event for row in self.ledger.history(key)]


def rendition(key: DeliveryKey) -> Rendition:
    return Rendition(key=f"key of {key}", body=f"\x00\xff bytes of {key}".encode(), text=f"J-10 {key} é 🎈")


def receipt(remote_id: str = "42") -> Receipt:
    return Receipt(remote_id=remote_id, url=f"https://social.example/{remote_id}", digest="d" * 64)


def exported(ledger: Ledger) -> str:
    """Everything the ledger holds: what two equal exports compare."""
    stream = io.StringIO()
    ledger.export(stream)
    return stream.getvalue()
