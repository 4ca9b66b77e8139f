"""`connect` as a person types it, and as a script pipes it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from pipeline.rehearsal.standins.bluesky import Bluesky
from tests.cli.commands import REPOSITORY, run
from tests.connecting.scene import Scene, now

PATIENCE = 30.0
# A process whose standard input is its terminal, so that Ctrl-C reaches it.
IN_CHARGE = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def remote():
    with Bluesky("sharing.example.com", now) as remote:
        yield remote


@pytest.fixture
def scene(tmp_path, remote):
    return Scene(tmp_path, "bluesky", remote)


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PIPELINE_")}
    return kept | {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm"}


def command(scene: Scene, *words: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", "connect", *words, "--root", str(scene.root)]


def piped(scene: Scene, *words: str, answers: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(
        command(scene, *words),
        input=answers,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(),
        check=False,
    )
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended


class Terminal:
    """A person at a terminal: sees what is shown, types, presses Ctrl-C."""

    def __init__(self, scene: Scene, *words: str) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", IN_CHARGE, *command(scene, *words)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(),
        )
        os.close(theirs)
        self.seen = ""

    def until(self, pattern: str) -> None:
        ends = time.monotonic() + PATIENCE
        while not re.search(pattern, self.seen):
            assert time.monotonic() < ends, self.seen
            assert self._more(), self.seen

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> int:
        while self._more():
            pass
        try:
            return self._process.wait(PATIENCE)
        finally:
            os.close(self._ours)

    def _more(self) -> bool:
        if not select.select([self._ours], [], [], PATIENCE)[0]:
            return False
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # Linux says so when the other end is closed
            return False
        self.seen += piece.decode(errors="replace")
        return bool(piece)


# --------------------------------------------------------------------------- scripts


def test_a_script_gives_one_answer_a_line(scene, remote):
    ended = piped(scene, "bluesky", answers=f"{remote.credentials['APP_PASSWORD']}\n")
    assert ended.stdout.startswith("connected: @sharing.example.com")
    assert scene.dotenv() == {"PIPELINE_BLUESKY_APP_PASSWORD": remote.credentials["APP_PASSWORD"]}
    assert remote.credentials["APP_PASSWORD"] not in ended.stdout + ended.stderr


def test_quiet_leaves_out_the_result(scene, remote):
    ended = piped(scene, "bluesky", "-q", answers=f"{remote.credentials['APP_PASSWORD']}\n")
    assert ended.stdout == ""


@pytest.mark.parametrize("answers", ["", "\n"], ids=["none", "empty"])
def test_a_missing_answer_is_wrong_use_and_changes_nothing(scene, answers):
    ended = piped(scene, "bluesky", answers=answers, status=2)
    assert "Nothing was changed" in ended.stderr
    assert scene.files() == {}


def test_a_secret_that_fails_is_a_broken_environment_and_changes_nothing(scene):
    before = scene.write_dotenv(PIPELINE_LEDGER="sqlite:///state/ledger.db")
    ended = piped(scene, "bluesky", answers="aaaa-bbbb-cccc-dddd\n", status=4)
    assert "do not pass the test" in ended.stderr
    assert (scene.root / ".env").read_text() == before


def test_secrets_that_git_would_take_are_warned_about(scene, remote):
    subprocess.run(["git", "init"], cwd=scene.root, check=True, capture_output=True)
    ended = piped(scene, "bluesky", answers=f"{remote.credentials['APP_PASSWORD']}\n")
    assert "not ignored by git" in ended.stderr


def test_a_channel_that_is_not_there(scene):
    ran = run("connect", "mastodon", "--root", scene.root, status=2)
    assert "no campaign has a channel `mastodon`" in ran.err
    assert "There are: bluesky." in ran.err


# --------------------------------------------------------------------------- people


def test_what_is_typed_at_a_terminal_is_not_shown(scene, remote):
    terminal = Terminal(scene, "bluesky")
    terminal.until("app password for sharing.example.com")
    terminal.type("\n")
    terminal.until("That was empty")
    terminal.until(r"(?s)empty.*app password for sharing.example.com")
    terminal.type(f"{remote.credentials['APP_PASSWORD']}\n")
    terminal.until("Is @sharing.example.com .* the account for `bluesky`")
    terminal.type("y\n")
    assert terminal.end() == 0, terminal.seen
    assert remote.credentials["APP_PASSWORD"] not in terminal.seen
    assert scene.dotenv() == {"PIPELINE_BLUESKY_APP_PASSWORD": remote.credentials["APP_PASSWORD"]}


def test_ctrl_c_leaves_everything_as_it_was(scene):
    before = scene.write_dotenv(PIPELINE_BLUESKY_APP_PASSWORD="aaaa-bbbb-cccc-dddd")
    terminal = Terminal(scene, "bluesky")
    terminal.until("app password for sharing.example.com")
    terminal.type("eeee-ffff\x03")
    assert terminal.end() == 128 + signal.SIGINT
    assert "nothing was changed" in terminal.seen
    assert "Traceback" not in terminal.seen
    assert (scene.root / ".env").read_text() == before


def test_ctrl_c_while_the_network_is_asked_leaves_everything_as_it_was(scene, remote):
    before = scene.write_dotenv(OTHER="x")
    terminal = Terminal(scene, "bluesky")
    terminal.until("app password for sharing.example.com")
    with remote.lock:  # the server answers nobody
        terminal.type(f"{remote.credentials['APP_PASSWORD']}\n")
        time.sleep(1.0)
        terminal.type("\x03")
        assert terminal.end() == 128 + signal.SIGINT
    assert (scene.root / ".env").read_text() == before
