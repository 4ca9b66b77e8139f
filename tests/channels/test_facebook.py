"""The Facebook channel: its bytes, its counting, what its refusals mean, its pictures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.channels import open_channel, option_problems
from pipeline.channels.base import (
    AuthFailedError,
    ChannelError,
    DoesNotFit,
    Found,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.channels.facebook import LONGEST, LONGEST_ALT, Facebook
from pipeline.channels.facebook_graph import GoneError, Usage, usage
from pipeline.channels.text import utf16
from pipeline.composing import compose
from pipeline.model import Image, NoKey, Rendition
from pipeline.rehearsal.standins import faults
from pipeline.rehearsal.standins.faults import Fault
from tests.support.bench_facebook import (
    NOW,
    PAGE,
    PICTURE,
    FacebookBench,
    FacebookPictureBench,
    a_picture,
    facebook,
)
from tests.support.builders import make_campaign, make_entry, surroundings

KEY = "lille/ouistock/facebook"
SINCE = NOW - timedelta(minutes=5)
TOKEN = "EAAGstandinPageTokenZC8x"
LONG = timedelta(seconds=30)
LIMIT = timedelta(seconds=0.5)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FacebookBench]:
    with ExitStack() as stack:
        yield FacebookBench(tmp_path, stack)


@pytest.fixture
def pictured(tmp_path: Path) -> Iterator[FacebookBench]:
    with ExitStack() as stack:
        yield FacebookPictureBench(tmp_path, stack)


def rendered(bench: FacebookBench, title: str = "OuiStock") -> Rendition:
    return bench.channel.render(bench.channel.fit(bench.post(title)), KEY)


def refusal(code: int, *, status: int = 400, headers: dict[str, str] | None = None, **more: object) -> Fault:
    error = {"message": f"(#{code}) No.", "type": "OAuthException", "code": code, **more}
    return faults.status(status, headers, json.dumps({"error": error}).encode(), accepted=False)


# --------------------------------------------------------------------------- the bytes

MESSAGE = (
    "J-10 : OuiStock. Un projet collaboratif. Il réunit des habitants. Il grandit.\\n"
    "https://example.org/ouistock #ÉconomieCollaborative"
)


def test_a_post_is_its_text_and_its_link(bench: FacebookBench):
    expected = f'{{"link":"https://example.org/ouistock","message":"{MESSAGE}"}}'.encode()
    rendition = rendered(bench)
    assert rendition == Rendition(KEY, expected, json.loads(expected)["message"])
    assert bench.channel.prepare(rendition) == rendition
    assert bench.remote.seen == []
    receipt = bench.channel.publish(rendition)
    (request,) = bench.remote.seen
    assert (request.method, request.path) == ("POST", f"/v26.0/{PAGE}/feed")
    assert request.body == expected
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert receipt.url == f"https://www.facebook.com/{receipt.remote_id}"
    assert receipt.remote_id.startswith(f"{PAGE}_")


def test_an_address_with_accents_is_sent_as_facebook_reads_it(bench: FacebookBench):
    entry = make_entry("o", url="https://exämple.org/pôle?q=été#là")
    post = compose(entry, make_campaign(), bench.config, date(2016, 4, 11))
    rendition = bench.channel.render(bench.channel.fit(post), KEY)
    link = json.loads(rendition.body)["link"]
    assert link == "https://xn--exmple-cua.org/p%C3%B4le?q=%C3%A9t%C3%A9#l%C3%A0"
    assert "https://exämple.org/pôle?q=été#là" in rendition.text
    bench.channel.publish(rendition)
    assert bench.count() == 1


def test_the_traits_claim_no_key(bench: FacebookBench):
    traits = bench.channel.traits
    assert isinstance(traits.key, NoKey)
    assert (traits.lookup, traits.edit, traits.delete) == (True, True, True)
    assert open_facebook(timeout=None).traits.timeout == timedelta(seconds=30)


def open_facebook(token: str | None = TOKEN, folder: Path = Path(), **changes: object) -> Facebook:
    known = {("facebook", "PAGE_TOKEN"): token} if token else {}
    channel = open_channel(make_campaign(), facebook(**changes), surroundings(folder, credentials=known))
    assert isinstance(channel, Facebook)
    return channel


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "`page` is missing"),
        ({"page": "sharing lille"}, "not the id of a Page"),
        ({"page": "../me"}, "not the id of a Page"),
        ({"page": ".."}, "not the id of a Page"),
        ({"page": "1", "version": "26"}, "not a Graph API version"),
        ({"page": "1", "versoin": "v26.0"}, "did you mean `version`?"),
    ],
)
def test_options_are_checked(options: dict[str, str], words: str):
    assert any(words in message for _, message in option_problems(facebook(options=options)))


def test_another_version_is_spoken_when_the_campaign_says_so(bench: FacebookBench):
    bench.config = facebook(api=bench.remote.url, options={"page": PAGE, "version": "v25.0"})
    bench.hurry(timedelta(seconds=10))
    bench.channel.publish(rendered(bench))
    assert bench.remote.seen[0].path == f"/v25.0/{PAGE}/feed"


def test_opening_the_channel_loads_neither_requests_nor_pillow():
    code = "import sys, pipeline.channels.facebook; sys.exit(bool({'requests', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --------------------------------------------------------------------------- counting


def test_emoji_count_as_facebook_is_said_to_count_them():
    channel = open_facebook()
    post = compose(
        make_entry("o", summary="👨‍👩‍👧‍👦 ok"),
        make_campaign(text="{{ entry.summary }}"),
        facebook(),
        NOW.date(),
    )
    fit = channel.fit(post)
    assert (fit.length, fit.limit, fit.shortened) == (14, LONGEST, False)


FILLER = "🙂 é " * 12_560  # UTF-16 units, five each: more than any template gives, so that a summary counts
TAIL = "\nhttps://example.org/pôle #ÉconomieCollaborative"


def _long_post(summary: str):
    post = compose(make_entry("o"), make_campaign(), facebook(), NOW.date())
    return replace(post, summary=summary, text=lambda summary: f"{FILLER}{summary}{TAIL}")


def test_what_is_too_long_loses_its_summary_and_nothing_else():
    fit = open_facebook().fit(_long_post("🙂🙂 Une phrase. " * 60))
    assert fit.shortened
    assert LONGEST - 20 < fit.length == utf16(fit.text) <= LONGEST
    assert fit.text.startswith(FILLER)
    assert fit.text.endswith(f" Une phrase.{TAIL}")
    with pytest.raises(DoesNotFit, match="UTF-16 units"):
        open_facebook().fit(replace(fit.post, text=lambda summary: summary + "x" * LONGEST))


PIECES = st.sampled_from(
    [
        *("mot", "été", "e\u0301\u0323", "漢字かな", "日本語。", "السلام", "עברית", "\u202eRTL\u202c"),
        *("👍🏽", "👨‍👩‍👧‍👦", "🇫🇷", "🏳️‍🌈", "1️⃣", ".", "!", "…", "«", "»"),
        *("#Énergie", "@page", "https://example.org/pôle?q=é", "www.exemple.fr"),
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=12).map(" ".join)


def _fits_and_is_whole(text: str, times: int) -> None:
    summary = " ".join([text] * times)
    try:
        fit = open_facebook().fit(_long_post(summary))
    except DoesNotFit:
        pytest.fail("the filler leaves room for every first word")
    message = json.loads(open_facebook().render(fit, KEY).body)["message"]
    assert message == fit.text
    assert len(message.encode("utf-16-le")) // 2 == fit.length <= LONGEST
    short = fit.text.removeprefix(FILLER).removesuffix(TAIL)
    assert fit.shortened == (short != summary)
    kept = short.removesuffix("…").rstrip() if fit.shortened else short
    assert summary.startswith(kept)
    rest = summary[len(kept) :]
    # What was cut begins with a space or a mark, or between signs of a script without spaces.
    assert not rest or rest[0] in " .!…。«»" or kept[-1] in "漢字かな日本語。"


@given(TEXTS, st.integers(1, 12))
@settings(max_examples=30)
def test_no_text_is_above_the_limit_or_cut_inside(text: str, times: int):
    _fits_and_is_whole(text, times)


@pytest.mark.night
@pytest.mark.timeout(3_600)
@given(TEXTS, st.integers(1, 12))
@settings(max_examples=10_000)
def test_no_text_of_ten_thousand_is_above_the_limit_or_cut_inside(text: str, times: int):
    _fits_and_is_whole(text, times)


# --------------------------------------------------------------------------- refusals

REFUSALS: list[tuple[Fault, type[ChannelError], str]] = [
    (refusal(190), AuthFailedError, "the Page token is dead"),
    (refusal(190, error_subcode=460), AuthFailedError, "the password was changed"),
    (refusal(190, error_subcode=463, status=401), AuthFailedError, "it has expired"),
    (refusal(102), AuthFailedError, "make a new one"),
    (refusal(200, status=403), AuthFailedError, "needs the permission pages_manage_posts"),
    (refusal(10, status=403), AuthFailedError, "needs the permission pages_manage_posts"),
    (refusal(299), AuthFailedError, "needs the permission"),
    (refusal(368, status=403, message="Your Page is restricted."), RejectedError, "blocks this for now"),
    (refusal(368, message="You've already posted this."), OutcomeUnknownError, "may be this one"),
    (refusal(368, error_user_msg="You've Already posted this."), OutcomeUnknownError, "may be this one"),
    (refusal(506), OutcomeUnknownError, "the last post may be this one"),
    (refusal(1609005), RejectedError, "could not read the page behind the link"),
    (refusal(100, error_subcode=1609005), RejectedError, "could not read the page behind the link"),
    (refusal(100), RejectedError, "code 100"),
    (refusal(100, error_subcode=33), GoneError, "subcode 33"),
    (refusal(1), OutcomeUnknownError, "has posted behind this answer before"),
    (refusal(2, is_transient=True), OutcomeUnknownError, "has posted behind this answer before"),
    (refusal(4711, is_transient=True), OutcomeUnknownError, "code 4711"),
    (refusal(4711), RejectedError, "code 4711"),
    (refusal(4711, status=404), RejectedError, "code 4711"),
    (refusal(4711, status=429), RateLimitedError, "429"),
    *((refusal(code), RateLimitedError, f"code {code}") for code in (4, 17, 32, 341, 613, 80001)),
    *((refusal(code, status=500), OutcomeUnknownError, "answered 50") for code in (2, 100, 190, 506)),
    (refusal(190, status=408), OutcomeUnknownError, "answered 408"),
    (faults.status(400, body=b'{"error":"no"}', accepted=False), RejectedError, "answered 400"),
    (faults.status(400, body=b'{"error":{"code":"190"}}', accepted=False), RejectedError, "answered 400"),
    (faults.status(400, body=b"[" * 100_000, accepted=False), RejectedError, "answered 400"),
    (faults.status(403, body=b"<h1>Proxy</h1>", accepted=False), RejectedError, "answered 403: Proxy"),
]


@pytest.mark.parametrize(("fault", "error", "words"), REFUSALS)
def test_what_graph_says_counts_more_than_its_status(bench: FacebookBench, fault, error, words):
    rendition = rendered(bench)
    bench.remote.faults.strike(fault)
    with pytest.raises(error, match=words) as raised:
        bench.channel.publish(rendition)
    assert type(raised.value) is error or issubclass(error, RejectedError)
    assert bench.count() == 0


def test_a_link_that_cannot_be_read_names_the_field_at_fault(bench: FacebookBench):
    bench.remote.mood.unreadable.add("https://example.org/ouistock")
    with pytest.raises(RejectedError) as refused:
        bench.channel.publish(rendered(bench))
    assert refused.value.field == "url"


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b'{"id": 7}', b'{"id": ""}', b'{"id": "../me"}', b"\xff"]
)
def test_a_success_that_names_no_post_is_unknown(bench: FacebookBench, body: bytes):
    bench.remote.faults.strike(faults.status(200, body=body, accepted=False))
    with pytest.raises(OutcomeUnknownError):
        bench.channel.publish(rendered(bench))


def test_a_post_that_was_taken_behind_a_failure_is_found(bench: FacebookBench):
    bench.remote.mood.stumbles = 1
    rendition = rendered(bench)
    with pytest.raises(OutcomeUnknownError):
        bench.channel.publish(rendition)
    assert bench.count() == 1
    assert isinstance(bench.channel.find(rendition, SINCE), Found)


def test_a_repeat_of_the_last_post_is_evidence_and_not_proof(bench: FacebookBench):
    rendition = rendered(bench)
    receipt = bench.channel.publish(rendition)
    with pytest.raises(OutcomeUnknownError, match="code 506"):
        bench.channel.publish(rendition)
    assert (bench.count(), bench.channel.find(rendition, SINCE)) == (1, Found(receipt))
    bench.channel.publish(rendered(bench, "Autre"))
    bench.channel.publish(rendition)  # no longer the last one: Facebook does not notice
    assert bench.count() == 3


def test_a_token_that_ends_is_told_from_one_that_lacks_a_permission(bench: FacebookBench):
    bench.remote.mood.scopes = ("pages_read_engagement",)
    with pytest.raises(AuthFailedError, match="permission pages_manage_posts"):
        bench.channel.publish(rendered(bench))
    bench.remote.mood.expires = NOW
    with pytest.raises(AuthFailedError, match="it has expired"):
        bench.channel.publish(rendered(bench))
    assert bench.count() == 0


@pytest.mark.parametrize("token", [None, "EAAG\nX: y", "EAAG é", "EA AG"])
def test_without_a_usable_token_nothing_is_sent(bench: FacebookBench, token: str | None):
    channel = open_facebook(token, api=bench.remote.url)
    rendition = rendered(bench)
    for call in (channel.prepare, channel.publish):
        with pytest.raises(AuthFailedError) as refused:
            call(rendition)
        assert token is None or token not in str(refused.value)
    assert bench.remote.seen == []


def test_a_token_that_facebook_repeats_is_not_shown(bench: FacebookBench):
    wrong = "EAAGanotherTokenOfSomebody"
    channel = open_facebook(wrong, api=bench.remote.url)
    with pytest.raises(AuthFailedError, match=r"\*\*\*") as refused:
        channel.publish(rendered(bench))
    assert wrong not in str(refused.value)
    found = channel.find(rendered(bench), SINCE)
    assert wrong not in str(found)
    assert wrong not in repr(channel)


def test_a_rendition_of_another_network_is_refused(bench: FacebookBench):
    for body in (b"{}", b"[]", b'{"message": 7}', b"\xff", b'"message"'):
        for call in (bench.channel.prepare, bench.channel.publish):
            with pytest.raises(RejectedError, match="not rendered for a Facebook Page"):
                call(Rendition(KEY, body, "text"))
    assert bench.remote.seen == []


# --------------------------------------------------------------------------- quotas


def _quota(minutes: object = 0, count: object = 1, kind: str = "pages") -> dict[str, str]:
    entry = {"type": kind, "call_count": count, "total_cputime": 2, "total_time": 3}
    return {
        "X-Business-Use-Case-Usage": json.dumps(
            {PAGE: [{**entry, "estimated_time_to_regain_access": minutes}]}
        )
    }


def test_a_full_quota_says_how_long_it_lasts(bench: FacebookBench):
    rendition = rendered(bench)
    bench.remote.faults.strike(refusal(80001, headers=_quota(19, 100)))
    with pytest.raises(RateLimitedError) as refused:
        bench.channel.publish(rendition)
    assert refused.value.wait == timedelta(minutes=19)


def test_until_there_is_some_quota_again_facebook_is_not_asked(bench: FacebookBench):
    bench.remote.mood.quota = 2
    bench.channel.publish(rendered(bench))
    rendition = rendered(bench, "Autre")
    bench.channel.prepare(rendition)
    bench.clock.advance(timedelta(hours=1))
    bench.channel.publish(rendition)  # the last that the quota holds
    asked = len(bench.remote.seen)
    with pytest.raises(RateLimitedError, match="used up until 2016-04-12 07:00 UTC") as refused:
        bench.channel.prepare(rendered(bench, "Troisième"))
    assert refused.value.until == NOW + timedelta(days=1)
    assert len(bench.remote.seen) == asked
    bench.clock.advance(timedelta(hours=23, minutes=1))
    third = bench.channel.prepare(rendered(bench, "Troisième"))
    bench.channel.publish(third)
    assert bench.count() == 3


@pytest.mark.parametrize(
    "headers", [_quota(0, 100), {"X-App-Usage": '{"call_count":3,"total_time":101,"total_cputime":0}'}]
)
def test_a_quota_that_is_used_up_and_does_not_say_until_when_gets_a_pause(bench: FacebookBench, headers):
    bench.remote.faults.strike(faults.status(400, headers, b"{}", accepted=False))
    rendition = rendered(bench)
    with pytest.raises(RejectedError):
        bench.channel.publish(rendition)
    with pytest.raises(RateLimitedError) as refused:
        bench.channel.prepare(rendition)
    assert refused.value.until == NOW + timedelta(minutes=5)


def test_a_quota_that_is_nearly_used_up_stops_nobody(bench: FacebookBench):
    bench.remote.faults.strike(faults.status(400, _quota(0, 99), b"{}", accepted=False))
    rendition = rendered(bench)
    with pytest.raises(RejectedError):
        bench.channel.publish(rendition)
    assert bench.channel.prepare(rendition) == rendition


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-app-usage": "{}"}, None),
        ({"x-app-usage": "full"}, None),
        ({"x-app-usage": "[1]", "x-business-use-case-usage": '{"1": {"2": 3}, "4": [5]}'}, None),
        ({"x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":"99"}'}, Usage(28)),
        ({name.lower(): value for name, value in _quota(7, 12).items()}, Usage(12, timedelta(minutes=7))),
        ({name.lower(): value for name, value in _quota(-3, 12.9).items()}, Usage(12)),
        ({name.lower(): value for name, value in _quota(10**9).items()}, Usage(3, timedelta(days=1))),
        ({name.lower(): value for name, value in _quota(None, None).items()}, Usage(3)),
        ({name.lower(): value for name, value in _quota(5, 100, "ads_insights").items()}, None),
    ],
)
def test_what_the_headers_say_of_a_quota(headers: dict[str, str], expected: Usage | None):
    assert usage(headers) == expected


@pytest.mark.parametrize("kept", ["soon", "2016-04-12T07:00:00", 7, None])
def test_what_is_kept_and_cannot_be_read_counts_as_nothing(bench: FacebookBench, kept: object):
    bench.around.keep("facebook").write({"quota_used_up_until": kept})
    assert bench.channel.prepare(rendered(bench)) == rendered(bench)


def test_a_keep_that_cannot_be_written_costs_no_receipt(tmp_path: Path, bench: FacebookBench):
    class Full:
        def read(self):
            return {}

        def write(self, facts):
            raise OSError(28, "No space left on device")

    around = replace(bench.around, keep=lambda _: Full())
    channel = open_channel(make_campaign(), bench.config, around)
    bench.remote.mood.quota = 1
    assert channel.publish(rendered(bench)).remote_id


# --------------------------------------------------------------------------- pictures


def test_a_picture_is_uploaded_unseen_and_then_named(pictured: FacebookBench):
    rendition = rendered(pictured)
    (place,) = json.loads(rendition.body)["attached_media"]
    assert place["media_fbid"].startswith("upload:")
    assert json.loads(rendition.body).keys() == {"attached_media", "message"}
    assert rendition.media == (PICTURE,)
    prepared = pictured.channel.prepare(rendition)
    (upload,) = pictured.remote.seen
    assert (upload.method, upload.path) == ("POST", f"/v26.0/{PAGE}/photos")
    assert upload.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert a_picture() in upload.body
    assert TOKEN.encode() not in upload.body
    assert pictured.count() == 0
    (photo,) = pictured.remote.photos.values()
    assert prepared.body == rendition.body.replace(place["media_fbid"].encode(), photo.id.encode())
    pictured.channel.publish(prepared)
    (shown,) = pictured.remote.shown()
    assert (shown.text, shown.alts, shown.body) == (rendition.text, (PICTURE.alt,), prepared.body)


def test_what_is_prepared_keeps_its_bytes_and_uploads_nothing_more(pictured: FacebookBench):
    prepared = pictured.channel.prepare(rendered(pictured))
    assert pictured.channel.prepare(prepared) == prepared
    assert len(pictured.remote.seen) == 1


def test_without_its_picture_nothing_is_published(pictured: FacebookBench):
    with pytest.raises(NotAcceptedError, match="not been uploaded"):
        pictured.channel.publish(rendered(pictured))
    assert pictured.remote.seen == []


def test_a_picture_that_is_exchanged_in_between_is_not_sent(pictured: FacebookBench):
    rendition = rendered(pictured)
    (pictured.folder / PICTURE.path).write_bytes(a_picture().replace(b"IDAT", b"IDAT"))
    pictured.channel.prepare(rendition)  # touched, and the same
    from PIL import Image as Pillow

    Pillow.new("RGB", (8, 6), "red").save(pictured.folder / PICTURE.path)
    with pytest.raises(NotAcceptedError, match=r"content/ouistock\.png has just been changed"):
        pictured.channel.prepare(rendition)


def test_a_picture_that_is_gone_is_said_when_it_is_rendered(pictured: FacebookBench):
    rendition = rendered(pictured)
    (pictured.folder / PICTURE.path).unlink()
    for call in (lambda: rendered(pictured), lambda: pictured.channel.prepare(rendition)):
        with pytest.raises(RejectedError, match="is gone") as refused:
            call()
        assert refused.value.field == "image"


@pytest.mark.parametrize(
    ("fault", "error", "field"),
    [
        (refusal(1366046), RejectedError, "image"),
        (refusal(100), RejectedError, "image"),
        (refusal(368), RejectedError, None),
        (refusal(100, error_subcode=33), RejectedError, None),
        (refusal(190), AuthFailedError, None),
        (refusal(32, headers=_quota(9)), RateLimitedError, None),
        (refusal(2, status=500), OutcomeUnknownError, None),
        (faults.drop(accepted=True), OutcomeUnknownError, None),
        (faults.reset(accepted=False), OutcomeUnknownError, None),
        (faults.garbage(), OutcomeUnknownError, None),
        (faults.truncated(), OutcomeUnknownError, None),
        (faults.status(200, body=b"{}", accepted=False), OutcomeUnknownError, None),
    ],
)
def test_an_upload_that_fails_posts_nothing_and_may_be_repeated(pictured: FacebookBench, fault, error, field):
    rendition = rendered(pictured)
    pictured.remote.faults.strike(fault)
    with pytest.raises(error) as raised:
        pictured.channel.prepare(rendition)
    assert getattr(raised.value, "field", None) == field
    assert pictured.count() == 0
    pictured.clock.advance(timedelta(minutes=10))
    pictured.channel.publish(pictured.channel.prepare(rendition))
    assert pictured.count() == 1


@pytest.mark.parametrize(
    ("fault", "error", "count"),
    [
        (faults.drop(accepted=True), OutcomeUnknownError, 1),
        (faults.drop(accepted=False), OutcomeUnknownError, 0),
        (faults.reset(accepted=True), OutcomeUnknownError, 1),
        (faults.reset(accepted=False), OutcomeUnknownError, 0),
        (faults.slow(LONG, accepted=True), OutcomeUnknownError, 1),
        (faults.slow(LONG, accepted=False), OutcomeUnknownError, 0),
        (faults.truncated(), OutcomeUnknownError, 1),
        (faults.garbage(), OutcomeUnknownError, 1),
        (faults.false_success(), OutcomeUnknownError, 0),
        (faults.status(401, accepted=False), AuthFailedError, 0),
        (faults.status(422, accepted=False), RejectedError, 0),
        (faults.status(429, {"Retry-After": "30"}, accepted=False), RateLimitedError, 0),
        (faults.status(502, accepted=True), OutcomeUnknownError, 1),
        (faults.status(307, {"Location": "/x"}, accepted=False), RejectedError, 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_fault_of_a_post_with_a_picture_is_no_more_than_it_shows(pictured, fault, error, count):
    prepared = pictured.channel.prepare(rendered(pictured))
    if fault.before or fault.after:
        pictured.hurry(LIMIT)
    pictured.remote.faults.strike(fault)
    with pytest.raises(error):
        pictured.channel.publish(prepared)
    assert pictured.remote.faults.met == [fault.name]
    assert pictured.count() == count
    pictured.hurry(timedelta(seconds=10))
    assert isinstance(pictured.channel.find(prepared, SINCE), Found) == bool(count)


def test_a_long_alt_text_is_shortened_between_graphemes(pictured: FacebookBench):
    alt = "Une famille 👨‍👩‍👧‍👦 " * 100
    post = replace(pictured.post(), image=Image(PICTURE.path, alt))
    pictured.channel.prepare(pictured.channel.render(pictured.channel.fit(post), KEY))
    (photo,) = pictured.remote.photos.values()
    assert LONGEST_ALT - 30 < utf16(photo.alt) <= LONGEST_ALT
    assert photo.alt.endswith("…")
    assert alt.startswith(photo.alt.removesuffix("…"))


def test_a_text_that_looks_like_a_placeholder_is_none(bench: FacebookBench):
    post = compose(make_entry("o", title='"upload:abc"'), make_campaign(), bench.config, NOW.date())
    rendition = bench.channel.render(bench.channel.fit(post), KEY)
    assert bench.channel.prepare(rendition) == rendition
    bench.channel.publish(rendition)
    assert bench.count() == 1
