"""Whatever an editor writes that `check` accepts, every document is well-formed and valid."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from lxml import etree

from pipeline import feeds
from pipeline.content import parse_entry
from pipeline.model import Release
from tests.feeds import judges, scene

letters = st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp"))
words = st.text(letters, min_size=1, max_size=40).filter(str.strip)
tags = st.lists(st.from_regex(r"[^\W_]{1,8}( [^\W_]{1,8})?", fullmatch=True), max_size=4)
picture = st.fixed_dictionaries(
    {"image": st.just("images/jardin.png"), "image_alt": words}, optional={"image_credit": words}
)
matter = st.fixed_dictionaries(
    {
        "title": words,
        "summary": words,
        "url": st.sampled_from(["https://example.org/é?ü", "http://a.example"]),
    },
    optional={
        "tags": tags,
        "place": words,
        "lang": st.sampled_from(["en", "ar", "pt-BR", "zh-Hant", "FR"]),
    },
)
markdown = st.text(max_size=200) | st.sampled_from(
    ["]]>", "<b>x", "&nbsp;&#0;&#xD800;", "![a](images/plan.gif)", "<script>x</script>", "[x](javascript:y)"]
)


@st.composite
def accepted(draw: Any) -> Any:
    """An entry as `check` lets it pass."""
    front = yaml.safe_dump(draw(matter) | draw(st.just({}) | picture), allow_unicode=True)
    parsed = parse_entry("content/jardin.md", f"---\n{front}---\n{draw(markdown)}")
    assume(parsed.value is not None)
    assume(not any(problem.severity == "error" for problem in parsed.problems))
    return parsed.value


@given(entry=accepted(), retracted=st.booleans(), campaign=st.sampled_from(["fr", "en"]))
def test_every_entry_that_check_accepts_gives_valid_documents(entry: Any, retracted: bool, campaign: str):
    when = datetime(2016, 4, 20, 9, tzinfo=UTC)
    release = replace(scene.release(entry, 18), retracted=when if retracted else None)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        scene.lay_out(root)
        others = tuple(one for one in scene.RELEASES if one.entry.id != entry.id)
        scene.write_everything(root, replace(scene.CAMPAIGN, language=campaign), (release, *others))
        judged = judges.judge_folder(root / "public")
        assert len(judged) >= 3 * 3 + 1
        feed = judges.judge_json((root / "public" / scene.CAMPAIGN.id / "feed.json").read_bytes())
        assert len(feed["items"]) == len(others) + (not retracted)


@pytest.mark.parametrize("name", list(scene.golden_campaigns()))
def test_the_golden_files_are_valid(name: str):
    judged = judges.judge_folder(scene.GOLDEN / name)
    assert {"feed.xml", "atom.xml", "feed.json", f"{scene.CAMPAIGN.id}/atom.xml"} <= set(judged)


def test_archive_pages_are_valid(tmp_path: Path):
    first = scene.RELEASES[0]
    scene.lay_out(tmp_path)
    many: list[Release] = [
        replace(
            first,
            entry=replace(first.entry, id=f"e{n:03}"),
            released=first.released + timedelta(days=n),
            updated=first.released + timedelta(days=n),
            retracted=first.released + timedelta(days=400) if n % 7 == 3 else None,
        )
        for n in range(2 * feeds.LENGTH + 5)
    ]
    scene.write_everything(tmp_path, scene.CAMPAIGN, many)
    judged = judges.judge_folder(tmp_path / "public")
    # The campaign's and two tags', in three formats.
    assert len([name for name in judged if "/archive/" in name]) == 2 * 3 * 3


@pytest.mark.parametrize(
    "broken",
    [
        b"<title>Lille, ville collaborative : 3 projets</title>",
        b"<id>tag:example.org,2016:sharing-lille/velo</id>",
        b"<updated>2016-04-20T12:34:56+00:00</updated>",
    ],
)
def test_the_judge_of_atom_sees_what_is_missing(broken: bytes):
    data = (scene.GOLDEN / "full" / scene.CAMPAIGN.id / "atom.xml").read_bytes()
    assert broken in data
    with pytest.raises(AssertionError):
        judges.judge_atom(data.replace(broken, b""))
    with pytest.raises(etree.XMLSyntaxError):
        judges.judge_atom(data + b"<")


@pytest.mark.parametrize("broken", ['"id"', '"content_html"', '"version"', '"date_published": "2016'])
def test_the_judge_of_json_sees_what_is_wrong(broken: str):
    data = (scene.GOLDEN / "full" / scene.CAMPAIGN.id / "feed.json").read_text()
    assert broken in data
    with pytest.raises(AssertionError):
        judges.judge_json(data.replace(broken, broken[:-1] + "x" + broken[-1]).encode())
