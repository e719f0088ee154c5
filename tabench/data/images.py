"""JPEG and PNG files that nobody vouches for; PNGs are read by what a pixel shows, not by its palette index.

A lossless optimiser stores the same picture as grey or palette, with other indices, in fewer bits. So a
number is what its colour says, and what could mean two things is refused:

| stored as | `labels` | `greys` | `colours` |
|-|-|-|-|
| grey, 8 bit | the value | the value | refused |
| grey, 1 to 4 bit | refused unless 0: is 1 a class, or white? | as in 8 bit, white is 255 | refused |
| grey, 16 bit | the value | refused: of 255 or of 65535? | refused |
| palette, RGB | by its colours | if all are grey | its colours |
| RGB of 16 bit, or transparent pixels | refused | refused | refused |
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
import numpy.typing as npt
from PIL import Image

from tabench.data.listing import unreadable
from tabench.errors import DataError

MAX_PIXELS = 4096 * 4096  # VOC's images have at most 500x500; more is a wrong or a hostile file
AGAIN = "unpack this file again"
RESAVE = "save it again as 8-bit grey whose value is the class"
STRANGE = "this is not the file that the dataset has under this name"
FOREIGN = "this is not a file of the dataset"
GREY = 0x010101  # times a value: a grey as one number, 0xRRGGBB
HEADER = 25  # bytes up to the bits of a sample
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)  # Pillow raises all of these
_BOMB = (Image.DecompressionBombWarning, Image.DecompressionBombError)

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Png:
    """A decoded picture; asked for what it does not hold (see the table above), it raises DataError."""

    image: Image.Image  # as Pillow gives it
    bits: int  # of a grey value, a palette index or a channel in the file
    where: str  # the file's name, for messages

    @property
    def kind(self) -> str:
        """What it is, for messages: "4-bit PNG of mode L"."""
        return f"{self.bits}-bit PNG of mode {self.image.mode}"

    def labels(self, own: Mapping[int, int] | None = None) -> Numbers:
        """The class of every pixel, (H, W), by the dataset's colour map (0xRRGGBB to class) if it has one."""
        if self.image.mode == "I;16":
            return self.sixteen_bits().astype(np.int64)
        codes, colours = self._shown()
        used = _used(codes)
        if self.image.mode in ("1", "L") and self.bits < 8 and colours[used].any():
            self._refuse(f"{self.kind}, in which 1 may be class 1 or white, 255", RESAVE)
        if own and all(int(colour) in own for colour in colours[used]):
            classes = np.zeros(len(colours), np.int64)
            classes[used] = [own[int(colour)] for colour in colours[used]]
        else:
            maps = "neither of the dataset's colour map nor grey" if own else "not grey"
            self._all_grey(colours[used], f"{maps}, so its class is not known", RESAVE)
            classes = colours & 255
        found: Numbers = classes[codes]
        return found

    def greys(self) -> npt.NDArray[np.uint8]:
        """The grey of every pixel, (H, W), white is 255."""
        codes, colours = self._shown()
        self._all_grey(colours[_used(codes)], "not grey", STRANGE)
        found: npt.NDArray[np.uint8] = (colours & 255).astype(np.uint8)[codes]
        return found

    def colours(self) -> npt.NDArray[np.uint8]:
        """Red, green and blue of every pixel, (H, W, 3)."""
        if self.image.mode not in ("P", "RGB", "RGBA"):
            self._refuse(f"{self.kind}, expected RGB", STRANGE)
        if self.image.mode == "RGB" and "transparency" not in self.image.info and self.bits == 8:
            return np.array(self.image)  # quicker, and the usual case
        codes, colours = self._shown()
        channels = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
        found: npt.NDArray[np.uint8] = channels.astype(np.uint8)[codes]
        return found

    def sixteen_bits(self) -> npt.NDArray[np.uint16]:
        """The value of every pixel of a 16-bit grey picture, (H, W)."""
        if self.image.mode != "I;16":
            self._refuse(f"{self.kind}, expected I;16", STRANGE)
        self._refuse_clear()
        return np.array(self.image, dtype=np.uint16)

    def _shown(self) -> tuple[npt.NDArray[np.integer], Numbers]:
        """A code for every pixel, (H, W), and the colour of every code, 0xRRGGBB."""
        mode = self.image.mode
        if self.bits == 16:
            self._refuse(f"{self.kind}, expected 8 bits", STRANGE)
        self._refuse_clear()
        if mode in ("LA", "RGBA", "RGB"):
            return _packed(np.asarray(self.image.convert("RGB")))
        codes = np.asarray(self.image.convert("L") if mode == "1" else self.image)
        if mode != "P":
            return codes, np.arange(256) * GREY
        table = np.array(self.image.getpalette("RGB") or [], np.int64).reshape(-1, 3)
        highest = int(codes.max())
        if highest >= len(table):
            self._refuse(f"palette index {highest} of {len(table)} colours", STRANGE)
        return codes, table @ np.array([1 << 16, 1 << 8, 1])

    def _all_grey(self, colours: Numbers, otherwise: str, hint: str) -> None:
        strange = colours[colours % GREY != 0]
        if strange.size:
            red, green, blue = (int(strange[0]) >> shift & 255 for shift in (16, 8, 0))
            self._refuse(f"colour ({red}, {green}, {blue}) is {otherwise}", hint)

    def _refuse_clear(self) -> None:
        """Refuse a transparent colour, used or not, and pixels whose alpha is not full."""
        alpha = self.image.mode in ("LA", "RGBA") and np.asarray(self.image)[..., -1].min() < 255
        if alpha or "transparency" in self.image.info:
            problem = "transparent pixels, of which the colour means nothing"
            self._refuse(problem, "save it without transparency")

    def _refuse(self, problem: str, hint: str) -> NoReturn:
        raise DataError(problem, where=self.where, hint=hint)


