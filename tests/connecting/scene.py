"""A project with one channel on a stand-in, and whoever is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from dotenv import dotenv_values

from pipeline import app
from pipeline.channels.base import Identity
from pipeline.clock import SystemClock
from pipeline.errors import WrongUse
from pipeline.rehearsal.standins.base import StandIn
from pipeline.settings import Settings
from tests.support.projects import Project

Answer = str | Callable[[list[str]], str]  # given what was told so far

OPTIONS = {
    "bluesky": {"handle": "sharing.example.com"},
    "facebook": {"page": "100064000000001"},
    "mastodon": {"instance": "https://social.example"},
    "webhook": {"url": "https://receiver.invalid/hook"},
    "x": {},
}


def now() -> datetime:
    return SystemClock().now()


class Script:
    """Gives answers in their order; yes to every question unless `agreed` says otherwise."""

    def __init__(
        self, *answers: Answer, present: bool = False, agreed: dict[str, bool] | None = None
    ) -> None:
        self._answers = list(answers)
        self._present = present
        self._agreed = agreed or {}
        self.asked: list[tuple[str, bool]] = []
        self.told: list[str] = []

    @property
    def present(self) -> bool:
        return self._present

    def tell(self, text: str) -> None:
        self.told.append(text)

    def ask(self, question: str, *, hidden: bool) -> str:
        self.asked.append((question, hidden))
        if not self._answers:
            raise WrongUse(f"no answer left for {question}")
        answer = self._answers.pop(0)
        return answer if isinstance(answer, str) else answer(self.told)

    def agrees(self, question: str, *, default: bool = True) -> bool:
        del default
        return next((said for part, said in self._agreed.items() if part in question), True)

    @property
    def said(self) -> str:
        return "\n".join(self.told)


class Scene:
    """The project at `root` with the channel `network` on `remote`, and two posts ahead."""

    def __init__(self, root: Path, network: str, remote: StandIn | None = None, **options: str) -> None:
        self.root = root
        self.project = Project(root, now() + timedelta(hours=1))
        self.project.entry("p0")
        self.project.entry("p1")
        self.network = network
        self.options = OPTIONS[network] | ({"api": remote.url} if remote else {}) | options
        self.campaign()

    def campaign(self, campaign_id: str = "lille", channel_id: str | None = None, **options: str) -> None:
        name = channel_id or self.network
        channel = {"network": self.network, **self.options, **options}
        self.project.campaign("p0", "p1", campaign_id=campaign_id, channels={name: channel})

    @property
    def settings(self) -> Settings:
        return Settings(self.root, f"sqlite:///{self.root}/state/ledger.db")

    def connect(
        self, script: Script, name: str | None = None, campaign: str | None = None
    ) -> Identity | None:
        return app.connect_channel(self.settings, name or self.network, campaign, script)

    def dotenv(self) -> dict[str, str | None]:
        return dict(dotenv_values(self.root / ".env", interpolate=False))

    def write_dotenv(self, **values: str) -> str:
        text = "# kept\n" + "".join(f"{name}='{value}'\n" for name, value in values.items())
        (self.root / ".env").write_text(text)
        (self.root / ".env").chmod(0o600)
        return text

    def files(self) -> dict[str, bytes]:
        """Every file a connection may change."""
        kept = [self.root / ".env", *sorted((self.root / "state").rglob("*.json"))]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in kept if path.exists()}
