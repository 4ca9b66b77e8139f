"""Facebook Pages: a Page token, and the documented way from a short-lived one to one that lasts.

A user token of an hour becomes one of sixty days with the app's id and secret, and a Page token made from
that has no date of expiry. Id and secret of the app are asked for this exchange only, and kept nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from pipeline.channels.facebook_identity import NEWEST
from pipeline.connecting.desk import Desk, Refused

GRAPH = "https://graph.facebook.com"
PERMISSIONS = "pages_show_list, pages_manage_posts and pages_read_engagement"


def walk(desk: Desk) -> Mapping[str, str]:
    """The fields of the new credentials. Raises PipelineError; then nothing was changed."""
    page = desk.option("page")
    desk.person.tell(
        f"As somebody who may create content on the Page {page}: open the Graph API Explorer of your app\n"
        "  https://developers.facebook.com/tools/explorer/\n"
        f"and generate a token with {PERMISSIONS}. A user token will do: the Page's token is made from it. "
        "With the app's id and secret it is made to last."
    )
    token = desk.secret("The token")
    app = desk.optional("The app's id (nothing: use the token as it is)")
    if app:
        token = _long_lived(desk, token, app, desk.secret("The app's secret (not kept)"))
    return {"PAGE_TOKEN": _of_page(desk, page, token)}


def _long_lived(desk: Desk, token: str, app: str, secret: str) -> str:
    """The user token that lasts sixty days; the token as it is when Facebook does not exchange it."""
    asked = {
        "grant_type": "fb_exchange_token",
        "client_id": app,
        "client_secret": secret,
        "fb_exchange_token": token,
    }
    try:
        body = desk.fetch(
            "GET",
            f"{_graph(desk)}/oauth/access_token?{urlencode(asked)}",
            "Facebook did not exchange the token for one that lasts",
            secrets=(token, secret),
        )
    except Refused as refusal:  # as it does with a Page token: that one is tested as it is
        desk.person.tell(f"warning: {refusal}")
        return token
    return str(desk.document(body, "access_token")["access_token"])


def _of_page(desk: Desk, page: str, token: str) -> str:
    """The Page's own token, when this one is of somebody who may have it; else the token as it is."""
    try:
        body = desk.fetch(
            "GET",
            f"{_graph(desk)}/{quote(page, safe='')}?fields=access_token",
            f"Facebook does not show the Page {page}",
            headers={"Authorization": f"Bearer {token}"},
            secrets=(token,),
        )
    except Refused:  # the test says whose token it is and what it lacks
        return token
    return str(desk.document(body).get("access_token") or token)


def _graph(desk: Desk) -> str:
    return f"{desk.base(GRAPH)}/{desk.option('version', NEWEST)}"
