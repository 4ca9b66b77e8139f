"""The pages of what is too old for a campaign's front page: every entry can be reached, old links lead on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from lxml import html as lxml_html

from pipeline import feeds
from tests.feeds import scene
from tests.feeds.test_archives import BASE, changed, folder, release, releases


def tree(root: Path, file: str = "index.html") -> Any:
    return lxml_html.parse(str(folder(root) / file)).getroot()


def shown(page: Any) -> list[str]:
    return page.xpath("//article/@id")


def json_ld(page: Any) -> Any:
    return json.loads(page.xpath("//script")[0].text)


def way(page: Any, file: str, rel: str) -> str | None:
    """The page to which the link of that relation leads, below the campaign's folder."""
    found = set(page.xpath(f"//nav//a[@rel='{rel}']/@href"))
    assert len(found) <= 1
    return urljoin(BASE + file, found.pop()).removeprefix(BASE) if found else None


def test_whoever_goes_on_to_older_pages_finds_every_entry_and_the_way_back(tmp_path: Path):
    scene.write(tmp_path, releases=releases(125))
    front = tree(tmp_path)
    assert shown(front) == [f"e{n:04}" for n in range(124, 74, -1)]
    files = front.xpath("//ul[@class='shelves']//a/@href")
    assert files == ["archive/0002.html", "archive/0001.html"]
    second, first = (tree(tmp_path, file) for file in files)
    assert [shown(second), shown(first)] == [
        [f"e{n:04}" for n in range(99, 49, -1)],
        [f"e{n:04}" for n in range(49, -1, -1)],
    ]
    assert (way(second, files[0], "prev"), way(first, files[1], "prev")) == (files[1], None)
    assert (way(second, files[0], "next"), way(first, files[1], "next")) == (None, files[0])
    for page in (second, first):
        assert "../index.html" in page.xpath("//nav//a/@href")
        assert page.xpath("string(//nav//a)") == "Les derniers projets"
        assert page.xpath("//link[@rel='alternate']/@href") == ["../feed.xml", "../atom.xml", "../feed.json"]
        assert not page.xpath("//section[@class='feeds']")
    assert front.xpath("string(//ul[@class='shelves']/li[2])") == "1er janvier 2016 – 19 février 2016"


def test_an_address_of_an_entry_leads_to_the_page_that_holds_it(tmp_path: Path):
    scene.write(tmp_path, releases=releases(125))
    for file in ("index.html", "archive/0002.html", "archive/0001.html"):
        page = tree(tmp_path, file)
        told = [one["url"] for one in json_ld(page)["blogPost"]]
        clicked = [urljoin(BASE + file, href) for href in page.xpath("//article/a/@href")]
        assert told == [address.replace("index.html", "") for address in clicked]
        for address, entry in zip(told, shown(page), strict=True):
            held, _, fragment = address.removeprefix(BASE).partition("#")
            assert fragment == entry
            assert entry in shown(tree(tmp_path, held or "index.html"))
            assert bool(held) == (int(entry[1:]) < 100), "archived, it stands where it will always be"
    assert page.xpath("//link[@rel='canonical']/@href") == [f"{BASE}archive/0001.html"]
    assert page.xpath("//meta[@property='og:url']/@content") == [f"{BASE}archive/0001.html"]


def test_a_link_to_what_was_on_the_front_page_still_arrives(tmp_path: Path):
    many = releases(125)
    many[10] = release(10, retracted=many[124].released)
    scene.write(tmp_path, releases=many)
    front = tree(tmp_path)
    ids = front.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert set(ids) == {f"e{n:04}" for n in range(125) if n != 10}
    for entry, file in (("e0003", "archive/0001.html"), ("e0060", "archive/0002.html")):
        assert front.xpath(f"//*[@id='{entry}']/../a/@href") == [file]


def test_a_page_is_complete_wherever_it_stands(tmp_path: Path):
    scene.lay_out(tmp_path)
    pictured = replace(scene.release(scene.WITH_PICTURE, 1), released=release(0).released)
    plain = replace(scene.CAMPAIGN, public_url=None, hub=None)
    for campaign in (scene.CAMPAIGN, plain):
        scene.write(tmp_path, campaign, [pictured, *releases(51)[1:]])
        page = tree(tmp_path, "archive/0001.html")
        hrefs = page.xpath("//img/@src | //nav//a/@href | //link[@rel='alternate']/@href")
        assert len(hrefs) >= 3
        for href in hrefs:
            assert (folder(tmp_path) / "archive" / href).resolve().is_file()
    assert not page.xpath("//link[@rel='canonical']")


def test_there_is_no_archive_while_all_fits_and_a_new_tag_does_not_touch_it(tmp_path: Path):
    scene.write(tmp_path, releases=releases(feeds.LENGTH))
    assert not tree(tmp_path).xpath("//nav")
    many = releases(2 * feeds.LENGTH + 5)
    scene.write(tmp_path, releases=many)
    assert not any("archive" in name for name in changed(tmp_path, [*many, release(105, tags=("vert",))]))
