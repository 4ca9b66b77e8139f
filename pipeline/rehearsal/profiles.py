"""What goes wrong in a rehearsal: the profiles there are, and those a project writes itself.

A profile says in its own words what happens, on which days, between which hours, to which channels, and to
what share of the requests. Chance comes from the seed alone, so the same profile and seed play the same.

    troubles:
      - what: [busy, answer lost]     # words of WHAT; of several, chance picks one
        share: 0.4                    # of the requests; 1 when left out
        channels: [x, mastodon]       # all when left out
        days: [3, 2016-04-18]         # posting days, counted from 1, or dates; all when left out
        between: ["08:00", "13:00"]   # local time; the whole day when left out
    crashes: 0.05                     # the process is killed at that share of the points where it may be
    clock_change: true                # the calendar is moved so that the clocks change in its middle
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipeline.errors import WrongUse
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.faults import Fault

REFUSED = "refused"
LOGIN_EXPIRED = "login expired"
_ASKED = timedelta(minutes=2)  # what a busy network asks for

# What can happen to a request. `refused` has no fault: nobody listens. `login expired` ends when a person has
# answered for the channel.
WHAT: Mapping[str, Fault | None] = {
    REFUSED: None,
    "no answer": faults.drop(accepted=False),
    "answer lost": faults.drop(accepted=True),
    "reset": faults.reset(accepted=True),
    "cut short": faults.truncated(),
    "garbage": faults.garbage(),
    "busy": faults.status(429, {"Retry-After": str(int(_ASKED.total_seconds()))}, accepted=False),
    "overloaded": faults.status(503, {"Retry-After": str(int(_ASKED.total_seconds()))}, accepted=False),
    "broken": faults.status(502, accepted=False),
    "broken, but taken": faults.status(502, accepted=True),
    LOGIN_EXPIRED: faults.status(401, accepted=False),
}


def _what(value: object) -> object:
    if value in WHAT:
        return value
    near = get_close_matches(str(value), WHAT, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(WHAT)}"
    raise ValueError(f"`{value}` is not known; {hint}")


class Trouble(BaseModel):
    """One kind of thing that goes wrong, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: Annotated[tuple[Annotated[str, BeforeValidator(_what)], ...], Field(min_length=1)]
    share: Annotated[float, Field(gt=0, le=1)] = 1
    channels: frozenset[str] | None = None
    days: frozenset[Annotated[int, Field(ge=1)] | date] | None = None
    between: tuple[time, time] | None = None

    def strikes(self, channel: str, number: int, day: date, wall: time) -> bool:
        """Whether it may happen to the channel then; `number` counts posting days from 1."""
        return (
            (self.channels is None or channel in self.channels)
            and (self.days is None or number in self.days or day in self.days)
            and (self.between is None or self.between[0] <= wall < self.between[1])
        )


class Profile(BaseModel):
    """A whole weather: troubles, killed processes, a change of the clocks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    troubles: tuple[Trouble, ...] = ()
    crashes: Annotated[float, Field(ge=0, le=0.5)] = 0
    clock_change: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """A profile that comes with the pipeline, and what it plays."""

    summary: str
    profile: Profile


_MORNING = (time(8), time(13))

PROFILES: Mapping[str, Known] = {
    "calm": Known("nothing goes wrong", Profile()),
    "rush-hour": Known(
        "at the posting hour the networks are busy and send some requests away",
        Profile(troubles=(Trouble(what=("busy", "overloaded"), share=0.5),)),
    ),
    "bad-network": Known(
        "requests and answers are lost, cut and garbled",
        Profile(
            troubles=(
                Trouble(
                    what=(
                        "no answer",
                        "answer lost",
                        "reset",
                        "cut short",
                        "garbage",
                        "broken",
                        "broken, but taken",
                    ),
                    share=0.35,
                ),
            )
        ),
    ),
    "token-expires": Known(
        "on the third day every login is refused until a person has renewed it",
        Profile(troubles=(Trouble(what=(LOGIN_EXPIRED,), days=frozenset({3})),)),
    ),
    "outage-day": Known(
        "on the second day nobody listens from early morning to midnight",
        Profile(troubles=(Trouble(what=(REFUSED,), days=frozenset({2})),)),
    ),
    "crashes": Known(
        "the process is killed again and again, and answers are lost",
        Profile(troubles=(Trouble(what=("answer lost",), share=0.1),), crashes=0.15),
    ),
    "dst": Known(
        "the clocks change in the middle of the campaign, on a morning with busy networks",
        Profile(troubles=(Trouble(what=("busy",), share=0.2, between=_MORNING),), clock_change=True),
    ),
}


def load(name: str) -> Profile:
    """The profile of that name, or the one in the YAML file of that path.

    Raises WrongUse for a name that is not known, and for a file that is none or says what cannot be.
    """
    if name in PROFILES:
        return PROFILES[name].profile
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        near = get_close_matches(name, PROFILES, n=1)
        hint = f"Did you mean `{near[0]}`? " if near else ""
        raise WrongUse(
            f"there is no profile `{name}`",
            hint=f"{hint}Profiles: {', '.join(PROFILES)}, or a YAML file of your own.",
        )
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise WrongUse(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return Profile.model_validate({} if document is None else document)
    except ValidationError as error:
        told = "; ".join(_told(dict(one)) for one in error.errors())
        raise WrongUse(f"{path}: {told}", hint="docs/REHEARSAL.md shows what a profile may say.") from error


def _told(error: Mapping[str, Any]) -> str:
    """One fault of a file, as a person reads it."""
    where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
