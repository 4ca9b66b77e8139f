"""The JSON Schemas (draft 2020-12) of an entry's front matter and of a campaign's file.

Which keys there are, which are required and what they default to comes from the models that `check` reads
with; what a value looks like and what it means is said here. What `check` accepts, the schema accepts; the
reverse cannot hold, since a schema sees one file and one value at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any, get_args

from pydantic.fields import FieldInfo

from pipeline.channels import NETWORKS
from pipeline.content import EntryFields
from pipeline.schedules import CampaignFields, ChannelFields
from pipeline.source.fields import Fields
from pipeline.source.times import WEEKDAYS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def _any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)


def _text(limit: int) -> Schema:
    """Plain text; a bare number counts as text."""
    return {"type": ["string", "number"], "minLength": 1, "maxLength": limit}


def _pattern(body: str, **more: Any) -> Schema:
    """A text that may have space around it."""
    return {"type": "string", "pattern": rf"^\s*({body})\s*$", **more}


_DAY = r"(19[7-9]|20[0-9]|21[0-9])[0-9]-[0-9]{2}-[0-9]{2}"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"
_ID = {"type": "string", "pattern": r"^[a-z0-9][a-z0-9._-]{0,79}$"}
_URL = _pattern(r"https?://\S+", format="iri", maxLength=2000)
_LANGUAGE = _pattern(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", maxLength=40, examples=["fr", "fr-CA"])
_DATE = _pattern(_DAY, format="date", examples=["2030-04-18"])
_CLOCK = _pattern(_TIME, examples=["09:00"])
_SPAN = _pattern(
    r"(?=[0-9])([0-9]{1,3}d)?([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?", examples=["90s", "30m", "6h", "1d"]
)
_TEMPLATE = {"type": ["string", "number"], "minLength": 1, "maxLength": 20_000}
_TEMPLATES = {"type": "object", "propertyNames": _ID, "additionalProperties": _TEMPLATE}
_SHORT = "|".join(
    _any_case(word) for word in (*(day[:3] for day in WEEKDAYS), "tues", "weds", "thur", "thurs")
)
_SKIPPED = {
    "anyOf": [
        {"enum": list(WEEKDAYS)},
        _pattern(f"{_DAY}|{_SHORT}|" + "|".join(map(_any_case, WEEKDAYS)), examples=["2030-04-18"]),
    ]
}

# key → what it means, what its value looks like
ENTRY: Mapping[str, tuple[str, Schema]] = {
    "title": ("The project's title, at most 120 characters.", _text(120)),
    "summary": ("One paragraph of plain text, for posts and feeds; at most 500 characters.", _text(500)),
    "url": ("The project's address.", _URL),
    "image": ("The picture: its path, from this file or from content/. Needs `image_alt`.", _text(500)),
    "image_alt": ("What the picture shows, for those who cannot see it.", _text(1500)),
    "image_credit": ("Who made the picture.", _text(300)),
    "tags": (
        "Words that become hashtags: `repair cafe` becomes #RepairCafe.",
        {"type": ["array", "string", "number"], "items": _text(100), "pattern": "^[^,]*$"},
    ),
    "place": ("Where the project is.", _text(200)),
    "lang": ("The entry's language; default: the campaign's.", _LANGUAGE),
    "status": ("A draft never goes out.", {"enum": ["ready", "draft"]}),
    "id": ("The permanent id; default: the file's name. Feeds and networks know the entry by it.", _ID),
    "date": ("The day on which the entry must go out, in the event's time zone.", _DATE),
    "posts": ("A text of its own for a channel or network, in place of the campaign's.", _TEMPLATES),
}

CAMPAIGN: Mapping[str, tuple[str, Schema]] = {
    "title": ("The campaign's title; also that of its feeds.", _text(200)),
    "description": ("One paragraph of plain text about the campaign.", _text(1000)),
    "language": ("The language of the texts.", _LANGUAGE),
    "link": ("The campaign's page; the feeds point to it.", _URL),
    "event": ("What the campaign counts down to.", {}),
    "event.name": ("The event's name.", _text(200)),
    "event.starts": (
        "Day and time at which it starts; without an offset, in `timezone`.",
        _pattern(
            rf"{_DAY}([Tt]| +){_TIME}( ?([Zz]|[+-](0[0-9]|1[0-4]):[0-5][0-9]))?",
            examples=["2030-04-21 09:00"],
        ),
    ),
    "event.timezone": (
        "The IANA time zone in which all days and times of the campaign are read.",
        {"type": "string", "minLength": 1, "examples": ["Europe/Paris"]},
    ),
    "event.place": ("Where the event is.", _text(200)),
    "event.url": ("The event's page.", _URL),
    "posting": ("When posts go out: one entry a day.", {}),
    "posting.time": ("The time of day, in the event's time zone.", _CLOCK),
    "posting.until": ("The last day; default: the eve of the event.", _DATE),
    "posting.skip": (
        "Weekdays and days on which nothing goes out.",
        {"anyOf": [{"type": "array", "items": _SKIPPED}, *_SKIPPED["anyOf"]]},
    ),
    "posting.late": ("How late a post may still go out, after a breakdown; the next one ends it.", _SPAN),
    "posting.missed": (
        "What becomes of an entry that could not go out in time: moved to a free later day, or left out.",
        {"enum": ["move", "skip"]},
    ),
    "text": (
        "The text of posts, a Jinja2 template. Its words are listed in content/README.md.",
        _TEMPLATE,
    ),
    "channels": ("Where to publish: a name for each account, and its options.", {}),
    "channels.network": ("The network; default: the channel's name.", {"enum": sorted(NETWORKS)}),
    "channels.api": ("The address to talk to instead of the network's own.", _URL),
    "channels.time": ("A time of day of its own.", _CLOCK),
    "channels.timeout": ("The longest that one request may take; default: the network's own.", _SPAN),
    "channels.settle": (
        "How long after an uncertain request the network's answer that nothing is there is believed.",
        _SPAN,
    ),
    "channels.late": ("How late a post may still go out here; default: `posting.late`.", _SPAN),
    "texts": ("A text of its own for a channel or network, in place of `text`.", _TEMPLATES),
    "entries": (
        "The order of the entries, by id; default: every entry that is ready, by id.",
        {"type": "array", "items": _ID, "minItems": 1, "uniqueItems": True},
    ),
    "public_url": ("The address at which public/ is served, for the feeds' own links.", _URL),
    "authority": (
        "The owner of the feeds' permanent ids; default: the host of `link` and the year of the event.",
        {"type": "string", "examples": ["example.org,2030"]},
    ),
    "author": ("The author named in the feeds.", _text(200)),
    "hub": ("A WebSub hub to tell of new entries.", _URL),
    "utm": ("Adds utm_… to the entries' links in posts; without it, links go out as they are written.", {}),
    "utm.source": ("utm_source; default: the network's name.", _text(100)),
    "utm.medium": ("utm_medium; default: social.", _text(100)),
    "utm.campaign": ("utm_campaign; default: the campaign's id.", _text(100)),
}


def entry() -> Schema:
    """The schema of an entry's front matter."""
    pairs = [("image", "image_alt"), ("image_alt", "image"), ("image_credit", "image")]
    together = [{"if": _given(one), "then": _given(other)} for one, other in pairs]
    return {"$schema": DIALECT, "title": "Entry", **_mapping(EntryFields, ENTRY), "allOf": together}


