"""Readers written by others: each release is new to them once, an edit never, an unchanged feed is a 304."""

from __future__ import annotations

import mailbox
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

TITLES = [f"Projet {entry}" for entry in "abc"]


class Newsboat:
    """Debian's newsboat over its own cache file."""

    def __init__(self, program: str, folder: Path, url: str) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "urls").write_text(url + "\n")
        (folder / "config").write_text("")
        self._command = [program, "-u", "urls", "-C", "config", "-c", "cache.db", "-x"]

    def poll(self) -> None:
        place = {**os.environ, "HOME": str(self._folder), "LANG": "C.UTF-8"}
        subprocess.run(
            [*self._command, "reload"],
            cwd=self._folder,
            env=place,
            check=True,
            timeout=60,
            capture_output=True,
        )

    def titles(self, unread: int = 1) -> list[str]:
        with closing(sqlite3.connect(self._folder / "cache.db")) as cache:
            query = "SELECT title FROM rss_item WHERE unread = ? ORDER BY pubDate, title"
            return [title for (title,) in cache.execute(query, (unread,))]

    def read_all(self) -> None:
        with closing(sqlite3.connect(self._folder / "cache.db")) as cache, cache:
            cache.execute("UPDATE rss_item SET unread = 0")


@pytest.mark.parametrize("name", ["feed.xml", "atom.xml"])
def test_newsboat(publisher, tool, tmp_path, name):
    newsboat = Newsboat(tool("newsboat"), tmp_path / "newsboat", publisher.url(name))
    for day in range(2):
        publisher.release()
        for _ in range(2):
            newsboat.poll()
            assert newsboat.titles() == [TITLES[day]], "what is released is new once"
        newsboat.read_all()
    publisher.edit("a", "Projet a, corrigé")
    newsboat.poll()
    assert newsboat.titles() == [], "an edited entry is not new"
    assert sorted(newsboat.titles(unread=0)) == ["Projet a, corrigé", "Projet b"], "but it reads as it should"
    newsboat.poll()
    before = publisher.unchanged()
    newsboat.poll()
    newsboat.poll()
    assert publisher.unchanged() == before + 2
    publisher.release()
    newsboat.poll()
    assert newsboat.titles() == ["Projet c"]


class Rss2Email:
    """Debian's rss2email, its mails in a folder."""

    def __init__(self, program: str, folder: Path, url: str) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "mail").mkdir()
        self._box = mailbox.Maildir(folder / "mail" / "inbox", create=True)
        (folder / "r2e.cfg").write_text(
            "[DEFAULT]\nto = reader@example.org\nfrom = feed@example.org\nemail-protocol = maildir\n"
            f"maildir-path = {folder / 'mail'}\nmaildir-mailbox = inbox\nverbose = info\n"
        )
        self._command = [program, "-c", "r2e.cfg", "-d", "r2e.json"]
        self._run("add", "lille", url)

    def _run(self, *words: str) -> None:
        place = {**os.environ, "HOME": str(self._folder), "LANG": "C.UTF-8"}
        ended = subprocess.run(
            [*self._command, *words],
            cwd=self._folder,
            env=place,
            timeout=60,
            check=False,
            capture_output=True,
        )
        assert ended.returncode == 0, ended.stderr.decode()

    def poll(self) -> list[str]:
        """The subjects of the mails that came with this poll."""
        before = set(self._box.keys())
        self._run("run")
        return sorted(str(self._box[key]["Subject"]) for key in set(self._box.keys()) - before)


@pytest.mark.parametrize("name", ["feed.xml", "atom.xml"])
def test_rss2email(publisher, tool, tmp_path, name):
    publisher.release()
    mails = Rss2Email(tool("r2e"), tmp_path / "r2e", publisher.url(name))
    assert mails.poll() == ["Projet a"]
    assert publisher.unchanged() == 0
    assert mails.poll() == []
    assert publisher.unchanged() == 1
    publisher.release()
    assert mails.poll() == ["Projet b"]
    publisher.edit("a", "Projet a, corrigé")
    assert mails.poll() == [], "an edited entry is not sent a second time"
    publisher.release()
    assert mails.poll() == ["Projet c"]
    assert mails.poll() == []
    assert publisher.unchanged() == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["feed.xml", "atom.xml", "feed.json"])
def test_reader(publisher, name):
    reader = pytest.importorskip("reader", reason="reader is one of the development dependencies")
    with closing(reader.make_reader(":memory:")) as library:
        url = publisher.url(name)
        library.add_feed(url)

        def poll() -> tuple[int, int]:
            """How many entries are new to the reader, and how many it saw changed."""
            (result,) = library.update_feeds_iter(scheduled=False)
            assert not isinstance(result.value, Exception), result.value
            return (result.value.new, result.value.modified) if result.value else (0, 0)

        poll()
        for day in range(2):
            publisher.release()
            assert poll() == (1, 0)
            assert publisher.unchanged() == day
            assert poll() == (0, 0)
            assert publisher.unchanged() == day + 1
        publisher.edit("a", "Projet a, corrigé")
        assert poll() == (0, 1)
        publisher.release()
        assert poll() == (1, 0)
        found = {entry.title: entry for entry in library.get_entries()}
        assert set(found) == {"Projet a, corrigé", "Projet b", "Projet c"}
        edited = found["Projet a, corrigé"]
        assert "tout autre" in edited.content[0].value
        if name != "feed.xml":  # RSS knows no instant of an edit
            assert edited.updated > edited.published
        assert edited.link == "https://example.org/a"
