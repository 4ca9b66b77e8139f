"""Where the project is and which ledger it keeps: from options, the environment and `.env`, in that order.

Nothing is read at import time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.credentials import Credentials
from pipeline.errors import BrokenEnvironment, WrongUse

DEFAULT_LEDGER = "sqlite:///state/ledger.db"
_SQLITE_FILE = "sqlite:///"


class _Environment(BaseSettings):
    """`PIPELINE_*` variables; the environment wins over `.env`."""

    model_config = SettingsConfigDict(env_prefix="PIPELINE_", env_ignore_empty=True, extra="ignore")

    ledger: str = DEFAULT_LEDGER
    ping_delay: int = Field(default=0, ge=0, le=86_400)  # seconds


@dataclass(frozen=True, slots=True)
class Settings:
    """The project's places. `ledger` is a URL whose SQLite path is absolute."""

    root: Path
    ledger: str
    ping_delay: timedelta = timedelta(0)  # from writing the feeds until hubs are told of them

    @property
    def public(self) -> Path:
        """Where feeds and the outbox are written."""
        return self.root / "public"

    def credential(self, channel_id: str, name: str) -> str | None:
        """A field of a channel's credentials, None when it is not set. Raises BrokenEnvironment."""
        return Credentials(self.root).get(channel_id, name)

    @property
    def ledger_exists(self) -> bool:
        """Whether there is a ledger to open; of a server's, that it was named says so."""
        if not self.ledger.startswith(_SQLITE_FILE):
            return True
        return Path(self.ledger.removeprefix(_SQLITE_FILE)).exists()

    @property
    def state(self) -> Path:
        """Where this machine keeps what is not for git: the run lock, the default ledger."""
        return self.root / "state"


def load(root: Path | None, ledger: str | None = None) -> Settings:
    """The settings of the project at `root`, or of the nearest parent that is one.

    Raises WrongUse when there is no project, BrokenEnvironment when its `.env` cannot be read or a variable
    has a value it cannot have.
    """
    place = find_root(root)
    try:
        environment = _Environment(_env_file=place / ".env")
    except UnicodeDecodeError as error:
        raise BrokenEnvironment(f"{place / '.env'} is not UTF-8", hint="Save it as UTF-8.") from error
    except ValidationError as error:
        raise BrokenEnvironment(
            "PIPELINE_PING_DELAY is not a number of seconds from 0 to 86400",
            hint="Correct it in the environment or in .env, or take it out.",
        ) from error
    delay = timedelta(seconds=environment.ping_delay)
    return Settings(place, _absolute(ledger or environment.ledger, place), delay)


def find_root(start: Path | None) -> Path:
    """`start` itself if given, else the nearest folder upwards with `content/` and `schedules/`.

    A given folder may lack one of the two: what needs it says so. Raises WrongUse when there is no project.
    """
    if start is not None:
        if not any((start / name).is_dir() for name in ("content", "schedules")):
            what = (
                "is no project: it has no content/ and no schedules/" if start.is_dir() else "is not a folder"
            )
            raise WrongUse(f"{start} {what}", hint="Give --root the folder that holds content/.")
        return start.resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "content").is_dir() and (folder / "schedules").is_dir():
            return folder
    raise WrongUse(
        f"no project here: neither {here} nor a folder above it has content/ and schedules/",
        hint="Run `pipeline init` to make one, or give --root DIR.",
    )


def _absolute(url: str, root: Path) -> str:
    """A relative SQLite path is read from the root, wherever the command is run."""
    if not url.startswith(_SQLITE_FILE):
        return url
    return _SQLITE_FILE + str(root / url.removeprefix(_SQLITE_FILE))
