"""Pictures below every limit, right way up, and with nothing but their pixels."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import zlib
from contextlib import nullcontext
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageCms, ImageDraw, ImageOps
from PIL.PngImagePlugin import PngInfo

from pipeline.channels import media
from pipeline.channels.base import RejectedError
from pipeline.channels.media import GIF, JPEG, PNG, WEBP, Picture, Rules, picture, problem, shorten_alt
from pipeline.channels.text import code_points, graphemes, utf8, utf16
from pipeline.model import Image

ANY = frozenset({JPEG, PNG, WEBP})
WIDE = Rules(ANY, 5_000_000, 20_000_000)
OWNER = "Photographe Untel"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "content").mkdir()
    return tmp_path


def put(root: Path, name: str, data: bytes) -> Image:
    (root / "content" / name).write_bytes(data)
    return Image(f"content/{name}", "Une image")


def written(frame: Pillow.Image, form: str, **options: object) -> bytes:
    out = BytesIO()
    frame.save(out, form, **options)
    return out.getvalue()


def photo(width: int = 320, height: int = 200) -> Pillow.Image:
    """Red on the left, blue on the right, and noise so that it does not compress to nothing."""
    noise = Pillow.effect_noise((width, height), 60).convert("L")
    left = ImageOps.colorize(noise, "black", "red")
    right = ImageOps.colorize(noise, "black", "blue")
    left.paste(right.crop((width // 2, 0, width, height)), (width // 2, 0))
    return left


def drawing(mode: str = "RGB", size: tuple[int, int] = (120, 80)) -> Pillow.Image:
    frame = Pillow.new(mode, size)
    ImageDraw.Draw(frame).rectangle((10, 10, size[0] // 2, size[1] // 2), fill="red")
    return frame


def opened(made: Picture) -> Pillow.Image:
    frame = Pillow.open(BytesIO(made.data))
    frame.load()
    assert frame.size == (made.width, made.height)
    assert Pillow.MIME[frame.format] == made.mime
    return frame


def mostly(frame: Pillow.Image, place: tuple[int, int]) -> str:
    red, _green, blue = frame.convert("RGB").resize((16, 16), Pillow.Resampling.BOX).getpixel(place)
    return "red" if red > blue else "blue"


# --------------------------------------------------------------------------- turned, and bare


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_stands_as_its_camera_says(root: Path, orientation: int):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    frame = photo()
    made = picture(root, put(root, "a.jpg", written(frame, "JPEG", exif=exif.tobytes())), WIDE)
    upright = frame if orientation == 1 else ImageOps.exif_transpose(_turned(frame, orientation))
    assert (made.width, made.height) == upright.size
    seen = opened(made)
    for place in ((1, 1), (1, 14), (14, 1), (14, 14)):
        assert mostly(seen, place) == mostly(upright, place)
    assert not seen.getexif()


def _turned(frame: Pillow.Image, orientation: int) -> Pillow.Image:
    frame = frame.copy()
    frame.getexif()[0x0112] = orientation
    return frame


def test_a_turned_photograph_keeps_below_the_limits_as_it_stands(root: Path):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    made = picture(
        root, put(root, "a.jpg", written(photo(1600, 400), "JPEG", exif=exif)), Rules(ANY, 10**6, 10**7, 500)
    )
    assert (made.width, made.height) == (125, 500)


def _owned(form: str) -> bytes:
    """A picture that says who made it and where, in every way its format has."""
    exif = Pillow.Exif()
    exif[0x013B] = OWNER
    exif[0x8825] = {1: "N", 2: (50.0, 38.0, 0.0)}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    said = {"exif": exif.tobytes(), "icc_profile": profile}
    if form == "PNG":
        text = PngInfo()
        text.add_text("Author", OWNER)
        text.add_itxt("XML:com.adobe.xmp", OWNER)
        return written(drawing(), "PNG", pnginfo=text, **said) + OWNER.encode()
    if form == "GIF":
        return written(drawing().convert("P"), "GIF", comment=OWNER)
    if form == "JPEG":
        return written(photo(), "JPEG", comment=OWNER, xmp=OWNER.encode(), **said) + OWNER.encode()
    return written(photo(), form, xmp=OWNER.encode(), **said)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("types", [ANY, frozenset({JPEG}), frozenset({PNG}), frozenset({WEBP})])
def test_nothing_but_pixels_leaves_the_house(root: Path, form: str, types: frozenset[str]):
    given = _owned(form)
    assert OWNER.encode() in given
    made = picture(root, put(root, "a", given), Rules(types, 5_000_000, 20_000_000))
    assert made.mime in types
    for trace in (OWNER.encode(), b"Exif", b"ICC_PROFILE", b"iCCP", b"eXIf", b"GPS", b"ICCP", b"xmp"):
        assert trace not in made.data
    assert opened(made).info.keys().isdisjoint({"exif", "icc_profile", "comment", "xmp", "Author"})


def test_colours_of_another_profile_are_converted(root: Path):
    swapped = _profile_with_red_and_blue_exchanged()
    frame = Pillow.new("RGB", (40, 40), (220, 20, 20))
    made = picture(root, put(root, "a.png", written(frame, "PNG", icc_profile=swapped)), WIDE)
    red, _green, blue = opened(made).convert("RGB").getpixel((20, 20))
    assert blue > red + 100


def _profile_with_red_and_blue_exchanged() -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    return bytes(profile).replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")


@pytest.mark.parametrize("profile", [b"nonsense", b""])
def test_a_profile_that_cannot_be_used_counts_as_none(root: Path, profile: bytes):
    made = picture(root, put(root, "a.jpg", written(photo(), "JPEG", icc_profile=profile)), WIDE)
    assert mostly(opened(made), (1, 1)) == "red"


@pytest.mark.parametrize("mode", ["CMYK", "L", "1", "P", "LA", "RGBA", "I;16", "RGB"])
def test_every_kind_of_pixel_is_taken(root: Path, mode: str):
    frame = Pillow.new("I;16", (64, 64), 40_000) if mode == "I;16" else drawing().convert(mode)
    form = "JPEG" if mode == "CMYK" else "PNG"
    data = written(frame, form, dpi=(72, 72))  # so that it is not passed as it is
    seen = opened(picture(root, put(root, "a", data), Rules(frozenset({JPEG}), 10**6, 10**7)))
    assert seen.mode in {"L", "RGB"}
    if mode == "I;16":
        assert abs(seen.getpixel((9, 9)) - 156) < 3  # 40,000 of 65,535, not simply cut off at 255
    else:
        red, green, blue = seen.convert("RGB").getpixel((30, 20))
        assert mode in {"L", "1", "LA"} or red > 200 > max(green, blue) + 150


# --------------------------------------------------------------------------- what stays as it is


def test_a_bare_drawing_passes_unchanged(root: Path):
    data = written(drawing(), "PNG")
    assert picture(root, put(root, "a.png", data), WIDE) == Picture(data, PNG, 120, 80)


@pytest.mark.parametrize(
    "rules",
    [
        Rules(frozenset({JPEG}), 10**6, 10**7),
        Rules(ANY, 140, 10**7),
        Rules(ANY, 10**6, 5_000),
        Rules(ANY, 10**6, 10**7, 100),
    ],
)
def test_a_bare_drawing_above_a_limit_is_written_anew(root: Path, rules: Rules):
    data = written(drawing(), "PNG")
    made = picture(root, put(root, "a.png", data), rules)
    assert made.data != data
    opened(made)


@pytest.mark.parametrize("extra", [b"tEXtAuthor\0Untel", b"tIME1234567", b"prVtany", b"acTL\0\0\0\1\0\0\0\0"])
def test_a_drawing_with_anything_beside_its_pixels_is_written_anew(root: Path, extra: bytes):
    data = written(drawing(), "PNG")
    chunk = struct.pack(">I", len(extra) - 4) + extra + struct.pack(">I", zlib.crc32(extra))
    made = picture(root, put(root, "a.png", data[:33] + chunk + data[33:]), WIDE)
    assert extra not in made.data
    assert opened(made).convert("RGB").tobytes() == drawing().tobytes()


def _animation(**options: object) -> bytes:
    frames = [Pillow.new("P", (30, 20), number) for number in (1, 2, 3)]
    for frame in frames:
        frame.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    return written(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0, **options)


def test_an_animation_stays_one_where_it_may(root: Path):
    plain = _animation()
    said = _animation(comment=OWNER)
    assert OWNER.encode() in said
    image = put(root, "a.gif", said[:-1] + b"\x21\xff\x0bXMP DataXMP" + b"\x05Untel\x00" + b";" + b"trailer")
    made = picture(root, image, Rules(ANY | {GIF}, 10**6, 10**7))
    assert (made.mime, made.data) == (GIF, plain)
    assert opened(made).n_frames == 3
    assert opened(made).info["loop"] == 0


@pytest.mark.parametrize("types", [ANY, frozenset({JPEG})])
def test_elsewhere_its_first_frame_counts(root: Path, types: frozenset[str]):
    seen = opened(picture(root, put(root, "a.gif", _animation()), Rules(types, 10**6, 10**7)))
    assert getattr(seen, "n_frames", 1) == 1
    red, _green, blue = seen.convert("RGB").getpixel((9, 9))
    assert red > 200 > blue + 150


def test_of_an_animation_that_is_cut_the_first_frame_counts(root: Path):
    made = picture(root, put(root, "a.gif", _animation()[:-20]), Rules(ANY | {GIF}, 10**6, 10**7))
    assert made.mime == PNG


def test_a_still_gif_and_an_animation_above_a_limit_become_pictures_without_loss(root: Path):
    rules = Rules(ANY | {GIF}, 10**6, 400)
    assert picture(root, put(root, "a.gif", _animation()), rules).mime == PNG
    still = written(drawing().convert("P"), "GIF")
    assert picture(root, put(root, "b.gif", still), Rules(ANY | {GIF}, 10**6, 10**7)).mime == PNG


# --------------------------------------------------------------------------- limits


RULES = st.builds(
    Rules,
    st.frozensets(st.sampled_from([JPEG, PNG, WEBP]), min_size=1),
    st.integers(3_000, 200_000),
    st.integers(1_000, 300_000),
    st.none() | st.integers(40, 600),
)


@given(
    size=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    form=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    rules=RULES,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_no_picture_is_above_a_limit(root, size, form, rules):
    made = picture(root, put(root, "a", written(photo(*size), form)), rules)
    assert made.mime in rules.types
    assert len(made.data) <= rules.bytes
    assert made.width * made.height <= rules.pixels
    assert max(made.width, made.height) <= (rules.side or max(size))
    for side, was in zip((made.width, made.height), size, strict=True):
        assert side <= was
        # The shape stays, but for what whole pixels allow: below one limit, then the other.
        assert abs(side - was * max(made.width, made.height) / max(size)) < 2
    opened(made)


@pytest.mark.parametrize("size", [(138, 395), (395, 138)])
def test_a_picture_below_two_limits_is_in_shape_to_the_pixel(root: Path, size: tuple[int, int]):
    small = Rules(frozenset({JPEG}), 5_435, 46_800)
    made = picture(root, put(root, "a", written(photo(*size), "JPEG")), small)
    assert made.width * made.height < 46_800, "it is made smaller twice: for its pixels, then for its bytes"
    wanted = min(size) * max(made.width, made.height) / max(size)
    assert abs(min(made.width, made.height) - wanted) < 1


@pytest.mark.parametrize(("size", "rules"), [((1, 9_000), Rules(ANY, 10**6, 100)), ((20_000, 2), WIDE)])
def test_a_line_stays_one(root: Path, size: tuple[int, int], rules: Rules):
    made = picture(root, put(root, "a", written(Pillow.new("RGB", size), "PNG")), rules)
    assert min(made.width, made.height) == 1
    assert 100 <= max(made.width, made.height) <= 16_383
    assert made.width * made.height <= rules.pixels


def test_what_shows_through_stays_so_where_it_can(root: Path):
    frame = drawing("RGBA")
    image = put(root, "a.png", written(frame, "PNG", dpi=(72, 72)))
    for types in (frozenset({PNG, JPEG}), frozenset({WEBP, JPEG})):
        seen = opened(picture(root, image, Rules(types, 10**6, 10**7)))
        assert seen.convert("RGBA").getpixel((110, 70))[3] == 0
    flat = opened(picture(root, image, Rules(frozenset({JPEG}), 10**6, 10**7)))
    assert min(flat.convert("RGB").getpixel((110, 70))) > 250, "white shows through, not black"


def test_an_opaque_photograph_is_a_jpeg_although_it_could_show_something_through(root: Path):
    frame = photo().convert("RGBA")
    assert picture(root, put(root, "a.webp", written(frame, "WEBP", lossless=True)), WIDE).mime == JPEG


def test_a_photograph_saved_as_a_drawing_becomes_a_jpeg_before_it_becomes_small(root: Path):
    data = written(photo(), "PNG")
    made = picture(root, put(root, "a.png", data), Rules(frozenset({PNG, JPEG}), len(data) // 2, 10**7))
    assert (made.mime, made.width, made.height) == (JPEG, 320, 200)


def test_a_limit_that_nothing_can_meet_is_said_so(root: Path):
    with pytest.raises(
        RejectedError, match=r"content/a\.jpg cannot be made smaller than 30 bytes"
    ) as refusal:
        picture(root, put(root, "a.jpg", written(photo(), "JPEG")), Rules(ANY, 30, 10**7))
    assert refusal.value.field == "image"


def test_rules_without_a_format_to_write_are_a_mistake():
    with pytest.raises(ValueError, match="JPEG, PNG or WebP"):
        Rules(frozenset({GIF}), 1, 1)


# --------------------------------------------------------------------------- what is no picture


def _png(width: int, height: int) -> bytes:
    """A PNG that claims a size, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8_001, 8_000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_never_decoded(root: Path, size: tuple[int, int]):
    with pytest.raises(RejectedError, match="more than 64 million pixels; save it smaller") as refusal:
        picture(root, put(root, "a.png", _png(*size)), WIDE)
    assert refusal.value.field == "image"


