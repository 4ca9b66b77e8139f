"""What a server with the Mastodon API says of itself: its software and its limits.

What must stay true: a server is taken to keep `Idempotency-Key` only where it calls itself by a name that is
known to, and nothing it says contradicts that. Everything else in here may be missing or nonsense, and is
then what Mastodon documents.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from pipeline.channels import mastodon_text, media
from pipeline.channels.base import AuthFailedError, NotAcceptedError, RejectedError
from pipeline.model import Key, NoKey, TimedKey

FRESH = timedelta(days=7)  # a refusal, or `doctor`, asks sooner
_TYPES = frozenset({media.JPEG, media.PNG, media.GIF, media.WEBP})
_MOST = 1 << 40  # a limit above this is nonsense


class Family(StrEnum):
    """Whose code answers: the values are how people know it."""

    MASTODON = "Mastodon"
    GOTOSOCIAL = "GoToSocial"
    PLEROMA = "Pleroma"  # and Akkoma, which keeps its ways
    OTHER = "another software"


KEYS: Mapping[Family, Key] = {
    Family.MASTODON: TimedKey(timedelta(hours=1)),
    Family.GOTOSOCIAL: NoKey(),
    Family.PLEROMA: TimedKey(timedelta(hours=6)),
    Family.OTHER: NoKey(),
}
_NAMES = {
    "mastodon": Family.MASTODON,
    "gotosocial": Family.GOTOSOCIAL,
    "pleroma": Family.PLEROMA,
    "akkoma": Family.PLEROMA,
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server's software and limits; without arguments, what is believed of one that was never asked.

    `characters` are counted in the family's own way, `per_link` is the flat rate of a link, `alt` counts
    code points. `image_bytes` and `image_pixels` bound a picture of one of `types`.
    """

    family: Family | None = None
    version: str = ""
    domain: str = ""
    characters: int = 500
    per_link: int = 23
    pictures: int = 4
    image_bytes: int = 16_777_216
    image_pixels: int = 33_177_600
    types: frozenset[str] = _TYPES
    alt: int = 1_500

    @property
    def key(self) -> Key:
        """What the server keeps of `Idempotency-Key`."""
        return KEYS[self.family] if self.family else NoKey()

    @property
    def rules(self) -> media.Rules:
        """What pictures it takes."""
        return media.Rules(self.types, self.image_bytes, self.image_pixels)

    @property
    def limits(self) -> dict[str, str]:
        """The server for people: names and values."""
        key, ours = self.key, self.family is Family.MASTODON
        return {
            "software": f"{self.family or 'not known yet'} {self.version}".rstrip(),
            "characters": str(self.characters),
            "characters a link counts": str(self.per_link) if ours else "all it has",
            "pictures": f"{self.pictures}, each of {self.image_bytes} bytes and {self.image_pixels} pixels",
            "characters of an alternative text": str(self.alt),
            "repeats recognised": f"{key.window // timedelta(hours=1)} h"
            if isinstance(key, TimedKey)
            else "no",
        }

    def length(self, text: str, spoiler: str) -> int:
        """What the server counts, or more. One that was never asked is taken for Mastodon."""
        match self.family:
            case Family.GOTOSOCIAL:
                return mastodon_text.gotosocial(text, spoiler)
            case Family.PLEROMA:
                return mastodon_text.pleroma(text, spoiler)
            case Family.OTHER:
                return mastodon_text.cautious(text, spoiler, self.per_link)
        return mastodon_text.mastodon(text, spoiler, self.per_link)


# --------------------------------------------------------------------------- keeping


def kept(facts: Mapping[str, Any], base: str) -> tuple[Server, datetime | None]:
    """The server at `base` as it was kept, and when it was asked (UTC); the default and None if it is not."""
    try:
        if facts["base"] != base:
            return Server(), None
        server = Server(
            family=Family(facts["family"]),
            version=str(facts["version"]),
            domain=str(facts["domain"]),
            **{name: int(facts[name]) for name in _NUMBERS},
            types=frozenset(facts["types"]),
        )
        server.rules  # noqa: B018  # raises for types no picture can be written in
        return server, datetime.fromisoformat(facts["asked"])
    except (KeyError, TypeError, ValueError):
        return Server(), None


_NUMBERS = ("characters", "per_link", "pictures", "image_bytes", "image_pixels", "alt")


