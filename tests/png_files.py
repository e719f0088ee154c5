"""Writes PNG files of every form the format has, as optimisers and drawing programs do."""

import struct
import zlib

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # colour types


def png(samples: np.ndarray, form: int, bits: int = 8, palette=None, clear: bytes = b"") -> bytes:
    """Samples (H, W) or (H, W, channels) as they are stored; `clear` is the content of tRNS."""
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1).astype(np.uint16)
    if bits == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:  # most significant bit first, each row filled up to a byte
        digits = rows[..., None] >> np.arange(bits)[::-1] & 1
        packed = np.packbits(digits.reshape(height, -1).astype(np.uint8), axis=1)
    lines = np.pad(packed, ((0, 0), (1, 0))).tobytes()  # filter 0 in front of each
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, form, 0, 0, 0))]
    parts += [(b"PLTE", np.asarray(palette, np.uint8).tobytes())] if palette is not None else []
    parts += [(b"tRNS", clear)] if clear else []
    parts += [(b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def reindexed(colours: np.ndarray, order: np.ndarray, bits: int = 8, spare: int = 0) -> bytes:
    """The same colours (H, W, 3) as a palette in another order, with some entries that no pixel has."""
    flat = colours.reshape(-1, 3)
    table, codes = np.unique(flat, axis=0, return_inverse=True)
    table = np.concatenate([table, np.full((spare, 3), 9, np.uint8)])
    place = np.argsort(order[: len(table)])  # a permutation of the entries
    palette = np.empty_like(table)
    palette[place] = table
    return png(place[codes.reshape(colours.shape[:2])], PALETTE, bits, palette)
