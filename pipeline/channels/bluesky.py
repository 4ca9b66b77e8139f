"""Bluesky, or any other server of the AT Protocol, with an app password.

What must stay true: the key of a record (`rkey`) is derived from the delivery and the request says that no
record may be there yet, so repeating it at any time leaves one post; the bytes are frozen with `createdAt`
of the slot, since the server takes one that differs for another post; and only `prepare` deals with
sessions, pictures and names, so that a post is one request.

The account is named by its handle: its identifier (DID) is known after the first login only, and what a
preview shows is what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from pipeline.channels import bluesky_record as records
from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    ChannelError,
    Found,
    Identity,
    NotAcceptedError,
    OutcomeUnknownError,
    RejectedError,
    Sighting,
    Surroundings,
)
from pipeline.channels.bluesky_session import Session, Sessions
from pipeline.channels.bluesky_text import BYTES, LIMIT, UNIT, measure, plain
from pipeline.channels.http import Judge, Reply
from pipeline.channels.media import picture
from pipeline.channels.text import fit_text
from pipeline.channels.tid import tid
from pipeline.channels.xrpc import Xrpc, fields, refusal
from pipeline.model import Campaign, ChannelConfig, Fit, Image, PermanentKey, Post, Receipt, Rendition, Traits
from pipeline.wallclock import instant

SERVICE = "https://bsky.social"
TIMEOUT = timedelta(seconds=30)
POINTS_A_DAY, POINTS_A_POST = 35_000, 3
_Refused = Callable[[str, str], ChannelError | None]  # by the name of a refusal, and all that is said of it
_EXPIRED = ("ExpiredToken", "InvalidToken", "AccountNotFound")  # the last: the account has moved
_REMOTE = re.compile(
    r"(?:at://[^/]+/app\.bsky\.feed\.post|https?://[^/]+/profile/[^/]+/post)/(?P<rkey>[2-7a-z]{13})/?"
)


class Bluesky:
    """The channel. Credential APP_PASSWORD.

    Options: `handle` (required), `service` (where to log in), `embed` (`image` or `card`: what is shown of
    an entry with a picture). `api` replaces the service, and then everything goes there.
    """

    def __init__(self, campaign: Campaign, config: ChannelConfig, surroundings: Surroundings) -> None:
        self._campaign = campaign
        self._config = config
        self._surroundings = surroundings
        self._handle = config.options["handle"].lower()
        service = config.api or config.options.get("service", SERVICE)
        self._sessions = Sessions(
            config.id, service.rstrip("/"), self._handle, surroundings, fixed=config.api is not None
        )

    @property
    def traits(self) -> Traits:
        """The server keeps a record's key as long as the record, and shows at once what it has."""
        return Traits(
            key=PermanentKey(),
            lookup=True,
            edit=True,
            delete=True,
            timeout=self._config.timeout or TIMEOUT,
            settle=self._config.settle,
            per_day=POINTS_A_DAY // POINTS_A_POST,
        )

    def fit(self, post: Post) -> Fit:
        """At most 300 graphemes and 3,000 bytes. Raises DoesNotFit."""
        fit = fit_text(post, LIMIT, lambda text: measure(plain(text)), UNIT)
        return replace(fit, text=plain(fit.text))

    def render(self, fit: Fit, key: str) -> Rendition:
        """The request. Raises RejectedError for a picture that cannot be used."""
        post = fit.post
        wall = self._config.time or self._campaign.posting.time
        due = instant(post.date, wall, self._campaign.event.zone)
        shown = picture(self._surroundings.root, post.image, records.PICTURES) if post.image else None
        content = records.record(post, fit.text, due, shown, card=self._config.options.get("embed") == "card")
        body = records.request(self._handle, tid(self._campaign.authority, key), content)
        # A card needs an address; without one there is nothing that would show the picture.
        media = (post.image,) if post.image and records.blobs({"record": content}) else ()
        return Rendition(key, body, fit.text, media)

    def prepare(self, rendition: Rendition) -> Rendition:
        """A session, the picture, the accounts that are mentioned. Raises ChannelError."""
        document = records.read(rendition)
        session = self._sessions.ready(self.traits.timeout)
        home = self._home(session)
        for image in rendition.media:
            self._upload(home, session, image, records.blobs(document))
        if not (handles := records.unresolved(document)):
            return rendition
        accounts = {handle: self._account(home, handle) for handle in handles}
        return replace(rendition, body=records.written(records.resolved(document, accounts)))

    def publish(self, rendition: Rendition) -> Receipt:
        """Send it, once. Raises ChannelError."""
        document = records.read(rendition)
        session = self._sessions.kept()
        if session is None or not session.access or records.unresolved(document):
            raise NotAcceptedError(f"{self._handle}: the post is not prepared; nothing was sent")
        reply = self._put(session, rendition.body, self._not_taken)
        return self._receipt(reply, document["rkey"], rendition.digest)

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        """Ask for the record by its key: the account's own server always knows."""
        del since
        try:
            rkey = records.read(rendition)["rkey"]
            found = self._record(self._sessions.ready(self.traits.timeout), rkey)
            return Found(self._receipt(found, rkey, rendition.digest)) if found else Absent()
        except ChannelError as error:
            return CannotTell(str(error))

    def edit(self, receipt: Receipt, rendition: Rendition) -> Receipt:
        """Replace the record. The app goes on showing what it was at first. Raises ChannelError.

        What somebody has deleted is not made again.
        """
        document = records.read(self.prepare(rendition))
        session = self._sessions.ready(self.traits.timeout)
        rkey = _rkey(receipt)
        found = self._record(session, rkey)
        if found is None:
            raise RejectedError(f"{receipt.remote_id}: is not there any more; nothing was changed")
        document |= {"rkey": rkey, "swapRecord": fields(found, "cid")["cid"]}
        reply = self._put(session, records.written(document), self._not_replaced)
        return self._receipt(reply, rkey, rendition.digest)

    def delete(self, receipt: Receipt) -> None:
        """Remove the record; one that is gone is fine. Raises ChannelError."""
        session = self._sessions.ready(self.traits.timeout)
        body = {"repo": session.did, "collection": records.COLLECTION, "rkey": _rkey(receipt)}
        home = self._home(session)
        home.procedure(
            "com.atproto.repo.deleteRecord",
            records.written(body),
            token=session.access,
            judges=self._judges(home, session),
        )

    def verify(self) -> Identity:
        """Log in, or use the session at hand, and ask who we are. Raises ChannelError."""
        session = self._sessions.ready(self.traits.timeout)
        home = self._home(session)
        reply = home.query(
            "com.atproto.server.getSession", token=session.access, judges=self._judges(home, session)
        )
        found = fields(reply, "handle", "did")
        limits = {
            "text": f"{LIMIT} characters and {BYTES} bytes",
            "posts a day": f"{POINTS_A_DAY // POINTS_A_POST}",
            "logins a day": "300",
            "server": session.home,
        }
        if left := reply.headers.get("ratelimit-remaining"):
            limits["requests left"] = f"{left} of {reply.headers.get('ratelimit-limit', 'unknown')}"
        warnings = []
        if session.with_main_password:
            warnings.append("this is the account's own password; make an app password and use that")
        if found["handle"].lower() != self._handle:
            warnings.append(f"the account is now called {found['handle']}; change `handle`, or posts fail")
        if found.get("active") is False:
            warnings.append(f"the account is {found.get('status') or 'not active'}; posts will be refused")
        account = f"@{found['handle']} ({found['did']}), https://bsky.app/profile/{found['handle']}"
        return Identity(account, server_time=reply.date, limits=limits, warnings=tuple(warnings))

    # ----------------------------------------------------------------- calls

    def _home(self, session: Session) -> Xrpc:
        return self._sessions.server(session.home, self.traits.timeout, session)

    def _upload(self, home: Xrpc, session: Session, image: Image, wanted: set[str]) -> None:
        """Upload the picture, if it still is the one that the frozen request refers to.

        If it is not, the server may have the right one from the first time; if it has not, it says so.
        """
        try:
            made = picture(self._surroundings.root, image, records.PICTURES)
        except RejectedError:
            return
        if records.cid(made.data) not in wanted:
            return
        reply = home.procedure(
            "com.atproto.repo.uploadBlob",
            made.data,
            kind=made.mime,
            token=session.access,
            judges=self._judges(home, session),
        )
        taken = reply.json()
        if not isinstance(taken, dict) or taken.get("blob") != records.blob(made):
            raise RejectedError(
                f"{image.path}: the server keeps this picture under another name or type; save it anew as "
                "PNG or JPEG, then retry",
                field="image",
            )

    def _account(self, home: Xrpc, handle: str) -> str | None:
        """The identifier of an account; None when the server knows nobody of that name."""
        unknown: list[str] = []

        def nobody(_reply: Reply) -> None:
            unknown.append(handle)

        name = "com.atproto.identity.resolveHandle"
        reply = home.query(name, {"handle": handle}, judges={400: nobody, 404: nobody})
        return None if unknown else str(fields(reply, "did")["did"])

    def _record(self, session: Session, rkey: str) -> Reply | None:
        """The record as the account's server has it, None when it has none. Raises ChannelError."""
        home = self._home(session)
        absent: list[str] = []

        def refused(reply: Reply) -> ChannelError | None:
            if refusal(reply)[0] != "RecordNotFound":
                return RejectedError(home.said(reply))
            absent.append(rkey)
            return None

        parameters = {"repo": session.did, "collection": records.COLLECTION, "rkey": rkey}
        reply = home.query("com.atproto.repo.getRecord", parameters, judges={400: refused})
        return None if absent else reply

    def _put(self, session: Session, body: bytes, refused: _Refused) -> Reply:
        home = self._home(session)
        judges = self._judges(home, session)

        def bad(reply: Reply) -> ChannelError | None:
            return refused(refusal(reply)[0], home.said(reply)) or judges[400](reply)

        return home.procedure(
            "com.atproto.repo.putRecord", body, token=session.access, judges={**judges, 400: bad}
        )

    # ----------------------------------------------------------------- what refusals mean

    def _judges(self, home: Xrpc, session: Session) -> dict[int, Judge]:
        """400, 401 and 403 of a request that carries an access token: the names in them decide."""

        def judge(reply: Reply) -> ChannelError:
            name, message = refusal(reply)
            if name in _EXPIRED:
                self._sessions.forget(session)
                return NotAcceptedError(f"{home.said(reply)}; the next try gets another token")
            if reply.status == 401:
                return AuthFailedError(home.said(reply))
            return RejectedError(home.said(reply), field=_field(name, message))

        return dict.fromkeys((400, 401, 403), judge)

    @staticmethod
    def _not_taken(name: str, said: str) -> ChannelError | None:
        if name == "InvalidSwap":
            return OutcomeUnknownError(f"{said}; a post with other words is there under this key already")
        if name == "BlobNotFound":
            return NotAcceptedError(f"{said}; the server has not got the picture (any more)")
        return None

    @staticmethod
    def _not_replaced(name: str, said: str) -> ChannelError | None:
        if name in {"InvalidSwap", "BlobNotFound"}:
            return NotAcceptedError(f"{said}; the post or its picture was changed meanwhile; try again")
        return None

    def _receipt(self, reply: Reply, rkey: str, digest: str) -> Receipt:
        """The receipt of a record the server has. Raises OutcomeUnknownError when it speaks of another."""
        address = fields(reply, "uri", "cid")["uri"]
        if not re.fullmatch(rf"at://[!-~]+/{re.escape(records.COLLECTION)}/{rkey}", address):
            raise OutcomeUnknownError(f"answered {reply.status} with the address of another record")
        return Receipt(address, f"https://bsky.app/profile/{self._handle}/post/{rkey}", digest)


def _rkey(receipt: Receipt) -> str:
    """The key of a published record. Raises RejectedError when the receipt names none."""
    for address in (receipt.remote_id, receipt.url or ""):
        if found := _REMOTE.fullmatch(address):
            return found["rkey"]
    raise RejectedError(
        f"{receipt.remote_id}: is not the address of a Bluesky post; change or delete it in the app"
    )


def _field(name: str, message: str) -> str | None:
    """The part of the entry that a refusal speaks of."""
    if name in {"InvalidMimeType", "InvalidSize"} or ".embed.images" in message or ".thumb" in message:
        return "image"
    return "text" if ".record.text" in message else None
