"""The whole campaign on a simulated clock: the real code over an in-memory ledger.

Nothing of a rehearsal reaches a network or the project's own ledger. Which channels it opens is given from
outside, so that networks can be replaced by stand-ins without a line of difference in what is rehearsed.
"""

from __future__ import annotations

from pipeline.rehearsal.folder import prepare
from pipeline.rehearsal.run import Rehearsal, first_instant, rehearse

__all__ = ["Rehearsal", "first_instant", "prepare", "rehearse"]
