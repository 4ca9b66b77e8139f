"""Channels' credentials: from the environment, from `.env`, or from files that these name.

What must stay true: no credential stands in a `repr`, a message or a log; one that is set but cannot be
read is an error, never a missing one. Everything is looked up when it is needed, so that a rotated secret
counts from the next post on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import BrokenEnvironment


def variable(channel_id: str, name: str) -> str:
    """The variable that holds a channel's credential, such as `PIPELINE_PRESSE_SECRET`."""
    return "PIPELINE_" + re.sub(r"[^A-Z0-9]", "_", f"{channel_id}_{name}".upper())


class Credentials:
    """The credentials of the project at `root`. The environment wins over `.env`; empty means not set."""

    def __init__(self, root: Path, environment: Mapping[str, str] | None = None) -> None:
        self._root = root
        self._environment = environment if environment is not None else os.environ

    def __repr__(self) -> str:
        return f"Credentials({str(self._root)!r})"

    def get(self, channel_id: str, name: str) -> str | None:
        """The value of `PIPELINE_<CHANNEL ID>_<NAME>`, or the content of the file `…_FILE` names.

        None when neither is set. Raises BrokenEnvironment for a file that cannot be read.
        """
        found = self._found(variable(channel_id, name))
        return found and found[0]

    def origin(self, channel_id: str, name: str) -> str | None:
        """Where the value comes from, in words: `.env`, a variable of the environment, or a file.

        None when it is not set. Raises BrokenEnvironment for a file that cannot be read.
        """
        found = self._found(variable(channel_id, name))
        return found and found[1]

    def _found(self, wanted: str) -> tuple[str, str] | None:
        for source, place in ((self._environment, "the environment"), (self._dotenv(), ".env")):
            if value := source.get(wanted):
                return value, place if place == ".env" else f"{wanted} in {place}"
            named_by = f"{wanted}_FILE"
            if path := source.get(named_by):
                value = self._content(named_by, self._root / path)
                return (value, f"the file {path} ({named_by} in {place})") if value else None
        return None

    def _content(self, named_by: str, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except ValueError:
            reason = "it is not UTF-8"
        raise BrokenEnvironment(f"{named_by} names {path}, which cannot be read: {reason}")

    def _dotenv(self) -> Mapping[str, str | None]:
        from dotenv import dotenv_values  # noqa: PLC0415  # only what sends needs it

        path = self._root / ".env"
        try:
            # Taken as it stands: a secret may hold `${`.
            return dotenv_values(path, interpolate=False, encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BrokenEnvironment(f"{path} is not UTF-8", hint="Save it as UTF-8.") from error
        except OSError as error:
            raise BrokenEnvironment(f"{path} cannot be read: {error.strerror}") from error
