"""Bluesky: an app password, made by the account's owner for this program alone.

An app password can be taken back without changing the account's own, and cannot delete the account. The
channel's own login tests it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.connecting.desk import Desk
from pipeline.errors import WrongUse

_FORM = re.compile(r"[a-z0-9]{4}(-[a-z0-9]{4}){3}")


def walk(desk: Desk) -> Mapping[str, str]:
    """The fields of the new credentials. Raises WrongUse; then nothing was changed."""
    handle = desk.option("handle")
    desk.person.tell(
        f"Log in to Bluesky as {handle}, then: Settings, Privacy and security, App passwords, Add. Its name "
        "is yours to choose; access to messages is not needed."
    )
    password = desk.secret(f"The app password for {handle} (xxxx-xxxx-xxxx-xxxx)")
    if not _FORM.fullmatch(password):
        desk.person.tell(
            "warning: that is not the form of an app password. If it is the account's own password, whoever "
            "gets hold of .env owns the account."
        )
        if not desk.person.agrees("Use it all the same?", default=False):
            raise WrongUse("no app password was given", hint="Nothing was changed.")
    return {"APP_PASSWORD": password}
