"""A Bluesky server with one account: sessions, records and pictures, as the reference server has them.

Written from the published lexicons and from what a real server answered, sharing no code with the channel.
Like the real one it answers a second `createRecord` under a used key with 500, and forgets pictures that no
record shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipeline.model import ChannelConfig
from pipeline.rehearsal.standins.base import Seen, Shown, StandIn
from pipeline.rehearsal.standins.bluesky_account import Limit, RateLimits, Refusal, Tokens
from pipeline.rehearsal.standins.bluesky_records import (
    HANDLE,
    POST,
    TID,
    InvalidRecord,
    alts,
    blobs,
    check,
    raw_cid,
    record_cid,
)

PASSWORD = "abcd-efgh-ijkl-mnop"  # noqa: S105  # of an account that does not exist
DID = "did:plc:standinstandinstandin234"
BLOBS_LAST = timedelta(minutes=5)
_LARGEST_UPLOAD = 5 << 20
_PNG = b"\x89PNG\r\n\x1a\n"
_ACCESS = ("com.atproto.access", "com.atproto.appPass", "com.atproto.appPassPrivileged")
Answer = dict[str, Any]


def stand_in(config: ChannelConfig, now: Callable[[], datetime]) -> Bluesky:
    """A server that knows the channel's account and nobody else."""
    return Bluesky(config.options["handle"], now)


@dataclass(frozen=True, slots=True)
class Record:
    """A record, the request that wrote it, and when it was first written."""

    value: Mapping[str, Any]
    cid: str
    body: bytes
    at: datetime


@dataclass(slots=True)
class Blob:
    """An uploaded file; `until` is None once a record has shown it."""

    mime: str
    size: int
    until: datetime | None


