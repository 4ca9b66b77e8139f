"""`.env` is changed line by line: what is written reads back, and nothing else moves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from pipeline import dotenv
from pipeline.credentials import Credentials
from pipeline.errors import BrokenEnvironment, WrongUse

SECRETS = st.text(
    st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), min_size=1, max_size=40
) | st.text("'\"\\ #$={}`a\t", min_size=1, max_size=12)
LINES = st.sampled_from(
    [
        "# a comment",
        "",
        "PIPELINE_LEDGER=sqlite:///state/ledger.db",
        "export PATH_TO='/srv/a b' # why",
        "EMPTY=",
        "BARE",
        'MANY="first\nsecond"',
        "PIPELINE_X_ACCESS_TOKEN=old",
        "PIPELINE_X_ACCESS_TOKEN='older' # of 2025",
        '  export PIPELINE_X_ACCESS_TOKEN = "oldest"',
        "HASH=#1",
        "NOTE= # nothing",
    ]
)
FULL_OF_THINGS = """\
# The ledger of all machines
PIPELINE_LEDGER=postgresql://pipeline@db/ledger

export PIPELINE_X_CONSUMER_KEY='key'   # from the console
PIPELINE_X_ACCESS_TOKEN=old # renewed in May
SMTP="a
b"
PIPELINE_PRESSE_SECRET_FILE=/run/secrets/presse
"""


def read(root: Path) -> dict[str, str | None]:
    return dict(dotenv_values(root / ".env", interpolate=False, encoding="utf-8"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def without_token(text: str) -> list[str]:
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    return [line for line in lines if line and "ACCESS_TOKEN" not in line]


# --------------------------------------------------------------------------- what is written


@given(secret=SECRETS, lines=st.lists(LINES, max_size=6), end=st.sampled_from(["", "\n", "\r\n"]))
def test_any_secret_reads_back_exactly_and_every_other_variable_stays(tmp_path_factory, secret, lines, end):
    root = tmp_path_factory.mktemp("env")
    before = (end or "\n").join(lines) + (end if lines else "")
    (root / ".env").write_bytes(before.encode())
    others = {name: value for name, value in read(root).items() if name != "PIPELINE_X_ACCESS_TOKEN"}
    dotenv.write(root, {"PIPELINE_X_ACCESS_TOKEN": secret})
    after = read(root)
    assert after.pop("PIPELINE_X_ACCESS_TOKEN") == secret
    assert after == others
    assert Credentials(root, {}).get("x", "ACCESS_TOKEN") == secret
    assert without_token((root / ".env").read_bytes().decode()) == without_token(before)


def test_only_the_values_change_and_new_variables_come_last(tmp_path):
    (tmp_path / ".env").write_text(FULL_OF_THINGS)
    new = {
        "PIPELINE_X_ACCESS_TOKEN": "new",
        "PIPELINE_X_CONSUMER_KEY": "it's",
        "PIPELINE_B_APP_PASSWORD": "a b",
    }
    assert dotenv.write(tmp_path, new) is True
    expected = (
        FULL_OF_THINGS.replace("ACCESS_TOKEN=old # ", "ACCESS_TOKEN=new # ").replace("'key'", "'it\\'s'")
        + "PIPELINE_B_APP_PASSWORD='a b'\n"
    )
    assert (tmp_path / ".env").read_text() == expected
    assert dotenv.write(tmp_path, new) is False


def test_an_old_secret_is_left_nowhere_when_it_stood_twice(tmp_path):
    (tmp_path / ".env").write_text("T=one\n\n# kept\nT='two' # last\nU=3\n")
    dotenv.write(tmp_path, {"T": "new"})
    assert (tmp_path / ".env").read_text() == "\n# kept\nT=new # last\nU=3\n"


def test_a_name_without_a_value_gets_one(tmp_path):
    (tmp_path / ".env").write_text("A=1\nT\nN= # none yet\n")
    dotenv.write(tmp_path, {"T": "new", "N": "x"})
    assert (tmp_path / ".env").read_text() == "A=1\nT=new\nN= x # none yet\n"


def test_a_last_line_without_an_end_is_not_run_together(tmp_path):
    (tmp_path / ".env").write_text("A=1")
    dotenv.write(tmp_path, {"T": "new"})
    assert (tmp_path / ".env").read_text() == "A=1\nT=new\n"


def test_line_ends_of_another_system_stay(tmp_path):
    (tmp_path / ".env").write_bytes(b"A=1\r\nT=old\r\nB=2\r\n")
    dotenv.write(tmp_path, {"T": "new"})
    assert (tmp_path / ".env").read_bytes() == b"A=1\r\nT=new\r\nB=2\r\n"


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("value", ["", "two\nlines", "two\rlines", "nul\0", "half \ud800"], ids=ascii)
def test_what_a_line_cannot_hold_is_refused_and_nothing_changes(tmp_path, value):
    (tmp_path / ".env").write_text("T=works\n")
    with pytest.raises(WrongUse, match="T"):
        dotenv.write(tmp_path, {"T": value})
    assert (tmp_path / ".env").read_text() == "T=works\n"


@pytest.mark.parametrize("left_open", ['A="never closed\n', "A='never closed\n"])
def test_a_line_that_would_swallow_the_secret_is_reported_and_nothing_changes(tmp_path, left_open):
    (tmp_path / ".env").write_text(left_open)
    quote = left_open[2]
    with pytest.raises(BrokenEnvironment, match="never closed"):
        dotenv.write(tmp_path, {"T": f"a {quote} b"})
    assert (tmp_path / ".env").read_text() == left_open


def test_a_file_that_is_not_utf_8_is_left_alone(tmp_path):
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    with pytest.raises(BrokenEnvironment, match="UTF-8"):
        dotenv.write(tmp_path, {"T": "x"})
    assert (tmp_path / ".env").read_bytes() == b"A=\xff\n"


# --------------------------------------------------------------------------- the file


def test_a_new_file_is_for_its_owner_alone(tmp_path):
    umask = os.umask(0)
    try:
        dotenv.write(tmp_path, {"T": "x"})
    finally:
        os.umask(umask)
    assert mode(tmp_path / ".env") == 0o600
    assert dotenv.mode_problem(tmp_path) is None


def test_an_open_file_is_closed_to_others_even_when_its_text_is_the_same(tmp_path):
    (tmp_path / ".env").write_text("T=x\n")
    (tmp_path / ".env").chmod(0o644)
    assert "mode 0644" in (dotenv.mode_problem(tmp_path) or "")
    assert dotenv.write(tmp_path, {"T": "x"}) is False
    assert mode(tmp_path / ".env") == 0o600


def test_a_link_to_a_file_elsewhere_stays_one(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secrets").write_text("A=1\n")
    (tmp_path / ".env").symlink_to("elsewhere/secrets")
    dotenv.write(tmp_path, {"T": "x"})
    assert (tmp_path / ".env").is_symlink()
    assert (tmp_path / "elsewhere/secrets").read_text() == "A=1\nT=x\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_the_file_keeps_its_owner(tmp_path):
    (tmp_path / ".env").write_text("A=1\n")
    os.chown(tmp_path / ".env", 12345, 12345)
    dotenv.write(tmp_path, {"T": "x"})
    found = (tmp_path / ".env").stat()
    assert (found.st_uid, found.st_gid) == (12345, 12345)


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from pipeline import dotenv
print("ready", flush=True)
while True:
    for letter in "ab":
        dotenv.write(Path(sys.argv[1]), {"T": letter * 5000, "U": letter * 5000})
"""


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.007, 0.011, 0.017, 0.023, 0.031])
def test_a_process_killed_while_writing_leaves_the_old_file_or_the_new_one(tmp_path, delay):
    (tmp_path / ".env").write_text(f"T={'b' * 5000}\n# kept\nU={'b' * 5000}\n")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    with writer.stdout:
        assert writer.stdout.readline() == "ready\n"
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    found = read(tmp_path)
    assert found["T"] == found["U"]
    assert found["T"] in ("a" * 5000, "b" * 5000)
    assert (tmp_path / ".env").read_text().splitlines()[1] == "# kept"


