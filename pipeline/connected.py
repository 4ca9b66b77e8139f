"""Since when a channel's credentials are in use, and whose they were found to be: told by who connected it.

What must stay true: no secret is kept here, only a salted mark that says whether the credentials are still
the same; with others in their place the age is not known, and nothing is said.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.keeping import FileKeep


@dataclass(frozen=True, slots=True)
class Connection:
    """`since` is the instant (UTC) at which the credentials were written, `account` whose they are."""

    since: datetime
    account: str


def remember(state: Path, channel_id: str, values: Mapping[str, str], connection: Connection) -> None:
    """Keep when these credentials came into use. Raises OSError."""
    salt = secrets.token_hex(16)
    _keep(state, channel_id).write(
        {
            "since": connection.since.astimezone(UTC).isoformat(timespec="seconds"),
            "account": connection.account,
            "salt": salt,
            "mark": _mark(salt, values),
        }
    )


def recall(state: Path, channel_id: str, values: Mapping[str, str]) -> Connection | None:
    """When these credentials came into use; None when that is not known."""
    kept = _keep(state, channel_id).read()
    try:
        since = datetime.fromisoformat(kept["since"])
        if since.tzinfo is None or not hmac.compare_digest(kept["mark"], _mark(kept["salt"], values)):
            return None
        return Connection(since.astimezone(UTC), str(kept["account"]))
    except (KeyError, TypeError, ValueError):
        return None


def _keep(state: Path, channel_id: str) -> FileKeep:
    return FileKeep(state / "connected", channel_id)


def _mark(salt: str, values: Mapping[str, str]) -> str:
    told = "\0".join(f"{name}={value}" for name, value in sorted(values.items()))
    return hmac.digest(salt.encode(), told.encode(errors="replace"), hashlib.sha256).hex()
