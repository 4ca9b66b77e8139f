"""The workflows a project can copy: GitHub would take them, and a runner that dies posts nothing twice.

The ledger is kept on a branch of a real repository, the script runs as on a runner, in a fresh clone each
time, and a receiver written for rehearsals counts.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from pipeline import app, settings
from pipeline.clock import SystemClock, VirtualClock
from pipeline.rehearsal.standins.base import StandIn
from pipeline.rehearsal.standins.webhook import WebhookReceiver
from pipeline.rehearsal.standins.x import XService
from tests.support.networks import SECRET

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / "pipeline/templates/github"
SCRIPT = GITHUB / "tick.sh"
WORKFLOWS = sorted(GITHUB.glob("*.yml"))
now = SystemClock().now

# What stands in for the installed command: the runner may die just before or just after a tick.
PIPELINE = f"""#!/bin/sh
[ "$RUNNER_DIES$1" != beforetick ] || {{ kill -KILL "$(cat "$RUNNER_PID")"; exit 1; }}
[ "$SLOW$1" != yestick ] || exec sleep 60
[ -z "$SEEN" ] || env >"$SEEN"
"{sys.executable}" -m pipeline "$@"
status=$?
[ "$RUNNER_DIES$1" != aftertick ] || kill -KILL "$(cat "$RUNNER_PID")"
exit $status
"""


def git(*words: object, folder: Path) -> str:
    done = subprocess.run(
        ["git", *map(str, words)], cwd=folder, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


class Host:
    """A bare repository, and runners: each a fresh clone of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare = folder / "host.git"
        git("init", "--quiet", "--bare", "--initial-branch=main", self.bare, folder=folder)
        (folder / "bin").mkdir()
        (folder / "bin/pipeline").write_text(PIPELINE)
        (folder / "bin/pipeline").chmod(0o755)
        self.credentials: dict[str, str] = {}
        self.runs = 0

    def commit(self, due: datetime, channel: str, *entries: str) -> None:
        """A project with one post due on a channel."""
        editor = self.folder / "editor"
        (editor / "content").mkdir(parents=True)
        (editor / "schedules").mkdir()
        for name in entries:
            (editor / f"content/{name}.md").write_text(
                f"---\ntitle: {name}\nsummary: Un projet.\nurl: https://example.org/{name}\n---\n\nTexte.\n"
            )
        (editor / "schedules/fete.yaml").write_text(
            "title: La fête\ndescription: Un projet.\nlanguage: fr\nlink: https://example.org/fete/\n"
            f"event: {{name: Fête, starts: '{due + timedelta(days=3):%Y-%m-%d %H:%M}', timezone: UTC}}\n"
            f"posting: {{time: '{due:%H:%M:%S}', until: {due:%Y-%m-%d}, late: 2h}}\n"
            "text: 'J-{{ days_left }} {{ entry.title }} {{ entry.url }}'\n"
            f"channels:\n  {channel}\n",
            encoding="utf-8",
        )
        (editor / ".gitignore").write_text("/state/\n/public/\n")
        git("init", "--quiet", "--initial-branch=main", folder=editor)
        git("add", ".", folder=editor)
        git("-c", "user.name=e", "-c", "user.email=e@e", "commit", "--quiet", "-m", "first", folder=editor)
        git("push", "--quiet", self.bare, "main", folder=editor)

    def clone(self) -> Path:
        self.runs += 1
        place = self.folder / f"runner-{self.runs}"
        git("clone", "--quiet", "--branch=main", self.bare, place, folder=self.folder)
        return place

    def run(self, *words: str, at: Path | None = None, status: int = 0, **environment: str) -> str:
        """`sh tick.sh WORDS`, as a runner of its own does; what it said."""
        place = at or self.clone()
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PIPELINE_")}
        pid = self.folder / "pid"
        done = subprocess.run(
            ["sh", "-c", f'echo $$ >"{pid}"; exec sh "{SCRIPT}" "$@"', "sh", *words],
            cwd=place,
            env=kept
            | self.credentials
            | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
            | {"RUNNER_PID": str(pid), "RUNNER_DIES": "", "SEEN": "", "SLOW": "", "TMPDIR": str(self.folder)}
            | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        return said

    def branch(self) -> set[str]:
        """The files of the branch."""
        return set(git("ls-tree", "-r", "--name-only", "ledger", folder=self.bare).splitlines())

    def planned(self, clock: VirtualClock) -> Path:
        """A ledger that has seen the campaign at that instant."""
        project = settings.load(self.folder / "editor", "sqlite:///state/seen.db")
        with app.open_pipeline(project, clock=clock) as pipeline:
            pipeline.tick()
            pipeline.ledger.backup(self.folder / "planned.db")
        return self.folder / "planned.db"

    def put(self, file: Path, name: str) -> None:
        """Put a file on the branch, as the last run would have."""
        place = self.folder / "aside"
        if git("branch", "--list", "ledger", folder=self.bare):
            git("clone", "--quiet", "--branch=ledger", self.bare, place, folder=self.folder)
        else:
            git("init", "--quiet", "--initial-branch=ledger", place, folder=self.folder)
            git("remote", "add", "origin", self.bare, folder=place)
        shutil.copy(file, place / name)
        git("add", ".", folder=place)
        git("-c", "user.name=e", "-c", "user.email=e@e", "commit", "--quiet", "-m", name, folder=place)
        git("push", "--quiet", "origin", "ledger", folder=place)
        shutil.rmtree(place)

    def forget_time(self) -> None:
        """As when the time of the run that died is over."""
        over = self.folder / "over"
        over.write_text("0\n")
        self.put(over, "begun")


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


WEBHOOK = "presse: {network: webhook, url: 'https://presse.invalid/', api: '%s'}"
X = "x: {api: '%s', settle: 1s, timeout: 3s}"


# X keeps no key: what may have been sent has to be looked for. A webhook is sent again, under the same id.
@pytest.fixture(params=["x", pytest.param("webhook", marks=pytest.mark.night)])
def scene(request, host) -> Iterator[tuple[Host, StandIn]]:
    """A campaign whose ledger is on the branch, and whose only post is due."""
    remote = WebhookReceiver((SECRET,), now) if request.param == "webhook" else XService(now)
    channel = "presse" if request.param == "webhook" else "x"
    due = now() - timedelta(minutes=1)
    with remote:
        for field, value in remote.credentials.items():
            host.credentials[f"PIPELINE_{channel.upper()}_{field}"] = value
        host.commit(due, (WEBHOOK if request.param == "webhook" else X) % remote.url, "ouistock")
        host.put(host.planned(VirtualClock(due - timedelta(hours=1))), "ledger.db")
        yield host, remote


def sent(remote: StandIn) -> int:
    """How many posts were made. X refuses a text it has already, so there every request for one counts."""
    if isinstance(remote, XService):
        assert len(remote.shown()) <= 1
        return sum(seen.method == "POST" and seen.path == "/2/tweets" for seen in remote.seen)
    return len(remote.shown())


def state(host: Host) -> str:
    place = host.clone()
    (row,) = yaml.safe_load(host.run("--look", "status", "--json", at=place, status=0))["deliveries"]
    assert not any(place.glob("state/*.db"))  # who only looks leaves no ledger behind
    return row["state"]


def until_published(host: Host, *, looks: int = 4) -> None:
    for _ in range(looks):
        host.run()
        if state(host) == "published":
            return
        time.sleep(1.5)
    raise AssertionError(f"still {state(host)}")


# --------------------------------------------------------------------------- a ledger on a branch


def test_each_runner_goes_on_where_the_last_one_stopped(scene):
    host, remote = scene
    assert state(host) == "planned"
    assert "published fete/ouistock/" in host.run()
    assert "nothing was due" in host.run()
    assert sent(remote) == 1
    assert {"README.md", "ledger.db", "public/fete/feed.xml"} <= host.branch()
    assert "begun" not in host.branch()
    assert git("rev-list", "--count", "ledger", folder=host.bare) == "1"  # it does not grow with every look


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_runner_that_dies_about_the_send_posts_nothing_twice_and_loses_nothing(scene, dies):
    host, remote = scene
    host.run(RUNNER_DIES=dies, status=-signal.SIGKILL)
    assert sent(remote) == (dies == "after")
    assert "begun" in host.branch()

    assert "may still be at it" in host.run()  # nobody knows yet that it died
    assert sent(remote) == (dies == "after")

    host.forget_time()
    until_published(host)
    assert "nothing was due" in host.run()
    assert sent(remote) == 1


def test_a_last_push_that_is_refused_posts_nothing_twice(scene):
    host, remote = scene
    hook = host.bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nread -r _ new _\ngit log -1 --format=%s $new | grep -q ^begun\n")
    hook.chmod(0o755)
    said = host.run(status=4, PATH=f"{_impatient(host)}:{os.environ['PATH']}")
    assert "cannot be pushed; the next run looks into what may have been sent" in said
    assert sent(remote) == 1
    hook.unlink()
    host.forget_time()
    until_published(host)
    assert sent(remote) == 1


def _impatient(host: Host) -> Path:
    """The commands of the host, and a `sleep` that does not."""
    sleep = host.folder / "bin/sleep"
    sleep.write_text("#!/bin/sh\n")
    sleep.chmod(0o755)
    return host.folder / "bin"


def test_of_two_runners_at_once_one_goes_on(scene):
    host, remote = scene
    # The other one has read the branch, and is overtaken before its first push.
    overtaken = host.clone()
    hook = overtaken / ".git/hooks"
    git("config", "core.hooksPath", hook, folder=overtaken)
    slow = host.folder / "slow"
    slow.mkdir()
    (slow / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *commit-tree*) cd "{host.folder}/fast" && '
        f'env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE PATH="$FAST" sh "{SCRIPT}" >&2; cd "$OLDPWD";;\n'
        f'esac\nexec {shutil.which("git")} "$@"\n'
    )
    (slow / "git").chmod(0o755)
    host.clone().rename(host.folder / "fast")
    fast = f"{host.folder / 'bin'}:{os.environ['PATH']}"
    said = host.run(at=overtaken, PATH=f"{slow}:{fast}", FAST=fast)
    assert "published fete/ouistock/" in said
    assert "another run was faster" in said
    assert sent(remote) == 1
    assert not (overtaken / "state").exists()


