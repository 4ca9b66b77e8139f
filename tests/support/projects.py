"""A real project in a folder: entries, a campaign with an event soon, an outbox, a ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pipeline.channels import open_channel
from pipeline.channels.base import Channel, Surroundings
from pipeline.clock import Clock, SystemClock
from pipeline.dispatch import Dispatcher
from pipeline.ledger import Ledger, open_ledger
from pipeline.library import LibraryReader
from pipeline.tick import Pipeline

P = TypeVar("P", bound=Pipeline)
NOON = 12
# The smallest PNG there is: one transparent pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000b49444154789c63"
    "60000200000500017a5eab3f0000000049454e44ae426082"
)


def noon_zone(instant: datetime) -> str:
    """A zone in which `instant` is about noon, so that no test runs over the end of a local day."""
    east = NOON - instant.astimezone(UTC).hour
    return f"Etc/GMT{-east:+d}"  # the sign of these names is turned round


class Project:
    """A project folder. Everything it says can be said again, differently."""

    def __init__(self, root: Path, due: datetime | None = None, *, ledger: str | None = None) -> None:
        """The first slot of the campaign is due at `due`, on whole seconds."""
        self.root = root
        self.due = (due or SystemClock().now()).replace(microsecond=0)
        self.zone = noon_zone(self.due)
        self.ledger = ledger or f"sqlite:///{root}/state/ledger.db"
        for folder in ("content", "schedules"):
            (root / folder).mkdir(parents=True, exist_ok=True)

    @property
    def public(self) -> Path:
        return self.root / "public"

    def entry(self, entry_id: str, *, body: str = "Un **projet**.\n", **keys: object) -> Path:
        matter: dict[str, object] = {
            "title": f"Projet {entry_id}",
            "summary": "Un projet collaboratif. Il grandit.",
            "url": f"https://example.org/{entry_id}",
            **keys,
        }
        return self.write(f"content/{entry_id}.md", f"---\n{_yaml(matter)}---\n{body}")

    def campaign(
        self,
        *entries: str,
        campaign_id: str = "lille",
        channels: Mapping[str, Mapping[str, str]] | None = None,
        due: datetime | None = None,
        text: str = "J-{{ days_left }} {{ entry.title }} {{ entry.url }}",
        late: str = "6h",
        missed: str = "move",
        days_off: int = 0,
        **keys: object,
    ) -> Path:
        """One entry a day from the day of `due` on, the event on the day after the last; then days off."""
        local = (due or self.due).astimezone(ZoneInfo(self.zone))
        event = local + timedelta(days=max(len(entries), 1) + days_off)
        until = event - timedelta(days=1 + days_off)
        document: dict[str, object] = {
            "title": "Lille, ville collaborative",
            "description": "Un projet par jour.",
            "language": "fr",
            "link": "https://example.org/lille/",
            "authority": "example.org,2016",
            "event": {"name": "Sharing Lille", "starts": f"{event:%Y-%m-%d} 23:00", "timezone": self.zone},
            "posting": {
                "time": f"{local:%H:%M:%S}",
                "until": f"{until:%Y-%m-%d}",
                "late": late,
                "missed": missed,
            },
            "text": text,
            "channels": {"outbox": {}} if channels is None else channels,
            **keys,
        }
        if entries:
            document["entries"] = list(entries)
        return self.write(f"schedules/{campaign_id}.yaml", _yaml(document))

    def write(self, path: str, text: str | bytes) -> Path:
        """As editors and git do it: the new file takes the old one's place at once."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(f".{target.name}.new")
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        new.replace(target)
        return target

    def wall(self, instant: datetime) -> str:
        """The instant as `time` of a channel."""
        return f"{instant.astimezone(ZoneInfo(self.zone)):%H:%M:%S}"

    # ----------------------------------------------------------------- what came of it

    def posts(self) -> list[str]:
        """Every post in the outbox, as CAMPAIGN/ENTRY/CHANNEL; one that is there twice is listed twice."""
        found = []
        for path in (self.public / "outbox").rglob("*.json"):
            post = json.loads(path.read_bytes())
            assert path.with_suffix(".html").is_file(), "the page is there before the receipt is"
            found.append(f"{post['campaign']}/{post['entry']}/{post['channel']}")
        return sorted(found)

    def outbox_bytes(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.root)): p.read_bytes() for p in self.public.rglob("*") if p.is_file()}

    def feed_titles(self, campaign: str = "lille") -> list[str]:
        path = self.public / campaign / "feed.json"
        return [item["title"] for item in json.loads(path.read_bytes())["items"]] if path.exists() else []

    def states(self) -> dict[str, str]:
        """The deliveries as the ledger has them."""
        with self.open_ledger() as ledger:
            return {str(one.key): str(one.state) for one in ledger.deliveries()}

    def adopt(self) -> None:
        """Let the ledger see the campaigns, so that a daemon that starts late still finds them planned."""
        clock = SystemClock()
        with self.open(clock) as pipeline:
            pipeline.tick()
        assert clock.now() < self.due, "this machine is too slow for the test"

    # ----------------------------------------------------------------- its parts, in this process

    @contextmanager
    def open_ledger(self) -> Iterator[Ledger]:
        with open_ledger(self.ledger, now=SystemClock().now()) as ledger:
            yield ledger

    @contextmanager
    def open(
        self,
        clock: Clock,
        *,
        channels: Mapping[str, Channel] | None = None,
        workers: int = 0,
        probe: Callable[[str], None] = lambda _: None,
        kind: type[P] = Pipeline,  # type: ignore[assignment]
    ) -> Iterator[P]:
        """The pipeline, over `channels` by id; the outbox stands for all others."""
        around = Surroundings(self.root, self.public, lambda _channel, _name: None, clock.now)
        known = dict(channels or {})

        def way(campaign: Any, config: Any) -> Channel:
            return known[config.id] if config.id in known else open_channel(campaign, config, around)

        with open_ledger(self.ledger, now=clock.now()) as ledger:
            yield kind(
                root=self.root,
                public=self.public,
                ledger=ledger,
                clock=clock,
                reader=LibraryReader(self.root, ledger, way),
                dispatcher=Dispatcher(ledger, clock, way, workers=workers, probe=probe),
                probe=probe,
            )


def _yaml(document: Mapping[str, object]) -> str:
    """JSON is YAML, and needs no care about what a plain scalar would mean."""
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in document.items())
