"""The days of a campaign: which are posting days, and the instants (UTC) at which they begin and end.

Pure. The wall times are local to the event; `wallclock` decides the nights on which clocks change.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from pipeline.model import Campaign, ChannelConfig
from pipeline.wallclock import instant, is_on_day

# No change of the clocks makes the time from one day's post to the next shorter than this.
_SHORTEST_DAY = timedelta(hours=20)


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
    """Until when (UTC) a delivery due then may still be sent.

    The late window, never past the event nor past the channel's next post: after an outage of days nothing
    goes out all at once.
    """
    late = channel.late if channel.late is not None else campaign.posting.late
    return _closes(campaign, due, late, channel.time or campaign.posting.time)


def first_due(campaign: Campaign, day: date) -> datetime:
    """The instant (UTC) at which the day's entry first becomes visible: in the feeds or on a channel."""
    zone = campaign.event.zone
    return min(instant(day, wall, zone) for wall in _walls(campaign))


def last_close(campaign: Campaign, day: date) -> datetime:
    """The instant (UTC) from which nothing of that day can be sent any more."""
    ends = [channel_closes(campaign, c, channel_due(campaign, c, day)) for c in campaign.channels]
    posting = campaign.posting
    return max([_closes(campaign, slot_due(campaign, day), posting.late, posting.time), *ends])


def _closes(campaign: Campaign, due: datetime, late: timedelta, wall: time) -> datetime:
    ends = min(due + late, campaign.event.starts)
    return ends if late <= _SHORTEST_DAY else min(ends, _next_due(campaign, due, wall))


def _next_due(campaign: Campaign, due: datetime, wall: time) -> datetime:
    """When (UTC) what posts at that wall time may post next; the event, when there is no posting day left."""
    day = due.astimezone(campaign.event.zone).date() + timedelta(days=1)
    while day <= campaign.posting.until:
        if is_posting_day(campaign, day):
            return instant(day, wall, campaign.event.zone)
        day += timedelta(days=1)
    return campaign.event.starts


def is_posting_day(campaign: Campaign, day: date) -> bool:
    """Whether the campaign may post on that local day, leaving aside what is already planned on it."""
    posting = campaign.posting
    if day > posting.until or day.weekday() in posting.skip_weekdays or day in posting.skip_dates:
        return False
    walls, zone = _walls(campaign), campaign.event.zone
    if max(instant(day, wall, zone) for wall in walls) >= campaign.event.starts:
        return False
    return all(is_on_day(day, wall, zone) for wall in walls)


def _walls(campaign: Campaign) -> set[time]:
    """The wall times at which a day's entry becomes visible anywhere."""
    walls = {campaign.posting.time}
    for channel in campaign.channels:
        if channel.time is not None:
            walls.add(channel.time)
    return walls