# --------------------------------------------------------------------------- what is refused


def ready(host: Host) -> Host:
    host.commit(now() + timedelta(hours=1), "outbox: {}", "a")
    return host


def test_a_lost_branch_is_not_made_anew(host):
    ready(host)
    assert "--begin" in host.run(status=4)
    host.run("--begin")
    assert "already" in host.run("--begin", status=2)
    git("branch", "-D", "ledger", folder=host.bare)
    assert "it was lost" in host.run(status=4)


def test_a_host_that_cannot_be_asked_stops_the_run(host):
    ready(host).run("--begin")
    place = host.clone()
    host.bare.rename(host.folder / "elsewhere.git")
    assert "nothing was done" in host.run(at=place, status=4)
    assert not (place / "state").exists()


def test_who_only_looks_cannot_send(host):
    assert "does not only look" in ready(host).run("--look", "tick", status=2)
    assert "does not only look" in host.run("--look", status=2)


@pytest.mark.parametrize("command", ["run", "serve"])
def test_what_stays_belongs_on_a_machine_that_stays(host, command):
    assert "a machine that stays" in ready(host).run(command, status=2)


def test_looking_needs_no_ledger(host):
    ready(host).run("--look", "check", "--format", "github")
    assert git("branch", folder=host.bare).split() == ["*", "main"]


