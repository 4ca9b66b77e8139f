"""Campaigns, their slots, and what a plan changes.

What must stay true: a campaign's first sight and authority never change once set; a plan is applied whole or
not at all, and only to deliveries that are still as the plan saw them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from pipeline.delivery import WITHDRAWN_REASON, Change, Create, Event, Place, Withdraw
from pipeline.errors import LostRace, NotAllowed
from pipeline.ledger import rows
from pipeline.ledger.records import CampaignRecord, Touched
from pipeline.ledger.room import EVENT, IS_KEY, Room, event_row, insert_new, key_parameters, put, target
from pipeline.ledger.schema import campaigns, deliveries, events, plans, releases
from pipeline.ledger.schema import slots as slots_table
from pipeline.model import Delivery, DeliveryKey, Slot, SlotRecord, State

# What happens to a delivery on its way out, and to an entry that is released: none of it can make a plan that
# was applied differ from the ledger. Everything else may.
SENT_BY_ITSELF = (
    Event.CLAIMED,
    Event.RECEIPT,
    Event.NOT_ACCEPTED,
    Event.RATE_LIMITED,
    Event.NO_ANSWER,
    Event.LEASE_EXPIRED,
    Event.FOUND,
    Event.REPEATED,
    Event.ABSENT,
    "noted",
    "released",
    "refreshed",
)

_WITHDRAWN = and_(
    deliveries.c.state == State.CANCELLED,
    deliveries.c.reason.is_not_distinct_from(WITHDRAWN_REASON),
)
_DELIVERY = insert(deliveries)
_SLOT = insert(slots_table)


class Plans(Room):
    """The ledger's side of planning."""

    def adopt(self, campaign: str, now: datetime) -> CampaignRecord:
        """Take the campaign in, if it is new; `now` becomes its `first_seen`, for ever."""
        with self._database.writing() as connection:
            if insert_new(connection, campaigns, {"id": campaign, "first_seen": now}):
                self._append_about(connection, now, "campaign first seen", campaign=campaign)
            found = _campaign(connection, campaign)
        assert found is not None
        return found

    def campaign(self, campaign: str) -> CampaignRecord | None:
        """The campaign, or None before it was adopted."""
        with self._database.reading() as connection:
            return _campaign(connection, campaign)

    def freeze_authority(self, campaign: str, authority: str) -> str:
        """Keep the authority of the feeds' ids unless one is kept already; the one that counts.

        Raises WrongUse for a campaign that was never adopted.
        """
        with self._database.writing() as connection:
            self._known(connection, campaign)
            frozen = connection.execute(
                update(campaigns)
                .where(campaigns.c.id == campaign, campaigns.c.authority.is_(None))
                .values(authority=authority)
            )
            found = _campaign(connection, campaign)
            assert found is not None
            assert found.authority is not None
            if frozen.rowcount:
                # No instant is given here: what makes the order of events is their number, not this.
                self._append_about(
                    connection, found.first_seen, "authority frozen", campaign=campaign, note=authority
                )
            return found.authority

    @property
    def numbers_in_order(self) -> bool:
        """Whether events are numbered in the order of their commits: where only one writes at a time."""
        return self._database.is_sqlite

    def touched(self, since: int | None) -> Touched:
        """The number of the newest event, and the campaigns that have events after number `since`.

        Without `since` no campaign is named. On a server, transactions may commit out of the order of their
        numbers, so a campaign may escape: whoever relies on this looks at everything now and then.
        """
        newest = select(func.coalesce(func.max(events.c.id), 0))
        with self._database.reading() as connection:
            number = connection.scalar(newest) or 0
            if since is None or since >= number:
                return Touched(number)
            found = connection.execute(
                select(
                    events.c.campaign,
                    func.max(case((events.c.event.in_([str(one) for one in SENT_BY_ITSELF]), 0), else_=1)),
                )
                .where(events.c.id > since, events.c.campaign.is_not(None))
                .group_by(events.c.campaign)
            ).all()
        return Touched(
            number,
            campaigns=frozenset(campaign for campaign, _ in found),
            replanned=frozenset(campaign for campaign, otherwise in found if otherwise),
        )

    def slots(self, campaign: str) -> dict[str, SlotRecord]:
        """The slots of the last applied plan with what became of them, by entry, in order of date.

        What a plan withdrew has no state here: nothing became of it, and it may come back with its file.
        """
        d, r = deliveries.c, releases.c
        with self._database.reading() as connection:
            found = _slots(connection, campaign)
            states = connection.execute(
                select(d.entry, d.state, func.max(d.closes))
                .where(d.campaign == campaign, ~_WITHDRAWN)
                .group_by(d.entry, d.state)
            ).all()
            released = set(connection.scalars(select(r.entry).where(r.campaign == campaign)).all())
        closes: dict[str, dict[State, datetime]] = {}
        for entry, state, last in states:
            closes.setdefault(entry, {})[state] = last
        kept = {}
        for entry, slot in found.items():
            ends = closes.get(entry, {})
            planned, visible = ends.get(State.PLANNED), entry in released
            kept[entry] = SlotRecord(entry, slot.date, slot.due, frozenset(ends), planned, visible)
        return kept

    def last_plan(self, campaign: str) -> str | None:
        """The document of the last `save_plan`, or None."""
        with self._database.reading() as connection:
            return connection.execute(
                select(plans.c.document).where(plans.c.campaign == campaign)
            ).scalar_one_or_none()

    def save_plan(self, campaign: str, document: str, now: datetime) -> None:
        """Keep the plan as it was last shown, to tell what changed since."""
        with self._database.writing() as connection:
            put(connection, plans, {"campaign": campaign, "document": document, "saved": now})
            self._append_about(connection, now, "plan saved", campaign=campaign)

    def apply_plan(
        self, campaign: str, slots: Sequence[Slot], changes: Sequence[Change], now: datetime
    ) -> None:
        """Make the campaign's slots exactly `slots`, and its deliveries what `changes` say.

        Writes nothing when nothing changes. Raises LostRace when a delivery is no longer as the plan saw
        it, or a day is taken meanwhile; NotAllowed for a step that is not in the table; WrongUse for a
        campaign that was never adopted; ValueError for a slot or change of another campaign. Then nothing
        is applied.
        """
        concerned = {slot.campaign for slot in slots} | {_key(change).campaign for change in changes}
        if strangers := concerned - {campaign}:
            raise ValueError(f"a plan of {campaign} may not change {', '.join(sorted(strangers))}")
        with self._database.writing(one_at_a_time=f"plan of {campaign}") as connection:
            self._known(connection, campaign)
            try:
                self._apply_slots(connection, campaign, slots, now)
                self._apply_changes(connection, changes, now)
            except IntegrityError as error:
                raise LostRace(
                    f"the plan of {campaign} no longer fits the ledger: {error.orig}",
                    hint="Plan again; somebody else has just changed this campaign.",
                ) from error

    def _apply_slots(
        self, connection: Connection, campaign: str, slots: Sequence[Slot], now: datetime
    ) -> None:
        """Days may be permuted: whatever changes leaves first and comes back afterwards."""
        before = _slots(connection, campaign)
        after = {slot.entry: SlotRecord(slot.entry, slot.date, slot.due) for slot in slots}
        if len(after) < len(slots):
            raise ValueError(f"the plan of {campaign} gives an entry two slots")
        changed = [entry for entry in {**before, **after} if before.get(entry) != after.get(entry)]
        for entry in changed:
            connection.execute(
                delete(slots_table).where(slots_table.c.campaign == campaign, slots_table.c.entry == entry)
            )
        for entry in changed:
            new, old = after.get(entry), before.get(entry)
            if new is not None:
                row = {"campaign": campaign, "entry": entry, "date": new.date, "due": new.due}
                connection.execute(_SLOT, row)
            note = f"{old.date if old else 'no day'} → {new.date if new else 'no day'}"
            self._append_about(connection, now, "slot changed", campaign=campaign, entry=entry, note=note)

    def _apply_changes(self, connection: Connection, changes: Sequence[Change], now: datetime) -> None:
        """First everything gives its day free, then everything takes the new one."""
        places = [change for change in changes if isinstance(change, Place)]
        for change in changes:
            if isinstance(change, Withdraw):
                self._move(connection, change.was, Event.WITHDRAWN, now, date=None, reason=WITHDRAWN_REASON)
        for place in places:
            self._step_out(connection, place)
        for place in places:
            self._step_in(connection, place, now)
        creates = [change for change in changes if isinstance(change, Create)]
        if creates:
            self._create(connection, creates, now)

    def _step_out(self, connection: Connection, place: Place) -> None:
        # Only a cancelled delivery may be without a day, so for the length of this transaction it is one.
        out = {"state": State.CANCELLED, "date": None}
        _placed_state(place)
        if self._write(connection, place.was, out) is None:
            raise self._lost(connection, place.was.key, f"placed on {place.date}")

    def _step_in(self, connection: Connection, place: Place, now: datetime) -> None:
        to = _placed_state(place)
        values = {
            "state": to,
            "date": place.date,
            "due": place.due,
            "closes": place.closes,
            "not_before": None,
            "reason": None,
        }
        connection.execute(update(deliveries).where(IS_KEY).values(**values), key_parameters(place.was.key))
        note = f"{place.was.date or 'no day'} → {place.date}, due {place.due:%Y-%m-%d %H:%M:%S} UTC"
        what = place.event or "placed anew"
        self._append(connection, now, place.was.key, what, (place.was.state, to), note)

    def _create(self, connection: Connection, creates: Sequence[Create], now: datetime) -> None:
        for create in creates:
            if create.state not in (State.PLANNED, State.MISSED):
                raise NotAllowed(f"{create.key} cannot begin as {create.state}: only as planned or missed")
        connection.execute(_DELIVERY, [_row(create) for create in creates])
        connection.execute(
            EVENT,
            [event_row(now, one.key, "created", (None, one.state), one.reason) for one in creates],
        )


