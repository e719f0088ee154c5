"""PNG images of a source: what is expected of each, and that a wrong one is not the archive's."""

from __future__ import annotations

import io

from tabench.data.png import Png, open_png

MOST_PIXELS = 64 << 20
AGAIN = "the file is damaged: take it from the archive again, or download the archive again"


def decode(data: bytes, where: str) -> Png:
    """Decode a PNG image; what its pixels mean is asked of the result.

    Args:
        data: The file's content.
        where: Its name, for messages.

    Raises:
        DataError: Not a PNG image, damaged or too large.
    """
    return open_png(io.BytesIO(data), where, most=MOST_PIXELS, again=AGAIN)
