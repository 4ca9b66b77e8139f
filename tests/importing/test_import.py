"""An existing feed becomes drafts: of every format the same, once, over real sockets."""

from __future__ import annotations

import gzip
import json
import os
from time import monotonic

import pytest

from pipeline.errors import BrokenEnvironment, WrongUse
from pipeline.importing import MOST_ENTRIES, MOST_FEEDS, Imported, import_feed
from pipeline.importing.fetching import LARGEST_FEED, LARGEST_PICTURE, MOST_REDIRECTS
from pipeline.importing.folder import MOST_FAILURES
from tests.cli.commands import run
from tests.importing.feeds import HOME, ITEMS, atom, entries, escaped, json_feed, rss, rss_item
from tests.support.projects import PIXEL, Project
from tests.support.web import Page, serving

FORMATS = {"rss": rss, "atom": atom, "json": json_feed}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


@pytest.fixture
def root(project):
    return project.root


@pytest.fixture
def web():
    with serving() as serves:
        yield serves


def of_web(root, web, data: bytes, into: str | None = None, **headers: str) -> Imported:
    web.pages["/feed"] = Page(data, headers=headers)
    return import_feed(root, f"{web.url}/feed", into)


def with_picture(web, element: str, picture: bytes = PIXEL) -> bytes:
    web.pages["/a.png"] = Page(picture)
    return rss(rss_item(ITEMS[0], element.replace("URL", f"{web.url}/a.png")))


# --------------------------------------------------------------------------- what is made of it


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("place", ["file", "web"])
def test_every_format_becomes_the_same_drafts(root, web, tmp_path, form, place):
    if place == "web":
        done = of_web(root, web, FORMATS[form]())
    else:
        file = tmp_path / "feed"
        file.write_bytes(FORMATS[form]())
        done = import_feed(root, str(file))
    assert done.made == ("content/cafe-reparation.md", "content/eco-quartier.md", "content/x-y.md")
    assert (done.known, done.notices, done.failed) == (0, (), ())
    first, second, third = entries(root).values()
    assert all(one.draft and one.pinned is None for one in (first, second, third))
    assert (first.title, first.summary, first.url) == (
        "Café & réparation",
        "Un résumé. Deux phrases.",
        f"{HOME}1",
    )
    assert (first.lang, first.tags, first.body.strip()) == ("fr", ("zéro déchet",), "Un **corps**.")
    assert second.body.strip() == "Deux [liens](https://a.example/)."
    assert (third.title, third.body.strip()) == ("x < y", "- un\n- deux")


@pytest.mark.parametrize("form", FORMATS)
def test_importing_twice_adds_nothing(root, web, form):
    of_web(root, web, FORMATS[form]())
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    again = of_web(root, web, FORMATS[form]())
    assert (again.made, again.known) == ((), 3)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_draft_is_known_wherever_it_went_and_whatever_it_became(root, web):
    of_web(root, web, rss())
    (root / "content/2016").mkdir()
    moved = root / "content/2016/autre-nom.md"
    text = (root / "content/eco-quartier.md").read_text(encoding="utf-8")
    (root / "content/eco-quartier.md").unlink()
    moved.write_text(text.replace("Éco-quartier", "Tout autre chose").replace("status: draft\n", ""), "utf-8")
    assert of_web(root, web, rss().replace("Éco-quartier".encode(), b"Nouveau titre")).made == ()
    new = rss(rss_item(("tag:blog.example,2016:9", "Éco-quartier", "9", "Neuf.", "<p>9</p>")))
    assert of_web(root, web, new).made == ("content/eco-quartier.md",)


