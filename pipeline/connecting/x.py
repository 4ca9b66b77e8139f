"""X by OAuth 1.0a: the keys of an app, then a PIN that shows that the account's owner allows it.

Tokens of this kind have no date of expiry. Both requests are signed as X documents, with the app's secret and
then with that of the request too; a signature is made for X's own address, also where `api` names another.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

from pipeline.connecting import x_oauth2
from pipeline.connecting.desk import Desk
from pipeline.errors import BrokenEnvironment

API = "https://api.x.com"
CONSOLE = "https://developer.x.com"
_KEYS = ("CONSUMER_KEY", "CONSUMER_SECRET")


def walk(desk: Desk) -> Mapping[str, str]:
    """The fields of the new credentials. Raises PipelineError; then nothing was changed."""
    if desk.option("auth") == "oauth2":
        return x_oauth2.walk(desk, API)
    entered = _app_keys(desk)
    keys = entered or {name: desk.current(name) or "" for name in _KEYS}
    request = _asked(desk, "oauth/request_token", keys, "X does not know the app's keys", callback_uri="oob")
    desk.person.tell(
        "Log in to X as the account that is to post, open this address in a browser and authorise the app:\n"
        f"  {API}/oauth/authorize?oauth_token={request['oauth_token']}"
    )
    pin = desk.secret("The PIN shown there")
    granted = _asked(
        desk,
        "oauth/access_token",
        keys,
        "X did not take the PIN",
        resource_owner_key=request["oauth_token"],
        resource_owner_secret=request["oauth_token_secret"],
        verifier=pin,
    )
    return {
        **entered,
        "ACCESS_TOKEN": granted["oauth_token"],
        "ACCESS_TOKEN_SECRET": granted["oauth_token_secret"],
    }


def _app_keys(desk: Desk) -> dict[str, str]:
    """The keys that are entered; none when those that are set already are to be used, wherever they are."""
    if all(map(desk.current, _KEYS)) and desk.person.agrees("Use the app keys that are set already?"):
        return {}
    desk.person.tell(
        f"At {CONSOLE} make an app whose user authentication is set up with the permission “Read and write” "
        "(any website and callback address will do), then copy its API key and secret."
    )
    return {
        _KEYS[0]: desk.secret("The app's API key (consumer key)"),
        _KEYS[1]: desk.secret("The app's API key secret (consumer secret)"),
    }


def _asked(desk: Desk, path: str, keys: Mapping[str, str], what: str, **given: str) -> dict[str, str]:
    """The token and its secret of a signed request. Raises BrokenEnvironment."""
    from oauthlib.oauth1 import Client  # type: ignore[import-untyped]  # noqa: PLC0415  # only here

    client = Client(
        keys["CONSUMER_KEY"],
        client_secret=keys["CONSUMER_SECRET"],
        timestamp=str(int(desk.now().timestamp())),
        **given,
    )
    _, headers, _ = client.sign(f"{API}/{path}", http_method="POST")
    secrets = (*keys.values(), *given.values())
    body = desk.fetch("POST", f"{desk.base(API)}/{path}", what, form={}, headers=headers, secrets=secrets)
    found = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
    if not (found.get("oauth_token") and found.get("oauth_token_secret")):
        raise BrokenEnvironment(
            f"{what}: its answer is not the documented one", hint="Nothing was changed. Try again later."
        )
    return found
