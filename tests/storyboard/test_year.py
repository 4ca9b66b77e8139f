"""A year of daily posts on five channels is drawn while one waits for it, and browsers can open it."""

from __future__ import annotations

import time

import pytest

from pipeline import app
from pipeline.settings import Settings

SUMMARY = (
    "Trop de place d’un côté, pas assez de l’autre : ce site permet aux particuliers de se louer de quoi "
    "stocker. À l’été 2015, il annonçait avoir levé 600 000 euros. Une dernière phrase est là pour tomber "
    "si besoin."
)
CAMPAIGN = """\
title: Une année
description: Un projet par jour.
language: fr
link: https://example.org/annee/
event: {name: La fin, starts: "2031-01-01 09:00", timezone: Europe/Paris}
text: "J-{{ days_left }} avant {{ event.name }} : {{ entry.title }}\\n{{ entry.summary }}\\n{{ entry.url }}"
channels:
  x: {}
  mastodon: {instance: "https://mastodon.example"}
  bluesky: {handle: lille.example}
  facebook: {page: "1"}
  presse: {network: webhook, url: "https://example.org/crochet"}
"""
DRAWN_WITHIN = 9.0  # seconds of processor time with reading and checking, three times what it takes alone
MEGABYTES = 8


@pytest.mark.long
def test_a_year_on_five_channels(tmp_path):
    for folder in ("content", "schedules"):
        (tmp_path / folder).mkdir()
    for number in range(365):
        (tmp_path / f"content/p{number:03}.md").write_text(
            f'---\ntitle: Projet {number}\nsummary: "{SUMMARY}"\nurl: https://example.org/{number}\n---\nTexte.\n'
        )
    (tmp_path / "schedules/annee.yaml").write_text(CAMPAIGN)
    settings = Settings(tmp_path, f"sqlite:///{tmp_path}/state/ledger.db")
    begin = time.process_time()
    drawn, problems = app.preview_project(settings, tmp_path / "out")
    assert time.process_time() - begin < DRAWN_WITHIN
    assert problems == []
    assert drawn.page.count(b"<article") == 365 * 5
    assert len(drawn.page) < MEGABYTES * 1_000_000
