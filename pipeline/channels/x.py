"""X: posts to an account through API v2.

What must stay true: X keeps no key of ours, so what became of a request without an answer is read back from
the account's own posts, and by nothing else; X refuses a text it has already, so a refusal as a duplicate is
an unknown outcome too, and the read-back finds the post that was meant; pictures are sent before anything is
claimed, since X names them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipeline.channels import media, x_text
from pipeline.channels.base import (
    Absent,
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
from pipeline.channels.text import fit_text, utf16
from pipeline.channels.x_api import Api, data_of, is_id
from pipeline.model import Campaign, ChannelConfig, Fit, Image, NoKey, Post, Receipt, Rendition, Traits

TIMEOUT = timedelta(seconds=30)
PER_DAY = 10_000  # posts in 24 hours, of the whole app, by the published rate limits

# US dollars: a post, one with a link, a picture's metadata.
_PRICE = Decimal("0.015")
_PRICE_WITH_LINK = Decimal("0.200")
_PRICE_OF_METADATA = Decimal("0.005")

# By X's guide to media: 5 MB. The pixels are our own choice, since none are published. No GIF: the upload in
# one request is for still pictures only, and of an animation the first frame is one.
PICTURES = media.Rules(
    types=frozenset({media.JPEG, media.PNG, media.WEBP}),
    bytes=5_000_000,
    pixels=16_777_216,
    side=4096,
)
_PLACEHOLDER = "upload:"
_POLLS = 20
_LONGEST_PAUSE = timedelta(seconds=30)

# X refuses a text it took hours ago, so an equal post of these hours is what a duplicate was refused for,
# although a later attempt has begun since.
_LOOK_BACK = timedelta(hours=6)
_PAGE = 100
_PAGES = 10


class X:
    """The channel. Option `auth`: `oauth1` (default) or `oauth2`; `api` replaces X's address.

    Credentials: CONSUMER_KEY, CONSUMER_SECRET, ACCESS_TOKEN and ACCESS_TOKEN_SECRET; with `oauth2`
    CLIENT_ID and REFRESH_TOKEN, and CLIENT_SECRET where the app has one.
    """

    def __init__(self, campaign: Campaign, config: ChannelConfig, surroundings: Surroundings) -> None:
        del campaign
        self._config = config
        self._surroundings = surroundings
        self._api = Api(config, surroundings, self.traits.timeout)

    @property
    def traits(self) -> Traits:
        """No key, but the account's posts can be read. Few accounts may edit, so none is edited."""
        return Traits(
            key=NoKey(),
            lookup=True,
            edit=False,
            delete=True,
            timeout=self._config.timeout or TIMEOUT,
            settle=self._config.settle,
            per_day=PER_DAY,
        )

    def fit(self, post: Post) -> Fit:
        """A text X counts at most 280 of, whatever it has learnt since its tables were published.

        The price is that of X's public list for pay-per-use as it was in August 2026. Raises DoesNotFit.
        """

        def text(summary: str) -> str:
            return x_text.with_whole_links(x_text.clean(post.text(summary)))

        cleaned = replace(post, text=text)
        fitted = fit_text(cleaned, x_text.LIMIT, x_text.cautious, "characters as X counts them")
        price = _PRICE_WITH_LINK if x_text.has_link(fitted.text) else _PRICE
        price += _PRICE_OF_METADATA if post.image else 0
        return replace(fitted, post=post, price=price, doubts=x_text.complaints(fitted.text))

    def render(self, fit: Fit, key: str) -> Rendition:
        """The body as the library writes JSON. Raises RejectedError when the picture cannot be used."""
        document: dict[str, Any] = {"text": fit.text}
        image = fit.post.image
        if image:
            name = _PLACEHOLDER + media.picture(self._surroundings.root, image, PICTURES).digest
            document["media"] = {"media_ids": [name]}
        return Rendition(key, json.dumps(document).encode(), fit.text, (image,) if image else ())

    def prepare(self, rendition: Rendition) -> Rendition:
        """A token that lasts, and the picture uploaded, described and processed. Raises ChannelError."""
        self._api.ready()
        document = _document(rendition)
        names = _media_ids(document)
        if not any(name.startswith(_PLACEHOLDER) for name in names):
            return rendition
        ids = [self._upload(image, name) for name, image in zip(names, rendition.media, strict=True)]
        document["media"]["media_ids"] = ids
        return replace(rendition, body=json.dumps(document).encode())

    def publish(self, rendition: Rendition) -> Receipt:
        """Send it, once. Raises ChannelError; a duplicate is an OutcomeUnknownError."""
        if any(name.startswith(_PLACEHOLDER) for name in _media_ids(_document(rendition))):
            raise NotAcceptedError("the picture has not been uploaded; it is before the next try")
        reply = self._api.call("POST", "/2/tweets", body=rendition.body, judges=self._api.answers().posting())
        post_id = data_of(reply).get("id")
        if not is_id(post_id):
            raise OutcomeUnknownError(f"answered {reply.status} without the post's id")
        return _receipt(post_id, rendition)

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        """Look through the account's posts of that time, and of some hours before it.

        A post with our words whose links cannot be matched is no evidence either way.
        """
        ours, words = x_text.canonical(x_text.clean(rendition.text)), x_text.words(rendition.text)
        alike: str | None = None
        try:
            self._api.ready()
            for post in self._posts(since - _LOOK_BACK):
                if not is_id(post.get("id")):
                    return CannotTell("X shows a post without an id")
                if x_text.canonical(x_text.shown(post)) == ours:
                    return Found(_receipt(post["id"], rendition))
                if words and x_text.shown_words(post) == words and _made(post, since) >= since:
                    alike = post["id"]
        except ChannelError as error:
            return CannotTell(str(error))
        if alike:
            return CannotTell(f"post {alike} has the same words and other links; look at it, then resolve")
        return Absent()

    def edit(self, receipt: Receipt, rendition: Rendition) -> Receipt:
        """Not offered. Raises RejectedError."""
        del rendition
        raise RejectedError(
            f"{receipt.remote_id}: X lets only some accounts edit, within half an hour, and gives the post "
            "another id; change it there by hand, or delete it"
        )

    def delete(self, receipt: Receipt) -> None:
        """Remove the post; already gone is fine. Raises ChannelError."""
        self._api.ready()
        if not is_id(receipt.remote_id):
            raise RejectedError(f"`{receipt.remote_id}` is not the id of a post on X")
        route = f"/2/tweets/{receipt.remote_id}"
        reply = self._api.call("DELETE", route, judges=self._api.answers().deleting())
        if reply.status != 404 and data_of(reply).get("deleted") is not True:
            raise RejectedError(f"{receipt.remote_id}: X answered {reply.status} and did not delete it")

    def verify(self) -> Identity:
        """Who the account is, and what its token may do. Raises ChannelError."""
        self._api.ready()
        account, reply = self._api.ask_account()
        warnings = list(self._api.warnings())
        level = reply.headers.get("x-access-level", "")
        if level and "write" not in level:
            warnings.append(
                f"the token may only {level}: let the app read and write in X's developer console, then make "
                "new tokens"
            )
        return Identity(
            account=f"@{account.handle} (https://x.com/{account.handle})",
            server_time=reply.date,
            limits={
                "text": f"{x_text.LIMIT} characters as X counts them, {x_text.LINK} a link",
                "posts": f"{PER_DAY} in 24 hours for the app",
                "pictures": f"{PICTURES.bytes // 1_000_000} MB, description of {x_text.ALT_LIMIT} characters",
            },
            warnings=tuple(warnings),
        )

    # ----------------------------------------------------------------- pictures

    def _upload(self, image: Image, name: str) -> str:
        """The id under which X has the picture, described and ready."""
        picture = media.picture(self._surroundings.root, image, PICTURES)
        if name != _PLACEHOLDER + picture.digest:
            raise NotAcceptedError(f"{image.path} was changed meanwhile; the post is made anew")
        document = {"media": base64.b64encode(picture.data).decode(), "media_category": "tweet_image"}
        uploaded = data_of(self._api.read("POST", "/2/media/upload", document=document))
        media_id = uploaded.get("id")
        if not is_id(media_id):
            raise OutcomeUnknownError("X took the picture without giving its id")
        self._await(image, media_id, uploaded)
        alt = media.shorten_alt(x_text.clean(image.alt), x_text.ALT_LIMIT, utf16)
        described = {"id": media_id, "metadata": {"alt_text": {"text": alt}}}
        self._api.read("POST", "/2/media/metadata", document=described)
        return media_id

    def _await(self, image: Image, media_id: str, uploaded: Mapping[str, Any]) -> None:
        """Ask until the picture is processed, as often as X wishes. Raises ChannelError."""
        for _ in range(_POLLS):
            info = uploaded.get("processing_info")
            info = info if isinstance(info, Mapping) else {"state": "succeeded"}
            if info.get("state") == "succeeded":
                return
            if info.get("state") == "failed":
                raise RejectedError(f"X cannot process {image.path}; use another picture", field="image")
            wished = info.get("check_after_secs")
            seconds = timedelta(seconds=wished if isinstance(wished, int) and wished > 0 else 1)
            self._surroundings.pause(min(seconds, _LONGEST_PAUSE))
            params = {"command": "STATUS", "media_id": media_id}
            uploaded = data_of(self._api.read("GET", "/2/media/upload", params=params))
        raise NotAcceptedError(f"X is still processing {image.path}; it is sent again with the next try")

    # ----------------------------------------------------------------- reading

    def _posts(self, since: datetime) -> Iterator[Mapping[str, Any]]:
        """The account's posts since then, newest first. Raises ChannelError when it is not all of them."""
        route = f"/2/users/{self._api.account().id}/tweets"
        params = {
            "start_time": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "max_results": str(_PAGE),
            "exclude": "replies,retweets",
            "tweet.fields": "created_at,entities",
        }
        for _ in range(_PAGES):
            document = self._api.read("GET", route, params=params).json()
            posts, more = _page(document)
            yield from posts
            if more is None:
                return
            params = {**params, "pagination_token": more}
        raise OutcomeUnknownError(
            f"the account made more than {_PAGES * _PAGE} posts since {since:%F %R} UTC"
        )


