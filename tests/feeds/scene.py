"""A small campaign with three releases: a picture with credit, none, one edited after its release.

`python -m tests.feeds.scene` writes the golden files anew; read the difference before you keep it.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from pipeline import feeds
from pipeline.feeds import record
from pipeline.model import Campaign, Entry, Event, Image, Posting, Release, ReleaseMark

GOLDEN = Path(__file__).parent.parent / "golden" / "feeds"
FEED_FILES = ("feed.xml", "atom.xml", "feed.json")
AUTHORITY = "example.org,2016"
FIRST_SEEN = datetime(2016, 4, 1, 7, 30, tzinfo=UTC)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63606060f80f00010401005fe5c34b0000000049454e44ae426082"
)
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"

CAMPAIGN = Campaign(
    id="sharing-lille",
    path="schedules/sharing-lille.yaml",
    title="Lille, ville collaborative : 3 projets",
    description="Un projet collaboratif par jour avant Sharing Lille.",
    language="fr",
    link="https://example.org/sharing-lille/",
    event=Event("Sharing Lille", datetime(2016, 4, 21, 7, 0, tzinfo=UTC), "Europe/Paris"),
    posting=Posting(time(9), date(2016, 4, 20)),
    text="{{ entry.title }}",
    channels=(),
    public_url="https://example.org/feeds/",
    authority=AUTHORITY,
    author="OuiShare",
    hub="https://hub.example.org/",
)

WITH_PICTURE = Entry(
    id="jardin",
    path="content/jardin.md",
    title="Le jardin « à partager » & ses voisins",
    summary="Un jardin ouvert à tous : 1 < 2 voisins, R&D comprise.",
    url="https://example.org/sharing-lille/jardin-été?année=2016",
    body=(
        "Un **jardin** ouvert.\n\n![Le plan du jardin](images/plan.gif)\n\n"
        "| jour | heure |\n|:--|--:|\n| samedi | 10 h |\n\n[La page](../jardin) ]]> fin\n"
    ),
    image=Image("content/images/jardin.png", "Des bacs de légumes", "Photo : Zoé & Cie"),
    tags=("zéro déchet", "jardin"),
    place="Fives, Lille",
)
PLAIN = Entry(
    id="repair-cafe",
    path="content/repair-cafe.md",
    title="Repair café",
    summary="Mending things together.",
    url="https://example.org/sharing-lille/repair-cafe",
    lang="en",
)
EDITED = Entry(
    id="velo",
    path="content/velo.md",
    title="Le vélo pour tous 🚲",
    summary="Un atelier où l'on répare son vélo.",
    url="https://example.org/sharing-lille/velo",
    body="Texte corrigé après parution.\n",
    tags=("vélo",),
)


def release(entry: Entry, day: int, *, updated: datetime | None = None) -> Release:
    """The entry, released at nine in Paris on that day of April 2016."""
    released = datetime(2016, 4, day, 7, 0, tzinfo=UTC)
    return Release(CAMPAIGN.id, entry, date(2016, 4, day), released, updated or released)


RELEASES = (
    release(WITH_PICTURE, 18),
    release(EDITED, 19, updated=datetime(2016, 4, 20, 12, 34, 56, 789, tzinfo=UTC)),
    release(PLAIN, 20),
)


def lay_out(root: Path) -> None:
    """The pictures of the entries, where they say."""
    images = root / "content" / "images"
    images.mkdir(parents=True)
    (images / "jardin.png").write_bytes(PNG)
    (images / "plan.gif").write_bytes(GIF)


class Given:
    """Releases, and a note of which were looked up."""

    def __init__(self, releases: Sequence[Release]) -> None:
        self.releases = list(releases)
        self.loaded: list[str] = []

    def marks(self) -> list[ReleaseMark]:
        ordered = sorted(self.releases, key=lambda one: one.entry.id)
        ordered.sort(key=lambda one: (one.released, one.date), reverse=True)
        return [one.mark for one in ordered]

    def load(self, entries: Collection[str]) -> dict[str, Release]:
        self.loaded += entries
        return {one.entry.id: one for one in self.releases if one.entry.id in entries}


def source(campaign: Campaign = CAMPAIGN, releases: Sequence[Release] = RELEASES) -> feeds.Source:
    """The campaign with these releases."""
    return feeds.Source(campaign, Given(releases), AUTHORITY, FIRST_SEEN)


def write(
    root: Path, campaign: Campaign = CAMPAIGN, releases: Sequence[Release] = RELEASES
) -> feeds.FeedsWritten:
    """Write the feeds of the scene into `root/public`."""
    return feeds.write(source(campaign, releases), root=root, public=root / "public")


def golden_campaigns() -> dict[str, tuple[Campaign, tuple[Release, ...]]]:
    """What each folder of golden files was made from."""
    retracted = replace(RELEASES[0], retracted=datetime(2016, 4, 20, 15, 0, tzinfo=UTC))
    return {
        "full": (CAMPAIGN, RELEASES),
        "retracted": (CAMPAIGN, (retracted, *RELEASES[1:])),
        "no-public-url": (replace(CAMPAIGN, public_url=None), RELEASES),
        "empty": (CAMPAIGN, ()),
    }


def golden_files(public: Path) -> dict[str, bytes]:
    """The feeds and the list of them below `public`, by name; the page has tests of its own."""
    return {
        path.relative_to(public).as_posix(): path.read_bytes()
        for path in sorted(public.rglob("*"))
        if path.suffix in {".xml", ".json", ".opml"} and path.name != record.RECORD
    }


def write_everything(root: Path, campaign: Campaign, releases: Sequence[Release]) -> None:
    """Write the campaign's feeds and, as if it were the only one, those of all campaigns."""
    given = source(campaign, releases)
    written = feeds.write(given, root=root, public=root / "public")
    part = feeds.Part(given, written.newest, written.listed)
    feeds.write_collective([part], authority=AUTHORITY, root=root, public=root / "public")


def main() -> None:
    """Write every golden file anew."""
    for name, (campaign, releases) in golden_campaigns().items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            lay_out(root)
            write_everything(root, campaign, releases)
            shutil.rmtree(GOLDEN / name, ignore_errors=True)
            for file, data in golden_files(root / "public").items():
                (GOLDEN / name / file).parent.mkdir(parents=True, exist_ok=True)
                (GOLDEN / name / file).write_bytes(data)
    sys.stdout.write(f"written: {GOLDEN}\n")


if __name__ == "__main__":
    main()
