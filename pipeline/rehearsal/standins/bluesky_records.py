"""What a server of the AT Protocol demands of a post's record, and the content ids it gives.

Written from the published lexicons and from what a real server answered, sharing no code with the channel.
Where versions of that server differ, the stricter one counts.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import regex

POST = "app.bsky.feed.post"
_LARGEST_BLOB = 1_000_000
_DATETIME = re.compile(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,20})?(Z|[+-][0-2][0-9]:[0-5][0-9])"
)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_URI = re.compile(r"\w+:(?://)?[^\s/]\S*")
_DID = re.compile(r"(?=.{1,2048}\Z)did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]")
_CID = re.compile(r"b[a-z2-7]{58}")  # version 1, SHA-256
_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
HANDLE = re.compile(rf"({_LABEL}\.)+[a-zA-Z]([a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])?")
TID = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")


class InvalidRecord(Exception):
    """The record is refused; the message says why and where."""


def check(record: Any) -> None:
    """Raises InvalidRecord for what the real server does not take."""
    record = _object(record, "$.record", "text", "createdAt")
    if record.get("$type", POST) != POST:
        raise InvalidRecord(f"Invalid $type: expected {POST}, got {record['$type']}")
    _string(record["text"], "$.record.text", most_bytes=3000, most_graphemes=300)
    _created(record["createdAt"])
    for place, tag in _array(record.get("langs", []), "$.record.langs", 3):
        if not isinstance(tag, str) or not _LANGUAGE.fullmatch(tag):
            raise _wrong(place, "Invalid language")
    for place, tag in _array(record.get("tags", []), "$.record.tags", 8):
        _string(tag, place, most_bytes=640, most_graphemes=64)
    for place, facet in _array(record.get("facets", []), "$.record.facets"):
        _facet(facet, place)
    if "embed" in record:
        _embed(record["embed"])


def blobs(record: Any) -> Iterator[Mapping[str, Any]]:
    """The blobs that a record refers to, wherever they stand."""
    if isinstance(record, dict):
        if record.get("$type") == "blob":
            yield record
        else:
            for value in record.values():
                yield from blobs(value)
    elif isinstance(record, list):
        for value in record:
            yield from blobs(value)


def alts(record: Mapping[str, Any]) -> tuple[str, ...]:
    """The alternative texts of its pictures."""
    return tuple(image["alt"] for image in record.get("embed", {}).get("images", []))


# --------------------------------------------------------------------------- parts of a record


def _facet(facet: Any, place: str) -> None:
    facet = _object(facet, place, "index", "features")
    index = _object(facet["index"], f"{place}.index", "byteStart", "byteEnd")
    for name in ("byteStart", "byteEnd"):
        _integer(index[name], f"{place}.index.{name}", 0)
    for inside, feature in _array(facet["features"], f"{place}.features"):
        match _type(feature, inside):
            case "app.bsky.richtext.facet#link":
                _uri(_object(feature, inside, "uri")["uri"], f"{inside}.uri")
            case "app.bsky.richtext.facet#tag":
                tag = _object(feature, inside, "tag")["tag"]
                _string(tag, f"{inside}.tag", most_bytes=640, most_graphemes=64)
            case "app.bsky.richtext.facet#mention":
                did = _object(feature, inside, "did")["did"]
                if not isinstance(did, str) or not _DID.fullmatch(did):
                    raise _wrong(f"{inside}.did", "Invalid DID")


def _embed(embed: Any) -> None:
    place = "$.record.embed"
    match _type(embed, place):
        case "app.bsky.embed.images":
            images = _object(embed, place, "images")["images"]
            for inside, image in _array(images, f"{place}.images", 4):
                _blob(_object(image, inside, "image", "alt")["image"], f"{inside}.image")
                _string(image["alt"], f"{inside}.alt")
                if "aspectRatio" in image:
                    shape = _object(image["aspectRatio"], f"{inside}.aspectRatio", "width", "height")
                    for side in ("width", "height"):
                        _integer(shape[side], f"{inside}.aspectRatio.{side}", 1)
        case "app.bsky.embed.external":
            inside = f"{place}.external"
            external = _object(
                _object(embed, place, "external")["external"], inside, "uri", "title", "description"
            )
            _uri(external["uri"], f"{inside}.uri")
            for name in ("title", "description"):
                _string(external[name], f"{inside}.{name}")
            if "thumb" in external:
                _blob(external["thumb"], f"{inside}.thumb")


def _blob(blob: Any, place: str) -> None:
    blob = _object(blob, place, "$type", "ref", "mimeType", "size")
    link = _object(blob["ref"], f"{place}.ref", "$link")["$link"]
    if blob["$type"] != "blob" or not isinstance(link, str) or not _CID.fullmatch(link):
        raise _wrong(place, "Expected blob value type")
    if not isinstance(blob["mimeType"], str) or not blob["mimeType"].startswith("image/"):
        raise _wrong(place, f'Expected "image/*" (got "{blob["mimeType"]}")')
    _integer(blob["size"], f"{place}.size", 0)
    if blob["size"] > _LARGEST_BLOB:
        raise _wrong(place, f"blob too big (maximum {_LARGEST_BLOB}, got {blob['size']})")


def _created(value: Any) -> None:
    if not isinstance(value, str) or not _DATETIME.fullmatch(value):
        raise _wrong("$.record.createdAt", "Invalid datetime")
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise _wrong("$.record.createdAt", "Invalid datetime") from error


def _uri(value: Any, place: str) -> None:
    if not isinstance(value, str) or not _URI.fullmatch(value) or len(value.encode()) > 8192:
        raise _wrong(place, "Invalid URI")


# --------------------------------------------------------------------------- kinds of values


def _wrong(place: str, what: str) -> InvalidRecord:
    return InvalidRecord(f"Invalid {POST} record: {what} at {place}")


def _object(value: Any, place: str, *required: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(place, "Expected object value type")
    for name in required:
        if name not in value:
            raise _wrong(place, f'Missing required key "{name}"')
    return value


def _type(value: Any, place: str) -> str:
    kind = _object(value, place, "$type")["$type"]
    if not isinstance(kind, str):
        raise _wrong(f"{place}.$type", "Expected string value type")
    return kind


def _array(value: Any, place: str, most: int | None = None) -> list[tuple[str, Any]]:
    if not isinstance(value, list):
        raise _wrong(place, "Expected array value type")
    if most is not None and len(value) > most:
        raise _wrong(place, f"array too big (maximum {most}, got {len(value)})")
    return [(f"{place}[{number}]", one) for number, one in enumerate(value)]


def _string(
    value: Any, place: str, *, most_bytes: int | None = None, most_graphemes: int | None = None
) -> None:
    if not isinstance(value, str):
        raise _wrong(place, "Expected string value type")
    size = len(value.encode("utf-8", "surrogatepass"))
    if most_bytes is not None and size > most_bytes:
        raise _wrong(place, f"string too big (maximum {most_bytes}, got {size})")
    count = len(regex.findall(r"\X", value))
    if most_graphemes is not None and count > most_graphemes:
        raise _wrong(place, f"grapheme too big (maximum {most_graphemes}, got {count})")


def _integer(value: Any, place: str, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise _wrong(place, f"integer too small (minimum {least})")


# --------------------------------------------------------------------------- content ids


def raw_cid(data: bytes) -> str:
    """The content id of a blob."""
    return _cid(0x55, data)


def record_cid(record: Any) -> str:
    """The content id of a record: of its one binary form (DAG-CBOR)."""
    return _cid(0x71, _cbor(record))


def _cid(codec: int, data: bytes) -> str:
    whole = bytes((1, codec, 0x12, 0x20)) + hashlib.sha256(data).digest()
    return "b" + base64.b32encode(whole).decode("ascii").rstrip("=").lower()


def _cbor(value: Any) -> bytes:
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(0, value) if value >= 0 else _head(1, -1 - value)
        case str():
            data = value.encode()
            return _head(3, len(data)) + data
        case list():
            return _head(4, len(value)) + b"".join(_cbor(one) for one in value)
        case {"$link": str(link), **rest} if not rest:
            text = link[1:].upper()
            binary = b"\x00" + base64.b32decode(text + "=" * (-len(text) % 8))
            return b"\xd8\x2a" + _head(2, len(binary)) + binary
        case dict():
            pairs = sorted((key.encode(), one) for key, one in value.items())
            pairs.sort(key=lambda pair: len(pair[0]))
            inner = b"".join(_head(3, len(key)) + key + _cbor(one) for key, one in pairs)
            return _head(5, len(pairs)) + inner
        case _:
            raise InvalidRecord(f"Invalid {POST} record: {type(value).__name__} is not allowed")


def _head(kind: int, number: int) -> bytes:
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 24:
            return bytes((kind << 5 | number,))
        if number < 1 << 8 * size:
            return bytes((kind << 5 | extra,)) + number.to_bytes(size)
    raise InvalidRecord(f"Invalid {POST} record: a number is too large")
