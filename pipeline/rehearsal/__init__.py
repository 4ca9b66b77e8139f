"""The whole campaign on a simulated clock: the real code over an in-memory ledger, HTTP and stand-ins.

Nothing of a rehearsal reaches a network or the project's own ledger. `profiles` says what can go wrong,
`weather` lets it happen, `networks` opens the real channels over stand-ins, `person` answers what waits,
`run` plays it all, `timeline` tells what happened.
"""

from __future__ import annotations

from pipeline.rehearsal.folder import prepare
from pipeline.rehearsal.moving import MovedReader
from pipeline.rehearsal.networks import Networks
from pipeline.rehearsal.profiles import PROFILES, load
from pipeline.rehearsal.run import Rehearsal, Run, Tally, set_scene
from pipeline.rehearsal.timeline import Happening, Kind
from pipeline.rehearsal.weather import Weather

__all__ = [
    "PROFILES",
    "Happening",
    "Kind",
    "MovedReader",
    "Networks",
    "Rehearsal",
    "Run",
    "Tally",
    "Weather",
    "load",
    "prepare",
    "set_scene",
]
