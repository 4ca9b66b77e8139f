"""Draw the small pictures of the Sharing Lille entries.

Run from the root of the project:

    uv run --no-project --with pillow content/images/draw.py

This script is not part of the package and the package does not need it: the pictures it
makes are kept beside it, and it is only run again to change one of them. The same version
of Pillow always writes the same bytes.

What must stay true: 1200 x 630 pixels (the size link cards use), under 30 KB each, flat
shapes of one shared palette, no lettering, and an `image_alt` in the entry that still
describes what is drawn.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH, HEIGHT = 1200, 630
SCALE = 4
MAX_BYTES = 30_000
COLOURS = 96

NAVY = "#22304a"
SLATE = "#3d4f6e"
CREAM = "#fbf2e2"
SAND = "#f3e0c2"
TEAL = "#2a9d8f"
MINT = "#a9d8cd"
SKY = "#d8eeec"
CORAL = "#e76f51"
PEACH = "#f4a98f"
YELLOW = "#f2b84b"
OCHRE = "#d4953a"
WINE = "#9c3848"
OLIVE = "#a3a847"
WHITE = "#ffffff"

Point = tuple[float, float]


class Canvas:
    """A drawing surface in final pixels, drawn larger and reduced so that edges are smooth."""

    def __init__(self, background: str) -> None:
        self.image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), background)
        self.pen = ImageDraw.Draw(self.image)

    def box(self, x: float, y: float, w: float, h: float, fill: str, radius: float = 0) -> None:
        """Fill the rectangle whose top left corner is (x, y)."""
        edges = (x * SCALE, y * SCALE, (x + w) * SCALE - 1, (y + h) * SCALE - 1)
        self.pen.rounded_rectangle(edges, radius * SCALE, fill=fill)

    def disc(self, x: float, y: float, r: float, fill: str, ry: float | None = None) -> None:
        """Fill the disc (or the ellipse, with `ry`) centred on (x, y)."""
        rv = r if ry is None else ry
        edges = ((x - r) * SCALE, (y - rv) * SCALE, (x + r) * SCALE, (y + rv) * SCALE)
        self.pen.ellipse(edges, fill=fill)

    def ring(self, x: float, y: float, r: float, colour: str, width: float) -> None:
        """Draw the circle centred on (x, y)."""
        edges = ((x - r) * SCALE, (y - r) * SCALE, (x + r) * SCALE, (y + r) * SCALE)
        self.pen.ellipse(edges, outline=colour, width=round(width * SCALE))

    def cap(self, x: float, y: float, r: float, start: float, end: float, fill: str) -> None:
        """Fill the part of a disc that a straight cut leaves between two angles, in degrees."""
        edges = ((x - r) * SCALE, (y - r) * SCALE, (x + r) * SCALE, (y + r) * SCALE)
        self.pen.chord(edges, start, end, fill=fill)

    def arc(self, x: float, y: float, r: float, start: float, end: float, colour: str, width: float) -> None:
        """Draw a round-ended arc, clockwise from `start` to `end` in degrees (0 is east)."""
        steps = max(2, round(abs(end - start) / 2))
        angles = (math.radians(start + (end - start) * i / steps) for i in range(steps + 1))
        self.line([(x + r * math.cos(a), y + r * math.sin(a)) for a in angles], colour, width)

    def shape(self, points: Sequence[Point], fill: str) -> None:
        """Fill the polygon."""
        self.pen.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=fill)

    def line(self, points: Sequence[Point], colour: str, width: float) -> None:
        """Draw a line with round ends and joints."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self.pen.line(scaled, fill=colour, width=round(width * SCALE))
        for x, y in points:
            self.disc(x, y, width / 2, colour)

    def save(self, path: Path) -> None:
        """Reduce to the final size and write a palette PNG without metadata."""
        small = self.image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
        flat = small.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        flat.save(path, "PNG", optimize=True)


def curve(p0: Point, p1: Point, p2: Point, steps: int = 48) -> list[Point]:
    """Return the points of a quadratic Bezier curve."""
    points = []
    for i in range(steps + 1):
        t = i / steps
        a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
        points.append((a * p0[0] + b * p1[0] + c * p2[0], a * p0[1] + b * p1[1] + c * p2[1]))
    return points