def test_a_review_says_what_a_change_does_to_the_plan(host):
    """The steps of check.yml, in its order."""
    ready(host).run("--begin")
    place = host.clone()
    git("clone", "--quiet", "--branch=main", host.bare, place / "before", folder=host.folder)
    shutil.copy(place / "content/a.md", place / "content/b.md")
    (place / "schedules/fete.yaml").write_text(
        re.sub("until: [0-9-]+, ", "", (place / "schedules/fete.yaml").read_text())
    )
    copy = {"LEDGER_COPY": str(host.folder / "copy.db")}
    assert "Changed" not in host.run("--look", "plan", "--root", "before", at=place, **copy)
    said = host.run("--look", "plan", at=place, **copy)
    assert re.search(r"Changed since the plan was last shown:\n  a \(a\) moves .*\n  a \(b\) joins on", said)
    assert "Changed" not in host.run("--look", "plan", at=place)  # the branch remembers none of it


def test_a_command_that_takes_too_long_is_stopped_and_what_it_did_is_kept(host):
    ready(host).run("--begin")
    assert "stopped after 1 s" in host.run(SLOW="yes", RUN_LIMIT="1", status=4)
    assert "ledger.db" in host.branch()
    assert "begun" not in host.branch()


def test_other_commands_work_on_the_ledger_of_the_branch(host):
    ready(host).run("--begin")
    assert "cancelled" in host.run("cancel", "fete/a/outbox") + host.run("--look", "status")
    assert state(host) == "cancelled"


