"""Reading back: a post is found in whatever form the server shows it, and absent only when that is sure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.channels import open_channel
from pipeline.channels.base import Absent, CannotTell, Channel, Found, MemoryKeep
from pipeline.clock import VirtualClock
from pipeline.model import Receipt, Rendition
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.mastodon import TOKEN, MastodonServer
from pipeline.rehearsal.standins.mastodon_json import Status, Version
from tests.support.bench_mastodon import NOW, a_post, mastodon, with_picture
from tests.support.builders import make_campaign, surroundings

KEY = "lille/ouistock/masto"
MINUTE = timedelta(minutes=1)
SINCE = NOW - 5 * MINUTE
LINK = "https://example.org/ouistock"


class MarkingUp(MastodonServer):
    """Shows texts as a server does whose account writes Markdown."""

    def _document(self, made: Status) -> dict[str, Any]:
        words = "<em>marked</em> up, <a href='https://example.org/ouistock'>here</a>"
        return super()._document(made) | {"content": f"<p>{words}</p>"}


class Boosting(MastodonServer):
    """Shows the account's own boosts, although they were not asked for."""

    def _document(self, made: Status) -> dict[str, Any]:
        document = super()._document(made)
        boost = document | {"id": made.id + "9", "reblog": document}
        return boost if made.visibility == "private" else document


class Scene:
    def __init__(self, folder: Path, clock: VirtualClock, server: MastodonServer, **options: str) -> None:
        self.folder = folder
        self.clock = clock
        self.server = server
        self.config = mastodon(api=server.url, options=options)
        keep = MemoryKeep()
        around = surroundings(folder, credentials={("masto", "ACCESS_TOKEN"): TOKEN}, now=clock.now)
        around = replace(around, keep=lambda _: keep)
        self.channel: Channel = open_channel(make_campaign(), self.config, around)
        self.channel.verify()

    def ready(self, **changes: Any) -> Rendition:
        fit = self.channel.fit(a_post(self.config, **changes))
        return self.channel.prepare(self.channel.render(fit, KEY))

    def others(self, count: int, at: datetime = NOW, text: str = "Un autre message") -> None:
        """Posts of the same account, by another hand."""
        for number in range(count):
            status_id = self.server.software.id_of(next(self.server._numbers))
            versions = [Version(at, f"{text} {number}", "", ())]
            self.server.statuses.append(Status(status_id, "public", "fr", b"{}", versions))

    def asked(self) -> list[str]:
        """The requests since the last time, in short."""
        found = [f"{seen.method} {seen.path}" for seen in self.server.seen]
        self.server.seen.clear()
        return found


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW)


@pytest.fixture(params=["mastodon", "gotosocial", "pleroma"])
def scene(request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock) -> Iterator[Scene]:
    with MastodonServer(clock.now, family=request.param) as server:
        yield Scene(tmp_path, clock, server)


@pytest.fixture
def one(tmp_path: Path, clock: VirtualClock) -> Iterator[Scene]:
    """For what is the same whatever the software."""
    with MastodonServer(clock.now) as server:
        yield Scene(tmp_path, clock, server)


def test_a_post_among_others_is_found_with_the_receipt_it_had(scene: Scene):
    rendition = scene.ready()
    scene.others(3)
    receipt = scene.channel.publish(rendition)
    scene.others(3)
    assert scene.channel.find(rendition, SINCE) == Found(receipt)


def test_reading_back_changes_nothing(scene: Scene):
    rendition = scene.ready()
    scene.others(3)
    scene.asked()
    assert scene.channel.find(rendition, SINCE) == Absent()
    assert all(request.startswith("GET ") for request in scene.asked())


@pytest.mark.parametrize(
    "text",
    [
        'J-10 @bob@example.social : voilà #ZéroDéchet.\n\n\nEncore  un   paragraphe <b> & « c\'est "tout" »',
        "👨‍👩‍👧‍👦 e\u0301te\u0301 \u200f שלום 日本語。 https://example.org/une/tres/longue/adresse/qui/depasse?a=b&c=d",
        "  des blancs autour \n",
    ],
)
def test_whatever_a_server_makes_of_a_text_it_is_found(scene: Scene, text: str):
    rendition = scene.ready(summary=text)
    receipt = scene.channel.publish(rendition)
    assert scene.channel.find(rendition, SINCE) == Found(receipt)


