"""From facts of a channel to what is said of them: findings for `doctor`, problems for `check --online`.

What must stay true: both say the same of the same facts. For a campaign with nothing left to post, nothing
is worse than a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.doctor.channels import SKEWED, Facts
from pipeline.doctor.findings import Finding, Grade, fine
from pipeline.problems import Problem, Severity
from pipeline.source import Marks

_SYNCHRONISE = "Set this machine's clock by NTP; networks refuse requests from too far off."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong: the code and severity it has for `check`, the grade for `doctor`."""

    code: str
    grade: Grade
    message: str
    hint: str = ""


def verdicts(facts: Facts, now: datetime) -> list[Verdict]:
    """What is wrong with a channel, the worst first."""
    found = [*_credentials(facts, now), *_answer(facts, now)]
    if not facts.ahead:
        found = [Verdict(v.code, Grade.WARNING, v.message, v.hint) for v in found if v.code != "E501"]
    return found


def findings(known: Iterable[Facts], now: datetime) -> Iterator[Finding]:
    """What `doctor` says of the channels."""
    for facts in known:
        area = f"channel {facts.name}"
        wrong = verdicts(facts, now)
        yield from (Finding(area, one.grade, one.message, one.hint) for one in wrong)
        if all(one.grade is Grade.WARNING for one in wrong):
            yield fine(area, summary(facts, now))


def problems(known: Iterable[Facts], marks: Mapping[str, Marks], now: datetime) -> list[Problem]:
    """What `check --online` finds, at the channel's place in its campaign's file. `marks` are by path."""
    found = []
    for facts in known:
        path = facts.campaign.path
        line, column = marks[path].at("channels", facts.config.id)
        for one in verdicts(facts, now) if facts.ahead else []:
            severity = Severity.WARNING if one.code.startswith("W") else Severity.ERROR
            message = f"the channel `{facts.config.id}` ({facts.config.network}): {one.message}"
            found.append(Problem(path, line, column, one.code, message, one.hint, severity))
    return found


def summary(facts: Facts, now: datetime) -> str:
    """Who we are there, since when and until when, and the server's limits."""
    if not facts.origins:
        return "needs no credentials"
    if facts.missing:
        return f"nothing is left to post; not set: {', '.join(facts.missing)}"
    if facts.answer is None or facts.answer.identity is None:
        return f"credentials are set ({_origins(facts)})" + ("" if facts.answer else "; not asked")
    identity = facts.answer.identity
    told = [identity.account]
    if facts.connection is not None:
        told.append(f"connected {_days(now - facts.connection.since)} ago")
    if identity.expires is not None:
        told.append(f"until {identity.expires:%Y-%m-%d %H:%M} UTC")
    skew = facts.answer.skew
    if skew is not None:
        told.append("its clock agrees with ours" if abs(skew) <= SKEWED else "")
    told += [f"{name}: {value}" for name, value in identity.limits.items()]
    return "; ".join(filter(None, told))


# --------------------------------------------------------------------------- what is wrong


def _credentials(facts: Facts, now: datetime) -> Iterator[Verdict]:
    if facts.unreadable is not None:
        yield Verdict("E501", Grade.BROKEN, facts.unreadable, "Correct the path, or its permissions.")
    elif facts.missing:
        verb = "is" if len(facts.missing) == 1 else "are"
        message = f"{', '.join(facts.missing)} {verb} not set"
        yield Verdict("E501", Grade.BROKEN, message, f"Run `pipeline connect {facts.config.id}`.")
    elif facts.fails is not None:
        assert facts.expires is not None
        over = "expired" if facts.expires <= now else "expire"
        day = facts.fails.due.astimezone(facts.campaign.event.zone).date()
        yield Verdict(
            "E504",
            Grade.WAITS if facts.expires > now else Grade.BROKEN,
            f"the credentials {over} on {facts.expires:%Y-%m-%d at %H:%M} UTC: from {day} on "
            f"(`{facts.fails.entry}`) nothing can be posted",
            f"Run `pipeline connect {facts.config.id}` before then.",
        )


def _answer(facts: Facts, now: datetime) -> Iterator[Verdict]:
    answer = facts.answer
    if answer is None:
        return
    if answer.refused:
        yield Verdict(
            "E502",
            Grade.BROKEN,
            str(answer.error),
            f"Run `pipeline connect {facts.config.id}`. If they should be valid: this machine's clock says "
            f"{now:%Y-%m-%d %H:%M} UTC.",
        )
    elif answer.error is not None:
        yield Verdict("E503", Grade.BROKEN, f"could not be asked: {answer.error}", "Try again later.")
    skew = answer.skew
    if skew is not None and abs(skew) > SKEWED:
        side = "ahead of" if skew > timedelta(0) else "behind"
        message = f"its clock is at least {round(abs(skew).total_seconds())} s {side} this machine's"
        yield Verdict("W501", Grade.WARNING, message, _SYNCHRONISE)
    if answer.identity is not None:
        for warning in answer.identity.warnings:
            yield Verdict("W502", Grade.WARNING, warning)


def _origins(facts: Facts) -> str:
    return ", ".join(f"{name} from {origin}" for name, origin in facts.origins.items())


def _days(span: timedelta) -> str:
    return "1 day" if span.days == 1 else f"{max(span.days, 0)} days"
