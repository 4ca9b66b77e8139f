"""The Facebook channel reads the Page back, changes and removes posts, and says who it is."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.channels import open_channel
from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    Found,
    OutcomeUnknownError,
    RejectedError,
)
from pipeline.channels.facebook_identity import NEWEST, SURE_UNTIL, version_warnings
from pipeline.model import Receipt, Rendition
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.facebook import READING, WRITING, PagePost
from tests.support.bench_facebook import NOW, PAGE, FacebookBench, facebook
from tests.support.builders import make_campaign

KEY = "lille/ouistock/facebook"
SINCE = NOW - timedelta(minutes=5)
READING_LIMIT = b'{"error":{"code":32,"message":"Page request limit reached"}}'
TOKEN = "EAAGstandinPageTokenZC8x"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FacebookBench]:
    with ExitStack() as stack:
        yield FacebookBench(tmp_path, stack)


def rendered(bench: FacebookBench, title: str = "OuiStock") -> Rendition:
    return bench.channel.render(bench.channel.fit(bench.post(title)), KEY)


def by_hand(bench: FacebookBench, count: int, made: datetime = NOW, text: str = "Autre chose") -> None:
    """Posts that people write on the Page, the newest last."""
    with bench.remote.lock:
        for _ in range(count):
            number = len(bench.remote.posts)
            bench.remote.posts.append(
                PagePost(f"{PAGE}_9{number:06}", f"{text} {number}".strip(), None, (), made, b"")
            )


# --------------------------------------------------------------------------- reading back


def test_the_page_is_asked_for_its_own_posts_and_for_nothing_undocumented(bench: FacebookBench):
    bench.channel.find(rendered(bench), SINCE)
    (request,) = bench.remote.seen
    assert (request.method, request.path) == ("GET", f"/v26.0/{PAGE}/published_posts")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


def test_the_page_is_not_asked_while_its_quota_is_used_up(bench: FacebookBench):
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    regain = json.dumps({"1": [{"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 19}]})
    full = faults.status(400, {"X-Business-Use-Case-Usage": regain}, READING_LIMIT, accepted=False)
    bench.remote.faults.strike(full)
    assert "code 32" in bench.channel.find(rendition, SINCE).detail
    bench.clock.advance(timedelta(minutes=18))
    asked = len(bench.remote.seen)
    assert "used up until 2016-04-11 07:19 UTC" in bench.channel.find(rendition, SINCE).detail
    assert len(bench.remote.seen) == asked
    bench.clock.advance(timedelta(minutes=1))
    assert bench.channel.find(rendition, SINCE) == Found(receipt)


def test_a_post_that_is_not_shown_yet_is_absent_until_it_is(bench: FacebookBench):
    bench.remote.mood.lag = timedelta(seconds=40)
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    assert bench.channel.find(rendition, SINCE) == Absent()
    bench.clock.advance(timedelta(seconds=40))
    assert bench.channel.find(rendition, SINCE) == Found(receipt)


def test_a_text_is_recognised_as_facebook_may_have_changed_it(bench: FacebookBench):
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    post = bench.remote.posts[0]
    for changed in (
        unicodedata.normalize("NFD", post.message),
        post.message.replace("\n", "\r\n") + " \n",
        post.message.replace(" ", "\u00a0").replace("\n", "\n\n"),
    ):
        bench.remote.posts[0] = replace(post, message=changed)
        assert bench.channel.find(rendition, SINCE) == Found(receipt)


@pytest.mark.parametrize("changed", ["", "OuiStock", "J-9"])
def test_another_text_is_another_post(bench: FacebookBench, changed: str):
    rendition = rendered(bench)
    bench.channel.publish(rendition)
    bench.remote.posts[0] = replace(bench.remote.posts[0], message=changed)
    assert bench.channel.find(rendition, SINCE) == Absent()


def test_the_same_text_of_much_earlier_is_another_post(bench: FacebookBench):
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    hours = timedelta(hours=6)
    assert bench.channel.find(rendition, NOW + hours) == Found(receipt)
    assert bench.channel.find(rendition, NOW + hours + timedelta(seconds=1)) == Absent()


def test_the_second_in_which_it_was_made_counts_from_its_beginning(bench: FacebookBench):
    bench.clock.advance(timedelta(milliseconds=300))
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    assert bench.channel.find(rendition, bench.clock.now()) == Found(receipt)


def test_of_two_the_one_that_was_made_first_is_ours(bench: FacebookBench):
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    post = bench.remote.posts[0]
    bench.remote.posts.append(replace(post, id=f"{PAGE}_77", made=NOW + timedelta(seconds=9)))
    bench.clock.advance(timedelta(minutes=1))
    assert bench.channel.find(rendition, SINCE) == Found(receipt)


@pytest.mark.parametrize("newer", [49, 50, 51, 100, 249])
def test_it_is_found_behind_many_newer_posts(bench: FacebookBench, newer: int):
    by_hand(bench, 60, NOW - timedelta(days=3))
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    by_hand(bench, newer)
    assert bench.channel.find(rendition, SINCE) == Found(receipt)


def test_absence_is_only_claimed_when_the_posts_read_reach_back_far_enough(bench: FacebookBench):
    rendition = rendered(bench)
    bench.channel.publish(rendition)
    by_hand(bench, 300)
    found = bench.channel.find(rendition, SINCE)
    assert isinstance(found, CannotTell)
    assert "more than 300 newer ones" in found.detail
    assert len(bench.remote.seen) == 7


def test_reading_ends_where_everything_is_older(bench: FacebookBench):
    by_hand(bench, 900, NOW - timedelta(days=3))
    assert bench.channel.find(rendered(bench), SINCE) == Absent()
    assert len(bench.remote.seen) == 1


def test_a_single_old_post_on_top_does_not_end_it(bench: FacebookBench):
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    by_hand(bench, 60)
    by_hand(bench, 1, NOW - timedelta(days=300))  # pinned, or backdated
    assert bench.channel.find(rendition, SINCE) == Found(receipt)


def answers(*documents: object) -> list[faults.Fault]:
    return [
        faults.status(200, {"Content-Type": "application/json"}, json.dumps(one).encode(), accepted=False)
        for one in documents
    ]


def test_an_empty_page_of_posts_does_not_end_it(bench: FacebookBench):
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    bench.remote.faults.strike(*answers({"data": [], "paging": {"next": "x", "cursors": {"after": ""}}}))
    assert bench.channel.find(rendition, SINCE) == Found(receipt)


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"data": {}},
        {"data": [{"id": "1"}]},
        {"data": [{"id": "1", "created_time": "yesterday"}]},
        {"data": [{"id": "1", "created_time": "2016-04-11T07:00:00"}]},
        {"data": [{"id": "1", "created_time": 7}]},
        {"data": [7]},
        {"data": [], "paging": {"next": "https://graph.facebook.com/?access_token=x"}},
        {"data": [], "paging": 7},
    ],
)
def test_posts_in_an_unknown_form_tell_nothing(bench: FacebookBench, document: object):
    bench.remote.faults.strike(*answers(document))
    assert isinstance(bench.channel.find(rendered(bench), SINCE), CannotTell)


@pytest.mark.parametrize(
    "fault",
    [
        faults.drop(accepted=True),
        faults.truncated(),
        faults.garbage(),
        faults.false_success(),
        faults.status(500, accepted=False),
        faults.status(429, accepted=False),
        faults.status(
            400,
            body=b'{"error":{"code":190,"message":"Session of EAAGstandinPageTokenZC8x"}}',
            accepted=False,
        ),
    ],
    ids=lambda fault: fault.name,
)
def test_a_page_that_cannot_be_read_tells_nothing(bench: FacebookBench, fault: faults.Fault):
    bench.channel.publish(rendered(bench))
    bench.remote.faults.strike(fault)
    found = bench.channel.find(rendered(bench), SINCE)
    assert isinstance(found, CannotTell)
    assert TOKEN not in found.detail


def test_without_the_permission_to_read_it_names_it(bench: FacebookBench):
    bench.remote.mood.scopes = (WRITING,)
    found = bench.channel.find(rendered(bench), SINCE)
    assert isinstance(found, CannotTell)
    assert READING in found.detail


def test_what_another_network_rendered_cannot_be_looked_for(bench: FacebookBench):
    assert isinstance(bench.channel.find(Rendition(KEY, b"{}", "text"), SINCE), CannotTell)
    assert bench.remote.seen == []


# --------------------------------------------------------------------------- editing and deleting


def test_an_edit_sends_the_text_alone(bench: FacebookBench):
    receipt = bench.channel.publish(rendered(bench))
    changed = rendered(bench, "OuiStock, corrigé")
    assert bench.channel.edit(receipt, changed) == replace(receipt, digest=changed.digest)
    request = bench.remote.seen[-1]
    assert (request.method, request.path) == ("POST", f"/v26.0/{receipt.remote_id}")
    assert json.loads(request.body) == {"message": changed.text}
    assert [post.text for post in bench.remote.shown()] == [changed.text]


def test_a_post_that_is_gone_cannot_be_edited(bench: FacebookBench):
    with pytest.raises(RejectedError, match="does not exist"):
        bench.channel.edit(Receipt(f"{PAGE}_1", None, ""), rendered(bench))


@pytest.mark.parametrize("document", [{}, {"success": False}, {"success": "true"}])
def test_what_is_not_confirmed_is_not_believed(bench: FacebookBench, document: object):
    receipt = bench.channel.publish(rendered(bench))
    bench.remote.faults.strike(*answers(document, document))
    with pytest.raises(OutcomeUnknownError, match="did not confirm the edit"):
        bench.channel.edit(receipt, rendered(bench, "B"))
    with pytest.raises(OutcomeUnknownError, match="did not confirm the deletion"):
        bench.channel.delete(receipt)
    assert bench.count() == 1


def test_a_post_that_may_not_be_deleted_is_not_taken_for_gone(bench: FacebookBench):
    receipt = bench.channel.publish(rendered(bench))
    body = b'{"error":{"message":"Unsupported delete request.","code":100,"error_subcode":33}}'
    bench.remote.faults.strike(faults.status(400, body=body, accepted=False))
    with pytest.raises(AuthFailedError, match="still shows the post"):
        bench.channel.delete(receipt)
    assert bench.count() == 1


def test_a_deletion_is_only_believed_when_the_post_is_seen_to_be_gone(bench: FacebookBench):
    receipt = bench.channel.publish(rendered(bench))
    bench.channel.delete(receipt)
    bench.remote.faults.strike(faults.status(500, accepted=False))
    with pytest.raises(OutcomeUnknownError):
        bench.channel.delete(receipt)
    bench.channel.delete(receipt)
    assert bench.count() == 0


def test_without_the_permission_nothing_is_edited_or_deleted(bench: FacebookBench):
    receipt = bench.channel.publish(rendered(bench))
    bench.remote.mood.scopes = (READING,)
    with pytest.raises(AuthFailedError, match=WRITING):
        bench.channel.edit(receipt, rendered(bench, "B"))
    with pytest.raises(AuthFailedError, match=WRITING):
        bench.channel.delete(receipt)
    assert bench.count() == 1


@pytest.mark.parametrize("remote_id", ["", "outbox/lille/x.html", "../me", "1?fields=id", "é"])
def test_what_names_no_post_is_not_asked_for(bench: FacebookBench, remote_id: str):
    receipt = Receipt(remote_id, None, "")
    with pytest.raises(RejectedError, match="does not name a post"):
        bench.channel.edit(receipt, rendered(bench))
    with pytest.raises(RejectedError, match="does not name a post"):
        bench.channel.delete(receipt)
    assert bench.remote.seen == []


# --------------------------------------------------------------------------- who we are


def test_it_says_whose_token_it_is_and_how_long_it_lasts(bench: FacebookBench):
    bench.remote.mood.expires = NOW + timedelta(days=60)
    found = bench.channel.verify()
    assert found.account == f"Sharing Lille (https://www.facebook.com/{PAGE})"
    assert found.expires == NOW + timedelta(days=60)
    assert found.limits["quota used"] == "1 %"
    assert "63,206" in found.limits["text"]
    assert found.warnings == ()
    assert [seen.path for seen in bench.remote.seen] == ["/v26.0/me", "/v26.0/debug_token"]
    assert bench.remote.accepted == 0


def test_it_says_what_time_it_is_at_facebook(bench: FacebookBench):
    document = json.dumps({"id": PAGE}).encode()
    headers = {"Date": "Mon, 11 Apr 2016 07:03:00 GMT"}
    bench.remote.faults.strike(faults.status(200, headers, document, accepted=False))
    assert bench.channel.verify().server_time == NOW + timedelta(minutes=3)


def test_a_token_without_an_end_has_none(bench: FacebookBench):
    assert bench.channel.verify().expires is None


def test_where_the_end_is_not_told_that_is_said(bench: FacebookBench):
    bench.remote.mood.inspects = False
    found = bench.channel.verify()
    assert found.expires is None
    (warning,) = found.warnings
    assert "when the token expires is not told" in warning
    assert TOKEN not in warning


def test_a_missing_permission_is_said_before_it_is_missed(bench: FacebookBench):
    bench.remote.mood.scopes = (READING,)
    assert bench.channel.verify().warnings == (f"the token lacks the permission {WRITING}",)


def test_a_quota_that_is_nearly_used_up_is_said(bench: FacebookBench):
    bench.remote.mood.quota = 1
    found = bench.channel.verify()
    assert found.limits["quota used"] == "100 %"
    assert any("100 % of the quota is used" in warning for warning in found.warnings)


@pytest.mark.parametrize(("days", "warned"), [(-5, True), (30, True), (59, True), (61, False), (0, True)])
def test_the_end_of_the_access_to_data_is_said_when_it_is_near(bench: FacebookBench, days: int, warned: bool):
    ends = NOW + timedelta(days=days)
    bench.remote.faults.strike(
        *answers({"id": PAGE, "name": "P"}, {"data": {"data_access_expires_at": int(ends.timestamp())}})
    )
    said = [one for one in bench.channel.verify().warnings if "may read the Page until" in one]
    assert bool(said) == warned
    assert all(f"{ends:%Y-%m-%d}" in one for one in said)


@pytest.mark.parametrize("data", [None, [], {"expires_at": "soon", "scopes": None}, {"expires_at": 1 << 60}])
def test_what_is_told_of_a_token_and_cannot_be_read_counts_as_nothing(bench: FacebookBench, data: object):
    bench.remote.faults.strike(*answers({"id": PAGE}, {"data": data}))
    found = bench.channel.verify()
    assert (found.expires, found.warnings) == (None, ())


def test_the_token_of_somebody_else_is_told_from_the_pages(bench: FacebookBench):
    bench.remote.faults.strike(*answers({"id": "7", "name": "Anne"}))
    with pytest.raises(
        AuthFailedError, match=rf"belongs to Anne \(7\) and the channel posts to the Page {PAGE}"
    ):
        bench.channel.verify()


def test_a_page_may_be_named_by_its_alias(bench: FacebookBench):
    bench.remote._names.add("sharing.lille")
    config = facebook(api=bench.remote.url, options={"page": "sharing.lille"})
    channel = open_channel(make_campaign(), config, bench.around)
    assert channel.verify().account.startswith("Sharing Lille")
    receipt = channel.publish(rendered(bench))
    assert channel.find(rendered(bench), SINCE) == Found(receipt)


@pytest.mark.parametrize("document", [{}, {"name": "P"}, []])
def test_an_answer_that_names_nobody_is_none(bench: FacebookBench, document: object):
    bench.remote.faults.strike(*answers(document))
    with pytest.raises(OutcomeUnknownError):
        bench.channel.verify()


# --------------------------------------------------------------------------- the age of the API


@pytest.mark.parametrize(
    ("version", "day", "words"),
    [
        ("v26.0", "2026-11-23", None),
        ("v25.0", "2028-05-29", None),
        ("v25.0", "2028-06-01", "sure to work until 2028-07-29 and no longer"),
        ("v25.0", "2028-07-29", "sure to work until 2028-07-29 and no longer"),
        ("v26.0", "2028-07-30", "was only sure to work until 2028-07-29"),
        ("v19.0", "2026-11-23", "how long v19.0 of the Graph API works is not known here"),
        ("v99.0", "2026-11-23", "not known here"),
    ],
)
def test_a_version_is_warned_of_as_it_ages(version: str, day: str, words: str | None):
    said = version_warnings(version, datetime.fromisoformat(day).replace(tzinfo=UTC))
    assert [words in one for one in said] == ([True] if words else [])
    assert all(f"set `version: {NEWEST}`" in one for one in said)


def test_the_newest_version_is_known_and_the_default():
    from pipeline.channels.facebook import VERSION

    assert NEWEST in SURE_UNTIL
    assert VERSION == NEWEST


def test_a_version_that_is_gone_is_seen_by_which_one_answers(bench: FacebookBench):
    config = facebook(api=bench.remote.url, options={"page": PAGE, "version": "v3.2"})
    channel = open_channel(make_campaign(), config, bench.around)
    assert any("answered as v25.0, so v3.2 is gone" in one for one in channel.verify().warnings)