def test_no_file_that_exists_is_touched(project, web):
    mine = project.entry("cafe-reparation", title="Le mien").read_bytes()
    (project.root / "content/eco-quartier.png").write_bytes(b"mine")
    project.write(
        "content/sub/brouillon.md", "---\nid: x-y\ntitle: a\nsummary: a\nurl: https://a.example/\n---\n"
    )
    done = of_web(project.root, web, rss())
    assert done.made == ("content/cafe-reparation-2.md", "content/eco-quartier-2.md", "content/x-y-2.md")
    assert (project.root / "content/cafe-reparation.md").read_bytes() == mine
    assert (project.root / "content/eco-quartier.png").read_bytes() == b"mine"
    assert len({entry.id for entry in entries(project.root).values()}) == 5


def test_ids_that_are_no_uris_are_those_of_their_feed(root, web):
    of_web(root, web, rss(rss_item(("1", "Un", "1", "Un.", ""))))
    other = rss(rss_item(("1", "Un", "1", "Un.", ""))).replace(HOME.encode(), b"https://autre.example/")
    assert of_web(root, web, other).made == ("content/un-2.md",)


def test_drafts_go_into_a_folder_of_content(root, web):
    assert of_web(root, web, rss(), "content/blog/2016").made[0] == "content/blog/2016/cafe-reparation.md"
    assert len(entries(root)) == 3


@pytest.mark.parametrize("into", ["..", "schedules", "content/../..", "/tmp", "content/.git", "elsewhere"])
def test_no_other_folder_is_written_to(root, web, into):
    with pytest.raises(WrongUse, match=r"is no folder of content/"):
        of_web(root, web, rss(), into)
    assert entries(root) == {}


def test_a_link_that_leads_out_of_content_is_no_folder_of_it(root, web, tmp_path):
    (root / "content/out").symlink_to(tmp_path)
    with pytest.raises(WrongUse, match=r"is no folder of content/"):
        of_web(root, web, rss(), "content/out")


def test_a_long_text_is_shortened_to_whole_sentences(root, web):
    long = "Une phrase de trente-six caractères. " * 40
    done = of_web(root, web, rss(rss_item(("tag:a,2016:1", "T" * 300, "1", long, ""))))
    (entry,) = entries(root).values()
    assert done.made
    assert 450 < len(entry.summary) <= 500
    assert entry.summary.endswith("caractères.")
    assert len(entry.title) <= 120


def test_an_entry_without_a_summary_takes_it_from_its_text(root, web):
    html = escaped("<h2>Titre</h2><p>Un corps.</p>")
    item = f"<item><link>{HOME}1</link><description>{html}</description></item>"
    of_web(root, web, rss(item))
    (entry,) = entries(root).values()
    assert (entry.title, entry.summary) == ("Titre Un corps.", "Titre Un corps.")


def test_html_becomes_markdown_that_means_the_same(root, web):
    body = (
        '<h2>Titre</h2><p>1 * 2 &lt;b&gt; [x](y)</p><p onclick="x()">a<br>b</p><script>alert(1)</script>'
        '<a href="javascript:x">js</a> <a href="https://a.example/(1) 2">lien</a>'
        '<img src="/b.png" alt="b] c">'
        "<table><tr><th>a</th></tr><tr><td>1|2</td></tr></table>"
        "<iframe src='https://x.example/'></iframe>"
    )
    of_web(root, web, rss(rss_item(("tag:a,2016:1", "T", "1", "S.", body))))
    (entry,) = entries(root).values()
    from pipeline.feeds import html

    shown = html.render(entry.body, base=HOME)
    assert "<h2>Titre</h2>" in shown
    assert "1 * 2 &lt;b&gt; [x](y)" in shown
    assert "alert" not in shown + entry.body
    assert "javascript" not in shown + entry.body
    assert 'href="https://a.example/%281%29%202"' in shown
    assert 'alt="b] c"' in shown
    assert "<td>1|2</td>" in shown
    assert "iframe" not in entry.body


def one_of_json(root, web, **keys: str):
    """The only entry of a JSON Feed, which no library has looked through beforehand."""
    item = {"id": "tag:a,2016:1", "url": f"{HOME}1", "title": "T", "summary": "S.", **keys}
    of_web(root, web, json.dumps({"items": [item]}).encode())
    (entry,) = entries(root).values()
    return entry


