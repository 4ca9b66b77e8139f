"""`schema`: the JSON Schemas agree with what `check` accepts."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import editor_schema
from pipeline.content import EntryFields, parse_entry
from pipeline.schedules import (
    CampaignFields,
    ChannelFields,
    EventFields,
    PostingFields,
    UtmFields,
    parse_campaign,
)
from pipeline.source import read_mapping
from tests.cli.commands import REPOSITORY, run, spawn
from tests.support.editing import documents

ENTRY_FILES = sorted(path for path in (REPOSITORY / "content").glob("*.md") if path.name != "README.md")
CHECKER = jsonschema.Draft202012Validator.FORMAT_CHECKER


def validator(kind: str) -> jsonschema.Draft202012Validator:
    schema = run("schema", kind).json()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=CHECKER)


def data(text: str) -> Any:
    """The mapping as the program reads it: every plain value is a text, an empty one is nothing."""
    document = read_mapping("file", text)
    assert document.data is not None
    return document.data


def front_matter(text: str) -> str:
    return text.split("---\n")[1]


@pytest.fixture(scope="module")
def entry():
    return validator("entry")


@pytest.fixture(scope="module")
def campaign():
    return validator("campaign")


@pytest.mark.parametrize("path", ENTRY_FILES, ids=lambda path: path.stem)
def test_the_real_entries_are_valid(entry, path):
    entry.validate(data(front_matter(path.read_text(encoding="utf-8"))))


def test_the_real_campaign_is_valid(campaign):
    campaign.validate(data((REPOSITORY / "schedules/sharing-lille.yaml").read_text(encoding="utf-8")))


def test_the_default_is_the_entry(tmp_path):
    ran = spawn("schema", folder=tmp_path)
    assert ran.json() == run("schema", "entry").json()
    assert ran.json()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


ENTRY = {"title": "T", "summary": "S", "url": "https://example.org/"}
CAMPAIGN = {
    "title": "T",
    "description": "D",
    "language": "fr",
    "link": "https://example.org/",
    "event": {"name": "E", "starts": "2030-04-21 09:00", "timezone": "Europe/Paris"},
    "text": "{{ entry.title }}",
    "channels": {"outbox": {}},
}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {**document, first: changed(dict(document.get(first) or {}), rest, value) if rest else value}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("titre", "T"),
        ("title", ""),
        ("title", "x" * 121),
        ("summary", "x" * 501),
        ("url", "example.org"),
        ("url", "ftp://example.org"),
        ("tags", "a, b"),
        ("status", "published"),
        ("id", "É"),
        ("id", "a" * 81),
        ("date", "18/04/2030"),
        ("date", "2030-02-30"),
        ("lang", "français"),
        ("image", "photo.png"),
        ("image_alt", "une photo"),
        ("posts", {"X !": "text"}),
        ("posts", []),
        ("title", None),
        ("title", ["T"]),
    ],
)
def test_the_entrys_schema_refuses_what_check_refuses(entry, path, value):
    assert not entry.is_valid(changed(ENTRY, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("channel", {}),
        ("event.start", "2030-04-21 09:00"),
        ("posting.times", "09:00"),
        ("event.starts", "2030-04-21"),
        ("event.starts", "21/04/2030 09:00"),
        ("posting.time", "9h"),
        ("posting.late", "6 hours"),
        ("posting.late", "h"),
        ("posting.missed", "maybe"),
        ("posting.skip", ["dimanche"]),
        ("posting.until", "demain"),
        ("channels", {}),
        ("channels", None),
        ("channels.outbox", {"limitt": "3"}),
        ("channels.outbox", {"network": "outboks"}),
        ("channels.Out Box", {}),
        ("entries", []),
        ("entries", ["a", "a"]),
        ("language", "fr FR"),
        ("link", "example.org"),
    ],
)
def test_the_campaigns_schema_refuses_what_check_refuses(campaign, path, value):
    assert not campaign.is_valid(changed(CAMPAIGN, path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("posting", None),
        ("posting.skip", "Sunday"),
        ("posting.skip", ["sun", "2030-04-18", "THURS"]),
        ("posting.time", "09:00:30"),
        ("posting.late", "1h30m"),
        ("event.starts", "2030-04-21T09:00+02:00"),
        ("channels.outbox", None),
        ("channels.presse", {"network": "outbox", "limit": 300, "settle": "1m", "time": "12:30"}),
        ("texts.outbox", "x"),
        ("authority", "example.org,2016"),
        ("entries", ["a", "b"]),
        ("hub", None),
    ],
)
def test_the_campaigns_schema_accepts_every_form_check_accepts(campaign, path, value):
    campaign.validate(changed(CAMPAIGN, path, value))


def test_every_key_is_described_and_no_other():
    assert set(editor_schema.ENTRY) == set(EntryFields.model_fields)
    parts = {
        "": CampaignFields,
        "event.": EventFields,
        "posting.": PostingFields,
        "channels.": ChannelFields,
        "utm.": UtmFields,
    }
    keys = {prefix + name for prefix, model in parts.items() for name in model.model_fields}
    assert set(editor_schema.CAMPAIGN) == keys


def test_defaults_are_shown_as_an_editor_types_them():
    posting = run("schema", "campaign").json()["properties"]["posting"]["properties"]
    defaults = {name: key.get("default") for name, key in posting.items()}
    assert defaults == {"time": "09:00", "until": None, "skip": None, "late": "6h", "missed": "move"}


@pytest.mark.parametrize("kind", ["entry", "campaign"])
def test_a_schema_speaks_no_jargon(kind):
    text = run("schema", kind).out.lower()
    for word in ("pydantic", "fields", "annotation", "validator", "$defs", "typeerror"):
        assert word not in text


# Read without formats: those are advice to an editor, the patterns are what counts.
_ENTRY = jsonschema.Draft202012Validator(editor_schema.entry())
_CAMPAIGN = jsonschema.Draft202012Validator(editor_schema.campaign())


@given(text=documents(tuple(EntryFields.model_fields)), fields=st.booleans())
def test_what_check_accepts_as_an_entry_the_schema_accepts(text, fields):
    if fields:
        text = 'title: T\nsummary: S\nurl: "https://example.org"\n' + text
    if parse_entry("content/a.md", f"---\n{text}---\n").value is not None:
        _ENTRY.validate(data(text))


@given(text=documents(("posting", "texts", "entries", "public_url", "authority", "author", "hub")))
def test_what_check_accepts_as_a_campaign_the_schema_accepts(text):
    whole = (
        "title: T\ndescription: D\nlanguage: fr\nlink: https://example.org/\ntext: x\nchannels: {outbox: }\n"
        "event: {name: E, starts: 2030-04-21 09:00, timezone: Europe/Paris}\n"
    ) + ("" if text.strip() == "{}" else text)
    if parse_campaign("schedules/a.yaml", whole).value is not None:
        _CAMPAIGN.validate(data(whole))
