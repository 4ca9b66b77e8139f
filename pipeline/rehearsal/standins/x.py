"""X's API v2 as far as the channel uses it: it checks signatures, counts, wraps links, and refuses repeats.

Written from the published contract; it shares with the channel how X's own library is loaded, and nothing
else. Where X says nothing it is the
stricter of what is possible: a text it has had in the last day is a duplicate, also when the post is deleted,
and unknown fields are refused. It stands for `https://api.x.com`: signatures are checked for that address.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import wraps
from io import BytesIO
from typing import Any

from PIL import Image as Pillow
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.model import ChannelConfig
from pipeline.rehearsal.standins.base import Seen, Shown, StandIn
from pipeline.rehearsal.standins.x_login import OAuth1Guard, OAuth2Guard
from pipeline.rehearsal.standins.x_posts import (
    HANDLE,
    Picture,
    Posted,
    as_read,
    cashtag_fault,
    length_fault,
    posted,
    sameness,
)

ACCOUNT = "2244994945"
DUPLICATES = timedelta(days=1)
MEDIA_LIFE = timedelta(days=1)
WINDOW, PER_WINDOW = timedelta(minutes=15), 100
DAY, PER_DAY = timedelta(hours=24), 10_000
LARGEST_PICTURE = 5_000_000
LONGEST_ALT = 1000
_PROBLEMS = "https://api.x.com/2/problems/"
_NOT_FOUND = f"{_PROBLEMS}resource-not-found"
_FIELDS = {"text", "media"}
_STILL, _CATEGORY = {"JPEG", "PNG", "WEBP"}, "tweet_image"  # all that one request may upload for a post


def stand_in(config: ChannelConfig, now: Callable[[], datetime]) -> XService:
    """The service, with credentials of the kind the channel's option asks for."""
    return XService(now, auth=config.options.get("auth", "oauth1"))


