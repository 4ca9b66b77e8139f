"""Runs commands as a person would, and builds the projects and ledgers they are run on."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.cli import main
from pipeline.clock import SystemClock
from pipeline.delivery import Create, Event, Step
from pipeline.ledger import Ledger, open_ledger
from pipeline.model import Delivery, DeliveryKey, Receipt, Rendition, Slot

REPOSITORY = Path(__file__).parents[2]
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def run(*words: object, status: int = 0) -> Ran:
    """`pipeline WORDS` in this process; its exit status must be `status`."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in "oe")
    code = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = int(ended.code or 0)
    ran = Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
    assert ran.status == status, f"{ran.status} instead of {status}\n{ran.out}\n{ran.err}"
    return ran


def spawn(*words: object, folder: Path, status: int = 0, **environment: str) -> Ran:
    """`python -m pipeline WORDS` in a process of its own, with `folder` as its current one."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith("PIPELINE_")}
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, words)],
        cwd=folder,
        env=settings | {"PYTHONPATH": str(REPOSITORY)} | environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    ran = Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode())
    assert "Traceback" not in ran.err, ran.err
    assert ran.status == status, f"{ran.status} instead of {status}\n{ran.out}\n{ran.err}"
    return ran


def now() -> datetime:
    return SystemClock().now()


class Project:
    """A folder with entries `p0`, `p1`, … and the campaign `fete`, whose event is `days` ahead, in UTC."""

    def __init__(self, root: Path, *, entries: int = 2, days: int = 5) -> None:
        self.root = root
        self.event = now() + timedelta(days=days)
        (root / "content").mkdir(parents=True)
        (root / "schedules").mkdir()
        for number in range(entries):
            self.write_entry(f"p{number}")
        self.write_campaign()

    def write_entry(self, name: str, *, title: str | None = None) -> Path:
        path = self.root / f"content/{name}.md"
        path.write_text(
            f"---\ntitle: {json.dumps(title or f'Projet {name}')}\nsummary: Un projet.\n"
            f"url: https://example.org/{name}\ntags: [lille]\n---\n\nTexte.\n",
            encoding="utf-8",
        )
        return path

    def write_campaign(self, *, event: datetime | None = None, more: str = "", at: str = "00:00") -> Path:
        path = self.root / "schedules/fete.yaml"
        path.write_text(
            "title: La fête\ndescription: Un projet par jour.\nlanguage: fr\n"
            "link: https://example.org/fete/\n"
            f"event: {{name: Fête, starts: '{event or self.event:%Y-%m-%d %H:%M}', timezone: UTC}}\n"
            f"posting: {{time: '{at}', late: 2d}}\n"
            "text: 'J-{{ days_left }} {{ entry.title }} {{ entry.url }}'\n"
            f"channels: {{outbox: {{}}}}\n{more}",
            encoding="utf-8",
        )
        return path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.root}/state/ledger.db"

    def ledger(self) -> Ledger:
        return open_ledger(self.url, now=now())

    def run(self, command: str, *words: object, status: int = 0) -> Ran:
        return run(*command.split(), *words, "--root", self.root, status=status)


# ------------------------------------------------------------- states, made by the ledger itself


def key(entry: str = "p0") -> DeliveryKey:
    return DeliveryKey("fete", entry, "outbox")


def planned(ledger: Ledger, entry: str = "p0") -> Delivery:
    """A delivery that is due at this moment."""
    at = now()
    day = at.date() + timedelta(days=int(entry[1:]))
    ledger.adopt("fete", at)
    create = Create(key(entry), "outbox", day, at, at + timedelta(hours=6))
    ledger.apply_plan("fete", [Slot("fete", entry, day, at, days_left=4)], [create], at)
    return read(ledger, entry)


def held(ledger: Ledger, entry: str = "p0") -> Delivery:
    """The network refused it."""
    was = _claimed(ledger, entry, until=now() + timedelta(seconds=30))
    return ledger.record(was.key, "lease", Step(Event.REJECTED, "forbidden word"), None, "rejected", now())


def unknown(ledger: Ledger, entry: str = "p0") -> Delivery:
    """It was sent, nobody answered, and its lease is over."""
    was = _claimed(ledger, entry, until=now() - SECOND)
    assert ledger.expire_leases(now()) == [was.key]
    return read(ledger, entry)


def published(ledger: Ledger, entry: str = "p0") -> Delivery:
    was = _claimed(ledger, entry, until=now() + timedelta(seconds=30))
    receipt = Receipt("42", "https://social.example/42", "d" * 64)
    return ledger.record(was.key, "lease", Step(Event.RECEIPT), receipt, "published", now())


def read(ledger: Ledger, entry: str = "p0") -> Delivery:
    found = ledger.delivery(key(entry))
    assert found is not None
    return found


def _claimed(ledger: Ledger, entry: str, *, until: datetime) -> Delivery:
    planned(ledger, entry)
    sent = Rendition(key=f"key of {entry}", body=b"{}", text="J-4")
    return ledger.claim(key(entry), sent, "lease", until, now())