def test_what_runs_is_left_out_with_all_it_holds(root, web):
    body = (
        "<p>a</p><script>alert(1)</script><style>b{}</style><p onclick='x()'>c</p><svg><title>d</title></svg>"
    )
    entry = one_of_json(root, web, content_html=body + '<a href="javascript:x">e</a>')
    assert entry.body.split() == ["a", "c", "e"]


def test_a_text_escaped_over_and_over_is_still_plain(root, web):
    times = "<b>gras</b> &eacute;"
    for _ in range(5):
        times = escaped(times)
        entry = one_of_json(
            root, web, summary=times, url=f"{HOME}{len(times)}", id=f"tag:a,2016:{len(times)}"
        )
        assert "gras" in entry.summary
        (root / entry.path).unlink()


def test_characters_that_feeds_refuse_are_left_out(root, web):
    entry = one_of_json(root, web, content_html="<p>a&#1;bc\u2028d&#xFFFE;e</p>", title="T\u0000\ufeff&#1;")
    assert entry.body.strip() == "abcde"
    assert entry.title.startswith("T")


# --------------------------------------------------------------------------- pictures

ELEMENTS = {
    "media": '<media:content url="URL" medium="image"><media:description>Une tasse</media:description>'
    "<media:credit>Ada</media:credit></media:content>",
    "enclosure": '<enclosure url="URL" type="image/png" length="1"/>',
    "thumbnail": '<media:thumbnail url="URL"/>',
}


@pytest.mark.parametrize("element", ELEMENTS)
def test_a_picture_comes_along(root, web, element):
    done = of_web(root, web, with_picture(web, ELEMENTS[element]))
    assert (root / "content/cafe-reparation.png").read_bytes() == PIXEL
    (entry,) = entries(root).values()
    if element == "media":
        assert (entry.image.alt, entry.image.credit) == ("Une tasse", "Ada")
        assert done.notices == ()
        assert "tasse" not in entry.summary + entry.body
    else:
        assert entry.image is None, "nobody has said what it shows"
        assert "write `image_alt`" in done.notices[0]
        path = root / "content/cafe-reparation.md"
        waiting = path.read_text(encoding="utf-8")
        path.write_text(waiting.replace("# image", "image").replace("…", "Une tasse"), "utf-8")
        assert entries(root)["content/cafe-reparation.md"].image.alt == "Une tasse"


def test_what_a_picture_shows_is_not_taken_for_the_text(root, web):
    element = (
        ELEMENTS["media"].replace("URL", f"{web.url}/a.png").replace("Une tasse", "Une tasse, longuement")
    )
    web.pages["/a.png"] = Page(PIXEL)
    item = f"<item><title>T</title><link>{HOME}1</link><description>Court.</description>{element}</item>"
    of_web(root, web, rss(item))
    (entry,) = entries(root).values()
    assert (entry.summary, entry.body.strip()) == ("Court.", "Court.")
    assert entry.image.alt == "Une tasse, longuement"


def test_the_first_picture_of_the_body_is_taken_and_not_shown_twice(root, web):
    web.pages["/b.png"] = Page(PIXEL)
    body = (
        f'<img src="{web.url}/x.gif" width="1" height="1"><p>a<img src="{web.url}/b.png" alt="Une rue">b</p>'
    )
    of_web(root, web, rss(rss_item(("tag:a,2016:1", "T", "1", "S.", body))))
    (entry,) = entries(root).values()
    assert entry.image.alt == "Une rue"
    assert "b.png" not in entry.body


