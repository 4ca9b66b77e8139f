"""`pipeline serve` and `pipeline run --serve` as real processes."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from pipeline.clock import SystemClock
from tests.support import processes
from tests.support.processes import Process, wait_until
from tests.support.projects import Project

CLOCK = SystemClock()
SECOND = timedelta(seconds=1)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    one = Project(tmp_path, CLOCK.now() - SECOND)
    one.entry("a")
    one.campaign("a", public_url="https://example.org/feeds/", hub="https://hub.example.org/")
    return one


@contextmanager
def serve(project: Project, where: str = "127.0.0.1:0") -> Iterator[tuple[Process, str]]:
    command = ("-m", "pipeline", "serve", where, "--root", project.root)
    with processes.started(*command, log=project.root / "serve.log") as process:
        yield process, address(process)


def address(process: Process) -> str:
    """The address it says, once it answers there."""
    process.until(lambda: " at http://" in process.said(), "the server to start")
    found = re.search(r" at (http://\S+/);", process.said())
    assert found is not None, process.said()
    url = found[1]
    process.until(lambda: requests.get(f"{url}healthz", timeout=20), "the server to answer")
    return url


def test_what_has_been_written_is_served_without_a_daemon(project: Project):
    assert processes.pipeline(project.root, "tick").returncode == 0
    with serve(project) as (process, url):
        feed = requests.get(f"{url}lille/feed.xml", timeout=20)
        assert feed.content == (project.public / "lille" / "feed.xml").read_bytes()
        assert feed.headers["content-type"] == "application/rss+xml; charset=utf-8"
        assert feed.links["self"]["url"] == "https://example.org/feeds/lille/feed.xml"
        assert feed.links["hub"]["url"] == "https://hub.example.org/"
        known = lambda: requests.get(f"{url}healthz", timeout=20).json()["ledger"] == "ok"  # noqa: E731
        wait_until(known, "the first look at the ledger")
        process.send(signal.SIGTERM)
        assert process.wait() == 0, process.said()
        assert "Traceback" not in process.said()


def test_it_says_where_the_pages_are(project: Project):
    project.campaign("a", campaign_id="roubaix")
    assert processes.pipeline(project.root, "tick").returncode == 0
    with serve(project) as (process, url):
        process.until(lambda: "roubaix" in process.said(), "the pages to be named")
        told = re.findall(r"^  (http://\S+)$", process.said(), re.MULTILINE)
        assert told == [f"{url}lille/", f"{url}roubaix/"]
        for page in told:
            assert requests.get(page, timeout=20).headers["content-type"] == "text/html; charset=utf-8"


def test_it_writes_nothing_and_makes_no_ledger(project: Project):
    before = sorted(project.root.rglob("*"))
    with serve(project) as (process, url):
        assert requests.get(f"{url}healthz", timeout=20).json()["status"] == "ok"
        process.send(signal.SIGINT)
        assert process.wait() == 0, process.said()
    assert sorted(one for one in project.root.rglob("*") if one.name != "serve.log") == before


def test_ipv6(project: Project):
    with serve(project, "[::1]:0") as (_, url):
        assert url.startswith("http://[::1]:")


@pytest.mark.parametrize("where", ["8080", "localhost", "::1:80", "localhost:99999"])
@pytest.mark.parametrize("command", [("serve",), ("run", "--serve")], ids=" ".join)
def test_a_bad_address_is_wrong_use(project: Project, command: tuple[str, ...], where: str):
    ended = processes.pipeline(project.root, *command, where)
    assert ended.returncode == 2
    assert f"error: {where!r} is not HOST:PORT" in ended.stderr
    assert "[::1]:8080" in ended.stderr


@pytest.mark.parametrize("command", [("serve",), ("run", "--serve")], ids=" ".join)
def test_a_port_in_use_is_told_and_nothing_is_sent(project: Project, command: tuple[str, ...]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = processes.pipeline(project.root, *command, f"127.0.0.1:{port}")
    assert ended.returncode == 4
    assert f"error: cannot listen on 127.0.0.1:{port}: Address already in use" in ended.stderr
    assert "choose another port" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert project.posts() == []


def test_the_daemon_serves_what_it_releases(tmp_path: Path):
    project = Project(tmp_path, CLOCK.now() + 5 * SECOND)
    project.entry("a")
    project.campaign("a")
    project.adopt()
    with processes.daemon(tmp_path, "--serve", "127.0.0.1:0") as daemon:
        url = address(daemon)
        feed = f"{url}lille/feed.json"
        daemon.until(lambda: requests.get(feed, timeout=20).ok, "the empty feed")
        first = requests.get(feed, timeout=20)
        assert first.json()["items"] == []
        assert (
            requests.get(feed, headers={"If-None-Match": first.headers["etag"]}, timeout=20).status_code
            == 304
        )

        def released() -> bool:
            headers = {"If-None-Match": first.headers["etag"]}
            return requests.get(feed, headers=headers, timeout=20).status_code == 200

        daemon.until(released, "the release")
        assert [item["title"] for item in requests.get(feed, timeout=20).json()["items"]] == ["Projet a"]
        told = requests.get(f"{url}healthz", timeout=20).json()
        assert (told["status"], told["daemon"]) == ("ok", True)
        assert told["last_tick_age"] < 60
        assert "pipeline_last_tick_timestamp_seconds" in requests.get(f"{url}metrics", timeout=20).text
        daemon.send(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.said()
        assert "Traceback" not in daemon.said()
    with pytest.raises(OSError):  # noqa: PT011 - refused, in the words of the system
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), timeout=5)


def test_the_daemon_says_where_the_pages_are_once_they_are_there(project: Project):
    project.campaign("a", campaign_id="roubaix")
    with processes.daemon(project.root, "--serve", "127.0.0.1:0") as daemon:
        url = address(daemon)
        daemon.until(lambda: "roubaix/" in daemon.said(), "the pages to be named")
        told = re.findall(r"^  (http://\S+)$", daemon.said(), re.MULTILINE)
        assert told == [f"{url}lille/", f"{url}roubaix/"]
        for page in told:
            assert requests.get(page, timeout=20).headers["content-type"] == "text/html; charset=utf-8"


def test_a_reader_who_holds_on_does_not_keep_the_daemon(project: Project):
    with processes.daemon(project.root, "--serve", "127.0.0.1:0") as daemon:
        port = urlsplit(address(daemon)).port
        with socket.create_connection(("127.0.0.1", port or 0), timeout=20) as idle:
            idle.sendall(b"GET /lille/feed.xml HTTP/1.1\r\n")
            daemon.send(signal.SIGTERM)
            assert daemon.wait() == 0, daemon.said()
            assert "Traceback" not in daemon.said()


def test_until_done_ends_the_server_as_well(project: Project):
    ended = processes.pipeline(project.root, "run", "--serve", "127.0.0.1:0", "--until-done")
    assert ended.returncode == 0, ended.stderr
    assert ", serving at http://127.0.0.1:" in ended.stderr


def test_a_rehearsal_is_shown_until_it_is_stopped(project: Project):
    command = ("-m", "pipeline", "rehearse", "--serve", "--quiet", "--root", project.root)
    with processes.started(*command, log=project.root / "rehearse.log") as process:
        process.until(lambda: "stop with Ctrl-C" in process.said(), "the play to end and the server to start")
        found = re.search(r"serving (http://127\.0\.0\.1:\S+/)(storyboard\.html);", process.said())
        assert found is not None, process.said()
        page = requests.get(found[1] + found[2], timeout=20)
        assert page.content == (project.root / "rehearsal" / found[2]).read_bytes()
        assert requests.get(f"{found[1]}lille/feed.xml", timeout=20).status_code == 200
        assert requests.get(f"{found[1]}.pipeline-rehearsal", timeout=20).status_code == 404
        process.send(signal.SIGTERM)
        assert process.wait() == 0, process.said()