class Bluesky(StandIn):
    """The server. `handles` are other accounts it can name, `lag` how long records stay out of the read-back.

    `scope` is what the password gives: an app password's, unless changed. `limits`, `tokens` and `status`
    (`takendown`, `deactivated`) may be changed while it runs.
    """

    def __init__(self, handle: str, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self.credentials = {"APP_PASSWORD": PASSWORD}
        self.handle = handle.lower()
        self.handles = {self.handle: DID}
        self.records: dict[str, Record] = {}
        self.blobs: dict[str, Blob] = {}
        self.tokens = Tokens(DID, now)
        self.limits = RateLimits()
        self.lag = timedelta(0)
        self.scope = "com.atproto.appPass"
        self.status: str | None = None

    def application(self) -> Starlette:
        """Calls by their names; any other is refused."""
        return Starlette(routes=[Route("/xrpc/{name}", self._call, methods=["GET", "POST"])])

    def shown(self) -> tuple[Shown, ...]:
        """The posts of the account."""
        with self.lock:
            found = [
                Shown(self.address(rkey), one.value["text"], one.at, one.body, alts(one.value))
                for rkey, one in self.records.items()
            ]
            return tuple(sorted(found, key=lambda one: one.at))

    @staticmethod
    def address(rkey: str) -> str:
        """The address of a post."""
        return f"at://{DID}/{POST}/{rkey}"

    # ----------------------------------------------------------------- calls

    async def _call(self, request: Request) -> JSONResponse:
        seen = await self.note(request)
        name = request.path_params["name"].removeprefix("com.atproto.")
        with self.lock:
            headers = {"Date": format_datetime(self.now(), usegmt=True)}
            try:
                document = self._answer(name, seen, dict(request.query_params), headers)
            except Refusal as refusal:
                content = {"error": refusal.name, "message": str(refusal)}
                return JSONResponse(content, refusal.status, headers)
            return JSONResponse(document, headers=headers)

    def _answer(self, name: str, seen: Seen, query: dict[str, str], headers: dict[str, str]) -> Answer:
        """The answer to a call; its headers are added to. Raises Refusal."""
        call, method, points, limits = self._known(name)
        given, enough = self.limits.headers(self.now(), points, *limits)
        headers.update(given)
        if not enough:
            raise Refusal(429, "RateLimitExceeded", "Rate Limit Exceeded")
        if method != seen.method:
            raise Refusal(400, "InvalidRequest", f"Incorrect HTTP method ({seen.method})")
        if name == "server.getSession":
            return self._session_of(seen)
        return call(seen) if method == "POST" else call(query)

    def _known(self, name: str) -> tuple[Callable[[Any], Answer], str, int, tuple[Limit, ...]]:
        """What a call does, its method, its price and the limits that count for it. Raises Refusal."""
        writes, uploads = self.limits.writes, self.limits.uploads
        table: dict[str, tuple[Callable[[Any], Answer], str, int, tuple[Limit, ...]]] = {
            "server.createSession": (self._create_session, "POST", 1, self.limits.logins),
            "server.refreshSession": (self._refresh_session, "POST", 0, ()),
            "server.getSession": (dict, "GET", 0, ()),
            "identity.resolveHandle": (self._resolve, "GET", 0, ()),
            "repo.uploadBlob": (self._upload, "POST", 1, uploads),
            "repo.createRecord": (self._create, "POST", 3, writes),
            "repo.putRecord": (self._put, "POST", 2, writes),
            "repo.deleteRecord": (self._delete, "POST", 1, writes),
            "repo.getRecord": (self._get, "GET", 0, ()),
            "repo.listRecords": (self._list, "GET", 0, ()),
        }
        if name not in table:
            raise Refusal(400, "InvalidRequest", f"No service configured for com.atproto.{name}")
        return table[name]

    # ----------------------------------------------------------------- sessions

    def _create_session(self, seen: Seen) -> Answer:
        given = _input(seen, "identifier", "password")
        known = given["identifier"].lower() in {self.handle, DID}
        if not known or given["password"] not in self.credentials.values():
            raise Refusal(401, "AuthenticationRequired", "Invalid identifier or password")
        if self.status == "takendown":
            raise Refusal(401, "AccountTakedown", "Account has been taken down")
        return {**self.tokens.start(self.scope), **self._who()}

    def _refresh_session(self, seen: Seen) -> Answer:
        self.tokens.claims(_bearer(seen), "com.atproto.refresh")
        if self.status == "takendown":
            raise Refusal(401, "AccountTakedown", "Account has been taken down")
        return {**self.tokens.rotate(_bearer(seen)), **self._who()}

    def _session_of(self, seen: Seen) -> Answer:
        self.tokens.claims(_bearer(seen), *_ACCESS)
        return self._who()

    def _who(self) -> Answer:
        active = {"active": True} if self.status is None else {"active": False, "status": self.status}
        document = {
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": DID,
            "alsoKnownAs": [f"at://{self.handle}"],
            "service": [
                {
                    "id": "#atproto_pds",
                    "type": "AtprotoPersonalDataServer",
                    "serviceEndpoint": self.url,
                }
            ],
        }
        return {"did": DID, "handle": self.handle, "didDoc": document, **active}

    def _resolve(self, query: Mapping[str, str]) -> Answer:
        handle = query.get("handle", "").lower()
        if handle not in self.handles:
            raise Refusal(400, "InvalidRequest", "Unable to resolve handle")
        return {"did": self.handles[handle]}

    def _writer(self, seen: Seen, repo: str) -> None:
        """Raises Refusal unless the token may write to that account."""
        self.tokens.claims(_bearer(seen), *_ACCESS)
        if repo.lower() not in {self.handle, DID}:
            if repo.lower() in {*self.handles, *self.handles.values()}:
                raise Refusal(401, "AuthenticationRequired", "Authentication Required")
            raise Refusal(403, "AccountNotFound", "Account not found")
        if self.status is not None:
            word = {"takendown": "AccountTakedown", "deactivated": "AccountDeactivated"}[self.status]
            raise Refusal(401, word, f"Account is {self.status}")

    # ----------------------------------------------------------------- records

    def _create(self, seen: Seen) -> Answer:
        given = _input(seen, "repo", "collection")
        self._writer(seen, given["repo"])
        rkey = given.get("rkey") or _free_key(self.records)
        cid = self._checked(given, rkey)
        if rkey in self.records:  # as the real server has it
            raise Refusal(500, "InternalServerError", "Internal Server Error")
        return self._write(seen, rkey, given["record"], cid)

    def _put(self, seen: Seen) -> Answer:
        given = _input(seen, "repo", "collection", "rkey")
        self._writer(seen, given["repo"])
        rkey = given["rkey"]
        cid = self._checked(given, rkey)
        current = self.records.get(rkey)
        if current is not None and current.cid == cid:
            return {"uri": self.address(rkey), "cid": cid, "validationStatus": "valid"}
        there = current.cid if current else None
        if "swapRecord" in given and given["swapRecord"] != there:
            raise Refusal(400, "InvalidSwap", f"Record was at {there or 'null'}")
        return self._write(seen, rkey, given["record"], cid)

    def _checked(self, given: Mapping[str, Any], rkey: str) -> str:
        """The content id of a record that may be written. Raises Refusal."""
        if given["collection"] != POST:
            raise Refusal(400, "InvalidRequest", f"{given['collection']}: not kept here")
        if not TID.fullmatch(rkey):
            message = f'Invalid record key for {POST}: Invalid TID string (got "{rkey}") at $'
            raise Refusal(400, "InvalidRequest", message)
        record = given.get("record")
        try:
            check(record)
            return record_cid({"$type": POST, **(record if isinstance(record, dict) else {})})
        except (InvalidRecord, UnicodeEncodeError) as error:
            raise Refusal(400, "InvalidRequest", str(error)) from error

    def _write(self, seen: Seen, rkey: str, value: Mapping[str, Any], cid: str) -> Answer:
        self._show_blobs(value)
        old = self.records.get(rkey)
        self.records[rkey] = Record({"$type": POST, **value}, cid, seen.body, old.at if old else self.now())
        if old is None:
            self.accepted += 1
            self.changed.notify_all()
        commit = {"cid": record_cid([rkey, cid]), "rev": _free_key(self.records)}
        return {"uri": self.address(rkey), "cid": cid, "commit": commit, "validationStatus": "valid"}

    def _delete(self, seen: Seen) -> Answer:
        given = _input(seen, "repo", "collection", "rkey")
        self._writer(seen, given["repo"])
        if self.records.pop(given["rkey"], None) is None:
            return {}
        return {"commit": {"cid": record_cid([given["rkey"]]), "rev": _free_key(self.records)}}

    def _get(self, query: Mapping[str, str]) -> Answer:
        repo, rkey = query.get("repo", ""), query.get("rkey", "")
        if repo.lower() not in {self.handle, DID}:
            raise Refusal(400, "InvalidRequest", "Could not locate record")
        record = self.records.get(rkey) if query.get("collection") == POST else None
        if record is None or self.now() < record.at + self.lag:
            raise Refusal(400, "RecordNotFound", f"Could not locate record: {self.address(rkey)}")
        return {"uri": self.address(rkey), "cid": record.cid, "value": dict(record.value)}

    def _list(self, query: Mapping[str, str]) -> Answer:
        limit = min(int(query.get("limit", "50")), 100)
        keys = sorted((key for key in self.records if key < query.get("cursor", "~")), reverse=True)[:limit]
        found = [{"uri": self.address(key), "cid": self.records[key].cid} for key in keys]
        records = [
            {**one, "value": dict(self.records[key].value)} for key, one in zip(keys, found, strict=True)
        ]
        return {"records": records, **({"cursor": keys[-1]} if keys else {})}

    # ----------------------------------------------------------------- pictures

    def _upload(self, seen: Seen) -> Answer:
        self.tokens.claims(_bearer(seen), *_ACCESS)
        if len(seen.body) > _LARGEST_UPLOAD:
            raise Refusal(413, "PayloadTooLarge", "request entity too large")
        if seen.body.startswith(_PNG) and b"IDAT" not in seen.body:  # as the real server has it
            raise Refusal(500, "InternalServerError", "Internal Server Error")
        cid = raw_cid(seen.body)
        mime = _mime(seen.body) or seen.headers.get("content-type", "application/octet-stream")
        held = self.blobs.get(cid)
        until = None if held and held.until is None else self.now() + BLOBS_LAST
        self.blobs[cid] = Blob(mime, len(seen.body), until)
        size = len(seen.body)
        return {"blob": {"$type": "blob", "ref": {"$link": cid}, "mimeType": mime, "size": size}}

    def _show_blobs(self, record: Mapping[str, Any]) -> None:
        """Keep the pictures of a record. Raises Refusal for one that is not there, or is another."""
        self.blobs = {c: b for c, b in self.blobs.items() if b.until is None or self.now() < b.until}
        named = list(blobs(record))
        for one in named:
            cid = one["ref"]["$link"]
            held = self.blobs.get(cid)
            if held is None:
                raise Refusal(400, "BlobNotFound", f"Could not find blob: {cid}")
            if held.mime != one["mimeType"]:
                message = f"Referenced Mimetype does not match stored blob. Expected: {held.mime}"
                raise Refusal(400, "InvalidMimeType", message)
            if held.size != one["size"]:
                message = f"Referenced Size does not match stored blob. Expected: {held.size}"
                raise Refusal(400, "InvalidSize", message)
        for one in named:
            self.blobs[one["ref"]["$link"]].until = None


def _mime(data: bytes) -> str | None:
    """The type of a file by its first bytes."""
    known = ((_PNG, "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
    return next((mime for start, mime in known if data.startswith(start)), None)


def _bearer(seen: Seen) -> str | None:
    kind, _, token = seen.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else None


def _input(seen: Seen, *required: str) -> dict[str, Any]:
    """The body of a call, in which these fields are texts. Raises Refusal."""
    try:
        document = json.loads(seen.body)
    except ValueError as error:
        raise Refusal(400, "InvalidRequest", "Invalid JSON") from error
    if not isinstance(document, dict):
        raise Refusal(400, "InvalidRequest", "Input must be an object")
    for name in required:
        if not isinstance(document.get(name), str):
            raise Refusal(400, "InvalidRequest", f'Input must have the property "{name}"')
    repo = document.get("repo")
    if repo is not None and not (repo.startswith("did:") or HANDLE.fullmatch(repo)):
        raise Refusal(400, "InvalidRequest", "Input/repo must be a valid did or a handle")
    return document


def _free_key(used: Mapping[str, object]) -> str:
    """A key no record has."""
    number = len(used)
    while (key := f"3jzf{number:09d}".translate(str.maketrans("0189", "wxyz"))) in used:
        number += 1
    return key