def open_png(file: BinaryIO, where: str, *, most: int = MAX_PIXELS, again: str = AGAIN) -> Png:
    """Decode a PNG picture; what its pixels mean is asked of the result.

    Raises:
        DataError: Not a PNG file, damaged (the hint is `again`), animated, or of more pixels than `most`.
        OSError: The file itself cannot be read.
    """
    header = file.read(HEADER)
    file.seek(0)
    if header[:8] != b"\x89PNG\r\n\x1a\n":
        raise DataError("not a PNG image", where=where, hint=again)
    with _opened(file, "PNG", where, most, again) as image:
        if getattr(image, "is_animated", False):
            raise DataError("an animated PNG, expected one picture", where=where, hint=again)
        return Png(image.copy(), header[-1], where)


def read_png(path: Path) -> Png:
    """Decode a PNG file; raises DataError where it is missing, or as `open_png`."""
    with _file(path) as file:
        return open_png(file, str(path))


def read_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a JPEG photo as (H, W, 3) uint8; raises DataError for what is none."""
    with _file(path) as file, _opened(file, "JPEG", str(path)) as photo:
        return np.array(photo.convert("RGB"), dtype=np.uint8)


def resize_photo(photo: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """A photo (H, W, 3) at `size` (H, W), bicubic; the photo itself where it has that size."""
    if photo.shape[:2] == size:
        return photo
    resized = Image.fromarray(photo).resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.array(resized, dtype=np.uint8)


def shape_of(path: Path, form: str) -> tuple[int, int]:
    """(H, W) of a "JPEG" or "PNG" file, from its header; raises DataError for what is none."""
    with _file(path) as file, _opened(file, form, str(path)) as picture:
        return picture.height, picture.width


@contextlib.contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise DataError("file not found", where=str(path)) from None
    except OSError as error:
        raise unreadable(error, path) from error
    with file:
        yield file


@contextlib.contextmanager
def _opened(
    file: BinaryIO, form: str, where: str, most: int = MAX_PIXELS, again: str = AGAIN
) -> Iterator[Image.Image]:
    """A picture of a form whose size is accepted; what Pillow raises inside the block is one error."""
    try:
        with Image.open(file, formats=[form]) as picture:
            if not 0 < picture.width * picture.height <= most:
                size = f"{picture.width}x{picture.height} pixels, 1 to {most} are accepted"
                raise DataError(size, where=where, hint=FOREIGN)
            yield picture
    except _BOMB as error:
        raise DataError(f"too large an image: {error}", where=where, hint=FOREIGN) from error
    except _BROKEN as error:
        raise DataError(f"not a readable {form} file: {error}", where=where, hint=again) from error


def _used(codes: npt.NDArray[np.integer]) -> Numbers:
    """Codes that occur, ascending."""
    return np.flatnonzero(np.bincount(codes.ravel()))


def _packed(pixels: npt.NDArray[np.uint8]) -> tuple[Numbers, Numbers]:
    packed = pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    colours, codes = np.unique(packed, return_inverse=True)
    return codes.reshape(packed.shape), colours
