"""What happens to a post after it was published: it is edited or deleted, and its release is retracted.

Only what the network has confirmed is written down here. Whoever is killed before that does the same again:
editing and deleting name a remote post, so repeating them is harmless.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from pipeline.delivery import Event
from pipeline.errors import WrongUse
from pipeline.ledger import rows
from pipeline.ledger.room import Room
from pipeline.ledger.schema import releases
from pipeline.model import Delivery, Receipt, Rendition, State


class Afterwards(Room):
    """The ledger's side of `amend` and `retract`."""

    def edited(self, seen: Delivery, rendition: Rendition, receipt: Receipt, now: datetime) -> Delivery:
        """The network has replaced the post: the rendition and receipt are the new ones.

        `seen` is the delivery as it was before. Raises LostRace when it has changed since.
        """
        values = {**rows.rendition_columns(rendition), **rows.receipt_columns(receipt)}
        with self._database.writing() as connection:
            was = self._published(connection, seen, "recorded as edited")
            return self._move(connection, was, Event.EDITED, now, **values)

    def deleted(self, seen: Delivery, now: datetime) -> Delivery:
        """The network has confirmed that the post is gone. Raises LostRace when it has changed since."""
        with self._database.writing() as connection:
            was = self._published(connection, seen, "recorded as deleted")
            return self._move(connection, was, Event.DELETED, now)

    def retract(self, campaign: str, entry: str, now: datetime) -> bool:
        """The entry leaves the feeds for good; False when it had left them already.

        Raises WrongUse for an entry that was never released.
        """
        c = releases.c
        this = (c.campaign == campaign, c.entry == entry)
        with self._database.writing() as connection:
            found = connection.execute(select(c.retracted).where(*this).with_for_update()).one_or_none()
            if found is None:
                raise WrongUse(f"{campaign}/{entry} is not released, so there is nothing to retract")
            if found.retracted is not None:
                return False
            connection.execute(update(releases).where(*this).values(retracted=now, updated=now))
            self._append_about(connection, now, "retracted", campaign=campaign, entry=entry)
            return True

    def _published(self, connection: Connection, seen: Delivery, wanted: str) -> Delivery:
        was = self._locked(connection, seen.key)
        if was.state is not State.PUBLISHED or was.receipt != seen.receipt:
            raise self._lost(connection, seen.key, wanted)
        return was
