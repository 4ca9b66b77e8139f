"""The networks' login pages, in front of their stand-ins: what a browser and a person do is a method.

Written from the published flows, and sharing no code with the walks; signatures are checked with the
functions of the reference library that servers use. What a login grants are the credentials the stand-in
lets in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from oauthlib.oauth1.rfc5849 import signature
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline.rehearsal.standins.base import Seen
from pipeline.rehearsal.standins.facebook import FacebookPage
from pipeline.rehearsal.standins.mastodon import MastodonServer
from pipeline.rehearsal.standins.x import XService
from pipeline.rehearsal.standins.x_login import OAuth2Guard

OOB = "urn:ietf:wg:oauth:2.0:oob"
MASTODON_SCOPES = {"read:accounts", "read:statuses", "write:statuses", "write:media"}


def address_in(told: list[str]) -> str:
    """The last address that a person was asked to open."""
    return re.findall(r"^  (https://\S+)$", "\n".join(told), re.MULTILINE)[-1]


def query_of(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query))


def in_front(app: Starlette, *routes: Route) -> Starlette:
    app.router.routes[0:0] = routes
    return app


# --------------------------------------------------------------------------- Mastodon


class MastodonLogin(MastodonServer):
    """An instance that registers programs and gives each code once."""

    site = "https://social.example"
    grants = " ".join(sorted(MASTODON_SCOPES))

    def application(self) -> Starlette:
        self.apps: dict[str, tuple[str, str]] = {}
        self.codes: dict[str, str] = {}
        return in_front(
            super().application(),
            Route("/api/v1/apps", self._register, methods=["POST"]),
            Route("/oauth/token", self._grant, methods=["POST"]),
        )

    def browse(self, told: list[str]) -> str:
        """Open the address, log in, allow it: the code that the page shows."""
        address = address_in(told)
        asked = query_of(address)
        assert address.startswith(f"{self.site}/oauth/authorize?")
        assert asked["response_type"] == "code"
        assert asked["redirect_uri"] == OOB
        assert set(asked["scope"].split()) == MASTODON_SCOPES
        assert asked["client_id"] in self.apps
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked["client_id"]
        return code

    async def _register(self, request: Request) -> Response:
        form = await _form(await self.note(request))
        if form.get("redirect_uris") != OOB or set(form.get("scopes", "").split()) != MASTODON_SCOPES:
            return JSONResponse({"error": "Validation failed"}, 422)
        if not form.get("client_name"):
            return JSONResponse({"error": "Validation failed: Application name can't be blank"}, 422)
        client, secret = secrets.token_urlsafe(9), secrets.token_urlsafe(9)
        self.apps[client] = secret, form["scopes"]
        return JSONResponse(
            {"id": "1", "name": form["client_name"], "client_id": client, "client_secret": secret}
        )

    async def _grant(self, request: Request) -> Response:
        form = await _form(await self.note(request))
        client = form.get("client_id", "")
        if self.apps.get(client, ("", ""))[0] != form.get("client_secret"):
            return JSONResponse({"error": "invalid_client"}, 401)
        known = self.codes.pop(form.get("code", ""), None) == client
        if not known or form.get("grant_type") != "authorization_code" or form.get("redirect_uri") != OOB:
            said = "The provided authorization grant is invalid, expired, revoked"
            return JSONResponse({"error": "invalid_grant", "error_description": said}, 400)
        token = {"access_token": self.credentials["ACCESS_TOKEN"], "token_type": "Bearer"}
        return JSONResponse({**token, "scope": self.grants, "created_at": int(self.now().timestamp())})


# --------------------------------------------------------------------------- X


class XLogin(XService):
    """The three legs of OAuth 1.0a, out of band."""

    def application(self) -> Starlette:
        self.requests: dict[str, str] = {}
        self.pins: dict[str, str] = {}
        return in_front(
            super().application(),
            Route("/oauth/request_token", self._begin, methods=["POST"]),
            Route("/oauth/access_token", self._end, methods=["POST"]),
        )

    def browse(self, told: list[str]) -> str:
        """Open the address, authorise the app: the PIN."""
        address = address_in(told)
        assert address.startswith("https://api.x.com/oauth/authorize?oauth_token=")
        token = query_of(address)["oauth_token"]
        assert token in self.requests
        pin = f"{secrets.randbelow(10**7):07}"
        self.pins[token] = pin
        return pin

    async def _begin(self, request: Request) -> Response:
        signed = _signed(await self.note(request))
        if not self._holds(request, signed, "") or signed.get("oauth_callback") != "oob":
            return PlainTextResponse('{"errors":[{"code":32,"message":"Could not authenticate you."}]}', 401)
        token, secret = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        self.requests[token] = secret
        return PlainTextResponse(
            f"oauth_token={token}&oauth_token_secret={secret}&oauth_callback_confirmed=true"
        )

    async def _end(self, request: Request) -> Response:
        signed = _signed(await self.note(request))
        token = signed.get("oauth_token", "")
        pin = self.pins.pop(token, None)
        if (
            not self._holds(request, signed, self.requests.get(token, ""))
            or signed.get("oauth_verifier") != pin
        ):
            return PlainTextResponse("Invalid request token.", 401)
        mine = self.credentials
        granted = f"oauth_token={mine['ACCESS_TOKEN']}&oauth_token_secret={mine['ACCESS_TOKEN_SECRET']}"
        return PlainTextResponse(f"{granted}&user_id=2244994945&screen_name=lille")

    def _holds(self, request: Request, signed: Mapping[str, str], token_secret: str) -> bool:
        """Whether the app signed the request, by RFC 5849."""
        if signed.get("oauth_consumer_key") != self.credentials["CONSUMER_KEY"]:
            return False
        parameters = signature.collect_parameters(headers={"Authorization": request.headers["authorization"]})
        base = signature.signature_base_string(
            "POST",
            signature.base_string_uri(f"https://api.x.com{request.url.path}"),
            signature.normalize_parameters(parameters),
        )
        key = f"{self.credentials['CONSUMER_SECRET']}&{token_secret}"
        made = base64.b64encode(hmac.digest(key.encode(), base.encode(), "sha1")).decode()
        return hmac.compare_digest(made, signed["oauth_signature"])


class ConsentGuard(OAuth2Guard):
    """A client that also exchanges codes, with PKCE."""

    def __init__(self, now: Any) -> None:
        super().__init__(now)
        self.challenges: dict[str, str] = {}

    def exchange(self, seen: Seen) -> tuple[int, dict[str, Any]]:
        form = dict(parse_qsl(seen.body.decode()))
        if form.get("grant_type") != "authorization_code":
            return super().exchange(seen)
        challenge = self.challenges.pop(form.get("code", ""), None)
        proof = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        fits = base64.urlsafe_b64encode(proof).rstrip(b"=").decode() == challenge
        if not (self._is_client(seen, form) and fits and form.get("redirect_uri") == "http://127.0.0.1/"):
            return 400, {"error": "invalid_request", "error_description": "Value passed was invalid."}
        refresh = f"consented-{secrets.token_urlsafe(6)}"
        self.refresh.add(refresh)
        pair = {"access_token": "consented-access", "refresh_token": refresh}
        return 200, {"token_type": "bearer", "expires_in": 7200, **pair}


class XConsent(XService):
    """OAuth 2 with PKCE."""

    def __init__(self, now: Any) -> None:
        super().__init__(now, auth="oauth2")
        self.guard = ConsentGuard(now)
        self.credentials = self.guard.credentials

    def browse(self, told: list[str], *, state: str | None = None) -> str:
        """Open the address, authorise the app: where the browser ends."""
        address = address_in(told)
        asked = query_of(address)
        assert address.startswith("https://x.com/i/oauth2/authorize?")
        assert asked["code_challenge_method"] == "S256"
        assert asked["client_id"] == self.credentials["CLIENT_ID"]
        assert "offline.access" in asked["scope"].split()
        code = secrets.token_urlsafe(8)
        self.guard.challenges[code] = asked["code_challenge"]
        return f"{asked['redirect_uri']}?state={state or asked['state']}&code={code}"


# --------------------------------------------------------------------------- Facebook


class FacebookLogin(FacebookPage):
    """Graph for somebody who manages the Page: a token of an hour, one of sixty days, and the Page's own."""

    app: ClassVar = {"client_id": "1234567890", "client_secret": "app-secret"}
    short, long = "EAAuserShortLived", "EAAuserLongLived"

    def application(self) -> Starlette:
        return in_front(
            super().application(),
            Route("/{version}/oauth/access_token", self._exchange, methods=["GET"]),
            Route("/{version}/{page}", self._page_token, methods=["GET"]),
        )

    async def _exchange(self, request: Request) -> Response:
        await self.note(request)
        asked = dict(request.query_params)
        wanted = {"grant_type": "fb_exchange_token", "fb_exchange_token": self.short, **self.app}
        if asked != wanted:
            return _graph_error(400, 190, f"Invalid OAuth access token: {asked.get('fb_exchange_token')}")
        return JSONResponse({"access_token": self.long, "token_type": "bearer", "expires_in": 5_184_000})

    async def _page_token(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in (self.short, self.long) or request.query_params.get("fields") != "access_token":
            request.path_params["path"] = request.url.path.lstrip("/")
            return await self._answer(request)
        await self.note(request)
        if request.path_params["page"] != self.page:
            return _graph_error(400, 100, "Unsupported get request")
        # Of a short-lived user token only a short-lived Page token is made: here it is one nobody knows.
        made = self.credentials["PAGE_TOKEN"] if token == self.long else "EAAshortLivedPageToken"
        return JSONResponse({"access_token": made, "id": self.page})


# --------------------------------------------------------------------------- helpers


async def _form(seen: Seen) -> dict[str, str]:
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    return {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}


def _signed(seen: Seen) -> dict[str, str]:
    scheme, _, given = seen.headers.get("authorization", "").partition(" ")
    assert scheme == "OAuth"
    pairs = (part.strip().partition("=") for part in given.split(","))
    return {name: unquote(value.strip('"')) for name, _, value in pairs}


def _graph_error(status: int, code: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "OAuthException", "code": code}}, status)
