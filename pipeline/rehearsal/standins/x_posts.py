"""A post as X's stand-in shows it: links made short, `&<>` escaped, a link to its pictures at its end."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any
from urllib.parse import urlsplit

from pipeline.channels.x_text import library

HANDLE = "sharing"


@dataclass(frozen=True, slots=True)
class Picture:
    """An uploaded picture. `pending` is how often its state is still asked for in vain."""

    id: str
    at: datetime
    pending: int
    fails: bool
    alt: str = ""


@dataclass(frozen=True, slots=True)
class Posted:
    """A post. `text` as X shows it, `full` as it was written."""

    id: str
    full: str
    text: str
    urls: tuple[dict[str, Any], ...]
    at: datetime
    body: bytes
    pictures: tuple[Picture, ...] = ()


def posted(post_id: str, text: str, pictures: tuple[Picture, ...], at: datetime, body: bytes) -> Posted:
    """The post of a text."""
    shown, end = "", 0
    urls: list[dict[str, Any]] = []
    for found in library().extract_urls_with_indices(text):
        start, stop = found["indices"]
        shown += escape(text[end:start], quote=False)
        urls.append(_short(post_id, len(urls), len(shown), found["url"]))
        shown, end = shown + urls[-1]["url"], stop
    shown += escape(text[end:], quote=False)
    if pictures:
        shown = f"{shown} " if shown else ""
        page = f"https://x.com/{HANDLE}/status/{post_id}/photo/1"
        link = _short(post_id, len(urls), len(shown), page)
        urls += [{**link, "display_url": "pic.x.com/p", "media_key": f"3_{one.id}"} for one in pictures]
        shown += link["url"]
    return Posted(post_id, text, shown, tuple(urls), at, body, pictures)


def _short(post_id: str, number: int, start: int, url: str) -> dict[str, Any]:
    """A link and what it stands for."""
    parts = urlsplit(url if re.match(r"(?i)https?://", url) else f"http://{url}")
    name = parts.netloc.lower()
    short = f"https://t.co/{post_id[-8:]}{number:02d}"
    return {
        "start": start,
        "end": start + len(short),
        "url": short,
        "expanded_url": parts._replace(netloc=_ascii(name)).geturl(),
        "display_url": f"{name}{parts.path}"[:27],
    }


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def length_fault(text: str) -> str | None:
    """What is wrong with a text by X's own library; None when it may be posted."""
    counted = library().parse_tweet(text)
    return None if counted.valid else f"Your Tweet text is too long or invalid ({counted.weightedLength})."


def cashtag_fault(text: str) -> str | None:
    """What is wrong with a text from a self-serve app: it may hold one cashtag."""
    found = re.findall(r"(?:^|\s)\$[A-Za-z]{1,6}(?=[\s.,;:!?]|$)", text)
    return "Posts created via the API are limited to one cashtag." if len(found) > 1 else None


def sameness(text: str) -> str:
    """What two texts share that are duplicates."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def as_read(post: Posted, fields: set[str]) -> dict[str, Any]:
    """A post as the timeline gives it, with the fields that were asked for."""
    made = post.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    more = {"created_at": made, "entities": {"urls": list(post.urls)}}
    if not post.urls:
        del more["entities"]
    chosen = {name: value for name, value in more.items() if name in fields}
    return {"id": post.id, "text": post.text, "edit_history_tweet_ids": [post.id], **chosen}
