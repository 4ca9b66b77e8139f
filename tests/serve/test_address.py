"""HOST:PORT, as people write it."""

from __future__ import annotations

import socket

import pytest

from pipeline.errors import BrokenEnvironment, WrongUse
from pipeline.serve.address import Address, listen, parse


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        ("[::1]:8080", "::1", 8080),
        ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("feeds.example:8080", "feeds.example", 8080),
    ],
)
def test_an_address_is_read_and_said_again(text, host, port):
    assert parse(text) == Address(host, port)
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "8080",
            ":8080",
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:65536",
            "localhost:-1",
        ),
        *(
            "::1:8080",
            "[::1]",
            "[::1]8080",
            "http://localhost:8080",
            "localhost:8080/",
            "a b:80",
            "localhost:٨٠",
        ),
    ],
)
def test_what_is_no_address_is_wrong_use(text):
    with pytest.raises(WrongUse, match="is not HOST:PORT") as caught:
        parse(text)
    assert "[::1]:8080" in str(caught.value.hint)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0", "localhost:0", "[::]:0"])
def test_it_listens_there(text):
    with listen(parse(text)) as listener:
        host = "::1" if listener.family == socket.AF_INET6 else "127.0.0.1"
        socket.create_connection((host, listener.getsockname()[1]), timeout=5).close()


def test_every_ipv6_address_means_ipv4_as_well():
    with listen(parse("[::]:0")) as listener:
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=5).close()


def test_a_port_in_use_is_told_with_what_to_do():
    with listen(parse("127.0.0.1:0")) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            BrokenEnvironment, match=rf"cannot listen on 127.0.0.1:{port}: Address already in use"
        ) as caught:
            listen(Address("127.0.0.1", port))
    assert "another port" in str(caught.value.hint)
    assert caught.value.exit_status == 4


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_machine_is_told(host):
    with pytest.raises(BrokenEnvironment, match="cannot listen on"):
        listen(Address(host, 8080))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, ".", "xn--"])
def test_a_host_that_does_not_exist_is_told(host):
    with pytest.raises(BrokenEnvironment, match="cannot listen on"):
        listen(Address(host, 8080))
