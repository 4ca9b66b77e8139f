"""What tells servers with the Mastodon API apart, and what they count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pipeline.rehearsal.standins import mastodon_text


@dataclass(frozen=True, slots=True)
class Software:
    """What differs between the servers. `keys` is how long a key is kept, `refusal` the usual status."""

    name: str
    version: str
    source: str
    keys: timedelta
    refusal: int
    limits: Mapping[str, int]

    def length(self, text: str, spoiler: str, per_link: int) -> int:
        """How long a post is to it."""
        if self.name == "gotosocial":
            return len(text) + len(spoiler)
        if self.name == "pleroma":
            return mastodon_text.graphemes(text) + mastodon_text.graphemes(spoiler)
        return mastodon_text.length(text, spoiler, per_link)

    def id_of(self, number: int) -> str:
        """An id as it looks there; later ones are greater."""
        if self.name == "gotosocial":
            return f"01H0000000000000000000{number:04}"
        return f"B{number:017}" if self.name == "pleroma" else str(116_000_000_000_000_000 + number)


def _limits(
    characters: int, pictures: int, per_link: int, alt: int, size: int, pixels: int
) -> dict[str, int]:
    return {
        "characters": characters,
        "pictures": pictures,
        "per_link": per_link,
        "alt": alt,
        "image_bytes": size,
        "image_pixels": pixels,
    }


SOFTWARE = {
    "mastodon": Software(
        "mastodon",
        "4.5.2",
        "https://github.com/mastodon/mastodon",
        timedelta(hours=1),
        422,
        _limits(500, 4, 23, 1_500, 16_777_216, 33_177_600),
    ),
    "gotosocial": Software(
        "gotosocial",
        "0.20.2+git-6a39e4b",
        "https://codeberg.org/superseriousbusiness/gotosocial",
        timedelta(0),
        400,
        _limits(5_000, 6, 25, 5_000, 41_943_040, 16_777_216),
    ),
    "pleroma": Software(
        "pleroma",
        "2.7.2 (compatible; Pleroma 2.9.1)",
        "https://git.pleroma.social/pleroma/pleroma",
        timedelta(hours=6),
        422,
        _limits(5_000, 4, 0, 5_000, 16_000_000, 1 << 40),
    ),
}


class Refused(Exception):
    """The answer is an error. `status` None is the software's usual one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Window:
    """At most `most` in each span of `period`, by the clock."""

    most: int
    period: timedelta
    begun: datetime | None = None
    left: int = 0

    def take(self, now: datetime) -> bool:
        """Count one. Whether it is still within."""
        seconds = self.period.total_seconds()
        begun = now - timedelta(seconds=now.timestamp() % seconds)
        if begun != self.begun:
            self.begun, self.left = begun, self.most
        self.left -= 1
        return self.left >= 0

    def headers(self) -> dict[str, str]:
        """What a reply says of it."""
        assert self.begun is not None
        reset = (self.begun + self.period).isoformat(timespec="microseconds").replace("+00:00", "Z")
        left = str(max(0, self.left))
        return {
            "X-RateLimit-Limit": str(self.most),
            "X-RateLimit-Remaining": left,
            "X-RateLimit-Reset": reset,
        }


@dataclass(slots=True)
class Kept:
    """What is known under a key, since when; the answer is None while it is being made."""

    at: datetime
    status: str | None = None
    answer: tuple[int, Any] | None = None


@dataclass(slots=True)
class Windows:
    """Mastodon's own limits."""

    all: Window = field(default_factory=lambda: Window(300, timedelta(minutes=5)))
    media: Window = field(default_factory=lambda: Window(30, timedelta(minutes=30)))
    deletes: Window = field(default_factory=lambda: Window(30, timedelta(minutes=30)))
