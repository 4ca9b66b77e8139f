"""From a document to checked values: the base of all field mappings, and pydantic's errors as problems.

All problems of a document are found in one go; none of pydantic's own words reaches an editor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from pipeline.problems import Problem
from pipeline.source.text import Keys, Marks
from pipeline.source.values import suggest


class Fields(BaseModel):
    """A mapping of an editor's file: unknown keys are problems, an empty value counts as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_values(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


M = TypeVar("M", bound=Fields)


def validate(
    model: type[M], data: Mapping[str, Any], path: str, marks: Marks
) -> tuple[M | None, list[Problem]]:
    """The checked mapping, or every problem in it, each at its place."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, [_problem(model, detail, path, marks) for detail in details]


def quietly(model: type[M], data: Any) -> M | None:
    """The checked mapping, or None: for rules across parts, once the problems inside the parts are told."""
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _problem(model: type[Fields], detail: ErrorDetails, path: str, marks: Marks) -> Problem:
    keys: Keys = tuple(detail["loc"])
    if keys and keys[-1] == "[key]" and keys not in marks.keys:
        keys = keys[:-1]
        line_, column = marks.at(*keys)
    elif detail["type"] == "missing":
        line_, column = marks.at(*keys) if keys in marks.keys else marks.value(*keys[:-1])
    elif detail["type"] == "extra_forbidden":
        line_, column = marks.at(*keys)
    else:
        line_, column = marks.value(*keys)
    code, message, hint = _words(model, detail, keys, marks)
    return Problem(path, line_, column, code, message, hint)


def _words(model: type[Fields], detail: ErrorDetails, keys: Keys, marks: Marks) -> tuple[str, str, str]:
    """Code, message and hint of one of pydantic's errors."""
    name, kind, value = _name(keys), detail["type"], detail["input"]
    if kind == "problem":
        context = detail["ctx"]
        return context["code"], f"{name} {context['message']}", context["hint"]
    if kind == "missing":
        if keys in marks.keys:
            return "E101", f"{name} has no value", "Write one; a text that begins with `#` needs quotes."
        return "E101", f"{name} is missing", f"Add a line `{keys[-1]}: …`."
    if kind == "extra_forbidden":
        return "E102", f"{name} is not known", _known_key(model, keys)
    if value is None:
        return "E103", f"{name} has no value", "Write one, or delete the line."
    expected = {"string_type": "a text", "list_type": "a list"}.get(kind, "a mapping of keys to values")
    found = "a list" if isinstance(value, list) else "a mapping" if isinstance(value, dict) else "a text"
    return "E103", f"{name} must be {expected}, not {found}", _shape(expected, found)


def _shape(expected: str, found: str) -> str:
    if expected == "a text":
        sign = "a colon or a brace" if found == "a mapping" else "a bracket or a hyphen"
        return f"If it is meant as text with {sign} in it, put quotes around it."
    return (
        "Write [first, second]."
        if expected == "a list"
        else "Write its keys on lines of their own, indented."
    )


def _name(keys: Keys) -> str:
    """`event.url`, or `tags` (number 2)."""
    words = ".".join(" ".join(key[:40].split()) for key in keys if isinstance(key, str))
    numbers = [f" (number {key + 1})" for key in keys if isinstance(key, int)]
    return f"`{words}`" + "".join(numbers)


def _known_key(model: type[Fields], keys: Keys) -> str:
    """What may have been meant by an unknown key: a neighbour, or a key of a part one level down."""
    if keys[-1] == "<<":
        return "Merge keys are not supported: write the keys out."
    for key in keys[:-1]:
        annotation = model.model_fields[str(key)].annotation if key in model.model_fields else None
        kinds = [_fields_of(kind) for kind in (annotation, *get_args(annotation))]
        model = next(filter(None, kinds), model)
    word = str(keys[-1])
    for name, field in model.model_fields.items():
        part = _fields_of(field.annotation)
        if part is not None and word in part.model_fields:
            return f"`{word}` belongs under `{name}`: indent it there."
    return suggest(word, model.model_fields) or f"Known here: {', '.join(model.model_fields)}."


def _fields_of(kind: Any) -> type[Fields] | None:
    return kind if isinstance(kind, type) and issubclass(kind, Fields) else None
