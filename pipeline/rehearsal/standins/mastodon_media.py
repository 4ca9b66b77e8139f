"""Pictures as a server with the Mastodon API gets them: the form, the picture in it, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Mapping

from pipeline.rehearsal.standins.mastodon_software import Refused


def uploaded(kind: str, body: bytes, limits: Mapping[str, int]) -> tuple[str, tuple[int, int], str]:
    """MIME type, width and height, and description of an uploaded picture. Raises Refused."""
    fields = form(kind, body)
    if fields is None or "file" not in fields or fields["file"][0] is None:
        raise Refused("Validation failed: File can't be blank")
    mime, data = str(fields["file"][0]), fields["file"][1]
    size = picture_size(data, mime)
    if size is None:
        raise Refused("Validation failed: File content type is invalid")
    if len(data) > limits["image_bytes"]:
        raise Refused("Validation failed: File is too large")
    if size[0] * size[1] > limits["image_pixels"]:
        raise Refused(f"Validation failed: {size[0]}x{size[1]} images are not supported")
    description = fields.get("description", (None, b""))[1].decode()
    if len(description) > limits["alt"]:
        raise Refused(f"Validation failed: Description is too long (maximum is {limits['alt']})")
    return mime, size, description


def form(mime: str, body: bytes) -> dict[str, tuple[str | None, bytes]] | None:
    """The fields of a multipart form: the file's MIME type, if it is one, and the bytes. None for no form."""
    kind, _, boundary = mime.partition("; boundary=")
    if kind != "multipart/form-data" or not boundary:
        return None
    marker = b"--" + boundary.encode()
    if not body.startswith(marker + b"\r\n") or not body.endswith(b"\r\n" + marker + b"--\r\n"):
        return None
    fields: dict[str, tuple[str | None, bytes]] = {}
    inner = body[len(marker) : -len(marker) - 4]
    for part in inner.split(b"\r\n" + marker):
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        named = lines["Content-Disposition"].partition('name="')[2].partition('"')[0]
        fields[named] = lines.get("Content-Type"), data
    return fields


def picture_size(data: bytes, mime: str) -> tuple[int, int] | None:
    """Width and height of a picture that is of the type it is said to be; None for any other."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  # loaded with the first picture

    kinds = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP"}
    try:
        with Image.open(io.BytesIO(data), formats=[kinds[mime]]) as picture:
            picture.load()
            return picture.size
    except (KeyError, UnidentifiedImageError, OSError, SyntaxError):
        return None