def _receipt(post_id: str, rendition: Rendition) -> Receipt:
    return Receipt(post_id, f"https://x.com/i/web/status/{post_id}", rendition.digest)


def _document(rendition: Rendition) -> dict[str, Any]:
    """The body, read. Raises RejectedError for another network's."""
    with suppress(ValueError):
        document = json.loads(rendition.body)
        if isinstance(document, dict) and isinstance(document.get("text"), str):
            return document
    raise RejectedError("the post was not rendered for X; cancel it, or retry it")


def _media_ids(document: Mapping[str, Any]) -> list[str]:
    held = document.get("media") or {}
    return [str(name) for name in held.get("media_ids", ())]


def _page(document: Any) -> tuple[list[Mapping[str, Any]], str | None]:
    """The posts of a page, and the token of the next. Raises OutcomeUnknownError for a page with gaps."""
    meta = document.get("meta") if isinstance(document, dict) else None
    posts = document.get("data", []) if isinstance(document, dict) else None
    if not isinstance(meta, dict) or not isinstance(posts, list) or meta.get("result_count") != len(posts):
        raise OutcomeUnknownError("X did not show all posts of the account")
    if not all(isinstance(post, dict) for post in posts):
        raise OutcomeUnknownError("X shows posts in a form that is not known")
    more = meta.get("next_token")
    return posts, more if isinstance(more, str) and more else None


def _made(post: Mapping[str, Any], otherwise: datetime) -> datetime:
    with suppress(KeyError, TypeError, ValueError):
        return datetime.fromisoformat(post["created_at"]).astimezone(UTC)
    return otherwise
