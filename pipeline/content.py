"""From a Markdown file with front matter to an Entry, or to every problem in it with line and column.

`parse_entry` is pure: the same path and text give the same result, without a look at any other file.
Only `scan`, `place_image` and `check_image` touch the disk. The body is kept as the editor wrote it; no
Markdown, feed or image library is loaded here.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from pipeline.model import Entry, Image
from pipeline.problems import Problem, has_errors
from pipeline.source import (
    Document,
    Marks,
    Parsed,
    clean,
    line_starts,
    name_problem,
    printable,
    read_mapping,
    read_text,
    walk,
)
from pipeline.source.fields import Fields, validate
from pipeline.source.values import (
    Day,
    Id,
    Language,
    SourceText,
    Url,
    identifier,
    line,
    one_of,
    paragraph,
    quoted,
    refuse,
    slug,
)

__all__ = [
    "check_image",
    "entry_of",
    "may_show_pictures",
    "parse_entry",
    "place_image",
    "read_entry",
    "read_text",
    "scan",
    "split",
    "where_to",
]

FOLDER = "content"

_OPENING = re.compile(r"---[ \t]*\n")
_CLOSING = re.compile(r"^---[ \t]*$", re.MULTILINE)
_PICTURES = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP", re.DOTALL)


def _as_list(value: Any) -> Any:
    """One word may stand without brackets; a comma in it was meant to separate several."""
    if not isinstance(value, str):
        return value
    if "," in value:
        words = ", ".join(word.strip() for word in value[:200].split(",") if word.strip())
        raise refuse("E103", f"must be a list, not a text with commas: {quoted(value)}", f"Write [{words}].")
    return [value]


def _once(values: list[str]) -> list[str]:
    """Each tag once, in the order and spelling of its first appearance."""
    first: dict[str, str] = {}
    for value in values:
        first.setdefault(value.casefold(), value)
    return list(first.values())


class EntryFields(Fields):
    """The front matter of an entry."""

    title: Annotated[str, line(120)]
    summary: Annotated[str, paragraph(500)]
    url: Url
    image: Annotated[str, line(500, markup=True)] | None = None
    image_alt: Annotated[str, paragraph(1500, markup=True)] | None = None
    image_credit: Annotated[str, line(300)] | None = None
    tags: Annotated[
        list[Annotated[str, line(100, markup=True)]], BeforeValidator(_as_list), AfterValidator(_once)
    ] = Field(default=[])
    place: Annotated[str, line(200)] | None = None
    lang: Language | None = None
    status: Annotated[str, one_of("ready", "draft")] = "ready"
    id: Id | None = None
    date: Day | None = None
    posts: dict[Id, SourceText] = Field(default={})


def scan(root: Path) -> list[str]:
    """Every `.md` under `content/` except READMEs and dot-files, relative to `root`, sorted."""
    paths = walk(root, FOLDER, (".md",), deep=True)
    return [path for path in paths if PurePosixPath(path).name.lower() != "readme.md"]


def read_entry(root: Path, path: str) -> Parsed[Entry]:
    """Read, parse and check one file, its image too."""
    text, problems = read_text(root, path)
    if text is None:
        return Parsed(None, tuple(problems), Marks())
    return entry_of(root, path, text)


def entry_of(root: Path, path: str, text: str) -> Parsed[Entry]:
    """The entry of a text that was read from that path, with its image put in its place and looked at."""
    parsed = parse_entry(path, text)
    if parsed.value is None:
        return parsed
    entry = place_image(root, parsed.value)
    problems = check_image(root, entry, parsed.marks)
    return Parsed(None if problems else entry, tuple(problems), parsed.marks)


def parse_entry(path: str, text: str) -> Parsed[Entry]:
    """The entry that a file's text holds, or all problems of the text.

    `path` is relative to the root, with forward slashes. An image is taken to lie beside the file; whether
    it does is for `place_image` and `check_image` to see.
    """
    shown = printable(path)
    text, problems = clean(shown, text)
    problems += name_problem(path)
    document, body = split(shown, text)
    problems += document.problems
    fields = None
    if document.data is not None:
        fields, found = validate(EntryFields, document.data, shown, document.marks)
        problems += found + _across(shown, document.data, document.marks, found)
    entry = None if fields is None or has_errors(problems) else _entry(shown, fields, body)
    return Parsed(entry, tuple(sorted(problems)), document.marks)


def split(path: str, text: str) -> tuple[Document, str]:
    """The front matter of a cleaned text as a document, and the body."""
    opening = _OPENING.match(text)
    closing = _CLOSING.search(text, opening.end()) if opening else None
    if opening and closing:
        return read_mapping(path, text, opening.end(), closing.start()), text[closing.end() + 1 :]
    hint = "Begin the file with a line `---`, then `title`, `summary` and `url`, then another line `---`."
    if opening:
        message, hint = "the front matter is never closed", "Write a line `---` after the last key."
    elif not text.strip():
        message = "the file is empty"
    elif _OPENING.match(text.lstrip()):
        message, hint = "the front matter does not begin in the first line", "Delete what stands above `---`."
    else:
        message = "the file has no front matter"
    problem = Problem(path, 1, 1, "E003", message, hint)
    return Document(None, (problem,), Marks(line_starts(text))), ""


def _across(path: str, data: dict[str, Any], marks: Marks, found: list[Problem]) -> list[Problem]:
    """Rules between keys, and between a key and the file's name."""
    problems = []

    def add(code: str, key: str, message: str, hint: str) -> None:
        problems.append(Problem(path, *marks.at(key), code, message, hint))

    for key in sorted(data.keys() & EntryFields.model_fields.keys()):
        if (key,) in marks.hashed and not EntryFields.model_fields[key].is_required():
            message = f"`{key}` has no value: to YAML, what begins with `#` is a remark"
            hint = "Write tags without `#`, as [first, second]: hashtags are made from them."
            add("E103", key, message, hint if key == "tags" else "Put quotes around the value.")
    image, alt, stem = data.get("image"), data.get("image_alt"), PurePosixPath(path).stem
    if image is not None and alt is None:
        add("E201", "image", "`image` has no `image_alt`", "Add `image_alt: …`: what the picture shows.")
    if image is None:
        for key in ("image_alt", "image_credit"):
            if data.get(key) is not None:
                add("E101", key, f"`{key}` stands without `image`", f"Add `image: …`, or delete `{key}`.")
    if isinstance(image, str) and image.strip() and not _candidates(path, image.strip()):
        hint = "Put the file into `content/` and write its path, as in `images/photo.jpg`."
        add("E202", "image", f"`image` is no path in `content/`: {quoted(image)}", hint)
    if data.get("id") is None and not _is_id(stem):
        message = f"the file's name gives no usable id: {quoted(stem)}"
        hint = f"Rename it to `{slug(stem)}.md`, or add `id: {slug(stem)}`."
        problems.append(Problem(path, 1, 1, "E110", message, hint))
    summary = data.get("summary")
    told = any(problem.code == "E112" for problem in found)
    if (
        isinstance(summary, str)
        and "\n" in summary.strip()
        and ("summary",) not in marks.literal
        and not told
    ):
        line_, column = marks.value("summary")
        hint = "Delete the blank line; long texts belong into the body."
        problems.append(Problem(path, line_, column, "E112", "`summary` has more than one paragraph", hint))
    return problems


