"""What editors type, read as text with a place for every key: characters, YAML, lines and columns.

Scalars stay the strings that were typed (an empty value is None), so that no YAML rule turns `no` into
false, `12:30` into 750 or `0123` into 83. Whatever the text is, reading ends with a document or with
problems, never with an exception. `fields` and `values` turn documents into checked values; only they
need pydantic, and they are imported by name.
"""

from __future__ import annotations

from pipeline.source.document import Document, read_mapping
from pipeline.source.text import (
    Marks,
    Parsed,
    Position,
    clean,
    line_starts,
    name_problem,
    printable,
    read_text,
    walk,
)

__all__ = [
    "Document",
    "Marks",
    "Parsed",
    "Position",
    "clean",
    "line_starts",
    "name_problem",
    "printable",
    "read_mapping",
    "read_text",
    "walk",
]
