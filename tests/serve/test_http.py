"""What readers get over real sockets: types, validators, ranges, encodings, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import os
from email.utils import formatdate, parsedate_to_datetime

import brotli
import feedparser
import pytest
import requests

from pipeline.feeds.landing import FeedLink, page
from pipeline.feeds.style import CSS
from pipeline.serve.files import LARGE
from pipeline.serve.site import LONGEST_HEAD, LONGEST_TARGET
from tests.serve.site import (
    ATOM_FEED,
    CLOCK,
    HUB,
    JSON_FEED,
    LONG_AGO,
    LONG_AGO_TEXT,
    RSS,
    SELF,
    STYLE_SHEET,
    Site,
    served,
)

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
OPML = b'<?xml version="1.0"?><opml version="2.0"><head/><body/></opml>'


# --------------------------------------------------------------------------- types


@pytest.mark.parametrize(
    ("path", "data", "mime"),
    [
        ("feed.xml", RSS, "application/rss+xml; charset=utf-8"),
        ("whatever.xml", ATOM_FEED, "application/atom+xml; charset=utf-8"),
        ("feed.json", JSON_FEED, "application/feed+json; charset=utf-8"),
        ("post.json", b'{"key": 1}', "application/json; charset=utf-8"),
        ("list.json", b"[1]", "application/json; charset=utf-8"),
        ("broken.json", b"{", "application/json; charset=utf-8"),
        ("broken.xml", b"<rss>", "application/xml; charset=utf-8"),
        ("empty.xml", b"", "application/xml; charset=utf-8"),
        ("feeds.opml", OPML, "text/x-opml; charset=utf-8"),
        ("calendar.ics", b"BEGIN:VCALENDAR", "text/calendar; charset=utf-8"),
        ("index.html", b"<p>", "text/html; charset=utf-8"),
        ("feed.css", CSS, "text/css; charset=utf-8"),
        ("a.JPG", b"x", "image/jpeg"),
        ("a.webp", b"x", "image/webp"),
        ("a.svg", b"<svg/>", "image/svg+xml"),
        ("a.exe", b"x", "application/octet-stream"),
        ("noname", b"x", "application/octet-stream"),
    ],
)
def test_every_file_has_its_type(site: Site, path, data, mime):
    site.write(f"lille/{path}", data)
    reply = site.get(f"/lille/{path}")
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, mime, data)


def test_a_browser_gets_a_styled_feed_as_plain_xml(site: Site):
    """Chromium shows application/rss+xml as text, whatever style sheet it names."""
    site.write("feed.xml", RSS)
    plain, shown = site.get("/feed.xml"), site.get("/feed.xml", Accept=BROWSER)
    assert shown.headers["content-type"] == "application/xml; charset=utf-8"
    assert shown.body == plain.body
    assert shown.headers["etag"] != plain.headers["etag"]
    assert "Accept" in plain.headers["vary"].split(", ")
    assert "Accept" in shown.headers["vary"].split(", ")
    assert site.get("/feed.xml", If_None_Match=shown.headers["etag"]).status == 200
    assert site.get("/feed.xml", If_None_Match=shown.headers["etag"], Accept=BROWSER).status == 304


@pytest.mark.parametrize(
    "accept",
    [
        *("*/*", "application/xml", "text/html;q=0", "application/rss+xml, text/html;q=0.2"),
        *("application/atom+xml,text/html", ""),
    ],
)
def test_a_reader_gets_the_type_of_the_feed(site: Site, accept):
    site.write("feed.xml", RSS)
    assert site.get("/feed.xml", Accept=accept).headers["content-type"].startswith("application/rss+xml")


def test_a_feed_without_a_style_sheet_is_the_same_for_all(site: Site):
    site.write("feed.xml", RSS.replace(STYLE_SHEET.encode(), b""))
    reply = site.get("/feed.xml", Accept=BROWSER)
    assert reply.headers["content-type"].startswith("application/rss+xml")
    assert reply.headers["vary"] == "Accept-Encoding"


# --------------------------------------------------------------------------- WebSub


@pytest.mark.parametrize(
    ("name", "data"), [("feed.xml", RSS), ("atom.xml", ATOM_FEED), ("feed.json", JSON_FEED)]
)
def test_hub_and_self_in_the_header_are_those_in_the_feed(site: Site, name, data):
    site.write(f"lille/{name}", data)
    answer = requests.get(f"http://127.0.0.1:{site.port}/lille/{name}", timeout=20)
    links = {rel: link["url"] for rel, link in answer.links.items()}
    assert links == {"hub": HUB, "self": SELF + name}
    if name != "feed.json":
        parsed = feedparser.parse(answer.content)
        assert {link.rel: link.href for link in parsed.feed.links if link.rel in links} == links


@pytest.mark.parametrize(
    "data",
    [
        RSS.replace(HUB.encode(), b""),
        RSS.replace(b'rel="self"', b'rel="via"'),
        RSS.replace(HUB.encode(), b"https://hub.example/&gt;; rel=x, &lt;"),
        RSS.replace(HUB.encode(), b"javascript:alert(1)"),
        RSS.replace(HUB.encode(), "https://hub.example/é".encode()),
        JSON_FEED.replace(b"hubs", b"hugs"),
        b'{"version": "https://jsonfeed.org/version/1.1", "hubs": [1, {}], "feed_url": 3}',
    ],
)
def test_without_both_or_with_a_strange_address_there_is_no_link(site: Site, data):
    site.write("feed.json" if data[:1] == b"{" else "feed.xml", data)
    assert "link" not in site.get("/feed.json" if data[:1] == b"{" else "/feed.xml").headers


# --------------------------------------------------------------------------- validators


def test_an_unchanged_file_costs_a_304(site: Site):
    site.write("feed.xml", RSS)
    first = site.get("/feed.xml")
    for headers in (
        {"If_None_Match": first.headers["etag"]},
        {"If_None_Match": f'"other", W/{first.headers["etag"]}'},
        {"If_None_Match": "*"},
        {"If_Modified_Since": LONG_AGO_TEXT},
        {"If_None_Match": first.headers["etag"], "If_Modified_Since": formatdate(0, usegmt=True)},
    ):
        reply = site.get("/feed.xml", **headers)
        assert (reply.status, reply.body) == (304, b""), headers
        for name in ("etag", "cache-control", "vary", "last-modified", "link"):
            assert reply.headers[name] == first.headers[name]
        assert "content-length" not in reply.headers
        assert "content-type" not in reply.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"If_None_Match": '"other"'},
        {"If_None_Match": '"other"', "If_Modified_Since": LONG_AGO_TEXT},
        {"If_None_Match": "nonsense"},
        {"If_Modified_Since": formatdate(LONG_AGO - 1, usegmt=True)},
        {"If_Modified_Since": formatdate(LONG_AGO + 1, usegmt=True)},  # not a date we gave
        {"If_Modified_Since": "nonsense"},
        {"If_Match": "*"},
        {"If_Unmodified_Since": LONG_AGO_TEXT},
    ],
)
def test_all_others_get_it_whole(site: Site, headers):
    site.write("feed.xml", RSS)
    assert site.get("/feed.xml", **headers).body == RSS


@pytest.mark.parametrize(
    "headers", [{"If_Match": '"other"'}, {"If_Unmodified_Since": formatdate(LONG_AGO - 1, usegmt=True)}]
)
def test_a_condition_that_fails_is_told(site: Site, headers):
    site.write("feed.xml", RSS)
    assert site.get("/feed.xml", **headers).status == 412


def test_a_replaced_file_has_another_tag_even_within_the_second(site: Site):
    now = int(CLOCK.now().timestamp())
    site.write("feed.xml", RSS, modified=now)
    first = site.get("/feed.xml")
    site.write("feed.xml", RSS.replace(b"jardin", b"parcel"), modified=now)
    second = site.get("/feed.xml", If_None_Match=first.headers["etag"])
    assert second.status == 200
    assert b"parcel" in second.body


def test_a_date_that_another_change_could_share_is_not_given(site: Site):
    tomorrow = int(CLOCK.now().timestamp()) + 86400
    site.write("feed.xml", RSS, modified=tomorrow)
    assert "last-modified" not in site.get("/feed.xml").headers
    site.write("feed.xml", RSS, modified=LONG_AGO)
    assert site.get("/feed.xml").headers["last-modified"] == LONG_AGO_TEXT
    date = parsedate_to_datetime(site.get("/feed.xml").headers["date"])
    assert abs((date - CLOCK.now()).total_seconds()) < 60


def test_the_same_bytes_have_the_same_tag_on_every_server(site: Site, tmp_path):
    site.write("feed.xml", RSS)
    with served(tmp_path / "other") as other:
        other.write("feed.xml", RSS, modified=LONG_AGO + 9)
        assert other.get("/feed.xml").headers["etag"] == site.get("/feed.xml").headers["etag"]
    assert site.get("/feed.xml").headers["etag"] == f'"{hashlib.sha256(RSS).hexdigest()[:32]}"'


# --------------------------------------------------------------------------- HEAD, ranges


@pytest.mark.parametrize(
    "headers", [{}, {"Accept_Encoding": "br"}, {"Accept_Encoding": "gzip"}, {"Range": "bytes=0-1"}]
)
def test_head_is_get_without_the_body(site: Site, headers):
    site.write("feed.xml", RSS)
    headers = dict(headers)
    head = site.get("/feed.xml", "HEAD", **headers)
    headers.pop("Range", None)  # which is for GET alone
    full = site.get("/feed.xml", **headers)
    assert head.body == b""
    assert head.status == 200
    assert {**head.headers, "date": ""} == {**full.headers, "date": ""}
    assert head.headers["content-length"] == str(len(full.body))


@pytest.mark.parametrize("length", [1000, LARGE + 1000])
def test_a_part_of_a_file(site: Site, length):
    data = os.urandom(length)
    site.write("a.jpg", data)
    etag = site.get("/a.jpg", "HEAD").headers["etag"]
    for asked, begins, ends in (
        ("bytes=0-99", 0, 100),
        (f"bytes={length - 5}-", length - 5, length),
        ("bytes=-7", length - 7, length),
        (f"bytes=3-{length * 2}", 3, length),
    ):
        for condition in ({}, {"If_Range": etag}, {"If_Range": LONG_AGO_TEXT}):
            reply = site.get("/a.jpg", Range=asked, **condition)
            assert reply.status == 206
            assert reply.body == data[begins:ends]
            assert reply.headers["content-range"] == f"bytes {begins}-{ends - 1}/{length}"
            assert reply.headers["content-length"] == str(ends - begins)
            assert reply.headers["etag"] == etag


def test_a_part_of_another_version_is_the_whole_of_this_one(site: Site):
    site.write("a.jpg", b"0123456789")
    for condition in ('"other"', 'W/"other"', formatdate(LONG_AGO - 1, usegmt=True), "nonsense"):
        reply = site.get("/a.jpg", Range="bytes=0-1", If_Range=condition)
        assert (reply.status, reply.body) == (200, b"0123456789")


def test_a_range_beyond_the_end_says_where_the_end_is(site: Site):
    site.write("a.jpg", b"0123456789")
    reply = site.get("/a.jpg", Range="bytes=10-")
    assert (reply.status, reply.headers["content-range"], reply.body) == (416, "bytes */10", b"")


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "bytes=5-2", "lines=1-2", "nonsense"])
def test_a_range_that_is_not_understood_is_the_whole(site: Site, asked):
    site.write("a.jpg", b"0123456789")
    reply = site.get("/a.jpg", Range=asked)
    assert (reply.status, reply.body) == (200, b"0123456789")


def test_a_range_is_counted_in_the_bytes_as_they_are(site: Site):
    site.write("feed.xml", RSS)
    reply = site.get("/feed.xml", Range="bytes=1-9", Accept_Encoding="br, gzip")
    assert (reply.status, reply.body) == (206, RSS[1:10])
    assert "content-encoding" not in reply.headers


def test_a_large_file_comes_whole(site: Site):
    data = os.urandom(LARGE + 12345)
    site.write("film.mp4", data)
    reply = site.get("/film.mp4")
    assert reply.body == data
    assert site.get("/film.mp4", If_None_Match=reply.headers["etag"]).status == 304


# --------------------------------------------------------------------------- encodings


@pytest.mark.parametrize(("encoding", "decode"), [("br", brotli.decompress), ("gzip", gzip.decompress)])
def test_a_compressed_body_is_the_same_document(site: Site, encoding, decode):
    site.write("feed.xml", RSS)
    plain = site.get("/feed.xml")
    first = site.get("/feed.xml", Accept_Encoding=encoding)
    assert first.headers["content-encoding"] == encoding
    assert first.headers["content-length"] == str(len(first.body))
    assert len(first.body) < len(RSS) / 2
    assert decode(first.body) == RSS
    assert "Accept-Encoding" in first.headers["vary"]
    assert first.headers["etag"] not in {plain.headers["etag"], plain.headers["etag"] + "W/"}
    assert site.get("/feed.xml", Accept_Encoding=encoding).body == first.body
    again = site.get("/feed.xml", Accept_Encoding=encoding, If_None_Match=first.headers["etag"])
    assert again.status == 304
    assert site.get("/feed.xml", If_None_Match=first.headers["etag"]).status == 200


@pytest.mark.parametrize(
    ("path", "length"), [("short.txt", 20), ("picture.png", 5000), ("long.txt", LARGE + 1)]
)
def test_what_gains_nothing_is_not_compressed(site: Site, path, length):
    site.write(path, b"a" * length)
    reply = site.get(f"/{path}", Accept_Encoding="br, gzip")
    assert "content-encoding" not in reply.headers
    assert reply.body == b"a" * length


# --------------------------------------------------------------------------- headers


def test_every_answer_is_fenced_in(site: Site):
    site.write("index.html", b"<p>")
    for target in ("/", "/missing", "/healthz", "/metrics"):
        headers = site.get(target).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "script-src" not in headers["content-security-policy"]
        # Over plain HTTP it would be ignored, and behind a proxy it is the proxy's to say.
        assert "strict-transport-security" not in headers
        assert "server" not in headers
        assert "set-cookie" not in headers


def test_a_drawing_cannot_run_anything(site: Site):
    site.write("a.svg", b"<svg/>")
    assert "sandbox" in site.get("/a.svg").headers["content-security-policy"]


def test_pictures_named_by_their_bytes_are_kept_for_ever_and_nothing_else(site: Site):
    kept = {
        "/lille/media/jardin-0123abcd-4567cdef.png": True,
        "/lille/media/jardin.png": False,
        "/lille/jardin-0123abcd-4567cdef.png": False,
        "/lille/feed.xml": False,
    }
    for target, for_ever in kept.items():
        site.write(target[1:], b"x")
        said = site.get(target).headers["cache-control"]
        assert ("immutable" in said) is for_ever, target
        assert "public, max-age=" in said


def test_readers_in_a_browser_may_read_feeds(site: Site):
    site.write("feed.json", JSON_FEED)
    for target in ("/feed.json", "/missing.json"):
        assert site.get(target).headers["access-control-allow-origin"] == "*"
    fresh = site.get("/feed.json", If_None_Match=site.get("/feed.json").headers["etag"])
    assert (fresh.status, fresh.headers["access-control-expose-headers"]) == (304, "ETag, Link")


def test_readers_in_a_browser_may_ask_whether_a_feed_has_changed(site: Site):
    site.write("feed.json", JSON_FEED)
    asked = {"Origin": "https://reader.example", "Access_Control_Request_Method": "GET"}
    reply = site.get("/feed.json", "OPTIONS", **asked, Access_Control_Request_Headers="if-none-match")
    assert (reply.status, reply.body, reply.headers["allow"]) == (204, b"", "GET, HEAD, OPTIONS")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "If-None-Match" in reply.headers["access-control-allow-headers"]
    assert reply.headers["access-control-allow-methods"] == "GET, HEAD"


def test_no_page_of_others_may_read_health_or_metrics(site: Site):
    for target in ("/healthz", "/metrics"):
        assert "access-control-allow-origin" not in site.get(target, Origin="https://other.example").headers


def test_the_landing_page_is_served_as_it_is(site: Site):
    from tests.feeds.test_landing import DOCUMENT

    data = page(DOCUMENT, [FeedLink("RSS", "application/rss+xml", "feed.xml")])
    site.write("lille/index.html", data)
    assert site.get("/lille/").body == data
    moved = site.get("/lille", Host="evil.example")
    assert (moved.status, moved.headers["location"]) == (308, "/lille/")
    assert site.get("/lille/?utm_source=x").body == data


def test_a_folder_with_an_odd_name_is_led_to(site: Site):
    site.write("été ?/index.html", b"page")
    moved = site.get("/%C3%A9t%C3%A9%20%3F")
    assert moved.headers["location"] == "/%C3%A9t%C3%A9%20%3F/"
    assert site.get(moved.headers["location"]).body == b"page"


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "PATCH", "BREW"])
def test_only_reading_is_allowed(site: Site, method):
    site.write("feed.xml", RSS)
    for target in ("/feed.xml", "/healthz", "/missing"):
        reply = site.get(target, method, Content_Length="0")
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    "target",
    [
        *("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%2e%2e%2fsecret.txt"),
        *("/%252e%252e/secret.txt", "/lille/../../secret.txt", "/lille/%2e%2e/%2e%2e/secret.txt"),
        *("//secret.txt", "/./secret.txt", "/..;/secret.txt", "/..%5csecret.txt", "/..%c0%afsecret.txt"),
        *("/secret.txt%00.png", "/link/secret.txt", "/link.txt", "/.hidden", "/lille/.git/config"),
        *("/lille/%2egit/config", "/~root", "/etc/passwd", "http://127.0.0.1/../secret.txt", "/%"),
        "/lille/" + "../" * 40 + "etc/passwd",
    ],
)
def test_nothing_but_public_leaves(site: Site, tmp_path, target):
    (tmp_path / "secret.txt").write_bytes(b"secret")
    site.write("lille/feed.xml", RSS)
    site.write("lille/.git/config", b"secret")
    site.write(".hidden", b"secret")
    (site.folder / "link").symlink_to(tmp_path)
    (site.folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    reply = site.get(target)
    assert reply.status in {400, 404}
    assert b"secret" not in reply.body
    assert b"root:" not in reply.body


def test_a_request_that_is_too_long_is_refused(site: Site):
    assert site.get("/" + "a" * (LONGEST_TARGET - 1)).status == 404
    assert site.get("/" + "a" * LONGEST_TARGET).status == 414
    assert site.get("/?" + "a" * LONGEST_TARGET).status == 414
    assert site.get("/", X_Long="a" * (LONGEST_HEAD - 100)).status == 404
    assert site.get("/", X_Long="a" * LONGEST_HEAD).status == 431
    assert site.get("/", **{f"X_{number}": "a" * 100 for number in range(300)}).status == 431


def test_a_folder_that_does_not_exist_yet_is_empty(site: Site):
    site.folder.rmdir()
    assert site.get("/lille/feed.xml").status == 404
    site.write("lille/feed.xml", RSS)
    assert site.get("/lille/feed.xml").status == 200


def test_what_the_disk_refuses_is_told_and_does_not_end_the_server(site: Site, caplog):
    site.folder.rmdir()
    site.folder.symlink_to(site.folder)  # leads round in a circle
    reply = site.get("/feed.xml")
    assert reply.status in {404, 500}
    site.folder.unlink()
    site.write("feed.xml", RSS)
    assert site.get("/feed.xml").status == 200
