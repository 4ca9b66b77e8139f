"""From a campaign's YAML file to a Campaign, or to every problem in it with line and column.

`parse_campaign` is pure. Local wall times are resolved here once: what leaves this module is an instant
in UTC, a local day, or a local wall time that planning resolves day by day. Templates are only taken
over; whether they can be filled in is for the checks across files to say.
"""

from __future__ import annotations

import re
from datetime import UTC, date, time, timedelta
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from pipeline.model import Campaign, ChannelConfig, Event, MissedPolicy, Posting, Utm
from pipeline.problems import Problem, has_errors
from pipeline.source import (
    Document,
    Marks,
    Parsed,
    clean,
    printable,
    read_mapping,
    read_text,
    walk,
)
from pipeline.source.fields import Fields, quietly, validate
from pipeline.source.times import WEEKDAYS, Skipped, Span, Starts, WallTime, ZoneName
from pipeline.source.values import (
    Day,
    Id,
    Language,
    SourceText,
    Url,
    calendar_day,
    identifier,
    line,
    one_of,
    paragraph,
    quoted,
    refuse,
    slug,
)
from pipeline.wallclock import instant

__all__ = ["parse_campaign", "read_campaign", "read_text", "scan"]

FOLDER = "schedules"

_HOST = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_AUTHORITY = re.compile(
    rf"((?:[a-z0-9._-]{{1,64}}@)?{_HOST}),([0-9]{{4}})(?:-([0-9]{{2}}))?(?:-([0-9]{{2}}))?"
)


# --------------------------------------------------------------------------- kinds of values


def tag_authority(value: str) -> str:
    """The authority of `tag:` ids (RFC 4151), "example.org,2016": host or mail address, and date (E110)."""
    value = value.strip().lower()
    match = _AUTHORITY.fullmatch(value)
    if not match:
        hint = "Write a host you own and a year in which you owned it: `example.org,2016`."
        raise refuse("E110", f"is no authority for ids: {quoted(value)}", hint)
    calendar_day(value, int(match[2]), int(match[3] or 1), int(match[4] or 1))
    return value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_mapping(value: Any) -> Any:
    """`outbox:` and `outbox: {}` are the same."""
    return {} if value is None else value


def _some(what: str) -> AfterValidator:
    def check(value: Any) -> Any:
        if not value:
            raise refuse("E104", "is empty", what)
        return value

    return AfterValidator(check)


# --------------------------------------------------------------------------- the file's mappings


class EventFields(Fields):
    """What the campaign counts down to."""

    name: Annotated[str, line(200)]
    starts: Starts
    timezone: ZoneName
    place: Annotated[str, line(200)] | None = None
    url: Url | None = None


class PostingFields(Fields):
    """When the campaign posts."""

    time: WallTime = time(9)
    until: Day | None = None
    skip: Annotated[list[Skipped], BeforeValidator(_as_list)] = Field(default=[])
    late: Span = timedelta(hours=6)
    missed: Annotated[str, one_of("move", "skip")] = "move"


class ChannelFields(Fields):
    """What every channel takes; anything else is an option of its network, kept as text."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, str]

    network: Id | None = None
    api: Url | None = None
    time: WallTime | None = None
    timeout: Span | None = None
    settle: Span = timedelta(seconds=60)
    late: Span | None = None


class UtmFields(Fields):
    """What links say of where they were found."""

    source: Annotated[str, line(100, markup=True)] | None = None
    medium: Annotated[str, line(100, markup=True)] = "social"
    campaign: Annotated[str, line(100, markup=True)] | None = None


class CampaignFields(Fields):
    """A campaign's file."""

    title: Annotated[str, line(200)]
    description: Annotated[str, paragraph(1000)]
    language: Language
    link: Url
    event: EventFields
    text: SourceText
    channels: Annotated[
        dict[Id, Annotated[ChannelFields, BeforeValidator(_as_mapping)]],
        _some("Name a channel at least: `outbox: {}`."),
    ]
    posting: PostingFields = PostingFields()
    texts: dict[Id, SourceText] = Field(default={})
    entries: Annotated[list[Id], _some("Delete the key to take every ready entry.")] | None = None
    public_url: Url | None = None
    authority: Annotated[str, AfterValidator(tag_authority)] | None = None
    author: Annotated[str, line(200)] | None = None
    hub: Url | None = None
    utm: UtmFields | None = None


# --------------------------------------------------------------------------- reading


def scan(root: Path) -> list[str]:
    """The campaigns' files: every `.yaml` and `.yml` in `schedules/`, relative to `root`, sorted."""
    return walk(root, FOLDER, (".yaml", ".yml"), deep=False)


def read_campaign(root: Path, path: str) -> Parsed[Campaign]:
    """Read and parse one file."""
    text, problems = read_text(root, path)
    return Parsed(None, tuple(problems), Marks()) if text is None else parse_campaign(path, text)