def test_a_file_that_is_too_large_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch):
    image = put(root, "a.png", b"")
    with (root / image.path).open("r+b") as stream:
        stream.truncate(media.LARGEST_FILE + 1)
    with pytest.raises(RejectedError, match="has more than 64 MiB"):
        picture(root, image, WIDE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Ce n'est pas une image.",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        written(Pillow.new("RGB", (9, 9)), "BMP"),
        written(Pillow.new("RGB", (9, 9)), "TIFF"),
        written(photo(), "JPEG")[:3000],
        written(photo(), "PNG")[:9000],
        written(drawing(), "PNG").replace(b"IDAT", b"IDAX"),
        written(drawing(), "PNG").replace(b"IDATx", b"IDATy"),  # bare by its blocks, and not by its pixels
        written(photo(), "WEBP")[:500],
        _animation()[:100],
    ],
)
def test_what_is_no_whole_picture_is_refused_for_every_network(root: Path, data: bytes):
    image = put(root, "a.jpg", data)
    words = "content/a.jpg is damaged, or is not a PNG, JPEG, GIF or WebP picture; open it and save it again"
    for rules in (WIDE, Rules(ANY | {GIF}, 10**6, 10**7)):
        with pytest.raises(RejectedError, match=words) as refusal:
            picture(root, image, rules)
        assert refusal.value.field == "image"
    assert words in (problem(root, image) or "")


