"""Entries: what an editor may write, how it is read, and that nothing they type ends in an exception."""

from __future__ import annotations

import subprocess
import sys
import time
import unicodedata
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.content import check_image, parse_entry, place_image, read_entry, scan
from pipeline.model import Entry, Image
from tests.support.editing import BROKEN, assert_sound, documents, edits, expected, found

FAULTS = expected("content/")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
FULL = """---
title: "OuiStock : louer la place"
summary: >-
  Trop de place d’un côté,
  pas assez de l’autre.
url: https://example.org/é/oui?x=1#y
image: images/oui.png
image_alt: Une étagère
image_credit: OuiStock
tags: [zéro déchet, 2016, no, Zéro Déchet]
place: Lille
lang: zh-hant-tw
status: draft
id: oui-stock
date: 2016-04-18
posts:
  mastodon: |
    Bonjour {{ entry.title }} :
    là
  x: court
---
# Corps

---
fin
"""


def entry(text: str, path: str = "content/oui.md") -> Entry:
    parsed = parse_entry(path, text)
    assert parsed.problems == ()
    assert parsed.value is not None
    return parsed.value


def small(*lines: str, path: str = "content/oui.md") -> Entry:
    return entry(front(*lines), path)


def front(*lines: str) -> str:
    given = {line.split(":")[0] for line in lines}
    base = ["title: OuiStock", "summary: Louer.", "url: https://example.org/"]
    return "\n".join(["---", *(b for b in base if b.split(":")[0] not in given), *lines, "---", ""])


def codes(*lines: str, path: str = "content/oui.md") -> list[str]:
    return [problem.code for problem in parse_entry(path, front(*lines)).problems]


def test_an_entry_with_every_key_is_read_whole():
    assert entry(FULL, "content/2016/a.md") == Entry(
        id="oui-stock",
        path="content/2016/a.md",
        title="OuiStock : louer la place",
        summary="Trop de place d’un côté, pas assez de l’autre.",
        url="https://example.org/é/oui?x=1#y",
        body="# Corps\n\n---\nfin\n",
        image=Image("content/2016/images/oui.png", "Une étagère", "OuiStock"),
        tags=("zéro déchet", "2016", "no"),
        place="Lille",
        lang="zh-Hant-TW",
        draft=True,
        pinned=date(2016, 4, 18),
        posts={"mastodon": "Bonjour {{ entry.title }} :\nlà\n", "x": "court"},
    )


def test_an_entry_needs_three_keys_and_takes_its_id_from_the_file_name():
    assert small() == Entry("oui", "content/oui.md", "OuiStock", "Louer.", "https://example.org/")


def test_words_that_yaml_would_convert_stay_words():
    read = small("title: 2016", "lang: no", "place: 12:30", "id: 0123", "tags: [on, 1e3]")
    assert (read.title, read.lang, read.place, read.id, read.tags) == (
        "2016",
        "no",
        "12:30",
        "0123",
        ("on", "1e3"),
    )


def test_empty_optional_keys_count_as_absent():
    assert small("image:", "tags:", "place: ~", "lang: null", "status:", "posts:", "id:", "date:") == small()


@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("tags: #zéro #déchet", "5:1 E103"),
        ("tags: [#zéro, #déchet]", "5:8 E004"),
        ("tags: [zéro, #déchet]", "5:14 E004"),
        ("place: #1 rue", "5:1 E103"),
    ],
)
def test_a_sign_that_begins_a_remark_does_not_swallow_a_value(typed: str, place: str):
    parsed = parse_entry("content/oui.md", front(typed))
    assert [f"{p.line}:{p.column} {p.code}" for p in parsed.problems] == [place]
    assert "#" in parsed.problems[0].message


def test_a_remark_behind_an_empty_key_is_only_that():
    assert small("tags: # none yet", "place:  # to be found") == small()


def test_line_ends_of_windows_a_byte_order_mark_and_trailing_spaces_change_nothing():
    windows = "\ufeff" + FULL.replace("\n", "\r\n").replace("---\r\n", "--- \t\r\n", 1)
    assert entry(windows) == entry(FULL)


def test_text_is_composed_trimmed_and_joined():
    read = small('title: "  e\u0301te\u0301   a\u0300 Lille  "', "summary: |", "  Un", "  deux\u00a0:  trois")
    assert read.title == "été à Lille"
    assert read.summary == "Un deux\u00a0: trois"