def to_keep(server: Server, base: str, asked: datetime) -> dict[str, Any]:
    """What `kept` reads."""
    numbers = {name: getattr(server, name) for name in _NUMBERS}
    return {
        "base": base,
        "asked": asked.isoformat(),
        "family": server.family,
        "version": server.version,
        "domain": server.domain,
        "types": sorted(server.types),
        **numbers,
    }


# --------------------------------------------------------------------------- asking

Ask = Callable[[str], Any]  # the JSON under a path of the server; None where there is nothing


def learn(ask: Ask) -> Server:
    """Ask the server. Raises ChannelError: NotAcceptedError when it does not answer like one."""
    facts = ask("/api/v2/instance")
    if not isinstance(facts, dict):
        facts = ask("/api/v1/instance")  # Pleroma, and Mastodon before 4.0
    if not isinstance(facts, dict) or not isinstance(facts.get("version"), str):
        raise NotAcceptedError("it does not answer as a server with the Mastodon API; is `instance` right?")
    version: str = facts["version"]
    family = family_of(_software(ask), version, str(facts.get("source_url") or ""))
    plain = Server()
    types = _within(facts, "configuration", "media_attachments", "supported_mime_types")
    known = _TYPES.intersection(kind for kind in types if isinstance(kind, str)) if types else _TYPES
    return Server(
        family=family,
        version=version,
        domain=str(facts.get("domain") or facts.get("uri") or ""),
        characters=_number(facts, "statuses", "max_characters")
        or _number(facts, "max_toot_chars")
        or plain.characters,
        per_link=_number(facts, "statuses", "characters_reserved_per_url") or plain.per_link,
        pictures=_number(facts, "statuses", "max_media_attachments") or plain.pictures,
        image_bytes=_number(facts, "media_attachments", "image_size_limit")
        or _number(facts, "upload_limit")
        or plain.image_bytes,
        image_pixels=_number(facts, "media_attachments", "image_matrix_limit") or plain.image_pixels,
        types=_TYPES if known.isdisjoint({media.JPEG, media.PNG, media.WEBP}) else known,
        alt=_number(facts, "media_attachments", "description_limit")
        or _number(facts, "description_limit")
        or plain.alt,
    )


def family_of(software: str | None, version: str, source: str) -> Family:
    """The family, from the name in NodeInfo, and from the version and the address of the source.

    Servers that are compatible with Mastodon name themselves in their version: "2.7.2 (compatible; Akkoma
    3.15.2)".
    """
    compatible = re.search(r"\(compatible; *([\w-]+)", version)
    if compatible is None and re.search(r"[(;]", version):
        return Family.OTHER  # "4.0.0 (not true; …)"
    named = _NAMES.get(compatible[1].lower(), Family.OTHER) if compatible else None
    if software is not None:
        told = _NAMES.get(software.strip().lower(), Family.OTHER)
        return told if named in {None, told} else Family.OTHER
    if named is not None:
        return named if named is not Family.MASTODON else Family.OTHER
    if urlsplit(source).path.strip("/").lower() == "mastodon/mastodon":
        return Family.MASTODON
    return Family.GOTOSOCIAL if source.rstrip("/").lower().endswith("/gotosocial") else Family.OTHER


def _software(ask: Ask) -> str | None:
    """What the server calls itself in NodeInfo, None when it does not say."""
    try:
        index = ask("/.well-known/nodeinfo")
        links = [link for link in index["links"] if "nodeinfo" in link["rel"]]
        # By its path: the server is asked where we reach it, wherever it believes to be.
        place = urlsplit(max(links, key=lambda link: str(link["rel"]))["href"])
        name = ask(place.path + (f"?{place.query}" if place.query else ""))["software"]["name"]
    except (RejectedError, AuthFailedError, TypeError, KeyError, ValueError, AttributeError):
        return None
    return name if isinstance(name, str) else None


def _number(facts: Mapping[str, Any], *names: str) -> int | None:
    """A limit of the configuration, or by a single name one of the server's own; None for nonsense."""
    value = _within(facts, *(("configuration", *names) if len(names) > 1 else names))
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST:
        return value
    return None


def _within(facts: Any, *names: str) -> Any:
    for name in names:
        facts = facts.get(name) if isinstance(facts, dict) else None
    return facts if facts is not None else ()
