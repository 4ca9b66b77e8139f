"""Short ways to write campaigns and entries in tests. Everything can be replaced by keyword."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pipeline.channels.base import Surroundings
from pipeline.model import Campaign, ChannelConfig, Entry, Event, MissedPolicy, Posting
from pipeline.wallclock import instant

PARIS = "Europe/Paris"


def make_entry(entry_id: str, **changes: object) -> Entry:
    entry = Entry(
        id=entry_id,
        path=f"content/{entry_id}.md",
        title=f"Projet {entry_id}",
        summary="Un projet collaboratif. Il réunit des habitants. Il grandit.",
        url=f"https://example.org/{entry_id}",
        body="Un **projet** de quartier.\n",
        tags=("économie collaborative",),
    )
    return replace(entry, **changes)


def make_entries(*entry_ids: str) -> dict[str, Entry]:
    return {entry_id: make_entry(entry_id) for entry_id in entry_ids}


def outbox(channel_id: str = "outbox", **changes: object) -> ChannelConfig:
    return replace(ChannelConfig(id=channel_id, network="outbox"), **changes)


def make_campaign(
    *,
    event_day: date = date(2016, 4, 21),
    event_time: time = time(9, 0),
    zone: str = PARIS,
    post_at: time = time(9, 0),
    until: date | None = None,
    missed: MissedPolicy = MissedPolicy.MOVE,
    late: timedelta = timedelta(hours=6),
    skip_weekdays: frozenset[int] = frozenset(),
    skip_dates: frozenset[date] = frozenset(),
    **changes: object,
) -> Campaign:
    campaign = Campaign(
        id="lille",
        path="schedules/lille.yaml",
        title="Lille, ville collaborative",
        description="Un projet par jour.",
        language="fr",
        link="https://example.org/lille/",
        event=Event(
            name="Sharing Lille", starts=instant(event_day, event_time, ZoneInfo(zone)), timezone=zone
        ),
        posting=Posting(
            time=post_at,
            until=until or event_day - timedelta(days=1),
            skip_weekdays=skip_weekdays,
            skip_dates=skip_dates,
            late=late,
            missed=missed,
        ),
        text="J-{{ days_left }} : {{ entry.title }}. {{ entry.summary }}\n{{ entry.url }} {{ hashtags }}",
        channels=(outbox(),),
        public_url="https://example.org/feeds/",
        authority="example.org,2016",
    )
    return replace(campaign, **changes)


def surroundings(
    root: Path,
    public: Path | None = None,
    *,
    credentials: Mapping[tuple[str, str], str] | None = None,
    now: Callable[[], datetime] | None = None,
) -> Surroundings:
    """What channels are given; `credentials` by channel id and field."""
    known = credentials or {}
    return Surroundings(
        root=root,
        public=public or root / "public",
        credential=lambda channel_id, name: known.get((channel_id, name)),
        now=now or (lambda: utc(2016, 4, 11, 7)),
    )


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


def local(day: date, wall: time, zone: str = PARIS) -> datetime:
    return instant(day, wall, ZoneInfo(zone))
