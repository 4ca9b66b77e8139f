"""The feeds of a small campaign, byte for byte."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.feeds import scene


@pytest.mark.parametrize("name", list(scene.golden_campaigns()))
def test_the_feeds_are_the_golden_files_byte_for_byte(tmp_path: Path, name: str):
    campaign, releases = scene.golden_campaigns()[name]
    scene.lay_out(tmp_path)
    scene.write_everything(tmp_path, campaign, releases)
    written, golden = scene.golden_files(tmp_path / "public"), scene.golden_files(scene.GOLDEN / name)
    assert sorted(written) == sorted(golden)
    for file, data in written.items():
        assert data.decode() == golden[file].decode(), file


def test_a_second_run_changes_no_byte_and_no_mtime(tmp_path: Path):
    scene.lay_out(tmp_path)
    first = scene.write(tmp_path)
    # Of the campaign, three tags and two languages; two pictures, the page and its style.
    assert len(first.changed) == len(scene.FEED_FILES) * 6 + 4
    assert first.notices == ()
    for path in first.changed:
        os.utime(path, ns=(1, 1))
    before = {path: path.read_bytes() for path in first.changed}
    assert scene.write(tmp_path).changed == ()
    assert {path: path.read_bytes() for path in first.changed} == before
    assert {path.stat().st_mtime_ns for path in first.changed} == {1}


def test_the_order_in_which_releases_are_given_does_not_matter(tmp_path: Path):
    scene.lay_out(tmp_path)
    scene.write(tmp_path)
    assert scene.write(tmp_path, releases=tuple(reversed(scene.RELEASES))).changed == ()


def test_entries_released_at_the_same_instant_stand_in_the_order_of_their_ids(tmp_path: Path):
    scene.lay_out(tmp_path)
    together = tuple(scene.release(release.entry, 19) for release in scene.RELEASES)
    scene.write(tmp_path, releases=together)
    feed = json.loads((tmp_path / "public" / scene.CAMPAIGN.id / "feed.json").read_text())
    assert [item["id"].rpartition("/")[2] for item in feed["items"]] == ["jardin", "repair-cafe", "velo"]
    assert scene.write(tmp_path, releases=tuple(reversed(together))).changed == ()
