"""Giving a picture to a server with the Mastodon API.

What must stay true: nothing here can be seen by readers; an id comes back only once the server has the
picture ready, so that no post is refused because of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

from pipeline.channels import media
from pipeline.channels.base import NotAcceptedError, RejectedError
from pipeline.channels.http import Judge, Reply, host
from pipeline.channels.mastodon_api import Api, receipt_of
from pipeline.channels.multipart import multipart

_NAMES = {media.JPEG: "picture.jpg", media.PNG: "picture.png", media.GIF: "picture.gif"}
_WORKING = (202, 206)
_WAITS = tuple(timedelta(seconds=span) for span in (1, 2, 3, *(5,) * 12))


def upload(api: Api, picture: media.Picture, alt: str, pause: Callable[[timedelta], None]) -> str:
    """The id of the picture at the server. Asks until it is ready, for about a minute.

    Raises ChannelError: RejectedError with the field `image` for a picture that the server does not take.
    """
    refused: dict[int, Judge] = dict.fromkeys(
        (400, 413, 415, 422), lambda reply: RejectedError(str(api.rejected(reply)), field="image")
    )
    name = _NAMES.get(picture.mime, "picture.webp")
    mime, body = multipart({"description": alt}, [("file", name, picture.mime, picture.data)])
    reply = api.request("POST", "/api/v2/media", headers={"Content-Type": mime}, body=body, judges=refused)
    taken = _taken(reply)
    if taken is None:
        raise NotAcceptedError(f"{host(api.base)}: took the picture and gave it no id")
    waits = iter(_WAITS)
    while reply.status in _WORKING:
        wait = next(waits, None)
        if wait is None:
            raise NotAcceptedError(f"{host(api.base)}: is still working on the picture")
        pause(wait)
        reply = api.request("GET", f"/api/v1/media/{quote(taken, safe='')}", judges=refused)
        if reply.status not in _WORKING and _taken(reply) != taken:
            raise NotAcceptedError(f"{host(api.base)}: answers with another picture than was asked for")
    return taken


def _taken(reply: Reply) -> str | None:
    """The id of a picture. Raises OutcomeUnknownError for what is no answer."""
    receipt = receipt_of(reply.json(), "")
    return receipt.remote_id if receipt else None
