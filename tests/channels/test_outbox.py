"""The embedded network: files that a reader never sees half, and that say the same every time."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.atomic import TEMPORARY_PREFIX
from pipeline.channels import open_channel
from pipeline.channels.base import (
    Absent,
    CannotTell,
    DoesNotFit,
    Found,
    NotAcceptedError,
    OutcomeUnknownError,
    RejectedError,
)
from pipeline.channels.outbox_page import page, read_post
from pipeline.composing import compose
from pipeline.model import Image, PermanentKey, Receipt, Rendition
from tests.support.builders import make_campaign, make_entry, outbox, surroundings

GOLDEN = Path(__file__).parent.parent / "golden" / "outbox"
DAY = date(2016, 4, 11)
SINCE = datetime(2016, 4, 11, 7, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n not much of a picture"
PICTURE = Image("content/images/bulle.png", "Une bulle <ronde> & bleue", "Photo : C Ma Bulle")


class Scene:
    """A project folder with one picture, an outbox, and what is posted to it."""

    def __init__(
        self, root: Path, *, public_url: str | None = "https://example.org/feeds/", **options: str
    ) -> None:
        self.root = root
        self.public = root / "public"
        self.picture = root / PICTURE.path
        self.picture.parent.mkdir(parents=True, exist_ok=True)
        self.picture.write_bytes(PNG)
        self.campaign = make_campaign(public_url=public_url)
        self.config = outbox(options=options)
        self.channel = open_channel(self.campaign, self.config, surroundings(root, self.public))

    def rendition(self, *, day: date = DAY, key: str = "lille/bulle/outbox", **changes: object) -> Rendition:
        entry = make_entry("bulle", **{"image": PICTURE, "tags": ("zéro déchet",), **changes})
        post = compose(entry, self.campaign, self.config, day)
        return self.channel.render(self.channel.fit(post), key)

    def files(self) -> dict[str, bytes]:
        found = sorted(path for path in self.public.rglob("*") if path.is_file())
        return {path.relative_to(self.public).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_post_is_a_json_a_page_and_a_copy_of_its_picture(scene: Scene):
    rendition = scene.rendition()
    receipt = scene.channel.publish(rendition)
    base = "outbox/lille/2016-04-11-bulle"
    assert scene.files() == {
        f"{base}.json": rendition.body,
        f"{base}.html": page(rendition.body),
        "outbox/lille/media/2016-04-11-bulle.png": PNG,
    }
    assert receipt == Receipt(f"{base}.html", f"https://example.org/feeds/{base}.html", rendition.digest)


def test_files_are_byte_for_byte_what_they_were(scene: Scene):
    scene.channel.publish(scene.rendition())
    scene.channel.publish(
        scene.rendition(day=date(2016, 4, 12), key="lille/bulle/2", image=None, title="Sans image")
    )
    made = {Path(name).name: data for name, data in scene.files().items() if not name.endswith(".png")}
    kept = {path.name: path.read_bytes() for path in GOLDEN.iterdir()}
    assert made == kept


def test_the_json_is_canonical(scene: Scene):
    body = scene.rendition().body
    document = json.loads(body)
    assert body == (json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()
    assert document["length"] == len(document["text"])
    assert document["hashtags"] == ["#ZéroDéchet"]
    assert document["image"] == {"alt": PICTURE.alt, "credit": PICTURE.credit, "path": PICTURE.path}
    assert (document["days_left"], document["date"], document["key"]) == (
        10,
        "2016-04-11",
        "lille/bulle/outbox",
    )


def test_without_a_public_address_there_is_no_url(tmp_path: Path):
    scene = Scene(tmp_path, public_url=None)
    assert scene.channel.publish(scene.rendition()).url is None


def test_repeating_a_request_leaves_the_files_untouched(scene: Scene):
    rendition = scene.rendition()
    scene.channel.publish(rendition)
    paths = [path for path in scene.public.rglob("*") if path.is_file()]
    for path in paths:
        os.utime(path, (1, 1))
    scene.channel.publish(rendition)
    assert [path.stat().st_mtime for path in paths] == [1] * len(paths)


def test_a_key_is_kept_even_for_another_day_and_other_words(scene: Scene):
    first = scene.channel.publish(scene.rendition())
    before = scene.files()
    later = scene.rendition(day=date(2016, 4, 15), title="Autre titre")
    assert scene.channel.publish(later) == first
    assert scene.channel.find(later, SINCE) == Found(first)
    assert scene.files() == before


def test_another_posts_file_is_not_overwritten(scene: Scene):
    scene.channel.publish(scene.rendition())
    before = scene.files()
    other = scene.rendition(key="lille/bulle/other")
    with pytest.raises(RejectedError, match="holds another post; move it away"):
        scene.channel.publish(other)
    assert scene.channel.find(other, SINCE) == Absent()
    assert scene.files() == before


def test_a_vanished_picture_is_for_a_person_to_settle(scene: Scene):
    rendition = scene.rendition()
    scene.picture.unlink()
    with pytest.raises(RejectedError, match=r"content/images/bulle\.png is gone; put it back") as refusal:
        scene.channel.publish(rendition)
    assert refusal.value.field == "image"
    assert scene.files() == {}


def test_a_picture_already_copied_may_vanish(scene: Scene):
    rendition = scene.rendition()
    blocker = scene.public / "outbox/lille/2016-04-11-bulle.json"
    blocker.mkdir(parents=True)
    with pytest.raises(OutcomeUnknownError):
        scene.channel.publish(rendition)
    blocker.rmdir()
    scene.picture.unlink()
    assert scene.channel.publish(rendition).digest == rendition.digest


def test_a_picture_outside_the_project_is_refused(scene: Scene, tmp_path_factory: pytest.TempPathFactory):
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    secret.write_bytes(PNG)
    scene.picture.unlink()
    scene.picture.symlink_to(secret)
    with pytest.raises(RejectedError, match="outside"):
        scene.channel.publish(scene.rendition())
    assert scene.files() == {}


def test_a_page_that_cannot_be_written_is_not_accepted(scene: Scene):
    (scene.public / "outbox/lille/2016-04-11-bulle.html").mkdir(parents=True)
    with pytest.raises(NotAcceptedError, match=r"2016-04-11-bulle\.html cannot be written: Is a directory"):
        scene.channel.publish(scene.rendition())


def test_a_failure_after_the_page_is_there_is_unknown(scene: Scene):
    rendition = scene.rendition()
    html = scene.public / "outbox/lille/2016-04-11-bulle.html"
    html.parent.mkdir(parents=True)
    html.write_bytes(page(rendition.body))
    (html.parent / "media").write_bytes(b"in the way")
    with pytest.raises(OutcomeUnknownError, match="is there, but"):
        scene.channel.publish(rendition)


def test_a_damaged_file_is_no_evidence_and_is_mended_by_the_next_request(scene: Scene):
    rendition = scene.rendition()
    scene.channel.publish(rendition)
    path = scene.public / "outbox/lille/2016-04-11-bulle.json"
    for damage in (
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'{"image": 1}',
        rendition.body.replace(b'"lang": "fr"', b'"lang": 7'),
    ):
        path.write_bytes(damage)
        assert isinstance(scene.channel.find(rendition, SINCE), CannotTell)
        scene.channel.publish(rendition)
        assert path.read_bytes() == rendition.body


def test_a_folder_in_place_of_the_file_cannot_be_told(scene: Scene):
    (scene.public / "outbox/lille/2016-04-11-bulle.json").mkdir(parents=True)
    assert isinstance(scene.channel.find(scene.rendition(), SINCE), CannotTell)


def test_an_edit_with_another_picture_leaves_no_old_one(scene: Scene):
    receipt = scene.channel.publish(scene.rendition())
    (scene.picture.parent / "neuf.jpg").write_bytes(b"jpeg")
    changed = scene.rendition(image=replace(PICTURE, path="content/images/neuf.jpg"))
    scene.channel.edit(receipt, changed)
    assert sorted(scene.files()) == [
        "outbox/lille/2016-04-11-bulle.html",
        "outbox/lille/2016-04-11-bulle.json",
        "outbox/lille/media/2016-04-11-bulle.jpg",
    ]


def test_an_edit_cannot_turn_one_post_into_another(scene: Scene):
    receipt = scene.channel.publish(scene.rendition())
    before = scene.files()
    with pytest.raises(RejectedError, match="another day"):
        scene.channel.edit(receipt, scene.rendition(day=date(2016, 4, 12)))
    assert scene.files() == before


def test_deleting_takes_the_picture_along_and_leaves_the_neighbours(scene: Scene):
    receipt = scene.channel.publish(scene.rendition())
    scene.channel.publish(scene.rendition(day=date(2016, 4, 12), key="other"))
    scene.channel.delete(receipt)
    assert sorted(scene.files()) == [
        "outbox/lille/2016-04-12-bulle.html",
        "outbox/lille/2016-04-12-bulle.json",
        "outbox/lille/media/2016-04-12-bulle.png",
    ]


def test_a_deletion_that_fails_is_said_to_be_uncertain(scene: Scene):
    receipt = scene.channel.publish(scene.rendition())
    html = scene.public / receipt.remote_id
    html.unlink()
    html.mkdir()
    with pytest.raises(OutcomeUnknownError, match="cannot be removed"):
        scene.channel.delete(receipt)


@pytest.mark.parametrize("name", ["..", "../../etc", "a/b", "", "/etc", ".hidden", "a\0b"])
def test_no_name_leads_out_of_the_outbox(scene: Scene, name: str):
    body = json.loads(scene.rendition().body)
    for part in ("campaign", "entry", "channel"):
        evil = replace(scene.rendition(), body=json.dumps({**body, part: name}).encode())
        if part == "entry" and name in ("..", "", ".hidden"):
            continue  # a plain file name once the date stands before it
        with pytest.raises(RejectedError):
            scene.channel.publish(evil)
    with pytest.raises(RejectedError):
        scene.channel.delete(Receipt(f"{name}/x.html", None, ""))
    with pytest.raises(RejectedError):
        scene.channel.delete(Receipt(f"outbox/{name or '..'}/../x.html", None, ""))
    assert scene.files() == {}


def test_a_link_that_leads_out_is_not_followed(scene: Scene, tmp_path_factory: pytest.TempPathFactory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (scene.public / "outbox").mkdir(parents=True)
    (scene.public / "outbox" / "lille").symlink_to(elsewhere)
    with pytest.raises(RejectedError, match="leads out"):
        scene.channel.publish(scene.rendition())
    assert list(elsewhere.iterdir()) == []


def test_bytes_that_are_no_post_are_refused(scene: Scene):
    with pytest.raises(RejectedError, match="not a post of an outbox"):
        scene.channel.publish(Rendition("key", b"[]", ""))


def test_a_folder_that_cannot_be_written_is_named(scene: Scene):
    scene.public.write_bytes(b"")
    with pytest.raises(NotAcceptedError, match="outbox cannot be written"):
        scene.channel.verify()


def test_a_limit_shortens_the_summary_only(tmp_path: Path):
    scene = Scene(tmp_path, limit="90")
    rendition = scene.rendition()
    document = json.loads(rendition.body)
    assert document["length"] <= 90
    assert document["text"].endswith("https://example.org/bulle #ZéroDéchet")
    assert "Un projet" in document["text"]
    with pytest.raises(DoesNotFit):
        Scene(tmp_path, limit="20").rendition()


def test_what_the_network_allows_follows_the_campaign(tmp_path: Path):
    config = outbox(timeout=timedelta(seconds=9), settle=timedelta(seconds=1))
    traits = open_channel(make_campaign(), config, surroundings(tmp_path)).traits
    assert (traits.timeout, traits.settle) == (timedelta(seconds=9), timedelta(seconds=1))
    assert (traits.key, traits.lookup, traits.edit, traits.delete) == (PermanentKey(), True, True, True)
    assert Scene(tmp_path).channel.traits.timeout == timedelta(seconds=5)


class Reader(HTMLParser):
    """What a browser would see: tags with their attributes, and the words."""

    def __init__(self, source: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(source.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("durable", [True, False])
def test_a_post_is_on_the_disk_unless_it_need_not_outlive_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
):
    scene = Scene(tmp_path)
    channel = open_channel(
        scene.campaign, scene.config, replace(surroundings(tmp_path, scene.public), durable=durable)
    )
    synced: list[Path] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").resolve())
    )
    channel.publish(scene.rendition())
    folder = scene.public / "outbox/lille"
    written = [path.parent for path in synced if path.name.startswith(TEMPORARY_PREFIX)]
    named = [path for path in synced if path.is_dir()]
    # Picture, page and JSON, each followed by its name.
    wanted = [folder / "media", folder, folder] if durable else []
    assert written == named == wanted


def test_the_page_shows_text_links_hashtags_and_picture(scene: Scene):
    reader = Reader(page(scene.rendition().body))
    assert reader.all("html") == [{"lang": "fr"}]
    assert {link["href"] for link in reader.all("a")} == {"https://example.org/bulle"}
    assert reader.all("span") == [{"class": "tag"}]
    assert reader.all("img") == [{"src": "media/2016-04-11-bulle.png", "alt": PICTURE.alt}]
    assert PICTURE.credit in reader.words
    assert "J-10 : Projet bulle." in reader.words


@given(
    st.text()
    | st.sampled_from(["<script>alert(1)</script>", 'x" onclick="y', "</title>", "javascript:alert(1)"])
)
def test_nothing_an_editor_types_becomes_markup(text: str):
    fields = ("campaign", "entry", "channel", "date", "title", "text", "url", "lang", "key")
    body = json.dumps({**dict.fromkeys(fields, text), "image": {"path": text, "alt": text, "credit": text}})
    reader = Reader(page(body.encode().replace(b"\\ud", b"x")))
    known = {
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "body",
        "main",
        "article",
        "header",
        "time",
        "h1",
    }
    assert {tag for tag, _ in reader.tags} <= known | {
        "p",
        "br",
        "a",
        "span",
        "figure",
        "figcaption",
        "img",
        "footer",
    }
    assert all((link["href"] or "").lower().startswith(("http://", "https://")) for link in reader.all("a"))
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)


def test_only_a_full_address_becomes_a_link(scene: Scene):
    body = {**json.loads(scene.rendition().body), "text": "www.exemple.fr et HTTPS://exemple.fr/é, fin"}
    reader = Reader(page(json.dumps(body).encode()))
    assert [link["href"] for link in reader.all("a")] == ["HTTPS://exemple.fr/é", "https://example.org/bulle"]
    assert "www.exemple.fr et" in reader.words


def test_deleting_a_post_whose_folder_is_gone_is_fine(scene: Scene):
    receipt = scene.channel.publish(scene.rendition())
    folder = (scene.public / receipt.remote_id).parent
    shutil.rmtree(folder)
    scene.channel.delete(receipt)
    folder.write_bytes(b"")
    scene.channel.delete(receipt)
    assert folder.read_bytes() == b""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_post_that_cannot_be_read_is_never_taken_for_absent(scene: Scene):
    rendition = scene.rendition()
    receipt = scene.channel.publish(rendition)
    (scene.public / receipt.remote_id).with_suffix(".json").chmod(0)
    assert isinstance(scene.channel.find(rendition, SINCE), CannotTell)
    with pytest.raises(OutcomeUnknownError, match="cannot be read"):
        scene.channel.publish(rendition)


def test_a_picture_without_a_usable_suffix_still_has_a_name(scene: Scene):
    body = json.loads(scene.rendition().body)
    body["image"]["path"] = "content/x.p/g"
    assert read_post(json.dumps(body).encode()).media_name == "2016-04-11-bulle"
