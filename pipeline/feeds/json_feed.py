"""JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/) from a feed document: same document, same bytes.

What the format has no key for stands under `_pipeline`, as the format asks of extensions.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from pipeline.feeds.document import FeedDocument, FeedEntry


def json_feed(document: FeedDocument) -> bytes:
    """The document as UTF-8 JSON, keys in the order of the format's description, a newline at the end."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": document.title,
        "home_page_url": document.link,
        "feed_url": document.json_url,
        "description": document.description,
        "next_url": document.older and document.older.json,
        "language": document.language,
        "authors": [{"name": document.author}],
        "hubs": [{"type": "WebSub", "url": document.hub}] if document.hub else None,
    }
    head = _text(_known(feed)).removesuffix("\n}")
    items = ",\n".join(map(_item, document.entries))
    listed = f"[\n{items}\n  ]" if items else "[]"
    return f'{head},\n  "items": {listed}\n}}\n'.encode()


@lru_cache(2048)
def _item(entry: FeedEntry) -> str:
    """An entry reads the same in every feed, so it is written once and remembered."""
    # A string holds no line end of its own in JSON, so this indents and changes nothing.
    return "    " + _text(_keys(entry)).replace("\n", "\n    ")


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _keys(entry: FeedEntry) -> dict[str, Any]:
    image = entry.image
    attachment = image and {"url": image.url, "mime_type": image.mime, "size_in_bytes": image.length}
    extension = {
        "image_alt": image.alt if image else None,
        "image_credit": image.credit if image else None,
        "place": entry.place,
    }
    return _known(
        {
            "id": entry.id,
            "url": entry.url,
            "title": entry.title,
            "summary": entry.summary,
            "content_html": entry.html,
            "image": image.url if image else None,
            "date_published": entry.published.isoformat(),
            "date_modified": entry.updated.isoformat(),
            "tags": list(entry.tags) or None,
            "authors": [{"name": entry.author}],
            "language": entry.language,
            "attachments": [attachment] if attachment else None,
            "_pipeline": _known(extension) or None,
        }
    )


def _known(keys: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that have no value: the format has no null."""
    return {key: value for key, value in keys.items() if value is not None}