def _is_id(text: str) -> bool:
    try:
        identifier(text)
    except ValueError:
        return False
    return True


def _entry(path: str, fields: EntryFields, body: str) -> Entry:
    image = None
    if fields.image is not None and fields.image_alt is not None:
        image = Image(_candidates(path, fields.image)[0], fields.image_alt, fields.image_credit)
    return Entry(
        id=fields.id or PurePosixPath(path).stem,
        path=path,
        title=fields.title,
        summary=fields.summary,
        url=fields.url,
        body=body,
        image=image,
        tags=tuple(fields.tags),
        place=fields.place,
        lang=fields.lang,
        draft=fields.status == "draft",
        pinned=fields.date,
        posts=fields.posts,
    )


# --------------------------------------------------------------------------- pictures


def place_image(root: Path, entry: Entry) -> Entry:
    """The entry with its image where it lies: beside the file or under `content/`; else unchanged."""
    if entry.image is None:
        return entry
    written = posixpath.relpath(entry.image.path, posixpath.dirname(entry.path))
    for candidate in _candidates(entry.path, written):
        if (found := _on_disk(root, candidate)) is not None:
            return replace(entry, image=replace(entry.image, path=found))
    return entry


def _on_disk(root: Path, candidate: str) -> str | None:
    """The path of the file as the disk spells it: `é` may be one character there, or two; None if it is gone.

    A name that came from a Mac or out of an archive is often in Unicode's decomposed form, which nobody can
    see, while what editors type is composed.
    """
    if _is_file(root / candidate):
        return candidate
    if candidate.isascii():
        return None
    place = ""
    for part in candidate.split("/"):
        try:
            names = [other.name for other in (root / place).iterdir()]
        except OSError:
            return None
        alike = [name for name in names if unicodedata.normalize("NFC", name) == part]
        if not alike:
            return None
        place = posixpath.join(place, part if part in names else min(alike))
    return place if _is_file(root / place) else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long for the file system
        return False