class Refusal(Exception):
    """An answer that refuses."""

    def __init__(
        self,
        status: int,
        detail: str,
        kind: str = "about:blank",
        *,
        title: str = "Forbidden",
        errors: tuple[dict[str, Any], ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self._problem = {"title": title, "detail": detail, "type": kind, "status": status}
        self._errors = {"errors": list(errors)} if errors else {}
        self._headers = dict(headers or {})

    def answer(self) -> Response:
        """As X writes problems."""
        return JSONResponse({**self._errors, **self._problem}, self.status, self._headers)


def invalid(message: str, **parameters: list[str]) -> Refusal:
    """X's 400."""
    return Refusal(
        400,
        "One or more parameters to your request was invalid.",
        f"{_PROBLEMS}invalid-request",
        title="Invalid Request",
        errors=({"message": message, "parameters": parameters},),
    )


Handler = Callable[["XService", Request, Seen], Awaitable[Response]]


def guarded(handler: Handler) -> Callable[[XService, Request], Awaitable[Response]]:
    """Remember the request, see who asks, and answer refusals as X does."""

    @wraps(handler)
    async def handle(self: XService, request: Request) -> Response:
        seen = await self.note(request)
        with self.lock:
            try:
                self.let_in(seen, request.url.query)
                return await handler(self, request, seen)
            except Refusal as refusal:
                return refusal.answer()

    return handle


class XService(StandIn):
    """The service. `lag` keeps posts out of the timeline, `pending` makes pictures take that many looks."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        auth: str = "oauth1",
        lag: timedelta = timedelta(0),
        pending: int = 0,
    ) -> None:
        super().__init__(now)
        self.guard = OAuth2Guard(now) if auth == "oauth2" else OAuth1Guard()
        self.credentials = self.guard.credentials
        self.lag = lag
        self.pending = pending
        self.fail_pictures = False
        self.posts: list[Posted] = []
        self.gone: list[Posted] = []
        self.pictures: dict[str, Picture] = {}
        self._tried: list[datetime] = []
        self._last = 1_700_000_000_000_000_000

    def let_in(self, seen: Seen, query: str) -> None:
        """Raises Refusal when the request does not come from the account."""
        if not self.guard.lets_in(seen, query):
            raise Refusal(401, "Unauthorized", title="Unauthorized")

    def application(self) -> Starlette:
        """The paths of the API."""
        routes = [
            Route("/2/tweets", self._create, methods=["POST"]),
            Route("/2/tweets/{id}", self._delete, methods=["DELETE"]),
            Route("/2/users/me", self._me, methods=["GET"]),
            Route("/2/users/{id}/tweets", self._timeline, methods=["GET"]),
            Route("/2/media/upload", self._upload, methods=["POST"]),
            Route("/2/media/upload", self._state, methods=["GET"]),
            Route("/2/media/metadata", self._describe, methods=["POST"]),
            Route("/2/oauth2/token", self._token, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    def shown(self) -> tuple[Shown, ...]:
        """The account's posts, with links written out, as their readers see them."""
        with self.lock:
            return tuple(
                Shown(post.id, post.full, post.at, post.body, tuple(one.alt for one in post.pictures))
                for post in self.posts
            )

    async def _token(self, request: Request) -> Response:
        seen = await self.note(request)
        with self.lock:
            status, document = self.guard.exchange(seen)
        return JSONResponse(document, status)

    # ----------------------------------------------------------------- posting

    @guarded
    async def _create(self, _request: Request, seen: Seen) -> Response:
        limits = self._within_limits()
        document = _document(seen)
        if unknown := document.keys() - _FIELDS:
            raise invalid(f"[{', '.join(sorted(unknown))}] is not one of the fields of a post")
        text = document.get("text", "")
        if not isinstance(text, str) or not (text.strip() or "media" in document):
            raise invalid("Tweet text must not be empty", text=[str(text)])
        pictures = self._attached(document)
        text = unicodedata.normalize("NFC", text).strip()
        if text and (fault := length_fault(text) or cashtag_fault(text)):
            raise Refusal(403, fault)
        now = self.now()
        recent = [post for post in self.posts + self.gone if now - post.at < DUPLICATES]
        if any(sameness(post.full) == sameness(text) for post in recent):
            raise Refusal(403, "You are not allowed to create a Tweet with duplicate content.")
        self._last += 1
        post = posted(str(self._last), text, pictures, now, seen.body)
        self.posts.append(post)
        self.accepted += 1
        self.changed.notify_all()
        answer = {"data": {"id": post.id, "text": post.text, "edit_history_tweet_ids": [post.id]}}
        return JSONResponse(answer, 201, limits)

    def _within_limits(self) -> dict[str, str]:
        """Count the try. The headers that say what is left."""
        now = self.now()
        self._tried = [tried for tried in self._tried if now - tried < DAY]
        headers: dict[str, str] = {}
        full = False
        for name, span, most in (("x-rate-limit", WINDOW, PER_WINDOW), ("x-app-limit-24hour", DAY, PER_DAY)):
            inside = [tried for tried in self._tried if now - tried < span]
            reset = (inside[0] if inside else now) + span
            full = full or len(inside) >= most
            headers[f"{name}-limit"] = str(most)
            headers[f"{name}-remaining"] = str(max(0, most - len(inside) - 1))
            headers[f"{name}-reset"] = str(int(reset.timestamp()) + 1)
        if full:
            raise Refusal(429, "Too Many Requests", title="Too Many Requests", headers=headers)
        self._tried.append(now)
        return headers

    def _attached(self, document: Mapping[str, Any]) -> tuple[Picture, ...]:
        if "media" not in document:
            return ()
        media = document["media"]
        ids = media.get("media_ids") if isinstance(media, dict) and media.keys() == {"media_ids"} else None
        if not isinstance(ids, list) or not 1 <= len(ids) <= 4 or len(set(map(str, ids))) != len(ids):
            raise invalid("media.media_ids must hold 1 to 4 ids")
        pictures = [self.pictures.get(media_id) for media_id in ids if isinstance(media_id, str)]
        usable = [p for p in pictures if p and not p.pending and self.now() - p.at < MEDIA_LIFE]
        if len(usable) != len(ids):
            raise invalid("Your media IDs are invalid.", **{"media.media_ids": [str(ids)]})
        return tuple(usable)

    @guarded
    async def _delete(self, request: Request, _seen: Seen) -> Response:
        post = next((post for post in self.posts if post.id == request.path_params["id"]), None)
        if post is None:
            raise Refusal(404, "Could not find the post.", _NOT_FOUND, title="Not Found Error")
        self.posts.remove(post)
        self.gone.append(post)
        return JSONResponse({"data": {"deleted": True}})

    # ----------------------------------------------------------------- reading

    @guarded
    async def _me(self, _request: Request, _seen: Seen) -> Response:
        user = {"id": ACCOUNT, "name": "Sharing", "username": HANDLE}
        return JSONResponse({"data": user}, headers={"x-access-level": "read-write"})

    @guarded
    async def _timeline(self, request: Request, _seen: Seen) -> Response:
        query = request.query_params
        if request.path_params["id"] != ACCOUNT:
            raise Refusal(404, "Could not find the user.", _NOT_FOUND, title="Not Found Error")
        most = _number(query.get("max_results", "10"))
        if not 5 <= most <= 100:
            raise invalid("The `max_results` query parameter value is not between 5 and 100")
        begin = query.get("start_time", "2010-11-06T00:00:00Z")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", begin):
            raise invalid("Invalid 'start_time'", start_time=[begin])
        since, until = datetime.fromisoformat(begin), self.now() - self.lag
        posts = [post for post in reversed(self.posts) if since <= post.at <= until]
        skipped = _number(query.get("pagination_token", "0"))
        page = posts[skipped : skipped + most]
        fields = set(query.get("tweet.fields", "").split(","))
        meta: dict[str, Any] = {"result_count": len(page)}
        if skipped + most < len(posts):
            meta["next_token"] = str(skipped + most)
        document = {"data": [as_read(post, fields) for post in page]} if page else {}
        return JSONResponse({**document, "meta": meta})

    # ----------------------------------------------------------------- pictures

    @guarded
    async def _upload(self, _request: Request, seen: Seen) -> Response:
        document = _document(seen)
        if document.keys() != {"media", "media_category"}:
            raise invalid("media and media_category are required")
        try:
            data = base64.b64decode(document["media"], validate=True)
            with Pillow.open(BytesIO(data)) as opened:
                opened.verify()
                kind, size = opened.format or "", opened.size
        except (binascii.Error, TypeError, ValueError, OSError, SyntaxError) as error:
            raise invalid("media is not a picture") from error
        if kind not in _STILL or document["media_category"] != _CATEGORY or len(data) > LARGEST_PICTURE:
            raise invalid("media does not fit its category")
        self._last += 1
        picture = Picture(str(self._last), self.now(), self.pending, self.fail_pictures)
        self.pictures[picture.id] = picture
        mime = Pillow.MIME[kind]
        image = {"image": {"image_type": mime, "w": size[0], "h": size[1]}, "size": len(data)}
        return JSONResponse({"data": {**_state_of(picture), **image}})

    @guarded
    async def _state(self, request: Request, _seen: Seen) -> Response:
        picture = self.pictures.get(request.query_params.get("media_id", ""))
        if picture is None or request.query_params.get("command") != "STATUS":
            raise invalid("media_id is not known")
        picture = replace(picture, pending=max(0, picture.pending - 1))
        self.pictures[picture.id] = picture
        return JSONResponse({"data": _state_of(picture, asked=True)})

    @guarded
    async def _describe(self, _request: Request, seen: Seen) -> Response:
        document = _document(seen)
        try:
            media_id, text = document["id"], document["metadata"]["alt_text"]["text"]
        except (KeyError, TypeError) as error:
            raise invalid("id and metadata.alt_text.text are required") from error
        if media_id not in self.pictures or not isinstance(text, str) or not 1 <= len(text) <= LONGEST_ALT:
            raise invalid("media_id is not known, or the text is longer than 1000 characters")
        self.pictures[media_id] = replace(self.pictures[media_id], alt=text)
        attached = {"alt_text": {"text": text}}
        return JSONResponse({"data": {"id": media_id, "associated_metadata": attached}})


def _document(seen: Seen) -> dict[str, Any]:
    if seen.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise invalid("the body is not JSON")
    try:
        document = json.loads(seen.body)
    except ValueError as error:
        raise invalid("the body is not JSON") from error
    if not isinstance(document, dict):
        raise invalid("the body is not an object")
    return document


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1


def _state_of(picture: Picture, *, asked: bool = False) -> dict[str, Any]:
    state = {"id": picture.id, "media_key": f"3_{picture.id}", "expires_after_secs": 86_400}
    if picture.fails:
        return {**state, "processing_info": {"state": "failed"}}
    if picture.pending:
        return {**state, "processing_info": {"state": "pending", "check_after_secs": 2}}
    done = {"processing_info": {"state": "succeeded", "progress_percent": 100}} if asked else {}
    return {**state, **done}
