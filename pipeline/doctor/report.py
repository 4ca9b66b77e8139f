"""The outcome of an examination, and the form it has for scripts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pipeline.doctor import machine, running
from pipeline.doctor.channels import Facts
from pipeline.doctor.findings import Finding, Grade, exit_status
from pipeline.problems import Problem, Severity
from pipeline.report import iso
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Report:
    """What was found at `now` (UTC), and what is known of the channels."""

    now: datetime
    findings: tuple[Finding, ...]
    channels: tuple[Facts, ...] = ()

    @property
    def exit_status(self) -> int:
        """That of the worst finding."""
        return exit_status(self.findings)

    def document(self) -> dict[str, Any]:
        """The `doctor --json` document."""
        return {
            "now": iso(self.now),
            "status": self.exit_status,
            "findings": [asdict(finding) for finding in self.findings],
            "channels": [channel_row(facts) for facts in self.channels],
        }


def look_around(settings: Settings, open_pipeline: running.OpenPipeline, now: datetime) -> list[Finding]:
    """What can be found without the files and the networks: the machine, the ledger, the daemon."""
    return [*machine.look(settings, now), *running.look(settings, open_pipeline, now)]


def ledger_is_sound(found: Iterable[Finding]) -> bool:
    """Whether nothing was found that keeps the ledger from being used."""
    return not any(one.area == running.LEDGER and one.grade is Grade.BROKEN for one in found)


def content_finding(found: Iterable[Problem]) -> Finding:
    """How many problems content and schedules have."""
    severities = [problem.severity for problem in found]
    errors = sum(severity is Severity.ERROR for severity in severities)
    told = f"problems in content and schedules: {errors} errors, {len(severities) - errors} warnings"
    if errors:
        return Finding("files", Grade.PROBLEM, told, "See `pipeline check`.")
    return Finding("files", Grade.WARNING if severities else Grade.FINE, told)


def channel_row(facts: Facts) -> dict[str, Any]:
    """One channel of `doctor --json`: names of credentials and where they come from, never a value."""
    answer = facts.answer
    identity = answer.identity if answer else None
    skew = answer.skew if answer else None
    return {
        "campaign": facts.campaign.id,
        "channel": facts.config.id,
        "network": facts.config.network,
        "credentials": dict(facts.origins),
        "posts_ahead": len(facts.ahead),
        "last_post": iso(facts.ahead[-1].due) if facts.ahead else None,
        "asked": answer is not None,
        "account": identity.account if identity else None,
        "connected": iso(facts.connection.since) if facts.connection else None,
        "expires": iso(identity.expires) if identity else None,
        "clock_skew_seconds": None if skew is None else skew.total_seconds(),
        "limits": dict(identity.limits) if identity else {},
        "warnings": list(identity.warnings) if identity else [],
        "error": str(answer.error) if answer and answer.error else facts.unreadable,
    }
