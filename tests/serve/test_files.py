"""What may be served, and that a version is always whole."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.serve import files
from pipeline.serve.bounded import Bounded
from pipeline.serve.files import LARGE, Folder, Public, Unsteady, Version, segments

SECRET = b"not for anybody"


@pytest.fixture
def public(tmp_path: Path) -> Public:
    folder = tmp_path / "public"
    (folder / "lille" / "media").mkdir(parents=True)
    (folder / "lille" / "feed.xml").write_bytes(b"<rss/>")
    (folder / "lille" / "index.html").write_bytes(b"page")
    (folder / ".hidden").write_bytes(SECRET)
    (folder / "lille" / ".pipeline-writing-1").write_bytes(SECRET)
    (tmp_path / "secret.txt").write_bytes(SECRET)
    return Public(folder)


def test_a_file_is_found_with_its_bytes(public):
    found = public.find("/lille/feed.xml")
    assert isinstance(found, Version)
    assert found.body == b"<rss/>"
    assert found.digest == hashlib.sha256(b"<rss/>").hexdigest()


def test_a_folder_is_its_page(public):
    found = public.find("/lille/")
    assert isinstance(found, Version)
    assert found.body == b"page"
    assert public.find("/lille") == Folder()
    assert public.find("/lille/media") is None
    assert public.find("/lille/media/") is None
    assert public.find("/") is None


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/lille/../../secret.txt",
        "/lille/../feed.xml",
        "/./lille/feed.xml",
        "//lille/feed.xml",
        "//secret.txt",
        "/lille//feed.xml",
        "/lille/feed.xml/",
        "/lille/feed.xml/x",
        "/.hidden",
        "/lille/.pipeline-writing-1",
        "/lille/feed.xml\0.png",
        "/lille\\feed.xml",
        "lille/feed.xml",
        "",
        "/" + "a/" * 30,
        "/" + "a" * 300,
        "/%2e%2e/secret.txt",
        "/lille/\udcff",
    ],
)
def test_nothing_else_is(public, path):
    assert public.find(path) is None


@given(
    st.lists(
        st.sampled_from(["", ".", "..", "lille", "feed.xml", "secret.txt", ".hidden", "\0", "~"]), max_size=6
    )
)
def test_no_path_leads_out_of_the_folder_or_to_a_hidden_file(names):
    found = segments("/" + "/".join(names))
    assert found is None or not any(name.startswith(".") or name == "" or "/" in name for name in found)


@pytest.mark.parametrize("target", ["secret.txt", "public/lille/feed.xml"])
def test_a_link_is_not_followed(public, tmp_path, target):
    (tmp_path / "public" / "link.txt").symlink_to(tmp_path / target)
    (tmp_path / "public" / "folder").symlink_to(tmp_path)
    assert public.find("/link.txt") is None
    assert public.find("/folder/secret.txt") is None
    assert public.find("/folder/public/lille/feed.xml") is None


def test_the_folder_itself_may_be_a_link(public, tmp_path):
    (tmp_path / "elsewhere").symlink_to(tmp_path / "public")
    assert isinstance(Public(tmp_path / "elsewhere").find("/lille/feed.xml"), Version)


def test_what_is_no_file_is_not_opened_for_ever(public, tmp_path):
    os.mkfifo(tmp_path / "public" / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "public" / "socket"))
        assert public.find("/pipe") is None
        assert public.find("/socket") is None


def test_a_file_that_may_not_be_read_is_not_there(public, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "public" / "lille" / "feed.xml").chmod(0)
    assert public.find("/lille/feed.xml") is None


def test_a_version_is_read_once(public, tmp_path, monkeypatch):
    first = public.find("/lille/feed.xml")
    assert public.find("/lille/feed.xml") is first
    path = tmp_path / "public" / "lille" / "feed.xml"
    new = path.with_name("new")
    new.write_bytes(b"<rss></rss>")
    new.replace(path)
    second = public.find("/lille/feed.xml")
    assert isinstance(second, Version)
    assert second.body == b"<rss></rss>"


def test_the_same_size_and_date_do_not_hide_a_change(public, tmp_path):
    path = tmp_path / "public" / "lille" / "feed.xml"
    before = path.stat()
    public.find("/lille/feed.xml")
    path.write_bytes(b"<RSS/>")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = public.find("/lille/feed.xml")
    assert isinstance(found, Version)
    assert found.body == b"<RSS/>"


def test_a_large_file_stays_on_the_disk(public, tmp_path):
    data = os.urandom(LARGE + 1)
    (tmp_path / "public" / "film.mp4").write_bytes(data)
    found = public.find("/film.mp4")
    assert isinstance(found, Version)
    assert found.body is None
    assert found.digest == hashlib.sha256(data).hexdigest()
    descriptor = public.reopen(found)
    assert descriptor is not None
    os.close(descriptor)
    (tmp_path / "public" / "film.mp4").write_bytes(data[:-1])
    assert public.reopen(found) is None


def test_a_file_that_grows_is_read_in_one_state_or_not_at_all(public, tmp_path):
    """The length that is announced is that of the bytes: else a reader would wait, or get the next one's."""
    path = tmp_path / "public" / "log.txt"
    path.write_bytes(bytes(2 * 1024 * 1024))
    stop = threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as stream:
            while not stop.is_set():
                stream.write(b"line\n")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            try:
                found = public.find("/log.txt")
            except Unsteady:
                continue
            assert isinstance(found, Version)
            assert found.body is None or len(found.body) == found.length
    finally:
        stop.set()
        writer.join()
    found = public.find("/log.txt")
    assert isinstance(found, Version)
    assert found.length == path.stat().st_size


# --------------------------------------------------------------------------- the cache


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 120)), max_size=80))
def test_the_cache_never_grows_beyond_its_bounds(puts):
    cache: Bounded[int, int] = Bounded(100)
    for key, weight in puts:
        cache.put(key, weight, weight)
        assert cache.weight <= 100
        assert cache.get(key) == (weight if weight <= 100 else None)
    kept = [cache.get(key) for key in range(10)]
    assert cache.weight == sum(weight for weight in kept if weight is not None)


def test_what_was_used_last_stays():
    cache: Bounded[str, str] = Bounded(2)
    cache.put("a", "a", 1)
    cache.put("b", "b", 1)
    cache.get("a")
    cache.put("c", "c", 1)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == ("a", None, "c")


def test_all_files_together_stay_within_the_cache(tmp_path):
    folder = tmp_path / "public"
    folder.mkdir()
    public = Public(folder)
    for number in range(files.CACHE // LARGE + 5):
        (folder / f"{number}.png").write_bytes(bytes(LARGE))
        public.find(f"/{number}.png")
    assert public._known.weight <= files.CACHE
