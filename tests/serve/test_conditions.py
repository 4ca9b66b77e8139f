"""What HTTP's conditional, range and encoding headers ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.serve.conditions import Unsatisfiable, accepts, best_encoding, byte_range, holds_tag, http_date


@pytest.mark.parametrize(
    ("header", "weakly", "strongly"),
    [
        ('"a"', True, True),
        ('"b", "a"', True, True),
        ('W/"a"', True, False),
        ("*", True, True),
        ('"ab"', False, False),
        ("a", False, False),
        ('"b,a"', False, False),
        ("", False, False),
    ],
)
def test_entity_tags_are_compared_as_the_header_wants(header, weakly, strongly):
    assert holds_tag(header, '"a"', weakly=True) is weakly
    assert holds_tag(header, '"a"', weakly=False) is strongly


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Wed, 20 Apr 2016 07:00:00 GMT", 1_461_135_600),
        ("Wednesday, 20-Apr-16 07:00:00 GMT", 1_461_135_600),
        ("Wed Apr 20 07:00:00 2016", None),  # no zone: it could be any instant of a day
        ("yesterday", None),
        ("", None),
        ("Wed, 20 Apr 99999 07:00:00 GMT", None),
    ],
)
def test_dates(header, seconds):
    assert http_date(header) == seconds


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 6)),
        ("Bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-99", (5, 10)),
        ("bytes=10-", Unsatisfiable.YES),
        ("bytes=-0", Unsatisfiable.YES),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=٣-", None),
        ("lines=0-1", None),
        ("bytes=" + "9" * 5000 + "-", None),
    ],
)
def test_ranges_of_ten_bytes(header, span):
    assert byte_range(header, 10) == span


@given(
    st.text(max_size=40) | st.from_regex(r"bytes=[0-9]{0,4}-[0-9]{0,4}", fullmatch=True), st.integers(0, 999)
)
def test_no_range_leaves_the_file(header, length):
    span = byte_range(header, length)
    if isinstance(span, tuple):
        begins, ends = span
        assert 0 <= begins < ends <= length


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        (None, None),
        ("", None),
        ("gzip, deflate, br", "br"),
        ("gzip, deflate", "gzip"),
        ("GZip", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("br;q=0, gzip;q=0", None),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("*;q=0", None),
        ("identity", None),
        ("gzip;q=nonsense", None),
        ("gzip;q=1.000", "gzip"),
        ("gzip;q=1.5", None),
    ],
)
def test_the_encoding_is_the_one_the_client_likes_best(header, encoding):
    assert best_encoding(header, ("br", "gzip")) == encoding


@given(st.text(max_size=60), st.text(max_size=10))
def test_whatever_a_client_sends_is_read(header, name):
    quality = accepts(header, name)
    assert quality is None or 0 <= quality <= 1
    assert best_encoding(header, ("br", "gzip")) in {None, "br", "gzip"}
    assert http_date(header) is None or isinstance(http_date(header), int)
    assert isinstance(holds_tag(header, '"a"', weakly=True), bool)
