"""Published lexicons of the AT Protocol, applied: what a value must be. Only what tests here need of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import regex

FOLDER = Path(__file__).parents[2].parent / "shared/contracts/atproto"

_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HANDLE = rf"(?=.{{1,253}}\Z)({_LABEL}\.)+[a-zA-Z]([a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])?"
_DID = r"(?=.{1,2048}\Z)did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]"
_KEY = r"(?!\.{1,2}\Z)[a-zA-Z0-9_~.:-]{1,512}"
_DOMAIN = rf"[a-zA-Z]([a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])?(\.{_LABEL})+"
_NSID = rf"(?=.{{1,317}}(\Z|/)){_DOMAIN}\.[a-zA-Z][a-zA-Z0-9]{{0,62}}"
FORMATS = {
    "handle": _HANDLE,
    "did": _DID,
    "at-identifier": rf"{_HANDLE}|{_DID}",
    "record-key": _KEY,
    "nsid": _NSID,
    "tid": r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}",
    "at-uri": rf"at://({_HANDLE}|did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-])(/{_NSID}(/{_KEY})?)?",
    "cid": r"[a-zA-Z0-9+=]{8,256}",
    "uri": r"\w+:(//)?[^\s/]\S*",
    "language": r"(i-[a-z-]+|[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)",
    "datetime": r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,20})?"
    r"(Z|[+-][0-2][0-9]:[0-5][0-9])",
}


def vectors(name: str) -> list[str]:
    """The published examples of a file, such as `tid_syntax_valid`."""
    lines = (FOLDER / "interop-test-files/syntax" / f"{name}.txt").read_text("utf-8").split("\n")
    return [line for line in lines if line and not line.startswith("#")]


@cache
def lexicon(name: str) -> Any:
    """The published document of a name; None for one that is not kept."""
    path = FOLDER / "lexicons" / Path(*name.split(".")).with_suffix(".json")
    return json.loads(path.read_text()) if path.exists() else None


def faults(name: str, kind: str, value: Any) -> list[str]:
    """What is wrong with a record (`record`), or with what goes in or out of a call (`input`, `output`)."""
    main = lexicon(name)["defs"]["main"]
    schema = main["record"] if kind == "record" else main[kind]["schema"]
    return list(_Check(name).faults(schema, value, "$"))


class _Check:
    """Values held against the definitions of one document."""

    def __init__(self, name: str) -> None:
        self._name = name

    def faults(self, schema: Any, value: Any, place: str) -> Any:
        yield from getattr(self, f"_{schema['type'].replace('-', '_')}")(schema, value, place)

    def _object(self, schema, value, place):
        if not isinstance(value, dict):
            yield f"{place}: no object"
            return
        for name in schema.get("required", []):
            if name not in value:
                yield f"{place}.{name}: missing"
        for name, inner in schema.get("properties", {}).items():
            if name not in value or (value[name] is None and name in schema.get("nullable", [])):
                continue
            yield from self.faults(inner, value[name], f"{place}.{name}")

    def _array(self, schema, value, place):
        if not isinstance(value, list):
            yield f"{place}: no array"
            return
        if len(value) > schema.get("maxLength", len(value)):
            yield f"{place}: too many"
        for number, one in enumerate(value):
            yield from self.faults(schema["items"], one, f"{place}[{number}]")

    def _string(self, schema, value, place):
        if not isinstance(value, str):
            yield f"{place}: no text"
            return
        if len(value.encode()) > schema.get("maxLength", 1 << 20):
            yield f"{place}: too many bytes"
        if len(regex.findall(r"\X", value)) > schema.get("maxGraphemes", 1 << 20):
            yield f"{place}: too many graphemes"
        if "format" in schema and not regex.fullmatch(FORMATS[schema["format"]], value):
            yield f"{place}: is no {schema['format']}"

    def _integer(self, schema, value, place):
        if not isinstance(value, int) or isinstance(value, bool) or value < schema.get("minimum", value):
            yield f"{place}: no such number"

    def _boolean(self, _schema, value, place):
        if not isinstance(value, bool):
            yield f"{place}: neither true nor false"

    def _unknown(self, _schema, value, place):
        if not isinstance(value, dict):
            yield f"{place}: no object"

    def _blob(self, schema, value, place):
        fields = {"$type", "ref", "mimeType", "size"}
        if not isinstance(value, dict) or set(value) != fields or value["$type"] != "blob":
            yield f"{place}: no blob"
            return
        if not isinstance(value["ref"], dict) or list(value["ref"]) != ["$link"]:
            yield f"{place}: no reference"
        if not isinstance(value["size"], int) or value["size"] > schema.get("maxSize", 1 << 40):
            yield f"{place}: too large"
        accepted = [one.rstrip("*") for one in schema.get("accept", ["*"])]
        if not any(str(value["mimeType"]).startswith(one) for one in accepted):
            yield f"{place}: of another kind"

    def _ref(self, schema, value, place):
        name, _, part = schema["ref"].partition("#")
        name = name or self._name
        document = lexicon(name)
        if document is not None:
            definition = document["defs"][part or "main"]
            yield from _Check(name).faults(definition, value, place)

    def _union(self, schema, value, place):
        kind = value.get("$type") if isinstance(value, dict) else None
        if not isinstance(kind, str):
            yield f"{place}: no $type"
            return
        for ref in schema["refs"]:
            if kind == (f"{self._name}{ref}" if ref.startswith("#") else ref):
                yield from self._ref({"ref": ref}, value, place)
