"""One look at the world: read the files, plan, send what is due, release, write the feeds.

The daemon, `pipeline tick` from cron, and a rehearsal all call the same `tick`. It keeps nothing it could
not lose: everything that must last is in the ledger before anything is done about it.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.clock import Clock
from pipeline.days import first_due
from pipeline.delivery import AskPerson, Withdraw
from pipeline.dispatch import Dispatcher
from pipeline.ended import stopped_by_event
from pipeline.errors import LostRace, PipelineError
from pipeline.ledger import Ledger
from pipeline.library import Library, LibraryReader, recorded_plan
from pipeline.model import Campaign, Delivery, DeliveryKey, Entry, Slot, State
from pipeline.pinging import NoHubs
from pipeline.planning import Plan, Standing, Unplaced, changes
from pipeline.problems import Problem
from pipeline.releasing import Releasing, shows_pictures
from pipeline.report import Waiting, missed, waiting
from pipeline.sending import Probe, no_probe

log = logging.getLogger(__name__)

# Nothing should escape the signs that a campaign has changed; should one, this is how long it is missed.
LOOK_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class TickReport:
    """What one tick did, for the person or the log that watches it."""

    now: datetime
    problems: tuple[Problem, ...]
    released: tuple[tuple[str, str], ...]  # campaign and entry
    sent: tuple[DeliveryKey, ...]  # published, or found to be, by this process since its last tick
    left: tuple[DeliveryKey, ...]  # what it was at since then, and did not get published
    missed: tuple[DeliveryKey, ...]
    notices: tuple[str, ...]  # what went wrong without stopping anything


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the last look at a campaign saw. The next one may be spared while all of it still holds."""

    campaign: Campaign
    entries: tuple[Entry, ...]
    until: datetime | None  # the next instant at which time alone changes something
    ahead: bool  # whether entries are still to come
    again: datetime  # when to look in any case


