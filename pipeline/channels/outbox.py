"""The embedded network: a post is two files under `public/outbox/`, and nothing else is needed.

`CAMPAIGN/DATE-ENTRY.json` is the post and its receipt, the `.html` beside it what people look at, the
picture a copy under `media/`. The JSON is written last and removed last: when it is there, everything is.
A key is kept as long as its JSON is, so repeating a request changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile

import regex

from pipeline import atomic
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
from pipeline.channels.outbox_page import OutboxPost, page, read_post
from pipeline.channels.text import fit_text, graphemes
from pipeline.model import Campaign, ChannelConfig, Fit, PermanentKey, Post, Receipt, Rendition, Traits

FOLDER = "outbox"
TIMEOUT = timedelta(seconds=5)
_NAME = regex.compile(r"[\p{L}\p{Nd}_][\p{L}\p{M}\p{Nd}._-]*")
_ANY_DAY = "????-??-??"


class Outbox:
    """The channel. Option `limit`: shorten to that many characters (graphemes), as a network would."""

    def __init__(self, campaign: Campaign, config: ChannelConfig, surroundings: Surroundings) -> None:
        self._campaign = campaign
        self._config = config
        self._root = surroundings.root
        self._public = surroundings.public
        self._durable = surroundings.durable
        limit = config.options.get("limit")
        self._limit = int(limit) if limit else None

    @property
    def traits(self) -> Traits:
        """Files keep their names for ever, and can be looked at, replaced and removed."""
        return Traits(
            key=PermanentKey(),
            lookup=True,
            edit=True,
            delete=True,
            timeout=self._config.timeout or TIMEOUT,
            settle=self._config.settle,
        )

    def fit(self, post: Post) -> Fit:
        """The whole text, or what the option `limit` leaves of it. Raises DoesNotFit."""
        if self._limit is not None:
            return fit_text(post, self._limit, graphemes, "characters")
        text = post.text(post.summary)
        return Fit(post, text, graphemes(text), None, shortened=False)

    def render(self, fit: Fit, key: str) -> Rendition:
        """The JSON document, byte for byte as it will be written."""
        post = fit.post
        image = post.image
        document = {
            "campaign": post.campaign,
            "entry": post.entry,
            "channel": post.channel,
            "network": post.network,
            "date": post.date.isoformat(),
            "days_left": post.days_left,
            "title": post.title,
            "url": post.url,
            "text": fit.text,
            "length": fit.length,
            "lang": post.lang,
            "hashtags": list(post.hashtags),
            "image": image and {"path": image.path, "alt": image.alt, "credit": image.credit},
            "key": key,
        }
        body = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        return Rendition(key, body.encode(errors="replace"), fit.text, (image,) if image else ())

    def prepare(self, rendition: Rendition) -> Rendition:
        """Nothing is needed beforehand: the picture is copied together with the post."""
        return rendition

    def publish(self, rendition: Rendition) -> Receipt:
        """Write the files. A key that is already there keeps the post it has. Raises ChannelError."""
        post = _post_of(rendition)
        path = self._path(post)
        try:
            held = self._held(rendition.key, path)
            taken = held is None and _key_of(path) is not None
        except OSError as error:
            # What cannot be read may be this very post, from an earlier request.
            raise OutcomeUnknownError(f"{path.parent} cannot be read: {_reason(error)}") from error
        if held:
            return self._receipt(*held)
        if taken:
            raise RejectedError(f"{path} holds another post; move it away, then retry")
        self._write(path, post, rendition.body)
        return self._receipt(path, rendition.body)

    def find(self, rendition: Rendition, since: datetime) -> Sighting:
        """Look for the key. Files do not forget, so `since` does not matter."""
        del since
        try:
            path = self._path(read_post(rendition.body))
            held = self._held(rendition.key, path)
            if held:
                return Found(self._receipt(*held))
            if path.exists():
                read_post(path.read_bytes())  # says whether absence can be believed
        except (OSError, ValueError, ChannelError) as error:
            return CannotTell(f"the outbox cannot be read: {error}")
        return Absent()

    def edit(self, receipt: Receipt, rendition: Rendition) -> Receipt:
        """Replace the files that the receipt names. Raises ChannelError."""
        path = self._named(receipt)
        post = _post_of(rendition)
        if self._path(post) != path:
            raise RejectedError(f"{path} cannot become the post of another day, entry or channel")
        before = self._media_of(path)
        self._write(path, post, rendition.body)
        if before and before != _media_path(path, post):
            self._remove(before)
        return self._receipt(path, rendition.body)

    def delete(self, receipt: Receipt) -> None:
        """Remove the files that the receipt names, the JSON last. Raises ChannelError."""
        path = self._named(receipt)
        for gone in filter(None, (path.with_suffix(".html"), self._media_of(path), path)):
            self._remove(gone)

    def verify(self) -> Identity:
        """The folder, which can be written. Raises NotAcceptedError."""
        folder = self._public / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise NotAcceptedError(f"{folder} cannot be written: {_reason(error)}") from error
        return Identity(account=str(folder))

    # ----------------------------------------------------------------- where things are

    def _path(self, post: OutboxPost) -> Path:
        """The JSON file of a post. Raises RejectedError for a name that would lead elsewhere."""
        parts = [FOLDER, post.campaign]
        if post.channel != FOLDER:
            parts.append(post.channel)
        return self._inside(*parts, f"{post.stem}.json")

    def _named(self, receipt: Receipt) -> Path:
        """The JSON file that a receipt names: its id is the page's path under `public/`."""
        parts = PurePosixPath(receipt.remote_id).with_suffix(".json").parts
        if parts[:1] != (FOLDER,):
            raise RejectedError(f"`{receipt.remote_id}` does not name a post of this outbox")
        return self._inside(*parts)

    def _inside(self, *parts: str) -> Path:
        path = self._public.joinpath(*parts)
        if not all(_NAME.fullmatch(part) for part in parts):
            raise RejectedError(f"`{'/'.join(parts)}` is not a usable path; give entry and channel plain ids")
        if not path.resolve().is_relative_to(self._public.resolve()):
            raise RejectedError(f"{path} leads out of {self._public}; remove the link")
        return path

    def _held(self, key: str, path: Path) -> tuple[Path, bytes] | None:
        """The file, on this day or another, that has the key, and its bytes. Raises OSError."""
        entry = path.name[len(_ANY_DAY) :]
        for candidate in (path, *sorted(path.parent.glob(_ANY_DAY + entry))):
            if _key_of(candidate) == key:
                return candidate, candidate.read_bytes()
        return None

    def _media_of(self, path: Path) -> Path | None:
        """The picture's copy that the JSON file speaks of."""
        try:
            return _media_path(path, read_post(path.read_bytes()))
        except (OSError, ValueError):
            return None

    def _receipt(self, path: Path, body: bytes) -> Receipt:
        """People follow the URL, so it and the id name the page."""
        remote_id = path.with_suffix(".html").relative_to(self._public).as_posix()
        base = self._campaign.public_url
        url = f"{base.rstrip('/')}/{remote_id}" if base else None
        return Receipt(remote_id, url, hashlib.sha256(body).hexdigest())

    # ----------------------------------------------------------------- writing

    def _write(self, path: Path, post: OutboxPost, body: bytes) -> None:
        """Picture, page, JSON, in this order. Same bytes are left alone."""
        html = path.with_suffix(".html")
        try:
            self._copy_picture(path, post)
            atomic.write(html, page(body), flush=self._durable)
        except OSError as error:
            if html.is_file():
                raise OutcomeUnknownError(f"{html} is there, but: {_reason(error)}") from error
            raise NotAcceptedError(f"{html} cannot be written: {_reason(error)}") from error
        try:
            atomic.write(path, body, flush=self._durable)
        except OSError as error:
            raise OutcomeUnknownError(
                f"{html} is there, but {path} cannot be written: {_reason(error)}"
            ) from error

    def _copy_picture(self, path: Path, post: OutboxPost) -> None:
        """Put the picture beside the post. Raises RejectedError when it is gone; OSError."""
        target = _media_path(path, post)
        if target is None or post.image is None:
            return
        source = self._root / str(post.image["path"])
        if not source.resolve().is_relative_to(self._root.resolve()):
            raise RejectedError(f"the picture {source} lies outside {self._root}", field="image")
        if source.is_file():
            atomic.write(target, source.read_bytes(), flush=self._durable)
        elif not target.is_file():  # an earlier request may have copied it
            raise RejectedError(
                f"the picture {post.image['path']} is gone; put it back or drop `image`, then retry",
                field="image",
            )

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return  # its folder is gone too
        except OSError as error:
            raise OutcomeUnknownError(f"{path} cannot be removed: {_reason(error)}") from error


def _post_of(rendition: Rendition) -> OutboxPost:
    try:
        return read_post(rendition.body)
    except ValueError as error:
        raise RejectedError(str(error)) from error


def _key_of(path: Path) -> str | None:
    """The key of the post in a JSON file; None when there is no file, or no post in it. Raises OSError."""
    if not path.is_file():
        return None
    try:
        return read_post(path.read_bytes()).key
    except ValueError:
        return None


def _media_path(path: Path, post: OutboxPost) -> Path | None:
    return path.parent / "media" / post.media_name if post.media_name else None


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
