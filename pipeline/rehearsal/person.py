"""The person a rehearsal asks: looks in now and then, finds out the truth, and answers.

They see what `status` says and what readers see at the networks, and use the same decisions as
`resolve` and `retry`. Whoever is asked about one delivery again and again gives up, and leaves it waiting.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline import decisions
from pipeline.accounts import Account
from pipeline.errors import NotAllowed
from pipeline.model import Delivery, DeliveryKey, State
from pipeline.rehearsal.networks import Networks
from pipeline.rehearsal.weather import Weather
from pipeline.tick import Pipeline

AFTER = timedelta(hours=1)  # how long it takes them to see that they are asked
PATIENCE = 3  # answers for one delivery


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person did about a delivery, and when (UTC)."""

    at: datetime
    key: DeliveryKey
    said: str


class Person:
    """Answers what waits, an hour after it began to."""

    def __init__(self, networks: Networks, weather: Weather) -> None:
        self._networks = networks
        self._weather = weather
        self._asked: dict[DeliveryKey, datetime] = {}
        self._told: Counter[DeliveryKey] = Counter()
        self.answers: list[Answer] = []

    def look(self, pipeline: Pipeline) -> datetime | None:
        """Answer what has waited long enough. When (UTC) to look next: now, if something was answered.

        None: nothing waits.
        """
        now = pipeline.clock.now()
        before = len(self.answers)
        waiting = [one.delivery for one in (*pipeline.waiting(), *pipeline.missed())]
        open_ = {one.key: one for one in waiting if self._told[one.key] < PATIENCE}
        self._asked = {key: self._asked.get(key, now) for key in open_}
        for key, delivery in open_.items():
            if self._asked[key] + AFTER > now:
                continue
            if self._weather.refuses(key.channel):
                self._asked[key] = now  # nobody helps by trying what is known to be down
            else:
                del self._asked[key]
                self._told[key] += 1
                self.answers.append(Answer(now, key, self._answer(pipeline, delivery)))
        if len(self.answers) > before:
            return now
        return min((asked + AFTER for asked in self._asked.values()), default=None)

    def _answer(self, pipeline: Pipeline, delivery: Delivery) -> str:
        name = str(delivery.key)
        try:
            if delivery.state is State.UNKNOWN:
                posted = self._is_there(delivery)
                decisions.resolve(pipeline, name, posted=posted, url=None)
                return "a person looked: it is there" if posted else "a person looked: it is not there"
            self._weather.renew(delivery.key.channel)
            decisions.retry(pipeline, name)
        except NotAllowed as refused:
            return f"a person wanted to help, but {refused}"
        return "a person saw to it and sent it again"

    def _is_there(self, delivery: Delivery) -> bool:
        assert delivery.rendition is not None  # what is unknown was claimed
        return delivery.rendition.text in (
            self._networks.shown(Account(delivery.network, delivery.key.channel)) or ()
        )