def parse_campaign(path: str, text: str) -> Parsed[Campaign]:
    """The campaign that a file's text holds, or all problems of the text. `path` is relative to the root."""
    shown = printable(path)
    text, problems = clean(shown, text)
    problems += _id_problem(shown)
    document = read_mapping(shown, text)
    problems += document.problems
    fields = None
    if document.data is not None:
        fields, found = validate(CampaignFields, document.data, shown, document.marks)
        problems += found + _across(shown, document)
    campaign = None if fields is None or has_errors(problems) else _campaign(shown, fields)
    return Parsed(campaign, tuple(sorted(problems)), document.marks)


def _id_problem(path: str) -> list[Problem]:
    stem = PurePosixPath(path).stem
    try:
        identifier(stem)
    except ValueError:
        message = f"the file's name is not a usable id for the campaign: {quoted(stem)}"
        return [Problem(path, 1, 1, "E110", message, f"Rename it to `{slug(stem)}.yaml`.")]
    return []


def _across(path: str, document: Document) -> list[Problem]:
    """Rules between keys; a part that is broken itself takes part in none."""
    data, marks = document.data or {}, document.marks
    problems = _doubled(path, data.get("entries"), marks)
    event, posting = (
        quietly(EventFields, data.get("event")),
        quietly(PostingFields, data.get("posting") or {}),
    )
    if posting and len({skip for skip in posting.skip if isinstance(skip, int)}) == len(WEEKDAYS):
        message, hint = "`posting.skip` leaves no day of the week", "Delete a weekday from it."
        problems.append(Problem(path, *marks.at("posting", "skip"), "E307", message, hint))
    if event and posting and posting.until and posting.until > _event(event).day:
        message = f"`posting.until` is after the day of the event, {_event(event).day}"
        hint = "Write an earlier day, or delete the line: the default is the eve of the event."
        problems.append(Problem(path, *marks.value("posting", "until"), "E307", message, hint))
    if data.get("authority") is None and isinstance(data.get("link"), str):
        problems += _no_authority(path, data["link"], marks)
    return problems


def _doubled(path: str, entries: Any, marks: Marks) -> list[Problem]:
    problems, seen = [], set()
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, str) and entry in seen:
            message = f"`entries` names {quoted(entry)} twice"
            place = marks.value("entries", number)
            problems.append(
                Problem(path, *place, "E113", message, "An entry goes out once; delete one of the two.")
            )
        elif isinstance(entry, str):
            seen.add(entry)
    return problems


def _no_authority(path: str, link: str, marks: Marks) -> list[Problem]:
    """E110 for a link whose host cannot stand in an id, such as an address in brackets."""
    host = _ascii_host(link)
    if host is None or re.fullmatch(_HOST, host):
        return []
    message = f"the host of `link` cannot name the authority of ids: {quoted(host)}"
    return [Problem(path, *marks.value("link"), "E110", message, "Add `authority: example.org,2016`.")]


def _ascii_host(link: str) -> str | None:
    """The host as it stands in ids, in small ASCII letters; None without one."""
    try:
        host = urlsplit(link.strip()).hostname or ""
    except ValueError:
        return None
    try:
        return host.removesuffix(".").encode("idna").decode("ascii").lower() or None
    except UnicodeError:
        return host or None


def _event(fields: EventFields) -> Event:
    moment = fields.starts
    if moment.tzinfo is None:
        moment = instant(moment.date(), moment.time(), ZoneInfo(fields.timezone))
    return Event(fields.name, moment.astimezone(UTC), fields.timezone, fields.place, fields.url)


def _posting(fields: PostingFields, event: Event) -> Posting:
    return Posting(
        time=fields.time,
        until=fields.until or event.day - timedelta(days=1),
        skip_weekdays=frozenset(skip for skip in fields.skip if isinstance(skip, int)),
        skip_dates=frozenset(skip for skip in fields.skip if isinstance(skip, date)),
        late=fields.late,
        missed=MissedPolicy(fields.missed),
    )


def _channel(name: str, fields: ChannelFields) -> ChannelConfig:
    return ChannelConfig(
        id=name,
        network=fields.network or name,
        time=fields.time,
        late=fields.late,
        timeout=fields.timeout,
        settle=fields.settle,
        api=fields.api,
        options=dict(fields.__pydantic_extra__),
    )


def _campaign(path: str, fields: CampaignFields) -> Campaign:
    event = _event(fields.event)
    return Campaign(
        id=PurePosixPath(path).stem,
        path=path,
        title=fields.title,
        description=fields.description,
        language=fields.language,
        link=fields.link,
        event=event,
        posting=_posting(fields.posting, event),
        text=fields.text,
        channels=tuple(_channel(name, channel) for name, channel in fields.channels.items()),
        texts=fields.texts,
        entries=None if fields.entries is None else tuple(fields.entries),
        public_url=fields.public_url and fields.public_url.rstrip("/") + "/",
        authority=fields.authority or f"{_ascii_host(fields.link)},{event.day.year}",
        author=fields.author,
        hub=fields.hub,
        utm=None if fields.utm is None else _utm(fields.utm, PurePosixPath(path).stem),
    )


def _utm(fields: UtmFields, campaign: str) -> Utm:
    return Utm(medium=fields.medium, campaign=fields.campaign or campaign, source=fields.source)
