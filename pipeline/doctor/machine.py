"""The machine: Python, time zone data, the clock, disk and folders, who may read the secrets.

What must stay true: looking changes nothing; the probe of a folder is a file without content that is gone
again at once.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pipeline
from pipeline import atomic, dotenv
from pipeline.doctor.findings import Finding, Grade, fine
from pipeline.settings import Settings

MEBIBYTE = 1 << 20
SCARCE = 500 * MEBIBYTE
FULL = 50 * MEBIBYTE
BEHIND = timedelta(minutes=2)  # file systems of other machines have clocks of their own
_OLDEST = (3, 11)


def look(settings: Settings, now: datetime) -> list[Finding]:
    """Everything that is the machine's own."""
    return [
        _python(),
        _zones(),
        _clock(settings, now),
        *_disks(settings),
        *_secrets(settings.root),
    ]


def _python() -> Finding:
    told = f"Python {platform.python_version()}, pipeline {pipeline.__version__}"
    if sys.version_info < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        return Finding("python", Grade.BROKEN, told, f"Use Python {wanted} or later.")
    return fine("python", told)


def _zones() -> Finding:
    """Paris has had winter and summer time in 2016: whoever does not know it would post at wrong hours."""
    try:
        zone = zoneinfo.ZoneInfo("Europe/Paris")
    except zoneinfo.ZoneInfoNotFoundError:
        return Finding(
            "time zones",
            Grade.BROKEN,
            "there is no time zone data",
            "Install the package tzdata of the system or of Python.",
        )
    hours = [datetime(2016, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)]
    if hours != [timedelta(hours=1), timedelta(hours=2)]:
        return Finding(
            "time zones", Grade.BROKEN, "the time zone data is wrong for Paris", "Install tzdata anew."
        )
    return fine("time zones", f"time zone data {_zone_version()}")


def _zone_version() -> str:
    for folder in zoneinfo.TZPATH:
        path = Path(folder)
        if (path / "Europe/Paris").is_file():
            try:
                with (path / "tzdata.zi").open(encoding="utf-8") as lines:
                    first = lines.readline()
            except OSError:
                return f"of the system, in {path}"
            return f"{first.removeprefix('# version').strip()} of the system, in {path}"
    try:
        return f"{version('tzdata')} of the Python package tzdata"
    except PackageNotFoundError:
        return "of an unknown version"


def _clock(settings: Settings, now: datetime) -> Finding:
    """A clock that is behind files written earlier was set back, or never set."""
    newest, path = max(_stamps(settings), default=(now, settings.root))
    if newest > now + BEHIND:
        return Finding(
            "clock",
            Grade.BROKEN,
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, but {path} was written at {newest:%Y-%m-%d %H:%M} UTC",
            "Set the clock, best by NTP: everything would be posted at the wrong time.",
        )
    return fine("clock", f"it is {now:%Y-%m-%d %H:%M:%S} UTC")


def _stamps(settings: Settings) -> Iterator[tuple[datetime, Path]]:
    yield _written(Path(pipeline.__file__)), Path(pipeline.__file__)
    for folder in (settings.root / "content", settings.root / "schedules", settings.state):
        if folder.is_dir():
            yield from ((_written(path), path) for path in folder.iterdir() if path.is_file())


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


# --------------------------------------------------------------------------- folders


def _disks(settings: Settings) -> Iterator[Finding]:
    for folder in (settings.state, settings.public):
        name = f"{folder.name}/"
        place = next(one for one in (folder, *folder.parents) if one.exists())
        if fault := _probe(place):
            hint = f"Make {place} a folder that the pipeline's user may write."
            yield Finding(name, Grade.BROKEN, f"{place} cannot be written: {fault}", hint)
            continue
        yield space(name, shutil.disk_usage(place).free)


def space(name: str, free: int) -> Finding:
    """What so many free bytes mean for a folder."""
    told = f"{_size(free)} free"
    if free < FULL:
        return Finding(name, Grade.BROKEN, told, "Free some space: the ledger cannot be kept without.")
    if free < SCARCE:
        return Finding(name, Grade.WARNING, told, "Free some space before it is full.")
    return fine(name, f"can be written, {told}")


def _probe(folder: Path) -> str | None:
    """Why the folder cannot be written, None when it can."""
    try:
        descriptor, path = tempfile.mkstemp(prefix=atomic.TEMPORARY_PREFIX, dir=folder)
    except OSError as error:
        return error.strerror or type(error).__name__
    os.close(descriptor)
    Path(path).unlink(missing_ok=True)
    return None


def _size(size: int) -> str:
    if size < 1024 * MEBIBYTE:
        return f"{size // MEBIBYTE} MiB"
    return f"{size / (1024 * MEBIBYTE):.1f} GiB"


def _secrets(root: Path) -> Iterator[Finding]:
    problems = [one for one in (dotenv.mode_problem(root), dotenv.git_problem(root)) if one]
    if (root / dotenv.NAME).exists():
        yield from (Finding(dotenv.NAME, Grade.WARNING, problem) for problem in problems)
        if not problems:
            yield fine(dotenv.NAME, "for its owner's eyes only")
