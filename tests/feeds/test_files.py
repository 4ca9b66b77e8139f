"""The campaign's folder: pictures are copied, kept when they vanish, and nothing else ever gets out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BrokenEnvironment
from pipeline.model import Image
from tests.feeds import scene

PICTURE = replace(scene.EDITED, id="photo", path="content/photo.md", tags=())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    scene.lay_out(tmp_path)
    return tmp_path


def media(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "public" / scene.CAMPAIGN.id / "media").glob("*"))


def write_one(root: Path, **changes: Any) -> tuple[Any, dict[str, Any]]:
    """Write a feed of one entry; what was written, and that entry as JSON Feed has it."""
    done = scene.write(root, releases=(scene.release(replace(PICTURE, **changes), 18),))
    feed = json.loads((root / "public" / scene.CAMPAIGN.id / "feed.json").read_text())
    return done, feed["items"][0]


def address(root: Path, name: str) -> str:
    return f"https://example.org/feeds/{scene.CAMPAIGN.id}/media/{name}"


def test_pictures_are_copied_and_the_feeds_point_to_the_copies(root: Path):
    done, entry = write_one(
        root, image=Image("content/images/jardin.png", "alt"), body="![plan](images/plan.gif)"
    )
    folder = root / "public" / scene.CAMPAIGN.id / "media"
    first, second = sorted(media(root), key=lambda name: name.endswith(".gif"))
    assert (folder / first).read_bytes() == scene.PNG
    assert (folder / second).read_bytes() == scene.GIF
    assert entry["image"] == address(root, first)
    assert address(root, second) in entry["content_html"]
    assert done.notices == ()
    # Whoever follows the feed finds the picture: it was there first.
    assert [path.suffix for path in done.changed] == [
        ".png",
        ".gif",
        ".css",
        ".xml",
        ".xml",
        ".json",
        ".html",
    ]


@pytest.mark.parametrize("src", ["images/plan.gif", "./images/../images/plan.gif", "images/pl%61n.gif?v=2"])
def test_a_picture_of_the_body_is_found_however_its_path_is_written(root: Path, src: str):
    done, entry = write_one(root, body=f"![plan]({src})")
    assert done.notices == ()
    assert address(root, media(root)[0]) in entry["content_html"]


def test_a_picture_of_the_body_may_be_named_from_content(root: Path):
    done, entry = write_one(root, path="content/2016/photo.md", body="![plan](images/plan.gif)")
    assert done.notices == ()
    assert address(root, media(root)[0]) in entry["content_html"]


def test_an_exchanged_picture_has_a_new_address_and_the_old_one_stays(root: Path):
    image = Image("content/images/jardin.png", "alt")
    _, before = write_one(root, image=image)
    (root / "content/images/jardin.png").write_bytes(scene.PNG + b"edited")
    _, after = write_one(root, image=image)
    assert before["image"] != after["image"]
    assert {before["image"], after["image"]} == {address(root, name) for name in media(root)}


def test_a_vanished_picture_is_kept_from_the_copy_and_the_caller_learns_of_it(root: Path):
    changes = {"image": Image("content/images/jardin.png", "alt"), "body": "![plan](images/plan.gif)"}
    _, before = write_one(root, **changes)
    (root / "content/images/jardin.png").unlink()
    (root / "content/images/plan.gif").unlink()
    done, after = write_one(root, **changes)
    assert after == before
    assert done.changed == ()
    assert len(done.notices) == 2
    assert done.notices[0].startswith("content/photo.md: content/images/jardin.png is not there; ")
    assert "copy" in done.notices[0]


@pytest.mark.parametrize("newest", [0, 1, 2])
def test_of_several_copies_of_a_vanished_picture_the_newest_is_kept(root: Path, newest: int):
    image = Image("content/images/jardin.png", "alt")
    source = root / "content/images/jardin.png"
    addresses = []
    for version in range(3):
        source.write_bytes(scene.PNG + bytes([version]))
        done, entry = write_one(root, image=image)
        os.utime(done.changed[0], ns=(0, 1 if version == newest else 0))
        addresses.append(entry["image"])
    source.unlink()
    _, entry = write_one(root, image=image)
    assert entry["image"] == addresses[newest]


def test_the_copy_of_another_entrys_picture_is_never_taken_instead(root: Path):
    image = Image("content/images/jardin.png", "alt")
    write_one(root, image=image)
    (root / "content/images/jardin.png").unlink()
    for other in ({"id": "photo-2"}, {"id": "phot"}, {"image": replace(image, path="content/jardin.png")}):
        _, entry = write_one(root, **({"image": image} | other))
        assert "image" not in entry


def test_a_picture_that_never_was_leaves_the_entry_without_it_and_its_alt_text_in_the_body(root: Path):
    done, entry = write_one(root, image=Image("content/no.png", "alt"), body="a ![le plan](no.gif) b")
    assert "image" not in entry
    assert entry["content_html"] == "<p>a le plan b</p>"
    assert [notice.partition("; ")[0] for notice in done.notices] == [
        "content/photo.md: content/no.png is not there",
        "content/photo.md: content/no.gif is not there",
    ]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../secret.png", "lies outside content/"),
        ("content/../secret.png", "lies outside content/"),
        ("content/link.png", "lies outside content/"),
        ("content/notes.png", "is not a PNG, JPEG, GIF or WebP picture"),
        ("content/drawing.svg", "is not a PNG, JPEG, GIF or WebP picture"),
        ("content/images", "is not there"),
        ("content/pipe.png", "is not there"),
        ("content/loop.png", "is not there"),
        ("content/a\0b.png", "is not a path"),
        ("content/" + "x" * 300, "cannot be read"),
        ("content", "lies outside content/"),
    ],
)
def test_only_pictures_under_content_are_ever_published(root: Path, path: str, reason: str):
    (root / "secret.png").write_bytes(scene.PNG)
    (root / "content/link.png").symlink_to(root / "secret.png")
    (root / "content/loop.png").symlink_to(root / "content/loop.png")
    (root / "content/notes.png").write_bytes(b"password: 123")
    (root / "content/drawing.svg").write_bytes(b"<svg/>")
    os.mkfifo(root / "content/pipe.png")
    done, entry = write_one(root, image=Image(path, "alt"))
    assert media(root) == []
    assert "image" not in entry
    (notice,) = done.notices
    assert reason in notice


@pytest.mark.parametrize(
    "src", ["../secret.png", "images/../../secret.png", "%2e%2e/secret.png", "a%00b.png"]
)
def test_a_body_cannot_reach_out_of_content_either(root: Path, src: str):
    (root / "secret.png").write_bytes(scene.PNG)
    done, entry = write_one(root, body=f"![alt text]({src})")
    assert media(root) == []
    assert entry["content_html"] == "<p>alt text</p>"
    assert len(done.notices) == 1


@pytest.mark.parametrize(
    ("data", "mime", "extension"),
    [
        (scene.PNG, "image/png", ".png"),
        (scene.GIF, "image/gif", ".gif"),
        (b"\xff\xd8\xff\xe0JFIF", "image/jpeg", ".jpg"),
        (b"RIFF\x0a\x00\x00\x00WEBPVP8 ", "image/webp", ".webp"),
    ],
)
def test_the_type_of_a_picture_follows_from_its_bytes_not_its_name(
    root: Path, data: bytes, mime: str, extension: str
):
    (root / "content/any.name").write_bytes(data)
    _, entry = write_one(root, image=Image("content/any.name", "alt"))
    assert entry["attachments"][0]["mime_type"] == mime
    assert entry["attachments"][0]["size_in_bytes"] == len(data)
    assert entry["image"].endswith(extension)


def test_without_a_public_address_pictures_are_kept_for_later(root: Path):
    releases = (scene.release(scene.WITH_PICTURE, 18),)
    scene.write(root, replace(scene.CAMPAIGN, public_url=None), releases)
    assert len(media(root)) == 2


@pytest.mark.parametrize("identity", ["..", ".", "../outside", "a/b", "", "a\0b", "/etc"])
def test_an_id_that_is_no_plain_name_writes_nothing(root: Path, identity: str):
    before = sorted(root.rglob("*"))
    with pytest.raises(ValueError, match="cannot name a file"):
        scene.write(root, replace(scene.CAMPAIGN, id=identity), ())
    with pytest.raises(ValueError, match="cannot name a file"):
        write_one(root, id=identity, image=Image("content/images/jardin.png", "alt"))
    assert sorted(root.rglob("*")) == before


def test_an_entry_released_twice_is_refused_and_the_feeds_stay_as_they_are(root: Path):
    scene.write(root)
    before = (root / "public" / scene.CAMPAIGN.id / "feed.xml").read_bytes()
    with pytest.raises(ValueError, match="released twice"):
        scene.write(root, releases=(*scene.RELEASES, scene.RELEASES[0]))
    assert (root / "public" / scene.CAMPAIGN.id / "feed.xml").read_bytes() == before


def test_a_folder_that_cannot_be_written_names_the_place_and_what_to_do(root: Path):
    (root / "public").write_bytes(b"a file where a folder should be")
    with pytest.raises(BrokenEnvironment, match="the feeds of sharing-lille cannot be written") as caught:
        scene.write(root)
    assert "public" in str(caught.value)
    assert caught.value.hint


def test_importing_the_package_loads_none_of_the_heavy_libraries():
    heavy = ("feedgen", "lxml", "markdown_it", "nh3", "dateutil")
    code = f"import sys, pipeline.feeds; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("settled", [True, False])
def test_a_picture_is_read_again_only_when_it_may_have_changed(
    root: Path, monkeypatch: pytest.MonkeyPatch, settled: bool
):
    image = Image("content/images/jardin.png", "alt")
    source = root / "content/images/jardin.png"
    _, before = write_one(root, image=image)
    copy = root / "public" / scene.CAMPAIGN.id / "media" / media(root)[0]
    after = source.stat().st_ctime_ns + (10 if settled else 1) * 10**9
    os.utime(copy, ns=(after, after))
    opened: list[Path] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path) or read(path))
    assert write_one(root, image=image)[1] == before
    assert (source in opened) is not settled
    # Of the same length, so that only the stamp of the file tells.
    source.write_bytes(scene.PNG[:-1] + b"!")
    assert write_one(root, image=image)[1]["image"] != before["image"]
    assert source in opened


def test_a_copy_that_was_lost_is_made_again(root: Path):
    image = Image("content/images/jardin.png", "alt")
    _, before = write_one(root, image=image)
    copy = root / "public" / scene.CAMPAIGN.id / "media" / media(root)[0]
    for lost in (b"", None):
        copy.unlink() if lost is None else copy.write_bytes(lost)
        if lost is not None:
            long_after = (root / "content/images/jardin.png").stat().st_ctime_ns + 10**10
            os.utime(copy, ns=(long_after, long_after))
        done, again = write_one(root, image=image)
        assert again == before
        assert done.changed == (copy,)
        assert copy.read_bytes() == scene.PNG
