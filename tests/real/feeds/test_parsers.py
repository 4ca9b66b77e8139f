"""Parsers written by others read in our feeds what we wrote: ids, titles, links, instants."""

from __future__ import annotations

import io
import json
import subprocess
from datetime import UTC, datetime

import feedparser
import pytest

# Without entities: RSS leaves open whether a title is HTML, and parsers differ about them.
TITLES = {
    "a": "L’été « à vélo » & <b>plus</b> ]]>",
    "b": "עברית و العربية 👩‍👩‍👧 \u202bmixed\u202c",
    "c": "x < y > z \"q\" 'r' é\u0301",
}


@pytest.fixture
def feeds(publisher):
    for entry, title in TITLES.items():
        publisher.project.entry(entry, title=title, url=f"https://example.org/{entry}?a=1&b=é#c")
    for _ in TITLES:
        publisher.release()
    return publisher.project.public / "lille"


def ours(feeds) -> list[list[str]]:
    """What was released, newest first, as the ledger's feed document in JSON has it."""
    items = json.loads((feeds / "feed.json").read_bytes())["items"]
    return [[one["id"], one["title"], one["url"], instant(one["date_published"])] for one in items]


def instant(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_three_parsers_from_npm_agree_with_us(feeds, made, tool):
    files = {name: str(feeds / name) for name in ("feed.xml", "atom.xml", "feed.json")}
    ended = subprocess.run(
        [tool("node"), made("node") / "parse.mjs", *files.values()],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    said = json.loads(ended.stdout)
    wanted = ours(feeds)
    assert len(wanted) == 3
    assert [len(said[path]) for path in files.values()] == [3, 3, 1]
    for name, path in files.items():
        for parser, found in said[path].items():
            assert found == wanted, f"{name} as {parser} reads it"


@pytest.mark.parametrize("name", ["feed.xml", "atom.xml"])
def test_feedparser_agrees_with_us(feeds, name):
    parsed = feedparser.parse(io.BytesIO((feeds / name).read_bytes()))
    assert not parsed.bozo
    found = []
    for one in parsed.entries:
        at = datetime(*one.published_parsed[:6], tzinfo=UTC)
        found.append([one.id, one.title, one.link, instant(at.isoformat())])
    wanted = ours(feeds)
    if name == "feed.xml":  # there feedparser takes every title for HTML, and sanitises it
        wanted, found = ([[one[0], *one[2:]] for one in rows] for rows in (wanted, found))
    assert found == wanted
