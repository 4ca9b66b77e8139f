"""From HOST:PORT, as a person writes it, to a listening socket."""

from __future__ import annotations

import errno
import os
import re
import socket
from dataclasses import dataclass

from pipeline.errors import BrokenEnvironment, WrongUse

BACKLOG = 1024  # connections that wait while a burst of readers arrives; the kernel may allow fewer
_FORM = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<name>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5})", re.ASCII
)
_HIGHEST_PORT = 65535

_HINTS = {
    errno.EADDRINUSE: "Another process listens there: stop it, or choose another port.",
    errno.EACCES: "Ports below 1024 need a privilege: choose a higher one, or put a web server in front.",
    errno.EADDRNOTAVAIL: "This machine has no such address: use 127.0.0.1, [::1], 0.0.0.0 or [::].",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `host` is a name or an IP address without brackets; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Address:
    """The address that a person means. Raises WrongUse."""
    match = _FORM.fullmatch(text)
    if match is None or int(match["port"]) > _HIGHEST_PORT:
        raise WrongUse(
            f"{text!r} is not HOST:PORT",
            hint="For example 127.0.0.1:8080, localhost:8080, or [::1]:8080 with brackets for IPv6.",
        )
    return Address(match["six"] or match["name"], int(match["port"]))


def listen(address: Address) -> socket.socket:
    """A socket that listens there, on every family for `[::]`. Raises BrokenEnvironment."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, target = found[0]
        both = family == socket.AF_INET6 and address.host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(target, family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None)
        hint = _HINTS.get(number) if isinstance(number, int) else None
        if isinstance(error, socket.gaierror):
            why, hint = "the host is not known", _HINTS[errno.EADDRNOTAVAIL]
        elif isinstance(error, OSError) and number:
            why = os.strerror(number)
        else:
            why = str(error)
        raise BrokenEnvironment(f"cannot listen on {address}: {why}", hint=hint) from error
