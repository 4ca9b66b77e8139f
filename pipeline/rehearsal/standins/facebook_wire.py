"""What reaches a Graph API on the wire, and how it refuses."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

VERSIONS = ("v25.0", "v26.0")  # those that still answer


@dataclass(frozen=True, slots=True)
class Call:
    """A request once it is known who asks: the object, what of it, and with which parameters."""

    method: str
    path: tuple[str, ...]
    given: Mapping[str, Any]
    files: Mapping[str, bytes]
    body: bytes
    version: str


class Refused(Exception):
    """An error in Graph's own form."""

    def __init__(self, code: int, message: str, *, status: int = 400, **more: object) -> None:
        super().__init__(message)
        self.status = status
        kind = "OAuthException" if code != 100 else "GraphMethodException"
        error = {"message": f"(#{code}) {message}", "type": kind, "code": code, **more, "fbtrace_id": "A0"}
        self.document = {"error": error}


def served(asked: str) -> str:
    """The version that answers: an old one is taken for the oldest that is left."""
    number = re.fullmatch(r"v(\d+)\.(\d+)", asked)
    if number is None:
        return VERSIONS[-1]
    return max(VERSIONS[0], asked, key=lambda one: [int(part) for part in one[1:].split(".")])


def parameters(kind: str, body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Fields and files of a body of any type that Graph reads. Raises Refused."""
    if kind.startswith("application/json"):
        return _object(body), {}
    if kind.startswith("multipart/form-data"):
        return _form(kind, body)
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)), {}
    return {}, {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise Refused(100, "The body is not JSON") from error
    if not isinstance(document, dict):
        raise Refused(100, "The body is not an object")
    return document


def _form(kind: str, body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Fields and files of a form with files."""
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    if not boundary or not body.endswith(b"--" + boundary + b"--\r\n"):
        raise Refused(100, "The form does not end with its boundary")
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        name = re.search(rb'; name="([^"]*)"', head)
        if name is None:
            raise Refused(100, "A part of the form has no name")
        if b'; filename="' in head:
            files[name[1].decode()] = content
        else:
            fields[name[1].decode()] = content.decode("utf-8", "replace")
    return fields, files


def checked(given: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """The parameters, each of its type; forms write them all as text. Raises Refused."""
    read: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise Refused(100, f"The parameter {name} is not known here")
        kind = known[name]
        if kind != "string" and isinstance(value, str):
            try:
                value = json.loads(value)  # noqa: PLW2901
            except ValueError:
                value = None  # noqa: PLW2901
        fits = {
            "string": isinstance(value, str),
            "bool": isinstance(value, bool),
            "unsigned int": isinstance(value, int) and not isinstance(value, bool) and value >= 0,
            "list<Object>": isinstance(value, list) and all(isinstance(one, dict) for one in value),
        }
        if not fits[kind]:
            raise Refused(100, f"Param {name} must be a {kind}")
        read[name] = value
    return read


def kept(message: str) -> str:
    """A text as Facebook stores it."""
    return unicodedata.normalize("NFC", message.replace("\r\n", "\n")).strip()


def units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text.encode("utf-16-le", "replace")) // 2


def is_picture(data: bytes) -> bool:
    """Whether it is a whole picture of a kind that Facebook takes."""
    from PIL import Image  # noqa: PLC0415  # only where pictures are sent

    try:
        with Image.open(BytesIO(data)) as opened:
            opened.load()
            return opened.format in {"JPEG", "PNG", "GIF", "TIFF", "WEBP"}
    except (OSError, SyntaxError, ValueError):
        return False


def chosen(known: Mapping[str, Any], given: Mapping[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    """The fields that were asked for; the id is always among them. Raises Refused."""
    asked = [name for name in str(given.get("fields", "id")).split(",") if name]
    if unknown := [name for name in asked if name not in fields]:
        raise Refused(100, f"Tried accessing nonexisting field ({unknown[0]})")
    return {name: known[name] for name in [*asked, "id"] if known[name] not in {None, ""}}
