"""What a walk is given: the person to ask, the channel, and a way to ask its network.

What must stay true: a secret is asked for without being shown; an answer is a line, without the spaces
around it; every request is bounded and goes through `pipeline.channels.http`, which knows the secrets that
no message may repeat.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode

from pipeline.channels.base import AuthFailedError, ChannelError, RejectedError
from pipeline.channels.http import Http, Limits
from pipeline.errors import BrokenEnvironment, WrongUse
from pipeline.model import ChannelConfig

TIMEOUT = timedelta(seconds=30)


class Refused(BrokenEnvironment):
    """The network understood the request, and says no."""


class Person(Protocol):
    """Whoever is asked: somebody at a terminal, or lines of a script."""

    @property
    def present(self) -> bool:
        """Whether somebody is there who can look, decide and answer again."""

    def tell(self, text: str) -> None:
        """Show a text."""

    def ask(self, question: str, *, hidden: bool) -> str:
        """One line, without the spaces around it. Raises WrongUse when there are no more answers."""

    def agrees(self, question: str, *, default: bool = True) -> bool:
        """Yes or no; yes where nobody is present."""


@dataclass(frozen=True, slots=True)
class Desk:
    """`current` gives a field of the channel's present credentials, None when it is not set.

    `now` is the present instant (UTC).
    """

    person: Person
    config: ChannelConfig
    current: Callable[[str], str | None] = field(repr=False)
    now: Callable[[], datetime] = field(repr=False)

    def option(self, name: str, default: str = "") -> str:
        """An option of the channel in the campaign."""
        return self.config.options.get(name, default)

    def base(self, own: str) -> str:
        """Where requests go, without a slash at the end: the network's own address, or `api` in its place."""
        return (self.config.api or own).rstrip("/")

    def secret(self, question: str) -> str:
        """An answer that is not shown, and not empty: an empty one changes nothing. Raises WrongUse."""
        return self._answer(question, hidden=True)

    def line(self, question: str) -> str:
        """An answer that may be seen, and is not empty. Raises WrongUse."""
        return self._answer(question, hidden=False)

    def optional(self, question: str, *, hidden: bool = False) -> str:
        """An answer that may be empty. Raises WrongUse when there are no more answers."""
        return self.person.ask(question, hidden=hidden)

    def _answer(self, question: str, *, hidden: bool) -> str:
        for _ in range(3):
            if answer := self.person.ask(question, hidden=hidden):
                return answer
            if not self.person.present:
                break
            self.person.tell("That was empty.")
        raise WrongUse(f"no answer to “{question}”", hint="Nothing was changed.")

    def fetch(
        self,
        method: str,
        url: str,
        what: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> bytes:
        """The body of the network's answer.

        Raises BrokenEnvironment, which says `what` did not work; Refused when the network says no.
        """
        http = Http(Limits(self.config.timeout or TIMEOUT), secrets=secrets)
        given = dict(headers or {})
        body = None
        if form is not None:
            given["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form).encode()
        try:
            return http.request(method, url, headers=given, body=body).body
        except ChannelError as error:
            failed = Refused if isinstance(error, RejectedError | AuthFailedError) else BrokenEnvironment
            raise failed(f"{what}: {error}", hint="Nothing was changed.") from error

    def document(self, body: bytes, *needed: str) -> Mapping[str, Any]:
        """The answer as a JSON object with these texts in it. Raises BrokenEnvironment."""
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not all(_text(found.get(name)) for name in needed):
            raise BrokenEnvironment(
                f"what {self.config.network} answered is not as documented: it lacks {', '.join(needed)}",
                hint="Nothing was changed. Is the address in the campaign the right one?",
            )
        return found


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()