def test_a_post_with_a_content_warning_is_found_and_another_warning_is_another_post(tmp_path, clock):
    with MastodonServer(clock.now) as server:
        scene = Scene(tmp_path, clock, server, spoiler="Économie")
        rendition = scene.ready()
        receipt = scene.channel.publish(rendition)
        assert scene.channel.find(rendition, SINCE) == Found(receipt)
        assert (
            Scene(tmp_path, clock, server).channel.find(Scene(tmp_path, clock, server).ready(), SINCE)
            == Absent()
        )


def test_a_post_from_before_is_another_one(scene: Scene):
    rendition = scene.ready()
    scene.channel.publish(rendition)
    scene.clock.advance(timedelta(hours=1))
    assert scene.channel.find(rendition, scene.clock.now() - MINUTE) == Absent()


def test_pages_are_turned_until_what_was_before(scene: Scene):
    scene.others(5, NOW - timedelta(hours=1))
    rendition = scene.ready()
    receipt = scene.channel.publish(rendition)
    scene.others(100)
    scene.asked()
    assert scene.channel.find(rendition, SINCE) == Found(receipt)
    assert len([request for request in scene.asked() if request.endswith("/statuses")]) == 3
    scene.server.statuses = [status for status in scene.server.statuses if status.id != receipt.remote_id]
    assert scene.channel.find(rendition, SINCE) == Absent()


def test_more_posts_than_are_read_are_no_absence(one: Scene):
    rendition = one.ready()
    one.others(1_001)
    sighting = one.channel.find(rendition, SINCE)
    assert sighting == CannotTell("the account has made more than 1000 posts since then")


def test_more_posts_of_the_same_link_than_are_looked_at_are_no_absence(one: Scene):
    rendition = one.ready()
    one.others(61, text=LINK)
    sighting = one.channel.find(rendition, SINCE)
    assert sighting == CannotTell("the account has made too many posts since then to look at each")


def test_a_server_that_shows_the_same_page_for_ever_is_not_believed(tmp_path, clock):
    class Stuck(MastodonServer):
        async def _list(self, request, seen):
            return [self._document(made) for made in self.statuses]

    with Stuck(clock.now) as server:
        scene = Scene(tmp_path, clock, server)
        rendition = scene.ready()
        scene.others(2)
        sighting = scene.channel.find(rendition, SINCE)
        assert sighting == CannotTell("the server shows the same posts on every page")


def test_a_post_that_is_not_shown_yet_is_absent_and_then_found(tmp_path, clock):
    with MastodonServer(clock.now, lag=MINUTE) as server:
        scene = Scene(tmp_path, clock, server)
        rendition = scene.ready()
        receipt = scene.channel.publish(rendition)
        assert scene.channel.find(rendition, SINCE) == Absent()
        clock.advance(MINUTE)
        assert scene.channel.find(rendition, SINCE) == Found(receipt)


# --------------------------------------------------------------------------- other forms of the same post


def test_a_picture_tells_a_post_whatever_its_text_has_become(scene: Scene):
    rendition = scene.ready(image=with_picture(scene.folder))
    receipt = scene.channel.publish(rendition)
    [status] = scene.server.statuses
    status.versions = [replace(status.now, text="tout autre chose")]
    scene.asked()
    assert scene.channel.find(rendition, SINCE) == Found(receipt)
    assert not any("source" in request for request in scene.asked())


def test_a_post_with_another_picture_of_the_same_entry_is_found_by_its_text(one: Scene):
    image = with_picture(one.folder)
    receipt = one.channel.publish(one.ready(image=image))
    again = one.ready(image=image)
    assert one.channel.find(again, SINCE) == Found(replace(receipt, digest=again.digest))


def test_marked_up_text_is_found_by_what_was_sent(tmp_path, clock):
    with MarkingUp(clock.now) as server:
        scene = Scene(tmp_path, clock, server)
        rendition = scene.ready()
        receipt = scene.channel.publish(rendition)
        assert scene.channel.find(rendition, SINCE) == Found(receipt)
        assert scene.channel.find(scene.ready(title="Un tout autre"), SINCE) == Absent()


def test_marked_up_text_of_a_server_that_does_not_show_what_was_sent_is_left_to_a_person(tmp_path, clock):
    with MarkingUp(clock.now) as server:
        server.source = False
        scene = Scene(tmp_path, clock, server)
        rendition = scene.ready()
        receipt = scene.channel.publish(rendition)
        sighting = scene.channel.find(rendition, SINCE)
        assert isinstance(sighting, CannotTell)
        assert f"{receipt.url} may be it" in sighting.detail
        elsewhere = scene.ready(url="https://example.org/another")
        assert scene.channel.find(elsewhere, SINCE) == Absent()


