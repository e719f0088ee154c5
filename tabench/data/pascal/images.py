"""Reads JPEG and PNG files that nobody vouches for: wrong ones are an error that names the file."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tabench.data.listing import unreadable
from tabench.data.png import FOREIGN, Png, open_png
from tabench.errors import DataError

MAX_PIXELS = 4096 * 4096  # VOC's images have at most 500x500; more is a wrong or a hostile file
AGAIN = "unpack this file again"
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def read_rgb(path: Path, size: tuple[int, int] | None = None) -> npt.NDArray[np.uint8]:
    """Decode a JPEG photo.

    Args:
        path: The file.
        size: (H, W) to resize to, bicubic and without keeping the aspect ratio; None keeps its size.

    Returns:
        (H, W, 3) uint8.

    Raises:
        DataError: Missing, truncated, corrupt, too large or not a JPEG file.
    """
    with _opened(path, "JPEG") as photo:
        picture = photo.convert("RGB")
    if size is not None and picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return np.array(picture, dtype=np.uint8)


def read_png(path: Path) -> Png:
    """Decode a PNG file; what its pixels mean is asked of the result.

    Raises:
        DataError: Missing, truncated, corrupt, too large or not a PNG file.
    """
    try:
        with path.open("rb") as file:
            return open_png(file, str(path), most=MAX_PIXELS, again=AGAIN)
    except FileNotFoundError:
        raise DataError("file not found", where=str(path)) from None
    except OSError as error:
        raise unreadable(error, path) from error


def shape_of(path: Path, kind: str) -> tuple[int, int]:
    """(H, W) of a "JPEG" or "PNG" file, from its header.

    Raises:
        DataError: Missing, too large, or not a file of this kind.
    """
    with _opened(path, kind) as picture:
        return picture.height, picture.width


@contextlib.contextmanager
def _opened(path: Path, kind: str) -> Iterator[Image.Image]:
    try:
        with Image.open(path, formats=(kind,)) as picture:
            if not 0 < picture.width * picture.height <= MAX_PIXELS:
                text = f"{picture.width}x{picture.height} pixels, 1 to {MAX_PIXELS} are accepted"
                raise DataError(text, where=str(path), hint=FOREIGN)
            yield picture
    except FileNotFoundError:
        raise DataError("file not found", where=str(path)) from None
    except PermissionError as error:
        raise unreadable(error, path) from error
    except _BOMB as error:
        raise DataError(f"not decoded: {error}", where=str(path), hint=FOREIGN) from error
    except _BROKEN as error:
        raise DataError(f"not a readable {kind} file: {error}", where=str(path), hint=AGAIN) from error
