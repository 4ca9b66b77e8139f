"""Webhooks: a secret that sender and receiver share, copied from the receiver or made here.

What must stay true: a secret made here in place of one in use is put before it, and both sign, so that the
receiver can change over without missing a post.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping

from pipeline.connecting.desk import Desk

_BYTES = 32


def walk(desk: Desk) -> Mapping[str, str]:
    """The fields of the new credentials. Raises WrongUse when there are no more answers."""
    given = desk.optional("The receiver's secret (whsec_…; nothing: make a new one)", hidden=True)
    if given:
        return {"SECRET": given}
    made = "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
    desk.person.tell(f"Give this secret to the receiver:\n  {made}")
    present = (desk.current("SECRET") or "").split()[:1]
    if present:
        desk.person.tell(
            "Until it knows it, each post is signed with the former secret too. Afterwards run this again "
            "and enter the new one alone."
        )
    return {"SECRET": " ".join([made, *present])}