def test_a_json_feed_has_pictures_too(root, web):
    web.pages["/a.png"] = Page(PIXEL)
    document = json.loads(json_feed())
    document["items"][0] |= {"image": "/a.png", "content_html": '<img src="/a.png" alt="Une tasse">'}
    document["items"][0]["url"] = f"{web.url}/1"
    of_web(root, web, json.dumps(document).encode())
    assert entries(root)["content/cafe-reparation.md"].image.alt == "Une tasse"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (Page(b"not here", 404), "answered 404"),
        (Page(b"<html>"), "is not a PNG, JPEG, GIF or WebP picture"),
        (Page(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), "is not a PNG"),
        (Page(PIXEL + b"x" * LARGEST_PICTURE), "larger than"),
        (Page(b"", 302, {"Location": "file:///etc/passwd"}), "not an absolute http"),
        (Page(b"", 302, {"Location": "http://10.0.0.1/a.png"}), "no public address"),
        (Page(b"", 302, {"Location": "http://[::1]/a.png"}), "no public address"),
        (Page(b"", 302, {"Location": "/a.png"}), "points elsewhere more than"),
    ],
    ids=["gone", "page", "svg", "too large", "local file", "private", "loopback", "loop"],
)
def test_without_a_usable_picture_the_entry_comes_alone(root, web, page, words):
    data = with_picture(web, ELEMENTS["media"])
    web.pages["/a.png"] = page
    done = of_web(root, web, data)
    (entry,) = entries(root).values()
    assert entry.image is None
    assert [path.suffix for path in (root / "content").iterdir()] == [".md"]
    assert words in done.notices[0]
    assert len(web.statuses("/a.png")) <= MOST_REDIRECTS + 1


def test_a_host_whose_pictures_fail_is_not_asked_for_ever(root, web):
    items = [
        rss_item((f"tag:a,2016:{n}", f"T{n}", str(n), "S.", f'<img src="{web.url}/{n}.png">'))
        for n in range(20)
    ]
    done = of_web(root, web, rss("".join(items)))
    assert len(done.made) == 20
    assert len(web.asked) == 1 + MOST_FAILURES


# --------------------------------------------------------------------------- whom it asks


def test_a_feed_from_elsewhere_cannot_reach_into_this_machine(root, web, tmp_path):
    """A file, as downloaded from anywhere, names a picture on loopback: nobody asks for it."""
    file = tmp_path / "feed.xml"
    file.write_bytes(with_picture(web, ELEMENTS["media"]))
    done = import_feed(root, str(file))
    assert web.asked == []
    assert "no public address" in done.notices[0]
    assert len(entries(root)) == 1


def test_a_feed_of_this_machine_reaches_its_own_host_only(root, web):
    data = with_picture(web, ELEMENTS["media"]).replace(b"http://127.0.0.1", b"http://127.0.0.2")
    done = of_web(root, web, data)
    assert [one.path for one in web.asked] == ["/feed"]
    assert "no public address" in done.notices[0]


def test_a_name_of_this_machine_is_no_way_around(root, web):
    data = with_picture(web, ELEMENTS["media"]).replace(b"http://127.0.0.1", b"http://localhost")
    of_web(root, web, data)
    assert [one.path for one in web.asked] == ["/feed"]


def test_a_list_from_elsewhere_cannot_reach_into_this_machine(root, web, tmp_path):
    web.pages["/feed"] = Page(rss())
    file = tmp_path / "list.opml"
    file.write_text(f'<opml><body><outline xmlUrl="{web.url}/feed"/></body></opml>')
    done = import_feed(root, str(file))
    assert web.asked == []
    assert "no public address" in str(done.failed[0])


@pytest.mark.parametrize("name", ["FILE", "file://FILE", "WEB/secret"])
def test_a_feed_that_is_a_name_is_not_opened(root, web, tmp_path, name):
    """The library would take bytes like these for what they name: here, a feed that could be imported."""
    (tmp_path / "secret").write_bytes(rss())
    web.pages["/secret"] = Page(rss())
    text = name.replace("FILE", str(tmp_path / "secret")).replace("WEB", web.url)
    with pytest.raises(WrongUse, match="is no feed"):
        of_web(root, web, text.encode())
    assert [one.path for one in web.asked] == ["/feed"]
    assert entries(root) == {}