def test_one_tag_may_stand_without_brackets():
    assert small("tags: zéro déchet").tags == ("zéro déchet",)


@pytest.mark.parametrize("nothing", ["\\u200B", "\\u2060\\u00AD", " \\u00A0\\u202F", "\\u3000"])
def test_a_text_of_which_nothing_shows_is_empty(nothing):
    assert codes("image: o.png", f'image_alt: "{nothing}"') == ["E104"]
    assert codes(f'title: "{nothing}"') == ["E104"]


@pytest.mark.parametrize("length", [1, 120])
def test_a_title_has_1_to_120_characters(length: int):
    assert small(f"title: {'é' * length}").title == "é" * length
    assert codes(f"title: {'é' * 121}") == ["E104"]


def test_a_summary_has_500_characters_at_most():
    assert len(small(f"summary: {'é' * 500}").summary) == 500
    assert codes(f"summary: {'é' * 501}") == ["E104"]


LOOKS = ["a < b et c > d", "3 <4> 5", "R&D", "[a] (b)", "5 * 3 * 2", "un_deux", "Lille <3 & co; 1 <-> 2"]


@pytest.mark.parametrize("key", ["title", "summary", "place"])
@pytest.mark.parametrize("text", LOOKS)
def test_signs_that_only_look_like_markup_may_stand_in_a_text(key: str, text: str):
    assert getattr(small(f'{key}: "{text}"'), key) == text


@pytest.mark.parametrize("key", ["title", "summary", "place", "image_credit"])
@pytest.mark.parametrize(
    "text", ["<b>gras</b>", "R&amp;D", "a <br/> b", "[a](https://example.org)", "x&#8217;y"]
)
def test_markup_may_not_stand_in_what_readers_are_shown_as_plain_text(key: str, text: str):
    assert codes("image: o.png", "image_alt: Un plan.", f'{key}: "{text}"') == ["E112"]


def test_a_tag_and_the_name_of_a_picture_are_no_texts():
    entry = small("image: a&amp;b.png", "image_alt: Un plan.", 'tags: ["R&amp;D"]')
    assert entry.tags == ("R&amp;D",)
    assert entry.image is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "HTTP://EXAMPLE.ORG:8080/a,b;c='d'(e)!",
        "https://épicerie-équitable.example/à%20côté",
        "http://127.0.0.1:8000/",
        "http://[::1]:8000/",
        "http://localhost/",
        "https://例え.jp/道",
    ],
)
def test_urls_of_the_real_web_are_taken_as_they_are(url: str):
    assert small(f'url: "{url}"').url == url


@pytest.mark.parametrize(
    "url",
    [
        "//example.org/",
        "https://",
        "https:///page",
        "https:example.org",
        "https://moi@example.org/",
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://a..b/",
        "https://[::1/",
        "https://exa mple.org/",
        "https://example.org/\u200bpage",
        "https://example.org/<b>",
        "javascript:alert(1)",
        "https://example.org/" + "a" * 2000,
    ],
)
def test_urls_that_lead_nowhere_or_carry_a_password_are_refused(url: str):
    assert codes(f'url: "{url}"') == ["E105"]


@pytest.mark.parametrize(
    ("typed", "tag"),
    [
        ("fr", "fr"),
        ("FR-ca", "fr-CA"),
        ("sr-latn-rs", "sr-Latn-RS"),
        ("de-ch-1996", "de-CH-1996"),
        ("es-419", "es-419"),
        ("en-u-ca-gregory", "en-u-ca-gregory"),
        ("fr-x-ch-tim", "fr-x-ch-tim"),
    ],
)
def test_a_language_is_written_in_its_usual_case(typed: str, tag: str):
    assert small(f"lang: {typed}").lang == tag


@pytest.mark.parametrize("typed", ["f", "french", "fr_CA", "fr-", "fr--CA", "fr-x", "12", "fr-CA-CA", "é"])
def test_a_language_that_is_not_well_formed_is_refused(typed: str):
    assert codes(f'lang: "{typed}"') == ["E108"]


@pytest.mark.parametrize(
    "name", ["Été", "oui stock", "-oui", ".oui", "a" * 81, "oui/stock", "OUI", "œuvre", "日本"]
)
def test_an_id_fits_file_names_feeds_and_ledger_and_a_better_one_is_proposed(name: str):
    parsed = parse_entry("content/oui.md", front(f'id: "{name}"'))
    assert [problem.code for problem in parsed.problems] == ["E110"]
    proposed = parsed.problems[0].hint.rpartition("`")[0].rpartition("`")[2]
    assert small(f'id: "{proposed}"').id == proposed


