"""Pictures: JPEG and PNG files of the datasets, and the PNG pictures beside a record."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from PIL import Image, PngImagePlugin

from fuzz.mutation import damaged
from fuzz.target import Target, reading
from tabench.data.images import open_png, read_png, read_rgb, resize_photo
from tabench.data.pascal.classes import VOC_COLOURS

MODES = ("1", "L", "LA", "I;16", "RGB", "RGBA", "P")
SIDES = (0, 1, 6, 8, 65_535, 20_000, 2**31 - 1, 2**32 - 1)


def picture(mode: str, kind: str, **options: object) -> bytes:
    """A small picture of noise."""
    rng = np.random.default_rng(0)
    made = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).convert(
        "L" if mode == "I;16" else mode
    )
    buffer = io.BytesIO()
    (made.convert("I").convert("I;16") if mode == "I;16" else made).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes, right: bool = True) -> bytes:
    """One chunk of a PNG file."""
    return (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ (not right))
    )


def pngs() -> list[bytes]:
    """Valid PNG files of all kinds: animated, interlaced, with transparency and texts."""
    texts = PngImagePlugin.PngInfo()
    texts.add_text("a", "<script>", zip=True)
    frames = [Image.new("RGB", (8, 6), (n, 0, 0)) for n in (1, 2, 3)]
    animated = io.BytesIO()
    frames[0].save(animated, "PNG", save_all=True, append_images=frames[1:])
    paletted = picture("P", "PNG", transparency=bytes(range(256)))
    return [
        *(picture(mode, "PNG") for mode in MODES),
        animated.getvalue(),
        paletted,
        picture("RGB", "PNG", pnginfo=texts),
    ]


@st.composite
def forged_png(draw: DrawFn) -> bytes:
    """Chunks that contradict each other: sizes without pixels, bombs, wrong checksums."""
    width, height = draw(st.sampled_from(SIDES)), draw(st.sampled_from(SIDES))
    depth, colour = draw(st.sampled_from([1, 2, 4, 8, 16, 3])), draw(st.sampled_from([0, 2, 3, 4, 6, 5]))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, draw(st.sampled_from([0, 1, 7])))
    zeros = zlib.compress(bytes(draw(st.sampled_from([0, 10, 1 << 12, 1 << 22]))), 9)
    more = {
        "text": chunk(b"zTXt", b"key\0\0" + zeros),
        "itext": chunk(b"iTXt", b"k\0\1\0\0\0" + zeros),
        "icc": chunk(b"iCCP", b"p\0\0" + zeros),
        "palette": chunk(b"PLTE", bytes(draw(st.integers(0, 20)))),
        "clear": chunk(b"tRNS", bytes(draw(st.integers(0, 7)))),
        "dots": chunk(b"pHYs", bytes(9)),
        "frames": chunk(b"acTL", struct.pack(">II", 2**31, 0)),
        "exif": chunk(b"eXIf", b"II*\0" + bytes(20)),
        "frame": chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, width, height, 1, 1, 1, 1, 0, 0)),
        "unknown": chunk(b"abCd", b"x"),
        "critical": chunk(b"ABCD", b"x"),
        "gamma": chunk(b"gAMA", bytes(2)),
        "head": chunk(b"IHDR", head),
    }
    parts = [chunk(b"IHDR", head, draw(st.booleans()) or draw(st.booleans()))]
    parts += [more[name] for name in draw(st.lists(st.sampled_from(sorted(more)), max_size=4))]
    parts += [chunk(b"IDAT", zeros)] * draw(st.integers(0, 2)) + [chunk(b"IEND", b"")] * draw(
        st.integers(0, 1)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpegs() -> list[bytes]:
    """Valid JPEG files: grey, colour, CMYK, progressive, with EXIF and of several pictures."""
    exif = Image.Exif()
    exif[0x0112] = 6
    several = io.BytesIO()
    one = Image.new("RGB", (8, 6))
    one.save(several, "MPO", save_all=True, append_images=[one])
    found = [picture(mode, "JPEG") for mode in ("L", "RGB", "CMYK")]
    return [
        *found,
        picture("RGB", "JPEG", progressive=True),
        picture("RGB", "JPEG", exif=exif),
        several.getvalue(),
    ]


def _decoded(path: Path) -> object:
    return open_png(io.BytesIO(path.read_bytes()), str(path), most=64 << 20).labels()


def _png(name: str, read: Callable[[Path], object]) -> Target:
    inputs = st.one_of(st.sampled_from(pngs()), damaged([*pngs(), jpegs()[0], b""]), forged_png())
    return reading(name, "a.png", inputs, read)


def _jpeg() -> Target:
    inputs = damaged([*jpegs(), pngs()[0], b""])
    return reading("jpeg photo", "a.jpg", inputs, lambda path: resize_photo(read_rgb(path), (5, 5)))


READERS: dict[str, Callable[[Path], object]] = {
    "png labels": lambda path: read_png(path).labels(VOC_COLOURS),
    "png normals": lambda path: read_png(path).colours(),
    "png greys": lambda path: read_png(path).greys(),
    "png disparity": lambda path: read_png(path).sixteen_bits(),
    "png source": _decoded,
}
TARGETS = {"jpeg photo": _jpeg, **{name: partial(_png, name, read) for name, read in READERS.items()}}
