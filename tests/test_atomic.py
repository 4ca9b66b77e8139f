"""Files are replaced as a whole, whoever reads, writes or dies at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import atomic

SIZE = 1_000_000
WRITE_FOR_EVER = """
import sys
from pathlib import Path
from pipeline import atomic
path, letters, size = Path(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3])
print("ready", flush=True)
while True:
    for letter in letters:
        atomic.write(path, bytes([letter]) * size)
"""


def start_writer(path: Path, letters: str) -> subprocess.Popen[bytes]:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(path), letters, str(SIZE)], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"ready\n"
    return writer


def stop(writer: subprocess.Popen[bytes]) -> None:
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert writer.stdout is not None
    writer.stdout.close()


def temporary_files(folder: Path) -> list[Path]:
    return list(folder.glob(f"{atomic.TEMPORARY_PREFIX}*"))


def assert_whole(data: bytes) -> None:
    assert len(data) == SIZE
    assert len(set(data)) == 1


def test_a_new_file_holds_the_bytes_and_anyone_may_read_it(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "feed.xml"
    umask = os.umask(0o077)
    try:
        assert atomic.write(path, b"<rss/>") is True
    finally:
        os.umask(umask)
    assert path.read_bytes() == b"<rss/>"
    assert path.stat().st_mode & 0o777 == 0o644
    assert temporary_files(path.parent) == []


@given(old=st.binary(max_size=40), new=st.binary(max_size=40))
def test_the_answer_says_whether_the_bytes_changed(
    tmp_path_factory: pytest.TempPathFactory, old: bytes, new: bytes
):
    path = tmp_path_factory.mktemp("atomic") / "file"
    assert atomic.write(path, old) is True
    assert atomic.write(path, new) is (old != new)
    assert path.read_bytes() == new


def test_the_same_bytes_leave_the_file_untouched(tmp_path: Path):
    path = tmp_path / "feed.xml"
    atomic.write(path, b"same")
    os.utime(path, ns=(1, 1))
    before = path.stat()
    assert atomic.write(path, b"same") is False
    after = path.stat()
    assert (after.st_mtime_ns, after.st_ctime_ns, after.st_ino) == (1, before.st_ctime_ns, before.st_ino)


def test_a_reader_that_has_the_old_file_open_goes_on_reading_it(tmp_path: Path):
    path = tmp_path / "feed.xml"
    atomic.write(path, b"old bytes")
    with path.open("rb") as reader:
        atomic.write(path, b"new")
        assert reader.read() == b"old bytes"


@pytest.mark.parametrize("delay", [0.0, 0.004, 0.009, 0.013, 0.021, 0.034])
def test_a_process_killed_while_writing_leaves_the_old_or_the_new_bytes(tmp_path: Path, delay: float):
    path = tmp_path / "feed.xml"
    path.write_bytes(b"x" * SIZE)
    writer = start_writer(path, "ab")
    time.sleep(delay)
    stop(writer)
    assert_whole(path.read_bytes())
    assert atomic.write(path, b"after the crash") is True
    assert path.read_bytes() == b"after the crash"


def test_readers_and_two_writers_at_once_never_see_a_torn_file(tmp_path: Path):
    path = tmp_path / "feed.xml"
    path.write_bytes(b"x" * SIZE)
    writers = [start_writer(path, "ab"), start_writer(path, "cd")]
    try:
        seen = set()
        for _ in range(60):
            data = path.read_bytes()
            assert_whole(data)
            seen.add(data[:1])
    finally:
        for writer in writers:
            stop(writer)
    assert len(seen) > 1


def test_threads_writing_the_same_file_leave_one_of_their_contents(tmp_path: Path):
    path = tmp_path / "feed.xml"
    contents = [bytes([letter]) * 100_000 for letter in b"abcdefgh"]
    failures = []

    def write_often(data: bytes) -> None:
        try:
            for _ in range(10):
                atomic.write(path, data)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write_often, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert path.read_bytes() in contents
    assert temporary_files(tmp_path) == []


def test_the_temporary_file_of_a_killed_process_is_removed_once_it_is_surely_abandoned(tmp_path: Path):
    abandoned = tmp_path / f"{atomic.TEMPORARY_PREFIX}0123456789abcdef"
    in_use = tmp_path / f"{atomic.TEMPORARY_PREFIX}fedcba9876543210"
    stranger = tmp_path / ".somebody-elses-file"
    for path in (abandoned, in_use, stranger):
        path.write_bytes(b"half a fi")
    atomic.write(tmp_path / "first", b"1")
    now = (tmp_path / "first").stat().st_mtime_ns
    for path in (abandoned, stranger):
        os.utime(path, ns=(now - atomic.ABANDONED_AFTER_NS - 10**9,) * 2)
    os.utime(in_use, ns=(now - atomic.ABANDONED_AFTER_NS + 60 * 10**9,) * 2)
    atomic.write(tmp_path / "second", b"2")
    assert not abandoned.exists()
    assert in_use.exists()
    assert stranger.exists()


def test_a_write_that_fails_leaves_no_temporary_file_and_the_old_bytes(tmp_path: Path):
    path = tmp_path / "feed.xml"
    atomic.write(path, b"old")
    full = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from pipeline import atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    atomic.write(Path(sys.argv[1]), b'n' * 5000)\n"
        "except OSError as error:\n"
        "    print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", full, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "27"  # EFBIG, as the system gave it
    assert path.read_bytes() == b"old"
    assert temporary_files(tmp_path) == []


def test_a_folder_in_the_place_of_the_file_is_the_systems_own_error(tmp_path: Path):
    (tmp_path / "feed.xml" / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        atomic.write(tmp_path / "feed.xml", b"data")
    assert temporary_files(tmp_path) == []


def test_a_file_in_the_place_of_the_folder_is_the_systems_own_error(tmp_path: Path):
    (tmp_path / "public").write_bytes(b"a file")
    with pytest.raises(OSError, match="public"):
        atomic.write(tmp_path / "public" / "feed.xml", b"data")


@pytest.mark.parametrize("flush", [True, False])
def test_without_a_flush_nothing_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flush: bool
):
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    assert atomic.write(tmp_path / "new" / "feed.xml", b"<rss/>", flush=flush) is True
    assert atomic.write(tmp_path / "new" / "feed.xml", b"<rss/>", flush=flush) is False
    assert (tmp_path / "new" / "feed.xml").read_bytes() == b"<rss/>"
    assert temporary_files(tmp_path / "new") == []
    assert bool(flushed) is flush