def test_readers_see_a_whole_file_and_others_never_see_any(tmp_path):
    (tmp_path / ".env").write_text(f"T={'b' * 5000}\nU={'b' * 5000}\n")
    (tmp_path / ".env").chmod(0o600)
    writer = subprocess.Popen(
        [sys.executable, "-c", f"import os\nos.umask(0)\n{WRITE_FOR_EVER}", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    seen = set()
    with writer.stdout:
        assert writer.stdout.readline() == "ready\n"
        ends = time.monotonic() + 2
        while time.monotonic() < ends:
            text = (tmp_path / ".env").read_text()
            assert len(text) == 10_006
            seen.add(text)
            for path in tmp_path.iterdir():
                with suppress(FileNotFoundError):
                    assert mode(path) & 0o077 == 0, path
        writer.kill()
        writer.wait()
    assert len(seen) == 2


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    def write(letter: str) -> None:
        for number in range(15):
            dotenv.write(tmp_path, {f"{letter}{number}": letter})

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "ABCD"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(tmp_path)) == 60


# --------------------------------------------------------------------------- git


def git(root: Path, *words: str) -> None:
    name = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *name, *words], cwd=root, check=True, capture_output=True)


def test_git_is_asked_whether_it_has_the_secrets(tmp_path):
    assert dotenv.git_problem(tmp_path) is None
    git(tmp_path, "init")
    (tmp_path / ".env").write_text("T=x\n")
    assert "not ignored" in (dotenv.git_problem(tmp_path) or "")
    git(tmp_path, "add", ".env")
    assert "is in git" in (dotenv.git_problem(tmp_path) or "")
    git(tmp_path, "rm", "--cached", ".env")
    (tmp_path / ".gitignore").write_text(".env\n")
    assert dotenv.git_problem(tmp_path) is None
