"""What a server with the Mastodon API answers: its documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.rehearsal.standins import mastodon_text

STARTED = "2016-01-01T00:00:00.000Z"


@dataclass(slots=True)
class Media:
    """A picture that was uploaded. `polls` left until it is ready; `status` is the post that shows it."""

    id: str
    mime: str
    size: tuple[int, int]
    description: str
    at: datetime
    polls: int = 0
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A post as it reads from an instant on."""

    at: datetime
    text: str
    spoiler: str
    media: tuple[Media, ...]


@dataclass(slots=True)
class Status:
    """A post. `body` is the request that made it."""

    id: str
    visibility: str
    language: str | None
    body: bytes
    versions: list[Version] = field(default_factory=list)

    @property
    def now(self) -> Version:
        """How it reads."""
        return self.versions[-1]


def moment(at: datetime) -> str:
    """An instant as it is written, to the millisecond."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def account(base: str, count: int) -> dict[str, Any]:
    """The account whose token it is."""
    picture = f"{base}/avatars/original/missing.png"
    return {
        "id": "109000000000000001",
        "username": "lille",
        "acct": "lille",
        "display_name": "Sharing Lille",
        "locked": False,
        "bot": False,
        "discoverable": True,
        "indexable": False,
        "group": False,
        "created_at": STARTED,
        "note": "",
        "url": f"{base}/@lille",
        "uri": f"{base}/users/lille",
        "avatar": picture,
        "avatar_static": picture,
        "header": picture,
        "header_static": picture,
        "followers_count": 3,
        "following_count": 1,
        "statuses_count": count,
        "last_status_at": None,
        "emojis": [],
        "fields": [],
    }


def credentials(base: str, count: int) -> dict[str, Any]:
    """The account as it is told to itself."""
    return account(base, count) | {
        "source": {
            "privacy": "public",
            "sensitive": False,
            "language": "fr",
            "note": "",
            "fields": [],
            "follow_requests_count": 0,
            "indexable": False,
        },
        "role": {"id": "-99", "name": "", "color": "", "permissions": "0", "highlighted": False},
    }


def attachment(media: Media, base: str) -> dict[str, Any]:
    """A picture. It has no address while the server works on it."""
    width, height = media.size
    place = f"{base}/media/{media.id}" if media.polls == 0 else None
    shape = {"width": width, "height": height, "size": f"{width}x{height}", "aspect": width / height}
    return {
        "id": media.id,
        "type": "gifv" if media.mime == "image/gif" else "image",
        "url": place,
        "preview_url": place,
        "remote_url": None,
        "meta": {"original": shape, "small": shape},
        "description": media.description or None,
        "blurhash": "UBL_:rOpGG-oBUNG,qRj2so|=eE1w^n4S5NH",
    }


def status(made: Status, base: str, count: int) -> dict[str, Any]:
    """A post as clients get it."""
    now = made.now
    return {
        "id": made.id,
        "created_at": moment(made.versions[0].at),
        "edited_at": moment(now.at) if len(made.versions) > 1 else None,
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "sensitive": bool(now.spoiler),
        "spoiler_text": now.spoiler,
        "visibility": made.visibility,
        "language": made.language,
        "uri": f"{base}/users/lille/statuses/{made.id}",
        "url": f"{base}/@lille/{made.id}",
        "content": mastodon_text.shown(now.text, base),
        "replies_count": 0,
        "reblogs_count": 0,
        "favourites_count": 0,
        "favourited": False,
        "reblogged": False,
        "muted": False,
        "bookmarked": False,
        "pinned": False,
        "filtered": [],
        "reblog": None,
        "application": {"name": "pipeline", "website": None},
        "account": account(base, count),
        "media_attachments": [attachment(media, base) for media in now.media],
        "mentions": [],
        "tags": [],
        "emojis": [],
        "card": None,
        "poll": None,
    }


def edit(version: Version, base: str, count: int) -> dict[str, Any]:
    """One version of a post."""
    return {
        "content": mastodon_text.shown(version.text, base),
        "spoiler_text": version.spoiler,
        "sensitive": bool(version.spoiler),
        "created_at": moment(version.at),
        "account": account(base, count),
        "media_attachments": [attachment(media, base) for media in version.media],
        "emojis": [],
    }


def instance(base: str, version: str, source: str, limits: dict[str, int]) -> dict[str, Any]:
    """What a server says of itself, in the second form."""
    return {
        "domain": base.partition("://")[2],
        "title": "A server that stands in",
        "version": version,
        "source_url": source,
        "description": "",
        "usage": {"users": {"active_month": 1}},
        "thumbnail": {"url": f"{base}/thumbnail.png"},
        "icon": [],
        "languages": ["fr"],
        "configuration": {
            "urls": {"streaming": base.replace("http", "ws", 1)},
            "accounts": {"max_featured_tags": 10, "max_pinned_statuses": 5},
            "statuses": {
                "max_characters": limits["characters"],
                "max_media_attachments": limits["pictures"],
                "characters_reserved_per_url": limits["per_link"],
            },
            "media_attachments": {
                "supported_mime_types": ["image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4"],
                "description_limit": limits["alt"],
                "image_size_limit": limits["image_bytes"],
                "image_matrix_limit": limits["image_pixels"],
                "video_size_limit": 103_809_024,
                "video_frame_rate_limit": 120,
                "video_matrix_limit": 8_294_400,
            },
            "polls": {
                "max_options": 4,
                "max_characters_per_option": 50,
                "min_expiration": 300,
                "max_expiration": 2_629_746,
            },
            "translation": {"enabled": False},
        },
        "registrations": {"enabled": False, "approval_required": False, "message": None},
        "contact": {"email": "nobody@example.org", "account": None},
        "rules": [],
        "api_versions": {"mastodon": 7},
    }


def first_instance(base: str, version: str, limits: dict[str, int]) -> dict[str, Any]:
    """The same as Pleroma says it."""
    return {
        "uri": base,
        "title": "A server that stands in",
        "description": "",
        "version": version,
        "email": "",
        "languages": ["fr"],
        "registrations": False,
        "max_toot_chars": limits["characters"],
        "max_media_attachments": limits["pictures"],
        "description_limit": limits["alt"],
        "upload_limit": limits["image_bytes"],
    }
