"""The networks: a server for each class, all in this process, with the seed's faults in front of them.

Started as `python -m tests.chaos.server SEED`. It says where its servers are, then answers commands from
standard input, one JSON list a line, and ends with its input: `["down", NAME]`, `["up", NAME]`, and
`["report"]`, which tells what readers see. It knows nothing of the ledger.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tests.chaos.mix import Mix
from tests.chaos.scene import CLASSES, CLOCK, LAG
from tests.support.networks import PromisingReceiver


def report(servers: dict[str, PromisingReceiver], mixes: dict[str, Mix]) -> dict[str, Any]:
    """Of each class: the text of every post it holds, its requests, and the faults that happened."""
    told = {}
    for name, server in servers.items():
        with server.lock:
            posts = [json.loads(message.body)["data"]["text"] for message in server.messages]
        told[name] = {
            "posts": posts,
            "requests": mixes[name].requests,
            "met": Counter(server.faults.met),
        }
    return told


def main() -> None:
    seed = int(sys.argv[1])
    with ExitStack() as stack:
        servers, mixes = {}, {}
        for name, promise in CLASSES.items():
            servers[name] = stack.enter_context(PromisingReceiver(promise, CLOCK.now, lag=LAG))
            mixes[name] = Mix(seed, name)
            servers[name].faults.choose = mixes[name].choose
        _say({name: f"{server.url}" for name, server in servers.items()})
        actions: dict[str, Callable[..., Any]] = {
            "down": lambda name: servers[name].refuse(),
            "up": lambda name: servers[name].resume(),
            "report": lambda: report(servers, mixes),
        }
        for line in sys.stdin:
            what, *given = json.loads(line)
            _say(actions[what](*given))


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
