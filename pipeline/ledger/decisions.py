"""What a person decides: resolve, retry, cancel, resume.

What must stay true: a person's step is checked against the same table as everybody's, and a refusal says
where the delivery stands and what is possible from there.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, select

from pipeline.delivery import Event
from pipeline.errors import NotAllowed
from pipeline.ledger import rows
from pipeline.ledger.records import SAID_POSTED
from pipeline.ledger.room import Room, target
from pipeline.ledger.schema import deliveries, pauses
from pipeline.model import Delivery, DeliveryKey, Receipt, State

_D = deliveries.c
_HELD = (
    select(_D.entry)
    .where(
        _D.campaign == bindparam("of_campaign"),
        _D.channel == bindparam("of_channel"),
        _D.state == State.HELD,
    )
    .limit(1)
)


class Decisions(Room):
    """The ledger's side of the commands that wait for a person.

    Each raises WrongUse for a delivery that does not exist, NotAllowed for a step the table does not have.
    """

    def resolve(self, key: DeliveryKey, posted: bool, url: str | None, now: datetime) -> Delivery:  # noqa: FBT001
        """A person looked: the unknown delivery is there (published), or it is not (planned).

        "Not there" is believed only when no request can be under way any more: NotAllowed before that.
        The receipt of a post that a person vouched for has the remote id `SAID_POSTED`, since nobody told
        the network's own, the address as far as given, and the digest of what was sent.
        """
        with self._database.writing() as connection:
            was = self._for_person(connection, key)
            if not posted:
                if was.state is State.UNKNOWN and was.lease_until is not None and now < was.lease_until:
                    raise NotAllowed(
                        f"{key}: its request may be under way until {was.lease_until:%H:%M:%S} UTC",
                        hint="Look again after that, then answer.",
                    )
                return self._move(connection, was, Event.SAID_NOT_POSTED, now)
            target(was, Event.SAID_POSTED)  # only what was sent has a digest
            assert was.rendition is not None
            receipt = Receipt(remote_id=SAID_POSTED, url=url, digest=was.rendition.digest)
            values = {**rows.receipt_columns(receipt), "published_at": now}
            return self._move(connection, was, Event.SAID_POSTED, now, **values)

    def retry(self, key: DeliveryKey, due: datetime, closes: datetime, now: datetime) -> Delivery:
        """Held or missed → planned between `due` and `closes`; resumes its channel.

        The count of attempts begins anew for the retry policy; the attempts themselves stay on record.
        """
        with self._database.writing() as connection:
            was = self._for_person(connection, key)
            moved = self._move(connection, was, Event.RETRIED, now, due=due, closes=closes, attempts=0)
            self._resume(connection, key.campaign, key.channel, now)
            return moved

    def cancel(self, key: DeliveryKey, now: datetime) -> Delivery:
        """A person gives the delivery up; its day becomes free.

        When it was the last one held on its channel, the channel goes on: a pause that no held delivery
        explains would ask nobody, and every later post would be missed. Should the credentials still be
        refused, the next post is held and pauses it again.
        """
        with self._database.writing() as connection:
            was = self._for_person(connection, key)
            moved = self._move(connection, was, Event.GIVEN_UP, now, date=None, reason="given up")
            others = {"of_campaign": key.campaign, "of_channel": key.channel}
            if was.state is State.HELD and connection.scalar(_HELD, others) is None:
                self._resume(connection, key.campaign, key.channel, now)
            return moved

    def paused(self) -> dict[tuple[str, str], str]:
        """The paused channels, as (campaign, channel), and why."""
        query = select(pauses).order_by(pauses.c.campaign, pauses.c.channel)
        with self._database.reading() as connection:
            found = connection.execute(query).mappings().all()
        return {(row["campaign"], row["channel"]): row["reason"] for row in found}

    def resume(self, campaign: str, channel: str, now: datetime) -> None:
        """Let the channel's deliveries go out again. Nothing happens when it is not paused."""
        with self._database.writing() as connection:
            self._resume(connection, campaign, channel, now)