def test_entities_bring_in_no_file(root, web, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("geheimnis")
    web.pages |= {"/a.png": Page(PIXEL), "/y": Page(b"geheimnis")}
    head = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "file://{secret}"><!ENTITY y SYSTEM "{web.url}/y">]>'
    item = (
        f"<item><guid>tag:a,2016:1</guid><title>t &x; &y;</title><link>{HOME}1</link>"
        f'<description>&x; s</description><media:content url="{web.url}/a.png" medium="image">'
        "<media:description>alt &x; &y;</media:description></media:content></item>"
    )
    done = of_web(root, web, rss(item, head))
    assert len(done.made) == 1
    assert all("geheimnis" not in path.read_text(encoding="utf-8") for path in root.rglob("*.md"))
    assert [one.path for one in web.asked] == ["/feed", "/a.png"]


def bomb(levels: int = 9, each: int = 10) -> str:
    entities = ['<!ENTITY e0 "boom">']
    entities += [f'<!ENTITY e{n} "{f"&e{n - 1};" * each}">' for n in range(1, levels + 1)]
    return f"<!DOCTYPE rss [{''.join(entities)}]>"


def test_entities_do_not_explode(root, web):
    began = monotonic()
    item = f"<item><title>t &e9;</title><link>{HOME}1</link><description>&e9;</description></item>"
    done = of_web(root, web, rss(item, bomb()))
    assert monotonic() - began < 20
    assert all(len((root / path).read_bytes()) < 10_000 for path in done.made)


def test_a_compressed_answer_does_not_explode(root, web):
    packed = gzip.compress(b"<rss>" + b" " * (50 * LARGEST_FEED))
    with pytest.raises(BrokenEnvironment, match="larger than"):
        of_web(root, web, packed, **{"Content-Encoding": "gzip"})


def test_a_file_is_bounded_too(root, tmp_path):
    file = tmp_path / "feed.xml"
    file.write_bytes(b"<rss>" + b" " * LARGEST_FEED)
    with pytest.raises(WrongUse, match="larger than 4 MiB"):
        import_feed(root, str(file))


def test_a_feed_that_drips_is_cut_off(root):
    from datetime import timedelta

    from pipeline.importing import fetching
    from tests.support import sockets

    hasty = fetching.Limits(total=timedelta(seconds=1))
    with sockets.serving(sockets.dripping(b"HTTP/1.1 200 OK\r\n\r\n<rss>", 0.05)) as server:
        began = monotonic()
        with pytest.raises(BrokenEnvironment, match="the limit of 1 s"):
            fetching.Fetcher(server.url)._fetch(server.url, hasty, "*/*")
        assert monotonic() - began < 5
    assert fetching._FEED.total <= timedelta(minutes=1)


def test_a_body_nested_beyond_reason_is_plain_text(root, web):
    body = "<div>" * 20_000 + "fond" + "</div>" * 20_000
    of_web(root, web, rss(rss_item(("tag:a,2016:1", "T", "1", "S.", body))))
    (entry,) = entries(root).values()
    assert entry.title == "T"


def test_a_redirect_of_the_feed_is_followed(root, web):
    web.pages["/old"] = Page(b"", 301, {"Location": "/feed"})
    web.pages["/feed"] = Page(rss())
    assert len(import_feed(root, f"{web.url}/old").made) == 3


# --------------------------------------------------------------------------- lists, pages, and what is none


def test_a_list_imports_each_feed_and_tells_of_those_that_fail(root, web):
    web.pages |= {"/rss": Page(rss()), "/atom": Page(atom()), "/none": Page(b"hello")}
    web.pages["/list"] = Page(
        b"<?xml version='1.0'?><opml version='2.0'><body><outline text='a'><outline xmlUrl='/rss'/></outline>"
        b"<outline xmlUrl='/gone'/><outline xmlUrl='/none'/><outline xmlUrl='/rss'/><outline text='no feed'/>"
        b"<outline xmlUrl='file:///etc/passwd'/><outline xmlUrl='/atom'/></body></opml>"
    )
    done = import_feed(root, f"{web.url}/list")
    assert len(done.made) == 3
    assert done.known == 3, "the same entries in another format"
    told = [str(error) for error in done.failed]
    assert ["404" in told[0], "is no feed" in told[1], "file:" in told[2]] == [True] * 3
    assert len(told) == 3


