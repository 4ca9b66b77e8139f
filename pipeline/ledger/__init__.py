"""The durable store of what happened: campaigns, deliveries, attempts, receipts, releases, and every event.

Files are the truth about intent, the ledger is the truth about what happened. It is an SQLite file by
default, or a PostgreSQL database that several machines share.
"""

from __future__ import annotations

from pipeline.ledger.ledger import Ledger, open_ledger
from pipeline.ledger.records import SAID_POSTED, CampaignRecord, Counts, Doubt, HistoryRow, Ping, Touched

__all__ = [
    "SAID_POSTED",
    "CampaignRecord",
    "Counts",
    "Doubt",
    "HistoryRow",
    "Ledger",
    "Ping",
    "Touched",
    "open_ledger",
]
