"""Every way a request can fail, made to happen on real sockets, and the one thing that each of them means."""

from __future__ import annotations

import gc
import gzip
import logging
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.channels import wire
from pipeline.channels.base import (
    AuthFailedError,
    ChannelError,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
)
from pipeline.channels.http import (
    LONGEST_WAIT,
    SHORTEST_SECRET,
    STAGES,
    Http,
    Limits,
    Reply,
    Stage,
    excerpt,
    meaning,
    redacted,
    retry_after,
)
from tests.support.sockets import (
    answering,
    black_hole,
    dripping,
    make_certificate,
    over_tls,
    read_request,
    resetting,
    serving,
)

TOKEN = "s3cr3t/+token="
EASY = Limits(timedelta(seconds=20))
SOON = Limits(timedelta(seconds=0.6), connect=timedelta(seconds=0.4))
assert wire  # loaded with the first request otherwise, which would count against its limits
ROOM = 3.0  # seconds that a busy machine may add to a limit
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def post(url: str, limits: Limits = EASY, body: bytes = b"{}", **more: object) -> Reply:
    return Http(limits, secrets=(TOKEN,)).request("POST", url, body=body, **more)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def silent(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)


# --------------------------------------------------------------------------- never connected


def test_a_refused_connection_is_provably_not_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        NotAcceptedError, match=f"127.0.0.1:{port}: failed while connecting: Connection refused"
    ):
        post(f"http://127.0.0.1:{port}/")


def test_a_connection_that_nobody_answers_is_given_up_in_time():
    began = time.monotonic()
    with black_hole() as port, pytest.raises(NotAcceptedError, match="failed while connecting"):
        post(f"http://127.0.0.1:{port}/", SOON)
    assert 0.3 < time.monotonic() - began < 0.4 + ROOM


def test_a_name_that_does_not_exist_is_provably_not_taken():
    with pytest.raises(NotAcceptedError, match=r"nobody\.invalid: failed while looking up the name"):
        post("https://nobody.invalid/", Limits(timedelta(seconds=10)))


def test_a_name_service_that_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: released.wait(10) and [])
    began = time.monotonic()
    with pytest.raises(NotAcceptedError, match="the name service did not answer in time"):
        post("https://example.org/", SOON)
    released.set()
    assert time.monotonic() - began < 0.4 + ROOM


