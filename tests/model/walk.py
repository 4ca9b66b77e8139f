"""The walk: breadth first through every situation, so that the first fault is a nearest one."""

from __future__ import annotations

from dataclasses import dataclass

from tests.model.model import at_rest, steps, violation
from tests.model.situation import IDLE, Situation, World


@dataclass(frozen=True)
class Walk:
    """What a walk found. `trace` is a shortest way to the violation, when there is one."""

    situations: int
    violation: str | None
    trace: tuple[str, ...]
    stuck: tuple[str, ...] = ()  # a shortest way to a situation from which no rest can be reached


def walk(world: World, wanted: str | None = None) -> Walk:
    """Breadth first through every situation, until `wanted` (or without it anything that must not be)."""
    situations = [Situation((IDLE,) * world.runners)]
    numbers = {situations[0]: 0}
    came = [(0, "")]  # from where each was first reached, and how
    before: list[list[int]] = [[]]
    for number, now in enumerate(situations):  # grows while it is walked
        found = violation(now)
        if found is not None and wanted in (None, found):
            return Walk(len(situations), found, _trace(situations, came, number))
        for name, then in steps(world, now):
            reached = numbers.setdefault(then, len(situations))
            if reached == len(situations):
                situations.append(then)
                came.append((number, name))
                before.append([])
            before[reached].append(number)
    alive = {number for number, now in enumerate(situations) if at_rest(world, now)}
    good = list(alive)
    while good:
        earlier = [number for number in before[good.pop()] if number not in alive]
        alive.update(earlier)
        good += earlier
    stuck = next((number for number in range(len(situations)) if number not in alive), None)
    return Walk(len(situations), None, (), () if stuck is None else _trace(situations, came, stuck))


def _trace(situations: list[Situation], came: list[tuple[int, str]], end: int) -> tuple[str, ...]:
    names = []
    while end:
        end, name = came[end]
        names.append(f"{situations[end].now:2} {name}")
    return tuple(reversed(names))
