"""The days of a campaign: which are posting days, and the instants (UTC) at which they begin and end.

Pure. The wall times are local to the event; `wallclock` decides the nights on which clocks change.
"""

from __future__ import annotations

from datetime import date, datetime

from pipeline.model import Campaign, ChannelConfig
from pipeline.wallclock import instant


def channel_due(campaign: Campaign, channel: ChannelConfig, day: date) -> datetime:
    """When (UTC) the channel posts on that local day: its own time, else the campaign's."""
    return instant(day, channel.time or campaign.posting.time, campaign.event.zone)


def days_left(campaign: Campaign, day: date) -> int:
    """How many local days lie between that day and the event."""
    return (campaign.event.day - day).days


def slot_due(campaign: Campaign, day: date) -> datetime:
    """When (UTC) the campaign posts on that local day."""
    return instant(day, campaign.posting.time, campaign.event.zone)


def channel_closes(campaign: Campaign, channel: ChannelConfig, due: datetime) -> datetime:
    """Until when (UTC) a delivery due then may still be sent: the late window, never past the event."""
    late = channel.late if channel.late is not None else campaign.posting.late
    return min(due + late, campaign.event.starts)


def first_due(campaign: Campaign, day: date) -> datetime:
    """The instant (UTC) at which the day's entry first becomes visible: in the feeds or on a channel."""
    return min(_dues(campaign, day))


def last_close(campaign: Campaign, day: date) -> datetime:
    """The instant (UTC) from which nothing of that day can be sent any more."""
    ends = [channel_closes(campaign, c, channel_due(campaign, c, day)) for c in campaign.channels]
    return max([min(slot_due(campaign, day) + campaign.posting.late, campaign.event.starts), *ends])


def is_posting_day(campaign: Campaign, day: date) -> bool:
    """Whether the campaign may post on that local day, leaving aside what is already planned on it."""
    posting = campaign.posting
    if day > posting.until or day.weekday() in posting.skip_weekdays or day in posting.skip_dates:
        return False
    dues = _dues(campaign, day)
    if max(dues) >= campaign.event.starts:
        return False
    # A zone that crossed the date line has a day that never was: its instants belong to the next one.
    return all(due.astimezone(campaign.event.zone).date() == day for due in dues)


def _dues(campaign: Campaign, day: date) -> list[datetime]:
    """The instants (UTC) at which the day's entry becomes visible anywhere, each once: a plan asks often."""
    usual, zone = campaign.posting.time, campaign.event.zone
    walls = {usual, *(channel.time or usual for channel in campaign.channels)}
    return [instant(day, wall, zone) for wall in walls]
