"""Pixels: a picture's bytes decoded, turned, brought to sRGB, and written anew below a network's limits.

What must stay true: the size is known before anything is decoded; nothing but pixels is written; the same
bytes under the same rules give the same bytes on the same machine. Pillow is loaded with the first picture.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pipeline.channels import media_blocks

if TYPE_CHECKING:
    from PIL.Image import Image as Frame

JPEG, PNG, WEBP, GIF = "image/jpeg", "image/png", "image/webp", "image/gif"
MOST_PIXELS = 64_000_000  # that are decoded
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP")  # what entries may show; no other decoder is given a file
_QUALITIES = (90, 82, 74)  # of a JPEG or WebP, before it is made smaller instead
_LONGEST = 16_383  # pixels of a side that every format can write
_SMALLEST = 16  # pixels; a picture that must be smaller than this is none


@dataclass(frozen=True, slots=True)
class Rules:
    """What a network takes: MIME types, bytes of the file, pixels in all, and of the longer side."""

    types: frozenset[str]
    bytes: int
    pixels: int
    side: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for types among which no picture can be written."""
        if self.types.isdisjoint({JPEG, PNG, WEBP}):
            raise ValueError("a network must take JPEG, PNG or WebP")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture ready to be sent. Width and height are in pixels."""

    data: bytes
    mime: str
    width: int
    height: int

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()


# --------------------------------------------------------------------------- decoding


class TooLarge(Exception):
    """More pixels than are decoded."""


def _open(data: bytes) -> Any:
    """The picture with its size known and nothing decoded. Raises TooLarge, and whatever Pillow raises."""
    from PIL import Image as Pillow  # noqa: PLC0415  # loaded with the first picture

    try:
        opened = Pillow.open(BytesIO(data), formats=_FORMATS)
    except Pillow.DecompressionBombError as error:
        raise TooLarge from error
    if opened.width * opened.height > MOST_PIXELS:
        raise TooLarge
    return opened


def frame_of(data: bytes, at_most: tuple[int, int] | None = None) -> Frame:
    """The first frame, right way up, in sRGB: L, RGB, or RGBA where something shows through."""
    from PIL import ImageOps  # noqa: PLC0415

    opened = _open(data)
    if at_most is not None:
        opened.draft(None, at_most)  # a JPEG can be decoded at a half or a quarter at once
    opened.load()
    frame: Frame = ImageOps.exif_transpose(opened)
    profile = opened.info.get("icc_profile")
    if frame.mode.startswith("I"):  # 16 bits a pixel
        frame = frame.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    elif frame.has_transparency_data:
        frame = frame.convert("RGBA")
        low, _high = frame.getchannel("A").getextrema()
        frame = frame if low != 255 else frame.convert("RGB")
    elif frame.mode in {"1", "L", "LA"}:
        frame = frame.convert("L")
    elif frame.mode != "CMYK" or not profile:
        frame = frame.convert("RGB")
    frame = _in_srgb(frame, profile)
    frame.info.clear()  # writers copy from it
    return frame


def _in_srgb(frame: Frame, profile: bytes | None) -> Frame:
    """The frame with its colours as sRGB means them. A profile that cannot be used counts as none."""
    from PIL import ImageCms  # noqa: PLC0415

    if profile and frame.mode in {"RGB", "RGBA", "CMYK", "L"}:
        try:
            given = ImageCms.ImageCmsProfile(BytesIO(profile))
            target = "RGBA" if frame.mode == "RGBA" else "RGB"
            ours = ImageCms.createProfile("sRGB")
            frame = ImageCms.profileToProfile(frame, given, ours, outputMode=target) or frame
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # most programs show such a picture as if it were sRGB
    return frame.convert("RGB") if frame.mode == "CMYK" else frame


# --------------------------------------------------------------------------- writing


def unchanged(data: bytes, rules: Rules) -> Picture | None:
    """The picture without a pixel touched, where it is below the limits and holds nothing else."""
    bare: bytes | None = None
    opened = _open(data)
    if opened.format == "PNG" and PNG in rules.types and media_blocks.bare_png(data):
        bare, mime = data, PNG
    elif opened.format == "GIF" and GIF in rules.types:
        bare, mime = media_blocks.animation(data), GIF
    else:
        return None
    if bare is None or len(bare) > rules.bytes or _within(opened.size, rules) != opened.size:
        return None
    opened.load()  # what is cut or broken must not pass
    return Picture(bare, mime, *opened.size)


def written(data: bytes, rules: Rules) -> Picture | None:
    """The picture written anew, as large as the limits allow."""
    opened = _open(data)
    size = _within(opened.size, rules)
    whole = frame_of(data, size)
    largest = size = _within(whole.size, rules)  # it may have been turned
    share = 1.0
    drawn = opened.format in {"PNG", "GIF"}
    while True:
        scaled = whole if size == whole.size else _scaled(whole, size)
        smallest = 0
        for mime, frame, options in _forms(scaled, rules.types, drawn=drawn):
            made = _saved(frame, mime, options)
            if len(made) <= rules.bytes:
                return Picture(made, mime, *size)
            smallest = min(smallest or len(made), len(made))
        share *= min(0.85, (rules.bytes / smallest) ** 0.5)
        size = round(largest[0] * share), round(largest[1] * share)  # in shape, however often it shrinks
        if max(size) < _SMALLEST or min(size) < 1:
            return None


def _within(size: tuple[int, int], rules: Rules) -> tuple[int, int]:
    """The size, in proportion, that the limits leave of it."""
    width, height = size
    side = min(rules.side or _LONGEST, _LONGEST)
    factor = min(1.0, (rules.pixels / (width * height)) ** 0.5, side / max(size))
    if factor == 1.0:
        return size
    shorter = max(1, int(min(size) * factor))  # a line stays one
    longer = min(int(max(size) * factor), rules.pixels // shorter)
    return (longer, shorter) if width > height else (shorter, longer)


def _scaled(frame: Frame, size: tuple[int, int]) -> Frame:
    from PIL.Image import Resampling  # noqa: PLC0415

    return frame.resize(size, Resampling.LANCZOS)


def _forms(
    frame: Frame, types: frozenset[str], *, drawn: bool
) -> Iterator[tuple[str, Frame, dict[str, object]]]:
    """The ways to write a frame, best first: drawings and what shows through exactly, photographs as JPEG."""
    exact: list[tuple[str, dict[str, object]]] = [(PNG, {"compress_level": 9})]
    exact += [(WEBP, {"quality": quality, "method": 4}) for quality in _QUALITIES]
    flat = [(JPEG, {"quality": quality, "optimize": True, "progressive": True}) for quality in _QUALITIES]
    first, then = (exact, flat) if drawn or frame.mode == "RGBA" else (flat, exact[1:] + exact[:1])
    for mime, options in [*first, *then]:
        if mime in types:
            yield mime, _on_white(frame) if mime == JPEG else frame, options


def _on_white(frame: Frame) -> Frame:
    if frame.mode != "RGBA":
        return frame
    from PIL import Image as Pillow  # noqa: PLC0415

    ground = Pillow.new("RGBA", frame.size, "white")
    return Pillow.alpha_composite(ground, frame).convert("RGB")


def _saved(frame: Frame, mime: str, options: dict[str, object]) -> bytes:
    out = BytesIO()
    frame.save(out, mime.removeprefix("image/").upper(), **options)
    return out.getvalue()