def carton(c: Canvas, x: float, y: float, w: float, h: float, fill: str, tape: str) -> None:
    """Draw a storage box standing on the line y."""
    c.box(x, y - h, w, h, fill, 4)
    c.box(x + w * 0.4, y - h, w * 0.2, h * 0.42, tape)
    c.box(x + w * 0.12, y - h * 0.26, w * 0.26, h * 0.1, tape, 2)


def tree(c: Canvas, x: float, y: float, r: float, leaf: str) -> None:
    """Draw a round tree standing on the line y."""
    c.box(x - 7, y - r * 1.9, 14, r * 1.9, SLATE)
    c.disc(x, y - r * 2.1, r, leaf)


def draw_ouistock() -> Canvas:
    """A house in section, its rooms full of boxes, and one more box on its way to the free room."""
    c = Canvas(CREAM)
    c.disc(975, 150, 78, YELLOW)
    c.disc(130, 640, 330, SAND, 170)
    c.disc(1120, 650, 360, SAND, 210)
    tree(c, 1010, 560, 62, TEAL)
    tree(c, 1098, 560, 44, MINT)
    c.box(0, 556, WIDTH, 74, TEAL)
    c.box(716, 92, 50, 130, NAVY)
    c.shape([(390, 262), (600, 74), (810, 262)], CORAL)
    c.box(420, 256, 360, 300, NAVY)
    for x in (436, 608):
        c.box(x, 272, 156, 126, SKY)
        c.box(x, 414, 156, 142, SKY)
    c.shape([(506, 240), (600, 152), (694, 240)], SKY)
    carton(c, 562, 240, 76, 54, YELLOW, OCHRE)
    carton(c, 618, 398, 66, 54, YELLOW, OCHRE)
    carton(c, 690, 398, 66, 54, PEACH, CORAL)
    carton(c, 652, 344, 66, 54, MINT, TEAL)
    carton(c, 448, 556, 60, 46, MINT, TEAL)
    carton(c, 514, 556, 66, 62, YELLOW, OCHRE)
    carton(c, 522, 494, 50, 40, PEACH, CORAL)
    carton(c, 620, 556, 70, 58, PEACH, CORAL)
    carton(c, 696, 556, 60, 74, MINT, TEAL)
    carton(c, 626, 498, 58, 46, YELLOW, OCHRE)
    left, top, right, low = 470, 318, 558, 394
    for x in range(left, right - 10, 22):
        c.line([(x, top), (x + 10, top)], SLATE, 5)
        c.line([(x, low), (x + 10, low)], SLATE, 5)
    for y in range(top, low, 18):
        c.line([(left, y), (left, y + 8)], SLATE, 5)
        c.line([(right - 12, y), (right - 12, y + 8)], SLATE, 5)
    c.disc(236, 560, 92, "#23867b", 12)
    carton(c, 168, 556, 136, 108, YELLOW, OCHRE)
    c.line(curve((236, 420), (254, 322), (412, 346)), CORAL, 13)
    c.shape([(408, 317), (456, 356), (398, 379)], CORAL)
    return c


def child(c: Canvas, x: float, y: float, skin: str, hair: str) -> None:
    """Draw a smiling head seen through a car window."""
    c.disc(x, y - 5, 30, hair)
    c.disc(x, y + 3, 25, skin)
    c.cap(x, y + 1, 27, 195, 345, hair)
    c.disc(x - 9, y + 3, 3.2, NAVY)
    c.disc(x + 9, y + 3, 3.2, NAVY)
    c.arc(x, y + 7, 9, 25, 155, NAVY, 3)


def wheel(c: Canvas, x: float, y: float) -> None:
    """Draw a car wheel."""
    c.disc(x, y, 50, NAVY)
    c.disc(x, y, 27, SAND)
    c.disc(x, y, 9, NAVY)


def car(c: Canvas, x: float, y: float) -> None:
    """Draw a car seen from the side, three children at its windows; (x, y) is under its middle."""
    roof = ((-180, -168), (-124, -290), (-106, -306), (90, -306), (114, -292), (182, -168))
    c.shape([(x + dx, y + dy) for dx, dy in roof], CORAL)
    c.box(x - 235, y - 182, 470, 128, CORAL, 40)
    c.box(x - 235, y - 118, 470, 20, "#cf5a3e")
    for glass in (
        ((-156, -176), (-108, -278), (-16, -278), (-16, -176)),
        ((2, -176), (2, -278), (88, -278), (144, -176)),
    ):
        c.shape([(x + dx, y + dy) for dx, dy in glass], "#c4e6e3")
    child(c, x - 112, y - 204, "#f6cfae", NAVY)
    child(c, x - 48, y - 204, "#b9794f", "#3a2418")
    child(c, x + 48, y - 204, "#f6cfae", OCHRE)
    c.box(x - 164, y - 178, 320, 18, CORAL)
    c.box(x - 10, y - 166, 6, 102, "#b94a30")
    c.box(x - 50, y - 142, 26, 8, CREAM, 4)
    c.disc(x + 212, y - 136, 16, YELLOW)
    c.box(x - 233, y - 152, 14, 32, WINE, 6)
    wheel(c, x - 134, y - 50)
    wheel(c, x + 136, y - 50)


