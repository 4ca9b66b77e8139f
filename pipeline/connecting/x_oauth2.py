"""X by OAuth 2 with PKCE, for channels that say `auth: oauth2`: a refresh token, which counts once.

The browser is sent to an address of the app's own; nothing needs to answer there, since the person copies the
address it ends at. What comes back is believed only with the state that was sent.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from pipeline.channels.x_auth import encoded_pair
from pipeline.connecting.desk import Desk
from pipeline.credentials import variable
from pipeline.errors import WrongUse

SCOPES = "tweet.read tweet.write users.read media.write offline.access"
AUTHORISE = "https://x.com/i/oauth2/authorize"
RETURN = "http://127.0.0.1/"


def walk(desk: Desk, api: str) -> Mapping[str, str]:
    """The fields of the new credentials. Raises PipelineError; then nothing was changed."""
    desk.person.tell(
        "In X's developer console set up the app's user authentication with the permission “Read and write” "
        f"and the callback address {RETURN}, then copy its OAuth 2.0 client id."
    )
    client = desk.secret("The app's client id")
    secret = desk.optional("The app's client secret (nothing: the app has none)", hidden=True)
    if not secret and desk.current("CLIENT_SECRET"):
        name = variable(desk.config.id, "CLIENT_SECRET")
        raise WrongUse(f"{name} is set, and this app has none", hint=f"Take {name} out, then try again.")
    verifier = secrets.token_urlsafe(48)
    code = _allowed(desk, client, verifier)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": RETURN,
        "code_verifier": verifier,
    }
    pair = encoded_pair(client, secret) if secret else ""
    headers = {"Authorization": f"Basic {pair}"} if pair else {}
    if not pair:
        form["client_id"] = client
    body = desk.fetch(
        "POST",
        f"{desk.base(api)}/2/oauth2/token",
        "X did not take the code",
        form=form,
        headers=headers,
        secrets=tuple(filter(None, (code, secret, pair, verifier))),
    )
    granted = desk.document(body, "access_token", "refresh_token")
    values = {"CLIENT_ID": client, "REFRESH_TOKEN": granted["refresh_token"]}
    return {**values, "CLIENT_SECRET": secret} if secret else values


def _allowed(desk: Desk, client: str, verifier: str) -> str:
    """The code that a person's consent gives. Raises WrongUse when what comes back is not its answer."""
    state = secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": client,
        "redirect_uri": RETURN,
        "scope": SCOPES,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    desk.person.tell(
        "Log in to X as the account that is to post, open this address in a browser and authorise the app:\n"
        f"  {AUTHORISE}?{urlencode(asked, quote_via=quote)}\n"
        f"The browser then goes to an address that begins with {RETURN} and shows nothing: copy that address."
    )
    returned = parse_qs(urlsplit(desk.secret("The whole address it went to")).query)
    if returned.get("state") != [state] or not returned.get("code"):
        raise WrongUse("that address is not the answer to this request", hint="Nothing was changed.")
    return returned["code"][0]
