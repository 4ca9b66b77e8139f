"""What is pure, or only reads and writes files: check, plan, fit, feeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import regex
import yaml
from feedgen.feed import FeedGenerator
from markdown_it import MarkdownIt

from pipeline import feeds
from pipeline.channels import open_channel
from pipeline.channels.base import Channel
from pipeline.channels.x_text import library
from pipeline.model import Post, Release
from pipeline.planning import plan
from pipeline.review import Review
from pipeline.source.document import LOADER
from tests.bench import scene
from tests.bench.measuring import Pair, Side, forget
from tests.feeds.scene import Given
from tests.support.builders import surroundings

MANY = 1000
OLDER = 365  # releases before the one that is measured
_GRAPHEME = regex.compile(r"\X")


@contextmanager
def check(folder: Path, _rounds: int) -> Iterator[Sequence[Pair]]:
    """Everything `pipeline check` reads and judges, on one channel and on five."""
    pairs = []
    for name, networks in (("check, one channel", ("outbox",)), ("check, five channels", scene.FIVE)):
        root = folder / str(len(networks))
        scene.write_project(root, MANY, {one: scene.CHANNELS[one] for one in networks})
        pairs.append(
            Pair(
                name,
                Side(
                    f"read {MANY} entries and a campaign, find every problem, fit every text on "
                    f"{', '.join(networks)}, cold",
                    partial(_check, root),
                    before=forget,
                ),
                Side(
                    f"read the same files, and load their YAML with {LOADER.__name__}",
                    partial(_load, root),
                ),
            )
        )
    yield pairs


def _check(root: Path) -> None:
    around = surroundings(root, now=lambda: scene.BEFORE)
    review = Review(root, lambda whole, config: open_channel(whole, config, around), scene.BEFORE, None)
    problems = review.problems(pictures=True)
    assert len(review.entries) == MANY
    assert not problems, problems[0]


def _load(root: Path) -> None:
    for path in sorted((root / "content").iterdir()):
        _, front, _ = path.read_text(encoding="utf-8").split("---\n", 2)
        assert yaml.load(front, Loader=LOADER)
    assert yaml.load((root / "schedules/lille.yaml").read_text(encoding="utf-8"), Loader=LOADER)


@contextmanager
def planning(_folder: Path, _rounds: int) -> Iterator[Sequence[Pair]]:
    """A plan of entries and a campaign that are in memory."""
    whole = scene.campaign(MANY, "outbox")
    entries = {entry.id: entry for entry in map(scene.entry, range(MANY))}
    days = [scene.FIRST + timedelta(days=number) for number in range(MANY)]
    zone, wall = whole.event.zone, whole.posting.time

    def ours() -> None:
        assert len(plan(whole, entries, {}, scene.BEFORE).slots) == MANY

    def baseline() -> None:
        for day in days:
            datetime.combine(day, wall, zone).astimezone(UTC)

    yield [
        Pair(
            "plan",
            Side(f"a plan of {MANY} entries, cold", ours, before=forget),
            Side(f"from wall time to UTC with zoneinfo, once for each of the {MANY} days", baseline),
        )
    ]


@contextmanager
def fit(folder: Path, _rounds: int) -> Iterator[Sequence[Pair]]:
    """The longest summary, shortened as far as each network needs it; the template filled in each time."""
    around = surroundings(folder)
    pairs = []
    for network in scene.CHANNELS:
        whole = scene.campaign(1, network)
        (config,) = whole.channels
        channel = open_channel(whole, config, around)
        post = scene.post(network)
        text = post.text(post.summary)
        if network == "x":
            counted = Side(
                "one call of twitter_text's parse_tweet on the whole text",
                partial(library().parse_tweet, text),
                times=20,
            )
        else:
            counted = Side(
                "one count of the whole text's graphemes with regex",
                partial(_count, text),
                times=200,
            )
        fitted = channel.fit(post)
        says = f"fit {len(text)} characters to {fitted.limit}" if fitted.limit else "fit without a limit"
        ours = Side(says, partial(_fit_another, channel, post, itertools.count()), times=20)
        pairs.append(Pair(f"fit, {network}", ours, counted))
    yield pairs


def _fit_another(channel: Channel, post: Post, numbers: Iterator[int]) -> None:
    """Fit a text that was not fitted before: what is measured is no memory of it."""
    channel.fit(replace(post, summary=f"{next(numbers)} {post.summary}"))


def _count(text: str) -> int:
    return sum(1 for _ in _GRAPHEME.finditer(text))


@contextmanager
def write_feeds(folder: Path, rounds: int) -> Iterator[Sequence[Pair]]:
    """One release more, in a process that has written the feeds before, as a daemon's has."""
    whole = scene.campaign(OLDER + 1, "outbox")
    older = [_released(number) for number in range(OLDER)]
    newest = [_released(OLDER, f"Projet {OLDER}, version {number}") for number in range(rounds)]
    turns = itertools.cycle(newest)
    shown = list(reversed([*older, newest[0]][-feeds.LENGTH :]))
    pages = {one.entry.id: MarkdownIt().render(one.entry.body) for one in shown}

    def write(*releases: Release) -> None:
        source = feeds.Source(whole, Given(releases), "example.org,2016", scene.BEFORE)
        assert feeds.write(source, root=folder, public=folder / "public").changed

    yield [
        Pair(
            "feeds",
            Side(
                f"write the feeds, archives and page after release {OLDER + 1}, in RSS, Atom and JSON, those "
                "of its tags too",
                lambda: write(*older, next(turns)),
                before=partial(write, *older),
            ),
            Side(
                f"RSS and Atom of the same newest {feeds.LENGTH} entries with feedgen, their HTML given",
                partial(_feedgen, shown, pages),
            ),
        )
    ]


def _released(number: int, title: str | None = None) -> Release:
    entry = scene.entry(number) if title is None else scene.renamed(number, title)
    day = scene.FIRST + timedelta(days=number)
    instant = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
    return Release("lille", entry, day, instant, instant)


def _feedgen(shown: Sequence[Release], pages: dict[str, str]) -> None:
    feed = FeedGenerator()
    feed.id("tag:example.org,2016:lille")
    feed.title("Lille, ville collaborative : un projet par jour")
    feed.description("Un projet collaboratif par jour avant Sharing Lille.")
    feed.link(href="https://example.org/sharing-lille/")
    feed.language("fr")
    feed.updated(shown[0].updated)
    for release in shown:
        one = feed.add_entry(order="append")
        one.id(f"tag:example.org,2016:lille/{release.entry.id}")
        one.title(release.entry.title)
        one.link(href=release.entry.url)
        one.summary(release.entry.summary)
        one.content(pages[release.entry.id], type="html")
        one.published(release.released)
        one.updated(release.updated)
        one.category([{"term": tag} for tag in release.entry.tags])
    assert feed.rss_str()
    assert feed.atom_str()
