"""A Facebook Page behind a Graph API: one Page, one token, and the refusals of both.

Written from Facebook's reference and sharing no code with the channel, so that each checks the other. Where
the reference is silent this is the stricter reading: a parameter it does not know is refused, a picture may
have 4 MB, and a text is only recognised as a repeat of the very last post.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipeline.model import ChannelConfig
from pipeline.rehearsal.standins.base import Seen, Shown, StandIn
from pipeline.rehearsal.standins.facebook_wire import (
    Call,
    Refused,
    checked,
    chosen,
    is_picture,
    kept,
    parameters,
    served,
    units,
)

# What may be sent, with the types of the reference.
FEED = {"message": "string", "link": "string", "attached_media": "list<Object>", "published": "bool"}
POST = {"message": "string"}
PHOTO = {"published": "bool", "alt_text_custom": "string"}  # and the file `source`
READ = {"limit": "unsigned int"}  # and those of every reading: fields, before and after
# What may be asked for.
POST_FIELDS = frozenset({"id", "message", "created_time", "permalink_url", "is_published"})
PAGE_FIELDS = frozenset({"id", "name", "link"})

LONGEST = 63_206  # UTF-16 units
LARGEST = 4_000_000  # bytes of a picture
WINDOW = timedelta(days=1)  # of the quota
WRITING, READING = "pages_manage_posts", "pages_read_engagement"


def stand_in(config: ChannelConfig, now: Callable[[], datetime]) -> FacebookPage:
    """The Page that the channel names."""
    page = config.options.get("page", "")
    return FacebookPage(page if page.isdigit() else "100064000000001", now, alias=page)


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture that was uploaded."""

    id: str
    alt: str
    post: str | None = None  # the post that shows it


@dataclass(frozen=True, slots=True)
class PagePost:
    """A post of the Page. `request` is the body that made it."""

    id: str
    message: str
    link: str | None
    photos: tuple[str, ...]
    made: datetime
    request: bytes


@dataclass(slots=True)
class Mood:
    """What tests and rehearsals may change: how Facebook feels about this Page today."""

    expires: datetime | None = None  # when the token ends
    scopes: tuple[str, ...] = (WRITING, READING)
    inspects: bool = True  # whether a Page token may ask about itself
    blocked: str | None = None  # the words of the block
    quota: int = 4_800  # calls in 24 hours
    lag: timedelta = timedelta(0)  # how long a post stays out of the read-back
    unreadable: set[str] = field(default_factory=set)  # links that cannot be scraped
    stumbles: int = 0  # so many posts are taken and answered with a failure


