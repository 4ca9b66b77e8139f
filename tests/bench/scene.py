"""What is measured: entries as editors write them, a campaign of them, and a project in a folder.

Everything comes from the number of an entry, so that two runs measure the same. No clock of the machine is
read: the calendar begins on the first of January 2018.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from pipeline import app, content, schedules
from pipeline.clock import Clock
from pipeline.composing import compose
from pipeline.model import Campaign, Delivery, Entry, Post
from pipeline.rehearsal.standins.mastodon import TOKEN
from pipeline.settings import Settings
from pipeline.tick import Pipeline

FIRST = date(2018, 1, 1)
BEFORE = datetime(2017, 12, 31, 12, tzinfo=UTC)  # every campaign is planned, and nothing due
YEAR = 365
USUAL = 260  # characters of a summary: entries are as long as those of the campaign in content/
LONGEST = 500  # characters a summary may have

# Every network, with the options it cannot do without.
CHANNELS: dict[str, dict[str, str]] = {
    "outbox": {},
    "x": {},
    "mastodon": {"instance": "https://mastodon.example"},
    "bluesky": {"handle": "lille.example"},
    "facebook": {"page": "1"},
    "webhook": {"url": "https://example.org/crochet"},
}
FIVE = ("outbox", "x", "mastodon", "bluesky", "facebook")

_WHO = (
    "Des voisins",
    "Des associations",
    "Trois étudiantes",
    "Les habitants",
    "Deux coopératives",
    "Des collectifs",
)
_WHERE = (
    "à Fives",
    "à Lille-Sud",
    "près d’EuraTechnologies",
    "à Wazemmes",
    "dans le Vieux-Lille",
    "à Hellemmes",
)
_WHAT = (
    "partagent leurs outils le samedi matin",
    "réparent des vélos et apprennent à le faire",
    "louent de quoi stocker à ceux qui manquent de place",
    "cultivent un jardin ouvert à tous, été comme hiver",
    "récupèrent les invendus du marché pour en faire des repas",
    "prêtent des livres sans rien demander en retour",
    "ont levé 600 000 euros auprès de 1 200 particuliers",
)
_WHY = (
    "L’idée est née d’un constat simple : chacun possède trop, et personne assez.",
    "Tout est gratuit ; on paie de son temps.",
    "« On n’attend plus que vous ! », dit M. Delattre, l’un des fondateurs.",
    "En 2017, plus de 3 000 personnes y ont pris part, p. ex. lors de la fête des voisins.",
    "Le site tient un agenda, une carte et une foire aux questions.",
)
_TAGS = (
    "accessibilité",
    "citoyenneté",
    "civic tech",
    "consigne",
    "covoiturage",
    "cuisine",
    "démocratie",
    "emploi",
    "données ouvertes",
    "économie collaborative",
    "entraide",
    "formation",
    "habitat",
    "jardin",
    "numérique",
    "parents",
    "partage",
    "récup’",
    "stockage",
    "vélo",
    "ville collaborative",
    "vrac",
    "zéro déchet",
)


# --------------------------------------------------------------------------- what editors write


def entry_id(number: int) -> str:
    """The id of an entry, in the order of the numbers."""
    return f"projet-{number:04}"


def front_matter(number: int, longest: int = USUAL) -> dict[str, object]:
    """The keys of an entry; its summary has as many whole sentences as `longest` allows."""
    chance = random.Random(f"entry {number}")
    summary = _sentence(chance)
    while len(longer := f"{summary} {_sentence(chance)}") <= longest:
        summary = longer
    chance = random.Random(f"keys {number}")
    return {
        "title": f"{chance.choice(_WHO)} {chance.choice(_WHERE)}, projet {number}",
        "summary": summary,
        "url": f"https://example.org/projets/{number}?page=présentation",
        "tags": chance.sample(_TAGS, chance.choice((2, 2, 3))),
        "place": f"{chance.choice(_WHERE).split(maxsplit=1)[1]}, Lille",
    }


def body(number: int) -> str:
    """Two paragraphs of Markdown, a list and a link."""
    chance = random.Random(f"body {number}")
    paragraphs = [" ".join(_sentence(chance) for _ in range(2)) for _ in range(2)]
    points = "\n".join(f"- **{chance.choice(_WHO)}** {chance.choice(_WHAT)}" for _ in range(2))
    link = f"Plus d’informations [sur leur site](https://example.org/{number})."
    return "\n\n".join([*paragraphs, points, link]) + "\n"


def entry_text(number: int) -> str:
    """The file."""
    return f"---\n{_yaml(front_matter(number))}---\n{body(number)}"


def campaign_text(
    days: int, channels: Mapping[str, Mapping[str, str]], entries: Collection[str] | None = None
) -> str:
    """One entry a day from FIRST on, all of them or those named; the event on the day after the last."""
    event = FIRST + timedelta(days=days)
    document: dict[str, object] = {
        "title": "Lille, ville collaborative : un projet par jour",
        "description": "Un projet collaboratif par jour avant Sharing Lille.",
        "language": "fr",
        "link": "https://example.org/sharing-lille/",
        "public_url": "https://example.org/feeds/",
        "authority": "example.org,2016",
        "event": {"name": "Sharing Lille", "starts": f"{event} 09:00", "timezone": "Europe/Paris"},
        "posting": {"time": "09:00", "until": f"{event - timedelta(days=1)}"},
        "text": "J-{{ days_left }} avant {{ event.name }} : {{ entry.title }}. {{ entry.summary }}\n"
        "{{ entry.url }} {{ hashtags }}",
        "channels": channels,
    }
    if entries is not None:
        document["entries"] = list(entries)
    return _yaml(document)


def _sentence(chance: random.Random) -> str:
    if chance.random() < 0.4:
        return chance.choice(_WHY)
    return f"{chance.choice(_WHO)} {chance.choice(_WHERE)} {chance.choice(_WHAT)}."


def _yaml(document: Mapping[str, object]) -> str:
    """Plain scalars where editors write them, lists and mappings in one line."""
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in document.items())


# --------------------------------------------------------------------------- as the pipeline has it


def entry(number: int) -> Entry:
    """The entry as it is read. Raises AssertionError when the scene has a problem."""
    parsed = content.parse_entry(f"content/{entry_id(number)}.md", entry_text(number))
    assert parsed.value is not None, parsed.problems
    return parsed.value


def campaign(days: int, *networks: str) -> Campaign:
    """The campaign as it is read."""
    text = campaign_text(days, {name: CHANNELS[name] for name in networks})
    parsed = schedules.parse_campaign("schedules/lille.yaml", text)
    assert parsed.value is not None, parsed.problems
    return parsed.value


def post(network: str) -> Post:
    """An entry with the longest summary it may have, composed for the network."""
    whole = campaign(1, network)
    (channel,) = whole.channels
    summary = str(front_matter(0, LONGEST)["summary"])
    return compose(replace(entry(0), summary=summary), whole, channel, FIRST)


# --------------------------------------------------------------------------- in a folder


def write_project(root: Path, entries: int, channels: Mapping[str, Mapping[str, str]]) -> Settings:
    """A campaign of so many entries, one a day. Every channel's credentials are those of the stand-in."""
    settings = begin_project(root)
    for number in range(entries):
        (root / f"content/{entry_id(number)}.md").write_text(entry_text(number), encoding="utf-8")
    (root / "schedules/lille.yaml").write_text(campaign_text(entries, channels), encoding="utf-8")
    return settings


def begin_project(root: Path) -> Settings:
    """An empty project."""
    for folder in ("content", "schedules"):
        (root / folder).mkdir(parents=True)
    (root / ".env").write_text(f"PIPELINE_MASTODON_ACCESS_TOKEN={TOKEN}\n", encoding="utf-8")
    return Settings(root, f"sqlite:///{root}/state/ledger.db")


@contextmanager
def planned(settings: Settings, clock: Clock) -> Iterator[tuple[Pipeline, Iterator[Delivery]]]:
    """The pipeline over its ledger, as commands open it, and what it has planned, in order."""
    with app.open_pipeline(settings, clock=clock, workers=0) as pipeline:
        report = pipeline.tick()
        assert not report.problems, report.problems
        yield pipeline, iter(pipeline.ledger.deliveries())


def five(**addresses: str) -> dict[str, dict[str, str]]:
    """The channels of FIVE as campaigns write them; `addresses` are where some of them are reached."""
    return {name: CHANNELS[name] | ({"api": addresses[name]} if name in addresses else {}) for name in FIVE}


def renamed(number: int, title: str) -> Entry:
    """The entry under another title."""
    return replace(entry(number), title=title)