def _row(create: Create) -> dict[str, Any]:
    return {
        **rows.key_columns(create.key),
        "network": create.network,
        "state": create.state,
        "date": create.date,
        "due": create.due,
        "closes": create.closes,
        "reason": create.reason,
        "attempts": 0,
    }


def _key(change: Change) -> DeliveryKey:
    return change.key if isinstance(change, Create) else change.was.key


def _placed_state(place: Place) -> State:
    """The state after the placing. Raises NotAllowed for one that neither stays planned nor becomes it."""
    was: Delivery = place.was
    if place.event is None and was.state is State.PLANNED:
        return State.PLANNED
    if place.event is None or (to := target(was, place.event)) is not State.PLANNED:
        raise NotAllowed(f"{was.key} is {was.state} and cannot be placed on {place.date} by {place.event}")
    return to


def _campaign(connection: Connection, campaign: str) -> CampaignRecord | None:
    row = connection.execute(select(campaigns).where(campaigns.c.id == campaign)).mappings().one_or_none()
    return None if row is None else CampaignRecord(**row)


def _slots(connection: Connection, campaign: str) -> dict[str, SlotRecord]:
    c = slots_table.c
    found = connection.execute(select(c.entry, c.date, c.due).where(c.campaign == campaign).order_by(c.date))
    return {entry: SlotRecord(entry, day, due) for entry, day, due in found.all()}
