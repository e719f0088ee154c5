"""Arrays: .npy files of images, labels, depths and normals, and the files of a pack."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fuzz.mutation import damaged
from fuzz.target import Target, reading
from tabench.data.array_folders import read_array

SHAPES = {"image": (4, 5, 3), "label": (4, 5), "depth": (4, 5, 1), "normal": (4, 5, 3)}
NUMBERS = ("<f4", ">f4", "<f8", ">f8", "<f2", "<i8", ">i2", "|u1", "<f16", "<c8", "|b1")
OTHERS = ("|O", "|S3", "<U2", "|V4", "<M8[s]", "<m8[ns]", "f", "O", "<f3", "q" * 50)
MANY = ("<f4,<f4", "(3,)<f4", "(1000000000,)<f8")
DESCRS = (
    *(repr(d) for d in (*NUMBERS, *OTHERS, *MANY)),
    "[('a', '<f4'), ('b', '|O')]",
    "[('a', '<f4', (1000000000,))]",
    "[]",
    "None",
    "3",
    "('<f4', (2, 2))",
    "{'names': ['a'], 'formats': ['O']}",
    "__import__('os').system('touch x')",
)
SIZES = ("0", "1", "3", "4", "5", "-1", "4L", "True", "2.0", "'4'", "None", "(4, 5)")
SIZES += tuple(str(size) for size in (10**12, 2**63 - 1, 2**63, 10**23 - 1))
VALUES = (0.0, 1.0, -1.0, 0.5, 2.0, 255.0, 13.0, -2.0, 1e-40, 1e30, 1e300, np.nan, np.inf, -np.inf)


@st.composite
def forged(draw: DrawFn) -> bytes:
    """A header that says anything, and little behind it."""
    shape = draw(st.lists(st.sampled_from(SIZES), max_size=4))
    text = "({})".format("".join(f"{size}, " for size in shape))
    text = draw(st.sampled_from([text] * 6 + [text[:-1], "(" * 500, "[" * 90 + "]" * 90, "4", "()"]))
    order = draw(st.sampled_from(["False", "True", "2", "None"]))
    descr = draw(st.sampled_from(DESCRS))
    head = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {text}, }}"
    head += draw(
        st.sampled_from(["", "x", "\0", "}" * 9, " " * 70_000, ", 'more': 1}", "\\", '"""', "\n\n", "é"])
    )
    version = draw(st.sampled_from([b"\1\0", b"\2\0", b"\3\0", b"\4\0", b"\0\0"]))
    encoded = head.encode("utf-8" if version == b"\3\0" else "latin1")
    wide = version in (b"\2\0", b"\3\0")
    length = draw(st.sampled_from([len(encoded)] * 6 + [0, 1, 2**16 - 1, 2**32 - 1])) % (
        2**32 if wide else 2**16
    )
    body = draw(st.binary(max_size=64))
    return b"\x93NUMPY" + version + length.to_bytes(4 if wide else 2, "little") + encoded + body


@st.composite
def odd(draw: DrawFn, shape: tuple[int, ...]) -> bytes:
    """A sound file: any number type, byte order and memory order, with values that may be wrong."""
    dtype = np.dtype(draw(st.sampled_from(NUMBERS)))
    values = np.full(shape, draw(st.sampled_from(VALUES[:5])))
    for _ in range(draw(st.integers(0, 3))):
        values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from(VALUES))
    with np.errstate(all="ignore"):
        array = values.astype(dtype)
    return npy(np.asfortranarray(array) if draw(st.booleans()) else array)


def npy(array: np.ndarray, pickled: bool = False) -> bytes:
    """The content of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def others() -> list[bytes]:
    """What is no .npy file of numbers though NumPy opens it: pickles, archives, objects."""
    import pickle

    from fuzz.trap import Trap

    trap = np.empty(1, object)
    trap[0] = Trap()
    archive = io.BytesIO()
    np.savez(archive, a=np.zeros(3))
    return [
        npy(trap, pickled=True),
        pickle.dumps(Trap()),
        archive.getvalue(),
        b"",
        b"PK\3\4",
        b"PK\5\6" + bytes(18),
    ]


def target(kind: str) -> Target:
    """Reading one kind of array of a folder."""
    sound: SearchStrategy[bytes] = odd(SHAPES[kind])
    seeds = [npy(np.zeros(SHAPES[kind], "<f4")), npy(np.zeros(SHAPES[kind], ">f8")), *others()]
    inputs = st.one_of(forged(), sound, damaged(seeds, head=128))

    def read(path: Path) -> object:
        array = read_array(path, kind, classes=13)
        assert np.isfinite(array).all(), "values that are not finite"
        assert array.dtype == (np.int64 if kind == "label" else np.float32)
        return array

    return reading(f"npy {kind}", "0.npy", inputs, read)


TARGETS = {f"npy {kind}": partial(target, kind) for kind in SHAPES}
