"""Addresses in feeds are absolute and in ASCII, or they are not there."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.feeds.text import absolute, url


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://example.org/é?q=à#ç", "https://example.org/%C3%A9?q=%C3%A0#%C3%A7"),
        ("https://example.org/100%/%C3%A9", "https://example.org/100%25/%C3%A9"),
        ("https://bücher.example:8443/x", "https://xn--bcher-kva.example:8443/x"),
        ("https://user@bücher.example/", "https://user@xn--bcher-kva.example/"),
        ("http://[2001:db8::1]/a b", "http://[2001:db8::1]/a%20b"),
        ("https://example.org/a;b=1,2/(c)", "https://example.org/a;b=1,2/(c)"),
        ("https://example.org/\x00é", "https://example.org/%C3%A9"),
        ("not a url", "not a url"),
    ],
)
def test_an_address_is_written_in_ascii(address: str, expected: str):
    assert url(address) == expected


@pytest.mark.parametrize(
    "reference",
    ["javascript:alert(1)", "data:,x", "http://[bad", "http:///x", "file:///etc/passwd", "ftp://e.org"],
)
def test_a_reference_that_leads_nowhere_safe_has_no_address(reference: str):
    assert absolute("https://example.org/", reference) is None


@given(reference=st.text())
def test_any_reference_becomes_an_ascii_address_that_is_allowed_or_none(reference: str):
    address = absolute("https://example.org/a/", reference)
    if address is not None:
        assert address.isascii()
        assert urlsplit(address).scheme in {"http", "https", "mailto"}
        assert absolute("https://example.org/a/", address) == address