def test_a_page_leads_to_its_feed(root, web):
    web.pages["/feed"] = Page(rss())
    web.pages["/"] = Page(
        b"<!DOCTYPE html><html><head><link rel='stylesheet' href='/x'>"
        b"<link rel='alternate' hreflang='de' href='/de'>"
        b"<link rel='alternate' type='application/rss+xml' href='/feed'></head><body>Bonjour</body></html>"
    )
    assert len(import_feed(root, f"{web.url}/").made) == 3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<html><body>no feed</body></html>",
        b"{}",
        b"[1]",
        b'{"items": 1}',
        b"\xff\xfe",
        b"<rss",
        b"{",
    ],
    ids=repr,
)
def test_what_is_no_feed_is_told(root, web, data):
    with pytest.raises(WrongUse, match="is no feed") as raised:
        of_web(root, web, data)
    assert "RSS, Atom or JSON feed" in raised.value.hint
    assert entries(root) == {}


def test_an_empty_list_is_told(root, web):
    with pytest.raises(WrongUse, match="names no feed"):
        of_web(root, web, b"<opml><body/></opml>")


def test_entries_that_cannot_be_used_are_told_of(root, web):
    items = "<item><title>Sans adresse</title><link>javascript:x</link></item><item><guid>x</guid></item>"
    done = of_web(root, web, rss(items))
    assert done.made == ()
    assert len([one for one in done.notices if one.startswith("left out")]) == 2


def test_limits_are_told(root, web):
    items = "".join(rss_item((f"tag:a,2016:{n}", f"T{n}", str(n), "S.", "")) for n in range(MOST_ENTRIES + 1))
    done = of_web(root, web, rss(items))
    assert len(done.made) == MOST_ENTRIES
    assert f"only the first {MOST_ENTRIES}" in done.notices[0]
    outlines = "".join(f"<outline xmlUrl='/gone/{n}'/>" for n in range(MOST_FEEDS + 5))
    done = of_web(root, web, f"<opml><body>{outlines}</body></opml>".encode())
    assert len(done.failed) == MOST_FEEDS + 1
    assert f"only the first {MOST_FEEDS}" in str(done.failed[0])


# --------------------------------------------------------------------------- the command


def test_the_command_says_what_it_made(root, web):
    web.pages["/feed"] = Page(rss())
    ran = run("import", f"{web.url}/feed", "--into", "content/blog", "--root", root)
    assert "made content/blog/cafe-reparation.md" in ran.out
    assert "3 drafts made, 0 were imported before" in ran.out
    again = run("import", f"{web.url}/feed", "--root", root, "--json").json()
    assert again == {"made": [], "known": 3, "notices": [], "failed": []}
    run("check", "--root", root)


def test_the_command_ends_as_the_interface_says(root, web):
    ran = run("import", root / "nothing.xml", "--root", root, status=2)
    assert "is not a file" in ran.err
    assert "https://" in ran.err
    ran = run("import", f"{web.url}/gone", "--root", root, status=4)
    assert "answered 404" in ran.err
    web.pages["/page"] = Page(b"<html>")
    run("import", f"{web.url}/page", "--root", root, status=2)
    web.pages |= {
        "/feed": Page(rss()),
        "/list": Page(b"<opml><outline xmlUrl='/gone'/><outline xmlUrl='/feed'/></opml>"),
    }
    ran = run("import", f"{web.url}/list", "--root", root, status=4)
    assert "3 drafts made" in ran.out
    assert "answered 404" in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(root, web):
    (root / "content").chmod(0o500)
    web.pages["/feed"] = Page(rss())
    run("import", f"{web.url}/feed", "--root", root, status=4)
    (root / "content").chmod(0o700)
