"""Mastodon and its relatives: the instance registers us, a person allows it in a browser and enters a code.

OAuth 2 with the out-of-band address, which shows the code instead of sending it anywhere. What is registered
may read the account and its posts, and write posts and pictures: no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from pipeline.connecting.desk import Desk

SCOPES = "read:accounts read:statuses write:statuses write:media"
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
CLIENT_NAME = "content-pipeline"


def walk(desk: Desk) -> Mapping[str, str]:
    """The fields of the new credentials. Raises PipelineError; then nothing was changed."""
    site = desk.option("instance").rstrip("/")
    base = desk.base(site)
    body = desk.fetch(
        "POST",
        f"{base}/api/v1/apps",
        f"{site} did not register this program",
        form={"client_name": CLIENT_NAME, "redirect_uris": OUT_OF_BAND, "scopes": SCOPES},
    )
    registered = desk.document(body, "client_id", "client_secret")
    client, secret = registered["client_id"], registered["client_secret"]
    asked = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": OUT_OF_BAND,
        "scope": SCOPES,
    }
    desk.person.tell(
        "Log in as the account that is to post, open this address in a browser and allow access:\n"
        f"  {site}/oauth/authorize?{urlencode(asked)}"
    )
    code = desk.secret("The code shown there")
    body = desk.fetch(
        "POST",
        f"{base}/oauth/token",
        f"{site} did not take the code",
        form={
            "grant_type": "authorization_code",
            "client_id": client,
            "client_secret": secret,
            "redirect_uri": OUT_OF_BAND,
            "scope": SCOPES,
            "code": code,
        },
        secrets=(secret, code),
    )
    granted = desk.document(body, "access_token")
    given = str(granted.get("scope") or SCOPES).split()
    if missing := [scope for scope in SCOPES.split() if not _covered(scope, given)]:
        desk.person.tell(f"warning: the instance did not grant {', '.join(missing)}")
    return {"ACCESS_TOKEN": granted["access_token"]}


def _covered(scope: str, given: list[str]) -> bool:
    """`write` stands for `write:statuses` too."""
    return scope in given or scope.partition(":")[0] in given
