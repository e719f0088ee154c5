"""Damage to valid contents: what disks, networks and people with a hex editor do to files."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

BORDERS = (0, 1, 2, 2**15, *(2**bits - less for bits in (3, 7, 8, 16, 31, 32, 63, 64) for less in (0, 1)))


def damaged(seeds: Sequence[bytes], head: int = 0) -> SearchStrategy[bytes]:
    """Valid contents with up to six places changed, cut off, doubled or overwritten.

    Args:
        seeds: Valid contents.
        head: Bytes at the front that most of the changes hit; 0 spreads them evenly.
    """
    return _damaged(tuple(seeds), head)


@st.composite
def _damaged(draw: DrawFn, seeds: tuple[bytes, ...], head: int) -> bytes:
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        if not data:
            break
        most = min(head, len(data)) if head and draw(st.integers(0, 3)) else len(data)
        at = draw(st.integers(0, most - 1))
        draw(st.sampled_from(_CHANGES))(draw, data, at)
    return bytes(data)


def _flip(draw: DrawFn, data: bytearray, at: int) -> None:
    data[at] ^= 1 << draw(st.integers(0, 7))


def _set(draw: DrawFn, data: bytearray, at: int) -> None:
    data[at] = draw(st.integers(0, 255))


def _number(draw: DrawFn, data: bytearray, at: int) -> None:
    size, form = draw(st.sampled_from([(2, "H"), (4, "I"), (8, "Q")]))
    value = draw(st.sampled_from(BORDERS)) % (1 << 8 * size)
    data[at : at + size] = struct.pack(draw(st.sampled_from("<>")) + form, value)


def _cut(draw: DrawFn, data: bytearray, at: int) -> None:
    del data[at:]


def _remove(draw: DrawFn, data: bytearray, at: int) -> None:
    del data[at : at + draw(st.integers(1, 64))]


def _double(draw: DrawFn, data: bytearray, at: int) -> None:
    part = data[at : at + draw(st.integers(1, 64))]
    data[at:at] = part * draw(st.sampled_from([1, 2, 100]))


def _insert(draw: DrawFn, data: bytearray, at: int) -> None:
    data[at:at] = draw(st.binary(min_size=1, max_size=16))


_CHANGES: list[Callable[[DrawFn, bytearray, int], None]] = [
    *(_flip, _flip, _set, _set, _number, _number),
    *(_cut, _remove, _double, _insert),
]
