"""Webhooks: each post, signed, to an address of the editor's choice, as Standard Webhooks lays down.

What must stay true: the `webhook-id` and the body are frozen when the post is rendered, so every repeat
carries the same; timestamp and signature are made anew for each request. The id also stands in the body:
it comes from the campaign's authority and the delivery, so that two projects may share a receiver.

The promise "never twice" rests on the receiver: it must keep the ids it has seen and answer a repeat with
2xx. The standard asks it to; nobody can see from outside whether it does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.channels.base import (
    AuthFailedError,
    CannotTell,
    ChannelError,
    Identity,
    OutcomeUnknownError,
    RejectedError,
    Sighting,
    Surroundings,
)
from pipeline.channels.http import Http, Limits, Reply, host
from pipeline.channels.text import fit_text
from pipeline.model import Campaign, ChannelConfig, Fit, PermanentKey, Post, Receipt, Rendition, Traits
from pipeline.wallclock import instant

TIMEOUT = timedelta(seconds=20)
LARGEST = 20_000  # bytes of the body; the standard advises receivers to refuse more
SECRET = "SECRET"  # noqa: S105  # the name of the field, not its value
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_LONGEST_URL = 2_000


class Webhook:
    """The channel. Option `url`: where to send; `api` replaces it. Credential SECRET: `whsec_` and base64.

    Several secrets, separated by spaces, give several signatures, so that a receiver may change over.
    """

    def __init__(self, campaign: Campaign, config: ChannelConfig, surroundings: Surroundings) -> None:
        self._campaign = campaign
        self._config = config
        self._surroundings = surroundings
        self._url = config.api or config.options["url"]

    @property
    def traits(self) -> Traits:
        """The receiver is taken to keep ids for ever; nothing can be read back or taken back."""
        return Traits(
            key=PermanentKey(),
            lookup=False,
            edit=False,
            delete=False,
            timeout=self._config.timeout or TIMEOUT,
            settle=self._config.settle,
        )

    def fit(self, post: Post) -> Fit:
        """A text whose whole body stays below the limit, in bytes. Raises DoesNotFit."""
        return fit_text(post, LARGEST, lambda text: len(self._body(post, text, "")), "bytes of payload")

    def render(self, fit: Fit, key: str) -> Rendition:
        """The body, in one canonical form."""
        return Rendition(key, self._body(fit.post, fit.text, key), fit.text)

    def prepare(self, rendition: Rendition) -> Rendition:
        """Nothing is needed beforehand."""
        return rendition

    def publish(self, rendition: Rendition) -> Receipt:
        """Send it, signed now. Raises ChannelError."""
        secret = self._surroundings.required(self._config.id, SECRET)
        signers = self._keys(secret)
        webhook_id = self.id_of(rendition)
        headers = {
            "Content-Type": "application/json",
            **signed(signers, webhook_id, self._surroundings.now(), rendition.body),
        }
        # A receiver may name its key with or without what marks it as one.
        hidden = [form for value in _values(secret) for form in (value, value.removeprefix(_PREFIX))]
        http = Http(Limits(self.traits.timeout), secrets=(secret, *hidden))
        reply = http.request(
            "POST", self._url, headers=headers, body=rendition.body, judges={410: self._gone}
        )
        return Receipt(webhook_id, _url_in(reply), rendition.digest)

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        """A receiver shows nobody what it has."""
        del rendition, since
        return CannotTell("a webhook's receiver cannot be read; look there, then use `pipeline resolve`")

    def edit(self, receipt: Receipt, rendition: Rendition) -> Receipt:
        """Not offered. Raises RejectedError."""
        del rendition
        raise RejectedError(f"{receipt.remote_id}: what was sent to a webhook cannot be changed from here")

    def delete(self, receipt: Receipt) -> None:
        """Not offered. Raises RejectedError."""
        raise RejectedError(f"{receipt.remote_id}: what was sent to a webhook cannot be taken back")

    def verify(self) -> Identity:
        """The secret is there and well formed; nothing is sent. Raises AuthFailedError."""
        self._keys(self._surroundings.required(self._config.id, SECRET))
        return Identity(account=host(self._url))

    @property
    def address(self) -> str:
        """Where posts are sent."""
        return self._url

    def id_of(self, rendition: Rendition) -> str:
        """The `webhook-id` of a post, frozen with its body. Raises RejectedError for another's rendition."""
        try:
            return str(json.loads(rendition.body)["id"])
        except (ValueError, KeyError, TypeError) as error:
            raise RejectedError("the post was not rendered for a webhook; cancel it, or retry it") from error

    def _body(self, post: Post, text: str, key: str) -> bytes:
        image = post.image
        wall = self._config.time or self._campaign.posting.time
        due = instant(post.date, wall, self._campaign.event.zone)
        document = {
            "id": _webhook_id(self._campaign.authority, key),
            "type": "entry.published",
            "timestamp": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "data": {
                "campaign": post.campaign,
                "entry": post.entry,
                "date": post.date.isoformat(),
                "days_left": post.days_left,
                "title": post.title,
                "summary": post.summary,
                "text": text,
                "url": post.url,
                "lang": post.lang,
                "hashtags": list(post.hashtags),
                "image": image and {"path": image.path, "alt": image.alt, "credit": image.credit},
            },
        }
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return body.encode(errors="replace")

    def _keys(self, secret: str) -> tuple[bytes, ...]:
        """The signing keys. Raises AuthFailedError, which names the variable and shows no part of it."""
        keys = []
        for value in _values(secret):
            try:
                key = base64.b64decode(value.removeprefix(_PREFIX), validate=True)
            except (binascii.Error, ValueError):
                key = b""
            if not value.startswith(_PREFIX) or len(key) not in _KEY_BYTES:
                break
            keys.append(key)
        else:
            if keys:
                return tuple(keys)
        raise AuthFailedError(
            f"the secret of `{self._config.id}` is not `{_PREFIX}` and the base64 of {_KEY_BYTES[0]} to "
            f"{_KEY_BYTES[-1]} bytes; copy it again from the receiver, then retry"
        )

    def _gone(self, reply: Reply) -> ChannelError | None:
        """No fault of the post: every other one would meet the same, so the whole channel waits."""
        del reply
        return AuthFailedError(
            f"{host(self._url)}: answered 410, the receiver wants no more; take `{self._config.id}` out of "
            "the campaign or give it another `url`, then retry or cancel"
        )


def signed(keys: tuple[bytes, ...], webhook_id: str, now: datetime, body: bytes) -> dict[str, str]:
    """The three headers of the standard, with one signature for each key."""
    timestamp = str(int(now.astimezone(UTC).timestamp()))
    content = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _webhook_id(authority: str, key: str) -> str:
    digest = hashlib.sha256(f"{authority}\n{key}".encode(errors="replace")).hexdigest()
    return f"msg_{digest[:32]}"


def _url_in(reply: Reply) -> str | None:
    """Where the receiver says that the post can be seen, if it says so."""
    try:
        document: Any = reply.json()
    except OutcomeUnknownError:
        return None  # the status is the receiver's word; its body is free
    url = document.get("url") if isinstance(document, dict) else None
    if not isinstance(url, str) or len(url) > _LONGEST_URL or not url.isprintable() or " " in url:
        return None
    return url if url.startswith(("https://", "http://")) else None


def _values(secret: str) -> list[str]:
    return secret.split()
