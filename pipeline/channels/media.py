"""Pictures as networks take them: right way up, without metadata, below a network's limits.

What must stay true: the same file under the same rules gives the same bytes on the same machine; nothing the
camera or the editor's program wrote beside the pixels (place, owner, preview, colour profile) leaves the
house; no file outside the root is read; and a picture's size is known before it is decoded, so that a small
file cannot fill the memory.

Colours are converted to sRGB. A still PNG that holds nothing but its pixels passes unchanged when it is
below the limits, and so does an animated GIF where the rules take GIF, less its comments; of any other
animation the first frame counts. Pillow is loaded with the first picture.
"""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import regex

from pipeline.channels.base import RejectedError
from pipeline.channels.media_pixels import (
    GIF,
    JPEG,
    MOST_PIXELS,
    PNG,
    WEBP,
    Picture,
    Rules,
    TooLarge,
    frame_of,
    unchanged,
    written,
)
from pipeline.channels.text import Measure
from pipeline.model import Image

__all__ = ["GIF", "JPEG", "PNG", "WEBP", "Picture", "Rules", "picture", "problem", "shorten_alt"]

LARGEST_FILE = 64 << 20  # bytes that are read
_KEPT = 32 << 20  # bytes of finished pictures


def picture(root: Path, image: Image, rules: Rules) -> Picture:
    """The picture of an entry as those rules take it.

    Raises RejectedError with the field `image` when it cannot be read, is no picture, or cannot be made
    to fit.
    """
    with _opened(root, image) as file:
        key = (file.stamp, rules)
        if kept := _CACHE.get(key):
            return kept
        data = file.read()
        with _decoding(image):
            made = unchanged(data, rules) or written(data, rules)
    if made is None:
        raise _refused(image, f"cannot be made smaller than {rules.bytes} bytes", "use a simpler picture")
    _CACHE.put(key, made)
    return made


def problem(root: Path, image: Image) -> str | None:
    """What is wrong with a picture, whatever the network; None when it can be used. It is decoded."""
    try:
        with _opened(root, image) as file:
            data = file.read()
        with _decoding(image):
            frame_of(data)
    except RejectedError as error:
        return str(error)
    return None


def shorten_alt(text: str, limit: int, measure: Measure) -> str:
    """The alternative text, cut between graphemes, and between words where one is near, with an ellipsis."""
    if measure(text) <= limit:
        return text
    ends = [match.end() for match in regex.finditer(r"\X", text)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high) // 2
        if measure(text[: ends[middle]] + "…") <= limit:
            low = middle + 1
        else:
            high = middle
    for count in range(low, 0, -1):
        whole = text[: ends[count - 1]]
        word = regex.sub(r"\s\S{0,30}\Z", "", whole) if regex.match(r"\S", text, pos=len(whole)) else whole
        for cut in (word, whole):
            if cut.strip() and measure(cut.rstrip() + "…") <= limit:
                return cut.rstrip() + "…"
    return "…" if measure("…") <= limit else ""


# --------------------------------------------------------------------------- reading


class _File:
    """An open file under the root. `stamp` tells it from what stood there before."""

    def __init__(self, image: Image, descriptor: int) -> None:
        self._image = image
        self._descriptor = descriptor
        self._facts = os.fstat(descriptor)

    @property
    def stamp(self) -> tuple[int, ...]:
        facts = self._facts
        return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns

    def read(self) -> bytes:
        """All of it. Raises RejectedError."""
        if not stat.S_ISREG(self._facts.st_mode):
            raise _refused(self._image, "is not a file", "put the picture back or drop `image`")
        try:
            with os.fdopen(os.dup(self._descriptor), "rb") as stream:
                data = stream.read(LARGEST_FILE + 1)
        except OSError as error:
            raise _unreadable(self._image, error) from error
        if len(data) > LARGEST_FILE:
            raise _refused(self._image, f"has more than {LARGEST_FILE >> 20} MiB", "save it smaller")
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _opened(root: Path, image: Image) -> _File:
    """The file of a picture, open. Raises RejectedError."""
    try:
        path = os.path.realpath(root / image.path)
        if not path.startswith(os.path.realpath(root) + os.sep):
            raise _refused(image, "lies outside the project", "put it under `content/`")
        # Opening a pipe would wait for its other end, without this.
        return _File(image, os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except FileNotFoundError as error:
        raise _refused(image, "is gone", "put it back or drop `image`") from error
    except OSError as error:
        raise _unreadable(image, error) from error
    except ValueError as error:  # a NUL in the path
        raise _refused(image, "is not a path", "write another `image`") from error


def _unreadable(image: Image, error: OSError) -> RejectedError:
    return _refused(image, f"cannot be read ({error.strerror or error})", "make it readable or drop `image`")


def _refused(image: Image, fault: str, remedy: str) -> RejectedError:
    return RejectedError(f"the picture {image.path} {fault}; {remedy}, then retry", field="image")


# --------------------------------------------------------------------------- decoding

_ONE_AT_A_TIME = threading.Lock()  # a decoded picture takes up to 4 bytes a pixel


@contextmanager
def _decoding(image: Image) -> Iterator[None]:
    """Decode here: one picture at a time, and whatever a decoder trips over is the picture's fault."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's opinions of a file; what counts is whether it decodes
        try:
            yield
        except MemoryError:
            raise  # the machine's fault
        except TooLarge as error:
            most = f"{MOST_PIXELS // 1_000_000} million pixels"
            raise _refused(image, f"has more than {most}", "save it smaller") from error
        except Exception as error:
            fault = "is damaged, or is not a PNG, JPEG, GIF or WebP picture"
            raise _refused(image, fault, "open it and save it again, or use another") from error


# --------------------------------------------------------------------------- keeping


class _Cache:
    """Finished pictures, the latest used last, up to a number of bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[object, Picture] = OrderedDict()
        self._sum = 0
        self._lock = threading.Lock()

    def get(self, key: object) -> Picture | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: object, made: Picture) -> None:
        with self._lock:
            if key in self._held:
                self._sum -= len(self._held.pop(key).data)
            self._held[key] = made
            self._sum += len(made.data)
            while self._sum > self._size:
                self._sum -= len(self._held.popitem(last=False)[1].data)


_CACHE = _Cache(_KEPT)