def campaign() -> Schema:
    """The schema of a campaign's file."""
    return {"$schema": DIALECT, "title": "Campaign", **_mapping(CampaignFields, CAMPAIGN)}


def _given(key: str) -> Schema:
    """The key is there and has a value."""
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


def _mapping(model: type[Fields], words: Mapping[str, tuple[str, Schema]], above: str = "") -> Schema:
    properties = {name: _property(field, words, above + name) for name, field in model.model_fields.items()}
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    return schema | ({"required": required} if required else {})


def _property(field: FieldInfo, words: Mapping[str, tuple[str, Schema]], path: str) -> Schema:
    description, value = words[path]
    part = _part_of(field.annotation)
    if part is ChannelFields:
        value = _channels(words)
    elif part is not None:
        value = _mapping(part, words, f"{path}.")
    schema: Schema = {"description": description, **(value if field.is_required() else _or_nothing(value))}
    default = _typed(field.default)
    return schema | ({"default": default} if default is not None else {})


def _channels(words: Mapping[str, tuple[str, Schema]]) -> Schema:
    """Channels by name; their options are those of all networks together."""
    channel = _or_nothing(_mapping(ChannelFields, words, "channels."))
    for network in NETWORKS.values():
        for option in sorted(network.options):
            # Options stay the text that was typed, so that any plain value will do.
            kind = {"description": f"An option of {network.name}.", "type": ["string", "number", "boolean"]}
            channel["properties"].setdefault(option, kind)
    return {"type": "object", "propertyNames": _ID, "minProperties": 1, "additionalProperties": channel}


def _or_nothing(value: Schema) -> Schema:
    """A key without a value counts as absent."""
    if "type" in value:
        kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
        return {**value, "type": [*kinds, "null"]}
    if "enum" in value:
        return {**value, "enum": [*value["enum"], None]}
    return {**value, "anyOf": [*value["anyOf"], {"type": "null"}]}


def _part_of(annotation: Any) -> type[Fields] | None:
    """The mapping that a key holds, or that each of its keys holds."""
    if isinstance(annotation, type) and issubclass(annotation, Fields):
        return annotation
    return next(filter(None, map(_part_of, get_args(annotation))), None)


def _typed(default: Any) -> str | None:
    """A default as an editor would type it."""
    if isinstance(default, time):
        return default.strftime("%H:%M")
    if isinstance(default, timedelta):
        seconds = int(default.total_seconds())
        return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds}s"
    return default if isinstance(default, str) else None
