"""A snapshot as `/healthz` and `/metrics` tell it: how many, never which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as CollectorBase

from pipeline.model import State
from pipeline.report import iso
from pipeline.serve.watch import Snapshot, Watch

UNSETTLED = (State.HELD, State.UNKNOWN)  # what a person, or evidence, must settle


def health(known: Snapshot, now: datetime) -> tuple[bool, dict[str, object]]:
    """Whether all is well, and the document that says so."""
    counts = known.counts
    healthy = known.healthy(now)
    return healthy, {
        "status": "ok" if healthy else "failing",
        "ledger": _ledger(known),
        "looked_at": iso(known.looked),
        "daemon": known.daemon,
        "last_tick": iso(known.ticked),
        "last_tick_age": None if known.ticked is None else round((now - known.ticked).total_seconds(), 3),
        "waiting": sum(counts.deliveries.get(state, 0) for state in UNSETTLED) if counts else None,
        "deliveries": {state.value: counts.deliveries.get(state, 0) for state in State} if counts else {},
        "releases": counts.releases if counts else None,
    }


def _ledger(known: Snapshot) -> str:
    if known.trouble is not None:
        return "unreachable"
    if known.looked is None:
        return "not looked at yet"
    return "none" if known.counts is None else "ok"


class Collector(CollectorBase):
    """The snapshot and the requests as Prometheus metrics. What is not known is left out."""

    def __init__(self, watch: Watch, requests: Mapping[tuple[str, int], int]) -> None:
        """`requests` counts by method and status; it is read on the thread that writes it."""
        self._watch = watch
        self._requests = requests

    def describe(self) -> Iterator[Metric]:
        """Nothing: what there is depends on what is known."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The metrics as of now."""
        known = self._watch.snapshot
        requests = CounterMetricFamily(
            "pipeline_http_requests", "Requests answered.", labels=("method", "status")
        )
        for (method, status), number in sorted(self._requests.items()):
            requests.add_metric((method, str(status)), number)
        yield requests
        yield _gauge(
            "pipeline_ledger_reachable", "1 while the ledger can be read.", int(known.trouble is None)
        )
        if known.counts is not None:
            deliveries = GaugeMetricFamily("pipeline_deliveries", "Deliveries by state.", labels=("state",))
            for state in State:
                deliveries.add_metric((state.value,), known.counts.deliveries.get(state, 0))
            yield deliveries
            yield _gauge("pipeline_releases", "Entries released into the feeds.", known.counts.releases)
        if known.ticked is not None:
            last = known.ticked.timestamp()
            yield _gauge("pipeline_last_tick_timestamp_seconds", "When the last finished tick began.", last)


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=value)
