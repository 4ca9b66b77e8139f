"""Mastodon, GoToSocial, Pleroma and other servers with the Mastodon API.

What must stay true: the body and the `Idempotency-Key` of a post are the same in every request for it; a
key is relied upon only at a server that is known to keep it, and only when an earlier request with it is
long over; and no picture's id is in a body before the server has it ready.

Before February 2026 Mastodon wrote a key down only once the post was made, so that a repeat which overtakes
its first request made a second post: hence `PATIENCE`. Pleroma keeps its whole answer under a key, refusals
included, so the key depends on the text as well: what a person has mended is asked anew. It rests on nothing
that the server says, which could be lost between two requests.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pipeline.channels import media
from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    ChannelError,
    Identity,
    NotAcceptedError,
    OutcomeUnknownError,
    RejectedError,
    Sighting,
    Surroundings,
)
from pipeline.channels.http import Judge, Reply, host
from pipeline.channels.mastodon_api import Api, find, receipt_of, status_path
from pipeline.channels.mastodon_instance import FRESH, Family, Server, kept, learn, to_keep
from pipeline.channels.mastodon_media import upload
from pipeline.channels.text import code_points, fit_text
from pipeline.model import (
    Campaign,
    ChannelConfig,
    Fit,
    Image,
    Key,
    NoKey,
    Post,
    Receipt,
    Rendition,
    TimedKey,
    Traits,
)

TIMEOUT = timedelta(seconds=60)
PATIENCE = timedelta(seconds=60)  # after which an unanswered request is taken to be dealt with
TOKEN = "ACCESS_TOKEN"  # noqa: S105  # the name of the field, not its value
_UPLOAD = "upload:"  # and the digest of a picture, in place of the id that the server will give it


class Mastodon:
    """The channel. Options `instance`, `visibility`, `spoiler`. Credential ACCESS_TOKEN.

    What the server said of itself, not older than a week, is kept between posts.
    """

    def __init__(self, campaign: Campaign, config: ChannelConfig, surroundings: Surroundings) -> None:
        self._campaign = campaign
        self._config = config
        self._surroundings = surroundings
        self._base = (config.api or config.options["instance"]).rstrip("/")
        self._spoiler = config.options.get("spoiler", "")
        self._visibility = config.options.get("visibility", "public")
        self._keep = surroundings.keep(config.id)

    @property
    def traits(self) -> Traits:
        """As far as the server is known: one that was never asked is taken to keep no keys."""
        timeout = self._config.timeout or TIMEOUT
        key: Key = self._server().key
        # With a shorter limit a repeat could overtake the request it repeats.
        if isinstance(key, TimedKey) and timeout < PATIENCE:
            key = NoKey()
        return Traits(
            key=key, lookup=True, edit=True, delete=True, timeout=timeout, settle=self._config.settle
        )

    # ----------------------------------------------------------------- before anything is sent

    def fit(self, post: Post) -> Fit:
        """A text that the server counts as short enough. Raises DoesNotFit."""
        server = self._server()
        return fit_text(
            post, server.characters, lambda text: server.length(text, self._spoiler), "characters"
        )

    def render(self, fit: Fit, key: str) -> Rendition:
        """The body, in one canonical form. Raises RejectedError for a picture that cannot be used."""
        document: dict[str, Any] = {"status": fit.text, "visibility": self._visibility}
        if language := _iso_639_1(fit.post.lang):
            document["language"] = language
        if self._spoiler:
            document["spoiler_text"] = self._spoiler
        images: tuple[Image, ...] = (fit.post.image,) if fit.post.image else ()
        if images:
            document["media_ids"] = [_UPLOAD + self._picture(image).digest for image in images]
        return Rendition(key, _json(document), fit.text, images)

    def prepare(self, rendition: Rendition) -> Rendition:
        """Know the server's limits, and have it take the picture. Raises ChannelError."""
        api = self._api()
        server = self._known(api)
        document = self._document(rendition)
        length = server.length(document["status"], document.get("spoiler_text", ""))
        if length > server.characters:
            raise NotAcceptedError(
                f"{host(self._base)}: limits have changed: the text has {length} characters and may have "
                f"{server.characters}; it will be shortened anew"
            )
        ids = self._uploaded(api, server, rendition, document)
        if ids == document.get("media_ids", []):
            return rendition
        return replace(rendition, body=_json(document | {"media_ids": ids}))

    # ----------------------------------------------------------------- posting

    def publish(self, rendition: Rendition) -> Receipt:
        """Send it. Raises ChannelError."""
        if self._waiting(self._document(rendition)):
            raise NotAcceptedError("its picture has not been uploaded, so nothing was sent")
        api = self._api()
        headers = {"Content-Type": "application/json", "Idempotency-Key": self._idempotency_key(rendition)}
        # A server that refuses what it should have taken may have other limits than it had.
        judges: dict[int, Judge] = dict.fromkeys((400, 422), lambda reply: self._forget(api.rejected(reply)))
        reply = api.request("POST", "/api/v1/statuses", headers=headers, body=rendition.body, judges=judges)
        return self._receipt(reply, rendition)

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        """Look for it among the account's own posts."""
        try:
            api, document = self._api(), self._document(rendition)
        except ChannelError as error:
            return CannotTell(str(error))
        sighting = find(api, rendition, since)
        seen_by_all = document.get("visibility") != "direct" or self._server().family is Family.MASTODON
        if isinstance(sighting, Absent) and not seen_by_all:
            return CannotTell("this server may leave direct posts out of an account's own; look there")
        return sighting

    def edit(self, receipt: Receipt, rendition: Rendition) -> Receipt:
        """Replace text, language and pictures; who sees it stays. Raises ChannelError."""
        api = self._api()
        document = self._document(rendition)
        server = self._known(api) if self._waiting(document) else self._server()
        changed = {
            "status": document["status"],
            "spoiler_text": document.get("spoiler_text", ""),
            # What is not sent again is dropped.
            "media_ids": self._uploaded(api, server, rendition, document),
        }
        if "language" in document:
            changed["language"] = document["language"]
        judges: dict[int, Judge] = dict.fromkeys(
            (404, 405, 410),
            lambda reply: RejectedError(
                f"{host(self._base)}: answered {reply.status}: {receipt.remote_id} is gone, or the server "
                "does not let posts be edited"
            ),
        )
        headers = {"Content-Type": "application/json"}
        reply = api.request(
            "PUT", status_path(receipt.remote_id), headers=headers, body=_json(changed), judges=judges
        )
        return self._receipt(reply, rendition)

    def delete(self, receipt: Receipt) -> None:
        """Delete it; already gone is fine. Raises ChannelError."""
        judges: dict[int, Judge] = dict.fromkeys((404, 410), lambda _: None)
        self._api().request("DELETE", status_path(receipt.remote_id), judges=judges)

    def verify(self) -> Identity:
        """Whose the token is, and what the server says of itself, asked anew. Raises ChannelError."""
        api = self._api()
        reply = api.request("GET", "/api/v1/accounts/verify_credentials")
        account = reply.json()
        if not isinstance(account, dict) or not isinstance(account.get("username"), str):
            raise OutcomeUnknownError(f"{host(self._base)}: does not say whose the token is")
        server = self._learnt(api)
        domain = server.domain.removeprefix("https://").strip("/") or host(self._base)
        place = account.get("url")
        return Identity(
            account=f"@{account['username']}@{domain}" + (f", {place}" if isinstance(place, str) else ""),
            server_time=reply.date,
            limits=server.limits,
            warnings=tuple(self._warnings(server, account)),
        )

    # ----------------------------------------------------------------- the server

    def _server(self) -> Server:
        return kept(self._keep.read(), self._base)[0]

    def _known(self, api: Api) -> Server:
        """The server as it was kept, or asked anew when that is too old."""
        server, asked = kept(self._keep.read(), self._base)
        now = self._surroundings.now()
        return server if asked and asked <= now < asked + FRESH else self._learnt(api)

    def _learnt(self, api: Api) -> Server:
        server = learn(api.read)
        self._write(to_keep(server, self._base, self._surroundings.now()))
        return server

    def _forget(self, error: ChannelError) -> ChannelError:
        """The limits are asked anew before the next post. What the server is stays known."""
        facts = dict(self._keep.read())
        if facts.get("base") == self._base and "asked" in facts:
            long_ago = self._surroundings.now() - 2 * FRESH
            self._write(facts | {"asked": long_ago.isoformat()})
        return error

    def _write(self, facts: dict[str, Any]) -> None:
        try:
            self._keep.write(facts)
        except OSError as error:
            raise NotAcceptedError(f"what {host(self._base)} allows cannot be kept: {error}") from error

    def _api(self) -> Api:
        token = self._surroundings.required(self._config.id, TOKEN)
        if not re.fullmatch(r"[!-~]+", token):
            raise AuthFailedError(
                f"the access token of `{self._config.id}` holds blanks or other signs that no token has; "
                "copy it again, then retry"
            )
        return Api(self._base, token, self.traits.timeout)

    def _receipt(self, reply: Reply, rendition: Rendition) -> Receipt:
        receipt = receipt_of(reply.json(), rendition.digest)
        if receipt is None:
            raise OutcomeUnknownError(f"{host(self._base)}: answered {reply.status} without a post's id")
        return receipt

    def _idempotency_key(self, rendition: Rendition) -> str:
        """The same for every request of a delivery, as long as its text is."""
        said = {name: value for name, value in self._document(rendition).items() if name != "media_ids"}
        parts = (self._campaign.authority, rendition.key, hashlib.sha256(_json(said)).hexdigest())
        return hashlib.sha256("\n".join(parts).encode(errors="replace")).hexdigest()

    # ----------------------------------------------------------------- pictures

    def _picture(self, image: Image) -> media.Picture:
        return media.picture(self._surroundings.root, image, self._server().rules)

    @staticmethod
    def _document(rendition: Rendition) -> dict[str, Any]:
        """The body. Raises RejectedError for another network's."""
        try:
            document = json.loads(rendition.body)
            if isinstance(document, dict) and isinstance(document["status"], str):
                return document
        except (ValueError, KeyError):
            pass
        raise RejectedError("the post was not rendered for this network; cancel it, or retry it")

    @staticmethod
    def _waiting(document: dict[str, Any]) -> bool:
        return any(str(media_id).startswith(_UPLOAD) for media_id in document.get("media_ids", ()))

    def _uploaded(
        self, api: Api, server: Server, rendition: Rendition, document: dict[str, Any]
    ) -> list[str]:
        """The ids of the pictures, each uploaded where it has none yet."""
        ids: list[str] = list(document.get("media_ids", ()))
        for number, media_id in enumerate(ids):
            if not media_id.startswith(_UPLOAD):
                continue
            image = rendition.media[number]
            picture = self._picture(image)
            if media_id != _UPLOAD + picture.digest:
                raise NotAcceptedError(
                    f"limits have changed, or the picture {image.path} has: it will be rendered anew"
                )
            alt = media.shorten_alt(image.alt, server.alt, code_points)
            ids[number] = upload(api, picture, alt, self._surroundings.pause)
        return ids

    def _warnings(self, server: Server, account: dict[str, Any]) -> list[str]:
        warnings = []
        if isinstance(server.key, NoKey):
            warnings.append(
                f"{server.family} does not recognise repeats: after a lost answer the account's own posts "
                "are read before anything is sent again"
            )
        elif isinstance(self.traits.key, NoKey):
            warnings.append(
                f"`timeout` is below {PATIENCE.seconds} s, so a post with a lost answer is never repeated "
                "under its key; the account's own posts are read first"
            )
        if account.get("moved"):
            warnings.append("the account has moved to another server: posts will be refused")
        if account.get("suspended") or account.get("limited"):
            warnings.append("the server's moderators have limited the account: few will see its posts")
        if self._visibility == "direct":
            warnings.append("`visibility: direct`: only those who are mentioned will see the posts")
        return warnings


def _json(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode(errors="replace")


def _iso_639_1(tag: str) -> str | None:
    """The two letters of a BCP 47 tag; None for a language that has none."""
    first = re.split(r"[-_]", tag, maxsplit=1)[0].lower()
    return first if re.fullmatch(r"[a-z]{2}", first) else None
