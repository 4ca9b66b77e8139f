"""The project as a reviewer sees it: every file strictly as it is, every problem, and the plan.

Where the pipeline goes on with last good versions, a review shows what is there. It sends nothing, and
writes nothing but the plan it showed, so that the next one can tell what changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import atomic, checks, content, remembered, schedules
from pipeline.checks import OpenChannel
from pipeline.crowding import crowd_problems, sharing_problems
from pipeline.delivery import Create
from pipeline.ended import ended_problem
from pipeline.errors import BrokenEnvironment, WrongUse
from pipeline.illustrations import illustration_problems
from pipeline.library import cross_problems, read_sources, recorded_plan
from pipeline.model import Campaign, Delivery, DeliveryKey, Entry, Release, State
from pipeline.planning import Plan, changes
from pipeline.problems import Problem
from pipeline.renamed import renamed_problems
from pipeline.report import plan_document
from pipeline.source import Marks, Parsed
from pipeline.source.values import YEARS
from pipeline.wallclock import instant

if TYPE_CHECKING:
    from pipeline.ledger import Ledger  # a review without a ledger loads no database library


@dataclass(frozen=True, slots=True)
class View:
    """A campaign and its plan as of an instant (UTC)."""

    campaign: Campaign
    calendar: Plan
    now: datetime


class Review:
    """Reads the project once. `ledger` is None when there is none yet.

    Raises BrokenEnvironment when content/ or schedules/ is gone: nothing must not pass for fine.
    """

    def __init__(self, root: Path, open_channel: OpenChannel, now: datetime, ledger: Ledger | None) -> None:
        self._root = root
        self._open_channel = open_channel
        self._now = now
        self._ledger = ledger
        for folder in (content.FOLDER, schedules.FOLDER):
            if not (root / folder).is_dir():
                raise BrokenEnvironment(
                    f"the folder {root / folder} is gone", hint="Put it back, or give --root."
                )
        self._sources = read_sources(root)
        self._renamed = [] if ledger is None else renamed_problems(self._sources, ledger, now)
        waiting = {problem.path for problem in self._renamed}
        self.entries: Mapping[str, Entry] = {
            name: entry
            for name, entry in _values(self._sources.by_entry_id()).items()
            if entry.path not in waiting
        }
        self.campaigns: Mapping[str, Campaign] = _values(self._sources.by_campaign_id())

    def problems(self, *, calendars: bool = True, pictures: bool = False) -> list[Problem]:
        """Every problem; without `calendars`, those that do not depend on today's date.

        `pictures` decodes every picture too.
        """
        found = [
            *self._sources.problems(),
            *self._renamed,
            *cross_problems(self._sources, self._open_channel),
        ]
        found += checks.unread_problems(self._root)
        if pictures:
            found += checks.picture_problems(self._sources, self._root)
            found += illustration_problems(self._sources, self._root)
        if calendars:
            plans: dict[str, Plan] = {}
            for parsed in self._sources.campaigns.values():
                if parsed.value is not None:
                    calendar = recorded_plan(self._ledger, parsed.value, self.entries, self._now)
                    found += checks.calendar_problems(self._sources, parsed, calendar)
                    known = self._ledger.campaign(parsed.value.id) if self._ledger else None
                    found += checks.authority_problem(parsed, known.authority if known else None)
                    found += ended_problem(parsed, self.deliveries(parsed.value.id), self._now)
                    plans.setdefault(parsed.value.id, calendar)
            found += crowd_problems(self._sources, plans, self._open_channel)
            found += sharing_problems(self._sources, plans)
        return sorted(set(found))

    @property
    def marks(self) -> Mapping[str, Marks]:
        """Where the keys of each campaign's file stand, by path."""
        return {path: parsed.marks for path, parsed in self._sources.campaigns.items()}

    def views(self, campaign: str | None = None, as_of: date | None = None) -> list[View]:
        """The plan of one campaign, or of all, now or as it would be at the start of a local day.

        Raises WrongUse for a campaign that is not there, or a day beyond the years this project handles.
        """
        if campaign is not None and campaign not in self.campaigns:
            close = get_close_matches(campaign, list(self.campaigns), n=1)
            known = f"Did you mean `{close[0]}`?" if close else f"There are: {', '.join(self.campaigns)}."
            raise WrongUse(f"there is no readable campaign `{campaign}`", hint=known)
        if as_of is not None and as_of.year not in YEARS:
            raise WrongUse(
                f"{as_of} is too far away", hint=f"Name a day from {YEARS.start} to {YEARS.stop - 1}."
            )
        views = []
        for one in [self.campaigns[campaign]] if campaign else self.campaigns.values():
            now = self._now if as_of is None else instant(as_of, time.min, one.event.zone)
            views.append(View(one, recorded_plan(self._ledger, one, self.entries, now), now))
        return views

    def deliveries(self, campaign: str) -> list[Delivery]:
        """The campaign's deliveries as the ledger has them; none without a ledger."""
        if self._ledger is None:
            return []
        return self._ledger.deliveries(campaign)

    def releases(self, campaign: str) -> list[Release]:
        """The campaign's releases as the ledger has them; none without a ledger."""
        if self._ledger is None:
            return []
        return self._ledger.releases(campaign)

    def document(self, view: View) -> dict[str, Any]:
        """The campaign's part of `plan --json`."""
        return plan_document(
            view.campaign, view.calendar, self.entries, self._open_channel, self._states(view)
        )

    def _states(self, view: View) -> dict[DeliveryKey, State]:
        """The deliveries' states, and those the plan is about to give: a channel may be new."""
        deliveries = self.deliveries(view.campaign.id)
        states = {delivery.key: delivery.state for delivery in deliveries}
        todo = [] if view.calendar.over else changes(view.campaign, view.calendar, deliveries, view.now)
        return {change.key: change.state for change in todo if isinstance(change, Create)} | states

    def changes(self, views: list[View]) -> dict[str, list[str]]:
        """What is different since the plan was last shown, by campaign; then remembers this one."""
        found: dict[str, list[str]] = {}
        for view in views:
            before = self._last_shown(view.campaign)
            after = remembered.remember(before or {}, view.calendar, self.entries)
            told = [] if before is None else remembered.changes(before, after, self.today(view.campaign))
            found[view.campaign.id] = told
            if self._ledger is not None:
                self._ledger.save_plan(view.campaign.id, remembered.write(after), self._now)
        return found

    def today(self, campaign: Campaign) -> date:
        """The day it is where the event takes place."""
        return self._now.astimezone(campaign.event.zone).date()

    def _last_shown(self, campaign: Campaign) -> remembered.Memory | None:
        document = self._ledger.last_plan(campaign.id) if self._ledger else None
        return remembered.read(document) if document else None

    def write_ics(self, path: Path, views: list[View]) -> None:
        """Write one campaign's calendar. Raises WrongUse for several, OSError when it cannot be written."""
        from pipeline import ics  # noqa: PLC0415 - only this option needs the calendar library

        if len(views) != 1:
            raise WrongUse("--ics writes one campaign's calendar", hint="Name the campaign.")
        view = views[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        moves = remembered.moves(self._last_shown(view.campaign) or {})
        atomic.write(path, ics.calendar(view.campaign, view.calendar.slots, self.entries, moves))


def _values(parsed: Mapping[str, Parsed[Any]]) -> dict[str, Any]:
    return {name: one.value for name, one in parsed.items() if one.value is not None}