def test_dates_are_days_of_the_calendar():
    assert small("date: 2016-02-29").pinned == date(2016, 2, 29)
    for wrong in ("2015-02-29", "2016-4-18", "0001-01-01", "9999-12-31", "20160418", "٢٠١٦-٠٤-١٨"):
        assert codes(f'date: "{wrong}"') == ["E106"]


def test_a_hint_proposes_what_was_probably_meant():
    def hints(*lines: str) -> str:
        return " ".join(problem.hint for problem in parse_entry("content/oui.md", front(*lines)).problems)

    assert "`summary`" in hints("sumary: x")
    assert "`summary`" in hints("résumé: x")
    assert "`2016-04-18`" in hints("date: 18/04/2016")
    assert "`https://www.example.org/a`" in hints("url: www.example.org/a")
    assert "`fr-FR`" in hints("lang: fr_FR")
    assert "[stockage, partage]" in hints("tags: stockage, partage")
    assert '`place: "Lille : Euralille"`' in hints("place: Lille : Euralille")


@pytest.mark.parametrize("path", sorted(FAULTS))
def test_each_broken_file_is_told_at_its_line_and_column(path: str):
    parsed = read_entry(BROKEN, path)
    assert found(parsed) == FAULTS[path]
    assert parsed.value is None
    assert all(problem.path == path and problem.hint for problem in parsed.problems)


def test_the_whole_folder_of_broken_files_is_told_in_one_pass():
    assert {path: found(read_entry(BROKEN, path)) for path in scan(BROKEN)} == FAULTS


def test_scan_leaves_out_readmes(tmp_path: Path):
    for name in ("README.md", "a/ReadMe.md", "a/readme-not.md", "b.md", "notes.txt"):
        (tmp_path / "content" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "content" / name).write_text("x", encoding="utf-8")
    assert scan(tmp_path) == ["content/a/readme-not.md", "content/b.md"]


def test_a_file_name_that_is_not_utf8_is_a_problem_that_can_be_printed():
    parsed = parse_entry("content/caf\udce9.md", front("id: cafe"))
    assert [problem.code for problem in parsed.problems] == ["E110"]
    assert_sound(parsed, front())


# --------------------------------------------------------------------------- pictures


def with_image(root: Path, image: str, path: str = "content/2016/oui.md") -> tuple[Entry, list[str]]:
    text = front(f"image: {image}", "image_alt: Une étagère")
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")
    parsed = parse_entry(path, text)
    assert parsed.value is not None
    placed = place_image(root, parsed.value)
    problems = check_image(root, placed, parsed.marks)
    assert read_entry(root, path).problems == tuple(problems)
    assert {problem.line for problem in problems} <= {5}
    return placed, [problem.code for problem in problems]


def put(root: Path, path: str, data: bytes = PNG) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)


@pytest.mark.parametrize(
    ("lies", "written"),
    [
        ("content/2016/images/a.png", "images/a.png"),
        ("content/images/a.png", "images/a.png"),
        ("content/images/a.png", "../images/a.png"),
        ("content/images/a.png", "./../images//a.png"),
        ("content/images/a.png", "content/images/a.png"),
    ],
)
def test_an_image_lies_beside_the_entry_or_under_content(tmp_path: Path, lies: str, written: str):
    put(tmp_path, lies)
    placed, problems = with_image(tmp_path, written)
    assert problems == []
    assert placed.image is not None
    assert placed.image.path == lies


@pytest.mark.parametrize(
    "data", [PNG, b"\xff\xd8\xff\xe0JFIF", b"GIF87a..", b"GIF89a..", b"RIFF\n\0\0\0WEBPVP8 "]
)
def test_pictures_are_known_by_their_first_bytes(tmp_path: Path, data: bytes):
    put(tmp_path, "content/2016/a.txt", data)
    assert with_image(tmp_path, "a.txt")[1] == []


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"\x89PN", b"%PDF-1.4", b"RIFF\0\0\0\0WAVE"])
def test_other_files_are_no_pictures(tmp_path: Path, data: bytes):
    put(tmp_path, "content/2016/a.png", data)
    assert with_image(tmp_path, "a.png")[1] == ["E203"]


