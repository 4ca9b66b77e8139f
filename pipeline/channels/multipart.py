"""Forms with files, as `multipart/form-data` (RFC 7578).

What must stay true: the same fields and files give the same bytes, so nothing here is drawn by lot; and the
boundary occurs in no part, whatever the parts hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

# As browsers do (WHATWG HTML, "multipart/form-data"): anything else would end the quoted name, or the line.
_ESCAPES = str.maketrans({"\r": "%0D", "\n": "%0A", '"': "%22"})


def multipart(
    fields: Mapping[str, str], files: Iterable[tuple[str, str, str, bytes]] = ()
) -> tuple[str, bytes]:
    """The value of the Content-Type header, and the body.

    `files` are (name of the field, name of the file, MIME type, bytes). Fields come first, both in the
    order given. Text is UTF-8. Raises ValueError for a MIME type that does not stay on its line.
    """
    parts: list[tuple[str, str | None, bytes]] = [
        (f'name="{_quoted(name)}"', None, _encoded(value)) for name, value in fields.items()
    ]
    parts += [
        (f'name="{_quoted(name)}"; filename="{_quoted(filename)}"', _one_line(mime), data)
        for name, filename, mime, data in files
    ]
    boundary = _boundary(data for _, _, data in parts)
    body = bytearray()
    for disposition, mime, data in parts:
        body += f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n".encode()
        if mime is not None:
            body += f"Content-Type: {mime}\r\n".encode()
        body += b"\r\n" + data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", bytes(body)


def _quoted(name: str) -> str:
    return _encoded(name).decode().translate(_ESCAPES)


def _encoded(text: str) -> bytes:
    """UTF-8; a lone surrogate, which has no bytes of its own, becomes a question mark."""
    return text.encode("utf-8", "replace")


def _one_line(mime: str) -> str:
    if not mime.isascii() or not mime.isprintable():
        raise ValueError(f"{mime!r} is not a MIME type")
    return mime


def _boundary(contents: Iterable[bytes]) -> str:
    """A separator that is a digest of all parts, so that no part can hold it."""
    digests = b"".join(hashlib.sha256(data).digest() for data in contents)
    return hashlib.sha256(digests).hexdigest()[:40]
