"""A post as a record of the AT Protocol, and the request that writes it.

What must stay true: everything here is pure, and the same post gives the same bytes: the server compares
them. The reference to a picture is the hash of its bytes, so it is known before the picture is uploaded.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.channels.base import RejectedError
from pipeline.channels.bluesky_text import FACET, UNRESOLVED, Facet, facets, language, plain, uri
from pipeline.channels.media import JPEG, PNG, Picture, Rules
from pipeline.channels.text import graphemes, shorter
from pipeline.model import Post, Rendition

COLLECTION = "app.bsky.feed.post"
# Servers of version 0.4 refuse more than a million bytes, whatever newer ones take.
PICTURES = Rules(types=frozenset({JPEG, PNG}), bytes=976_000, pixels=16_000_000, side=2_000)
_CARD = 300  # graphemes of a card's description
_RAW_SHA256 = bytes((0x01, 0x55, 0x12, 0x20))  # a CID of version 1: raw bytes, SHA-256 of 32 bytes

Document = dict[str, Any]


def cid(data: bytes) -> str:
    """The content id of a blob."""
    binary = _RAW_SHA256 + hashlib.sha256(data).digest()
    return "b" + base64.b32encode(binary).decode().lower().rstrip("=")


def blob(picture: Picture) -> Document:
    """The reference to an uploaded picture."""
    return {
        "$type": "blob",
        "ref": {"$link": cid(picture.data)},
        "mimeType": picture.mime,
        "size": len(picture.data),
    }


def record(post: Post, text: str, due: datetime, picture: Picture | None, *, card: bool) -> Document:
    """The record. With a picture it shows that, with its alternative text; otherwise, or if asked, a card."""
    made: Document = {
        "$type": COLLECTION,
        "text": text,
        "createdAt": due.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if tag := language(post.lang):
        made["langs"] = [tag]
    if found := facets(text):
        made["facets"] = found
    if picture is not None and post.image is not None and not card:
        made["embed"] = _images(picture, post.image.alt)
    elif target := uri(plain(post.url)):
        made["embed"] = _card(post, target, picture)
    return made


def _images(picture: Picture, alt: str) -> Document:
    shape = {"width": picture.width, "height": picture.height}
    image = {"image": blob(picture), "alt": plain(alt), "aspectRatio": shape}
    return {"$type": "app.bsky.embed.images", "images": [image]}


def _card(post: Post, target: str, picture: Picture | None) -> Document:
    summary = plain(post.summary)
    candidates = list(shorter(summary))
    description = next((one for one in candidates if graphemes(one) <= _CARD), candidates[-1])
    external: Document = {"uri": target, "title": plain(post.title), "description": description}
    if picture is not None:
        external["thumb"] = blob(picture)
    return {"$type": "app.bsky.embed.external", "external": external}


# --------------------------------------------------------------------------- the request


def request(handle: str, rkey: str, content: Document) -> bytes:
    """The body of `putRecord` that creates and never replaces: `swapRecord` null, no record is there."""
    return written(
        {
            "repo": handle,
            "collection": COLLECTION,
            "rkey": rkey,
            "record": content,
            "swapRecord": None,
        }
    )


def written(document: Document) -> bytes:
    """The canonical form."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def read(rendition: Rendition) -> Document:
    """The request of a rendition. Raises RejectedError for one that is not Bluesky's."""
    try:
        document = json.loads(rendition.body)
        if document["collection"] == COLLECTION and isinstance(document["rkey"], str):
            content = document["record"]
            if isinstance(content, dict) and isinstance(document["repo"], str):
                return dict(document)
    except (ValueError, KeyError, TypeError):
        pass
    raise RejectedError("the post was not rendered for Bluesky; cancel it, or retry it")


def blobs(document: Document) -> set[str]:
    """The content ids of the pictures that a request refers to."""
    embed = document["record"].get("embed", {})
    found = [one["image"] for one in embed.get("images", [])]
    if thumb := embed.get("external", {}).get("thumb"):
        found.append(thumb)
    return {one["ref"]["$link"] for one in found}


def unresolved(document: Document) -> tuple[str, ...]:
    """The handles of mentions whose accounts are not known yet, each once."""
    found = (feature["did"] for feature in _mentions(document["record"].get("facets", [])))
    return tuple(dict.fromkeys(d.removeprefix(UNRESOLVED) for d in found if d.startswith(UNRESOLVED)))


def resolved(document: Document, accounts: Mapping[str, str | None]) -> Document:
    """The request with accounts in place of handles. A mention of nobody (None) stays plain text."""
    made = copy.deepcopy(document)
    kept: list[Facet] = []
    for facet in made["record"].get("facets", []):
        for feature in _mentions([facet]):
            handle = feature["did"].removeprefix(UNRESOLVED)
            if handle != feature["did"]:
                feature["did"] = accounts.get(handle)
        if all(feature["did"] for feature in _mentions([facet])):
            kept.append(facet)
    if kept:
        made["record"]["facets"] = kept
    else:
        made["record"].pop("facets", None)
    return made


def _mentions(found: list[Facet]) -> Iterator[dict[str, Any]]:
    for facet in found:
        for feature in facet["features"]:
            if feature["$type"] == f"{FACET}#mention":
                yield feature
