"""`/healthz` and `/metrics`: what is known of the ledger and the daemon, from snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.clock import SystemClock, VirtualClock
from pipeline.errors import LedgerError
from pipeline.ledger import Ledger, open_ledger
from pipeline.serve import Address, Watch, serving
from pipeline.serve.watch import SILENT
from tests.serve.site import RSS, Site
from tests.support.processes import wait_until
from tests.support.projects import Project

CLOCK = SystemClock()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two entries, of which the first has been published."""
    one = Project(tmp_path)
    one.entry("a")
    one.entry("b")
    one.campaign("a", "b")
    clock = VirtualClock(one.due - timedelta(minutes=1))
    with one.open(clock) as pipeline:
        pipeline.tick()
        clock.sleep_until(one.due)
        pipeline.tick()
    return one


@contextmanager
def watched(watch: Watch, project: Project) -> Iterator[Site]:
    with serving(project.public, Address("127.0.0.1", 0), watch) as server:
        site = Site(project.public, server)
        known = lambda: watch.snapshot.looked or watch.snapshot.trouble  # noqa: E731
        wait_until(known, "the first look at the ledger")
        yield site


def opener(project: Project) -> Ledger:
    return open_ledger(project.ledger, now=CLOCK.now())


def health(site: Site) -> tuple[int, dict[str, Any]]:
    reply = site.get("/healthz")
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    return reply.status, json.loads(reply.body)


def metrics(site: Site) -> dict[tuple[str, ...], float]:
    reply = site.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(reply.body.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_the_ledger_is_told_in_numbers(project: Project):
    with watched(Watch(CLOCK, lambda: opener(project), daemon=False), project) as site:
        status, told = health(site)
        assert (status, told["status"], told["ledger"]) == (200, "ok", "ok")
        assert (told["deliveries"]["published"], told["deliveries"]["planned"]) == (1, 1)
        assert (told["releases"], told["waiting"], told["last_tick"]) == (1, 0, None)
        known = metrics(site)
        assert known["pipeline_deliveries", "published"] == 1
        assert known["pipeline_deliveries", "unknown"] == 0
        assert known["pipeline_releases",] == 1
        assert known["pipeline_ledger_reachable",] == 1
        assert ("pipeline_last_tick_timestamp_seconds",) not in known


def test_nothing_that_is_not_out_yet_is_named(project: Project):
    with watched(Watch(CLOCK, lambda: opener(project), daemon=False), project) as site:
        said = site.get("/healthz").body + site.get("/metrics").body
        assert b"lille" not in said
        assert b"Projet" not in said


def test_requests_are_counted_by_status(project: Project):
    with watched(Watch(CLOCK, lambda: None, daemon=False), project) as site:
        site.write("x.xml", RSS)
        etag = site.get("/x.xml").headers["etag"]
        site.get("/x.xml", If_None_Match=etag)
        site.get("/x.xml", "HEAD")
        site.get("/missing")
        site.get("/x.xml", "BREW", Content_Length="0")
        known = metrics(site)
        name = "pipeline_http_requests_total"
        assert [known[name, *labels] for labels in (("GET", "200"), ("GET", "304"), ("HEAD", "200"))] == [
            1,
            1,
            1,
        ]
        assert (known[name, "GET", "404"], known[name, "other", "405"]) == (1, 1)


def test_without_a_ledger_feeds_are_served_all_the_same(project: Project):
    with watched(Watch(CLOCK, lambda: None, daemon=False), project) as site:
        status, told = health(site)
        assert (status, told["ledger"], told["deliveries"]) == (200, "none", {})


def test_a_ledger_that_cannot_be_read_is_told_until_it_can(project: Project):
    path = project.root / "state" / "ledger.db"
    whole = path.read_bytes()
    path.write_bytes(b"no database" * 1000)
    watch = Watch(CLOCK, lambda: opener(project), daemon=False)
    with watched(watch, project) as site:
        status, told = health(site)
        assert (status, told["status"], told["ledger"]) == (503, "failing", "unreachable")
        assert metrics(site)["pipeline_ledger_reachable",] == 0
        assert site.get("/lille/feed.xml").status == 200
        path.write_bytes(whole)
        watch.look()
        assert health(site)[0] == 200


def test_whatever_goes_wrong_with_a_look_the_next_one_comes(project: Project):
    def broken() -> Ledger:
        raise ZeroDivisionError("a fault of this program")

    watch = Watch(CLOCK, broken, daemon=False)
    with watched(watch, project) as site:
        assert health(site)[0] == 503
        assert watch._thread.is_alive()


def test_a_daemon_that_falls_silent_is_in_trouble(project: Project):
    clock = VirtualClock(CLOCK.now())
    with opener(project) as ledger:
        watch = Watch(clock, lambda: ledger, daemon=True)
        with watched(watch, project) as site:
            assert health(site)[0] == 200  # it has just begun
            watch.ticked(clock.now())
            clock.advance(timedelta(seconds=10))
            status, told = health(site)
            assert (status, told["daemon"], told["last_tick_age"]) == (200, True, 10)
            last = watch.snapshot.ticked
            assert last is not None
            assert metrics(site)["pipeline_last_tick_timestamp_seconds",] == pytest.approx(last.timestamp())
            clock.advance(SILENT)
            assert health(site)[0] == 503
            watch.ticked(clock.now())
            assert health(site)[0] == 200
        ledger.check()  # it is the daemon's: the watch has not closed it


def test_a_ledger_of_its_own_is_closed_in_the_end(project: Project):
    opened: list[Ledger] = []

    def once() -> Ledger:
        opened.append(opener(project))
        return opened[-1]

    watch = Watch(CLOCK, once, daemon=False)
    with watched(watch, project):
        watch.look()
    (ledger,) = opened
    with pytest.raises(LedgerError, match="closed"):
        ledger.counts()
