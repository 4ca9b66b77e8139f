"""A request that is meant for the open internet never reaches this machine or its network."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest

from pipeline.channels.base import NotAcceptedError
from pipeline.channels.http import Http, Limits, is_public
from tests.support.sockets import answering, serving

OPEN = Limits(timedelta(seconds=5))
GUARDED = Limits(timedelta(seconds=5), public_only=True)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"]
)
def test_no_name_of_this_machine_is_connected_to(host):
    with serving(answering(OK)) as server:
        url = f"http://{host}:{server.port}/"
        if host in ("127.0.0.1", "localhost"):
            assert Http(OPEN).request("GET", url).status == 200, "without the limit it would be"
        before = server.connections
        with pytest.raises(NotAcceptedError, match=r"no public address|looking up the name"):
            Http(GUARDED).request("GET", url)
        assert server.connections == before


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_nor_over_the_newer_protocol():
    with (
        serving(answering(OK), socket.AF_INET6) as server,
        pytest.raises(NotAcceptedError, match="no public"),
    ):
        Http(GUARDED).request("GET", f"http://[::1]:{server.port}/")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1"),
        *("::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:db8::1"),
    ],
)
def test_these_addresses_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_these_addresses_are(address):
    assert is_public(address)
