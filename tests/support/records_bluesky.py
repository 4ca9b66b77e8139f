"""A post's record with everything in it, and every way to spoil one part of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pipeline.rehearsal.standins.bluesky_records import raw_cid

POST = "app.bsky.feed.post"
FACET = "app.bsky.richtext.facet"
FULL = {
    "$type": POST,
    "text": "Été #a @b.test https://example.org/",
    "createdAt": "2016-04-11T07:00:00.000Z",
    "langs": ["fr", "en"],
    "tags": ["a"],
    "facets": [
        {
            "index": {"byteStart": 0, "byteEnd": 3},
            "features": [
                {"$type": f"{FACET}#link", "uri": "https://example.org/"},
                {"$type": f"{FACET}#tag", "tag": "a"},
                {"$type": f"{FACET}#mention", "did": "did:plc:zoezoezoezoezoezoezoezoe"},
            ],
        }
    ],
}
BLOB = {"$type": "blob", "ref": {"$link": raw_cid(b"x")}, "mimeType": "image/png", "size": 1}
IMAGES = {
    "$type": "app.bsky.embed.images",
    "images": [{"image": BLOB, "alt": "x", "aspectRatio": {"width": 1, "height": 1}}],
}
CARD = {
    "$type": "app.bsky.embed.external",
    "external": {"uri": "https://example.org/", "title": "t", "description": "d", "thumb": BLOB},
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(one, (*path, key))


def spoiled(record: Any, path: tuple[Any, ...], how: Any) -> Any:
    """The record with one part gone (`None`), or replaced by what `how` makes of it."""
    made = copy.deepcopy(record)
    inside = made
    for key in path[:-1]:
        inside = inside[key]
    if how is None:
        del inside[path[-1]]
    else:
        inside[path[-1]] = how(inside[path[-1]])
    return made


WAYS: dict[str, Any] = {
    "gone": None,
    "a number": lambda _: 7,
    "a negative number": lambda _: -1,
    "true": lambda _: True,
    "a text": lambda _: "x y",
    "301 letters": lambda _: "x" * 301,
    "empty": lambda _: "",
    "an object": lambda _: {},
    "a list": lambda _: [],
    "longer": lambda value: value * 400 if isinstance(value, str | list) else value,
}


def every_spoiled(record: Any) -> Iterator[tuple[str, Any]]:
    """Each part of a record spoiled in each way, with what was done to which."""
    for path in places(record):
        for name, how in WAYS.items():
            if path not in {(), ("$type",)}:  # the type of the record itself is not the form's matter
                yield f"{path}: {name}", spoiled(record, path, how)
