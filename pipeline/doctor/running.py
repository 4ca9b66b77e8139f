"""What runs and what waits: the ledger, the daemon, deliveries that are late or need a person."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from pipeline.belonging import Whereabouts
from pipeline.doctor.findings import Finding, Grade, broken, fine
from pipeline.errors import LedgerError, LedgerGone, PipelineError
from pipeline.model import State
from pipeline.report import iso
from pipeline.settings import Settings
from pipeline.tick import Pipeline

OVERDUE = timedelta(minutes=10)  # cron may come every few minutes

LEDGER = "ledger"

OpenPipeline = Callable[[], AbstractContextManager[Pipeline]]


def look(settings: Settings, open_pipeline: OpenPipeline, now: datetime) -> list[Finding]:
    """The ledger and what stands in it. A ledger that is not there yet is not made."""
    holder = _holder(settings)
    daemon = fine("daemon", holder or "none runs here; without one, cron or CI must call `pipeline tick`")
    if not settings.ledger_exists:
        return [_not_made(settings), daemon]
    try:
        with open_pipeline() as pipeline:
            return [*_ledger(pipeline, now, running=holder is not None), daemon]
    except LedgerError as error:
        return [broken(LEDGER, error), daemon]
    except PipelineError as error:
        return [broken("files", error), daemon]


def _ledger(pipeline: Pipeline, now: datetime, *, running: bool) -> list[Finding]:
    waiting = pipeline.waiting()  # which reads the files, and refuses the ledger of another project
    pipeline.ledger.check()
    campaigns = len(pipeline.ledger.campaigns())
    found = [fine(LEDGER, f"sound, and this project's; campaigns seen: {campaigns}")]
    if waiting:
        names = ", ".join(str(one.delivery.key) for one in waiting[:5])
        more = f" and {len(waiting) - 5} more" if len(waiting) > 5 else ""
        found.append(
            Finding(
                "deliveries", Grade.WAITS, f"waiting for a person: {names}{more}", "See `pipeline status`."
            )
        )
    for (campaign, channel), reason in sorted(pipeline.ledger.paused().items()):
        hint = f"Run `pipeline connect {channel} --campaign {campaign}`, then `pipeline retry` what was held."
        found.append(Finding("deliveries", Grade.WAITS, f"{campaign}/{channel} is paused: {reason}", hint))
    late = [
        one
        for one in pipeline.ledger.deliveries(states={State.PLANNED})
        if max(one.due, one.not_before or one.due) + OVERDUE < now
    ]
    if late:
        first = min(late, key=lambda one: (one.due, one.key))
        message = f"due and not sent: {len(late)}, the first is {first.key} of {iso(first.due)}"
        if running:
            hint = "The daemon should have: look into its log."
        else:
            hint = "Start `pipeline run`, or let cron call `pipeline tick`."
        found.append(Finding("deliveries", Grade.WAITS, message, hint))
    return found


def _not_made(settings: Settings) -> Finding:
    try:
        Whereabouts(settings.state, settings.ledger).refuse_lost(None)
    except LedgerGone as error:
        return broken(LEDGER, error)
    return fine(LEDGER, "there is none yet: the first `pipeline tick` or `run` makes it")


def _holder(settings: Settings) -> str | None:
    """Who holds the run lock, in words; None when nobody does. The lock itself is left alone."""
    try:
        with (settings.state / "run.lock").open(encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _named(handle.read())
    except (OSError, ValueError):
        return None
    return None


def _named(text: str) -> str:
    try:
        told = json.loads(text)
        return f"process {told['pid']} on {told['host']} runs since {told['since']}"
    except (ValueError, KeyError, TypeError):
        return "one runs; who it is could not be read"