class FacebookPage(StandIn):
    """The Page `page`. `now` is Facebook's clock (UTC)."""

    def __init__(self, page: str, now: Callable[[], datetime], *, alias: str = "") -> None:
        super().__init__(now)
        self.page = page
        self.name = "Sharing Lille"
        self.mood = Mood()
        self.credentials = {"PAGE_TOKEN": "EAAGstandinPageTokenZC8x"}
        self.posts: list[PagePost] = []
        self.photos: dict[str, Photo] = {}
        self._names = {page, alias, "me"}
        self._calls: list[datetime] = []
        self._last = 0

    def application(self) -> Starlette:
        """One address for everything, as Graph has it."""
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "DELETE"])])

    def shown(self) -> tuple[Shown, ...]:
        """The Page's posts, as they read now."""
        with self.lock:
            return tuple(
                Shown(
                    post.id,
                    post.message,
                    post.made,
                    post.request,
                    tuple(self.photos[i].alt for i in post.photos),
                )
                for post in self.posts
            )

    # ----------------------------------------------------------------- a request

    async def _answer(self, request: Request) -> JSONResponse:
        seen = await self.note(request)
        with self.lock:
            version = served(request.path_params["path"].partition("/")[0])
            status, document = 200, {}
            try:
                document = self._object(self._read(request, seen, version))
            except Refused as refused:
                status, document = refused.status, refused.document
            return JSONResponse(document, status, self._headers(version))

    def _read(self, request: Request, seen: Seen, version: str) -> Call:
        sent, files = parameters(seen.headers.get("content-type", ""), seen.body)
        given = {**request.query_params, **sent}
        scheme, _, token = seen.headers.get("authorization", "").partition(" ")
        token = str(given.pop("access_token", "")) or (token if scheme in {"Bearer", "OAuth"} else "")
        self._admit(token)
        path = tuple(part for part in request.path_params["path"].split("/")[1:] if part)
        return Call(seen.method, path, given, files, seen.body, version)

    def _admit(self, token: str) -> None:
        """Who is asking, and whether they have asked too often. Raises Refused."""
        if not token:
            raise Refused(104, "An access token is required to request this resource.")
        if token != self.credentials["PAGE_TOKEN"]:
            raise Refused(190, f"Invalid OAuth access token: {token}")
        if self.mood.expires and self.now() >= self.mood.expires:
            raise Refused(190, "Error validating access token: Session has expired.", error_subcode=463)
        self._calls = [call for call in self._calls if call > self.now() - WINDOW]
        self._calls.append(self.now())  # also one that is refused
        if len(self._calls) > self.mood.quota:
            raise Refused(32, "Page request limit reached", status=403)

    def _headers(self, version: str) -> dict[str, str]:
        used, quota = len(self._calls), self.mood.quota
        wait = 0  # minutes, until enough calls have left the window
        if used >= quota:
            wait = -(-int((self._calls[used - quota] + WINDOW - self.now()).total_seconds()) // 60)
        shares = {"call_count": 100 * used // quota, "total_cputime": 1, "total_time": 1}
        usage = {"type": "pages", **shares, "estimated_time_to_regain_access": wait}
        return {
            "facebook-api-version": version,
            "x-business-use-case-usage": json.dumps({self.page: [usage]}),
        }

    def _object(self, call: Call) -> dict[str, Any]:
        match call.method, call.path:
            case "POST", (page, "feed") if page in self._names:
                return self._publish(call)
            case "POST", (page, "photos") if page in self._names:
                return self._upload(call)
            case "GET", (page, "published_posts") if page in self._names:
                return self._show(call)
            case "GET", ("debug_token",):
                return self._inspect(call)
            case "GET", (page,) if page in self._names:
                about = {"id": self.page, "name": self.name, "link": f"https://www.facebook.com/{self.page}"}
                return chosen(about, call.given, PAGE_FIELDS)
            case method, (post,) if any(one.id == post for one in self.posts):
                return self._one(method, post, call)
        raise Refused(
            100,
            f"Unsupported {call.method.lower()} request. Object with ID '{'/'.join(call.path)}' does not "
            "exist, cannot be loaded due to missing permissions, or does not support this operation.",
            error_subcode=33,
        )

    # ----------------------------------------------------------------- writing

    def _publish(self, call: Call) -> dict[str, Any]:
        self._may(WRITING)
        given = checked(call.given, FEED)
        message, link = kept(given.get("message", "")), given.get("link")
        photos = tuple(str(one.get("media_fbid")) for one in given.get("attached_media", ()))
        if given.get("published", True) is not True:
            raise Refused(100, "This stand-in publishes at once.")
        if not (message or link or photos):
            raise Refused(100, "The post is empty. Please enter a message to share.")
        if units(message) > LONGEST:
            raise Refused(100, "The message is too long.")
        if link and photos:
            raise Refused(100, "A post has a link or media.")
        if self.mood.blocked:
            raise Refused(368, self.mood.blocked, status=403)
        last = self.posts[-1] if self.posts else None
        if last and (last.message, last.link, last.photos) == (message, link, photos):
            raise Refused(506, "Duplicate status message")
        self._check_link(link)
        for photo in photos:
            if photo not in self.photos or self.photos[photo].post:
                raise Refused(100, f"Invalid parameter: {photo} is no unpublished photo of the Page.")
        post = PagePost(f"{self.page}_{self._number()}", message, link, photos, self.now(), call.body)
        self._take(post)
        return {"id": post.id}

    def _take(self, post: PagePost) -> None:
        for photo in post.photos:
            self.photos[photo] = replace(self.photos[photo], post=post.id)
        self.posts.append(post)
        self.accepted += 1
        self.changed.notify_all()
        if self.mood.stumbles:
            self.mood.stumbles -= 1
            raise Refused(2, "An unexpected error has occurred. Please retry your request later.", status=500)

    def _check_link(self, link: str | None) -> None:
        if link is None:
            return
        if (
            not link.isascii()
            or urlsplit(link).scheme not in {"http", "https"}
            or not urlsplit(link).hostname
        ):
            raise Refused(100, "link should represent a valid URL")
        if link in self.mood.unreadable:
            raise Refused(1_609_005, "The link could not be scraped.")

    def _upload(self, call: Call) -> dict[str, Any]:
        self._may(WRITING)
        given = checked(call.given, PHOTO)
        if "source" not in call.files:
            raise Refused(324, "Requires upload file")
        if given.get("published") is not False:
            raise Refused(100, "This stand-in takes photos for posts only.")
        data = call.files["source"]
        if len(data) > LARGEST or not is_picture(data):
            raise Refused(
                1_366_046,
                "Your photos couldn't be uploaded. Photos should be less than 4 MB and saved as JPG, PNG, "
                "GIF, TIFF, HEIF or WebP files.",
            )
        photo = Photo(str(self._number()), given.get("alt_text_custom", ""))
        self.photos[photo.id] = photo
        return {"id": photo.id}

    def _one(self, method: str, post_id: str, call: Call) -> dict[str, Any]:
        place = next(place for place, post in enumerate(self.posts) if post.id == post_id)
        if method == "GET":
            self._may(READING)
            return chosen(_as_read(self.posts[place]), call.given, POST_FIELDS)
        self._may(WRITING)
        if method == "DELETE":
            del self.posts[place]
        else:
            message = kept(checked(call.given, POST).get("message", ""))
            if not message or units(message) > LONGEST:
                raise Refused(100, "The message is empty or too long.")
            self.posts[place] = replace(self.posts[place], message=message)
        return {"success": True}

    # ----------------------------------------------------------------- reading

    def _show(self, call: Call) -> dict[str, Any]:
        self._may(READING)
        plain = {
            name: value for name, value in call.given.items() if name not in {"fields", "before", "after"}
        }
        limit = checked(plain, READ).get("limit", 25)
        if not 1 <= limit <= 100:
            raise Refused(100, "Please reduce the amount of data you're asking for, then retry your request")
        newest = [post for post in reversed(self.posts) if post.made <= self.now() - self.mood.lag]
        begin = _begin(newest, call.given.get("after"))
        part = newest[begin : begin + limit]
        document: dict[str, Any] = {
            "data": [chosen(_as_read(post), call.given, POST_FIELDS) for post in part],
        }
        if part:
            document["paging"] = {"cursors": {"before": _cursor(part[0]), "after": _cursor(part[-1])}}
        if begin + limit < len(newest):
            query = urlencode({**call.given, "after": _cursor(part[-1])})
            document["paging"]["next"] = f"{self.url}/{call.version}/{self.page}/published_posts?{query}"
        return document

    def _inspect(self, call: Call) -> dict[str, Any]:
        if not self.mood.inspects:
            raise Refused(100, "You must provide an app access token, or a user access token of an owner.")
        known = call.given.get("input_token") == self.credentials["PAGE_TOKEN"]
        if not known:
            return {"data": {"is_valid": False, "scopes": []}}
        expires = int(self.mood.expires.timestamp()) if self.mood.expires else 0
        data = {"type": "PAGE", "profile_id": self.page, "is_valid": True, "expires_at": expires}
        return {"data": {**data, "scopes": list(self.mood.scopes)}}

    def _may(self, scope: str) -> None:
        if scope not in self.mood.scopes:
            raise Refused(
                200 if scope == WRITING else 10,
                f"Requires {scope} permission to manage the object",
                status=403,
            )

    def _number(self) -> int:
        """A number no other object has."""
        self._last += 1
        return 122_100_000_000_000 + self._last


# --------------------------------------------------------------------------- what is shown


def _as_read(post: PagePost) -> dict[str, Any]:
    return {
        "id": post.id,
        "message": post.message,
        "created_time": post.made.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
        "permalink_url": f"https://www.facebook.com/{post.id}",
        "is_published": True,
    }


def _cursor(post: PagePost) -> str:
    return base64.urlsafe_b64encode(post.id.encode()).decode()


def _begin(posts: list[PagePost], after: object) -> int:
    """The place behind the post that a cursor names. Raises Refused."""
    if not after:
        return 0
    for place, post in enumerate(posts):
        if _cursor(post) == after:
            return place + 1
    raise Refused(100, "Invalid cursors values")
