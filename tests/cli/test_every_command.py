"""What holds for every command: help, exit statuses, plain output, what it imports, and never a traceback."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pipeline import __version__
from pipeline.cli import COMMANDS, cli
from tests.cli.commands import REPOSITORY, Project, held, published, run, spawn, unknown

GROUPED = [f"ledger {name}" for name in ("export", "import", "backup", "check", "adopt")]

# Every command with words that are right for a project whose only delivery is held.
WORDS = {
    "check": [],
    "plan": [],
    "rehearse": [],
    "feeds": [],
    "tick": [],
    "run": ["--until-done"],
    "status": [],
    "resolve": ["fete/p0/outbox", "posted"],
    "retry": ["fete/p0/outbox"],
    "cancel": ["fete/p0/outbox"],
    "ledger export": [],
    "new": ["A title"],
}
NEED_A_LEDGER = [
    "check",
    "plan",
    "feeds",
    "tick",
    "run",
    "status",
    "resolve",
    "retry",
    "cancel",
    "ledger export",
]
NEED_CONTENT = ["check", "plan", "rehearse", "feeds", "tick", "status", "retry"]


@pytest.fixture
def busy(project: Project) -> Project:
    with project.ledger() as ledger:
        held(ledger)
    return project


@pytest.mark.parametrize("command", ["plan --json", "preview", "rehearse", "check"])
@pytest.mark.parametrize("channel", ["mastodn: {}", "x: {limt: 3}", "bluesky: {}"])
def test_a_channel_that_cannot_be_is_a_problem_in_the_files_for_every_command(project, command, channel):
    file = project.root / "schedules/fete.yaml"
    file.write_text(file.read_text().replace("{outbox: {}}", f"{{outbox: {{}}, {channel}}}"))
    ran = project.run(command, status=1)
    assert channel.split(":")[0] in ran.out + ran.err
    assert "Traceback" not in ran.err
    assert not (project.root / "rehearsal").exists()


# --------------------------------------------------------------------------- help


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPED])
def test_every_command_explains_itself(command):
    out = run(*command.split(), "--help").out
    assert out.startswith(f"Usage: pipeline {command} ")
    assert "\x1b" not in out
    assert run(*command.split(), "-h").out == out


@pytest.mark.parametrize("command", [*(name for name in COMMANDS if name != "ledger"), *GROUPED])
def test_every_command_takes_the_options_that_scripts_give_to_all(command):
    shared = ["--root", ".", "--ledger", "sqlite://", "--quiet", "--verbose"]
    assert run(*command.split(), *shared, "--help").out.startswith("Usage: ")


def test_a_project_is_begun_where_root_says(tmp_path):
    run("init", "--root", tmp_path / "a")
    assert (tmp_path / "a/content").is_dir()
    run("init", "b", "--root", tmp_path)
    assert (tmp_path / "b/content").is_dir()
    assert run("schema", "campaign", "--root", tmp_path).json()["title"] == "Campaign"


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPED])
def test_every_option_and_argument_has_a_word_of_help(command):
    context = click.Context(cli)
    found = cli.get_command(context, command.split()[0])
    assert found is not None
    if isinstance(found, click.Group) and " " in command:
        found = found.commands[command.split()[1]]
    assert found.help
    for parameter in found.params:
        if isinstance(parameter, click.Option) and parameter.name != "form":
            assert parameter.help, f"{command} --{parameter.name}"


def test_the_list_of_commands_is_complete():
    out = run("--help").out
    for command, (_, what) in COMMANDS.items():
        assert f"  {command} " in out
        assert what.split()[0] in out


def test_the_version(tmp_path):
    assert spawn("--version", folder=tmp_path).out == f"pipeline, version {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [["chekc"], ["check", "--formt", "json"], ["status", "extra"], ["ledger", "exprt"], ["schema", "x"]],
)
def test_a_slip_of_the_pen_is_wrong_use(words):
    assert "Error: " in run(*words, status=2).err


# --------------------------------------------------------------------------- what is loaded

_NEVER = [
    "requests",
    "tweepy",
    "twitter_text",
    "feedgen",
    "feedparser",
    "lxml",
    "apscheduler",
    "PIL",
    "markdown_it",
    "nh3",
    "icalendar",
    "starlette",
    "uvicorn",
]
_REPORT = """
import sys
from pipeline.cli import main
try:
    main(sys.argv[2:])