WHOLE = [
    written(photo(60, 40), "JPEG", exif=Pillow.Exif().tobytes(), comment="x"),
    written(photo(60, 40), "WEBP"),
    written(drawing(size=(60, 40)), "PNG"),
    _animation(),
]


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_damaged_picture_is_refused_or_shown_and_nothing_else(root: Path, data: st.DataObject):
    broken = bytearray(data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    image = put(root, "a", bytes(broken[: data.draw(st.integers(1, len(broken)))]))
    rules = Rules(ANY | {GIF}, 10**6, 10**6)
    if said := problem(root, image):
        assert "content/a" in said
    with pytest.raises(RejectedError, match="content/a") if said else nullcontext():
        made = picture(root, image, rules)
        assert opened(made).size == (made.width, made.height)


# --------------------------------------------------------------------------- where files may lie


def test_no_file_outside_the_project_is_read(root: Path, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("elsewhere") / "secret.png"
    outside.write_bytes(written(drawing(), "PNG"))
    (root / "content" / "link.png").symlink_to(outside)
    (root / "content" / "folder").symlink_to(outside.parent)
    up = os.path.relpath(outside, root)
    for path in ("content/link.png", "content/folder/secret.png", up, str(outside)):
        image = Image(path, "a")
        with pytest.raises(RejectedError, match="lies outside the project"):
            picture(root, image, WIDE)
        assert "lies outside the project" in (problem(root, image) or "")


def test_a_link_that_stays_inside_is_followed(root: Path):
    image = put(root, "a.png", written(drawing(), "PNG"))
    (root / "content" / "b.png").symlink_to("a.png")
    assert picture(root, Image("content/b.png", "b"), WIDE) == picture(root, image, WIDE)


@pytest.mark.parametrize(
    ("path", "words"),
    [("content/gone.png", "is gone"), ("content", "is not a file"), ("content/\0.png", "is not a path")],
)
def test_what_is_no_file_is_named(root: Path, path: str, words: str):
    with pytest.raises(RejectedError, match=words):
        picture(root, Image(path, "a"), WIDE)
    assert words in (problem(root, Image(path, "a")) or "")


_SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
from pipeline.channels import media
from pipeline.model import Image
root = Path(sys.argv[1])
assert media.problem(root, Image("small.png", "x")) is None  # the decoder is loaded
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (120 << 20), resource.RLIM_INFINITY))
try:
    print(media.problem(root, Image("large.png", "x")))
