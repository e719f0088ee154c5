"""Decoding PNG images of a source, with the dtype that is expected of each."""

from __future__ import annotations

import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from tabench.errors import DataError

MOST_PIXELS = 64 << 20
AGAIN = "the file is damaged: take it from the archive again, or download the archive again"


def decode(data: bytes, where: str, *, modes: tuple[str, ...]) -> npt.NDArray[np.generic]:
    """Pixels of a PNG image.

    Args:
        data: The file's content.
        where: Its name, for messages.
        modes: Pillow modes accepted: "RGB", "L" or "P" (8 bit), "I;16" (16 bit).

    Returns:
        (H, W, 3) uint8, (H, W) uint8 or (H, W) uint16.

    Raises:
        DataError: Not a PNG image, damaged, too large, or of another mode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                if not 0 < image.width * image.height <= MOST_PIXELS:
                    raise DataError(
                        f"{image.width}x{image.height} pixels, 1 to {MOST_PIXELS} are accepted", where=where
                    )
                if getattr(image, "is_animated", False):
                    raise DataError("an animated PNG, expected one picture", where=where, hint=AGAIN)
                mode = image.mode
                image.load()
                array = np.asarray(image)
    except UnidentifiedImageError:
        raise DataError("not a PNG image", where=where, hint=AGAIN) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow raises all of these
        raise DataError(f"damaged PNG image: {error}", where=where, hint=AGAIN) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"too large an image: {error}", where=where, hint=AGAIN) from error
    if mode not in modes:
        raise DataError(
            f"image of mode {mode}, expected {' or '.join(modes)}",
            where=where,
            hint="this is not the file that the dataset's archive has under this name",
        )
    return array
