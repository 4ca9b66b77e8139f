"""The walk every network shares: find the channel, ask, test, write, and say what counts from now on.

What must stay true: credentials are tested before they are written, and what fails the test is not; so is
nothing that is empty. Whoever stops before the end leaves everything as it was. A value that the environment
gives wins over `.env`, and then that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from importlib import import_module
from typing import cast

from pipeline import connected, dotenv
from pipeline.asking import who
from pipeline.channels import credentials_of, open_channel, option_problems
from pipeline.channels.base import ChannelError, Identity, Keep, MemoryKeep, Surroundings
from pipeline.clock import Clock
from pipeline.connected import Connection
from pipeline.connecting.desk import Desk, Person
from pipeline.credentials import Credentials, variable
from pipeline.errors import BrokenEnvironment, WrongUse
from pipeline.keeping import FileKeep
from pipeline.model import Campaign, ChannelConfig
from pipeline.settings import Settings

Walk = Callable[[Desk], Mapping[str, str]]

# By network: `module:function`, loaded when somebody walks there.
WALKS: Mapping[str, str] = {
    "bluesky": "pipeline.connecting.bluesky:walk",
    "facebook": "pipeline.connecting.facebook:walk",
    "mastodon": "pipeline.connecting.mastodon:walk",
    "webhook": "pipeline.connecting.webhook:walk",
    "x": "pipeline.connecting.x:walk",
}


@dataclass(frozen=True, slots=True)
class Target:
    """The channel to connect, in a campaign that has it."""

    campaign: Campaign
    config: ChannelConfig


def find(campaigns: Iterable[Campaign], name: str, campaign: str | None = None) -> Target:
    """The channel of that id, or the only one on the network of that name.

    Credentials belong to a channel id, so several campaigns may share one. Raises WrongUse when there is
    none, or when it is not clear which is meant.
    """
    known = [one for one in campaigns if campaign in (None, one.id)]
    if campaign is not None and not known:
        raise WrongUse(f"there is no readable campaign `{campaign}`", hint="See `pipeline check`.")
    every = [Target(one, config) for one in known for config in one.channels]
    found = [one for one in every if one.config.id == name] or [
        one for one in every if one.config.network == name
    ]
    if not found:
        ids = sorted({one.config.id for one in every})
        close = get_close_matches(name, ids, n=1)
        hint = f"Did you mean `{close[0]}`?" if close else f"There are: {', '.join(ids) or 'none'}."
        raise WrongUse(f"no campaign has a channel `{name}`", hint=f"{hint} Add it to a campaign first.")
    if len({one.config.id for one in found}) > 1:
        ids = sorted({one.config.id for one in found})
        raise WrongUse(f"several channels are on {name}: {', '.join(ids)}", hint="Name one of them.")
    if len({_place(one.config) for one in found}) > 1:
        names = ", ".join(one.campaign.id for one in found)
        raise WrongUse(
            f"the channel `{name}` leads to different places in the campaigns {names}",
            hint="Give --campaign ID. Both use the same credentials: give one of the channels another id.",
        )
    target = max(found, key=lambda one: (one.campaign.event.starts, one.campaign.id))
    if problems := option_problems(target.config):
        where = f"{target.campaign.path}: channel {target.config.id}"
        faults = "; ".join(message for _, message in problems)
        raise WrongUse(f"{where}: {faults}", hint="Correct it first.")
    return target


def connect(settings: Settings, clock: Clock, target: Target, person: Person) -> Identity | None:
    """Lead the person to credentials that work, and write them; whose they are. None: nothing is needed.

    Raises PipelineError when it comes to nothing; then nothing was changed.
    """
    return _Visit(settings, clock, target, person).go()


def _place(config: ChannelConfig) -> tuple[object, ...]:
    return config.network, config.api, tuple(sorted(config.options.items()))


class _Visit:
    """One walk."""

    def __init__(self, settings: Settings, clock: Clock, target: Target, person: Person) -> None:
        self._settings, self._clock, self._person = settings, clock, person
        self._campaign, self._config = target.campaign, target.config
        self._credentials = Credentials(settings.root)
        self._keep = FileKeep(settings.state / "channels", self._config.id)

    def go(self) -> Identity | None:
        """Walk. Whose account it is; None where no credentials are needed. Raises PipelineError."""
        where = WALKS.get(self._config.network)
        if where is None:
            self._person.tell(f"`{self._config.id}` ({self._config.network}) needs no credentials.")
            return None
        if not self._begins():
            raise WrongUse("nothing was changed")
        module, _, name = where.partition(":")
        walk = cast("Walk", getattr(import_module(module), name))
        values = walk(Desk(self._person, self._config, self._current, self._clock.now))
        identity, learned = self._tested(values)
        self._person.tell(f"They work: {told(identity)}")
        for warning in identity.warnings:
            self._person.tell(f"warning: {warning}")
        if not self._person.agrees(f"Is {identity.account} the account for `{self._config.id}`?"):
            raise WrongUse("nothing was changed", hint="Log out of the other account, then try again.")
        self._written(values, identity, learned)
        return identity

    # ----------------------------------------------------------------- before

    def _begins(self) -> bool:
        """Say what there is now. Whether new credentials are wanted."""
        try:
            identity = self._verified(self._settings.credential, self._keep)
        except ChannelError as error:
            if self._held():
                self._person.tell(f"What is set for `{self._config.id}` does not work: {error}")
            return True
        self._person.tell(f"`{self._config.id}` is connected already: {told(identity)}")
        return self._person.agrees("Connect it anew?")

    def _held(self) -> bool:
        """Whether any credential is set."""
        fields = credentials_of(self._config)
        return any(self._credentials.origin(self._config.id, name) for name in fields)

    def _current(self, name: str) -> str | None:
        return self._settings.credential(self._config.id, name)

    # ----------------------------------------------------------------- test

    def _tested(self, values: Mapping[str, str]) -> tuple[Identity, Mapping[str, object]]:
        """Whose they are, and what the channel learned meanwhile. Raises BrokenEnvironment."""
        if not all(values.values()):
            raise BrokenEnvironment("a part of the new credentials is empty", hint="Nothing was changed.")

        def overlaid(channel_id: str, name: str) -> str | None:
            return values.get(name) or self._settings.credential(channel_id, name)

        keep = MemoryKeep()
        try:
            return self._verified(overlaid, keep), keep.read()
        except ChannelError as error:
            raise BrokenEnvironment(
                f"the new credentials of `{self._config.id}` do not pass the test: {error}",
                hint="Nothing was changed: what was set before stays.",
            ) from error

    def _verified(self, credential: Callable[[str, str], str | None], keep: Keep) -> Identity:
        surroundings = Surroundings(
            self._settings.root,
            self._settings.public,
            credential,
            self._clock.now,
            keep=lambda _: keep,
            pause=self._pause,
        )
        return who(open_channel(self._campaign, self._config, surroundings), self._clock.now)

    def _pause(self, span: timedelta) -> None:
        self._clock.sleep_until(self._clock.now() + span)

    # ----------------------------------------------------------------- afterwards

    def _written(self, values: Mapping[str, str], identity: Identity, learned: Mapping[str, object]) -> None:
        names = {name: variable(self._config.id, name) for name in values}
        with self._keep.alone():  # nobody uses the new credentials with a session of the former ones
            dotenv.write(self._settings.root, {names[name]: value for name, value in values.items()})
            self._keep.write(learned)
        connection = Connection(self._clock.now(), identity.account)
        used = {name: self._current(name) or "" for name in credentials_of(self._config)}
        connected.remember(self._settings.state, self._config.id, used, connection)
        self._person.tell(f"Written to {self._settings.root / dotenv.NAME}: {', '.join(names.values())}")
        for name, value in values.items():
            self._say_what_wins(name, value)
        for problem in (dotenv.mode_problem(self._settings.root), dotenv.git_problem(self._settings.root)):
            if problem:
                self._person.tell(f"warning: {problem}")

    def _say_what_wins(self, name: str, value: str) -> None:
        origin = self._credentials.origin(self._config.id, name)
        if origin == dotenv.NAME:
            return
        if self._credentials.get(self._config.id, name) == value:
            return
        self._person.tell(
            f"warning: {origin} is used instead of what was written: take it out of there, or put the new "
            "value there"
        )


def told(identity: Identity) -> str:
    """Whose credentials they are, and until when, in a line."""
    until = f", until {identity.expires:%Y-%m-%d %H:%M} UTC" if identity.expires else ""
    return f"{identity.account}{until}"
