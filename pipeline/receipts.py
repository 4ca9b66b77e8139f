"""An answer in hand is written down, however long the ledger takes.

Right after a network took a post, its receipt is the only evidence there is. What must stay true: a ledger
that is locked, or a disk that is full, for some minutes does not make that evidence be dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from pipeline.clock import Clock
from pipeline.delivery import Step
from pipeline.errors import LedgerError, LedgerGone, LostRace
from pipeline.ledger import Ledger
from pipeline.model import Delivery, Outcome, Published

log = logging.getLogger(__name__)

PAUSE = timedelta(seconds=2)  # between two tries
PATIENCE = timedelta(minutes=5)  # after the lease, for a receipt: it is evidence also without the lease
WHEN_STOPPING = timedelta(seconds=20)  # from a stop on: less than what service managers wait before they kill


def record_surely(
    ledger: Ledger,
    clock: Clock,
    claimed: Delivery,
    step: Step,
    outcome: Outcome,
    *,
    answered: datetime,
    stopping: Callable[[], bool],
) -> Delivery:
    """`Ledger.record` for the lease of `claimed`, tried again while the ledger cannot be written.

    A receipt is held on to until PATIENCE after the lease, anything else until the lease is over: after
    that it would change nothing. Once `stopping`, no longer than WHEN_STOPPING. `answered` (UTC) is when the
    answer came. Raises LostRace as `record` does, and LedgerError when all patience was in vain: then the log
    has the receipt.
    """
    if claimed.lease is None or claimed.lease_until is None:
        raise ValueError(f"{claimed.key} is under no lease")
    receipt = outcome.receipt if isinstance(outcome, Published) else None
    until = claimed.lease_until + (PATIENCE if receipt else timedelta(0))
    hurried = False
    while True:
        try:
            return ledger.record(claimed.key, claimed.lease, step, receipt, type(outcome).__name__, answered)
        except LostRace:
            raise
        except LedgerError as error:
            now = clock.now()
            if stopping() and not hurried:
                hurried, until = True, min(until, now + WHEN_STOPPING)
            if isinstance(error, LedgerGone) or ledger.closed or now >= until:
                _tell(claimed, outcome, error)
                raise
            log.warning("%s: the answer waits for the ledger: %s", claimed.key, error)
            clock.sleep_until(now + PAUSE)


def _tell(claimed: Delivery, outcome: Outcome, error: LedgerError) -> None:
    """The last place where a receipt can be kept."""
    if not isinstance(outcome, Published):
        log.error("%s: the answer (%s) could not be written down: %s", claimed.key, outcome, error)
        return
    receipt = outcome.receipt
    log.error(
        "%s was posted as %s (%s), and that could not be written down: %s. Once the ledger can be used, "
        "should it be unknown: pipeline resolve %s posted%s",
        claimed.key,
        receipt.remote_id,
        receipt.url or "no address",
        error,
        claimed.key,
        f" --url {receipt.url}" if receipt.url else "",
    )