except SystemExit as ended:
    assert not ended.code, ended.code
loaded = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
assert not loaded, loaded
"""


@pytest.mark.parametrize(
    ("words", "without"),
    [
        (["--help"], ["pydantic", "sqlalchemy", "rich", "jinja2", "yaml"]),
        (["--version"], ["sqlalchemy"]),
        (["check", "--help"], ["rich"]),
        (["check"], ["rich", "pipeline.dispatch", "pipeline.rehearsal", "pipeline.feeds"]),
        (["plan"], ["pipeline.dispatch", "pipeline.rehearsal", "pipeline.feeds"]),
        (["status"], []),
        (["schema"], ["sqlalchemy", "rich"]),
        (["new", "A title"], ["sqlalchemy", "jinja2", "rich"]),
    ],
    ids=lambda value: " ".join(value[:2]),
)
def test_a_command_loads_only_what_it_uses(project, words, without):
    started = subprocess.run(
        [sys.executable, "-c", _REPORT, ",".join([*_NEVER, *without]), *words],
        cwd=project.root,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 0, started.stderr


# --------------------------------------------------------------------------- exit statuses


@pytest.mark.parametrize("command", WORDS)
def test_where_there_is_no_project_every_command_is_wrong_use(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    assert "no project here" in run(*command.split(), *WORDS[command], status=2).err
    assert "no content/" in run(*command.split(), *WORDS[command], "--root", tmp_path, status=2).err
    assert list(tmp_path.iterdir()) == []


def test_the_project_is_found_from_a_folder_in_it(project, monkeypatch):
    deep = project.root / "content/2026/pictures"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert "2 entries" in run("check").err


@pytest.mark.parametrize("command", NEED_A_LEDGER)
def test_a_ledger_that_is_none_is_a_broken_environment(busy, command):
    busy.root.joinpath("state/ledger.db").write_bytes(b"this is no database, and never was one" * 100)
    ran = busy.run(command, *WORDS[command], status=4)
    assert ran.err.count("error: ") == 1
    assert "Put a backup in its place" in ran.err


@pytest.mark.parametrize("command", NEED_A_LEDGER)
def test_a_ledger_in_a_place_nobody_may_write(project, command):
    (project.root / "file").write_text("")
    ran = project.run(
        command,
        *WORDS[command],
        "--ledger",
        "sqlite:///file/ledger.db",
        status={"check": 0, "ledger export": 2}.get(command, 4),
    )
    if ran.status == 4:
        assert "error: " in ran.err


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root may write")
def test_a_place_nobody_may_write_in_a_process_of_its_own(project):
    for words in (["tick", "--ledger", "sqlite:////proc/ledger.db"], ["init", "/proc/project"]):
        ran = spawn(*words, folder=project.root, status=4)
        assert ran.err.startswith("error: ")


@pytest.mark.parametrize("command", NEED_CONTENT)
def test_a_folder_that_is_gone_is_a_broken_environment_and_cancels_nothing(busy, tmp_path, command):
    (busy.root / "content").rename(tmp_path / "unmounted")
    assert "content is gone" in busy.run(command, *WORDS[command], status=4).err
    (tmp_path / "unmounted").rename(busy.root / "content")
    assert "waits for you" in busy.run("status", status=3).out


@pytest.mark.parametrize("url", ["", "bogus", "mysql://root@localhost/x", "sqlite:/x"])
def test_a_ledger_url_that_is_none(project, url):
    ran = run("status", "--root", project.root, "--ledger", url or "x:", status=2)
    assert "error: " in ran.err


def test_the_ledger_is_named_by_option_environment_and_file_in_that_order(project, monkeypatch):
    def made(name: str) -> bool:
        return (project.root / name).exists()

    (project.root / ".env").write_text("PIPELINE_LEDGER=sqlite:///from-file.db\n")
    project.run("status")
    assert made("from-file.db")
    monkeypatch.setenv("PIPELINE_LEDGER", "sqlite:///from-environment.db")
    project.run("status")
    assert made("from-environment.db")
    project.run("status --ledger sqlite:///from-option.db")
    assert made("from-option.db")
    assert not made("state")
    monkeypatch.setenv("PIPELINE_LEDGER", "")
    (project.root / ".env").unlink()
    project.run("status")
    assert made("state/ledger.db")


def test_an_env_file_that_is_not_utf8(project):
    (project.root / ".env").write_bytes(b"PIPELINE_LEDGER=\xff\n")
    assert ".env is not UTF-8" in project.run("check", status=4).err


@pytest.mark.parametrize("prepare", [unknown, published])
@pytest.mark.parametrize("command", [name for name in WORDS if name not in ("rehearse", "run")])
def test_whatever_the_state_no_command_ends_in_a_traceback(project, command, prepare):
    with project.ledger() as ledger:
        prepare(ledger)
    project.write_entry("p1").write_bytes(b"---\n\xff\n\x00: [\n")
    words = [*command.split(), *WORDS[command], "--root", project.root]
    for status in (0, 1, 2, 3):
        try:
            ran = run(*words, status=status)
        except AssertionError:
            continue
        assert "Traceback" not in ran.err
        return
    pytest.fail(f"{command} ended with no status of the interface")


# --------------------------------------------------------------------------- output


@pytest.mark.long
@pytest.mark.parametrize("command", ["check", "plan", "status", "rehearse", "tick"])
def test_no_escape_codes_where_there_is_no_terminal(busy, command):
    ran = spawn(command, folder=busy.root, status=3 if command in ("status", "tick") else 0, FORCE_COLOR="1")
    assert "\x1b" not in ran.out + ran.err


def on_a_terminal(folder: Path, *words: str, **environment: str) -> bytes:
    """What a terminal on standard output gets to see."""
    ours, theirs = pty.openpty()
    try:
        started = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *words],
            cwd=folder,
            stdout=theirs,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color"} | environment,
        )
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not piece:
                break
            seen += piece
        _, err = started.communicate(timeout=60)
        assert b"Traceback" not in err
        return seen
    finally:
        os.close(ours)


@pytest.mark.long
def test_colour_on_a_terminal_unless_it_is_not_wanted(project):
    assert b"\x1b[" in on_a_terminal(project.root, "plan")
    plain = on_a_terminal(project.root, "plan", NO_COLOR="1")
    assert b"\x1b" not in plain
    assert b"p0" in plain


@pytest.mark.long
def test_an_old_terminal_gets_what_it_can_show(project):
    project.write_entry("p0", title="Été — 日本")
    for command in ("plan", "status", "check", "rehearse"):
        spawn(command, folder=project.root, PYTHONIOENCODING="ascii")


def in_a_shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command line in `sh`, where `$PIPELINE` is the program."""
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PIPELINE": f"{sys.executable} -m pipeline"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("words", ["plan --json", "check --format github", "ledger export"])
def test_what_programs_read_is_utf8_whatever_the_terminal_speaks(busy, words):
    busy.write_entry("p1", title="Fête 🎉").write_text("---\ntitle: Fête 🎉\nété: 1\n---\n", encoding="utf-8")
    spoken = [
        subprocess.run(
            [sys.executable, "-m", "pipeline", *words.split()],
            cwd=busy.root,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": encoding},
            capture_output=True,
            timeout=60,
            check=False,
        ).stdout
        for encoding in ("utf-8", "latin-1")
    ]
    assert not spoken[0].isascii()
    assert spoken[1] == spoken[0]


@pytest.mark.parametrize("words", ["plan --json", "check --json", "--help", "tick --help"])
def test_a_reader_who_leaves_early_is_no_problem_in_the_files(project, words):
    gone = "exec 3>&1; { sleep 0.1; $PIPELINE " + words + "; echo $? >&3; } | true"
    ended = in_a_shell(gone, project.root)
    assert ended.stdout == "141\n"
    assert ended.stderr == ""


@pytest.mark.parametrize("words", ["plan >&-", "rehearse 2>&-", "plan <&- >&- 2>&-"])
def test_a_stream_that_is_closed_changes_nothing_but_what_is_seen(project, words):
    ended = in_a_shell(f"$PIPELINE {words}", project.root)
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
