"""What happens between us and the server, told over the same port: an addon of mitmproxy.

`PUT /__faults` takes a list of rules, `GET /__faults` gives what has happened. The first rule whose pattern
is found in "METHOD /path" and that has turns left decides over an exchange; `what` is one of

    drop before · drop after · status before · status after · slow after · cut · garble

"before" keeps the request from the server, "after" lets the server deal with it first.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from mitmproxy import http


class Faults:
    """The rules left, and what passed: the line of each request, with the status or the fault it met."""

    def __init__(self) -> None:
        self.rules: list[dict[str, Any]] = []
        self.passed: list[tuple[str, str]] = []

    def take(self, flow: http.HTTPFlow, *kinds: str) -> dict[str, Any] | None:
        """The rule for this exchange, if one is of these kinds."""
        line = f"{flow.request.method} {flow.request.path}"
        for rule in self.rules:
            if rule["what"] in kinds and rule["times"] > 0 and re.search(rule["match"], line):
                rule["times"] -= 1
                self.passed.append((line, rule["what"]))
                return rule
        return None

    async def request(self, flow: http.HTTPFlow) -> None:
        """Before the server gets it."""
        if flow.request.path == "/__faults":
            flow.metadata["told"] = True
            if flow.request.method == "PUT":
                self.rules, self.passed = json.loads(flow.request.get_text() or ""), []
            flow.response = http.Response.make(200, json.dumps(self.passed))
        elif self.take(flow, "drop before"):
            flow.kill()
        elif rule := self.take(flow, "status before"):
            flow.metadata["told"] = True
            flow.response = answer(rule)

    async def response(self, flow: http.HTTPFlow) -> None:
        """Before we get the answer."""
        if flow.metadata.get("told") or flow.response is None:
            return
        if rule := self.take(flow, "slow after"):
            await asyncio.sleep(rule["seconds"])
        elif self.take(flow, "drop after"):
            flow.kill()
        elif rule := self.take(flow, "status after"):
            flow.response = answer(rule)
        elif self.take(flow, "cut"):
            whole = flow.response.raw_content or b""
            flow.response.raw_content = whole[: len(whole) // 2]
            flow.response.headers["content-length"] = str(len(whole))
            flow.response.headers["connection"] = "close"
        elif self.take(flow, "garble"):
            flow.response = http.Response.make(200, "<html>Welcome to the hotel's network</html>")
        else:
            line = f"{flow.request.method} {flow.request.path}"
            self.passed.append((line, str(flow.response.status_code)))


def answer(rule: dict[str, Any]) -> http.Response:
    """What the rule says instead of the server."""
    return http.Response.make(rule["code"], rule.get("body", ""), rule.get("headers", {}))


addons = [Faults()]
