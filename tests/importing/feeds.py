"""The same three entries as RSS, Atom and JSON Feed, written by hand; and a way to import them."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline import content
from pipeline.model import Entry
from pipeline.problems import has_errors

HOME = "https://blog.example/"
BOLD = "<b>corps</b>"
LINK = '<a href="https://a.example/">liens</a>'
ITEMS = [
    ("tag:blog.example,2016:1", "Café & réparation", "1", "Un résumé. Deux phrases.", f"<p>Un {BOLD}.</p>"),
    ("tag:blog.example,2016:2", "Éco-quartier", "2", "Un quartier.", f"<p>Deux {LINK}.</p>"),
    ("tag:blog.example,2016:3", "x < y", "3", "Trois.", "<ul><li>un</li><li>deux</li></ul>"),
]  # fmt: skip


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def rss(items: str | None = None, head: str = "") -> bytes:
    inside = items if items is not None else "".join(map(rss_item, ITEMS))
    return (
        f'{head}<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>Blog</title>'
        f"<link>{HOME}</link><description>Un blog.</description><language>fr</language>{inside}"
        "</channel></rss>"
    ).encode("utf-8", "surrogatepass")


def rss_item(item: tuple[str, str, str, str, str], extra: str = "") -> str:
    guid, title, page, summary, body = item
    return (
        f"<item><guid isPermaLink='false'>{guid}</guid><title>{escaped(escaped(title))}</title>"
        f"<link>{HOME}{page}</link><description>{summary}</description><category>zéro déchet</category>"
        f"<content:encoded>{escaped(body)}</content:encoded>{extra}</item>"
    )


def atom() -> bytes:
    entries = "".join(
        f"<entry><id>{guid}</id><title>{escaped(title)}</title><link href='{HOME}{page}'/>"
        f"<summary>{summary}</summary><content type='html'>{escaped(body)}</content>"
        f"<category term='zéro déchet'/><updated>2016-04-11T07:00:00Z</updated></entry>"
        for guid, title, page, summary, body in ITEMS
    )
    return (
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr"><id>{HOME}</id><title>Blog</title>'
        f"<link href='{HOME}'/><updated>2016-04-11T07:00:00Z</updated>{entries}</feed>"
    ).encode()


def json_feed() -> bytes:
    items = [
        {
            "id": guid,
            "title": title,
            "url": HOME + page,
            "summary": summary,
            "content_html": body,
            "tags": ["zéro déchet"],
        }
        for guid, title, page, summary, body in ITEMS
    ]
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Blog",
        "home_page_url": HOME,
        "language": "fr",
        "items": items,
    }
    return json.dumps(document, ensure_ascii=False).encode()


def entries(root: Path) -> dict[str, Entry]:
    """Every entry of the project, by path; each as `check` takes it, pictures included."""
    found = {}
    for path in content.scan(root):
        parsed = content.read_entry(root, path)
        assert not has_errors(parsed.problems), (path, parsed.problems, (root / path).read_text())
        assert parsed.value is not None
        found[path] = parsed.value
    return found