def check_image(root: Path, entry: Entry, marks: Marks) -> list[Problem]:
    """E202 unless the image is a file under `content/`, E203 unless its first bytes are a picture's."""
    if entry.image is None:
        return []
    line_, column = marks.at("image")
    path = root / entry.image.path
    try:
        inside = os.path.realpath(path).startswith(os.path.realpath(root / FOLDER) + os.sep)
        if not (inside and path.is_file()):
            message = f"`image` is not a file in `content/`: {quoted(entry.image.path)}"
            return [Problem(entry.path, line_, column, "E202", message, where_to(path, inside=inside))]
        with path.open("rb") as stream:
            start = stream.read(16)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return [Problem(entry.path, line_, column, "E202", f"`image` cannot be read: {reason}")]
    if _PICTURES.match(start):
        return []
    message = f"`image` is not a PNG, JPEG, GIF or WebP picture: {quoted(entry.image.path)}"
    return [Problem(entry.path, line_, column, "E203", message, "Save the picture in one of these formats.")]


def may_show_pictures(markdown: str) -> bool:
    """Whether there may be a picture in the Markdown; False is certain."""
    return "![" in markdown or "<img" in markdown.lower()


def _candidates(path: str, written: str) -> list[str]:
    """Where in `content/` an image may lie: beside the file, under `content/`, or as seen from the root."""
    if re.match(r"/|[A-Za-z][A-Za-z0-9+.-]*:|.*\\", written):
        return []
    places = (posixpath.dirname(path), FOLDER, "")
    paths = [posixpath.normpath(posixpath.join(place, written)) for place in places]
    return [candidate for candidate in dict.fromkeys(paths) if candidate.startswith(FOLDER + "/")]


def where_to(path: Path, *, inside: bool) -> str:
    """What to do about a path that is no file in `content/`."""
    if not inside:
        return "A link leads out of `content/`: put the picture itself there."
    if path.is_symlink():
        return "This is a link to nowhere: put the picture itself there."
    if path.is_dir():
        return "This is a folder: write the path of the picture in it."
    return _neighbour(path)


def _neighbour(path: Path) -> str:
    """A hint that names a file of nearly the same name in the same folder."""
    try:
        names = {other.name.lower(): other.name for other in path.parent.iterdir()}
    except OSError:
        names = {}
    near = get_close_matches(path.name.lower(), names, n=1, cutoff=0.6)
    return (
        f"Did you mean `{names[near[0]]}`?"
        if near
        else "Put the picture beside the entry or under `content/`."
    )