def test_the_token_is_shown_to_the_remote_and_to_nobody_else(host):
    ready(host).run("--begin")
    place = host.clone()
    seen = host.folder / "seen"
    host.run(at=place, GIT_TOKEN="s3cret", SEEN=str(seen))
    assert "PIPELINE_LEDGER" in seen.read_text()
    assert "s3cret" not in seen.read_text()
    assert "GIT_CONFIG" not in seen.read_text()

    with closing_host() as (url, shown):
        git("remote", "set-url", "origin", f"{url}/x.git", folder=place)
        assert "cannot be asked" in host.run(at=place, GIT_TOKEN="s3cret", status=4)
    assert {base64.b64decode(one.removeprefix("Basic ")) for one in shown} == {b"x-access-token:s3cret"}


@contextmanager
def closing_host():
    """A host that notes who asks, and refuses."""
    shown = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers["Authorization"])
            self.send_error(403)

        def log_message(self, *_args: object) -> None:
            """A test's output is not a server's log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", shown
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


# --------------------------------------------------------------------------- the workflows


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_one_by_githubs_schema(path):
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.github-workflows", path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_no_right_it_does_not_need_and_keeps_no_token(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] in ({}, {"contents": "read"})
    (job,) = workflow["jobs"].values()
    assert job.get("permissions", {}) in ({}, {"contents": "write"})
    assert job["timeout-minutes"]
    checkouts = [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert all(checkout["with"]["persist-credentials"] is False for checkout in checkouts)
    assert checkouts
    for step in job["steps"]:
        assert "${{" not in step.get("run", ""), "what others may write must not become a command"


def test_ticks_come_one_at_a_time_and_are_never_cut_short():
    workflow = yaml.safe_load((GITHUB / "tick.yml").read_text(encoding="utf-8"))
    assert workflow["concurrency"] == {"group": "tick", "cancel-in-progress": False}
    minutes = workflow["jobs"]["tick"]["timeout-minutes"]
    assert minutes * 60 > 600 + 300  # the script's own limit, and its margin


def test_every_pipeline_command_of_a_workflow_exists():
    from pipeline.cli import COMMANDS

    for path in WORKFLOWS:
        (job,) = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        lines = [line.split() for step in job["steps"] for line in step.get("run", "").splitlines()]
        for words in lines:
            for before, command in (("pipeline", 1), (".github/tick.sh", 2)):
                if before in words and not words[-1].startswith("$"):
                    assert words[words.index(before) + command] in COMMANDS
