"""The pictures of a storyboard: small, once each, inside the page.

Each picture stands once in a sheet of symbols at the beginning of the page, and is used from there: a year
of pictures on five channels would make a page that no browser likes to open.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pipeline.channels.base import RejectedError
from pipeline.channels.media import WEBP, Picture, Rules, picture
from pipeline.model import Image

_MANY = 60  # pictures from which on they are drawn smaller
_LARGE = Rules(frozenset({WEBP}), bytes=48_000, pixels=400_000, side=640)
_SMALL = Rules(frozenset({WEBP}), bytes=16_000, pixels=120_000, side=360)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture in the sheet."""

    name: str
    made: Picture


class Pictures:
    """Makes the small pictures of the entries. One that cannot be read is left out: `check` says why."""

    def __init__(self, root: Path, wanted: dict[str, Image]) -> None:
        rules = _SMALL if len(wanted) > _MANY else _LARGE
        self._drawings: dict[str, Drawing] = {}
        for number, (path, image) in enumerate(wanted.items(), start=1):
            try:
                self._drawings[path] = Drawing(f"picture-{number}", picture(root, image, rules))
            except RejectedError:
                continue

    def sheet(self) -> str:
        """The symbols of all pictures, which show nothing by themselves."""
        if not self._drawings:
            return ""
        symbols = "".join(
            f'<image id="{one.name}" width="{one.made.width}" height="{one.made.height}" '
            f'href="data:{one.made.mime};base64,{base64.b64encode(one.made.data).decode()}"/>\n'
            for one in self._drawings.values()
        )
        return f'<svg class="sheet" width="0" height="0" aria-hidden="true"><defs>\n{symbols}</defs></svg>\n'

    def shown(self, image: Image, *, alt: str | None = None) -> str:
        """The picture as an image with its alternative text; a sentence in its place when there is none."""
        words = escape(image.alt if alt is None else alt)
        one = self._drawings.get(image.path)
        if one is None:
            return f'<p class="quiet">The picture {escape(image.path)} cannot be shown.</p>'
        shape = f"0 0 {one.made.width} {one.made.height}"
        return (
            f'<svg class="picture" viewBox="{shape}" preserveAspectRatio="xMidYMid slice" role="img" '
            f'aria-label="{words}"><use href="#{one.name}"/></svg>'
        )