except MemoryError:
    print("no memory")
"""


def test_a_machine_without_memory_is_not_the_fault_of_the_picture(tmp_path: Path):
    Pillow.new("L", (2, 2)).save(tmp_path / "small.png")
    Pillow.new("RGB", (7000, 7000)).save(tmp_path / "large.png")
    ran = subprocess.run(
        [sys.executable, "-c", _SHORT_OF_MEMORY, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "no memory\n"


@pytest.mark.timeout(10)
def test_a_pipe_is_not_waited_for(root: Path):
    os.mkfifo(root / "content" / "a.png")
    with pytest.raises(RejectedError, match="is not a file"):
        picture(root, Image("content/a.png", "a"), WIDE)


def test_a_picture_that_can_be_used_is_no_problem(root: Path):
    assert problem(root, put(root, "a.jpg", written(photo(), "JPEG"))) is None


# --------------------------------------------------------------------------- the same again


def test_the_same_file_gives_the_same_bytes_in_another_process(root: Path):
    image = put(root, "a.jpg", _owned("JPEG"))
    rules = Rules(ANY, 20_000, 10**6, 300)
    code = (
        "import sys; from pathlib import Path; from pipeline.model import Image\n"
        "from pipeline.channels.media import Rules, picture\n"
        f"rules = Rules(frozenset({sorted(ANY)!r}), 20_000, 10**6, 300)\n"
        f"print(picture(Path(sys.argv[1]), Image({image.path!r}, 'a'), rules).digest)"
    )
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == picture(root, image, rules).digest


def test_a_file_is_not_encoded_again_until_it_changes(root: Path):
    image = put(root, "a.jpg", written(photo(), "JPEG"))
    first = picture(root, image, WIDE)
    assert picture(root, image, WIDE) is first
    assert picture(root, image, Rules(ANY, 5_000_000, 20_000_000)) is first
    assert picture(root, image, Rules(ANY, 5_000_000, 20_000_000, 100)) is not first
    times = (root / image.path).stat()
    put(root, "a.jpg", written(ImageOps.mirror(photo()), "JPEG"))
    os.utime(root / image.path, ns=(times.st_atime_ns, times.st_mtime_ns))  # restored by some tool
    second = picture(root, image, WIDE)
    assert second.digest != first.digest
    (root / image.path).unlink()
    with pytest.raises(RejectedError):
        picture(root, image, WIDE)


def test_what_is_kept_is_bounded():
    cache = media._Cache(100)
    for number in range(10):
        cache.put(number, Picture(bytes(40), PNG, 1, 1))
        cache.get(8)
    assert [number for number in range(10) if cache.get(number)] == [8, 9]
    cache.put("huge", Picture(bytes(101), PNG, 1, 1))
    assert cache.get("huge") is None


def test_many_threads_get_the_same_picture(root: Path):
    image = put(root, "a.jpg", written(photo(), "JPEG"))
    found: list[Picture] = []
    threads = [
        threading.Thread(target=lambda: found.append(picture(root, image, Rules(ANY, 30_000, 10**6))))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({one.digest for one in found}) == 1
    assert len(found) == 6


def test_the_module_loads_no_image_library():
    code = "import sys, pipeline.channels.media; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --------------------------------------------------------------------------- alternative texts

ALT = "Une foule 👨‍👩‍👧‍👦 devant la gare de Lille-Flandres, é̂té 🇫🇷 2016."


@pytest.mark.parametrize("measure", [code_points, graphemes, utf16, utf8])
def test_an_alt_text_that_fits_stays(measure):
    assert shorten_alt(ALT, measure(ALT), measure) == ALT


@given(
    text=st.text(st.sampled_from("ab é👍🏽👨‍👩‍👧‍👦🇫🇷\u0301\u200d\n漢字"), max_size=80),
    limit=st.integers(0, 60),
    measure=st.sampled_from([code_points, graphemes, utf16, utf8]),
)
def test_a_shortened_alt_text_fits_and_is_cut_between_graphemes(text, limit, measure):
    short = shorten_alt(text, limit, measure)
    assert measure(short) <= limit
    if short != text:
        assert short in {"", "…"} or short.endswith("…")
        kept = short.removesuffix("…")
        assert text.startswith(kept)
        clusters = media.regex.findall(r"\X", text)
        prefixes = {"".join(clusters[:count]).rstrip() for count in range(len(clusters) + 1)}
        assert kept in prefixes | {""}


def test_an_alt_text_is_cut_between_words_where_one_is_near():
    assert shorten_alt("Une foule devant la gare", 20, code_points) == "Une foule devant la…"
    assert shorten_alt("Une foule devant la gare", 17, code_points) == "Une foule devant…"
    assert shorten_alt("x" * 50, 10, code_points) == "xxxxxxxxx…"
    lengths = [len(shorten_alt(ALT, limit, code_points)) for limit in range(len(ALT) + 1)]
    assert all(before <= after for before, after in pairwise(lengths))