def test_an_image_that_is_missing_a_folder_or_behind_a_link_out_of_content_is_refused(tmp_path: Path):
    put(tmp_path, "secret.png")
    (tmp_path / "content/2016/folder.png").mkdir(parents=True)
    (tmp_path / "content/2016/link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "content/2016/out").symlink_to(tmp_path)
    (tmp_path / "content/2016/loop.png").symlink_to("loop.png")
    for name in (
        "gone.png",
        "folder.png",
        "link.png",
        "out/secret.png",
        "loop.png",
        "a" * 300 + ".png",
        "x/y.png",
    ):
        assert with_image(tmp_path, name)[1] == ["E202"], name


DECOMPOSED = unicodedata.normalize("NFD", "été/à vélo.png")


@pytest.mark.parametrize("written", [DECOMPOSED, unicodedata.normalize("NFC", DECOMPOSED)])
def test_an_image_whose_name_is_decomposed_on_the_disk_is_found(tmp_path: Path, written: str):
    put(tmp_path, f"content/{DECOMPOSED}")
    placed, problems = with_image(tmp_path, written)
    assert problems == []
    assert placed.image is not None
    assert placed.image.path == f"content/{DECOMPOSED}"


@pytest.mark.parametrize(
    ("written", "hint"),
    [("out.png", "leads out of"), ("loop.png", "link to nowhere"), ("folder.png", "is a folder")],
)
def test_an_image_that_is_there_but_of_no_use_is_not_proposed_again(tmp_path: Path, written: str, hint: str):
    put(tmp_path, "secret.png")
    (tmp_path / "content/2016/folder.png").mkdir(parents=True)
    (tmp_path / "content/2016/out.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "content/2016/loop.png").symlink_to("loop.png")
    with_image(tmp_path, written)
    (problem,) = read_entry(tmp_path, "content/2016/oui.md").problems
    assert hint in problem.hint
    assert "Did you mean" not in problem.hint


@pytest.mark.parametrize(
    "image", ["../../secret.png", "/etc/passwd", "C:\\a.png", "..\\a.png", "data:x", ".."]
)
def test_a_path_that_leaves_content_is_refused_without_a_look_at_the_disk(image: str):
    assert codes(f"image: '{image}'", "image_alt: x", path="content/2016/oui.md") == ["E202"]


# --------------------------------------------------------------------------- anything at all


KEYS = (
    "title",
    "summary",
    "url",
    "image",
    "image_alt",
    "tags",
    "place",
    "lang",
    "status",
    "id",
    "date",
    "posts",
)


@given(st.text(max_size=300))
def test_any_text_gives_an_entry_or_problems(text: str):
    assert_sound(parse_entry("content/a.md", text), text)
    typed = f"---\n{text}\n---\n{text}"
    assert_sound(parse_entry("content/a.md", typed), typed)


@given(edits(FULL))
def test_any_clumsy_edit_gives_an_entry_or_problems(text: str):
    assert_sound(parse_entry("content/a.md", text), text)


@given(documents(KEYS))
def test_any_value_under_any_key_gives_an_entry_or_problems(text: str):
    typed = f"---\n{text}---\n"
    assert_sound(parse_entry("content/a.md", typed), typed)


@given(st.binary(max_size=300))
def test_any_bytes_in_a_file_give_an_entry_or_problems(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    root = tmp_path_factory.getbasetemp()
    put(root, "content/any.md", data)
    assert_sound(read_entry(root, "content/any.md"), data.decode("utf-8", "replace"))


def test_a_run_of_unsorted_accents_is_told_quickly():
    text = front("title: a" + "\u0301\u0323" * 100_000)
    before = time.perf_counter()
    assert [problem.code for problem in parse_entry("content/a.md", text).problems] == ["E104"]
    assert time.perf_counter() - before < 10


def test_reading_content_loads_no_markdown_feed_network_or_image_library():
    code = (
        "import sys, pipeline.content, pipeline.schedules; "
        "print(*sorted({m.split('.')[0] for m in sys.modules} & set(sys.argv[1:])))"
    )
    heavy = [
        "markdown_it",
        "nh3",
        "feedgen",
        "lxml",
        "http",
        "ssl",
        "requests",
        "PIL",
        "sqlalchemy",
        "jinja2",
    ]
    run = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