class Pipeline:
    """The parts of a project, wired, and the one thing they do together."""

    def __init__(
        self,
        *,
        root: Path,
        public: Path,
        ledger: Ledger,
        clock: Clock,
        reader: LibraryReader,
        dispatcher: Dispatcher,
        probe: Probe = no_probe,
    ) -> None:
        self.root = root
        self.public = public
        self.ledger = ledger
        self.clock = clock
        self.reader = reader
        self.dispatcher = dispatcher
        self.releasing = Releasing(ledger, root, public, probe)
        self._library: Library | None = None  # as of the last tick that came to its end
        self._event: int | None = None  # the newest event of the ledger that a tick has taken in
        self._seen: dict[str, _Seen] = {}
        self._applied: dict[str, object] = {}  # what of a plan the ledger has taken in, by campaign
        self._dayless: dict[str, tuple[Unplaced, ...]] = {}  # as of the last plan, by campaign
        self._told: dict[str, str | None] = {}  # what was last said of an event that is over, by campaign
        self._last: datetime | None = None
        self.pinger = NoHubs()
        # Called after a tick that may have taken in a campaign the ledger did not have.
        self.adopted: Callable[[], None] = lambda: None

    def tick(self, *, wait: bool = True, progress: Callable[[], None] = lambda: None) -> TickReport:
        """Do what is due now. With `wait`, return once every send has ended.

        `progress` is called, from another thread, when a look before the next instant is worth while.
        Raises LedgerError when the ledger cannot be used: then nothing was sent that it does not know of.
        """
        now = self.clock.now()
        notices = [f"sending stopped: {error}" for error in self.dispatcher.collect()]
        library = self.reader.read(now)
        self.ledger.expire_leases(now)
        closed = self.ledger.close_windows(now)
        if library is self._library:
            # The plan on record is that of the files: what is due need not wait for the others' planning.
            self.dispatcher.start(library, progress=progress)
        touched = self.ledger.touched(self._event)
        for campaign in touched.replanned:
            self._applied.pop(campaign, None)
        plans = self._plan_all(self._to_look_at(library, touched.campaigns, now), library, now, notices)
        self.dispatcher.start(library, progress=progress)
        released, told = self._release_all(plans, library, now, progress)
        self.releasing.carried_over(library)
        if library is not self._library:
            self.adopted()
        self._library, self._event, self._last = library, touched.newest, now
        self.pinger.start(progress=progress)
        if wait:
            self.dispatcher.wait()
            self.pinger.wait()
        notices += told + self.pinger.collect()
        sent = self.dispatcher.sent()
        left = tuple(key for key in self.dispatcher.left() if key not in sent)
        return TickReport(now, library.problems, released, sent, left, tuple(closed), tuple(notices))

    # ----------------------------------------------------------------- plan

    def _to_look_at(self, library: Library, touched: Collection[str], now: datetime) -> list[Campaign]:
        """The campaigns for which something may have changed since the last tick: files, ledger or time."""
        back = self._last is None or now < self._last  # a clock that jumped back makes every instant new
        found = []
        for campaign in library.campaigns.values():
            seen = self._seen.get(campaign.id)
            if (
                back
                or seen is None
                or campaign.id in touched
                or not self.releasing.has_written(campaign.id)
                or now >= seen.again
                or (seen.until is not None and now >= seen.until)
                or (campaign, library.entries_of(campaign)) != (seen.campaign, seen.entries)
            ):
                found.append(campaign)
        if library is not self._library and library.pictures != getattr(self._library, "pictures", None):
            others = (one for one in library.campaigns.values() if one not in found)
            found += [one for one in others if any(shows_pictures(e) for e in library.entries_of(one))]
        return found

    def _plan_all(
        self, campaigns: Sequence[Campaign], library: Library, now: datetime, notices: list[str]
    ) -> list[tuple[Campaign, Plan]]:
        if library is not self._library:
            self._withdraw_gone(library, now)
        plans = []
        for campaign in campaigns:
            # Forgotten until this tick has done all there is to do about it.
            seen = self._seen.pop(campaign.id, None)
            if seen is None or (now >= seen.again and not self.ledger.numbers_in_order):
                self._applied.pop(campaign.id, None)
            try:
                plans.append((campaign, self._plan(campaign, library, now)))
                notices += self._without_day(plans[-1][1])
                notices += self._stopped(campaign, now)
            except PipelineError:
                raise
            except Exception as error:
                # A campaign that cannot be planned must not keep the others from going out.
                log.exception("%s cannot be planned", campaign.id)
                notices.append(f"{campaign.id} cannot be planned: {type(error).__name__}: {error}")
        return plans

    def _plan(self, campaign: Campaign, library: Library, now: datetime) -> Plan:
        """Plan, and make the ledger's planned deliveries those of the plan."""
        calendar = recorded_plan(self.ledger, campaign, library.entries, now)
        if calendar.over and self.ledger.campaign(campaign.id) is not None:
            return calendar
        wanted = (campaign, calendar.slots, calendar.members)
        if self._applied.get(campaign.id) == wanted:
            return calendar  # and nothing but sends and releases has happened since
        self.ledger.adopt(campaign.id, now)
        todo = changes(campaign, calendar, self.ledger.deliveries(campaign.id), now)
        try:
            self.ledger.apply_plan(campaign.id, calendar.slots, todo, now)
            self._applied[campaign.id] = wanted
        except LostRace as lost:
            # Whoever it was left events behind, so the next tick looks at this campaign again.
            log.info("%s: planned by somebody else at the same time: %s", campaign.id, lost)
        return calendar

    def _without_day(self, calendar: Plan) -> list[str]:
        """Which entries do not go out, and why; only what has not been told already."""
        told = self._dayless.get(calendar.campaign, ())
        self._dayless[calendar.campaign] = calendar.unplaced
        return [
            f"{calendar.campaign}: {left.entry} does not go out: {left.reason}"
            for left in calendar.unplaced
            if left not in told
        ]

    def _stopped(self, campaign: Campaign, now: datetime) -> list[str]:
        """That an event in the past keeps planned posts from going out; each once."""
        over = campaign.event.starts <= now
        planned = self.ledger.deliveries(campaign.id, {State.PLANNED}) if over else []
        found = stopped_by_event(campaign, planned, now)
        told, self._told[campaign.id] = self._told.get(campaign.id), found
        return [f"{campaign.id}: {found}: is its date right?"] if found and found != told else []

    def _withdraw_gone(self, library: Library, now: datetime) -> None:
        """A campaign whose file was deleted sends nothing more; putting the file back restores it."""
        gone: dict[str, list[Delivery]] = {}
        here = library.campaigns.keys() | library.unread
        for delivery in self.ledger.deliveries(states={State.PLANNED}):
            if delivery.key.campaign not in here:
                gone.setdefault(delivery.key.campaign, []).append(delivery)
        for campaign, planned in gone.items():
            self._seen.pop(campaign, None)
            # The days stay on record: they belong to what has been released, or come back with the file.
            slots = [
                Slot(campaign, one.entry, one.date, one.due, 0)
                for one in self.ledger.slots(campaign).values()
            ]
            try:
                self.ledger.apply_plan(campaign, slots, [Withdraw(delivery) for delivery in planned], now)
            except LostRace as lost:
                log.info("%s: changed by somebody else at the same time: %s", campaign, lost)

    def next_wake(self, now: datetime) -> datetime | None:
        """The next instant (UTC) after `now` at which there is something to do, as far as is known.

        Given the `now` of the last tick's report, nothing can fall between that tick and this answer.
        """
        instants = [seen.until for seen in self._seen.values() if seen.until is not None and seen.until > now]
        others = [self.ledger.next_wake(now), self.pinger.next_wake(now)]
        return min([*instants, *(one for one in others if one is not None)], default=None)

    # ----------------------------------------------------------------- release

    def _release_all(
        self,
        plans: Sequence[tuple[Campaign, Plan]],
        library: Library,
        now: datetime,
        progress: Callable[[], None],
    ) -> tuple[tuple[tuple[str, str], ...], list[str]]:
        """Release what is due, and write the feeds of which anything has changed."""
        released: list[tuple[str, str]] = []
        notices: list[str] = []
        wake = self.ledger.next_wake(now)
        for campaign, calendar in plans:
            new = self.releasing.release(campaign, calendar, library, now)
            released += [(campaign.id, entry) for entry in new]
            self.releasing.refresh(campaign, library, now)
            notices += self.releasing.write_changed(campaign, library)
            self.pinger.note(campaign, news=bool(new))
            self._seen[campaign.id] = _look_back(campaign, calendar, library, now)
            if wake is not None and self.clock.now() >= wake:
                # Hundreds of feeds take their time; an instant that has come meanwhile does not wait.
                self.dispatcher.start(library, progress=progress)
                wake = self.ledger.next_wake(self.clock.now())
        notices += self.releasing.write_collective(library)
        self.pinger.note(None, news=bool(released))
        return tuple(released), notices

    def rewrite_feeds(self) -> tuple[str, ...]:
        """Carry edits into what has been released and write the feeds of every campaign seen so far."""
        now = self.clock.now()
        library = self.reader.read(now)
        notices: list[str] = []
        for campaign in library.campaigns.values():
            self.releasing.refresh(campaign, library, now)
            notices += self.releasing.write_changed(campaign, library)
            self.pinger.note(campaign, news=False)
        notices += self.releasing.write_collective(library)
        self.pinger.note(None, news=False)
        return tuple(notices)

    # ----------------------------------------------------------------- life of a daemon

    def files_changed(self) -> bool:
        """Whether a file under content/ or schedules/ has changed since the last tick."""
        return self.reader.changed()

    def done(self) -> bool:
        """Whether, as of the last tick, nothing is left that this process could do by itself."""
        if any(seen.ahead for seen in self._seen.values()):
            return False
        if self.ledger.has_open():
            return False
        if not self.pinger.done():
            return False
        library = self.reader.read(self.clock.now())
        return all(
            isinstance(self.dispatcher.next_step(delivery, library), AskPerson | None)
            for delivery in self.ledger.unsettled()
        )

    def waiting(self) -> list[Waiting]:
        """What waits for a person."""
        library = self.reader.read(self.clock.now())
        found = []
        for delivery in self.ledger.deliveries(states={State.HELD, State.UNKNOWN}):
            step = self.dispatcher.next_step(delivery, library)
            orphaned = delivery.state is State.UNKNOWN and step is None
            told = waiting(delivery, step, self.ledger.attempts(delivery.key), orphaned=orphaned)
            if told is not None:
                found.append(told)
        return found

    def missed(self) -> list[Waiting]:
        """What was planned and missed, for events still to come: a person may act, but need not."""
        now = self.clock.now()
        campaigns = self.reader.read(now).campaigns
        found = []
        for delivery in self.ledger.deliveries(states={State.MISSED}):
            campaign = campaigns.get(delivery.key.campaign)
            told = missed(delivery, self.ledger.attempts(delivery.key))
            if told is not None and campaign is not None and now < campaign.event.starts:
                found.append(told)
        return found

    def begin_no_more(self) -> None:
        """Let the sends in hand be the last ones. Does not wait, and may be called by a signal handler."""
        self.dispatcher.begin_no_more()
        self.pinger.begin_no_more()

    def stop(self) -> None:
        """Finish the sends in hand and begin no other."""
        self.dispatcher.stop()
        self.pinger.stop()


def _look_back(campaign: Campaign, calendar: Plan, library: Library, now: datetime) -> _Seen:
    """What was seen of a campaign, and how long it holds. When windows close, the ledger wakes us."""
    instants = [campaign.event.starts, *(first_due(campaign, slot.date) for slot in calendar.slots)]
    spread = zlib.crc32(campaign.id.encode()) % 100 / 100  # so that not all come at once
    return _Seen(
        campaign,
        library.entries_of(campaign),
        until=min((instant for instant in instants if instant > now), default=None),
        ahead=not calendar.over and Standing.AHEAD in calendar.standing.values(),
        again=now + LOOK_AGAIN * (1 + spread),
    )