def test_a_post_that_somebody_edited_since_is_found_by_its_history(scene: Scene):
    rendition = scene.ready()
    receipt = scene.channel.publish(rendition)
    [status] = scene.server.statuses
    status.versions.append(Version(NOW, "corrigé à la main, sans lien", "", ()))
    assert scene.channel.find(rendition, SINCE) == Found(receipt)
    assert scene.channel.find(scene.ready(title="Un tout autre"), SINCE) == Absent()


def test_an_edited_post_without_its_history_is_left_to_a_person(one: Scene):
    rendition = one.ready()
    one.channel.publish(rendition)
    [status] = one.server.statuses
    status.versions.append(Version(NOW, "corrigé à la main", "", ()))
    gone = faults.status(404, body=b"{}", accepted=False)
    one.server.faults.choose = lambda head: gone if "/history" in head else None
    assert isinstance(one.channel.find(rendition, SINCE), CannotTell)


def test_a_boost_of_an_own_post_is_not_the_post(tmp_path, clock):
    with Boosting(clock.now) as server:
        scene = Scene(tmp_path, clock, server)
        rendition = scene.ready()
        receipt = scene.channel.publish(rendition)
        original = server.statuses[0]
        server.statuses.append(Status(original.id + "1", "private", "fr", b"{}", original.versions))
        assert scene.channel.find(rendition, SINCE) == Found(receipt)


# --------------------------------------------------------------------------- servers that do not tell


@pytest.mark.parametrize("part", ["verify_credentials", "/accounts/109000000000000001/statuses", "/source"])
@pytest.mark.parametrize(
    "fault",
    [
        faults.drop(accepted=True),
        faults.status(401, body=b"{}", accepted=False),
        faults.status(429, accepted=False),
        faults.status(503, accepted=False),
        faults.garbage(),
    ],
    ids=lambda fault: fault.name,
)
def test_a_server_that_cannot_be_read_is_never_taken_to_have_nothing(one: Scene, part: str, fault):
    rendition = one.ready()
    one.others(1, text=LINK)
    one.server.faults.choose = lambda head: fault if part in head.partition("\r\n")[0] else None
    assert isinstance(one.channel.find(rendition, SINCE), CannotTell)


@pytest.mark.parametrize("part", ["verify_credentials", "/accounts/109000000000000001/statuses"])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b"null",
        b'["x"]',
        b'[{"id": 7}]',
        b'[{"id": "7"}]',
        b'[{"id": "8"}, {"id": "7", "created_at": "2016-01-01T00:00:00Z"}]',
        b'[{"id": "8", "created_at": "just now"}, {"id": "7", "created_at": "2016-01-01T00:00:00Z"}]',
    ],
)
def test_an_answer_of_another_form_is_never_taken_to_mean_nothing(one: Scene, part: str, body: bytes):
    rendition = one.ready()
    fault = faults.status(200, body=body, accepted=False)
    one.server.faults.choose = lambda head: fault if part in head.partition("\r\n")[0] else None
    assert isinstance(one.channel.find(rendition, SINCE), CannotTell)


def test_a_direct_post_that_is_not_shown_is_believed_absent_only_of_mastodon(scene: Scene):
    direct = Scene(scene.folder, scene.clock, scene.server, visibility="direct")
    rendition = direct.ready()
    sighting = direct.channel.find(rendition, SINCE)
    assert isinstance(sighting, Absent) == (scene.server.software.name == "mastodon")
    receipt = direct.channel.publish(rendition)
    assert direct.channel.find(rendition, SINCE) == Found(receipt)


def test_the_account_is_asked_for_each_time_since_the_token_may_have_changed(one: Scene):
    rendition = one.ready()
    one.asked()
    for _ in range(2):
        one.channel.find(rendition, SINCE)
    assert one.asked().count("GET /api/v1/accounts/verify_credentials") == 2


def test_a_receipt_found_has_the_digest_of_what_was_looked_for(one: Scene):
    first = one.ready()
    receipt = one.channel.publish(first)
    other = replace(first, body=json.dumps(json.loads(first.body) | {"language": "en"}).encode())
    found = one.channel.find(other, SINCE)
    assert found == Found(Receipt(receipt.remote_id, receipt.url, other.digest))