def bubble(c: Canvas, x: float, y: float, r: float) -> None:
    """Draw the skin of a soap bubble, with its reflection."""
    width = 3 + r / 45
    c.ring(x, y, r, WHITE, width + 1)
    c.arc(x, y, r * 0.86 - width, 200, 244, WHITE, width + 2)
    c.arc(x, y, r * 0.86 - width, 254, 259, WHITE, width + 2)


def draw_c_ma_bulle() -> Canvas:
    """A car with three children aboard, carried by a large bubble above the road."""
    c = Canvas("#cfe9e7")
    pale = "#e9f6f4"
    c.disc(150, 730, 400, MINT, 270)
    c.disc(1080, 740, 470, MINT, 330)
    tree(c, 132, 548, 52, TEAL)
    tree(c, 1064, 548, 60, TEAL)
    tree(c, 1146, 548, 40, "#4fb3a5")
    c.box(0, 532, WIDTH, 98, NAVY)
    c.disc(600, 572, 210, "#17233a", 18)
    for x in range(-40, WIDTH, 160):
        c.box(x, 598, 86, 10, CREAM, 5)
    c.disc(600, 282, 268, pale)
    car(c, 600, 462)
    bubble(c, 600, 282, 268)
    for x, y, r in ((214, 150, 52), (290, 268, 24), (964, 118, 64), (1052, 256, 30), (96, 282, 30)):
        c.disc(x, y, r, pale)
        bubble(c, x, y, r)
    return c


CODE = (
    (0, ((70, CORAL), (130, MINT), (50, YELLOW))),
    (1, ((110, YELLOW), (80, WHITE))),
    (2, ((60, CORAL), (150, MINT))),
    (2, ((130, WHITE), (50, YELLOW), (70, MINT))),
    (2, ((90, MINT), (60, CORAL))),
    (1, ((50, YELLOW), (120, WHITE))),
    (0, ((110, CORAL),)),
)


def draw_pop_school() -> Canvas:
    """A laptop showing lines of code, a telephone and a plant on a desk."""
    c = Canvas(MINT)
    c.disc(600, 330, 330, "#c3e5dc")
    for x, y, r, colour in (
        (196, 150, 44, YELLOW),
        (92, 236, 18, CORAL),
        (290, 92, 16, WHITE),
        (1010, 120, 56, CORAL),
        (1106, 226, 22, YELLOW),
        (916, 78, 14, WHITE),
    ):
        c.disc(x, y, r, colour)
    c.box(0, 528, WIDTH, 102, SAND)
    c.box(0, 528, WIDTH, 12, OCHRE)
    c.box(336, 120, 528, 356, NAVY, 22)
    c.box(356, 140, 488, 316, "#2c3c5a", 10)
    c.box(356, 140, 488, 40, SLATE, 10)
    for i, colour in enumerate((CORAL, YELLOW, TEAL)):
        c.disc(382 + 28 * i, 160, 8, colour)
    for row, (indent, bars) in enumerate(CODE):
        y = 206 + row * 34
        c.disc(382, y + 7, 4, SLATE)
        left = 408 + indent * 38
        for width, colour in bars:
            c.box(left, y, width, 14, colour, 7)
            left += width + 14
    c.box(532, 403, 4, 28, CREAM)
    c.shape([(336, 476), (864, 476), (936, 522), (264, 522)], SLATE)
    c.shape([(364, 484), (836, 484), (866, 504), (334, 504)], NAVY)
    c.box(264, 516, 672, 18, "#2c3c5a", 9)
    c.box(956, 316, 118, 222, NAVY, 20)
    c.box(966, 334, 98, 184, CREAM, 8)
    c.box(978, 348, 74, 58, CORAL, 8)
    c.disc(1015, 377, 16, CREAM)
    for y, w, colour in ((420, 74, MINT), (442, 54, YELLOW), (464, 66, MINT)):
        c.box(978, y, w, 12, colour, 6)
    c.box(978, 488, 74, 18, TEAL, 9)
    c.shape([(146, 448), (254, 448), (238, 538), (162, 538)], CORAL)
    c.box(138, 436, 124, 24, "#cf5a3e", 8)
    for tip, bend in (((200, 268), (176, 350)), ((122, 318), (190, 330)), ((280, 312), (206, 336))):
        c.line(curve((200, 440), bend, tip), TEAL, 9)
        c.disc(tip[0], tip[1], 24, TEAL, 36)
    return c


