"""Facebook Pages, through the Graph API.

Graph keeps no key of ours. It refuses a text that equals the Page's last post, which is evidence and not
proof, so what is uncertain is settled by reading the Page's own posts: their texts carry the day, the title
and the link, and are compared as Facebook may have respaced them. What must stay true: absence is only
claimed when the posts that were read reach back beyond the moment asked for.

A picture is uploaded unpublished before the post, and the post names it; a post without a picture names its
link, from which Facebook makes a card.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from pipeline.addresses import web_address
from pipeline.channels import facebook_identity, media
from pipeline.channels.base import (
    Absent,
    AuthFailedError,
    CannotTell,
    ChannelError,
    Found,
    Identity,
    NotAcceptedError,
    OutcomeUnknownError,
    RateLimitedError,
    RejectedError,
    Sighting,
    Surroundings,
)
from pipeline.channels.facebook_graph import WRITE, Answer, BlockedError, GoneError, Graph, Usage
from pipeline.channels.multipart import multipart
from pipeline.channels.text import fit_text, utf16
from pipeline.model import Campaign, ChannelConfig, Fit, Image, NoKey, Post, Receipt, Rendition, Traits

API = "https://graph.facebook.com"
VERSION = "v26.0"
TIMEOUT = timedelta(seconds=30)
LONGEST = 63_206  # UTF-16 units of a text
LONGEST_ALT = 1_000  # UTF-16 units; Facebook documents no limit
PICTURES = media.Rules(frozenset({media.JPEG, media.PNG}), bytes=4_000_000, pixels=16_000_000, side=4_096)
TOKEN = "PAGE_TOKEN"  # noqa: S105  # the name of the field, not its value

_UPLOAD = "upload:"  # and the SHA-256 of a picture: stands for the id that Facebook will give it
_AT_ONCE, _MOST_PAGES = 50, 6  # posts of one look, and how many looks
# A refused repeat speaks of the Page's last post, however old: the attempt it was made for is of these hours.
_LOOK_BACK = timedelta(hours=6)
_FULL_UNTIL = "quota_used_up_until"  # what is kept
_FULL = timedelta(minutes=5)  # the wait for a quota that is used up and does not say until when
_TOKEN_FORM = re.compile(r"[!-~]+")  # it becomes a header
_ID = re.compile(r"[A-Za-z0-9_]{1,200}")


class Facebook:
    """The channel. Options `page`: its id, `version`: of the Graph API. Credential PAGE_TOKEN."""

    def __init__(self, campaign: Campaign, config: ChannelConfig, surroundings: Surroundings) -> None:
        del campaign
        self._config = config
        self._surroundings = surroundings
        self._page = config.options["page"]
        self._version = config.options.get("version", VERSION)

    @property
    def traits(self) -> Traits:
        """No key; posts can be read back, edited and deleted."""
        return Traits(
            key=NoKey(),
            lookup=True,
            edit=True,
            delete=True,
            timeout=self._config.timeout or TIMEOUT,
            settle=self._config.settle,
        )

    def fit(self, post: Post) -> Fit:
        """Shorten to Facebook's limit. Raises DoesNotFit."""
        return fit_text(post, LONGEST, utf16, "UTF-16 units")

    def render(self, fit: Fit, key: str) -> Rendition:
        """The JSON body. A picture stands in it by its digest; RejectedError if it cannot be used."""
        post = fit.post
        document: dict[str, Any] = {"message": fit.text}
        if post.image is not None:
            document["attached_media"] = [{"media_fbid": f"{_UPLOAD}{self._picture(post.image).digest}"}]
        else:
            document["link"] = web_address(post.url) or post.url
        return Rendition(key, _bytes(document), fit.text, (post.image,) if post.image else ())

    def prepare(self, rendition: Rendition) -> Rendition:
        """Upload the picture, unpublished, unless that is done. Raises ChannelError."""
        graph = self._graph()
        self._wait_for_quota()
        document = _document(rendition)
        if not _waiting(document):
            return rendition
        places = document["attached_media"]
        for place, image in zip(places, rendition.media, strict=True):
            place["media_fbid"] = self._upload(graph, image, place["media_fbid"].removeprefix(_UPLOAD))
        return replace(rendition, body=_bytes(document))

    def publish(self, rendition: Rendition) -> Receipt:
        """Post it, once. Raises ChannelError."""
        graph = self._graph()
        if _waiting(_document(rendition)):
            raise NotAcceptedError("the picture has not been uploaded yet; nothing was sent")
        answer = graph.call("POST", f"{self._page}/feed", body=rendition.body, permission=WRITE)
        return _receipt(_id(answer), rendition)

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        """Read the Page's posts of that time, and of some hours before it, for one with the same text."""
        since = since.replace(microsecond=0) - _LOOK_BACK  # Facebook's instants have no fractions
        try:
            self._wait_for_quota()
            wanted = _canonical(str(_document(rendition).get("message")))
            posts = self._posts(self._graph(), since)
        except ChannelError as error:
            return CannotTell(f"the Page's posts cannot be read: {error}")
        if found := [post for post in posts if post.made >= since and _canonical(post.text) == wanted]:
            first = min(found, key=lambda post: post.made)
            return Found(_receipt(first.id, rendition))
        return Absent()

    def edit(self, receipt: Receipt, rendition: Rendition) -> Receipt:
        """Replace the text. Link card and picture stay: Facebook changes neither. Raises ChannelError."""
        body = _bytes({"message": _document(rendition)["message"]})
        answer = self._graph().call("POST", _path(receipt), body=body, permission=WRITE)
        if answer.document.get("success") is not True:
            raise OutcomeUnknownError("Facebook did not confirm the edit")
        return _receipt(receipt.remote_id, rendition)

    def delete(self, receipt: Receipt) -> None:
        """Remove the post. Raises ChannelError."""
        graph, path = self._graph(), _path(receipt)
        try:
            answer = graph.call("DELETE", path, permission=WRITE)
        except GoneError:
            # Graph says the same of a post that is gone and of one that this token may not delete.
            with suppress(GoneError):
                graph.call("GET", f"{path}?fields=id")
                raise AuthFailedError(
                    f"{receipt.remote_id}: Facebook still shows the post and does not let this token delete "
                    f"it; the token needs {WRITE}"
                ) from None
            return
        if answer.document.get("success") is not True:
            raise OutcomeUnknownError("Facebook did not confirm the deletion")

    def verify(self) -> Identity:
        """Whose token it is, how long it lasts, and what will fail. Raises ChannelError."""
        return facebook_identity.identity(self._graph(), self._page, self._surroundings.now())

    # ----------------------------------------------------------------- the API

    def _graph(self) -> Graph:
        """Raises AuthFailedError without a token."""
        token = self._surroundings.required(self._config.id, TOKEN)
        if not _TOKEN_FORM.fullmatch(token):
            raise AuthFailedError(
                f"the token of `{self._config.id}` holds what no Page token holds; copy it again, then retry"
            )
        base = self._config.api or API
        return Graph(base, self._version, token, self.traits.timeout, self._note)

    def _posts(self, graph: Graph, since: datetime) -> list[_Seen]:
        """The Page's posts, at least those made since then. Raises ChannelError."""
        query = {"fields": "id,message,created_time", "limit": str(_AT_ONCE)}
        posts: list[_Seen] = []
        for _ in range(_MOST_PAGES):
            answer = graph.call("GET", f"{self._page}/published_posts?{urlencode(query)}")
            page, after = _page_of(answer.document)
            posts += page
            # Newest come first, but for pinned and backdated ones: a single old post does not end the search,
            # and a page may be empty although others follow.
            if after is None or (page and all(post.made < since for post in page)):
                return posts
            query["after"] = after
        raise OutcomeUnknownError(f"there are more than {_AT_ONCE * _MOST_PAGES} newer ones; look there")

    def _picture(self, image: Image) -> media.Picture:
        return media.picture(self._surroundings.root, image, PICTURES)

    def _upload(self, graph: Graph, image: Image, digest: str) -> str:
        """The id that Facebook gives the picture, which nobody sees until a post names it."""
        picture = self._picture(image)
        if picture.digest != digest:
            raise NotAcceptedError(f"the picture {image.path} has just been changed; nothing was sent")
        alt = media.shorten_alt(image.alt, LONGEST_ALT, utf16)
        name = f"{digest[:16]}.{picture.mime.removeprefix('image/')}"
        content, body = multipart(
            {"published": "false", "alt_text_custom": alt}, [("source", name, picture.mime, picture.data)]
        )
        try:
            answer = graph.call("POST", f"{self._page}/photos", body=body, content=content, permission=WRITE)
        except (BlockedError, GoneError):
            raise
        except RejectedError as error:
            raise RejectedError(f"the picture {image.path}: {error}", field="image") from error
        return _id(answer)

    def _note(self, usage: Usage) -> None:
        """Remember a quota that is used up, so that nothing is asked in vain until there is some again."""
        wait = usage.regain or (_FULL if usage.percent >= 100 else None)
        if wait is None:
            return
        until = self._surroundings.now() + wait
        with suppress(OSError):  # then the next request is refused, and says so
            self._surroundings.keep(self._config.id).write({_FULL_UNTIL: until.isoformat()})

    def _wait_for_quota(self) -> None:
        """Raises RateLimitedError while the quota is used up."""
        try:
            until = datetime.fromisoformat(str(self._surroundings.keep(self._config.id).read()[_FULL_UNTIL]))
        except (KeyError, ValueError):
            return
        if until.tzinfo is not None and self._surroundings.now() < until:
            raise RateLimitedError(
                f"the Page's quota is used up until {until:%Y-%m-%d %H:%M} UTC", until=until
            )