def test_a_dead_address_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch):
    with black_hole() as dead, serving(answering(OK)) as server:
        places = [("127.0.0.1", dead), ("127.0.0.1", server.port)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
        assert (
            post("http://example.org/", Limits(timedelta(seconds=20), connect=timedelta(seconds=2))).status
            == 200
        )


def test_tls_spoken_to_a_plain_port_is_provably_not_taken():
    with (
        serving(lambda connection: connection.sendall(b"220 ready\r\n" * 3)) as server,
        pytest.raises(NotAcceptedError, match="failed while agreeing on TLS"),
    ):
        post(f"https://127.0.0.1:{server.port}/")
    assert server.connections == 1


@pytest.mark.parametrize("drop", [b"", b"\x16"], ids=["silent", "dripping"])
def test_a_handshake_that_never_ends_is_cut_at_the_limit(drop: bytes):
    def behave(connection: socket.socket) -> None:
        if drop:
            connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 kB is announced
        while not threading.Event().wait(0.1):
            connection.sendall(drop)

    began = time.monotonic()
    with serving(behave) as server, pytest.raises(NotAcceptedError, match="agreeing on TLS"):
        post(f"https://127.0.0.1:{server.port}/", SOON)
    assert time.monotonic() - began < 0.6 + ROOM


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def tls_server(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_a_certificate_that_nobody_trusts_stops_the_request(certificate: tuple[Path, Path]):
    with (
        serving(over_tls(tls_server(certificate), answering(OK))) as server,
        pytest.raises(NotAcceptedError, match=r"agreeing on TLS.*self.signed certificate"),
    ):
        post(f"https://127.0.0.1:{server.port}/")


def test_a_certificate_that_the_machine_trusts_is_trusted(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    requests: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(OK)

    with serving(over_tls(tls_server(certificate), behave)) as server:
        for name in ("localhost", "127.0.0.1"):
            assert post(f"https://{name}:{server.port}/").json() == {}
    assert [one.partition(b"\r\n")[0] for one in requests] == [b"POST / HTTP/1.1"] * 2


def test_a_certificate_of_another_host_stops_the_request(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with serving(over_tls(tls_server(certificate), answering(OK))) as server:
        place = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: place)
        with pytest.raises(NotAcceptedError, match="agreeing on TLS"):
            post(f"https://elsewhere.example:{server.port}/")


def test_tls_that_breaks_after_the_request_is_unknown(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with (
        serving(over_tls(tls_server(certificate), resetting())) as server,
        pytest.raises(OutcomeUnknownError, match="waiting for the answer"),
    ):
        post(f"https://localhost:{server.port}/")
    assert server.connections == 1


@pytest.mark.parametrize("url", ["", "nonsense", "http://", "ftp://127.0.0.1/", "http://[::1", "http://a b/"])
def test_an_address_that_is_none_is_for_a_person(url: str):
    with pytest.raises(RejectedError, match="failed while preparing the request"):
        post(url)


def test_a_header_that_would_smuggle_another_is_refused_before_anything_is_sent():
    with serving(answering(OK)) as server, pytest.raises(RejectedError, match="preparing the request"):
        post(server.url, headers={"X-Title": "one\r\nX-Other: two"})
    assert server.connections == 0


# --------------------------------------------------------------------------- sent, and no usable answer

HALF = b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"id":'
BOMB = gzip.compress(b"\0" * (64 << 20))

UNKNOWN = {
    "closed without an answer": answering(b""),
    "reset after the request": resetting(),
    "reset in the body": resetting(HALF),
    "garbage": answering(b"\x16\x03\x01 what?\r\n\r\n"),
    "half a status line": answering(b"HTTP/1.1 2"),
    "half a body": answering(HALF),
    "half a chunk": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nabc"),
    "no chunk": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "too many headers": answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"),
    "endless header": answering(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000),
    "never an answer": silent,
    "dripping headers": dripping(b"HTTP/1.1 200 OK\r\nX: ", 0.05),
    "dripping body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", 0.05),
    "dripping body without a length": dripping(b"HTTP/1.1 200 OK\r\n\r\n", 0.05),
    "huge": answering(answer(200, b"x" * (1 << 20) + b"y")),
    "gzip bomb": answering(answer(200, BOMB, Content_Encoding="gzip")),
    "false gzip": answering(answer(200, b"plain", Content_Encoding="gzip")),
    "only the way is clear": answering(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "another protocol": answering(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    "an invented status": answering(b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n"),
    "a gateway's patience": answering(answer(408)),
    **{str(status): answering(answer(status)) for status in (500, 502, 503, 504, 520)},
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_without_an_understandable_answer_the_outcome_is_unknown(name: str):
    limits = SOON if name.startswith(("never", "dripping")) else EASY
    began = time.monotonic()
    with serving(UNKNOWN[name]) as server, pytest.raises(OutcomeUnknownError) as unknown:
        post(server.url, limits)
    assert time.monotonic() - began < 0.6 + ROOM
    assert server.connections == 1  # nothing was tried again behind our back
    assert str(unknown.value).startswith(f"127.0.0.1:{server.port}: ")


@pytest.mark.parametrize(
    "sent", [{"headers": {"X-Long": "x" * (32 << 20)}}, {"body": b"x" * (32 << 20)}], ids=["head", "body"]
)
@pytest.mark.long
def test_a_server_that_does_not_read_is_cut_at_the_limit(sent):
    def never_read(connection: socket.socket) -> None:
        threading.Event().wait(3.5)

    limits = Limits(
        timedelta(seconds=2.5), connect=timedelta(seconds=2)
    )  # a busy machine takes its time to pack it
    began = time.monotonic()
    with serving(never_read) as server:
        with pytest.raises(OutcomeUnknownError, match="for the whole request was over"):
            post(server.url, limits, **sent)
        assert time.monotonic() - began < 2.5 + ROOM
    assert server.connections == 1


def test_a_connection_that_breaks_in_the_middle_of_the_request_is_unknown():
    def behave(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with serving(behave) as server, pytest.raises(OutcomeUnknownError, match="failed while"):
        post(server.url, headers={"X-Long": "x" * (32 << 20)})
    assert server.connections == 1


def test_a_request_that_is_not_taken_in_time_may_have_been_taken_in_part():
    with serving(lambda _: threading.Event().wait(1)) as server:
        limits = Limits(timedelta(seconds=5), read=timedelta(seconds=0.3))
        with pytest.raises(OutcomeUnknownError, match="failed while sending the request: no answer in time"):
            post(server.url, limits, headers={"X-Long": "x" * (32 << 20)})


def test_a_silence_shorter_than_the_limit_may_be_all_that_is_allowed():
    began = time.monotonic()
    with serving(silent) as server, pytest.raises(OutcomeUnknownError, match="no answer in time"):
        post(server.url, Limits(timedelta(seconds=5), read=timedelta(seconds=0.2)))
    assert time.monotonic() - began < 0.2 + ROOM


def test_the_limit_is_named_when_it_was_the_reason():
    with (
        serving(UNKNOWN["dripping body"]) as server,
        pytest.raises(OutcomeUnknownError, match=r"the limit of 0\.6 s for the whole request was over"),
    ):
        post(server.url, SOON)


def test_a_success_is_read_to_its_end():
    with serving(answering(answer(201, b'{"id": "7"}', X_Request="abc"))) as server:
        reply = post(server.url)
    assert (reply.status, reply.json(), reply.headers["x-request"]) == (201, {"id": "7"}, "abc")


def test_a_success_that_is_not_json_is_unknown_to_whoever_needs_json():
    with serving(answering(answer(200, b"<html>"))) as server:
        reply = post(server.url)
    with pytest.raises(OutcomeUnknownError, match="answered 200 with what is not JSON"):
        reply.json()


# --------------------------------------------------------------------------- refused

REFUSED = {401: AuthFailedError, 429: RateLimitedError} | dict.fromkeys(
    (400, 402, 403, 404, 409, 410, 413, 415, 421, 422, 425, 451, 499), RejectedError
)


@pytest.mark.parametrize(("status", "error"), REFUSED.items(), ids=map(str, REFUSED))
def test_a_refusal_is_what_its_status_says(status: int, error: type[ChannelError]):
    with (
        serving(answering(answer(status, b'{"error":\n "too\tlong"}'))) as server,
        pytest.raises(error, match=f'answered {status}: {{"error": "too long"}}$'),
    ):
        post(server.url)
    assert server.connections == 1


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308])
def test_a_redirect_is_not_followed_and_its_target_is_named(status: int):
    target = "https://user:pass@new.example/hook?token=abc#x"
    with (
        serving(answering(answer(status, b"moved", Location=target))) as server,
        pytest.raises(RejectedError, match=f"answered {status} and points to https://new.example/hook;"),
    ):
        post(server.url)
    assert server.connections == 1


def test_a_server_that_says_where_the_result_is_may_have_taken_the_post():
    target = "https://user:pass@new.example/done?token=abc"
    with (
        serving(answering(answer(303, b"", Location=target, Retry_After="60"))) as server,
        pytest.raises(
            OutcomeUnknownError,
            match=r"answered 303 and points to https://new\.example/done; it may have been",
        ) as unknown,
    ):
        post(server.url)
    assert unknown.value.wait == timedelta(minutes=1)
    assert server.connections == 1


def test_a_redirect_to_nowhere_is_a_refusal_too():
    for location in ({}, {"Location": "http://[::1"}):
        with (
            serving(answering(answer(302, b"", **location))) as server,
            pytest.raises(RejectedError, match="points to nowhere"),
        ):
            post(server.url)


@pytest.mark.parametrize(
    "behaviour",
    [
        answering(answer(422, b"x" * (2 << 20))),
        answering(b"HTTP/1.1 422 No\r\nContent-Length: 400\r\n\r\nhalf"),
        dripping(b"HTTP/1.1 422 No\r\nContent-Length: 400\r\n\r\n", 0.05),
        dripping(b"HTTP/1.1 422 No\r\nX: ", 0.05),
        answering(answer(422, BOMB, Content_Encoding="gzip")),
    ],
    ids=["huge", "half", "dripping", "dripping headers", "bomb"],
)
def test_a_refusal_whose_body_does_not_come_is_one_all_the_same(behaviour):
    with serving(behaviour) as server, pytest.raises(RejectedError, match="answered 422") as refusal:
        post(server.url, Limits(timedelta(seconds=2)))
    assert len(str(refusal.value)) < 300


def test_a_network_may_mean_something_else_by_a_status():
    judges = {
        422: lambda reply: None,
        400: lambda reply: AuthFailedError("the token is " + reply.body.decode()),
    }
    with serving(answering(answer(422, b"already there"))) as server:
        assert post(server.url, judges=judges).body == b"already there"
    with serving(answering(answer(400, b"old"))) as server, pytest.raises(AuthFailedError, match="is old"):
        post(server.url, judges=judges)


def test_every_stage_has_its_meaning():
    assert STAGES.keys() == set(Stage)
    assert meaning(204) is None


@given(st.integers(-1, 10_000))
def test_no_status_outside_the_table_is_a_refusal(status: int):
    error = meaning(status)
    assert (error is None) == (200 <= status < 300)
    if not 200 <= status < 500:
        assert error is OutcomeUnknownError


# --------------------------------------------------------------------------- when to come back


def test_a_number_of_seconds_is_a_span():
    for status, error in ((429, RateLimitedError), (503, OutcomeUnknownError)):
        with serving(answering(answer(status, Retry_After="120"))) as server, pytest.raises(error) as asked:
            post(server.url)
        assert (asked.value.until, asked.value.wait) == (None, timedelta(minutes=2))


def test_a_date_is_an_instant():
    until = datetime(2016, 4, 11, 7, 5, tzinfo=UTC)
    header = format_datetime(until, usegmt=True)
    with (
        serving(answering(answer(429, Retry_After=header))) as server,
        pytest.raises(RateLimitedError) as asked,
    ):
        post(server.url)
    assert (asked.value.until, asked.value.wait) == (until, None)
    assert retry_after("Mon, 11 Apr 2016 09:05:00 +0200") == (until, None)
    assert retry_after("Mon, 11 Apr 2016 07:05:00 -0000") == (until, None)


@pytest.mark.parametrize("value", [None, "", "soon", "-5", "1.5", "٣", "Mon, 99 Apr 2016", "9" * 19])
def test_what_cannot_be_read_is_no_wish(value: str | None):
    assert retry_after(value) == (None, None)


def test_no_wait_is_longer_than_a_year():
    assert retry_after("9" * 18) == (None, LONGEST_WAIT)


@given(st.text(max_size=60))
def test_any_header_is_read_or_ignored(value: str):
    until, wait = retry_after(value)
    assert until is None or until.tzinfo is UTC
    assert wait is None or timedelta(0) <= wait <= LONGEST_WAIT


# --------------------------------------------------------------------------- what people may read


def test_no_secret_is_in_a_message_or_a_log(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    body = f"no: {TOKEN} and s3cr3t%2F%2Btoken%3D".encode()
    behaviours = [answering(answer(status, body)) for status in (400, 401, 404, 429, 500)]
    behaviours += [answering(answer(302, b"", Location=f"/{TOKEN}")), resetting(), answering(b"X-" + body)]
    said = []
    for behaviour in behaviours:
        with serving(behaviour) as server, pytest.raises(ChannelError) as failure:
            post(
                f"http://127.0.0.1:{server.port}/bot{TOKEN}/send?key={TOKEN}",
                headers={"Authorization": TOKEN},
            )
        said.append(f"{failure.value!s} {failure.value!r} {failure.value.__cause__}")
    for url in (f"https://{TOKEN.replace('/', '')}:x@nobody.invalid/{TOKEN}", f"nonsense {TOKEN}"):
        with pytest.raises(ChannelError) as failure:
            post(url)
        said.append(f"{failure.value!s} {failure.value.__cause__}")
    with serving(answering(OK)) as server:
        post(f"http://127.0.0.1:{server.port}/bot{TOKEN}/send")
    said += [repr(Http(SOON, secrets=(TOKEN,))), caplog.text]
    for text in said:
        assert "s3cr3t" not in text
    assert "***" in said[0]


def test_an_excerpt_is_one_short_line_of_plain_text():
    page = (
        b"<html><style>p { x }</style><title>502</title>\r\n<p>Bad\x00\xff gate\x1b[31mway</p>" + b"x" * 999
    )
    said = excerpt(page, ())
    assert said.startswith("502 Bad � gate [31mway")
    assert len(said) == 200
    assert said.endswith("…")


@given(st.text(min_size=SHORTEST_SECRET, max_size=12), st.text(max_size=40), st.text(max_size=40))
def test_a_secret_is_redacted_wherever_it_stands(secret: str, before: str, after: str):
    assert secret not in redacted(before + secret + after, (secret,)) or set(secret) == {"*"}


@pytest.mark.parametrize("secret", ["t", "no", "the", ""])
def test_what_is_too_short_for_a_secret_leaves_the_words_of_a_message_alone(secret: str):
    assert redacted("points to nowhere; not the token abcd", (secret, "abcd")) == (
        "points to nowhere; not the token ***"
    )


def test_what_answers_in_another_protocol_is_told_in_one_line():
    with (
        serving(answering(b"SSH-2.0-OpenSSH\x1b[2J_9.6\r\n")) as server,
        pytest.raises(OutcomeUnknownError, match="SSH") as unknown,
    ):
        post(server.url)
    assert str(unknown.value).isprintable()


@given(st.text())
def test_whatever_an_error_repeats_its_message_is_one_line(text: str):
    for error in (RejectedError(text), OutcomeUnknownError(f"a\n{text}\r\nb\u2028c"), AuthFailedError(text)):
        assert str(error).isprintable()


# --------------------------------------------------------------------------- one request, as we made it


def test_a_request_carries_what_we_gave_and_nothing_of_the_environment(monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    for name, value in {
        "HOME": str(tmp_path),
        "NETRC": str(tmp_path / ".netrc"),
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    requests: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(answer(200, b"", Set_Cookie="a=b"))

    with serving(behave) as server:
        for _ in range(2):
            post(server.url, body=b'{"a":1}', headers={"X-Key": "7"})
    assert server.connections == 2  # each on a connection of its own
    head, _, body = requests[1].partition(b"\r\n\r\n")
    names = sorted(line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:])
    wanted = [
        b"accept",
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"host",
        b"user-agent",
        b"x-key",
    ]
    assert names == wanted
    assert body == b'{"a":1}'
    assert b"Connection: close" in head
    assert b"content-pipeline/" in head


def test_a_name_in_the_address_does_not_take_the_place_of_a_token():
    heads: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        heads.append(read_request(connection).partition(b"\r\n\r\n")[0])
        connection.sendall(answer(200, b""))

    with serving(behave) as server:
        address = server.url.replace("://", "://me:mine@")
        post(address, headers={"Authorization": f"Bearer {TOKEN}"})
        post(address)
    assert f"Authorization: Bearer {TOKEN}".encode() in heads[0]
    assert b"Basic" not in heads[0]
    assert b"Authorization: Basic bWU6bWluZQ==" in heads[1]


def test_no_socket_or_thread_is_left_behind():
    gc.collect()
    before = threading.active_count()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for name in (
            "huge",
            "half a body",
            "reset in the body",
            "garbage",
            "dripping body without a length",
            "500",
        ):
            with serving(UNKNOWN[name]) as server, suppress(OutcomeUnknownError):
                post(server.url, SOON)
        with serving(answering(OK)) as server:
            post(server.url)
        gc.collect()
    assert caught == []
    deadline = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_naming_the_failures_loads_no_http_library():
    script = (
        "import sys, pipeline.channels.http, pipeline.channels.webhook\n"
        "print(sorted({'requests', 'urllib3', 'ssl', 'starlette', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
