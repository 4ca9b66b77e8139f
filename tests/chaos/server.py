"""The networks: the servers of every row, all in this process, with the seed's faults in front of them.

Started as `python -m tests.chaos.server SEED DELIVERIES`. It says where its servers are and what lets one in,
then answers commands from standard input, one JSON list a line, and ends with its input: `["down", NAME]`,
`["up", NAME]`, and `["report"]`, which tells what readers see. It knows nothing of the ledger.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from pipeline.rehearsal.standins.base import StandIn
from tests.chaos.classes import KINDS
from tests.chaos.mix import Mix
from tests.chaos.scene import Orders, Place

Servers = dict[str, list[tuple[StandIn, Mix]]]


def started(orders: Orders, stack: ExitStack) -> Servers:
    """The servers of each row, with their faults."""
    servers: Servers = {}
    for name, kind in KINDS.items():
        servers[name] = []
        for number in range(orders.servers(name)):
            server = stack.enter_context(kind.start(number))
            mix = Mix(orders.seed, name, number)
            server.faults.choose_whole = mix.choose
            servers[name].append((server, mix))
    return servers


def places(servers: Servers) -> dict[str, Place]:
    """Where to send, with which credentials."""
    return {
        name: {"urls": [server.url for server, _ in pairs], "credentials": dict(pairs[0][0].credentials)}
        for name, pairs in servers.items()
    }


def report(servers: Servers) -> dict[str, Any]:
    """Of each row: the deliveries whose posts readers see, its requests, and the faults that happened.

    `others` are its requests that carried no delivery's text, by kind: how many, and how many met a fault.
    """
    return {
        name: {
            "posts": [post.text.split()[0] for server, _ in pairs for post in server.shown()],
            "requests": sum(mix.requests for _, mix in pairs),
            "others": _others([mix for _, mix in pairs]),
            "met": Counter(fault for server, _ in pairs for fault in server.faults.met),
        }
        for name, pairs in servers.items()
    }


def _others(mixes: list[Mix]) -> dict[str, tuple[int, int]]:
    asked: Counter[str] = sum((mix.others for mix in mixes), Counter())
    spoiled: Counter[str] = sum((mix.spoiled for mix in mixes), Counter())
    return {kind: (number, spoiled[kind]) for kind, number in asked.items()}


def main() -> None:
    seed, deliveries = map(int, sys.argv[1:])
    with ExitStack() as stack:
        servers = started(Orders(deliveries, seed), stack)
        _say(places(servers))

        def each(do: Callable[[StandIn], None], name: str) -> None:
            for server, _ in servers[name]:
                do(server)

        actions: dict[str, Callable[..., Any]] = {
            "down": lambda name: each(StandIn.refuse, name),
            "up": lambda name: each(StandIn.resume, name),
            "report": lambda: report(servers),
        }
        for line in sys.stdin:
            what, *given = json.loads(line)
            _say(actions[what](*given))


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
