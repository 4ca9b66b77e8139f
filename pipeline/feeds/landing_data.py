"""What the landing page tells machines: schema.org, as JSON-LD (https://schema.org/Blog)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pipeline.feeds.document import FeedDocument, FeedEntry, FeedImage
from pipeline.feeds.text import clean, url
from pipeline.model import Event

# Inside <script>, HTML reads on: these must not stand there as themselves.
_ESCAPES = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def json_ld(
    document: FeedDocument,
    home: str | None,
    permalink: Callable[[FeedEntry], str],
    event: Event | None = None,
) -> str:
    """The document as a Blog with its postings, safe inside <script>.

    `home` is the address of the campaign's front page, `permalink` that of an entry below it.

    The blog is about the campaign's page and about the event that it counts down to.
    """
    author = {"@type": "Organization", "name": document.author}
    about = [{"@type": "WebPage", "url": document.link}] if home else []
    about += [_event(event, document.link)] if event else []
    blog = {
        "@context": "https://schema.org",
        "@type": "Blog",
        "@id": document.id,
        "name": document.title,
        "description": document.description,
        "inLanguage": document.language,
        "dateModified": document.updated.isoformat(),
        "url": home or document.link,
        "about": about or None,
        "author": author,
        "publisher": author,
        "blogPost": [_posting(entry, home, permalink(entry)) for entry in document.entries] or None,
    }
    text = json.dumps(_known(blog), ensure_ascii=False)
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _event(event: Event, link: str) -> dict[str, Any]:
    """The event, its start as clocks show it there; without an address of its own, with the campaign's."""
    place = clean(event.place or "")
    return _known(
        {
            "@type": "Event",
            "name": clean(event.name),
            "startDate": event.starts.astimezone(event.zone).isoformat(timespec="seconds"),
            "location": {"@type": "Place", "name": place, "address": place} if place else None,
            "url": url(event.url) if event.url else link,
        }
    )


def _posting(entry: FeedEntry, home: str | None, permalink: str) -> dict[str, Any]:
    return _known(
        {
            "@type": "BlogPosting",
            "@id": entry.id,
            "headline": entry.title,
            "description": entry.summary,
            "url": f"{home}{permalink}" if home else entry.url,
            "mentions": {"@type": "CreativeWork", "name": entry.title, "url": entry.url},
            "datePublished": entry.published.isoformat(),
            "dateModified": entry.updated.isoformat(),
            "inLanguage": entry.language,
            "author": {"@type": "Organization", "name": entry.author},
            "keywords": list(entry.tags) or None,
            "contentLocation": {"@type": "Place", "name": entry.place} if entry.place else None,
            "image": _image(entry.image) if entry.image else None,
        }
    )


def _image(image: FeedImage) -> dict[str, Any]:
    return _known(
        {
            "@type": "ImageObject",
            "contentUrl": image.url,
            "encodingFormat": image.mime,
            "caption": image.alt or None,
            "creditText": image.credit,
        }
    )


def _known(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}