def bottle(c: Canvas, x: float, y: float, glass: str, liquid: str | None = None, level: float = 0) -> None:
    """Draw an open bottle standing on the line y, filled to `level` (0 to 1) of its body."""
    c.box(x - 15, y - 148, 30, 60, glass, 6)
    c.box(x - 36, y - 104, 72, 104, glass, 22)
    c.box(x - 36, y - 50, 72, 50, glass, 10)
    if liquid:
        height = 80 * level
        c.box(x - 29, y - 7 - height, 58, height, liquid, 8)
    c.box(x - 19, y - 150, 38, 14, "#8fbfae", 5)


def fountain(c: Canvas, x: float, liquid: str, shine: str, level: float) -> None:
    """Draw a tank of liquid with its tap, on the shelf."""
    c.box(x - 88, 92, 176, 226, WHITE, 26)
    top = 306 - 200 * level
    c.box(x - 76, top, 152, 306 - top, liquid, 16)
    c.box(x - 60, top + 18, 16, 306 - top - 50, shine, 8)
    c.box(x - 96, 74, 192, 30, NAVY, 12)
    c.disc(x, 66, 16, NAVY)
    c.box(x - 13, 340, 26, 44, YELLOW, 6)
    c.box(x - 34, 332, 68, 16, OCHRE, 8)
    c.box(x - 9, 380, 18, 16, OCHRE, 4)


def draw_jean_bouteille() -> Canvas:
    """Three fountains of liquids on a shelf, bottles under their taps, a crate of empty ones, a lamp."""
    c = Canvas(SAND)
    c.disc(470, 300, 400, CREAM, 330)
    c.box(0, 572, WIDTH, 58, NAVY)
    c.box(0, 560, WIDTH, 20, TEAL)
    c.box(112, 312, 720, 30, TEAL, 8)
    c.box(140, 330, 26, 236, SLATE)
    c.box(778, 330, 26, 236, SLATE)
    fountain(c, 258, OLIVE, "#c3c772", 0.86)
    fountain(c, 472, WINE, "#bd5f6d", 0.62)
    fountain(c, 686, YELLOW, "#f8d591", 0.78)
    c.box(610, 150, 152, 26, CREAM, 12)
    glass = "#d3e8df"
    bottle(c, 258, 560, glass, OLIVE, 0.55)
    c.box(253, 392, 10, 120, OLIVE)
    bottle(c, 472, 560, glass, WINE, 1)
    bottle(c, 686, 560, glass)
    for x in (918, 1000, 1082):
        bottle(c, x, 540, "#b5d9c8")
    c.line([(1000, 0), (1000, 110)], NAVY, 6)
    c.disc(1000, 190, 34, YELLOW)
    c.cap(1000, 190, 92, 180, 360, CORAL)
    c.box(980, 88, 40, 18, NAVY, 6)
    c.box(866, 452, 268, 108, OCHRE, 8)
    for y in (464, 514):
        c.box(866, y, 268, 34, YELLOW, 4)
    c.box(952, 474, 96, 14, OCHRE, 7)
    return c


PICTURES: dict[str, Callable[[], Canvas]] = {
    "ouistock": draw_ouistock,
    "c-ma-bulle": draw_c_ma_bulle,
    "pop-school": draw_pop_school,
    "jean-bouteille": draw_jean_bouteille,
}


def main() -> None:
    """Draw every picture beside this script; fail when one is too heavy."""
    folder = Path(__file__).resolve().parent
    for name, draw in PICTURES.items():
        path = folder / f"{name}.png"
        draw().save(path)
        size = path.stat().st_size
        if size >= MAX_BYTES:
            raise SystemExit(f"{path}: {size} bytes, at most {MAX_BYTES} wanted: use fewer colours")
        sys.stdout.write(f"{path.name}: {size} bytes\n")


if __name__ == "__main__":
    main()