# --------------------------------------------------------------------------- what is sent


def _bytes(document: Mapping[str, Any]) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode(errors="replace")


def _document(rendition: Rendition) -> dict[str, Any]:
    """What was rendered. Raises RejectedError for another network's rendition."""
    try:
        document = json.loads(rendition.body)
        if isinstance(document["message"], str):
            return dict(document)
    except (ValueError, KeyError, TypeError):
        pass  # the same as a message that is none
    raise RejectedError("the post was not rendered for a Facebook Page; cancel it, or retry it")


def _waiting(document: Mapping[str, Any]) -> bool:
    """Whether a picture has not got its id yet."""
    places = document.get("attached_media", [])
    return any(str(place["media_fbid"]).startswith(_UPLOAD) for place in places)


# --------------------------------------------------------------------------- what comes back


@dataclass(frozen=True, slots=True)
class _Seen:
    """A post of the Page."""

    id: str
    text: str
    made: datetime


def _id(answer: Answer) -> str:
    """The id of what was made. Raises OutcomeUnknownError: without one, nobody knows that anything was."""
    given = answer.document.get("id")
    if isinstance(given, str) and _ID.fullmatch(given):
        return given
    raise OutcomeUnknownError("Facebook answered with success and did not name what it made")


def _receipt(remote_id: str, rendition: Rendition) -> Receipt:
    return Receipt(remote_id, f"https://www.facebook.com/{remote_id}", rendition.digest)


def _path(receipt: Receipt) -> str:
    if not _ID.fullmatch(receipt.remote_id):
        raise RejectedError(f"`{receipt.remote_id}` does not name a post on Facebook")
    return receipt.remote_id


def _page_of(document: Mapping[str, Any]) -> tuple[list[_Seen], str | None]:
    """The posts of one look, and where the next begins. Raises OutcomeUnknownError for any other form."""
    try:
        posts = [
            _Seen(str(one["id"]), str(one.get("message", "")), datetime.fromisoformat(one["created_time"]))
            for one in document["data"]
        ]
        paging = document.get("paging", {})
        after = str(paging["cursors"]["after"]) if "next" in paging else None
        if isinstance(document["data"], list) and all(post.made.tzinfo for post in posts):
            return posts, after
    except (KeyError, TypeError, ValueError, AttributeError):
        pass  # as what is no list, or an instant without a zone
    raise OutcomeUnknownError("Facebook showed its posts in an unknown form")


def _canonical(text: str) -> str:
    """A text as it is compared: composed, and with its spaces evened out, which Facebook may change."""
    return " ".join(unicodedata.normalize("NFC", text).split())
