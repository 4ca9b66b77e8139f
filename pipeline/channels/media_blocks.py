"""The blocks of a PNG or GIF file: what is pixels, and what was written beside them.

Nothing is decoded here. What does not follow the format to its last byte is not accepted.
"""

from __future__ import annotations

_PNG_START = b"\x89PNG\r\n\x1a\n"
# Pixels and how bright they are meant. No text, time, place, profile, animation or program's own.
_PNG_PIXELS = frozenset(
    {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"sRGB", b"gAMA", b"cHRM", b"sBIT", b"bKGD"}
)
_GIF_STARTS = (b"GIF87a", b"GIF89a")
_REPEATS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")  # the extensions that say how often an animation runs
_EXTENSION, _IMAGE, _END = 0x21, 0x2C, 0x3B
_CONTROL, _APPLICATION = 0xF9, 0xFF


def bare_png(data: bytes) -> bool:
    """Whether it is a still PNG that holds its pixels and nothing else, up to its last byte."""
    if not data.startswith(_PNG_START):
        return False
    place = len(_PNG_START)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        kind = data[place + 4 : place + 8]
        place += 12 + length
        if kind not in _PNG_PIXELS:
            return False
        if kind == b"IEND":
            return place == len(data)
    return False


def animation(data: bytes) -> bytes | None:
    """A GIF of several frames without its comments and programs' own blocks; None for any other file."""
    if not data.startswith(_GIF_STARTS) or len(data) < 13:
        return None
    try:
        place = 13 + _colours(data[10])
        kept, frames = [data[:place]], 0
        while data[place] != _END:
            end = _block_end(data, place)
            frames += data[place] == _IMAGE
            if _belongs(data, place):
                kept.append(data[place:end])
            place = end
    except (IndexError, ValueError):
        return None
    return b"".join([*kept, b"\x3b"]) if frames > 1 else None


def _block_end(data: bytes, place: int) -> int:
    """Where the block that begins here is over. Raises IndexError, ValueError."""
    if data[place] == _EXTENSION:
        place += 2
    elif data[place] == _IMAGE:
        place += 11 + _colours(data[place + 9])
    else:
        raise ValueError("a block of no known kind")
    while data[place]:  # parts, each led by its length, and an empty one
        place += 1 + data[place]
    return place + 1


def _belongs(data: bytes, place: int) -> bool:
    """Whether the block is part of the picture."""
    if data[place] == _IMAGE or data[place + 1] == _CONTROL:
        return True
    return data[place + 1] == _APPLICATION and data[place + 3 : place + 14] in _REPEATS


def _colours(flags: int) -> int:
    """The bytes of the colour table that the flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
