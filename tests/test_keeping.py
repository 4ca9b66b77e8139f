"""What channels keep on disk: whole, for the owner alone, and one process at a time."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.channels.base import Keep, MemoryKeep
from pipeline.keeping import FileKeep

COUNT = """
import sys
from pathlib import Path
from pipeline.keeping import FileKeep
keep = FileKeep(Path(sys.argv[1]), "x")
for _ in range(50):
    with keep.alone():
        keep.write({"count": keep.read().get("count", 0) + 1})
"""


@pytest.fixture(params=["file", "memory"])
def keep(request: pytest.FixtureRequest, tmp_path: Path) -> Keep:
    return FileKeep(tmp_path / "channels", "x") if request.param == "file" else MemoryKeep()


def test_what_was_written_last_is_read(keep: Keep):
    assert keep.read() == {}
    keep.write({"token": "a"})
    keep.write({"token": "b", "limit": 500})
    assert keep.read() == {"token": "b", "limit": 500}


def test_threads_take_turns(keep: Keep):
    def count() -> None:
        for _ in range(50):
            with keep.alone():
                keep.write({"count": keep.read().get("count", 0) + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keep.read() == {"count": 200}


def test_processes_take_turns(tmp_path: Path):
    processes = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert FileKeep(tmp_path, "x").read() == {"count": 150}


def test_a_session_is_readable_by_its_owner_only(tmp_path: Path):
    FileKeep(tmp_path, "x").write({"token": "secret"})
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("left", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_what_cannot_be_read_counts_as_lost(tmp_path: Path, left: bytes):
    keep = FileKeep(tmp_path, "x")
    keep.write({"token": "secret"})
    next(tmp_path.glob("*.json")).write_bytes(left)
    assert keep.read() == {}
    keep.write({"token": "new"})
    assert keep.read() == {"token": "new"}


@pytest.mark.parametrize("names", [("ma/chaine", "ma_chaine"), ("Presse", "presse"), ("..", "."), ("é", "e")])
def test_no_two_channels_share_a_file_and_none_leads_elsewhere(tmp_path: Path, names: tuple[str, str]):
    folder = tmp_path / "channels"
    for name in names:
        FileKeep(folder, name).write({"of": name})
    assert [FileKeep(folder, name).read() for name in names] == [{"of": name} for name in names]
    assert len({path.name.casefold() for path in folder.iterdir()}) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["channels"]
    assert all(json.loads(path.read_bytes()) for path in folder.iterdir())
