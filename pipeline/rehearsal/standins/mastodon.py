"""A server with the Mastodon API and one account, as Mastodon, GoToSocial or Pleroma behave.

Written from the published API and from what is known of each software, sharing no code with the channel.
As before February 2026 Mastodon writes a key down only once the post is made; GoToSocial ignores keys, counts
code points and answers 400; Pleroma keeps its whole answer under a key, refusals included, and answers 409
while the first request with it is under way.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.model import ChannelConfig
from pipeline.rehearsal.standins import mastodon_json as documents
from pipeline.rehearsal.standins.base import Seen, Shown, StandIn
from pipeline.rehearsal.standins.mastodon_json import Media, Status, Version
from pipeline.rehearsal.standins.mastodon_media import uploaded
from pipeline.rehearsal.standins.mastodon_software import SOFTWARE, Kept, Refused, Window, Windows

TOKEN = "c7qT0Zk3Vf-xYb5Rm1nLp8Jw2hGd9sKe4UaXoBi6Ctw"  # noqa: S105  # of an account that does not exist
SCOPES = frozenset({"read:accounts", "read:statuses", "write:statuses", "write:media"})
MEDIA_LAST = timedelta(days=1)
_LOCKED = timedelta(seconds=30)


def stand_in(_config: ChannelConfig, now: Callable[[], datetime]) -> MastodonServer:
    """A Mastodon."""
    return MastodonServer(now)


class MastodonServer(StandIn):
    """The server. `lag` is how long a post stays out of the account's list, `polls` how often a picture is
    not ready yet, `thinks` how many real seconds a post takes.

    `limits`, `scopes`, `windows` and `revoked` may be changed while it runs; `source` says whether it shows
    the text of a post as it was sent.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        family: str = "mastodon",
        lag: timedelta = timedelta(0),
        polls: int = 1,
        thinks: float = 0.0,
    ) -> None:
        super().__init__(now)
        self.credentials = {"ACCESS_TOKEN": TOKEN}
        self.software = SOFTWARE[family]
        self.limits = dict(self.software.limits)
        self.lag = lag
        self.polls = polls
        self.thinks = thinks
        self.scopes = SCOPES
        self.windows = Windows()
        self.revoked = False
        self.source = True
        self.statuses: list[Status] = []
        self.media: dict[str, Media] = {}
        self._keys: dict[str, Kept] = {}
        self._numbers = itertools.count(1)

    # ----------------------------------------------------------------- the outside

    def application(self) -> Starlette:
        """The part of the API that posting needs."""
        statuses, one = "/api/v1/statuses", "/api/v1/statuses/{id}"
        return Starlette(
            routes=[
                Route("/.well-known/nodeinfo", self._open(self._nodeinfo_index)),
                Route("/nodeinfo/2.0", self._open(self._nodeinfo)),
                Route("/api/v2/instance", self._open(self._instance)),
                Route("/api/v1/instance", self._open(self._first_instance)),
                Route("/api/v1/accounts/verify_credentials", self._own("read:accounts", self._credentials)),
                Route("/api/v1/accounts/{id}/statuses", self._own("read:statuses", self._list)),
                Route(statuses, self._own("write:statuses", self._post), methods=["POST"]),
                Route(one, self._own("read:statuses", self._show), methods=["GET"]),
                Route(one, self._own("write:statuses", self._edit), methods=["PUT"]),
                Route(one, self._own("write:statuses", self._delete), methods=["DELETE"]),
                Route(f"{one}/source", self._own("read:statuses", self._source)),
                Route(f"{one}/history", self._own("read:statuses", self._history)),
                Route("/api/v2/media", self._own("write:media", self._upload), methods=["POST"]),
                Route("/api/v1/media/{id}", self._own("write:media", self._picture)),
                Route("/{path:path}", self._open(self._nothing), methods=["GET", "POST", "PUT", "DELETE"]),
            ]
        )

    def shown(self) -> tuple[Shown, ...]:
        """The posts there are, as they read now."""
        with self.lock:
            return tuple(
                Shown(
                    made.id,
                    "\n".join(part for part in (made.now.spoiler, made.now.text) if part),
                    made.versions[0].at,
                    made.body,
                    tuple(media.description for media in made.now.media),
                )
                for made in self.statuses
            )

    def _open(self, handle: Callable[[Request, Seen], Awaitable[Any]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            seen = await self.note(request)
            try:
                return JSONResponse(await handle(request, seen))
            except Refused as refusal:
                return self._refusal(refusal)

        return endpoint

    def _own(self, scope: str, handle: Callable[[Request, Seen], Awaitable[Any]]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            seen = await self.note(request)
            window = self._window(seen)
            within = window.take(self.now())
            headers = {} if self.software.name == "pleroma" else window.headers()
            try:
                if self.revoked or seen.headers.get("authorization") != f"Bearer {TOKEN}":
                    raise Refused("The access token is invalid", 401)  # noqa: TRY301
                if not within:
                    raise Refused("Too many requests", 429)  # noqa: TRY301
                if scope not in self.scopes:
                    raise Refused("This action is outside the authorized scopes", 403)  # noqa: TRY301
                answer = await handle(request, seen)
            except Refused as refusal:
                return self._refusal(refusal, headers)
            if isinstance(answer, Response):
                answer.headers.update(headers)
                return answer
            return JSONResponse(answer, headers=headers)

        return endpoint

    def _window(self, seen: Seen) -> Window:
        if seen.method == "POST" and seen.path.endswith("/media"):
            return self.windows.media
        return self.windows.deletes if seen.method == "DELETE" else self.windows.all

    def _refusal(self, refusal: Refused, headers: Mapping[str, str] | None = None) -> JSONResponse:
        status = refusal.status or self.software.refusal
        return JSONResponse({"error": str(refusal)}, status, headers=headers)

    # ----------------------------------------------------------------- the server itself

    async def _nothing(self, _request: Request, _seen: Seen) -> Any:
        raise Refused("Not Found", 404)

    async def _nodeinfo_index(self, _request: Request, _seen: Seen) -> Any:
        rel = "http://nodeinfo.diaspora.software/ns/schema/2.0"
        return {"links": [{"rel": rel, "href": f"{self.url}/nodeinfo/2.0"}]}

    async def _nodeinfo(self, _request: Request, _seen: Seen) -> Any:
        version = self.software.version.partition(" ")[0]
        return {"version": "2.0", "software": {"name": self.software.name, "version": version}}

    async def _instance(self, _request: Request, _seen: Seen) -> Any:
        if self.software.name == "pleroma":
            raise Refused("Not implemented", 404)
        return documents.instance(self.url, self.software.version, self.software.source, self.limits)

    async def _first_instance(self, _request: Request, _seen: Seen) -> Any:
        if self.software.name != "pleroma":
            raise Refused("Not Found", 404)
        return documents.first_instance(self.url, self.software.version, self.limits)

    async def _credentials(self, _request: Request, _seen: Seen) -> Any:
        return documents.credentials(self.url, len(self.statuses))

    # ----------------------------------------------------------------- posts

    async def _post(self, _request: Request, seen: Seen) -> Any:
        key = seen.headers.get("idempotency-key", "")
        if self.software.name == "pleroma" and key:
            return await self._once(key, seen)
        if kept := self._kept(key):
            return self._document(self._one(kept.status))
        await asyncio.sleep(self.thinks)
        made = self._make(seen)
        if key and self.software.keys:
            self._keys[key] = Kept(self.now(), made.id)
        return self._document(made)

    async def _once(self, key: str, seen: Seen) -> Response:
        """Pleroma's way: the first answer, whatever it was, is the answer to every request with the key."""
        if kept := self._kept(key):
            if kept.answer is not None:
                status, document = kept.answer
                return JSONResponse(document, status, headers={"idempotent-replayed": "true"})
            if self.now() < kept.at + _LOCKED:
                raise Refused("Request with this idempotency key is being processed", 409)
        kept = self._keys[key] = Kept(self.now())
        await asyncio.sleep(self.thinks)
        try:
            kept.answer = 200, self._document(self._make(seen))
        except Refused as refusal:
            kept.answer = refusal.status or self.software.refusal, {"error": str(refusal)}
        status, document = kept.answer
        return JSONResponse(document, status)

    def _kept(self, key: str) -> Kept | None:
        kept = self._keys.get(key)
        return kept if kept and self.now() < kept.at + self.software.keys else None

    def _make(self, seen: Seen) -> Status:
        asked = self._asked(seen)
        with self.changed:
            version = self._version(asked, None)
            visibility = asked.get("visibility", "public")
            if visibility not in {"public", "unlisted", "private", "direct"}:
                raise Refused(f"'{visibility}' is not a valid visibility")
            made = Status(
                self.software.id_of(next(self._numbers)),
                visibility,
                self._language(asked),
                seen.body,
                [version],
            )
            for media in version.media:
                media.status = made.id
            self.statuses.append(made)
            self.accepted += 1
            self.changed.notify_all()
        return made

    def _asked(self, seen: Seen) -> dict[str, Any]:
        try:
            asked = json.loads(seen.body)
        except ValueError:
            asked = None
        if not isinstance(asked, dict) or not seen.headers.get("content-type", "").startswith(
            "application/json"
        ):
            raise Refused("the body is not JSON", 400)
        return asked

    def _language(self, asked: Mapping[str, Any]) -> str | None:
        language = asked.get("language")
        known = isinstance(language, str) and len(language) == 2 and language.isalpha()
        if language is not None and not known and self.software.name == "gotosocial":
            raise Refused("Bad Request: language is not one")
        return language if known else None

    def _version(self, asked: Mapping[str, Any], status: str | None) -> Version:
        """What is asked for, if it may be. Raises Refused."""
        sent = str(asked.get("status") or ""), str(asked.get("spoiler_text") or "")
        # GoToSocial counts what it was sent, the others what they keep of it.
        text, spoiler = (part.strip(" \t\n\v\f\r\0") for part in sent)
        counted = sent if self.software.name == "gotosocial" else (text, spoiler)
        ids = asked.get("media_ids") or []
        if not text.strip() and not ids:
            raise Refused("Validation failed: Text can't be blank")
        most = self.limits["characters"]
        if (length := self.software.length(*counted, self.limits["per_link"])) > most:
            raise Refused(f"Validation failed: Text character limit of {most} exceeded ({length})")
        if len(ids) > self.limits["pictures"]:
            raise Refused(f"Validation failed: Cannot attach more than {self.limits['pictures']} files")
        media = tuple(self._attachable(media_id, status) for media_id in ids)
        return Version(self.now(), text, spoiler, media)

    def _document(self, made: Status) -> dict[str, Any]:
        return documents.status(made, self.url, len(self.statuses))

    def _one(self, status_id: str | None) -> Status:
        for made in self.statuses:
            if made.id == status_id:
                return made
        raise Refused("Record not found", 404)

    async def _list(self, request: Request, _seen: Seen) -> Any:
        if request.path_params["id"] != documents.account("", 0)["id"]:
            raise Refused("Record not found", 404)
        most = min(40, int(request.query_params.get("limit", "20")))
        before = request.query_params.get("max_id")
        with self.lock:
            seen = [made for made in self.statuses if made.versions[0].at <= self.now() - self.lag]
            older = [made for made in seen if before is None or made.id < before]
            return [self._document(made) for made in older[::-1][:most]]

    async def _show(self, request: Request, _seen: Seen) -> Any:
        return self._document(self._one(request.path_params["id"]))

    async def _source(self, request: Request, _seen: Seen) -> Any:
        made = self._one(request.path_params["id"])
        if not self.source:
            raise Refused("Not Found", 404)
        return {"id": made.id, "text": made.now.text, "spoiler_text": made.now.spoiler}

    async def _history(self, request: Request, _seen: Seen) -> Any:
        made = self._one(request.path_params["id"])
        return [documents.edit(version, self.url, len(self.statuses)) for version in made.versions]

    async def _edit(self, request: Request, seen: Seen) -> Any:
        made = self._one(request.path_params["id"])
        asked = self._asked(seen)
        with self.lock:
            version = self._version(asked, made.id)
            language = self._language(asked) or made.language
            was, made.language = made.language, language
            for media in made.now.media:
                media.status = None  # what is not asked for again is dropped
            for media in version.media:
                media.status = made.id
            before = made.now
            same = (before.text, before.spoiler, before.media) == (
                version.text,
                version.spoiler,
                version.media,
            )
            if not same or was != language:
                made.versions.append(version)
        return self._document(made)

    async def _delete(self, request: Request, _seen: Seen) -> Any:
        made = self._one(request.path_params["id"])
        with self.lock:
            self.statuses.remove(made)
            for media in made.now.media:
                media.status = None
        return self._document(made) | {"text": made.now.text}

    # ----------------------------------------------------------------- pictures

    def _attachable(self, media_id: object, status: str | None) -> Media:
        media = self.media.get(str(media_id))
        if media is None or media.status not in {None, status} or self.now() > media.at + MEDIA_LAST:
            raise Refused(f"Media {media_id} not found or already attached to another post")
        if media.polls:
            raise Refused("Cannot attach files that have not finished processing. Try again in a moment!")
        return media

    async def _upload(self, _request: Request, seen: Seen) -> Any:
        kind = seen.headers.get("content-type", "")
        mime, size, description = uploaded(kind, seen.body, self.limits)
        with self.lock:
            media = Media(
                self.software.id_of(next(self._numbers)), mime, size, description, self.now(), self.polls
            )
            self.media[media.id] = media
        return JSONResponse(documents.attachment(media, self.url), 202 if media.polls else 200)

    async def _picture(self, request: Request, _seen: Seen) -> Any:
        media = self.media.get(request.path_params["id"])
        if media is None or media.status is not None:
            raise Refused("Record not found", 404)
        answer = JSONResponse(documents.attachment(media, self.url), 206 if media.polls else 200)
        media.polls = max(0, media.polls - 1)
        return answer
